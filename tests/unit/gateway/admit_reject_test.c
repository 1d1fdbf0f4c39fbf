/* Events that are not let in: sealed, with a tombstone in their place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "unit/gateway/admit_world.h"

/* The fields of the first event as they came. */
static uint8_t first_fields[64];
static size_t first_len;

/* One event of each fault; between them good ones, that must keep seq, time and ord. */
static void make_faulty_batch(void)
{
    batch_begin(&x, 1, 1, 0, 0);
    x.head.anchors[0] = (struct trib_wire_anchor){3, 500, 1763999000000ull, 15};
    x.head.anchor_count = 1;
    trib_wire_batch_open(&x.batch, &x.head, x.batch_bytes, sizeof x.batch_bytes);
    batch_context(&x, 2, 99, "film-2", "planted-context");

    fields_begin(&x, 1); /* 1: user as bytes */
    trib_cbor_put_uint(&x.f, TRIB_FIELD_USER);
    trib_cbor_put_bytes(&x.f, (const uint8_t *)"planted-bytes", 13);
    batch_event(&x, 0, TRIB_EVENT_PLAY, 2, 1);
    first_len = x.f.len;
    memcpy(first_fields, x.fields, first_len);
    fields_begin(&x, 1); /* 2: unknown type, with a user */
    fields_text(&x, TRIB_FIELD_USER, "planted-type");
    batch_event(&x, 0, 200, 0, 1);
    ping(0, 5, 1);       /* 3: good */
    fields_begin(&x, 2); /* 4: custom */
    fields_text(&x, TRIB_FIELD_SCHEMA, "com.example.x");
    trib_cbor_put_uint(&x.f, TRIB_FIELD_DATA);
    trib_cbor_put_map(&x.f, 1);
    trib_cbor_put_text(&x.f, "mail", 4);
    trib_cbor_put_text(&x.f, "planted-data", 12);
    batch_event(&x, 0, TRIB_EVENT_CUSTOM, 0, 1);
    fields_begin(&x, 2); /* 5: out of range, with undeclared data */
    fields_uint(&x, TRIB_FIELD_PERCENT, 101);
    fields_text(&x, 77, "planted-undeclared");
    batch_event(&x, 0, TRIB_EVENT_PROGRESS, 0, 1);
    fields_begin(&x, 1); /* 6: required field missing */
    fields_text(&x, TRIB_FIELD_USER, "planted-missing");
    batch_event(&x, 0, TRIB_EVENT_SEEK, 0, 1);
    fields_begin(&x, 2); /* 7: too large */
    char large[5000];
    memset(large, 'x', sizeof large);
    memcpy(large, "planted", 7);
    fields_uint(&x, TRIB_FIELD_PERCENT, 1);
    trib_cbor_put_uint(&x.f, 50);
    trib_cbor_put_text(&x.f, large, sizeof large);
    batch_event(&x, 0, TRIB_EVENT_PROGRESS, 0, 1);
    trib_wire_batch_event(&x.batch, 0, TRIB_EVENT_PING, x.batch.mono_ms + 100, x.batch.ord + 5, 0,
                          (const uint8_t *)"\xa0", 1); /* 8: good, after a leap of ord */
}

static void check_quarantine(void)
{
    const unsigned codes[] = {TRIB_REJECT_WRONG_TYPE,   TRIB_REJECT_UNKNOWN_TYPE,  TRIB_REJECT_UNKNOWN_SCHEMA,
                              TRIB_REJECT_OUT_OF_RANGE, TRIB_REJECT_MISSING_FIELD, TRIB_REJECT_TOO_LARGE};
    const uint64_t seqs[] = {1, 2, 4, 5, 6, 7};
    assert_int_equal(x.out.event_count, 2);
    assert_int_equal(x.out.rejected_count, 6);
    assert_int_equal(x.out.write.quarantine_count, 6);
    assert_int_equal(x.out.write.lanes[0].last_seq, 8);
    for (unsigned i = 0; i < 6; i++) {
        const struct gw_journal_quarantine *q = &x.out.write.quarantine[i];
        assert_int_equal(x.out.rejected[i].code, codes[i]);
        assert_int_equal(x.out.rejected[i].seq, seqs[i]);
        assert_int_equal(x.out.rejected[i].stream, STREAM_V);
        assert_int_equal(q->code, codes[i]);
        assert_int_equal(q->seq, seqs[i]);
        assert_false(contains(q->sealed, q->sealed_len, "planted"));
    }
    assert_false(contains(x.out.write.entry, x.out.write.entry_len, "planted"));
}

static void check_tombstones(void)
{
    entry_open();
    for (uint64_t seq = 1; seq <= 8; seq++) {
        assert_int_equal(trib_wire_batch_next(&reader, &item), 1);
        assert_int_equal(item.seq, seq);
        assert_int_equal(item.kind, seq == 3 || seq == 8 ? TRIB_EVENT_PING : TRIB_ITEM_TOMBSTONE);
        assert_int_equal(item.mono_ms, seq == 8 ? 1107 : 1000 + seq);
    }
    assert_int_equal(item.ord, 22);
    assert_int_equal(trib_wire_batch_next(&reader, &item), 0);
}

/* What was sealed opens again to all that a re-drive needs. */
static void check_what_was_sealed(void)
{
    const struct gw_journal_quarantine *q = &x.out.write.quarantine[0];
    uint8_t label[GW_REJECTED_LABEL_BYTES], plain[1024];
    size_t plain_len;
    struct gw_rejected_event opened;
    gw_rejected_event_label(STREAM_V, 1, label);
    assert_int_equal(gw_unseal(x.seal, label, sizeof label, q->sealed, q->sealed_len, plain, &plain_len), 0);
    assert_int_equal(gw_rejected_event_decode(plain, plain_len, &opened), 0);
    assert_int_equal(opened.type, TRIB_EVENT_PLAY);
    assert_int_equal(opened.code, TRIB_REJECT_WRONG_TYPE);
    assert_int_equal(opened.stream, STREAM_V);
    assert_int_equal(opened.seq, 1);
    assert_int_equal(opened.boot, 3);
    assert_int_equal(opened.mono_ms, 1001);
    assert_int_equal(opened.ord, 11);
    assert_int_equal(opened.received_utc_ms, 1764000000000ull);
    assert_int_equal(opened.context.session, 99);
    assert_memory_equal(opened.context.user.ptr, "planted-context", 15);
    assert_int_equal(opened.anchor_count, 1);
    assert_int_equal(opened.anchors[0].utc_ms, 1763999000000ull);
    assert_int_equal(opened.fields_len, first_len);
    assert_memory_equal(opened.fields, first_fields, first_len);
    gw_rejected_event_label(STREAM_V, 2, label); /* an item cannot stand in for another */
    assert_int_equal(gw_unseal(x.seal, label, sizeof label, q->sealed, q->sealed_len, plain, &plain_len),
                     GW_ECRYPTO);
}

static void test_rejected_events_are_sealed_and_leave_a_tombstone(void **state)
{
    (void)state;
    make_faulty_batch();
    assert_int_equal(batch_admit(&x), GW_ADMIT_OK);
    check_quarantine();
    check_tombstones();
    check_what_was_sealed();
}

static void test_a_batch_of_rejected_events_only_has_no_entry(void **state)
{
    (void)state;
    batch_begin(&x, 1, 1, 0, 0);
    for (unsigned i = 0; i < 100; i++) {
        fields_begin(&x, 0);
        batch_event(&x, 0, 200, 0, 1);
    }
    assert_int_equal(batch_admit(&x), GW_ADMIT_OK);
    assert_null(x.out.write.entry);
    assert_int_equal(x.out.write.quarantine_count, 100);
    assert_int_equal(x.out.rejected_count, TRIB_WIRE_REJECTED_MAX);
    assert_int_equal(x.out.rejected_more, 100 - TRIB_WIRE_REJECTED_MAX);
    assert_int_equal(x.out.write.lanes[0].last_seq, 100);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_rejected_events_are_sealed_and_leave_a_tombstone),
        TEST(test_a_batch_of_rejected_events_only_has_no_entry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
