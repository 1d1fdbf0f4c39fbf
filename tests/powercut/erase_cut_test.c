/*
 * The power goes at every byte of an erasure, and again while it is completed. Afterwards either all is as it was, or not
 * one byte of an old record can be read from either lane; what is to survive has survived.
 */
#include "support/fake_device.h"
#include "support/torn_storage.h"

#define MARK "OLD-" /* in every text of every record from before */
#define LANE_BYTES_MAX (8u * 1024u)
#define FAVOURITES 12u
#define HEARTBEAT_MS 7777u

struct geometry {
    uint32_t sector_bytes, sector_count, unit;
};

struct world {
    struct fake_device device;
    struct fake_gateway gateway;
    struct torn_power power;
    struct torn_storage lanes[TRIB_LANE_COUNT];
    struct geometry geometry;
    size_t events;       /* durable before the erasure */
    uint32_t generation; /* before it */
    uint64_t previous[TRIB_LANE_COUNT];
    unsigned kept, gone;
};

static void set_up(struct world *w, struct geometry geometry, enum torn_shape shape)
{
    memset(w, 0, sizeof *w);
    w->geometry = geometry;
    w->power = (struct torn_power){.cut_at = UINT64_MAX, .random = 7};
    fake_device_init(&w->device, 256, 3, 1);
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++) {
        torn_init(&w->lanes[lane], &w->power, geometry.sector_bytes, geometry.sector_count, geometry.unit);
        w->lanes[lane].shape = shape;
        w->lanes[lane].other = &w->lanes[1 - lane];
        w->device.config.storage[lane] = torn_port(&w->lanes[lane]);
    }
    fake_gateway_init(&w->gateway);
}

static void tear_down(struct world *w)
{
    torn_free(&w->lanes[0]);
    torn_free(&w->lanes[1]);
    fake_device_free(&w->device);
    fake_gateway_free(&w->gateway);
}

static void note(struct trib_client *client, int n)
{
    uint8_t buffer[128];
    struct trib_custom event;
    trib_custom_begin(&event, buffer, sizeof buffer, MARK "schema");
    trib_custom_int(&event, MARK "attribute", n);
    assert_int_equal(trib_custom_record(client, &event), 0);
    assert_int_equal(trib_flush(client, 0), 0);
}

/* A life: several sectors in both lanes, a session, an erasure before (so that the generation is not 0). */
static void live(struct world *w)
{
    struct trib_client *client = &w->device.client;
    struct trib_session session;
    struct trib_content content = {.content_id = MARK "film", .user_id = MARK "user"};
    static const uint8_t settings[] = {0xA1, 0x01, 0x19, HEARTBEAT_MS >> 8, HEARTBEAT_MS & 0xFF};
    struct trib_wire_config config = {.version = 5, .map = settings, .map_len = sizeof settings};
    assert_int_equal(fake_device_boot(&w->device), 0);
    assert_int_equal(trib_set_consent(client, true), 0);
    w->device.source.config(&w->device.client, &config);
    assert_int_equal(trib_erase(client), 0);
    assert_int_equal(trib_session_start(client, &session, &content), 0);
    for (unsigned i = 0; i < FAVOURITES; i++) {
        char item[40];
        snprintf(item, sizeof item, MARK "item-%u", i);
        assert_int_equal(trib_favourite_add(client, MARK "list", item, MARK "user"), 0);
        note(client, (int)i);
    }
    assert_int_equal(trib_session_end(&session, TRIB_REASON_ENDED), 0);
    assert_int_equal(trib_flush(client, 0), 0);
    w->generation = client->lanes[0].ring.generation;
    assert_int_equal(client->lanes[1].ring.generation, w->generation);
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++) {
        w->previous[lane] = client->lanes[lane].ring.stream;
        assert_true(client->lanes[lane].ring.live_count > 1);
        w->events += client->lanes[lane].ring.durable_pos - client->lanes[lane].ring.first_pos + 1;
    }
}

static bool holds(const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i + sizeof MARK - 1 <= length; i++)
        if (memcmp(bytes + i, MARK, sizeof MARK - 1) == 0)
            return true;
    return false;
}

static bool marked(const struct world *w)
{
    static uint8_t bytes[LANE_BYTES_MAX];
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++) {
        const struct trib_storage *s = &w->device.config.storage[lane];
        uint32_t length = s->sector_bytes * s->sector_count;
        assert_true(length <= sizeof bytes);
        assert_int_equal(s->read(s->context, 0, bytes, length), 0);
        if (holds(bytes, length))
            return true;
    }
    return false;
}

/* A gateway that never saw this device gets all that is left. */
static void judge(struct world *w, bool done)
{
    struct fake_gateway g;
    struct trib_client *client = &w->device.client;
    uint32_t generation = client->lanes[TRIB_LANE_VITAL].ring.generation;
    assert_int_equal(client->lanes[TRIB_LANE_ROUTINE].ring.generation, generation);
    /* A start that was torn is made again, with a generation of its own. */
    assert_true(generation == w->generation + 1 ||
                (!done && generation >= w->generation && generation <= w->generation + 3));
    assert_int_equal(client->consent, TRIB_CONSENT_GIVEN);
    assert_int_equal(client->settings[TRIB_SETTING_HEARTBEAT_MS], HEARTBEAT_MS);
    assert_int_equal(client->config_version, 5);
    assert_int_equal(client->item_version, FAVOURITES);
    bool gone = generation > w->generation;
    w->gone += gone;
    w->kept += !gone;
    if (gone)
        assert_false(marked(w));
    fake_gateway_init(&g);
    fake_sync(&g, &w->device);
    assert_int_equal(g.event_count, gone ? 2 : w->events);
    size_t starts = 0;
    for (size_t i = 0; i < g.event_count; i++) {
        assert_int_equal(holds(g.events[i].fields, sizeof g.events[i].fields) && gone, false);
        starts += g.events[i].type == TRIB_EVENT_STREAM_START && g.events[i].fields_len > 10;
    }
    assert_int_equal(starts, 2); /* each names the one before */
    fake_gateway_free(&g);
}

static void power_up(struct world *w, uint64_t cut_after)
{
    w->power.off = false;
    w->power.cut_at = cut_after == UINT64_MAX ? UINT64_MAX : w->power.ticks + cut_after;
}

static void restore(struct world *w)
{
    power_up(w, UINT64_MAX);
    torn_restore(&w->lanes[0]);
    torn_restore(&w->lanes[1]);
    assert_int_equal(fake_device_boot(&w->device), 0);
}

static bool erase_cut_at(struct world *w, uint64_t k)
{
    struct trib_session session;
    struct trib_content content = {.content_id = MARK "other film", .user_id = MARK "user"};
    restore(w);
    assert_int_equal(trib_session_start(&w->device.client, &session, &content), 0); /* staged only */
    power_up(w, k);
    int rc = trib_erase(&w->device.client);
    bool done = !w->power.off;
    assert_true(done ? rc == 0 : rc < 0);
    assert_int_equal(trib_session_end(&session, TRIB_REASON_ENDED), TRIB_ESTOPPED);
    assert_false(holds(w->device.staging, sizeof w->device.staging));
    assert_false(holds(w->device.transmit, sizeof w->device.transmit));
    if (!done) { /* and again while it is completed, and again after that */
        power_up(w, k * 7 % 997);
        (void)fake_device_boot(&w->device);
        power_up(w, k * 13 % 499);
        (void)fake_device_boot(&w->device);
    }
    power_up(w, UINT64_MAX);
    if (done)
        judge(w, true);
    assert_int_equal(fake_device_boot(&w->device), 0);
    judge(w, done);
    return done;
}

static void run(struct geometry geometry, enum torn_shape shape, uint64_t step)
{
    static struct world w;
    uint64_t cuts = 0;
    set_up(&w, geometry, shape);
    live(&w);
    torn_push(&w.lanes[0]);
    torn_push(&w.lanes[1]);
    for (uint64_t k = 0; !erase_cut_at(&w, k); k += step)
        cuts++;
    printf("sectors of %u x %u, units of %u, shape %d: %u cuts: before the intent %u, after it %u\n",
           (unsigned)geometry.sector_count, (unsigned)geometry.sector_bytes, (unsigned)geometry.unit,
           (int)shape, (unsigned)cuts, w.kept, w.gone);
    assert_true(w.kept > 0 && w.gone > w.kept);
    tear_down(&w);
}

static void test_an_erasure_is_whole_wherever_the_power_goes(void **state)
{
    (void)state;
    for (unsigned shape = TORN_PREFIX; shape <= TORN_PAGES; shape++)
        run((struct geometry){512, 8, 1}, (enum torn_shape)shape, 1 + shape);
    run((struct geometry){512, 8, 8}, TORN_UNSTABLE, 2);
    run((struct geometry){512, 8, 32}, TORN_BITS, 3);
    run((struct geometry){512, 8, 1}, TORN_UNSYNCED, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_erasure_is_whole_wherever_the_power_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
