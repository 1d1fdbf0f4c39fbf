#include "answers.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* From now on everything in the lane up to seq is the gateway's. */
static int promised(struct load_device *d, unsigned lane, uint64_t seq)
{
    struct load_run *run = d->run;
    uint64_t first = d->acked[lane] + 1;

    if (seq < first)
        return 0;
    d->acked[lane] = seq;
    run->events_acked += seq - first + 1;
    run->last_ack_us = run->now_us;
    if (load_obligations_acked(&run->obligations, d->name, d->generator.stream[lane], first, seq)) {
        run->fatal = true;
        return -1;
    }
    return 0;
}

static int lane_of_stream(const struct load_device *d, uint64_t stream)
{
    for (int lane = 0; lane < TRIB_LANE_COUNT; lane++)
        if (d->generator.stream[lane] == stream)
            return lane;
    return -1;
}

static void check_crc(struct load_device *d, unsigned lane, const struct trib_wire_stream_state *state)
{
    struct load_event e;

    if (state->committed == 0 || state->crc == 0)
        return;
    load_generator_event(&d->generator, load_generator_locate(lane, state->committed), &e);
    uint32_t crc = trib_wire_event_crc(state->stream, e.seq, LOAD_BOOT, e.mono_ms, e.ord, e.type, e.fields,
                                       e.fields_len);
    if (crc != state->crc)
        load_violation(d->run, LOAD_WRONG_CRC, d->name,
                       "seq %" PRIu64 " of lane %u has CRC %08" PRIx64 ", ours is %08x", state->committed,
                       lane, state->crc, crc);
}

static int welcome_stream(struct load_device *d, const struct trib_wire_stream_state *state,
                          uint64_t committed[TRIB_LANE_COUNT])
{
    int lane = lane_of_stream(d, state->stream);

    if (lane < 0)
        return 0;
    committed[lane] = state->committed;
    check_crc(d, (unsigned)lane, state);
    if (!d->known) { /* an earlier run with this seed */
        d->acked[lane] = state->committed;
        d->run->events_before += state->committed;
        return 0;
    }
    if (state->committed < d->acked[lane])
        load_violation(d->run, LOAD_LOST_ACK, d->name, "lane %d: %" PRIu64 " was acked, WELCOME has %" PRIu64,
                       lane, d->acked[lane], state->committed);
    if (state->committed > load_generator_before(d->ahead, (unsigned)lane))
        load_violation(d->run, LOAD_AHEAD, d->name, "lane %d: WELCOME has %" PRIu64 ", which was never sent",
                       lane, state->committed);
    return promised(d, (unsigned)lane, state->committed);
}

static int on_welcome(struct load_device *d, const uint8_t *message, size_t len)
{
    struct load_run *run = d->run;
    struct trib_wire_welcome m;
    uint64_t committed[TRIB_LANE_COUNT] = {0};

    if (trib_wire_welcome_decode(message, len, &m) || d->online) {
        load_violation(run, LOAD_BAD_MESSAGE, d->name, "WELCOME");
        return -1;
    }
    for (size_t i = 0; i < m.stream_count; i++)
        if (welcome_stream(d, &m.streams[i], committed))
            return -1;
    snprintf(d->gateway, sizeof d->gateway, "%.*s", (int)m.gateway.len, m.gateway.ptr);
    d->epoch = m.epoch;
    d->limit = m.credit;
    d->used = (struct trib_wire_credit){0};
    d->message_bytes_max = m.max_message_bytes;
    d->next = load_generator_resume(committed);
    if (d->known)
        run->reconnects++;
    else
        d->base = d->ahead = d->next;
    d->known = d->online = true;
    d->connecting = false;
    run->connecting--;
    d->backoff_ms = LOAD_BACKOFF_MIN_MS;
    d->flight_count = d->nacks_to_come = 0;
    return 0;
}

static int raise_credit(struct load_device *d, const struct trib_wire_credit *credit)
{
    if (credit->events < d->limit.events || credit->bytes < d->limit.bytes) {
        load_violation(d->run, LOAD_BACKWARDS, d->name, "the credit went back");
        return -1;
    }
    d->limit = *credit;
    return 0;
}

static void land(struct load_device *d)
{
    while (d->flight_count > 0) {
        const struct load_flight *f = load_device_flight(d, 0);
        if (f->leap || d->acked[0] < f->last[0] || d->acked[1] < f->last[1])
            return;
        load_histogram_add(&d->run->latency, d->run->now_us - f->sent_us, f->events);
        d->flight_at++;
        d->flight_count--;
    }
}

static int on_rejections(struct load_device *d, const struct trib_wire_ack *m)
{
    struct load_run *run = d->run;
    int result = 0;

    for (size_t i = 0; i < m->rejected_count; i++)
        result |= load_obligations_rejected(&run->obligations, d->name, m->rejected[i].stream,
                                            m->rejected[i].seq, m->rejected[i].code);
    if (m->rejected_more > 0)
        result |= load_obligations_rejected_more(&run->obligations, d->name, m->rejected_more);
    run->rejected += m->rejected_count + m->rejected_more;
    run->fatal |= result != 0;
    return result;
}

static int on_ack(struct load_device *d, const uint8_t *message, size_t len)
{
    struct trib_wire_ack m;

    if (trib_wire_ack_decode(message, len, &m)) {
        load_violation(d->run, LOAD_BAD_MESSAGE, d->name, "ACK");
        return -1;
    }
    if (on_rejections(d, &m) || raise_credit(d, &m.credit))
        return -1;
    for (size_t i = 0; i < m.acked_count; i++) {
        int lane = lane_of_stream(d, m.acked[i].stream);
        if (lane < 0 || m.acked[i].seq > load_generator_before(d->ahead, (unsigned)lane)) {
            load_violation(d->run, LOAD_AHEAD, d->name,
                           "stream %016" PRIx64 ": %" PRIu64 " is acked, and was not sent", m.acked[i].stream,
                           m.acked[i].seq);
            return -1;
        }
        if (m.acked[i].seq < d->acked[lane])
            load_violation(d->run, LOAD_BACKWARDS, d->name, "lane %d: acked %" PRIu64 " after %" PRIu64, lane,
                           m.acked[i].seq, d->acked[lane]);
        if (promised(d, (unsigned)lane, m.acked[i].seq))
            return -1;
    }
    land(d);
    return 0;
}

static int on_nack(struct load_device *d, const uint8_t *message, size_t len)
{
    struct load_run *run = d->run;
    struct trib_wire_nack m;

    if (trib_wire_nack_decode(message, len, &m)) {
        load_violation(run, LOAD_BAD_MESSAGE, d->name, "NACK");
        return -1;
    }
    run->nacks++;
    int lane = lane_of_stream(d, m.stream);
    if (d->flight_count == 1 && load_device_flight(d, 0)->leap) {
        d->flight_count = 0;
        run->expected_nacks++;
        if (lane >= 0 && m.expected == d->acked[lane] + 1)
            return 0;
        load_violation(run, LOAD_WRONG_NACK, d->name, "after a leap: %" PRIu64 " is expected, not %" PRIu64,
                       lane >= 0 ? d->acked[lane] + 1 : 0, m.expected);
        return -1;
    }
    if (d->nacks_to_come > 0) { /* behind the refused one */
        d->nacks_to_come--;
        return 0;
    }
    load_violation(run, LOAD_WRONG_NACK, d->name, "seq %" PRIu64 " is asked for, and there was no gap",
                   m.expected);
    for (uint64_t i = 0; i < d->flight_count; i++) {
        if (lane < 0 || load_device_flight(d, i)->last[lane] < m.expected)
            continue;
        d->nacks_to_come = d->flight_count - i - 1;
        d->next = load_device_flight(d, i)->first;
        d->flight_count = i;
        return 0;
    }
    return -1;
}

static int on_credit(struct load_device *d, const uint8_t *message, size_t len)
{
    struct trib_wire_credit m;

    if (trib_wire_credit_decode(message, len, &m)) {
        load_violation(d->run, LOAD_BAD_MESSAGE, d->name, "CREDIT");
        return -1;
    }
    return raise_credit(d, &m);
}

static int on_bye(struct load_device *d, const uint8_t *message, size_t len)
{
    struct load_run *run = d->run;
    struct trib_wire_bye m;

    if (trib_wire_bye_decode(message, len, &m)) {
        load_violation(run, LOAD_BAD_MESSAGE, d->name, "BYE");
        return -1;
    }
    run->byes[m.reason < 16 ? m.reason : 0]++;
    if (m.reason == TRIB_BYE_PROTOCOL || m.reason == TRIB_BYE_CREDIT || m.reason == TRIB_BYE_TOO_LARGE)
        load_violation(run, LOAD_BAD_BYE, d->name, "reason %" PRIu64 ": %.*s", m.reason, (int)m.text.len,
                       m.text.len ? m.text.ptr : "");
    if (m.reason == TRIB_BYE_VERSION || m.reason == TRIB_BYE_BLOCKED || m.reason == TRIB_BYE_AUTH) {
        d->connection.trouble = "the gateway does not want this device (see its log)";
        d->failed = true;
        run->refused++;
    }
    d->retry_at_us = run->now_us + m.retry_after_ms * 1000;
    return -1;
}

int load_answer(struct load_device *d, const uint8_t *message, size_t len)
{
    uint64_t type;
    size_t body;

    if (trib_wire_open(message, len, &type, &body)) {
        load_violation(d->run, LOAD_BAD_MESSAGE, d->name, "no CBOR message");
        return -1;
    }
    if (type == TRIB_WIRE_WELCOME)
        return on_welcome(d, message, len);
    if (type == TRIB_WIRE_BYE)
        return on_bye(d, message, len);
    if (!d->online && type <= TRIB_WIRE_CREDIT) {
        load_violation(d->run, LOAD_BAD_MESSAGE, d->name, "message %" PRIu64 " before WELCOME", type);
        return -1;
    }
    switch (type) {
    case TRIB_WIRE_ACK:
        return on_ack(d, message, len);
    case TRIB_WIRE_NACK:
        return on_nack(d, message, len);
    case TRIB_WIRE_CREDIT:
        return on_credit(d, message, len);
    default:
        return 0;
    }
}
