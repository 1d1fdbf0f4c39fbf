/* The HTTP side of a websocket, and who may have one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ingest/handshake.h"
#include "ingest/upgrade.h"

#define START "GET /v1 HTTP/1.1\r\n"
#define HEADERS                                                                                              \
    "Host: gw\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n"     \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define CBOR "Sec-WebSocket-Protocol: tributary.v1.cbor\r\n"
#define END "\r\n"

static int parse(const char *head, struct gw_handshake_request *out)
{
    const char *reason = NULL;
    size_t len = gw_handshake_head_len((const uint8_t *)head, strlen(head));
    assert_true(len > 0);
    /* Exactly as long, so that a sanitizer sees an overrun. The texts point into it: kept until the next call. */
    static uint8_t *copy;
    free(copy);
    copy = malloc(len);
    memcpy(copy, head, len);
    int status = gw_handshake_parse(copy, len, out, &reason);
    assert_true(status == 0 || (reason && reason[0]));
    return status;
}

static void test_a_request_is_understood(void **state)
{
    (void)state;
    struct gw_handshake_request request;
    assert_int_equal(parse("GET /v1?x=1 HTTP/1.1\r\n" HEADERS
                           "origin:  https://a.example \r\nAuthorization: Bearer abc\r\n"
                           "Sec-WebSocket-Protocol: chat, tributary.v1.json\r\n" CBOR END,
                           &request),
                     0);
    assert_int_equal(request.path.len, 3);
    assert_memory_equal(request.path.ptr, "/v1", 3);
    assert_int_equal(request.origin.len, strlen("https://a.example"));
    assert_memory_equal(request.authorization.ptr, "Bearer abc", 10);
    assert_true(request.offers_cbor);
    assert_true(request.offers_json);
}

static void test_the_accept_key_of_rfc_6455(void **state)
{
    (void)state;
    char accept[GW_HANDSHAKE_ACCEPT_LEN + 1];
    struct gw_handshake_text key = {.ptr = "dGhlIHNhbXBsZSBub25jZQ==", .len = 24};
    assert_int_equal(gw_handshake_accept(key, accept), 0);
    assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

static void test_wrong_requests_get_their_status(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *head;
    } CASES[] = {
        {405, "POST /v1 HTTP/1.1\r\n" HEADERS CBOR END},
        {505, "GET /v1 HTTP/1.0\r\n" HEADERS CBOR END},
        {505, "GET /v1 HTTP/2.00\r\n" HEADERS CBOR END},
        {400, "GET  HTTP/1.1\r\n" HEADERS CBOR END},
        {400, "GET /a b HTTP/1.1\r\n" HEADERS CBOR END},
        {400, "GET http://x/v1 HTTP/1.1\r\n" HEADERS CBOR END},
        {400, "garbage\r\n\r\n"},
        {400, "\r\n\r\n"},
        {400, "GET\r\n\r\n"},
        {400, " GET /v1 HTTP/1.1\r\n\r\n"},
        {400, START HEADERS "no colon\r\n" CBOR END},
        {400, START HEADERS "bad name: x\r\n" CBOR END},
        {400, START HEADERS ": x\r\n" CBOR END},
        {400, START HEADERS " folded: x\r\n" CBOR END},
        {400, START HEADERS "X: a\x01z\r\n" CBOR END},
        {400, START HEADERS "X: a\nY: z\r\n" CBOR END},
        {400, START HEADERS "Host: again\r\n" CBOR END},
        {400, START HEADERS "Authorization: a\r\nAuthorization: b\r\n" CBOR END},
        {400, START HEADERS "Transfer-Encoding: chunked\r\n" CBOR END},
        {400, START HEADERS "Content-Length: 5\r\n" CBOR END},
        {426, START "Host: gw\r\n" END},
        {426, START "Host: gw\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n" END},
        {426,
         START "Host: gw\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 8\r\n" END},
        {400, START "Host: gw\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                    "Sec-WebSocket-Key: short\r\n" END},
        {400, START "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" END},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct gw_handshake_request request;
        int status = parse(CASES[i].head, &request);
        if (status != CASES[i].status)
            print_error("case %zu: %d instead of %d\n", i, status, CASES[i].status);
        assert_int_equal(status, CASES[i].status);
    }
}

static void test_random_heads_never_overrun(void **state)
{
    (void)state;
    static const char GOOD[] = START HEADERS CBOR END;
    srand(2);
    for (unsigned round = 0; round < 20000; round++) {
        char head[sizeof GOOD];
        memcpy(head, GOOD, sizeof GOOD);
        for (unsigned change = 0; change < 3; change++)
            head[(size_t)rand() % (sizeof GOOD - 5)] = "\r\n :,\0GET\xff="[rand() % 11];
        if (strlen(head) != sizeof GOOD - 1)
            continue;
        struct gw_handshake_request request;
        (void)parse(head, &request);
    }
}

static void test_answers_are_http(void **state)
{
    (void)state;
    char answer[512];
    size_t len = gw_handshake_error_response(answer, sizeof answer, 401, "no token");
    assert_int_equal(len, strlen(answer));
    assert_non_null(strstr(answer, "HTTP/1.1 401 Unauthorized\r\n"));
    assert_non_null(strstr(answer, "WWW-Authenticate: Bearer\r\n"));
    assert_non_null(strstr(answer, "Content-Length: 9\r\n"));
    assert_non_null(strstr(answer, "\r\n\r\nno token\n"));
}

/* --- who may --- */

static struct gw_deny *denied;

static int decide(const char *extra, enum gw_tls_identity identity, struct gw_upgrade *out)
{
    char head[1024];
    snprintf(head, sizeof head, "%s%s%s%s", START, HEADERS, extra, END);
    struct gw_handshake_request request;
    assert_int_equal(parse(head, &request), 0);
    struct gw_config config = {
        .listen = {.path = "/v1", .origins = {"https://player.example"}, .origin_count = 1},
        .auth = {.audience = "a"}};
    const char *reason = NULL;
    struct gw_credentials credentials = {.deny = denied};
    return gw_upgrade_decide(&config, &credentials, &request, identity, "dev-1", 1000, out, &reason);
}

static void test_who_may_have_a_websocket(void **state)
{
    (void)state;
    struct gw_upgrade upgrade;
    assert_int_equal(decide(CBOR, GW_TLS_DEVICE, &upgrade), 0);
    assert_string_equal(upgrade.device, "dev-1");
    assert_false(upgrade.text);
    assert_string_equal(upgrade.subprotocol, "tributary.v1.cbor");
    assert_int_equal(decide("Sec-WebSocket-Protocol: tributary.v1.json\r\n", GW_TLS_DEVICE, &upgrade), 0);
    assert_true(upgrade.text);
    assert_int_equal(decide("", GW_TLS_DEVICE, &upgrade), 400);
    assert_int_equal(decide("Sec-WebSocket-Protocol: mqtt\r\n", GW_TLS_DEVICE, &upgrade), 400);
    assert_int_equal(decide(CBOR, GW_TLS_NO_CERTIFICATE, &upgrade), 401);
    assert_int_equal(decide(CBOR, GW_TLS_NOT_A_DEVICE, &upgrade), 401);
    assert_int_equal(decide(CBOR "Authorization: Bearer x.y.z\r\n", GW_TLS_NO_CERTIFICATE, &upgrade), 401);
    assert_int_equal(decide(CBOR "Authorization: Basic eA==\r\n", GW_TLS_NO_CERTIFICATE, &upgrade), 401);
    assert_int_equal(decide(CBOR "Origin: https://player.example\r\n", GW_TLS_DEVICE, &upgrade), 0);
    assert_int_equal(decide(CBOR "Origin: https://evil.example\r\n", GW_TLS_DEVICE, &upgrade), 403);
    assert_int_equal(decide(CBOR "Origin: null\r\n", GW_TLS_DEVICE, &upgrade), 403);
}

static void test_the_deny_list_comes_before_any_credentials(void **state)
{
    (void)state;
    struct gw_upgrade upgrade;
    assert_int_equal(gw_deny_parse("dev-0\ndev-1\n", 12, &denied, NULL), GW_OK);
    assert_int_equal(decide(CBOR, GW_TLS_DEVICE, &upgrade), 403);
    assert_int_equal(decide(CBOR, GW_TLS_NO_CERTIFICATE, &upgrade), 401); /* who it is comes first */
    gw_deny_free(denied);
    denied = NULL;
    assert_int_equal(decide(CBOR, GW_TLS_DEVICE, &upgrade), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_request_is_understood),
        cmocka_unit_test(test_the_accept_key_of_rfc_6455),
        cmocka_unit_test(test_wrong_requests_get_their_status),
        cmocka_unit_test(test_random_heads_never_overrun),
        cmocka_unit_test(test_answers_are_http),
        cmocka_unit_test(test_who_may_have_a_websocket),
        cmocka_unit_test(test_the_deny_list_comes_before_any_credentials),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
