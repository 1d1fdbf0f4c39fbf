/* User ids: what is hashed, and that nothing keeps the clear one. Consent. Erasure: see also tests/powercut. */
#include "support/fake_device.h"

#include "net_tls.h"

#define SECTOR_BYTES 1024u
#define SECTORS 4u

struct world {
    struct fake_device device;
    struct fake_gateway gateway;
};

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    fake_device_init(&w->device, SECTOR_BYTES, SECTORS, 1);
    w->device.config.user_id_as_given = false;
    w->device.config.digest = trib_mbedtls_digest();
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

static bool holds(const void *where, size_t bytes, const char *text)
{
    return memmem(where, bytes, text, strlen(text)) != NULL;
}

static void play(struct world *w, const char *user)
{
    struct trib_session session;
    struct trib_content content = {.content_id = "movie-1", .user_id = user, .duration_ms = 60000};
    assert_int_equal(trib_session_start(&w->device.client, &session, &content), 0);
    assert_int_equal(trib_session_end(&session, TRIB_REASON_ENDED), 0);
    assert_int_equal(trib_favourite_add(&w->device.client, NULL, "movie-1", user), 0);
    assert_int_equal(trib_flush(&w->device.client, 0), 0);
}

/* The session's context and the favourite's field carry the same id. */
static void expect_sent(struct world *w, const char *id)
{
    fake_sync(&w->gateway, &w->device);
    const struct fake_event *e = &w->gateway.events[w->gateway.event_count - 1];
    assert_int_equal(e->type, TRIB_EVENT_FAVOURITE_ADD);
    assert_true(holds(e->fields, e->fields_len, id));
    size_t found = 0;
    for (size_t i = 0; i < w->gateway.event_count; i++)
        found += strcmp(w->gateway.events[i].user, id) == 0;
    assert_true(found >= 2); /* start and end */
}

/* Computed apart: base64url(SHA-256("tributary user id v1" 0 salt 0 id)[:16]), as docs/privacy.md says. */
static void test_user_ids_are_hashed_as_documented(void **state)
{
    struct world *w = *state;
    play(w, "ana");
    expect_sent(w, "IG6MWELOu20t2MozMHpRzA");
}

static void test_a_salt_changes_every_hash(void **state)
{
    struct world *w = *state;
    w->device.config.user_salt = "pepper";
    play(w, "ana");
    expect_sent(w, "2rOC1XwnxUecJyglipaiSw");
}

static void test_the_longest_id_and_salt_are_hashed(void **state)
{
    struct world *w = *state;
    char id[130], salt[66];
    memset(id, 'x', sizeof id);
    memset(salt, 's', sizeof salt);
    id[129] = salt[65] = 0;
    w->device.config.user_salt = salt;
    assert_int_equal(trib_init(&w->device.client, &w->device.config), TRIB_EINVAL);
    salt[64] = 0;
    assert_int_equal(fake_device_boot(&w->device), 0);
    assert_int_equal(trib_favourite_add(&w->device.client, NULL, "x", id), TRIB_EINVAL);
    id[128] = 0;
    play(w, id);
    expect_sent(w, "Y4WAAw53oEMham4N4g4q5A");
}

static void test_no_clear_user_id_is_in_storage_or_messages(void **state)
{
    struct world *w = *state;
    const char *user = "ana.maria@example.org";
    play(w, user);
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++)
        assert_false(holds(w->device.flash[lane], SECTOR_BYTES * SECTORS, user));
    assert_false(holds(w->device.staging, sizeof w->device.staging, user));
    fake_sync(&w->gateway, &w->device);
    for (size_t i = 0; i < w->gateway.event_count; i++) {
        assert_string_not_equal(w->gateway.events[i].user, user);
        assert_false(holds(w->gateway.events[i].fields, sizeof w->gateway.events[i].fields, user));
    }
    /* The search would find one: */
    w->device.config.user_id_as_given = true;
    play(w, user);
    assert_true(holds(w->device.flash[0], SECTOR_BYTES * SECTORS, user));
}

static int failing_digest(void *context, const void *data, size_t length, uint8_t out[32])
{
    (void)context, (void)data, (void)length, (void)out;
    return TRIB_EIO;
}

static void test_without_a_digest_nothing_is_recorded(void **state)
{
    struct world *w = *state;
    struct trib_session session;
    struct trib_content content = {.content_id = "movie-1", .user_id = "ana"};
    w->device.config.digest.sha256 = failing_digest;
    assert_int_equal(trib_favourite_add(&w->device.client, NULL, "x", "ana"), TRIB_EIO);
    assert_int_equal(trib_session_start(&w->device.client, &session, &content), TRIB_EIO);
    assert_int_equal(trib_favourite_add(&w->device.client, NULL, "x", NULL), 0); /* no user, no hash */
    w->device.config.digest.sha256 = NULL;
    assert_int_equal(trib_init(&w->device.client, &w->device.config), TRIB_EINVAL);
    w->device.config.user_id_as_given = true;
    assert_int_equal(fake_device_boot(&w->device), 0);
}

/* --- consent --- */

static void expect_stopped(struct world *w)
{
    struct trib_client *client = &w->device.client;
    struct trib_session session;
    struct trib_content content = {.content_id = "movie-1"};
    struct trib_custom event;
    uint8_t buffer[64];
    uint64_t recorded = client->recorded;
    assert_int_equal(trib_favourite_add(client, NULL, "x", NULL), TRIB_ESTOPPED);
    assert_int_equal(trib_session_start(client, &session, &content), TRIB_ESTOPPED);
    trib_custom_begin(&event, buffer, sizeof buffer, "t");
    assert_int_equal(trib_custom_record(client, &event), TRIB_ESTOPPED);
    assert_int_equal(client->recorded, recorded);
}

/* Polls over a minute; whether it tried to connect. */
static bool connects(struct world *w)
{
    uint8_t attempts = w->device.client.uplink.attempts;
    for (int i = 0; i < 60; i++) {
        uint32_t next;
        w->device.now_ms += 1000;
        assert_int_equal(trib_poll(&w->device.client, &next), 0);
    }
    return w->device.client.uplink.attempts != attempts;
}

static void test_without_consent_nothing_is_recorded_or_sent(void **state)
{
    struct world *w = *state;
    struct trib_client *client = &w->device.client;
    play(w, "ana");
    size_t waiting = client->lanes[0].ring.durable_pos - client->lanes[0].ring.acked_pos;
    assert_int_equal(trib_set_consent(client, false), 0);
    for (int boot = 0; boot < 3; boot++) {
        expect_stopped(w);
        assert_false(connects(w));
        assert_int_equal(fake_device_boot(&w->device), 0);
    }
    assert_int_equal(client->lanes[0].ring.durable_pos - client->lanes[0].ring.acked_pos, waiting);
    assert_int_equal(trib_set_consent(client, true), 0);
    assert_true(connects(w));
    fake_sync(&w->gateway, &w->device); /* what waited is still there */
    assert_int_equal(fake_count(&w->gateway, TRIB_EVENT_FAVOURITE_ADD), 1);
    play(w, "ana");
}

static void test_consent_may_be_required_first(void **state)
{
    struct world *w = *state;
    w->device.config.consent_required = true;
    assert_int_equal(fake_device_boot(&w->device), 0);
    expect_stopped(w);
    assert_false(connects(w));
    assert_int_equal(trib_set_consent(&w->device.client, true), 0);
    assert_int_equal(fake_device_boot(&w->device), 0);
    play(w, NULL);
    assert_true(connects(w));
}

static void report(struct world *w, struct trib_session *session, enum trib_player_report what, int expected)
{
    struct trib_player player = {.report = what, .position_ms = UINT64_MAX, .cause = TRIB_CAUSE_USER};
    assert_int_equal(trib_session_report(session, &player), expected);
    (void)w;
}

static void test_an_open_session_counts_nothing_meanwhile(void **state)
{
    struct world *w = *state;
    struct trib_session session;
    struct trib_content content = {.content_id = "movie-1"};
    assert_int_equal(trib_session_start(&w->device.client, &session, &content), 0);
    report(w, &session, TRIB_PLAYER_PLAYING, 0);
    w->device.now_ms += 5000;
    report(w, &session, TRIB_PLAYER_POSITION, 0);
    assert_int_equal(trib_set_consent(&w->device.client, false), 0);
    assert_false(connects(w));
    report(w, &session, TRIB_PLAYER_POSITION, TRIB_ESTOPPED);
    assert_int_equal(trib_set_consent(&w->device.client, true), 0);
    w->device.now_ms += 3000;
    report(w, &session, TRIB_PLAYER_POSITION, 0);
    assert_int_equal(session.tracker.total[TRIB_TIME_PLAYED], 8000);
    assert_int_equal(session.tracker.total[TRIB_TIME_UNKNOWN], 0);
    assert_int_equal(trib_session_end(&session, TRIB_REASON_ENDED), 0);
}

static void test_consent_survives_in_the_smallest_sectors(void **state)
{
    struct world *w = *state;
    fake_device_free(&w->device);
    fake_device_init(&w->device, 256, 6, 1);
    assert_int_equal(fake_device_boot(&w->device), 0);
    assert_int_equal(trib_set_consent(&w->device.client, false), 0);
    assert_int_equal(fake_device_boot(&w->device), 0);
    expect_stopped(w);
}

/* --- erasure; tests/powercut/erase_cut_test.c cuts the power in it --- */

static void test_a_sector_that_cannot_be_erased_costs_no_newer_record(void **state)
{
    struct world *w = *state;
    struct trib_client *client = &w->device.client;
    play(w, "ana");
    w->device.ram[TRIB_LANE_VITAL].bad_sector = client->lanes[TRIB_LANE_VITAL].ring.sector;
    assert_int_equal(trib_erase(client), TRIB_EIO); /* it says so */
    for (int i = 0; i < 40; i++) {                  /* into further sectors, with boots between */
        assert_int_equal(trib_favourite_add(client, NULL, "new", NULL), 0);
        assert_int_equal(trib_flush(client, 0), 0);
        assert_int_equal(fake_device_boot(&w->device), 0);
    }
    assert_true(client->lanes[TRIB_LANE_VITAL].ring.live_count > 1);
    fake_sync(&w->gateway, &w->device);
    assert_int_equal(fake_count(&w->gateway, TRIB_EVENT_FAVOURITE_ADD), 40); /* and none from before */
    assert_int_equal(fake_count(&w->gateway, TRIB_EVENT_SESSION_START), 0);
    w->device.ram[TRIB_LANE_VITAL].bad_sector = UINT32_MAX; /* a fault that passed */
    assert_int_equal(fake_device_boot(&w->device), 0);
    assert_false(holds(w->device.flash[0], SECTOR_BYTES * SECTORS, "movie-1"));
}

static void test_an_erasure_lifts_a_refusal(void **state)
{
    struct world *w = *state;
    struct trib_client *client = &w->device.client;
    assert_true(connects(w));
    client->uplink.phase = TRIB_UPLINK_REFUSED; /* as after BYE erased */
    client->uplink.at_ms = w->device.now_ms + 3600000;
    assert_false(connects(w));
    assert_int_equal(trib_erase(client), 0);
    assert_true(connects(w));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_user_ids_are_hashed_as_documented),
        TEST(test_a_salt_changes_every_hash),
        TEST(test_the_longest_id_and_salt_are_hashed),
        TEST(test_no_clear_user_id_is_in_storage_or_messages),
        TEST(test_without_a_digest_nothing_is_recorded),
        TEST(test_without_consent_nothing_is_recorded_or_sent),
        TEST(test_consent_may_be_required_first),
        TEST(test_an_open_session_counts_nothing_meanwhile),
        TEST(test_consent_survives_in_the_smallest_sectors),
        TEST(test_a_sector_that_cannot_be_erased_costs_no_newer_record),
        TEST(test_an_erasure_lifts_a_refusal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
