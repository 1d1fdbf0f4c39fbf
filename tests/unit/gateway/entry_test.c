#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "journal/entry.h"

static uint8_t entry[1024];
static size_t entry_len, head_len;

static void make_entry(void)
{
    const struct gw_entry_head head = {.device = {"dev-ü", 6},
                                       .tenant = 4,
                                       .received_utc_ms = 1764000000000ull,
                                       .received_uncertainty_ms = 12,
                                       .flags = UINT64_MAX};
    assert_int_equal(gw_entry_head_encode(&head, entry, sizeof entry, &head_len), 0);
    struct trib_wire_batch_writer b;
    const struct trib_wire_batch_head batch = {.lanes = {{7, 1}}, .boot = 1};
    trib_wire_batch_open(&b, &batch, entry + head_len, sizeof entry - head_len);
    trib_wire_batch_event(&b, 0, TRIB_EVENT_PLAY, 5, 1, 0, (const uint8_t *)"\xa0", 1);
    size_t batch_len;
    assert_int_equal(trib_wire_batch_close(&b, &batch_len), 0);
    entry_len = head_len + batch_len;
}

static void test_an_entry_is_split_as_it_was_made(void **state)
{
    (void)state;
    make_entry();
    struct gw_entry_head head;
    const uint8_t *batch;
    size_t batch_len;
    assert_int_equal(gw_entry_decode(entry, entry_len, &head, &batch, &batch_len), 0);
    assert_int_equal(head.device.len, 6);
    assert_memory_equal(head.device.ptr, "dev-ü", 6);
    assert_int_equal(head.tenant, 4);
    assert_int_equal(head.received_utc_ms, 1764000000000ull);
    assert_int_equal(head.received_uncertainty_ms, 12);
    assert_true(head.flags == UINT64_MAX);
    assert_ptr_equal(batch, entry + head_len);
    assert_int_equal(batch_len, entry_len - head_len);
    struct trib_wire_batch_reader reader;
    assert_int_equal(trib_wire_batch_read(&reader, batch, batch_len), 0);
}

static void test_a_cut_or_longer_entry_is_an_error(void **state)
{
    (void)state;
    make_entry();
    struct gw_entry_head head;
    const uint8_t *batch;
    size_t batch_len;
    for (size_t len = 0; len < entry_len; len++) {
        uint8_t *exact = malloc(len + 1);
        memcpy(exact, entry, len);
        assert_true(gw_entry_decode(exact, len, &head, &batch, &batch_len) < 0);
        free(exact);
    }
    entry[entry_len] = 0;
    assert_int_equal(gw_entry_decode(entry, entry_len + 1, &head, &batch, &batch_len), TRIB_EMALFORMED);
}

static void test_a_newer_version_is_told_from_damage(void **state)
{
    (void)state;
    make_entry();
    struct gw_entry_head head;
    const uint8_t *batch;
    size_t batch_len;
    entry[1] = GW_ENTRY_VERSION + 1;
    assert_int_equal(gw_entry_decode(entry, entry_len, &head, &batch, &batch_len), TRIB_EVERSION);
}

static void test_a_head_needs_its_room(void **state)
{
    (void)state;
    make_entry();
    const struct gw_entry_head head = {.device = {"device", 6}};
    size_t len, needed;
    assert_int_equal(gw_entry_head_encode(&head, NULL, 0, &needed), 0);
    for (size_t cap = 0; cap < needed; cap++)
        assert_int_equal(gw_entry_head_encode(&head, entry, cap, &len), TRIB_ESPACE);
    assert_int_equal(gw_entry_head_encode(&head, entry, needed, &len), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_entry_is_split_as_it_was_made),
        cmocka_unit_test(test_a_cut_or_longer_entry_is_an_error),
        cmocka_unit_test(test_a_newer_version_is_told_from_damage),
        cmocka_unit_test(test_a_head_needs_its_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
