/* Opening handshake (RFC 6455 §4.1): what is written, what is accepted, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "websocket/digest.h"
#include "websocket/websocket.h"
#include "wire/base64.h"

/* RFC 6455 §1.3: the nonce of the sample. */
static const uint8_t nonce[TRIB_WS_NONCE_BYTES] = "the sample nonce";
#define PROTOCOL "tributary.v1.cbor"
#define GOOD                                                                                                 \
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"                      \
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: " PROTOCOL "\r\n\r\n"

/* Feeds text in pieces of `piece` bytes; returns the last result, and how many bytes were used in all. */
static int feed(struct trib_ws_response *r, const char *text, size_t piece, size_t *out_used)
{
    static char line[256];
    size_t len = strlen(text), at = 0;
    int result = TRIB_EAGAIN;
    trib_ws_response_init(r, nonce, PROTOCOL, line, sizeof line);
    while (at < len && result == TRIB_EAGAIN) {
        size_t used;
        size_t count = len - at < piece ? len - at : piece;
        result = trib_ws_response_feed(r, (const uint8_t *)text + at, count, &used);
        assert_true(used == count || result != TRIB_EAGAIN);
        at += used;
    }
    *out_used = at;
    return result;
}

static int answer(const char *text)
{
    struct trib_ws_response r;
    size_t used;
    return feed(&r, text, SIZE_MAX, &used);
}

static void test_sha1_of_the_standard_vectors(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *digest;
    } cases[] = {
        {"", "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
        {"abc", "a9993e364706816aba3e25717850c26c9cd0d89d"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "84983e441c3bd26ebaae4aa1f95129e5e54670f1"},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         "c1c8bbdc22796e28c0e15163d20899b65621d65a"},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         "03f09f5b158a7a8cdad920bddc29b81c18a551f5"},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         "0098ba824b5c16427bd7a1122a5a442a25ec644d"},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
         "aaaaaaaaaaaaaaaaaaaa",
         "ee971065aaa017e0632a8ca6c77bb3bf8b1dfc56"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t digest[TRIB_WS_SHA1_BYTES];
        char hex[2 * TRIB_WS_SHA1_BYTES + 1];
        trib_ws_sha1(cases[i].text, strlen(cases[i].text), digest);
        for (size_t k = 0; k < sizeof digest; k++)
            snprintf(hex + 2 * k, 3, "%02x", digest[k]);
        assert_string_equal(hex, cases[i].digest);
    }
}

static void test_base64_of_the_standard_vectors(void **state)
{
    (void)state;
    static const char *const cases[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"},
                                           {"?", "Pw=="},
                                           {"i\xB7\x1D", "abcd"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[16] = "";
        text[trib_base64((const uint8_t *)cases[i][0], strlen(cases[i][0]), false, text)] = '\0';
        assert_string_equal(text, cases[i][1]);
        text[trib_base64((const uint8_t *)cases[i][0], strlen(cases[i][0]), true, text)] = '\0';
        assert_memory_equal(text, cases[i][1], strcspn(cases[i][1], "="));
        assert_int_equal(strlen(text), strcspn(cases[i][1], "="));
    }
    static const uint8_t last[] = {0xFB, 0xFF, 0xBF}; /* the two characters in which they differ */
    char text[4];
    assert_int_equal(trib_base64(last, sizeof last, false, text), 4);
    assert_memory_equal(text, "+/+/", 4);
    assert_int_equal(trib_base64(last, sizeof last, true, text), 4);
    assert_memory_equal(text, "-_-_", 4);
}

static void test_request_has_all_that_the_rfc_demands(void **state)
{
    (void)state;
    char buf[512];
    size_t len;
    struct trib_ws_request request = {
        .host = "gate.example", .port = 8443, .path = "/v1", .subprotocol = PROTOCOL};
    static const char expected[] = "GET /v1 HTTP/1.1\r\nHost: gate.example:8443\r\nUpgrade: websocket\r\n"
                                   "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                                   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                                   "Sec-WebSocket-Protocol: tributary.v1.cbor\r\n\r\n";
    assert_int_equal(trib_ws_request_write(&request, nonce, buf, sizeof buf, &len), 0);
    assert_int_equal(len, sizeof expected - 1);
    assert_memory_equal(buf, expected, len);

    request.token = "abc.def.ghi";
    request.host = "::1";
    assert_int_equal(trib_ws_request_write(&request, nonce, buf, sizeof buf, &len), 0);
    buf[len] = '\0';
    assert_non_null(strstr(buf, "\r\nAuthorization: Bearer abc.def.ghi\r\n\r\n"));
    assert_non_null(strstr(buf, "\r\nHost: [::1]:8443\r\n"));
    for (size_t cap = 0; cap < len; cap++)
        assert_int_equal(trib_ws_request_write(&request, nonce, buf, cap, &len), TRIB_ESPACE);
}

static void test_request_refuses_texts_that_break_out_of_their_line(void **state)
{
    (void)state;
    char buf[512];
    size_t len = 77;
    const struct trib_ws_request good = {"h", 1, "/", PROTOCOL, "t"};
    struct trib_ws_request bad[6] = {good, good, good, good, good, good};
    bad[0].host = "h\r\nX: y";
    bad[1].path = "/a b";
    bad[2].path = "v1";
    bad[3].token = "a\nb";
    bad[4].token = "";
    bad[5].host = "";
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(trib_ws_request_write(&bad[i], nonce, buf, sizeof buf, &len), TRIB_EINVAL);
    assert_int_equal(len, 77);
}

static void test_good_answer_is_accepted_in_any_pieces(void **state)
{
    (void)state;
    static const char text[] = GOOD "\x82\x01x";
    for (size_t piece = 1; piece < sizeof text; piece++) {
        struct trib_ws_response r;
        size_t used;
        assert_int_equal(feed(&r, text, piece, &used), 0);
        assert_int_equal(used, sizeof GOOD - 1); /* what follows belongs to the frames */
    }
}

static void test_every_truncation_asks_for_more(void **state)
{
    (void)state;
    for (size_t cut = 0; cut < sizeof GOOD - 1; cut++) {
        char text[sizeof GOOD] = GOOD;
        text[cut] = '\0';
        assert_int_equal(answer(text), TRIB_EAGAIN);
    }
}

static void test_names_and_tokens_are_compared_as_http_has_it(void **state)
{
    (void)state;
    assert_int_equal(
        answer("HTTP/1.1 101\nUPGRADE:WebSocket\nconnection: keep-alive , UPGRADE\nServer: \t x\r\n"
               "sec-websocket-accept:  s3pPLMBiTxaQ9kYGzzhZRbK+xOo= \t\r\n"
               "sec-websocket-protocol:tributary.v1.cbor\n\n"),
        0);
}

static void test_wrong_answers_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *find, *put;
    } cases[] = {
        {"HTTP/1.1 101", "HTTP/1.1 200"},
        {"HTTP/1.1 101", "HTTP/1.0 101"},
        {"HTTP/1.1 101", "HTTP/2 101 "},
        {"HTTP/1.1 101", "HTTP/1.1 1a1"},
        {"HTTP/1.1 101 ", "HTTP/1.1 1011"},
        {"HTTP/1.1 101 Switching Protocols", "garbage"},
        {"Upgrade: websocket", "Upgrade: h2c"},
        {"Upgrade: websocket\r\n", ""},
        {"Upgrade: websocket\r\n", "Upgrade: websocket\r\nUpgrade: websocket\r\n"},
        {"Connection: Upgrade", "Connection: close"},
        {"Connection: Upgrade", "Connection: Upgraded"},
        {"s3pPLM", "s3pPLN"},
        {"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", ""},
        {"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo"},
        {"tributary.v1.cbor", "tributary.v1.json"},
        {"tributary.v1.cbor", "tributary.v1.cbor, tributary.v1.json"},
        {"Sec-WebSocket-Protocol: tributary.v1.cbor\r\n", ""},
        {"Upgrade: websocket", "Sec-WebSocket-Extensions: permessage-deflate\r\nUpgrade: websocket"},
        {"Upgrade: websocket", "no colon here\r\nUpgrade: websocket"},
        {"Upgrade: websocket", ": no name\r\nUpgrade: websocket"},
        {"Upgrade: websocket", " folded: line\r\nUpgrade: websocket"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[1024];
        const char *at = strstr(GOOD, cases[i].find);
        assert_non_null(at);
        snprintf(text, sizeof text, "%.*s%s%s", (int)(at - GOOD), GOOD, cases[i].put,
                 at + strlen(cases[i].find));
        int result = answer(text);
        if (result != TRIB_EPROTOCOL)
            print_error("case %zu: %s\n", i, cases[i].put);
        assert_int_equal(result, TRIB_EPROTOCOL);
    }
}

static void test_refusals_have_codes_of_their_own(void **state)
{
    (void)state;
    struct trib_ws_response r;
    size_t used;
    assert_int_equal(feed(&r, "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\n\r\n", 5, &used),
                     TRIB_EAUTH);
    assert_int_equal(r.status, 401);
    assert_int_equal(feed(&r, "HTTP/1.1 403 Forbidden\r\n\r\n", 5, &used), TRIB_EAUTH);
    assert_int_equal(feed(&r, "HTTP/1.0 503 Busy\r\nretry-after: 120\r\n\r\n<html>", 7, &used), TRIB_EBUSY);
    assert_int_equal(r.retry_after_s, 120);
    assert_int_equal(feed(&r, "HTTP/1.1 429 Slow\r\nRetry-After: 99999999999999999999\r\n\r\n", 7, &used),
                     TRIB_EBUSY);
    assert_int_equal(r.retry_after_s, 86400);
    assert_int_equal(
        feed(&r, "HTTP/1.1 503 B\r\nRetry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\n\r\n", 7, &used),
        TRIB_EBUSY);
    assert_int_equal(r.retry_after_s, 0);
    assert_int_equal(feed(&r, "HTTP/1.1 404 Not Found\r\n\r\n", 7, &used), TRIB_EPROTOCOL);
    assert_int_equal(r.status, 404);
}

static void test_error_is_sticky(void **state)
{
    (void)state;
    struct trib_ws_response r;
    size_t used;
    assert_int_equal(feed(&r, "rubbish\r\n", 3, &used), TRIB_EPROTOCOL);
    assert_int_equal(trib_ws_response_feed(&r, (const uint8_t *)GOOD, sizeof GOOD - 1, &used),
                     TRIB_EPROTOCOL);
    assert_int_equal(used, 0);
}

static void test_long_header_is_bounded(void **state)
{
    (void)state;
    struct trib_ws_response r;
    size_t used;
    static char text[40000];
    /* One line longer than the buffer is stepped over; an endless header is cut off. */
    snprintf(text, sizeof text, "HTTP/1.1 101 S\r\nCookie: %01000d\r\n%s", 0, strstr(GOOD, "Upgrade:"));
    assert_int_equal(feed(&r, text, 64, &used), 0);
    memset(text, 'a', sizeof text - 1);
    memcpy(text, "HTTP/1.1 101 S\r\nX: ", 19);
    assert_int_equal(feed(&r, text, 64, &used), TRIB_EPROTOCOL);
    assert_int_equal(used, TRIB_WS_RESPONSE_BYTES_MAX + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha1_of_the_standard_vectors),
        cmocka_unit_test(test_base64_of_the_standard_vectors),
        cmocka_unit_test(test_request_has_all_that_the_rfc_demands),
        cmocka_unit_test(test_request_refuses_texts_that_break_out_of_their_line),
        cmocka_unit_test(test_good_answer_is_accepted_in_any_pieces),
        cmocka_unit_test(test_every_truncation_asks_for_more),
        cmocka_unit_test(test_names_and_tokens_are_compared_as_http_has_it),
        cmocka_unit_test(test_wrong_answers_are_refused),
        cmocka_unit_test(test_refusals_have_codes_of_their_own),
        cmocka_unit_test(test_error_is_sticky),
        cmocka_unit_test(test_long_header_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
