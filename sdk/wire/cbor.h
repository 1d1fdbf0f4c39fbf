/*
 * CBOR (RFC 8949) without malloc: the subset of the wire protocol.
 *
 * Writer: errors are sticky and checked once at the end; with buf NULL it counts only (a size-only pass).
 * Reader: a cursor over borrowed bytes; errors are sticky, so a decoder reads all it needs and checks once.
 * Definite and indefinite lengths are read; preferred serialisation (§4.1) is written and not demanded.
 * Floats, tags, strings of indefinite length and simple values other than false and true are refused
 * (TRIB_ETYPE), but trib_cbor_skip steps over them. A declared count or length beyond the input is
 * TRIB_ETRUNCATED at once.
 */
#ifndef TRIB_WIRE_CBOR_H
#define TRIB_WIRE_CBOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TRIB_CBOR_DEPTH_MAX 16

enum trib_cbor_major {
    TRIB_CBOR_UINT = 0,
    TRIB_CBOR_NEGATIVE = 1,
    TRIB_CBOR_BYTES = 2,
    TRIB_CBOR_TEXT = 3,
    TRIB_CBOR_ARRAY = 4,
    TRIB_CBOR_MAP = 5,
    TRIB_CBOR_TAG = 6,
    TRIB_CBOR_SIMPLE = 7,
};

struct trib_cbor_writer {
    uint8_t *buf; /* NULL: count only */
    size_t cap;
    size_t len; /* bytes written, or that would have been */
    int error;  /* 0, or TRIB_ESPACE once cap was passed */
};

void trib_cbor_writer_init(struct trib_cbor_writer *w, uint8_t *buf, size_t cap);
void trib_cbor_put_uint(struct trib_cbor_writer *w, uint64_t value);
void trib_cbor_put_int(struct trib_cbor_writer *w, int64_t value);
void trib_cbor_put_bool(struct trib_cbor_writer *w, bool value);
void trib_cbor_put_null(struct trib_cbor_writer *w);
void trib_cbor_put_bytes(struct trib_cbor_writer *w, const uint8_t *data, size_t len);
void trib_cbor_put_text(struct trib_cbor_writer *w, const char *data, size_t len);
void trib_cbor_put_array(struct trib_cbor_writer *w, size_t count);
void trib_cbor_put_map(struct trib_cbor_writer *w, size_t pairs);
void trib_cbor_put_array_open(struct trib_cbor_writer *w); /* indefinite length */
void trib_cbor_put_map_open(struct trib_cbor_writer *w);   /* indefinite length */
void trib_cbor_put_break(struct trib_cbor_writer *w);
void trib_cbor_put_raw(struct trib_cbor_writer *w, const uint8_t *data,
                       size_t len); /* whole items, encoded */

struct trib_cbor_reader {
    const uint8_t *buf; /* borrowed */
    size_t len;
    size_t pos;
    int error; /* 0, TRIB_ETRUNCATED, TRIB_EMALFORMED, TRIB_ETYPE, TRIB_ERANGE (get_int only) */
};

/* A container being read: `left` counts items (array) or pairs (map); SIZE_MAX: until break. */
struct trib_cbor_container {
    size_t left;
};

void trib_cbor_reader_init(struct trib_cbor_reader *r, const uint8_t *buf, size_t len);
/* Major type of the next item, or -1 at the end or after an error. Does not move. */
int trib_cbor_peek(const struct trib_cbor_reader *r);
/* Each returns a zero value after an error. Text is checked to be UTF-8 (RFC 3629). */
uint64_t trib_cbor_get_uint(struct trib_cbor_reader *r);
int64_t trib_cbor_get_int(struct trib_cbor_reader *r);
bool trib_cbor_get_bool(struct trib_cbor_reader *r);
const uint8_t *trib_cbor_get_bytes(struct trib_cbor_reader *r, size_t *out_len);
const char *trib_cbor_get_text(struct trib_cbor_reader *r, size_t *out_len);
struct trib_cbor_container trib_cbor_get_array(struct trib_cbor_reader *r);
struct trib_cbor_container trib_cbor_get_map(struct trib_cbor_reader *r);
/* A pair's key and value are both to be read (or skipped) before the next call. */
/* True while another item (pair) follows; consumes the break of an indefinite container. */
bool trib_cbor_next(struct trib_cbor_reader *r, struct trib_cbor_container *c);
/* Step over one whole well-formed item of any kind, nested at most TRIB_CBOR_DEPTH_MAX deep. */
void trib_cbor_skip(struct trib_cbor_reader *r);
bool trib_cbor_at_end(const struct trib_cbor_reader *r);

/* Whether the bytes are well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates). */
bool trib_cbor_utf8_valid(const char *data, size_t len);

#ifdef __cplusplus
}
#endif
#endif
