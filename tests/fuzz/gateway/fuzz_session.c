/*
 * A device that says anything, and a committer that answers when the input says so. Whatever happens: an ACK never
 * covers what is not committed, rows never go back, credit never goes down, and all batches come home.
 * Input: steps of [what, length (2), bytes].
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "session/session.h"

#define ROWS_MAX 64
#define QUEUE_MAX 256

struct world {
    struct gw_session session;
    struct gw_session_batch *queue[QUEUE_MAX];
    size_t queued, batches_out;
    struct {
        uint64_t stream, committed;
    } rows[ROWS_MAX];
    size_t row_count;
    struct trib_wire_credit credit;
    bool closed, failed;
};

static struct gw_admit_policy policy;
static struct gw_registry *registry;
static const struct gw_session_rules RULES = {.gateway_id = "g",
                                              .journal_epoch = 7,
                                              .policy = &policy,
                                              .hello_timeout_ms = 5000,
                                              .keepalive_ms = 25000,
                                              .message_bytes = 4096,
                                              .event_bytes = 256,
                                              .credit_events = 500,
                                              .credit_bytes = 20000,
                                              .item_bytes = 100000};

static uint64_t *row_of(struct world *w, uint64_t stream)
{
    for (size_t i = 0; i < w->row_count; i++)
        if (w->rows[i].stream == stream)
            return &w->rows[i].committed;
    return NULL;
}

static void check_credit(struct world *w, const struct trib_wire_credit *credit)
{
    if (credit->events < w->credit.events || credit->bytes < w->credit.bytes)
        abort();
    w->credit = *credit;
}

static void on_send(void *context, const uint8_t *message, size_t len)
{
    struct world *w = context;
    struct trib_wire_ack ack;
    struct trib_wire_welcome welcome;
    uint64_t type;
    size_t body;
    if (w->closed)
        abort();
    if (w->session.text) /* JSON: the codec has a target of its own */
        return;
    if (trib_wire_open(message, len, &type, &body) != 0)
        abort();
    if (type == TRIB_WIRE_WELCOME) {
        if (trib_wire_welcome_decode(message, len, &welcome) != 0)
            abort();
        w->credit = welcome.credit;
    }
    if (type != TRIB_WIRE_ACK)
        return;
    if (trib_wire_ack_decode(message, len, &ack) != 0)
        abort();
    check_credit(w, &ack.credit);
    for (size_t i = 0; i < ack.acked_count; i++) {
        const uint64_t *committed = row_of(w, ack.acked[i].stream);
        /* What the device says another gateway acked is acked again without a row here. */
        bool adopted = false;
        for (size_t s = 0; s < w->session.stream_count; s++)
            adopted |= w->session.streams[s].stream == ack.acked[i].stream &&
                       w->session.streams[s].acked_seq >= ack.acked[i].seq;
        if (!adopted && ack.acked[i].seq > (committed ? *committed : 0))
            abort();
    }
}

static void on_ping(void *context)
{
    (void)context;
}

static void on_close(void *context, unsigned reason)
{
    (void)reason;
    ((struct world *)context)->closed = true;
}

static void on_time(void *context, struct gw_session_time *out)
{
    (void)context;
    *out = (struct gw_session_time){.utc_ms = 1764000000000ull, .synchronised = true};
}

static int on_stream_get(void *context, const char *device, uint64_t stream, struct gw_journal_stream *out)
{
    (void)device;
    const uint64_t *committed = row_of(context, stream);
    if (!committed)
        return GW_ENOTFOUND;
    *out = (struct gw_journal_stream){.committed = *committed, .crc = 5};
    return GW_OK;
}

static int on_claim(void *context, const char *device, struct gw_registry_seat *out_seat)
{
    (void)context;
    uint64_t previous;
    return gw_registry_claim(registry, device, 1, out_seat, &previous);
}

static bool on_settled(void *context, const struct gw_registry_seat *seat)
{
    (void)context;
    return gw_registry_settled(registry, seat);
}

static uint32_t on_reserve(void *context, uint32_t want, uint32_t least)
{
    (void)context;
    (void)least;
    return want;
}

static struct gw_session_batch *on_take(void *context)
{
    struct gw_session_batch *batch = calloc(1, sizeof *batch);
    if (!batch)
        abort();
    gw_arena_init(&batch->arena, 4096, 1 << 20);
    ((struct world *)context)->batches_out++;
    return batch;
}

static void on_give(void *context, struct gw_session_batch *batch)
{
    gw_arena_free(&batch->arena);
    free(batch);
    ((struct world *)context)->batches_out--;
}

static void on_queue(void *context, struct gw_session_batch *batch)
{
    struct world *w = context;
    if (w->queued == QUEUE_MAX) /* credit bounds what can be under way: 20,000 bytes */
        abort();
    gw_registry_batch_begins(registry, &batch->seat);
    w->queue[w->queued++] = batch;
}

static const struct gw_session_edge EDGE = {.send = on_send,
                                            .ping = on_ping,
                                            .close = on_close,
                                            .get_time = on_time,
                                            .stream_get = on_stream_get,
                                            .claim = on_claim,
                                            .settled = on_settled,
                                            .reserve = on_reserve,
                                            .batch_take = on_take,
                                            .batch_give = on_give,
                                            .batch_queue = on_queue};

static bool matches(struct world *w, const struct gw_journal_lane *lane)
{
    const uint64_t *row = row_of(w, lane->stream);
    uint64_t committed = row ? *row : 0;
    if (lane->last_seq < lane->expected)
        abort();
    return lane->stream == 0 || (lane->adopt ? committed <= lane->expected : committed == lane->expected);
}

static void store(struct world *w, const struct gw_journal_lane *lane)
{
    if (lane->stream == 0)
        return;
    uint64_t *committed = row_of(w, lane->stream);
    if (!committed) {
        if (w->row_count == ROWS_MAX)
            abort();
        w->rows[w->row_count].stream = lane->stream;
        committed = &w->rows[w->row_count++].committed;
    }
    *committed = lane->last_seq;
}

/* The oldest batch, as the journal does it: all or nothing, and only onto the rows that it was made for. */
static void commit(struct world *w, int status)
{
    if (w->queued == 0)
        return;
    struct gw_session_batch *batch = w->queue[0];
    memmove(w->queue, w->queue + 1, --w->queued * sizeof w->queue[0]);
    const struct gw_journal_lane *lanes = batch->admitted.write.lanes;
    if (status == 0 && (!matches(w, &lanes[0]) || !matches(w, &lanes[1])))
        status = GW_ESTALE;
    if (status == GW_ESTALE && !w->failed) /* only what follows a failed one may not fit */
        abort();
    w->failed |= status != 0;
    for (unsigned lane = 0; status == 0 && lane < TRIB_LANE_COUNT; lane++)
        store(w, &lanes[lane]);
    gw_registry_batch_ends(registry, &batch->seat);
    gw_session_committed(&w->session, batch, status);
    on_give(w, batch);
}

static void set_up(void)
{
    static const uint8_t secret[32] = {3};
    struct gw_pseudonym_key *pseudonym;
    struct gw_seal_key *seal;
    if (gw_pseudonym_key_new(secret, sizeof secret, "k", &pseudonym, NULL) != 0 ||
        gw_seal_key_new(secret, sizeof secret, "s", &seal, NULL) != 0 || !(registry = gw_registry_new(4)))
        abort();
    policy = (struct gw_admit_policy){.pseudonym = pseudonym, .seal = seal, .max_event_bytes = 256};
}

/* A HELLO that is right, so that most inputs get past it. */
static void greet(struct world *w, uint64_t now_ms)
{
    struct trib_wire_hello hello = {.device = {"d1", 2},
                                    .version = TRIB_WIRE_VERSION,
                                    .streams = {{1, 1, 0, 0}, {2, 10, 5, 1}},
                                    .stream_count = 2};
    uint8_t bytes[256];
    size_t len;
    if (trib_wire_hello_encode(&hello, bytes, sizeof bytes, &len) != 0)
        abort();
    gw_session_receive(&w->session, bytes, len, now_ms);
}

static void step(struct world *w, uint8_t what, const uint8_t *bytes, size_t len, uint64_t *now_ms)
{
    uint8_t *copy = malloc(len ? len : 1); /* exact, for the sanitizer */
    if (!copy)
        abort();
    if (len > 0)
        memcpy(copy, bytes, len);
    switch (what % 8) {
    case 0:
    case 1:
    case 2:
    case 3:
        gw_session_receive(&w->session, copy, len, *now_ms);
        break;
    case 4:
        commit(w, 0);
        break;
    case 5:
        gw_session_flush(&w->session);
        break;
    case 6:
        *now_ms += what * 100u;
        gw_session_tick(&w->session, *now_ms);
        break;
    case 7:
        commit(w, what & 8 ? GW_EFULL : 0);
        break;
    }
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!registry)
        set_up();
    if (size < 1)
        return 0;
    static struct world w;
    memset(&w, 0, sizeof w);
    uint64_t now_ms = 1000;
    gw_session_open(&w.session, &RULES, &EDGE, &w, "d1", data[0] & 1, now_ms);
    if (data[0] & 2 && !(data[0] & 1))
        greet(&w, now_ms);
    size_t at = 1;
    while (at + 3 <= size) {
        size_t len = (size_t)data[at + 1] << 8 | data[at + 2];
        len = len < size - at - 3 ? len : size - at - 3;
        step(&w, data[at], data + at + 3, len, &now_ms);
        at += 3 + len;
    }
    while (w.queued > 0)
        commit(&w, 0);
    gw_session_lost(&w.session);
    if (w.session.seat.entry)
        gw_registry_leave(registry, &w.session.seat);
    if (w.batches_out != 0 || w.session.in_flight_bytes != 0 || gw_registry_count(registry) != 0)
        abort();
    return 0;
}
