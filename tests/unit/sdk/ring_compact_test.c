/* A vital lane that is full gives up operations on favourites that later ones supersede, and only these. */
#include "support/toggles.h"

struct world {
    struct fake_device device;
    struct fake_gateway gateway;
    struct toggles toggles;
    uint64_t freed; /* sectors */
};

static void setup(struct world *w, uint32_t sector_bytes, uint32_t sectors, uint32_t unit)
{
    memset(w, 0, sizeof *w);
    fake_device_init(&w->device, sector_bytes, sectors, unit);
    fake_gateway_init(&w->gateway);
    assert_int_equal(fake_device_boot(&w->device), 0);
}

static void teardown(struct world *w)
{
    assert_int_equal(w->device.ram[TRIB_LANE_VITAL].twice, 0);
    fake_device_free(&w->device);
    fake_gateway_free(&w->gateway);
}

static void poll_all(struct world *w)
{
    uint32_t next = 0;
    for (unsigned i = 0; next == 0 || i < 2; i++) {
        assert_true(i < 10000);
        w->device.now_ms += 3;
        assert_int_equal(trib_poll(&w->device.client, &next), 0);
    }
}

static int toggle(struct world *w, unsigned item)
{
    int rc = toggles_make(&w->toggles, &w->device, item);
    poll_all(w);
    return rc;
}

static uint64_t superseded(const struct world *w)
{
    return w->gateway.dropped[TRIB_DROP_VITAL][TRIB_DROP_SUPERSEDED];
}

/* All that is there goes to the gateway; nothing but what is superseded is missing. Returns how many were given up. */
static uint64_t deliver(struct world *w)
{
    uint64_t given_up;
    poll_all(w);
    assert_int_equal(trib_flush(&w->device.client, 0), 0);
    toggles_durable(&w->toggles);
    fake_sync(&w->gateway, &w->device);
    toggles_judge(&w->toggles, &w->gateway, 0, &given_up);
    assert_int_equal(superseded(w), given_up);
    for (unsigned class = 0; class < 3; class ++)
        for (unsigned reason = 0; reason < 5; reason++)
            assert_true(w->gateway.dropped[class][reason] == 0 ||
                        (class == TRIB_DROP_VITAL && reason == TRIB_DROP_SUPERSEDED));
    assert_int_equal(w->gateway.stream_count, 2);
    return given_up;
}

static const uint32_t geometries[][3] = {{1024, 3, 1},  {1024, 8, 1},  {4096, 3, 1},  {1024, 6, 8},
                                         {1536, 5, 16}, {2048, 4, 32}, {4096, 4, 256}};
#define GEOMETRIES (sizeof geometries / sizeof geometries[0])

/* Twenty times what the lane holds. */
static void test_toggles_without_end_are_never_refused(void **state)
{
    static struct world w;
    (void)state;
    for (size_t i = 0; i < GEOMETRIES; i++) {
        const uint32_t *at = geometries[i];
        setup(&w, at[0], at[1], at[2]);
        unsigned n = at[0] * at[1] / 40 * 20;
        n = n < TOGGLES_MAX - 1 ? n : TOGGLES_MAX - 1;
        for (unsigned k = 0; k < n; k++)
            assert_int_equal(toggle(&w, 4 + k % 3), 0);
        uint64_t given_up = deliver(&w);
        printf("sector %u x %u, unit %u: %u toggles, %llu given up\n", at[0], at[1], at[2], n,
               (unsigned long long)given_up);
        assert_true(given_up > n / 2);
        teardown(&w);
    }
}

/* Bursts of any length, with polls at any moment: what is refused is taken some polls later. */
static void test_bursts_are_refused_for_a_while_only(void **state)
{
    static struct world w;
    static const uint32_t at[][3] = {{1024, 3, 1}, {1024, 4, 1},  {2048, 4, 1},
                                     {1024, 6, 8}, {2048, 4, 32}, {4096, 4, 256}};
    uint32_t next, dice = 1;
    (void)state;
    for (size_t i = 0; i < 4 * sizeof at / sizeof at[0]; i++) {
        setup(&w, at[i / 4][0], at[i / 4][1], at[i / 4][2]);
        for (unsigned k = 0; k < 3000; k++) {
            unsigned polls = 0;
            while (toggles_make(&w.toggles, &w.device, 4 + k % 6) == TRIB_EFULL) {
                assert_true(++polls < 100);
                w.device.now_ms++;
                assert_int_equal(trib_poll(&w.device.client, &next), 0);
            }
            dice = dice * 1664525u + 1013904223u;
            if ((dice >> 16) % (3 + 4 * (i % 4)) == 0)
                assert_int_equal(trib_poll(&w.device.client, &next), 0);
        }
        assert_true(deliver(&w) > 1500);
        teardown(&w);
    }
}

/* What a later operation supersedes goes, whoever asks for it; what has none stays, and so do sessions, in their order. */
static void test_the_last_operation_on_each_item_survives(void **state)
{
    static struct world w;
    (void)state;
    for (size_t i = 0; i < GEOMETRIES; i++) {
        struct trib_session session;
        struct trib_content content = {.content_id = "a film", .duration_ms = 1000};
        setup(&w, geometries[i][0], geometries[i][1], geometries[i][2]);
        unsigned alone = 0, sessions = 0;
        for (unsigned k = 0; k < 1200; k++) {
            if (k % 150 == 149 && sessions < geometries[i][0] * geometries[i][1] / 1500 &&
                trib_session_start(&w.device.client, &session, &content) == 0) {
                poll_all(&w);
                assert_int_equal(trib_session_end(&session, TRIB_REASON_ENDED), 0);
                sessions++;
            }
            if (k % 200 == 10 && alone < 3) /* these are touched once */
                assert_int_equal(toggle(&w, 100 + 4 * alone++), 0);
            /* The same names in two lists, and of two users, are four items. */
            assert_int_equal(toggle(&w, 4 + k * 7 % 4), 0);
        }
        uint64_t given_up = deliver(&w);
        assert_true(given_up > 1000);
        assert_int_equal(fake_count(&w.gateway, TRIB_EVENT_SESSION_START), sessions);
        assert_int_equal(fake_count(&w.gateway, TRIB_EVENT_SESSION_END), sessions);
        for (size_t e = 0; e < w.gateway.event_count; e++)
            if (w.gateway.events[e].type == TRIB_EVENT_SESSION_START)
                assert_string_equal(w.gateway.events[e].content, "a film");
        assert_int_equal(trib_favourite_add(&w.device.client, NULL, "after", NULL), 0);
        teardown(&w);
    }
}

static void test_the_newest_is_refused_when_nothing_is_superseded(void **state)
{
    static struct world w;
    (void)state;
    for (size_t i = 0; i < GEOMETRIES; i++) {
        char item[32];
        unsigned taken = 0;
        uint32_t next;
        setup(&w, geometries[i][0], geometries[i][1], geometries[i][2]);
        for (;; taken++) {
            assert_true(taken < 2000);
            snprintf(item, sizeof item, "an item %u", taken);
            if (trib_favourite_add(&w.device.client, NULL, item, NULL) != 0)
                break;
            poll_all(&w);
        }
        uint32_t opened = w.device.client.lanes[TRIB_LANE_VITAL].ring.sector_seq;
        for (unsigned k = 0; k < 50; k++) { /* and it does not try again and again */
            assert_int_equal(trib_favourite_add(&w.device.client, NULL, item, NULL), TRIB_EFULL);
            assert_int_equal(trib_poll(&w.device.client, &next), 0);
            assert_true(next > 0);
        }
        assert_int_equal(w.device.client.lanes[TRIB_LANE_VITAL].ring.sector_seq, opened);
        fake_sync(&w.gateway, &w.device);
        assert_int_equal(fake_count(&w.gateway, TRIB_EVENT_FAVOURITE_ADD), taken);
        assert_int_equal(superseded(&w), 0);
        teardown(&w);
    }
}

static void test_boots_in_between_change_nothing(void **state)
{
    static struct world w;
    (void)state;
    for (size_t i = 0; i < GEOMETRIES; i++) {
        uint32_t next_boot = geometries[i][0] * geometries[i][1] / 128;
        setup(&w, geometries[i][0], geometries[i][1], geometries[i][2]);
        unsigned refused = 0;
        for (unsigned k = 0; k < 900; k++) {
            uint32_t next;
            refused += toggles_make(&w.toggles, &w.device, 4 + k % 5) != 0;
            assert_int_equal(trib_poll(&w.device.client, &next), 0);
            if (k % next_boot == next_boot - 1) { /* in the midst of a pass, too */
                toggles_durable(&w.toggles);
                assert_int_equal(fake_device_boot(&w.device), 0);
                assert_int_equal(w.device.client.item_version, w.toggles.count);
            }
        }
        uint64_t given_up = deliver(&w);
        printf("sector %u x %u, unit %u: %u of 900 refused, %llu given up\n", geometries[i][0],
               geometries[i][1], geometries[i][2], refused, (unsigned long long)given_up);
        assert_true(refused < 300);
        teardown(&w);
    }
}

static void test_what_was_sent_and_not_acked_is_not_given_up(void **state)
{
    static struct world w;
    (void)state;
    setup(&w, 1024, 4, 1);
    for (unsigned k = 0; k < 12; k++)
        assert_int_equal(toggle(&w, 4), 0);
    assert_int_equal(fake_welcome(&w.gateway, &w.device), 0);
    w.device.client.hurry = true;
    assert_true(fake_take_batch(&w.gateway, &w.device, false));
    w.device.client.hurry = false;
    struct fake_gateway lost = w.gateway; /* a gateway that never got it */
    lost.event_count = 0;
    lost.stream_count = 0;
    uint64_t sent = w.device.client.lanes[TRIB_LANE_VITAL].send_pos;
    assert_int_equal(sent, 12);
    for (unsigned k = 0; k < 300; k++)
        assert_int_equal(toggle(&w, 4), 0);
    w.gateway = lost;
    uint64_t given_up = deliver(&w);
    assert_true(given_up > 200);
    uint32_t version = 0;
    for (size_t e = 0, n = 0; n < 12; e++)
        if (w.gateway.events[e].lane == TRIB_LANE_VITAL &&
            w.gateway.events[e].type != TRIB_EVENT_STREAM_START) {
            (void)toggles_item(&w.gateway.events[e], &version);
            assert_int_equal(version, ++n);
        }
    teardown(&w);
}

static void test_a_device_without_favourites_never_compacts(void **state)
{
    static struct world w;
    (void)state;
    setup(&w, 1024, 4, 1);
    poll_all(&w);
    assert_null(w.device.client.compact);
    assert_int_equal(toggle(&w, 4), 0);
    assert_non_null(w.device.client.compact);
    teardown(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_toggles_without_end_are_never_refused),
        cmocka_unit_test(test_bursts_are_refused_for_a_while_only),
        cmocka_unit_test(test_the_last_operation_on_each_item_survives),
        cmocka_unit_test(test_the_newest_is_refused_when_nothing_is_superseded),
        cmocka_unit_test(test_boots_in_between_change_nothing),
        cmocka_unit_test(test_what_was_sent_and_not_acked_is_not_given_up),
        cmocka_unit_test(test_a_device_without_favourites_never_compacts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
