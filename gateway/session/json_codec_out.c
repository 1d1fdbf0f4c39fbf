#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "session/json_codec.h"
#include "wire/message.h"

/* Appends with a sticky overflow, as the CBOR writer does. */
struct text {
    char *buf;
    size_t cap, len;
    bool overflow;
};

static void add(struct text *t, const char *data, size_t len)
{
    if (t->overflow || len > t->cap - t->len) {
        t->overflow = true;
        return;
    }
    memcpy(t->buf + t->len, data, len);
    t->len += len;
}

__attribute__((format(printf, 2, 3))) static void addf(struct text *t, const char *format, ...)
{
    char piece[160];
    va_list args;

    va_start(args, format);
    int n = vsnprintf(piece, sizeof piece, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof piece)
        t->overflow = true;
    else
        add(t, piece, (size_t)n);
}

static void add_string(struct text *t, struct trib_text s)
{
    add(t, "\"", 1);
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c < 0x20)
            addf(t, "\\u%04x", c);
        else if (c == '"' || c == '\\')
            addf(t, "\\%c", c);
        else
            add(t, s.ptr + i, 1);
    }
    add(t, "\"", 1);
}

/* The name of a code, or its number where it has none here. */
static void add_code(struct text *t, uint64_t code, const char *const *names, size_t count)
{
    if (code < count && names[code])
        addf(t, "\"%s\"", names[code]);
    else
        addf(t, "%" PRIu64, code);
}

static void add_credit(struct text *t, const struct trib_wire_credit *credit)
{
    addf(t, ",\"credit\":{\"events\":\"%" PRIu64 "\",\"bytes\":\"%" PRIu64 "\"}", credit->events,
         credit->bytes);
}

static int welcome(struct text *t, const uint8_t *data, size_t len)
{
    static const char *const qualities[] = {NULL, "synced", "estimated", "received"};
    struct trib_wire_welcome m;

    if (trib_wire_welcome_decode(data, len, &m))
        return GW_EPROTOCOL;
    addf(t, "{\"type\":\"welcome\",\"version\":%d,\"gateway\":", TRIB_WIRE_VERSION);
    add_string(t, m.gateway);
    addf(t, ",\"epoch\":\"%016" PRIx64 "\",\"streams\":[", m.epoch);
    for (size_t i = 0; i < m.stream_count; i++)
        addf(t, "%s{\"stream\":\"%016" PRIx64 "\",\"committed\":\"%" PRIu64 "\",\"crc\":%" PRIu64 "}",
             i ? "," : "", m.streams[i].stream, m.streams[i].committed, m.streams[i].crc);
    addf(t, "]");
    if (m.utc_quality != TRIB_TIME_NONE) {
        addf(t, ",\"time\":{\"utc_ms\":%" PRIu64 ",\"quality\":", m.utc_ms);
        add_code(t, m.utc_quality, qualities, 4);
        addf(t, ",\"uncertainty_ms\":%" PRIu64 "}", m.utc_uncertainty_ms);
    }
    add_credit(t, &m.credit);
    addf(t, ",\"max_message_bytes\":%" PRIu64 ",\"max_event_bytes\":%" PRIu64 ",\"keepalive_ms\":%" PRIu64,
         m.max_message_bytes, m.max_event_bytes, m.keepalive_ms);
    addf(t, ",\"config_version\":\"%" PRIu64 "\"}", m.config_version);
    return 0;
}

static int ack(struct text *t, const uint8_t *data, size_t len)
{
    static const char *const codes[] = {NULL,           "unknown_type",   "wrong_type", "missing_field",
                                        "out_of_range", "unknown_schema", "too_large",  "malformed"};
    struct trib_wire_ack m;

    if (trib_wire_ack_decode(data, len, &m))
        return GW_EPROTOCOL;
    addf(t, "{\"type\":\"ack\",\"acked\":[");
    for (size_t i = 0; i < m.acked_count; i++)
        addf(t, "%s{\"stream\":\"%016" PRIx64 "\",\"seq\":\"%" PRIu64 "\"}", i ? "," : "", m.acked[i].stream,
             m.acked[i].seq);
    addf(t, "],\"rejected\":[");
    for (size_t i = 0; i < m.rejected_count; i++) {
        addf(t, "%s{\"stream\":\"%016" PRIx64 "\",\"seq\":\"%" PRIu64 "\",\"code\":", i ? "," : "",
             m.rejected[i].stream, m.rejected[i].seq);
        add_code(t, m.rejected[i].code, codes, 8);
        addf(t, "}");
    }
    addf(t, "],\"rejected_more\":\"%" PRIu64 "\"", m.rejected_more);
    add_credit(t, &m.credit);
    addf(t, "}");
    return 0;
}

static int nack(struct text *t, const uint8_t *data, size_t len)
{
    struct trib_wire_nack m;

    if (trib_wire_nack_decode(data, len, &m))
        return GW_EPROTOCOL;
    addf(t, "{\"type\":\"nack\",\"stream\":\"%016" PRIx64 "\",\"expected\":\"%" PRIu64 "\"}", m.stream,
         m.expected);
    return 0;
}

static int credit(struct text *t, const uint8_t *data, size_t len)
{
    struct trib_wire_credit m;

    if (trib_wire_credit_decode(data, len, &m))
        return GW_EPROTOCOL;
    addf(t, "{\"type\":\"credit\"");
    add_credit(t, &m);
    addf(t, "}");
    return 0;
}

static int bye(struct text *t, const uint8_t *data, size_t len)
{
    static const char *const reasons[] = {NULL,          "draining",  "replaced", "credit",
                                          "protocol",    "too_large", "version",  "blocked",
                                          "unavailable", "timeout",   "auth",     "erased"};
    struct trib_wire_bye m;

    if (trib_wire_bye_decode(data, len, &m))
        return GW_EPROTOCOL;
    addf(t, "{\"type\":\"bye\",\"reason\":");
    add_code(t, m.reason, reasons, sizeof reasons / sizeof reasons[0]);
    addf(t, ",\"retry_after_ms\":%" PRIu64 ",\"alternates\":[", m.retry_after_ms);
    for (size_t i = 0; i < m.alternate_count; i++) {
        addf(t, "%s", i ? "," : "");
        add_string(t, m.alternates[i]);
    }
    addf(t, "],\"text\":");
    add_string(t, m.text);
    addf(t, "}");
    return 0;
}

static void add_item(struct text *t, struct trib_cbor_reader *r, int depth);

static void add_map(struct text *t, struct trib_cbor_reader *r, int depth)
{
    struct trib_cbor_container map = trib_cbor_get_map(r);
    const char *separator = "";

    addf(t, "{");
    while (trib_cbor_next(r, &map)) {
        addf(t, "%s", separator);
        separator = ",";
        if (trib_cbor_peek(r) == TRIB_CBOR_TEXT) {
            add_item(t, r, 0);
        } else {
            addf(t, "\"%" PRId64 "\"", trib_cbor_get_int(r));
        }
        addf(t, ":");
        add_item(t, r, depth - 1);
    }
    addf(t, "}");
}

/* One item of a configuration. What JSON has no word for becomes null. */
static void add_item(struct text *t, struct trib_cbor_reader *r, int depth)
{
    struct trib_cbor_reader before = *r;
    struct trib_cbor_container c;
    struct trib_text s;
    int type = trib_cbor_peek(r);

    if (type == TRIB_CBOR_UINT) {
        addf(t, "%" PRIu64, trib_cbor_get_uint(r));
    } else if (type == TRIB_CBOR_NEGATIVE) {
        addf(t, "%" PRId64, trib_cbor_get_int(r));
    } else if (type == TRIB_CBOR_TEXT) {
        s.ptr = trib_cbor_get_text(r, &s.len);
        add_string(t, s);
    } else if (type == TRIB_CBOR_MAP && depth > 0) {
        add_map(t, r, depth);
    } else if (type == TRIB_CBOR_ARRAY && depth > 0) {
        const char *separator = "";
        c = trib_cbor_get_array(r);
        addf(t, "[");
        while (trib_cbor_next(r, &c)) {
            addf(t, "%s", separator);
            separator = ",";
            add_item(t, r, depth - 1);
        }
        addf(t, "]");
    } else {
        bool value = trib_cbor_get_bool(r);
        if (r->error) {
            *r = before;
            trib_cbor_skip(r);
            addf(t, "null");
        } else {
            addf(t, value ? "true" : "false");
        }
    }
}

static int config(struct text *t, const uint8_t *data, size_t len)
{
    struct trib_wire_config m;
    struct trib_cbor_reader r;

    if (trib_wire_config_decode(data, len, &m))
        return GW_EPROTOCOL;
    addf(t, "{\"type\":\"config\",\"version\":\"%" PRIu64 "\",\"config\":", m.version);
    trib_cbor_reader_init(&r, m.map, m.map_len);
    add_item(t, &r, TRIB_CBOR_DEPTH_MAX);
    addf(t, "}");
    return r.error ? GW_EPROTOCOL : 0;
}

int gw_cbor_to_json(const uint8_t *message, size_t len, char *buf, size_t cap, size_t *out_len)
{
    struct text t = {.buf = buf, .cap = cap};
    uint64_t type;
    size_t body;
    int result;

    if (trib_wire_open(message, len, &type, &body))
        return GW_EPROTOCOL;
    switch (type) {
    case TRIB_WIRE_WELCOME:
        result = welcome(&t, message, len);
        break;
    case TRIB_WIRE_ACK:
        result = ack(&t, message, len);
        break;
    case TRIB_WIRE_NACK:
        result = nack(&t, message, len);
        break;
    case TRIB_WIRE_CONFIG:
        result = config(&t, message, len);
        break;
    case TRIB_WIRE_CREDIT:
        result = credit(&t, message, len);
        break;
    case TRIB_WIRE_BYE:
        result = bye(&t, message, len);
        break;
    default:
        result = GW_EPROTOCOL;
        break;
    }
    if (!result && t.overflow)
        result = GW_EFULL;
    if (!result)
        *out_len = t.len;
    return result;
}
