/* JSON text as values: RFC 8259, strictly. */
#include <string.h>

#include "schema/value.h"
#include "wire/cbor.h"

static inline bool is_space(uint8_t c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

uint32_t gw_json_space(const struct gw_cursor *cursor, uint32_t at)
{
    while (at < cursor->len && is_space(cursor->data[at]))
        at++;
    return at;
}

static inline bool is_digit(uint8_t c)
{
    return (uint8_t)(c - '0') <= 9;
}

/* Eight bytes at once while none of them is a quote, a backslash, a control or above 0x7f. */
static inline uint32_t plain_run(const uint8_t *data, uint32_t at, uint32_t len)
{
    const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
    while (len - at >= 8) {
        uint64_t word;
        memcpy(&word, data + at, 8);
        uint64_t quote = word ^ (ones * '"'), slash = word ^ (ones * '\\');
        uint64_t stop = ((quote - ones) & ~quote) | ((slash - ones) & ~slash) | (word - ones * 0x20) | word;
        if (stop & highs)
            break;
        at += 8;
    }
    return at;
}

static int hex4(const uint8_t *p, const uint8_t *end)
{
    int value = 0;
    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        uint8_t c = p[i], lower = c | 0x20;
        if (is_digit(c))
            value = value * 16 + (c - '0');
        else if (lower >= 'a' && lower <= 'f')
            value = value * 16 + (lower - 'a' + 10);
        else
            return -1;
    }
    return value;
}

/* The code point of the escape at p (behind the backslash) and its length in *used; -1: not an escape. */
static int32_t read_escape(const uint8_t *p, const uint8_t *end, unsigned *used)
{
    static const char names[] = "\"\\/bfnrt", means[] = "\"\\/\b\f\n\r\t";
    if (p == end)
        return -1;
    *used = 1;
    const char *name = memchr(names, *p, sizeof names - 1);
    if (name)
        return means[name - names];
    int high = *p == 'u' ? hex4(p + 1, end) : -1;
    *used = 5;
    if (high < 0xd800 || high > 0xdfff)
        return high;
    if (high > 0xdbff || end - p < 11 || p[5] != '\\' || p[6] != 'u')
        return -1;
    int low = hex4(p + 7, end);
    if (low < 0xdc00 || low > 0xdfff)
        return -1;
    *used = 11;
    return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

static size_t put_utf8(int32_t code, char *out)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xe0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3f));
        out[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3f));
    out[2] = (char)(0x80 | (code >> 6 & 0x3f));
    out[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

size_t gw_json_unescape(const char *text, size_t len, char *out)
{
    const uint8_t *p = (const uint8_t *)text, *end = p + len;
    size_t n = 0;
    while (p < end) {
        if (*p != '\\') {
            out[n++] = (char)*p++;
            continue;
        }
        unsigned used;
        n += put_utf8(read_escape(p + 1, end, &used), out + n);
        p += 1 + used;
    }
    return n;
}

/* at: behind the opening quote. */
static int read_string(const struct gw_cursor *cursor, uint32_t at, struct gw_value *out)
{
    const uint8_t *data = cursor->data;
    const uint32_t start = at;
    uint8_t all = 0;
    out->kind = GW_KIND_STRING;
    out->form = GW_FORM_PLAIN;
    for (;;) {
        at = plain_run(data, at, cursor->len);
        if (at == cursor->len || data[at] < 0x20)
            return GW_EPROTOCOL;
        if (data[at] == '"')
            break;
        all |= data[at];
        if (data[at++] != '\\')
            continue;
        unsigned used;
        if (read_escape(data + at, data + cursor->len, &used) < 0)
            return GW_EPROTOCOL;
        at += used;
        out->form = GW_FORM_ESCAPED;
    }
    out->text = (const char *)data + start;
    out->text_len = at - start;
    out->ascii = !(all & 0x80) && out->form == GW_FORM_PLAIN;
    out->after = at + 1;
    return all & 0x80 && !trib_cbor_utf8_valid(out->text, out->text_len) ? GW_EPROTOCOL : 0;
}

static uint32_t digits_run(const struct gw_cursor *cursor, uint32_t at)
{
    while (at < cursor->len && is_digit(cursor->data[at]))
        at++;
    return at;
}

static int read_decimal(const struct gw_cursor *cursor, uint32_t start, uint32_t at, struct gw_value *out)
{
    const uint8_t *data = cursor->data;
    if (at < cursor->len && data[at] == '.') {
        uint32_t from = at + 1;
        at = digits_run(cursor, from);
        if (at == from)
            return GW_EPROTOCOL;
    }
    if (at < cursor->len && (data[at] | 0x20) == 'e') {
        at++;
        if (at < cursor->len && (data[at] == '+' || data[at] == '-'))
            at++;
        uint32_t from = at;
        at = digits_run(cursor, from);
        if (at == from)
            return GW_EPROTOCOL;
    }
    out->form = GW_FORM_DECIMAL;
    out->text = (const char *)data + start;
    out->text_len = at - start;
    out->after = at;
    return 0;
}

static int read_number(const struct gw_cursor *cursor, uint32_t at, struct gw_value *out)
{
    const uint8_t *data = cursor->data;
    const uint32_t start = at, len = cursor->len;
    const bool negative = data[at] == '-';
    at += negative;
    const uint32_t first = at;
    uint64_t value = 0;
    while (at < len && is_digit(data[at]))
        value = value * 10 + (uint64_t)(data[at++] - '0');
    out->kind = GW_KIND_NUMBER;
    if (at == first || (data[first] == '0' && at - first > 1))
        return GW_EPROTOCOL;
    if (at - first > 18 || (at < len && (data[at] == '.' || (data[at] | 0x20) == 'e')))
        return read_decimal(cursor, start, at, out);
    out->form = GW_FORM_INT64;
    out->integer = negative ? -(int64_t)value : (int64_t)value;
    out->after = at;
    return 0;
}

static int read_word(const struct gw_cursor *cursor, uint32_t at, const char *word, struct gw_value *out)
{
    size_t len = strlen(word);
    if (cursor->len - at < len || memcmp(cursor->data + at, word, len) != 0)
        return GW_EPROTOCOL;
    out->form = GW_FORM_PLAIN;
    out->truth = *word == 't';
    out->kind = *word == 'n' ? GW_KIND_NULL : GW_KIND_BOOL;
    out->after = at + (uint32_t)len;
    return 0;
}

int gw_json_read(const struct gw_cursor *cursor, uint32_t at, struct gw_value *out)
{
    at = gw_json_space(cursor, at);
    if (at >= cursor->len)
        return GW_EPROTOCOL;
    out->at = at;
    switch (cursor->data[at]) {
    case '"':
        return read_string(cursor, at + 1, out);
    case '{':
    case '[':
        out->kind = cursor->data[at] == '{' ? GW_KIND_OBJECT : GW_KIND_ARRAY;
        out->form = GW_FORM_PLAIN;
        out->after = 0;
        out->inner = at + 1;
        out->count = GW_COUNT_OPEN;
        return 0;
    case 't':
        return read_word(cursor, at, "true", out);
    case 'f':
        return read_word(cursor, at, "false", out);
    case 'n':
        return read_word(cursor, at, "null", out);
    default:
        return read_number(cursor, at, out);
    }
}

/* The comma or the end: 1 and walk->at before the next value; 0 and walk->at behind the closing bracket. */
static int step(const struct gw_cursor *cursor, struct gw_walk *walk, char close)
{
    uint32_t at = gw_json_space(cursor, walk->at);
    if (at >= cursor->len)
        return GW_EPROTOCOL;
    const char c = (char)cursor->data[at];
    if (c == close) {
        walk->at = at + 1;
        return 0;
    }
    if (walk->started) {
        if (c != ',')
            return GW_EPROTOCOL;
        at++;
    }
    walk->started = true;
    walk->at = at;
    return 1;
}

int gw_json_item(const struct gw_cursor *cursor, struct gw_walk *walk, struct gw_value *out)
{
    int rc = step(cursor, walk, ']');
    if (rc <= 0)
        return rc;
    rc = gw_json_read(cursor, walk->at, out);
    return rc < 0 ? rc : 1;
}

int gw_json_member(const struct gw_cursor *cursor, struct gw_walk *walk, struct gw_value *out_key,
                   struct gw_value *out)
{
    int rc = step(cursor, walk, '}');
    if (rc <= 0)
        return rc;
    uint32_t at = gw_json_space(cursor, walk->at);
    if (at >= cursor->len || cursor->data[at] != '"')
        return GW_EPROTOCOL;
    out_key->at = at;
    rc = read_string(cursor, at + 1, out_key);
    if (rc != 0)
        return rc;
    at = gw_json_space(cursor, out_key->after);
    if (at >= cursor->len || cursor->data[at] != ':')
        return GW_EPROTOCOL;
    rc = gw_json_read(cursor, at + 1, out);
    return rc < 0 ? rc : 1;
}
