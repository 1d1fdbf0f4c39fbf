#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/clock.h"
#include "ingest/handshake.h"
#include "ingest/ingest_internal.h"
#include "ingest/tls.h"
#include "ingest/upgrade.h"
#include "observe/address.h"
#include "observe/log.h"
#include "observe/metrics.h"

/* A peer that sends but does not read would make this grow: beyond it the connection is cut. */
#define OUT_MAX (256u << 10)
#define OUT_CHUNK 16384u
#define SPARE_BYTES_MAX (8u << 20) /* of all threads */
/* TLS handshake and HTTP request together. */
#define HEAD_MS 10000
/* How long the peer may take to read our last word before the socket goes. */
#define LINGER_MS 2000

static struct gw_ingest *ingest_of(const struct gw_connection *connection)
{
    return connection->thread->ingest;
}

/* --- table --- */

static struct gw_connection_slot *free_slot(struct gw_ingest_thread *thread)
{
    struct gw_connection_slot *slot = thread->free_slot;
    if (slot)
        thread->free_slot = slot->next_free;
    else if (thread->slot_count < thread->slot_limit)
        slot = &thread->slots[thread->slot_count++];
    return slot;
}

struct gw_connection *gw_connection_new(struct gw_ingest_thread *thread, struct lws *wsi)
{
    struct gw_connection *connection = calloc(1, sizeof *connection);
    struct gw_connection_slot *slot = connection ? free_slot(thread) : NULL;
    if (!slot) {
        free(connection);
        return NULL;
    }
    slot->connection = connection;
    if (++slot->generation == 0)
        slot->generation = 1;
    connection->thread = thread;
    connection->wsi = wsi;
    connection->number = thread->accepted++;
    connection->waiting = connection->counted = true;
    atomic_fetch_add_explicit(&thread->waiting, 1, memory_order_relaxed);
    atomic_fetch_add(&thread->ingest->open_total, 1);
    connection->deadline_ms = gw_clock_mono_ms() + HEAD_MS;
    connection->id =
        (uint64_t)thread->index << 56 | (uint64_t)slot->generation << 24 | (uint64_t)(slot - thread->slots);
    gw_frame_reader_init(&connection->frames);
    thread->open_count++;
    return connection;
}

/* It has said what it wants, was refused, or is gone. */
static void waits_no_more(struct gw_connection *connection)
{
    if (connection->waiting)
        atomic_fetch_sub_explicit(&connection->thread->waiting, 1, memory_order_relaxed);
    connection->waiting = false;
}

/* It is closed, or will be within a turn of the loop. */
static void counts_no_more(struct gw_connection *connection)
{
    waits_no_more(connection);
    if (connection->counted)
        atomic_fetch_sub(&ingest_of(connection)->open_total, 1);
    connection->counted = false;
}

struct gw_connection *gw_connection_find(struct gw_ingest_thread *thread, uint64_t id)
{
    size_t slot = id & 0xffffff;
    if (slot >= thread->slot_count || thread->slots[slot].generation != (uint32_t)(id >> 24))
        return NULL;
    return thread->slots[slot].connection;
}

void gw_connection_closed(struct gw_connection *connection)
{
    struct gw_ingest *ingest = ingest_of(connection);
    struct gw_connection_slot *slot = &connection->thread->slots[connection->id & 0xffffff];
    slot->connection = NULL;
    slot->next_free = connection->thread->free_slot;
    connection->thread->free_slot = slot;
    connection->thread->open_count--;
    counts_no_more(connection);
    gw_session_lost(&connection->session);
    if (connection->session.rules) { /* it was a websocket */
        atomic_fetch_sub(&ingest->websockets, 1);
        gw_metric_sub(GW_METRIC_CONNECTIONS, 1);
    }
    if (connection->has_seat)
        gw_registry_leave(ingest->registry, &connection->session.seat);
    /* What is in flight still uses its memory: those bytes come back with each batch. */
    if (connection->reserved_bytes > connection->session.in_flight_bytes)
        atomic_fetch_add(&ingest->budget_left_bytes,
                         connection->reserved_bytes - connection->session.in_flight_bytes);
    gw_frame_reader_free(&connection->frames);
    free(connection->head);
    free(connection->out);
    free(connection);
}

/* --- output --- */

static bool make_room(struct gw_connection *connection, size_t needed)
{
    if (needed <= connection->out_capacity)
        return true;
    size_t capacity = needed < 512 ? 512 : needed * 2;
    uint8_t *grown = needed <= OUT_MAX ? realloc(connection->out, LWS_PRE + capacity) : NULL;
    if (!grown)
        return false;
    connection->out = grown;
    connection->out_capacity = capacity;
    return true;
}

static void put(struct gw_connection *connection, const void *data, size_t len)
{
    size_t needed = connection->out_len + len;
    if (!connection->wsi || connection->cut)
        return;
    if (!make_room(connection, needed)) {
        connection->cut = true; /* the next tick closes it: here libwebsockets may be in the middle of it */
        connection->deadline_ms = 0;
        return;
    }
    memcpy(connection->out + LWS_PRE + connection->out_len, data, len);
    connection->out_len = needed;
    if (!connection->thread->sends_at_once)
        lws_callback_on_writable(connection->wsi);
}

/*
 * Acks of a commit go out at once: asking to be called when the socket is writable costs two epoll_ctl and a turn of the
 * loop for each. What the socket does not take, libwebsockets keeps, and it is not asked again before that is out.
 */
void gw_connection_send_now(struct gw_connection *connection)
{
    if (!connection->wsi || connection->out_len == 0)
        return;
    bool plain = connection->phase == GW_CONNECTION_WEBSOCKET && connection->out_len <= OUT_CHUNK &&
                 !lws_partial_buffered(connection->wsi);
    if (!plain) {
        lws_callback_on_writable(connection->wsi);
        return;
    }
    size_t len = connection->out_len;
    connection->out_len = 0;
    if (lws_write(connection->wsi, connection->out + LWS_PRE, len, LWS_WRITE_RAW) < 0) {
        connection->cut = true; /* the next tick closes it */
        connection->deadline_ms = 0;
    }
}

static void put_frame(struct gw_connection *connection, unsigned opcode, const void *data, size_t len)
{
    uint8_t header[GW_FRAME_HEADER_MAX];
    if (connection->phase != GW_CONNECTION_WEBSOCKET)
        return;
    put(connection, header, gw_frame_header(opcode, len, header));
    if (len > 0)
        put(connection, data, len);
}

/*
 * Nothing more will be said. The socket is not closed at once: closing with unread input sends a reset that can
 * destroy our last word on its way.
 */
static void start_closing(struct gw_connection *connection)
{
    connection->phase = GW_CONNECTION_CLOSING;
    waits_no_more(connection);
    if (!connection->cut)
        connection->deadline_ms = gw_clock_mono_ms() + LINGER_MS;
}

static void close_websocket(struct gw_connection *connection, unsigned code)
{
    uint8_t payload[2] = {(uint8_t)(code >> 8), (uint8_t)code};
    if (connection->phase != GW_CONNECTION_WEBSOCKET)
        return;
    put_frame(connection, GW_FRAME_CLOSE, payload, code == GW_CLOSE_NO_STATUS ? 0 : sizeof payload);
    start_closing(connection);
}

/*
 * All is out; libwebsockets has nothing left either, else it would not have called. After a close handshake the
 * server closes the socket (RFC 6455 §7.1.1). A peer from which no close frame can come is told that nothing follows.
 */
static int said_all(struct gw_connection *connection)
{
    if (connection->peer_closed)
        return -1;
    bool no_handshake = connection->deaf || !connection->session.rules;
    if (connection->phase == GW_CONNECTION_CLOSING && no_handshake && !connection->told_end) {
        connection->told_end = true;
        SSL_shutdown(lws_get_ssl(connection->wsi));
        ERR_clear_error();
    }
    return 0;
}

int gw_connection_writable(struct gw_connection *connection)
{
    size_t len = connection->out_len < OUT_CHUNK ? connection->out_len : OUT_CHUNK;
    if (len == 0)
        return said_all(connection);
    uint8_t *begin = connection->out + LWS_PRE;
    if (lws_write(connection->wsi, begin, len, LWS_WRITE_RAW) < 0)
        return -1;
    connection->out_len -= len; /* what the socket did not take, libwebsockets keeps */
    if (connection->out_len > 0)
        memmove(begin, begin + len, connection->out_len);
    if (connection->out_len > 0 || connection->phase == GW_CONNECTION_CLOSING) {
        lws_callback_on_writable(connection->wsi);
    } else if (connection->out_capacity > OUT_CHUNK) {
        free(connection->out);
        connection->out = NULL;
        connection->out_capacity = 0;
    }
    return 0;
}

/* --- what a session asks of us --- */

static void edge_send(void *context, const uint8_t *message, size_t len)
{
    struct gw_connection *connection = context;
    put_frame(connection, connection->session.text ? GW_FRAME_TEXT : GW_FRAME_BINARY, message, len);
}

static void edge_ping(void *context)
{
    put_frame(context, GW_FRAME_PING, NULL, 0);
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
    close_websocket(context, close_code(reason));
}

static void edge_get_time(void *context, struct gw_session_time *out)
{
    const struct gw_connection *connection = context;
    gw_clock_utc_with(&connection->thread->clock, out);
}

static int edge_stream_get(void *context, const char *device, uint64_t stream, struct gw_journal_stream *out)
{
    struct gw_connection *connection = context;
    return gw_journal_stream_get(ingest_of(connection)->deps.journal, device, stream, out);
}

static int edge_claim(void *context, const char *device, struct gw_registry_seat *out_seat)
{
    struct gw_connection *connection = context;
    struct gw_ingest *ingest = ingest_of(connection);
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
    if (gw_registry_settled(ingest_of(connection)->registry, seat))
        return true;
    /* The flag, then another look: the committer ends batches first and looks at the flag then. */
    atomic_store(&connection->thread->settling, true);
    return gw_registry_settled(ingest_of(connection)->registry, seat);
}

/*
 * A part of what is left after every connection that may still come has its guaranteed window: the first ones get all
 * they want, late ones less, and none is sent away.
 */
static uint64_t share_of(const struct gw_ingest *ingest, uint64_t left, uint32_t want)
{
    uint32_t limit = ingest->deps.config->limits.connections, open = atomic_load(&ingest->websockets);
    uint64_t others = open < limit ? (uint64_t)ingest->guaranteed_bytes * (limit - open) : 0;
    uint64_t share = left > others ? (left - others) / 16 : 0;
    if (share < ingest->guaranteed_bytes)
        share = ingest->guaranteed_bytes;
    if (share > want)
        share = want;
    return share < left ? share : left;
}

static uint32_t edge_reserve(void *context, uint32_t want, uint32_t least)
{
    struct gw_connection *connection = context;
    struct gw_ingest *ingest = ingest_of(connection);
    uint64_t left = atomic_load(&ingest->budget_left_bytes), take;
    do {
        take = share_of(ingest, left, want);
        if (take < least)
            return 0;
    } while (!atomic_compare_exchange_weak(&ingest->budget_left_bytes, &left, left - take));
    connection->reserved_bytes = take;
    return (uint32_t)take;
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
    gw_committer_queue(ingest_of(connection)->committer, batch);
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
    .batch_take = edge_batch_take,
    .batch_give = edge_batch_give,
    .batch_queue = edge_batch_queue,
};

/* --- the HTTP request --- */

static void refuse(struct gw_connection *connection, int status, const char *reason)
{
    char response[512], peer[GW_ADDRESS_TEXT_MAX], address[64];
    size_t len = gw_handshake_error_response(response, sizeof response, status, reason);
    lws_get_peer_simple(connection->wsi, address, sizeof address);
    gw_metric_add(GW_METRIC_UPGRADES_REFUSED, 1);
    gw_log(GW_LOG_WARNING, "ingest.refused", "an upgrade to a websocket was refused",
           GW_UINT("status", (unsigned)status), GW_TEXT("reason", reason),
           GW_TEXT("peer", gw_address_truncate_text(address, peer)));
    put(connection, response, len < sizeof response ? len : sizeof response - 1);
    start_closing(connection);
}

static bool take_place(struct gw_ingest *ingest)
{
    if (atomic_fetch_add(&ingest->websockets, 1) < ingest->deps.config->limits.connections)
        return true;
    atomic_fetch_sub(&ingest->websockets, 1);
    return false;
}

static void upgrade(struct gw_connection *connection, size_t head_len)
{
    struct gw_ingest *ingest = ingest_of(connection);
    struct gw_handshake_request request;
    struct gw_upgrade accepted;
    const char *reason = "";
    char certified[TRIB_WIRE_DEVICE_BYTES_MAX + 1], accept[GW_HANDSHAKE_ACCEPT_LEN + 1], response[512];
    int status = gw_handshake_parse(connection->head, head_len, &request, &reason);
    if (status == 0) {
        struct gw_session_time now;
        gw_clock_utc(&now);
        enum gw_tls_identity identity = gw_tls_peer_device(lws_get_ssl(connection->wsi), certified);
        status = gw_upgrade_decide(ingest->deps.config, ingest->keys, &request, identity, certified,
                                   now.utc_ms / 1000, &accepted, &reason);
    }
    if (status == 0 && gw_handshake_accept(request.key, accept) != GW_OK) {
        status = 400;
        reason = "the websocket key cannot be used";
    }
    if (status == 0 && !take_place(ingest)) {
        status = 503;
        reason = "the gateway has as many connections as it may";
    }
    if (status != 0) {
        refuse(connection, status, reason);
        return;
    }
    put(connection, response,
        gw_handshake_upgrade_response(response, sizeof response, accept, accepted.subprotocol));
    connection->deadline_ms = UINT64_MAX;
    lws_set_timeout(connection->wsi, NO_PENDING_TIMEOUT, 0);
    connection->phase = GW_CONNECTION_WEBSOCKET;
    waits_no_more(connection);
    gw_metric_add(GW_METRIC_CONNECTIONS, 1);
    gw_session_open(&connection->session, &ingest->rules, &gw_connection_edge, connection, accepted.device,
                    accepted.text, gw_clock_mono_ms());
}

static int receive_frames(struct gw_connection *connection, uint8_t *data, size_t len);

static int receive_head(struct gw_connection *connection, const uint8_t *data, size_t len)
{
    if (!connection->head && !(connection->head = malloc(GW_HANDSHAKE_HEAD_MAX)))
        return -1;
    size_t room = GW_HANDSHAKE_HEAD_MAX - connection->head_len, used = len < room ? len : room;
    memcpy(connection->head + connection->head_len, data, used);
    connection->head_len += used;
    size_t head_len = gw_handshake_head_len(connection->head, connection->head_len);
    if (head_len == 0) {
        if (connection->head_len == GW_HANDSHAKE_HEAD_MAX)
            refuse(connection, 431, "the request is larger than 8 KiB");
        return 0;
    }
    upgrade(connection, head_len);
    /* Frames may follow at once. Those that did not fit belong to no honest client: it waits for our answer. */
    uint8_t *head = connection->head;
    size_t rest = connection->head_len - head_len;
    connection->head = NULL;
    int result = 0;
    if (connection->phase == GW_CONNECTION_WEBSOCKET && used < len)
        result = -1;
    else if (connection->phase == GW_CONNECTION_WEBSOCKET && rest > 0)
        result = receive_frames(connection, head + head_len, rest);
    free(head);
    return result;
}

/* --- frames --- */

static void receive_message(struct gw_connection *connection, const struct gw_frame *frame)
{
    bool text = frame->opcode == GW_FRAME_TEXT;
    if (text != connection->session.text)
        gw_session_bye(&connection->session, TRIB_BYE_PROTOCOL, 0,
                       text ? "a text frame on the binary protocol" : "a binary frame on the text protocol");
    else if (!connection->draining)
        gw_session_receive(&connection->session, frame->data, frame->len, gw_clock_mono_ms());
}

static void receive_control(struct gw_connection *connection, const struct gw_frame *frame)
{
    gw_session_heard(&connection->session, gw_clock_mono_ms());
    if (frame->opcode == GW_FRAME_PING)
        put_frame(connection, GW_FRAME_PONG, frame->data, frame->len);
    if (frame->opcode == GW_FRAME_CLOSE) {
        gw_session_lost(&connection->session);
        close_websocket(connection, frame->code);
        connection->peer_closed = true; /* RFC 6455 §7.1.1: now it is the server that closes the socket */
        lws_callback_on_writable(connection->wsi);
    }
}

static void frame_broken(struct gw_connection *connection, const struct gw_frame *frame)
{
    gw_log(GW_LOG_WARNING, "ingest.frame", frame->text, GW_TEXT("device", connection->session.device),
           GW_UINT("close_code", frame->code));
    if (frame->code == GW_CLOSE_TOO_LARGE)
        gw_session_bye(&connection->session, TRIB_BYE_TOO_LARGE, 0, frame->text);
    else if (frame->code == GW_CLOSE_PROTOCOL)
        gw_session_bye(&connection->session, TRIB_BYE_PROTOCOL, 0, frame->text);
    gw_session_lost(&connection->session);
    close_websocket(connection, frame->code);
    connection->deaf = true;
}

static int receive_frames(struct gw_connection *connection, uint8_t *data, size_t len)
{
    for (size_t used = 0; !connection->deaf && !connection->peer_closed;) {
        struct gw_frame frame;
        used += gw_frame_read(&connection->frames, data + used, len - used,
                              gw_session_message_limit(&connection->session), &frame);
        switch (frame.kind) {
        case GW_FRAME_MORE:
            gw_session_heard(&connection->session, gw_clock_mono_ms());
            return 0;
        case GW_FRAME_MESSAGE:
            receive_message(connection, &frame);
            break;
        case GW_FRAME_CONTROL:
            receive_control(connection, &frame);
            break;
        case GW_FRAME_BROKEN:
            frame_broken(connection, &frame);
            break;
        }
    }
    return 0;
}

int gw_connection_received(struct gw_connection *connection, uint8_t *data, size_t len)
{
    switch (connection->phase) {
    case GW_CONNECTION_HEAD:
        return receive_head(connection, data, len);
    case GW_CONNECTION_WEBSOCKET:
        return receive_frames(connection, data, len);
    case GW_CONNECTION_CLOSING: /* a close frame still counts, the rest is thrown away */
        return connection->session.rules ? receive_frames(connection, data, len) : 0;
    }
    return -1;
}

/* --- time --- */

/* Not from within a libwebsockets call about this connection. May free it. */
static void cut(struct gw_connection *connection)
{
    counts_no_more(connection);
    struct lws *wsi = connection->wsi;
    connection->wsi = NULL;
    lws_set_timeout(wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_SYNC);
}

void gw_connection_tick(struct gw_connection *connection, uint64_t now_ms)
{
    if (connection->phase == GW_CONNECTION_WEBSOCKET)
        gw_session_tick(&connection->session, now_ms);
    if (now_ms >= connection->deadline_ms && connection->wsi)
        cut(connection);
}

bool gw_connection_evict(struct gw_ingest_thread *thread)
{
    struct gw_connection *oldest = NULL;
    for (size_t i = 0; i < thread->slot_count; i++) {
        struct gw_connection *connection = thread->slots[i].connection;
        if (connection && connection->wsi && connection->phase == GW_CONNECTION_HEAD &&
            (!oldest || connection->number < oldest->number))
            oldest = connection;
    }
    if (oldest)
        cut(oldest);
    return oldest != NULL;
}

void gw_connection_drain(struct gw_connection *connection)
{
    connection->draining = true;
    if (connection->phase == GW_CONNECTION_HEAD)
        refuse(connection, 503, "the gateway is going down");
    else if (connection->phase == GW_CONNECTION_WEBSOCKET && connection->session.in_flight_bytes == 0)
        gw_session_bye(&connection->session, TRIB_BYE_DRAINING, connection->session.rules->drain_retry_ms,
                       "the gateway is going down for a moment");
}
