/* A tracker under a clock of the test's, and what it told. Each event is held against the vocabulary. */
#ifndef PLAYBACK_WORLD_H
#define PLAYBACK_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "playback/tracker.h"
#include "playback/watched.h"
#include "wire/cbor.h"

#define ABSENT UINT64_MAX
#define UNKNOWN UINT64_MAX

struct event {
    unsigned type;
    uint64_t field[TRIB_FIELD_COUNT];
};

struct world {
    struct trib_tracker tracker;
    struct trib_tracker_sink sink;
    struct event events[4096];
    size_t count;
    uint64_t now;
    int refuse; /* the sink's answer */
    uint8_t room[160];
    struct trib_tracker_setup setup;
};

static inline uint8_t *give_room(void *context, size_t *out_capacity)
{
    struct world *w = context;
    *out_capacity = sizeof w->room;
    return w->room;
}

static inline int take(void *context, unsigned type, bool vital, const uint8_t *fields, size_t length)
{
    struct world *w = context;
    struct trib_cbor_reader r;
    if (w->refuse)
        return w->refuse;
    if (w->count == sizeof w->events / sizeof w->events[0])
        w->count = 0;
    struct event *e = &w->events[w->count++];
    e->type = type;
    for (unsigned i = 0; i < TRIB_FIELD_COUNT; i++)
        e->field[i] = ABSENT;
    uint64_t present = 0;
    assert_true(length <= sizeof w->room);
    assert_int_equal(vital, trib_events[type].lane == TRIB_LANE_VITAL);
    trib_cbor_reader_init(&r, fields, length);
    struct trib_cbor_container map = trib_cbor_get_map(&r);
    while (trib_cbor_next(&r, &map)) {
        uint64_t id = trib_cbor_get_uint(&r);
        assert_true(id < TRIB_FIELD_COUNT);
        assert_false(present >> id & 1);
        present |= 1ull << id;
        if (trib_cbor_peek(&r) == TRIB_CBOR_UINT) {
            e->field[id] = trib_cbor_get_uint(&r);
            assert_true(e->field[id] <= trib_fields[id].max);
        } else if (trib_cbor_peek(&r) == TRIB_CBOR_NEGATIVE) {
            e->field[id] = (uint64_t)trib_cbor_get_int(&r);
        } else {
            e->field[id] = trib_cbor_get_bool(&r);
        }
    }
    assert_int_equal(r.error, 0);
    assert_true(trib_cbor_at_end(&r));
    /* The vocabulary is the gateway's rule: what breaks it would go to quarantine. */
    assert_int_equal(trib_events[type].required & ~present, 0);
    assert_int_equal(present & ~(trib_events[type].required | trib_events[type].optional), 0);
    return 0;
}

static inline void begin_content(struct world *w, uint64_t duration_ms, bool live)
{
    struct trib_content content = {.content_id = "c", .duration_ms = duration_ms, .live = live};
    assert_int_equal(trib_tracker_start(&w->tracker, w->now, &content, &w->setup, &w->sink), 0);
}

static inline int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    w->sink.context = w;
    w->sink.room = give_room;
    w->sink.emit = take;
    w->setup = (struct trib_tracker_setup){.ping_ms = 10000, .sampling_milli = 1000, .sampled = true};
    w->now = 1000;
    *state = w;
    return 0;
}

static inline int teardown(void **state)
{
    free(*state);
    return 0;
}

static inline void say(struct world *w, enum trib_player_report what, uint64_t position, int64_t value)
{
    struct trib_player p = {
        .report = what, .position_ms = position, .value = value, .cause = TRIB_CAUSE_USER};
    assert_int_equal(trib_tracker_report(&w->tracker, w->now, &p, &w->sink), 0);
}

static inline void tick(struct world *w)
{
    uint32_t next;
    assert_int_equal(trib_tracker_tick(&w->tracker, w->now, &w->sink, &next), 0);
    assert_true(next > 0);
}

/* Plays on in steps of a second, with positions. */
static inline void play_for(struct world *w, uint64_t from, uint64_t ms)
{
    for (uint64_t t = 1000; t <= ms; t += 1000) {
        w->now += 1000;
        say(w, TRIB_PLAYER_POSITION, from + t * w->tracker.rate_milli / 1000, 0);
        tick(w);
    }
}

static inline struct event *last(struct world *w, unsigned type)
{
    for (size_t i = w->count; i > 0; i--)
        if (w->events[i - 1].type == type)
            return &w->events[i - 1];
    fail_msg("no such event: %s", trib_events[type].name);
    return NULL;
}

static inline size_t count_of(const struct world *w, unsigned type)
{
    size_t n = 0;
    for (size_t i = 0; i < w->count; i++)
        n += w->events[i].type == type;
    return n;
}

static inline uint64_t value(const struct event *e, unsigned field)
{
    return e->field[field] == ABSENT ? 0 : e->field[field];
}

static inline struct event *end(struct world *w, enum trib_enum_value reason)
{
    assert_int_equal(trib_tracker_end(&w->tracker, w->now, reason, &w->sink), 0);
    return last(w, TRIB_EVENT_SESSION_END);
}

#endif
