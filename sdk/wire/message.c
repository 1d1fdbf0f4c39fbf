#include "wire/message.h"

#include <string.h>

#include "wire/body.h"
#include "wire/crc32c.h"

#define KEY(n) (1u << (n))
#define MAP_AT 2 /* where the body's head is: behind those of the array and the type */

int trib_wire_open(const uint8_t *data, size_t len, uint64_t *out_type, size_t *out_body)
{
    struct trib_cbor_reader r;

    trib_cbor_reader_init(&r, data, len);
    struct trib_cbor_container message = trib_cbor_get_array(&r);
    uint64_t type = trib_wire_tuple_uint(&r, &message);
    if (!r.error && !trib_cbor_next(&r, &message))
        trib_wire_fail(&r, TRIB_EMISSING);
    if (!r.error && trib_cbor_peek(&r) != TRIB_CBOR_MAP)
        trib_wire_fail(&r, r.pos < r.len ? TRIB_ETYPE : TRIB_ETRUNCATED);
    if (r.error)
        return r.error;
    *out_type = type;
    *out_body = r.pos;
    return 0;
}

/* --- writing helpers --- */

static void begin(struct trib_cbor_writer *w, uint8_t *buf, size_t cap, unsigned type, unsigned pairs)
{
    trib_cbor_writer_init(w, buf, cap);
    trib_cbor_put_array(w, 2);
    trib_cbor_put_uint(w, type);
    trib_cbor_put_map(w, pairs);
}

static int end(const struct trib_cbor_writer *w, size_t *out_len)
{
    if (!w->error)
        *out_len = w->len;
    return w->error;
}

static void pair_uint(struct trib_cbor_writer *w, unsigned key, uint64_t value)
{
    trib_cbor_put_uint(w, key);
    trib_cbor_put_uint(w, value);
}

/* --- Messages as tables: a field's key is its place in the table, from 1 on --- */

enum shape {
    UINT,
    VERSION, /* a uint that must be TRIB_WIRE_VERSION */
    TUPLE,   /* an array of `bound` uints; one that may be left out is, where its second is 0 */
    TEXT,    /* of at most `bound` bytes; 0: of any length */
    NAMED,   /* [text, uint], the uint `bound` bytes behind the text */
};

struct field {
    uint16_t at; /* in the message's struct */
    uint8_t shape, bound;
    uint8_t bytes; /* in memory */
    uint8_t list;  /* at most so many in an array, and their count behind them; 0: one, and no array */
};

struct message {
    const struct field *fields;
    uint8_t type, count;
    uint16_t bytes;
    uint16_t always,
        required; /* a bit each key: written also where it is 0 or empty; must be there when read */
};

/* Of a list: how many items there are. */
static size_t *count_of(const struct field *f, const void *items)
{
    return (size_t *)((const uint8_t *)items + f->list * f->bytes);
}

static void put_item(struct trib_cbor_writer *w, const struct field *f, const void *item)
{
    const struct trib_text *text = item;
    if (f->shape == TUPLE) {
        trib_wire_put_tuple(w, f->bound, item);
        return;
    }
    if (f->shape == NAMED)
        trib_cbor_put_array(w, 2);
    if (f->shape >= TEXT)
        trib_cbor_put_text(w, text->ptr, text->len);
    if (f->shape != TEXT)
        trib_cbor_put_uint(w, *(const uint64_t *)((const uint8_t *)item + f->bound));
}

static bool is_empty(const struct field *f, const void *value)
{
    if (f->list > 0)
        return *count_of(f, value) == 0;
    if (f->shape >= TEXT)
        return ((const struct trib_text *)value)->len == 0;
    return ((const uint64_t *)value)[f->shape == TUPLE] == 0;
}

static int encode(const struct message *m, const void *data, uint8_t *buf, size_t cap, size_t *out_len)
{
    struct trib_cbor_writer w;
    unsigned pairs = 0;

    begin(&w, buf, cap, m->type, 0);
    for (unsigned key = 1; key <= m->count; key++) {
        const struct field *f = &m->fields[key - 1];
        const uint8_t *item = (const uint8_t *)data + f->at;
        size_t count = 1;
        if (is_empty(f, item) && !(m->always >> key & 1))
            continue;
        pairs++;
        trib_cbor_put_uint(&w, key);
        if (f->list > 0) {
            count = *count_of(f, item);
            if (count > f->list)
                return TRIB_EINVAL;
            trib_cbor_put_array(&w, count);
        }
        for (; count > 0; count--, item += f->bytes)
            put_item(&w, f, item);
    }
    if (w.error)
        return w.error;
    if (buf)
        buf[MAP_AT] |= (uint8_t)pairs;
    *out_len = w.len;
    return 0;
}

static void get_item(struct trib_cbor_reader *r, const struct field *f, uint8_t *item)
{
    struct trib_text *text = (void *)item;
    uint64_t *number = (void *)item;
    struct trib_cbor_container c;

    switch (f->shape) {
    case TEXT:
        *text = trib_wire_get_text(r, f->bound > 0 ? f->bound : SIZE_MAX);
        break;
    case TUPLE:
        trib_wire_get_tuple(r, f->bound, item);
        break;
    case NAMED:
        c = trib_wire_tuple_open(r);
        if (trib_cbor_next(r, &c))
            *text = trib_wire_get_text(r, TRIB_WIRE_DEVICE_BYTES_MAX);
        *(uint64_t *)(void *)(item + f->bound) = trib_wire_tuple_uint(r, &c);
        trib_wire_tuple_close(r, &c);
        break;
    default:
        *number = trib_cbor_get_uint(r);
        if (f->shape == VERSION && *number != TRIB_WIRE_VERSION)
            trib_wire_fail(r, TRIB_EVERSION);
        break;
    }
}

static void get_list(struct trib_cbor_reader *r, const struct field *f, uint8_t *items)
{
    size_t *count = count_of(f, items);
    struct trib_cbor_container c = trib_cbor_get_array(r);

    while (trib_cbor_next(r, &c)) {
        if (*count == f->list) {
            trib_wire_fail(r, TRIB_ERANGE);
            return;
        }
        get_item(r, f, items + (*count)++ * f->bytes);
    }
}

static int decode(const struct message *m, const uint8_t *data, size_t len, void *out)
{
    struct trib_wire_body b;
    uint64_t key;

    memset(out, 0, m->bytes);
    trib_wire_body_open(&b, data, len, m->type);
    while (trib_wire_body_next(&b, &key)) {
        bool known = key - 1 < m->count; /* of key 0, which nobody has, there is no less */
        const struct field *f = &m->fields[known ? key - 1 : 0];
        if (!known)
            trib_cbor_skip(&b.r);
        else if (f->list > 0)
            get_list(&b.r, f, (uint8_t *)out + f->at);
        else
            get_item(&b.r, f, (uint8_t *)out + f->at);
    }
    return trib_wire_body_close(&b, m->required);
}

#define AT(message, field) (uint16_t) offsetof(struct trib_wire_##message, field)
#define LIST_OF(message, field, items, most)                                                                 \
    _Static_assert(offsetof(struct trib_wire_##message, field) ==                                            \
                       offsetof(struct trib_wire_##message, items) +                                         \
                           (most) * sizeof(((struct trib_wire_##message *)0)->items[0]),                     \
                   "a list's count stands right behind it")
#define TUPLE_OF(count) TUPLE, count, (count) * sizeof(uint64_t)
#define TEXT_64 TEXT, TRIB_WIRE_DEVICE_BYTES_MAX, sizeof(struct trib_text)

/* --- HELLO --- */

LIST_OF(hello, stream_count, streams, TRIB_WIRE_STREAMS_MAX);
static const struct field hello_fields[] = {
    {AT(hello, device), TEXT_64, 0},
    {AT(hello, version), VERSION, 0, 8, 0},
    {AT(hello, sdk), TEXT_64, 0},
    {AT(hello, generation), UINT, 0, 8, 0},
    {AT(hello, boot), UINT, 0, 8, 0},
    {AT(hello, mono_ms), UINT, 0, 8, 0},
    {AT(hello, streams), TUPLE_OF(4), TRIB_WIRE_STREAMS_MAX},
    {AT(hello, acked_gateway), NAMED, AT(hello, acked_epoch) - AT(hello, acked_gateway), 0, 0},
    {AT(hello, config_version), UINT, 0, 8, 0},
};
static const struct message hello = {hello_fields,
                                     TRIB_WIRE_HELLO,
                                     9,
                                     sizeof(struct trib_wire_hello),
                                     KEY(1) | KEY(2) | KEY(4) | KEY(5) | KEY(6) | KEY(7),
                                     KEY(1) | KEY(2) | KEY(5) | KEY(6) | KEY(7)};

int trib_wire_hello_encode(const struct trib_wire_hello *m, uint8_t *buf, size_t cap, size_t *out_len)
{
    size_t len;
    int error = encode(&hello, m, buf, cap, &len);

    if (error == 0 && len > TRIB_WIRE_HELLO_BYTES_MAX)
        error = TRIB_ERANGE;
    if (error == 0)
        *out_len = len;
    return error;
}

static bool is_hello_sound(const struct trib_wire_hello *m)
{
    for (size_t i = 0; i < m->stream_count; i++) {
        const struct trib_wire_hello_stream *s = &m->streams[i];
        if (s->stream == 0 || s->lane >= TRIB_LANE_COUNT || s->acked_seq >= s->next_seq)
            return false;
        for (size_t j = 0; j < i; j++)
            if (m->streams[j].stream == s->stream)
                return false;
    }
    return m->device.len > 0;
}

int trib_wire_hello_decode(const uint8_t *data, size_t len, struct trib_wire_hello *out)
{
    if (len > TRIB_WIRE_HELLO_BYTES_MAX)
        return TRIB_ERANGE;
    int error = decode(&hello, data, len, out);
    return error == 0 && !is_hello_sound(out) ? TRIB_ERANGE : error;
}

/* --- WELCOME --- */

LIST_OF(welcome, stream_count, streams, TRIB_WIRE_STREAMS_MAX);
static const struct field welcome_fields[] = {
    {AT(welcome, gateway), TEXT_64, 0},
    {AT(welcome, epoch), UINT, 0, 8, 0},
    {AT(welcome, streams), TUPLE_OF(3), TRIB_WIRE_STREAMS_MAX},
    {AT(welcome, utc_ms), TUPLE_OF(3), 0},
    {AT(welcome, credit), TUPLE_OF(2), 0},
    {AT(welcome, max_message_bytes), UINT, 0, 8, 0},
    {AT(welcome, max_event_bytes), UINT, 0, 8, 0},
    {AT(welcome, keepalive_ms), UINT, 0, 8, 0},
    {AT(welcome, config_version), UINT, 0, 8, 0},
};
#define WELCOME_KEYS (KEY(1) | KEY(2) | KEY(3) | KEY(5) | KEY(6) | KEY(7) | KEY(8))
static const struct message welcome = {welcome_fields, TRIB_WIRE_WELCOME, 9, sizeof(struct trib_wire_welcome),
                                       WELCOME_KEYS,   WELCOME_KEYS};

int trib_wire_welcome_encode(const struct trib_wire_welcome *m, uint8_t *buf, size_t cap, size_t *out_len)
{
    return encode(&welcome, m, buf, cap, out_len);
}

int trib_wire_welcome_decode(const uint8_t *data, size_t len, struct trib_wire_welcome *out)
{
    int error = decode(&welcome, data, len, out);
    bool sound = out->utc_quality <= TRIB_TIME_RECEIVED;
    for (size_t i = 0; i < out->stream_count; i++)
        sound &= out->streams[i].stream != 0 && out->streams[i].crc <= UINT32_MAX;
    return error == 0 && !sound ? TRIB_ERANGE : error;
}

/* --- ACK, NACK, CREDIT, BYE --- */

LIST_OF(ack, acked_count, acked, TRIB_WIRE_STREAMS_MAX);
LIST_OF(ack, rejected_count, rejected, TRIB_WIRE_REJECTED_MAX);
static const struct field ack_fields[] = {
    {AT(ack, acked), TUPLE_OF(2), TRIB_WIRE_STREAMS_MAX},
    {AT(ack, rejected), TUPLE_OF(3), TRIB_WIRE_REJECTED_MAX},
    {AT(ack, rejected_more), UINT, 0, 8, 0},
    {AT(ack, credit), TUPLE_OF(2), 0},
};
static const struct message ack = {ack_fields,      TRIB_WIRE_ACK,  4, sizeof(struct trib_wire_ack),
                                   KEY(1) | KEY(4), KEY(1) | KEY(4)};

int trib_wire_ack_encode(const struct trib_wire_ack *m, uint8_t *buf, size_t cap, size_t *out_len)
{
    return encode(&ack, m, buf, cap, out_len);
}

int trib_wire_ack_decode(const uint8_t *data, size_t len, struct trib_wire_ack *out)
{
    return decode(&ack, data, len, out);
}

/* Two uints: a NACK's stream and expected seq, a CREDIT's events and bytes. */
static const struct field two_fields[] = {{0, UINT, 0, 8, 0}, {sizeof(uint64_t), UINT, 0, 8, 0}};
static const struct message nack = {two_fields,      TRIB_WIRE_NACK, 2, sizeof(struct trib_wire_nack),
                                    KEY(1) | KEY(2), KEY(1) | KEY(2)};
static const struct message credit = {two_fields,      TRIB_WIRE_CREDIT, 2, sizeof(struct trib_wire_credit),
                                      KEY(1) | KEY(2), KEY(1) | KEY(2)};

int trib_wire_nack_encode(const struct trib_wire_nack *m, uint8_t *buf, size_t cap, size_t *out_len)
{
    return encode(&nack, m, buf, cap, out_len);
}

int trib_wire_nack_decode(const uint8_t *data, size_t len, struct trib_wire_nack *out)
{
    return decode(&nack, data, len, out);
}

int trib_wire_credit_encode(const struct trib_wire_credit *m, uint8_t *buf, size_t cap, size_t *out_len)
{
    return encode(&credit, m, buf, cap, out_len);
}

int trib_wire_credit_decode(const uint8_t *data, size_t len, struct trib_wire_credit *out)
{
    return decode(&credit, data, len, out);
}

LIST_OF(bye, alternate_count, alternates, TRIB_WIRE_ALTERNATES_MAX);
static const struct field bye_fields[] = {
    {AT(bye, reason), UINT, 0, 8, 0},
    {AT(bye, retry_after_ms), UINT, 0, 8, 0},
    {AT(bye, alternates), TEXT, 0, sizeof(struct trib_text), TRIB_WIRE_ALTERNATES_MAX},
    {AT(bye, text), TEXT, 0, sizeof(struct trib_text), 0},
};
static const struct message bye = {bye_fields, TRIB_WIRE_BYE, 4, sizeof(struct trib_wire_bye),
                                   KEY(1),     KEY(1)};

int trib_wire_bye_encode(const struct trib_wire_bye *m, uint8_t *buf, size_t cap, size_t *out_len)
{
    return encode(&bye, m, buf, cap, out_len);
}

int trib_wire_bye_decode(const uint8_t *data, size_t len, struct trib_wire_bye *out)
{
    return decode(&bye, data, len, out);
}

/* --- CONFIG: its map is handed on as it is --- */

int trib_wire_config_encode(const struct trib_wire_config *m, uint8_t *buf, size_t cap, size_t *out_len)
{
    struct trib_cbor_writer w;

    begin(&w, buf, cap, TRIB_WIRE_CONFIG, 2);
    pair_uint(&w, 1, m->version);
    trib_cbor_put_uint(&w, 2);
    if (m->map_len > 0)
        trib_cbor_put_raw(&w, m->map, m->map_len);
    else
        trib_cbor_put_map(&w, 0);
    return end(&w, out_len);
}

int trib_wire_config_decode(const uint8_t *data, size_t len, struct trib_wire_config *out)
{
    struct trib_wire_body b;
    uint64_t key;

    memset(out, 0, sizeof *out);
    trib_wire_body_open(&b, data, len, TRIB_WIRE_CONFIG);
    while (trib_wire_body_next(&b, &key)) {
        if (key == 1) {
            out->version = trib_cbor_get_uint(&b.r);
        } else if (key == 2) {
            if (!b.r.error && trib_cbor_peek(&b.r) != TRIB_CBOR_MAP)
                trib_wire_fail(&b.r, b.r.pos < b.r.len ? TRIB_ETYPE : TRIB_ETRUNCATED);
            size_t start = b.r.pos;
            trib_cbor_skip(&b.r);
            out->map = data + start;
            out->map_len = b.r.pos - start;
        } else {
            trib_cbor_skip(&b.r);
        }
    }
    return trib_wire_body_close(&b, KEY(1) | KEY(2));
}

/* --- identity of an event's content --- */

static void big_endian(uint8_t *out, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++)
        out[i] = (uint8_t)(value >> (56 - 8 * i));
}

uint32_t trib_wire_event_crc(uint64_t stream, uint64_t seq, uint64_t boot, uint64_t mono_ms, uint64_t ord,
                             unsigned type, const uint8_t *fields, size_t fields_len)
{
    uint8_t head[41];

    big_endian(head, stream);
    big_endian(head + 8, seq);
    big_endian(head + 16, boot);
    big_endian(head + 24, mono_ms);
    big_endian(head + 32, ord);
    head[40] = (uint8_t)type;
    return trib_crc32c(trib_crc32c(0, head, sizeof head), fields, fields_len);
}
