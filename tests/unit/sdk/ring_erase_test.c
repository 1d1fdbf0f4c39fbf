/* Erasure: after the intent is durable nothing older comes back, wherever the power goes, and no byte of it is left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "journal/journal.h"
#include "storage_ram.h"
#include "wire/vocabulary.h"

#define SECTOR_BYTES 512u
#define SECTORS 5u
#define BYTES (SECTOR_BYTES * SECTORS)

static struct trib_storage_ram ram;
static uint8_t bytes[BYTES], image[BYTES];

static struct trib_storage port(void)
{
    trib_storage_ram_init(&ram, bytes, SECTOR_BYTES, SECTORS, 1);
    return trib_storage_ram(&ram);
}

/* A ring full of events, each with the word that must go, and a context with it. */
static void fill(struct trib_ring *r, const struct trib_storage *s)
{
    struct trib_ring_found found;
    struct trib_ring_start start = {.stream = 7, .first_pos = UINT64_MAX, .boot = 1};
    struct trib_ring_writer w;
    uint64_t dropped;
    assert_int_equal(trib_ring_mount(r, s, &found), 0);
    trib_ring_boot(r, 1);
    assert_int_equal(trib_ring_open(r, &start, TRIB_RING_DROP_OLDEST, &dropped), 0);
    trib_ring_begin(&w, r);
    assert_int_equal(trib_ring_put_context(&w, 1, 5, "film", 4, "SECRET", 6), 0);
    assert_int_equal(trib_ring_commit(&w), 0);
    for (uint32_t ord = 1; r->sector_seq < SECTORS; ord++) {
        trib_ring_begin(&w, r);
        int rc = trib_ring_put_event(&w, 9, 1, 100, ord, (const uint8_t *)"SECRET", 6);
        assert_int_equal(trib_ring_commit(&w), 0);
        if (rc == TRIB_ESPACE)
            assert_int_equal(trib_ring_open(r, NULL, TRIB_RING_DROP_OLDEST, &dropped), 0);
    }
}

static bool secret_left(void)
{
    for (uint32_t i = 0; i + 3 < BYTES; i++)
        if (memcmp(bytes + i, "SECR", 4) == 0)
            return true;
    return false;
}

static int erase(struct trib_ring *r)
{
    struct trib_ring_start start = {
        .stream = 8, .first_pos = UINT64_MAX, .boot = 1, .reason = TRIB_START_REASON_ERASED};
    uint64_t dropped;
    int rc = trib_ring_open(r, &start, TRIB_RING_DROP_OLDEST, &dropped);
    return rc < 0 ? rc : trib_ring_erase_others(r);
}

/* After a boot: either nothing was begun, or all is done. */
static void judge(const struct trib_storage *s, uint32_t generation, uint64_t *out_stream)
{
    struct trib_ring r;
    struct trib_ring_found found;
    struct trib_ring_cursor c;
    struct trib_ring_record record;
    assert_int_equal(trib_ring_mount(&r, s, &found), 0);
    assert_int_equal(found.verdict, TRIB_RING_GOOD);
    assert_int_equal(trib_ring_erase_others(&r), 0);
    *out_stream = r.stream;
    if (r.stream == 7) {
        assert_int_equal(r.generation, generation);
        return;
    }
    assert_int_equal(r.stream, 8);
    assert_int_equal(r.generation, generation + 1);
    assert_false(secret_left());
    assert_true(r.acked_pos == r.first_pos && !r.start_acked);
    assert_int_equal(trib_ring_seek(&r, 0, &c), 0);
    while (trib_ring_next(&r, &c, &record) > 0)
        assert_true(record.kind >= TRIB_RECORD_BASE);
}

static void test_erasure_is_whole_wherever_the_power_goes(void **state)
{
    struct trib_storage s = port();
    struct trib_ring r, before;
    unsigned kept = 0, gone = 0;
    uint64_t stream;
    (void)state;
    memset(bytes, 0xFF, sizeof bytes);
    fill(&r, &s);
    memcpy(image, bytes, sizeof bytes);
    before = r;
    uint64_t from = ram.bytes_done;
    assert_int_equal(erase(&r), 0);
    assert_int_equal(r.generation, before.generation + 1);
    assert_false(secret_left());
    uint64_t length = ram.bytes_done - from;
    for (uint64_t k = 0; k < length; k++) {
        memcpy(bytes, image, sizeof bytes);
        s = port();
        r = before;
        ram.cut_after = k;
        assert_true(erase(&r) < 0);
        ram.off = false;
        /* And again in the recovery, a little later each time. */
        ram.cut_after = ram.bytes_done + k % 700;
        struct trib_ring again;
        struct trib_ring_found found;
        int rc = trib_ring_mount(&again, &s, &found);
        rc = rc ? rc : trib_ring_erase_others(&again);
        assert_true(rc == 0 || ram.off);
        ram.off = false;
        ram.cut_after = TRIB_STORAGE_RAM_NO_CUT;
        judge(&s, before.generation, &stream);
        kept += stream == 7;
        gone += stream == 8;
    }
    printf("%u cuts: %u before the intent, %u after it\n", (unsigned)length, kept, gone);
    assert_true(kept > 0 && gone > 0);
}

static void test_a_wiped_ring_is_wiped_once(void **state)
{
    struct trib_storage s = port();
    struct trib_ring r;
    struct trib_ring_found found;
    uint64_t dropped;
    (void)state;
    memset(bytes, 0xFF, sizeof bytes);
    fill(&r, &s);
    assert_int_equal(erase(&r), 0);
    for (unsigned i = 0; i < 2; i++) {
        uint64_t done = ram.bytes_done;
        assert_int_equal(trib_ring_mount(&r, &s, &found), 0);
        assert_int_equal(trib_ring_erase_others(&r), 0);
        assert_int_equal(ram.bytes_done, done);
        trib_ring_boot(&r, 2 + i);
        assert_int_equal(trib_ring_open(&r, NULL, TRIB_RING_DROP_OLDEST, &dropped), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_erasure_is_whole_wherever_the_power_goes),
        cmocka_unit_test(test_a_wiped_ring_is_wiped_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
