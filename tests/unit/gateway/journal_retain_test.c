/* What is kept beyond what the sinks need: by size, by age, and not when space runs short; and the alarm before that. */
#include <dlfcn.h>
#include <time.h>

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
        JOURNAL_TEST(test_retention_by_size_keeps_the_newest),
        JOURNAL_TEST(test_retention_by_age_counts_from_the_seal),
        JOURNAL_TEST(test_what_a_sink_needs_is_kept_whatever_its_age),
        JOURNAL_TEST(test_a_clock_that_jumped_ages_nothing),
        JOURNAL_TEST(test_retention_gives_way_at_four_fifths_of_the_quota),
        JOURNAL_TEST(test_alarm_comes_before_the_quota_is_reached),
    };
    gw_log_set_level((enum gw_log_level)(GW_LOG_ERROR + 1));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
