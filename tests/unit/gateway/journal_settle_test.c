/* Events leave quarantine exactly once, together with what is appended for them, wherever they lie and whatever happens. */
#include "journal_fixture.h"

/* What is in quarantine: places by seq. */
struct listed {
    struct gw_journal_place places[64];
    uint64_t seqs[64];
    size_t count;
};

static int list(void *context, const struct gw_journal_rejected *rejected)
{
    struct listed *listed = context;
    assert_true(listed->count < 64);
    assert_int_equal(rejected->sealed_len, 40);
    assert_int_equal(rejected->sealed[0], rejected->seq);
    listed->places[listed->count] = rejected->place;
    listed->seqs[listed->count++] = rejected->seq;
    return 0;
}

static struct listed look(struct fixture *f)
{
    struct listed listed = {.count = 0};
    struct gw_journal_stats stats;
    assert_int_equal(gw_journal_each_rejected(f->journal, list, &listed), 0);
    gw_journal_get_stats(f->journal, &stats);
    assert_int_equal(stats.quarantine_entries, listed.count);
    return listed;
}

static void reject(struct fixture *f, uint64_t seq)
{
    struct batch b;
    uint8_t sealed[40];
    memset(sealed, (int)seq, sizeof sealed);
    const struct gw_journal_quarantine q = {
        .sealed = sealed, .sealed_len = sizeof sealed, .stream = 7, .seq = seq, .code = 5};
    make_batch(&b, "tv-1", 7, seq - 1, seq, 0);
    b.write.entry = NULL;
    b.write.quarantine = &q;
    b.write.quarantine_count = 1;
    assert_int_equal(commit_one(f, &b), 0);
}

/* Takes the event out; `last` marks the entry appended for it, 0: none. */
static int settle(struct fixture *f, struct gw_journal_place place, uint64_t seq, uint64_t last)
{
    struct batch b;
    const struct gw_journal_settled settled = {.place = place, .stream = 7, .seq = seq};
    make_batch(&b, "tv-1", 1, 0, last, 64);
    b.write.lanes[0] = (struct gw_journal_lane){0};
    b.write.settles = &settled;
    b.write.settle_count = 1;
    if (last == 0)
        b.write.entry = NULL;
    return commit_one(f, &b);
}

static void kill_and_open(struct fixture *f)
{
    gw_settled_free(&f->journal->settled);
    abandon_journal(f);
    open_journal(f);
}

static void test_an_event_leaves_once_from_the_active_segment_and_from_meta(void **state)
{
    struct fixture *f = *state;
    open_journal(f);
    for (uint64_t seq = 1; seq <= 3; seq++)
        reject(f, seq);
    reopen_journal(f); /* 1 to 3 are in meta now */
    for (uint64_t seq = 4; seq <= 6; seq++)
        reject(f, seq);
    struct listed all = look(f);
    assert_int_equal(all.count, 6);
    assert_int_equal(settle(f, all.places[1], 2, 1), 0);
    assert_int_equal(settle(f, all.places[4], 5, 2), 0);
    assert_int_equal(settle(f, all.places[5], 6, 0), 0); /* dropped: no entry */
    assert_int_equal(settle(f, all.places[1], 2, 3), GW_ESTALE);
    assert_int_equal(settle(f, all.places[4], 5, 3), GW_ESTALE);
    assert_int_equal(settle(f, (struct gw_journal_place){all.places[4].segment, 99}, 5, 3), GW_ESTALE);
    for (int pass = 0; pass < 3; pass++) {
        struct listed left = look(f);
        assert_int_equal(left.count, 3);
        assert_int_equal(left.seqs[0], 1);
        assert_int_equal(left.seqs[1], 3);
        assert_int_equal(left.seqs[2], 4);
        assert_int_equal(read_all(f, 0).entries, 2);
        assert_int_equal(committed(f, "tv-1", 7), 6); /* no row moved */
        assert_int_equal(committed(f, "tv-1", 1), 0);
        if (pass == 0)
            kill_and_open(f);
        else
            reopen_journal(f);
        assert_int_equal(settle(f, all.places[1], 2, 3), GW_ESTALE);
        assert_int_equal(settle(f, all.places[4], 5, 3), GW_ESTALE);
    }
    assert_int_equal(settle(f, all.places[3], 4, 3), 0); /* its place is the one it always had */
    assert_int_equal(look(f).count, 2);
    assert_int_equal(read_all(f, 0).entries, 3);
}

static void test_one_transaction_does_not_take_an_event_twice(void **state)
{
    struct fixture *f = *state;
    open_journal(f);
    reject(f, 1);
    struct listed all = look(f);
    const struct gw_journal_settled settled = {.place = all.places[0], .stream = 7, .seq = 1};
    static struct batch a, b;
    make_batch(&a, "tv-1", 1, 0, 1, 64);
    make_batch(&b, "tv-1", 1, 0, 2, 64);
    a.write.lanes[0] = b.write.lanes[0] = (struct gw_journal_lane){0};
    a.write.settles = b.write.settles = &settled;
    a.write.settle_count = b.write.settle_count = 1;
    struct gw_journal_write *writes[] = {&a.write, &b.write};
    assert_int_equal(gw_journal_commit(f->journal, writes, 2, &f->error), 0);
    assert_int_equal(a.write.status, 0);
    assert_int_equal(b.write.status, GW_ESTALE);
    assert_int_equal(read_all(f, 0).entries, 1);
    assert_int_equal(look(f).count, 0);
}

static void test_many_leave_over_several_segments(void **state)
{
    struct fixture *f = *state;
    open_journal(f);
    for (uint64_t seq = 1; seq <= 40; seq++)
        reject(f, seq);
    for (uint64_t i = 1; i <= 40; i += 2) {
        struct listed all = look(f);
        assert_int_equal(settle(f, all.places[i / 2], i, i), 0);
        commit_range(f, "tv-1", 2, i / 2 * 60 + 1, i / 2 * 60 + 60, 2000); /* rolls */
    }
    assert_true(f->journal->part_count > 2);
    for (int pass = 0; pass < 2; pass++) {
        struct listed left = look(f);
        assert_int_equal(left.count, 20);
        for (size_t i = 0; i < left.count; i++)
            assert_int_equal(left.seqs[i], 2 * i + 2);
        kill_and_open(f);
    }
}

static void test_what_a_device_erased_does_not_come_back(void **state)
{
    struct fixture *f = *state;
    open_journal(f);
    reject(f, 1);
    reject(f, 2);
    struct listed all = look(f);
    struct batch erased;
    make_batch(&erased, "tv-1", 8, 0, 1, 64); /* a stream of the life after the erasure */
    erased.write.generation = 2;
    erased.write.names_streams = true;
    assert_int_equal(commit_one(f, &erased), 0);
    assert_int_equal(settle(f, all.places[0], 1, 1), GW_ESTALE);
    kill_and_open(f);
    assert_int_equal(settle(f, all.places[0], 1, 1), GW_ESTALE);
    assert_int_equal(settle(f, all.places[0], 1, 0), 0); /* it can be dropped */
    assert_int_equal(read_all(f, 0).entries, 1);
}

static void test_senseless_settling_is_refused(void **state)
{
    struct fixture *f = *state;
    open_journal(f);
    reject(f, 1);
    struct listed all = look(f);
    const struct gw_journal_settled settled = {.place = all.places[0], .stream = 7, .seq = 1};
    struct batch b;
    make_batch(&b, "tv-1", 1, 0, 1, 64); /* it would move a row, too */
    b.write.settles = &settled;
    b.write.settle_count = 1;
    assert_int_equal(commit_one(f, &b), GW_EINVALID);
    assert_int_equal(look(f).count, 1);
}

/* The set behind it: what transactions add, publish and take back, against a plain table. */
static void test_the_set_of_what_left_agrees_with_a_plain_table(void **state)
{
    enum { PLACES = 3000 };
    static unsigned char added[PLACES]; /* 1: by the transaction under way; 2: durable */
    struct gw_settled settled;
    uint64_t random = 12345;
    (void)state;
    gw_settled_init(&settled);
    for (int round = 0; round < 20000; round++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        const size_t at = (size_t)(random >> 33) % PLACES;
        const struct gw_journal_place place = {at / 100 * 1000, at % 100};
        assert_int_equal(gw_settled_has(&settled, &place), added[at] != 0);
        assert_int_equal(gw_settled_ask(&settled, 0, &place),
                         added[at] == 2 ? GW_SETTLED_DURABLY : GW_SETTLED_NOT);
        if (added[at] == 0) {
            assert_true(gw_settled_add(&settled, &place));
            added[at] = 1;
        }
        if (round % 50 != 49)
            continue;
        const bool keeps = (random >> 20) % 3 == 0;
        if (keeps)
            gw_settled_publish(&settled);
        else
            gw_settled_revert(&settled);
        for (size_t i = 0; i < PLACES; i++)
            added[i] = added[i] == 1 ? (keeps ? 2 : 0) : added[i];
    }
    assert_true(settled.durable > 1000);
    gw_settled_clear(&settled);
    for (size_t i = 0; i < PLACES; i++)
        assert_false(gw_settled_has(&settled, &(struct gw_journal_place){i / 100 * 1000, i % 100}));
    assert_int_equal(gw_settled_ask(&settled, 0, &(struct gw_journal_place){0, 0}), GW_SETTLED_CLEARED);
    gw_settled_free(&settled);
}

#define SETTLE_TEST(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SETTLE_TEST(test_an_event_leaves_once_from_the_active_segment_and_from_meta),
        SETTLE_TEST(test_one_transaction_does_not_take_an_event_twice),
        SETTLE_TEST(test_many_leave_over_several_segments),
        SETTLE_TEST(test_what_a_device_erased_does_not_come_back),
        SETTLE_TEST(test_senseless_settling_is_refused),
        cmocka_unit_test(test_the_set_of_what_left_agrees_with_a_plain_table),
    };
    gw_log_set_level(GW_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
