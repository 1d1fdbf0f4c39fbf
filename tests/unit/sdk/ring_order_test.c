/* The order of what a ring asks of its medium, which a file or an eMMC may else change when the power goes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "journal/journal.h"
#include "storage_ram.h"

#define SECTOR_BYTES 512u
#define SECTORS 4u

static struct trib_storage_ram ram;
static struct trib_storage under;
static bool erase_pending;
static unsigned erases;

static int watched_program(void *context, uint32_t address, const void *data, uint32_t length)
{
    assert_false(erase_pending);
    return under.program(context, address, data, length);
}

static int watched_erase(void *context, uint32_t sector)
{
    erase_pending = true;
    erases++;
    return under.erase(context, sector);
}

static int watched_sync(void *context)
{
    erase_pending = false;
    return under.sync(context);
}

static void test_a_header_is_programmed_only_after_its_erase_is_synced(void **state)
{
    static uint8_t bytes[SECTOR_BYTES * SECTORS];
    struct trib_ring ring;
    struct trib_ring_found found;
    struct trib_ring_start start = {.stream = 1, .first_pos = UINT64_MAX, .boot = 1};
    uint64_t dropped;
    (void)state;
    memset(bytes, 0xFF, sizeof bytes);
    trib_storage_ram_init(&ram, bytes, SECTOR_BYTES, SECTORS, 1);
    under = trib_storage_ram(&ram);
    struct trib_storage storage = under;
    storage.program = watched_program;
    storage.erase = watched_erase;
    storage.sync = watched_sync;
    assert_int_equal(trib_ring_mount(&ring, &storage, &found), 0);
    trib_ring_boot(&ring, 1);
    for (unsigned i = 0; i < 2 * SECTORS; i++)
        assert_int_equal(trib_ring_open(&ring, i == 0 ? &start : NULL, TRIB_RING_DROP_OLDEST, &dropped), 0);
    assert_true(erases >= 2 * SECTORS);
}

/*
 * The power goes when the next sector's header is there, whole or nearly, and its predecessor is not sealed: nothing shows
 * that it is durable, and it may read otherwise next time. So it is gone before anything new is written.
 */
static void test_a_header_that_may_be_torn_is_erased_and_not_believed(void **state)
{
    static uint8_t bytes[SECTOR_BYTES * SECTORS];
    struct trib_ring ring;
    struct trib_ring_found found;
    struct trib_ring_start start = {.stream = 1, .first_pos = UINT64_MAX, .boot = 1};
    uint64_t dropped;
    (void)state;
    for (unsigned flipped = 0; flipped < 2; flipped++) {
        memset(bytes, 0xFF, sizeof bytes);
        trib_storage_ram_init(&ram, bytes, SECTOR_BYTES, SECTORS, 1);
        struct trib_storage storage = trib_storage_ram(&ram);
        assert_int_equal(trib_ring_mount(&ring, &storage, &found), 0);
        trib_ring_boot(&ring, 1);
        assert_int_equal(trib_ring_open(&ring, &start, TRIB_RING_DROP_OLDEST, &dropped), 0);
        assert_int_equal(trib_ring_open(&ring, NULL, TRIB_RING_DROP_OLDEST, &dropped), 0);
        memset(bytes + SECTOR_BYTES - 4, 0xFF, 4); /* the seal, as if the power had gone before it */
        if (flipped)
            bytes[SECTOR_BYTES + 20] ^= 1;
        assert_int_equal(trib_ring_mount(&ring, &storage, &found), 0);
        assert_int_equal(found.verdict, TRIB_RING_GOOD);
        assert_int_equal(ring.sector, 0);
        for (unsigned i = 0; i < SECTOR_BYTES; i++)
            assert_int_equal(bytes[SECTOR_BYTES + i], 0xFF);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_header_is_programmed_only_after_its_erase_is_synced),
        cmocka_unit_test(test_a_header_that_may_be_torn_is_erased_and_not_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
