/* The playback tracker: events, times, unique watched. What holds for any sequence of reports: playback_property_test.c */
#include "playback_world.h"

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

static void test_totals_are_told_after_ten_seconds_and_each_minute(void **state)
{
    struct world *w = *state;
    begin_content(w, 600000, false);
    say(w, TRIB_PLAYER_PLAYING, 0, 0);
    play_for(w, 0, 9000);
    assert_int_equal(count_of(w, TRIB_EVENT_CHECKPOINT), 0);
    play_for(w, 9000, 1000);
    assert_int_equal(last(w, TRIB_EVENT_CHECKPOINT)->field[TRIB_FIELD_PLAYED_MS], 10000);
    play_for(w, 10000, 125000);
    assert_int_equal(count_of(w, TRIB_EVENT_CHECKPOINT), 3);
    assert_int_equal(last(w, TRIB_EVENT_CHECKPOINT)->field[TRIB_FIELD_PLAYED_MS], 130000);
    assert_int_equal(last(w, TRIB_EVENT_CHECKPOINT)->field[TRIB_FIELD_WATCHED_MS], 130000);
}

static void test_watched_errs_low_when_its_list_is_full(void **state)
{
    struct trib_watched watched = {.count = 0};
    (void)state;
    for (uint64_t i = 0; i < 100; i++)
        trib_watched_add(&watched, i * 1000, i * 1000 + 10 + i);
    assert_int_equal(watched.count, TRIB_WATCHED_MAX);
    assert_true(watched.capped);
    assert_true(trib_watched_sum(&watched) <= 100 * 60);
    trib_watched_add(&watched, 0, 100000);
    assert_int_equal(trib_watched_sum(&watched), 100000);
}

static void test_what_was_left_out_of_watched_is_told(void **state)
{
    struct world *w = *state;
    begin_content(w, 3600000, false);
    say(w, TRIB_PLAYER_PLAYING, 0, 0);
    for (unsigned i = 0; i < TRIB_WATCHED_MAX + 2; i++) {
        assert_false(w->tracker.watched.capped && i <= TRIB_WATCHED_MAX);
        say(w, TRIB_PLAYER_SEEKED, i * 100000u, 0);
        play_for(w, i * 100000u, 2000);
    }
    struct event *e = end(w, TRIB_REASON_QUIT);
    assert_int_equal(e->field[TRIB_FIELD_WATCHED_CAPPED], true);
    assert_int_equal(e->field[TRIB_FIELD_WATCHED_MS], 2000 * TRIB_WATCHED_MAX);
}

static void test_positions_of_a_live_stream_are_kept_from_its_start(void **state)
{
    struct trib_watched watched = {.count = 0};
    const uint64_t now = 1700000000000;
    (void)state;
    trib_watched_add(&watched, now, now + 1000);
    trib_watched_add(&watched, now - 3600000, now - 3599000); /* the viewer went back an hour */
    assert_int_equal(trib_watched_sum(&watched), 2000);
    assert_false(watched.capped);
    trib_watched_add(&watched, 0, 1000);
    trib_watched_add(&watched, now + (1ull << 32), now + (1ull << 32) + 1000);
    assert_int_equal(trib_watched_sum(&watched), 2000);
    assert_true(watched.capped);
}

static void test_stalls_are_apart_from_other_buffering(void **state)
{
    struct world *w = *state;
    begin_content(w, 600000, false);
    say(w, TRIB_PLAYER_PLAYING, 0, 0);
    play_for(w, 0, 3000);
    say(w, TRIB_PLAYER_BUFFERING, 3000, 0);
    w->now += 2000;
    say(w, TRIB_PLAYER_PLAYING, 3000, 0);
    say(w, TRIB_PLAYER_SEEKING, 9000, 0);
    say(w, TRIB_PLAYER_BUFFERING, UNKNOWN, 0);
    w->now += 500;
    say(w, TRIB_PLAYER_SEEKED, 9000, 0); /* there, and still without data */
    w->now += 700;
    say(w, TRIB_PLAYER_PLAYING, 9000, 0);
    play_for(w, 9000, 10000);
    struct event *e = end(w, TRIB_REASON_QUIT);
    assert_int_equal(e->field[TRIB_FIELD_STALLED_MS], 2000);
    assert_int_equal(e->field[TRIB_FIELD_BUFFERING_MS], 2700);
    assert_int_equal(e->field[TRIB_FIELD_STALL_COUNT], 1);
    assert_int_equal(e->field[TRIB_FIELD_SEEK_COUNT], 1);
    assert_int_equal(value(last(w, TRIB_EVENT_PING), TRIB_FIELD_STALLED_MS), 2000);
}

static void test_the_average_rate_can_be_told_from_the_totals(void **state)
{
    struct world *w = *state;
    begin_content(w, 0, false);
    say(w, TRIB_PLAYER_PLAYING, 0, 0);
    play_for(w, 0, 10000);
    assert_int_equal(last(w, TRIB_EVENT_PING)->field[TRIB_FIELD_RATED_MS], ABSENT);
    say(w, TRIB_PLAYER_RATE, UNKNOWN, 1500);
    for (unsigned i = 0; i < 10001; i++) { /* in steps that do not divide evenly */
        w->now++;
        tick(w);
    }
    assert_int_equal(last(w, TRIB_EVENT_PING)->field[TRIB_FIELD_RATED_MS], 15000);
    struct event *e = end(w, TRIB_REASON_QUIT);
    assert_int_equal(e->field[TRIB_FIELD_PLAYED_MS], 20001);
    assert_int_equal(e->field[TRIB_FIELD_RATED_MS], 25001);
}

static void test_exit_before_start_is_apart_from_failure_to_start_and_to_play(void **state)
{
    struct world *w = *state;
    begin_content(w, 0, false);
    say(w, TRIB_PLAYER_PLAY, UNKNOWN, 0);
    w->now += 3000;
    struct event *e = end(w, TRIB_REASON_QUIT);
    assert_int_equal(e->field[TRIB_FIELD_NEVER_STARTED], true);
    assert_int_equal(e->field[TRIB_FIELD_STARTUP_MS], 3000);
    begin_content(w, 0, false);
    say(w, TRIB_PLAYER_ERROR, UNKNOWN, 404);
    e = end(w, TRIB_REASON_ERROR);
    assert_int_equal(e->field[TRIB_FIELD_NEVER_STARTED], true);
    assert_int_equal(last(w, TRIB_EVENT_ERROR)->field[TRIB_FIELD_NEVER_STARTED], true);
    begin_content(w, 0, false);
    say(w, TRIB_PLAYER_PLAYING, 0, 0);
    say(w, TRIB_PLAYER_ERROR, UNKNOWN, 500);
    e = end(w, TRIB_REASON_ERROR);
    assert_int_equal(e->field[TRIB_FIELD_NEVER_STARTED], ABSENT);
    assert_int_equal(last(w, TRIB_EVENT_ERROR)->field[TRIB_FIELD_NEVER_STARTED], ABSENT);
}

/* mux-stats-sdk-exoplayer #383, snowplow-javascript PR #1459: positions that no content has, and back again. */
static void test_jumps_to_absurd_positions_harm_nothing(void **state)
{
    static const uint64_t far[] = {UINT64_MAX - 1, 1ull << 63, 1ull << 32, TRIB_YEAR_MS + 1, 0, 1};
    struct world *w = *state;
    begin_content(w, 600000, false);
    say(w, TRIB_PLAYER_PLAYING, 0, 0);
    play_for(w, 0, 5000);
    for (unsigned i = 0; i < sizeof far / sizeof far[0]; i++) {
        w->now += 100;
        say(w, TRIB_PLAYER_POSITION, far[i], 0);
        say(w, TRIB_PLAYER_SEEKING, far[i], 0);
        say(w, TRIB_PLAYER_SEEKED, far[i], 0);
        tick(w);
    }
    struct event *e = end(w, TRIB_REASON_QUIT);
    assert_int_equal(e->field[TRIB_FIELD_PLAYED_MS], 5600);
    assert_true(e->field[TRIB_FIELD_WATCHED_MS] <= 5600);
    assert_int_equal(e->field[TRIB_FIELD_SEEK_COUNT], 6);
}

static void test_of_a_session_outside_the_sample_only_vital_events_are_told(void **state)
{
    struct world *w = *state;
    w->setup.sampled = false;
    w->setup.sampling_milli = 100;
    begin_content(w, 600000, false);
    say(w, TRIB_PLAYER_PLAYING, 0, 0);
    play_for(w, 0, 90000);
    say(w, TRIB_PLAYER_ERROR, UNKNOWN, 5);
    struct event *e = end(w, TRIB_REASON_QUIT);
    assert_int_equal(w->count, 3);
    assert_int_equal(w->events[0].type, TRIB_EVENT_SESSION_START);
    assert_int_equal(w->events[0].field[TRIB_FIELD_SAMPLED], false);
    assert_int_equal(w->events[0].field[TRIB_FIELD_SAMPLING_MILLI], 100);
    assert_int_equal(last(w, TRIB_EVENT_ERROR)->field[TRIB_FIELD_SAMPLED], false);
    assert_int_equal(e->field[TRIB_FIELD_SAMPLED], false);
    assert_int_equal(e->field[TRIB_FIELD_PLAYED_MS], 90000);
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
        CASE(test_totals_are_told_after_ten_seconds_and_each_minute),
        CASE(test_watched_errs_low_when_its_list_is_full),
        CASE(test_what_was_left_out_of_watched_is_told),
        CASE(test_positions_of_a_live_stream_are_kept_from_its_start),
        CASE(test_stalls_are_apart_from_other_buffering),
        CASE(test_the_average_rate_can_be_told_from_the_totals),
        CASE(test_exit_before_start_is_apart_from_failure_to_start_and_to_play),
        CASE(test_jumps_to_absurd_positions_harm_nothing),
        CASE(test_of_a_session_outside_the_sample_only_vital_events_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
