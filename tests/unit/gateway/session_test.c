/* The session's rules, each with a fake clock, journal and committer. */
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

/* --- HELLO and WELCOME --- */

static void test_welcome_tells_what_is_committed_and_its_crc(void **state)
{
    struct world *w = *state;
    world_add_row(w, STREAM, 41, 0xfeedf00d);
    struct trib_wire_hello hello = hello_of(50, 40);
    hello.streams[1] =
        (struct trib_wire_hello_stream){.stream = ROUTINE, .next_seq = 1, .lane = TRIB_LANE_ROUTINE};
    hello.stream_count = 2;
    hello.acked_gateway = (struct trib_text){GATEWAY, strlen(GATEWAY)};
    hello.acked_epoch = EPOCH;
    say_hello(w, &hello);
    struct trib_wire_welcome welcome = last_welcome(w);
    assert_int_equal(welcome.gateway.len, strlen(GATEWAY));
    assert_memory_equal(welcome.gateway.ptr, GATEWAY, strlen(GATEWAY));
    assert_int_equal(welcome.epoch, EPOCH);
    assert_int_equal(welcome.stream_count, 2);
    assert_int_equal(welcome.streams[0].stream, STREAM);
    assert_int_equal(welcome.streams[0].committed, 41);
    assert_int_equal(welcome.streams[0].crc, 0xfeedf00d);
    assert_int_equal(welcome.streams[1].committed, 0);
    assert_int_equal(welcome.credit.events, 20);
    assert_int_equal(welcome.credit.bytes, 16384);
    assert_int_equal(welcome.max_message_bytes, 8192);
    assert_int_equal(welcome.max_event_bytes, 1024);
    assert_int_equal(welcome.keepalive_ms, 25000);
    assert_int_equal(welcome.utc_quality, TRIB_TIME_SYNCED);
    assert_int_equal(welcome.utc_ms, 1764000000000ull);
    assert_int_equal(welcome.utc_uncertainty_ms, 7);
}

static void test_a_gateway_without_synchronised_clock_gives_no_time(void **state)
{
    struct world *w = *state;
    w->time.synchronised = false;
    world_welcomed(w, 1, 0);
    assert_int_equal(last_welcome(w).utc_quality, TRIB_TIME_NONE);
}

static void test_no_hello_in_time_ends_in_bye(void **state)
{
    struct world *w = *state;
    gw_session_tick(&w->session, w->now_ms + 4999);
    assert_int_equal(w->sent_count, 0);
    gw_session_tick(&w->session, w->now_ms + 5000);
    assert_bye(w, TRIB_BYE_TIMEOUT);
}

static void test_a_batch_before_hello_ends_in_bye(void **state)
{
    struct world *w = *state;
    say_batch(w, 1, 1);
    assert_bye(w, TRIB_BYE_PROTOCOL);
}

static void test_a_second_hello_ends_in_bye(void **state)
{
    struct world *w = *state;
    world_welcomed(w, 1, 0);
    struct trib_wire_hello hello = hello_of(1, 0);
    say_hello(w, &hello);
    assert_bye(w, TRIB_BYE_PROTOCOL);
}

static void test_hello_of_another_device_ends_in_bye_auth(void **state)
{
    struct world *w = *state;
    struct trib_wire_hello hello = hello_of(1, 0);
    hello.device = (struct trib_text){"dev-10", 6};
    say_hello(w, &hello);
    assert_bye(w, TRIB_BYE_AUTH);
    assert_int_equal(gw_registry_count(w->registry), 0);
}

static void test_hello_of_another_version_ends_in_bye_version(void **state)
{
    struct world *w = *state;
    struct trib_wire_hello hello = hello_of(1, 0);
    hello.version = TRIB_WIRE_VERSION + 1;
    say_hello(w, &hello);
    assert_bye(w, TRIB_BYE_VERSION);
}

static void test_a_hello_over_four_kilobytes_is_too_large(void **state)
{
    struct world *w = *state;
    static uint8_t bytes[TRIB_WIRE_HELLO_BYTES_MAX + 1];
    assert_int_equal(gw_session_message_limit(&w->session), TRIB_WIRE_HELLO_BYTES_MAX);
    gw_session_receive(&w->session, bytes, sizeof bytes, w->now_ms);
    assert_bye(w, TRIB_BYE_TOO_LARGE);
}

static void test_hello_with_a_stream_twice_or_zero_ends_in_bye(void **state)
{
    struct world *w = *state;
    struct trib_wire_hello hello = hello_of(1, 0);
    hello.streams[1] = hello.streams[0];
    hello.stream_count = 2;
    say_hello(w, &hello);
    assert_bye(w, TRIB_BYE_PROTOCOL);
}

static void test_garbage_ends_in_bye_protocol(void **state)
{
    struct world *w = *state;
    static const uint8_t GARBAGE[] = {0xff, 0x00, 0x13, 0x37};
    gw_session_receive(&w->session, GARBAGE, sizeof GARBAGE, w->now_ms);
    assert_bye(w, TRIB_BYE_PROTOCOL);
}

static void test_unknown_message_types_are_ignored(void **state)
{
    struct world *w = *state;
    world_welcomed(w, 1, 0);
    static const uint8_t UNKNOWN[] = {0x82, 0x18, 0x63, 0xa0}; /* [99, {}] */
    gw_session_receive(&w->session, UNKNOWN, sizeof UNKNOWN, w->now_ms);
    assert_false(w->closed);
    say_batch(w, 1, 1);
    assert_int_equal(w->queued, 1);
}

static void test_an_unreadable_journal_or_empty_budget_sends_the_device_away(void **state)
{
    struct world *w = *state;
    w->stream_get_result = GW_EIO;
    struct trib_wire_hello hello = hello_of(1, 0);
    say_hello(w, &hello);
    assert_bye(w, TRIB_BYE_UNAVAILABLE);
    gw_registry_leave(w->registry, &w->session.seat);
    w->stream_get_result = 0;
    w->budget = 2047; /* not even one event of the largest size, with its batch */
    world_connect(w);
    say_hello(w, &hello);
    assert_bye(w, TRIB_BYE_UNAVAILABLE);
}

static void test_grants_stay_within_the_budget(void **state)
{
    struct world *w = *state;
    w->budget = 10000;
    world_welcomed(w, 1, 0);
    assert_int_equal(last_welcome(w).credit.bytes, 10000);
}

static void test_a_gateway_that_cannot_store_says_unavailable_with_retry(void **state)
{
    struct world *w = *state;
    w->claim_result = GW_EAGAIN;
    struct trib_wire_hello hello = hello_of(1, 0);
    say_hello(w, &hello);
    assert_bye(w, TRIB_BYE_UNAVAILABLE);
    struct trib_wire_bye bye;
    const struct sent *s = last(w, TRIB_WIRE_BYE);
    assert_int_equal(trib_wire_bye_decode(s->bytes, s->len, &bye), 0);
    assert_true(bye.retry_after_ms > 0);
}

/* --- acked elsewhere, roll-back --- */

static void test_what_another_gateway_acked_is_adopted(void **state)
{
    struct world *w = *state;
    world_add_row(w, STREAM, 5, 0x1234);
    uint64_t unaccounted = gw_metric_get(GW_METRIC_EVENTS_UNACCOUNTED);
    struct trib_wire_hello hello = hello_of(12, 9);
    hello.acked_gateway = (struct trib_text){"another", 7};
    hello.acked_epoch = 3;
    say_hello(w, &hello);
    assert_int_equal(last_welcome(w).streams[0].committed, 9);
    assert_int_equal(last_welcome(w).streams[0].crc, 0);
    say_batch(w, 10, 2);
    assert_int_equal(w->queued, 1);
    assert_true(w->queue[0]->admitted.write.lanes[0].adopt);
    assert_int_equal(w->queue[0]->admitted.write.lanes[0].expected, 9);
    say_batch(w, 12, 1);
    assert_false(w->queue[1]->admitted.write.lanes[0].adopt);
    world_commit(w, 2, 0);
    assert_int_equal(last_ack(w).acked[0].seq, 12);
    assert_int_equal(world_row(w, STREAM)->committed, 12);
    assert_int_equal(gw_metric_get(GW_METRIC_EVENTS_UNACCOUNTED), unaccounted);
}

static void test_what_an_older_epoch_of_this_gateway_acked_is_adopted_too(void **state)
{
    struct world *w = *state;
    struct trib_wire_hello hello = hello_of(12, 9);
    hello.acked_gateway = (struct trib_text){GATEWAY, strlen(GATEWAY)};
    hello.acked_epoch = EPOCH - 1;
    say_hello(w, &hello);
    assert_int_equal(last_welcome(w).streams[0].committed, 9);
}

static void test_what_this_journal_acked_but_does_not_hold_is_alarmed_and_adopted(void **state)
{
    struct world *w = *state;
    world_add_row(w, STREAM, 5, 0x1234);
    uint64_t unaccounted = gw_metric_get(GW_METRIC_EVENTS_UNACCOUNTED);
    struct trib_wire_hello hello = hello_of(12, 9);
    hello.acked_gateway = (struct trib_text){GATEWAY, strlen(GATEWAY)};
    hello.acked_epoch = EPOCH;
    say_hello(w, &hello);
    assert_int_equal(last_welcome(w).streams[0].committed, 9);
    assert_int_equal(gw_metric_get(GW_METRIC_EVENTS_UNACCOUNTED), unaccounted + 4);
}

static void test_a_roll_back_is_counted_and_the_device_is_told_what_is_committed(void **state)
{
    struct world *w = *state;
    world_add_row(w, STREAM, 20, 0x1234);
    uint64_t rollbacks = gw_metric_get(GW_METRIC_ROLLBACKS);
    world_welcomed(w, 20, 0);
    assert_int_equal(gw_metric_get(GW_METRIC_ROLLBACKS), rollbacks + 1);
    assert_int_equal(last_welcome(w).streams[0].committed, 20);
    assert_int_equal(last_welcome(w).streams[0].crc, 0x1234);
}

static void test_a_device_that_is_just_up_to_date_is_no_roll_back(void **state)
{
    struct world *w = *state;
    world_add_row(w, STREAM, 20, 0x1234);
    uint64_t rollbacks = gw_metric_get(GW_METRIC_ROLLBACKS);
    world_welcomed(w, 21, 0);
    assert_int_equal(gw_metric_get(GW_METRIC_ROLLBACKS), rollbacks);
}

/* --- BATCH, ACK, NACK --- */

static void test_ack_is_sent_only_after_commit(void **state)
{
    struct world *w = *state;
    world_welcomed(w, 4, 0);
    size_t before = w->sent_count;
    say_batch(w, 1, 3);
    gw_session_flush(&w->session);
    gw_session_tick(&w->session, w->now_ms + 1000);
    assert_int_equal(w->queued, 1);
    assert_int_equal(w->sent_count, before);
    world_commit(w, 1, 0);
    assert_int_equal(w->sent_count, before + 1);
    struct trib_wire_ack ack = last_ack(w);
    assert_int_equal(ack.acked_count, 1);
    assert_int_equal(ack.acked[0].stream, STREAM);
    assert_int_equal(ack.acked[0].seq, 3);
}

static void test_batches_of_one_commit_get_one_ack(void **state)
{
    struct world *w = *state;
    world_welcomed(w, 10, 0);
    size_t before = w->sent_count;
    say_batch(w, 1, 2);
    say_batch(w, 3, 2);
    say_batch(w, 5, 2);
    assert_int_equal(w->queued, 3);
    world_commit(w, 3, 0);
    assert_int_equal(w->sent_count, before + 1);
    assert_int_equal(last_ack(w).acked[0].seq, 6);
}

static void test_an_ack_covers_only_what_is_committed_while_more_is_queued(void **state)
{
    struct world *w = *state;
    world_welcomed(w, 10, 0);
    say_batch(w, 1, 2);
    say_batch(w, 3, 2);
    world_commit(w, 1, 0);
    assert_int_equal(last_ack(w).acked[0].seq, 2);
    world_commit(w, 1, 0);
    assert_int_equal(last_ack(w).acked[0].seq, 4);
}

static void test_a_leap_gets_a_nack(void **state)
{
    struct world *w = *state;
    world_welcomed(w, 10, 0);
    say_batch(w, 1, 2);
    size_t before = w->sent_count;
    say_batch(w, 4, 2); /* 3 is missing; 1 and 2 are on their way */
    assert_int_equal(w->queued, 1);
    assert_int_equal(w->sent_count, before + 2);
    struct trib_wire_nack nack;
    assert_int_equal(w->sent[before].type, TRIB_WIRE_NACK);
    assert_int_equal(trib_wire_nack_decode(w->sent[before].bytes, w->sent[before].len, &nack), 0);
    assert_int_equal(nack.stream, STREAM);
    assert_int_equal(nack.expected, 3);
    assert_false(w->closed);
    say_batch(w, 3, 3);
    world_commit(w, 2, 0);
    assert_int_equal(last_ack(w).acked[0].seq, 5);
}

static void test_a_nack_gives_its_credit_back(void **state)
{
    struct world *w = *state;
    world_welcomed(w, 100, 0);
    size_t len = say_batch(w, 7, 20);
    struct trib_wire_credit credit;
    const struct sent *s = last(w, TRIB_WIRE_CREDIT);
    assert_int_equal(trib_wire_credit_decode(s->bytes, s->len, &credit), 0);
    assert_int_equal(credit.events, 40);
    assert_int_equal(credit.bytes, 16384 + len);
    say_batch(w, 1, 20);
    assert_false(w->closed);
    assert_int_equal(w->queued, 1);
}

static void test_a_declared_drop_covers_a_hole(void **state)
{
    struct world *w = *state;
    world_welcomed(w, 10, 0);
    uint8_t bytes[512];
    struct trib_wire_batch_head head = {.lanes = {{STREAM, 1}}, .boot = 1};
    struct trib_wire_batch_writer b;
    size_t len;
    trib_wire_batch_open(&b, &head, bytes, sizeof bytes);
    trib_wire_batch_drop(&b, 0, 6, TRIB_DROP_VITAL, TRIB_DROP_OVERFLOW);
    static const uint8_t EMPTY[] = {0xa0};
    trib_wire_batch_event(&b, 0, TRIB_EVENT_PAUSE, 5, 1, 0, EMPTY, 1);
    assert_int_equal(trib_wire_batch_close(&b, &len), 0);
    gw_session_receive(&w->session, bytes, len, w->now_ms);
    assert_int_equal(w->queued, 1);
    world_commit(w, 1, 0);
    assert_int_equal(last_ack(w).acked[0].seq, 7);
}

static void test_a_duplicate_is_acked_again_and_not_stored(void **state)
{
    struct world *w = *state;
    world_add_row(w, STREAM, 5, 0);
    world_welcomed(w, 10, 0);
    say_batch(w, 2, 3);
    assert_int_equal(w->queued, 0);
    struct trib_wire_ack ack = last_ack(w);
    assert_int_equal(ack.acked[0].seq, 5);
    assert_int_equal(ack.credit.events, 23);
}

static void test_a_duplicate_of_what_is_only_queued_is_not_acked_early(void **state)
{
    struct world *w = *state;
    world_welcomed(w, 10, 0);
    say_batch(w, 1, 3);
    say_batch(w, 1, 3);
    assert_int_equal(w->queued, 1);
    assert_int_equal(last_ack(w).acked[0].seq, 0);
    world_commit(w, 1, 0);
    assert_int_equal(last_ack(w).acked[0].seq, 3);
}

static void test_an_overlap_commits_only_its_new_part(void **state)
{
    struct world *w = *state;
    world_add_row(w, STREAM, 5, 0);
    world_welcomed(w, 10, 0);
    say_batch(w, 4, 4);
    assert_int_equal(w->queue[0]->admitted.event_count, 2);
    assert_int_equal(w->queue[0]->admitted.duplicate_count, 2);
    world_commit(w, 1, 0);
    assert_int_equal(last_ack(w).acked[0].seq, 7);
}

static void test_a_rejected_event_is_acked_with_its_code(void **state)
{
    struct world *w = *state;
    world_welcomed(w, 10, 0);
    uint8_t bytes[4096];
    size_t len = make_batch(bytes, sizeof bytes, STREAM, 1, 2, 200);
    gw_session_receive(&w->session, bytes, len, w->now_ms);
    assert_int_equal(w->queued, 1);
    assert_int_equal(w->queue[0]->admitted.write.quarantine_count, 2);
    world_commit(w, 1, 0);
    struct trib_wire_ack ack = last_ack(w);
    assert_int_equal(ack.acked[0].seq, 2);
    assert_int_equal(ack.rejected_count, 2);
    assert_int_equal(ack.rejected[0].seq, 1);
    assert_int_equal(ack.rejected[0].code, TRIB_REJECT_UNKNOWN_TYPE);
    assert_int_equal(ack.credit.events, 22);
}

static void test_a_truncated_batch_ends_in_bye_and_commits_nothing(void **state)
{
    struct world *w = *state;
    world_welcomed(w, 10, 0);
    uint8_t bytes[4096];
    size_t len = make_batch(bytes, sizeof bytes, STREAM, 1, 3, TRIB_EVENT_PAUSE);
    gw_session_receive(&w->session, bytes, len - 2, w->now_ms);
    assert_bye(w, TRIB_BYE_PROTOCOL);
    assert_int_equal(w->queued, 0);
}

static void test_a_stream_that_hello_did_not_name_is_looked_up(void **state)
{
    struct world *w = *state;
    world_add_row(w, 0xcc, 3, 0);
    world_welcomed(w, 1, 0);
    uint8_t bytes[4096];
    size_t len = make_batch(bytes, sizeof bytes, 0xcc, 4, 1, TRIB_EVENT_PAUSE);
    gw_session_receive(&w->session, bytes, len, w->now_ms);
    world_commit(w, 1, 0);
    assert_int_equal(last_ack(w).acked[0].stream, 0xcc);
    assert_int_equal(last_ack(w).acked[0].seq, 4);
}

static void test_a_ninth_live_stream_ends_in_bye(void **state)
{
    struct world *w = *state;
    world_welcomed(w, 1, 0);
    uint8_t bytes[4096];
    for (uint64_t stream = 1; stream <= 7; stream++) {
        size_t len = make_batch(bytes, sizeof bytes, stream, 1, 1, TRIB_EVENT_PAUSE);
        gw_session_receive(&w->session, bytes, len, w->now_ms);
        assert_false(w->closed);
    }
    size_t len = make_batch(bytes, sizeof bytes, 8, 1, 1, TRIB_EVENT_PAUSE);
    gw_session_receive(&w->session, bytes, len, w->now_ms);
    assert_bye(w, TRIB_BYE_PROTOCOL);
}

/* --- credit --- */

static void test_batch_beyond_credit_in_events_ends_in_bye(void **state)
{
    struct world *w = *state;
    world_welcomed(w, 100, 0);
    say_batch(w, 1, 20);
    assert_int_equal(w->queued, 1);
    say_batch(w, 21, 1);
    assert_bye(w, TRIB_BYE_CREDIT);
    assert_int_equal(w->queued, 1); /* nothing of the second */
}

static void test_batch_beyond_credit_in_bytes_ends_in_bye(void **state)
{
    struct world *w = *state;
    w->rules.credit_bytes = 40;
    w->rules.credit_events = 1000;
    world_welcomed(w, 1000, 0);
    say_batch(w, 1, 100);
    assert_bye(w, TRIB_BYE_CREDIT);
    assert_int_equal(w->queued, 0);
}

static void test_a_commit_gives_credit_back(void **state)
{
    struct world *w = *state;
    world_welcomed(w, 1000, 0);
    uint64_t bytes = 16384;
    for (unsigned round = 0; round < 10; round++) {
        bytes += say_batch(w, 1 + round * 20, 20);
        world_commit(w, 1, 0);
        struct trib_wire_ack ack = last_ack(w);
        assert_int_equal(ack.credit.events, 20 + (round + 1) * 20);
        assert_int_equal(ack.credit.bytes, bytes);
    }
    assert_false(w->closed);
}

/* --- failures of the journal --- */

static void test_a_failed_commit_is_never_acked(void **state)
{
    struct world *w = *state;
    world_welcomed(w, 10, 0);
    say_batch(w, 1, 3);
    size_t before = w->sent_count;
    world_commit(w, 1, GW_EFULL);
    assert_int_equal(w->sent_count, before + 1);
    assert_bye(w, TRIB_BYE_UNAVAILABLE);
    assert_null(world_row(w, STREAM));
}

static void test_a_late_success_after_bye_says_nothing(void **state)
{
    struct world *w = *state;
    world_welcomed(w, 10, 0);
    say_batch(w, 1, 3);
    gw_session_bye(&w->session, TRIB_BYE_DRAINING, 0, "test");
    size_t before = w->sent_count;
    world_commit(w, 1, 0);
    assert_int_equal(w->sent_count, before);
}

/* --- takeover --- */

static void test_welcome_waits_for_batches_of_the_older_connection(void **state)
{
    struct world *w = *state;
    world_welcomed(w, 10, 0);
    say_batch(w, 1, 3);
    w->queue[0]->connection = 1; /* its connection will be gone */
    struct gw_registry_seat old = w->session.seat;
    uint64_t owner = w->owner;
    world_connect(w);
    struct trib_wire_hello hello = hello_of(10, 0);
    say_hello(w, &hello);
    assert_int_equal(w->previous, owner);
    assert_int_equal(w->sent_count, 0);
    gw_session_tick(&w->session, w->now_ms + 50);
    assert_int_equal(w->sent_count, 0);
    world_commit(w, 1, 0);
    gw_session_tick(&w->session, w->now_ms + 100);
    /* The committer refused the late batch: nothing of it is committed. */
    assert_int_equal(last_welcome(w).streams[0].committed, 0);
    assert_null(world_row(w, STREAM));
    gw_registry_leave(w->registry, &old);
}

static void test_the_registry_forgets_devices_that_are_gone(void **state)
{
    struct world *w = *state;
    world_welcomed(w, 10, 0);
    assert_int_equal(gw_registry_count(w->registry), 1);
    say_batch(w, 1, 1);
    gw_registry_leave(w->registry, &w->session.seat);
    w->session.seat.entry = NULL;
    assert_int_equal(gw_registry_count(w->registry), 1); /* a batch is in flight */
    world_commit(w, 1, 0);
    assert_int_equal(gw_registry_count(w->registry), 0);
}

static void test_the_older_connections_leaving_does_not_unseat_the_newer(void **state)
{
    struct world *w = *state;
    struct gw_registry_seat older, newer;
    uint64_t previous;
    assert_int_equal(gw_registry_claim(w->registry, "d", 5, &older, &previous), 0);
    assert_int_equal(previous, 0);
    assert_int_equal(gw_registry_claim(w->registry, "d", 6, &newer, &previous), 0);
    assert_int_equal(previous, 5);
    gw_registry_leave(w->registry, &older);
    assert_true(gw_registry_current(w->registry, &newer));
    struct gw_registry_seat third;
    assert_int_equal(gw_registry_claim(w->registry, "d", 7, &third, &previous), 0);
    assert_int_equal(previous, 6);
    gw_registry_leave(w->registry, &newer);
    gw_registry_leave(w->registry, &third);
}

/* --- liveness --- */

static void test_the_gateway_pings_and_closes_after_silence(void **state)
{
    struct world *w = *state;
    world_welcomed(w, 1, 0);
    gw_session_tick(&w->session, w->now_ms + 24999);
    assert_int_equal(w->pings, 0);
    gw_session_tick(&w->session, w->now_ms + 25000);
    assert_int_equal(w->pings, 1);
    gw_session_heard(&w->session, w->now_ms + 25050);
    gw_session_tick(&w->session, w->now_ms + 50000);
    assert_int_equal(w->pings, 2);
    gw_session_tick(&w->session, w->now_ms + 25050 + 62499);
    assert_false(w->closed);
    gw_session_tick(&w->session, w->now_ms + 25050 + 62500);
    assert_bye(w, TRIB_BYE_TIMEOUT);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_welcome_tells_what_is_committed_and_its_crc),
        T(test_a_gateway_without_synchronised_clock_gives_no_time),
        T(test_no_hello_in_time_ends_in_bye),
        T(test_a_batch_before_hello_ends_in_bye),
        T(test_a_second_hello_ends_in_bye),
        T(test_hello_of_another_device_ends_in_bye_auth),
        T(test_hello_of_another_version_ends_in_bye_version),
        T(test_a_hello_over_four_kilobytes_is_too_large),
        T(test_hello_with_a_stream_twice_or_zero_ends_in_bye),
        T(test_garbage_ends_in_bye_protocol),
        T(test_unknown_message_types_are_ignored),
        T(test_an_unreadable_journal_or_empty_budget_sends_the_device_away),
        T(test_grants_stay_within_the_budget),
        T(test_a_gateway_that_cannot_store_says_unavailable_with_retry),
        T(test_what_another_gateway_acked_is_adopted),
        T(test_what_an_older_epoch_of_this_gateway_acked_is_adopted_too),
        T(test_what_this_journal_acked_but_does_not_hold_is_alarmed_and_adopted),
        T(test_a_roll_back_is_counted_and_the_device_is_told_what_is_committed),
        T(test_a_device_that_is_just_up_to_date_is_no_roll_back),
        T(test_ack_is_sent_only_after_commit),
        T(test_batches_of_one_commit_get_one_ack),
        T(test_an_ack_covers_only_what_is_committed_while_more_is_queued),
        T(test_a_leap_gets_a_nack),
        T(test_a_nack_gives_its_credit_back),
        T(test_a_declared_drop_covers_a_hole),
        T(test_a_duplicate_is_acked_again_and_not_stored),
        T(test_a_duplicate_of_what_is_only_queued_is_not_acked_early),
        T(test_an_overlap_commits_only_its_new_part),
        T(test_a_rejected_event_is_acked_with_its_code),
        T(test_a_truncated_batch_ends_in_bye_and_commits_nothing),
        T(test_a_stream_that_hello_did_not_name_is_looked_up),
        T(test_a_ninth_live_stream_ends_in_bye),
        T(test_batch_beyond_credit_in_events_ends_in_bye),
        T(test_batch_beyond_credit_in_bytes_ends_in_bye),
        T(test_a_commit_gives_credit_back),
        T(test_a_failed_commit_is_never_acked),
        T(test_a_late_success_after_bye_says_nothing),
        T(test_welcome_waits_for_batches_of_the_older_connection),
        T(test_the_registry_forgets_devices_that_are_gone),
        T(test_the_older_connections_leaving_does_not_unseat_the_newer),
        T(test_the_gateway_pings_and_closes_after_silence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
