/* A vital lane that was full: what acks made free is free after a boot, too. And sectors as small as they may be. */
#include "support/fake_device.h"

static uint32_t next_item;

static int favourite(struct fake_device *d)
{
    char item[16];
    snprintf(item, sizeof item, "%u", next_item + 1);
    int rc = trib_favourite_add(&d->client, NULL, item, NULL);
    if (rc == 0)
        rc = trib_flush(&d->client, 0);
    next_item += rc == 0;
    return rc;
}

static void fill_up(struct fake_device *d)
{
    int rc;
    while ((rc = favourite(d)) == 0)
        assert_true(next_item < 100000);
    assert_int_equal(rc, TRIB_EFULL);
}

/* The acks are noted as trib_poll does it, each minute. */
static void test_a_full_lane_remembers_its_acks_over_a_boot(void **state)
{
    static const uint32_t geometries[][3] = {{512, 4, 1},  {384, 3, 1},    {512, 5, 8}, {1024, 4, 32},
                                             {4096, 3, 1}, {2048, 4, 256}, {256, 8, 1}, {256, 8, 16}};
    (void)state;
    for (size_t i = 0; i < sizeof geometries / sizeof geometries[0]; i++) {
        struct fake_device d;
        struct fake_gateway g;
        const uint32_t *at = geometries[i];
        next_item = 0;
        fake_device_init(&d, at[0], at[1], at[2]);
        fake_gateway_init(&g);
        assert_int_equal(fake_device_boot(&d), 0);
        for (unsigned round = 0; round < 5; round++) {
            fill_up(&d);
            fake_sync(&g, &d);
            assert_int_equal(trib_client_save_acks(&d.client), 0);
            assert_int_equal(fake_device_boot(&d), 0); /* and stays offline */
            assert_int_equal(favourite(&d), 0);
        }
        fake_sync(&g, &d);
        assert_int_equal(fake_count(&g, TRIB_EVENT_FAVOURITE_ADD), next_item);
        assert_int_equal(g.stream_count, 2);
        printf("sector %u x %u, unit %u: %u favourites in 5 fillings\n", at[0], at[1], at[2], next_item);
        fake_device_free(&d);
        fake_gateway_free(&g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_full_lane_remembers_its_acks_over_a_boot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
