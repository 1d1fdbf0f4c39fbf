/* JSON as CBOR (RFC 8949 §6.2): the same value for every reader of this folder. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "schema/value.h"
#include "wire/cbor.h"

struct converter {
    const struct gw_cursor *from;
    struct gw_scratch *scratch;
    struct trib_cbor_writer *to;
};

static int put_text(const struct converter *c, const struct gw_value *value)
{
    const size_t mark = c->scratch->used;
    const char *text;
    size_t len;
    int rc = gw_value_text(c->from, value, c->scratch, &text, &len);
    if (rc == 0)
        trib_cbor_put_text(c->to, text, len);
    c->scratch->used = mark;
    return rc;
}

/* As an integer of 64 bits, else as the double that reads back as the same decimal. */
static int put_decimal(const struct converter *c, const struct gw_value *value)
{
    char text[64];
    struct gw_number exact, rounded;
    int64_t integer;
    gw_value_number(value, &exact);
    if (gw_number_to_int(&exact, &integer)) {
        trib_cbor_put_int(c->to, integer);
        return 0;
    }
    if (value->text_len >= sizeof text)
        return GW_EINVALID;
    memcpy(text, value->text, value->text_len);
    text[value->text_len] = '\0';
    const double real = strtod(text, NULL);
    if (!isfinite(real))
        return GW_EINVALID;
    gw_number_from_double(real, &rounded);
    if (gw_number_compare(&exact, &rounded) != 0)
        return GW_EINVALID;
    uint64_t bits;
    uint8_t item[9] = {0xfb};
    memcpy(&bits, &real, sizeof bits);
    for (unsigned i = 0; i < 8; i++)
        item[1 + i] = (uint8_t)(bits >> (56 - 8 * i));
    trib_cbor_put_raw(c->to, item, sizeof item);
    return 0;
}

static int put_value(const struct converter *c, struct gw_value *value, unsigned depth);

static int put_container(const struct converter *c, struct gw_value *value, unsigned depth)
{
    const bool object = value->kind == GW_KIND_OBJECT;
    struct gw_walk walk;
    struct gw_value key, child;
    int rc;
    if (object)
        trib_cbor_put_map_open(c->to);
    else
        trib_cbor_put_array_open(c->to);
    gw_walk_open(value, &walk);
    while ((rc = object ? gw_walk_member(c->from, &walk, &key, &child)
                        : gw_walk_item(c->from, &walk, &child)) > 0) {
        rc = object ? put_text(c, &key) : 0;
        if (rc == 0)
            rc = put_value(c, &child, depth - 1);
        if (rc != 0)
            return rc;
        walk.at = child.after;
    }
    value->after = walk.at;
    trib_cbor_put_break(c->to);
    return rc;
}

static int put_value(const struct converter *c, struct gw_value *value, unsigned depth)
{
    if (depth == 0)
        return GW_ELIMIT;
    switch ((enum gw_value_kind)value->kind) {
    case GW_KIND_NULL:
        trib_cbor_put_null(c->to);
        return 0;
    case GW_KIND_BOOL:
        trib_cbor_put_bool(c->to, value->truth);
        return 0;
    case GW_KIND_NUMBER:
        if (value->form != GW_FORM_INT64)
            return put_decimal(c, value);
        trib_cbor_put_int(c->to, value->integer);
        return 0;
    case GW_KIND_STRING:
        return put_text(c, value);
    default:
        return put_container(c, value, depth);
    }
}

int gw_value_to_cbor(const struct gw_cursor *json, struct gw_scratch *scratch, struct trib_cbor_writer *out,
                     unsigned depth)
{
    const struct converter c = {json, scratch, out};
    struct gw_value value;
    int rc = gw_value_first(json, &value);
    if (rc == 0)
        rc = put_value(&c, &value, depth);
    if (rc == 0)
        rc = gw_value_last(json, value.after);
    return rc == 0 && out->error ? GW_EFULL : rc;
}
