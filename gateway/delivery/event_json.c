#include <stdbool.h>
#include <string.h>

#include "delivery/event.h"
#include "delivery/utc.h"

/* Counts on beyond its capacity, so that the caller learns what it takes. */
struct text_out {
    char *buffer;
    size_t capacity, len;
};

static void put(struct text_out *o, const char *data, size_t len)
{
    if (o->len < o->capacity) {
        size_t room = o->capacity - o->len;
        memcpy(o->buffer + o->len, data, len < room ? len : room);
    }
    o->len += len;
}

#define PUT_LITERAL(o, text) put((o), (text), sizeof(text) - 1)

static void put_uint(struct text_out *o, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    put(o, digits + at, sizeof digits - at);
}

static void put_hex64(struct text_out *o, uint64_t value)
{
    char digits[16];
    for (unsigned i = 0; i < 16; i++)
        digits[i] = "0123456789abcdef"[value >> (60 - 4 * i) & 15];
    put(o, digits, sizeof digits);
}

/* RFC 8259 §7: the quotation mark, the backslash and the control characters must be escaped. */
static void put_escaped(struct text_out *o, const char *text, size_t len)
{
    size_t from = 0;
    for (size_t i = 0; i < len; i++) {
        const uint8_t c = (uint8_t)text[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        put(o, text + from, i - from);
        from = i + 1;
        const char escape[6] = {'\\', 'u', '0', '0', "0123456789abcdef"[c >> 4], "0123456789abcdef"[c & 15]};
        const char *letter = c == '\n' ? "\\n" : c == '\t' ? "\\t" : c == '\r' ? "\\r" : NULL;
        if (c == '"' || c == '\\')
            put(o, (const char[]){'\\', (char)c}, 2);
        else if (letter)
            put(o, letter, 2);
        else
            put(o, escape, sizeof escape);
    }
    put(o, text + from, len - from);
}

static void put_string(struct text_out *o, const char *text, size_t len)
{
    PUT_LITERAL(o, "\"");
    put_escaped(o, text, len);
    PUT_LITERAL(o, "\"");
}

static void put_member(struct text_out *o, const char *name)
{
    PUT_LITERAL(o, ",\"");
    put(o, name, strlen(name)); /* names are our own: nothing in them needs an escape */
    PUT_LITERAL(o, "\":");
}

static void put_hex_string(struct text_out *o, const uint8_t *data, size_t len)
{
    PUT_LITERAL(o, "\"");
    for (size_t i = 0; i < len; i++)
        put(o, (const char[]){"0123456789abcdef"[data[i] >> 4], "0123456789abcdef"[data[i] & 15]}, 2);
    PUT_LITERAL(o, "\"");
}

static void put_number(struct text_out *o, struct trib_cbor_reader *r)
{
    if (trib_cbor_peek(r) == TRIB_CBOR_UINT) {
        put_uint(o, trib_cbor_get_uint(r));
        return;
    }
    int64_t value = trib_cbor_get_int(r);
    if (value < 0)
        PUT_LITERAL(o, "-");
    put_uint(o, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

static void put_value(struct text_out *o, struct trib_cbor_reader *r, unsigned depth);

/* Keys of a custom event's map are texts; any other kind of key is written as what it is, in quotes. */
static void put_key(struct text_out *o, struct trib_cbor_reader *r)
{
    const int major = trib_cbor_peek(r);
    if (major == TRIB_CBOR_TEXT || major == TRIB_CBOR_BYTES) {
        put_value(o, r, 0);
        return;
    }
    PUT_LITERAL(o, "\"");
    if (major == TRIB_CBOR_UINT || major == TRIB_CBOR_NEGATIVE)
        put_number(o, r);
    else
        trib_cbor_skip(r);
    PUT_LITERAL(o, "\"");
}

static void put_list(struct text_out *o, struct trib_cbor_reader *r, bool map, unsigned depth)
{
    struct trib_cbor_container list = map ? trib_cbor_get_map(r) : trib_cbor_get_array(r);
    put(o, map ? "{" : "[", 1);
    for (bool first = true; trib_cbor_next(r, &list); first = false) {
        if (!first)
            PUT_LITERAL(o, ",");
        if (map) {
            put_key(o, r);
            PUT_LITERAL(o, ":");
        }
        put_value(o, r, depth + 1);
    }
    put(o, map ? "}" : "]", 1);
}

static void put_simple(struct text_out *o, struct trib_cbor_reader *r)
{
    const uint8_t first = r->buf[r->pos];
    if (first == 0xf4 || first == 0xf5) {
        if (trib_cbor_get_bool(r))
            PUT_LITERAL(o, "true");
        else
            PUT_LITERAL(o, "false");
        return;
    }
    trib_cbor_skip(r);
    PUT_LITERAL(o, "null");
}

/* One encoded value of any kind; what JSON or the codec has no word for becomes null. */
static void put_value(struct text_out *o, struct trib_cbor_reader *r, unsigned depth)
{
    size_t len;
    switch (depth < TRIB_CBOR_DEPTH_MAX ? trib_cbor_peek(r) : TRIB_CBOR_TAG) {
    case TRIB_CBOR_UINT:
    case TRIB_CBOR_NEGATIVE:
        put_number(o, r);
        break;
    case TRIB_CBOR_BYTES: {
        const uint8_t *data = trib_cbor_get_bytes(r, &len);
        put_hex_string(o, data, len);
        break;
    }
    case TRIB_CBOR_TEXT: {
        const char *text = trib_cbor_get_text(r, &len);
        put_string(o, text, len);
        break;
    }
    case TRIB_CBOR_ARRAY:
        put_list(o, r, false, depth);
        break;
    case TRIB_CBOR_MAP:
        put_list(o, r, true, depth);
        break;
    case TRIB_CBOR_SIMPLE:
        put_simple(o, r);
        break;
    default:
        trib_cbor_skip(r);
        PUT_LITERAL(o, "null");
    }
}

/* NAME@N: the schema of a custom event, and the version that judged it (see session/custom.h). */
static void put_schema(struct text_out *o, struct trib_cbor_reader *r)
{
    size_t len;
    const char *text = trib_cbor_get_text(r, &len);
    const char *at = text ? memchr(text, '@', len) : NULL;
    put_string(o, text, at ? (size_t)(at - text) : len);
    const size_t digits = at ? len - (size_t)(at + 1 - text) : 0;
    bool number = digits > 0;
    for (size_t i = 1; i <= digits; i++)
        number = number && at[i] >= '0' && at[i] <= '9';
    if (!number || at[1] == '0')
        return;
    put_member(o, "schema_version");
    put(o, at + 1, digits);
}

static void put_field(struct text_out *o, uint64_t id, struct trib_cbor_reader *r)
{
    if (id >= TRIB_FIELD_COUNT || !trib_fields[id].name || id == TRIB_FIELD_USER) {
        trib_cbor_skip(r); /* `user` stands among the columns of every event */
        return;
    }
    put_member(o, trib_fields[id].name);
    if (trib_fields[id].type == TRIB_TYPE_ENUM && trib_cbor_peek(r) == TRIB_CBOR_UINT) {
        const uint64_t value = trib_cbor_get_uint(r);
        const char *name = trib_enum_name((unsigned)id, value);
        PUT_LITERAL(o, "\"");
        if (name)
            put(o, name, strlen(name));
        else
            put_uint(o, value); /* from a newer SDK */
        PUT_LITERAL(o, "\"");
    } else if (id == TRIB_FIELD_SCHEMA && trib_cbor_peek(r) == TRIB_CBOR_TEXT) {
        put_schema(o, r);
    } else if (id == TRIB_FIELD_PREVIOUS && trib_cbor_peek(r) == TRIB_CBOR_UINT) {
        PUT_LITERAL(o, "\"");
        put_hex64(o, trib_cbor_get_uint(r));
        PUT_LITERAL(o, "\"");
    } else {
        put_value(o, r, 0);
    }
}

static void put_fields(struct text_out *o, const uint8_t *fields, size_t len)
{
    struct trib_cbor_reader r;
    trib_cbor_reader_init(&r, fields, len);
    struct trib_cbor_container map = trib_cbor_get_map(&r);
    while (trib_cbor_next(&r, &map)) {
        uint64_t id = UINT64_MAX;
        if (trib_cbor_peek(&r) == TRIB_CBOR_UINT)
            id = trib_cbor_get_uint(&r);
        else
            trib_cbor_skip(&r);
        put_field(o, id, &r);
    }
}

static void put_time(struct text_out *o, const char *name, uint64_t utc_ms)
{
    char text[GW_UTC_TEXT_BYTES];
    gw_utc_text(utc_ms, text);
    put_member(o, name);
    put_string(o, text, sizeof text);
}

static const char *quality_name(uint8_t quality)
{
    return quality == TRIB_TIME_SYNCED ? "synced" : quality == TRIB_TIME_ESTIMATED ? "estimated" : "received";
}

static void put_identity(struct text_out *o, const struct gw_event *event)
{
    PUT_LITERAL(o, "{\"id\":\"");
    put_escaped(o, event->device.ptr, event->device.len);
    PUT_LITERAL(o, "/");
    put_hex64(o, event->stream);
    PUT_LITERAL(o, "/");
    put_uint(o, event->seq);
    PUT_LITERAL(o, "\"");
    const char *type = event->type < TRIB_EVENT_COUNT ? trib_events[event->type].name : NULL;
    put_member(o, "type");
    put_string(o, type ? type : "unknown", strlen(type ? type : "unknown"));
    put_member(o, "device");
    put_string(o, event->device.ptr, event->device.len);
    put_member(o, "stream");
    PUT_LITERAL(o, "\"");
    put_hex64(o, event->stream);
    PUT_LITERAL(o, "\"");
    put_member(o, "seq");
    put_uint(o, event->seq);
    put_member(o, "boot");
    put_uint(o, event->boot);
    put_member(o, "ord");
    put_uint(o, event->ord);
}

size_t gw_event_json(const struct gw_event *event, const char *gateway_id, char *buffer, size_t capacity)
{
    struct text_out out = {buffer, capacity, 0}, *o = &out;
    put_identity(o, event);
    put_time(o, "time", event->utc_ms);
    put_member(o, "time_quality");
    put_string(o, quality_name(event->quality), strlen(quality_name(event->quality)));
    put_member(o, "time_uncertainty_ms");
    if (event->uncertainty_ms == GW_UNCERTAINTY_UNKNOWN)
        PUT_LITERAL(o, "null");
    else
        put_uint(o, event->uncertainty_ms);
    put_time(o, "received", event->received_utc_ms);
    if (event->session != 0) {
        put_member(o, "session");
        PUT_LITERAL(o, "\"");
        put_hex64(o, event->session);
        PUT_LITERAL(o, "\"");
    }
    if (event->content.len != 0) {
        put_member(o, "content");
        put_string(o, event->content.ptr, event->content.len);
    }
    if (event->user.len != 0) {
        put_member(o, "user");
        put_string(o, event->user.ptr, event->user.len);
    }
    put_member(o, "gateway");
    put_string(o, gateway_id, strlen(gateway_id));
    if (event->redriven) {
        put_member(o, "redriven");
        PUT_LITERAL(o, "true");
    }
    put_fields(o, event->fields, event->fields_len);
    PUT_LITERAL(o, "}");
    return out.len;
}
