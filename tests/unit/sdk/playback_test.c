/* The playback tracker: events, times, unique watched; and random sequences of reports, for which the time identity
 * and the bound of unique watched must hold. */
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
};

static int take(void *context, unsigned type, const uint8_t *fields, size_t length)
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

static void begin_content(struct world *w, uint64_t duration_ms, bool live)
{
    struct trib_content content = {.content_id = "c", .duration_ms = duration_ms, .live = live};
    assert_int_equal(trib_tracker_start(&w->tracker, w->now, &content, 10000, &w->sink), 0);
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    w->sink.context = w;
    w->sink.emit = take;
    w->now = 1000;
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static void say(struct world *w, enum trib_player_report what, uint64_t position, int64_t value)
{
    struct trib_player p = {
        .report = what, .position_ms = position, .value = value, .cause = TRIB_CAUSE_USER};
    assert_int_equal(trib_tracker_report(&w->tracker, w->now, &p, &w->sink), 0);
}

static void tick(struct world *w)
{
    uint32_t next;
    assert_int_equal(trib_tracker_tick(&w->tracker, w->now, &w->sink, &next), 0);
    assert_true(next > 0);
}

/* Plays on in steps of a second, with positions. */
static void play_for(struct world *w, uint64_t from, uint64_t ms)
{
    for (uint64_t t = 1000; t <= ms; t += 1000) {
        w->now += 1000;
        say(w, TRIB_PLAYER_POSITION, from + t * w->tracker.rate_milli / 1000, 0);
        tick(w);
    }
}

static struct event *last(struct world *w, unsigned type)
{
    for (size_t i = w->count; i > 0; i--)
        if (w->events[i - 1].type == type)
            return &w->events[i - 1];
    fail_msg("no such event: %s", trib_events[type].name);
    return NULL;
}

static size_t count_of(const struct world *w, unsigned type)
{
    size_t n = 0;
    for (size_t i = 0; i < w->count; i++)
        n += w->events[i].type == type;
    return n;
}

static uint64_t value(const struct event *e, unsigned field)
{
    return e->field[field] == ABSENT ? 0 : e->field[field];
}

static struct event *end(struct world *w, enum trib_enum_value reason)
{
    assert_int_equal(trib_tracker_end(&w->tracker, w->now, reason, &w->sink), 0);
    return last(w, TRIB_EVENT_SESSION_END);
}

static void test_a_plain_session(void **state)
{
    struct world *w = *state;
    begin_content(w, 60000, false);
    say(w, TRIB_PLAYER_PLAY, UNKNOWN, 0);
    w->now += 400;
    say(w, TRIB_PLAYER_PLAYING, 0, 0);
    assert_int_equal(last(w, TRIB_EVENT_PLAYING)->field[TRIB_FIELD_STARTUP_MS], 400);
    play_for(w, 0, 20000);
    say(w, TRIB_PLAYER_PAUSED, 20000, 0);
    w->now += 3000;
    say(w, TRIB_PLAYER_PLAYING, 20000, 0);
    play_for(w, 20000, 5000);
    struct event *e = end(w, TRIB_REASON_QUIT);
    assert_int_equal(e->field[TRIB_FIELD_PLAYED_MS], 25000);
    assert_int_equal(e->field[TRIB_FIELD_PAUSED_MS], 3000);
    assert_int_equal(e->field[TRIB_FIELD_STARTUP_MS], 400);
    assert_int_equal(e->field[TRIB_FIELD_WATCHED_MS], 25000);
    assert_int_equal(e->field[TRIB_FIELD_UNKNOWN_MS], ABSENT);
    assert_int_equal(count_of(w, TRIB_EVENT_PLAYING), 2);
    assert_int_equal(count_of(w, TRIB_EVENT_PING), 2);
    assert_int_equal(count_of(w, TRIB_EVENT_PROGRESS), 1);
}

static void test_pings_carry_what_is_new_only(void **state)
{
    struct world *w = *state;
    begin_content(w, 600000, false);
    say(w, TRIB_PLAYER_PLAYING, 0, 0);
    play_for(w, 0, 10000);
    struct event *ping = last(w, TRIB_EVENT_PING);
    assert_int_equal(ping->field[TRIB_FIELD_PLAYED_MS], 10000);
    assert_int_equal(ping->field[TRIB_FIELD_PAUSED_MS], ABSENT);
    say(w, TRIB_PLAYER_PAUSED, 10000, 0);
    w->now += 10000;
    tick(w);
    ping = last(w, TRIB_EVENT_PING);
    assert_int_equal(ping->field[TRIB_FIELD_PLAYED_MS], ABSENT);
    assert_int_equal(ping->field[TRIB_FIELD_PAUSED_MS], 10000);
}

static void test_a_ping_that_was_refused_loses_no_time(void **state)
{
    struct world *w = *state;
    uint32_t next;
    begin_content(w, 0, false);
    say(w, TRIB_PLAYER_PLAYING, 0, 0);
    w->now += 10000;
    w->refuse = TRIB_EFULL;
    assert_int_equal(trib_tracker_tick(&w->tracker, w->now, &w->sink, &next), TRIB_EFULL);
    w->refuse = 0;
    w->now += 10000;
    tick(w);
    assert_int_equal(last(w, TRIB_EVENT_PING)->field[TRIB_FIELD_PLAYED_MS], 20000);
}

static void test_watch_time_stands_still_in_a_stuck_seek(void **state)
{
    struct world *w = *state;
    begin_content(w, 600000, false);
    say(w, TRIB_PLAYER_PLAYING, 0, 0);
    play_for(w, 0, 5000);
    say(w, TRIB_PLAYER_SEEKING, 300000, 0);
    for (int i = 0; i < 60; i++) {
        w->now += 1000;
        tick(w);
    }
    struct event *e = end(w, TRIB_REASON_QUIT);
    assert_int_equal(e->field[TRIB_FIELD_PLAYED_MS], 5000);
    assert_int_equal(e->field[TRIB_FIELD_SEEKING_MS], 60000);
    assert_int_equal(e->field[TRIB_FIELD_WATCHED_MS], 5000);
    assert_int_equal(count_of(w, TRIB_EVENT_SEEK), 1);
}

static void test_seeks_in_a_row_are_one(void **state)
{
    struct world *w = *state;
    begin_content(w, 600000, false);
    say(w, TRIB_PLAYER_PLAYING, 0, 0);
    play_for(w, 0, 2000);
    for (int i = 1; i <= 5; i++) {
        say(w, TRIB_PLAYER_SEEKING, 10000u * (unsigned)i, 0);
        w->now += 100;
    }
    say(w, TRIB_PLAYER_SEEKED, 50000, 0);
    struct event *seek = last(w, TRIB_EVENT_SEEK);
    assert_int_equal(count_of(w, TRIB_EVENT_SEEK), 1);
    assert_int_equal(seek->field[TRIB_FIELD_FROM_MS], 2000);
    assert_int_equal(seek->field[TRIB_FIELD_TO_MS], 50000);
    assert_int_equal(seek->field[TRIB_FIELD_TOOK_MS], 500);
    w->now += 1000;
    say(w, TRIB_PLAYER_POSITION, 51000, 0);
    assert_int_equal(trib_watched_sum(&w->tracker.watched), 3000);
}

static void test_buffering_knows_its_cause(void **state)
{
    struct world *w = *state;
    begin_content(w, 600000, false);
    say(w, TRIB_PLAYER_BUFFERING, UNKNOWN, 0);
    assert_int_equal(last(w, TRIB_EVENT_BUFFER_START)->field[TRIB_FIELD_CAUSE], TRIB_CAUSE_STARTUP);
    w->now += 700;
    say(w, TRIB_PLAYER_PLAYING, 0, 0);
    assert_int_equal(last(w, TRIB_EVENT_BUFFER_END)->field[TRIB_FIELD_TOOK_MS], 700);
    play_for(w, 0, 3000);
    say(w, TRIB_PLAYER_BUFFERING, 3000, 0);
    assert_int_equal(last(w, TRIB_EVENT_BUFFER_START)->field[TRIB_FIELD_CAUSE], TRIB_CAUSE_STALL);
    w->now += 2000;
    say(w, TRIB_PLAYER_PLAYING, 3000, 0);
    say(w, TRIB_PLAYER_SEEKING, 9000, 0);
    say(w, TRIB_PLAYER_BUFFERING, UNKNOWN, 0);
    assert_int_equal(last(w, TRIB_EVENT_BUFFER_START)->field[TRIB_FIELD_CAUSE], TRIB_CAUSE_SEEK);
    w->now += 500;
    say(w, TRIB_PLAYER_PLAYING, 9000, 0);
    struct event *e = end(w, TRIB_REASON_QUIT);
    assert_int_equal(e->field[TRIB_FIELD_STALL_COUNT], 1);
    assert_int_equal(e->field[TRIB_FIELD_BUFFERING_MS], 2000);
    assert_int_equal(e->field[TRIB_FIELD_SEEKING_MS], 500);
    assert_int_equal(e->field[TRIB_FIELD_STARTUP_MS], 700);
    assert_int_equal(count_of(w, TRIB_EVENT_PLAYING), 1);
}

static void test_a_device_that_slept_does_not_inflate_watch_time(void **state)
{
    struct world *w = *state;
    begin_content(w, 7200000, false);
    say(w, TRIB_PLAYER_PLAYING, 0, 0);
    play_for(w, 0, 5000);
    w->now += 8 * 3600000ull; /* a night */
    tick(w);
    struct event *e = end(w, TRIB_REASON_QUIT);
    assert_int_equal(e->field[TRIB_FIELD_PLAYED_MS], 5000 + 25000);
    assert_int_equal(e->field[TRIB_FIELD_UNKNOWN_MS], 8 * 3600000ull - 25000);
    assert_int_equal(e->field[TRIB_FIELD_WATCHED_MS], 5000);
}

static void test_an_app_that_reports_states_only_is_measured_too(void **state)
{
    struct world *w = *state;
    begin_content(w, 7200000, false);
    say(w, TRIB_PLAYER_PLAYING, UNKNOWN, 0);
    for (int i = 0; i < 3600; i++) {
        w->now += 1000;
        tick(w);
    }
    assert_int_equal(end(w, TRIB_REASON_ENDED)->field[TRIB_FIELD_PLAYED_MS], 3600000);
}

static void test_content_watched_twice_counts_once(void **state)
{
    struct world *w = *state;
    begin_content(w, 60000, false);
    say(w, TRIB_PLAYER_PLAYING, 0, 0);
    play_for(w, 0, 10000);
    say(w, TRIB_PLAYER_SEEKED, 0, 0);
    play_for(w, 0, 10000);
    struct event *e = end(w, TRIB_REASON_QUIT);
    assert_int_equal(e->field[TRIB_FIELD_PLAYED_MS], 20000);
    assert_int_equal(e->field[TRIB_FIELD_WATCHED_MS], 10000);
}

static void test_double_speed_watches_double(void **state)
{
    struct world *w = *state;
    begin_content(w, 600000, false);
    say(w, TRIB_PLAYER_PLAYING, 0, 0);
    say(w, TRIB_PLAYER_RATE, 0, 2000);
    play_for(w, 0, 10000);
    struct event *e = end(w, TRIB_REASON_QUIT);
    assert_int_equal(e->field[TRIB_FIELD_PLAYED_MS], 10000);
    assert_int_equal(e->field[TRIB_FIELD_WATCHED_MS], 20000);
    assert_int_equal(count_of(w, TRIB_EVENT_RATE), 1);
}

static void test_a_jump_that_nobody_reported_is_not_watched(void **state)
{
    struct world *w = *state;
    begin_content(w, 600000, false);
    say(w, TRIB_PLAYER_PLAYING, 0, 0);
    play_for(w, 0, 5000);
    w->now += 1000;
    say(w, TRIB_PLAYER_POSITION, 400000, 0);
    play_for(w, 400000, 5000);
    assert_int_equal(end(w, TRIB_REASON_QUIT)->field[TRIB_FIELD_WATCHED_MS], 10000);
}

static void test_muted_time_is_part_of_played(void **state)
{
    struct world *w = *state;
    begin_content(w, 600000, false);
    say(w, TRIB_PLAYER_PLAYING, 0, 0);
    say(w, TRIB_PLAYER_MUTED, UNKNOWN, 1);
    w->now += 3000;
    say(w, TRIB_PLAYER_MUTED, UNKNOWN, 0);
    w->now += 4000;
    struct event *e = end(w, TRIB_REASON_QUIT);
    assert_int_equal(e->field[TRIB_FIELD_MUTED_MS], 3000);
    assert_int_equal(e->field[TRIB_FIELD_PLAYED_MS], 7000);
}

static void test_live_content_has_no_duration_and_no_progress(void **state)
{
    struct world *w = *state;
    begin_content(w, 12345, true);
    say(w, TRIB_PLAYER_PLAYING, 1700000000000, 0);
    w->now += 1000;
    say(w, TRIB_PLAYER_POSITION, 1700000001000, 0);
    struct event *e = end(w, TRIB_REASON_ENDED);
    assert_int_equal(e->field[TRIB_FIELD_DURATION_MS], ABSENT);
    assert_int_equal(e->field[TRIB_FIELD_POSITION_MS], ABSENT); /* beyond what a position may be */
    assert_int_equal(e->field[TRIB_FIELD_WATCHED_MS], 1000);
    assert_int_equal(w->events[0].field[TRIB_FIELD_STREAM_TYPE], TRIB_STREAM_TYPE_LIVE);
    assert_int_equal(count_of(w, TRIB_EVENT_PROGRESS), 0);
}

static void test_an_error_is_fatal_if_it_ends_the_session(void **state)
{
    struct world *w = *state;
    begin_content(w, 0, false);
    say(w, TRIB_PLAYER_ERROR, UNKNOWN, -7);
    tick(w);
    assert_int_equal(last(w, TRIB_EVENT_ERROR)->field[TRIB_FIELD_FATAL], 0);
    say(w, TRIB_PLAYER_ERROR, UNKNOWN, 9);
    (void)end(w, TRIB_REASON_ERROR);
    assert_int_equal(last(w, TRIB_EVENT_ERROR)->field[TRIB_FIELD_FATAL], 1);
    assert_int_equal(count_of(w, TRIB_EVENT_ERROR), 2);
}

static void test_totals_are_checked_in_each_minute(void **state)
{
    struct world *w = *state;
    begin_content(w, 600000, false);
    say(w, TRIB_PLAYER_PLAYING, 0, 0);
    play_for(w, 0, 125000);
    assert_int_equal(count_of(w, TRIB_EVENT_CHECKPOINT), 2);
    assert_int_equal(last(w, TRIB_EVENT_CHECKPOINT)->field[TRIB_FIELD_PLAYED_MS], 120000);
    assert_int_equal(last(w, TRIB_EVENT_CHECKPOINT)->field[TRIB_FIELD_WATCHED_MS], 120000);
}

static void test_watched_errs_low_when_its_list_is_full(void **state)
{
    struct trib_watched watched = {.count = 0};
    (void)state;
    for (uint64_t i = 0; i < 100; i++)
        trib_watched_add(&watched, i * 1000, i * 1000 + 10 + i);
    assert_int_equal(watched.count, TRIB_WATCHED_MAX);
    assert_true(trib_watched_sum(&watched) <= 100 * 60);
    trib_watched_add(&watched, 0, 100000);
    assert_int_equal(trib_watched_sum(&watched), 100000);
}

static uint32_t seed = 1;

static uint32_t random_below(uint32_t limit)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed % limit;
}

/* Everything a player may say, in any order, with any position; and silences up to days. */
static void random_session(struct world *w, uint32_t number)
{
    uint64_t duration = random_below(3) ? 1 + random_below(200000) : 0, began = w->now, position = 0;
    bool live = random_below(5) == 0;
    seed = number * 2654435761u | 1;
    begin_content(w, duration, live);
    duration = live ? 0 : duration;
    unsigned steps = random_below(120);
    for (unsigned i = 0; i < steps; i++) {
        w->now += random_below(20) ? random_below(3000) : random_below(300000000);
        position = random_below(4) ? position + random_below(3000) : random_below(250000);
        if (random_below(4) == 0) {
            tick(w);
            continue;
        }
        enum trib_player_report what = (enum trib_player_report)random_below(TRIB_PLAYER_COMPLETE + 1);
        int64_t amount =
            what == TRIB_PLAYER_DURATION ? (int64_t)duration : (int64_t)random_below(20000) - 100;
        if (live && what == TRIB_PLAYER_DURATION)
            what = TRIB_PLAYER_POSITION;
        say(w, what, random_below(5) ? position : UNKNOWN, amount);
    }
    w->now += random_below(2000);
    struct event *e = end(w, random_below(2) ? TRIB_REASON_QUIT : TRIB_REASON_ERROR);
    uint64_t sum = value(e, TRIB_FIELD_STARTUP_MS) + value(e, TRIB_FIELD_PLAYED_MS) +
                   value(e, TRIB_FIELD_PAUSED_MS) + value(e, TRIB_FIELD_BUFFERING_MS) +
                   value(e, TRIB_FIELD_SEEKING_MS) + value(e, TRIB_FIELD_UNKNOWN_MS);
    assert_int_equal(sum, w->now - began);
    assert_true(value(e, TRIB_FIELD_MUTED_MS) <= value(e, TRIB_FIELD_PLAYED_MS));
    if (duration > 0)
        assert_true(trib_watched_sum(&w->tracker.watched) <= duration);
    assert_true(count_of(w, TRIB_EVENT_BUFFER_START) == count_of(w, TRIB_EVENT_BUFFER_END));
    assert_true(count_of(w, TRIB_EVENT_PROGRESS) <= 3);
}

static void test_random_sessions_keep_the_time_identity(void **state)
{
    struct world *w = *state;
    for (uint32_t i = 1; i <= 20000; i++) {
        w->count = 0;
        random_session(w, i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        CASE(test_a_plain_session),
        CASE(test_pings_carry_what_is_new_only),
        CASE(test_a_ping_that_was_refused_loses_no_time),
        CASE(test_watch_time_stands_still_in_a_stuck_seek),
        CASE(test_seeks_in_a_row_are_one),
        CASE(test_buffering_knows_its_cause),
        CASE(test_a_device_that_slept_does_not_inflate_watch_time),
        CASE(test_an_app_that_reports_states_only_is_measured_too),
        CASE(test_content_watched_twice_counts_once),
        CASE(test_double_speed_watches_double),
        CASE(test_a_jump_that_nobody_reported_is_not_watched),
        CASE(test_muted_time_is_part_of_played),
        CASE(test_live_content_has_no_duration_and_no_progress),
        CASE(test_an_error_is_fatal_if_it_ends_the_session),
        CASE(test_totals_are_checked_in_each_minute),
        CASE(test_watched_errs_low_when_its_list_is_full),
        CASE(test_random_sessions_keep_the_time_identity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
