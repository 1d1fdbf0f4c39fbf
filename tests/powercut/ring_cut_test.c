/*
 * The power goes at every byte that a device programs or erases, and again during the recovery from that. A model is
 * the oracle: what was reported durable arrives exactly once, in order, under contiguous seqs of the same stream, with
 * nothing declared as damaged; what was being recorded may arrive or not; and the device goes on recording.
 */
#include "support/fake_device.h"

#define NUMBERS_MAX 4096
#define STEPS 40

struct geometry {
    uint32_t sector_bytes, sector_count, unit;
    bool overflow; /* the gateway is away so long that the routine lane drops */
};

struct world {
    struct fake_device device;
    struct fake_gateway gateway;
    struct geometry geometry;
    uint32_t next_number;    /* of the next event to record */
    uint32_t durable_number; /* all below were reported durable */
};

/* What is put back for each cut. Pointers inside stay valid, as all is put back where it was. */
struct snapshot {
    struct world world;
    uint8_t *flash[2], *written[2];
};

static uint64_t cuts, second_cuts;
static unsigned second_every = 199; /* 1: after each first cut, which takes an hour */

static size_t flash_bytes(const struct world *w)
{
    return (size_t)w->geometry.sector_bytes * w->geometry.sector_count;
}

static void snapshot_init(struct snapshot *s, const struct world *w)
{
    for (unsigned lane = 0; lane < 2; lane++) {
        s->flash[lane] = malloc(flash_bytes(w));
        s->written[lane] = malloc(flash_bytes(w));
    }
}

static void snapshot_free(struct snapshot *s)
{
    for (unsigned lane = 0; lane < 2; lane++) {
        free(s->flash[lane]);
        free(s->written[lane]);
    }
}

static void save(struct snapshot *s, const struct world *w)
{
    s->world = *w;
    for (unsigned lane = 0; lane < 2; lane++) {
        memcpy(s->flash[lane], w->device.flash[lane], flash_bytes(w));
        memcpy(s->written[lane], w->device.written[lane], flash_bytes(w) / w->geometry.unit);
    }
}

static void put_back(const struct snapshot *s, struct world *w)
{
    *w = s->world;
    for (unsigned lane = 0; lane < 2; lane++) {
        memcpy(w->device.flash[lane], s->flash[lane], flash_bytes(w));
        memcpy(w->device.written[lane], s->written[lane], flash_bytes(w) / w->geometry.unit);
    }
}

static int record(struct world *w)
{
    uint8_t buffer[64];
    struct trib_custom event;
    char item[16];
    uint32_t number = w->next_number;
    int rc;
    if (number % 4 == 3) {
        snprintf(item, sizeof item, "%u", number);
        rc = trib_favourite_add(&w->device.client, NULL, item, NULL);
    } else {
        trib_custom_begin(&event, buffer, sizeof buffer, "t");
        trib_custom_int(&event, "n", number);
        rc = trib_custom_record(&w->device.client, &event);
    }
    if (rc == 0)
        w->next_number++;
    return rc;
}

/* The number of an event that record() made, or UINT32_MAX. */
static uint32_t number_of(const struct fake_event *e)
{
    struct trib_cbor_reader r;
    size_t len;
    if (e->type != TRIB_EVENT_CUSTOM && e->type != TRIB_EVENT_FAVOURITE_ADD)
        return UINT32_MAX;
    trib_cbor_reader_init(&r, e->fields, e->fields_len);
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
    return UINT32_MAX;
}

/* One step of the workload. Its result is what a device sees: an error once the power is gone. */
static int step(struct world *w, unsigned number)
{
    for (unsigned i = 0; i < 1 + number % 3; i++) {
        w->device.now_ms += 700;
        int rc = record(w);
        if (rc < 0)
            return rc;
    }
    int rc = trib_flush(&w->device.client, 0);
    if (rc < 0)
        return rc;
    w->durable_number = w->next_number;
    if (!w->geometry.overflow && number % 4 == 3) {
        fake_sync(&w->gateway, &w->device);
        rc = trib_client_save_acks(&w->device.client);
    }
    return rc;
}

/* Everything that came in, against the model. */
static void judge(const struct world *w)
{
    uint8_t seen[NUMBERS_MAX] = {0};
    uint32_t last[2] = {0, 0}, missing = 0;
    const struct fake_gateway *g = &w->gateway;
    for (size_t i = 0; i < g->event_count; i++) {
        uint32_t number = number_of(&g->events[i]);
        if (number == UINT32_MAX)
            continue;
        assert_true(number < w->next_number + 16 && number < NUMBERS_MAX);
        assert_int_equal(seen[number], 0);
        seen[number] = 1;
        unsigned lane = g->events[i].lane;
        assert_true(last[lane] == 0 || number > last[lane]);
        last[lane] = number;
    }
    for (uint32_t i = 1; i < w->durable_number; i++)
        missing += !seen[i];
    uint64_t overflow = g->dropped[TRIB_DROP_ROUTINE][TRIB_DROP_OVERFLOW];
    assert_true(missing <= overflow);
    assert_true(w->geometry.overflow || overflow == 0);
    for (unsigned reason = 0; reason < 5; reason++) {
        assert_int_equal(g->dropped[TRIB_DROP_VITAL][reason], 0);
        assert_int_equal(g->dropped[TRIB_DROP_UNKNOWN][reason], 0);
        assert_true(reason == TRIB_DROP_OVERFLOW || g->dropped[TRIB_DROP_ROUTINE][reason] == 0 ||
                    w->geometry.overflow);
    }
    assert_int_equal(g->stream_count, 2); /* a cut is no reason for a new stream */
    for (unsigned lane = 0; lane < 2; lane++)
        assert_int_equal(w->device.ram[lane].twice, 0);
}

static void power_on(struct world *w)
{
    for (unsigned lane = 0; lane < 2; lane++) {
        w->device.ram[lane].off = false;
        w->device.ram[lane].cut_after = TRIB_STORAGE_RAM_NO_CUT;
    }
}

/* A boot, and something new recorded. */
static int recover(struct world *w)
{
    memset(&w->device.client, 0xA5, sizeof w->device.client);
    w->next_number += 8; /* those of the step that was cut may be there or not: new ones are told apart */
    int rc = trib_init(&w->device.client, &w->device.config);
    if (rc < 0)
        return rc;
    w->device.source = trib_client_source;
    rc = record(w);
    if (rc == 0)
        rc = trib_flush(&w->device.client, 0);
    return rc;
}

static void deliver(struct world *w)
{
    fake_sync(&w->gateway, &w->device);
    judge(w);
    uint32_t number = w->next_number - 1;
    bool found = false;
    for (size_t i = w->gateway.event_count; i > 0 && !found; i--)
        found = number_of(&w->gateway.events[i - 1]) == number;
    assert_true(found);
}

/* A second cut at each byte of the recovery from the first one. */
static void cut_recovery(struct world *w, struct snapshot *at)
{
    save(at, w);
    uint64_t before[2] = {w->device.ram[0].bytes_done, w->device.ram[1].bytes_done};
    assert_int_equal(recover(w), 0);
    uint64_t after[2] = {w->device.ram[0].bytes_done, w->device.ram[1].bytes_done};
    for (unsigned lane = 0; lane < 2; lane++)
        for (uint64_t k = before[lane]; k < after[lane]; k++) {
            put_back(at, w);
            w->device.ram[lane].cut_after = k;
            /* Each boot leaves one unit out for what a cut may have left on the brink. Two cuts in a row that both
             * left nothing to be seen, in the same unit, cannot be told from one. */
            w->device.ram[lane].blank_is_fresh = true;
            if (recover(w) == 0)
                assert_true(false); /* the power went: something must have failed */
            power_on(w);
            assert_int_equal(recover(w), 0);
            deliver(w);
            second_cuts++;
        }
    put_back(at, w);
}

static void cut_step(struct world *w, unsigned number, const struct snapshot *before, struct snapshot *at,
                     unsigned lane, uint64_t k, enum trib_storage_ram_tear tear)
{
    put_back(before, w);
    w->device.ram[lane].cut_after = k;
    w->device.ram[lane].tear = tear;
    w->device.ram[lane].random = (uint32_t)(k * 2654435761u) | 1;
    (void)step(w, number); /* what it still finished may be fine */
    assert_true(w->device.ram[lane].off);
    power_on(w);
    if (cuts % (w->geometry.unit == 256 ? second_every * 64 : second_every) == 0)
        cut_recovery(w, at);
    assert_int_equal(recover(w), 0);
    deliver(w);
    cuts++;
}

static void run(struct geometry geometry)
{
    struct world *w = calloc(1, sizeof *w);
    struct snapshot before, at;
    w->geometry = geometry;
    w->next_number = 1;
    fake_device_init(&w->device, geometry.sector_bytes, geometry.sector_count, geometry.unit);
    w->device.ram[0].twin = &w->device.ram[1];
    w->device.ram[1].twin = &w->device.ram[0];
    fake_gateway_init(&w->gateway);
    snapshot_init(&before, w);
    snapshot_init(&at, w);
    assert_int_equal(fake_device_boot(&w->device), 0);
    fake_sync(&w->gateway, &w->device); /* so that the gateway knows the streams */
    uint64_t cuts_before = cuts, second_before = second_cuts;
    for (unsigned number = 0; number < STEPS; number++) {
        save(&before, w);
        uint64_t from[2] = {w->device.ram[0].bytes_done, w->device.ram[1].bytes_done};
        assert_int_equal(step(w, number), 0);
        uint64_t to[2] = {w->device.ram[0].bytes_done, w->device.ram[1].bytes_done};
        for (unsigned lane = 0; lane < 2; lane++)
            for (uint64_t k = from[lane]; k < to[lane]; k++) {
                cut_step(w, number, &before, &at, lane, k, TRIB_TEAR_PREFIX);
                cut_step(w, number, &before, &at, lane, k, TRIB_TEAR_BITS);
            }
        put_back(&before, w);
        assert_int_equal(step(w, number), 0);
    }
    assert_true(w->device.client.lanes[TRIB_LANE_ROUTINE].ring.sector_seq > 2);
    deliver(w);
    printf("sector %u x %u, unit %u%s: %llu cuts, %llu second cuts, sectors used %u and %u\n",
           geometry.sector_bytes, geometry.sector_count, geometry.unit, geometry.overflow ? ", overflow" : "",
           (unsigned long long)(cuts - cuts_before), (unsigned long long)(second_cuts - second_before),
           w->device.client.lanes[0].ring.sector_seq, w->device.client.lanes[1].ring.sector_seq);
    snapshot_free(&before);
    snapshot_free(&at);
    fake_device_free(&w->device);
    fake_gateway_free(&w->gateway);
    free(w);
}

static void test_cut_at_every_byte_unit_1(void **state)
{
    (void)state;
    run((struct geometry){512, 4, 1, false});
}

static void test_cut_at_every_byte_unit_8(void **state)
{
    (void)state;
    run((struct geometry){512, 5, 8, false});
}

static void test_cut_at_every_byte_unit_32(void **state)
{
    (void)state;
    run((struct geometry){1024, 4, 32, false});
}

static void test_cut_at_every_byte_unit_256(void **state)
{
    (void)state;
    run((struct geometry){2048, 4, 256, false});
}

static void test_cut_at_every_byte_while_dropping(void **state)
{
    (void)state;
    run((struct geometry){384, 3, 1, true});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut_at_every_byte_unit_1),
        cmocka_unit_test(test_cut_at_every_byte_unit_8),
        cmocka_unit_test(test_cut_at_every_byte_unit_32),
        cmocka_unit_test(test_cut_at_every_byte_unit_256),
        cmocka_unit_test(test_cut_at_every_byte_while_dropping),
    };
    const char *every = getenv("TRIB_CUT_SECOND_EVERY");
    if (every && strtoul(every, NULL, 10) > 0)
        second_every = (unsigned)strtoul(every, NULL, 10);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    printf("%llu cuts, each at another byte or tear, and %llu second cuts during the recovery\n",
           (unsigned long long)cuts, (unsigned long long)second_cuts);
    return failed;
}
