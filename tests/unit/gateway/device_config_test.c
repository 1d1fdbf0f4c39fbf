/* What devices are told: the section `devices` in CONFIG, and the gateways that BYE names when this one drains. */
#include "session_fixture.h"

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    world_init(w);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    world_free(*state);
    free(*state);
    return 0;
}

static struct gw_config defaults(void)
{
    return (struct gw_config){
        .devices = {.sampling_milli = 1000, .recording = true, .sending = true, .recheck_ms = 3600000}};
}

static void test_the_version_is_that_of_the_content(void **state)
{
    (void)state;
    struct gw_config config = defaults();
    struct gw_device_config none, some, other, again;
    gw_device_config_make(&config, &none);
    assert_int_equal(none.version, 0);
    assert_int_equal(none.map_len, 1); /* an empty map */
    config.devices.heartbeat_ms = 30000;
    gw_device_config_make(&config, &some);
    gw_device_config_make(&config, &again);
    config.devices.sending = false;
    gw_device_config_make(&config, &other);
    assert_int_not_equal(some.version, 0);
    assert_true(some.version <= UINT32_MAX && some.version == again.version);
    assert_int_not_equal(some.version, other.version);
    static const uint8_t map[] = {0xA2, 0x01, 0x19, 0x75, 0x30, 0x07, 0x00};
    assert_int_equal(other.map_len, sizeof map);
    assert_memory_equal(other.map, map, sizeof map);
}

static void test_the_largest_configuration_fits(void **state)
{
    (void)state;
    struct gw_config config = {.devices = {3600000, 0, 3600000, 60000, 100, false, false, 86400000}};
    struct gw_device_config all;
    gw_device_config_make(&config, &all);
    struct trib_cbor_reader r;
    trib_cbor_reader_init(&r, all.map, all.map_len);
    trib_cbor_skip(&r);
    assert_int_equal(r.error, 0);
    assert_int_equal(r.pos, all.map_len);
}

static void hello_with_version(struct world *w, uint64_t version)
{
    struct trib_wire_hello hello = hello_of(1, 0);
    hello.config_version = version;
    say_hello(w, &hello);
}

static void test_config_is_sent_to_devices_that_have_another(void **state)
{
    struct world *w = *state;
    struct gw_config config = defaults();
    config.devices.sampling_milli = 5;
    gw_device_config_make(&config, &w->rules.devices);
    hello_with_version(w, 7);
    assert_int_equal(w->sent_count, 2);
    assert_int_equal(w->sent[0].type, TRIB_WIRE_WELCOME);
    struct trib_wire_config sent;
    assert_int_equal(trib_wire_config_decode(w->sent[1].bytes, w->sent[1].len, &sent), 0);
    assert_int_equal(sent.version, w->rules.devices.version);
    assert_int_equal(sent.map_len, w->rules.devices.map_len);
    assert_memory_equal(sent.map, w->rules.devices.map, sent.map_len);
}

static void test_a_device_that_has_it_gets_no_config(void **state)
{
    struct world *w = *state;
    struct gw_config config = defaults();
    config.devices.sampling_milli = 5;
    gw_device_config_make(&config, &w->rules.devices);
    hello_with_version(w, w->rules.devices.version);
    assert_int_equal(last_welcome(w).config_version, w->rules.devices.version);
    assert_int_equal(w->sent_count, 1);
}

static void test_what_is_configured_no_more_is_taken_back(void **state)
{
    struct world *w = *state;
    struct gw_config config = defaults();
    gw_device_config_make(&config, &w->rules.devices);
    hello_with_version(w, 7);
    struct trib_wire_config sent;
    const struct sent *s = last(w, TRIB_WIRE_CONFIG);
    assert_int_equal(trib_wire_config_decode(s->bytes, s->len, &sent), 0);
    assert_int_equal(sent.version, 0);
    assert_int_equal(sent.map_len, 1);
}

static void test_only_a_draining_gateway_names_others(void **state)
{
    struct world *w = *state;
    w->rules.alternates[0] = "gw-2:8443";
    w->rules.alternates[1] = "[2001:db8::1]:443";
    w->rules.alternate_count = 2;
    for (int draining = 0; draining < 2; draining++) {
        world_connect(w);
        gw_session_bye(&w->session, draining ? TRIB_BYE_DRAINING : TRIB_BYE_UNAVAILABLE, 9000, "test");
        struct trib_wire_bye bye;
        const struct sent *s = last(w, TRIB_WIRE_BYE);
        assert_int_equal(trib_wire_bye_decode(s->bytes, s->len, &bye), 0);
        assert_int_equal(bye.retry_after_ms, 9000);
        assert_int_equal(bye.alternate_count, draining ? 2 : 0);
        if (draining)
            assert_memory_equal(bye.alternates[1].ptr, "[2001:db8::1]:443", bye.alternates[1].len);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_the_version_is_that_of_the_content),          T(test_the_largest_configuration_fits),
        T(test_config_is_sent_to_devices_that_have_another), T(test_a_device_that_has_it_gets_no_config),
        T(test_what_is_configured_no_more_is_taken_back),    T(test_only_a_draining_gateway_names_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
