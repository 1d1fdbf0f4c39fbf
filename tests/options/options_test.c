/* What an SDK without a part of it does instead, as tributary/options.h says it. Built once with each option, once with all
 * of them, and once with none: then the part must be there, so that the test can tell. */
#include "support/fake_device.h"
#include "uplink/internal.h"

struct world {
    struct fake_device device;
    struct fake_gateway gateway;
    unsigned lines;
};

static void count_lines(void *context, enum trib_log_level level, const char *text)
{
    struct world *w = context;
    (void)level, (void)text;
    w->lines++;
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    fake_device_init(&w->device, 4096, 8, 1);
    w->device.config.log = (struct trib_log){w, count_lines};
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

/* What every build does. */
static void test_events_arrive_over_a_boot(void **state)
{
    struct world *w = *state;
    struct trib_custom event;
    uint8_t buffer[TRIB_CUSTOM_BYTES_MAX(1, 1, 1, 0)];
    trib_custom_begin(&event, buffer, sizeof buffer, "s");
    trib_custom_uint(&event, "n", 7);
    assert_int_equal(trib_custom_record(&w->device.client, &event), 0);
    assert_int_equal(trib_favourite_add(&w->device.client, NULL, "x", NULL), 0);
    assert_int_equal(trib_flush(&w->device.client, 0), 0);
    assert_int_equal(fake_device_boot(&w->device), 0);
    fake_sync(&w->gateway, &w->device);
    assert_int_equal(fake_count(&w->gateway, TRIB_EVENT_CUSTOM), 1);
    assert_int_equal(fake_count(&w->gateway, TRIB_EVENT_FAVOURITE_ADD), 1);
    assert_int_equal(trib_shutdown(&w->device.client, 0), 0);
}

static void test_playback(void **state)
{
    struct world *w = *state;
    struct trib_session session;
    struct trib_content content = {.content_id = "c"};
    int rc = trib_session_start(&w->device.client, &session, &content);
    assert_int_equal(rc, TRIB_HAS_PLAYBACK ? 0 : TRIB_EINVAL);
    assert_int_equal(trib_flush(&w->device.client, 0), 0);
    assert_int_equal(fake_device_boot(&w->device), 0); /* the power went */
    fake_sync(&w->gateway, &w->device);
    assert_int_equal(fake_count(&w->gateway, TRIB_EVENT_SESSION_START), TRIB_HAS_PLAYBACK);
    assert_int_equal(fake_count(&w->gateway, TRIB_EVENT_SESSION_END), TRIB_HAS_PLAYBACK);
}

static void test_log(void **state)
{
    struct world *w = *state;
    w->lines = 0;
    w->device.config.port = 0;
    w->device.config.host = NULL;
    assert_int_equal(fake_device_boot(&w->device), TRIB_EINVAL);
    assert_int_equal(w->lines, TRIB_HAS_LOG);
}

static void test_remote_configuration(void **state)
{
    struct world *w = *state;
    struct trib_client *client = &w->device.client;
    static const uint8_t map[] = {0xA2, TRIB_SETTING_RECORDING + 1, 0, TRIB_SETTING_SENDING + 1, 0};
    struct trib_wire_config config = {.version = 3, .map = map, .map_len = sizeof map};
    struct trib_wire_hello hello;
    w->device.source.config(&w->device.client, &config);
    assert_int_equal(client->settings[TRIB_SETTING_RECORDING], !TRIB_HAS_REMOTE_CONFIG);
    w->device.source.hello(&w->device.client, &hello);
    assert_int_equal(hello.config_version, TRIB_HAS_REMOTE_CONFIG ? 3 : 0);
    /* Another build left this in the journal. */
    client->settings[TRIB_SETTING_RECORDING] = 0;
    client->config_version = 3;
    client->state_due = true;
    assert_int_equal(trib_flush(client, 0), 0);
    assert_int_equal(fake_device_boot(&w->device), 0);
    assert_int_equal(client->settings[TRIB_SETTING_RECORDING], !TRIB_HAS_REMOTE_CONFIG);
    w->device.source.hello(&w->device.client, &hello);
    assert_int_equal(hello.config_version, TRIB_HAS_REMOTE_CONFIG ? 3 : 0);
}

static void test_alternates(void **state)
{
    struct world *w = *state;
    struct trib_uplink *u = &w->device.client.uplink;
    struct trib_wire_bye bye = {.reason = TRIB_BYE_DRAINING,
                                .retry_after_ms = 50000,
                                .alternates = {{"one.example:1001", 16}},
                                .alternate_count = 1};
    uint8_t message[100];
    size_t length;
    uint16_t port;
    assert_int_equal(trib_wire_bye_encode(&bye, message, sizeof message, &length), 0);
    u->phase = TRIB_UPLINK_STREAM;
    assert_int_equal(trib_uplink_message(u, message, length), TRIB_ECLOSED);
    trib_uplink_schedule(u);
    assert_string_equal(trib_uplink_host(u, &port), TRIB_HAS_ALTERNATES ? "one.example" : "gateway.invalid");
    assert_int_equal(u->at_ms - u->now_ms >= 50000, !TRIB_HAS_ALTERNATES);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(test_events_arrive_over_a_boot), CASE(test_playback),   CASE(test_log),
        CASE(test_remote_configuration),      CASE(test_alternates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
