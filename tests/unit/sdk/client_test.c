/* The client as a whole, without network: recording, durability, sending, acks, roll-back, boots, time. */
#include "support/fake_device.h"

struct world {
    struct fake_device device;
    struct fake_gateway gateway;
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    fake_device_init(&w->device, 1024, 8, 1);
    fake_gateway_init(&w->gateway);
    assert_int_equal(fake_device_boot(&w->device), 0);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++)
        assert_int_equal(w->device.ram[lane].twice,
                         0); /* no cell is programmed twice, whatever the test did */
    fake_device_free(&w->device);
    fake_gateway_free(&w->gateway);
    free(w);
    return 0;
}

static void poll_once(struct world *w)
{
    uint32_t next;
    assert_int_equal(trib_poll(&w->device.client, &next), 0);
}

static struct trib_stats stats_of(struct world *w)
{
    struct trib_stats stats;
    trib_get_stats(&w->device.client, &stats);
    return stats;
}

static int custom(struct world *w, int64_t number)
{
    uint8_t buffer[64];
    struct trib_custom event;
    trib_custom_begin(&event, buffer, sizeof buffer, "app.test");
    trib_custom_int(&event, "n", number);
    return trib_custom_record(&w->device.client, &event);
}

/* The number that custom() put in. */
static int64_t number_of(const struct fake_event *e)
{
    struct trib_cbor_reader r;
    size_t len;
    trib_cbor_reader_init(&r, e->fields, e->fields_len);
    struct trib_cbor_container map = trib_cbor_get_map(&r);
    while (trib_cbor_next(&r, &map)) {
        if (trib_cbor_get_uint(&r) != TRIB_FIELD_DATA) {
            trib_cbor_skip(&r);
            continue;
        }
        (void)trib_cbor_get_map(&r);
        (void)trib_cbor_get_text(&r, &len);
        return trib_cbor_get_int(&r);
    }
    return -1;
}

static void test_events_arrive_once_in_order_with_their_context(void **state)
{
    struct world *w = *state;
    struct trib_session session;
    struct trib_content content = {.content_id = "movie-1", .user_id = "ana", .duration_ms = 60000};
    struct trib_player playing = {.report = TRIB_PLAYER_PLAYING, .position_ms = 0};
    assert_int_equal(trib_session_start(&w->device.client, &session, &content), 0);
    w->device.now_ms += 120;
    assert_int_equal(trib_session_report(&session, &playing), 0);
    assert_int_equal(trib_favourite_add(&w->device.client, NULL, "movie-1", "ana"), 0);
    w->device.now_ms += 5000;
    assert_int_equal(trib_session_end(&session, TRIB_REASON_QUIT), 0);
    poll_once(w);
    fake_sync(&w->gateway, &w->device);

    static const unsigned expected[] = {TRIB_EVENT_STREAM_START,  TRIB_EVENT_STREAM_START,
                                        TRIB_EVENT_SESSION_START, TRIB_EVENT_PLAYING,
                                        TRIB_EVENT_FAVOURITE_ADD, TRIB_EVENT_SESSION_END};
    assert_int_equal(w->gateway.event_count, 6);
    for (unsigned i = 0; i < 6; i++) {
        struct fake_event *e = &w->gateway.events[i];
        assert_int_equal(e->type, expected[i]);
        assert_int_equal(e->ord, i + 1);
        bool in_session = i == 2 || i == 3 || i == 5;
        assert_string_equal(e->content, in_session ? "movie-1" : "");
        assert_string_equal(e->user, in_session ? "ana" : "");
    }
    assert_int_equal(stats_of(w).waiting, 0);
    fake_sync(&w->gateway, &w->device);
    assert_int_equal(w->gateway.event_count, 6);
}

static void test_record_touches_no_storage(void **state)
{
    struct world *w = *state;
    struct trib_storage_ram before = w->device.ram[0];
    assert_int_equal(trib_favourite_add(&w->device.client, "later", "x", NULL), 0);
    assert_memory_equal(&before, &w->device.ram[0], sizeof before);
    assert_int_equal(trib_durable_seq(&w->device.client, TRIB_LANE_VITAL), 1);
    poll_once(w);
    assert_int_equal(trib_durable_seq(&w->device.client, TRIB_LANE_VITAL), 2);
}

static void test_only_durable_events_are_sent(void **state)
{
    struct world *w = *state;
    fake_sync(&w->gateway, &w->device);
    poll_once(w); /* journals who the gateway is */
    assert_int_equal(custom(w, 1), 0);
    fake_sync(&w->gateway, &w->device);
    assert_int_equal(fake_count(&w->gateway, TRIB_EVENT_CUSTOM), 0);
    poll_once(w); /* routine: waits for its window */
    fake_sync(&w->gateway, &w->device);
    assert_int_equal(fake_count(&w->gateway, TRIB_EVENT_CUSTOM), 0);
    w->device.now_ms += 1000;
    poll_once(w);
    fake_sync(&w->gateway, &w->device);
    assert_int_equal(fake_count(&w->gateway, TRIB_EVENT_CUSTOM), 1);
}

static void test_unacked_events_are_sent_again_after_a_boot(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 30; i++)
        assert_int_equal(custom(w, i), 0);
    assert_int_equal(trib_flush(&w->device.client, 0), 0);
    assert_int_equal(fake_welcome(&w->gateway, &w->device), 0);
    w->device.client.hurry = true;
    while (fake_take_batch(&w->gateway, &w->device, false)) /* committed, but the acks are lost */
        ;
    assert_int_equal(fake_device_boot(&w->device), 0);
    assert_int_equal(custom(w, 30), 0);
    assert_int_equal(trib_flush(&w->device.client, 0), 0);
    fake_sync(&w->gateway, &w->device);
    assert_int_equal(fake_count(&w->gateway, TRIB_EVENT_CUSTOM), 31);
    int64_t expected = 0;
    for (size_t i = 0; i < w->gateway.event_count; i++)
        if (w->gateway.events[i].type == TRIB_EVENT_CUSTOM) {
            assert_int_equal(number_of(&w->gateway.events[i]), expected);
            expected++;
        }
    assert_int_equal(w->gateway.events[w->gateway.event_count - 1].boot, 2);
    assert_int_equal(w->gateway.stream_count, 2);
}

static void test_a_lost_batch_is_sent_again(void **state)
{
    struct world *w = *state;
    uint8_t buffer[1500];
    size_t len;
    uint64_t events;
    for (int i = 0; i < 10; i++)
        assert_int_equal(custom(w, i), 0);
    assert_int_equal(trib_flush(&w->device.client, 0), 0);
    assert_int_equal(fake_welcome(&w->gateway, &w->device), 0);
    w->device.client.hurry = true;
    assert_int_equal(w->device.source.batch(&w->device.client, buffer, sizeof buffer, 4, &len, &events), 0);
    assert_int_equal(events, 4); /* credit bounds it; this one never arrives */
    fake_sync(&w->gateway, &w->device);
    assert_int_equal(fake_count(&w->gateway, TRIB_EVENT_CUSTOM), 10);
}

static void test_a_nack_rewinds(void **state)
{
    struct world *w = *state;
    uint8_t buffer[1500];
    size_t len;
    uint64_t events;
    fake_sync(&w->gateway, &w->device);
    for (int i = 0; i < 10; i++)
        assert_int_equal(custom(w, i), 0);
    assert_int_equal(trib_flush(&w->device.client, 0), 0);
    w->device.client.hurry = true;
    assert_int_equal(w->device.source.batch(&w->device.client, buffer, sizeof buffer, 5, &len, &events), 0);
    struct trib_wire_nack nack = {.stream = w->device.client.lanes[1].ring.stream, .expected = 2};
    w->device.source.nack(&w->device.client, &nack);
    while (fake_take_batch(&w->gateway, &w->device, true))
        ;
    assert_int_equal(fake_count(&w->gateway, TRIB_EVENT_CUSTOM), 10);
    assert_int_equal(stats_of(w).waiting, 0);
}

static void test_a_full_routine_lane_drops_its_oldest_and_says_so(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 600; i++) {
        assert_int_equal(custom(w, i), 0);
        w->device.now_ms += 1000;
        poll_once(w);
    }
    assert_int_equal(trib_favourite_add(&w->device.client, NULL, "kept", NULL), 0);
    assert_int_equal(trib_flush(&w->device.client, 0), 0);
    fake_sync(&w->gateway, &w->device);
    uint64_t dropped = w->gateway.dropped[TRIB_DROP_ROUTINE][TRIB_DROP_OVERFLOW];
    assert_true(dropped > 0);
    assert_int_equal(dropped, stats_of(w).dropped);
    assert_int_equal(fake_count(&w->gateway, TRIB_EVENT_CUSTOM) + dropped, 600);
    assert_int_equal(number_of(&w->gateway.events[w->gateway.event_count - 2]), 599);
    assert_int_equal(fake_count(&w->gateway, TRIB_EVENT_FAVOURITE_ADD), 1);
}

static void test_overflow_is_declared_after_a_boot_too(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 600; i++) {
        assert_int_equal(custom(w, i), 0);
        assert_int_equal(trib_flush(&w->device.client, 0), 0);
    }
    assert_int_equal(fake_device_boot(&w->device), 0);
    fake_sync(&w->gateway, &w->device);
    uint64_t dropped = w->gateway.dropped[TRIB_DROP_ROUTINE][TRIB_DROP_OVERFLOW];
    assert_int_equal(fake_count(&w->gateway, TRIB_EVENT_CUSTOM) + dropped, 600);
    assert_int_equal(w->gateway.dropped[TRIB_DROP_ROUTINE][TRIB_DROP_DAMAGED], 0);
}

static void test_a_full_vital_lane_refuses_the_newest(void **state)
{
    struct world *w = *state;
    char item[16];
    int taken = 0, rc = 0;
    for (; taken < 1000 && rc == 0; taken++) {
        snprintf(item, sizeof item, "item-%d", taken);
        rc = trib_favourite_add(&w->device.client, "a-list", item, "somebody");
        poll_once(w);
    }
    taken--;
    assert_int_equal(rc, TRIB_EFULL);
    assert_true(taken > 40);
    assert_int_equal(custom(w, 1), 0); /* the other lane has room */
    assert_int_equal(trib_flush(&w->device.client, 0), 0);
    fake_sync(&w->gateway, &w->device);
    assert_int_equal(fake_count(&w->gateway, TRIB_EVENT_FAVOURITE_ADD), taken);
    assert_int_equal(fake_count(&w->gateway, TRIB_EVENT_CUSTOM), 1);
    assert_int_equal(w->gateway.dropped[TRIB_DROP_VITAL][TRIB_DROP_OVERFLOW], 0);
    assert_int_equal(trib_favourite_add(&w->device.client, NULL, "again", NULL), 0);
    poll_once(w);
    fake_sync(&w->gateway, &w->device);
    assert_int_equal(fake_count(&w->gateway, TRIB_EVENT_FAVOURITE_ADD), taken + 1);
    assert_int_equal(stats_of(w).refused, 1);
}

static void test_staging_full_is_said(void **state)
{
    struct world *w = *state;
    int n = 0;
    while (custom(w, n) == 0)
        n++;
    assert_true(n >= 30);
    assert_int_equal(custom(w, n), TRIB_EFULL);
    poll_once(w);
    assert_int_equal(custom(w, n), 0);
    assert_int_equal(trib_flush(&w->device.client, 0), 0);
    fake_sync(&w->gateway, &w->device);
    assert_int_equal(fake_count(&w->gateway, TRIB_EVENT_CUSTOM), n + 1);
}

static void test_a_restored_image_moves_unsent_events_to_a_new_stream(void **state)
{
    struct world *w = *state;
    uint8_t *copy[2];
    assert_int_equal(custom(w, 1), 0);
    assert_int_equal(trib_shutdown(&w->device.client, 0), 0);
    for (unsigned lane = 0; lane < 2; lane++) {
        copy[lane] = malloc(8192);
        memcpy(copy[lane], w->device.flash[lane], 8192);
    }
    assert_int_equal(fake_device_boot(&w->device), 0);
    for (int i = 2; i < 8; i++)
        assert_int_equal(custom(w, i), 0);
    assert_int_equal(trib_flush(&w->device.client, 0), 0);
    fake_sync(&w->gateway, &w->device);
    uint64_t old = w->device.client.lanes[1].ring.stream;

    for (unsigned lane = 0; lane < 2; lane++) { /* somebody restores a backup */
        memcpy(w->device.flash[lane], copy[lane], 8192);
        memset(w->device.written[lane], 0, 8192);
        free(copy[lane]);
    }
    assert_int_equal(fake_device_boot(&w->device), 0);
    for (int i = 100; i < 103; i++)
        assert_int_equal(custom(w, i), 0);
    assert_int_equal(trib_flush(&w->device.client, 0), 0);
    fake_sync(&w->gateway, &w->device);
    uint64_t fresh = w->device.client.lanes[1].ring.stream;
    assert_int_not_equal(fresh, old);
    size_t n = w->gateway.event_count;
    assert_int_equal(number_of(&w->gateway.events[n - 1]), 102);
    assert_int_equal(w->gateway.events[n - 1].stream, fresh);
    assert_int_equal(stats_of(w).waiting, 0);
}

/* Same length, other content: only the CRC tells. */
static void test_a_clone_with_the_same_head_is_seen_by_its_crc(void **state)
{
    struct world *w = *state;
    uint8_t copy[8192];
    assert_int_equal(trib_shutdown(&w->device.client, 0), 0);
    memcpy(copy, w->device.flash[1], 8192);
    assert_int_equal(fake_device_boot(&w->device), 0);
    assert_int_equal(custom(w, 1), 0);
    assert_int_equal(trib_flush(&w->device.client, 0), 0);
    fake_sync(&w->gateway, &w->device);
    uint64_t old = w->device.client.lanes[1].ring.stream;
    memcpy(w->device.flash[1], copy, 8192);
    memset(w->device.written[1], 0, 8192);
    assert_int_equal(fake_device_boot(&w->device), 0);
    assert_int_equal(custom(w, 2), 0);
    assert_int_equal(trib_flush(&w->device.client, 0), 0);
    fake_sync(&w->gateway, &w->device);
    assert_int_not_equal(w->device.client.lanes[1].ring.stream, old);
    assert_int_equal(number_of(&w->gateway.events[w->gateway.event_count - 1]), 2);
    assert_int_equal(fake_count(&w->gateway, TRIB_EVENT_CUSTOM), 2);
}

static void test_a_gateway_that_fell_behind_gets_what_is_still_held(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 20; i++)
        assert_int_equal(custom(w, i), 0);
    assert_int_equal(trib_flush(&w->device.client, 0), 0);
    fake_sync(&w->gateway, &w->device);
    struct fake_stream *s = fake_stream(&w->gateway, w->device.client.lanes[1].ring.stream);
    s->committed = 5;
    s->crc = 0;
    w->gateway.event_count = 0;
    fake_sync(&w->gateway, &w->device);
    assert_int_equal(w->gateway.event_count, 16);
    assert_int_equal(number_of(&w->gateway.events[0]), 4);
}

static void test_what_is_no_longer_held_is_declared_unknown(void **state)
{
    struct world *w = *state;
    for (int round = 0; round < 12; round++) { /* several laps, all acked */
        for (int i = 0; i < 40; i++)
            assert_int_equal(custom(w, i), 0);
        assert_int_equal(trib_flush(&w->device.client, 0), 0);
        fake_sync(&w->gateway, &w->device);
    }
    struct fake_stream *s = fake_stream(&w->gateway, w->device.client.lanes[1].ring.stream);
    s->committed = 1;
    s->crc = 0;
    w->gateway.event_count = 0;
    fake_sync(&w->gateway, &w->device);
    uint64_t unknown = w->gateway.dropped[TRIB_DROP_UNKNOWN][TRIB_DROP_NOT_KNOWN];
    assert_true(unknown > 0);
    assert_int_equal(unknown + w->gateway.event_count, 480);
}

static void test_anchors_go_with_events_of_earlier_boots(void **state)
{
    struct world *w = *state;
    w->gateway.utc_ms = 1700000000000;
    fake_sync(&w->gateway, &w->device);
    poll_once(w); /* journals the anchor */
    assert_int_equal(custom(w, 1), 0);
    assert_int_equal(trib_flush(&w->device.client, 0), 0);
    assert_int_equal(fake_device_boot(&w->device), 0); /* boot 2 has no anchor before it connects */
    assert_int_equal(custom(w, 2), 0);
    assert_int_equal(trib_flush(&w->device.client, 0), 0);
    assert_int_equal(w->device.client.anchors[0].boot, 1);
    assert_int_equal(w->device.client.anchors[0].utc_ms, 1700000000000);
    w->device.now_ms += 40;
    assert_int_equal(fake_welcome(&w->gateway, &w->device), 0);
    w->device.client.hurry = true;
    assert_true(fake_take_batch(&w->gateway, &w->device, true));
    assert_int_equal(w->gateway.anchors_seen, 1);
    assert_int_equal(w->gateway.events[w->gateway.event_count - 1].boot, 1);
    assert_true(fake_take_batch(&w->gateway, &w->device, true));
    assert_int_equal(w->gateway.anchors_seen, 1);
    assert_int_equal(w->gateway.events[w->gateway.event_count - 1].boot, 2);
}

static void test_item_versions_go_on_after_a_boot(void **state)
{
    struct world *w = *state;
    assert_int_equal(trib_favourite_add(&w->device.client, NULL, "a", NULL), 0);
    assert_int_equal(trib_favourite_remove(&w->device.client, NULL, "a", NULL), 0);
    assert_int_equal(trib_flush(&w->device.client, 0), 0);
    assert_int_equal(fake_device_boot(&w->device), 0);
    assert_int_equal(w->device.client.item_version, 2);
    for (int i = 0; i < 60; i++) { /* far enough that the first ones' sectors are gone */
        assert_int_equal(trib_favourite_add(&w->device.client, NULL, "b", NULL), 0);
        assert_int_equal(trib_flush(&w->device.client, 0), 0);
        fake_sync(&w->gateway, &w->device);
    }
    assert_int_equal(fake_device_boot(&w->device), 0);
    assert_int_equal(w->device.client.item_version, 62);
}

static void test_a_session_explains_itself_in_each_sector(void **state)
{
    struct world *w = *state;
    struct trib_session session[6];
    struct trib_content content = {.user_id = "u"};
    char id[6][8];
    for (int i = 0; i < 6; i++) {
        snprintf(id[i], sizeof id[i], "c-%d", i);
        content.content_id = id[i];
        assert_int_equal(trib_session_start(&w->device.client, &session[i], &content), 0);
        assert_int_equal(trib_flush(&w->device.client, 0), 0);
    }
    for (int i = 0; i < 150; i++) {
        struct trib_player rate = {
            .report = TRIB_PLAYER_RATE, .position_ms = 5, .value = 1000 + i % 6 + 6 * (i / 6) + 1};
        w->device.now_ms += 1000;
        assert_int_equal(trib_session_report(&session[i % 6], &rate), 0);
        if (i == 60)
            assert_int_equal(trib_session_end(&session[0], TRIB_REASON_QUIT), 0);
        if (i >= 60 && i % 6 == 5)
            i++;
        poll_once(w);
        fake_sync(&w->gateway, &w->device);
    }
    assert_int_equal(trib_flush(&w->device.client, 0), 0);
    fake_sync(&w->gateway, &w->device);
    assert_true(w->device.client.lanes[1].ring.sector_seq > 3);
    size_t rates = 0;
    for (size_t i = 0; i < w->gateway.event_count; i++) {
        struct fake_event *e = &w->gateway.events[i];
        if (e->type == TRIB_EVENT_STREAM_START)
            continue;
        rates += e->type == TRIB_EVENT_RATE;
        assert_int_equal(e->content[0], 'c');
        assert_string_equal(e->content, id[e->session - w->device.client.session_seed - 1]);
    }
    assert_true(rates > 100);
    assert_int_equal(w->device.client.lanes[1].ring.context_count, 5);
}

static void test_a_bad_sync_is_reported_and_heals(void **state)
{
    struct world *w = *state;
    uint32_t next;
    w->device.ram[0].fail_sync = true;
    assert_int_equal(trib_favourite_add(&w->device.client, NULL, "x", NULL), 0);
    assert_int_equal(trib_poll(&w->device.client, &next), TRIB_EIO);
    assert_int_equal(trib_durable_seq(&w->device.client, TRIB_LANE_VITAL), 1);
    w->device.ram[0].fail_sync = false;
    poll_once(w);
    assert_int_equal(trib_durable_seq(&w->device.client, TRIB_LANE_VITAL), 2);
    fake_sync(&w->gateway, &w->device);
    assert_int_equal(fake_count(&w->gateway, TRIB_EVENT_FAVOURITE_ADD), 1);
}

static void test_a_bad_sector_costs_itself_only(void **state)
{
    struct world *w = *state;
    w->device.ram[1].bad_sector = 2;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(custom(w, i), 0);
        assert_int_equal(trib_flush(&w->device.client, 0), 0);
    }
    fake_sync(&w->gateway, &w->device);
    assert_int_equal(fake_count(&w->gateway, TRIB_EVENT_CUSTOM), 100);
}

static void test_a_sector_that_goes_bad_in_use_costs_itself_only(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 100; i++) {
        if (i == 10)
            w->device.ram[1].bad_sector = w->device.client.lanes[1].ring.sector;
        assert_int_equal(custom(w, i), 0);
        assert_int_equal(trib_flush(&w->device.client, 0), 0);
    }
    fake_sync(&w->gateway, &w->device);
    assert_int_equal(fake_count(&w->gateway, TRIB_EVENT_CUSTOM), 100);
}

/* A read that fails once is no loss; one that fails for good is, and is declared. */
static void test_a_read_that_fails_is_tried_again(void **state)
{
    struct world *w = *state;
    uint8_t buffer[1500];
    size_t len;
    uint64_t events;
    for (int i = 0; i < 10; i++)
        assert_int_equal(custom(w, i), 0);
    assert_int_equal(trib_flush(&w->device.client, 0), 0);
    w->device.client.hurry = true;
    assert_int_equal(fake_welcome(&w->gateway, &w->device), 0);
    w->device.ram[1].off = true;
    assert_int_equal(w->device.source.batch(&w->device.client, buffer, sizeof buffer, 99, &len, &events),
                     TRIB_EIO);
    assert_int_equal(w->device.source.batch(&w->device.client, buffer, sizeof buffer, 99, &len, &events),
                     TRIB_EIO);
    w->device.ram[1].off = false;
    fake_sync(&w->gateway, &w->device);
    assert_int_equal(fake_count(&w->gateway, TRIB_EVENT_CUSTOM), 10);
}

static void test_shutdown_ends_sessions_and_stops_recording(void **state)
{
    struct world *w = *state;
    struct trib_session session;
    struct trib_content content = {.content_id = "c"};
    assert_int_equal(trib_session_start(&w->device.client, &session, &content), 0);
    assert_int_equal(trib_shutdown(&w->device.client, 0), 0);
    assert_int_equal(custom(w, 1), TRIB_ESTOPPED);
    assert_int_equal(trib_session_end(&session, TRIB_REASON_QUIT), TRIB_ESTOPPED);
    fake_sync(&w->gateway, &w->device);
    assert_int_equal(fake_count(&w->gateway, TRIB_EVENT_SESSION_END), 1);
}

static void test_init_says_what_is_missing(void **state)
{
    struct world *w = *state;
    struct trib_client client;
    struct trib_config config = w->device.config;
    config.entropy.fill = NULL;
    assert_int_equal(trib_init(&client, &config), TRIB_EINVAL);
    config = w->device.config;
    config.storage[1].sector_count = 2;
    assert_int_equal(trib_init(&client, &config), TRIB_EINVAL);
    config = w->device.config;
    config.staging_bytes = 511;
    assert_int_equal(trib_init(&client, &config), TRIB_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        CASE(test_events_arrive_once_in_order_with_their_context),
        CASE(test_record_touches_no_storage),
        CASE(test_only_durable_events_are_sent),
        CASE(test_unacked_events_are_sent_again_after_a_boot),
        CASE(test_a_lost_batch_is_sent_again),
        CASE(test_a_nack_rewinds),
        CASE(test_a_full_routine_lane_drops_its_oldest_and_says_so),
        CASE(test_overflow_is_declared_after_a_boot_too),
        CASE(test_a_full_vital_lane_refuses_the_newest),
        CASE(test_staging_full_is_said),
        CASE(test_a_restored_image_moves_unsent_events_to_a_new_stream),
        CASE(test_a_clone_with_the_same_head_is_seen_by_its_crc),
        CASE(test_a_gateway_that_fell_behind_gets_what_is_still_held),
        CASE(test_what_is_no_longer_held_is_declared_unknown),
        CASE(test_anchors_go_with_events_of_earlier_boots),
        CASE(test_item_versions_go_on_after_a_boot),
        CASE(test_a_session_explains_itself_in_each_sector),
        CASE(test_a_bad_sync_is_reported_and_heals),
        CASE(test_a_bad_sector_costs_itself_only),
        CASE(test_a_sector_that_goes_bad_in_use_costs_itself_only),
        CASE(test_a_read_that_fails_is_tried_again),
        CASE(test_shutdown_ends_sessions_and_stops_recording),
        CASE(test_init_says_what_is_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
