#include "wire/cbor.h"

#include <string.h>

#include "wire/error.h"

#define BREAK_BYTE 0xffu
#define UNTIL_BREAK SIZE_MAX
#define INDEFINITE 31u

/* --- writer --- */

void trib_cbor_writer_init(struct trib_cbor_writer *w, uint8_t *buf, size_t cap)
{
    w->buf = buf;
    w->cap = cap;
    w->len = 0;
    w->error = 0;
}

static void put(struct trib_cbor_writer *w, const void *data, size_t len)
{
    if (w->buf) {
        /* After an overflow nothing more is written, even if it were to fit: the output is void anyhow. */
        if (w->error || w->len > w->cap || len > w->cap - w->len)
            w->error = w->error ? w->error : TRIB_ESPACE;
        else if (len > 0)
            memmove(w->buf + w->len, data, len); /* data may lie further back in the same buffer */
    }
    w->len += len;
}

static void put_head(struct trib_cbor_writer *w, unsigned major, uint64_t value)
{
    uint8_t head[9];
    unsigned bytes = 0;

    if (value < 24) {
        head[0] = (uint8_t)(major << 5 | value);
    } else {
        unsigned power = value <= UINT8_MAX ? 0 : value <= UINT16_MAX ? 1 : value <= UINT32_MAX ? 2 : 3;
        head[0] = (uint8_t)(major << 5 | (24 + power));
        bytes = 1u << power;
        for (unsigned i = 0; i < bytes; i++)
            head[1 + i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
    }
    put(w, head, 1 + bytes);
}

TRIB_ONE_COPY static void put_byte(struct trib_cbor_writer *w, uint8_t byte)
{
    put(w, &byte, 1);
}

void trib_cbor_put_uint(struct trib_cbor_writer *w, uint64_t value)
{
    put_head(w, TRIB_CBOR_UINT, value);
}

void trib_cbor_put_int(struct trib_cbor_writer *w, int64_t value)
{
    if (value >= 0)
        put_head(w, TRIB_CBOR_UINT, (uint64_t)value);
    else
        put_head(w, TRIB_CBOR_NEGATIVE, (uint64_t)(-1 - value));
}

void trib_cbor_put_bool(struct trib_cbor_writer *w, bool value)
{
    put_byte(w, value ? 0xf5 : 0xf4);
}

void trib_cbor_put_null(struct trib_cbor_writer *w)
{
    put_byte(w, 0xf6);
}

void trib_cbor_put_bytes(struct trib_cbor_writer *w, const uint8_t *data, size_t len)
{
    put_head(w, TRIB_CBOR_BYTES, len);
    put(w, data, len);
}

void trib_cbor_put_text(struct trib_cbor_writer *w, const char *data, size_t len)
{
    put_head(w, TRIB_CBOR_TEXT, len);
    put(w, data, len);
}

void trib_cbor_put_array(struct trib_cbor_writer *w, size_t count)
{
    put_head(w, TRIB_CBOR_ARRAY, count);
}

void trib_cbor_put_map(struct trib_cbor_writer *w, size_t pairs)
{
    put_head(w, TRIB_CBOR_MAP, pairs);
}

void trib_cbor_put_array_open(struct trib_cbor_writer *w)
{
    put_byte(w, 0x9f);
}

void trib_cbor_put_map_open(struct trib_cbor_writer *w)
{
    put_byte(w, 0xbf);
}

void trib_cbor_put_break(struct trib_cbor_writer *w)
{
    put_byte(w, BREAK_BYTE);
}

void trib_cbor_put_raw(struct trib_cbor_writer *w, const uint8_t *data, size_t len)
{
    put(w, data, len);
}

/* --- reader --- */

void trib_cbor_reader_init(struct trib_cbor_reader *r, const uint8_t *buf, size_t len)
{
    r->buf = buf;
    r->len = len;
    r->pos = 0;
    r->error = 0;
}

static void fail(struct trib_cbor_reader *r, int error)
{
    if (!r->error)
        r->error = error;
}

int trib_cbor_peek(const struct trib_cbor_reader *r)
{
    if (r->error || r->pos >= r->len)
        return -1;
    return r->buf[r->pos] >> 5;
}

/* An item's initial byte and argument (RFC 8949 §3). */
struct head {
    unsigned major;
    unsigned info; /* 31: indefinite length (never for majors 0, 1, 6, 7) */
    uint64_t value;
};

/* The argument that follows an initial byte with info ≥ 24, at *pos. 0 or an error. */
static int read_argument(const uint8_t *buf, size_t len, size_t *pos, struct head *out)
{
    if (out->info > 27) {
        /* 28 to 30 are reserved; a break (major 7, info 31) is not an item. */
        bool open = out->info == INDEFINITE && out->major >= TRIB_CBOR_BYTES && out->major <= TRIB_CBOR_MAP;
        out->value = 0;
        return open ? 0 : TRIB_EMALFORMED;
    }
    size_t bytes = (size_t)1 << (out->info - 24);
    if (len - *pos < bytes)
        return TRIB_ETRUNCATED;
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++)
        value = value << 8 | buf[*pos + i];
    *pos += bytes;
    out->value = value;
    /* Two-byte simple values below 32 are not well-formed (§3.3). */
    return out->major == TRIB_CBOR_SIMPLE && out->info == 24 && value < 32 ? TRIB_EMALFORMED : 0;
}

static bool read_head(struct trib_cbor_reader *r, struct head *out)
{
    if (r->error)
        return false;
    if (r->pos >= r->len) {
        r->error = TRIB_ETRUNCATED;
        return false;
    }
    unsigned first = r->buf[r->pos++];
    out->major = first >> 5;
    out->info = first & 31;
    out->value = out->info;
    if (out->info >= 24)
        r->error = read_argument(r->buf, r->len, &r->pos, out);
    return r->error == 0;
}

/* Reads a head that must have this major type and a definite length. */
static bool expect(struct trib_cbor_reader *r, unsigned major, struct head *out)
{
    if (!read_head(r, out))
        return false;
    if (out->major != major || out->info == INDEFINITE) {
        r->error = TRIB_ETYPE;
        return false;
    }
    return true;
}

uint64_t trib_cbor_get_uint(struct trib_cbor_reader *r)
{
    struct head head;

    return expect(r, TRIB_CBOR_UINT, &head) ? head.value : 0;
}

int64_t trib_cbor_get_int(struct trib_cbor_reader *r)
{
    struct head head;

    if (!read_head(r, &head))
        return 0;
    if (head.major > TRIB_CBOR_NEGATIVE)
        r->error = TRIB_ETYPE;
    else if (head.value > INT64_MAX)
        r->error = TRIB_ERANGE;
    if (r->error)
        return 0;
    return head.major == TRIB_CBOR_UINT ? (int64_t)head.value : -1 - (int64_t)head.value;
}

bool trib_cbor_get_bool(struct trib_cbor_reader *r)
{
    struct head head;

    if (!read_head(r, &head))
        return false;
    if (head.major != TRIB_CBOR_SIMPLE || (head.info != 20 && head.info != 21)) {
        r->error = TRIB_ETYPE;
        return false;
    }
    return head.info == 21;
}

static const uint8_t *get_string(struct trib_cbor_reader *r, unsigned major, size_t *out_len)
{
    struct head head;

    *out_len = 0;
    if (!expect(r, major, &head))
        return NULL;
    if (head.value > r->len - r->pos) {
        r->error = TRIB_ETRUNCATED;
        return NULL;
    }
    const uint8_t *data = r->buf + r->pos;
    r->pos += (size_t)head.value;
    *out_len = (size_t)head.value;
    return data;
}

const uint8_t *trib_cbor_get_bytes(struct trib_cbor_reader *r, size_t *out_len)
{
    return get_string(r, TRIB_CBOR_BYTES, out_len);
}

const char *trib_cbor_get_text(struct trib_cbor_reader *r, size_t *out_len)
{
    const char *text = (const char *)get_string(r, TRIB_CBOR_TEXT, out_len);

    if (text && !trib_cbor_utf8_valid(text, *out_len)) {
        r->error = TRIB_EMALFORMED;
        *out_len = 0;
        return NULL;
    }
    return text;
}

/* A declared count is checked against the bytes that are left (an item takes at least one), so none is ever
 * trusted. */
static struct trib_cbor_container get_container(struct trib_cbor_reader *r, unsigned major,
                                                unsigned items_each)
{
    struct trib_cbor_container none = {0};
    struct head head;

    if (!read_head(r, &head))
        return none;
    if (head.major != major) {
        r->error = TRIB_ETYPE;
        return none;
    }
    if (head.info == INDEFINITE)
        return (struct trib_cbor_container){UNTIL_BREAK};
    if (head.value > (r->len - r->pos) / items_each) {
        r->error = TRIB_ETRUNCATED;
        return none;
    }
    return (struct trib_cbor_container){(size_t)head.value};
}

struct trib_cbor_container trib_cbor_get_array(struct trib_cbor_reader *r)
{
    return get_container(r, TRIB_CBOR_ARRAY, 1);
}

struct trib_cbor_container trib_cbor_get_map(struct trib_cbor_reader *r)
{
    return get_container(r, TRIB_CBOR_MAP, 2);
}

bool trib_cbor_next(struct trib_cbor_reader *r, struct trib_cbor_container *c)
{
    if (r->error || c->left == 0)
        return false;
    if (c->left != UNTIL_BREAK) {
        c->left--;
        return true;
    }
    if (r->pos >= r->len) {
        r->error = TRIB_ETRUNCATED;
        return false;
    }
    if (r->buf[r->pos] != BREAK_BYTE)
        return true;
    r->pos++;
    c->left = 0;
    return false;
}

bool trib_cbor_at_end(const struct trib_cbor_reader *r)
{
    return !r->error && r->pos == r->len;
}

/* --- skipping --- */

/* What is open around the item being skipped. `map` and `odd` have a bit for each level: an indefinite map, in which a
 * break is allowed only between pairs; and whether a key in it waits for its value. */
struct skipper {
    size_t left[TRIB_CBOR_DEPTH_MAX]; /* items; UNTIL_BREAK: until break */
    unsigned map, odd;
    unsigned depth;
};

/* An indefinite string: definite chunks of the same type, then a break (§3.2.3). */
static void skip_chunks(struct trib_cbor_reader *r, unsigned major)
{
    struct trib_cbor_container chunks = {UNTIL_BREAK};
    size_t len;

    while (trib_cbor_next(r, &chunks))
        get_string(r, major, &len);
    if (r->error == TRIB_ETYPE)
        r->error = TRIB_EMALFORMED;
}

static void enter(struct trib_cbor_reader *r, struct skipper *s, const struct head *head)
{
    unsigned each = head->major == TRIB_CBOR_MAP ? 2 : 1;
    bool open = head->info == INDEFINITE;

    if (s->depth == TRIB_CBOR_DEPTH_MAX) {
        fail(r, TRIB_EMALFORMED);
    } else if (!open && head->value > (r->len - r->pos) / each) {
        fail(r, TRIB_ETRUNCATED);
    } else if (open || head->value > 0) {
        unsigned bit = 1u << s->depth;
        s->map = open && each == 2 ? s->map | bit : s->map & ~bit;
        s->odd &= ~bit;
        s->left[s->depth++] = open ? UNTIL_BREAK : (size_t)head->value * each;
    }
}

/* Steps over what a head says, or enters it. */
static void skip_body(struct trib_cbor_reader *r, struct skipper *s, const struct head *head)
{
    if (head->major == TRIB_CBOR_ARRAY || head->major == TRIB_CBOR_MAP)
        enter(r, s, head);
    else if (head->major != TRIB_CBOR_BYTES && head->major != TRIB_CBOR_TEXT)
        return;
    else if (head->info == INDEFINITE)
        skip_chunks(r, head->major);
    else if (head->value > r->len - r->pos)
        fail(r, TRIB_ETRUNCATED);
    else
        r->pos += (size_t)head->value;
}

/* Leaves every container that is complete. An item (or a break) has just been read. */
static void leave(struct trib_cbor_reader *r, struct skipper *s)
{
    for (; s->depth > 0; s->depth--) {
        struct trib_cbor_container level = {s->left[s->depth - 1]};
        if (trib_cbor_next(r, &level) || r->error)
            return;
        if (s->left[s->depth - 1] == UNTIL_BREAK && (s->map & s->odd) >> (s->depth - 1) & 1)
            fail(r, TRIB_EMALFORMED);
    }
}

void trib_cbor_skip(struct trib_cbor_reader *r)
{
    struct skipper s;
    struct head head;

    s.map = s.odd = s.depth = 0;
    do {
        if (s.depth > 0) {
            s.odd ^= 1u << (s.depth - 1);
            if (s.left[s.depth - 1] != UNTIL_BREAK)
                s.left[s.depth - 1]--;
        }
        do {
            if (!read_head(r, &head))
                return;
        } while (head.major == TRIB_CBOR_TAG); /* a tag is a prefix of the item it tags */
        skip_body(r, &s, &head);
        leave(r, &s);
    } while (s.depth > 0 && !r->error);
}

/* --- UTF-8 --- */

bool trib_cbor_utf8_valid(const char *data, size_t len)
{
    const uint8_t *p = (const uint8_t *)data, *end = p + len;

    while (p < end) {
        uint8_t first = *p++;
        if (first < 0x80)
            continue;
        unsigned more = first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
        if (first < 0xc2 || first > 0xf4 || (size_t)(end - p) < more)
            return false;
        /* Of the second byte: no overlong forms, no surrogates, nothing above U+10FFFF (RFC 3629 §4). */
        uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
        uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
        for (; more > 0; more--, p++) {
            if (*p < low || *p > high)
                return false;
            low = 0x80;
            high = 0xbf;
        }
    }
    return true;
}
