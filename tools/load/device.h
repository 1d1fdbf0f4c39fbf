/* One simulated device: the protocol's device side on top of a connection. */
#ifndef LOAD_DEVICE_H
#define LOAD_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "connection.h"
#include "generator.h"
#include "run.h"

#define LOAD_BOOT 1
#define LOAD_BACKOFF_MIN_MS 50

/* A batch on its way. */
struct load_flight {
    uint64_t sent_us;
    uint64_t first;                 /* number of its first event */
    uint64_t last[TRIB_LANE_COUNT]; /* its last seq in each lane; 0: none */
    uint32_t events;
    bool leap; /* sent to be refused */
};

struct load_device {
    struct load_connection connection;
    struct load_run *run;
    struct load_generator generator;
    uint64_t index; /* which of the run's devices */
    char name[TRIB_WIRE_DEVICE_BYTES_MAX + 1];
    bool connecting, online, known, failed; /* known: a WELCOME was seen */
    uint64_t retry_at_us, started_us;
    uint32_t backoff_ms;
    uint64_t next;  /* number of the event to be sent next */
    uint64_t ahead; /* one beyond the last event ever sent without a gap */
    uint64_t base;  /* where this run began */
    uint64_t last_send_us;
    uint64_t acked[TRIB_LANE_COUNT]; /* promised to us, ever */
    struct trib_wire_credit limit, used;
    uint64_t message_bytes_max;
    char gateway[TRIB_WIRE_DEVICE_BYTES_MAX + 1];
    uint64_t epoch;
    struct load_flight *flights; /* a ring of options->window */
    uint64_t flight_at, flight_count;
    uint64_t nacks_to_come; /* for batches behind a refused one */
    uint64_t dice;          /* chaos */
    bool leap_due;          /* as soon as nothing is on its way */
    uint64_t socket_bytes;  /* of connections before this one */
};

/* The i-th of the batches on their way, oldest first. */
static inline struct load_flight *load_device_flight(struct load_device *d, uint64_t i)
{
    return &d->flights[(d->flight_at + i) % d->run->options->window];
}

/* index: which of the run's devices. 0, or -1: out of memory. */
int load_device_init(struct load_device *d, struct load_run *run, uint64_t index, const char *name);
void load_device_free(struct load_device *d);
/* Time passes: connect, retry, give up waiting. */
void load_device_tick(struct load_device *d);
/* The socket is ready. */
void load_device_ready(struct load_device *d);
/* With a rate: when its next batch is full. */
uint64_t load_device_due_us(const struct load_device *d);
/* Sends what credit, window and rate allow. */
void load_device_pump(struct load_device *d);
/* All of its events are acked. */
bool load_device_done(const struct load_device *d);
/* Nothing is on its way. */
bool load_device_idle(const struct load_device *d);
void load_device_stop(struct load_device *d);

#endif
