/* Quarantine is emptied in steps: so many a request, each from where the one before ended, and each event once. */
#include "journal_fixture.h"

#include <pthread.h>

#include "admin/quarantine.h"

#define EVENTS_MAX 20000u
#define A_WRITE 100u

static uint8_t times_settled[EVENTS_MAX + 1]; /* by seq */

/* Events first to last of a device, rejected. */
static void reject(struct fixture *f, const char *device, uint64_t first, uint64_t last)
{
    static struct gw_journal_quarantine events[A_WRITE];
    static const uint8_t sealed[40];
    while (first <= last) {
        struct batch b;
        size_t count = 0;
        for (; count < A_WRITE && first + count <= last; count++)
            events[count] = (struct gw_journal_quarantine){
                .sealed = sealed, .sealed_len = sizeof sealed, .stream = 7, .seq = first + count, .code = 5};
        make_batch(&b, device, 7, first - 1, first + count - 1, 0);
        b.write.entry = NULL;
        b.write.quarantine = events;
        b.write.quarantine_count = count;
        assert_int_equal(commit_one(f, &b), 0);
        first += count;
    }
}

static int commit_settled(void *context, struct gw_journal_write *const *writes, size_t count,
                          struct gw_error *error)
{
    struct fixture *f = context;
    int rc = gw_journal_commit(f->journal, writes, count, error);
    for (size_t i = 0; rc == 0 && i < count; i++)
        times_settled[writes[i]->settles[0].seq] += writes[i]->status == 0;
    return rc;
}

/* Drops in one step what the device has in quarantine, or everything. */
static struct gw_quarantine_tally drop(struct fixture *f, const char *device, struct gw_journal_place after)
{
    const struct gw_admin_writer writer = {.write = commit_settled, .context = f};
    struct gw_quarantine_filter filter = {.has_id = false};
    struct gw_quarantine_tally tally;
    snprintf(filter.device, sizeof filter.device, "%s", device);
    assert_int_equal(gw_quarantine_settle(f->journal, &writer, &filter, &after, false, &tally, &f->error), 0);
    assert_true(tally.done <= GW_QUARANTINE_STEP);
    assert_true(tally.walked <= GW_QUARANTINE_STEP_WALK);
    assert_int_equal(tally.gone, 0);
    return tally;
}

static void assert_each_left_once(struct fixture *f, uint64_t count)
{
    struct gw_journal_stats stats;
    for (uint64_t seq = 1; seq <= count; seq++)
        assert_int_equal(times_settled[seq], 1);
    gw_journal_get_stats(f->journal, &stats);
    assert_int_equal(stats.quarantine_entries, 0);
}

static void kill_and_open(struct fixture *f)
{
    gw_settled_free(&f->journal->settled);
    abandon_journal(f);
    open_journal(f);
}

static void test_a_request_settles_so_many_and_the_loop_all(void **state)
{
    struct fixture *f = *state;
    open_journal(f);
    reject(f, "tv-1", 1, 1300);
    reopen_journal(f); /* these are in meta now, the others in the active segment */
    reject(f, "tv-1", 1301, 2000);
    struct gw_quarantine_tally tally = {.more = true};
    uint64_t requests = 0, done = 0;
    for (; tally.more; requests++) {
        tally = drop(f, "", tally.next);
        done += tally.done;
        assert_int_equal(tally.done, requests < 3 ? GW_QUARANTINE_STEP : 2000 - 3 * GW_QUARANTINE_STEP);
    }
    assert_int_equal(requests, 4);
    assert_int_equal(done, 2000);
    assert_each_left_once(f, 2000);
}

/* What it costs to drop `count` events: records walked over, and slots looked at in the set of what is settled. */
static void cost_of(struct fixture *f, uint64_t count, uint64_t *out_walked, uint64_t *out_probes)
{
    open_journal(f);
    reject(f, "tv-1", 1, count);
    struct gw_quarantine_tally tally = {.more = true};
    *out_walked = 0;
    while (tally.more) {
        tally = drop(f, "", tally.next);
        *out_walked += tally.walked;
    }
    *out_probes = f->journal->settled.probes;
    assert_each_left_once(f, count);
    close_journal(f);
    memset(times_settled, 0, sizeof times_settled);
}

static void test_four_times_the_events_cost_four_times_as_much(void **state)
{
    struct fixture *f = *state;
    uint64_t walked, probes, walked_of_many, probes_of_many;
    cost_of(f, 2000, &walked, &probes);
    run("rm -rf '%s'/*", f->folder);
    cost_of(f, 8000, &walked_of_many, &probes_of_many);
    print_message("2,000 events: %llu records, %llu slots; 8,000: %llu, %llu\n", (unsigned long long)walked,
                  (unsigned long long)probes, (unsigned long long)walked_of_many,
                  (unsigned long long)probes_of_many);
    assert_true(walked <= 2 * 2000); /* each event, and at the end each record that took one out */
    assert_true(walked_of_many <= 2 * 8000);
    assert_true(probes <= 16 * 2000);
    assert_true(probes_of_many <= 16 * 8000);
}

static void test_what_is_not_meant_is_passed_in_bounded_steps(void **state)
{
    struct fixture *f = *state;
    open_journal(f);
    reject(f, "tv-1", 1, EVENTS_MAX);
    reject(f, "tv-2", 1, 1);
    struct gw_quarantine_tally tally = drop(f, "tv-2", (struct gw_journal_place){0});
    assert_int_equal(tally.walked, GW_QUARANTINE_STEP_WALK);
    assert_int_equal(tally.matched, 0);
    assert_true(tally.more);
    tally = drop(f, "tv-2", tally.next);
    assert_int_equal(tally.done, 1);
    assert_int_equal(times_settled[1], 1);
    assert_false(tally.more);
}

static void test_steps_go_on_after_a_stop_and_after_a_kill(void **state)
{
    struct fixture *f = *state;
    open_journal(f);
    reject(f, "tv-1", 1, 2500);
    struct gw_quarantine_tally tally = drop(f, "", (struct gw_journal_place){0});
    reopen_journal(f); /* what was in the active segment is in meta: the place it goes on from is the same */
    tally = drop(f, "", tally.next);
    kill_and_open(f);
    assert_int_equal(drop(f, "", tally.next).done, GW_QUARANTINE_STEP);
    kill_and_open(f);
    tally = (struct gw_quarantine_tally){.more = true};
    while (tally.more) /* by one that knows nothing of the steps before */
        tally = drop(f, "", tally.next);
    assert_each_left_once(f, 2500);
}

/* --- a walk while others settle, and while the active segment becomes a sealed one --- */

struct crowd {
    struct fixture *f;
    struct gw_journal_place places[20];
    uint64_t seen[20];
    size_t count, when; /* the others come in at the event `when` */
    bool seals;
};

static int note(void *context, const struct gw_journal_rejected *rejected)
{
    struct crowd *crowd = context;
    crowd->places[crowd->count++] = rejected->place;
    return 0;
}

/* The even events leave; then the segment is sealed, if it is to be. */
static void *settle_even(void *context)
{
    struct crowd *crowd = context;
    for (size_t i = 1; i < 20; i += 2) {
        struct batch b;
        const struct gw_journal_settled settled = {.place = crowd->places[i], .stream = 7, .seq = i + 1};
        make_batch(&b, "tv-1", 1, 0, 0, 64);
        b.write.lanes[0] = (struct gw_journal_lane){0};
        b.write.entry = NULL;
        b.write.settles = &settled;
        b.write.settle_count = 1;
        assert_int_equal(commit_one(crowd->f, &b), 0);
    }
    if (crowd->seals)
        assert_int_equal(gw_journal_seal(crowd->f->journal, &crowd->f->error), 0);
    return NULL;
}

static int see(void *context, const struct gw_journal_rejected *rejected)
{
    struct crowd *crowd = context;
    crowd->seen[crowd->count++] = rejected->seq;
    if (crowd->count == crowd->when) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, settle_even, crowd), 0);
        pthread_join(thread, NULL);
    }
    return 0;
}

static void walk_in_company(struct fixture *f, bool seals)
{
    struct crowd crowd = {.f = f, .seals = seals};
    struct gw_journal_rejected_walk walk = {.most = UINT64_MAX};
    open_journal(f);
    reject(f, "tv-1", 1, 20);
    assert_int_equal(gw_journal_walk_rejected(f->journal, &walk, note, &crowd), 0);
    assert_int_equal(crowd.count, 20);
    walk = (struct gw_journal_rejected_walk){.most = UINT64_MAX};
    crowd.count = 0;
    crowd.when = 5;
    assert_int_equal(gw_journal_walk_rejected(f->journal, &walk, see, &crowd), 0);
    assert_true(walk.ended);
    static const uint64_t expected[] = {1, 2,  3,  4,  5,  7,
                                        9, 11, 13, 15, 17, 19}; /* 1 to 5 came before they left */
    assert_int_equal(crowd.count, sizeof expected / sizeof expected[0]);
    assert_memory_equal(crowd.seen, expected, sizeof expected);
}

static void test_a_walk_passes_what_leaves_meanwhile(void **state)
{
    walk_in_company(*state, false);
}

static void test_a_walk_goes_on_where_the_segment_is_sealed_meanwhile(void **state)
{
    walk_in_company(*state, true);
}

static int empty(void **state)
{
    memset(times_settled, 0, sizeof times_settled);
    int rc = fixture_setup(state);
    if (rc == 0)
        ((struct fixture *)*state)->config.segment_bytes =
            32 * MIB; /* a quarter of it is what one write may hold */
    return rc;
}

#define STEP_TEST(test) cmocka_unit_test_setup_teardown(test, empty, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STEP_TEST(test_a_request_settles_so_many_and_the_loop_all),
        STEP_TEST(test_four_times_the_events_cost_four_times_as_much),
        STEP_TEST(test_what_is_not_meant_is_passed_in_bounded_steps),
        STEP_TEST(test_steps_go_on_after_a_stop_and_after_a_kill),
        STEP_TEST(test_a_walk_passes_what_leaves_meanwhile),
        STEP_TEST(test_a_walk_goes_on_where_the_segment_is_sealed_meanwhile),
    };
    gw_log_set_level(GW_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
