/* The journal's promises without faults: commit, compare-and-swap, read, roll, reopen, cursors, reclaim. */
#include "journal_fixture.h"

static void test_commit_is_read_back_in_order(void **state)
{
    struct fixture *f = *state;
    open_journal(f);
    assert_int_equal(gw_journal_end(f->journal), 0);
    commit_range(f, "tv-1", 1, 1, 50, 300);
    assert_int_equal(gw_journal_end(f->journal), 50);
    struct reading r = read_all(f, 0);
    assert_int_equal(r.entries, 50);
    assert_int_equal(r.lost, 0);
    assert_int_equal(r.next, 50);
    assert_int_equal(r.last_of_stream1, 50);
    r = read_all(f, 20);
    assert_int_equal(r.entries, 30);
}

static void test_many_writes_share_a_transaction(void **state)
{
    struct fixture *f = *state;
    open_journal(f);
    static struct batch batches[100];
    struct gw_journal_write *writes[100];
    for (uint64_t i = 0; i < 100; i++) {
        make_batch(&batches[i], "tv-1", 1, i, i + 1, 100 + i * 40);
        writes[i] = &batches[i].write;
    }
    assert_int_equal(gw_journal_commit(f->journal, writes, 100, &f->error), 0);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(writes[i]->status, 0);
    assert_int_equal(read_all(f, 0).entries, 100);
    assert_int_equal(committed(f, "tv-1", 1), 100);
}

static void test_row_carries_crc_and_generation(void **state)
{
    struct fixture *f = *state;
    open_journal(f);
    struct batch b;
    make_batch(&b, "tv-1", 1, 0, 7, 100);
    b.write.generation = 4;
    assert_int_equal(commit_one(f, &b), 0);
    for (int pass = 0; pass < 2; pass++) {
        struct gw_journal_stream row;
        assert_int_equal(gw_journal_stream_get(f->journal, "tv-1", 1, &row), 0);
        assert_int_equal(row.committed, 7);
        assert_int_equal(row.crc, 21);
        assert_int_equal(row.generation, 4);
        assert_int_equal(gw_journal_stream_get(f->journal, "tv-2", 1, &row), GW_ENOTFOUND);
        assert_int_equal(gw_journal_stream_get(f->journal, "tv-1", 2, &row), GW_ENOTFOUND);
        reopen_journal(f);
    }
    /* A lane without news keeps the CRC of the event that is the newest one. */
    make_batch(&b, "tv-1", 1, 7, 7, 100);
    b.write.generation = 4;
    b.write.lanes[0].last_crc = 0;
    b.write.lanes[1] = (struct gw_journal_lane){.stream = 2, .expected = 0, .last_seq = 3, .last_crc = 9};
    assert_int_equal(commit_one(f, &b), 0);
    struct gw_journal_stream row;
    assert_int_equal(gw_journal_stream_get(f->journal, "tv-1", 1, &row), 0);
    assert_int_equal(row.crc, 21);
    assert_int_equal(committed(f, "tv-1", 2), 3);
}

static void test_stale_write_keeps_nothing(void **state)
{
    struct fixture *f = *state;
    open_journal(f);
    commit_range(f, "tv-1", 1, 1, 3, 100);
    static struct batch hole, old, good, two_lanes;
    make_batch(&hole, "tv-1", 1, 5, 6, 100);
    make_batch(&old, "tv-1", 1, 2, 3, 100);
    make_batch(&good, "tv-1", 1, 3, 4, 100);
    make_batch(&two_lanes, "tv-1", 2, 0, 9, 100);
    two_lanes.write.lanes[1] = (struct gw_journal_lane){.stream = 1, .expected = 3, .last_seq = 5};
    struct gw_journal_write *writes[] = {&hole.write, &old.write, &good.write, &two_lanes.write};
    assert_int_equal(gw_journal_commit(f->journal, writes, 4, &f->error), 0);
    assert_int_equal(hole.write.status, GW_ESTALE);
    assert_int_equal(old.write.status, GW_ESTALE);
    assert_int_equal(good.write.status, 0);
    assert_int_equal(two_lanes.write.status, GW_ESTALE);
    assert_int_equal(committed(f, "tv-1", 1), 4);
    assert_int_equal(committed(f, "tv-1", 2), 0);
    assert_int_equal(gw_journal_end(f->journal), 4);
    reopen_journal(f);
    assert_int_equal(committed(f, "tv-1", 1), 4);
    assert_int_equal(committed(f, "tv-1", 2), 0);
}

static void test_all_stale_commits_nothing(void **state)
{
    struct fixture *f = *state;
    open_journal(f);
    struct batch b;
    make_batch(&b, "tv-1", 1, 5, 6, 100);
    assert_int_equal(commit_one(f, &b), GW_ESTALE);
    assert_int_equal(gw_journal_end(f->journal), 0);
}

static void test_adopt_leaps_but_never_goes_back(void **state)
{
    struct fixture *f = *state;
    open_journal(f);
    struct batch b;
    make_batch(&b, "tv-1", 1, 40, 45, 100);
    b.write.lanes[0].adopt = true;
    assert_int_equal(commit_one(f, &b), 0);
    assert_int_equal(committed(f, "tv-1", 1), 45);
    make_batch(&b, "tv-1", 1, 41, 50, 100);
    b.write.lanes[0].adopt = true;
    assert_int_equal(commit_one(f, &b), GW_ESTALE);
    make_batch(&b, "tv-1", 1, 60, 61, 100);
    b.write.lanes[0].adopt = true;
    assert_int_equal(commit_one(f, &b), 0);
}

static void test_senseless_writes_are_refused(void **state)
{
    struct fixture *f = *state;
    open_journal(f);
    struct batch b;
    make_batch(&b, "tv-1", 1, 5, 4, 100);
    assert_int_equal(commit_one(f, &b), GW_EINVALID);
    make_batch(&b, "tv-1", 1, 0, 1, 100);
    b.write.lanes[1] = b.write.lanes[0];
    assert_int_equal(commit_one(f, &b), GW_EINVALID);
    make_batch(&b, "tv-1", 0, 0, 1, 100);
    assert_int_equal(commit_one(f, &b), GW_EINVALID);
    char name[300];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    make_batch(&b, name, 1, 0, 1, 100);
    assert_int_equal(commit_one(f, &b), GW_EINVALID);
    name[255] = '\0';
    make_batch(&b, name, 1, 0, 1, 100);
    assert_int_equal(commit_one(f, &b), 0);
    reopen_journal(f);
    assert_int_equal(committed(f, name, 1), 1);
    uint8_t *huge = calloc(1, MIB);
    make_batch(&b, "tv-1", 1, 0, 1, 100);
    b.write.entry = huge;
    b.write.entry_len = MIB;
    assert_int_equal(commit_one(f, &b), GW_EINVALID);
    free(huge);
}

static void test_segments_roll_and_all_stays_readable(void **state)
{
    struct fixture *f = *state;
    open_journal(f);
    commit_range(f, "tv-1", 1, 1, 1500, 4000);
    struct gw_journal_stats stats;
    gw_journal_get_stats(f->journal, &stats);
    assert_true(stats.segments >= 6);
    assert_int_equal(stats.damaged_segments, 0);
    for (int pass = 0; pass < 2; pass++) {
        struct reading r = read_all(f, 0);
        assert_int_equal(r.entries, 1500);
        assert_int_equal(r.lost, 0);
        assert_int_equal(r.last_of_stream1, 1500);
        assert_int_equal(committed(f, "tv-1", 1), 1500);
        reopen_journal(f);
    }
    commit_range(f, "tv-1", 1, 1501, 1510, 4000);
    assert_int_equal(read_all(f, 1490).entries, 20);
}

static void test_commit_larger_than_a_segment_is_split(void **state)
{
    struct fixture *f = *state;
    open_journal(f);
    enum { COUNT = 600 };
    struct batch *batches = calloc(COUNT, sizeof *batches);
    struct gw_journal_write **writes = calloc(COUNT, sizeof(struct gw_journal_write *));
    for (uint64_t i = 0; i < COUNT; i++) {
        make_batch(&batches[i], "tv-1", 1, i, i + 1, 8000);
        writes[i] = &batches[i].write;
    }
    assert_int_equal(gw_journal_commit(f->journal, writes, COUNT, &f->error), 0);
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(writes[i]->status, 0);
    assert_int_equal(read_all(f, 0).entries, COUNT);
    assert_int_equal(committed(f, "tv-1", 1), COUNT);
    free(writes);
    free(batches);
}

static void test_rows_and_offsets_survive_a_clean_stop(void **state)
{
    struct fixture *f = *state;
    open_journal(f);
    uint64_t epoch = gw_journal_epoch(f->journal);
    char id[32];
    snprintf(id, sizeof id, "%s", gw_journal_gateway_id(f->journal));
    assert_int_equal(strlen(id), 16);
    assert_true(epoch != 0);
    for (uint64_t i = 1; i <= 200; i++) {
        char device[32];
        snprintf(device, sizeof device, "tv-%llu", (unsigned long long)i);
        commit_range(f, device, i, 1, 3, 200);
    }
    reopen_journal(f);
    assert_true(gw_journal_epoch(f->journal) == epoch);
    assert_string_equal(gw_journal_gateway_id(f->journal), id);
    assert_int_equal(gw_journal_end(f->journal), 600);
    for (uint64_t i = 1; i <= 200; i++) {
        char device[32];
        snprintf(device, sizeof device, "tv-%llu", (unsigned long long)i);
        assert_int_equal(committed(f, device, i), 3);
    }
    reopen_journal(f);
    reopen_journal(f);
    assert_int_equal(gw_journal_end(f->journal), 600);
    commit_range(f, "tv-9", 9, 4, 4, 200);
    assert_int_equal(gw_journal_end(f->journal), 601);
}

static void test_rows_and_offsets_survive_a_kill(void **state)
{
    struct fixture *f = *state;
    open_journal(f);
    commit_range(f, "tv-1", 1, 1, 700, 3000); /* sealed ones and an active one */
    uint64_t epoch = gw_journal_epoch(f->journal);
    abandon_journal(f);
    open_journal(f);
    assert_true(gw_journal_epoch(f->journal) == epoch);
    assert_int_equal(gw_journal_end(f->journal), 700);
    assert_int_equal(committed(f, "tv-1", 1), 700);
    struct reading r = read_all(f, 0);
    assert_int_equal(r.entries, 700);
    assert_int_equal(r.lost, 0);
    commit_range(f, "tv-1", 1, 701, 720, 3000);
    abandon_journal(f);
    open_journal(f);
    assert_int_equal(read_all(f, 0).entries, 720);
    struct gw_journal_stats stats;
    gw_journal_get_stats(f->journal, &stats);
    assert_int_equal(stats.damaged_segments, 0);
}

static void test_rejected_only_batches_move_rows_and_keep_quarantine(void **state)
{
    struct fixture *f = *state;
    open_journal(f);
    for (uint64_t i = 1; i <= 5; i++) {
        struct batch b;
        make_batch(&b, "tv-1", 1, i - 1, i, 0);
        b.write.entry = NULL;
        struct gw_journal_quarantine q = {
            .sealed = b.bytes, .sealed_len = 500, .stream = 1, .seq = i, .code = 3};
        b.write.quarantine = &q;
        b.write.quarantine_count = 1;
        assert_int_equal(commit_one(f, &b), 0);
        assert_int_equal(committed(f, "tv-1", 1), i);
        struct gw_journal_stats stats;
        gw_journal_get_stats(f->journal, &stats);
        assert_int_equal(stats.quarantine_entries, i);
        if (i % 2 == 1)
            reopen_journal(f);
        else {
            abandon_journal(f);
            open_journal(f);
        }
    }
    commit_range(f, "tv-1", 1, 6, 10, 100);
    struct reading r = read_all(f, 0);
    assert_int_equal(r.entries, 5);
    assert_int_equal(r.lost, 0); /* offsets without entries are no loss */
}

static int list_rejected(void *context, const struct gw_journal_rejected *rejected)
{
    char *text = context;
    size_t len = strlen(text);
    snprintf(text + len, 256 - len, "%.*s/%u/%u/%u/%u ", (int)rejected->device_len, rejected->device,
             (unsigned)rejected->stream, (unsigned)rejected->seq, (unsigned)rejected->code,
             (unsigned)rejected->sealed_len);
    return rejected->seq == 9 ? 77 : 0;
}

/* Wherever it lies: in meta, in the active segment, or on its way from one to the other. */
static void test_each_rejected_event_is_listed_once(void **state)
{
    struct fixture *f = *state;
    open_journal(f);
    for (uint64_t i = 1; i <= 4; i++) {
        struct batch b;
        make_batch(&b, "tv-1", 1, i - 1, i, 0);
        struct gw_journal_quarantine q = {
            .sealed = b.bytes, .sealed_len = 100 + i, .stream = 1, .seq = i == 4 ? 9 : i, .code = 3};
        b.write.entry = NULL;
        b.write.quarantine = &q;
        b.write.quarantine_count = 1;
        assert_int_equal(commit_one(f, &b), 0);
        char text[256] = "";
        assert_int_equal(gw_journal_each_rejected(f->journal, list_rejected, text), i == 4 ? 77 : 0);
        static const char all[] = "tv-1/1/1/3/101 tv-1/1/2/3/102 tv-1/1/3/3/103 tv-1/1/9/3/104 ";
        assert_int_equal(strlen(text), 15 * i);
        assert_memory_equal(text, all, 15 * i);
        if (i == 2)
            reopen_journal(f);
    }
}

static void test_cursors_survive(void **state)
{
    struct fixture *f = *state;
    open_journal(f);
    uint64_t offset;
    assert_int_equal(gw_journal_cursor_get(f->journal, "stream", &offset), GW_ENOTFOUND);
    assert_int_equal(gw_journal_cursor_set(f->journal, "stream", 5), 0);
    assert_int_equal(gw_journal_cursor_set(f->journal, "lake", 3), 0);
    assert_int_equal(gw_journal_cursor_set(f->journal, "stream", 9), 0);
    assert_int_equal(gw_journal_cursor_get(f->journal, "stream", &offset), 0);
    assert_int_equal(offset, 9);
    reopen_journal(f);
    assert_int_equal(gw_journal_cursor_get(f->journal, "stream", &offset), 0);
    assert_int_equal(offset, 9);
    assert_int_equal(gw_journal_cursor_get(f->journal, "lake", &offset), 0);
    assert_int_equal(offset, 3);
    assert_int_equal(gw_journal_cursor_set(f->journal, "", 5), GW_EINVALID);
}

static void test_reclaim_gives_the_disk_back(void **state)
{
    struct fixture *f = *state;
    static const char *const sinks[] = {"stream", "lake"};
    open_journal(f);
    commit_range(f, "tv-1", 1, 1, 1500, 4000);
    struct gw_journal_stats before, after;
    gw_journal_get_stats(f->journal, &before);
    assert_int_equal(gw_journal_reclaim(f->journal, sinks, 2), 0);
    gw_journal_get_stats(f->journal, &after);
    assert_int_equal(after.segments, before.segments); /* no sink has been anywhere */
    assert_int_equal(gw_journal_cursor_set(f->journal, "stream", 1500), 0);
    assert_int_equal(gw_journal_cursor_set(f->journal, "lake", 700), 0);
    assert_int_equal(gw_journal_reclaim(f->journal, sinks, 2), 0);
    gw_journal_get_stats(f->journal, &after);
    assert_true(after.segments < before.segments && after.disk_bytes < before.disk_bytes);
    uint64_t begin = gw_journal_begin(f->journal);
    assert_true(begin > 400 && begin <= 700);
    struct reading r = read_all(f, 700);
    assert_int_equal(r.entries, 800);
    assert_int_equal(r.lost, 0);
    r = read_all(f, 0); /* whoever asks for what is gone is told how much that is */
    assert_int_equal(r.lost, begin);
    assert_int_equal(r.entries, 1500 - begin);
    abandon_journal(f);
    open_journal(f);
    assert_int_equal(gw_journal_begin(f->journal), begin);
    assert_int_equal(committed(f, "tv-1", 1), 1500);
    uint64_t offset;
    assert_int_equal(gw_journal_cursor_get(f->journal, "lake", &offset), 0);
    assert_int_equal(offset, 700);
    assert_int_equal(gw_journal_cursor_set(f->journal, "lake", 1500), 0);
    assert_int_equal(gw_journal_reclaim(f->journal, sinks, 2), 0);
    assert_int_equal(gw_journal_begin(f->journal), 1500);
    reopen_journal(f);
    assert_int_equal(gw_journal_end(f->journal), 1500); /* offsets go on though no segment is left */
    commit_range(f, "tv-1", 1, 1501, 1501, 100);
    assert_int_equal(gw_journal_end(f->journal), 1501);
}

static void test_read_says_how_much_room_an_entry_needs(void **state)
{
    struct fixture *f = *state;
    open_journal(f);
    commit_range(f, "tv-1", 1, 1, 3, 2000);
    uint8_t small[2500];
    struct gw_journal_entry entries[4];
    size_t count = 99, needed = 0;
    uint64_t next = 77, lost = 0;
    assert_int_equal(gw_journal_read(f->journal, 0, small, 100, entries, 4, &count, &next, &lost, &needed),
                     GW_EFULL);
    assert_int_equal(needed, 2000);
    assert_int_equal(next, 77);
    assert_int_equal(
        gw_journal_read(f->journal, 0, small, sizeof small, entries, 4, &count, &next, &lost, &needed), 0);
    assert_int_equal(count, 1);
    assert_int_equal(next, 1);
    assert_int_equal(
        gw_journal_read(f->journal, 3, small, sizeof small, entries, 4, &count, &next, &lost, &needed), 0);
    assert_int_equal(count, 0);
    assert_int_equal(next, 3);
}

static void test_old_streams_are_forgotten(void **state)
{
    struct fixture *f = *state;
    open_journal(f);
    for (uint64_t i = 1; i <= 1200; i++)
        commit_range(f, "tv-1", i, 1, 1, 50);
    reopen_journal(f);
    for (int i = 0; i < 4; i++)
        assert_int_equal(gw_journal_forget(f->journal, gw_journal_wall_ms() - 600000), 0);
    assert_int_equal(committed(f, "tv-1", 700), 1);
    for (int i = 0; i < 4; i++)
        assert_int_equal(gw_journal_forget(f->journal, gw_journal_wall_ms() + 1000), 0);
    for (uint64_t i = 1; i <= 1200; i++)
        assert_int_equal(committed(f, "tv-1", i), 0);
}

static void test_meta_grows_with_the_streams(void **state)
{
    struct fixture *f = *state;
    open_journal(f);
    enum { COUNT = 4000 };
    struct batch *batches = calloc(COUNT, sizeof *batches);
    struct gw_journal_write **writes = calloc(COUNT, sizeof(struct gw_journal_write *));
    char device[200];
    memset(device, 'd', sizeof device - 1);
    device[sizeof device - 1] = '\0';
    for (uint64_t round = 0; round < 4; round++) {
        for (uint64_t i = 0; i < COUNT; i++) {
            make_batch(&batches[i], device, round * COUNT + i + 1, 0, 1, 20);
            writes[i] = &batches[i].write;
        }
        assert_int_equal(gw_journal_commit(f->journal, writes, COUNT, &f->error), 0);
    }
    reopen_journal(f);
    for (uint64_t i = 1; i <= 4 * COUNT; i++)
        assert_int_equal(committed(f, device, i), 1);
    struct gw_journal_stats stats;
    gw_journal_get_stats(f->journal, &stats);
    assert_true(gw_meta_bytes(f->journal->meta) > MIB);
    abandon_journal(f);
    open_journal(f);
    assert_int_equal(committed(f, device, 4 * COUNT), 1);
    free(writes);
    free(batches);
}

#define JOURNAL_TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        JOURNAL_TEST(test_commit_is_read_back_in_order),
        JOURNAL_TEST(test_many_writes_share_a_transaction),
        JOURNAL_TEST(test_row_carries_crc_and_generation),
        JOURNAL_TEST(test_stale_write_keeps_nothing),
        JOURNAL_TEST(test_all_stale_commits_nothing),
        JOURNAL_TEST(test_adopt_leaps_but_never_goes_back),
        JOURNAL_TEST(test_senseless_writes_are_refused),
        JOURNAL_TEST(test_segments_roll_and_all_stays_readable),
        JOURNAL_TEST(test_commit_larger_than_a_segment_is_split),
        JOURNAL_TEST(test_rows_and_offsets_survive_a_clean_stop),
        JOURNAL_TEST(test_rows_and_offsets_survive_a_kill),
        JOURNAL_TEST(test_rejected_only_batches_move_rows_and_keep_quarantine),
        JOURNAL_TEST(test_each_rejected_event_is_listed_once),
        JOURNAL_TEST(test_cursors_survive),
        JOURNAL_TEST(test_reclaim_gives_the_disk_back),
        JOURNAL_TEST(test_read_says_how_much_room_an_entry_needs),
        JOURNAL_TEST(test_old_streams_are_forgotten),
        JOURNAL_TEST(test_meta_grows_with_the_streams),
    };
    gw_log_set_level(GW_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
