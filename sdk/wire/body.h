/* Private to sdk/wire: reading [type, body] messages and the small arrays in them. Used by message.c and
 * batch.c. */
#ifndef TRIB_WIRE_BODY_H
#define TRIB_WIRE_BODY_H

#include "wire/message.h"

static inline void trib_wire_fail(struct trib_cbor_reader *r, int error)
{
    if (!r->error)
        r->error = error;
}

struct trib_wire_body {
    struct trib_cbor_reader r;
    struct trib_cbor_container message; /* what is left of [type, body] */
    struct trib_cbor_container map;
    uint64_t seen; /* bit per key below 64 */
};

/* Opens a message that must have this type. Errors are sticky in b->r. */
void trib_wire_body_open(struct trib_wire_body *b, const uint8_t *data, size_t len, uint64_t type);
/* The next integer key; other keys are stepped over. A key met twice is TRIB_EMALFORMED. */
bool trib_wire_body_next(struct trib_wire_body *b, uint64_t *out_key);
/* Checks that all keys in the mask were seen and that nothing trails. Returns the sticky error. */
int trib_wire_body_close(struct trib_wire_body *b, uint64_t required);

/* Arrays of known elements: open, element by element, close. Elements beyond the known ones are ignored. */
static inline struct trib_cbor_container trib_wire_tuple_open(struct trib_cbor_reader *r)
{
    return trib_cbor_get_array(r);
}

static inline uint64_t trib_wire_tuple_uint(struct trib_cbor_reader *r, struct trib_cbor_container *c)
{
    if (trib_cbor_next(r, c))
        return trib_cbor_get_uint(r);
    trib_wire_fail(r, TRIB_EMISSING);
    return 0;
}

static inline void trib_wire_tuple_close(struct trib_cbor_reader *r, struct trib_cbor_container *c)
{
    while (trib_cbor_next(r, c))
        trib_cbor_skip(r);
}

/* A whole tuple of unsigned integers, from or into an array of uint64_t or a struct that has nothing else. What is missing
 * reads as 0 and is TRIB_EMISSING. */
void trib_wire_put_tuple(struct trib_cbor_writer *w, unsigned count, const void *values);
void trib_wire_get_tuple(struct trib_cbor_reader *r, unsigned count, void *out_values);

/* A text of at most max bytes (TRIB_ERANGE). */
struct trib_text trib_wire_get_text(struct trib_cbor_reader *r, size_t max);

#endif
