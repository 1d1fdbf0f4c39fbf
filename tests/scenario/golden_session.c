#include "scenario/golden_session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "delivery/event.h"
#include "storage_ram.h"
#include "tributary/tributary.h"

static char folder[64];

const char *golden_folder_make(void)
{
    snprintf(folder, sizeof folder, "%s/tributary-golden-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(folder));
    return folder;
}

void golden_folder_remove(void)
{
    char command[96];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    assert_int_equal(system(command), 0);
}

static void take_entry(const struct gw_journal_entry *entry, void (*take)(void *context, const char *json),
                       void *context)
{
    static char json[GOLDEN_LINE_BYTES];
    struct gw_event_reader reader;
    struct gw_event event;
    int rc;
    assert_int_equal(gw_event_reader_open(&reader, entry->offset, entry->data, entry->len), 0);
    while ((rc = gw_event_next(&reader, &event)) == 1) {
        size_t len = gw_event_json(&event, "golden-gateway", json, sizeof json - 1);
        assert_true(len < sizeof json - 1);
        json[len] = '\0';
        take(context, json);
    }
    assert_int_equal(rc, 0);
}

void golden_stored(struct fake_gateway *gateway, void (*take)(void *context, const char *json), void *context)
{
    static uint8_t buffer[1 << 20];
    struct gw_journal_entry entries[64];
    uint64_t offset = 0, lost;
    size_t count, needed;
    do {
        assert_int_equal(gw_journal_read(gateway->journal, offset, buffer, sizeof buffer, entries, 64, &count,
                                         &offset, &lost, &needed),
                         0);
        for (size_t i = 0; i < count; i++)
            take_entry(&entries[i], take, context);
    } while (count > 0);
}

/* --- a session --- */

#define SECTOR_BYTES 1024
#define SECTORS 4

struct television {
    struct trib_client client;
    struct trib_config config;
    struct trib_session session;
    struct trib_storage_ram ram[TRIB_LANE_COUNT];
    uint8_t flash[TRIB_LANE_COUNT][SECTOR_BYTES * SECTORS];
    uint8_t staging[2048], transmit[2048], receive[2048];
};

static struct television tv;
static struct fake_link link_to;
static struct fake_gateway *gateway;
static uint64_t mono_ms;

static uint64_t clock_ms(void *context)
{
    (void)context;
    return mono_ms;
}

static int entropy_fill(void *context, uint8_t *out, size_t len)
{
    (void)context;
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)fake_next(gateway->random);
    return 0;
}

static void let_pass(unsigned ms)
{
    for (unsigned i = 0; i < ms; i += 100) {
        uint32_t next_ms;
        assert_int_equal(trib_poll(&tv.client, &next_ms), 0);
        mono_ms += 100;
        gateway->now_ms = mono_ms;
        gateway->utc_ms = GOLDEN_UTC_MS + mono_ms;
        fake_gateway_step(gateway);
    }
}

static void report(enum trib_player_report what, uint64_t position_ms, int64_t value)
{
    const struct trib_player player = {what, position_ms, value, TRIB_CAUSE_USER};
    assert_int_equal(trib_session_report(&tv.session, &player), 0);
    let_pass(700);
}

static void watch(const char *content, bool live, enum trib_enum_value reason, unsigned minutes)
{
    const struct trib_content what = {
        .content_id = content, .user_id = "user-4711", .duration_ms = live ? 0 : 5400000, .live = live};
    assert_int_equal(trib_session_start(&tv.client, &tv.session, &what), 0);
    report(TRIB_PLAYER_PLAY, 0, 0);
    report(TRIB_PLAYER_PLAYING, 0, 0);
    let_pass(12000);
    report(TRIB_PLAYER_PAUSED, 12000, 0);
    report(TRIB_PLAYER_PLAYING, 12000, 0);
    report(TRIB_PLAYER_SEEKING, 1350000, 0);
    report(TRIB_PLAYER_SEEKED, 1350000, 0);
    report(TRIB_PLAYER_PLAYING, 1350000, 0);
    report(TRIB_PLAYER_BUFFERING, 1350700, 0);
    report(TRIB_PLAYER_PLAYING, 1350700, 0);
    report(TRIB_PLAYER_RATE, 1351400, 1500);
    report(TRIB_PLAYER_QUALITY, 1352100, 4200);
    report(TRIB_PLAYER_MUTED, 1352800, 1);
    report(TRIB_PLAYER_DROPPED, 1353500, 7);
    let_pass(minutes * 60000 + 1000);
    if (reason == TRIB_REASON_ERROR)
        report(TRIB_PLAYER_ERROR, 1440000, -1009);
    if (reason == TRIB_REASON_ENDED)
        report(TRIB_PLAYER_COMPLETE, 5400000, 0);
    assert_int_equal(trib_session_end(&tv.session, reason), 0);
    let_pass(3000);
}

static void other_events(void)
{
    uint8_t buffer[128];
    struct trib_custom event;
    assert_int_equal(trib_favourite_add(&tv.client, NULL, "film-1", "user-4711"), 0);
    assert_int_equal(trib_favourite_remove(&tv.client, "later", "film-2", NULL), 0);
    trib_custom_begin(&event, buffer, sizeof buffer, "app.screen");
    trib_custom_text(&event, "name", "home");
    trib_custom_int(&event, "load_ms", -12);
    trib_custom_bool(&event, "cached", true);
    assert_int_equal(trib_custom_record(&tv.client, &event), 0);
    let_pass(3000);
}

static void make_television(void)
{
    memset(&tv, 0, sizeof tv);
    link_to = (struct fake_link){.random = gateway->random, .reachable = true};
    mono_ms = 1000;
    tv.config = (struct trib_config){
        .device_id = GOLDEN_DEVICE,
        .host = "gateway.test",
        .port = 443,
        .net = fake_link_net(&link_to),
        .clock = {NULL, clock_ms},
        .entropy = {NULL, entropy_fill},
        .user_id_as_given = true,
        .staging = tv.staging,
        .staging_bytes = sizeof tv.staging,
        .transmit = tv.transmit,
        .transmit_bytes = sizeof tv.transmit,
        .receive = tv.receive,
        .receive_bytes = sizeof tv.receive,
    };
    memset(tv.flash, 0xFF, sizeof tv.flash);
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++) {
        trib_storage_ram_init(&tv.ram[lane], tv.flash[lane], SECTOR_BYTES, SECTORS, 1);
        tv.config.storage[lane] = trib_storage_ram(&tv.ram[lane]);
    }
    assert_int_equal(trib_init(&tv.client, &tv.config), 0);
}

void golden_play(struct fake_gateway *with)
{
    struct trib_stats stats;
    gateway = with;
    make_television();
    fake_gateway_attach(gateway, &link_to, GOLDEN_DEVICE);
    watch("film-0123456789", false, TRIB_REASON_ENDED, 1);
    other_events();
    link_to.reachable = false;
    fake_link_cut(&link_to);
    for (unsigned i = 0; i < 3; i++)
        watch("channel-1", true, i % 2 ? TRIB_REASON_QUIT : TRIB_REASON_ERROR, 10);
    assert_int_equal(trib_init(&tv.client, &tv.config), 0); /* the power was gone */
    link_to.reachable = true;
    watch("film-0123456789", false, TRIB_REASON_QUIT, 1);
    let_pass(120000);
    trib_get_stats(&tv.client, &stats);
    assert_true(stats.dropped > 0 && stats.waiting == 0);
    assert_int_equal(trib_get_state(&tv.client), TRIB_STATE_ONLINE);
}
