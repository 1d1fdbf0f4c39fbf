/* How many each address has at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ingest/tally.h"

static struct gw_peer peer(const char *text)
{
    struct gw_peer_range range;
    assert_int_equal(gw_peer_range_parse(text, &range), GW_OK);
    return range.first;
}

static bool enter(struct gw_tally *tally, const char *who)
{
    struct gw_peer one = peer(who);
    return gw_tally_enter(tally, &one);
}

static void leave(struct gw_tally *tally, const char *who)
{
    struct gw_peer one = peer(who);
    gw_tally_leave(tally, &one);
}

static void test_an_address_has_as_many_as_it_may_whatever_others_have(void **state)
{
    (void)state;
    struct gw_tally *tally;
    assert_int_equal(gw_tally_new(3, 100, &tally), GW_OK);
    for (int i = 0; i < 3; i++)
        assert_true(enter(tally, "192.0.2.1"));
    for (int i = 0; i < 10; i++)
        assert_false(enter(tally, "192.0.2.1")); /* and being refused costs it nothing */
    assert_true(enter(tally, "192.0.2.2"));
    leave(tally, "192.0.2.1");
    assert_true(enter(tally, "192.0.2.1"));
    assert_false(enter(tally, "192.0.2.1"));
    gw_tally_free(tally);
}

static void test_a_network_of_ipv6_is_one_address(void **state)
{
    (void)state;
    struct gw_tally *tally;
    assert_int_equal(gw_tally_new(2, 100, &tally), GW_OK);
    assert_true(enter(tally, "2001:db8:1:2::1"));
    assert_true(enter(tally, "2001:db8:1:2:ffff::2"));
    assert_false(enter(tally, "2001:db8:1:2::3"));
    assert_true(enter(tally, "2001:db8:1:3::1"));
    leave(tally, "2001:db8:1:2::9");
    assert_true(enter(tally, "2001:db8:1:2::3"));
    gw_tally_free(tally);
}

/* More addresses than the table has rows; those that have nothing take no memory. */
static void test_addresses_that_have_nothing_are_forgotten_and_no_others(void **state)
{
    (void)state;
    struct gw_tally *tally;
    char who[32];
    assert_int_equal(gw_tally_new(2, 1, &tally), GW_OK);
    for (int i = 0; i < 2000; i++) {
        snprintf(who, sizeof who, "10.0.%d.%d", i / 250, i % 250);
        assert_true(enter(tally, who));
        if (i % 2)
            assert_true(enter(tally, who));
    }
    assert_int_equal(gw_tally_addresses(tally), 2000);
    for (int i = 0; i < 2000; i++) {
        snprintf(who, sizeof who, "10.0.%d.%d", i / 250, i % 250);
        leave(tally, who);
    }
    assert_int_equal(gw_tally_addresses(tally), 1000);
    for (int i = 1; i < 2000; i += 2) {
        snprintf(who, sizeof who, "10.0.%d.%d", i / 250, i % 250);
        leave(tally, who);
    }
    assert_int_equal(gw_tally_addresses(tally), 0);
    gw_tally_free(tally);
}

static void test_without_a_limit_all_may(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++)
        assert_true(enter(NULL, "192.0.2.1"));
    leave(NULL, "192.0.2.1");
    gw_tally_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_address_has_as_many_as_it_may_whatever_others_have),
        cmocka_unit_test(test_a_network_of_ipv6_is_one_address),
        cmocka_unit_test(test_addresses_that_have_nothing_are_forgotten_and_no_others),
        cmocka_unit_test(test_without_a_limit_all_may),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
