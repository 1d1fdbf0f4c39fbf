/* Which seqs of its lanes a batch brings: duplicates, holes, what was dropped; each once and in order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "unit/gateway/admit_world.h"

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

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_duplicates_are_left_out_and_the_rest_kept),
        TEST(test_a_batch_of_duplicates_writes_nothing),
        TEST(test_a_hole_is_refused_and_names_its_lane),
        TEST(test_drop_records_cover_a_hole_and_travel_on),
        TEST(test_each_seq_is_admitted_once_and_in_order_whatever_is_resent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
