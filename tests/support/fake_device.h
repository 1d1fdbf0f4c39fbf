/*
 * A device for tests: a client on RAM storage with a fake clock, and a gateway that answers through the client's
 * uplink source, without network. The gateway checks what it is told: contiguous seqs, order, whole contexts.
 */
#ifndef TESTS_FAKE_DEVICE_H
#define TESTS_FAKE_DEVICE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/client_internal.h"
#include "storage_ram.h"
#include "tributary/tributary.h"

#define FAKE_STREAMS_MAX 32
#define FAKE_EVENTS_MAX 20000

struct fake_event {
    uint64_t stream, seq, mono_ms, ord, boot, session;
    uint32_t crc;
    uint8_t type, lane;
    char content[40];
    char user[40];
    uint8_t fields[192];
    size_t fields_len;
};

struct fake_stream {
    uint64_t id, committed;
    uint32_t crc;
};

struct fake_gateway {
    struct fake_stream streams[FAKE_STREAMS_MAX];
    size_t stream_count;
    struct fake_event *events;
    size_t event_count;
    uint64_t dropped[3][5]; /* class, reason */
    uint64_t duplicates, batches;
    uint64_t utc_ms;
    size_t anchors_seen;
};

struct fake_device {
    struct trib_client client;
    struct trib_config config;
    struct trib_uplink_source source;
    struct trib_storage_ram ram[TRIB_LANE_COUNT];
    uint8_t *flash[TRIB_LANE_COUNT];
    uint8_t *written[TRIB_LANE_COUNT];
    uint8_t staging[2048], transmit[1500], receive[1024];
    uint64_t now_ms;
    uint64_t tick_ms; /* that each look at the clock takes */
    uint64_t random;
    bool log_to_stderr;
};

static inline uint64_t fake_clock(void *context)
{
    struct fake_device *d = context;
    d->now_ms += d->tick_ms;
    return d->now_ms;
}

static inline int fake_entropy(void *context, uint8_t *out, size_t length)
{
    struct fake_device *d = context;
    for (size_t i = 0; i < length; i++) {
        d->random = d->random * 6364136223846793005u + 1442695040888963407u;
        out[i] = (uint8_t)(d->random >> 56);
    }
    return 0;
}

static inline int fake_connect(void *context, const char *host, uint16_t port)
{
    (void)context, (void)host, (void)port;
    return TRIB_EIO;
}

static inline int fake_send(void *context, const uint8_t *data, size_t length)
{
    (void)context, (void)data, (void)length;
    return TRIB_ECLOSED;
}

static inline int fake_receive(void *context, uint8_t *out, size_t capacity)
{
    (void)context, (void)out, (void)capacity;
    return TRIB_ECLOSED;
}

static inline void fake_close(void *context)
{
    (void)context;
}

static inline void fake_log(void *context, enum trib_log_level level, const char *text)
{
    struct fake_device *d = context;
    if (d->log_to_stderr)
        fprintf(stderr, "[%d] %s\n", (int)level, text);
}

static inline void fake_device_init(struct fake_device *d, uint32_t sector_bytes, uint32_t sector_count,
                                    uint32_t unit)
{
    memset(d, 0, sizeof *d);
    d->random = 42;
    d->now_ms = 1000;
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++) {
        size_t bytes = (size_t)sector_bytes * sector_count;
        d->flash[lane] = malloc(bytes);
        d->written[lane] = calloc(bytes / unit, 1);
        memset(d->flash[lane], 0xFF, bytes);
        trib_storage_ram_init(&d->ram[lane], d->flash[lane], sector_bytes, sector_count, unit);
        d->ram[lane].written = d->written[lane];
        d->config.storage[lane] = trib_storage_ram(&d->ram[lane]);
    }
    d->config.device_id = "device-1";
    d->config.host = "gateway.invalid";
    d->config.port = 1;
    d->config.net = (struct trib_net){d, fake_connect, fake_send, fake_receive, fake_close};
    d->config.clock = (struct trib_clock){d, fake_clock};
    d->config.entropy = (struct trib_entropy){d, fake_entropy};
    d->config.user_id_as_given = true; /* tests/unit/sdk/privacy_test.c has the digest */
    d->config.log = (struct trib_log){d, fake_log};
    d->config.staging = d->staging;
    d->config.staging_bytes = sizeof d->staging;
    d->config.transmit = d->transmit;
    d->config.transmit_bytes = sizeof d->transmit;
    d->config.receive = d->receive;
    d->config.receive_bytes = sizeof d->receive;
}

static inline void fake_device_free(struct fake_device *d)
{
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++) {
        free(d->flash[lane]);
        free(d->written[lane]);
    }
}

/* A boot: the memory of the client is gone, the flash stays. */
static inline int fake_device_boot(struct fake_device *d)
{
    memset(&d->client, 0xA5, sizeof d->client);
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++) {
        d->ram[lane].off = false;
        d->ram[lane].cut_after = TRIB_STORAGE_RAM_NO_CUT;
    }
    int rc = trib_init(&d->client, &d->config);
    if (rc == 0)
        d->source = trib_client_source;
    return rc;
}

static inline void fake_gateway_init(struct fake_gateway *g)
{
    memset(g, 0, sizeof *g);
    g->events = calloc(FAKE_EVENTS_MAX, sizeof *g->events);
}

static inline void fake_gateway_free(struct fake_gateway *g)
{
    free(g->events);
}

static inline struct fake_stream *fake_stream(struct fake_gateway *g, uint64_t id)
{
    for (size_t i = 0; i < g->stream_count; i++)
        if (g->streams[i].id == id)
            return &g->streams[i];
    assert_true(g->stream_count < FAKE_STREAMS_MAX);
    g->streams[g->stream_count] = (struct fake_stream){.id = id};
    return &g->streams[g->stream_count++];
}

/* What the gateway answers to a HELLO. */
static inline void fake_answer(struct fake_gateway *g, const struct trib_wire_hello *hello,
                               struct trib_wire_welcome *out)
{
    memset(out, 0, sizeof *out);
    out->gateway = (struct trib_text){"gw", 2};
    out->epoch = 7;
    out->utc_ms = g->utc_ms;
    out->utc_quality = g->utc_ms ? TRIB_TIME_SYNCED : TRIB_TIME_NONE;
    out->utc_uncertainty_ms = 5;
    for (size_t i = 0; i < hello->stream_count; i++) {
        struct fake_stream *s = fake_stream(g, hello->streams[i].stream);
        out->streams[out->stream_count++] =
            (struct trib_wire_stream_state){.stream = s->id, .committed = s->committed, .crc = s->crc};
    }
}

/* HELLO and WELCOME, without a network. Returns what the client says to the welcome. */
static inline int fake_welcome(struct fake_gateway *g, struct fake_device *d)
{
    struct trib_wire_hello hello;
    struct trib_wire_welcome welcome;
    d->source.hello(&d->client, &hello);
    fake_answer(g, &hello, &welcome);
    return d->source.welcome(&d->client, &welcome);
}

static inline void fake_take(struct fake_gateway *g, const struct trib_wire_batch_reader *b,
                             const struct trib_wire_batch_item *item,
                             const struct trib_wire_context *contexts)
{
    struct fake_stream *s = fake_stream(g, b->head.lanes[item->lane].stream);
    uint64_t count = item->kind == TRIB_ITEM_DROP ? item->count : 1;
    if (item->seq + count - 1 <= s->committed) {
        g->duplicates += count;
        return;
    }
    assert_int_equal(item->seq, s->committed + 1); /* contiguous: nothing is lost without a word */
    s->committed += count;
    s->crc = 0;
    if (item->kind == TRIB_ITEM_DROP) {
        g->dropped[item->drop_class][item->drop_reason] += count;
        return;
    }
    assert_true(g->event_count < FAKE_EVENTS_MAX);
    struct fake_event *e = &g->events[g->event_count++];
    memset(e, 0, sizeof *e); /* a test that puts a gateway back leaves old ones there */
    const struct trib_wire_context *c = &contexts[item->context];
    e->stream = s->id;
    e->seq = item->seq;
    e->mono_ms = item->mono_ms;
    e->ord = item->ord;
    e->boot = b->head.boot;
    e->type = (uint8_t)item->kind;
    e->lane = (uint8_t)item->lane;
    if (item->context) {
        e->session = c->session;
        snprintf(e->content, sizeof e->content, "%.*s", (int)c->content.len, c->content.ptr);
        snprintf(e->user, sizeof e->user, "%.*s", (int)c->user.len, c->user.ptr);
    }
    e->fields_len = item->fields_len;
    memcpy(e->fields, item->fields,
           item->fields_len < sizeof e->fields ? item->fields_len : sizeof e->fields);
    s->crc = e->crc = trib_wire_event_crc(s->id, e->seq, e->boot, e->mono_ms, e->ord, e->type, item->fields,
                                          item->fields_len);
}

/* Takes a whole BATCH message. *out_events: how many it holds; *out_ack: what to answer. */
static inline void fake_take_message(struct fake_gateway *g, const uint8_t *data, size_t len,
                                     uint64_t *out_events, struct trib_wire_ack *out_ack)
{
    struct trib_wire_context contexts[TRIB_WIRE_CONTEXTS_MAX + 1];
    struct trib_wire_batch_reader b;
    struct trib_wire_batch_item item;
    assert_int_equal(trib_wire_batch_read(&b, data, len), 0);
    memset(contexts, 0, sizeof contexts);
    memset(out_ack, 0, sizeof *out_ack);
    g->batches++;
    g->anchors_seen = b.head.anchor_count;
    uint64_t ord = 0;
    int rc;
    *out_events = 0;
    while ((rc = trib_wire_batch_next(&b, &item)) > 0) {
        if (item.kind == TRIB_ITEM_CONTEXT) {
            contexts[item.context] = item.context_value;
            continue;
        }
        if (item.kind != TRIB_ITEM_DROP) {
            ++*out_events;
            assert_true(item.ord > ord);
            ord = item.ord;
        }
        fake_take(g, &b, &item, contexts);
    }
    assert_int_equal(rc, 0);
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++)
        if (b.head.lanes[lane].stream != 0) {
            struct fake_stream *s = fake_stream(g, b.head.lanes[lane].stream);
            out_ack->acked[out_ack->acked_count++] = (struct trib_wire_position){s->id, s->committed};
        }
}

/* Takes one batch. 1; 0: there was none; or the error of a device that could not make one. */
static inline int fake_try_batch(struct fake_gateway *g, struct fake_device *d, bool ack)
{
    static uint8_t buffer[1500];
    struct trib_wire_ack message;
    size_t len;
    uint64_t events, counted;
    int rc = d->source.batch(&d->client, buffer, sizeof buffer, 1000, &len, &events);
    if (rc < 0 || len == 0)
        return rc;
    assert_true(len <= sizeof buffer);
    fake_take_message(g, buffer, len, &counted, &message);
    assert_int_equal(counted, events);
    if (ack)
        d->source.ack(&d->client, &message);
    return 1;
}

/* Takes one batch. False: there was none. */
static inline bool fake_take_batch(struct fake_gateway *g, struct fake_device *d, bool ack)
{
    int rc = fake_try_batch(g, d, ack);
    assert_in_range(rc, 0, 1);
    return rc == 1;
}

/* Connects and takes all there is. */
static inline void fake_sync(struct fake_gateway *g, struct fake_device *d)
{
    int rc = fake_welcome(g, d);
    if (rc == TRIB_ERANGE && trib_client_roll_back(&d->client) == 0)
        rc = fake_welcome(g, d); /* rolled back: the next HELLO names the new stream */
    assert_int_equal(rc, 0);
    d->client.hurry = true;
    while (fake_take_batch(g, d, true))
        ;
    d->client.hurry = false;
}

static inline size_t fake_count(const struct fake_gateway *g, unsigned type)
{
    size_t n = 0;
    for (size_t i = 0; i < g->event_count; i++)
        n += g->events[i].type == type;
    return n;
}

#endif
