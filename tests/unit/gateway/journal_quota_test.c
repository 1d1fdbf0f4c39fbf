/* Quarantine has a quota per device: exact over seals, restarts and commits that fail, and at no other device's cost. */
#include "journal_fixture.h"

/* --- the table --- */

static void test_counts_agree_with_a_plain_table(void **state)
{
    (void)state;
    static struct gw_quota quota;
    static uint64_t plain[40000];
    uint64_t random = 88172645463325252u;
    char name[16];
    assert_int_equal(gw_quota_init(&quota, 5), 0);
    for (int i = 0; i < 400000; i++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        const size_t which = random % (i % 100000 < 50000 ? 40000 : 200), events = 1 + (random >> 40) % 7;
        const int len = snprintf(name, sizeof name, "tv-%zu", which);
        uint64_t left = plain[which] < 5 ? 5 - plain[which] : 0;
        assert_int_equal(gw_quota_left(&quota, name, (size_t)len), left);
        if (random >> 63) {
            if (gw_quota_add(&quota, name, (size_t)len, events))
                plain[which] += events;
            else
                assert_int_equal(quota.used, GW_QUOTA_DEVICES_MAX);
        } else {
            gw_quota_take(&quota, name, (size_t)len, events);
            plain[which] -= events < plain[which] ? events : plain[which];
        }
    }
    size_t used = 0;
    for (size_t i = 0; i < 40000; i++)
        used += plain[i] > 0;
    assert_int_equal(quota.used, used);
    gw_quota_clear(&quota);
    assert_int_equal(gw_quota_left(&quota, "tv-1", 4), 5);
    gw_quota_free(&quota);
}

static void test_a_full_table_takes_nobody_new(void **state)
{
    (void)state;
    static struct gw_quota quota;
    char name[16];
    assert_int_equal(gw_quota_init(&quota, 5), 0);
    for (unsigned i = 0; i < GW_QUOTA_DEVICES_MAX; i++)
        assert_true(gw_quota_add(&quota, name, (size_t)snprintf(name, sizeof name, "tv-%u", i), 1));
    assert_false(gw_quota_add(&quota, "new", 3, 1));
    assert_true(gw_quota_add(&quota, "tv-7", 4, 1));
    gw_quota_take(&quota, "tv-9", 4, 1);
    assert_true(gw_quota_add(&quota, "new", 3, 1));
    assert_int_equal(gw_quota_left(&quota, "new", 3), 4);
    gw_quota_free(&quota);
}

/* --- the journal --- */

struct kept {
    uint64_t of_bad, of_good, last_seq;
    struct gw_journal_place first;
    uint64_t first_seq;
};

static int count_kept(void *context, const struct gw_journal_rejected *rejected)
{
    struct kept *kept = context;
    if (rejected->device_len == 3 && memcmp(rejected->device, "bad", 3) == 0) {
        if (kept->of_bad++ == 0) {
            kept->first = rejected->place;
            kept->first_seq = rejected->seq;
        }
        kept->last_seq = rejected->seq;
    } else {
        kept->of_good++;
    }
    return 0;
}

static struct kept look(struct fixture *f)
{
    struct kept kept = {0};
    struct gw_journal_stats stats;
    assert_int_equal(gw_journal_each_rejected(f->journal, count_kept, &kept), 0);
    gw_journal_get_stats(f->journal, &stats);
    assert_int_equal(stats.quarantine_entries, kept.of_bad + kept.of_good);
    return kept;
}

/* A batch of `count` bad events of `sealed_len` bytes each. Returns how many are beyond the quota. */
static size_t reject(struct fixture *f, const char *device, uint64_t count, size_t sealed_len)
{
    static uint8_t sealed[100000];
    struct batch b;
    struct gw_journal_quarantine q[32];
    const uint64_t before = committed(f, device, 7);
    assert_true(count <= 32);
    for (uint64_t i = 0; i < count; i++)
        q[i] = (struct gw_journal_quarantine){
            .sealed = sealed, .sealed_len = sealed_len, .stream = 7, .seq = before + 1 + i, .code = 5};
    make_batch(&b, device, 7, before, before + count, 0);
    b.write.entry = NULL;
    b.write.quarantine = q;
    b.write.quarantine_count = count;
    assert_int_equal(commit_one(f, &b), 0);
    assert_int_equal(committed(f, device, 7), before + count); /* acked, whatever was kept */
    assert_int_equal(b.write.quarantine_count + b.write.beyond_quota, count);
    return b.write.beyond_quota;
}

static void drop_oldest_of_bad(struct fixture *f)
{
    struct batch b;
    const struct kept kept = look(f);
    const struct gw_journal_settled settled = {.place = kept.first, .stream = 7, .seq = kept.first_seq};
    make_batch(&b, "bad", 1, 0, 0, 0);
    b.write.entry = NULL;
    b.write.lanes[0] = (struct gw_journal_lane){0};
    b.write.settles = &settled;
    b.write.settle_count = 1;
    assert_int_equal(commit_one(f, &b), 0);
}

static void test_one_device_takes_nobodys_room(void **state)
{
    struct fixture *f = *state;
    f->config.quarantine_per_device = 10;
    open_journal(f);
    assert_int_equal(reject(f, "bad", 8, 40), 0);
    assert_int_equal(reject(f, "good", 1, 40), 0);
    assert_int_equal(reject(f, "bad", 8, 40), 6);
    assert_int_equal(look(f).last_seq, 10); /* the oldest stay */
    for (int life = 0; life < 3; life++) {
        assert_int_equal(reject(f, "bad", 5, 40), 5);
        assert_int_equal(reject(f, "good", 1, 40), 0);
        assert_int_equal(look(f).of_bad, 10);
        assert_int_equal(look(f).of_good, 2 + life);
        if (life == 0)
            reopen_journal(f);
        else
            abandon_journal(f), open_journal(f);
    }
    for (int i = 0; i < 3; i++)
        drop_oldest_of_bad(f); /* what was in meta before */
    assert_int_equal(reject(f, "bad", 5, 40), 2);
    assert_int_equal(gw_journal_seal(f->journal, &f->error), 0);
    assert_int_equal(reject(f, "bad", 5, 40), 5);
    assert_int_equal(look(f).of_bad, 10);
}

static void test_the_quota_is_exact_where_segments_roll(void **state)
{
    struct fixture *f = *state;
    f->config.quarantine_per_device = 30;
    open_journal(f);
    size_t beyond = 0;
    for (int i = 0; i < 20; i++) /* 200 kB each: a commit that does not fit is taken back and made anew */
        beyond += reject(f, "bad", 2, 100000);
    assert_int_equal(beyond, 10);
    assert_int_equal(look(f).of_bad, 30);
    assert_int_equal(reject(f, "bad", 1, 100000), 1);
}

static void test_without_a_quota_one_device_may_have_all(void **state)
{
    struct fixture *f = *state;
    open_journal(f);
    for (int i = 0; i < 100; i++)
        assert_int_equal(reject(f, "bad", 32, 40), 0);
    assert_int_equal(look(f).of_bad, 3200);
}

#define JOURNAL_TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts_agree_with_a_plain_table),
        cmocka_unit_test(test_a_full_table_takes_nobody_new),
        JOURNAL_TEST(test_one_device_takes_nobodys_room),
        JOURNAL_TEST(test_the_quota_is_exact_where_segments_roll),
        JOURNAL_TEST(test_without_a_quota_one_device_may_have_all),
    };
    gw_log_set_level((enum gw_log_level)(GW_LOG_ERROR + 1));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
