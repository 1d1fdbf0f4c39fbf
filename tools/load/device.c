#include "device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>

#include "answers.h"

#define CONNECTING_MAX 64 /* handshakes at a time */
#define BACKOFF_MAX_MS 2000
#define WELCOME_TIMEOUT_US 10000000u
#define SOURCE_FIRST 0x7f010001u /* 127.1.0.1 */
#define LINGER_US 200000u        /* with a rate: how long a part of a batch waits for the rest */
#define ANCHOR_UNCERTAINTY_MS 20

static const struct load_options *options(const struct load_device *d)
{
    return d->run->options;
}

static uint64_t total(const struct load_device *d)
{
    return options(d)->events > 0 ? options(d)->events : UINT64_MAX / 4;
}

int load_device_init(struct load_device *d, struct load_run *run, uint64_t index, const char *name)
{
    memset(d, 0, sizeof *d);
    load_connection_init(&d->connection);
    d->run = run;
    d->index = index;
    if (run->options->addresses > 0)
        d->connection.source = SOURCE_FIRST + (uint32_t)(index % run->options->addresses);
    snprintf(d->name, sizeof d->name, "%s", name);
    load_generator_init(&d->generator, run->options->seed, index, run->options->users);
    d->dice = load_mix(run->options->seed ^ 0xd1ce, index);
    d->backoff_ms = LOAD_BACKOFF_MIN_MS;
    d->flights = calloc(run->options->window, sizeof *d->flights);
    return d->flights ? 0 : -1;
}

void load_device_free(struct load_device *d)
{
    load_connection_close(&d->connection, false);
    free(d->flights);
}

bool load_device_done(const struct load_device *d)
{
    uint64_t n = total(d);

    return d->known && d->acked[0] >= load_generator_before(n, 0) &&
           d->acked[1] >= load_generator_before(n, 1);
}

bool load_device_idle(const struct load_device *d)
{
    return d->flight_count == 0;
}

static uint64_t roll(struct load_device *d, uint64_t sides)
{
    d->dice = load_mix(d->dice, 1);
    return d->dice % sides;
}

/* --- life of a connection --- */

static void disconnect(struct load_device *d, uint64_t wait_ms, bool polite)
{
    struct load_run *run = d->run;

    run->socket_bytes += load_connection_bytes(&d->connection);
    if (d->connection.trouble)
        run->trouble = d->connection.trouble;
    load_connection_close(&d->connection, polite);
    if (d->connecting)
        run->connecting--;
    d->connecting = d->online = d->leap_due = false;
    d->flight_count = d->nacks_to_come = 0;
    /* Full jitter, and never earlier than the gateway asked for. */
    wait_ms += roll(d, d->backoff_ms + 1);
    d->backoff_ms = MIN(d->backoff_ms * 2, BACKOFF_MAX_MS);
    d->retry_at_us = run->now_us + wait_ms * 1000;
}

static void lost(struct load_device *d, uint64_t wait_ms)
{
    disconnect(d, MAX(wait_ms, d->connection.retry_after_s * 1000u), false);
    d->run->connections_lost++;
    if (!options(d)->reconnect)
        d->failed = true;
}

void load_device_stop(struct load_device *d)
{
    if (d->connection.phase != LOAD_CLOSED)
        disconnect(d, 0, true);
}

static int receive(void *context, const uint8_t *message, size_t len);

void load_device_tick(struct load_device *d)
{
    struct load_run *run = d->run;

    if (d->failed)
        return;
    if (d->connecting && run->now_us - d->started_us > WELCOME_TIMEOUT_US) {
        d->connection.trouble = "no answer from the gateway in 10 s";
        lost(d, 0);
        return;
    }
    if (d->connection.phase != LOAD_CLOSED || run->now_us < d->retry_at_us ||
        run->connecting >= CONNECTING_MAX || run->stopping || (load_device_done(d) && !options(d)->hold))
        return;
    d->connecting = true;
    d->started_us = run->now_us;
    run->connecting++;
    if (load_connection_start(&d->connection, &run->target, d->name))
        lost(d, 0);
}

void load_device_ready(struct load_device *d)
{
    if (d->connection.phase != LOAD_CLOSED && load_connection_drive(&d->connection, receive, d)) {
        uint64_t now = d->run->now_us, wait_ms = d->retry_at_us > now ? (d->retry_at_us - now) / 1000 : 0;
        lost(d, wait_ms); /* retry_at was set by a BYE */
    }
}

static int say_hello(struct load_device *d)
{
    uint8_t frame[TRIB_WS_HEAD_BYTES_MAX + 512];
    uint64_t head = options(d)->events > 0 ? options(d)->events : d->ahead;
    struct trib_wire_hello hello = {
        .device = {d->name, strlen(d->name)},
        .version = TRIB_WIRE_VERSION,
        .sdk = {"tributary-load/1", 16},
        .boot = LOAD_BOOT,
        .mono_ms = (d->run->now_us - d->run->start_us) / 1000,
        .stream_count = TRIB_LANE_COUNT,
    };
    size_t len;

    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++)
        hello.streams[lane] = (struct trib_wire_hello_stream){
            .stream = d->generator.stream[lane],
            .lane = (uint8_t)lane,
            .next_seq = load_generator_before(head, lane) + 1,
            .acked_seq = d->acked[lane],
        };
    if (d->known) {
        hello.acked_gateway = (struct trib_text){d->gateway, strlen(d->gateway)};
        hello.acked_epoch = d->epoch;
    }
    if (trib_wire_hello_encode(&hello, frame + TRIB_WS_HEAD_BYTES_MAX, sizeof frame - TRIB_WS_HEAD_BYTES_MAX,
                               &len))
        return -1;
    return load_connection_send(&d->connection, TRIB_WS_BINARY, frame + TRIB_WS_HEAD_BYTES_MAX, len);
}

static int receive(void *context, const uint8_t *message, size_t len)
{
    struct load_device *d = context;

    return message ? load_answer(d, message, len) : say_hello(d);
}

/* --- sending --- */

/* Writes up to count events from number `first` on into the run's frame; *out_count says how many fitted. */
static int build(struct load_device *d, uint64_t first, uint64_t count, size_t cap, uint64_t *out_count,
                 size_t *out_len)
{
    struct trib_wire_batch_writer b, before;
    struct trib_wire_context context;
    struct load_event e;
    uint64_t session = 0, done = 0;
    char content[32];

    load_generator_event(&d->generator, first, &e);
    struct trib_wire_batch_head head = {
        .boot = LOAD_BOOT,
        .mono_ms = e.mono_ms,
        .ord = first,
        .anchors = {{LOAD_BOOT, 0, d->run->anchor_utc_ms, ANCHOR_UNCERTAINTY_MS}},
        .anchor_count = 1,
    };
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++) {
        uint64_t seq = load_generator_before(first, lane) + 1;
        if (load_generator_before(first + count, lane) >= seq)
            head.lanes[lane] = (struct trib_wire_position){d->generator.stream[lane], seq};
    }
    trib_wire_batch_open(&b, &head, d->run->frame + TRIB_WS_HEAD_BYTES_MAX, cap);
    for (; done < count; done++) {
        before = b;
        if (done > 0)
            load_generator_event(&d->generator, first + done, &e);
        unsigned index = e.session ? (unsigned)(e.session % TRIB_WIRE_CONTEXTS_MAX) + 1 : 0;
        if (e.session != session) {
            load_generator_context(&d->generator, e.session, content, sizeof content, &context);
            trib_wire_batch_context(&b, index, &context);
            session = e.session;
        }
        trib_wire_batch_event(&b, e.lane, e.type, e.mono_ms, e.ord, index, e.fields, e.fields_len);
        if (b.w.error == TRIB_ESPACE) {
            b = before;
            break;
        }
    }
    *out_count = done;
    return trib_wire_batch_close(&b, out_len) || done == 0 ? -1 : 0;
}

/* Credit for less than this, and more is to come: wait for it rather than send crumbs. */
static bool starved(const struct load_device *d, uint64_t count)
{
    uint64_t credit = d->limit.events - MIN(d->used.events, d->limit.events);

    return credit == 0 || (credit < count && d->flight_count > 0);
}

/* 1: sent; 0: credit does not allow it now; -1: the connection is lost. */
static int send_batch(struct load_device *d, uint64_t first, uint64_t count, bool leap)
{
    struct load_run *run = d->run;
    size_t cap = MIN(d->message_bytes_max, (uint64_t)LOAD_FRAME_BYTES), len;
    uint64_t credit = d->limit.events - MIN(d->used.events, d->limit.events), built;

    if (starved(d, count))
        return 0;
    if (build(d, first, MIN(count, credit), cap, &built, &len)) {
        d->connection.trouble = "an event does not fit into the gateway's largest message";
        return -1;
    }
    if (d->used.bytes + len > d->limit.bytes)
        return 0;
    d->used.events += built;
    d->used.bytes += len;
    run->batches_sent++;
    run->events_sent += built;
    run->message_bytes += len;
    struct load_flight *f = load_device_flight(d, d->flight_count++);
    /* Not the run's time: that is when it began with what is due, and to build a batch takes a while. */
    *f = (struct load_flight){
        .sent_us = load_now_us(CLOCK_MONOTONIC), .first = first, .events = (uint32_t)built, .leap = leap};
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++) {
        uint64_t end = load_generator_before(first + built, lane);
        f->last[lane] = end > load_generator_before(first, lane) ? end : 0;
    }
    if (!leap) {
        d->next = first + built;
        d->ahead = MAX(d->ahead, d->next);
    }
    d->last_send_us = run->now_us;
    if (run->first_send_us == 0)
        run->first_send_us = run->now_us;
    return load_connection_send(&d->connection, TRIB_WS_BINARY, run->frame + TRIB_WS_HEAD_BYTES_MAX, len) ? -1
                                                                                                          : 1;
}

/* With a rate: events a microsecond. */
static double pace(const struct load_device *d)
{
    return options(d)->rate / (double)options(d)->devices / 1e6;
}

/* By how many events it is late: the devices take turns, so that all their batches together come evenly. */
static double phase(const struct load_device *d)
{
    return (double)d->index / (double)options(d)->devices * (double)options(d)->batch;
}

uint64_t load_device_due_us(const struct load_device *d)
{
    double events = (double)(d->next - MIN(d->next, d->base) + options(d)->batch) + phase(d);

    return d->online ? d->run->start_us + (uint64_t)(events / pace(d)) + 1 : UINT64_MAX;
}

/* How many events there are to send now. */
static uint64_t available(const struct load_device *d)
{
    const struct load_run *run = d->run;
    uint64_t end = total(d);

    if (options(d)->rate > 0) {
        double due = (double)(run->now_us - run->start_us) * pace(d) - phase(d);
        end = MIN(end, d->base + (due > 0 ? (uint64_t)due : 0));
    }
    if (d->next >= end)
        return 0;
    uint64_t count = end - d->next;
    if (options(d)->rate > 0 && count < options(d)->batch && end < total(d) &&
        run->now_us - d->last_send_us < LINGER_US)
        return 0;
    return MIN(count, options(d)->batch);
}

/* A later batch first: it must be refused. 0 if it has to wait, or if there are too few events left for it. */
static int leap(struct load_device *d, uint64_t count)
{
    uint64_t gap = 3 + roll(d, options(d)->batch);

    if (d->flight_count > 0)
        return 0;
    d->leap_due = false;
    /* Beyond all that was ever sent: after a repeat `next` may lie behind it, and from there it need not be a leap. */
    uint64_t first = MAX(d->next, d->ahead) + gap;
    if (first + 3 > total(d))
        return 1;
    return send_batch(d, first, MAX(count, 3), true);
}

/* A misdeed now and then, instead of the next batch. */
static int misbehave(struct load_device *d, uint64_t count)
{
    uint64_t back = MIN(d->next, 1 + roll(d, options(d)->batch));

    switch (roll(d, 40)) {
    case 0:
        d->leap_due = true;
        return leap(d, count);
    case 1: /* the same again */
    case 2:
        d->next -= back;
        d->run->duplicates_sent += back;
        break;
    case 3: /* gone without a word */
        d->connection.trouble = "chaos";
        return -1;
    default:
        break;
    }
    return send_batch(d, d->next, count, false);
}

void load_device_pump(struct load_device *d)
{
    int result = 1;

    while (result > 0 && d->online && !d->run->stopping && d->flight_count < options(d)->window &&
           load_connection_drained(&d->connection) &&
           !(d->flight_count == 1 && load_device_flight(d, 0)->leap)) {
        uint64_t count = available(d);
        if (count == 0 || d->nacks_to_come > 0 || starved(d, count))
            return;
        if (d->leap_due)
            result = leap(d, count);
        else if (options(d)->chaos)
            result = misbehave(d, count);
        else
            result = send_batch(d, d->next, count, false);
    }
    if (result < 0)
        lost(d, 0);
}
