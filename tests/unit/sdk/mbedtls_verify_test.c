/* Numeric addresses and certificate dates, which mbedTLS leaves to its port here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "verify.h"

static void test_addresses_are_read_as_the_system_reads_them(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "127.0.0.1",
        "0.0.0.0",
        "255.255.255.255",
        "256.1.1.1",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.4 ",
        "",
        ".",
        "1..2.3",
        "::",
        "::1",
        "1::",
        "fe80::1",
        "1:2:3:4:5:6:7:8",
        "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9",
        "1:2:3:4:5:6:7::",
        "::2:3:4:5:6:7:8",
        "1::2::3",
        ":::",
        ":1",
        "1:",
        "::ffff:1.2.3.4",
        "1:2:3:4:5:6:1.2.3.4",
        "::1.2.3.4:5",
        "1:2:3:4:5:6:7:1.2.3.4",
        "12345::",
        "g::1",
        "2001:DB8::aBcD",
        "localhost",
        "1.2.3.4.example",
        "::1%lo",
        "[::1]",
        "::1.2.3",
        "1:2:3:4:5:6:7:8:",
        "0:0:0:0:0:0:0:0",
        "1::8",
        "::1.2.3.256",
        "::ffff:1.2.3.4.5",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        uint8_t expected[16], got[16];
        uint8_t bytes = inet_pton(AF_INET, texts[i], expected) == 1    ? 4
                        : inet_pton(AF_INET6, texts[i], expected) == 1 ? 16
                                                                       : 0;
        uint8_t result = trib_mbedtls_read_address(texts[i], got);
        if (result != bytes || memcmp(expected, got, bytes) != 0)
            print_error("address: %s\n", texts[i]);
        assert_int_equal(result, bytes);
        assert_memory_equal(expected, got, bytes);
    }
}

static void test_random_addresses_are_read_as_the_system_reads_them(void **state)
{
    (void)state;
    static const char alphabet[] = "0123456789abcdefABF::::...."; /* many separators */
    srand(4291);
    unsigned good = 0;
    for (int i = 0; i < 400000; i++) {
        char text[48];
        uint8_t expected[16], got[16];
        if (i % 2 == 0) { /* a good one, perhaps with one character changed */
            for (size_t k = 0; k < sizeof got; k++)
                got[k] = rand() % 3 == 0 ? (uint8_t)rand() : 0;
            assert_non_null(inet_ntop(rand() % 4 == 0 ? AF_INET : AF_INET6, got, text, sizeof text));
            if (rand() % 2 == 0)
                text[(size_t)rand() % strlen(text)] = alphabet[(size_t)rand() % (sizeof alphabet - 1)];
        } else {
            size_t len = 2 + (size_t)rand() % 12;
            for (size_t k = 0; k < len; k++)
                text[k] = alphabet[(size_t)rand() % (sizeof alphabet - 1)];
            text[len] = '\0';
        }
        uint8_t bytes = inet_pton(AF_INET, text, expected) == 1    ? 4
                        : inet_pton(AF_INET6, text, expected) == 1 ? 16
                                                                   : 0;
        uint8_t result = trib_mbedtls_read_address(text, got);
        if (result != bytes || memcmp(expected, got, bytes) != 0)
            print_error("address: %s\n", text);
        assert_int_equal(result, bytes);
        assert_memory_equal(expected, got, bytes);
        good += bytes != 0;
    }
    assert_true(good > 50000);
}

static void test_dates_are_those_of_the_calendar(void **state)
{
    (void)state;
    srand(1970);
    for (int i = 0; i < 100000; i++) {
        time_t seconds = i == 0 ? 0 : i == 1 ? 951782400 /* 2000-02-29 */ : (time_t)rand() * 2;
        struct tm tm;
        assert_non_null(gmtime_r(&seconds, &tm));
        mbedtls_x509_time time = {tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
                                  tm.tm_hour,        tm.tm_min,     tm.tm_sec};
        assert_int_equal(trib_mbedtls_time_ms(&time), (uint64_t)seconds * 1000);
    }
    mbedtls_x509_time before = {1950, 1, 1, 0, 0, 0},
                      never = {9999, 12, 31, 23, 59, 59}; /* RFC 5280 §4.1.2.5 */
    assert_int_equal(trib_mbedtls_time_ms(&before), 0);
    assert_int_equal(trib_mbedtls_time_ms(&never), 253402300799000);
}

/* --- dates with and without trusted time --- */

static uint64_t trusted;

static bool utc_ms(void *context, uint64_t *out_utc_ms)
{
    (void)context;
    *out_utc_ms = trusted;
    return trusted != 0;
}

static int end_year = 2027;

static uint32_t judge(uint64_t now_ms, uint64_t floor_ms, uint32_t flags)
{
    struct trib_mbedtls tls;
    mbedtls_x509_crt crt;
    memset(&tls, 0, sizeof tls);
    memset(&crt, 0, sizeof crt);
    crt.valid_from = (mbedtls_x509_time){2026, 1, 1, 0, 0, 0};
    crt.valid_to = (mbedtls_x509_time){end_year, 1, 1, 0, 0, 0};
    trusted = now_ms;
    tls.config.utc_ms = utc_ms;
    tls.config.time_floor_ms = floor_ms;
    assert_int_equal(trib_mbedtls_verify(&tls, &crt, 0, &flags), 0);
    return flags;
}

static void test_dates_count_as_far_as_time_is_known(void **state)
{
    (void)state;
    const uint64_t from = 1767225600000, to = 1798761600000;
    const uint32_t expired = MBEDTLS_X509_BADCERT_EXPIRED, future = MBEDTLS_X509_BADCERT_FUTURE;
    assert_int_equal(judge(from, 0, 0), 0);
    assert_int_equal(judge(to, 0, 0), 0);
    assert_int_equal(judge(from - 1, 0, 0), future);
    assert_int_equal(judge(to + 1, 0, 0), expired);
    assert_int_equal(judge(0, 0, 0), 0);
    assert_int_equal(judge(0, from - 1, 0), 0); /* made after the firmware was built: the usual case */
    assert_int_equal(judge(0, to, 0), 0);
    assert_int_equal(judge(0, to + 1, 0), expired);
    /* Nothing is known at all: what ended before there was this SDK is refused still. */
    end_year = 2025;
    assert_int_equal(judge(0, 0, 0), expired);
    end_year = 2027;
    /* What the system's clock said does not count, all else stays. */
    assert_int_equal(judge(from, 0, expired | future | MBEDTLS_X509_BADCERT_NOT_TRUSTED),
                     MBEDTLS_X509_BADCERT_NOT_TRUSTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses_are_read_as_the_system_reads_them),
        cmocka_unit_test(test_random_addresses_are_read_as_the_system_reads_them),
        cmocka_unit_test(test_dates_are_those_of_the_calendar),
        cmocka_unit_test(test_dates_count_as_far_as_time_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
