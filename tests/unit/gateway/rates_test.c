/* Token buckets, on a clock of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ingest/rates.h"

static struct gw_rates *make(uint64_t per_minute, uint64_t burst, size_t entries)
{
    struct gw_rates *rates;
    assert_int_equal(gw_rates_new(per_minute, burst, entries, &rates), GW_OK);
    return rates;
}

static uint64_t take(struct gw_rates *rates, const char *who, uint64_t want, uint64_t now_ms)
{
    return gw_rates_take(rates, who, strlen(who), want, now_ms);
}

static void test_a_burst_and_then_the_rate(void **state)
{
    (void)state;
    struct gw_rates *rates = make(60, 10, 100); /* one a second */
    assert_int_equal(take(rates, "a", 100, 5000), 10);
    assert_int_equal(take(rates, "a", 1, 5000), 0);
    assert_int_equal(take(rates, "a", 1, 5999), 0);
    assert_int_equal(take(rates, "a", 1, 6000), 1);
    assert_int_equal(take(rates, "a", 1, 6000), 0);
    assert_int_equal(take(rates, "a", 9, 9500), 3);
    assert_int_equal(take(rates, "a", 9, 10000), 1); /* the half that was left is not lost */
    gw_rates_free(rates);
}

static void test_nobody_gains_more_than_the_rate_however_often_it_asks(void **state)
{
    (void)state;
    struct gw_rates *rates = make(600, 5, 100); /* ten a second */
    uint64_t got = take(rates, "a", 5, 0);
    for (uint64_t now = 0; now < 60000; now++)
        got += take(rates, "a", 1, now);
    assert_in_range(got, 5 + 599, 5 + 600);
    gw_rates_free(rates);
}

static void test_a_bucket_never_holds_more_than_its_burst(void **state)
{
    (void)state;
    struct gw_rates *rates = make(1000000, 7, 100);
    assert_int_equal(take(rates, "a", 100, 0), 7);
    assert_int_equal(take(rates, "a", 100, UINT64_C(1) << 62), 7);
    gw_rates_give(rates, "a", 1, UINT64_MAX, UINT64_C(1) << 62);
    assert_int_equal(take(rates, "a", 100, UINT64_C(1) << 62), 7);
    gw_rates_free(rates);
}

static void test_what_is_given_back_can_be_taken_again(void **state)
{
    (void)state;
    struct gw_rates *rates = make(1, 10, 100);
    assert_int_equal(take(rates, "a", 10, 0), 10);
    gw_rates_give(rates, "a", 1, 4, 0);
    assert_int_equal(take(rates, "a", 10, 0), 4);
    gw_rates_free(rates);
}

static void test_each_has_its_own(void **state)
{
    (void)state;
    struct gw_rates *rates =
        make(60, 1, 65536); /* so much room that by chance no nine meet in a set of eight */
    char who[16];
    for (int i = 0; i < 1000; i++) {
        snprintf(who, sizeof who, "d-%d", i);
        assert_int_equal(take(rates, who, 2, 0), 1);
    }
    for (int i = 0; i < 1000; i++) {
        snprintf(who, sizeof who, "d-%d", i);
        assert_int_equal(take(rates, who, 1, 0), 0);
    }
    gw_rates_free(rates);
}

static void test_a_crowd_does_not_free_who_keeps_coming(void **state)
{
    (void)state;
    struct gw_rates *rates = make(1, 1, 64);
    char who[16];
    assert_int_equal(take(rates, "flood", 1, 0), 1);
    for (int i = 0; i < 10000; i++) {
        snprintf(who, sizeof who, "d-%d", i);
        take(rates, who, 1, (uint64_t)i + 1);
        assert_int_equal(take(rates, "flood", 1, (uint64_t)i + 1), 0);
    }
    gw_rates_free(rates);
}

static void test_a_clock_that_goes_back_gives_nothing(void **state)
{
    (void)state;
    struct gw_rates *rates = make(60, 2, 64);
    assert_int_equal(take(rates, "a", 2, 10000), 2);
    assert_int_equal(take(rates, "a", 2, 9000), 0);
    assert_int_equal(take(rates, "a", 2, 0), 0);
    assert_int_equal(take(rates, "a", 2, 11000), 1);
    gw_rates_free(rates);
}

static void test_without_a_limit_all_is_there(void **state)
{
    (void)state;
    assert_int_equal(take(NULL, "a", 1000000, 0), 1000000);
    gw_rates_give(NULL, "a", 1, 5, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_burst_and_then_the_rate),
        cmocka_unit_test(test_nobody_gains_more_than_the_rate_however_often_it_asks),
        cmocka_unit_test(test_a_bucket_never_holds_more_than_its_burst),
        cmocka_unit_test(test_what_is_given_back_can_be_taken_again),
        cmocka_unit_test(test_each_has_its_own),
        cmocka_unit_test(test_a_crowd_does_not_free_who_keeps_coming),
        cmocka_unit_test(test_a_clock_that_goes_back_gives_nothing),
        cmocka_unit_test(test_without_a_limit_all_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
