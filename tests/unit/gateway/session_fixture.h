/* A session with a fake world: a clock, a journal's rows, a committer that waits to be told, and what was sent. */
#ifndef SESSION_FIXTURE_H
#define SESSION_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "session/session.h"

#define ROWS_MAX 16
#define SENT_MAX 64
#define QUEUE_MAX 64
#define GATEWAY "00112233aabbccdd"
#define EPOCH 77
#define DEVICE "dev-1"
#define STREAM 0xaaull
#define ROUTINE 0xbbull

struct sent {
    uint64_t type;
    uint8_t bytes[2048];
    size_t len;
};

struct world {
    struct gw_session session;
    struct gw_session_rules rules;
    struct gw_admit_policy policy;
    struct gw_registry *registry;
    uint64_t now_ms;
    struct gw_session_time time;
    struct {
        uint64_t stream;
        struct gw_journal_stream row;
    } rows[ROWS_MAX];
    size_t row_count;
    int stream_get_result;
    int claim_result;
    uint32_t budget;
    struct gw_session_batch *queue[QUEUE_MAX];
    size_t queued;
    size_t batches_out; /* taken and not given back */
    struct sent sent[SENT_MAX];
    size_t sent_count;
    unsigned pings;
    bool closed;
    unsigned close_reason;
    uint64_t owner;
    uint64_t previous;
};

static inline void world_send(void *context, const uint8_t *message, size_t len)
{
    struct world *w = context;
    assert_true(w->sent_count < SENT_MAX && len <= sizeof w->sent[0].bytes);
    assert_false(w->closed);
    struct sent *s = &w->sent[w->sent_count++];
    memcpy(s->bytes, message, len);
    s->len = len;
    size_t body;
    assert_int_equal(trib_wire_open(s->bytes, len, &s->type, &body), 0);
}

static inline void world_ping(void *context)
{
    ((struct world *)context)->pings++;
}

static inline void world_close(void *context, unsigned reason)
{
    struct world *w = context;
    w->closed = true;
    w->close_reason = reason;
}

static inline void world_time(void *context, struct gw_session_time *out)
{
    *out = ((struct world *)context)->time;
}

static inline struct gw_journal_stream *world_row(struct world *w, uint64_t stream)
{
    for (size_t i = 0; i < w->row_count; i++)
        if (w->rows[i].stream == stream)
            return &w->rows[i].row;
    return NULL;
}

static inline struct gw_journal_stream *world_add_row(struct world *w, uint64_t stream, uint64_t committed,
                                                      uint32_t crc)
{
    assert_true(w->row_count < ROWS_MAX);
    w->rows[w->row_count].stream = stream;
    w->rows[w->row_count].row = (struct gw_journal_stream){.committed = committed, .crc = crc};
    return &w->rows[w->row_count++].row;
}

static inline int world_stream_get(void *context, const char *device, uint64_t stream,
                                   struct gw_journal_stream *out)
{
    struct world *w = context;
    assert_string_equal(device, DEVICE);
    if (w->stream_get_result != 0)
        return w->stream_get_result;
    struct gw_journal_stream *row = world_row(w, stream);
    if (!row)
        return GW_ENOTFOUND;
    *out = *row;
    return GW_OK;
}

static inline int world_claim(void *context, const char *device, struct gw_registry_seat *out_seat)
{
    struct world *w = context;
    if (w->claim_result != 0)
        return w->claim_result;
    return gw_registry_claim(w->registry, device, w->owner, out_seat, &w->previous);
}

static inline bool world_settled(void *context, const struct gw_registry_seat *seat)
{
    return gw_registry_settled(((struct world *)context)->registry, seat);
}

static inline uint32_t world_reserve(void *context, uint32_t want, uint32_t least)
{
    struct world *w = context;
    uint32_t take = w->budget < want ? w->budget : want;
    if (take < least)
        return 0;
    w->budget -= take;
    return take;
}

static inline struct gw_session_batch *world_take(void *context)
{
    struct gw_session_batch *batch = calloc(1, sizeof *batch);
    gw_arena_init(&batch->arena, 4096, 1 << 20);
    ((struct world *)context)->batches_out++;
    return batch;
}

static inline void world_give(void *context, struct gw_session_batch *batch)
{
    gw_arena_free(&batch->arena);
    free(batch);
    ((struct world *)context)->batches_out--;
}

static inline void world_queue(void *context, struct gw_session_batch *batch)
{
    struct world *w = context;
    assert_true(w->queued < QUEUE_MAX);
    gw_registry_batch_begins(w->registry, &batch->seat);
    w->queue[w->queued++] = batch;
}

static const struct gw_session_edge world_edge = {.send = world_send,
                                                  .ping = world_ping,
                                                  .close = world_close,
                                                  .get_time = world_time,
                                                  .stream_get = world_stream_get,
                                                  .claim = world_claim,
                                                  .settled = world_settled,
                                                  .reserve = world_reserve,
                                                  .batch_take = world_take,
                                                  .batch_give = world_give,
                                                  .batch_queue = world_queue};

static inline void world_connect(struct world *w)
{
    w->sent_count = 0;
    w->closed = false;
    w->owner++;
    gw_session_open(&w->session, &w->rules, &world_edge, w, DEVICE, false, w->now_ms);
}

static inline void world_init(struct world *w)
{
    memset(w, 0, sizeof *w);
    uint8_t secret[32] = {9};
    struct gw_pseudonym_key *pseudonym;
    struct gw_seal_key *seal;
    assert_int_equal(gw_pseudonym_key_new(secret, sizeof secret, "k1", &pseudonym, NULL), 0);
    assert_int_equal(gw_seal_key_new(secret, sizeof secret, "s1", &seal, NULL), 0);
    w->policy = (struct gw_admit_policy){.pseudonym = pseudonym, .seal = seal, .max_event_bytes = 1024};
    w->rules = (struct gw_session_rules){.gateway_id = GATEWAY,
                                         .journal_epoch = EPOCH,
                                         .policy = &w->policy,
                                         .hello_timeout_ms = 5000,
                                         .keepalive_ms = 25000,
                                         .message_bytes = 8192,
                                         .event_bytes = 1024,
                                         .credit_events = 20,
                                         .credit_bytes = 16384};
    w->registry = gw_registry_new(8);
    w->now_ms = 1000000;
    w->time = (struct gw_session_time){.utc_ms = 1764000000000ull, .uncertainty_ms = 7, .synchronised = true};
    w->budget = 1 << 20;
    world_connect(w);
}

/* The committer: the oldest n batches, or all; a status other than 0 keeps nothing. */
static inline void world_commit(struct world *w, size_t n, int status)
{
    n = n < w->queued ? n : w->queued;
    for (size_t i = 0; i < n; i++) {
        struct gw_session_batch *batch = w->queue[i];
        int outcome = gw_registry_current(w->registry, &batch->seat) ? status : GW_ESTALE;
        for (unsigned lane = 0; outcome == 0 && lane < TRIB_LANE_COUNT; lane++) {
            const struct gw_journal_lane *l = &batch->admitted.write.lanes[lane];
            if (l->stream == 0)
                continue;
            struct gw_journal_stream *row = world_row(w, l->stream);
            if (!row)
                row = world_add_row(w, l->stream, 0, 0);
            if (l->adopt)
                assert_true(row->committed <= l->expected);
            else
                assert_int_equal(row->committed, l->expected);
            row->committed = l->last_seq;
            if (l->last_seq != l->expected)
                row->crc = l->last_crc;
        }
        gw_registry_batch_ends(w->registry, &batch->seat);
        if (batch->connection == 0)
            gw_session_committed(&w->session, batch, outcome);
        world_give(w, batch);
    }
    memmove(w->queue, w->queue + n, (w->queued - n) * sizeof w->queue[0]);
    w->queued -= n;
    gw_session_flush(&w->session);
}

static inline void world_free(struct world *w)
{
    gw_session_lost(&w->session);
    for (size_t i = 0; i < w->queued; i++) {
        gw_registry_batch_ends(w->registry, &w->queue[i]->seat);
        world_give(w, w->queue[i]);
    }
    if (w->session.seat.entry)
        gw_registry_leave(w->registry, &w->session.seat);
    assert_int_equal(w->batches_out, 0);
    gw_registry_free(w->registry);
    gw_pseudonym_key_free((struct gw_pseudonym_key *)w->policy.pseudonym);
    gw_seal_key_free((struct gw_seal_key *)w->policy.seal);
}

/* --- what a device says --- */

static inline struct trib_wire_hello hello_of(uint64_t next, uint64_t acked)
{
    return (struct trib_wire_hello){
        .device = {DEVICE, strlen(DEVICE)},
        .version = TRIB_WIRE_VERSION,
        .sdk = {"test", 4},
        .boot = 1,
        .streams = {{.stream = STREAM, .next_seq = next, .acked_seq = acked, .lane = TRIB_LANE_VITAL}},
        .stream_count = 1};
}

static inline void say_hello(struct world *w, const struct trib_wire_hello *hello)
{
    uint8_t bytes[8192];
    size_t len;
    assert_int_equal(trib_wire_hello_encode(hello, bytes, sizeof bytes, &len), 0);
    gw_session_receive(&w->session, bytes, len, w->now_ms);
}

static inline size_t make_batch(uint8_t *bytes, size_t capacity, uint64_t stream, uint64_t first,
                                unsigned events, unsigned type)
{
    struct trib_wire_batch_head head = {
        .lanes = {{stream, stream ? first : 0}, {0, 0}}, .boot = 1, .mono_ms = 100, .ord = first};
    struct trib_wire_batch_writer b;
    trib_wire_batch_open(&b, &head, bytes, capacity);
    static const uint8_t EMPTY[] = {0xa0};
    for (unsigned i = 0; i < events; i++)
        trib_wire_batch_event(&b, 0, type, 100 + i, first + i + 1, 0, EMPTY, sizeof EMPTY);
    size_t len;
    assert_int_equal(trib_wire_batch_close(&b, &len), 0);
    return len;
}

static inline size_t say_batch(struct world *w, uint64_t first, unsigned events)
{
    uint8_t bytes[65536];
    size_t len = make_batch(bytes, sizeof bytes, STREAM, first, events, TRIB_EVENT_PAUSE);
    gw_session_receive(&w->session, bytes, len, w->now_ms);
    return len;
}

/* --- what the gateway said --- */

static inline const struct sent *last(const struct world *w, uint64_t type)
{
    assert_true(w->sent_count > 0);
    assert_int_equal(w->sent[w->sent_count - 1].type, type);
    return &w->sent[w->sent_count - 1];
}

static inline struct trib_wire_ack last_ack(const struct world *w)
{
    struct trib_wire_ack ack;
    const struct sent *s = last(w, TRIB_WIRE_ACK);
    assert_int_equal(trib_wire_ack_decode(s->bytes, s->len, &ack), 0);
    return ack;
}

static inline struct trib_wire_welcome last_welcome(const struct world *w)
{
    struct trib_wire_welcome welcome;
    const struct sent *s = last(w, TRIB_WIRE_WELCOME);
    assert_int_equal(trib_wire_welcome_decode(s->bytes, s->len, &welcome), 0);
    return welcome;
}

static inline void assert_bye(const struct world *w, uint64_t reason)
{
    struct trib_wire_bye bye;
    const struct sent *s = last(w, TRIB_WIRE_BYE);
    assert_int_equal(trib_wire_bye_decode(s->bytes, s->len, &bye), 0);
    assert_int_equal(bye.reason, reason);
    assert_true(bye.text.len > 0);
    assert_true(w->closed);
    assert_int_equal(w->close_reason, reason);
}

static inline void world_welcomed(struct world *w, uint64_t next, uint64_t acked)
{
    struct trib_wire_hello hello = hello_of(next, acked);
    say_hello(w, &hello);
    last(w, TRIB_WIRE_WELCOME);
}

#endif
