#include "wire/message.h"

#include <string.h>

#include "wire/body.h"
#include "wire/crc32c.h"

#define KEY(n) ((uint64_t)1 << (n))

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

static void pair_text(struct trib_cbor_writer *w, unsigned key, struct trib_text text)
{
    trib_cbor_put_uint(w, key);
    trib_cbor_put_text(w, text.ptr, text.len);
}

static void pair_credit(struct trib_cbor_writer *w, unsigned key, const struct trib_wire_credit *credit)
{
    trib_cbor_put_uint(w, key);
    trib_wire_put_tuple(w, 2, credit);
}

/* Room for one more in a bounded list, or TRIB_ERANGE. */
static bool room(struct trib_cbor_reader *r, size_t count, size_t max)
{
    if (count >= max)
        trib_wire_fail(r, TRIB_ERANGE);
    return !r->error;
}

/* --- HELLO --- */

int trib_wire_hello_encode(const struct trib_wire_hello *m, uint8_t *buf, size_t cap, size_t *out_len)
{
    struct trib_cbor_writer w;
    bool acked = m->acked_gateway.len > 0;

    if (m->stream_count > TRIB_WIRE_STREAMS_MAX)
        return TRIB_EINVAL;
    begin(&w, buf, cap, TRIB_WIRE_HELLO, 6 + (m->sdk.len > 0) + acked + (m->config_version > 0));
    pair_text(&w, 1, m->device);
    pair_uint(&w, 2, m->version);
    if (m->sdk.len > 0)
        pair_text(&w, 3, m->sdk);
    pair_uint(&w, 4, m->generation);
    pair_uint(&w, 5, m->boot);
    pair_uint(&w, 6, m->mono_ms);
    trib_cbor_put_uint(&w, 7);
    trib_cbor_put_array(&w, m->stream_count);
    for (size_t i = 0; i < m->stream_count; i++) {
        const struct trib_wire_hello_stream *s = &m->streams[i];
        trib_wire_put_tuple(&w, 4, (const uint64_t[]){s->stream, s->lane, s->next_seq, s->acked_seq});
    }
    if (acked) {
        trib_cbor_put_uint(&w, 8);
        trib_cbor_put_array(&w, 2);
        trib_cbor_put_text(&w, m->acked_gateway.ptr, m->acked_gateway.len);
        trib_cbor_put_uint(&w, m->acked_epoch);
    }
    if (m->config_version > 0)
        pair_uint(&w, 9, m->config_version);
    if (!w.error && w.len > TRIB_WIRE_HELLO_BYTES_MAX)
        return TRIB_ERANGE;
    return end(&w, out_len);
}

static void get_hello_stream(struct trib_cbor_reader *r, struct trib_wire_hello *m)
{
    struct trib_wire_hello_stream *s = &m->streams[m->stream_count];
    uint64_t value[4];

    trib_wire_get_tuple(r, 4, value);
    s->stream = value[0];
    s->next_seq = value[2];
    s->acked_seq = value[3];
    if (s->stream == 0 || value[1] >= TRIB_LANE_COUNT || s->acked_seq >= s->next_seq)
        trib_wire_fail(r, TRIB_ERANGE);
    s->lane = (uint8_t)value[1];
    for (size_t i = 0; i < m->stream_count; i++)
        if (m->streams[i].stream == s->stream)
            trib_wire_fail(r, TRIB_ERANGE);
    m->stream_count++;
}

static void get_hello_key(struct trib_cbor_reader *r, uint64_t key, struct trib_wire_hello *m)
{
    struct trib_cbor_container c;

    switch (key) {
    case 1:
        m->device = trib_wire_get_text(r, TRIB_WIRE_DEVICE_BYTES_MAX);
        if (m->device.len == 0)
            trib_wire_fail(r, TRIB_ERANGE);
        break;
    case 2:
        m->version = trib_cbor_get_uint(r);
        if (m->version != TRIB_WIRE_VERSION)
            trib_wire_fail(r, TRIB_EVERSION);
        break;
    case 3:
        m->sdk = trib_wire_get_text(r, TRIB_WIRE_DEVICE_BYTES_MAX);
        break;
    case 4:
        m->generation = trib_cbor_get_uint(r);
        break;
    case 5:
        m->boot = trib_cbor_get_uint(r);
        break;
    case 6:
        m->mono_ms = trib_cbor_get_uint(r);
        break;
    case 7:
        c = trib_cbor_get_array(r);
        while (trib_cbor_next(r, &c) && room(r, m->stream_count, TRIB_WIRE_STREAMS_MAX))
            get_hello_stream(r, m);
        break;
    case 8:
        c = trib_wire_tuple_open(r);
        if (trib_cbor_next(r, &c))
            m->acked_gateway = trib_wire_get_text(r, TRIB_WIRE_DEVICE_BYTES_MAX);
        m->acked_epoch = trib_wire_tuple_uint(r, &c);
        trib_wire_tuple_close(r, &c);
        break;
    case 9:
        m->config_version = trib_cbor_get_uint(r);
        break;
    default:
        trib_cbor_skip(r);
        break;
    }
}

int trib_wire_hello_decode(const uint8_t *data, size_t len, struct trib_wire_hello *out)
{
    struct trib_wire_body b;
    uint64_t key;

    memset(out, 0, sizeof *out);
    if (len > TRIB_WIRE_HELLO_BYTES_MAX)
        return TRIB_ERANGE;
    trib_wire_body_open(&b, data, len, TRIB_WIRE_HELLO);
    while (trib_wire_body_next(&b, &key))
        get_hello_key(&b.r, key, out);
    return trib_wire_body_close(&b, KEY(1) | KEY(2) | KEY(5) | KEY(6) | KEY(7));
}

/* --- WELCOME --- */

int trib_wire_welcome_encode(const struct trib_wire_welcome *m, uint8_t *buf, size_t cap, size_t *out_len)
{
    struct trib_cbor_writer w;
    bool timed = m->utc_quality != TRIB_TIME_NONE;

    if (m->stream_count > TRIB_WIRE_STREAMS_MAX)
        return TRIB_EINVAL;
    begin(&w, buf, cap, TRIB_WIRE_WELCOME, 7 + timed + (m->config_version > 0));
    pair_text(&w, 1, m->gateway);
    pair_uint(&w, 2, m->epoch);
    trib_cbor_put_uint(&w, 3);
    trib_cbor_put_array(&w, m->stream_count);
    for (size_t i = 0; i < m->stream_count; i++) {
        const struct trib_wire_stream_state *s = &m->streams[i];
        trib_wire_put_tuple(&w, 3, (const uint64_t[]){s->stream, s->committed, s->crc});
    }
    if (timed) {
        trib_cbor_put_uint(&w, 4);
        trib_wire_put_tuple(&w, 3, (const uint64_t[]){m->utc_ms, m->utc_quality, m->utc_uncertainty_ms});
    }
    pair_credit(&w, 5, &m->credit);
    pair_uint(&w, 6, m->max_message_bytes);
    pair_uint(&w, 7, m->max_event_bytes);
    pair_uint(&w, 8, m->keepalive_ms);
    if (m->config_version > 0)
        pair_uint(&w, 9, m->config_version);
    return end(&w, out_len);
}

static void get_stream_state(struct trib_cbor_reader *r, struct trib_wire_stream_state *s)
{
    uint64_t value[3];

    trib_wire_get_tuple(r, 3, value);
    if (value[0] == 0 || value[2] > UINT32_MAX)
        trib_wire_fail(r, TRIB_ERANGE);
    s->stream = value[0];
    s->committed = value[1];
    s->crc = (uint32_t)value[2];
}

static void get_time(struct trib_cbor_reader *r, struct trib_wire_welcome *m)
{
    uint64_t value[3];

    trib_wire_get_tuple(r, 3, value);
    if (value[1] > TRIB_TIME_RECEIVED)
        trib_wire_fail(r, TRIB_ERANGE);
    m->utc_ms = value[0];
    m->utc_quality = (uint8_t)value[1];
    m->utc_uncertainty_ms = value[2];
}

static void get_welcome_key(struct trib_cbor_reader *r, uint64_t key, struct trib_wire_welcome *m)
{
    struct trib_cbor_container c;

    switch (key) {
    case 1:
        m->gateway = trib_wire_get_text(r, TRIB_WIRE_DEVICE_BYTES_MAX);
        break;
    case 2:
        m->epoch = trib_cbor_get_uint(r);
        break;
    case 3:
        c = trib_cbor_get_array(r);
        while (trib_cbor_next(r, &c) && room(r, m->stream_count, TRIB_WIRE_STREAMS_MAX))
            get_stream_state(r, &m->streams[m->stream_count++]);
        break;
    case 4:
        get_time(r, m);
        break;
    case 5:
        trib_wire_get_tuple(r, 2, &m->credit);
        break;
    case 6:
        m->max_message_bytes = trib_cbor_get_uint(r);
        break;
    case 7:
        m->max_event_bytes = trib_cbor_get_uint(r);
        break;
    case 8:
        m->keepalive_ms = trib_cbor_get_uint(r);
        break;
    case 9:
        m->config_version = trib_cbor_get_uint(r);
        break;
    default:
        trib_cbor_skip(r);
        break;
    }
}

int trib_wire_welcome_decode(const uint8_t *data, size_t len, struct trib_wire_welcome *out)
{
    struct trib_wire_body b;
    uint64_t key;

    memset(out, 0, sizeof *out);
    trib_wire_body_open(&b, data, len, TRIB_WIRE_WELCOME);
    while (trib_wire_body_next(&b, &key))
        get_welcome_key(&b.r, key, out);
    return trib_wire_body_close(&b, KEY(1) | KEY(2) | KEY(3) | KEY(5) | KEY(6) | KEY(7) | KEY(8));
}

/* --- ACK --- */

int trib_wire_ack_encode(const struct trib_wire_ack *m, uint8_t *buf, size_t cap, size_t *out_len)
{
    struct trib_cbor_writer w;

    if (m->acked_count > TRIB_WIRE_STREAMS_MAX || m->rejected_count > TRIB_WIRE_REJECTED_MAX)
        return TRIB_EINVAL;
    begin(&w, buf, cap, TRIB_WIRE_ACK, 2 + (m->rejected_count > 0) + (m->rejected_more > 0));
    trib_cbor_put_uint(&w, 1);
    trib_cbor_put_array(&w, m->acked_count);
    for (size_t i = 0; i < m->acked_count; i++)
        trib_wire_put_tuple(&w, 2, &m->acked[i]);
    if (m->rejected_count > 0) {
        trib_cbor_put_uint(&w, 2);
        trib_cbor_put_array(&w, m->rejected_count);
        for (size_t i = 0; i < m->rejected_count; i++) {
            const struct trib_wire_rejection *j = &m->rejected[i];
            trib_wire_put_tuple(&w, 3, (const uint64_t[]){j->stream, j->seq, j->code});
        }
    }
    if (m->rejected_more > 0)
        pair_uint(&w, 3, m->rejected_more);
    pair_credit(&w, 4, &m->credit);
    return end(&w, out_len);
}

int trib_wire_ack_decode(const uint8_t *data, size_t len, struct trib_wire_ack *out)
{
    struct trib_wire_body b;
    struct trib_cbor_container c;
    uint64_t key;

    memset(out, 0, sizeof *out);
    trib_wire_body_open(&b, data, len, TRIB_WIRE_ACK);
    while (trib_wire_body_next(&b, &key)) {
        if (key == 1) {
            c = trib_cbor_get_array(&b.r);
            while (trib_cbor_next(&b.r, &c) && room(&b.r, out->acked_count, TRIB_WIRE_STREAMS_MAX))
                trib_wire_get_tuple(&b.r, 2, &out->acked[out->acked_count++]);
        } else if (key == 2) {
            c = trib_cbor_get_array(&b.r);
            while (trib_cbor_next(&b.r, &c) && room(&b.r, out->rejected_count, TRIB_WIRE_REJECTED_MAX))
                trib_wire_get_tuple(&b.r, 3, &out->rejected[out->rejected_count++]);
        } else if (key == 3) {
            out->rejected_more = trib_cbor_get_uint(&b.r);
        } else if (key == 4) {
            trib_wire_get_tuple(&b.r, 2, &out->credit);
        } else {
            trib_cbor_skip(&b.r);
        }
    }
    return trib_wire_body_close(&b, KEY(1) | KEY(4));
}

/* --- NACK, CREDIT --- */

int trib_wire_nack_encode(const struct trib_wire_nack *m, uint8_t *buf, size_t cap, size_t *out_len)
{
    struct trib_cbor_writer w;

    begin(&w, buf, cap, TRIB_WIRE_NACK, 2);
    pair_uint(&w, 1, m->stream);
    pair_uint(&w, 2, m->expected);
    return end(&w, out_len);
}

/* A message of two required unsigned integers, keys 1 and 2. */
static int decode_two(const uint8_t *data, size_t len, uint64_t type, uint64_t *out_first,
                      uint64_t *out_second)
{
    struct trib_wire_body b;
    uint64_t key;

    trib_wire_body_open(&b, data, len, type);
    while (trib_wire_body_next(&b, &key)) {
        if (key == 1)
            *out_first = trib_cbor_get_uint(&b.r);
        else if (key == 2)
            *out_second = trib_cbor_get_uint(&b.r);
        else
            trib_cbor_skip(&b.r);
    }
    return trib_wire_body_close(&b, KEY(1) | KEY(2));
}

int trib_wire_nack_decode(const uint8_t *data, size_t len, struct trib_wire_nack *out)
{
    memset(out, 0, sizeof *out);
    return decode_two(data, len, TRIB_WIRE_NACK, &out->stream, &out->expected);
}

int trib_wire_credit_encode(const struct trib_wire_credit *m, uint8_t *buf, size_t cap, size_t *out_len)
{
    struct trib_cbor_writer w;

    begin(&w, buf, cap, TRIB_WIRE_CREDIT, 2);
    pair_uint(&w, 1, m->events);
    pair_uint(&w, 2, m->bytes);
    return end(&w, out_len);
}

int trib_wire_credit_decode(const uint8_t *data, size_t len, struct trib_wire_credit *out)
{
    memset(out, 0, sizeof *out);
    return decode_two(data, len, TRIB_WIRE_CREDIT, &out->events, &out->bytes);
}

/* --- BYE, CONFIG --- */

int trib_wire_bye_encode(const struct trib_wire_bye *m, uint8_t *buf, size_t cap, size_t *out_len)
{
    struct trib_cbor_writer w;

    if (m->alternate_count > TRIB_WIRE_ALTERNATES_MAX)
        return TRIB_EINVAL;
    begin(&w, buf, cap, TRIB_WIRE_BYE,
          1 + (m->retry_after_ms > 0) + (m->alternate_count > 0) + (m->text.len > 0));
    pair_uint(&w, 1, m->reason);
    if (m->retry_after_ms > 0)
        pair_uint(&w, 2, m->retry_after_ms);
    if (m->alternate_count > 0) {
        trib_cbor_put_uint(&w, 3);
        trib_cbor_put_array(&w, m->alternate_count);
        for (size_t i = 0; i < m->alternate_count; i++)
            trib_cbor_put_text(&w, m->alternates[i].ptr, m->alternates[i].len);
    }
    if (m->text.len > 0)
        pair_text(&w, 4, m->text);
    return end(&w, out_len);
}

int trib_wire_bye_decode(const uint8_t *data, size_t len, struct trib_wire_bye *out)
{
    struct trib_wire_body b;
    struct trib_cbor_container c;
    uint64_t key;

    memset(out, 0, sizeof *out);
    trib_wire_body_open(&b, data, len, TRIB_WIRE_BYE);
    while (trib_wire_body_next(&b, &key)) {
        if (key == 1) {
            out->reason = trib_cbor_get_uint(&b.r);
        } else if (key == 2) {
            out->retry_after_ms = trib_cbor_get_uint(&b.r);
        } else if (key == 3) {
            c = trib_cbor_get_array(&b.r);
            while (trib_cbor_next(&b.r, &c) && room(&b.r, out->alternate_count, TRIB_WIRE_ALTERNATES_MAX))
                out->alternates[out->alternate_count++] = trib_wire_get_text(&b.r, SIZE_MAX);
        } else if (key == 4) {
            out->text = trib_wire_get_text(&b.r, SIZE_MAX);
        } else {
            trib_cbor_skip(&b.r);
        }
    }
    return trib_wire_body_close(&b, KEY(1));
}

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
