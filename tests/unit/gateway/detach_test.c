/* When a sink is left behind, and what is said of what it lost: pure functions, no journal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "journal/detach.h"
#include "journal/lost.h"

static void test_a_sink_that_stands_still_is_due_after_its_time(void **state)
{
    (void)state;
    struct gw_detach d = {.after_ms = 1000};
    assert_false(gw_detach_due(&d, 1u << 30)); /* nobody has looked */
    assert_false(gw_detach_look(&d, 5, 9, 100));
    assert_false(gw_detach_look(&d, 5, 20, 900));
    assert_false(gw_detach_due(&d, 1099));
    assert_true(gw_detach_due(&d, 1100));
}

static void test_a_required_sink_is_never_due(void **state)
{
    (void)state;
    struct gw_detach d = {.after_ms = 0};
    (void)gw_detach_look(&d, 5, 9, 0);
    assert_false(gw_detach_due(&d, UINT64_MAX));
}

static void test_a_slow_sink_is_not_due(void **state)
{
    (void)state;
    struct gw_detach d = {.after_ms = 1000};
    for (uint64_t i = 0; i < 100; i++) {
        (void)gw_detach_look(&d, i, 1000000, i * 900);
        assert_false(gw_detach_due(&d, i * 900 + 899));
    }
}

static void test_time_without_anything_to_do_does_not_count(void **state)
{
    (void)state;
    struct gw_detach d = {.after_ms = 1000};
    (void)gw_detach_look(&d, 9, 9, 0);
    (void)gw_detach_look(&d, 9, 9, 50000);
    (void)gw_detach_look(&d, 9, 500, 50500); /* work has come */
    assert_false(gw_detach_due(&d, 50999));
    assert_true(gw_detach_due(&d, 51000));
}

static void test_a_sink_that_was_left_behind_is_due_until_it_moves(void **state)
{
    (void)state;
    struct gw_detach d = {.after_ms = 1000, .detached = true}; /* known from the life before */
    assert_false(gw_detach_look(&d, 5, 9, 0));
    assert_true(gw_detach_due(&d, 0));
    assert_true(gw_detach_look(&d, 7, 9, 10));
    assert_false(gw_detach_due(&d, 1009));
    assert_true(gw_detach_due(&d, 1010));
    assert_false(gw_detach_look(&d, 8, 9, 20)); /* it is back only once */
}

static struct gw_lost_range range(uint64_t from, uint64_t to)
{
    return (struct gw_lost_range){
        .epoch = 1, .from = from, .to = to, .entries = to - from, .first_ms = from, .last_ms = to};
}

static void test_ranges_that_touch_are_one(void **state)
{
    (void)state;
    struct gw_lost_list list = {.count = 0};
    const struct gw_lost_range a = range(3, 10), b = range(10, 30), c = range(31, 40);
    gw_lost_add(&list, &a);
    gw_lost_add(&list, &b);
    gw_lost_add(&list, &c);
    assert_int_equal(list.count, 2);
    assert_int_equal(list.ranges[0].from, 3);
    assert_int_equal(list.ranges[0].to, 30);
    assert_int_equal(list.ranges[0].entries, 27);
    assert_int_equal(list.ranges[0].first_ms, 3);
    assert_int_equal(list.ranges[0].last_ms, 30);
}

static void test_the_list_is_bounded_and_its_counts_stay_true(void **state)
{
    (void)state;
    struct gw_lost_list list = {.count = 0};
    uint64_t entries = 0;
    for (uint64_t i = 0; i < 100; i++) {
        const struct gw_lost_range one = range(i * 10, i * 10 + 4);
        gw_lost_add(&list, &one);
        assert_true(list.count <= GW_LOST_RANGES_MAX);
    }
    assert_int_equal(list.count, GW_LOST_RANGES_MAX);
    assert_int_equal(list.ranges[0].from, 0);
    for (size_t i = 0; i < list.count; i++) {
        entries += list.ranges[i].entries;
        assert_true(i == 0 || list.ranges[i - 1].to < list.ranges[i].from);
    }
    assert_int_equal(entries, 400);
    assert_int_equal(list.ranges[list.count - 1].to, 994);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_sink_that_stands_still_is_due_after_its_time),
        cmocka_unit_test(test_a_required_sink_is_never_due),
        cmocka_unit_test(test_a_slow_sink_is_not_due),
        cmocka_unit_test(test_time_without_anything_to_do_does_not_count),
        cmocka_unit_test(test_a_sink_that_was_left_behind_is_due_until_it_moves),
        cmocka_unit_test(test_ranges_that_touch_are_one),
        cmocka_unit_test(test_the_list_is_bounded_and_its_counts_stay_true),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
