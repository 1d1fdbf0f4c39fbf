/*
 * The world of the uplink's tests: one device, one gateway, a network between them and a clock, all fake.
 * A test turns the knobs in struct world, lets the device poll, and looks at what both ends saw.
 */
#ifndef UPLINK_WORLD_H
#define UPLINK_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tributary/tributary.h"
#include "websocket/digest.h"
#include "wire/base64.h"

#define STREAM 0x1122334455667788ull
#define QUEUE_BYTES (1u << 18)
#define HEAR_BYTES (1u << 16)
#define KEEPALIVE_MS 25000u
#define SOMETHING 0xA5

/* --- A world of one device and one gateway --- */

struct world {
    struct trib_uplink uplink;
    struct trib_config config;
    uint8_t transmit[2048], receive[2048];
    uint64_t now_ms;
    uint32_t next_ms;
    int last_error;
    char log[4096];

    /* network: bytes on their way to the device */
    uint8_t down[QUEUE_BYTES];
    size_t down_from, down_to;
    size_t cut_after;   /* the connection breaks after that many bytes to the device; SIZE_MAX: never */
    size_t piece;       /* most bytes a send or receive moves; 0: any */
    bool stutter;       /* each second call says TRIB_EAGAIN */
    bool send_blocked;  /* sends say TRIB_EAGAIN */
    size_t send_budget; /* bytes until they do so; SIZE_MAX: any */
    unsigned calls;
    int connect_result; /* once connect_delay calls are over */
    unsigned connect_delay;
    unsigned connects, closes;
    bool is_open;
    char host[64];
    const char *host_given;
    uint16_t port;
    uint64_t connected_at_ms;

    /* gateway */
    bool upgraded, mute, hold_acks;
    const char *answer; /* instead of 101 */
    uint8_t hear[HEAR_BYTES];
    size_t hear_len;
    struct trib_wire_welcome welcome;
    struct trib_wire_credit given, got; /* since WELCOME */
    uint64_t committed;
    unsigned hellos, batches, pongs, unacked;
    uint8_t pong[125];
    size_t pong_len;
    uint16_t close_code;
    uint32_t last_mask;
    unsigned same_masks;
    bool over_credit;

    /* the device's events: seq 1 to head */
    uint64_t head, next, acked, unacked_since_ms;
    uint64_t events_a_batch;
    size_t event_bytes;
    unsigned welcomes, nacks, configs;
    int welcome_result, batch_result;

    uint64_t random;
    bool no_entropy;
};

static struct world *w;

static inline int fake_fill(void *context, uint8_t *out, size_t len)
{
    (void)context;
    for (size_t i = 0; i < len; i++) {
        uint64_t z = w->random += 0x9E3779B97F4A7C15ull; /* splitmix64 */
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
        z = (z ^ z >> 27) * 0x94D049BB133111EBull;
        out[i] = (uint8_t)(z >> 56);
    }
    return w->no_entropy ? TRIB_EIO : 0;
}

static inline void fake_log(void *context, enum trib_log_level level, const char *text)
{
    (void)context;
    (void)level;
    size_t len = strlen(w->log);
    if (len + strlen(text) + 2 > sizeof w->log)
        len = 0;
    snprintf(w->log + len, sizeof w->log - len, "%s\n", text);
}

/* --- gateway --- */

static inline void down(const void *data, size_t len)
{
    assert_true(w->down_to + len <= QUEUE_BYTES);
    memcpy(w->down + w->down_to, data, len);
    w->down_to += len;
}

static inline void say_frame(unsigned first, const void *data, size_t len)
{
    uint8_t head[4] = {(uint8_t)first, (uint8_t)len};
    if (len > 125) {
        head[1] = 126;
        head[2] = (uint8_t)(len >> 8);
        head[3] = (uint8_t)len;
    }
    down(head, len > 125 ? 4 : 2);
    down(data, len);
}

static inline void say(const uint8_t *data, size_t len)
{
    say_frame(0x82, data, len);
}

#define SAY(kind, message)                                                                                   \
    do {                                                                                                     \
        uint8_t buf_[1024];                                                                                  \
        size_t len_;                                                                                         \
        assert_int_equal(trib_wire_##kind##_encode(message, buf_, sizeof buf_, &len_), 0);                   \
        say(buf_, len_);                                                                                     \
    } while (0)

static inline void say_ack(void)
{
    struct trib_wire_ack ack = {.acked_count = 1, .acked = {{STREAM, w->committed}}, .credit = w->given};
    SAY(ack, &ack);
}

static inline void say_bye(unsigned reason, uint64_t retry_after_ms)
{
    struct trib_wire_bye bye = {.reason = reason, .retry_after_ms = retry_after_ms};
    SAY(bye, &bye);
}

static inline void hear_batch(const uint8_t *data, size_t len)
{
    /* [3, {first: count}]: enough for the uplink, which does not look inside */
    struct trib_cbor_reader r;
    trib_cbor_reader_init(&r, data, len);
    (void)trib_cbor_get_array(&r);
    (void)trib_cbor_get_uint(&r);
    (void)trib_cbor_get_map(&r);
    uint64_t first = trib_cbor_get_uint(&r), count = trib_cbor_get_uint(&r);
    assert_int_equal(r.error, 0);
    w->batches++;
    w->got.events += count;
    w->got.bytes += len;
    if (w->got.events > w->given.events || w->got.bytes > w->given.bytes)
        w->over_credit = true;
    if (first > w->committed + 1) {
        struct trib_wire_nack nack = {.stream = STREAM, .expected = w->committed + 1};
        SAY(nack, &nack);
        return;
    }
    if (first + count - 1 > w->committed)
        w->committed = first + count - 1;
    w->given.events += count;
    w->given.bytes += len;
    if (w->hold_acks)
        w->unacked++;
    else
        say_ack();
}

static inline void hear_message(const uint8_t *data, size_t len)
{
    uint64_t type;
    size_t body;
    assert_int_equal(trib_wire_open(data, len, &type, &body), 0);
    if (type == TRIB_WIRE_HELLO) {
        struct trib_wire_hello hello;
        assert_int_equal(trib_wire_hello_decode(data, len, &hello), 0);
        w->hellos++;
        w->given = w->welcome.credit;
        w->got = (struct trib_wire_credit){0};
        w->welcome.streams[0] = (struct trib_wire_stream_state){STREAM, w->committed, 0};
        w->welcome.stream_count = 1;
        if (!w->mute)
            SAY(welcome, &w->welcome);
    } else {
        assert_int_equal(type, TRIB_WIRE_BATCH);
        assert_true(w->hellos > 0);
        hear_batch(data, len);
    }
}

static inline void hear_upgrade(void)
{
    char *text = (char *)w->hear;
    w->hear[w->hear_len] = '\0';
    char *end = strstr(text, "\r\n\r\n");
    if (end == NULL)
        return;
    assert_memory_equal(text, "GET /v1 HTTP/1.1\r\n", 18);
    assert_non_null(strstr(text, "\r\nSec-WebSocket-Protocol: tributary.v1.cbor\r\n"));
    assert_non_null(strstr(text, "\r\nAuthorization: Bearer abc.def.ghi\r\n"));
    char *key = strstr(text, "Sec-WebSocket-Key: ") + 19;
    uint8_t digest[TRIB_WS_SHA1_BYTES];
    char accept[29] = "", answer[256];
    snprintf(answer, sizeof answer, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    trib_ws_sha1(answer, 60, digest);
    trib_base64(digest, sizeof digest, false, accept);
    snprintf(answer, sizeof answer,
             "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: tributary.v1.cbor\r\n\r\n",
             accept);
    if (w->answer != NULL)
        down(w->answer, strlen(w->answer));
    else if (!w->mute)
        down(answer, strlen(answer));
    w->upgraded = true;
    assert_int_equal(end + 4 - text, w->hear_len); /* nothing is sent before the upgrade was granted */
    w->hear_len = 0;
}

/* One whole frame at the front of `hear`; returns its bytes, or 0. */
static inline size_t hear_frame(void)
{
    size_t head = 2, len, n = w->hear_len;
    uint8_t *p = w->hear, *mask;
    if (n < 2)
        return 0;
    assert_true((p[1] & 0x80) != 0); /* §5.3 */
    len = p[1] & 0x7F;
    if (len == 126 && n >= 4) {
        len = (size_t)p[2] << 8 | p[3];
        head = 4;
    } else if (len >= 126) {
        return 0;
    }
    if (n < head + 4 + len)
        return 0;
    mask = p + head;
    uint32_t value = (uint32_t)mask[0] << 24 | (uint32_t)mask[1] << 16 | (uint32_t)mask[2] << 8 | mask[3];
    w->same_masks += value == w->last_mask;
    w->last_mask = value;
    uint8_t *body = mask + 4;
    for (size_t i = 0; i < len; i++)
        body[i] ^= mask[i % 4];
    if (p[0] == 0x82) {
        hear_message(body, len);
    } else if (p[0] == 0x8A) {
        w->pongs++;
        w->pong_len = len;
        memcpy(w->pong, body, len);
    } else {
        assert_int_equal(p[0], 0x88);
        w->close_code = (uint16_t)(body[0] << 8 | body[1]);
    }
    return head + 4 + len;
}

static inline void gateway_hears(void)
{
    size_t used;
    if (!w->upgraded) {
        hear_upgrade();
        return;
    }
    while ((used = hear_frame()) > 0) {
        memmove(w->hear, w->hear + used, w->hear_len - used);
        w->hear_len -= used;
    }
}

/* --- network --- */

static inline bool stutters(void)
{
    return w->stutter && w->calls++ % 2 == 0;
}

static inline int fake_connect(void *context, const char *host, uint16_t port)
{
    (void)context;
    if (w->connect_delay > 0) {
        w->connect_delay--;
        return TRIB_EAGAIN;
    }
    w->connects++;
    w->connected_at_ms = w->now_ms;
    w->host_given = host;
    snprintf(w->host, sizeof w->host, "%s", host);
    w->port = port;
    w->is_open = w->connect_result == 0;
    w->down_from = w->down_to = w->hear_len = 0;
    w->upgraded = false;
    return w->connect_result;
}

static inline int fake_send(void *context, const uint8_t *data, size_t len)
{
    (void)context;
    assert_true(w->is_open);
    assert_true(len > 0);
    if (w->send_blocked || w->send_budget == 0 || stutters())
        return TRIB_EAGAIN;
    size_t count = w->piece != 0 && len > w->piece ? w->piece : len;
    if (count > w->send_budget)
        count = w->send_budget;
    if (w->send_budget != SIZE_MAX)
        w->send_budget -= count;
    assert_true(w->hear_len + count < HEAR_BYTES);
    memcpy(w->hear + w->hear_len, data, count);
    w->hear_len += count;
    gateway_hears();
    return (int)count;
}

static inline int fake_receive(void *context, uint8_t *out, size_t capacity)
{
    (void)context;
    assert_true(w->is_open);
    assert_true(capacity > 0);
    size_t count = w->down_to - w->down_from;
    if (w->down_from >= w->cut_after)
        return TRIB_ECLOSED;
    if (count == 0 || stutters())
        return TRIB_EAGAIN;
    if (count > capacity)
        count = capacity;
    if (w->piece != 0 && count > w->piece)
        count = w->piece;
    if (count > w->cut_after - w->down_from)
        count = w->cut_after - w->down_from;
    memcpy(out, w->down + w->down_from, count);
    w->down_from += count;
    return (int)count;
}

static inline void fake_close(void *context)
{
    (void)context;
    if (w->is_open)
        assert_string_equal(w->host_given, w->host); /* it must stay valid until now */
    w->closes++;
    w->is_open = false;
}

/* --- the device's source --- */

static inline void watch_acks(bool progress)
{
    if (w->next <= w->acked + 1)
        w->unacked_since_ms = UINT64_MAX;
    else if (progress || w->unacked_since_ms == UINT64_MAX)
        w->unacked_since_ms = w->now_ms;
}

static inline void source_hello(void *context, struct trib_wire_hello *out)
{
    (void)context;
    out->device = (struct trib_text){"device-1", 8};
    out->sdk = (struct trib_text){"test", 4};
    out->version = TRIB_WIRE_VERSION;
    out->stream_count = 1;
    out->streams[0] =
        (struct trib_wire_hello_stream){.stream = STREAM, .next_seq = w->head + 1, .acked_seq = w->acked};
}

static inline int source_welcome(void *context, const struct trib_wire_welcome *welcome)
{
    (void)context;
    w->welcomes++;
    w->acked = welcome->streams[0].committed;
    w->next = w->acked + 1;
    watch_acks(true);
    return w->welcome_result;
}

static inline int source_batch(void *context, uint8_t *buf, size_t cap, uint64_t max_events, size_t *out_len,
                               uint64_t *out_events)
{
    (void)context;
    static const uint8_t filler[1024] = {SOMETHING};
    uint64_t count = w->head + 1 - w->next;
    count = count < w->events_a_batch ? count : w->events_a_batch;
    count = count < max_events ? count : max_events;
    while (count > 0 && 40 + count * w->event_bytes > cap)
        count--;
    *out_len = 0;
    if (w->batch_result != 0 || count == 0)
        return w->batch_result;
    struct trib_cbor_writer writer;
    trib_cbor_writer_init(&writer, buf, cap);
    trib_cbor_put_array(&writer, 2);
    trib_cbor_put_uint(&writer, TRIB_WIRE_BATCH);
    trib_cbor_put_map(&writer, 2);
    trib_cbor_put_uint(&writer, w->next);
    trib_cbor_put_uint(&writer, count);
    trib_cbor_put_uint(&writer, 0);
    trib_cbor_put_bytes(&writer, filler, (size_t)count * w->event_bytes);
    assert_int_equal(writer.error, 0);
    w->next += count;
    watch_acks(false);
    *out_len = writer.len;
    *out_events = count;
    return 0;
}

static inline uint64_t source_unacked_since_ms(void *context)
{
    (void)context;
    return w->unacked_since_ms;
}

static inline void source_ack(void *context, const struct trib_wire_ack *ack)
{
    (void)context;
    assert_true(ack->acked[0].seq >= w->acked);
    w->acked = ack->acked[0].seq;
    watch_acks(true);
}

static inline void source_nack(void *context, const struct trib_wire_nack *nack)
{
    (void)context;
    w->nacks++;
    w->next = nack->expected;
    watch_acks(true);
}

static inline void source_config(void *context, const struct trib_wire_config *config)
{
    (void)context;
    w->configs += config->version == 7;
}

/* --- driving --- */

static const struct trib_uplink_source world_source = {source_hello, source_welcome,          source_batch,
                                                       source_ack,   source_unacked_since_ms, source_nack,
                                                       source_config};

static inline int setup(void **state)
{
    w = calloc(1, sizeof *w);
    *state = w;
    w->now_ms = 1000000;
    w->random = 1;
    w->unacked_since_ms = UINT64_MAX;
    w->cut_after = w->send_budget = SIZE_MAX;
    w->events_a_batch = 8;
    w->event_bytes = 20;
    w->welcome = (struct trib_wire_welcome){.gateway = {"gw", 2},
                                            .epoch = 9,
                                            .credit = {1000000, 100000000},
                                            .max_message_bytes = 65536,
                                            .max_event_bytes = 4096,
                                            .keepalive_ms = KEEPALIVE_MS};
    w->config = (struct trib_config){
        .host = "gate.example",
        .port = 8443,
        .token = "abc.def.ghi",
        .net = {NULL, fake_connect, fake_send, fake_receive, fake_close},
        .entropy = {NULL, fake_fill},
        .log = {NULL, fake_log},
        .transmit = w->transmit,
        .transmit_bytes = sizeof w->transmit,
        .receive = w->receive,
        .receive_bytes = sizeof w->receive,
        .backoff_min_ms = 1000,
        .backoff_max_ms = 60000,
    };
    trib_uplink_init(&w->uplink, &w->config, &world_source, NULL);
    return 0;
}

static inline int teardown(void **state)
{
    free(*state);
    return 0;
}

/* The same again from the start, with other random bytes. */
static inline void renew(void **state)
{
    uint64_t random = w->random;
    teardown(state);
    setup(state);
    w->random = random + 77;
}

static inline enum trib_uplink_phase phase(void)
{
    return trib_uplink_get_phase(&w->uplink);
}

static inline int poll_once(void)
{
    int error = trib_uplink_poll(&w->uplink, w->now_ms, &w->next_ms);
    if (error != 0)
        w->last_error = error;
    return error;
}

/* Polls as an app would, for that long. */
static inline void run_ms(uint64_t ms)
{
    uint64_t until = w->now_ms + ms;
    unsigned rounds = 0;
    for (;;) {
        (void)poll_once();
        assert_true(++rounds < 200000);
        uint64_t next = w->now_ms + w->next_ms;
        if (next > until)
            break;
        w->now_ms = next;
    }
    w->now_ms = until;
}

static inline void go_online(void)
{
    run_ms(1000);
    assert_int_equal(phase(), TRIB_UPLINK_STREAM);
}

/* Polls until the connection in work ended; returns the error. */
static inline int run_until_offline(uint64_t limit_ms)
{
    uint64_t until = w->now_ms + limit_ms;
    while (w->now_ms <= until) {
        int error = poll_once();
        if (error != 0)
            return error;
        w->now_ms += w->next_ms != 0 ? w->next_ms : 1;
    }
    return 0;
}

#endif
