#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "unit/gateway/admit_fixture.h"

static struct fixture x;

static int setup(void **state)
{
    (void)state;
    fixture_open(&x);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_close(&x);
    return 0;
}

static void ping(unsigned lane, uint64_t played, uint64_t step)
{
    fields_begin(&x, 1);
    fields_uint(&x, TRIB_FIELD_PLAYED_MS, played);
    batch_event(&x, lane, TRIB_EVENT_PING, 0, step);
}

static void favourite(const char *item, const char *user)
{
    fields_begin(&x, 2);
    fields_text(&x, TRIB_FIELD_ITEM, item);
    fields_text(&x, TRIB_FIELD_USER, user);
    batch_event(&x, TRIB_LANE_VITAL, TRIB_EVENT_FAVOURITE_ADD, 0, 5);
}

/* The items of the entry just admitted. */
static struct trib_wire_batch_reader reader;
static struct trib_wire_batch_item item;
static struct gw_entry_head entry_head;

static void entry_open(void)
{
    const uint8_t *batch;
    size_t batch_len;
    assert_non_null(x.out.write.entry);
    assert_int_equal(
        gw_entry_decode(x.out.write.entry, x.out.write.entry_len, &entry_head, &batch, &batch_len), 0);
    assert_int_equal(trib_wire_batch_read(&reader, batch, batch_len), 0);
}

static bool contains(const void *data, size_t len, const char *needle)
{
    return memmem(data, len, needle, strlen(needle)) != NULL;
}

static void test_a_plain_batch_is_copied_as_it_is(void **state)
{
    (void)state;
    batch_begin(&x, 1, 1, 0, 0);
    batch_context(&x, 1, 77, "film-1", "");
    fields_begin(&x, 1);
    fields_uint(&x, TRIB_FIELD_PERCENT, 25);
    batch_event(&x, TRIB_LANE_ROUTINE, TRIB_EVENT_PROGRESS, 1, 7);
    ping(TRIB_LANE_ROUTINE, 10000, 9);
    assert_int_equal(batch_admit(&x), GW_ADMIT_OK);
    assert_int_equal(x.out.event_count, 2);
    assert_int_equal(x.out.credit_events, 2);
    assert_int_equal(x.out.rejected_count, 0);
    const struct gw_journal_lane *lane = &x.out.write.lanes[TRIB_LANE_ROUTINE];
    assert_int_equal(lane->stream, STREAM_R);
    assert_int_equal(lane->expected, 0);
    assert_int_equal(lane->last_seq, 2);
    assert_int_equal(lane->last_crc,
                     trib_wire_event_crc(STREAM_R, 2, 3, 1016, 12, TRIB_EVENT_PING, x.fields, x.f.len));
    assert_int_equal(x.out.write.lanes[TRIB_LANE_VITAL].last_seq, 0);

    entry_open();
    assert_int_equal(entry_head.received_utc_ms, 1764000000000ull);
    assert_int_equal(entry_head.device.len, 5);
    assert_int_equal(trib_wire_batch_next(&reader, &item), 1);
    assert_int_equal(item.kind, TRIB_ITEM_CONTEXT);
    assert_int_equal(item.context_value.session, 77);
    assert_int_equal(trib_wire_batch_next(&reader, &item), 1);
    assert_int_equal(item.kind, TRIB_EVENT_PROGRESS);
    assert_int_equal(item.mono_ms, 1007);
    assert_int_equal(trib_wire_batch_next(&reader, &item), 1);
    assert_int_equal(item.seq, 2);
    assert_int_equal(item.ord, 12);
    assert_int_equal(item.fields_len, x.f.len);
    assert_memory_equal(item.fields, x.fields, x.f.len);
    assert_int_equal(trib_wire_batch_next(&reader, &item), 0);
}

static void test_user_ids_become_pseudonyms_everywhere(void **state)
{
    (void)state;
    char pseudonym[GW_PSEUDONYM_TEXT_MAX];
    size_t len = gw_pseudonym_text(x.pseudonym, "ann-planted", 11, pseudonym);
    batch_begin(&x, 1, 1, 0, 0);
    batch_context(&x, 1, 77, "film-1", "ann-planted");
    fields_begin(&x, 1);
    fields_uint(&x, TRIB_FIELD_PERCENT, 25);
    batch_event(&x, TRIB_LANE_ROUTINE, TRIB_EVENT_PROGRESS, 1, 7);
    favourite("item-9", "ann-planted");
    favourite("item-8", "bob-planted");
    assert_int_equal(batch_admit(&x), GW_ADMIT_OK);
    assert_int_equal(x.out.event_count, 3);
    assert_false(contains(x.out.write.entry, x.out.write.entry_len, "planted"));

    entry_open();
    assert_int_equal(trib_wire_batch_next(&reader, &item), 1);
    assert_int_equal(item.context_value.user.len, len);
    assert_memory_equal(item.context_value.user.ptr, pseudonym, len);
    assert_int_equal(trib_wire_batch_next(&reader, &item), 1);
    assert_int_equal(trib_wire_batch_next(&reader, &item), 1);
    assert_int_equal(item.kind, TRIB_EVENT_FAVOURITE_ADD);
    assert_true(contains(item.fields, item.fields_len, "item-9"));
    assert_non_null(memmem(item.fields, item.fields_len, pseudonym, len));
    assert_int_equal(trib_wire_batch_next(&reader, &item), 1);
    assert_true(contains(item.fields, item.fields_len, "item-8"));
    assert_null(memmem(item.fields, item.fields_len, pseudonym, len));
    assert_true(contains(item.fields, item.fields_len, "p1.k1."));
}

static void test_an_index_defined_again_is_written_again(void **state)
{
    (void)state;
    batch_begin(&x, 1, 1, 0, 0);
    for (unsigned i = 0; i < 3; i++) {
        char content[] = "film-0";
        content[5] = (char)('0' + i);
        batch_context(&x, 1, 70 + i, content, "ann-planted");
        fields_begin(&x, 0);
        batch_event(&x, TRIB_LANE_ROUTINE, TRIB_EVENT_PLAY, 1, 1);
        batch_event(&x, TRIB_LANE_ROUTINE, TRIB_EVENT_PLAY, 1, 1);
    }
    assert_int_equal(batch_admit(&x), GW_ADMIT_OK);
    entry_open();
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(trib_wire_batch_next(&reader, &item), 1);
        assert_int_equal(item.kind, TRIB_ITEM_CONTEXT);
        assert_int_equal(item.context_value.session, 70 + i);
        assert_int_equal(item.context_value.content.ptr[5], '0' + i);
        assert_memory_equal(item.context_value.user.ptr, "p1.k1.", 6);
        assert_int_equal(trib_wire_batch_next(&reader, &item),
                         1); /* the context once, then both its events */
        assert_int_equal(item.kind, TRIB_EVENT_PLAY);
        assert_int_equal(trib_wire_batch_next(&reader, &item), 1);
        assert_int_equal(item.kind, TRIB_EVENT_PLAY);
    }
    assert_int_equal(trib_wire_batch_next(&reader, &item), 0);
}

static void test_the_crc_is_of_the_bytes_as_received(void **state)
{
    (void)state;
    batch_begin(&x, 1, 1, 0, 0);
    favourite("item-9", "ann");
    const uint32_t crc =
        trib_wire_event_crc(STREAM_V, 1, 3, 1005, 11, TRIB_EVENT_FAVOURITE_ADD, x.fields, x.f.len);
    assert_int_equal(batch_admit(&x), GW_ADMIT_OK);
    assert_int_equal(x.out.write.lanes[TRIB_LANE_VITAL].last_crc, crc);

    batch_begin(&x, 1, 1, 0, 0); /* of a rejected event just so */
    fields_begin(&x, 0);
    batch_event(&x, TRIB_LANE_VITAL, 200, 0, 5);
    assert_int_equal(batch_admit(&x), GW_ADMIT_OK);
    assert_int_equal(x.out.write.lanes[TRIB_LANE_VITAL].last_crc,
                     trib_wire_event_crc(STREAM_V, 1, 3, 1005, 11, 200, x.fields, x.f.len));
}

static void test_undeclared_fields_are_dropped_and_counted(void **state)
{
    (void)state;
    batch_begin(&x, 1, 1, 0, 0);
    fields_begin(&x, 3);
    fields_text(&x, TRIB_FIELD_ITEM, "planted");
    fields_uint(&x, TRIB_FIELD_PERCENT, 50);
    trib_cbor_put_text(&x.f, "email", 5);
    trib_cbor_put_text(&x.f, "planted@example.org", 19);
    batch_event(&x, TRIB_LANE_ROUTINE, TRIB_EVENT_PROGRESS, 0, 1);
    assert_int_equal(batch_admit(&x), GW_ADMIT_OK);
    assert_int_equal(x.out.undeclared_count, 2);
    assert_false(contains(x.out.write.entry, x.out.write.entry_len, "planted"));
    entry_open();
    assert_int_equal(trib_wire_batch_next(&reader, &item), 1);
    const uint8_t expected[] = {0xa1, TRIB_FIELD_PERCENT, 0x18, 50};
    assert_int_equal(item.fields_len, sizeof expected);
    assert_memory_equal(item.fields, expected, sizeof expected);
}

static void test_duplicates_are_left_out_and_the_rest_kept(void **state)
{
    (void)state;
    batch_begin(&x, 5, 1, 7, 0);
    for (unsigned i = 0; i < 5; i++) /* seq 5 to 9, of which 5 to 7 are committed */
        ping(TRIB_LANE_VITAL, 100 + i, 10);
    assert_int_equal(batch_admit(&x), GW_ADMIT_OK);
    assert_int_equal(x.out.duplicate_count, 3);
    assert_int_equal(x.out.event_count, 2);
    assert_int_equal(x.out.credit_events, 5);
    assert_int_equal(x.out.write.lanes[0].expected, 7);
    assert_int_equal(x.out.write.lanes[0].last_seq, 9);
    entry_open();
    assert_int_equal(trib_wire_batch_next(&reader, &item), 1);
    assert_int_equal(item.seq, 8);
    assert_int_equal(item.mono_ms, 1040);
    assert_int_equal(item.ord, 14);
    assert_int_equal(trib_wire_batch_next(&reader, &item), 1);
    assert_int_equal(item.seq, 9);
    assert_int_equal(trib_wire_batch_next(&reader, &item), 0);
}

static void test_a_batch_of_duplicates_writes_nothing(void **state)
{
    (void)state;
    batch_begin(&x, 1, 1, 9, 9);
    batch_context(&x, 1, 1, "c", "ann");
    ping(TRIB_LANE_VITAL, 1, 1);
    trib_wire_batch_drop(&x.batch, TRIB_LANE_ROUTINE, 4, TRIB_DROP_ROUTINE, TRIB_DROP_OVERFLOW);
    assert_int_equal(batch_admit(&x), GW_ADMIT_OK);
    assert_null(x.out.write.entry);
    assert_int_equal(x.out.write.quarantine_count, 0);
    assert_int_equal(x.out.duplicate_count, 1);
    assert_int_equal(x.out.dropped_count, 0);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(x.out.write.lanes[i].expected, 9);
        assert_int_equal(x.out.write.lanes[i].last_seq, 9);
        assert_int_equal(x.out.write.lanes[i].last_crc, 0);
    }
}

static void test_a_hole_is_refused_and_names_its_lane(void **state)
{
    (void)state;
    batch_begin(&x, 1, 3, 0, 1);
    ping(TRIB_LANE_ROUTINE, 1, 1);
    assert_int_equal(batch_admit(&x), GW_ADMIT_HOLE);
    assert_int_equal(x.hole_lane, TRIB_LANE_ROUTINE);
    batch_begin(&x, UINT64_MAX - 1, 1, 0, 0);
    assert_int_equal(batch_admit(&x), GW_ADMIT_HOLE);
    assert_int_equal(x.hole_lane, TRIB_LANE_VITAL);
    batch_begin(&x, 1, 2, 0, 1); /* no hole: the next one */
    ping(TRIB_LANE_ROUTINE, 1, 1);
    assert_int_equal(batch_admit(&x), GW_ADMIT_OK);
}

static void test_drop_records_cover_a_hole_and_travel_on(void **state)
{
    (void)state;
    batch_begin(&x, 1, 3, 0, 4); /* routine: 3 to 8 dropped, of which 3 and 4 are committed, then 9 */
    trib_wire_batch_drop(&x.batch, TRIB_LANE_ROUTINE, 6, TRIB_DROP_ROUTINE, TRIB_DROP_OVERFLOW);
    ping(TRIB_LANE_ROUTINE, 1, 1);
    trib_wire_batch_drop(&x.batch, TRIB_LANE_VITAL, 2, TRIB_DROP_UNKNOWN, TRIB_DROP_NOT_KNOWN);
    assert_int_equal(batch_admit(&x), GW_ADMIT_OK);
    assert_int_equal(x.out.dropped_count, 6);
    assert_int_equal(x.out.unaccounted_count, 2);
    assert_int_equal(x.out.event_count, 1);
    assert_int_equal(x.out.write.lanes[1].last_seq, 9);
    assert_int_equal(x.out.write.lanes[0].last_seq, 2);
    assert_int_equal(x.out.write.lanes[0].last_crc, 0);
    entry_open();
    assert_int_equal(trib_wire_batch_next(&reader, &item), 1);
    assert_int_equal(item.kind, TRIB_ITEM_DROP);
    assert_int_equal(item.seq, 5);
    assert_int_equal(item.count, 4);
    assert_int_equal(item.drop_reason, TRIB_DROP_OVERFLOW);
    assert_int_equal(trib_wire_batch_next(&reader, &item), 1);
    assert_int_equal(item.seq, 9);
}

/* One event of each fault; between them good ones, that must keep seq, time and ord. */
static void test_rejected_events_are_sealed_and_leave_a_tombstone(void **state)
{
    (void)state;
    batch_begin(&x, 1, 1, 0, 0);
    x.head.anchors[0] = (struct trib_wire_anchor){3, 500, 1763999000000ull, 15};
    x.head.anchor_count = 1;
    trib_wire_batch_open(&x.batch, &x.head, x.batch_bytes, sizeof x.batch_bytes);
    batch_context(&x, 2, 99, "film-2", "planted-context");

    fields_begin(&x, 1); /* 1: user as bytes */
    trib_cbor_put_uint(&x.f, TRIB_FIELD_USER);
    trib_cbor_put_bytes(&x.f, (const uint8_t *)"planted-bytes", 13);
    batch_event(&x, 0, TRIB_EVENT_PLAY, 2, 1);
    uint8_t first_fields[64];
    size_t first_len = x.f.len;
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

    assert_int_equal(batch_admit(&x), GW_ADMIT_OK);
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

    entry_open();
    for (uint64_t seq = 1; seq <= 8; seq++) {
        assert_int_equal(trib_wire_batch_next(&reader, &item), 1);
        assert_int_equal(item.seq, seq);
        assert_int_equal(item.kind, seq == 3 || seq == 8 ? TRIB_EVENT_PING : TRIB_ITEM_TOMBSTONE);
        assert_int_equal(item.mono_ms, seq == 8 ? 1107 : 1000 + seq);
    }
    assert_int_equal(item.ord, 22);
    assert_int_equal(trib_wire_batch_next(&reader, &item), 0);

    /* What was sealed opens again to all that a re-drive needs. */
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

static void test_anchors_and_both_lanes_are_carried_over(void **state)
{
    (void)state;
    batch_begin(&x, 4, 8, 3, 7);
    for (unsigned i = 0; i < TRIB_WIRE_ANCHORS_MAX; i++)
        x.head.anchors[i] = (struct trib_wire_anchor){i, UINT64_MAX - i, UINT64_MAX, UINT64_MAX};
    x.head.anchor_count = TRIB_WIRE_ANCHORS_MAX;
    trib_wire_batch_open(&x.batch, &x.head, x.batch_bytes, sizeof x.batch_bytes);
    ping(1, 1, 1);
    ping(0, 1, 1);
    ping(1, 1, 1);
    assert_int_equal(batch_admit(&x), GW_ADMIT_OK);
    entry_open();
    assert_int_equal(reader.head.anchor_count, TRIB_WIRE_ANCHORS_MAX);
    assert_memory_equal(reader.head.anchors, x.head.anchors, sizeof x.head.anchors);
    assert_int_equal(reader.head.lanes[0].seq, 4);
    assert_int_equal(reader.head.lanes[1].seq, 8);
    assert_int_equal(x.out.write.lanes[0].last_seq, 4);
    assert_int_equal(x.out.write.lanes[1].last_seq, 9);
}

static void test_what_cannot_be_read_is_malformed(void **state)
{
    (void)state;
    batch_begin(&x, 1, 1, 0, 0);
    trib_wire_batch_tombstone(&x.batch, 0, 1000);
    assert_int_equal(batch_admit(&x), GW_ADMIT_MALFORMED);
    assert_non_null(strstr(x.error.text, "tombstone"));

    batch_begin(&x, 1, 1, 0, 0);
    ping(0, 1, 1);
    x.input.lanes[0].stream++;
    assert_int_equal(batch_admit(&x), GW_ADMIT_MALFORMED);

    batch_begin(&x, 1, 1, 0, 0);
    batch_context(&x, 1, 5, "film", "ann");
    favourite("item", "ann");
    ping(1, 1, 1);
    assert_int_equal(batch_admit(&x), GW_ADMIT_OK);
    const size_t whole = x.input.batch_len;
    for (size_t len = 0; len < whole; len++) {
        x.input.batch_len = len;
        gw_arena_reset(&x.arena);
        assert_int_equal(gw_admit(&x.policy, &x.input, &x.arena, &x.out, &x.hole_lane, &x.error),
                         GW_ADMIT_MALFORMED);
        assert_int_equal(x.error.code, GW_EPROTOCOL);
    }
}

static void test_peek_shows_the_lanes(void **state)
{
    (void)state;
    batch_begin(&x, 4, 8, 3, 7);
    ping(0, 1, 1);
    assert_int_equal(batch_admit(&x), GW_ADMIT_OK);
    struct trib_wire_position lanes[TRIB_LANE_COUNT];
    assert_int_equal(gw_admit_peek(x.batch_bytes, x.input.batch_len, lanes), 0);
    assert_int_equal(lanes[0].stream, STREAM_V);
    assert_int_equal(lanes[1].seq, 8);
    assert_true(gw_admit_peek(x.batch_bytes, 2, lanes) < 0);
}

/* One-letter users grow by 50 bytes each: the entry's buffer has to grow with them. */
static void test_short_user_ids_may_grow_the_entry_many_times(void **state)
{
    (void)state;
    batch_begin(&x, 1, 1, 0, 0);
    for (unsigned i = 0; i < 3000; i++) {
        char user[2] = {(char)('a' + i % 26), 0};
        fields_begin(&x, 1);
        fields_text(&x, TRIB_FIELD_USER, user);
        batch_event(&x, 1, TRIB_EVENT_PLAY, 0, 1);
    }
    assert_int_equal(batch_admit(&x), GW_ADMIT_OK);
    assert_int_equal(x.out.event_count, 3000);
    entry_open();
    for (unsigned i = 0; i < 3000; i++) {
        char pseudonym[GW_PSEUDONYM_TEXT_MAX], user[2] = {(char)('a' + i % 26), 0};
        size_t len = gw_pseudonym_text(x.pseudonym, user, 1, pseudonym);
        assert_int_equal(trib_wire_batch_next(&reader, &item), 1);
        assert_non_null(memmem(item.fields, item.fields_len, pseudonym, len));
    }
    assert_int_equal(trib_wire_batch_next(&reader, &item), 0);
}

/* A batch remembers its users by the ends of their ids: these meet in one place, or differ in length alone. */
static void many_users(unsigned i, char out[32])
{
    if (i % 2)
        snprintf(out, 32, "same-end%03u-sameend", i % 97);
    else
        snprintf(out, 32, "%.*s", (int)(1 + i % 20), "uuuuuuuuuuuuuuuuuuuuuuuu");
}

static void test_users_who_come_again_are_not_taken_for_one_another(void **state)
{
    (void)state;
    struct gw_pseudonym_cache *cache;
    assert_int_equal(gw_pseudonym_cache_new(16, &cache), GW_OK);
    x.input.pseudonyms = cache;
    batch_begin(&x, 1, 1, 0, 0);
    char user[32], pseudonym[GW_PSEUDONYM_TEXT_MAX];
    for (unsigned i = 0; i < 1000; i++) {
        many_users(i / 3, user);
        fields_begin(&x, 1);
        fields_text(&x, TRIB_FIELD_USER, user);
        batch_event(&x, 1, TRIB_EVENT_PLAY, 0, 1);
    }
    assert_int_equal(batch_admit(&x), GW_ADMIT_OK);
    entry_open();
    for (unsigned i = 0; i < 1000; i++) {
        many_users(i / 3, user);
        size_t len = gw_pseudonym_text(x.pseudonym, user, strlen(user), pseudonym);
        assert_int_equal(trib_wire_batch_next(&reader, &item), 1);
        assert_non_null(memmem(item.fields, item.fields_len, pseudonym, len));
    }
    assert_true(gw_pseudonym_cache_hits(cache) < 334); /* who came just before is not looked up again */
    gw_pseudonym_cache_free(cache);
}

static void test_too_little_memory_is_said(void **state)
{
    (void)state;
    batch_begin(&x, 1, 1, 0, 0);
    for (unsigned i = 0; i < 300; i++)
        favourite("item", i % 2 ? "a" : "b");
    fields_begin(&x, 0);
    batch_event(&x, 0, 200, 0, 1);
    assert_int_equal(batch_admit(&x), GW_ADMIT_OK);
    const size_t used = x.arena.used_bytes;
    gw_arena_free(&x.arena);
    for (size_t limit = 0; limit < used; limit += 16) {
        gw_arena_init(&x.arena, 1024, limit);
        assert_int_equal(gw_admit(&x.policy, &x.input, &x.arena, &x.out, &x.hole_lane, &x.error),
                         GW_ADMIT_NO_MEMORY);
        gw_arena_free(&x.arena);
    }
    gw_arena_init(&x.arena, 1024, used);
    assert_int_equal(gw_admit(&x.policy, &x.input, &x.arena, &x.out, &x.hole_lane, &x.error), GW_ADMIT_OK);
}

/* --- property: whatever is split, resent or doubled, each seq is admitted once and in order --- */

static uint64_t random_state = 88172645463325252ull;

static uint64_t random_below(uint64_t bound)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % bound;
}

#define HISTORY 400

/* A device's life: HISTORY records in two lanes, some of them drops, some of them bad events. */
static struct {
    unsigned lane, kind; /* an event type, 200 for a bad one, or TRIB_ITEM_DROP */
    uint64_t seq, count, mono_ms, ord;
} history[HISTORY];

static void make_history(uint64_t next_seq[2])
{
    uint64_t mono = 1000, ord = 10;
    for (unsigned i = 0; i < HISTORY; i++) {
        const unsigned lane = (unsigned)random_below(2), dice = (unsigned)random_below(10);
        history[i].lane = lane;
        history[i].kind = dice == 0 ? TRIB_ITEM_DROP : dice == 1 ? 200 : TRIB_EVENT_PING;
        history[i].seq = next_seq[lane];
        history[i].count = dice == 0 ? 1 + random_below(5) : 1;
        next_seq[lane] += history[i].count;
        history[i].mono_ms = mono += random_below(100);
        history[i].ord = ord += 1 + random_below(3);
    }
}

/* The records from..to as one batch. A drop may come in part only: devices merge and split them. */
static void make_batch(unsigned from, unsigned to, const uint64_t committed[2])
{
    uint64_t first[2] = {0, 0};
    for (unsigned i = to; i-- > from;)
        first[history[i].lane] = history[i].seq;
    for (unsigned lane = 0; lane < 2; lane++) {
        if (first[lane] == 0)
            first[lane] = committed[lane] + 1;
    }
    batch_begin(&x, first[0], first[1], committed[0], committed[1]);
    for (unsigned i = from; i < to; i++) {
        if (history[i].kind == TRIB_ITEM_DROP) {
            trib_wire_batch_drop(&x.batch, history[i].lane, history[i].count, TRIB_DROP_ROUTINE,
                                 TRIB_DROP_OVERFLOW);
            continue;
        }
        fields_begin(&x, 1);
        fields_uint(&x, TRIB_FIELD_PLAYED_MS, history[i].seq);
        trib_wire_batch_event(&x.batch, history[i].lane, history[i].kind, history[i].mono_ms, history[i].ord,
                              0, x.fields, x.f.len);
    }
}

/* Walks the entry: each item follows the last of its lane without a gap, and is what the device recorded. */
static void check_entry(uint64_t seen[2])
{
    if (!x.out.write.entry)
        return;
    entry_open();
    int more;
    while ((more = trib_wire_batch_next(&reader, &item)) == 1) {
        assert_int_equal(item.seq, seen[item.lane] + 1);
        seen[item.lane] += item.kind == TRIB_ITEM_DROP ? item.count : 1;
        if (item.kind != TRIB_EVENT_PING)
            continue;
        unsigned i = 0;
        while (history[i].lane != item.lane || history[i].seq != item.seq)
            i++;
        assert_int_equal(history[i].kind, TRIB_EVENT_PING);
        assert_int_equal(item.mono_ms, history[i].mono_ms);
        assert_int_equal(item.ord, history[i].ord);
    }
    assert_int_equal(more, 0);
}

static void test_each_seq_is_admitted_once_and_in_order_whatever_is_resent(void **state)
{
    (void)state;
    for (unsigned life = 0; life < 200; life++) {
        uint64_t next_seq[2] = {1, 1}, committed[2] = {0, 0}, seen[2] = {0, 0};
        uint64_t quarantined = 0, events = 0, dropped = 0;
        make_history(next_seq);
        unsigned reached = 0;
        for (unsigned step = 0; reached < HISTORY; step++) {
            assert_true(step < 20000);
            /* Anything from the start to a little beyond what was reached: resends, overlaps, holes. */
            unsigned from = reached > 0 ? (unsigned)random_below(reached + 4) : (unsigned)random_below(2);
            if (from < reached && random_below(2))
                from = reached - (unsigned)random_below(reached < 20 ? reached : 20);
            if (from > HISTORY)
                from = HISTORY;
            unsigned to = from + (unsigned)random_below(60);
            if (to > HISTORY)
                to = HISTORY;
            make_batch(from, to, committed);
            enum gw_admit_verdict verdict = batch_admit(&x);
            if (verdict == GW_ADMIT_HOLE) {
                assert_true(from > reached);
                continue;
            }
            assert_int_equal(verdict, GW_ADMIT_OK);
            check_entry(seen);
            for (unsigned lane = 0; lane < 2; lane++) {
                assert_int_equal(x.out.write.lanes[lane].expected, committed[lane]);
                committed[lane] = x.out.write.lanes[lane].last_seq;
                if (!x.out.write.entry)
                    seen[lane] = committed[lane]; /* rejected ones only */
                assert_int_equal(seen[lane], committed[lane]);
            }
            events += x.out.event_count;
            dropped += x.out.dropped_count;
            quarantined += x.out.write.quarantine_count;
            if (from <= reached &&
                to > reached) /* beyond a gap of the other lane: taken, but not all before it */
                reached = to;
        }
        assert_int_equal(committed[0], next_seq[0] - 1);
        assert_int_equal(committed[1], next_seq[1] - 1);
        assert_int_equal(events + dropped + quarantined, committed[0] + committed[1]);
    }
}

static void measure(const char *what, unsigned users, unsigned undeclared)
{
    batch_begin(&x, 1, 1, 0, 0);
    batch_context(&x, 1, 99, "film-0000000042", "household-0000000042");
    for (unsigned i = 0; i < 100; i++) {
        char user[40];
        snprintf(user, sizeof user, "user-%031u", users ? i % users : 0);
        fields_begin(&x, 7 + (users != 0) + (undeclared != 0));
        for (unsigned id = TRIB_FIELD_PLAYED_MS; id <= TRIB_FIELD_SEEKING_MS; id++)
            fields_uint(&x, id, 10000 + i);
        fields_uint(&x, TRIB_FIELD_MUTED_MS, 10);
        fields_uint(&x, TRIB_FIELD_DROPPED_FRAMES, 1000);
        if (users)
            fields_text(&x, TRIB_FIELD_USER, user);
        if (undeclared)
            fields_uint(&x, 90, i);
        batch_event(&x, 1, TRIB_EVENT_PING, 1, 10000);
    }
    assert_int_equal(batch_admit(&x), GW_ADMIT_OK);
    assert_int_equal(x.out.event_count, 100);
    const int rounds = 1000;
    struct timespec from, to;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    for (int i = 0; i < rounds; i++) {
        gw_arena_reset(&x.arena);
        if (gw_admit(&x.policy, &x.input, &x.arena, &x.out, &x.hole_lane, &x.error) != GW_ADMIT_OK)
            fail();
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    double ns = (double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec);
    print_message("admit: %.0f ns/event, batches of 100 with 7 fields, %s\n", ns / rounds / 100, what);
}

static void test_measure_admission(void **state)
{
    (void)state;
    measure("user in the context", 0, 0);
    measure("one user field", 1, 0);
    measure("another user each event", 100, 0);
    measure("an undeclared field each", 0, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_plain_batch_is_copied_as_it_is),
        TEST(test_user_ids_become_pseudonyms_everywhere),
        TEST(test_an_index_defined_again_is_written_again),
        TEST(test_the_crc_is_of_the_bytes_as_received),
        TEST(test_undeclared_fields_are_dropped_and_counted),
        TEST(test_duplicates_are_left_out_and_the_rest_kept),
        TEST(test_a_batch_of_duplicates_writes_nothing),
        TEST(test_a_hole_is_refused_and_names_its_lane),
        TEST(test_drop_records_cover_a_hole_and_travel_on),
        TEST(test_rejected_events_are_sealed_and_leave_a_tombstone),
        TEST(test_a_batch_of_rejected_events_only_has_no_entry),
        TEST(test_anchors_and_both_lanes_are_carried_over),
        TEST(test_what_cannot_be_read_is_malformed),
        TEST(test_peek_shows_the_lanes),
        TEST(test_short_user_ids_may_grow_the_entry_many_times),
        TEST(test_users_who_come_again_are_not_taken_for_one_another),
        TEST(test_too_little_memory_is_said),
        TEST(test_each_seq_is_admitted_once_and_in_order_whatever_is_resent),
        TEST(test_measure_admission),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
