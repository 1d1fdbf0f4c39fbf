/*
 * A fleet in one process: real SDK clients (rings, uplink, websocket framing) against real gateway sessions and a
 * real journal, over a network in memory and under one virtual clock. Links fail, gateways restart with batches in
 * flight or lose a message, devices lose power. Oracle: what each device recorded durably is in the journal exactly once, in order, or
 * declared dropped; nothing is there twice.
 *
 * FLEET_SEED picks the seed, FLEET_RUNS the number of runs (default 60); the seed is printed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "delivery/event.h"
#include "scenario/fake_gateway.h"
#include "storage_ram.h"
#include "tributary/tributary.h"

#define DEVICES 5
#define STEPS 3000
#define NUMBERS_MAX 4096
#define SECTOR_BYTES 1024
#define SECTORS 5

enum fate { NOT_RECORDED, RECORDED, DURABLE };

struct device {
    struct trib_client client;
    struct trib_config config;
    struct fake_link link;
    struct trib_storage_ram ram[TRIB_LANE_COUNT];
    uint8_t flash[TRIB_LANE_COUNT][SECTOR_BYTES * SECTORS];
    uint8_t staging[1024], transmit[2048], receive[2048];
    char id[16];
    struct trib_session session;
    bool playing;
    /* Favourites (vital) and quality reports (routine) carry numbers; number 0 is not used. */
    uint8_t fate[TRIB_LANE_COUNT][NUMBERS_MAX];
    uint8_t found[TRIB_LANE_COUNT][NUMBERS_MAX];
    uint32_t next[TRIB_LANE_COUNT];
    uint32_t newest_found[TRIB_LANE_COUNT];
    uint64_t declared[TRIB_LANE_COUNT]; /* drops in the journal */
    uint64_t boots;
};

struct world {
    struct fake_random random;
    uint64_t mono_ms;
    struct fake_gateway gateway;
    struct device devices[DEVICES];
    uint64_t events, power_cuts, link_cuts;
};

static struct world *the_world; /* for the clock and entropy ports */

static uint64_t clock_ms(void *context)
{
    (void)context;
    return the_world->mono_ms;
}

static int entropy_fill(void *context, uint8_t *out, size_t len)
{
    (void)context;
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)fake_next(&the_world->random);
    return 0;
}

static void boot(struct device *d)
{
    memset(&d->client, 0xA5, sizeof d->client);
    d->playing = false;
    d->boots++;
    assert_int_equal(trib_init(&d->client, &d->config), 0);
}

static void make_device(struct world *w, struct device *d, unsigned number)
{
    snprintf(d->id, sizeof d->id, "tv-%u", number);
    d->link.random = &w->random;
    d->link.reachable = true;
    d->config = (struct trib_config){
        .device_id = d->id,
        .host = "gateway.test",
        .port = 443,
        .net = fake_link_net(&d->link),
        .clock = {NULL, clock_ms},
        .entropy = {NULL, entropy_fill},
        .user_id_as_given = true,
        .staging = d->staging,
        .staging_bytes = sizeof d->staging,
        .transmit = d->transmit,
        .transmit_bytes = sizeof d->transmit,
        .receive = d->receive,
        .receive_bytes = sizeof d->receive,
        .backoff_min_ms = 50,
        .backoff_max_ms = 500,
    };
    memset(d->flash, 0xFF, sizeof d->flash);
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++) {
        trib_storage_ram_init(&d->ram[lane], d->flash[lane], SECTOR_BYTES, SECTORS, 1);
        d->config.storage[lane] = trib_storage_ram(&d->ram[lane]);
        d->next[lane] = 1;
    }
    fake_gateway_attach(&w->gateway, &d->link, d->id);
    boot(d);
}

/* --- what devices do --- */

static void record_favourite(struct device *d)
{
    uint32_t n = d->next[TRIB_LANE_VITAL];
    char item[24];
    if (n == NUMBERS_MAX)
        return;
    snprintf(item, sizeof item, "f%u", n);
    if (trib_favourite_add(&d->client, NULL, item, NULL) == 0) {
        d->fate[TRIB_LANE_VITAL][n] = RECORDED;
        d->next[TRIB_LANE_VITAL]++;
    }
}

static void record_quality(struct device *d)
{
    uint32_t n = d->next[TRIB_LANE_ROUTINE];
    struct trib_content content = {.content_id = "movie", .user_id = "ana"};
    if (n == NUMBERS_MAX)
        return;
    if (!d->playing)
        d->playing = trib_session_start(&d->client, &d->session, &content) == 0;
    if (!d->playing)
        return;
    struct trib_player report = {.report = TRIB_PLAYER_QUALITY, .position_ms = UINT64_MAX, .value = n};
    if (trib_session_report(&d->session, &report) == 0) {
        d->fate[TRIB_LANE_ROUTINE][n] = RECORDED;
        d->next[TRIB_LANE_ROUTINE]++;
    }
}

static void make_durable(struct device *d)
{
    if (trib_flush(&d->client, 0) != 0)
        return;
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++)
        for (uint32_t n = 1; n < d->next[lane]; n++)
            if (d->fate[lane][n] == RECORDED)
                d->fate[lane][n] = DURABLE;
}

/* What was recorded and not yet durable may be gone, or not. */
static void lose_power(struct device *d)
{
    fake_link_cut(&d->link);
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++)
        for (uint32_t n = 1; n < d->next[lane]; n++)
            if (d->fate[lane][n] == RECORDED)
                d->fate[lane][n] = NOT_RECORDED;
    boot(d);
}

static void device_step(struct world *w, struct device *d)
{
    struct fake_random *random = &w->random;
    uint32_t next_ms;
    if (fake_chance(random, 6))
        record_favourite(d);
    if (fake_chance(random, 3))
        record_quality(d);
    if (d->playing && fake_chance(random, 40))
        d->playing = trib_session_end(&d->session, TRIB_REASON_ENDED) != 0;
    if (fake_chance(random, 20))
        make_durable(d);
    if (fake_chance(random, d->link.reachable ? 150 : 300)) /* outages are long enough to fill a lane */
        d->link.reachable = !d->link.reachable;
    if (!d->link.reachable && d->link.connected && fake_chance(random, 2)) {
        fake_link_cut(&d->link);
        w->link_cuts++;
    }
    if (fake_chance(random, 150)) {
        fake_link_cut(&d->link);
        w->link_cuts++;
    }
    assert_int_equal(trib_poll(&d->client, &next_ms), 0);
    if (fake_chance(random, 400)) {
        w->power_cuts++;
        lose_power(d);
    }
}

static void world_step(struct world *w)
{
    uint64_t step_ms = fake_chance(&w->random, 100) ? 5000 : 1 + fake_next(&w->random) % 40;
    w->mono_ms += step_ms;
    w->gateway.now_ms = w->mono_ms;
    w->gateway.utc_ms = 1790000000000u + w->mono_ms;
    fake_gateway_step(&w->gateway);
}

static bool drained(struct world *w)
{
    for (unsigned i = 0; i < DEVICES; i++) {
        struct trib_stats stats;
        trib_get_stats(&w->devices[i].client, &stats);
        if (stats.waiting != 0)
            return false;
    }
    return true;
}

static void drain(struct world *w)
{
    for (unsigned i = 0; i < DEVICES; i++) {
        w->devices[i].link.reachable = true;
        make_durable(&w->devices[i]);
    }
    for (int step = 0; step < 40000; step++) {
        uint32_t next_ms;
        for (unsigned i = 0; i < DEVICES; i++)
            assert_int_equal(trib_poll(&w->devices[i].client, &next_ms), 0);
        world_step(w);
        if (step % 50 == 0 && drained(w))
            return;
    }
    for (unsigned i = 0; i < DEVICES; i++) {
        struct trib_stats stats;
        trib_get_stats(&w->devices[i].client, &stats);
        print_error("%s: %llu wait, state %d\n", w->devices[i].id, (unsigned long long)stats.waiting,
                    (int)trib_get_state(&w->devices[i].client));
    }
    fail_msg("the fleet did not drain");
}

/* --- what the journal holds --- */

static struct device *device_named(struct world *w, struct trib_text id)
{
    for (unsigned i = 0; i < DEVICES; i++)
        if (strlen(w->devices[i].id) == id.len && memcmp(w->devices[i].id, id.ptr, id.len) == 0)
            return &w->devices[i];
    fail_msg("an event of a device that does not exist");
    return NULL;
}

/* The number that an event carries, or 0. */
static uint32_t number_of(const struct trib_wire_batch_item *item)
{
    struct trib_cbor_reader r;
    uint32_t number = 0;
    trib_cbor_reader_init(&r, item->fields, item->fields_len);
    struct trib_cbor_container map = trib_cbor_get_map(&r);
    while (trib_cbor_next(&r, &map)) {
        uint64_t key = trib_cbor_get_uint(&r);
        size_t len;
        if (item->kind == TRIB_EVENT_FAVOURITE_ADD && key == TRIB_FIELD_ITEM) {
            const char *text = trib_cbor_get_text(&r, &len);
            for (size_t i = 1; i < len; i++) /* what follows may be digits, too */
                number = number * 10 + (uint32_t)(text[i] - '0');
        } else if (item->kind == TRIB_EVENT_QUALITY && key == TRIB_FIELD_BITRATE_KBPS)
            number = (uint32_t)trib_cbor_get_uint(&r);
        else
            trib_cbor_skip(&r);
    }
    return number;
}

static void take_entry(struct world *w, const struct gw_journal_entry *entry)
{
    struct gw_entry_head head;
    const uint8_t *batch;
    size_t batch_len;
    struct trib_wire_batch_reader reader;
    struct trib_wire_batch_item item;
    assert_int_equal(gw_entry_decode(entry->data, entry->len, &head, &batch, &batch_len), 0);
    assert_int_equal(trib_wire_batch_read(&reader, batch, batch_len), 0);
    struct device *d = device_named(w, head.device);
    int more;
    while ((more = trib_wire_batch_next(&reader, &item)) == 1) {
        assert_int_not_equal(item.kind, TRIB_ITEM_TOMBSTONE); /* everything here is valid */
        if (item.kind == TRIB_ITEM_DROP)
            d->declared[item.lane] += item.count;
        if (item.kind != TRIB_EVENT_FAVOURITE_ADD && item.kind != TRIB_EVENT_QUALITY)
            continue;
        w->events++;
        uint32_t number = number_of(&item);
        assert_in_range(number, 1, NUMBERS_MAX - 1);
        if (d->found[item.lane][number])
            fail_msg("%s lane %u: event %u is in the journal twice", d->id, item.lane, number);
        if (number <= d->newest_found[item.lane])
            fail_msg("%s lane %u: event %u came after %u", d->id, item.lane, number,
                     d->newest_found[item.lane]);
        d->found[item.lane][number] = 1;
        d->newest_found[item.lane] = number;
    }
    assert_int_equal(more, 0);
}

static void read_journal(struct world *w)
{
    static uint8_t buffer[1 << 20];
    struct gw_journal_entry entries[64];
    uint64_t offset = 0, lost;
    size_t count, needed;
    do {
        assert_int_equal(gw_journal_read(w->gateway.journal, offset, buffer, sizeof buffer, entries, 64,
                                         &count, &offset, &lost, &needed),
                         0);
        assert_int_equal(lost, 0);
        for (size_t i = 0; i < count; i++)
            take_entry(w, &entries[i]);
    } while (count > 0);
}

static void judge(const struct device *d)
{
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++) {
        uint64_t missing = 0;
        for (uint32_t n = 1; n < d->next[lane]; n++)
            missing += d->fate[lane][n] == DURABLE && !d->found[lane][n];
        if (missing > d->declared[lane])
            fail_msg("%s lane %u: %llu durable events are missing, %llu were declared dropped", d->id, lane,
                     (unsigned long long)missing, (unsigned long long)d->declared[lane]);
    }
    assert_int_equal(d->declared[TRIB_LANE_VITAL], 0); /* vital events are refused when full, never dropped */
}

/* In memory where that can be had: this test is about decisions, the power-cut tests are about the disk. */
static char folder[64];

static void make_folder(void)
{
    snprintf(folder, sizeof folder, "%s/tributary-fleet-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(folder));
}

static void remove_folder(void)
{
    char command[96];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    assert_int_equal(system(command), 0);
}

/* A run that failed has left its folder. */
static int clean_up(void **state)
{
    (void)state;
    if (access(folder, F_OK) == 0)
        remove_folder();
    return 0;
}

/* What all runs together went through: a test that met no fault has shown nothing. */
struct seen {
    uint64_t events, dropped, restarts, swallowed, power_cuts, link_cuts;
};

static void run(uint64_t seed, struct seen *seen)
{
    struct world *w = calloc(1, sizeof *w);
    make_folder();
    the_world = w;
    w->random.state = seed;
    w->mono_ms = 1000;
    fake_gateway_start(&w->gateway, folder, &w->random);
    for (unsigned i = 0; i < DEVICES; i++)
        make_device(w, &w->devices[i], i);
    w->gateway.swallows = true;
    for (int step = 0; step < STEPS; step++) {
        for (unsigned i = 0; i < DEVICES; i++)
            device_step(w, &w->devices[i]);
        world_step(w);
        if (fake_chance(&w->random, 500))
            fake_gateway_restart(&w->gateway);
    }
    w->gateway.swallows = false;
    drain(w);
    read_journal(w);
    uint64_t dropped = 0;
    for (unsigned i = 0; i < DEVICES; i++) {
        judge(&w->devices[i]);
        dropped += w->devices[i].declared[TRIB_LANE_ROUTINE];
    }
    printf("seed %llu: %llu events, %llu declared dropped, %llu commits, %llu gateway restarts, %llu power "
           "cuts, "
           "%llu link cuts\n",
           (unsigned long long)seed, (unsigned long long)w->events, (unsigned long long)dropped,
           (unsigned long long)w->gateway.commits, (unsigned long long)w->gateway.restarts,
           (unsigned long long)w->power_cuts, (unsigned long long)w->link_cuts);
    seen->events += w->events;
    seen->dropped += dropped;
    seen->restarts += w->gateway.restarts;
    seen->swallowed += w->gateway.swallowed;
    seen->power_cuts += w->power_cuts;
    seen->link_cuts += w->link_cuts;
    fake_gateway_stop(&w->gateway);
    remove_folder();
    free(w);
}

static void test_each_durable_event_is_in_the_journal_once_or_declared_dropped(void **state)
{
    (void)state;
    const char *given = getenv("FLEET_SEED"), *runs = getenv("FLEET_RUNS");
    uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL) * 1000;
    unsigned count = runs ? (unsigned)strtoul(runs, NULL, 10) : 60;
    struct seen seen = {0};
    for (unsigned i = 0; i < count; i++)
        run(seed + i, &seen);
    assert_true(seen.events > 0 && seen.restarts > 0 && seen.power_cuts > 0 && seen.link_cuts > 0);
    assert_true(seen.swallowed > 0);
    if (count >= 30)
        assert_true(seen.dropped > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_each_durable_event_is_in_the_journal_once_or_declared_dropped,
                                  clean_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
