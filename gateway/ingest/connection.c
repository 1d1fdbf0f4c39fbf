#include <stdlib.h>
#include <string.h>

#include "ingest/accept.h"
#include "ingest/clock.h"
#include "ingest/connection_internal.h"
#include "observe/log.h"
#include "observe/metrics.h"

/* How long one core takes for a device that comes back, twice over. */
#define RETURN_MS 2

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
    connection->peer = thread->accepting;
    connection->number = thread->accepted++;
    connection->waiting = connection->counted = true;
    thread->accepting_tallied = false; /* it is the connection's now */
    atomic_fetch_add_explicit(&thread->waiting, 1, memory_order_relaxed);
    atomic_fetch_add(&thread->ingest->open_total, 1);
    connection->deadline_ms = thread->accepting_deadline_ms;
    connection->id =
        (uint64_t)thread->index << 56 | (uint64_t)slot->generation << 24 | (uint64_t)(slot - thread->slots);
    gw_frame_reader_init(&connection->frames);
    thread->open_count++;
    return connection;
}

/* It has said what it wants, was refused, or is gone. */
void gw_connection_waits_no_more(struct gw_connection *connection)
{
    if (connection->waiting) {
        atomic_fetch_sub_explicit(&connection->thread->waiting, 1, memory_order_relaxed);
        gw_tally_leave(gw_connection_ingest(connection)->address_handshakes, &connection->peer);
        gw_accept_listen(connection->thread);
    }
    connection->waiting = false;
}

/* It is closed, or will be within a turn of the loop. */
static void counts_no_more(struct gw_connection *connection)
{
    gw_connection_waits_no_more(connection);
    if (connection->counted)
        atomic_fetch_sub(&gw_connection_ingest(connection)->open_total, 1);
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
    struct gw_ingest *ingest = gw_connection_ingest(connection);
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
    if (connection->session.granted.events > connection->session.used.events)
        gw_rates_give(ingest->event_rates, connection->session.device, strlen(connection->session.device),
                      connection->session.granted.events - connection->session.used.events,
                      gw_clock_mono_ms());
    if (connection->has_seat)
        gw_registry_leave(ingest->registry, &connection->session.seat);
    if (connection->reserved_bytes > 0)
        atomic_fetch_sub(&ingest->windows, 1);
    /* What is in flight still uses its memory: those bytes come back with each batch. */
    if (connection->reserved_bytes > connection->session.in_flight_bytes)
        atomic_fetch_add(&ingest->budget_left_bytes,
                         connection->reserved_bytes - connection->session.in_flight_bytes);
    gw_frame_reader_free(&connection->frames);
    free(connection->head);
    free(connection->out);
    free(connection);
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
        gw_connection_put_frame(connection, GW_FRAME_PONG, frame->data, frame->len);
    if (frame->opcode == GW_FRAME_CLOSE) {
        gw_session_lost(&connection->session);
        gw_connection_close_websocket(connection, frame->code);
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
    gw_connection_close_websocket(connection, frame->code);
    connection->deaf = true;
}

int gw_connection_frames(struct gw_connection *connection, uint8_t *data, size_t len)
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
        return gw_connection_head(connection, data, len);
    case GW_CONNECTION_WEBSOCKET:
        return gw_connection_frames(connection, data, len);
    case GW_CONNECTION_CLOSING: /* a close frame still counts, the rest is thrown away */
        return connection->session.rules ? gw_connection_frames(connection, data, len) : 0;
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

/* Ends it if what let it in does not any more. */
static void judge(struct gw_connection *connection, int64_t now_s)
{
    const char *text = "";
    enum trib_bye reason = gw_proof_refusal(&connection->proof, connection->thread->settings->credentials,
                                            connection->session.device, now_s, &text);
    if (reason == 0)
        return;
    gw_metric_add(reason == TRIB_BYE_TIMEOUT ? GW_METRIC_EXPIRED : GW_METRIC_REVOKED, 1);
    gw_session_bye(&connection->session, reason, 0, text);
}

void gw_connection_tick(struct gw_connection *connection, uint64_t now_ms)
{
    int64_t now_s = (int64_t)(connection->thread->clock.utc_ms / 1000);
    if (connection->phase == GW_CONNECTION_WEBSOCKET && now_s >= connection->proof.valid_until_s)
        judge(connection, now_s);
    if (connection->phase == GW_CONNECTION_WEBSOCKET)
        gw_session_tick(&connection->session, now_ms);
    if (now_ms >= connection->deadline_ms && connection->wsi)
        cut(connection);
}

bool gw_connection_evict(struct gw_ingest_thread *thread, uint64_t least_ms)
{
    uint32_t timeout_ms = thread->ingest->deps.config->limits.handshake_timeout_ms;
    struct gw_connection *oldest = NULL;
    for (size_t i = 0; i < thread->slot_count; i++) {
        struct gw_connection *connection = thread->slots[i].connection;
        if (connection && connection->wsi && connection->phase == GW_CONNECTION_HEAD &&
            (!oldest || connection->number < oldest->number))
            oldest = connection;
    }
    /* Its deadline says when it came. */
    if (oldest && least_ms > 0 && gw_clock_mono_ms() + timeout_ms < oldest->deadline_ms + least_ms)
        return false;
    if (oldest)
        cut(oldest);
    return oldest != NULL;
}

void gw_connection_settings(struct gw_connection *connection)
{
    if (connection->session.rules) /* also where it is closing: the old ones are freed */
        gw_session_reload(&connection->session, &connection->thread->settings->rules);
    if (connection->phase == GW_CONNECTION_WEBSOCKET)
        judge(connection, (int64_t)(connection->thread->clock.utc_ms / 1000));
}

/* Each at a time of its own: the window is full only where there are many. */
static uint64_t come_back_ms(const struct gw_connection *connection)
{
    struct gw_ingest *ingest = gw_connection_ingest(connection);
    const struct gw_session_rules *rules = connection->session.rules;
    uint64_t count = ingest->drain_count ? ingest->drain_count : 1, window_ms = count * RETURN_MS;
    if (window_ms > rules->drain_window_ms)
        window_ms = rules->drain_window_ms;
    return rules->drain_retry_ms + window_ms * (atomic_fetch_add(&ingest->drain_order, 1) % count) / count;
}

void gw_connection_drain(struct gw_connection *connection)
{
    connection->draining = true;
    if (connection->phase == GW_CONNECTION_HEAD)
        gw_connection_refuse(connection, 503, "the gateway is going down");
    else if (connection->phase == GW_CONNECTION_WEBSOCKET && connection->session.in_flight_bytes == 0 &&
             connection->session.state != GW_SESSION_CLOSED)
        gw_session_bye(&connection->session, TRIB_BYE_DRAINING, come_back_ms(connection),
                       "the gateway is going down for a moment");
}
