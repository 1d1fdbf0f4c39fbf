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

static uint64_t fake_field(const struct fake_event *e, uint64_t key)
{
    struct trib_cbor_reader r;
    trib_cbor_reader_init(&r, e->fields, e->fields_len);
    struct trib_cbor_container map = trib_cbor_get_map(&r);
    while (trib_cbor_next(&r, &map)) {
        if (trib_cbor_get_uint(&r) == key)
            return trib_cbor_get_uint(&r);
        trib_cbor_skip(&r);
    }
    return UINT64_MAX;
}

static unsigned sampled_of_a_thousand(struct world *w, uint16_t milli)
{
    struct trib_client *client = &w->device.client;
    unsigned sampled = 0;
    client->settings[TRIB_SETTING_SAMPLING_MILLI] = milli;
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
    client->settings[TRIB_SETTING_SAMPLING_MILLI] = 0;
    assert_int_equal(trib_session_start(client, &session, &content), 0);
    client->settings[TRIB_SETTING_SAMPLING_MILLI] = 1000; /* it is decided once */
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
    w->device.client.settings[TRIB_SETTING_HEARTBEAT_MS] = 30000;
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

/* Staging is full when the session ends: it stays open, and its end is recorded when there is room again, once. */
static void test_an_end_that_is_refused_can_be_called_again(void **state)
{
    struct world *w = *state;
    struct trib_client *client = &w->device.client;
    struct trib_session session;
    int rc;
    assert_int_equal(trib_session_start(client, &session, &content), 0);
    assert_int_equal(say(&session, TRIB_PLAYER_PLAYING), 0);
    w->device.now_ms += 7000;
    while (say(&session, TRIB_PLAYER_PLAY) == 0) { /* nobody polls */
    }
    assert_int_equal(trib_session_end(&session, TRIB_REASON_ENDED), TRIB_EFULL);
    assert_int_equal(trib_session_start(client, &session, &content), TRIB_EINVAL);
    w->device.now_ms += 2000; /* until it is accepted, it goes on */
    rc = trib_session_end(&session, TRIB_REASON_ENDED);
    assert_int_equal(rc, TRIB_EFULL);
    assert_int_equal(trib_flush(client, 0), 0);
    assert_int_equal(trib_session_end(&session, TRIB_REASON_ENDED), 0);
    assert_int_equal(trib_session_end(&session, TRIB_REASON_ENDED), TRIB_ESTOPPED);
    assert_int_equal(trib_flush(client, 0), 0);
    fake_sync(&w->gateway, &w->device);
    assert_int_equal(fake_count(&w->gateway, TRIB_EVENT_SESSION_END), 1);
    const struct fake_event *end = &w->gateway.events[w->gateway.event_count - 1];
    assert_int_equal(end->type, TRIB_EVENT_SESSION_END);
    assert_int_equal(fake_field(end, TRIB_FIELD_PLAYED_MS), 9000);
    assert_string_equal(end->content, "c");
    assert_int_equal(trib_session_start(client, &session, &content), 0);
    assert_int_equal(trib_session_end(&session, TRIB_REASON_ENDED), 0);
}

/* The seek in work is told with the end and does not fit; the end does: that closes the session. */
static void test_what_an_end_tells_besides_itself_may_be_refused(void **state)
{
    struct world *w = *state;
    struct trib_client *client = &w->device.client;
    struct trib_session session;
    unsigned ends = 0;
    for (unsigned left = 40; left < 300; left += 4) { /* bytes of staging, from too few for both to enough */
        assert_int_equal(trib_session_start(client, &session, &content), 0);
        assert_int_equal(say(&session, TRIB_PLAYER_SEEKING), 0);
        uint32_t head = client->staging.head, capacity = client->staging.capacity;
        client->staging.capacity = head + left;
        int rc = trib_session_end(&session, TRIB_REASON_QUIT);
        assert_true(rc == 0 || rc == TRIB_EFULL);
        assert_int_equal(session.client == NULL, rc == 0);
        client->staging.capacity = capacity;
        if (rc == TRIB_EFULL)
            assert_int_equal(trib_session_end(&session, TRIB_REASON_QUIT), 0);
        assert_int_equal(trib_flush(client, 0), 0);
        fake_sync(&w->gateway, &w->device);
        assert_int_equal(fake_count(&w->gateway, TRIB_EVENT_SESSION_END), ++ends);
    }
    assert_true(fake_count(&w->gateway, TRIB_EVENT_SEEK) < ends);
}

static int no_program(void *context, uint32_t address, const void *data, uint32_t length)
{
    (void)context, (void)address, (void)data, (void)length;
    return TRIB_EIO;
}

static void test_a_shutdown_closes_sessions_whose_ends_have_no_place(void **state)
{
    struct world *w = *state;
    struct trib_session sessions[3];
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(trib_session_start(&w->device.client, &sessions[i], &content), 0);
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++)
        w->device.config.storage[lane].program = no_program;
    while (say(&sessions[0], TRIB_PLAYER_PLAY) == 0) {
    }
    assert_int_equal(trib_shutdown(&w->device.client, 0), TRIB_EIO);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(trib_session_end(&sessions[i], TRIB_REASON_QUIT), TRIB_ESTOPPED);
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
        CASE(test_an_end_that_is_refused_can_be_called_again),
        CASE(test_what_an_end_tells_besides_itself_may_be_refused),
        CASE(test_a_shutdown_closes_sessions_whose_ends_have_no_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
