/* The gateway's configuration: applied within bounds, kept across boots, acted on without a gateway. */
#include "support/fake_device.h"

#define HOUR_MS 3600000u

struct world {
    struct fake_device device;
    struct fake_gateway gateway;
    unsigned warnings;
    char warning[120];
};

static void count_warnings(void *context, enum trib_log_level level, const char *text)
{
    struct world *w = context;
    if (level != TRIB_LOG_WARNING || strncmp(text, "configuration", 13) != 0)
        return;
    w->warnings++;
    snprintf(w->warning, sizeof w->warning, "%s", text);
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    fake_device_init(&w->device, 1024, 4, 1);
    w->device.config.log = (struct trib_log){w, count_warnings};
    w->device.tick_ms = 0;
    fake_gateway_init(&w->gateway);
    *state = w;
    return fake_device_boot(&w->device);
}

static int tear_down(void **state)
{
    struct world *w = *state;
    fake_gateway_free(&w->gateway);
    fake_device_free(&w->device);
    free(w);
    return 0;
}

/* CONFIG with one setting, or (key 0) none. */
static void configure(struct world *w, uint64_t version, unsigned key, uint64_t value)
{
    uint8_t map[32];
    struct trib_cbor_writer c;
    trib_cbor_writer_init(&c, map, sizeof map);
    trib_cbor_put_map(&c, key > 0);
    if (key > 0) {
        trib_cbor_put_uint(&c, key);
        trib_cbor_put_uint(&c, value);
    }
    struct trib_wire_config config = {.version = version, .map = map, .map_len = c.len};
    w->device.source.config(&w->device.client, &config);
}

static void reboot(struct world *w)
{
    uint32_t next;
    assert_int_equal(trib_poll(&w->device.client, &next), 0);
    assert_int_equal(fake_device_boot(&w->device), 0);
}

static void test_settings_are_kept_across_boots(void **state)
{
    struct world *w = *state;
    static const struct {
        unsigned setting;
        uint32_t value, standard;
    } all[] = {
        {TRIB_SETTING_HEARTBEAT_MS, 30000, 0}, {TRIB_SETTING_SAMPLING_MILLI, 250, 1000},
        {TRIB_SETTING_LINGER_MS, 60000, 0},    {TRIB_SETTING_DURABLE_WINDOW_MS, 5000, 0},
        {TRIB_SETTING_VITAL_SHARE, 50, 0},     {TRIB_SETTING_RECORDING, 0, 1},
        {TRIB_SETTING_SENDING, 0, 1},          {TRIB_SETTING_RECHECK_MS, 120000, 3600000},
    };
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
        const uint32_t *settings = w->device.client.settings;
        configure(w, 10 + i, all[i].setting + 1, all[i].value);
        for (int boot = 0; boot < 2; boot++) {
            assert_int_equal(settings[all[i].setting], all[i].value);
            if (i > 0) /* what CONFIG does not name goes back to its default */
                assert_int_equal(settings[all[i - 1].setting], all[i - 1].standard);
            assert_int_equal(w->device.client.config_version, 10 + i);
            reboot(w);
        }
    }
    assert_int_equal(w->device.client.settings[TRIB_SETTING_HEARTBEAT_MS], 0);
    configure(w, 5, 1, 30000);
    assert_int_equal(w->device.client.settings[TRIB_SETTING_HEARTBEAT_MS], 30000);
    configure(w, 6, 2, 1);
    assert_int_equal(w->device.client.settings[TRIB_SETTING_SAMPLING_MILLI], 1);
    configure(w, 6, 0, 0); /* the version it has already */
    assert_int_equal(w->device.client.settings[TRIB_SETTING_SAMPLING_MILLI], 1);
    assert_int_equal(w->warnings, 0);
}

static void test_values_out_of_range_are_brought_into_it_and_told(void **state)
{
    struct world *w = *state;
    static const uint64_t given[][2] = {{1, UINT64_MAX}, {1, 999},       {2, 1001}, {3, UINT64_MAX},
                                        {4, 60001},      {5, 101},       {6, 2},    {7, 77},
                                        {8, 1},          {8, UINT64_MAX}};
    static const uint32_t taken[] = {HOUR_MS, 1000, 1000, HOUR_MS, 60000, 100, 1, 1, 60000, 86400000};
    for (unsigned i = 0; i < sizeof taken / sizeof *taken; i++) {
        configure(w, 20 + i, (unsigned)given[i][0], given[i][1]);
        assert_int_equal(w->device.client.settings[given[i][0] - 1], taken[i]);
        assert_int_equal(w->warnings, i + 1);
        char says[40];
        snprintf(says, sizeof says, "setting %u is", (unsigned)given[i][0]);
        assert_non_null(strstr(w->warning, says));
    }
}

static void test_what_a_later_gateway_sends_is_stepped_over(void **state)
{
    struct world *w = *state;
    static const uint8_t map[] = {0xA5, 0x18, 99,   0x82, 1, 2, /* an unknown key */
                                  0x01, 0x61, 'x',              /* a known one of another type */
                                  0x61, 'k',  0x01,             /* a key that is no number */
                                  0x03, 0x19, 0x27, 0x10,       /* linger 10 s */
                                  0x00, 0xA0};
    struct trib_wire_config config = {.version = 3, .map = map, .map_len = sizeof map};
    w->device.source.config(&w->device.client, &config);
    assert_int_equal(w->device.client.settings[TRIB_SETTING_LINGER_MS], 10000);
    assert_int_equal(w->device.client.settings[TRIB_SETTING_HEARTBEAT_MS], 0);
    assert_int_equal(w->device.client.config_version, 3);
}

static int note(struct world *w)
{
    uint8_t buffer[64];
    struct trib_custom event;
    trib_custom_begin(&event, buffer, sizeof buffer, "t");
    return trib_custom_record(&w->device.client, &event);
}

static void test_recording_can_be_switched_off_and_on(void **state)
{
    struct world *w = *state;
    assert_int_equal(note(w), 0);
    configure(w, 2, TRIB_SETTING_RECORDING + 1, 0);
    for (int boot = 0; boot < 2; boot++) {
        assert_int_equal(note(w), TRIB_ESTOPPED);
        reboot(w);
    }
    fake_sync(&w->gateway, &w->device); /* what was recorded before is sent all the same */
    assert_int_equal(fake_count(&w->gateway, TRIB_EVENT_CUSTOM), 1);
    configure(w, 3, 0, 0);
    assert_int_equal(note(w), 0);
}

/* Polls each second until it tries to connect, at most for so long. */
static uint64_t seconds_to_connect(struct world *w, uint64_t most)
{
    uint8_t attempts = w->device.client.uplink.attempts;
    for (uint64_t i = 0; i < most; i++) {
        uint32_t next;
        assert_int_equal(trib_poll(&w->device.client, &next), 0);
        if (w->device.client.uplink.attempts != attempts)
            return i;
        w->device.now_ms += 1000;
    }
    return most;
}

static void test_sending_can_be_switched_off_and_is_asked_about_again(void **state)
{
    struct world *w = *state;
    assert_int_equal(note(w), 0);
    assert_int_equal(trib_flush(&w->device.client, 0), 0);
    configure(w, 2, TRIB_SETTING_SENDING + 1, 0);
    assert_int_equal(seconds_to_connect(w, 10000), HOUR_MS / 1000);
    /* It connects, hears the same version, and sends nothing: */
    struct trib_wire_hello hello;
    struct trib_wire_welcome welcome;
    w->device.source.hello(&w->device.client, &hello);
    assert_int_equal(hello.config_version, 2);
    fake_answer(&w->gateway, &hello, &welcome);
    welcome.config_version = 2;
    assert_int_equal(w->device.source.welcome(&w->device.client, &welcome), 0);
    assert_false(fake_take_batch(&w->gateway, &w->device, true));
    assert_int_equal(seconds_to_connect(w, 10000), HOUR_MS / 1000);
    assert_int_equal(note(w), 0); /* recording goes on */
    assert_int_equal(trib_flush(&w->device.client, 0), 0);
    /* After a boot, without a gateway: sending is off still; it is asked about sooner. */
    reboot(w);
    uint64_t after = seconds_to_connect(w, 10000);
    assert_in_range(after, 60, 60);
    configure(w, 3, 0, 0);
    fake_sync(&w->gateway, &w->device);
    assert_int_equal(fake_count(&w->gateway, TRIB_EVENT_CUSTOM), 2);
}

static void test_linger_and_window_of_the_gateway_hold(void **state)
{
    struct world *w = *state;
    uint32_t next;
    configure(w, 2, TRIB_SETTING_DURABLE_WINDOW_MS + 1, 20000);
    assert_int_equal(trib_poll(&w->device.client, &next), 0);
    uint64_t durable = trib_durable_seq(&w->device.client, TRIB_LANE_ROUTINE);
    assert_int_equal(note(w), 0);
    w->device.now_ms += 19000;
    assert_int_equal(trib_poll(&w->device.client, &next), 0);
    assert_int_equal(trib_durable_seq(&w->device.client, TRIB_LANE_ROUTINE), durable);
    w->device.now_ms += 1000;
    assert_int_equal(trib_poll(&w->device.client, &next), 0);
    assert_int_equal(trib_durable_seq(&w->device.client, TRIB_LANE_ROUTINE), durable + 1);
    fake_sync(&w->gateway, &w->device);
    configure(w, 3, TRIB_SETTING_LINGER_MS + 1, 30000);
    assert_int_equal(note(w), 0);
    assert_int_equal(trib_flush(&w->device.client, 0), 0);
    assert_int_equal(trib_poll(&w->device.client, &next), 0);
    w->device.now_ms += 29000;
    assert_false(fake_take_batch(&w->gateway, &w->device, true));
    w->device.now_ms += 1000;
    assert_true(fake_take_batch(&w->gateway, &w->device, true));
}

/* After an outage: routine events by the score, and favourites that were recorded last. */
static unsigned batches_until_the_last_favourite(struct world *w, uint32_t share)
{
    configure(w, 50 + share, TRIB_SETTING_VITAL_SHARE + 1, share);
    size_t before = fake_count(&w->gateway, TRIB_EVENT_FAVOURITE_ADD);
    for (int i = 0; i < 60; i++) {
        assert_int_equal(note(w), 0);
        assert_int_equal(trib_flush(&w->device.client, 0), 0);
    }
    for (int i = 0; i < 4; i++)
        assert_int_equal(trib_favourite_add(&w->device.client, NULL, "x", NULL), 0);
    assert_int_equal(trib_flush(&w->device.client, 0), 0);
    assert_int_equal(fake_welcome(&w->gateway, &w->device), 0);
    unsigned batches = 0;
    while (fake_count(&w->gateway, TRIB_EVENT_FAVOURITE_ADD) < before + 4) {
        static uint8_t buffer[140]; /* small messages: it takes many */
        struct trib_wire_ack ack;
        size_t len;
        uint64_t events, counted;
        assert_int_equal(
            w->device.source.batch(&w->device.client, buffer, sizeof buffer, 1000, &len, &events), 0);
        assert_true(len > 0);
        fake_take_message(&w->gateway, buffer, len, &counted, &ack);
        w->device.source.ack(&w->device.client, &ack);
        batches++;
    }
    fake_sync(&w->gateway, &w->device);
    return batches;
}

static void test_the_vital_lane_gets_its_share_of_a_backlog(void **state)
{
    struct world *w = *state;
    unsigned in_order = batches_until_the_last_favourite(w, 0);
    unsigned half = batches_until_the_last_favourite(w, 50);
    unsigned all = batches_until_the_last_favourite(w, 100);
    assert_true(in_order > 4);
    assert_true(half < in_order && half > 1);
    assert_int_equal(all, 1);
}

static void take_time(void *context, uint64_t utc_ms)
{
    *(uint64_t *)context = utc_ms;
}

/* For the time floor of certificates, on devices without a clock. */
static void test_the_gateways_time_is_told_also_after_a_boot(void **state)
{
    struct world *w = *state;
    uint64_t told = 0;
    uint32_t next;
    w->device.config.callbacks.context = &told;
    w->device.config.callbacks.time = take_time;
    assert_int_equal(fake_welcome(&w->gateway, &w->device), 0); /* a gateway without time */
    assert_int_equal(told, 0);
    w->gateway.utc_ms = 1800000000000;
    assert_int_equal(fake_welcome(&w->gateway, &w->device), 0);
    assert_int_equal(told, 1800000000000);
    assert_int_equal(trib_poll(&w->device.client, &next), 0); /* journals it */
    told = 0;
    assert_int_equal(fake_device_boot(&w->device), 0);
    assert_int_equal(told, 1800000000000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_settings_are_kept_across_boots),
        TEST(test_values_out_of_range_are_brought_into_it_and_told),
        TEST(test_what_a_later_gateway_sends_is_stepped_over),
        TEST(test_recording_can_be_switched_off_and_on),
        TEST(test_sending_can_be_switched_off_and_is_asked_about_again),
        TEST(test_linger_and_window_of_the_gateway_hold),
        TEST(test_the_vital_lane_gets_its_share_of_a_backlog),
        TEST(test_the_gateways_time_is_told_also_after_a_boot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
