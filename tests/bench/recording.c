/*
 * What recording costs. tools/dev/budgets builds it with -Os and runs it.
 *   recording KIND COUNT   records COUNT events of a kind; callgrind counts inside measured_call only
 *   recording hour UNIT    plays an hour on RAM storage with that program unit, and prints bytes as JSON
 *   recording session FILE the same for what a real player did: FILE has a line `MS REPORT POSITION_MS VALUE` for each
 *                          report, REPORT as settop's side file names it; `end` ends the session
 */
#include "support/fake_device.h"
#include "support/wear.h"

#define SECTOR_BYTES 4096u
#define SECTORS 64u

enum { EVENTS, CONTEXTS, DROPS, KINDS };

static struct fake_device device;
static struct fake_gateway gateway;
static struct trib_session session;

struct traffic {
    size_t batches, count[KINDS], bytes[KINDS], overhead, websocket, total;
};

static void report(enum trib_player_report what, uint64_t position_ms, int64_t value)
{
    const struct trib_player player = {what, position_ms, value, TRIB_CAUSE_USER};
    assert_int_equal(trib_session_report(&session, &player), 0);
}

static void poll_device(void)
{
    uint32_t next_ms;
    assert_int_equal(trib_poll(&device.client, &next_ms), 0);
}

static void start_session(void)
{
    const struct trib_content content = {
        .content_id = "film-0123456789", .user_id = "user-4711", .duration_ms = 5400000};
    assert_int_equal(trib_session_start(&device.client, &session, &content), 0);
    report(TRIB_PLAYER_PLAY, 0, 0);
    report(TRIB_PLAYER_PLAYING, 0, 0);
    poll_device();
}

/* --- instructions --- */

/* The one call that is counted. Not static and not inlined: callgrind knows it by name. */
void measured_call(const char *kind, unsigned number);
__attribute__((noinline)) void measured_call(const char *kind, unsigned number)
{
    int rc = 0;
    if (kind[0] == 'f') {
        rc = trib_favourite_add(&device.client, NULL, "film-0123456789", "user-4711");
    } else if (kind[0] == 'c') {
        uint8_t buffer[128];
        struct trib_custom event;
        trib_custom_begin(&event, buffer, sizeof buffer, "app.screen");
        trib_custom_text(&event, "name", "home");
        trib_custom_int(&event, "load_ms", number);
        trib_custom_bool(&event, "cached", true);
        rc = trib_custom_record(&device.client, &event);
    } else if (kind[0] == 'p') { /* position: no event */
        struct trib_player player = {TRIB_PLAYER_POSITION, number * 1000u, 0, TRIB_CAUSE_USER};
        rc = trib_session_report(&session, &player);
    } else { /* state: pause, then playing */
        struct trib_player player = {number % 2 ? TRIB_PLAYER_PLAYING : TRIB_PLAYER_PAUSED, number * 1000u, 0,
                                     TRIB_CAUSE_USER};
        rc = trib_session_report(&session, &player);
    }
    assert_int_equal(rc, 0);
}

static void take_all(void)
{
    fake_sync(&gateway, &device);
    gateway.event_count = 0;
}

static void count_instructions(const char *kind, unsigned count)
{
    if (kind[0] == 'p' || kind[0] == 's')
        start_session();
    for (unsigned i = 0; i < count; i++) {
        device.now_ms += 1000;
        measured_call(kind, i);
        poll_device();
        if (i % 100 == 99)
            take_all();
    }
}

/* --- an hour --- */

static void add_batch(struct traffic *t, const uint8_t *data, size_t len)
{
    struct trib_wire_batch_reader b;
    struct trib_wire_batch_item item;
    assert_int_equal(trib_wire_batch_read(&b, data, len), 0);
    size_t before = b.r.pos, items = 0;
    while (trib_wire_batch_next(&b, &item) > 0) {
        unsigned kind = item.kind == TRIB_ITEM_CONTEXT ? CONTEXTS
                        : item.kind == TRIB_ITEM_DROP  ? DROPS
                                                       : EVENTS;
        t->count[kind]++;
        t->bytes[kind] += b.r.pos - before;
        items += b.r.pos - before;
        before = b.r.pos;
    }
    t->batches++;
    t->overhead += len - items;
    t->websocket += len > 125 ? 8 : 6;
    t->total += len + (len > 125 ? 8 : 6);
}

/* The gateway takes what there is, as often as the uplink would offer it. */
static void exchange(struct traffic *t)
{
    static uint8_t buffer[1500];
    for (;;) {
        struct trib_wire_ack ack;
        uint64_t events, counted;
        size_t len;
        assert_int_equal(device.source.batch(&device.client, buffer, sizeof buffer, 1000, &len, &events), 0);
        if (len == 0)
            return;
        add_batch(t, buffer, len);
        fake_take_message(&gateway, buffer, len, &counted, &ack);
        device.source.ack(&device.client, &ack);
    }
}

/* A viewer's hour: a poll a second, a pause, a seek, a stall and a quality change every ten minutes, a favourite. */
static void play_hour(struct traffic *t)
{
    uint64_t position = 0;
    start_session();
    for (unsigned second = 1; second <= 3600; second++) {
        unsigned phase = second % 600;
        device.now_ms += 1000;
        if (phase == 200)
            report(TRIB_PLAYER_PAUSED, position, 0);
        else if (phase == 220)
            report(TRIB_PLAYER_PLAYING, position, 0);
        else if (phase == 300)
            report(TRIB_PLAYER_SEEKING, position += 60000, 0);
        else if (phase == 301)
            report(TRIB_PLAYER_PLAYING, position, 0);
        else if (phase == 400)
            report(TRIB_PLAYER_BUFFERING, position, 0);
        else if (phase == 402)
            report(TRIB_PLAYER_PLAYING, position, 0);
        else if (phase == 500)
            report(TRIB_PLAYER_QUALITY, position, second % 1200 == 500 ? 5800 : 3000);
        else if (phase < 200 || phase > 220)
            report(TRIB_PLAYER_POSITION, position += 1000, 0);
        if (second == 1800)
            assert_int_equal(trib_favourite_add(&device.client, NULL, "film-0123456789", "user-4711"), 0);
        poll_device();
        exchange(t);
    }
    assert_int_equal(trib_session_end(&session, TRIB_REASON_QUIT), 0);
    for (unsigned i = 0; i < 5; i++) {
        device.now_ms += 1000;
        poll_device();
        exchange(t);
    }
}

/* A poll a second until then. */
static void let_pass(struct traffic *t, uint64_t until_ms)
{
    while (device.now_ms < until_ms) {
        device.now_ms = until_ms - device.now_ms < 1000 ? until_ms : device.now_ms + 1000;
        poll_device();
        exchange(t);
    }
}

static enum trib_player_report report_named(const char *name)
{
    static const char *const names[] = {
        [TRIB_PLAYER_PLAY] = "play",         [TRIB_PLAYER_PLAYING] = "playing",
        [TRIB_PLAYER_PAUSED] = "paused",     [TRIB_PLAYER_BUFFERING] = "buffering",
        [TRIB_PLAYER_SEEKING] = "seeking",   [TRIB_PLAYER_SEEKED] = "seeked",
        [TRIB_PLAYER_POSITION] = "position", [TRIB_PLAYER_RATE] = "rate",
        [TRIB_PLAYER_MUTED] = "muted",       [TRIB_PLAYER_QUALITY] = "quality",
        [TRIB_PLAYER_DROPPED] = "dropped",   [TRIB_PLAYER_DURATION] = "duration",
        [TRIB_PLAYER_ERROR] = "error",       [TRIB_PLAYER_COMPLETE] = "complete",
    };
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i], name) == 0)
            return (enum trib_player_report)i;
    fail_msg("no such report: %s", name);
    return TRIB_PLAYER_POSITION;
}

static void play_recorded(struct traffic *t, const char *path)
{
    const struct trib_content content = {.content_id = "film-0123456789", .user_id = "user-4711"};
    FILE *file = fopen(path, "r");
    char line[160], what[24];
    unsigned long long ms, position;
    long long value;
    uint64_t began_ms = device.now_ms;
    assert_non_null(file);
    assert_int_equal(trib_session_start(&device.client, &session, &content), 0);
    while (fgets(line, sizeof line, file)) {
        if (line[0] == '#')
            continue;
        assert_int_equal(sscanf(line, "%llu %23s %llu %lld", &ms, what, &position, &value), 4);
        let_pass(t, began_ms + ms);
        if (strcmp(what, "end") == 0)
            assert_int_equal(trib_session_end(&session, TRIB_REASON_QUIT), 0);
        else
            report(report_named(what), position, value);
    }
    fclose(file);
    let_pass(t, device.now_ms + 120000); /* the last ones do not wait for company */
}

/* recorded: a file, or NULL for the hour. */
static void measure_playing(const char *recorded)
{
    struct traffic t;
    uint64_t done[TRIB_LANE_COUNT];
    uint32_t erases[TRIB_LANE_COUNT], programs[TRIB_LANE_COUNT];
    memset(&t, 0, sizeof t);
    poll_device();
    exchange(&t); /* the streams' starts */
    memset(&t, 0, sizeof t);
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++) {
        done[lane] = device.ram[lane].bytes_done;
        erases[lane] = device.ram[lane].erases;
        programs[lane] = device.ram[lane].programs;
    }
    uint64_t began_ms = device.now_ms;
    if (recorded)
        play_recorded(&t, recorded);
    else
        play_hour(&t);
    uint64_t programmed = 0;
    uint32_t erased = 0, programmings = 0;
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++) {
        uint32_t count = device.ram[lane].erases - erases[lane];
        programmed += device.ram[lane].bytes_done - done[lane] - (uint64_t)count * SECTOR_BYTES;
        programmings += device.ram[lane].programs - programs[lane];
        erased += count;
    }
    assert_int_equal(t.count[DROPS], 0);
    printf("{\"seconds\": %llu, \"events\": %zu, \"event_bytes\": %zu, \"contexts\": %zu, \"context_bytes\": "
           "%zu, \"batches\": "
           "%zu, "
           "\"batch_bytes\": %zu, \"websocket_bytes\": %zu, \"total_bytes\": %zu, \"flash_bytes\": %llu, "
           "\"flash_programs\": %u, \"flash_erases\": %u}\n",
           (unsigned long long)((device.now_ms - began_ms) / 1000), t.count[EVENTS], t.bytes[EVENTS],
           t.count[CONTEXTS], t.bytes[CONTEXTS], t.batches, t.overhead, t.websocket, t.total,
           (unsigned long long)programmed, programmings, erased);
}

/* --- wear --- */

/* The part's lanes, SECTORxSECTORSxUNITxHOURS: plays so many hours and prints what each lane went through. */
static void measure_wear(const char *geometry)
{
    struct wear wear[TRIB_LANE_COUNT];
    struct traffic t;
    unsigned sector_bytes, sectors, unit, hours;
    assert_int_equal(sscanf(geometry, "%ux%ux%ux%u", &sector_bytes, &sectors, &unit, &hours), 4);
    fake_device_init(&device, sector_bytes, sectors, unit);
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++)
        wear_watch(&wear[lane], &device.config.storage[lane]);
    assert_int_equal(fake_device_boot(&device), 0);
    assert_int_equal(fake_welcome(&gateway, &device), 0);
    memset(&t, 0, sizeof t);
    for (unsigned hour = 0; hour < hours; hour++) {
        play_hour(&t);
        gateway.event_count = 0;
    }
    assert_int_equal(t.count[DROPS], 0);
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++) {
        uint32_t most = 0;
        for (uint32_t i = 0; i < sectors; i++)
            most = wear[lane].erases[i] > most ? wear[lane].erases[i] : most;
        printf("%s{\"programmed_bytes\": %llu, \"programs\": %llu, \"erases\": %llu, \"most\": %u, "
               "\"spread\": %u}%s",
               lane ? ", " : "[", (unsigned long long)wear[lane].programmed_bytes,
               (unsigned long long)wear[lane].programs, (unsigned long long)wear[lane].total, most,
               wear_spread(&wear[lane]), lane ? "]\n" : "");
    }
}

static void run(void **state)
{
    char **argv = *state;
    unsigned number = (unsigned)atoi(argv[2]);
    bool hour = strcmp(argv[1], "hour") == 0, recorded = strcmp(argv[1], "session") == 0;
    fake_gateway_init(&gateway);
    gateway.utc_ms = 1700000000000;
    if (strcmp(argv[1], "wear") == 0) {
        measure_wear(argv[2]);
        fake_device_free(&device);
        fake_gateway_free(&gateway);
        return;
    }
    fake_device_init(&device, SECTOR_BYTES, SECTORS, hour ? number : 1);
    assert_int_equal(fake_device_boot(&device), 0);
    assert_int_equal(fake_welcome(&gateway, &device), 0);
    if (hour || recorded)
        measure_playing(recorded ? argv[2] : NULL);
    else
        count_instructions(argv[1], number);
    fake_device_free(&device);
    fake_gateway_free(&gateway);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: recording favourite|custom|state|position COUNT; recording hour UNIT; "
                        "recording session FILE; recording wear SECTORxSECTORSxUNITxHOURS\n");
        return 2;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test_prestate(run, argv)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
