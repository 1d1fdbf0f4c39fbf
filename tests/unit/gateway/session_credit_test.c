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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
