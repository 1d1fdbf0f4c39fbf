/* Generations, and the life of streams: what is closed or erased takes nothing more, whatever happens to the journal. */
#include "journal_fixture.h"

#include "journal/parts.h"

static void name_streams(struct batch *b, size_t count, const uint64_t *streams)
{
    b->write.names_streams = true;
    b->write.named_count = count;
    memcpy(b->write.named, streams, count * sizeof *streams);
}

static struct gw_journal_stream row_of(struct fixture *f, const char *device, uint64_t stream)
{
    struct gw_journal_stream row = {0};
    assert_int_equal(gw_journal_stream_get(f->journal, device, stream, &row), 0);
    return row;
}

static int commit(struct fixture *f, const char *device, uint64_t stream, uint64_t expected, uint64_t last,
                  uint64_t generation)
{
    static struct batch b;
    make_batch(&b, device, stream, expected, last, 100);
    b.write.generation = generation;
    return commit_one(f, &b);
}

static void test_an_older_generation_commits_nothing(void **state)
{
    struct fixture *f = *state;
    open_journal(f);
    assert_int_equal(commit(f, "tv-1", 1, 0, 5, 0), 0);
    assert_int_equal(commit(f, "tv-1", 2, 0, 1, 1), 0);
    for (int pass = 0; pass < 3; pass++) {
        assert_int_equal(row_of(f, "tv-1", GW_JOURNAL_DEVICE_ROW).generation, 1);
        assert_int_equal(commit(f, "tv-1", 1, 5, 6, 0), GW_ESTALE);
        assert_int_equal(commit(f, "tv-1", 3, 0, 6, 0), GW_ESTALE); /* nor a stream nobody knew */
        assert_int_equal(commit(f, "tv-1", 1, 5, 6, 1), GW_ESTALE); /* nor one from before under a new name */
        assert_int_equal(commit(f, "tv-10", 11, (uint64_t)pass, (uint64_t)pass + 1, 0), 0); /* another's */
        if (pass == 0) {
            reopen_journal(f);
        } else {
            abandon_journal(f);
            open_journal(f);
        }
    }
    assert_int_equal(committed(f, "tv-1", 1), 5);
    assert_int_equal(committed(f, "tv-1", 3), 0);
    assert_int_equal(read_all(f, 0).entries, 5);
}

static void test_streams_that_are_not_named_are_closed(void **state)
{
    struct fixture *f = *state;
    static struct batch b;
    open_journal(f);
    for (uint64_t stream = 1; stream <= 3; stream++)
        assert_int_equal(commit(f, "tv-1", stream, 0, 5, 0), 0);
    assert_int_equal(commit(f, "tv-10", 1, 0, 5, 0), 0);
    reopen_journal(f); /* some rows in meta, one in the segment */
    assert_int_equal(commit(f, "tv-1", 4, 0, 5, 0), 0);
    make_batch(&b, "tv-1", 5, 0, 1, 100);
    b.write.generation = 0;
    name_streams(&b, 2, (const uint64_t[]){2, 5});
    assert_int_equal(commit_one(f, &b), 0);
    assert_int_equal(b.write.closed_count, 3);
    for (int pass = 0; pass < 2; pass++) {
        static const uint64_t closed[] = {1, 3, 4}, open[] = {2, 5};
        for (size_t i = 0; i < 3; i++) {
            struct gw_journal_stream row = row_of(f, "tv-1", closed[i]);
            assert_true(row.closed && !row.erased);
            assert_int_equal(row.committed, 5);
            assert_int_equal(commit(f, "tv-1", closed[i], 5, 6, 0), GW_ESTALE);
        }
        for (size_t i = 0; i < 2; i++)
            assert_false(row_of(f, "tv-1", open[i]).closed);
        assert_false(row_of(f, "tv-10", 1).closed);
        reopen_journal(f);
    }
    make_batch(&b, "tv-1", 1, 9, 9, 100);
    b.write.generation = 0;
    b.write.lanes[0].adopt = true; /* another gateway's word does not open it either */
    assert_int_equal(commit_one(f, &b), GW_ESTALE);
    make_batch(&b, "tv-1", 5, 1, 2, 100);
    b.write.generation = 0;
    name_streams(&b, 2, (const uint64_t[]){2, 5});
    assert_int_equal(commit_one(f, &b), 0);
    assert_int_equal(b.write.closed_count, 0); /* they are counted once */
}

static void test_a_higher_generation_erases_what_is_older(void **state)
{
    struct fixture *f = *state;
    static struct batch b;
    open_journal(f);
    assert_int_equal(commit(f, "tv-1", 1, 0, 5, 0), 0);
    assert_int_equal(commit(f, "tv-1", 2, 0, 5, 0), 0);
    make_batch(&b, "tv-1", 3, 0, 1, 100);
    b.write.generation = 0;
    name_streams(&b, 2, (const uint64_t[]){2, 3});
    assert_int_equal(commit_one(f, &b), 0);
    make_batch(&b, "tv-1", 4, 0, 1, 100);
    b.write.generation = 7;
    name_streams(&b, 1, (const uint64_t[]){4});
    assert_int_equal(commit_one(f, &b), 0);
    assert_int_equal(b.write.closed_count, 3); /* the one that was closed already, too */
    reopen_journal(f);
    for (uint64_t stream = 1; stream <= 3; stream++)
        assert_true(row_of(f, "tv-1", stream).erased);
    assert_false(row_of(f, "tv-1", 4).closed);
}

static void test_a_commit_that_fails_closes_nothing(void **state)
{
    struct fixture *f = *state;
    static struct batch b;
    open_journal(f);
    assert_int_equal(commit(f, "tv-1", 1, 0, 5, 0), 0);
    make_batch(&b, "tv-1", 2, 3, 4, 100); /* a row that does not match */
    b.write.generation = 1;
    name_streams(&b, 1, (const uint64_t[]){2});
    assert_int_equal(commit_one(f, &b), GW_ESTALE);
    assert_false(row_of(f, "tv-1", 1).closed);
    assert_int_equal(commit(f, "tv-1", 1, 5, 6, 0), 0);
}

static void test_more_rows_than_one_write_closes_are_closed_by_the_next(void **state)
{
    struct fixture *f = *state;
    static struct batch b;
    open_journal(f);
    for (uint64_t stream = 1; stream <= 40; stream++)
        assert_int_equal(commit(f, "tv-1", stream, 0, 1, 0), 0);
    uint32_t closed = 0;
    for (uint64_t i = 0; i < 3; i++) {
        make_batch(&b, "tv-1", 99, i, i + 1, 100);
        b.write.generation = 0;
        name_streams(&b, 1, (const uint64_t[]){99});
        assert_int_equal(commit_one(f, &b), 0);
        closed += b.write.closed_count;
    }
    assert_int_equal(closed, 40);
}

static void test_a_generation_is_never_forgotten(void **state)
{
    struct fixture *f = *state;
    open_journal(f);
    assert_int_equal(commit(f, "tv-1", 1, 0, 5, 3), 0);
    reopen_journal(f);
    for (int i = 0; i < 4; i++)
        assert_int_equal(gw_journal_forget(f->journal, gw_journal_wall_ms() + 1000), 0);
    assert_int_equal(committed(f, "tv-1", 1), 0);
    assert_int_equal(commit(f, "tv-1", 1, 0, 5, 2), GW_ESTALE);
}

#define JOURNAL_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        JOURNAL_TEST(test_an_older_generation_commits_nothing),
        JOURNAL_TEST(test_streams_that_are_not_named_are_closed),
        JOURNAL_TEST(test_a_higher_generation_erases_what_is_older),
        JOURNAL_TEST(test_a_commit_that_fails_closes_nothing),
        JOURNAL_TEST(test_more_rows_than_one_write_closes_are_closed_by_the_next),
        JOURNAL_TEST(test_a_generation_is_never_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
