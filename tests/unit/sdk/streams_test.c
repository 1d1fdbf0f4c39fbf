/*
 * A device whose journal was lost twice while its acks were: three streams of a lane wait. The gateway closes those that
 * HELLO leaves out, with the first batch (docs/protocol.md), so each must be named, or its events would come twice.
 */
#include "support/fake_device.h"

struct world {
    struct fake_device device;
    struct fake_gateway gateway;
    uint64_t named[TRIB_WIRE_STREAMS_MAX];
    size_t named_count;
};

static void record(struct world *w, unsigned count)
{
    char item[16];
    for (; count > 0; count--) {
        snprintf(item, sizeof item, "f%u", (unsigned)w->device.now_ms++);
        assert_int_equal(trib_favourite_add(&w->device.client, NULL, item, NULL), 0);
    }
    assert_int_equal(trib_flush(&w->device.client, 0), 0);
}

static void lose_stream(struct world *w)
{
    assert_int_equal(
        trib_client_new_stream(&w->device.client, TRIB_LANE_VITAL, TRIB_START_REASON_LOST, UINT64_MAX, 0), 0);
}

/* HELLO and WELCOME; what was named. */
static void connect(struct world *w)
{
    const struct trib_uplink_source *source = &w->device.source;
    struct trib_wire_hello hello;
    struct trib_wire_welcome welcome;
    source->hello(&w->device.client, &hello);
    w->named_count = hello.stream_count;
    for (size_t i = 0; i < hello.stream_count; i++)
        w->named[i] = hello.streams[i].stream;
    fake_answer(&w->gateway, &hello, &welcome);
    assert_int_equal(source->welcome(&w->device.client, &welcome), 0);
}

static void assert_named(const struct world *w, uint64_t stream)
{
    for (size_t i = 0; i < w->named_count; i++)
        if (w->named[i] == stream)
            return;
    fail_msg("stream %llx was not named in HELLO and is closed", (unsigned long long)stream);
}

static void deliver(struct world *w, bool ack)
{
    w->device.client.hurry = true;
    connect(w);
    while (fake_take_batch(&w->gateway, &w->device, ack))
        ;
    w->device.client.hurry = false;
    for (size_t i = 0; i < w->gateway.event_count; i++)
        for (size_t k = 0; k < i; k++)
            assert_false(w->gateway.events[i].type == w->gateway.events[k].type &&
                         w->gateway.events[i].type != TRIB_EVENT_STREAM_START &&
                         w->gateway.events[i].ord == w->gateway.events[k].ord &&
                         w->gateway.events[i].boot == w->gateway.events[k].boot);
}

static void test_three_unacked_streams_of_a_lane_are_all_named(void **state)
{
    (void)state;
    struct world *w = calloc(1, sizeof *w);
    fake_device_init(&w->device, 1024, 12, 1);
    fake_gateway_init(&w->gateway);
    assert_int_equal(fake_device_boot(&w->device), 0);
    record(w, 3);
    lose_stream(w);
    record(w, 2);
    deliver(w, false); /* both are committed, and the acks lost */
    size_t committed = w->gateway.event_count;
    assert_int_equal(fake_device_boot(&w->device), 0);
    lose_stream(w);
    record(w, 4);
    connect(w);
    for (size_t i = 0; i < w->gateway.stream_count; i++)
        assert_named(w, w->gateway.streams[i].id);
    deliver(w, true);
    assert_int_equal(fake_count(&w->gateway, TRIB_EVENT_FAVOURITE_ADD), 9);
    assert_true(w->gateway.event_count > committed);
    assert_int_equal(trib_lane_waiting(&w->device.client.lanes[TRIB_LANE_VITAL]), 0);
    fake_device_free(&w->device);
    fake_gateway_free(&w->gateway);
    free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_three_unacked_streams_of_a_lane_are_all_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
