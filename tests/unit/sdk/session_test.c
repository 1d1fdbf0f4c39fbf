/* Sessions of the client: sampling, the heartbeat of a remote configuration, and room that is kept for their ends. */
#include "support/fake_device.h"

struct world {
    struct fake_device device;
    struct fake_gateway gateway;
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    fake_device_init(&w->device, 4096, 8, 1);
    fake_gateway_init(&w->gateway);
    *state = w;
    return fake_device_boot(&w->device);
}

static int teardown(void **state)
{
    struct world *w = *state;
    fake_device_free(&w->device);
    fake_gateway_free(&w->gateway);
    free(w);
    return 0;
}

static const struct trib_content content = {.content_id = "c", .user_id = "u"};

static int say(struct trib_session *session, enum trib_player_report what)
{
    struct trib_player p = {.report = what, .position_ms = UINT64_MAX};
    return trib_session_report(session, &p);
}

static unsigned sampled_of_a_thousand(struct world *w, uint16_t milli)
{
    struct trib_client *client = &w->device.client;
    unsigned sampled = 0;
    client->config_sampling_milli = milli;
    for (unsigned i = 0; i < 1000; i++) {
        struct trib_session session;
        assert_int_equal(trib_session_start(client, &session, &content), 0);
        sampled += session.tracker.sampled;
        assert_int_equal(trib_session_end(&session, TRIB_REASON_QUIT), 0);
        assert_int_equal(trib_flush(client, 0), 0);
        if (i % 10 == 9)
            fake_sync(&w->gateway, &w->device);
    }
    return sampled;
}

static void test_the_share_that_is_sampled_is_the_one_configured(void **state)
{
    assert_int_equal(sampled_of_a_thousand(*state, 1000), 1000);
    assert_int_equal(sampled_of_a_thousand(*state, 0), 0);
    assert_in_range(sampled_of_a_thousand(*state, 250), 200, 300);
    assert_in_range(sampled_of_a_thousand(*state, 900), 870, 930);
}

static void test_a_session_outside_the_sample_leaves_its_vital_events(void **state)
{
    struct world *w = *state;
    struct trib_client *client = &w->device.client;
    struct trib_session session;
    uint32_t next;
    client->config_sampling_milli = 0;
    assert_int_equal(trib_session_start(client, &session, &content), 0);
    client->config_sampling_milli = 1000; /* it is decided once */
    for (unsigned i = 0; i < 30; i++) {
        assert_int_equal(say(&session, i % 2 ? TRIB_PLAYER_PAUSED : TRIB_PLAYER_PLAYING), 0);
        w->device.now_ms += 10000;
        assert_int_equal(trib_poll(client, &next), 0);
    }
    assert_int_equal(trib_session_end(&session, TRIB_REASON_QUIT), 0);
    assert_int_equal(trib_flush(client, 0), 0);
    fake_sync(&w->gateway, &w->device);
    assert_int_equal(w->gateway.event_count, 4); /* and each lane's stream.start */
    assert_int_equal(fake_count(&w->gateway, TRIB_EVENT_SESSION_START), 1);
    assert_int_equal(fake_count(&w->gateway, TRIB_EVENT_SESSION_END), 1);
}

static void test_the_heartbeat_of_the_configuration_goes_before_the_apps(void **state)
{
    struct world *w = *state;
    struct trib_session session;
    uint32_t next;
    w->device.config.ping_ms = 5000;
    w->device.client.config_heartbeat_ms = 30000;
    assert_int_equal(trib_session_start(&w->device.client, &session, &content), 0);
    assert_int_equal(say(&session, TRIB_PLAYER_PLAYING), 0);
    for (unsigned i = 0; i < 60; i++) {
        w->device.now_ms += 1000;
        assert_int_equal(trib_poll(&w->device.client, &next), 0);
    }
    assert_int_equal(trib_flush(&w->device.client, 0), 0);
    fake_sync(&w->gateway, &w->device);
    assert_int_equal(fake_count(&w->gateway, TRIB_EVENT_PING), 2);
}

static void test_room_is_kept_for_the_end_of_each_session(void **state)
{
    struct world *w = *state;
    struct trib_session sessions[3];
    int rc;
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(trib_session_start(&w->device.client, &sessions[i], &content), 0);
    for (uint32_t n = 0;; n++) { /* the gateway is away, and favourites fill the lane */
        char item[16];
        snprintf(item, sizeof item, "%u", n);
        rc = trib_favourite_add(&w->device.client, NULL, item, NULL);
        rc = rc ? rc : trib_flush(&w->device.client, 0);
        if (rc < 0)
            break;
    }
    assert_int_equal(rc, TRIB_EFULL);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(trib_session_end(&sessions[i], TRIB_REASON_QUIT), 0);
        assert_int_equal(trib_flush(&w->device.client, 0), 0);
    }
    fake_sync(&w->gateway, &w->device);
    assert_int_equal(fake_count(&w->gateway, TRIB_EVENT_SESSION_END), 3);
}

static void test_a_shutdown_ends_more_sessions_than_staging_holds(void **state)
{
    struct world *w = *state;
    struct trib_client *client = &w->device.client;
    struct trib_session sessions[12];
    w->device.config.staging_bytes = 640;
    assert_int_equal(fake_device_boot(&w->device), 0);
    for (unsigned i = 0; i < 12; i++) {
        assert_int_equal(trib_session_start(client, &sessions[i], &content), 0);
        assert_int_equal(trib_flush(client, 0), 0);
    }
    assert_int_equal(trib_shutdown(client, 0), 0);
    client->shut = false; /* to see what is in the rings */
    fake_sync(&w->gateway, &w->device);
    assert_int_equal(fake_count(&w->gateway, TRIB_EVENT_SESSION_END), 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        CASE(test_the_share_that_is_sampled_is_the_one_configured),
        CASE(test_a_session_outside_the_sample_leaves_its_vital_events),
        CASE(test_the_heartbeat_of_the_configuration_goes_before_the_apps),
        CASE(test_room_is_kept_for_the_end_of_each_session),
        CASE(test_a_shutdown_ends_more_sessions_than_staging_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
