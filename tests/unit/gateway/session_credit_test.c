/* Credit that comes back later than the commit: for a device that is too fast, or a gateway that is too full. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "session_fixture.h"

static struct {
    uint64_t tokens;
    bool held;
    uint32_t spare; /* of the memory budget */
    bool scarce;
} limits;

static uint64_t allow(void *context, uint64_t want)
{
    (void)context;
    uint64_t taken = want < limits.tokens ? want : limits.tokens;
    limits.tokens -= taken;
    return taken;
}

static bool held(void *context)
{
    (void)context;
    return limits.held;
}

static uint32_t widen(void *context, uint32_t want)
{
    (void)context;
    uint32_t take = limits.scarce ? 0 : want < limits.spare ? want : limits.spare;
    limits.spare -= take;
    return take;
}

static bool narrow(void *context, uint32_t bytes)
{
    (void)context;
    if (limits.scarce)
        limits.spare += bytes;
    return limits.scarce;
}

static int set_up(void **state)
{
    static struct world w;
    static struct gw_session_edge edge;
    world_init(&w);
    edge = world_edge;
    edge.allow = allow;
    edge.held = held;
    w.session.edge = &edge;
    w.rules.hold_ms = 15000;
    limits.tokens = 1000;
    limits.held = false;
    edge.widen = widen;
    edge.narrow = narrow;
    limits.spare = 0;
    limits.scarce = false;
    *state = &w;
    return 0;
}

static int tear_down(void **state)
{
    world_free(*state);
    return 0;
}

static void open_session(struct world *w)
{
    struct trib_wire_hello hello = hello_of(1, 0);
    say_hello(w, &hello);
}

static void pass(struct world *w, uint64_t ms)
{
    for (uint64_t end = w->now_ms + ms; w->now_ms < end;) {
        w->now_ms += 100;
        gw_session_heard(&w->session, w->now_ms);
        gw_session_tick(&w->session, w->now_ms);
    }
}

static struct trib_wire_credit last_credit(const struct world *w)
{
    struct trib_wire_credit credit;
    const struct sent *s = last(w, TRIB_WIRE_CREDIT);
    assert_int_equal(trib_wire_credit_decode(s->bytes, s->len, &credit), 0);
    return credit;
}

static void test_a_device_that_is_too_fast_gets_its_credit_more_slowly(void **state)
{
    struct world *w = *state;
    limits.tokens = 23;
    open_session(w);
    assert_int_equal(last_welcome(w).credit.events, 20);
    size_t len = say_batch(w, 1, 10);
    world_commit(w, 9, 0);
    struct trib_wire_ack ack = last_ack(w); /* durable is durable: the ack does not wait */
    assert_int_equal(ack.acked[0].seq, 10);
    assert_int_equal(ack.credit.events, 23);
    assert_int_equal(ack.credit.bytes, 16384 + len); /* memory it may use: that is no question of rate */
    size_t sent = w->sent_count;
    pass(w, 500);
    assert_int_equal(w->sent_count, sent);
    limits.tokens = 4;
    pass(w, 100);
    assert_int_equal(last_credit(w).events, 27);
    limits.tokens = 100;
    pass(w, 100);
    assert_int_equal(last_credit(w).events, 30); /* what was owed, and no more */
    assert_int_equal(limits.tokens, 97);
    sent = w->sent_count;
    pass(w, 1000);
    assert_int_equal(w->sent_count, sent);
}

static void test_a_device_without_a_token_gets_a_welcome_and_waits(void **state)
{
    struct world *w = *state;
    limits.tokens = 0;
    open_session(w);
    assert_int_equal(last_welcome(w).credit.events, 0);
    pass(w, 60000);
    assert_false(w->closed); /* too fast is not a reason to go */
    limits.tokens = 5;
    pass(w, 100);
    assert_int_equal(last_credit(w).events, 5);
    say_batch(w, 1, 5);
    world_commit(w, 9, 0);
    assert_int_equal(last_ack(w).acked[0].seq, 5);
}

static void test_a_device_that_ignores_what_is_withheld_is_cut_off(void **state)
{
    struct world *w = *state;
    limits.tokens = 20;
    open_session(w);
    say_batch(w, 1, 20);
    world_commit(w, 9, 0);
    say_batch(w, 21, 1);
    assert_bye(w, TRIB_BYE_CREDIT);
    assert_int_equal(w->queued, 0);
}

static void test_a_full_gateway_acks_and_withholds_credit(void **state)
{
    struct world *w = *state;
    open_session(w);
    limits.held = true;
    size_t len = say_batch(w, 1, 12);
    world_commit(w, 9, 0);
    assert_int_equal(last_ack(w).acked[0].seq, 12);
    assert_int_equal(last_ack(w).credit.events, 20);
    assert_int_equal(last_ack(w).credit.bytes, 16384);
    pass(w, 14000);
    assert_false(w->closed);
    limits.held = false;
    pass(w, 100);
    assert_int_equal(last_credit(w).events, 32);
    assert_int_equal(last_credit(w).bytes, 16384 + len);
    limits.held = true; /* the time begins anew */
    say_batch(w, 13, 1);
    world_commit(w, 9, 0);
    pass(w, 14000);
    assert_false(w->closed);
}

static void test_who_waits_too_long_is_sent_away_with_a_time_to_come_back(void **state)
{
    struct world *w = *state;
    open_session(w);
    limits.held = true;
    say_batch(w, 1, 1);
    world_commit(w, 9, 0);
    pass(w, 15000);
    assert_false(w->closed);
    pass(w, 200);
    assert_bye(w, TRIB_BYE_UNAVAILABLE);
    struct trib_wire_bye bye;
    const struct sent *s = last(w, TRIB_WIRE_BYE);
    assert_int_equal(trib_wire_bye_decode(s->bytes, s->len, &bye), 0);
    assert_int_equal(bye.retry_after_ms, 30000);
}

static void test_who_needs_no_credit_stays(void **state)
{
    struct world *w = *state;
    open_session(w);
    limits.held = true;
    pass(w, 120000);
    assert_false(w->closed);
}

static void test_without_an_end_devices_wait_for_ever(void **state)
{
    struct world *w = *state;
    w->rules.hold_ms = 0;
    open_session(w);
    limits.held = true;
    say_batch(w, 1, 1);
    world_commit(w, 9, 0);
    pass(w, 600000);
    assert_false(w->closed);
}

/* A first window of 1,200 bytes, of 16,384 that a window may have. */
static void open_small(struct world *w)
{
    w->rules.event_bytes = 64;
    w->rules.credit_events = 10000;
    limits.tokens = 1000000;
    w->budget = 1200;
    open_session(w);
    assert_int_equal(last_welcome(w).credit.bytes, 1200);
    assert_int_equal(last_welcome(w).max_message_bytes,
                     1200); /* no message waits for a window that never comes */
}

/* Sends until so many bytes are left of the window at most, then has all of it committed. Returns the window. */
static uint64_t use(struct world *w, uint64_t left)
{
    for (uint64_t more; (more = w->session.granted.bytes - w->session.used.bytes) > left;) {
        unsigned events =
            more > left + 200 ? (unsigned)(more - left) / 10 : 1; /* an event is of 5 to 7 bytes */
        say_batch(w, w->session.used.events + 1, events < 900 ? events : 900);
    }
    world_commit(w, SIZE_MAX, 0);
    w->sent_count = 0;
    assert_int_equal(w->session.granted.bytes - w->session.used.bytes, w->session.reserved_bytes);
    return w->session.reserved_bytes;
}

static void test_a_window_doubles_while_more_than_half_of_it_is_used(void **state)
{
    struct world *w = *state;
    limits.spare = 100000;
    open_small(w);
    assert_int_equal(use(w, 700), 1200); /* an occasional batch needs no more */
    uint64_t window = 1200;
    while (window < 16384) {
        uint64_t wider = use(w, 200);
        assert_true(wider > window);
        assert_int_equal(wider, 16384 < 2 * window ? 16384 : 2 * window);
        window = wider;
    }
    assert_int_equal(use(w, 200), 16384);
    assert_int_equal(limits.spare, 100000 - (16384 - 1200));
}

static void test_a_window_that_is_held_back_does_not_grow(void **state)
{
    struct world *w = *state;
    limits.spare = 100000;
    open_small(w);
    uint64_t first = 1;
    for (int i = 0; i < 6; i++, first += 30)
        say_batch(w, first, 30);
    assert_true(w->session.granted.bytes - w->session.used.bytes < 600); /* more than half is in use */
    limits.held = true;
    world_commit(w, SIZE_MAX, 0);
    assert_true(w->session.reserved_bytes <=
                2 * 1200); /* as far as it was used, and not once for each batch */
    assert_int_equal(limits.spare, 100000 - (w->session.reserved_bytes - 1200));
    limits.held = false;
    pass(w, 100);
    assert_int_equal(w->session.granted.bytes - w->session.used.bytes, w->session.reserved_bytes);
}

static void test_a_window_grows_by_what_is_spare(void **state)
{
    struct world *w = *state;
    limits.spare = 100;
    open_small(w);
    assert_int_equal(use(w, 200), 1300);
    assert_int_equal(use(w, 200), 1300);
}

static void test_a_wide_window_goes_back_when_memory_is_scarce(void **state)
{
    struct world *w = *state;
    limits.spare = 100000;
    open_small(w);
    while (use(w, 200) < 16384) {
    }
    limits.scarce = true;
    uint64_t window =
        use(w, 10000); /* what was used and is committed goes back; what may still be used does not */
    assert_in_range(window, 9000, 10000);
    assert_int_equal(use(w, 200), 1200);
    assert_int_equal(limits.spare, 100000);
    assert_int_equal(use(w, 200), 1200);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_a_device_that_is_too_fast_gets_its_credit_more_slowly),
        T(test_a_device_without_a_token_gets_a_welcome_and_waits),
        T(test_a_device_that_ignores_what_is_withheld_is_cut_off),
        T(test_a_full_gateway_acks_and_withholds_credit),
        T(test_who_waits_too_long_is_sent_away_with_a_time_to_come_back),
        T(test_who_needs_no_credit_stays),
        T(test_without_an_end_devices_wait_for_ever),
        T(test_a_window_doubles_while_more_than_half_of_it_is_used),
        T(test_a_window_that_is_held_back_does_not_grow),
        T(test_a_window_grows_by_what_is_spare),
        T(test_a_wide_window_goes_back_when_memory_is_scarce),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
