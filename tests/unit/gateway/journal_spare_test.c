/* The spare: the file of a segment that goes becomes the next one's. What that saves, and that nothing old comes back by it. */
#include <dirent.h>
#include <sys/stat.h>

#include "journal/segment.h"
#include "journal/spare.h"
#include "journal_fixture.h"
#include "journal_said.h"
#include "support/disk_faults.h"

static const char *const sinks[] = {"stream"};

static struct gw_path spare_of(const struct fixture *f)
{
    return gw_spare_path(gw_path_join(f->folder, "segments").text);
}

static struct gw_path data_of(const struct fixture *f, uint64_t first)
{
    struct gw_path segments = gw_path_join(f->folder, "segments"),
                   folder = gw_path_join(segments.text, gw_segment_name(first).text);
    return gw_path_join(folder.text, "data.mdb");
}

static struct stat stat_of(const char *path)
{
    struct stat st = {0};
    if (stat(path, &st) != 0)
        fail_msg("%s: %s", path, strerror(errno));
    return st;
}

static void open_recycling(struct fixture *f)
{
    f->config.recycle = true;
    open_journal(f);
}

/* One more sealed segment of 40 entries; no sink has it. */
static void fill_segment(struct fixture *f)
{
    uint64_t seq = committed(f, "tv-1", 1);
    commit_range(f, "tv-1", 1, seq + 1, seq + 40, 4090);
    assert_int_equal(gw_journal_seal(f->journal, &f->error), 0);
}

/* The sink is that far, and what it has goes. */
static void give_back(struct fixture *f, uint64_t offset)
{
    assert_int_equal(gw_journal_cursor_set(f->journal, "stream", offset), 0);
    f->journal->cursors_synced_ms = 0;
    assert_int_equal(gw_journal_reclaim(f->journal, sinks, 1), 0);
}

/* A spare of a segment that held entries 0 to 39. */
static void make_spare(struct fixture *f)
{
    open_recycling(f);
    fill_segment(f);
    give_back(f, 40);
    assert_true(gw_path_exists(spare_of(f).text));
}

static void test_the_next_segment_is_written_over_the_one_before(void **state)
{
    struct fixture *f = *state;
    make_spare(f);
    const ino_t file = stat_of(spare_of(f).text).st_ino;
    assert_true((uint64_t)stat_of(spare_of(f).text).st_size < MIB); /* cut to what it held */
    commit_range(f, "tv-1", 1, 41, 50, 4090);
    struct stat st = stat_of(data_of(f, 40).text);
    assert_int_equal(st.st_ino, file);
    assert_int_equal(st.st_size, MIB);
    assert_true((uint64_t)st.st_blocks * 512 >= MIB); /* not a hole */
    assert_false(gw_path_exists(spare_of(f).text));
    assert_int_equal(read_all(f, 40).entries, 10);
    reopen_journal(f);
    assert_int_equal(read_all(f, 40).entries, 10);
    assert_int_equal(committed(f, "tv-1", 1), 50);
}

static void test_a_killed_process_leaves_what_it_wrote_over_the_spare(void **state)
{
    struct fixture *f = *state;
    make_spare(f);
    commit_range(f, "tv-1", 1, 41, 45, 4090);
    abandon_journal(f);
    open_journal(f);
    struct gw_journal_stats stats;
    gw_journal_get_stats(f->journal, &stats);
    assert_int_equal(stats.damaged_segments, 0);
    assert_int_equal(gw_journal_begin(f->journal), 40);
    assert_int_equal(gw_journal_end(f->journal), 45);
    assert_int_equal(read_all(f, 40).entries, 5);
}

static void test_one_is_kept_and_the_disk_of_others_is_given_back(void **state)
{
    struct fixture *f = *state;
    open_recycling(f);
    for (int i = 0; i < 5; i++)
        fill_segment(f);
    give_back(f, 200);
    struct gw_path segments = gw_path_join(f->folder, "segments");
    DIR *dir = opendir(segments.text);
    assert_non_null(dir);
    unsigned names = 0;
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;)
        names += entry->d_name[0] != '.';
    closedir(dir);
    assert_int_equal(names, 1);
    assert_true(gw_spare_bytes(spare_of(f).text) > 0);
}

/* The spare is a part of what the next segment takes. */
static void test_the_disk_stays_within_the_quota(void **state)
{
    struct fixture *f = *state;
    f->config.quota_bytes = 8 * MIB;
    open_recycling(f);
    struct gw_path meta = gw_path_join(f->folder, "meta");
    static struct batch b;
    for (uint64_t seq = 0, round = 0; round < 12; round++) {
        for (int rc = 0; rc == 0; seq += rc == 0) {
            make_batch(&b, "tv-1", 1, seq, seq + 1, 4090);
            rc = commit_one(f, &b);
            assert_true(rc == 0 || rc == GW_EFULL);
        }
        run("test $(du -sk '%s' '%s/segments' | awk '{s += $1} END {print s}') -le %d", meta.text, f->folder,
            8 * 1024 + 64); /* and the folders themselves */
        give_back(f, seq - (round % 3) * 100);
    }
    struct gw_journal_stats stats;
    gw_journal_get_stats(f->journal, &stats);
    assert_true(stats.disk_bytes <= f->config.quota_bytes);
}

static void test_what_a_backup_holds_is_not_written_over(void **state)
{
    struct fixture *f = *state;
    struct gw_path backup = beside(f, "backup");
    struct gw_journal_summary sum = {0};
    struct said said = {.unsound = 0};
    open_recycling(f);
    fill_segment(f);
    assert_int_equal(gw_journal_backup(f->journal, backup.text, &sum, &f->error), 0);
    give_back(f, 40);
    assert_false(gw_path_exists(spare_of(f).text));
    fill_segment(f);
    assert_int_equal(gw_journal_verify(backup.text, say, &said, &sum, &f->error), 0);
    assert_int_equal(said.unsound, 0);
    assert_int_equal(sum.entries, 40);
}

/* By whatever else gave it a second name since. */
static void test_a_spare_with_another_name_is_not_written_over(void **state)
{
    struct fixture *f = *state;
    struct gw_path other = beside(f, "other");
    make_spare(f);
    run("cp '%s' '%s-copy' && ln '%s' '%s'", spare_of(f).text, other.text, spare_of(f).text, other.text);
    fill_segment(f);
    run("cmp '%s' '%s-copy'", other.text, other.text);
    assert_false(gw_path_exists(spare_of(f).text));
    assert_int_equal(read_all(f, 40).entries, 40);
}

static void test_a_segment_that_failed_is_not_kept(void **state)
{
    struct fixture *f = *state;
    static struct batch b;
    open_recycling(f);
    commit_range(f, "tv-1", 1, 1, 40, 4090);
    sync_fault = (struct fault){.error = EIO, .count = 1};
    make_batch(&b, "tv-1", 1, 40, 41, 400);
    assert_int_equal(commit_one(f, &b), GW_EIO);
    no_faults();
    assert_int_equal(gw_journal_seal(f->journal, &f->error), 0);
    give_back(f, 40);
    struct gw_journal_stats stats;
    gw_journal_get_stats(f->journal, &stats);
    assert_int_equal(stats.segments, 0);
    assert_false(gw_path_exists(spare_of(f).text));
}

static void test_a_spare_that_cannot_be_written_costs_itself_only(void **state)
{
    struct fixture *f = *state;
    make_spare(f);
    const ino_t file = stat_of(spare_of(f).text).st_ino;
    write_fault = (struct fault){.error = EIO, .after = 1, .count = 1}; /* after LMDB's own two pages */
    commit_range(f, "tv-1", 1, 41, 50, 4090);
    assert_int_equal(write_fault.count, 0);
    no_faults();
    assert_false(gw_path_exists(spare_of(f).text));
    assert_true(stat_of(data_of(f, 40).text).st_ino != file);
    assert_int_equal(read_all(f, 40).entries, 10);
}

static void test_a_spare_of_larger_segments_is_cut(void **state)
{
    struct fixture *f = *state;
    f->config.segment_bytes = 2 * MIB;
    open_recycling(f);
    commit_range(f, "tv-1", 1, 1, 200, 4090);
    assert_int_equal(gw_journal_seal(f->journal, &f->error), 0);
    give_back(f, 200);
    assert_true(gw_spare_bytes(spare_of(f).text) > MIB);
    f->config.segment_bytes = MIB;
    reopen_journal(f);
    commit_range(f, "tv-1", 1, 201, 210, 4090);
    assert_int_equal(stat_of(data_of(f, 200).text).st_size, MIB);
}

static void test_switched_off_the_spare_goes(void **state)
{
    struct fixture *f = *state;
    make_spare(f);
    f->config.recycle = false;
    reopen_journal(f);
    assert_false(gw_path_exists(spare_of(f).text));
    fill_segment(f);
    give_back(f, 80);
    assert_false(gw_path_exists(spare_of(f).text));
}

/* The old segment's blocks are whole, and of the same epoch: only their offsets tell. */
static void test_salvage_takes_nothing_of_the_segment_before(void **state)
{
    struct fixture *f = *state;
    struct said said = {.lines = 0};
    struct gw_journal_summary sum = {0};
    make_spare(f);
    commit_range(f, "tv-1", 1, 41, 45, 4090); /* five blocks over the first of forty */
    close_journal(f);
    run("printf damage | dd of='%s' bs=1 seek=4200 conv=notrunc status=none", data_of(f, 40).text);
    open_journal(f);
    struct reading lost = read_all(f, 40); /* it is set aside as it is read */
    assert_int_equal(lost.lost, 5);
    close_journal(f);
    /* As after a power cut: a segment is cut to what it holds only when it is sealed. */
    assert_int_equal(gw_journal_salvage(f->folder, say, &said, &sum, &f->error), 0);
    assert_int_equal(sum.entries, 5);
    open_journal(f);
    assert_int_equal(read_all(f, 45).entries, 5);
}

static void test_salvage_of_an_unsealed_one_takes_nothing_of_the_segment_before(void **state)
{
    struct fixture *f = *state;
    struct said said = {.lines = 0};
    struct gw_journal_summary sum = {0};
    make_spare(f);
    commit_range(f, "tv-1", 1, 41, 45, 4090);
    abandon_journal(f);
    run("printf damage | dd of='%s' bs=1 seek=60 conv=notrunc status=none", data_of(f, 40).text);
    open_journal(f); /* set aside by the child; what lies behind its pages is the old segment's */
    struct gw_journal_stats stats;
    gw_journal_get_stats(f->journal, &stats);
    assert_int_equal(stats.damaged_segments, 1);
    const uint64_t end = gw_journal_end(f->journal);
    close_journal(f);
    assert_int_equal(gw_journal_salvage(f->folder, say, &said, &sum, &f->error), 0);
    assert_int_equal(sum.entries, 5);
    open_journal(f);
    assert_int_equal(read_all(f, end).entries, 5);
}

#define JOURNAL_TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup, remove_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        JOURNAL_TEST(test_the_next_segment_is_written_over_the_one_before),
        JOURNAL_TEST(test_a_killed_process_leaves_what_it_wrote_over_the_spare),
        JOURNAL_TEST(test_one_is_kept_and_the_disk_of_others_is_given_back),
        JOURNAL_TEST(test_the_disk_stays_within_the_quota),
        JOURNAL_TEST(test_what_a_backup_holds_is_not_written_over),
        JOURNAL_TEST(test_a_spare_with_another_name_is_not_written_over),
        JOURNAL_TEST(test_a_segment_that_failed_is_not_kept),
        JOURNAL_TEST(test_a_spare_that_cannot_be_written_costs_itself_only),
        JOURNAL_TEST(test_a_spare_of_larger_segments_is_cut),
        JOURNAL_TEST(test_switched_off_the_spare_goes),
        JOURNAL_TEST(test_salvage_takes_nothing_of_the_segment_before),
        JOURNAL_TEST(test_salvage_of_an_unsealed_one_takes_nothing_of_the_segment_before),
    };
    gw_log_set_level((enum gw_log_level)(GW_LOG_ERROR + 1));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
