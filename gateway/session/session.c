#include "session/session_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "observe/log.h"
#include "observe/metrics.h"
#include "session/json_codec.h"

/* What a batch of one event has around it, with room to spare: less credit than this and an event is of no use. */
#define BATCH_OVERHEAD 1024

void gw_session_open(struct gw_session *session, const struct gw_session_rules *rules,
                     const struct gw_session_edge *edge, void *context, const char *device, bool text,
                     uint64_t now_ms)
{
    *session = (struct gw_session){.rules = rules,
                                   .edge = edge,
                                   .context = context,
                                   .text = text,
                                   .opened_ms = now_ms,
                                   .heard_ms = now_ms,
                                   .pinged_ms = now_ms};
    snprintf(session->device, sizeof session->device, "%s", device);
}

uint32_t gw_session_message_limit(const struct gw_session *session)
{
    return session->state == GW_SESSION_HELLO ? TRIB_WIRE_HELLO_BYTES_MAX : session->rules->message_bytes;
}

void gw_session_send(struct gw_session *session, const uint8_t *message, size_t len)
{
    char text[SESSION_SEND_TEXT_MAX];
    size_t text_len;
    if (!session->text)
        session->edge->send(session->context, message, len);
    else if (gw_cbor_to_json(message, len, text, sizeof text, &text_len) == GW_OK)
        session->edge->send(session->context, (const uint8_t *)text, text_len);
}

void gw_session_bye(struct gw_session *session, enum trib_bye reason, uint64_t retry_after_ms,
                    const char *text)
{
    if (session->state == GW_SESSION_CLOSED)
        return;
    struct trib_wire_bye bye = {
        .reason = reason, .retry_after_ms = retry_after_ms, .text = {.ptr = text, .len = strlen(text)}};
    for (; reason == TRIB_BYE_DRAINING && bye.alternate_count < session->rules->alternate_count;
         bye.alternate_count++) {
        const char *alternate = session->rules->alternates[bye.alternate_count];
        bye.alternates[bye.alternate_count] = (struct trib_text){alternate, strlen(alternate)};
    }
    uint8_t message[SESSION_SEND_MAX];
    size_t len;
    if (trib_wire_bye_encode(&bye, message, sizeof message, &len) == 0)
        gw_session_send(session, message, len);
    session->state = GW_SESSION_CLOSED;
    gw_metric_add(GW_METRIC_BYES, 1);
    gw_log(GW_LOG_INFO, "session.bye", text, GW_TEXT("device", session->device), GW_UINT("reason", reason));
    session->edge->close(session->context, reason);
}

void gw_session_lost(struct gw_session *session)
{
    session->state = GW_SESSION_CLOSED;
}

struct gw_session_stream *gw_session_find(struct gw_session *session, uint64_t stream)
{
    for (size_t i = 0; i < session->stream_count; i++)
        if (session->streams[i].stream == stream)
            return &session->streams[i];
    return NULL;
}

/* A stream that was closed, or is older than the device's erasure. What waits in it goes on in a new one: a committed seq
 * that the device never had makes it do that, as after any roll-back. */
static bool is_closed(const struct gw_session *session, const struct gw_journal_stream *row)
{
#ifdef GW_MUTANT_NO_GENERATION
    (void)session;
    return row->closed;
#else
    return row->closed || (row->committed > 0 && row->generation < session->device_generation);
#endif
}

int gw_session_add(struct gw_session *session, uint64_t stream, struct gw_session_stream **out,
                   struct gw_journal_stream *out_row)
{
    if (stream == 0)
        return GW_EINVALID;
    if (session->stream_count == TRIB_WIRE_STREAMS_MAX)
        return GW_EFULL;
    struct gw_journal_stream row = {0};
    int result = session->edge->stream_get(session->context, session->device, stream, &row);
    if (result != GW_OK && result != GW_ENOTFOUND)
        return result;
    if (is_closed(session, &row))
        return GW_ESTALE;
    struct gw_session_stream *added = &session->streams[session->stream_count++];
    *added =
        (struct gw_session_stream){.stream = stream, .committed = row.committed, .queued = row.committed};
    *out = added;
    *out_row = row;
    return GW_OK;
}

static bool text_is(struct trib_text text, const char *expected)
{
    return text.len == strlen(expected) && memcmp(text.ptr, expected, text.len) == 0;
}

/* HELLO's streams: kept until the WELCOME, which looks them up once older batches of the device are settled.
 */
static bool take_streams(struct gw_session *session, const struct trib_wire_hello *hello)
{
    for (size_t i = 0; i < hello->stream_count; i++) {
        const struct trib_wire_hello_stream *named = &hello->streams[i];
        if (named->stream == 0 || named->lane >= TRIB_LANE_COUNT || named->next_seq == 0 ||
            named->next_seq > SESSION_SEQ_MAX || named->acked_seq > SESSION_SEQ_MAX ||
            gw_session_find(session, named->stream))
            return false;
        session->streams[session->stream_count++] = (struct gw_session_stream){
            .stream = named->stream, .next_seq = named->next_seq, .acked_seq = named->acked_seq};
    }
    return true;
}

/*
 * Where a stream goes on. Another gateway may have acked beyond what lies here: then this one follows it. If
 * it was this very journal that acked, something here is lost.
 */
static uint64_t base_of(struct gw_session *session, struct gw_session_stream *stream,
                        const struct gw_journal_stream *row)
{
    if (row->committed >= stream->next_seq) {
        gw_metric_add(GW_METRIC_ROLLBACKS, 1);
        gw_log(GW_LOG_WARNING, "session.rollback",
               "the device is behind what it sent before (restored, cloned or lost flash); it should start a "
               "new stream",
               GW_TEXT("device", session->device), GW_HEX("stream", stream->stream),
               GW_UINT("committed", row->committed), GW_UINT("next_seq", stream->next_seq));
    }
    if (stream->acked_seq <= row->committed)
        return row->committed;
    if (!session->acked_elsewhere) {
        gw_metric_add(GW_METRIC_EVENTS_UNACCOUNTED, stream->acked_seq - row->committed);
        gw_log(GW_LOG_ERROR, "session.acked_but_missing",
               "this journal acked events that it does not hold: look for a restored or damaged data folder",
               GW_TEXT("device", session->device), GW_HEX("stream", stream->stream),
               GW_UINT("acked", stream->acked_seq), GW_UINT("committed", row->committed));
    }
    stream->adopt = true;
    return stream->acked_seq;
}

static int look_up_streams(struct gw_session *session, struct trib_wire_welcome *welcome)
{
    for (size_t i = 0; i < session->stream_count; i++) {
        struct gw_session_stream *stream = &session->streams[i];
        struct gw_journal_stream row = {0};
        int result = session->edge->stream_get(session->context, session->device, stream->stream, &row);
        if (result != GW_OK && result != GW_ENOTFOUND)
            return result;
        stream->closed = is_closed(session, &row);
        stream->committed = stream->queued =
            stream->closed ? SESSION_SEQ_MAX : base_of(session, stream, &row);
        welcome->streams[i] =
            (struct trib_wire_stream_state){.stream = stream->stream,
                                            .committed = stream->committed,
                                            .crc = stream->committed == row.committed ? row.crc : 0};
    }
    session->named_due = true;
    welcome->stream_count = session->stream_count;
    return GW_OK;
}

static bool grant_window(struct gw_session *session)
{
    const struct gw_session_rules *rules = session->rules;
    uint32_t least = rules->event_bytes + BATCH_OVERHEAD < rules->credit_bytes
                         ? rules->event_bytes + BATCH_OVERHEAD
                         : rules->credit_bytes;
    session->first_bytes = session->edge->reserve(session->context, rules->credit_bytes, least);
    session->reserved_bytes = session->first_bytes;
    if (session->reserved_bytes == 0)
        return false;
    session->owed =
        (struct trib_wire_credit){.events = rules->credit_events, .bytes = session->reserved_bytes};
    (void)gw_session_grant(session);
    return true;
}

/* False: the device has erased since its journal was as HELLO says, and nothing of that may be taken. */
static bool check_generation(struct gw_session *session)
{
    struct gw_journal_stream row = {0};
    int result = session->edge->stream_get(session->context, session->device, GW_JOURNAL_DEVICE_ROW, &row);
    if (result != GW_OK && result != GW_ENOTFOUND) {
        gw_session_bye(session, TRIB_BYE_UNAVAILABLE, SESSION_RETRY_UNAVAILABLE_MS,
                       "the journal cannot be read now");
        return false;
    }
#ifndef GW_MUTANT_NO_GENERATION
    if (session->device_generation < row.generation) {
        gw_session_bye(session, TRIB_BYE_ERASED, 0,
                       "this device was erased after its journal was as it is now: erase it again");
        return false;
    }
#endif
    return true;
}

static void send_config(struct gw_session *session)
{
    const struct gw_device_config *devices = &session->rules->devices;
    struct trib_wire_config config = {
        .version = devices->version, .map = devices->map, .map_len = devices->map_len};
    uint8_t buffer[GW_DEVICE_CONFIG_BYTES + 32];
    size_t len;
    if (trib_wire_config_encode(&config, buffer, sizeof buffer, &len) == 0)
        gw_session_send(session, buffer, len);
}

void gw_session_reload(struct gw_session *session, const struct gw_session_rules *rules)
{
    uint64_t told = session->rules->devices.version;
    session->rules = rules;
    if (session->state == GW_SESSION_OPEN && rules->devices.version != told)
        send_config(session);
}

static void welcome(struct gw_session *session)
{
    const struct gw_session_rules *rules = session->rules;
    struct trib_wire_welcome message = {
        .gateway = {.ptr = rules->gateway_id, .len = strlen(rules->gateway_id)},
        .epoch = rules->journal_epoch,
        .max_message_bytes = rules->message_bytes,
        .max_event_bytes = rules->event_bytes,
        .keepalive_ms = rules->keepalive_ms,
        .config_version = rules->devices.version};
    if (!check_generation(session))
        return;
    if (look_up_streams(session, &message) != GW_OK) {
        gw_session_bye(session, TRIB_BYE_UNAVAILABLE, SESSION_RETRY_UNAVAILABLE_MS,
                       "the journal cannot be read now");
        return;
    }
    if (!grant_window(session)) {
        gw_session_bye(session, TRIB_BYE_UNAVAILABLE, SESSION_RETRY_UNAVAILABLE_MS,
                       "the gateway's memory is spoken for");
        return;
    }
    message.credit = session->granted;
    if (message.max_message_bytes > session->first_bytes) /* a larger one might wait for ever */
        message.max_message_bytes = session->first_bytes;
    struct gw_session_time now;
    session->edge->get_time(session->context, &now);
    if (now.synchronised) {
        message.utc_ms = now.utc_ms;
        message.utc_uncertainty_ms = now.uncertainty_ms;
        message.utc_quality = TRIB_TIME_SYNCED;
    }
    uint8_t buffer[SESSION_SEND_MAX];
    size_t len;
    if (trib_wire_welcome_encode(&message, buffer, sizeof buffer, &len) != 0) {
        gw_session_bye(session, TRIB_BYE_UNAVAILABLE, SESSION_RETRY_UNAVAILABLE_MS,
                       "WELCOME could not be encoded");
        return;
    }
    session->state = GW_SESSION_OPEN;
    gw_session_send(session, buffer, len);
    if (session->config_version != rules->devices.version)
        send_config(session);
    gw_metric_add(GW_METRIC_CONNECTS, 1);
}

static void welcome_if_settled(struct gw_session *session)
{
    if (session->edge->settled(session->context, &session->seat))
        welcome(session);
}

static void hello(struct gw_session *session, const uint8_t *data, size_t len)
{
    struct trib_wire_hello message;
    int decoded = trib_wire_hello_decode(data, len, &message);
    if (decoded == TRIB_EVERSION || (decoded == 0 && message.version != TRIB_WIRE_VERSION)) {
        gw_session_bye(session, TRIB_BYE_VERSION, 0, "this gateway speaks protocol version 1");
        return;
    }
    if (decoded != 0) {
        gw_session_bye(session, TRIB_BYE_PROTOCOL, 0, "HELLO cannot be read");
        return;
    }
    if (!text_is(message.device, session->device)) {
        gw_session_bye(session, TRIB_BYE_AUTH, 0, "HELLO names another device than the credentials");
        return;
    }
    session->device_generation = message.generation;
    session->config_version = message.config_version;
    session->acked_elsewhere = !text_is(message.acked_gateway, session->rules->gateway_id) ||
                               message.acked_epoch != session->rules->journal_epoch;
    if (!take_streams(session, &message)) {
        gw_session_bye(session, TRIB_BYE_PROTOCOL, 0, "HELLO's streams are not valid");
        return;
    }
    if (session->edge->claim(session->context, session->device, &session->seat) != GW_OK) {
        gw_session_bye(session, TRIB_BYE_UNAVAILABLE, SESSION_RETRY_UNAVAILABLE_MS,
                       "the gateway cannot store now");
        return;
    }
    session->state = GW_SESSION_SETTLING;
    welcome_if_settled(session);
}

/* wire_len: as the device sent it, which is what credit counts; JSON is longer than the CBOR made from it. */
static void dispatch(struct gw_session *session, const uint8_t *message, size_t len, size_t wire_len)
{
    uint64_t type;
    size_t body;
    if (trib_wire_open(message, len, &type, &body) != 0) {
        gw_session_bye(session, TRIB_BYE_PROTOCOL, 0, "a message that cannot be read");
        return;
    }
    if (session->state == GW_SESSION_HELLO) {
        if (type == TRIB_WIRE_HELLO)
            hello(session, message, len);
        else
            gw_session_bye(session, TRIB_BYE_PROTOCOL, 0, "the first message must be HELLO");
        return;
    }
    switch (type) {
    case TRIB_WIRE_BATCH:
        if (session->state == GW_SESSION_OPEN)
            gw_session_batch(session, message, len, wire_len);
        else
            gw_session_bye(session, TRIB_BYE_PROTOCOL, 0, "BATCH before WELCOME");
        return;
    case TRIB_WIRE_HELLO:
    case TRIB_WIRE_WELCOME:
    case TRIB_WIRE_ACK:
    case TRIB_WIRE_NACK:
    case TRIB_WIRE_CONFIG:
    case TRIB_WIRE_CREDIT:
        gw_session_bye(session, TRIB_BYE_PROTOCOL, 0, "a message that a device may not send now");
        return;
    case TRIB_WIRE_BYE:
        session->state = GW_SESSION_CLOSED;
        session->edge->close(session->context, 0);
        return;
    default: /* unknown types are ignored, so that newer devices can speak to older gateways */
        return;
    }
}

static void receive_text(struct gw_session *session, const char *text, size_t len)
{
    size_t capacity = GW_JSON_CBOR_BYTES(len), cbor_len;
    uint8_t *cbor = malloc(capacity);
    struct gw_error error = {0};
    int result = cbor ? gw_json_to_cbor(text, len, cbor, capacity, &cbor_len, &error) : GW_ENOMEM;
    if (result == GW_OK) {
        dispatch(session, cbor, cbor_len, len);
    } else if (result == GW_ENOMEM) {
        gw_session_bye(session, TRIB_BYE_UNAVAILABLE, SESSION_RETRY_UNAVAILABLE_MS, "out of memory");
    } else {
        gw_session_bye(session, TRIB_BYE_PROTOCOL, 0, error.text); /* it names the place in the text */
    }
    free(cbor);
}

void gw_session_receive(struct gw_session *session, const uint8_t *message, size_t len, uint64_t now_ms)
{
    if (session->state == GW_SESSION_CLOSED)
        return;
    session->heard_ms = now_ms;
    if (len > gw_session_message_limit(session)) {
        gw_session_bye(session, TRIB_BYE_TOO_LARGE, 0, "the message is larger than allowed");
        return;
    }
    if (session->text)
        receive_text(session, (const char *)message, len);
    else
        dispatch(session, message, len, len);
}

void gw_session_heard(struct gw_session *session, uint64_t now_ms)
{
    session->heard_ms = now_ms;
}

void gw_session_tick(struct gw_session *session, uint64_t now_ms)
{
    const struct gw_session_rules *rules = session->rules;
    bool silent = now_ms - session->heard_ms >= (uint64_t)rules->keepalive_ms * 5 / 2;
    switch (session->state) {
    case GW_SESSION_HELLO:
        if (now_ms - session->opened_ms >= rules->hello_timeout_ms)
            gw_session_bye(session, TRIB_BYE_TIMEOUT, 0, "no HELLO in time");
        return;
    case GW_SESSION_SETTLING:
        if (silent)
            gw_session_bye(session, TRIB_BYE_UNAVAILABLE, SESSION_RETRY_UNAVAILABLE_MS,
                           "the journal does not answer");
        else
            welcome_if_settled(session);
        return;
    case GW_SESSION_OPEN:
        if (silent) {
            gw_session_bye(session, TRIB_BYE_TIMEOUT, 0, "no sign of life");
        } else if (now_ms - session->pinged_ms >= rules->keepalive_ms) {
            session->pinged_ms = now_ms;
            session->edge->ping(session->context);
        }
        if (session->state == GW_SESSION_OPEN)
            gw_session_grant_late(session, now_ms);
        return;
    case GW_SESSION_CLOSED:
        return;
    }
}
