/* A lane by itself: streams one after another in one ring, acks across them, what is told of gaps. */
#include "support/fake_device.h"

struct world {
    struct trib_lane_state lane;
    struct trib_storage_ram ram;
    struct trib_storage storage;
    uint8_t flash[6 * 512];
    uint32_t boot, ord;
};

static void mount(struct world *w)
{
    struct trib_ring_found found;
    w->storage = trib_storage_ram(&w->ram);
    assert_int_equal(trib_lane_mount(&w->lane, TRIB_LANE_ROUTINE, &w->storage, &found), 0);
    trib_ring_boot(&w->lane.ring, ++w->boot);
}

static int begin(struct world *w, uint64_t stream, enum trib_enum_value reason, uint64_t first_pos,
                 uint64_t lost)
{
    struct trib_ring_start start = {.stream = stream,
                                    .first_pos = first_pos,
                                    .lost_count = lost,
                                    .boot = w->boot,
                                    .ord = ++w->ord,
                                    .reason = (uint8_t)reason};
    return trib_lane_open(&w->lane, &start, TRIB_RING_USE_SPARE);
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    memset(w->flash, 0xFF, sizeof w->flash);
    trib_storage_ram_init(&w->ram, w->flash, 512, 6, 1);
    mount(w);
    assert_int_equal(begin(w, 0xA, TRIB_START_REASON_FIRST, UINT64_MAX, 0), 0);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static void put(struct world *w, unsigned count)
{
    uint8_t fields[64] = {0xA0};
    for (unsigned i = 0; i < count; i++) {
        struct trib_ring_writer writer;
        trib_ring_begin(&writer, &w->lane.ring);
        int rc = trib_ring_put_event(&writer, TRIB_EVENT_PLAY, 0, 10, ++w->ord, fields, sizeof fields);
        assert_int_equal(trib_ring_commit(&writer), 0);
        if (rc == TRIB_ESPACE) {
            assert_int_equal(trib_lane_open(&w->lane, NULL, TRIB_RING_DROP_OLDEST), 0);
            w->ord--;
            i--;
        }
    }
}

/* The next item must be this. */
static void expect(struct world *w, enum trib_lane_kind kind, uint64_t stream, uint64_t seq, uint64_t count)
{
    struct trib_lane_item item;
    assert_int_equal(trib_lane_peek(&w->lane, TRIB_LANE_ROUTINE, &item), 1);
    assert_int_equal(item.kind, kind);
    assert_int_equal(item.stream, stream);
    assert_int_equal(item.seq, seq);
    assert_int_equal(item.count, count);
    trib_lane_advance(&w->lane, &item);
}

static void expect_events(struct world *w, uint64_t stream, uint64_t from, uint64_t to)
{
    for (uint64_t seq = from; seq <= to; seq++)
        expect(w, TRIB_LANE_ITEM_EVENT, stream, seq, 0);
}

static void expect_nothing(struct world *w)
{
    struct trib_lane_item item;
    assert_int_equal(trib_lane_peek(&w->lane, TRIB_LANE_ROUTINE, &item), 0);
    assert_false(trib_lane_pending(&w->lane));
}

static void welcome(struct world *w, uint64_t stream, uint64_t committed)
{
    struct trib_wire_welcome message;
    memset(&message, 0, sizeof message);
    message.streams[0] = (struct trib_wire_stream_state){stream, committed, 0};
    message.stream_count = 1;
    assert_int_equal(trib_lane_welcome(&w->lane, &message), 0);
}

static void test_a_stream_begins_with_its_start(void **state)
{
    struct world *w = *state;
    put(w, 2);
    expect(w, TRIB_LANE_ITEM_START, 0xA, 1, 0);
    expect_events(w, 0xA, 2, 3);
    expect_nothing(w);
    put(w, 1);
    expect_events(w, 0xA, 4, 4);
}

static void test_a_lost_stream_is_finished_before_the_next(void **state)
{
    struct world *w = *state;
    struct trib_wire_hello_stream streams[TRIB_LANE_STREAMS_MAX];
    struct trib_lane_item item;
    put(w, 3);
    assert_int_equal(begin(w, 0xB, TRIB_START_REASON_LOST, UINT64_MAX, 5),
                     0); /* five at least were damaged */
    put(w, 2);
    mount(w);
    assert_int_equal(trib_lane_streams(&w->lane, TRIB_LANE_ROUTINE, streams), 2);
    assert_int_equal(streams[0].stream, 0xA);
    assert_int_equal(streams[0].next_seq, 10);
    assert_int_equal(streams[1].stream, 0xB);
    assert_int_equal(streams[1].next_seq, 4);
    expect(w, TRIB_LANE_ITEM_START, 0xA, 1, 0);
    expect_events(w, 0xA, 2, 4);
    assert_int_equal(trib_lane_peek(&w->lane, TRIB_LANE_ROUTINE, &item), 1);
    assert_int_equal(item.drop_reason, TRIB_DROP_DAMAGED);
    expect(w, TRIB_LANE_ITEM_DROP, 0xA, 5, 5);
    expect(w, TRIB_LANE_ITEM_START, 0xB, 1, 0);
    expect_events(w, 0xB, 2, 3);
    expect_nothing(w);

    assert_true(trib_lane_ack(&w->lane, 0xA, 4));
    assert_int_equal(w->lane.ring.acked_pos, 3);
    assert_true(trib_lane_ack(&w->lane, 0xA, 9));
    assert_false(w->lane.ring.start_acked); /* of the stream that is next */
    assert_int_equal(trib_lane_streams(&w->lane, TRIB_LANE_ROUTINE, streams), 1);
    assert_true(trib_lane_ack(&w->lane, 0xB, 3));
    assert_int_equal(trib_lane_waiting(&w->lane), 0);
}

/* A gateway closes what HELLO leaves out, and then takes no event of it. */
static void test_hello_names_each_stream_that_has_something_unacked(void **state)
{
    struct world *w = *state;
    struct trib_wire_hello_stream streams[TRIB_LANE_STREAMS_MAX];
    static const uint64_t ids[] = {0xA, 0xB, 0xC, 0xD}, next[] = {4, 5, 6, 7};
    for (unsigned i = 0; i < 4; i++) {
        if (i > 0)
            assert_int_equal(begin(w, ids[i], TRIB_START_REASON_LOST, UINT64_MAX, 0), 0);
        put(w, 2 + i);
    }
    for (unsigned boot = 0; boot < 2; boot++, mount(w)) {
        assert_int_equal(trib_lane_streams(&w->lane, TRIB_LANE_ROUTINE, streams), 4);
        for (unsigned i = 0; i < 4; i++) {
            assert_int_equal(streams[i].stream, ids[i]);
            assert_int_equal(streams[i].lane, TRIB_LANE_ROUTINE);
            assert_int_equal(streams[i].next_seq, next[i]);
            assert_int_equal(streams[i].acked_seq, 0);
        }
    }
    expect(w, TRIB_LANE_ITEM_START, 0xA, 1, 0);
    expect_events(w, 0xA, 2, 3);
    expect(w, TRIB_LANE_ITEM_START, 0xB, 1, 0);
    expect_events(w, 0xB, 2, 4);
    assert_true(trib_lane_ack(&w->lane, 0xA, 3));
    assert_true(trib_lane_ack(&w->lane, 0xB, 2));
    assert_int_equal(trib_lane_streams(&w->lane, TRIB_LANE_ROUTINE, streams), 3);
    assert_int_equal(streams[0].stream, 0xB);
    assert_int_equal(streams[0].acked_seq, 2);
    assert_int_equal(streams[1].acked_seq, 0);
    assert_int_equal(streams[2].stream, 0xD);
}

/* More of them than HELLO has room for: the oldest ones, which are sent first, and the newest. */
static void test_of_too_many_streams_hello_names_the_oldest_and_the_newest(void **state)
{
    struct world *w = *state;
    struct trib_wire_hello_stream streams[TRIB_LANE_STREAMS_MAX];
    for (unsigned i = 1; i < 6; i++) {
        put(w, 1);
        assert_int_equal(begin(w, 0xA + i, TRIB_START_REASON_LOST, UINT64_MAX, 0), 0);
    }
    assert_int_equal(trib_lane_streams(&w->lane, TRIB_LANE_ROUTINE, streams), 4);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(streams[i].stream, 0xA + i);
    assert_int_equal(streams[3].stream, 0xF);
}

static void test_a_roll_back_moves_what_is_unsent_and_copies_nothing(void **state)
{
    struct world *w = *state;
    struct trib_lane_item item;
    put(w, 12); /* more than one sector */
    expect(w, TRIB_LANE_ITEM_START, 0xA, 1, 0);
    expect_events(w, 0xA, 2, 13);
    assert_true(trib_lane_ack(&w->lane, 0xA, 4));
    uint64_t before = w->ram.bytes_done;
    assert_int_equal(begin(w, 0xB, TRIB_START_REASON_ROLLBACK, w->lane.ring.acked_pos, 0), 0);
    assert_true(w->ram.bytes_done - before < 700); /* one erase and one header */
    put(w, 1);
    assert_int_equal(trib_lane_peek(&w->lane, TRIB_LANE_ROUTINE, &item), 1);
    assert_memory_equal(item.start, "\xA3\x18\x1D\x0A\x18\x1E\x05", 7); /* previous 0xA, its next seq 5 */
    expect(w, TRIB_LANE_ITEM_START, 0xB, 1, 0);
    expect_events(w, 0xB, 2, 11);
    expect_nothing(w);
    mount(w); /* and so it is after a boot */
    expect(w, TRIB_LANE_ITEM_START, 0xB, 1, 0);
    expect_events(w, 0xB, 2, 11);
    expect_nothing(w);
}

static void test_a_second_roll_back_moves_them_again(void **state)
{
    struct world *w = *state;
    put(w, 6);
    welcome(w, 0xA, 3);
    assert_int_equal(w->lane.ring.acked_pos, 2);
    assert_int_equal(begin(w, 0xB, TRIB_START_REASON_ROLLBACK, 2, 0), 0);
    put(w, 2);
    expect(w, TRIB_LANE_ITEM_START, 0xB, 1, 0);
    expect_events(w, 0xB, 2, 7);
    assert_int_equal(begin(w, 0xC, TRIB_START_REASON_ROLLBACK, 2, 0), 0);
    expect(w, TRIB_LANE_ITEM_START, 0xC, 1, 0);
    expect_events(w, 0xC, 2, 7);
    expect_nothing(w);
    welcome(w, 0xC, 4);
    expect_events(w, 0xC, 5, 7);
}

static void test_overflow_is_told_where_it_happened(void **state)
{
    struct world *w = *state;
    struct trib_lane_item item;
    put(w, 60);
    mount(w);
    expect(w, TRIB_LANE_ITEM_START, 0xA, 1, 0);
    assert_int_equal(trib_lane_peek(&w->lane, TRIB_LANE_ROUTINE, &item), 1);
    assert_int_equal(item.kind, TRIB_LANE_ITEM_DROP);
    assert_int_equal(item.drop_reason, TRIB_DROP_OVERFLOW);
    assert_int_equal(item.drop_class, TRIB_DROP_ROUTINE);
    assert_int_equal(item.count, w->lane.ring.dropped[0]);
    uint64_t next = 2 + item.count;
    trib_lane_advance(&w->lane, &item);
    expect_events(w, 0xA, next, 61);
    expect_nothing(w);
}

static void test_acks_of_what_was_not_sent_are_not_believed(void **state)
{
    struct world *w = *state;
    put(w, 3);
    expect(w, TRIB_LANE_ITEM_START, 0xA, 1, 0);
    assert_true(trib_lane_ack(&w->lane, 0xA, 4));
    assert_true(trib_lane_ack(&w->lane, 0xA, UINT64_MAX));
    assert_int_equal(trib_lane_acked_seq(&w->lane), 0);
    assert_false(trib_lane_ack(&w->lane, 0xF, 1));
    assert_true(trib_lane_ack(&w->lane, 0xA, 1));
    assert_int_equal(trib_lane_acked_seq(&w->lane), 1);
}

static void test_the_ack_cursor_outlives_a_boot_with_its_crc(void **state)
{
    struct world *w = *state;
    struct trib_ring_writer writer;
    put(w, 4);
    expect(w, TRIB_LANE_ITEM_START, 0xA, 1, 0);
    expect_events(w, 0xA, 2, 5);
    assert_true(trib_lane_ack(&w->lane, 0xA, 3));
    uint32_t crc = trib_lane_acked_crc(&w->lane);
    assert_int_not_equal(crc, 0);
    trib_ring_begin(&writer, &w->lane.ring);
    assert_int_equal(trib_ring_put_ack(&writer, crc), 0);
    assert_int_equal(trib_ring_commit(&writer), 0);
    mount(w);
    assert_int_equal(trib_lane_acked_seq(&w->lane), 3);
    assert_int_equal(w->lane.ring.acked_crc, crc);
    expect_events(w, 0xA, 4, 5);
}

static void test_a_nack_beyond_the_head_changes_nothing(void **state)
{
    struct world *w = *state;
    put(w, 3);
    expect(w, TRIB_LANE_ITEM_START, 0xA, 1, 0);
    expect_events(w, 0xA, 2, 4);
    assert_true(trib_lane_nack(&w->lane, 0xA, 100));
    expect_nothing(w);
    assert_true(trib_lane_nack(&w->lane, 0xA, 3));
    expect_events(w, 0xA, 3, 4);
    assert_true(trib_lane_nack(&w->lane, 0xA, 0));
    expect(w, TRIB_LANE_ITEM_START, 0xA, 1, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        CASE(test_a_stream_begins_with_its_start),
        CASE(test_a_lost_stream_is_finished_before_the_next),
        CASE(test_hello_names_each_stream_that_has_something_unacked),
        CASE(test_of_too_many_streams_hello_names_the_oldest_and_the_newest),
        CASE(test_a_roll_back_moves_what_is_unsent_and_copies_nothing),
        CASE(test_a_second_roll_back_moves_them_again),
        CASE(test_overflow_is_told_where_it_happened),
        CASE(test_acks_of_what_was_not_sent_are_not_believed),
        CASE(test_the_ack_cursor_outlives_a_boot_with_its_crc),
        CASE(test_a_nack_beyond_the_head_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
