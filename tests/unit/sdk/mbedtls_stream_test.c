/* TLS as a byte stream, against mbedTLS' own server in this process, over pipes that fill, break and lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <mbedtls/ecp.h>
#include <mbedtls/ssl.h>
#include <mbedtls/x509_crt.h>

#include "net_tls.h"

#define PIPE_BYTES (1u << 20)

struct pipe {
    uint8_t bytes[PIPE_BYTES];
    size_t from, to;
    size_t room;    /* most bytes that may wait; more are refused for now */
    size_t passed;  /* bytes read since the connection began */
    size_t cut_at;  /* the reader sees the end there; SIZE_MAX: never */
    size_t flip_at; /* that byte arrives changed; SIZE_MAX: none */
};

static struct pipe up, down;
static mbedtls_pk_context server_key;
static mbedtls_x509_crt server_certificate;
static uint8_t ca_der[1024];
static size_t ca_len;
static mbedtls_ssl_config server_config;
static mbedtls_ssl_context server;
static struct trib_mbedtls tls;
static struct trib_net net;
static uint64_t random_state;
static bool no_entropy;
static int lower_error; /* of every send and receive below, when not 0 */
static char last_log[512];

static int fill(void *context, uint8_t *out, size_t len)
{
    (void)context;
    for (size_t i = 0; i < len; i++) {
        random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
        out[i] = (uint8_t)(random_state >> 56);
    }
    return no_entropy ? TRIB_EIO : 0;
}

static void write_log(void *context, enum trib_log_level level, const char *text)
{
    (void)context;
    (void)level;
    snprintf(last_log, sizeof last_log, "%s", text);
}

/* --- pipes --- */

static size_t pipe_put(struct pipe *p, const uint8_t *data, size_t len)
{
    size_t room = p->room - (p->to - p->from);
    size_t count = len < room ? len : room;
    assert_true(p->to + count <= PIPE_BYTES);
    memcpy(p->bytes + p->to, data, count);
    p->to += count;
    return count;
}

static size_t pipe_get(struct pipe *p, uint8_t *out, size_t cap)
{
    size_t count = p->to - p->from < cap ? p->to - p->from : cap;
    if (count > p->cut_at - p->passed)
        count = p->cut_at - p->passed;
    memcpy(out, p->bytes + p->from, count);
    if (p->flip_at >= p->passed && p->flip_at < p->passed + count)
        out[p->flip_at - p->passed] ^= 0x20;
    p->from += count;
    p->passed += count;
    if (p->from == p->to)
        p->from = p->to = 0;
    return count;
}

static void pipe_reset(struct pipe *p)
{
    p->from = p->to = p->passed = 0;
    p->room = PIPE_BYTES;
    p->cut_at = p->flip_at = SIZE_MAX;
}

static int lower_connect(void *context, const char *host, uint16_t port)
{
    (void)context;
    (void)host;
    (void)port;
    return 0;
}

static int lower_send(void *context, const uint8_t *data, size_t len)
{
    (void)context;
    if (lower_error != 0)
        return lower_error;
    size_t count = pipe_put(&up, data, len);
    return count > 0 ? (int)count : TRIB_EAGAIN;
}

static int lower_receive(void *context, uint8_t *out, size_t cap)
{
    (void)context;
    if (lower_error != 0)
        return lower_error;
    if (down.passed >= down.cut_at)
        return TRIB_ECLOSED;
    size_t count = pipe_get(&down, out, cap);
    return count > 0 ? (int)count : TRIB_EAGAIN;
}

static void lower_close(void *context)
{
    (void)context;
}

static int server_send(void *context, const unsigned char *data, size_t len)
{
    (void)context;
    size_t count = pipe_put(&down, data, len);
    return count > 0 ? (int)count : MBEDTLS_ERR_SSL_WANT_WRITE;
}

static int server_receive(void *context, unsigned char *out, size_t cap)
{
    (void)context;
    size_t count = pipe_get(&up, out, cap);
    return count > 0 ? (int)count : MBEDTLS_ERR_SSL_WANT_READ;
}

/* --- set-up --- */

static void make_certificate(void)
{
    uint8_t buf[1024];
    mbedtls_x509write_cert writer;
    mbedtls_mpi serial;
    mbedtls_pk_init(&server_key);
    mbedtls_x509_crt_init(&server_certificate);
    mbedtls_x509write_crt_init(&writer);
    mbedtls_mpi_init(&serial);
    assert_int_equal(mbedtls_pk_setup(&server_key, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY)), 0);
    assert_int_equal(mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(server_key), fill, NULL), 0);
    assert_int_equal(mbedtls_mpi_lset(&serial, 1), 0);
    mbedtls_x509write_crt_set_version(&writer, MBEDTLS_X509_CRT_VERSION_3);
    mbedtls_x509write_crt_set_md_alg(&writer, MBEDTLS_MD_SHA256);
    mbedtls_x509write_crt_set_subject_key(&writer, &server_key);
    mbedtls_x509write_crt_set_issuer_key(&writer, &server_key);
    assert_int_equal(mbedtls_x509write_crt_set_serial(&writer, &serial), 0);
    assert_int_equal(mbedtls_x509write_crt_set_subject_name(&writer, "CN=gate"), 0);
    assert_int_equal(mbedtls_x509write_crt_set_issuer_name(&writer, "CN=gate"), 0);
    assert_int_equal(mbedtls_x509write_crt_set_validity(&writer, "20260101000000", "20360101000000"), 0);
    int len = mbedtls_x509write_crt_der(&writer, buf, sizeof buf, fill, NULL); /* at the buffer's end */
    assert_true(len > 0);
    ca_len = (size_t)len;
    memcpy(ca_der, buf + sizeof buf - ca_len, ca_len);
    assert_int_equal(mbedtls_x509_crt_parse_der(&server_certificate, ca_der, ca_len), 0);
    mbedtls_x509write_crt_free(&writer);
    mbedtls_mpi_free(&serial);
}

static int setup_all(void **state)
{
    (void)state;
    random_state = 7;
    make_certificate();
    return 0;
}

static int teardown_all(void **state)
{
    (void)state;
    mbedtls_pk_free(&server_key);
    mbedtls_x509_crt_free(&server_certificate);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    const struct trib_mbedtls_config config = {
        .lower = {NULL, lower_connect, lower_send, lower_receive, lower_close},
        .entropy = {NULL, fill},
        .log = {NULL, write_log},
        .ca = {ca_der, ca_len},
    };
    pipe_reset(&up);
    pipe_reset(&down);
    lower_error = 0;
    no_entropy = false;
    mbedtls_ssl_config_init(&server_config);
    mbedtls_ssl_init(&server);
    assert_int_equal(mbedtls_ssl_config_defaults(&server_config, MBEDTLS_SSL_IS_SERVER,
                                                 MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT),
                     0);
    mbedtls_ssl_conf_rng(&server_config, fill, NULL);
    assert_int_equal(mbedtls_ssl_conf_own_cert(&server_config, &server_certificate, &server_key), 0);
    assert_int_equal(mbedtls_ssl_setup(&server, &server_config), 0);
    mbedtls_ssl_set_bio(&server, NULL, server_send, server_receive, NULL);
    assert_int_equal(trib_mbedtls_init(&tls, &config), 0);
    net = trib_mbedtls_net(&tls);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    trib_mbedtls_deinit(&tls);
    mbedtls_ssl_free(&server);
    mbedtls_ssl_config_free(&server_config);
    return 0;
}

/* A new connection from both ends. Returns what connect says in the end; TRIB_EAGAIN when both ends only wait. */
static int handshake(void)
{
    size_t cut = down.cut_at, flip = down.flip_at;
    net.close(net.context);
    pipe_reset(&up);
    pipe_reset(&down);
    down.cut_at = cut;
    down.flip_at = flip;
    assert_int_equal(mbedtls_ssl_session_reset(&server), 0);
    int result = TRIB_EAGAIN;
    for (int i = 0; i < 50 && result == TRIB_EAGAIN; i++) {
        result = net.connect(net.context, "gate", 1);
        (void)mbedtls_ssl_handshake(&server);
    }
    return result;
}

static size_t server_reads(uint8_t *out, size_t cap)
{
    int got = mbedtls_ssl_read(&server, out, cap);
    assert_true(got > 0 || got == MBEDTLS_ERR_SSL_WANT_READ);
    return got > 0 ? (size_t)got : 0;
}

/* --- tests --- */

static void test_bytes_go_both_ways(void **state)
{
    (void)state;
    uint8_t buf[16];
    assert_int_equal(handshake(), 0);
    assert_int_equal(net.connect(net.context, "gate", 1), 0);
    assert_int_equal(net.receive(net.context, buf, sizeof buf), TRIB_EAGAIN);
    assert_int_equal(net.send(net.context, (const uint8_t *)"hello", 5), 5);
    assert_int_equal(server_reads(buf, sizeof buf), 5);
    assert_memory_equal(buf, "hello", 5);
    assert_int_equal(mbedtls_ssl_write(&server, (const unsigned char *)"world!", 6), 6);
    assert_int_equal(net.receive(net.context, buf, 4), 4);
    assert_int_equal(net.receive(net.context, buf + 4, 4), 2);
    assert_memory_equal(buf, "world!", 6);
}

/* mbedTLS has a refused record in its own buffer: the bytes must arrive once, whatever is offered next. */
static void test_refused_bytes_arrive_once_even_when_more_is_offered_next(void **state)
{
    (void)state;
    static uint8_t out[200000], in[200000];
    size_t sent = 0, got = 0;
    unsigned again = 0;
    assert_int_equal(handshake(), 0);
    up.room = 100;
    assert_int_equal(fill(NULL, out, sizeof out), 0);
    for (int i = 0; got < sizeof out; i++) {
        assert_true(i < 100000);
        size_t offer = 1 + (size_t)(i * 37 % 3000); /* not the same length twice */
        if (offer > sizeof out - sent)
            offer = sizeof out - sent;
        if (offer > 0) {
            int result = net.send(net.context, out + sent, offer);
            if (result == TRIB_EINVAL) /* shorter than what mbedTLS holds: refused, see below */
                continue;
            assert_true(result > 0 || result == TRIB_EAGAIN);
            again += result == TRIB_EAGAIN;
            sent += result > 0 ? (size_t)result : 0;
        }
        got += server_reads(in + got, sizeof in - got);
    }
    assert_true(again > 100);
    assert_int_equal(sent, sizeof out);
    assert_memory_equal(in, out, sizeof out);
}

static void test_shorter_offer_after_a_refusal_is_an_error(void **state)
{
    (void)state;
    static const uint8_t bytes[500];
    assert_int_equal(handshake(), 0);
    up.room = 10;
    assert_int_equal(net.send(net.context, bytes, 500), TRIB_EAGAIN);
    assert_int_equal(net.send(net.context, bytes, 499), TRIB_EINVAL);
    up.room = PIPE_BYTES;
    assert_int_equal(net.send(net.context, bytes, 500), 500);
}

static void test_end_of_the_stream_is_closed(void **state)
{
    (void)state;
    uint8_t buf[16];
    assert_int_equal(handshake(), 0);
    assert_int_equal(mbedtls_ssl_write(&server, (const unsigned char *)"last", 4), 4);
    assert_int_equal(mbedtls_ssl_close_notify(&server), 0);
    assert_int_equal(net.receive(net.context, buf, sizeof buf), 4);
    assert_int_equal(net.receive(net.context, buf, sizeof buf), TRIB_ECLOSED);
    assert_int_equal(handshake(), 0);
    down.cut_at = down.passed; /* without a goodbye */
    assert_int_equal(net.receive(net.context, buf, sizeof buf), TRIB_ECLOSED);
}

static void test_after_close_nothing_moves_and_connect_may_follow(void **state)
{
    (void)state;
    uint8_t byte = 0;
    assert_int_equal(net.send(net.context, &byte, 1), TRIB_ECLOSED);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(handshake(), 0);
        net.close(net.context);
        net.close(net.context);
        assert_int_equal(net.send(net.context, &byte, 1), TRIB_ECLOSED);
        assert_int_equal(net.receive(net.context, &byte, 1), TRIB_ECLOSED);
    }
}

static void test_handshake_cut_at_every_byte_fails_and_the_next_one_works(void **state)
{
    (void)state;
    assert_int_equal(handshake(), 0);
    size_t whole = down.passed;
    assert_true(whole > 500);
    for (size_t cut = 0; cut < whole; cut += cut < 100 || cut > whole - 100 ? 1 : 7) {
        down.cut_at = cut;
        int result = handshake();
        if (result == 0 && cut + 8 > whole)
            break; /* signatures differ in length by a few bytes: this one came through whole */
        assert_int_equal(result, TRIB_ETLS);
        assert_non_null(strstr(last_log, "closed during the handshake"));
    }
    down.cut_at = SIZE_MAX;
    assert_int_equal(handshake(), 0);
}

static void test_changed_byte_in_the_handshake_is_noticed(void **state)
{
    (void)state;
    unsigned passed = 0, tried = 0;
    assert_int_equal(handshake(), 0);
    size_t whole = down.passed;
    for (size_t at = 0; at < whole; at += 5) {
        down.flip_at = at;
        tls.session_name[0] = '\0'; /* a whole handshake each time */
        passed += handshake() == 0;
        tried++;
    }
    /* A version number that record headers carry for history's sake may pass, and nothing else. */
    assert_true(tried > 100 && passed <= 5);
    down.flip_at = SIZE_MAX;
    assert_int_equal(handshake(), 0);
}

static void test_changed_byte_in_the_stream_ends_it(void **state)
{
    (void)state;
    uint8_t buf[64];
    for (size_t at = 0; at < 60; at++) {
        down.flip_at = SIZE_MAX;
        assert_int_equal(handshake(), 0);
        assert_int_equal(mbedtls_ssl_write(&server, (const unsigned char *)"something to be changed", 23),
                         23);
        down.flip_at = down.passed + at;
        int got = net.receive(net.context, buf, sizeof buf);
        if (down.flip_at >= down.passed) /* beyond the record */
            break;
        assert_true(got == TRIB_ETLS || got == TRIB_EAGAIN); /* a longer length waits for more */
    }
}

static void test_errors_of_the_net_below_keep_their_names(void **state)
{
    (void)state;
    uint8_t byte = 0;
    assert_int_equal(handshake(), 0);
    lower_error = TRIB_EIO;
    assert_int_equal(net.receive(net.context, &byte, 1), TRIB_EIO);
    net.close(net.context);
    assert_int_equal(net.connect(net.context, "gate", 1), TRIB_EIO);
    lower_error = 0;
    assert_int_equal(handshake(), 0);
}

static void test_without_entropy_there_is_no_handshake(void **state)
{
    (void)state;
    no_entropy = true;
    assert_int_equal(net.connect(net.context, "gate", 1), TRIB_ETLS);
    assert_int_equal(up.to, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_bytes_go_both_ways),
        TEST(test_refused_bytes_arrive_once_even_when_more_is_offered_next),
        TEST(test_shorter_offer_after_a_refusal_is_an_error),
        TEST(test_end_of_the_stream_is_closed),
        TEST(test_after_close_nothing_moves_and_connect_may_follow),
        TEST(test_handshake_cut_at_every_byte_fails_and_the_next_one_works),
        TEST(test_changed_byte_in_the_handshake_is_noticed),
        TEST(test_changed_byte_in_the_stream_ends_it),
        TEST(test_errors_of_the_net_below_keep_their_names),
        TEST(test_without_entropy_there_is_no_handshake),
    };
    return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
