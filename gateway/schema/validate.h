/*
 * Validation of the built-in events against the vocabulary: known type, required fields, types, ranges,
 * UTF-8. One walk over the encoded fields map; no tree, no allocation.
 */
#ifndef GW_SCHEMA_VALIDATE_H
#define GW_SCHEMA_VALIDATE_H

#include <stddef.h>
#include <stdint.h>

#include "wire/message.h"

struct gw_field_span {
    uint32_t key_at, value_at, end; /* offsets in the fields map: key, value, and behind it */
    uint8_t id;                     /* enum trib_field_id */
};

#define GW_EVENT_FIELDS_MAX 32

struct gw_validated {
    struct gw_field_span fields[GW_EVENT_FIELDS_MAX]; /* the declared ones, in input order */
    uint32_t field_count;
    uint32_t undeclared; /* fields this event type does not declare: dropped and counted */
    uint32_t bad_field;  /* on rejection: the field id, or UINT32_MAX */
};

/* 0 valid, or an enum trib_reject code. */
int gw_validate_event(unsigned type, const uint8_t *fields, size_t len, struct gw_validated *out);

/*
 * The length of the valid fields map that begins at `fields`, of which there are at most `most` bytes, and *out as of
 * gw_validate_event; 0: there is none, or it holds more than declared scalars and texts. A map that has a length is well-formed.
 */
size_t gw_validate_flat(unsigned type, const uint8_t *fields, size_t most, struct gw_validated *out);

#endif
