/* ports/nor on a simulated part: the contract, and what real parts do to careless drivers. */
#include "suite.h"
#include "support/fake_device.h"
#include "support/nor_chip.h"

#define PAGE 256u
#define ERASE 4096u

/* A part with one lane in it that does not begin at 0. */
struct board {
    struct nor_chip chip;
    struct trib_spi_nor spi;
    struct trib_nor nor;
    struct trib_nor_config config;
    struct trib_storage storage;
};

static void board_init(struct board *b, uint32_t unit, uint32_t sector_bytes, bool mapped)
{
    memset(b, 0, sizeof *b);
    nor_chip_init(&b->chip, 64 * ERASE, PAGE, ERASE, unit);
    b->spi =
        (struct trib_spi_nor){.context = &b->chip, .transfer = nor_chip_transfer, .pause = nor_chip_pause};
    b->config = (struct trib_nor_config){.driver = trib_spi_nor_driver(&b->spi),
                                         .mapped = mapped ? b->chip.cache : NULL,
                                         .start = 8 * ERASE,
                                         .sector_bytes = sector_bytes,
                                         .sector_count = 16 * ERASE / sector_bytes,
                                         .erase_bytes = ERASE,
                                         .page_bytes = PAGE,
                                         .program_bytes = unit};
    if (mapped)
        b->config.driver.invalidate = nor_chip_invalidate;
}

static void board_open(struct board *b)
{
    assert_int_equal(trib_nor_open(&b->nor, &b->config, &b->storage), 0);
}

static int reopen(void *context)
{
    struct board *b = context;
    return trib_nor_open(&b->nor, &b->config, &b->storage);
}

static void break_medium(void *context, bool broken)
{
    struct board *b = context;
    b->chip.gone = broken;
}

static struct trib_conformance_ports ports_of(struct board *b)
{
    return (struct trib_conformance_ports){
        .storage = &b->storage,
        .hooks = {.context = b, .reopen = reopen, .break_medium = break_medium},
    };
}

static void assert_nothing_spoiled(const struct board *b)
{
    assert_int_equal(b->chip.wrapped, 0);
    assert_int_equal(b->chip.twice, 0);
    assert_int_equal(b->chip.while_busy, 0);
    assert_int_equal(b->chip.not_enabled, 0);
    for (uint32_t i = 0; i < b->chip.size; i++) /* the sectors of others */
        if (i < b->config.start || i >= b->config.start + 16 * ERASE)
            assert_int_equal(b->chip.bytes[i], 0xFF);
}

static void test_serial_nor_keeps_the_contract(void **state)
{
    (void)state;
    static const uint32_t units[] = {1, 2, 4, 8, 16, 32, 256};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        for (uint32_t sector = ERASE; sector <= 2 * ERASE; sector += ERASE) {
            struct board b;
            board_init(&b, units[i], sector, false);
            board_open(&b);
            struct trib_conformance_ports ports = ports_of(&b);
            suite_passes(&ports, 1); /* nobody else can open a part */
            assert_nothing_spoiled(&b);
            nor_chip_free(&b.chip);
        }
}

static void test_mapped_nor_keeps_the_contract(void **state)
{
    (void)state;
    struct board b;
    board_init(&b, 1, ERASE, true);
    board_open(&b);
    b.config.driver.read = NULL; /* reads need no driver */
    board_open(&b);
    struct trib_conformance_ports ports = {.storage = &b.storage};
    suite_passes(&ports, 3);
    assert_nothing_spoiled(&b);
    b.config.driver.invalidate = NULL; /* and without that the cache's old bytes are seen */
    board_open(&b);
    suite_notices(&ports, "storage.program_reads_back");
    nor_chip_free(&b.chip);
}

static void test_programs_that_are_not_cut_at_page_ends_are_noticed(void **state)
{
    (void)state;
    struct board b;
    board_init(&b, 1, ERASE, false);
    b.config.page_bytes = ERASE; /* a lie: the part's pages have 256 bytes */
    board_open(&b);
    struct trib_conformance_ports ports = ports_of(&b);
    suite_notices(&ports, "storage.program_many_units");
    assert_true(b.chip.wrapped > 0);
    nor_chip_free(&b.chip);
}

static void test_a_part_that_stays_busy_is_given_up_in_time(void **state)
{
    (void)state;
    struct board b;
    uint8_t byte = 0, unit[1] = {0x12};
    board_init(&b, 1, ERASE, false);
    b.config.program_timeout_us = 3000;
    b.config.erase_timeout_us = 400000;
    board_open(&b);
    uint64_t from = b.chip.now_us;
    b.chip.program_us = 1000000;
    assert_int_equal(b.storage.program(b.storage.context, 0, unit, 1), TRIB_EIO);
    assert_in_range(b.chip.now_us - from, 3000, 3000 + 2000);
    assert_int_equal(b.storage.program(b.storage.context, 1, unit, 1), TRIB_EIO); /* still at the first one */
    b.chip.program_us = 700;
    b.chip.busy_until_us = b.chip.now_us + 100000;
    assert_int_equal(b.storage.program(b.storage.context, 2, unit, 1),
                     0); /* it waits for work that is left over */
    b.chip.stuck = true;
    from = b.chip.now_us;
    assert_int_equal(b.storage.erase(b.storage.context, 0), TRIB_EIO);
    assert_int_equal(b.storage.sync(b.storage.context), TRIB_EIO);
    assert_in_range(b.chip.now_us - from, 2 * 400000, 2 * 410000);
    struct trib_nor other;
    struct trib_storage storage;
    assert_int_equal(trib_nor_open(&other, &b.config, &storage), TRIB_EIO);
    b.chip.stuck = false;
    b.chip.now_us += 1000000;
    assert_int_equal(b.storage.read(b.storage.context, 0, &byte, 1),
                     0); /* and it goes on when the part does */
    assert_int_equal(b.storage.erase(b.storage.context, 0), 0);
    assert_int_equal(b.chip.while_busy, 0); /* no command went to a part at work */
    nor_chip_free(&b.chip);
}

static void test_a_protected_block_is_an_error_and_not_silence(void **state)
{
    (void)state;
    struct board b;
    const uint8_t data[4] = {1, 2, 3, 4};
    board_init(&b, 1, ERASE, false);
    board_open(&b);
    b.chip.protected_from = b.config.start + ERASE;
    b.chip.protected_to = b.config.start + 2 * ERASE;
    assert_int_equal(b.storage.program(b.storage.context, ERASE, data, 4), TRIB_EIO);
    b.chip.bytes[b.chip.protected_from + 7] = 0; /* so that there is something to erase */
    assert_int_equal(b.storage.erase(b.storage.context, 1), TRIB_EIO);
    assert_int_equal(b.chip.bytes[b.chip.protected_from + 7], 0);
    assert_int_equal(b.storage.program(b.storage.context, 0, data, 4), 0);
    nor_chip_free(&b.chip);
}

static void test_a_part_that_is_not_there_is_an_error(void **state)
{
    (void)state;
    struct board b;
    board_init(&b, 1, ERASE, false);
    b.chip.silent = true; /* no part: the bus reads as ones, which is "at work" */
    assert_int_equal(trib_nor_open(&b.nor, &b.config, &b.storage), TRIB_EIO);
    b.chip.silent = false;
    b.chip.gone = true;
    assert_int_equal(trib_nor_open(&b.nor, &b.config, &b.storage), TRIB_EIO);
    nor_chip_free(&b.chip);
}

static void test_geometry_that_no_ring_can_use_is_refused(void **state)
{
    (void)state;
    struct board b;
    board_init(&b, 1, ERASE, false);
    const struct trib_nor_config good = b.config;
    struct trib_nor_config bad[8];
    for (size_t i = 0; i < 8; i++)
        bad[i] = good;
    bad[0].sector_count = 2;
    bad[1].program_bytes = 3;
    bad[2].start = 100; /* inside an erase unit */
    bad[3].sector_bytes = ERASE + 256;
    bad[4].program_bytes = 64;
    bad[5].driver.status = NULL;
    bad[6].page_bytes = 12, bad[6].program_bytes = 8;
    bad[7].sector_count = UINT32_MAX / ERASE + 1;
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(trib_nor_open(&b.nor, &bad[i], &b.storage), TRIB_EINVAL);
    assert_int_equal(trib_nor_open(&b.nor, &good, &b.storage), 0);
    nor_chip_free(&b.chip);
}

static void test_four_byte_addresses_reach_the_same_cells(void **state)
{
    (void)state;
    struct board b;
    board_init(&b, 1, ERASE, false);
    b.spi.four_byte_addresses = true;
    board_open(&b);
    struct trib_conformance_ports ports = ports_of(&b);
    suite_passes(&ports, 1);
    assert_nothing_spoiled(&b);
    nor_chip_free(&b.chip);
}

/* The SDK on two lanes of such parts: events of three boots arrive once, and no cell is programmed twice. */
static void test_events_survive_a_boot_on_nor(void **state)
{
    (void)state;
    static struct fake_device d;
    static struct fake_gateway g;
    struct board boards[TRIB_LANE_COUNT];
    uint32_t next;
    fake_device_init(&d, ERASE, 16, 1);
    fake_gateway_init(&g);
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++) {
        board_init(&boards[lane], lane ? 16 : 1, ERASE, false);
        board_open(&boards[lane]);
        d.config.storage[lane] = boards[lane].storage;
    }
    for (unsigned boot = 0; boot < 3; boot++) {
        assert_int_equal(fake_device_boot(&d), 0);
        for (unsigned i = 0; i < 50; i++) {
            assert_int_equal(trib_favourite_add(&d.client, NULL, "film", NULL), 0);
            d.now_ms += 1000;
            assert_int_equal(trib_poll(&d.client, &next), 0);
        }
    }
    assert_int_equal(fake_device_boot(&d), 0);
    fake_sync(&g, &d);
    assert_int_equal(fake_count(&g, TRIB_EVENT_FAVOURITE_ADD), 150);
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++) {
        assert_nothing_spoiled(&boards[lane]);
        nor_chip_free(&boards[lane].chip);
    }
    fake_device_free(&d);
    fake_gateway_free(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_serial_nor_keeps_the_contract),
        cmocka_unit_test(test_mapped_nor_keeps_the_contract),
        cmocka_unit_test(test_programs_that_are_not_cut_at_page_ends_are_noticed),
        cmocka_unit_test(test_a_part_that_stays_busy_is_given_up_in_time),
        cmocka_unit_test(test_a_protected_block_is_an_error_and_not_silence),
        cmocka_unit_test(test_a_part_that_is_not_there_is_an_error),
        cmocka_unit_test(test_geometry_that_no_ring_can_use_is_refused),
        cmocka_unit_test(test_four_byte_addresses_reach_the_same_cells),
        cmocka_unit_test(test_events_survive_a_boot_on_nor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
