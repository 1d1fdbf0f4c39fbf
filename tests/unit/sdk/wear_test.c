/* Wear is even: over thousands of laps no sector of a lane is erased more than once oftener than another. */
#include "support/fake_device.h"
#include "support/wear.h"

struct world {
    struct fake_device device;
    struct fake_gateway gateway;
    struct wear wear[TRIB_LANE_COUNT];
};

static void setup(struct world *w, uint32_t sector_bytes, uint32_t sectors, uint32_t unit)
{
    fake_gateway_init(&w->gateway);
    fake_device_init(&w->device, sector_bytes, sectors, unit);
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++)
        wear_watch(&w->wear[lane], &w->device.config.storage[lane]);
    assert_int_equal(fake_device_boot(&w->device), 0);
}

static void teardown(struct world *w)
{
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++)
        assert_int_equal(w->device.ram[lane].twice, 0);
    fake_device_free(&w->device);
    fake_gateway_free(&w->gateway);
}

static void record(struct world *w, unsigned number)
{
    uint8_t buffer[160];
    struct trib_custom event;
    trib_custom_begin(&event, buffer, sizeof buffer, "app.wear");
    trib_custom_text(&event, "text",
                     "some eighty bytes, so that a sector is full after a few dozens of these events");
    trib_custom_int(&event, "n", number);
    assert_int_equal(trib_custom_record(&w->device.client, &event), 0);
    if (number % 4 == 0) { /* refused when the vital lane is full */
        int rc = trib_favourite_add(&w->device.client, NULL,
                                    "an item whose name is as long as those of real services are", NULL);
        assert_true(rc == 0 || rc == TRIB_EFULL);
    }
}

/* Until the routine lane went round so often. reboot_each, sync_each: events; 0: never. Returns the number of boots. */
static uint64_t go_round(struct world *w, uint64_t laps, unsigned reboot_each, unsigned sync_each)
{
    uint32_t sectors = w->device.config.storage[TRIB_LANE_ROUTINE].sector_count;
    uint32_t next;
    uint64_t boots = 0;
    for (unsigned i = 1; w->wear[TRIB_LANE_ROUTINE].total < laps * sectors; i++) {
        w->device.now_ms += 1000;
        record(w, i);
        if (i % 8 == 0)
            assert_int_equal(trib_flush(&w->device.client, 0), 0);
        assert_int_equal(trib_poll(&w->device.client, &next), 0);
        if (sync_each && i % sync_each == 0) {
            fake_sync(&w->gateway, &w->device);
            w->gateway.event_count = 0;
        }
        if (reboot_each && i % reboot_each == 0) {
            assert_int_equal(fake_device_boot(&w->device), 0);
            boots++;
        }
    }
    return boots;
}

/* The geometries of three parts (tools/dev/wear), with lanes as short as they may be and longer. */
static void test_erase_counts_differ_by_one_at_most(void **state)
{
    (void)state;
    static const struct {
        uint32_t sector_bytes, sectors, unit;
    } parts[] = {{4096, 3, 1}, {4096, 16, 1}, {2048, 5, 8},  {2048, 16, 8},
                 {4096, 4, 4}, {4096, 9, 4},  {4096, 4, 256}};
    static struct world w;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        setup(&w, parts[i].sector_bytes, parts[i].sectors, parts[i].unit);
        (void)go_round(&w, 2000 / parts[i].sectors, 0, 16);
        for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++)
            assert_in_range(wear_spread(&w.wear[lane]), 0, 1);
        assert_true(w.wear[TRIB_LANE_VITAL].total > 5u * parts[i].sectors);
        teardown(&w);
    }
}

/* Nobody takes anything: the routine lane goes round over its own oldest events. */
static void test_a_full_lane_wears_evenly_too(void **state)
{
    (void)state;
    static struct world w;
    setup(&w, 2048, 8, 8);
    (void)go_round(&w, 300, 0, 0);
    assert_in_range(wear_spread(&w.wear[TRIB_LANE_ROUTINE]), 0, 1);
    teardown(&w);
}

/* A boot does not trust that a sector which reads blank is one: a cut may have hit its erase. So it erases it again. */
static void test_a_boot_costs_one_erase_a_lane_at_most(void **state)
{
    (void)state;
    static struct world w;
    for (unsigned each = 7; each < 100; each *= 3) {
        setup(&w, 2048, 8, 8);
        uint64_t boots = 1 + go_round(&w, 100, each, 16);
        for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++) {
            uint32_t opened = w.device.client.lanes[lane].ring.sector_seq;
            assert_in_range(w.wear[lane].total, opened - 1, opened + boots + 1);
        }
        teardown(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_erase_counts_differ_by_one_at_most),
        cmocka_unit_test(test_a_full_lane_wears_evenly_too),
        cmocka_unit_test(test_a_boot_costs_one_erase_a_lane_at_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
