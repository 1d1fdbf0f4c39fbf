/*
 * The record codec and the ring's arithmetic, exhaustively over small widths, and around each power of two over large
 * ones: what is written reads back, whatever is cut off or changed does not, and order survives a counter that wraps.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "journal/journal.h"
#include "storage_ram.h"
#include "wire/crc32c.h"

#define SECTOR_BYTES 8192u
#define SEED 0x5eed5eedu

/* --- numbers --- */

static void round_trip(uint64_t value)
{
    uint8_t bytes[10];
    uint32_t length = trib_put_varint(bytes, value), expected = 1;
    for (uint64_t rest = value >> 7; rest > 0; rest >>= 7)
        expected++;
    assert_int_equal(length, expected);
    struct trib_bytes b = {bytes, length, 0, false};
    if (trib_bytes_varint(&b) != value || b.error || b.pos != length)
        fail_msg("%llu does not read back", (unsigned long long)value);
    for (uint32_t cut = 0; cut < length; cut++) {
        struct trib_bytes part = {bytes, cut, 0, false};
        assert_true(trib_bytes_varint(&part) == 0 && part.error);
    }
}

static void test_each_number_reads_back_and_no_part_of_it_does(void **state)
{
    (void)state;
    for (uint64_t value = 0; value < (1u << 21) + 1000; value++)
        round_trip(value);
    for (unsigned power = 0; power < 64; power++)
        for (uint64_t near = 0; near < 300; near++) {
            round_trip(((uint64_t)1 << power) + near);
            round_trip(((uint64_t)1 << power) - near);
        }
}

/* Every string of up to three bytes, and every one of eleven that goes on too long: no reading beyond the end. */
static void test_any_bytes_are_a_number_or_an_error(void **state)
{
    (void)state;
    for (uint32_t length = 0; length <= 3; length++)
        for (uint32_t bits = 0; bits < 1u << 8 * length; bits++) {
            uint8_t bytes[4] = {(uint8_t)bits, (uint8_t)(bits >> 8), (uint8_t)(bits >> 16)};
            struct trib_bytes b = {bytes, length, 0, false};
            uint64_t value = trib_bytes_varint(&b);
            assert_true(b.pos <= length);
            assert_true(!b.error || value == 0);
        }
    uint8_t endless[11];
    memset(endless, 0x80, sizeof endless);
    struct trib_bytes b = {endless, sizeof endless, 0, false};
    assert_int_equal(trib_bytes_varint(&b), 0);
    assert_true(b.error);
}

static void test_fixed_numbers_read_back(void **state)
{
    (void)state;
    uint8_t bytes[8];
    for (unsigned power = 0; power < 64; power++)
        for (uint64_t near = 0; near < 300; near++) {
            uint64_t value = ((uint64_t)1 << power) - near;
            trib_put_u64(bytes, value);
            assert_true(trib_get_u64(bytes) == value);
            trib_put_u32(bytes, (uint32_t)value);
            assert_int_equal(trib_get_u32(bytes), (uint32_t)value);
        }
}

/* --- arithmetic of the ring --- */

static void test_alignment_is_the_next_unit_for_each_offset_and_unit(void **state)
{
    (void)state;
    for (uint32_t unit = 1; unit <= 256; unit *= 2)
        for (uint32_t offset = 0; offset <= 131072; offset++) {
            struct trib_storage s = {.sector_bytes = 131072, .program_bytes = unit};
            uint32_t at = trib_format_align(&s, offset);
            if (at % unit != 0 || at < offset || at - offset >= unit)
                fail_msg("unit %u, offset %u: %u", unit, offset, at);
        }
}

static void test_order_of_sectors_survives_the_wrap(void **state)
{
    (void)state;
    static const uint32_t places[] = {0, 1, 0x7FFFFFFF, 0x80000000, 0x80000001, 0xFFFFFFFE, 0xFFFFFFFF};
    for (unsigned i = 0; i < sizeof places / sizeof places[0]; i++)
        for (uint32_t ahead = 0; ahead < 100000; ahead++) {
            uint32_t a = places[i], b = a + ahead;
            assert_true(trib_seq_before(a, b) == (ahead > 0));
            assert_false(trib_seq_before(b, a));
        }
}

/* --- records --- */

static uint8_t medium[SECTOR_BYTES];
static struct trib_storage_ram ram;

/* A record of a body of so many bytes at the medium's beginning; returns its end. */
static uint32_t put_record(uint32_t body, bool first)
{
    uint32_t n = 0;
    memset(medium, 0xFF, sizeof medium);
    if (body >= 0xF0)
        medium[n++] = (uint8_t)(0xF0 | body >> 8);
    medium[n++] = (uint8_t)body;
    for (uint32_t i = 0; i < body; i++)
        medium[n++] = (uint8_t)(i * 31 + body);
    uint32_t crc = trib_crc32c(SEED, medium, n);
    trib_put_u32(medium + n, first ? ~crc : crc);
    return n + 4;
}

static int read_record(uint32_t limit, struct trib_raw_record *out)
{
    struct trib_storage s = trib_storage_ram(&ram);
    return trib_format_record_read(&s, 0, 0, limit, SEED, out);
}

static int set_up(void **state)
{
    (void)state;
    trib_storage_ram_init(&ram, medium, SECTOR_BYTES, 1, 1);
    return 0;
}

static void test_a_record_of_each_length_reads_back_and_no_part_of_it_does(void **state)
{
    (void)state;
    struct trib_raw_record raw;
    for (uint32_t body = 1; body <= TRIB_FORMAT_BODY_MAX; body++) {
        uint32_t end = put_record(body, body % 2);
        assert_int_equal(read_record(SECTOR_BYTES, &raw), 0);
        assert_int_equal(raw.body_bytes, body);
        assert_int_equal(raw.end, end);
        assert_int_equal(raw.first, body % 2);
        assert_int_equal(read_record(end, &raw), 0);
        for (uint32_t limit = end > 40 ? end - 40 : 0; limit < end; limit++)
            assert_true(read_record(limit, &raw) != 0);
    }
}

/* One bit or two, anywhere in a small record; three in a row in larger ones: it is not taken for a record of that end. */
static void test_a_changed_record_does_not_read_as_the_same(void **state)
{
    (void)state;
    struct trib_raw_record raw;
    for (uint32_t body = 1; body <= 24; body++) {
        uint32_t end = put_record(body, false), bits = end * 8;
        for (uint32_t one = 0; one < bits; one++)
            for (uint32_t two = one; two < bits; two++) {
                medium[one / 8] ^= (uint8_t)(1u << one % 8);
                if (two != one)
                    medium[two / 8] ^= (uint8_t)(1u << two % 8);
                if (read_record(end, &raw) == 0 && raw.end == end)
                    fail_msg("body of %u bytes, bits %u and %u", body, one, two);
                medium[one / 8] ^= (uint8_t)(1u << one % 8);
                if (two != one)
                    medium[two / 8] ^= (uint8_t)(1u << two % 8);
            }
    }
}

/* Torn: a part of it was programmed, the rest reads blank. */
static void test_a_torn_record_never_reads_as_whole(void **state)
{
    (void)state;
    struct trib_raw_record raw;
    uint8_t whole[600];
    for (uint32_t body = 1; body <= 500; body++) {
        uint32_t end = put_record(body, true);
        memcpy(whole, medium, end);
        for (uint32_t kept = 0; kept < end; kept++) {
            memset(medium + kept, 0xFF, end - kept);
            bool same = memcmp(medium, whole, end) == 0; /* it ended in 0xFF by right */
            assert_true((read_record(SECTOR_BYTES, &raw) == 0) == same);
            memcpy(medium, whole, end);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_number_reads_back_and_no_part_of_it_does),
        cmocka_unit_test(test_any_bytes_are_a_number_or_an_error),
        cmocka_unit_test(test_fixed_numbers_read_back),
        cmocka_unit_test(test_alignment_is_the_next_unit_for_each_offset_and_unit),
        cmocka_unit_test(test_order_of_sectors_survives_the_wrap),
        cmocka_unit_test_setup(test_a_record_of_each_length_reads_back_and_no_part_of_it_does, set_up),
        cmocka_unit_test_setup(test_a_changed_record_does_not_read_as_the_same, set_up),
        cmocka_unit_test_setup(test_a_torn_record_never_reads_as_whole, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
