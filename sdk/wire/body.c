#include "wire/body.h"

void trib_wire_body_open(struct trib_wire_body *b, const uint8_t *data, size_t len, uint64_t type)
{
    trib_cbor_reader_init(&b->r, data, len);
    b->seen = 0;
    b->map.left = 0;
    b->message = trib_cbor_get_array(&b->r);
    if (trib_wire_tuple_uint(&b->r, &b->message) != type)
        trib_wire_fail(&b->r, TRIB_ETYPE);
    if (!b->r.error && !trib_cbor_next(&b->r, &b->message))
        trib_wire_fail(&b->r, TRIB_EMISSING);
    b->map = trib_cbor_get_map(&b->r);
}

bool trib_wire_body_next(struct trib_wire_body *b, uint64_t *out_key)
{
    while (trib_cbor_next(&b->r, &b->map)) {
        if (trib_cbor_peek(&b->r) != TRIB_CBOR_UINT) {
            trib_cbor_skip(&b->r);
            trib_cbor_skip(&b->r);
            continue;
        }
        uint64_t key = trib_cbor_get_uint(&b->r);
        if (b->r.error)
            return false;
        if (key < 64) {
            if (b->seen >> key & 1) {
                trib_wire_fail(&b->r, TRIB_EMALFORMED);
                return false;
            }
            b->seen |= (uint64_t)1 << key;
        }
        *out_key = key;
        return true;
    }
    return false;
}

int trib_wire_body_close(struct trib_wire_body *b, uint64_t required)
{
    uint64_t key;

    while (trib_wire_body_next(b, &key))
        trib_cbor_skip(&b->r);
    trib_wire_tuple_close(&b->r, &b->message);
    if (!b->r.error && b->r.pos != b->r.len)
        trib_wire_fail(&b->r, TRIB_EMALFORMED);
    if ((b->seen & required) != required)
        trib_wire_fail(&b->r, TRIB_EMISSING);
    return b->r.error;
}

void trib_wire_put_tuple(struct trib_cbor_writer *w, unsigned count, const void *values)
{
    const uint64_t *value = values;

    trib_cbor_put_array(w, count);
    while (count-- > 0)
        trib_cbor_put_uint(w, *value++);
}

void trib_wire_get_tuple(struct trib_cbor_reader *r, unsigned count, void *out_values)
{
    struct trib_cbor_container tuple = trib_wire_tuple_open(r);
    uint64_t *value = out_values;

    while (count-- > 0)
        *value++ = trib_wire_tuple_uint(r, &tuple);
    trib_wire_tuple_close(r, &tuple);
}

struct trib_text trib_wire_get_text(struct trib_cbor_reader *r, size_t max)
{
    struct trib_text text;

    text.ptr = trib_cbor_get_text(r, &text.len);
    if (text.len > max)
        trib_wire_fail(r, TRIB_ERANGE);
    return text;
}
