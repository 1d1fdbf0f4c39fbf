#include "schema/value.h"

#include <string.h>

void *gw_scratch_take(struct gw_scratch *scratch, size_t bytes)
{
    size_t room = (bytes + 7) & ~(size_t)7;
    if (room < bytes || room > scratch->size - scratch->used)
        return NULL;
    void *memory = scratch->memory + scratch->used;
    scratch->used += room;
    if (scratch->used > scratch->peak)
        scratch->peak = scratch->used;
    return memory;
}

int gw_value_read(const struct gw_cursor *cursor, uint32_t at, struct gw_value *out)
{
    return cursor->encoding == GW_ENCODING_JSON ? gw_json_read(cursor, at, out)
                                                : gw_cbor_read(cursor, at, out);
}

int gw_value_first(const struct gw_cursor *cursor, struct gw_value *out)
{
    return gw_value_read(cursor, 0, out);
}

int gw_value_last(const struct gw_cursor *cursor, uint32_t after)
{
    if (cursor->encoding == GW_ENCODING_JSON)
        after = gw_json_space(cursor, after);
    return after == cursor->len ? 0 : GW_EPROTOCOL;
}

void gw_walk_open(const struct gw_value *container, struct gw_walk *out)
{
    *out = (struct gw_walk){.at = container->inner, .left = container->count};
}

int gw_walk_item(const struct gw_cursor *cursor, struct gw_walk *walk, struct gw_value *out)
{
    return cursor->encoding == GW_ENCODING_JSON ? gw_json_item(cursor, walk, out)
                                                : gw_cbor_item(cursor, walk, out);
}

int gw_walk_member(const struct gw_cursor *cursor, struct gw_walk *walk, struct gw_value *out_key,
                   struct gw_value *out)
{
    return cursor->encoding == GW_ENCODING_JSON ? gw_json_member(cursor, walk, out_key, out)
                                                : gw_cbor_member(cursor, walk, out_key, out);
}

int gw_value_finish(const struct gw_cursor *cursor, struct gw_value *value, unsigned depth)
{
    if (value->after != 0)
        return 0;
    if (depth == 0)
        return GW_ELIMIT;
    struct gw_walk walk;
    struct gw_value key, child;
    gw_walk_open(value, &walk);
    int rc;
    while ((rc = value->kind == GW_KIND_OBJECT ? gw_walk_member(cursor, &walk, &key, &child)
                                               : gw_walk_item(cursor, &walk, &child)) > 0) {
        rc = gw_value_finish(cursor, &child, depth - 1);
        if (rc != 0)
            return rc;
        walk.at = child.after;
    }
    value->after = walk.at;
    return rc;
}

/* RFC 4648 §5, without padding. */
static size_t base64url(const uint8_t *data, size_t len, char *out)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    size_t n = 0;
    uint32_t bits = 0;
    unsigned held = 0;
    for (size_t i = 0; i < len; i++) {
        bits = bits << 8 | data[i];
        held += 8;
        while (held >= 6) {
            held -= 6;
            out[n++] = letters[bits >> held & 63];
        }
    }
    if (held > 0)
        out[n++] = letters[bits << (6 - held) & 63];
    return n;
}

int gw_value_text(const struct gw_cursor *cursor, const struct gw_value *value, struct gw_scratch *scratch,
                  const char **out_text, size_t *out_len)
{
    (void)cursor;
    if (value->form == GW_FORM_PLAIN) {
        *out_text = value->text;
        *out_len = value->text_len;
        return 0;
    }
    char *text = gw_scratch_take(scratch, value->text_len + value->text_len / 2 + 2);
    if (!text)
        return GW_EFULL;
    *out_text = text;
    *out_len = value->form == GW_FORM_BYTES ? base64url((const uint8_t *)value->text, value->text_len, text)
                                            : gw_json_unescape(value->text, value->text_len, text);
    return 0;
}

/* Escapes are one code point each, but a pair of surrogates that makes one. */
static uint64_t escaped_length(const char *text, uint32_t len)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < len; i++) {
        if (((uint8_t)text[i] & 0xc0) == 0x80)
            continue;
        count++;
        if (text[i] != '\\')
            continue;
        i++;
        if (text[i] != 'u')
            continue;
        const bool high = (text[i + 1] | 0x20) == 'd' && strchr("89abAB", text[i + 2]) != NULL;
        i += high ? 10 : 4;
    }
    return count;
}

uint64_t gw_value_length(const struct gw_value *value)
{
    if (value->ascii)
        return value->text_len;
    if (value->form == GW_FORM_BYTES)
        return ((uint64_t)value->text_len * 4 + 2) / 3;
    if (value->form == GW_FORM_ESCAPED)
        return escaped_length(value->text, value->text_len);
    uint64_t count = 0;
    for (uint32_t i = 0; i < value->text_len; i++)
        count += ((uint8_t)value->text[i] & 0xc0) != 0x80;
    return count;
}

void gw_value_number(const struct gw_value *value, struct gw_number *out)
{
    switch (value->form) {
    case GW_FORM_INT64:
        gw_number_from_int(value->integer, out);
        break;
    case GW_FORM_UINT64:
        gw_number_from_uint(value->magnitude, value->negative, out);
        break;
    case GW_FORM_DOUBLE:
        gw_number_from_double(value->real, out);
        break;
    default:
        gw_number_parse(value->text, value->text_len, out);
        break;
    }
}

bool gw_value_is_integer(const struct gw_value *value)
{
    if (value->form == GW_FORM_INT64 || value->form == GW_FORM_UINT64)
        return true;
    struct gw_number number;
    gw_value_number(value, &number);
    return gw_number_is_integer(&number);
}
