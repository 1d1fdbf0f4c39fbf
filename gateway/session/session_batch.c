#include "session/session_internal.h"

#include <string.h>

#include "observe/log.h"
#include "observe/metrics.h"

/* A page of the journal and what stands around the sealed bytes. */
#define QUARANTINE_ITEM_OVERHEAD (4096 + 256)

static void send_ack(struct gw_session *session, const struct gw_admitted *rejections)
{
    struct trib_wire_ack ack = {.credit = session->granted};
    for (size_t i = 0; i < session->stream_count; i++) {
        struct gw_session_stream *stream = &session->streams[i];
        if (!stream->ack_due)
            continue;
        stream->ack_due = false;
        ack.acked[ack.acked_count++] =
            (struct trib_wire_position){.stream = stream->stream, .seq = stream->committed};
    }
    if (rejections) {
        ack.rejected_count = rejections->rejected_count;
        ack.rejected_more = rejections->rejected_more;
        memcpy(ack.rejected, rejections->rejected, ack.rejected_count * sizeof ack.rejected[0]);
    }
    session->ack_due = false;
    uint8_t message[SESSION_SEND_MAX];
    size_t len;
    if (trib_wire_ack_encode(&ack, message, sizeof message, &len) == 0)
        gw_session_send(session, message, len);
    else
        gw_session_bye(session, TRIB_BYE_UNAVAILABLE, SESSION_RETRY_UNAVAILABLE_MS,
                       "ACK could not be encoded");
}

void gw_session_flush(struct gw_session *session)
{
    if (session->state == GW_SESSION_OPEN && session->ack_due)
        send_ack(session, NULL);
}

static void send_nack(struct gw_session *session, const struct gw_session_stream *stream)
{
    struct trib_wire_nack nack = {.stream = stream->stream, .expected = stream->queued + 1};
    uint8_t message[SESSION_SEND_MAX];
    size_t len;
    gw_metric_add(GW_METRIC_NACKS, 1);
    gw_log(GW_LOG_WARNING, "session.hole",
           "a batch left out events that nobody declared dropped; it was refused",
           GW_TEXT("device", session->device), GW_HEX("stream", stream->stream),
           GW_UINT("expected", nack.expected));
    if (trib_wire_nack_encode(&nack, message, sizeof message, &len) == 0)
        gw_session_send(session, message, len);
    if (trib_wire_credit_encode(&session->granted, message, sizeof message, &len) == 0)
        gw_session_send(session, message, len);
}

/* Events in a batch that is refused whole: what credit counts, without admitting it. */
static uint64_t count_events(const uint8_t *message, size_t len)
{
    struct trib_wire_batch_reader reader;
    if (trib_wire_batch_read(&reader, message, len) != 0)
        return 0;
    struct trib_wire_batch_item item;
    uint64_t events = 0;
    while (trib_wire_batch_next(&reader, &item) == 1)
        if (item.kind >= TRIB_ITEM_FIRST_EVENT)
            events++;
    return events;
}

static bool find_lanes(struct gw_session *session, const struct trib_wire_position *lanes,
                       struct gw_session_stream *out_streams[TRIB_LANE_COUNT])
{
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++) {
        out_streams[lane] = NULL;
        if (lanes[lane].stream == 0)
            continue;
        out_streams[lane] = gw_session_find(session, lanes[lane].stream);
        struct gw_journal_stream row;
        int result = out_streams[lane]
                         ? (out_streams[lane]->closed ? GW_ESTALE : GW_OK)
                         : gw_session_add(session, lanes[lane].stream, &out_streams[lane], &row);
        if (result == GW_ESTALE)
            gw_session_bye(session, TRIB_BYE_PROTOCOL, 0, "a batch for a stream that is closed");
        else if (result == GW_EFULL)
            gw_session_bye(session, TRIB_BYE_PROTOCOL, 0, "more than 8 live streams");
        else if (result != GW_OK)
            gw_session_bye(session, TRIB_BYE_UNAVAILABLE, SESSION_RETRY_UNAVAILABLE_MS,
                           "the journal cannot be read now");
        if (result != GW_OK)
            return false;
    }
    return true;
}

void gw_session_count(const struct gw_admitted *admitted)
{
    gw_metric_add(GW_METRIC_EVENTS_COMMITTED, admitted->event_count);
    gw_metric_add(GW_METRIC_EVENTS_DUPLICATE, admitted->duplicate_count);
    gw_metric_add(GW_METRIC_EVENTS_DROPPED, admitted->dropped_count);
    gw_metric_add(GW_METRIC_EVENTS_UNACCOUNTED, admitted->unaccounted_count);
    gw_metric_add(GW_METRIC_FIELDS_DROPPED, admitted->undeclared_count);
    gw_metric_add(GW_METRIC_EVENTS_REJECTED, admitted->rejected_count + admitted->rejected_more);
    if (admitted->write.beyond_quota == 0)
        return;
    gw_metric_add(GW_METRIC_EVENTS_NOT_QUARANTINED, admitted->write.beyond_quota);
    gw_log(GW_LOG_WARNING, "session.quarantine_quota",
           "a device has more bad events than limits.quarantine keeps of one; the content of the rest is not "
           "kept",
           GW_TEXT("device", admitted->write.device), GW_UINT("events", admitted->write.beyond_quota));
}

static bool brings_news(const struct gw_admitted *admitted)
{
    if (admitted->write.entry || admitted->write.quarantine_count > 0)
        return true;
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++)
        if (admitted->write.lanes[lane].stream != 0 &&
            admitted->write.lanes[lane].last_seq != admitted->write.lanes[lane].expected)
            return true;
    return false;
}

static void note_durable(struct gw_session *session, const struct gw_session_batch *batch)
{
    const struct gw_admitted *admitted = &batch->admitted;
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++) {
        const struct gw_journal_lane *row = &admitted->write.lanes[lane];
        struct gw_session_stream *stream = row->stream ? gw_session_find(session, row->stream) : NULL;
        if (!stream)
            continue;
        if (row->last_seq > stream->committed)
            stream->committed = row->last_seq;
        stream->ack_due = true;
    }
    gw_session_release(session, admitted->credit_events, batch->bytes);
    session->ack_due = true;
    if (admitted->rejected_count + admitted->rejected_more > 0)
        send_ack(session, admitted);
}

/* Everything in it is committed or on its way: nothing to store, and what is durable is acked again. */
static void duplicate(struct gw_session *session, struct gw_session_batch *batch,
                      struct gw_session_stream *const streams[TRIB_LANE_COUNT])
{
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++)
        if (streams[lane])
            streams[lane]->ack_due = true;
    gw_session_count(&batch->admitted);
    gw_session_release(session, batch->admitted.credit_events, batch->bytes);
    session->edge->batch_give(session->context, batch);
    send_ack(session, NULL);
}

/*
 * A batch of thousands of tiny bad events would be too much for one journal item, be refused, and come again for ever.
 * So what one batch may put into quarantine is bounded; the rest is acked with its code, counted and alarmed.
 */
static void bound_quarantine(const struct gw_session *session, struct gw_journal_write *write)
{
    uint64_t bytes = write->entry_len, limit = session->rules->item_bytes;
    for (size_t i = 0; limit != 0 && i < write->quarantine_count; i++) {
        bytes += write->quarantine[i].sealed_len + QUARANTINE_ITEM_OVERHEAD;
        if (bytes <= limit)
            continue;
        uint64_t lost = write->quarantine_count - i;
        write->quarantine_count = i;
        gw_metric_add(GW_METRIC_EVENTS_NOT_QUARANTINED, lost);
        gw_log(GW_LOG_WARNING, "session.quarantine_bound",
               "a batch held more bad events than quarantine takes; the content of the rest is not kept",
               GW_TEXT("device", session->device), GW_UINT("events", lost));
        return;
    }
}

/* A lane's new stream says where the one before ended: what that one still lacks now never comes. */
static void count_remainders(struct gw_session *session, struct gw_admitted *admitted)
{
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++) {
        const struct gw_admitted_start *start = &admitted->starts[lane];
        const struct gw_session_stream *live = gw_session_find(session, start->previous);
        struct gw_journal_stream row = {0};
        if (start->previous == 0 || start->previous_next > SESSION_SEQ_MAX)
            continue;
        if (!live &&
            (session->edge->stream_get(session->context, session->device, start->previous, &row) != 0 ||
             row.erased))
            continue; /* not known here: another gateway's, or long ago */
        uint64_t have = live && !live->closed ? live->queued : row.committed;
        if (start->previous_next <= have + 1 || (live && live->closed))
            continue;
        uint64_t lacking = start->previous_next - 1 - have;
        admitted->unaccounted_count += lacking;
        gw_log(GW_LOG_ERROR, "session.unaccounted",
               "a stream has ended before all of it came, and its device has no more of it",
               GW_TEXT("device", session->device), GW_HEX("stream", start->previous),
               GW_UINT("events", lacking));
    }
}

static void queue(struct gw_session *session, struct gw_session_batch *batch,
                  struct gw_session_stream *const streams[TRIB_LANE_COUNT])
{
    struct gw_journal_write *write = &batch->admitted.write;
    write->device = gw_registry_device(session->seat.entry);
    write->generation = session->device_generation;
    bound_quarantine(session, write);
    count_remainders(session, &batch->admitted);
    if (session->named_due) {
        session->named_due = false;
        write->names_streams = true;
        for (size_t i = 0; i < session->stream_count; i++)
            write->named[write->named_count++] = session->streams[i].stream;
    }
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++) {
        if (!streams[lane] || write->lanes[lane].stream == 0)
            continue;
        write->lanes[lane].adopt = streams[lane]->adopt;
        if (write->lanes[lane].last_seq > streams[lane]->queued)
            streams[lane]->adopt = false; /* told to the journal with this batch */
        streams[lane]->queued = write->lanes[lane].last_seq;
    }
    batch->seat = session->seat;
    session->in_flight_bytes += batch->bytes;
#ifdef GW_MUTANT_ACK_BEFORE_COMMIT
    note_durable(session, batch);
    gw_session_flush(session);
#endif
    session->edge->batch_queue(session->context, batch);
}

static void refuse(struct gw_session *session, enum gw_admit_verdict verdict, const struct gw_error *error)
{
    if (verdict == GW_ADMIT_MALFORMED) {
        gw_log(GW_LOG_WARNING, "session.malformed", error->text, GW_TEXT("device", session->device));
        gw_session_bye(session, TRIB_BYE_PROTOCOL, 0, "a batch that cannot be read");
        return;
    }
    gw_log(GW_LOG_ERROR, "session.admit", error->text, GW_TEXT("device", session->device));
    gw_session_bye(session, TRIB_BYE_UNAVAILABLE, SESSION_RETRY_UNAVAILABLE_MS,
                   "the gateway cannot take the batch now");
}

static void refuse_hole(struct gw_session *session, const struct gw_session_stream *stream, uint64_t events,
                        uint64_t bytes)
{
    session->used.events += events;
    if (session->used.events > session->granted.events) {
        gw_session_bye(session, TRIB_BYE_CREDIT, 0, "more events than the credit allows");
        return;
    }
    gw_session_release(session, events, bytes);
    send_nack(session, stream);
}

static enum gw_admit_verdict admit(struct gw_session *session, struct gw_session_batch *batch,
                                   const uint8_t *message, size_t len,
                                   struct gw_session_stream *const streams[TRIB_LANE_COUNT],
                                   unsigned *out_lane, struct gw_error *out_error)
{
    struct gw_session_time now;
    session->edge->get_time(session->context, &now);
    struct gw_admit_input input = {
        .head = {.device = {.ptr = session->device, .len = strlen(session->device)},
                 .received_utc_ms = now.utc_ms,
                 .received_uncertainty_ms = now.uncertainty_ms},
        .batch = message,
        .batch_len = len,
        .pseudonyms = batch->pseudonyms,
        .schema_scratch = batch->schema_scratch};
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++)
        if (streams[lane])
            input.lanes[lane] =
                (struct gw_admit_lane){.stream = streams[lane]->stream, .committed = streams[lane]->queued};
    return gw_admit(session->rules->policy, &input, &batch->arena, &batch->admitted, out_lane, out_error);
}

static void admit_and_queue(struct gw_session *session, struct gw_session_batch *batch,
                            const uint8_t *message, size_t len,
                            struct gw_session_stream *const streams[TRIB_LANE_COUNT])
{
    unsigned lane = 0;
    struct gw_error error = {0};
    enum gw_admit_verdict verdict = admit(session, batch, message, len, streams, &lane, &error);
    if (verdict == GW_ADMIT_HOLE) {
        uint64_t batch_bytes = batch->bytes;
        session->edge->batch_give(session->context, batch);
        refuse_hole(session, streams[lane], count_events(message, len), batch_bytes);
        return;
    }
    if (verdict != GW_ADMIT_OK) {
        session->edge->batch_give(session->context, batch);
        refuse(session, verdict, &error);
        return;
    }
    session->used.events += batch->admitted.credit_events;
    if (session->used.events > session->granted.events) {
        session->edge->batch_give(session->context, batch);
        gw_session_bye(session, TRIB_BYE_CREDIT, 0, "more events than the credit allows");
        return;
    }
    if (brings_news(&batch->admitted))
        queue(session, batch, streams);
    else
        duplicate(session, batch, streams);
}

void gw_session_batch(struct gw_session *session, const uint8_t *message, size_t len, size_t wire_len)
{
    gw_metric_add(GW_METRIC_BATCHES, 1);
    gw_metric_add(GW_METRIC_BATCH_BYTES, wire_len);
    session->used.bytes += wire_len;
    if (session->used.bytes > session->granted.bytes) {
        gw_session_bye(session, TRIB_BYE_CREDIT, 0, "more bytes than the credit allows");
        return;
    }
    struct trib_wire_position lanes[TRIB_LANE_COUNT] = {{0}};
    if (gw_admit_peek(message, len, lanes) != 0) {
        gw_session_bye(session, TRIB_BYE_PROTOCOL, 0, "a batch that cannot be read");
        return;
    }
    struct gw_session_stream *streams[TRIB_LANE_COUNT];
    if (!find_lanes(session, lanes, streams))
        return;
    struct gw_session_batch *batch = session->edge->batch_take(session->context);
    if (!batch) {
        gw_session_bye(session, TRIB_BYE_UNAVAILABLE, SESSION_RETRY_UNAVAILABLE_MS, "out of memory");
        return;
    }
    batch->bytes = (uint32_t)wire_len;
    admit_and_queue(session, batch, message, len, streams);
}

void gw_session_committed(struct gw_session *session, const struct gw_session_batch *batch, int status)
{
    session->in_flight_bytes -= batch->bytes;
    if (status == GW_OK) {
#ifndef GW_MUTANT_ACK_BEFORE_COMMIT
        if (session->state == GW_SESSION_OPEN)
            note_durable(session, batch);
#endif
        return;
    }
    if (session->state != GW_SESSION_OPEN)
        return;
    if (status == GW_ESTALE) {
        gw_log(GW_LOG_ERROR, "session.stale",
               "a stream's row changed under a live connection; nothing was committed and the device starts "
               "again",
               GW_TEXT("device", session->device));
        gw_session_bye(session, TRIB_BYE_UNAVAILABLE, 0, "the stream moved; connect again");
        return;
    }
    gw_session_bye(session, TRIB_BYE_UNAVAILABLE, SESSION_RETRY_UNAVAILABLE_MS,
                   "the gateway cannot store now");
}
