/*
 * What mends itself without a restart: `meta` after a disk error, segments whose map faults, a meta that must grow on a
 * full disk, and the notice that space came back.
 */
#include <sys/stat.h>

#include "journal_fixture.h"
#include "support/disk_faults.h"

static const char *const sinks[] = {"stream"};

static uint64_t cursor(struct fixture *f)
{
    uint64_t offset = UINT64_MAX;
    assert_int_equal(gw_journal_cursor_get(f->journal, "stream", &offset), 0);
    return offset;
}

static int set_cursor_now(struct fixture *f, uint64_t offset)
{
    f->journal->cursors_synced_ms = 0;
    return gw_journal_cursor_set(f->journal, "stream", offset);
}

static void wait_is_over(struct fixture *f)
{
    f->journal->meta->renew_at_ms = f->journal->meta->ballast_at_ms = 0;
}

static void test_meta_takes_cursors_again_after_a_failed_sync(void **state)
{
    struct fixture *f = *state;
    open_journal(f);
    commit_range(f, "tv-1", 1, 1, 20, 500);
    sync_fault = (struct fault){.error = EIO, .count = 1};
    assert_int_equal(set_cursor_now(f, 7), GW_EIO);
    no_faults();
    assert_int_equal(set_cursor_now(f, 9), 0); /* the same process */
    commit_range(f, "tv-1", 1, 21, 25, 500);
    abandon_journal(f);
    open_journal(f);
    assert_int_equal(cursor(f), 9);
    assert_int_equal(read_all(f, 0).entries, 25);
    assert_int_equal(committed(f, "tv-1", 1), 25);
}

/* A poisoned environment is never synced again: its file is another one afterwards. */
static void test_meta_that_failed_is_never_synced_again(void **state)
{
    struct fixture *f = *state;
    open_journal(f);
    commit_range(f, "tv-1", 1, 1, 3, 500);
    struct gw_path data = gw_path_join(f->journal->meta->folder, "data.mdb");
    struct stat before, after;
    assert_int_equal(stat(data.text, &before), 0);
    sync_fault = (struct fault){.error = EIO, .count = 1};
    assert_int_equal(set_cursor_now(f, 1), GW_EIO);
    no_faults();
    assert_int_equal(set_cursor_now(f, 2), 0);
    assert_int_equal(stat(data.text, &after), 0);
    assert_true(before.st_ino != after.st_ino);
    assert_int_equal(before.st_size, after.st_size);
}

/* An update fails, and then the renewal after it: at its first call, its second ... until it gets through. */
static void mends_wherever_it_fails(struct fixture *f, struct fault *fault, int error, unsigned least_places)
{
    open_journal(f);
    uint64_t seq = 0;
    bool fired = true;
    unsigned places = 0;
    for (; fired && places < 50; places++) {
        commit_range(f, "tv-1", 1, seq + 1, seq + 2, 500);
        seq += 2;
        *fault = (struct fault){.error = error, .count = 1};
        assert_true(set_cursor_now(f, seq - 1) != 0);
        *fault = (struct fault){.error = error, .after = (int)places, .count = 1};
        wait_is_over(f);
        int rc = set_cursor_now(f, seq);
        fired = fault->count == 0;
        no_faults();
        if (!fired)
            assert_int_equal(rc, 0);
        assert_int_equal(committed(f, "tv-1", 1), seq);
        wait_is_over(f);
        assert_int_equal(set_cursor_now(f, seq), 0);
        if (places % 3 == 2) {
            abandon_journal(f);
            open_journal(f);
        }
        assert_int_equal(cursor(f), seq);
        assert_int_equal(committed(f, "tv-1", 1), seq);
    }
    assert_true(!fired && places >= least_places);
    assert_int_equal(read_all(f, 0).entries, seq);
}

static void test_meta_mends_wherever_a_sync_fails(void **state)
{
    mends_wherever_it_fails(*state, &sync_fault, EIO, 6);
}

static void test_meta_mends_wherever_a_write_fails(void **state)
{
    mends_wherever_it_fails(*state, &write_fault, EIO, 4);
}

static void test_meta_mends_when_a_write_finds_no_space(void **state)
{
    mends_wherever_it_fails(*state, &write_fault, ENOSPC, 4);
}

/* A seal needs meta: commits stop there, and go on when it can be written to. */
static void test_seal_goes_on_when_meta_does(void **state)
{
    struct fixture *f = *state;
    open_journal(f);
    uint64_t seq = 30;
    commit_range(f, "tv-1", 1, 1, seq, 4000);
    f->journal->active_full = true;
    sync_fault = (struct fault){.error = EIO, .after = 1, .count = 1000}; /* the seal's own file, then meta */
    static struct batch b;
    make_batch(&b, "tv-1", 1, seq, seq + 1, 500);
    assert_int_equal(commit_one(f, &b), GW_EIO);
    wait_is_over(f);
    assert_int_equal(commit_one(f, &b), GW_EIO);
    assert_int_equal(read_all(f, 0).entries, seq);
    no_faults();
    wait_is_over(f);
    commit_range(f, "tv-1", 1, seq + 1, seq + 5, 500);
    assert_int_equal(read_all(f, 0).entries, seq + 5);
    abandon_journal(f);
    open_journal(f);
    assert_int_equal(read_all(f, 0).entries, seq + 5);
    assert_int_equal(committed(f, "tv-1", 1), seq + 5);
    struct gw_journal_stats stats;
    gw_journal_get_stats(f->journal, &stats);
    assert_int_equal(stats.damaged_segments, 0);
}

/* After its own page could not be written LMDB answers no reads either. */
static bool is_out_of_order(const struct gw_meta *meta)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(meta->env, NULL, MDB_RDONLY, &txn);
    if (rc == 0)
        mdb_txn_abort(txn);
    return rc == MDB_PANIC;
}

static void put_meta_out_of_order(struct fixture *f)
{
    for (int place = 0; place < 10; place++) {
        wait_is_over(f);
        write_fault = (struct fault){.error = EIO, .after = place, .count = 1};
        (void)!set_cursor_now(f, 1);
        no_faults();
        if (is_out_of_order(f->journal->meta))
            return;
    }
    fail_msg("no write put meta out of order");
}

/* Until meta is renewed its rows and digests cannot be read: that passes, and is no damage of what they are about. */
static void test_what_needs_meta_waits_until_it_is_renewed(void **state)
{
    struct fixture *f = *state;
    open_journal(f);
    commit_range(f, "tv-1", 1, 1, 30, 4000);
    f->journal->active_full = true;
    commit_range(f, "tv-1", 1, 31, 32, 500);
    finish_digests(f);
    abandon_journal(f);
    open_journal(f); /* the sealed ones are not mapped yet */
    commit_range(f, "tv-1", 1, 33, 34, 500);
    put_meta_out_of_order(f);
    static struct batch b;
    make_batch(&b, "tv-2", 2, 0, 1, 500);
    f->journal->meta->renew_at_ms = UINT64_MAX;
    assert_int_equal(commit_one(f, &b), GW_EIO);
    wait_is_over(f);
    static uint8_t buffer[64 * 1024];
    struct gw_journal_entry entry;
    size_t count, needed;
    uint64_t lost, next;
    assert_int_equal(
        gw_journal_read(f->journal, 0, buffer, sizeof buffer, &entry, 1, &count, &next, &lost, &needed),
        GW_EIO);
    assert_int_equal(commit_one(f, &b), 0);
    assert_int_equal(read_all(f, 0).entries, 35);
    struct gw_journal_stats stats;
    gw_journal_get_stats(f->journal, &stats);
    assert_int_equal(stats.damaged_segments, 0);
}

/* A segment is sealed and another begun, with one call failing: the first, the second ... until it gets through. */
static void rolls_wherever_it_fails(struct fixture *f, struct fault *fault, int error, unsigned least_places)
{
    open_journal(f);
    uint64_t seq = 0;
    bool fired = true;
    unsigned places = 0;
    for (; fired && places < 60; places++) {
        static struct batch b;
        commit_range(f, "tv-1", 1, seq + 1, seq + 2, 500);
        seq += 2;
        f->journal->active_full = true;
        *fault = (struct fault){.error = error, .after = (int)places, .count = 1};
        make_batch(&b, "tv-1", 1, seq, seq + 1, 500);
        seq += commit_one(f, &b) == 0;
        fired = fault->count == 0;
        no_faults();
        wait_is_over(f);
        commit_range(f, "tv-1", 1, seq + 1, seq + 1, 500); /* the same process */
        seq++;
        assert_int_equal(read_all(f, 0).entries, seq);
        if (places % 3 == 2) {
            abandon_journal(f);
            open_journal(f);
        }
        assert_int_equal(committed(f, "tv-1", 1), seq);
    }
    assert_true(!fired && places >= least_places);
    assert_int_equal(read_all(f, 0).entries, seq);
}

static void test_segments_roll_wherever_a_sync_failed(void **state)
{
    rolls_wherever_it_fails(*state, &sync_fault, EIO, 8);
}

static void test_segments_roll_wherever_a_write_failed(void **state)
{
    rolls_wherever_it_fails(*state, &write_fault, ENOSPC, 8);
}

static void test_probe_finds_space_that_came_back(void **state)
{
    struct fixture *f = *state;
    open_journal(f);
    commit_range(f, "tv-1", 1, 1, 30, 4000);
    f->journal->active_full = true;
    allocate_fault = (struct fault){.error = ENOSPC, .count = 1 << 30};
    assert_int_equal(gw_journal_probe(f->journal, &f->error), GW_EFULL);
    assert_int_equal(gw_journal_probe(f->journal, &f->error), GW_EFULL);
    assert_int_equal(read_all(f, 0).entries, 30);
    no_faults();
    assert_int_equal(gw_journal_probe(f->journal, &f->error), 0);
    commit_range(f, "tv-1", 1, 31, 32, 4000);
    assert_int_equal(read_all(f, 0).entries, 32);
}

/* Rows of 200 new devices in one commit. */
static void commit_devices(struct fixture *f, uint64_t from)
{
    static struct batch batches[200];
    static char names[200][32];
    struct gw_journal_write *writes[200];
    for (uint64_t i = 0; i < 200; i++) {
        snprintf(names[i], sizeof names[i], "device-%llu", (unsigned long long)(from + i));
        make_batch(&batches[i], names[i], 2, 0, 1, 16);
        writes[i] = &batches[i].write;
    }
    assert_int_equal(gw_journal_commit(f->journal, writes, 200, &f->error), 0);
}

static void test_ballast_lets_meta_grow_on_a_full_disk(void **state)
{
    struct fixture *f = *state;
    open_journal(f);
    struct gw_meta *meta = f->journal->meta;
    struct gw_path ballast = gw_path_join(meta->folder, "ballast");
    struct stat st;
    assert_int_equal(gw_journal_reclaim(f->journal, sinks, 0), 0);
    assert_int_equal(stat(ballast.text, &st), 0);
    assert_true((uint64_t)st.st_blocks * 512 >= meta->map_bytes); /* not a hole */
    const uint64_t before = meta->map_bytes;
    uint64_t devices = 0;
    while (meta->map_bytes == before) {
        assert_true(devices < 60000);
        for (int i = 0; i < 5; i++, devices += 200)
            commit_devices(f, devices);
        allocate_fault =
            (struct fault){.error = ENOSPC, .count = 1}; /* the ballast's space is there afterwards */
        assert_int_equal(gw_journal_seal(f->journal, &f->error), 0);
        no_faults();
    }
    assert_int_equal(stat(ballast.text, &st), -1);
    meta->ballast_at_ms = 0;
    assert_int_equal(gw_journal_reclaim(f->journal, sinks, 0), 0);
    assert_int_equal(stat(ballast.text, &st), 0);
    assert_true((uint64_t)st.st_size == meta->map_bytes);
}

/* --- SIGBUS --- */

static void cut_data(struct fixture *f, uint64_t first, off_t bytes)
{
    char path[2 * PATH_MAX];
    snprintf(path, sizeof path, "%s/segments/%020llu/data.mdb", f->folder, (unsigned long long)first);
    assert_int_equal(truncate(path, bytes), 0);
}

static void test_fault_under_a_sealed_segment_sets_it_aside(void **state)
{
    struct fixture *f = *state;
    open_journal(f);
    commit_range(f, "tv-1", 1, 1, 100, 4000);
    assert_int_equal(gw_journal_seal(f->journal, &f->error), 0);
    commit_range(f, "tv-1", 1, 101, 120, 4000);
    assert_int_equal(read_all(f, 0).entries, 120); /* it is mapped now */
    cut_data(f, 0, 8 * 4096);
    struct reading r = read_all(f, 0);
    assert_int_equal(r.entries, 20);
    assert_int_equal(r.lost, 100);
    struct gw_journal_stats stats;
    gw_journal_get_stats(f->journal, &stats);
    assert_int_equal(stats.damaged_segments, 1);
    commit_range(f, "tv-1", 1, 121, 125, 4000);
    assert_int_equal(committed(f, "tv-1", 1), 125);
    reopen_journal(f);
    assert_int_equal(committed(f, "tv-1", 1), 125); /* its rows were merged when it was sealed */
    assert_int_equal(read_all(f, 100).entries, 25);
}

static void fault_under_the_active_segment(struct fixture *f, bool read_first)
{
    open_journal(f);
    commit_range(f, "tv-1", 1, 1, 50, 4000);
    assert_int_equal(gw_journal_seal(f->journal, &f->error), 0);
    commit_range(f, "tv-1", 1, 51, 100, 4000);
    cut_data(f, 50, 8 * 4096);
    static uint8_t buffer[8192];
    struct gw_journal_entry entry;
    size_t count, needed;
    uint64_t next, lost;
    if (read_first)
        assert_int_equal(
            gw_journal_read(f->journal, 60, buffer, sizeof buffer, &entry, 1, &count, &next, &lost, &needed),
            GW_EIO);
    static struct batch b;
    for (uint64_t seq = 100, i = 0; i < 10 && seq < 105; i++) { /* one may fail: nothing of it is kept */
        make_batch(&b, "tv-1", 1, seq, seq + 1, 4000);
        seq += commit_one(f, &b) == 0;
        if (i == 9)
            assert_int_equal(seq, 105);
    }
    assert_int_equal(committed(f, "tv-1", 1), 105);
    struct gw_journal_stats stats;
    gw_journal_get_stats(f->journal, &stats);
    assert_int_equal(stats.damaged_segments, 1);
    struct reading r = read_all(f, 0);
    assert_int_equal(r.last_of_stream1, 105);
    assert_int_equal(r.entries + r.lost, 105);
    reopen_journal(f);
    assert_int_equal(committed(f, "tv-1", 1), 105);
}

static void test_fault_of_a_commit_seals_and_rolls(void **state)
{
    fault_under_the_active_segment(*state, false);
}

static void test_fault_of_a_read_seals_and_rolls(void **state)
{
    fault_under_the_active_segment(*state, true);
}

/* Without a commit too: the sinks must not wait for one. */
static void test_fault_of_a_read_is_mended_in_a_quiet_night(void **state)
{
    struct fixture *f = *state;
    open_journal(f);
    commit_range(f, "tv-1", 1, 1, 50, 4000);
    cut_data(f, 0, 8 * 4096);
    static uint8_t buffer[8192];
    struct gw_journal_entry entry;
    size_t count, needed;
    uint64_t next, lost;
    assert_int_equal(
        gw_journal_read(f->journal, 30, buffer, sizeof buffer, &entry, 1, &count, &next, &lost, &needed),
        GW_EIO);
    assert_int_equal(gw_journal_reclaim(f->journal, sinks, 0), 0);
    assert_int_equal(
        gw_journal_read(f->journal, 30, buffer, sizeof buffer, &entry, 1, &count, &next, &lost, &needed), 0);
    assert_int_equal(count, 0);
    assert_int_equal(lost, 20);
}

static int mend_teardown(void **state)
{
    no_faults();
    return fixture_teardown(state);
}

#define JOURNAL_TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup, mend_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        JOURNAL_TEST(test_meta_takes_cursors_again_after_a_failed_sync),
        JOURNAL_TEST(test_meta_that_failed_is_never_synced_again),
        JOURNAL_TEST(test_meta_mends_wherever_a_sync_fails),
        JOURNAL_TEST(test_meta_mends_wherever_a_write_fails),
        JOURNAL_TEST(test_meta_mends_when_a_write_finds_no_space),
        JOURNAL_TEST(test_seal_goes_on_when_meta_does),
        JOURNAL_TEST(test_what_needs_meta_waits_until_it_is_renewed),
        JOURNAL_TEST(test_segments_roll_wherever_a_sync_failed),
        JOURNAL_TEST(test_segments_roll_wherever_a_write_failed),
        JOURNAL_TEST(test_probe_finds_space_that_came_back),
        JOURNAL_TEST(test_ballast_lets_meta_grow_on_a_full_disk),
        JOURNAL_TEST(test_fault_under_a_sealed_segment_sets_it_aside),
        JOURNAL_TEST(test_fault_of_a_commit_seals_and_rolls),
        JOURNAL_TEST(test_fault_of_a_read_seals_and_rolls),
        JOURNAL_TEST(test_fault_of_a_read_is_mended_in_a_quiet_night),
    };
    gw_log_set_level((enum gw_log_level)(GW_LOG_ERROR + 1));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
