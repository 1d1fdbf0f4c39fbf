/* The uplink's conversation with a gateway: what is sent, heard, refused and survived. No sleep, no socket. */
#include "uplink_world.h"

static void test_hello_comes_first_and_all_events_are_acked(void **state)
{
    (void)state;
    w->head = 500;
    run_ms(5000);
    assert_int_equal(phase(), TRIB_UPLINK_STREAM);
    assert_int_equal(w->hellos, 1);
    assert_int_equal(w->welcomes, 1);
    assert_int_equal(w->acked, 500);
    assert_int_equal(w->committed, 500);
    assert_int_equal(w->same_masks, 0);
    assert_int_equal(w->connects, 1);
    assert_string_equal(w->host, "gate.example");
    assert_int_equal(w->port, 8443);
}

static void test_short_sends_and_receives_change_nothing(void **state)
{
    (void)state;
    for (size_t piece = 1; piece < 40; piece++) {
        w->head = 60;
        w->piece = piece;
        w->stutter = piece % 2 == 1;
        for (int i = 0; i < 4000; i++, w->now_ms++)
            assert_int_equal(poll_once(), 0);
        assert_int_equal(w->acked, 60);
        assert_int_equal(w->connects, 1);
        renew(state);
    }
}

static void test_several_batches_are_in_flight(void **state)
{
    (void)state;
    w->head = 100;
    w->hold_acks = true;
    run_ms(5000);
    assert_int_equal(w->batches, 13);
    assert_int_equal(w->acked, 0);
    say_ack();
    run_ms(1000);
    assert_int_equal(w->acked, 100);
}

static void test_credit_in_events_is_never_passed(void **state)
{
    (void)state;
    w->head = 1000;
    w->hold_acks = true;
    w->welcome.credit.events = 21;
    run_ms(5000);
    assert_int_equal(w->got.events, 21);
    /* CREDIT alone lets more through, and an older one takes nothing back. */
    w->given.events = 30;
    SAY(credit, &w->given);
    struct trib_wire_credit older = {5, 5};
    SAY(credit, &older);
    run_ms(5000);
    assert_int_equal(w->got.events, 30);
    w->hold_acks = false;
    w->given.events = 40;
    say_ack();
    run_ms(60000);
    assert_int_equal(w->acked, 1000);
    assert_false(w->over_credit);
}

static void test_credit_counts_from_each_welcome_anew(void **state)
{
    (void)state;
    w->head = 1000;
    w->hold_acks = true;
    w->welcome.credit.events = 21;
    run_ms(5000);
    assert_int_equal(w->got.events, 21);
    w->cut_after = 0;
    assert_int_equal(run_until_offline(10000), TRIB_ECLOSED);
    w->cut_after = SIZE_MAX;
    run_ms(5000);
    assert_int_equal(w->got.events, 21);
    assert_int_equal(w->committed, 42);
    assert_false(w->over_credit);
}

static void test_credit_in_bytes_is_never_passed(void **state)
{
    (void)state;
    for (uint64_t bytes = 0; bytes < 900; bytes += 37) {
        w->head = 300;
        w->hold_acks = true;
        w->welcome.credit.bytes = bytes;
        run_ms(3000);
        assert_true(w->got.bytes <= bytes);
        assert_true(w->got.bytes + 250 >= bytes);
        assert_false(w->over_credit);
        renew(state);
    }
}

static void test_message_limit_of_the_gateway_is_kept(void **state)
{
    (void)state;
    w->head = 300;
    w->welcome.max_message_bytes = 100;
    w->hold_acks = true;
    run_ms(60000);
    assert_int_equal(w->batches, 100); /* 3 events of 20 bytes fit into 100 */
}

static void test_nack_goes_back_and_endless_nacks_end_the_connection(void **state)
{
    (void)state;
    go_online();
    w->head = 30;
    w->next = 11; /* a hole */
    run_ms(1000);
    assert_true(w->nacks > 0);
    assert_int_equal(w->acked, 30);
    uint8_t buf[64];
    size_t len;
    struct trib_wire_nack nack = {STREAM, 31};
    assert_int_equal(trib_wire_nack_encode(&nack, buf, sizeof buf, &len), 0);
    for (int i = 0; i < 64; i++)
        say(buf, len);
    assert_int_equal(run_until_offline(1000), TRIB_EPROTOCOL);
}

static void test_ping_is_answered_with_its_payload(void **state)
{
    (void)state;
    go_online();
    uint8_t text[125];
    memset(text, 'p', sizeof text);
    say_frame(0x89, text, sizeof text);
    run_ms(10000);
    assert_int_equal(w->pongs, 1);
    assert_int_equal(w->pong_len, sizeof text);
    assert_memory_equal(w->pong, text, sizeof text);
    say_frame(0x89, "", 0);
    run_ms(10000);
    assert_int_equal(w->pongs, 2);
    assert_int_equal(w->pong_len, 0);
}

static void test_pong_does_not_tear_a_batch_that_is_half_sent(void **state)
{
    (void)state;
    go_online();
    w->piece = 7;
    w->stutter = true;
    w->head = 2000;
    for (int i = 0; i < 3000; i++) {
        if (i % 10 == 0 && w->down_to < QUEUE_BYTES / 2)
            say_frame(0x89, "12345", 5);
        (void)poll_once();
        w->now_ms++;
    }
    assert_int_equal(w->last_error, 0);
    assert_true(w->pongs > 50);
    assert_true(w->batches > 20);
    assert_memory_equal(w->pong, "12345", 5);
}

static void test_newest_ping_is_answered_when_sending_was_blocked(void **state)
{
    (void)state;
    go_online();
    w->send_blocked = true;
    say_frame(0x89, "old", 3);
    say_frame(0x89, "new", 3);
    run_ms(100);
    w->send_blocked = false;
    run_ms(100);
    assert_int_equal(w->pongs, 1);
    assert_memory_equal(w->pong, "new", 3);
}

static void test_pong_that_is_half_sent_is_not_overwritten(void **state)
{
    (void)state;
    go_online();
    w->send_budget = 7;
    say_frame(0x89, "first", 5);
    run_ms(0);
    say_frame(0x89, "second", 6);
    run_ms(0);
    w->send_budget = SIZE_MAX;
    run_ms(100);
    assert_int_equal(w->pongs, 1);
    assert_memory_equal(w->pong, "first", 5);
    say_frame(0x89, "third", 5);
    run_ms(100);
    assert_memory_equal(w->pong, "third", 5);
}

static void test_silence_of_two_and_a_half_intervals_closes(void **state)
{
    (void)state;
    w->welcome.keepalive_ms = 10000;
    run_ms(0);
    assert_int_equal(phase(), TRIB_UPLINK_STREAM);
    uint64_t start = w->now_ms;
    run_ms(24000);
    say_frame(0x89, "", 0); /* a sign of life starts the count again */
    run_ms(0);
    assert_int_equal(phase(), TRIB_UPLINK_STREAM);
    assert_int_equal(run_until_offline(100000), TRIB_ETIMEOUT);
    assert_int_equal(w->now_ms - start, 24000 + 25000);
    assert_int_equal(w->close_code, TRIB_WS_CLOSE_GOING_AWAY);
}

static void test_app_that_cannot_see_sockets_still_answers_in_time(void **state)
{
    (void)state;
    go_online();
    assert_true(w->next_ms <= KEEPALIVE_MS / 2);
    w->hold_acks = true;
    w->head = 1;
    run_ms(w->next_ms);
    assert_int_equal(w->batches, 1);
    assert_true(w->next_ms <= 200); /* an ack is awaited */
}

static void test_fragmented_and_unknown_messages(void **state)
{
    (void)state;
    go_online();
    w->head = 5;
    w->hold_acks = true;
    run_ms(6300);
    struct trib_wire_ack ack = {.acked_count = 1, .acked = {{STREAM, 5}}, .credit = w->given};
    uint8_t buf[256];
    size_t len;
    assert_int_equal(trib_wire_ack_encode(&ack, buf, sizeof buf, &len), 0);
    say_frame(0x02, buf, 3);
    say_frame(0x89, "mid", 3);
    for (size_t i = 3; i < len; i++)
        say_frame(i + 1 == len ? 0x80 : 0x00, buf + i, 1);
    say((const uint8_t *)"\x82\x18\x63\xA1\x01\x02", 6); /* [99, {1: 2}] */
    say((const uint8_t *)"\x83\x18\x63\xA0\x01", 5);     /* [99, {}, 1] */
    run_ms(100);
    assert_int_equal(w->acked, 5);
    assert_int_equal(w->pongs, 1);
    assert_int_equal(phase(), TRIB_UPLINK_STREAM);
}

static void test_config_is_handed_on(void **state)
{
    (void)state;
    go_online();
    struct trib_wire_config config = {.version = 7, .map = (const uint8_t *)"\xA0", .map_len = 1};
    SAY(config, &config);
    run_ms(100);
    assert_int_equal(w->configs, 1);
}

static void test_garbage_of_the_gateway_ends_the_connection_and_it_recovers(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        int error;
        unsigned close_code;
    } cases[] = {
        {"\x82\x05\x37\xfa\x21\x3d\x7f", 7, TRIB_EPROTOCOL, 1002}, /* not a message */
        {"\x82\x00", 2, TRIB_EPROTOCOL, 1002},                     /* empty */
        {"\x82\x81\x00\x00\x00\x00\x80", 7, TRIB_EPROTOCOL, 1002}, /* masked */
        {"\x81\x02hi", 4, TRIB_EPROTOCOL, 1003},                   /* text */
        {"\xC2\x02hi", 4, TRIB_EPROTOCOL, 1002},                   /* compressed */
        {"\x82\x7F\x00\x00\x00\x01\x00\x00\x00\x00", 10, TRIB_ESPACE, 1009},
        {"\x82\x03\x82\x01\xA0", 5, TRIB_EPROTOCOL, 1002}, /* HELLO from a gateway */
        {"\x88\x02\x03\xE9", 4, TRIB_ECLOSED, 1000},
        {"\x88\x00", 2, TRIB_ECLOSED, 1000},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        w->head += 100;
        run_ms(120000);
        assert_int_equal(phase(), TRIB_UPLINK_STREAM);
        assert_int_equal(w->acked, w->head);
        w->close_code = 0;
        down(cases[i].bytes, cases[i].len);
        assert_int_equal(run_until_offline(30000), cases[i].error);
        assert_int_equal(w->close_code, cases[i].close_code);
        assert_false(w->is_open);
    }
}

static void test_random_garbage_never_hurts(void **state)
{
    (void)state;
    w->head = 40;
    for (int round = 0; round < 4000; round++) {
        uint8_t noise[64];
        assert_int_equal(fake_fill(NULL, noise, sizeof noise), 0);
        size_t len = 4 + noise[63] % 60;
        if (round % 2 == 0) { /* half of it reaches the message decoders */
            noise[0] = 0x82;
            noise[1] = (uint8_t)(len > 2 ? len - 2 : 0);
            noise[2] = 0x82;
            noise[3] %= 9;
        }
        w->uplink.attempts = 0;
        run_ms(3000);
        if (phase() == TRIB_UPLINK_STREAM)
            down(noise, len);
        run_ms(10);
        if (phase() == TRIB_UPLINK_REFUSED)
            w->uplink.at_ms = w->now_ms; /* a BYE by chance */
    }
    assert_true(w->welcomes > 500);
}

static void test_cut_at_every_byte_of_a_conversation_recovers(void **state)
{
    (void)state;
    w->head = 40;
    run_ms(2000);
    size_t whole = w->down_to;
    assert_true(whole > 150);
    for (size_t cut = 0; cut < whole; cut++) {
        renew(state);
        w->head = 40;
        w->cut_after = cut;
        assert_int_equal(run_until_offline(3000), TRIB_ECLOSED);
        assert_false(w->is_open);
        w->cut_after = SIZE_MAX;
        run_ms(5000);
        assert_int_equal(w->acked, 40);
        assert_int_equal(w->connects, 2);
    }
}

static void test_timeouts_of_each_phase(void **state)
{
    (void)state;
    w->connect_delay = UINT32_MAX;
    assert_int_equal(run_until_offline(40000), TRIB_ETIMEOUT);
    w->connect_delay = 0;
    w->mute = true;
    assert_int_equal(run_until_offline(40000), TRIB_ETIMEOUT); /* no answer to the upgrade */
    assert_int_equal(w->hellos, 0);
}

static void test_welcome_must_come_in_time(void **state)
{
    (void)state;
    run_ms(0);
    assert_int_equal(phase(), TRIB_UPLINK_STREAM);
    say_bye(TRIB_BYE_UNAVAILABLE, 0);
    (void)run_until_offline(1000);
    w->piece = 1; /* byte by byte, so that the gateway falls silent after the upgrade */
    while (phase() != TRIB_UPLINK_HELLO) {
        (void)poll_once();
        w->now_ms += w->next_ms;
        w->mute = phase() == TRIB_UPLINK_UPGRADE && w->upgraded;
    }
    w->mute = true;
    w->down_to = w->down_from;
    uint64_t start = w->now_ms;
    assert_int_equal(run_until_offline(40000), TRIB_ETIMEOUT);
    assert_in_range(w->now_ms - start, 14000, 16000);
}

/* A gateway whose journal hangs still answers pings, or sends them: that must not hold events for ever. */
static void test_gateway_that_only_pings_and_never_acks_is_left(void **state)
{
    (void)state;
    w->head = 10;
    w->hold_acks = true;
    run_ms(1000);
    assert_int_equal(phase(), TRIB_UPLINK_STREAM);
    for (int i = 0; i < 5; i++) {
        say_frame(0x89, "ping", 4);
        run_ms(KEEPALIVE_MS / 2 - 500);
    }
    assert_int_equal(w->connects, 1); /* 2.5 intervals are not over */
    w->hold_acks = false;
    say_frame(0x89, "ping", 4);
    run_ms(10000);
    assert_int_equal(w->last_error, TRIB_ETIMEOUT);
    assert_int_equal(w->connects, 2);
    assert_int_equal(w->acked, 10);
}

static void test_source_errors_end_the_connection(void **state)
{
    (void)state;
    w->welcome_result = TRIB_EDAMAGED;
    assert_int_equal(run_until_offline(1000), TRIB_EDAMAGED);
    w->welcome_result = 0;
    w->head = 1;
    w->batch_result = TRIB_EIO;
    w->now_ms += w->next_ms;
    assert_int_equal(run_until_offline(5000), TRIB_EIO);
    w->batch_result = 0;
    run_ms(10000);
    assert_int_equal(w->acked, 1);
}

static void test_without_entropy_nothing_is_sent(void **state)
{
    (void)state;
    w->no_entropy = true;
    assert_int_equal(run_until_offline(1000), TRIB_EIO);
    assert_int_equal(w->hear_len, 0);
    assert_int_equal(w->next_ms, 1000); /* and the wait is the whole window */
}

static void test_close_says_goodbye_and_poll_connects_again(void **state)
{
    (void)state;
    go_online();
    trib_uplink_close(&w->uplink, w->now_ms);
    assert_int_equal(w->close_code, TRIB_WS_CLOSE_GOING_AWAY);
    assert_false(w->is_open);
    trib_uplink_close(&w->uplink, w->now_ms);
    assert_int_equal(w->closes, 1);
    go_online();
    /* but closing does not cut a backoff short */
    w->cut_after = 0;
    (void)run_until_offline(10000);
    uint64_t due = w->uplink.at_ms;
    trib_uplink_close(&w->uplink, w->now_ms);
    assert_int_equal(w->uplink.at_ms, due);
}

static void test_poll_is_bounded_under_a_flood(void **state)
{
    (void)state;
    go_online();
    for (int i = 0; i < 20000; i++)
        say_frame(0x8A, "12345678", 8);
    size_t before = w->down_from;
    assert_int_equal(poll_once(), 0);
    assert_true(w->down_from - before <= 16 * 256);
    assert_int_equal(w->next_ms, 0);
    w->head = 100000;
    w->down_from = w->down_to;
    unsigned batches = w->batches;
    assert_int_equal(poll_once(), 0);
    assert_in_range(w->batches - batches, 1, 8);
    assert_int_equal(w->next_ms, 0);
}

static void test_small_buffers_work(void **state)
{
    (void)state;
    w->config.transmit_bytes = 1024;
    w->config.receive_bytes = 1024;
    trib_uplink_init(&w->uplink, &w->config, &world_source, NULL);
    w->head = 300;
    w->events_a_batch = 1000;
    run_ms(10000);
    assert_int_equal(w->acked, 300);
    for (size_t bytes = 0; bytes < 400; bytes++) { /* too small for its work: an error, never an overrun */
        w->config.transmit_bytes = bytes;
        trib_uplink_init(&w->uplink, &w->config, &world_source, NULL);
        (void)run_until_offline(100);
        w->now_ms += 100000;
    }
}

static void test_log_says_what_happened_and_what_comes(void **state)
{
    (void)state;
    w->answer = "HTTP/1.1 404 Not Found\r\n\r\n";
    (void)run_until_offline(1000);
    assert_non_null(strstr(w->log, "uplink: the upgrade was not granted: HTTP status 404"));
    assert_non_null(strstr(w->log, "ms to the next attempt"));
    assert_null(strstr(w->log, "abc.def")); /* never the token */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_hello_comes_first_and_all_events_are_acked),
        TEST(test_short_sends_and_receives_change_nothing),
        TEST(test_several_batches_are_in_flight),
        TEST(test_credit_in_events_is_never_passed),
        TEST(test_credit_counts_from_each_welcome_anew),
        TEST(test_credit_in_bytes_is_never_passed),
        TEST(test_message_limit_of_the_gateway_is_kept),
        TEST(test_nack_goes_back_and_endless_nacks_end_the_connection),
        TEST(test_ping_is_answered_with_its_payload),
        TEST(test_pong_does_not_tear_a_batch_that_is_half_sent),
        TEST(test_newest_ping_is_answered_when_sending_was_blocked),
        TEST(test_pong_that_is_half_sent_is_not_overwritten),
        TEST(test_silence_of_two_and_a_half_intervals_closes),
        TEST(test_app_that_cannot_see_sockets_still_answers_in_time),
        TEST(test_fragmented_and_unknown_messages),
        TEST(test_config_is_handed_on),
        TEST(test_garbage_of_the_gateway_ends_the_connection_and_it_recovers),
        TEST(test_random_garbage_never_hurts),
        TEST(test_cut_at_every_byte_of_a_conversation_recovers),
        TEST(test_timeouts_of_each_phase),
        TEST(test_welcome_must_come_in_time),
        TEST(test_gateway_that_only_pings_and_never_acks_is_left),
        TEST(test_source_errors_end_the_connection),
        TEST(test_without_entropy_nothing_is_sent),
        TEST(test_close_says_goodbye_and_poll_connects_again),
        TEST(test_poll_is_bounded_under_a_flood),
        TEST(test_small_buffers_work),
        TEST(test_log_says_what_happened_and_what_comes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
