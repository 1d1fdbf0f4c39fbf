#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/http.h"

static struct gw_http_request request;

/* From memory of exactly that size, so that the sanitizer sees a read beyond it. */
static int parse(const char *bytes, size_t len)
{
    char *exact = malloc(len ? len : 1);
    memcpy(exact, bytes, len);
    int rc = gw_http_parse(exact, len, &request);
    free(exact);
    return rc;
}

static int parse_text(const char *text)
{
    return parse(text, strlen(text));
}

static void test_a_request_is_read_only_when_it_is_whole(void **state)
{
    (void)state;
    const char *text = "GET /metrics?a=1&name=x HTTP/1.1\r\nHost: h\r\nAccept: */*\r\n\r\nGET /next";
    size_t whole = strlen(text) - strlen("GET /next");
    for (size_t len = 0; len < whole; len++)
        assert_int_equal(parse(text, len), 0);
    for (size_t len = whole; len <= strlen(text); len++)
        assert_int_equal(parse(text, len), (int)whole);
    assert_string_equal(request.path, "/metrics");
    assert_string_equal(request.query, "a=1&name=x");
    assert_false(request.head);
    assert_true(request.keep_alive);
    char value[8];
    assert_true(gw_http_query(&request, "name", value, sizeof value));
    assert_string_equal(value, "x");
    assert_true(gw_http_query(&request, "a", value, sizeof value));
    assert_string_equal(value, "1");
    assert_false(gw_http_query(&request, "nam", value, sizeof value));
    assert_false(gw_http_query(&request, "a", value, 1));
}

static void test_connections_are_kept_as_version_and_header_say(void **state)
{
    (void)state;
    assert_true(parse_text("GET / HTTP/1.1\nHost: h\n\n") > 0);
    assert_true(request.keep_alive);
    assert_true(parse_text("GET / HTTP/1.1\r\nHost: h\r\nConnection: x, Close\r\n\r\n") > 0);
    assert_false(request.keep_alive);
    assert_true(parse_text("GET / HTTP/1.0\r\n\r\n") > 0);
    assert_false(request.keep_alive);
    assert_true(parse_text("HEAD / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n") > 0);
    assert_true(request.head);
}

static void test_what_is_not_a_plain_get_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int status;
    } bad[] = {
        {"\r\n\r\n", 400},
        {"GET\r\n\r\n", 400},
        {"GET / HTTP/1.1 x\r\nHost: h\r\n\r\n", 400},
        {"GET  / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
        {"GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n", 400},
        {"GET /\x01 HTTP/1.1\r\nHost: h\r\n\r\n", 400},
        {"G\x80T / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost : h\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: h\r\n folded\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: h\r\nnothing\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: \x02\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n: h\r\n\r\n", 400},
        {"PATCH / HTTP/1.1\r\nHost: h\r\n\r\n", 405},
        {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", 501},
        {"get / HTTP/1.1\r\nHost: h\r\n\r\n", 405},
        {"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello", 413},
        {"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 07\r\n\r\n", 413},
        {"GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", 501},
        {"GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
        {"\x16\x03\x01\x02\x01\n", 400},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int rc = parse_text(bad[i].text);
        if (rc != -bad[i].status)
            print_error("%zu: %s\n", i, bad[i].text);
        assert_int_equal(rc, -bad[i].status);
    }
}

static void test_heads_and_targets_have_a_limit(void **state)
{
    (void)state;
    char *text = malloc(3 * GW_HTTP_HEAD_MAX);
    memset(text, 'x', 3 * GW_HTTP_HEAD_MAX);
    assert_int_equal(parse(text, GW_HTTP_HEAD_MAX - 1), 0);
    assert_int_equal(parse(text, GW_HTTP_HEAD_MAX), -431);
    size_t len = (size_t)sprintf(text, "GET / HTTP/1.1\r\nHost: h\r\nX: ");
    memset(text + len, 'x', 2 * GW_HTTP_HEAD_MAX);
    assert_int_equal(parse(text, 2 * GW_HTTP_HEAD_MAX), -431);
    for (size_t target = GW_HTTP_TARGET_MAX - 2; target < GW_HTTP_TARGET_MAX + 2; target++) {
        memset(text, 'y', 2 * GW_HTTP_TARGET_MAX);
        memcpy(text, "GET /", 5);
        strcpy(text + 4 + target, " HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_int_equal(parse_text(text) > 0, target < GW_HTTP_TARGET_MAX);
    }
    free(text);
}

static void test_answer_head(void **state)
{
    (void)state;
    char text[512];
    struct gw_http_answer_head head = {.status = 405, .content_type = "application/json", .body_len = 7};
    size_t len = gw_http_head(&head, text, sizeof text);
    assert_int_equal(len, strlen(text));
    assert_string_equal(text,
                        "HTTP/1.1 405 Method Not Allowed\r\nContent-Type: application/json\r\n"
                        "Content-Length: 7\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
                        "Allow: GET, HEAD\r\nConnection: close\r\n\r\n");
    head.allow = "POST";
    (void)gw_http_head(&head, text, sizeof text);
    assert_non_null(strstr(text, "\r\nAllow: POST\r\n"));
}

static void test_bodies_have_a_length_that_is_bounded(void **state)
{
    (void)state;
    assert_int_equal(parse_text("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 12\r\n\r\nhello"),
                     (int)strlen("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 12\r\n\r\n"));
    assert_int_equal(request.method, GW_HTTP_POST);
    assert_int_equal(request.body_len, 12);
    assert_true(parse_text("PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1048576\r\n\r\n") > 0);
    assert_int_equal(request.method, GW_HTTP_PUT);
    assert_int_equal(request.body_len, GW_HTTP_BODY_MAX);
    assert_true(parse_text("DELETE /a HTTP/1.1\r\nHost: h\r\n\r\n") > 0);
    assert_int_equal(request.method, GW_HTTP_DELETE);
    assert_int_equal(request.body_len, 0);
    static const char *const lengths[] = {"-1", "+1", "1 2", "0x10", "1,1", "", "1\r\nContent-Length: 1"};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        char text[128];
        snprintf(text, sizeof text, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %s\r\n\r\n", lengths[i]);
        assert_int_equal(parse_text(text), -400);
    }
    assert_int_equal(parse_text("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1048577\r\n\r\n"), -413);
    assert_int_equal(
        parse_text("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999999\r\n\r\n"), -413);
    assert_int_equal(
        parse_text("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n"), -417);
}

static void test_credentials_stand_once_and_are_bounded(void **state)
{
    (void)state;
    assert_true(parse_text("GET / HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer abc \r\n\r\n") > 0);
    assert_string_equal(request.credentials, "Bearer abc");
    assert_true(parse_text("GET / HTTP/1.1\r\nHost: h\r\n\r\n") > 0);
    assert_string_equal(request.credentials, "");
    assert_int_equal(parse_text("GET / HTTP/1.1\r\nHost: h\r\nAuthorization: a\r\nAuthorization: b\r\n\r\n"),
                     -400);
    char text[600];
    snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: h\r\nAuthorization: %0300d\r\n\r\n", 1);
    assert_int_equal(parse_text(text), -431);
}

static void test_percent_escapes_are_decoded_or_refused(void **state)
{
    (void)state;
    char out[8];
    static const struct {
        const char *text, *decoded; /* NULL: refused */
    } cases[] = {{"", ""},      {"abc", "abc"},         {"a%2Fb", "a/b"},   {"%e2%82%ac", "\xe2\x82\xac"},
                 {"%", NULL},   {"%2", NULL},           {"a%2", NULL},      {"%zz", NULL},
                 {"%00", NULL}, {"1234567", "1234567"}, {"12345678", NULL}, {"%41%4", NULL},
                 {"%+1", NULL}, {"%4%31", NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool good = gw_http_decode(cases[i].text, strlen(cases[i].text), out, sizeof out);
        assert_int_equal(good, cases[i].decoded != NULL);
        if (good)
            assert_string_equal(out, cases[i].decoded);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_request_is_read_only_when_it_is_whole),
        cmocka_unit_test(test_connections_are_kept_as_version_and_header_say),
        cmocka_unit_test(test_what_is_not_a_plain_get_is_refused),
        cmocka_unit_test(test_heads_and_targets_have_a_limit),
        cmocka_unit_test(test_answer_head),
        cmocka_unit_test(test_bodies_have_a_length_that_is_bounded),
        cmocka_unit_test(test_credentials_stand_once_and_are_bounded),
        cmocka_unit_test(test_percent_escapes_are_decoded_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
