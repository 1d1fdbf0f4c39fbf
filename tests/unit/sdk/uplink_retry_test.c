/* When and where the uplink connects again: backoff, retry-after, fatal answers, alternates. */
#include "uplink_world.h"

static void test_fatal_answers_wait_for_hours(void **state)
{
    (void)state;
    static const struct {
        unsigned bye;
        const char *answer;
        int error;
    } cases[] = {{TRIB_BYE_VERSION, NULL, TRIB_EVERSION},
                 {TRIB_BYE_BLOCKED, NULL, TRIB_EAUTH},
                 {TRIB_BYE_AUTH, NULL, TRIB_EAUTH},
                 {TRIB_BYE_ERASED, NULL, TRIB_EERASED},
                 {0, "HTTP/1.1 401 Unauthorized\r\n\r\n", TRIB_EAUTH},
                 {0, "HTTP/1.1 403 Forbidden\r\n\r\n", TRIB_EAUTH}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        renew(state);
        w->answer = cases[i].answer;
        if (cases[i].bye != 0) {
            (void)poll_once();
            say_bye(cases[i].bye, 0);
        }
        assert_int_equal(run_until_offline(1000), cases[i].error);
        assert_int_equal(phase(), TRIB_UPLINK_REFUSED);
        assert_in_range(w->next_ms, 3600000, 5400000);
        unsigned before = w->connects;
        uint64_t due = w->now_ms + w->next_ms;
        w->answer = NULL;
        trib_uplink_wake(&w->uplink);
        run_ms(3599000);
        assert_int_equal(w->connects, before);
        run_ms(due - w->now_ms);
        assert_int_equal(w->connects, before + 1); /* and then it tries again */
        assert_int_equal(phase(), TRIB_UPLINK_STREAM);
    }
}

static void test_new_events_never_cut_a_backoff_short(void **state)
{
    (void)state;
    w->connect_result = TRIB_EIO;
    for (int i = 0; i < 12; i++) {
        assert_int_equal(run_until_offline(70000), TRIB_EIO);
        uint64_t due = w->now_ms + w->next_ms;
        unsigned before = w->connects;
        for (uint64_t ms = 1; ms < w->next_ms && ms < 500; ms++) {
            uint32_t next;
            w->head++;
            trib_uplink_wake(&w->uplink);
            assert_int_equal(trib_uplink_poll(&w->uplink, w->now_ms + ms, &next), 0);
            assert_int_equal(next, due - w->now_ms - ms);
        }
        assert_int_equal(w->connects, before);
        w->now_ms = due;
    }
}

static void test_retry_after_is_honoured_and_spread(void **state)
{
    (void)state;
    uint64_t earliest = UINT64_MAX, latest = 0;
    for (int i = 0; i < 300; i++) {
        renew(state);
        if (i % 2 == 0) {
            w->answer = "HTTP/1.1 503 Busy\r\nRetry-After: 20\r\n\r\n";
        } else {
            (void)poll_once();
            say_bye(TRIB_BYE_DRAINING, 20000);
        }
        assert_true(run_until_offline(1000) != 0);
        assert_int_equal(phase(), TRIB_UPLINK_IDLE);
        assert_true(w->next_ms >= 20000);
        earliest = w->next_ms < earliest ? w->next_ms : earliest;
        latest = w->next_ms > latest ? w->next_ms : latest;
    }
    assert_in_range(earliest, 20000, 21000);
    assert_in_range(latest, 29000, 31000);
}

/* A gateway restarts and 2,000 devices come back: no second may see a crowd. */
static void test_backoff_spreads_a_herd(void **state)
{
    (void)state;
    enum { DEVICES = 2000, FAILURES = 6, BUCKETS = 32 };
    unsigned buckets[BUCKETS] = {0};
    const uint64_t window = 1000u << (FAILURES - 1); /* 32 s */
    for (int i = 0; i < DEVICES; i++) {
        renew(state);
        w->random = (uint64_t)i << 32;
        w->connect_result = TRIB_EIO;
        for (int k = 0; k < FAILURES; k++)
            assert_int_equal(run_until_offline(70000), TRIB_EIO);
        assert_true(w->next_ms <= window);
        buckets[(uint64_t)w->next_ms * BUCKETS / (window + 1)]++;
    }
    double chi = 0;
    for (int i = 0; i < BUCKETS; i++) {
        double expected = (double)DEVICES / BUCKETS, d = buckets[i] - expected;
        chi += d * d / expected;
    }
    print_message("herd: chi-squared %.1f over %d buckets\n", chi, BUCKETS);
    assert_true(chi < 70); /* 31 degrees of freedom: beyond 61 one time in a thousand */
}

static void test_window_doubles_up_to_its_limit_and_a_success_resets_it(void **state)
{
    (void)state;
    uint64_t most[10] = {0};
    for (int i = 0; i < 200; i++) {
        renew(state);
        w->connect_result = TRIB_EIO;
        for (int k = 0; k < 10; k++) {
            (void)run_until_offline(70000);
            most[k] = w->next_ms > most[k] ? w->next_ms : most[k];
        }
    }
    for (int k = 0; k < 10; k++) {
        uint64_t window = 1000ull << k < 60000 ? 1000ull << k : 60000;
        assert_in_range(most[k], window * 9 / 10, window);
    }
    w->connect_result = 0;
    w->head = 1;
    run_ms(61000);
    assert_int_equal(w->acked, 1);
    say_frame(0x88, "", 0);
    assert_int_equal(run_until_offline(10000), TRIB_ECLOSED);
    assert_true(w->next_ms <= 1000);
}

/* Accepted, welcomed, thrown out at once: without an ack that is a failure like any other. */
static void test_welcome_alone_does_not_reset_the_backoff(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++) {
        w->now_ms += w->next_ms;
        (void)poll_once();
        assert_int_equal(phase(), TRIB_UPLINK_STREAM);
        say_bye(TRIB_BYE_PROTOCOL, 0);
        assert_int_equal(run_until_offline(1000), TRIB_EPROTOCOL);
    }
    assert_int_equal(w->uplink.attempts, 8);
}

static void test_replaced_stays_away_for_long(void **state)
{
    (void)state;
    uint64_t most = 0;
    for (int i = 0; i < 100; i++) {
        renew(state);
        (void)poll_once();
        say_bye(TRIB_BYE_REPLACED, 0);
        assert_int_equal(run_until_offline(1000), TRIB_EBUSY);
        most = w->next_ms > most ? w->next_ms : most;
    }
    assert_in_range(most, 50000, 60000);
}

static void drain_to(const char *const *alternates, size_t count)
{
    struct trib_wire_bye bye = {
        .reason = TRIB_BYE_DRAINING, .retry_after_ms = 50000, .alternate_count = count};
    for (size_t i = 0; i < count; i++)
        bye.alternates[i] = (struct trib_text){alternates[i], strlen(alternates[i])};
    SAY(bye, &bye);
    assert_int_equal(run_until_offline(1000), TRIB_ECLOSED);
}

static void test_alternates_are_tried_in_turn_and_then_home(void **state)
{
    (void)state;
    static const char *const list[] = {"bad", "one.example:1001", "[fd00::2]:1002", "x:0"};
    go_online();
    uint64_t start = w->now_ms;
    drain_to(list, 4);
    w->connect_result = TRIB_EIO;
    assert_int_equal(run_until_offline(10000), TRIB_EIO);
    assert_string_equal(w->host, "one.example");
    assert_int_equal(w->port, 1001);
    assert_true(w->now_ms - start < 1500);
    assert_int_equal(run_until_offline(10000), TRIB_EIO);
    assert_string_equal(w->host, "fd00::2");
    assert_int_equal(w->port, 1002);
    assert_true(w->now_ms - start < 10000);
    w->connect_result = 0;
    w->head = 3;
    while (phase() != TRIB_UPLINK_STREAM || w->acked < 3)
        run_ms(100);
    assert_string_equal(w->host, "gate.example");
    assert_int_equal(w->port, 8443);
    assert_true(w->connected_at_ms - start >= 50000); /* home asked for that */
    assert_int_equal(w->acked, 3);
}

static void test_alternate_that_works_is_kept_until_it_ends(void **state)
{
    (void)state;
    static const char *const list[] = {"one.example:1001", "two.example:1002"};
    go_online();
    drain_to(list, 2);
    w->head = 9;
    run_ms(20000);
    assert_int_equal(phase(), TRIB_UPLINK_STREAM);
    assert_string_equal(w->host, "one.example");
    assert_int_equal(w->acked, 9);
    /* It drains too, and its list replaces the old one while the connection is open. */
    static const char *const other[] = {"three.example:1003"};
    drain_to(other, 1);
    run_ms(20000);
    assert_string_equal(w->host, "three.example");
    w->cut_after = 0;
    assert_int_equal(run_until_offline(10000), TRIB_ECLOSED);
    w->cut_after = SIZE_MAX;
    run_ms(20000);
    assert_string_equal(w->host, "gate.example");
    assert_int_equal(phase(), TRIB_UPLINK_STREAM);
}

static void test_refusal_of_an_alternate_is_not_the_last_word(void **state)
{
    (void)state;
    static const char *const list[] = {"one.example:1001"};
    go_online();
    drain_to(list, 1);
    w->answer = "HTTP/1.1 403 Forbidden\r\n\r\n";
    assert_int_equal(run_until_offline(10000), TRIB_EAUTH);
    assert_int_equal(phase(), TRIB_UPLINK_IDLE);
    w->answer = NULL;
    run_ms(120000);
    assert_string_equal(w->host, "gate.example");
    assert_int_equal(phase(), TRIB_UPLINK_STREAM);
}

/* The list lies in the receive buffer: what an alternate answers does not reach it, however long it is. */
static void test_alternates_survive_what_one_of_them_answers(void **state)
{
    static const char *const list[] = {"one.example:1001", "two.example:1002"};
    static char answer[sizeof w->receive + 200];
    (void)state;
    memset(answer, 'x', sizeof answer - 1);
    memcpy(answer, "HTTP/1.1 500 No\r\nx: ", 20);
    memcpy(answer + sizeof answer - 5, "\r\n\r\n", 4);
    go_online();
    drain_to(list, 2);
    w->answer = answer;
    assert_int_equal(run_until_offline(10000), TRIB_EPROTOCOL);
    assert_string_equal(w->host, "one.example");
    w->answer = NULL;
    w->head = 3;
    run_ms(20000);
    assert_string_equal(w->host, "two.example");
    assert_int_equal(w->port, 1002);
    assert_int_equal(w->acked, 3);
}

/* An erasure clears the buffer that the list is in. */
static void test_a_restart_goes_home(void **state)
{
    static const char *const list[] = {"one.example:1001", "two.example:1002"};
    (void)state;
    go_online();
    drain_to(list, 2);
    trib_uplink_restart(&w->uplink, w->now_ms);
    memset(w->receive, 0, sizeof w->receive);
    run_ms(1000);
    assert_string_equal(w->host, "gate.example");
    assert_int_equal(phase(), TRIB_UPLINK_STREAM);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_fatal_answers_wait_for_hours),
        TEST(test_new_events_never_cut_a_backoff_short),
        TEST(test_retry_after_is_honoured_and_spread),
        TEST(test_backoff_spreads_a_herd),
        TEST(test_window_doubles_up_to_its_limit_and_a_success_resets_it),
        TEST(test_welcome_alone_does_not_reset_the_backoff),
        TEST(test_replaced_stays_away_for_long),
        TEST(test_alternates_are_tried_in_turn_and_then_home),
        TEST(test_alternates_survive_what_one_of_them_answers),
        TEST(test_a_restart_goes_home),
        TEST(test_alternate_that_works_is_kept_until_it_ends),
        TEST(test_refusal_of_an_alternate_is_not_the_last_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
