/* The life of streams at the door: erased, closed, ended before all of it came. */
#include "session_fixture.h"

#include "observe/metrics.h"

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    world_init(w);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    world_free(*state);
    free(*state);
    return 0;
}

static void hello_of_generation(struct world *w, uint64_t generation)
{
    struct trib_wire_hello hello = hello_of(6, 0);
    hello.generation = generation;
    say_hello(w, &hello);
}

static void test_a_journal_from_before_the_erasure_is_refused(void **state)
{
    struct world *w = *state;
    world_add_row(w, GW_JOURNAL_DEVICE_ROW, 0, 0)->generation = 3;
    hello_of_generation(w, 2);
    assert_bye(w, TRIB_BYE_ERASED);
    assert_int_equal(w->sent_count, 1); /* no WELCOME: nothing can be sent */
    say_batch(w, 1, 1);
    assert_int_equal(w->queued, 0);
}

static void test_the_erased_device_itself_is_welcome(void **state)
{
    struct world *w = *state;
    world_add_row(w, GW_JOURNAL_DEVICE_ROW, 0, 0)->generation = 3;
    hello_of_generation(w, 3);
    assert_int_equal(last_welcome(w).streams[0].committed, 0);
}

/* What waits in it must go on in a new stream: the device moves it there when the gateway is ahead of it. */
static void expect_moved_on(struct world *w)
{
    assert_true(last_welcome(w).streams[0].committed > 1000000);
    uint8_t bytes[2048];
    size_t len = make_batch(bytes, sizeof bytes, STREAM, 6, 1, TRIB_EVENT_PAUSE);
    gw_session_receive(&w->session, bytes, len, w->now_ms);
    assert_bye(w, TRIB_BYE_PROTOCOL); /* and is neither stored nor taken for a duplicate */
    assert_int_equal(w->queued, 0);
}

static void test_a_closed_stream_takes_nothing_and_its_device_moves_on(void **state)
{
    struct world *w = *state;
    world_add_row(w, STREAM, 5, 1)->closed = true;
    hello_of_generation(w, 0);
    expect_moved_on(w);
}

static void test_a_stream_older_than_the_erasure_takes_nothing(void **state)
{
    struct world *w = *state;
    world_add_row(w, STREAM, 5, 1);
    hello_of_generation(w, 1);
    expect_moved_on(w);
}

static void test_a_closed_stream_that_hello_did_not_name_takes_nothing(void **state)
{
    struct world *w = *state;
    world_add_row(w, ROUTINE, 5, 1)->closed = true;
    world_welcomed(w, 1, 0);
    uint8_t bytes[2048];
    size_t len = make_batch(bytes, sizeof bytes, ROUTINE, 6, 1, TRIB_EVENT_PAUSE);
    gw_session_receive(&w->session, bytes, len, w->now_ms);
    assert_bye(w, TRIB_BYE_PROTOCOL);
    assert_int_equal(w->queued, 0);
}

static void test_the_first_batch_tells_the_journal_which_streams_live(void **state)
{
    struct world *w = *state;
    world_welcomed(w, 1, 0);
    say_batch(w, 1, 1);
    say_batch(w, 2, 1);
    const struct gw_journal_write *write = &w->queue[0]->admitted.write;
    assert_true(write->names_streams);
    assert_int_equal(write->named_count, 1);
    assert_int_equal(write->named[0], STREAM);
    assert_false(w->queue[1]->admitted.write.names_streams);
    world_commit(w, 2, 0);
}

static void say_start(struct world *w, uint64_t previous, uint64_t previous_next, unsigned reason)
{
    uint8_t bytes[2048], fields[64];
    struct trib_cbor_writer f;
    trib_cbor_writer_init(&f, fields, sizeof fields);
    trib_cbor_put_map(&f, 3);
    trib_cbor_put_uint(&f, TRIB_FIELD_PREVIOUS);
    trib_cbor_put_uint(&f, previous);
    trib_cbor_put_uint(&f, TRIB_FIELD_PREVIOUS_NEXT);
    trib_cbor_put_uint(&f, previous_next);
    trib_cbor_put_uint(&f, TRIB_FIELD_START_REASON);
    trib_cbor_put_uint(&f, reason);
    struct trib_wire_batch_head head = {.lanes = {{STREAM, 1}, {0, 0}}, .boot = 1, .mono_ms = 100};
    struct trib_wire_batch_writer b;
    size_t len;
    trib_wire_batch_open(&b, &head, bytes, sizeof bytes);
    trib_wire_batch_event(&b, 0, TRIB_EVENT_STREAM_START, 100, 1, 0, fields, f.len);
    assert_int_equal(trib_wire_batch_close(&b, &len), 0);
    gw_session_receive(&w->session, bytes, len, w->now_ms);
}

static void expect_unaccounted(struct world *w, uint64_t previous, uint64_t next, unsigned reason,
                               uint64_t count)
{
    uint64_t before = gw_metric_get(GW_METRIC_EVENTS_UNACCOUNTED);
    world_welcomed(w, 2, 0);
    say_start(w, previous, next, reason);
    assert_int_equal(w->queued, 1);
    assert_int_equal(w->queue[0]->admitted.unaccounted_count, count);
    gw_session_count(&w->queue[0]->admitted);
    assert_int_equal(gw_metric_get(GW_METRIC_EVENTS_UNACCOUNTED) - before, count);
}

static void test_the_remainder_of_a_stream_that_ended_early_is_unaccounted(void **state)
{
    world_add_row(*state, ROUTINE, 5, 1);
    expect_unaccounted(*state, ROUTINE, 9, TRIB_START_REASON_LOST, 3);
}

static void test_a_stream_that_came_whole_lacks_nothing(void **state)
{
    world_add_row(*state, ROUTINE, 8, 1);
    expect_unaccounted(*state, ROUTINE, 9, TRIB_START_REASON_ROLLBACK, 0);
}

static void test_what_was_erased_is_no_loss(void **state)
{
    world_add_row(*state, ROUTINE, 5, 1);
    expect_unaccounted(*state, ROUTINE, 9, TRIB_START_REASON_ERASED, 0);
}

static void test_a_stream_of_another_gateway_is_not_counted_here(void **state)
{
    expect_unaccounted(*state, 0xcc, 9, TRIB_START_REASON_LOST, 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_a_journal_from_before_the_erasure_is_refused),
        T(test_the_erased_device_itself_is_welcome),
        T(test_a_closed_stream_takes_nothing_and_its_device_moves_on),
        T(test_a_stream_older_than_the_erasure_takes_nothing),
        T(test_a_closed_stream_that_hello_did_not_name_takes_nothing),
        T(test_the_first_batch_tells_the_journal_which_streams_live),
        T(test_the_remainder_of_a_stream_that_ended_early_is_unaccounted),
        T(test_a_stream_that_came_whole_lacks_nothing),
        T(test_what_was_erased_is_no_loss),
        T(test_a_stream_of_another_gateway_is_not_counted_here),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
