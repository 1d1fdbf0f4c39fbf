/*
 * Values of an event, read where they lie: JSON text (RFC 8259) or CBOR (RFC 8949) behind one cursor. No tree and no
 * allocation: a value is an offset and what its head says, and can be read again from its offset as often as wanted.
 *
 * What is read is checked: syntax, UTF-8, escapes, lengths. What is stepped over is checked the same way, so a value whose
 * end is known is well-formed.
 *
 * CBOR is seen as JSON (RFC 8949 §6.1): byte strings are strings (base64url without padding), undefined is null, integer
 * keys are their name (struct gw_cursor.names) or their digits. Tags, strings of indefinite length, NaN, infinities and
 * other simple values are refused.
 *
 * Functions return 0 (or what they say), or GW_EPROTOCOL (not well-formed), GW_ELIMIT (nested too deep), GW_EFULL (scratch).
 */
#ifndef GW_SCHEMA_VALUE_H
#define GW_SCHEMA_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "schema/number.h"

enum gw_encoding { GW_ENCODING_JSON, GW_ENCODING_CBOR };

/* The names of small integer keys: names[key]; those without one have len 0. */
struct gw_key_name {
    const char *text;
    uint32_t len;
};

struct gw_cursor {
    const uint8_t *data; /* borrowed */
    uint32_t len;
    enum gw_encoding encoding;
    const struct gw_key_name *names; /* CBOR only; NULL: none */
    uint32_t name_count;
};

enum gw_value_kind {
    GW_KIND_NULL,
    GW_KIND_BOOL,
    GW_KIND_NUMBER,
    GW_KIND_STRING,
    GW_KIND_ARRAY,
    GW_KIND_OBJECT,
};

/* How the value is written, where it matters. */
enum gw_value_form {
    GW_FORM_PLAIN,   /* string: text is its UTF-8; bool, null, containers */
    GW_FORM_ESCAPED, /* string: JSON with escapes */
    GW_FORM_BYTES,   /* string: CBOR bytes */
    GW_FORM_INT64,   /* number: .integer */
    GW_FORM_UINT64,  /* number: .magnitude, and .negative: -1 - magnitude */
    GW_FORM_DOUBLE,  /* number: .real */
    GW_FORM_DECIMAL, /* number: JSON text */
};

#define GW_COUNT_OPEN UINT32_MAX

struct gw_value {
    uint32_t at;    /* offset of its first byte */
    uint32_t after; /* behind its last byte; 0: a container that was not walked to its end yet */
    uint8_t kind, form;
    bool truth;     /* bool */
    bool ascii;     /* string: no byte above 0x7f */
    bool negative;  /* GW_FORM_UINT64 */
    uint32_t inner; /* container: behind its head */
    uint32_t count; /* container: items or pairs, or GW_COUNT_OPEN */
    uint32_t text_len;
    union {
        int64_t integer;
        uint64_t magnitude;
        double real;
        const char *text; /* string, decimal: text_len bytes, borrowed */
    };
};

/* A bounded piece of the caller's memory; taken from the front, given back to a mark. */
struct gw_scratch {
    uint8_t *memory;
    size_t size, used, peak;
};

/* 8-byte aligned; NULL: full. */
void *gw_scratch_take(struct gw_scratch *scratch, size_t bytes);

/* The whole input's only value; 0 or an error. Spaces around it are allowed in JSON. */
int gw_value_first(const struct gw_cursor *cursor, struct gw_value *out);
/* Reads the value at an offset (JSON: spaces before it are stepped over). */
int gw_value_read(const struct gw_cursor *cursor, uint32_t at, struct gw_value *out);
/* Finds the end of a container (sets value->after); depth: how many more levels are allowed. */
int gw_value_finish(const struct gw_cursor *cursor, struct gw_value *value, unsigned depth);
/* 0 if nothing but spaces (JSON) follows. */
int gw_value_last(const struct gw_cursor *cursor, uint32_t after);

/* A walk over the items or members of a container. */
struct gw_walk {
    uint32_t at;   /* to be set behind each value before the next call */
    uint32_t left; /* of a definite CBOR container */
    bool started;
};

void gw_walk_open(const struct gw_value *container, struct gw_walk *out);
/* 1: *out is the next item; 0: the end, and walk->at is behind the container; or an error. */
int gw_walk_item(const struct gw_cursor *cursor, struct gw_walk *walk, struct gw_value *out);
/* The same for objects; *out_key is a string (key->at lies before the value). */
int gw_walk_member(const struct gw_cursor *cursor, struct gw_walk *walk, struct gw_value *out_key,
                   struct gw_value *out);

/* A string's UTF-8; decoded into scratch if need be (to be given back by the caller). */
int gw_value_text(const struct gw_cursor *cursor, const struct gw_value *value, struct gw_scratch *scratch,
                  const char **out_text, size_t *out_len);
/* A string's length in code points. */
uint64_t gw_value_length(const struct gw_value *value);
/* Any number, exactly. */
void gw_value_number(const struct gw_value *value, struct gw_number *out);
bool gw_value_is_integer(const struct gw_value *value);

struct gw_value_pair {
    const struct gw_cursor *a_cursor, *b_cursor;
    struct gw_scratch *scratch;
    int64_t *fuel; /* counted down by what is read; below zero: GW_ELIMIT */
};

/* 1: the same JSON value (1 equals 1.0; members in any order); 0: not; or an error. */
int gw_value_equal(const struct gw_value_pair *pair, const struct gw_value *a, const struct gw_value *b,
                   unsigned depth);
/* Equal values have equal hashes. */
int gw_value_hash(const struct gw_value_pair *pair, const struct gw_value *a, unsigned depth, uint64_t *out);

struct trib_cbor_writer;
/*
 * Writes JSON text as CBOR; containers get an indefinite length. GW_EINVALID: a number that is no integer of 64 bits and no
 * double; GW_EFULL: the writer or the scratch; or what reading says. depth: how many levels are allowed.
 */
GW_MUST_CHECK int gw_value_to_cbor(const struct gw_cursor *json, struct gw_scratch *scratch,
                                   struct trib_cbor_writer *out, unsigned depth);

/* --- of the two encodings, for value.c --- */
int gw_json_read(const struct gw_cursor *cursor, uint32_t at, struct gw_value *out);
int gw_json_item(const struct gw_cursor *cursor, struct gw_walk *walk, struct gw_value *out);
int gw_json_member(const struct gw_cursor *cursor, struct gw_walk *walk, struct gw_value *out_key,
                   struct gw_value *out);
uint32_t gw_json_space(const struct gw_cursor *cursor, uint32_t at);
/* Decodes escapes into out (at least len bytes); the length, or 0 < error. */
size_t gw_json_unescape(const char *text, size_t len, char *out);
int gw_cbor_read(const struct gw_cursor *cursor, uint32_t at, struct gw_value *out);
int gw_cbor_item(const struct gw_cursor *cursor, struct gw_walk *walk, struct gw_value *out);
int gw_cbor_member(const struct gw_cursor *cursor, struct gw_walk *walk, struct gw_value *out_key,
                   struct gw_value *out);

#endif
