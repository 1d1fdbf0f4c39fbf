#include "ring_world.h"

void world_init(struct world *w, struct torn_storage lanes[2], struct geometry geometry,
                enum torn_shape shape, enum torn_mutant mutant, uint64_t seed)
{
    memset(w, 0, sizeof *w);
    w->geometry = geometry;
    w->strict = shape != TORN_UNSTABLE && shape != TORN_DRIFTING;
    w->next_number = 1;
    w->power = (struct torn_power){.cut_at = UINT64_MAX, .random = seed * 2 + 1};
    fake_device_init(&w->device, 256, 3, 1);
    for (unsigned lane = 0; lane < 2; lane++) {
        torn_init(&lanes[lane], &w->power, geometry.sector_bytes, geometry.sector_count, geometry.unit);
        lanes[lane].shape = shape;
        lanes[lane].mutant = mutant;
        lanes[lane].other = &lanes[1 - lane];
        w->device.config.storage[lane] = torn_port(&lanes[lane]);
    }
    fake_gateway_init(&w->gateway);
    w->gateway.utc_ms = 1700000000000u; /* so that anchors, and with them state, are journaled */
}

void world_free(struct world *w, struct torn_storage lanes[2])
{
    torn_free(&lanes[0]);
    torn_free(&lanes[1]);
    fake_device_free(&w->device);
    fake_gateway_free(&w->gateway);
}

int world_record(struct world *w)
{
    uint8_t buffer[1200];
    char text[1001];
    struct trib_custom event;
    uint32_t number = w->next_number;
    int rc;
    assert_true(number < NUMBERS_MAX);
    w->device.now_ms += 700;
    if (number % 4 == 3 && w->geometry.overflow && w->refused)
        number = w->next_number += 1; /* the vital lane is full, the routine one goes on */
    if (number % 4 == 3) {
        snprintf(text, sizeof text, "%u", number);
        rc = trib_favourite_add(&w->device.client, NULL, text, NULL);
        w->refused = rc == TRIB_EFULL;
    } else {
        trib_custom_begin(&event, buffer, sizeof buffer, "t");
        trib_custom_int(&event, "n", number);
        if (w->fill_bytes > 0) {
            memset(text, 'x', w->fill_bytes);
            text[w->fill_bytes] = 0;
            trib_custom_text(&event, "x", text);
        }
        rc = trib_custom_record(&w->device.client, &event);
    }
    if (rc == 0) {
        w->promised[number] = RECORDED;
        w->next_number++;
    }
    return rc;
}

int world_flush(struct world *w)
{
    int rc = trib_flush(&w->device.client, 0);
    if (rc < 0)
        return rc;
    for (uint32_t i = w->next_number; i > 1 && w->promised[i - 1] == RECORDED; i--)
        w->promised[i - 1] = DURABLE;
    w->session_pending = 0;
    return 0;
}

/* Some steps begin a session, report, and end it. Its content is named by its id, so that the model can tell. */
static void world_session(struct world *w, unsigned number)
{
    struct trib_client *client = &w->device.client;
    uint32_t before = client->ord;
    char name[16];
    if (w->session.client && number % 5 == 4) {
        (void)trib_session_end(&w->session, TRIB_REASON_QUIT);
        w->session.client = NULL;
    } else if (w->session.client) {
        struct trib_player report = {.report = TRIB_PLAYER_RATE, .value = 1000 + (int)number};
        (void)trib_session_report(&w->session, &report);
    } else if (number % 5 == 1) {
        struct trib_content content = {.content_id = name, .duration_ms = 60000};
        snprintf(name, sizeof name, "%08x", (uint32_t)(client->session_seed + client->next_ref + 1));
        if (trib_session_start(client, &w->session, &content) < 0)
            w->session.client = NULL; /* the lane is full, or its sectors are too small for a context */
    }
    w->session_pending += client->ord - before;
}

/* Without power nothing is sent. */
static int sync_with_gateway(struct world *w)
{
    int rc = fake_welcome(&w->gateway, &w->device);
    if (rc == TRIB_ERANGE && !w->power.off && trib_client_roll_back(&w->device.client) == 0 && !w->power.off)
        rc = fake_welcome(&w->gateway, &w->device);
    if (w->power.off)
        return TRIB_EIO;
    assert_int_equal(rc, 0);
    w->device.client.hurry = true;
    while ((rc = fake_try_batch(&w->gateway, &w->device, true)) > 0)
        ;
    w->device.client.hurry = false;
    if (w->power.off) /* the first batch after a boot may have had to write something */
        return TRIB_EIO;
    assert_int_equal(rc, 0);
    return 0;
}

int world_step(struct world *w, unsigned number)
{
    unsigned events = number % 7 == 5 ? 9 : 1 + number % 3; /* nine: more than one call of program */
    world_session(w, number);
    for (unsigned i = 0; i < (w->geometry.sector_bytes < 512 ? 1 + number % 3 : events); i++) {
        int rc = world_record(w);
        if (rc < 0)
            return rc;
    }
    int rc = world_flush(w);
    if (rc < 0 || w->geometry.overflow || number % 4 != 3)
        return rc;
    rc = sync_with_gateway(w);
    if (rc == 0)
        rc = trib_client_save_acks(&w->device.client);
    for (unsigned lane = 0; lane < 2 && rc == 0; lane++)
        rc = trib_ring_erase_ahead(&w->device.client.lanes[lane].ring);
    return rc;
}

int world_boot(struct world *w)
{
    memset(&w->device.client, 0xA5, sizeof w->device.client);
    memset(w->device.staging, 0xA5, sizeof w->device.staging);
    memset(w->device.transmit, 0xA5, sizeof w->device.transmit);
    memset(w->device.receive, 0xA5, sizeof w->device.receive);
    memset(&w->session, 0, sizeof w->session);
    w->session_doubt += w->session_pending + 1; /* and the end that a boot makes up */
    w->session_pending = 0;
    int rc = trib_init(&w->device.client, &w->device.config);
    assert_int_not_equal(rc, TRIB_EFULL); /* a full device boots all the same */
    if (rc == 0)
        w->device.source = trib_client_source;
    return rc;
}

int world_recover(struct world *w)
{
    w->next_number += 8; /* those of the step that was cut may be there or not: new ones are told apart */
    int rc = world_boot(w);
    if (rc == 0 && !w->geometry.overflow && w->next_number / 8 % 2 == 0)
        rc = sync_with_gateway(w);
    if (rc == 0)
        rc = world_record(w);
    if (rc == 0)
        rc = world_flush(w);
    w->recovered_at = w->power.ticks;
    return rc;
}

void world_power_on(struct world *w)
{
    w->power.off = false;
    w->power.cut_at = UINT64_MAX;
}

struct torn_hash world_hash(const struct world *w)
{
    const struct fake_gateway *g = &w->gateway;
    const uint64_t values[] = {w->device.now_ms, w->device.random, w->next_number,
                               w->refused,       w->fill_bytes,    w->session_pending,
                               w->session_doubt, g->stream_count,  g->event_count};
    struct torn_hash hash = {{0, 0}};
    torn_hash_add(&hash, values, sizeof values);
    torn_hash_add(&hash, w->promised, w->next_number);
    torn_hash_add(&hash, g->dropped, sizeof g->dropped);
    for (size_t i = 0; i < g->stream_count; i++) {
        const uint64_t stream[] = {g->streams[i].id, g->streams[i].committed, g->streams[i].crc};
        torn_hash_add(&hash, stream, sizeof stream);
    }
    for (size_t i = w->old_events; i < g->event_count; i++) {
        const struct fake_event *e = &g->events[i];
        const uint64_t event[] = {e->stream, e->seq, e->crc, e->session, e->lane};
        torn_hash_add(&hash, event, sizeof event);
        torn_hash_add(&hash, e->content, sizeof e->content);
    }
    return hash;
}

/* The number of an event that world_record made, or UINT32_MAX. */
static uint32_t number_of(const struct fake_event *e)
{
    struct trib_cbor_reader r;
    size_t len;
    if (e->type != TRIB_EVENT_CUSTOM && e->type != TRIB_EVENT_FAVOURITE_ADD)
        return UINT32_MAX;
    trib_cbor_reader_init(&r, e->fields, e->fields_len < sizeof e->fields ? e->fields_len : sizeof e->fields);
    struct trib_cbor_container map = trib_cbor_get_map(&r);
    while (trib_cbor_next(&r, &map)) {
        uint64_t field = trib_cbor_get_uint(&r);
        if (field == TRIB_FIELD_ITEM) {
            const char *text = trib_cbor_get_text(&r, &len);
            assert_non_null(text);
            return (uint32_t)strtoul(text, NULL, 10);
        }
        if (field == TRIB_FIELD_DATA) {
            (void)trib_cbor_get_map(&r);
            (void)trib_cbor_get_text(&r, &len);
            return (uint32_t)trib_cbor_get_uint(&r);
        }
        trib_cbor_skip(&r);
    }
    assert_true(false); /* garbage was sent as an event */
    return UINT32_MAX;
}

static void judge_declared(const struct world *w, uint32_t lost, uint32_t doubtful)
{
    const struct fake_gateway *g = &w->gateway;
    uint64_t damaged = 0;
    for (unsigned reason = 0; reason < 5; reason++) {
        assert_true(reason == TRIB_DROP_DAMAGED || g->dropped[TRIB_DROP_VITAL][reason] == 0);
        assert_true(reason == TRIB_DROP_DAMAGED || g->dropped[TRIB_DROP_UNKNOWN][reason] == 0);
    }
    for (unsigned class = 0; class < 3; class ++)
        damaged += g->dropped[class][TRIB_DROP_DAMAGED];
    uint64_t overflow = g->dropped[TRIB_DROP_ROUTINE][TRIB_DROP_OVERFLOW];
    if (w->geometry.overflow) { /* what is on the way to being dropped may be called damaged after a cut */
        assert_true(lost <= overflow + damaged);
        return;
    }
    assert_int_equal(lost, 0);
    assert_int_equal(overflow, 0);
    if (w->strict) {
        assert_int_equal(damaged, 0);
        assert_int_equal(g->stream_count, 2); /* a cut is no reason for a new stream */
    } else {
        assert_true(damaged <= doubtful + w->session_doubt + (g->stream_count - 2) * 2);
    }
}

/* number_of, remembered: an event stays where it is as long as the gateway is not put back behind it. */
static uint32_t number_at(size_t index, const struct fake_event *e)
{
    static struct {
        uint64_t stream, seq;
        uint32_t crc, number;
    } known[FAKE_EVENTS_MAX];
    if (known[index].stream != e->stream || known[index].seq != e->seq || known[index].crc != e->crc) {
        known[index].stream = e->stream;
        known[index].seq = e->seq;
        known[index].crc = e->crc;
        known[index].number = number_of(e);
    }
    return known[index].number;
}

static void judge_context(const struct world *w, const struct fake_event *e)
{
    bool of_session = e->type != TRIB_EVENT_CUSTOM && e->type != TRIB_EVENT_FAVOURITE_ADD &&
                      e->type != TRIB_EVENT_STREAM_START;
    assert_true(e->session == 0 || strtoul(e->content, NULL, 16) == (uint32_t)e->session);
    assert_true(!of_session || e->session != 0 || !w->strict);
}

static void judge(const struct world *w)
{
    static uint8_t seen[NUMBERS_MAX];
    uint32_t last[2] = {0, 0}, lost = 0, doubtful = 0;
    const struct fake_gateway *g = &w->gateway;
    memset(seen, 0, w->next_number);
    for (size_t i = 0; i < g->event_count; i++) {
        uint32_t number = number_at(i, &g->events[i]);
        judge_context(w, &g->events[i]);
        if (number == UINT32_MAX)
            continue;
        assert_true(number < w->next_number && w->promised[number] != NOT_RECORDED);
        assert_int_equal(seen[number], 0);
        seen[number] = 1;
        unsigned lane = g->events[i].lane;
        assert_int_equal(lane, number % 4 == 3 ? TRIB_LANE_VITAL : TRIB_LANE_ROUTINE);
        assert_true(number > last[lane]);
        last[lane] = number;
    }
    for (uint32_t i = 1; i < w->next_number; i++) {
        bool missing = !seen[i] && w->promised[i] == DURABLE;
        assert_false(missing && i % 4 == 3); /* the vital lane never drops */
        lost += missing;
        doubtful += !seen[i] && w->promised[i] == RECORDED;
    }
    judge_declared(w, lost, doubtful);
    assert_int_equal(w->power.twice, 0);
    assert_int_equal(w->power.early, 0); /* else a file may keep the program and lose the erase */
}

void world_deliver(struct world *w)
{
    assert_int_equal(sync_with_gateway(w), 0);
    judge(w);
}
