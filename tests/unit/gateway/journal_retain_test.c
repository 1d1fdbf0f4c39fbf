/* What is kept beyond what the sinks need: by size, by age, and not when space runs short; and the alarm before that. */
#include <dlfcn.h>
#include <time.h>

#include "journal/spare.h"
#include "journal_fixture.h"

static const char *const sinks[] = {"stream"};

/* Clocks that the tests move: both by `later_ms`, and the wall clock alone by `jump_ms`. */
static uint64_t later_ms, jump_ms;

int clock_gettime(clockid_t id, struct timespec *out)
{
    static int (*real)(clockid_t, struct timespec *);
    if (!real) {
        void *symbol = dlsym(RTLD_NEXT, "clock_gettime");
        memcpy(&real, &symbol, sizeof real);
    }
    int rc = real(id, out);
    out->tv_sec += (time_t)((later_ms + (id == CLOCK_REALTIME ? jump_ms : 0)) / 1000);
    return rc;
}

/* `count` sealed segments of 40 entries, about 330 KiB, and every sink past them. */
static void fill_segments(struct fixture *f, uint64_t count)
{
    uint64_t seq = committed(f, "tv-1", 1);
    for (uint64_t i = 0; i < count; i++, seq += 40) {
        commit_range(f, "tv-1", 1, seq + 1, seq + 40, 4090);
        assert_int_equal(gw_journal_seal(f->journal, &f->error), 0);
    }
    assert_int_equal(gw_journal_cursor_set(f->journal, "stream", seq), 0);
    f->journal->cursors_synced_ms = 0;
    assert_int_equal(gw_journal_reclaim(f->journal, sinks, 1), 0);
}

static struct gw_journal_stats stats_of(struct fixture *f)
{
    struct gw_journal_stats stats;
    assert_int_equal(gw_journal_reclaim(f->journal, sinks, 1), 0);
    gw_journal_get_stats(f->journal, &stats);
    return stats;
}

static void test_without_retention_what_every_sink_has_goes(void **state)
{
    struct fixture *f = *state;
    open_journal(f);
    fill_segments(f, 3);
    assert_int_equal(stats_of(f).segments, 0);
}

static void test_a_spare_that_nobody_wants_goes_after_a_day(void **state)
{
    struct fixture *f = *state;
    struct gw_path spare = gw_spare_path(gw_path_join(f->folder, "segments").text);
    f->config.recycle = true;
    open_journal(f);
    fill_segments(f, 1);
    later_ms = 23 * 3600 * 1000;
    (void)stats_of(f);
    assert_true(gw_path_exists(spare.text));
    jump_ms = 2 * 3600 * 1000;
    (void)stats_of(f);
    assert_true(gw_path_exists(spare.text));
    jump_ms = 0;
    later_ms = 24 * 3600 * 1000 + 1000;
    (void)stats_of(f);
    assert_false(gw_path_exists(spare.text));
}

static void test_retention_by_size_keeps_the_newest(void **state)
{
    struct fixture *f = *state;
    f->config.retention_bytes = 2 * MIB;
    open_journal(f);
    fill_segments(f, 20);
    struct gw_journal_stats stats = stats_of(f);
    assert_true(stats.retained_bytes <= 2 * MIB && stats.retained_bytes > MIB + MIB / 2);
    assert_int_equal(gw_journal_begin(f->journal) + 40 * stats.segments, 800);
    assert_int_equal(read_all(f, gw_journal_begin(f->journal)).lost, 0);
    reopen_journal(f);
    assert_int_equal(stats_of(f).retained_bytes, stats.retained_bytes);
}

static void test_retention_by_age_counts_from_the_seal(void **state)
{
    struct fixture *f = *state;
    f->config.retention_ms = 3600 * 1000;
    open_journal(f);
    fill_segments(f, 2);
    later_ms = 1800 * 1000;
    fill_segments(f, 1);
    assert_int_equal(stats_of(f).segments, 3);
    reopen_journal(f); /* the time of the seal is kept */
    later_ms = 3601 * 1000;
    assert_int_equal(stats_of(f).segments, 1);
    later_ms = 5402 * 1000;
    assert_int_equal(stats_of(f).segments, 0);
}

static void test_what_a_sink_needs_is_kept_whatever_its_age(void **state)
{
    struct fixture *f = *state;
    f->config.retention_ms = 1000;
    f->config.retention_bytes = MIB;
    open_journal(f);
    fill_segments(f, 1);
    commit_range(f, "tv-1", 1, 41, 400, 4090);
    later_ms = 90000 * 1000;
    (void)stats_of(f);
    assert_int_equal(gw_journal_begin(f->journal), 40);
    assert_int_equal(read_all(f, 40).entries, 360);
}

static void test_a_clock_that_jumped_ages_nothing(void **state)
{
    struct fixture *f = *state;
    f->config.retention_ms = 3600 * 1000;
    open_journal(f);
    fill_segments(f, 2);
    jump_ms = 7200 * 1000;
    assert_int_equal(stats_of(f).segments, 2);
    jump_ms = 0;
    later_ms = 7200 * 1000;
    assert_int_equal(stats_of(f).segments, 0);
}

static void test_retention_gives_way_at_four_fifths_of_the_quota(void **state)
{
    struct fixture *f = *state;
    f->config.retention_bytes = 100 * MIB;
    f->config.quota_bytes = 20 * MIB;
    open_journal(f);
    for (int i = 0; i < 15; i++)
        fill_segments(f, 4); /* 20 MiB and more, reclaimed as often as in life */
    struct gw_journal_stats stats = stats_of(f);
    assert_true(stats.disk_bytes <= 16 * MIB && stats.disk_bytes > 14 * MIB);
    assert_false(stats.nearly_full);
    assert_int_equal(committed(f, "tv-1", 1), 2400); /* and no commit was refused */
}

static void test_alarm_comes_before_the_quota_is_reached(void **state)
{
    struct fixture *f = *state;
    f->config.quota_bytes = 12 * MIB;
    open_journal(f);
    static struct batch b;
    uint64_t seq = 0, alarmed_at = 0;
    for (int rc = 0; rc == 0; seq++) {
        make_batch(&b, "tv-1", 1, seq, seq + 1, 4090);
        rc = commit_one(f, &b);
        assert_true(rc == 0 || rc == GW_EFULL);
        struct gw_journal_stats stats = {0};
        if (seq % 50 == 0 && alarmed_at == 0 && (stats = stats_of(f)).nearly_full)
            alarmed_at = seq;
        assert_true(stats.limit_bytes == 0 || stats.limit_bytes == 12 * MIB);
    }
    assert_true(alarmed_at > seq / 2 && alarmed_at + 100 < seq);
    assert_int_equal(gw_journal_cursor_set(f->journal, "stream", seq - 1), 0);
    f->journal->cursors_synced_ms = 0;
    (void)stats_of(f);
    assert_false(stats_of(f).nearly_full);
}

/* --- sinks that are not waited for without an end --- */

static const char *const both[] = {"stream", "lake"};

#define DAY ((uint64_t)24 * 3600 * 1000)

/* Two segments of 40 entries, 0 to 79, that the stream has and the lake has not; the lake is left behind after a day. */
static void open_with_a_lake_behind(struct fixture *f)
{
    open_journal(f);
    assert_int_equal(gw_journal_detach_after(f->journal, "lake", DAY), 0);
    assert_int_equal(gw_journal_cursor_set(f->journal, "lake", 0), 0);
    for (uint64_t seq = 0; seq < 80; seq += 40) {
        commit_range(f, "tv-1", 1, seq + 1, seq + 40, 4090);
        assert_int_equal(gw_journal_seal(f->journal, &f->error), 0);
    }
    assert_int_equal(gw_journal_cursor_set(f->journal, "stream", 80), 0);
}

static struct gw_journal_stats reclaim_both(struct fixture *f)
{
    struct gw_journal_stats stats;
    assert_int_equal(gw_journal_reclaim(f->journal, both, 2), 0);
    gw_journal_get_stats(f->journal, &stats);
    return stats;
}

struct lost_ranges {
    struct gw_journal_lost ranges[4];
    size_t count;
};

static void take_lost(void *context, const struct gw_journal_lost *lost)
{
    struct lost_ranges *all = context;
    assert_true(all->count < 4);
    assert_string_equal(lost->sink, "lake");
    all->ranges[all->count++] = *lost;
}

static struct lost_ranges lost_ranges(struct fixture *f)
{
    struct lost_ranges all = {.count = 0};
    assert_int_equal(gw_journal_each_lost(f->journal, take_lost, &all), 0);
    return all;
}

static void test_a_sink_left_behind_lets_go_and_what_it_lost_is_recorded(void **state)
{
    struct fixture *f = *state;
    open_with_a_lake_behind(f);
    assert_int_equal(reclaim_both(f).segments, 2);
    later_ms = DAY - 5000;
    assert_int_equal(reclaim_both(f).segments, 2);
    assert_int_equal(lost_ranges(f).count, 0);
    later_ms = DAY + 5000;
    struct gw_journal_stats stats = reclaim_both(f);
    assert_int_equal(stats.segments, 0);
    assert_int_equal(stats.detached_sinks, 1);
    for (int life = 0; life < 3; life++) {
        stats = reclaim_both(f);
        assert_int_equal(stats.lost_entries, 80);
        assert_int_equal(stats.detached_sinks, 1);
        assert_true(gw_journal_is_detached(f->journal, "lake"));
        struct lost_ranges lost = lost_ranges(f);
        assert_int_equal(lost.count, 1); /* ranges that touch are one */
        assert_int_equal(lost.ranges[0].from, 0);
        assert_int_equal(lost.ranges[0].to, 80);
        assert_int_equal(lost.ranges[0].entries, 80);
        assert_int_equal(lost.ranges[0].epoch, gw_journal_epoch(f->journal));
        if (life == 0)
            abandon_journal(f), open_journal(f);
        else
            reopen_journal(f);
    }
}

static void test_a_required_sink_is_waited_for_without_an_end(void **state)
{
    struct fixture *f = *state;
    open_with_a_lake_behind(f);
    assert_int_equal(gw_journal_detach_after(f->journal, "lake", 0), 0);
    (void)reclaim_both(f);
    later_ms = 400 * DAY;
    assert_int_equal(reclaim_both(f).segments, 2);
    assert_int_equal(lost_ranges(f).count, 0);
}

static void test_a_sink_that_is_back_is_waited_for_again(void **state)
{
    struct fixture *f = *state;
    open_with_a_lake_behind(f);
    (void)reclaim_both(f);
    later_ms = DAY + 5000;
    assert_int_equal(reclaim_both(f).segments, 0);
    assert_int_equal(gw_journal_begin(f->journal), 80);
    commit_range(f, "tv-1", 1, 81, 120, 4090);
    assert_int_equal(gw_journal_cursor_set(f->journal, "lake", 81), 0);
    assert_int_equal(reclaim_both(f).detached_sinks, 0);
    assert_int_equal(gw_journal_seal(f->journal, &f->error), 0);
    assert_int_equal(gw_journal_cursor_set(f->journal, "stream", 120), 0);
    later_ms += DAY - 5000;
    assert_int_equal(reclaim_both(f).segments, 1);
    later_ms += 10000;
    assert_int_equal(reclaim_both(f).segments, 0);
    struct lost_ranges lost = lost_ranges(f);
    assert_int_equal(lost.count, 2);
    assert_int_equal(lost.ranges[1].from, 81);
    assert_int_equal(lost.ranges[1].to, 120);
    assert_int_equal(lost.ranges[1].entries, 39);
}

static void test_what_another_sink_or_retention_keeps_is_not_lost(void **state)
{
    struct fixture *f = *state;
    f->config.retention_ms = 10 * DAY;
    open_with_a_lake_behind(f);
    (void)reclaim_both(f);
    later_ms = 5 * DAY;
    assert_int_equal(reclaim_both(f).segments, 2); /* retention has it for the lake, too */
    assert_int_equal(reclaim_both(f).lost_entries, 0);
    assert_int_equal(gw_journal_cursor_set(f->journal, "stream", 40),
                     0); /* it begins anew, and is required */
    f->journal->cursors_synced_ms = 0;
    later_ms = 11 * DAY;
    struct gw_journal_stats stats = reclaim_both(f);
    assert_int_equal(stats.segments, 1);
    assert_int_equal(stats.lost_entries, 40);
}

/* A commit of nothing but one event in quarantine. */
static void reject_one(struct fixture *f, uint64_t seq)
{
    static struct batch b;
    const struct gw_journal_quarantine q = {
        .sealed = (const uint8_t *)"sealed", .sealed_len = 6, .stream = 2, .seq = seq, .code = 5};
    make_batch(&b, "tv-2", 2, seq - 1, seq, 0);
    b.write.entry = NULL;
    b.write.quarantine = &q;
    b.write.quarantine_count = 1;
    assert_int_equal(commit_one(f, &b), 0);
}

static void seal_a_rejected_one(struct fixture *f, uint64_t seq)
{
    reject_one(f, seq);
    assert_int_equal(gw_journal_seal(f->journal, &f->error), 0);
}

static void test_no_sink_is_waited_for_where_there_is_nothing_for_sinks(void **state)
{
    struct fixture *f = *state;
    open_journal(f);
    for (uint64_t seq = 1; seq <= 3; seq++)
        seal_a_rejected_one(f, seq);
    assert_int_equal(stats_of(f).segments, 0); /* the stream has nothing yet, and lacks nothing */
    commit_range(f, "tv-1", 1, 1, 40, 4090);
    const uint64_t first = gw_journal_begin(f->journal), end = first + 40;
    assert_int_equal(gw_journal_seal(f->journal, &f->error), 0);
    for (uint64_t seq = 4; seq <= 6; seq++)
        seal_a_rejected_one(f, seq);
    assert_int_equal(stats_of(f).segments, 4); /* they stand behind what it needs */
    assert_int_equal(gw_journal_cursor_set(f->journal, "stream", end), 0);
    f->journal->cursors_synced_ms = 0;
    assert_int_equal(stats_of(f).segments, 0);
    for (int life = 0; life < 2; life++) {
        assert_int_equal(gw_journal_begin(f->journal), end + 3);
        assert_int_equal(gw_journal_trimmed(f->journal), end);
        assert_int_equal(read_all(f, end).lost, 0);     /* what had no entries is no loss ... */
        assert_int_equal(read_all(f, end - 5).lost, 5); /* ... and what had is */
        reopen_journal(f);
    }
    commit_range(f, "tv-1", 1, 41, 41, 4090);
    assert_int_equal(read_all(f, end).lost, 0);
    assert_int_equal(stats_of(f).quarantine_entries, 6);
}

static void test_a_sink_with_nothing_to_do_is_not_left_behind(void **state)
{
    struct fixture *f = *state;
    open_with_a_lake_behind(f);
    assert_int_equal(gw_journal_cursor_set(f->journal, "lake", 80), 0);
    seal_a_rejected_one(f, 1);
    (void)reclaim_both(f);
    reject_one(f, 2); /* beyond the last entry, in the active segment */
    (void)reclaim_both(f);
    later_ms = 3 * DAY;
    (void)reclaim_both(f);
    commit_range(f, "tv-1", 1, 81, 120, 4090);
    assert_int_equal(gw_journal_seal(f->journal, &f->error), 0);
    assert_int_equal(gw_journal_cursor_set(f->journal, "stream", gw_journal_end(f->journal)), 0);
    f->journal->cursors_synced_ms = 0;
    later_ms += DAY / 2;
    struct gw_journal_stats stats = reclaim_both(f);
    assert_int_equal(stats.segments, 1);
    assert_int_equal(stats.lost_entries, 0);
}

static int setup(void **state)
{
    later_ms = jump_ms = 0;
    return fixture_setup(state);
}

#define JOURNAL_TEST(function) cmocka_unit_test_setup_teardown(function, setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        JOURNAL_TEST(test_without_retention_what_every_sink_has_goes),
        JOURNAL_TEST(test_a_spare_that_nobody_wants_goes_after_a_day),
        JOURNAL_TEST(test_retention_by_size_keeps_the_newest),
        JOURNAL_TEST(test_retention_by_age_counts_from_the_seal),
        JOURNAL_TEST(test_what_a_sink_needs_is_kept_whatever_its_age),
        JOURNAL_TEST(test_a_clock_that_jumped_ages_nothing),
        JOURNAL_TEST(test_retention_gives_way_at_four_fifths_of_the_quota),
        JOURNAL_TEST(test_alarm_comes_before_the_quota_is_reached),
        JOURNAL_TEST(test_a_sink_left_behind_lets_go_and_what_it_lost_is_recorded),
        JOURNAL_TEST(test_no_sink_is_waited_for_where_there_is_nothing_for_sinks),
        JOURNAL_TEST(test_a_sink_with_nothing_to_do_is_not_left_behind),
        JOURNAL_TEST(test_a_required_sink_is_waited_for_without_an_end),
        JOURNAL_TEST(test_a_sink_that_is_back_is_waited_for_again),
        JOURNAL_TEST(test_what_another_sink_or_retention_keeps_is_not_lost),
    };
    gw_log_set_level((enum gw_log_level)(GW_LOG_ERROR + 1));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
