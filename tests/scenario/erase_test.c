/*
 * Erasure against everything that may come late: uploads in flight on the old connection, gateways that restart, devices
 * that lose power in the midst of it, and a copy of the device's flash from before. One process: a real SDK, real
 * sessions and a real journal. Oracle: once the new stream's start is stored, nothing from before it is stored any more,
 * and all that was recorded after it is.
 *
 * ERASE_SEED picks the seed, ERASE_RUNS the number of runs (default 40).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "scenario/golden_session.h"
#include "storage_ram.h"
#include "tributary/tributary.h"

#define SECTOR_BYTES 1024
#define SECTORS 6
#define ERAS 5
#define STEPS 250
#define ITEMS_MAX 4096

struct device {
    struct trib_client client;
    struct trib_config config;
    struct fake_link link;
    struct trib_storage_ram ram[TRIB_LANE_COUNT];
    uint8_t flash[TRIB_LANE_COUNT][SECTOR_BYTES * SECTORS];
    uint8_t staging[1024], transmit[2048], receive[2048];
    unsigned refused; /* with the answer that its journal was erased */
};

struct world {
    struct fake_random random;
    struct fake_gateway gateway;
    struct device device, copy; /* the same one, from before */
    struct trib_session session;
    char content[24];
    bool playing;
    uint64_t mono_ms;
    struct {
        uint8_t flash[TRIB_LANE_COUNT][SECTOR_BYTES * SECTORS];
        bool taken;
    } backup, older; /* of this era; of the one before */
    bool has_copy;
    unsigned era;
    unsigned first_of_era, items; /* item numbers */
    unsigned seen_era;            /* the newest whose start was read */
    unsigned erasures, cuts, in_flight, late_refused;
    bool stored[ITEMS_MAX];
};

static struct world *w;

static uint64_t clock_ms(void *context)
{
    (void)context;
    return w->mono_ms;
}

static int fill(void *context, uint8_t *out, size_t len)
{
    (void)context;
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)fake_next(&w->random);
    return 0;
}

static void on_state(void *context, enum trib_state state, int error)
{
    struct device *d = context;
    d->refused += state == TRIB_STATE_REFUSED && error == TRIB_EERASED;
}

static void start(struct device *d)
{
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++) {
        trib_storage_ram_init(&d->ram[lane], d->flash[lane], SECTOR_BYTES, SECTORS, 1);
        d->ram[lane].twin = &d->ram[1 - lane];
        d->config.storage[lane] = trib_storage_ram(&d->ram[lane]);
    }
    memset(&d->client, 0xA5, sizeof d->client);
    assert_int_equal(trib_init(&d->client, &d->config), 0);
}

static void make(struct device *d)
{
    d->link.random = &w->random;
    d->link.reachable = true;
    d->config = (struct trib_config){.device_id = GOLDEN_DEVICE,
                                     .host = "gateway.test",
                                     .port = 443,
                                     .net = fake_link_net(&d->link),
                                     .clock = {NULL, clock_ms},
                                     .entropy = {NULL, fill},
                                     .user_id_as_given = true,
                                     .callbacks = {.context = d, .state = on_state},
                                     .staging = d->staging,
                                     .staging_bytes = sizeof d->staging,
                                     .transmit = d->transmit,
                                     .transmit_bytes = sizeof d->transmit,
                                     .receive = d->receive,
                                     .receive_bytes = sizeof d->receive,
                                     .linger_ms = 5,
                                     .backoff_min_ms = 20,
                                     .backoff_max_ms = 200};
    fake_gateway_attach(&w->gateway, &d->link, GOLDEN_DEVICE);
}

static int report_quality(uint32_t kbps)
{
    struct trib_player player = {
        .report = TRIB_PLAYER_QUALITY, .position_ms = UINT64_MAX, .value = (int64_t)kbps};
    struct trib_content content = {.content_id = w->content};
    if (!w->playing) {
        snprintf(w->content, sizeof w->content, "era-%u.", w->era);
        w->playing = trib_session_start(&w->device.client, &w->session, &content) == 0;
    }
    return w->playing ? trib_session_report(&w->session, &player) : TRIB_EFULL;
}

/* In either lane. The item says its number; it or its content, its era. */
static void record(bool vital)
{
    char text[40];
    assert_true(w->items < ITEMS_MAX);
    snprintf(text, sizeof text, "era-%u.%u", w->era, w->items + 1);
    int rc = vital ? trib_favourite_add(&w->device.client, NULL, text, NULL) : report_quality(w->items + 1);
    if (rc != 0)
        return;
    assert_int_equal(trib_flush(&w->device.client, 0), 0);
    w->items++;
}

static void step(void)
{
    uint32_t next;
    w->mono_ms += 1 + fake_next(&w->random) % 20;
    (void)trib_poll(&w->device.client, &next);
    if (w->has_copy)
        (void)trib_poll(&w->copy.client, &next);
    w->gateway.now_ms = w->mono_ms;
    w->gateway.utc_ms = GOLDEN_UTC_MS + w->mono_ms;
    fake_gateway_step(&w->gateway);
}

static bool waits(const struct device *d)
{
    struct trib_stats stats;
    trib_get_stats(&d->client, &stats);
    return stats.waiting != 0;
}

static void until_sent(void)
{
    for (int i = 0; i < 4000 && waits(&w->device); i++)
        step();
    assert_false(waits(&w->device));
}

static void begin_era(void)
{
    w->era++;
    w->first_of_era = w->items;
    w->older = w->backup;
    w->backup.taken = false;
}

/* With the power cut in it, or not; what a cut left undone the next start completes, or it never began. */
static void erase(void)
{
    struct device *d = &w->device;
    w->in_flight += w->gateway.queue_head != NULL;
    w->playing = false;
    if (fake_chance(&w->random, 2)) {
        uint32_t before = d->client.lanes[TRIB_LANE_VITAL].ring.generation;
        d->ram[0].cut_after = d->ram[0].bytes_done + fake_next(&w->random) % (SECTOR_BYTES * SECTORS);
        int rc = trib_erase(&d->client);
        bool cut = d->ram[0].off;
        assert_true(cut == (rc != 0));
        w->cuts += cut;
        fake_link_cut(&d->link);
        start(d);
        if (d->client.lanes[TRIB_LANE_VITAL].ring.generation > before)
            begin_era();
        else
            assert_true(cut);
    } else {
        assert_int_equal(trib_erase(&d->client), 0);
        begin_era();
    }
    w->erasures++;
}

static void live(void)
{
    for (unsigned i = 0; i < STEPS; i++) {
        if (fake_chance(&w->random, 3))
            record(fake_chance(&w->random, 3));
        if (fake_chance(&w->random, 100))
            fake_gateway_restart(&w->gateway);
        if (fake_chance(&w->random, 60))
            fake_link_cut(&w->device.link);
        if (fake_chance(&w->random, 60)) {
            memcpy(w->backup.flash, w->device.flash, sizeof w->backup.flash);
            w->backup.taken = true;
        }
        step();
    }
}

/* A backup from before the erasure is started beside the device, after the gateway heard of the erasure. */
static void let_the_copy_try(void)
{
    until_sent();
    if (!w->older.taken)
        return;
    memcpy(w->copy.flash, w->older.flash, sizeof w->older.flash);
    start(&w->copy);
    w->has_copy = true;
    unsigned refused = w->copy.refused;
    for (int i = 0; i < 400; i++)
        step();
    w->late_refused += w->copy.refused > refused;
    fake_link_cut(&w->copy.link);
    w->has_copy = w->older.taken = false;
}

/* Each stored event in the order of the journal. */
static void look(void *context, const char *json)
{
    unsigned era, item;
    (void)context;
    const char *of = strstr(json, "era-"), *kbps = strstr(json, "bitrate_kbps\":");
    if (!of)
        return;
    assert_int_equal(sscanf(of, "era-%u", &era), 1);
    if (era < w->seen_era)
        fail_msg("an event of era %u was stored after one of era %u: %s", era, w->seen_era, json);
    w->seen_era = era;
    if (sscanf(of, "era-%u.%u", &era, &item) != 2 && (!kbps || sscanf(kbps, "bitrate_kbps\":%u", &item) != 1))
        return;
    item--;
    assert_true(item < w->items && !w->stored[item]);
    w->stored[item] = true;
}

static void run(uint64_t seed, unsigned totals[4])
{
    w = calloc(1, sizeof *w);
    w->random.state = seed;
    w->mono_ms = 1000;
    fake_gateway_start(&w->gateway, golden_folder_make(), &w->random);
    make(&w->device);
    make(&w->copy);
    memset(w->device.flash, 0xFF, sizeof w->device.flash);
    start(&w->device);
    for (unsigned i = 0; i < ERAS; i++) {
        live();
        if (i > 0)
            let_the_copy_try();
        erase();
    }
    live();
    until_sent();
    golden_stored(&w->gateway, look, NULL);
    for (unsigned i = w->first_of_era; i < w->items; i++)
        if (!w->stored[i])
            fail_msg("seed %llu: item %u of the last era (from %u to %u) is missing",
                     (unsigned long long)seed, i, w->first_of_era, w->items);
    totals[0] += w->erasures;
    totals[1] += w->cuts;
    totals[2] += w->in_flight;
    totals[3] += w->late_refused;
    fake_gateway_stop(&w->gateway);
    golden_folder_remove();
    free(w);
}

static void test_nothing_from_before_an_erasure_is_stored_after_it(void **state)
{
    const char *given = getenv("ERASE_SEED"), *runs = getenv("ERASE_RUNS");
    uint64_t seed = given ? strtoull(given, NULL, 10) : 20261121;
    unsigned count = runs ? (unsigned)strtoul(runs, NULL, 10) : 40, totals[4] = {0};
    (void)state;
    for (unsigned i = 0; i < count; i++)
        run(seed + i, totals);
    printf("%u erasures, %u cut, %u with an upload in flight; %u copies from before were refused\n",
           totals[0], totals[1], totals[2], totals[3]);
    assert_true(totals[1] > 0 && totals[2] > 0 && totals[3] > 0);
}

static int clean_up(void **state)
{
    (void)state;
    golden_folder_remove();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_nothing_from_before_an_erasure_is_stored_after_it, clean_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
