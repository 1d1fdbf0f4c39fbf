/*
 * What a simulated device records: a pure function of seed, device and event number, so that a resend after a lost
 * connection is the same bytes as the first time, and nothing has to be kept.
 *
 * Event n (from 0) has ord n + 1. Events 0 and 1 are the stream.start of the two lanes; then sessions of a player
 * follow each other, each a fixed row of types with varying contents.
 */
#ifndef LOAD_GENERATOR_H
#define LOAD_GENERATOR_H

#include <stddef.h>
#include <stdint.h>

#include "wire/message.h"

#define LOAD_INTERVAL_MS 250 /* between events, on the device's clock */
#define LOAD_FIELDS_MAX 256

struct load_generator {
    uint64_t seed;
    uint64_t users; /* 0: no user field */
    uint64_t stream[TRIB_LANE_COUNT];
};

struct load_event {
    unsigned type, lane;
    uint64_t seq, mono_ms, ord;
    uint64_t session; /* number of the session, from 1; 0: none */
    uint8_t fields[LOAD_FIELDS_MAX];
    size_t fields_len;
};

void load_generator_init(struct load_generator *g, uint64_t seed, uint64_t device, uint64_t users);
void load_generator_event(const struct load_generator *g, uint64_t n, struct load_event *out);
/* The context that events of this session refer to; content is written to buf. */
void load_generator_context(const struct load_generator *g, uint64_t session, char *buf, size_t cap,
                            struct trib_wire_context *out);
/* How many of the events before n are in the lane (so event n's seq in its lane is one more). */
uint64_t load_generator_before(uint64_t n, unsigned lane);
/* The number of the event with this seq (from 1) in this lane. */
uint64_t load_generator_locate(unsigned lane, uint64_t seq);
/* The first event that is not committed in its lane. */
uint64_t load_generator_resume(const uint64_t committed[TRIB_LANE_COUNT]);

/* A good 64-bit mix of two numbers: for all that has to look random and be repeatable. */
uint64_t load_mix(uint64_t a, uint64_t b);

#endif
