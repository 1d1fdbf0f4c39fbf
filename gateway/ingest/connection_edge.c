/* What a session asks of its connection and of the gateway. */
#include <stdlib.h>
#include <string.h>

#include "ingest/clock.h"
#include "ingest/connection_internal.h"

#define SPARE_BYTES_MAX (8u << 20) /* of all threads */
#define SCARCE_PART 16u            /* memory is scarce when less than this part of it is spare */

static void edge_send(void *context, const uint8_t *message, size_t len)
{
    struct gw_connection *connection = context;
    gw_connection_put_frame(connection, connection->session.text ? GW_FRAME_TEXT : GW_FRAME_BINARY, message,
                            len);
}

static void edge_ping(void *context)
{
    gw_connection_put_frame(context, GW_FRAME_PING, NULL, 0);
}

static unsigned close_code(unsigned bye)
{
    switch (bye) {
    case TRIB_BYE_DRAINING:
        return GW_CLOSE_GOING_AWAY;
    case TRIB_BYE_PROTOCOL:
    case TRIB_BYE_VERSION:
        return GW_CLOSE_PROTOCOL;
    case TRIB_BYE_TOO_LARGE:
        return GW_CLOSE_TOO_LARGE;
    case TRIB_BYE_UNAVAILABLE:
        return GW_CLOSE_TRY_LATER;
    case 0:
        return GW_CLOSE_NORMAL;
    default:
        return GW_CLOSE_POLICY;
    }
}

static void edge_close(void *context, unsigned reason)
{
    gw_connection_close_websocket(context, close_code(reason));
}

static void edge_get_time(void *context, struct gw_session_time *out)
{
    const struct gw_connection *connection = context;
    gw_clock_utc_with(&connection->thread->clock, out);
}

static int edge_stream_get(void *context, const char *device, uint64_t stream, struct gw_journal_stream *out)
{
    struct gw_connection *connection = context;
    return gw_journal_stream_get(gw_connection_ingest(connection)->deps.journal, device, stream, out);
}

static int edge_claim(void *context, const char *device, struct gw_registry_seat *out_seat)
{
    struct gw_connection *connection = context;
    struct gw_ingest *ingest = gw_connection_ingest(connection);
    if (!gw_ingest_can_store(ingest))
        return GW_EAGAIN;
    uint64_t previous;
    int result = gw_registry_claim(ingest->registry, device, connection->id, out_seat, &previous);
    if (result != GW_OK)
        return result;
    connection->has_seat = true;
    if (previous != 0)
        gw_ingest_thread_replaced(&ingest->threads[previous >> 56], previous);
    return GW_OK;
}

static bool edge_settled(void *context, const struct gw_registry_seat *seat)
{
    struct gw_connection *connection = context;
    if (gw_registry_settled(gw_connection_ingest(connection)->registry, seat))
        return true;
    /* The flag, then another look: the committer ends batches first and looks at the flag then. */
    atomic_store(&connection->thread->settling, true);
    return gw_registry_settled(gw_connection_ingest(connection)->registry, seat);
}

/* What is left when each connection that has no window yet, or may still come, has its first one. */
static uint64_t spare_of(const struct gw_ingest *ingest, uint64_t left)
{
    uint32_t limit = ingest->deps.config->limits.connections, have = atomic_load(&ingest->windows);
    uint64_t others = have < limit ? (uint64_t)ingest->guaranteed_bytes * (limit - have) : 0;
    return left > others ? left - others : 0;
}

static uint32_t edge_reserve(void *context, uint32_t want, uint32_t least)
{
    struct gw_connection *connection = context;
    struct gw_ingest *ingest = gw_connection_ingest(connection);
    uint64_t left = atomic_load(&ingest->budget_left_bytes), take;
    do {
        take = want < ingest->guaranteed_bytes ? want : ingest->guaranteed_bytes;
        if (take > left)
            take = left;
        if (take < least)
            return 0;
    } while (!atomic_compare_exchange_weak(&ingest->budget_left_bytes, &left, left - take));
    connection->reserved_bytes = take;
    atomic_fetch_add(&ingest->windows, 1);
    return (uint32_t)take;
}

static bool is_scarce(const struct gw_ingest *ingest, uint64_t left)
{
    return spare_of(ingest, left) < ingest->deps.config->limits.memory_bytes / SCARCE_PART;
}

/* At most a part of what is spare, so that one leaves something for the next. */
static uint32_t edge_widen(void *context, uint32_t want)
{
    struct gw_connection *connection = context;
    struct gw_ingest *ingest = gw_connection_ingest(connection);
    uint64_t left = atomic_load(&ingest->budget_left_bytes), take;
    do {
        if (is_scarce(ingest, left))
            return 0;
        take = spare_of(ingest, left) / SCARCE_PART;
        take = take < want ? take : want;
    } while (!atomic_compare_exchange_weak(&ingest->budget_left_bytes, &left, left - take));
    connection->reserved_bytes += take;
    return (uint32_t)take;
}

static bool edge_narrow(void *context, uint32_t bytes)
{
    struct gw_connection *connection = context;
    struct gw_ingest *ingest = gw_connection_ingest(connection);
    if (!is_scarce(ingest, atomic_load(&ingest->budget_left_bytes)))
        return false;
    connection->reserved_bytes -= bytes;
    atomic_fetch_add(&ingest->budget_left_bytes, bytes);
    return true;
}

static uint64_t edge_allow(void *context, uint64_t want)
{
    struct gw_connection *connection = context;
    const char *device = connection->session.device;
    return gw_rates_take(gw_connection_ingest(connection)->event_rates, device, strlen(device), want,
                         gw_clock_mono_ms());
}

static bool edge_held(void *context)
{
    struct gw_connection *connection = context;
    return atomic_load_explicit(&gw_connection_ingest(connection)->held, memory_order_relaxed);
}

static struct gw_session_batch *edge_batch_take(void *context)
{
    struct gw_connection *connection = context;
    struct gw_ingest_thread *thread = connection->thread;
    struct gw_session_batch *batch = thread->spare;
    if (batch) {
        thread->spare = batch->next;
        thread->spare_bytes -= batch->arena.chunk_bytes;
    } else {
        batch = calloc(1, sizeof *batch);
        if (!batch)
            return NULL;
        /* An entry is about as long as its message; each bad event is sealed with up to a kilobyte around it. */
        const struct gw_session_rules *rules = &thread->ingest->rules;
        gw_arena_init(&batch->arena, 16384,
                      (size_t)rules->message_bytes * 8 + (size_t)rules->credit_events * 1024 + 65536);
    }
    batch->next = NULL;
    batch->connection = connection->id;
    batch->thread = thread->index;
    batch->pseudonyms = thread->pseudonyms;
    batch->schema_scratch = &thread->schema_scratch;
    return batch;
}

void gw_connection_batch_give(struct gw_ingest_thread *thread, struct gw_session_batch *batch)
{
    gw_arena_reset(&batch->arena);
    if (thread->spare_bytes + batch->arena.chunk_bytes > SPARE_BYTES_MAX / thread->ingest->thread_count) {
        gw_arena_free(&batch->arena);
        free(batch);
        return;
    }
    thread->spare_bytes += batch->arena.chunk_bytes;
    batch->next = thread->spare;
    thread->spare = batch;
}

static void edge_batch_give(void *context, struct gw_session_batch *batch)
{
    struct gw_connection *connection = context;
    gw_connection_batch_give(connection->thread, batch);
}

static void edge_batch_queue(void *context, struct gw_session_batch *batch)
{
    struct gw_connection *connection = context;
    gw_committer_queue(gw_connection_ingest(connection)->committer, batch);
}

const struct gw_session_edge gw_connection_edge = {
    .send = edge_send,
    .ping = edge_ping,
    .close = edge_close,
    .get_time = edge_get_time,
    .stream_get = edge_stream_get,
    .claim = edge_claim,
    .settled = edge_settled,
    .reserve = edge_reserve,
    .widen = edge_widen,
    .narrow = edge_narrow,
    .allow = edge_allow,
    .held = edge_held,
    .batch_take = edge_batch_take,
    .batch_give = edge_batch_give,
    .batch_queue = edge_batch_queue,
};
