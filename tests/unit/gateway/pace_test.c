/* How much of a turn newcomers get, on a clock of the test's own; and that TLS reads as the pace allows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/bio.h>
#include <openssl/ssl.h>

#include "ingest/pace.h"
#include "ingest/tls.h"

static uint64_t now_us;
static const char first, second, third;

static uint64_t clock_us(void)
{
    return now_us;
}

static struct gw_pace begun(void)
{
    struct gw_pace pace;
    now_us = 1000000;
    gw_pace_init(&pace, clock_us);
    return pace;
}

static void test_a_turn_has_room_for_a_step_however_long_and_then_for_none(void **state)
{
    (void)state;
    struct gw_pace pace = begun();
    assert_true(gw_pace_step(&pace, &first));
    now_us += 5 * GW_PACE_US;
    assert_true(gw_pace_step(&pace, &first)); /* a step reads more than once */
    assert_false(gw_pace_step(&pace, &second));
    assert_false(gw_pace_step(&pace, &third));
    gw_pace_turn(&pace);
    assert_true(gw_pace_step(&pace, &second));
}

static void test_cheap_steps_share_a_turn(void **state)
{
    (void)state;
    struct gw_pace pace = begun();
    assert_true(gw_pace_step(&pace, &first));
    now_us += GW_PACE_US - 1;
    assert_true(gw_pace_step(&pace, &second));
    now_us++;
    assert_false(gw_pace_step(&pace, &third));
    assert_false(gw_pace_step(&pace, &first)); /* its step was over when another's began */
}

static void test_a_turn_s_share_begins_with_its_first_step(void **state)
{
    (void)state;
    struct gw_pace pace = begun();
    gw_pace_turn(&pace);
    now_us += 10 * GW_PACE_US; /* devices that are served, or nothing at all */
    assert_true(gw_pace_step(&pace, &first));
    assert_true(gw_pace_step(&pace, &second));
}

static void test_new_connections_count_as_steps(void **state)
{
    (void)state;
    struct gw_pace pace = begun();
    assert_true(gw_pace_admits(&pace));
    assert_true(gw_pace_admits(&pace));
    now_us += GW_PACE_US;
    assert_false(gw_pace_admits(&pace));
    assert_false(gw_pace_step(&pace, &first));
}

/* Turns from one connection that is let in to the next one, while steps are put off in each. */
static unsigned turns_between(struct gw_pace *pace)
{
    for (unsigned turns = 1;; turns++) {
        assert_in_range(turns, 1, 100);
        gw_pace_turn(pace);
        bool admitted = gw_pace_admits(pace);
        (void)gw_pace_step(pace, &first);
        now_us += GW_PACE_US;
        assert_false(gw_pace_step(pace, &second));
        if (admitted)
            return turns;
    }
}

static void test_begun_handshakes_are_finished_before_new_ones_begin(void **state)
{
    (void)state;
    struct gw_pace pace = begun();
    (void)turns_between(&pace);
    for (int i = 0; i < 5; i++)
        assert_int_equal(turns_between(&pace), GW_PACE_TURNS);
    gw_pace_turn(&pace);
    gw_pace_turn(&pace); /* nobody was put off in the turn before */
    assert_true(gw_pace_admits(&pace));
}

static void test_tls_reads_as_the_pace_allows(void **state)
{
    (void)state;
    struct gw_pace pace = begun();
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    SSL *ssl = SSL_new(context);
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl, in, out);
    char junk[5] = "junk", got[5];
    assert_int_equal(BIO_write(in, junk, sizeof junk), sizeof junk);
    gw_tls_pace(ssl, &pace);

    assert_true(gw_pace_step(&pace, &first));
    now_us += GW_PACE_US;
    int result = SSL_accept(ssl);
    assert_int_equal(SSL_get_error(ssl, result), SSL_ERROR_WANT_READ); /* as if nothing had come */
    assert_int_equal(BIO_pending(in), sizeof junk);
    gw_pace_turn(&pace);
    result = SSL_accept(ssl);
    assert_int_equal(SSL_get_error(ssl, result), SSL_ERROR_SSL); /* it is no TLS */

    assert_int_equal(BIO_write(in, junk, sizeof junk), sizeof junk);
    gw_pace_turn(&pace);
    assert_true(gw_pace_step(&pace, &first));
    now_us += GW_PACE_US;
    assert_true(BIO_read(in, got, sizeof got) < 0 && BIO_should_read(in) && BIO_should_retry(in));
    gw_tls_serve(ssl);
    assert_int_equal(BIO_read(in, got, sizeof got), sizeof got);
    SSL_free(ssl);
    SSL_CTX_free(context);
}

static void test_without_tls_there_is_nothing_to_pace(void **state)
{
    (void)state;
    struct gw_pace pace = begun();
    gw_tls_pace(NULL, &pace);
    gw_tls_serve(NULL);
    assert_true(gw_pace_step(&pace, &first));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_turn_has_room_for_a_step_however_long_and_then_for_none),
        cmocka_unit_test(test_cheap_steps_share_a_turn),
        cmocka_unit_test(test_a_turn_s_share_begins_with_its_first_step),
        cmocka_unit_test(test_new_connections_count_as_steps),
        cmocka_unit_test(test_begun_handshakes_are_finished_before_new_ones_begin),
        cmocka_unit_test(test_tls_reads_as_the_pace_allows),
        cmocka_unit_test(test_without_tls_there_is_nothing_to_pace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
