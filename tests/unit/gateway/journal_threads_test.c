/* One thread commits and reclaims, sinks read behind it, sessions ask for rows: all at once, for the thread sanitizer. */
#include <pthread.h>
#include <stdatomic.h>

#include "journal_fixture.h"

#define COMMITS 500u

struct crowd {
    struct fixture *f;
    atomic_bool done;
    atomic_uint_fast64_t newest; /* committed for sure */
    const char *sink;
    uint64_t entries, lost, wrong;
};

/* Reads to the end once more after the committer is done. */
static void *follow(void *argument)
{
    struct crowd *crowd = argument;
    uint8_t *buffer = malloc(32768);
    struct gw_journal_entry entries[16];
    uint64_t at = 0, last = 0;
    for (;;) {
        bool done = atomic_load(&crowd->done);
        size_t count = 0, needed;
        uint64_t next = at, lost = 0;
        int rc =
            gw_journal_read(crowd->f->journal, at, buffer, 32768, entries, 16, &count, &next, &lost, &needed);
        crowd->wrong += rc != 0;
        for (size_t i = 0; rc == 0 && i < count; i++) {
            uint64_t seq;
            memcpy(&seq, entries[i].data + 8, 8);
            crowd->wrong += seq != last + 1;
            last = seq;
        }
        crowd->entries += count;
        crowd->lost += lost;
        at = next;
        crowd->wrong += count > 0 && gw_journal_cursor_set(crowd->f->journal, crowd->sink, at) != 0;
        if (done && count == 0)
            break;
    }
    free(buffer);
    return NULL;
}

static int count_rejected(void *context, const struct gw_journal_rejected *rejected)
{
    (void)rejected;
    ++*(uint64_t *)context;
    return 0;
}

static void *ask(void *argument)
{
    struct crowd *crowd = argument;
    while (!atomic_load(&crowd->done)) {
        uint64_t at_least = atomic_load(&crowd->newest), rejected = 0;
        struct gw_journal_stream row = {0};
        struct gw_journal_stats stats;
        int rc = gw_journal_stream_get(crowd->f->journal, "tv-1", 1, &row);
        crowd->wrong += at_least > 0 && (rc != 0 || row.committed < at_least);
        crowd->wrong += gw_journal_end(crowd->f->journal) < gw_journal_begin(crowd->f->journal);
        gw_journal_get_stats(crowd->f->journal, &stats);
        crowd->wrong += gw_journal_each_rejected(crowd->f->journal, count_rejected, &rejected) != 0;
    }
    return NULL;
}

static void test_readers_and_the_committer_do_not_disturb_each_other(void **state)
{
    static const char *const sinks[] = {"lake", "stream"};
    struct fixture *f = *state;
    struct crowd followers[2] = {{.f = f, .sink = sinks[0]}, {.f = f, .sink = sinks[1]}}, asker = {.f = f};
    pthread_t threads[3];
    open_journal(f);
    assert_int_equal(pthread_create(&threads[0], NULL, follow, &followers[0]), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, follow, &followers[1]), 0);
    assert_int_equal(pthread_create(&threads[2], NULL, ask, &asker), 0);
    static struct batch b;
    for (uint64_t seq = 1; seq <= COMMITS; seq++) {
        make_batch(&b, "tv-1", 1, seq - 1, seq, 3000);
        assert_int_equal(commit_one(f, &b), 0);
        atomic_store(&asker.newest, seq);
        (void)gw_journal_step(f->journal);
        if (seq % 50 == 0)
            assert_int_equal(gw_journal_reclaim(f->journal, sinks, 2), 0);
    }
    for (int i = 0; i < 2; i++)
        atomic_store(&followers[i].done, true);
    atomic_store(&asker.done, true);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(followers[i].entries, COMMITS);
        assert_int_equal(followers[i].lost, 0);
        assert_int_equal(followers[i].wrong, 0);
    }
    assert_int_equal(asker.wrong, 0);
    assert_int_equal(gw_journal_reclaim(f->journal, sinks, 2), 0);
    assert_true(gw_journal_begin(f->journal) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_readers_and_the_committer_do_not_disturb_each_other,
                                        fixture_setup, fixture_teardown),
    };
    gw_log_set_level(GW_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
