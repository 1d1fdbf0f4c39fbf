/* CBOR as values: RFC 8949, seen as JSON (§6.1). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "schema/value.h"
#include "wire/cbor.h"

struct head {
    unsigned major, info;
    uint64_t value;
    uint32_t after;
};

static inline int read_head(const struct gw_cursor *cursor, uint32_t at, struct head *out)
{
    const uint8_t *data = cursor->data;
    if (at >= cursor->len)
        return GW_EPROTOCOL;
    out->major = data[at] >> 5;
    out->info = data[at] & 31;
    out->value = out->info;
    out->after = ++at;
    if (out->info < 24 || out->info == 31)
        return 0;
    if (out->info > 27)
        return GW_EPROTOCOL;
    const uint32_t bytes = 1u << (out->info - 24);
    if (cursor->len - at < bytes)
        return GW_EPROTOCOL;
    uint64_t value = 0;
    for (uint32_t i = 0; i < bytes; i++)
        value = value << 8 | data[at + i];
    out->value = value;
    out->after = at + bytes;
    return 0;
}

static inline bool is_ascii(const uint8_t *p, size_t len)
{
    uint64_t seen = 0, word;
    for (; len >= 8; p += 8, len -= 8) {
        memcpy(&word, p, 8);
        seen |= word;
    }
    for (; len > 0; p++, len--)
        seen |= *p;
    return (seen & 0x8080808080808080u) == 0;
}

static inline int read_string(const struct gw_cursor *cursor, const struct head *head, struct gw_value *out)
{
    if (head->info == 31 || head->value > cursor->len - head->after)
        return GW_EPROTOCOL;
    out->kind = GW_KIND_STRING;
    out->text = (const char *)cursor->data + head->after;
    out->text_len = (uint32_t)head->value;
    out->after = head->after + out->text_len;
    if (head->major == TRIB_CBOR_BYTES) {
        out->form = GW_FORM_BYTES;
        out->ascii = false;
        return 0;
    }
    out->form = GW_FORM_PLAIN;
    out->ascii = is_ascii((const uint8_t *)out->text, out->text_len);
    return out->ascii || trib_cbor_utf8_valid(out->text, out->text_len) ? 0 : GW_EPROTOCOL;
}

static int set_double(double value, struct gw_value *out)
{
    out->kind = GW_KIND_NUMBER;
    if (!isfinite(value))
        return GW_EPROTOCOL;
    if (value >= -9e18 && value <= 9e18 && value == (double)(int64_t)value) {
        out->form = GW_FORM_INT64;
        out->integer = (int64_t)value;
        return 0;
    }
    out->form = GW_FORM_DOUBLE;
    out->real = value;
    return 0;
}

static double half(unsigned bits)
{
    const int exponent = bits >> 10 & 31;
    const double fraction = bits & 1023;
    double value = exponent == 0 ? ldexp(fraction, -24) : ldexp(fraction + 1024, exponent - 25);
    if (exponent == 31)
        value = INFINITY;
    return bits & 0x8000 ? -value : value;
}

static int read_simple(const struct head *head, struct gw_value *out)
{
    out->after = head->after;
    out->form = GW_FORM_PLAIN;
    switch (head->info) {
    case 20:
    case 21:
        out->kind = GW_KIND_BOOL;
        out->truth = head->info == 21;
        return 0;
    case 22:
    case 23:
        out->kind = GW_KIND_NULL;
        return 0;
    case 25:
        return set_double(half((unsigned)head->value), out);
    case 26: {
        const uint32_t bits = (uint32_t)head->value;
        float value;
        memcpy(&value, &bits, sizeof value);
        return set_double((double)value, out);
    }
    case 27: {
        double value;
        memcpy(&value, &head->value, sizeof value);
        return set_double(value, out);
    }
    default:
        return GW_EPROTOCOL;
    }
}

static int read_integer(const struct head *head, struct gw_value *out)
{
    if (head->info == 31)
        return GW_EPROTOCOL;
    out->kind = GW_KIND_NUMBER;
    out->after = head->after;
    out->negative = head->major == TRIB_CBOR_NEGATIVE;
    if (head->value > INT64_MAX) {
        out->form = GW_FORM_UINT64;
        out->magnitude = head->value;
        return 0;
    }
    out->form = GW_FORM_INT64;
    out->integer = out->negative ? -1 - (int64_t)head->value : (int64_t)head->value;
    return 0;
}

/* Each item takes a byte at least: a count beyond the input is refused at once. */
static int read_container(const struct gw_cursor *cursor, const struct head *head, struct gw_value *out)
{
    const bool map = head->major == TRIB_CBOR_MAP;
    out->kind = map ? GW_KIND_OBJECT : GW_KIND_ARRAY;
    out->form = GW_FORM_PLAIN;
    out->after = 0;
    out->inner = head->after;
    out->count = GW_COUNT_OPEN;
    if (head->info == 31)
        return 0;
    if (head->value > (cursor->len - head->after) / (map ? 2 : 1))
        return GW_EPROTOCOL;
    out->count = (uint32_t)head->value;
    return 0;
}

int gw_cbor_read(const struct gw_cursor *cursor, uint32_t at, struct gw_value *out)
{
    struct head head;
    int rc = read_head(cursor, at, &head);
    if (rc != 0)
        return rc;
    out->at = at;
    switch (head.major) {
    case TRIB_CBOR_UINT:
    case TRIB_CBOR_NEGATIVE:
        return read_integer(&head, out);
    case TRIB_CBOR_BYTES:
    case TRIB_CBOR_TEXT:
        return read_string(cursor, &head, out);
    case TRIB_CBOR_ARRAY:
    case TRIB_CBOR_MAP:
        return read_container(cursor, &head, out);
    case TRIB_CBOR_SIMPLE:
        return read_simple(&head, out);
    default:
        return GW_EPROTOCOL; /* tags */
    }
}

static int step(const struct gw_cursor *cursor, struct gw_walk *walk)
{
    if (walk->left == GW_COUNT_OPEN) {
        if (walk->at >= cursor->len)
            return GW_EPROTOCOL;
        if (cursor->data[walk->at] != 0xff)
            return 1;
        walk->at++;
        return 0;
    }
    if (walk->left == 0)
        return 0;
    walk->left--;
    return 1;
}

int gw_cbor_item(const struct gw_cursor *cursor, struct gw_walk *walk, struct gw_value *out)
{
    int rc = step(cursor, walk);
    if (rc <= 0)
        return rc;
    rc = gw_cbor_read(cursor, walk->at, out);
    return rc < 0 ? rc : 1;
}

/* The digits of every small key, so that a key can borrow its text: "0" to "255". */
static const char *digits_of(unsigned key, uint32_t *out_len)
{
    static const char table[] = {
#define D(h, t, o) h, t, o
#define ROW(h, t)                                                                                            \
    D(h, t, '0'), D(h, t, '1'), D(h, t, '2'), D(h, t, '3'), D(h, t, '4'), D(h, t, '5'), D(h, t, '6'),        \
        D(h, t, '7'), D(h, t, '8'), D(h, t, '9')
#define HUNDRED(h)                                                                                           \
    ROW(h, '0'), ROW(h, '1'), ROW(h, '2'), ROW(h, '3'), ROW(h, '4'), ROW(h, '5'), ROW(h, '6'), ROW(h, '7'),  \
        ROW(h, '8'), ROW(h, '9')
        HUNDRED('0'),
        HUNDRED('1'),
        HUNDRED('2'),
#undef HUNDRED
#undef ROW
#undef D
    };
    *out_len = key < 10 ? 1 : key < 100 ? 2 : 3;
    return table + 3 * (size_t)key + (3 - *out_len);
}

/* An integer key becomes text: its name, or the digits of a small one. */
static int name_key(const struct gw_cursor *cursor, struct gw_value *key)
{
    if (key->kind == GW_KIND_STRING)
        return key->form == GW_FORM_PLAIN ? 0 : GW_EPROTOCOL;
    if (key->kind != GW_KIND_NUMBER || key->form != GW_FORM_INT64 || key->integer < 0 || key->integer > 255)
        return GW_EPROTOCOL;
    const unsigned id = (unsigned)key->integer;
    key->kind = GW_KIND_STRING;
    key->form = GW_FORM_PLAIN;
    if (cursor->names && id < cursor->name_count && cursor->names[id].len > 0) {
        key->text = cursor->names[id].text;
        key->text_len = cursor->names[id].len;
    } else {
        key->text = digits_of(id, &key->text_len);
    }
    key->ascii = true;
    return 0;
}

int gw_cbor_member(const struct gw_cursor *cursor, struct gw_walk *walk, struct gw_value *out_key,
                   struct gw_value *out)
{
    int rc = step(cursor, walk);
    if (rc <= 0)
        return rc;
    rc = gw_cbor_read(cursor, walk->at, out_key);
    if (rc == 0)
        rc = name_key(cursor, out_key);
    if (rc == 0)
        rc = gw_cbor_read(cursor, out_key->after, out);
    return rc < 0 ? rc : 1;
}
