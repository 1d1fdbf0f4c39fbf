/*
 * The totals of an end that is made up after a power cut come from flash: what reads as another thing than it was, or
 * was put there by somebody, is left out, and the end says that its totals are missing.
 */
#include "support/fake_device.h"
#include "wire/crc32c.h"

#define PLAYED_MS 10000u /* when the first checkpoint is */
#define LIVED_MS 12000u
#define IS_MISSING UINT64_MAX

struct world {
    struct fake_device device;
    struct trib_session session;
    struct trib_storage sound; /* the routine lane's, without what `read` does to it */
    uint32_t address;          /* of the checkpoint's byte that is struck */
    unsigned reads, struck;    /* reads of it; which of them is */
};

/* The struck read finds one bit another than it is: a cell that the power had torn. */
static int read_struck(void *context, uint32_t address, void *out, uint32_t length)
{
    struct world *w = context;
    int rc = w->sound.read(w->sound.context, address, out, length);
    if (w->address - address < length && ++w->reads == w->struck)
        ((uint8_t *)out)[w->address - address] ^= 0x10;
    return rc;
}

static int program(void *context, uint32_t address, const void *data, uint32_t length)
{
    struct world *w = context;
    return w->sound.program(w->sound.context, address, data, length);
}

static int erase(void *context, uint32_t sector)
{
    struct world *w = context;
    return w->sound.erase(w->sound.context, sector);
}

static int sync_all(void *context)
{
    struct world *w = context;
    return w->sound.sync(w->sound.context);
}

static void free_world(struct world *w)
{
    fake_device_free(&w->device);
    free(w);
}

/* Where the played time's number stands: the checkpoint, and the CRC's seed. */
static void find_checkpoint(struct world *w, struct trib_ring_record *out, uint32_t *out_seed)
{
    static const uint8_t played[] = {0xA1, TRIB_FIELD_PLAYED_MS, 0x19, PLAYED_MS >> 8, PLAYED_MS & 0xFF};
    const struct trib_ring *r = &w->device.client.lanes[TRIB_LANE_ROUTINE].ring;
    struct trib_ring_cursor c;
    assert_int_equal(trib_ring_seek(r, 0, &c), 0);
    do
        assert_int_equal(trib_ring_next(r, &c, out), 1);
    while (out->kind != TRIB_EVENT_CHECKPOINT);
    *out_seed = c.seed;
    assert_int_equal(out->data_bytes, sizeof played);
    assert_memory_equal(w->device.flash[TRIB_LANE_ROUTINE] + out->data, played, sizeof played);
    w->address = out->data + 3;
}

/* A session of twelve seconds, with a checkpoint at ten; all of it is durable. */
static struct world *new_world(void)
{
    static const struct trib_content content = {.content_id = "c"};
    struct trib_player playing = {.report = TRIB_PLAYER_PLAYING, .position_ms = UINT64_MAX};
    struct trib_player paused = {.report = TRIB_PLAYER_PAUSED, .position_ms = UINT64_MAX};
    struct world *w = calloc(1, sizeof *w);
    uint32_t next;
    fake_device_init(&w->device, 1024, 8, 1);
    w->device.now_ms = 0;
    w->sound = w->device.config.storage[TRIB_LANE_ROUTINE];
    w->device.config.storage[TRIB_LANE_ROUTINE].context = w;
    w->device.config.storage[TRIB_LANE_ROUTINE].read = read_struck;
    w->device.config.storage[TRIB_LANE_ROUTINE].program = program;
    w->device.config.storage[TRIB_LANE_ROUTINE].erase = erase;
    w->device.config.storage[TRIB_LANE_ROUTINE].sync = sync_all;
    w->address = UINT32_MAX;
    assert_int_equal(fake_device_boot(&w->device), 0);
    assert_int_equal(trib_session_start(&w->device.client, &w->session, &content), 0);
    assert_int_equal(trib_session_report(&w->session, &playing), 0);
    w->device.now_ms = PLAYED_MS;
    assert_int_equal(trib_poll(&w->device.client, &next), 0);
    w->device.now_ms = LIVED_MS;
    assert_int_equal(trib_session_report(&w->session, &paused), 0);
    assert_int_equal(trib_flush(&w->device.client, 0), 0);
    return w;
}

/* The power goes and comes; what the made-up end says of the played time. */
static uint64_t played_after_cut(struct world *w)
{
    const struct trib_ring *r = &w->device.client.lanes[TRIB_LANE_VITAL].ring;
    struct trib_ring_cursor c;
    struct trib_ring_record end;
    struct trib_cbor_reader fields;
    uint64_t played = 0;
    unsigned ends = 0;
    bool missing = false;
    assert_int_equal(fake_device_boot(&w->device), 0);
    assert_int_equal(trib_ring_seek(r, 0, &c), 0);
    while (trib_ring_next(r, &c, &end) == 1) {
        if (end.kind != TRIB_EVENT_SESSION_END)
            continue;
        ends++;
        trib_cbor_reader_init(&fields, w->device.flash[TRIB_LANE_VITAL] + end.data, end.data_bytes);
        struct trib_cbor_container map = trib_cbor_get_map(&fields);
        while (trib_cbor_next(&fields, &map)) {
            uint64_t key = trib_cbor_get_uint(&fields);
            missing = missing || key == TRIB_FIELD_TOTALS_MISSING;
            if (key == TRIB_FIELD_PLAYED_MS)
                played = trib_cbor_get_uint(&fields);
            else
                trib_cbor_skip(&fields);
        }
        assert_true(trib_cbor_at_end(&fields));
    }
    assert_int_equal(ends, 1);
    assert_true(!missing || played == 0);
    return missing ? IS_MISSING : played;
}

/* The checkpoint with other bytes for its played time, and a CRC that is right. */
static uint64_t played_of_forged(const uint8_t number[3])
{
    struct world *w = new_world();
    struct trib_ring_record record;
    uint32_t seed;
    find_checkpoint(w, &record, &seed);
    uint8_t *start = w->device.flash[TRIB_LANE_ROUTINE] + record.data - record.head;
    uint8_t *end = w->device.flash[TRIB_LANE_ROUTINE] + record.data + record.data_bytes;
    bool first = trib_get_u32(end) != trib_crc32c(seed, start, (size_t)(end - start));
    memcpy(end - 3, number, 3);
    uint32_t crc = trib_crc32c(seed, start, (size_t)(end - start));
    trib_put_u32(end, first ? ~crc : crc);
    w->address = UINT32_MAX;
    uint64_t played = played_after_cut(w);
    free_world(w);
    return played;
}

static void test_a_forged_checkpoint_tells_of_no_longer_than_the_session_lived(void **state)
{
    (void)state;
    assert_int_equal(played_of_forged((const uint8_t[]){0x19, LIVED_MS >> 8, LIVED_MS & 0xFF}), LIVED_MS);
    assert_int_equal(played_of_forged((const uint8_t[]){0x19, LIVED_MS >> 8, (LIVED_MS & 0xFF) + 1}),
                     IS_MISSING);
    assert_int_equal(played_of_forged((const uint8_t[]){0x19, 0xFF, 0xFF}), IS_MISSING);
    assert_int_equal(played_of_forged((const uint8_t[]){0x39, 0x00, 0x01}),
                     IS_MISSING); /* a negative number */
    assert_int_equal(played_of_forged((const uint8_t[]){0x59, 0x00, 0x01}),
                     IS_MISSING); /* bytes, beyond the end */
    assert_int_equal(played_of_forged((const uint8_t[]){0x01, 0x04, 0x01}),
                     IS_MISSING); /* more than the map */
}

static void test_a_checkpoint_that_reads_differently_is_not_believed(void **state)
{
    (void)state;
    unsigned missing = 0, reads = 1;
    for (unsigned struck = 1; struck <= reads; struck++) {
        struct world *w = new_world();
        struct trib_ring_record record;
        uint32_t seed;
        find_checkpoint(w, &record, &seed);
        w->reads = 0;
        w->struck = struck;
        assert_int_equal(fake_device_boot(&w->device), 0);
        reads = w->reads;
        w->struck = 0;
        w->address = UINT32_MAX;
        uint64_t played = played_after_cut(w);
        assert_true(played == PLAYED_MS || played == IS_MISSING);
        missing += played == IS_MISSING;
        free_world(w);
    }
    assert_true(missing > 0 && missing < reads);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_forged_checkpoint_tells_of_no_longer_than_the_session_lived),
        cmocka_unit_test(test_a_checkpoint_that_reads_differently_is_not_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
