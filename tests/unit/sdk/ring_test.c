/* The ring by itself: what lies on the medium, overhead, mounting, and damage of any kind. */
#include "support/fake_device.h"

#define EVENTS 220
#define SECTOR 1024u
#define SECTORS 10u

struct world {
    struct fake_device device;
    struct fake_gateway gateway;
    uint8_t *image[TRIB_LANE_COUNT];
    bool may_look_older; /* the damage may leave a whole journal of an earlier moment */
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    fake_device_init(&w->device, SECTOR, SECTORS, 1);
    fake_gateway_init(&w->gateway);
    assert_int_equal(fake_device_boot(&w->device), 0);
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++)
        w->image[lane] = malloc(SECTOR * SECTORS);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    fake_device_free(&w->device);
    fake_gateway_free(&w->gateway);
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++)
        free(w->image[lane]);
    free(w);
    return 0;
}

static int custom(struct world *w, int64_t number)
{
    uint8_t buffer[64];
    struct trib_custom event;
    trib_custom_begin(&event, buffer, sizeof buffer, "t");
    trib_custom_int(&event, "n", number);
    return trib_custom_record(&w->device.client, &event);
}

/* The number in the fields that custom() made: its last item but the break. */
static uint32_t number_of(const uint8_t *fields, size_t length)
{
    struct trib_cbor_reader r;
    size_t len;
    trib_cbor_reader_init(&r, fields, length);
    (void)trib_cbor_get_map(&r);
    for (int i = 0; i < 3; i++)
        trib_cbor_skip(&r);
    (void)trib_cbor_get_map(&r);
    (void)trib_cbor_get_text(&r, &len);
    return (uint32_t)trib_cbor_get_uint(&r);
}

static uint32_t seed = 1;

static uint32_t random_below(uint32_t limit)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed % limit;
}

static void fill(struct world *w, uint8_t sector_of[EVENTS])
{
    for (int i = 0; i < EVENTS; i++) {
        assert_int_equal(custom(w, i), 0);
        if (i % 3 == 2)
            assert_int_equal(trib_flush(&w->device.client, 0), 0);
        if (i == EVENTS / 2) /* a boot in the middle: bases are not at sectors' starts only */
            assert_int_equal(trib_flush(&w->device.client, 0) + fake_device_boot(&w->device), 0);
    }
    assert_int_equal(trib_flush(&w->device.client, 0), 0);
    const struct trib_ring *r = &w->device.client.lanes[TRIB_LANE_ROUTINE].ring;
    struct trib_ring_cursor c;
    struct trib_ring_record record;
    uint8_t fields[64];
    assert_int_equal(trib_ring_seek(r, 0, &c), 0);
    while (trib_ring_next(r, &c, &record) > 0)
        if (record.kind == TRIB_EVENT_CUSTOM) {
            assert_int_equal(r->storage->read(r->storage->context, record.data, fields, record.data_bytes),
                             0);
            sector_of[number_of(fields, record.data_bytes)] = (uint8_t)c.sector;
        }
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++)
        memcpy(w->image[lane], w->device.flash[lane], SECTOR * SECTORS);
}

/* Boots on a damaged image: never fails, and what lies in sectors that were not hit arrives. */
static unsigned boot_damaged(struct world *w, const uint8_t sector_of[EVENTS], const bool hit[SECTORS])
{
    uint8_t seen[EVENTS] = {0};
    unsigned arrived = 0;
    struct fake_event *events = w->gateway.events;
    memset(&w->gateway, 0, sizeof w->gateway);
    w->gateway.events = events;
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++)
        memset(w->device.written[lane], 0, SECTOR * SECTORS);
    assert_int_equal(fake_device_boot(&w->device), 0);
    assert_int_equal(custom(w, EVENTS), 0);
    assert_int_equal(trib_flush(&w->device.client, 0), 0);
    fake_sync(&w->gateway, &w->device);
    bool fresh = false;
    for (size_t i = 0; i < w->gateway.event_count; i++) {
        const struct fake_event *e = &w->gateway.events[i];
        if (e->type != TRIB_EVENT_CUSTOM)
            continue;
        uint32_t number = number_of(e->fields, e->fields_len);
        assert_true(number <= EVENTS);
        fresh = fresh || number == EVENTS;
        if (number == EVENTS)
            continue;
        assert_int_equal(seen[number], 0);
        seen[number] = 1;
        arrived++;
    }
    assert_true(fresh);
    for (unsigned i = 0; i < EVENTS; i++)
        if (!seen[i] && !hit[sector_of[i]])
            fail_msg("event %u was lost, but its sector %u was not hit", i, sector_of[i]);
    /* Not without a word: a declared drop, or a stream that says it follows a lost one. */
    if (arrived < EVENTS && !w->may_look_older) {
        uint64_t declared = 0;
        for (unsigned reason = 0; reason < 5; reason++)
            declared += w->gateway.dropped[TRIB_DROP_ROUTINE][reason];
        assert_true(declared > 0 || w->gateway.stream_count > 2 || w->device.client.damaged > 0);
    }
    return EVENTS - arrived;
}

static void restore(struct world *w)
{
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++)
        memcpy(w->device.flash[lane], w->image[lane], SECTOR * SECTORS);
}

static void test_flipped_bits_cost_their_sector_only(void **state)
{
    struct world *w = *state;
    uint8_t sector_of[EVENTS];
    uint64_t lost = 0, flips = 0;
    fill(w, sector_of);
    for (uint32_t round = 1; round <= 4000; round++) {
        bool hit[SECTORS] = {false};
        seed = round * 2654435761u | 1;
        restore(w);
        for (uint32_t i = 1 + random_below(6); i > 0; i--, flips++) {
            uint32_t at = random_below(SECTOR * SECTORS), lane = random_below(4) == 0 ? 0 : 1;
            w->device.flash[lane][at] ^= (uint8_t)(1u << random_below(8));
            hit[at / SECTOR] = hit[at / SECTOR] || lane == 1;
        }
        lost += boot_damaged(w, sector_of, hit);
    }
    printf("%llu flips in 4000 images: %llu events lost of %u, each in a sector that was hit\n",
           (unsigned long long)flips, (unsigned long long)lost, 4000 * EVENTS);
}

static void test_garbage_in_sectors_costs_those_only(void **state)
{
    struct world *w = *state;
    uint8_t sector_of[EVENTS];
    fill(w, sector_of);
    for (uint32_t round = 1; round <= 1000; round++) {
        bool hit[SECTORS] = {false};
        seed = round * 2654435761u | 1;
        restore(w);
        for (uint32_t sectors = 1 + random_below(4); sectors > 0; sectors--) {
            uint32_t sector = random_below(SECTORS), from = random_below(SECTOR), to = random_below(SECTOR);
            hit[sector] = true;
            for (uint32_t i = from; i < to; i++)
                w->device.flash[1][sector * SECTOR + i] = round % 3 ? (uint8_t)random_below(256) : 0;
        }
        (void)boot_damaged(w, sector_of, hit);
    }
}

static void test_an_image_that_was_cut_off_keeps_its_beginning(void **state)
{
    struct world *w = *state;
    uint8_t sector_of[EVENTS];
    /* Cut between two records it is a journal of an earlier moment: only the gateway can tell (roll-back). */
    w->may_look_older = true;
    fill(w, sector_of);
    for (uint32_t length = 0; length < SECTOR * SECTORS; length += 37) {
        bool hit[SECTORS] = {false};
        restore(w);
        memset(w->device.flash[1] + length, 0xFF, SECTOR * SECTORS - length);
        for (uint32_t sector = length / SECTOR; sector < SECTORS; sector++)
            hit[sector] = true;
        (void)boot_damaged(w, sector_of, hit);
    }
}

static void test_nothing_but_garbage_is_a_lost_journal(void **state)
{
    struct world *w = *state;
    uint64_t old = w->device.client.lanes[1].ring.stream;
    for (uint32_t round = 1; round <= 300; round++) {
        seed = round;
        for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++)
            for (uint32_t i = 0; i < SECTOR * SECTORS; i++)
                w->device.flash[lane][i] = (uint8_t)random_below(256);
        assert_int_equal(fake_device_boot(&w->device), 0);
        assert_int_not_equal(w->device.client.lanes[1].ring.stream, old);
        assert_int_equal(custom(w, 1), 0);
        assert_int_equal(trib_flush(&w->device.client, 0), 0);
    }
    fake_sync(&w->gateway, &w->device);
    assert_int_equal(fake_count(&w->gateway, TRIB_EVENT_CUSTOM), 1);
}

static void test_a_lost_newest_sector_starts_a_new_stream(void **state)
{
    struct world *w = *state;
    uint8_t sector_of[EVENTS];
    bool hit[SECTORS] = {false};
    fill(w, sector_of);
    const struct trib_ring *r = &w->device.client.lanes[1].ring;
    uint64_t old = r->stream;
    w->device.flash[1][r->sector * SECTOR + 20] ^=
        4; /* in its header: seqs may have been used that nobody knows */
    hit[r->sector] = true;
    (void)boot_damaged(w, sector_of, hit);
    assert_int_not_equal(w->device.client.lanes[1].ring.stream, old);
}

/* Each event costs at most 12 bytes more than its fields, at byte granularity. */
static void test_a_record_has_at_most_12_bytes_of_overhead(void **state)
{
    struct world *w = *state;
    struct trib_session session;
    struct trib_content content = {.content_id = "a-movie", .duration_ms = 3600000};
    const struct trib_ring *r = &w->device.client.lanes[1].ring;
    assert_int_equal(trib_session_start(&w->device.client, &session, &content), 0);
    assert_int_equal(trib_flush(&w->device.client, 0), 0);
    uint32_t worst = 0;
    for (int i = 0; i < 20; i++) {
        struct trib_player rate = {
            .report = TRIB_PLAYER_RATE, .position_ms = 1000u * (unsigned)i, .value = 1001 + i};
        uint32_t before = r->offset, sector = r->sector;
        w->device.now_ms += 9000;
        assert_int_equal(trib_session_report(&session, &rate), 0);
        assert_int_equal(trib_flush(&w->device.client, 0), 0);
        if (r->sector != sector)
            continue;
        struct trib_ring_cursor c;
        struct trib_ring_record record;
        assert_int_equal(trib_ring_seek(r, r->head_pos - 1, &c), 0);
        assert_int_equal(trib_ring_next(r, &c, &record), 1);
        uint32_t overhead = r->offset - before - record.data_bytes;
        worst = overhead > worst ? overhead : worst;
    }
    printf("overhead of a record: %u bytes at most\n", worst);
    assert_true(worst <= 12);
    assert_int_equal(trib_session_end(&session, TRIB_REASON_QUIT), 0);
}

static void test_erases_are_spread_evenly(void **state)
{
    struct world *w = *state;
    uint32_t count[SECTORS] = {0};
    for (int i = 0; i < 1500; i++) {
        uint32_t before = w->device.client.lanes[1].ring.sector_seq;
        assert_int_equal(custom(w, i), 0);
        assert_int_equal(trib_flush(&w->device.client, 0), 0);
        if (w->device.client.lanes[1].ring.sector_seq != before)
            count[w->device.client.lanes[1].ring.sector]++;
    }
    uint32_t least = UINT32_MAX, most = 0;
    for (unsigned i = 0; i < SECTORS; i++) {
        least = count[i] < least ? count[i] : least;
        most = count[i] > most ? count[i] : most;
    }
    assert_true(least > 0);
    assert_true(most - least <= 1);
    assert_int_equal(w->device.ram[1].twice, 0);
}

static void test_many_boots_do_not_eat_the_ring(void **state)
{
    struct world *w = *state;
    assert_int_equal(custom(w, 1), 0);
    assert_int_equal(trib_flush(&w->device.client, 0), 0);
    for (int i = 0; i < 256; i++)
        assert_int_equal(fake_device_boot(&w->device), 0);
    assert_int_equal(w->device.client.lanes[1].ring.sector_seq, 1);
    for (int i = 0; i < 256; i++) {
        assert_int_equal(fake_device_boot(&w->device), 0);
        if (i % 16 == 0)
            assert_int_equal(custom(w, 2 + i), 0);
        assert_int_equal(trib_flush(&w->device.client, 0), 0);
    }
    fake_sync(&w->gateway, &w->device);
    assert_int_equal(fake_count(&w->gateway, TRIB_EVENT_CUSTOM), 17);
    /* Boots that record nothing leave no trace. */
    assert_int_equal(w->gateway.events[w->gateway.event_count - 1].boot, 17);
}

static void test_another_geometry_is_not_believed(void **state)
{
    struct world *w = *state;
    assert_int_equal(custom(w, 1), 0);
    assert_int_equal(trib_flush(&w->device.client, 0), 0);
    uint64_t old = w->device.client.lanes[1].ring.stream;
    w->device.config.storage[1].sector_bytes = 2048;
    w->device.config.storage[1].sector_count = 5;
    w->device.ram[1].sector_bytes = 2048;
    w->device.ram[1].sector_count = 5;
    assert_int_equal(fake_device_boot(&w->device), 0);
    assert_int_not_equal(w->device.client.lanes[1].ring.stream, old);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        CASE(test_flipped_bits_cost_their_sector_only),
        CASE(test_garbage_in_sectors_costs_those_only),
        CASE(test_an_image_that_was_cut_off_keeps_its_beginning),
        CASE(test_nothing_but_garbage_is_a_lost_journal),
        CASE(test_a_lost_newest_sector_starts_a_new_stream),
        CASE(test_a_record_has_at_most_12_bytes_of_overhead),
        CASE(test_erases_are_spread_evenly),
        CASE(test_many_boots_do_not_eat_the_ring),
        CASE(test_another_geometry_is_not_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
