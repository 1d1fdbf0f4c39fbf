/* When the client works and when it waits: the wait port in trib_flush, and the window of routine events. */
#include "support/fake_device.h"

static int custom(struct fake_device *d)
{
    uint8_t buffer[64];
    struct trib_custom event;
    trib_custom_begin(&event, buffer, sizeof buffer, "app.test");
    return trib_custom_record(&d->client, &event);
}

struct sleeper {
    struct fake_device *device;
    unsigned count;
    uint64_t slept_ms;
};

static void sleep_in_flush(void *context, uint32_t timeout_ms)
{
    struct sleeper *s = context;
    s->count++;
    s->slept_ms += timeout_ms;
    s->device->now_ms += timeout_ms;
}

static void test_flush_sleeps_between_two_polls(void **state)
{
    (void)state;
    struct fake_device d;
    struct sleeper sleeper = {.device = &d};
    fake_device_init(&d, 4096, 8, 1);
    d.config.wait = (struct trib_wait){&sleeper, sleep_in_flush};
    assert_int_equal(fake_device_boot(&d), 0);
    uint64_t began = d.now_ms;
    assert_int_equal(custom(&d), 0);
    assert_int_equal(trib_flush(&d.client, 5000), TRIB_ETIMEOUT); /* the network never answers */
    assert_int_equal(sleeper.slept_ms, 5000);                     /* all of the time, and no more */
    assert_int_equal(d.now_ms - began, 5000);
    assert_in_range(sleeper.count, 1, 20);
    assert_int_equal(trib_flush(&d.client, 0), 0);
    assert_int_equal(sleeper.slept_ms, 5000); /* durable only: nothing to wait for */
    fake_device_free(&d);
}

/* How long a routine event waits until it is durable, on units of so many bytes, on a clock that began so. */
static uint64_t window_from(uint64_t clock_ms, uint32_t unit, uint32_t configured_ms)
{
    struct fake_device d;
    uint32_t next;
    fake_device_init(&d, 4096, 8, unit);
    d.config.durable_window_ms = configured_ms;
    d.now_ms = clock_ms;
    assert_int_equal(fake_device_boot(&d), 0);
    assert_int_equal(trib_poll(&d.client, &next), 0);
    uint64_t before = trib_durable_seq(&d.client, TRIB_LANE_ROUTINE), began = d.now_ms;
    assert_int_equal(custom(&d), 0);
    while (trib_durable_seq(&d.client, TRIB_LANE_ROUTINE) == before) {
        assert_true(d.now_ms - began < 60000);
        d.now_ms += 100;
        assert_int_equal(trib_poll(&d.client, &next), 0);
    }
    uint64_t window = d.now_ms - began;
    assert_int_equal(trib_favourite_add(&d.client, NULL, "item", NULL), 0);
    before = trib_durable_seq(&d.client, TRIB_LANE_VITAL);
    assert_int_equal(trib_poll(&d.client, &next), 0);
    assert_int_equal(trib_durable_seq(&d.client, TRIB_LANE_VITAL), before + 1); /* vital: at once */
    fake_device_free(&d);
    return window;
}

static uint64_t window_ms(uint32_t unit, uint32_t configured_ms)
{
    return window_from(1000, unit, configured_ms);
}

/* The SDK keeps the lower halves of such moments. */
static void test_waiting_goes_over_a_carry_of_the_clock(void **state)
{
    (void)state;
    for (uint32_t before = 0; before <= 12000; before += 300) {
        assert_int_equal(window_from((1ull << 32) - before, 1, 0), 1000);
        assert_int_equal(window_from((7ull << 32) - before, 256, 0), 10000);
        assert_int_equal(window_from((1ull << 31) - before, 1, 0), 1000);
    }
    assert_int_equal(trib_client_left(UINT32_MAX - 9, 20, 1ull << 32), 10);
    assert_int_equal(trib_client_left(5, 20, 1ull << 32 | 4), 20); /* another thread read the clock later */
    assert_int_equal(trib_client_left(5, 20, (1ull << 32) + 25), 0);
}

static void test_big_program_units_group_routine_events_for_ten_seconds(void **state)
{
    (void)state;
    assert_int_equal(window_ms(1, 0), 1000);
    assert_int_equal(window_ms(32, 0), 1000);
    assert_int_equal(window_ms(256, 0), 10000);
    assert_int_equal(window_ms(256, 2000), 2000); /* the app's word counts */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waiting_goes_over_a_carry_of_the_clock),
        cmocka_unit_test(test_flush_sleeps_between_two_polls),
        cmocka_unit_test(test_big_program_units_group_routine_events_for_ten_seconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
