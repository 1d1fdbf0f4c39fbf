/* PROXY protocol version 2: headers made by hand from its specification (§2.2), whole and in any pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ingest/proxy.h"
#include "observe/address.h"

#define SIGNATURE "\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a"
/* 203.0.113.7:51000 to 192.0.2.1:443 */
#define V4 "\xcb\x00\x71\x07\xc0\x00\x02\x01\xc7\x38\x01\xbb"
/* [2001:db8:1:2::7]:51000 to [2001:db8::1]:443 */
#define V6                                                                                                   \
    "\x20\x01\x0d\xb8\x00\x01\x00\x02\x00\x00\x00\x00\x00\x00\x00\x07"                                       \
    "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\xc7\x38\x01\xbb"
/* PP2_TYPE_ALPN (0x01) of two bytes, PP2_TYPE_NOOP (0x04) of three */
#define TLVS "\x01\x00\x02h2\x04\x00\x03\x00\x00\x00"
/* Two paths of 108 bytes. */
#define PATH12 "/run/a.sock\x00"
#define PATH108 PATH12 PATH12 PATH12 PATH12 PATH12 PATH12 PATH12 PATH12 PATH12
#define BYTES(text) (const uint8_t *)(text), sizeof(text) - 1

struct vector {
    const char *what;
    const uint8_t *bytes;
    size_t len;
    const char *peer; /* NULL: the proxy's own */
};

static const struct vector GOOD[] = {
    {"TCP over IPv4", BYTES(SIGNATURE "\x21\x11\x00\x0c" V4), "203.0.113.0/24"},
    {"TCP over IPv6", BYTES(SIGNATURE "\x21\x21\x00\x24" V6), "2001:db8:1::/48"},
    {"IPv4 with TLVs", BYTES(SIGNATURE "\x21\x11\x00\x17" V4 TLVS), "203.0.113.0/24"},
    {"IPv6 with TLVs", BYTES(SIGNATURE "\x21\x21\x00\x2f" V6 TLVS), "2001:db8:1::/48"},
    {"LOCAL, a health check", BYTES(SIGNATURE "\x20\x00\x00\x00"), NULL},
    {"LOCAL with addresses, which count for nothing", BYTES(SIGNATURE "\x20\x11\x00\x0c" V4), NULL},
    {"PROXY of an unknown family", BYTES(SIGNATURE "\x21\x00\x00\x00"), NULL},
    {"PROXY of an unknown family with TLVs", BYTES(SIGNATURE "\x21\x00\x00\x0b" TLVS), NULL},
    {"UNIX", BYTES(SIGNATURE "\x21\x31\x00\xd8" PATH108 PATH108), NULL},
};

static const struct vector BAD[] = {
    {"version 1", BYTES("PROXY TCP4 203.0.113.7 192.0.2.1 51000 443\r\n"), NULL},
    {"TLS without a header", BYTES("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00\x00\x00\x00"), NULL},
    {"a signature with a wrong end", BYTES("\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0d"), NULL},
    {"version 1 in the binary form", BYTES(SIGNATURE "\x11\x11\x00\x0c" V4), NULL},
    {"version 3", BYTES(SIGNATURE "\x31\x11\x00\x0c" V4), NULL},
    {"a command that is not known", BYTES(SIGNATURE "\x22\x11\x00\x0c" V4), NULL},
    {"datagrams", BYTES(SIGNATURE "\x21\x12\x00\x0c" V4), NULL},
    {"a transport that is not known", BYTES(SIGNATURE "\x21\x13\x00\x0c" V4), NULL},
    {"a family that is not known", BYTES(SIGNATURE "\x21\x41\x00\x0c" V4), NULL},
    {"IPv4 that is too short", BYTES(SIGNATURE "\x21\x11\x00\x0b" V4), NULL},
    {"IPv6 that is as short as IPv4", BYTES(SIGNATURE "\x21\x21\x00\x0c" V4), NULL},
    {"UNIX that is too short", BYTES(SIGNATURE "\x21\x31\x00\xd7" PATH108 PATH108), NULL},
};

/* In pieces of at most `piece`; what is behind the header must not be asked for. */
static int feed(const struct vector *v, size_t piece, struct gw_proxy_result *out, size_t *out_used)
{
    struct gw_proxy proxy;
    gw_proxy_init(&proxy);
    int result = GW_EAGAIN;
    size_t used = 0;
    while (result == GW_EAGAIN && used < v->len) {
        size_t room = gw_proxy_room(&proxy), len = v->len - used < piece ? v->len - used : piece;
        assert_true(room > 0);
        len = len < room ? len : room;
        result = gw_proxy_take(&proxy, v->bytes + used, len, out);
        used += len;
    }
    *out_used = used;
    return result;
}

static void test_headers_are_read_in_any_pieces(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof GOOD / sizeof GOOD[0]; i++) {
        for (size_t piece = 1; piece <= GOOD[i].len; piece++) {
            struct gw_proxy_result result;
            char text[GW_ADDRESS_TEXT_MAX];
            size_t used;
            assert_int_equal(feed(&GOOD[i], piece, &result, &used), GW_OK);
            assert_int_equal(used, GOOD[i].len);
            assert_int_equal(result.known, GOOD[i].peer != NULL);
            if (result.known)
                assert_string_equal(gw_peer_text(&result.source, text), GOOD[i].peer);
        }
    }
}

static void test_the_source_is_the_first_address(void **state)
{
    (void)state;
    struct gw_proxy_result result;
    size_t used;
    assert_int_equal(feed(&GOOD[0], 100, &result, &used), GW_OK);
    assert_memory_equal(result.source.address, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xcb\x00\x71\x07", 16);
    assert_int_equal(feed(&GOOD[1], 100, &result, &used), GW_OK);
    assert_memory_equal(result.source.address, V6, 16);
}

static void test_what_follows_the_header_is_not_read(void **state)
{
    (void)state;
    uint8_t stream[512];
    for (size_t i = 0; i < sizeof GOOD / sizeof GOOD[0]; i++) {
        memset(stream, 0x16, sizeof stream);
        memcpy(stream, GOOD[i].bytes, GOOD[i].len);
        struct vector longer = {.bytes = stream, .len = sizeof stream};
        struct gw_proxy_result result;
        size_t used;
        assert_int_equal(feed(&longer, sizeof stream, &result, &used), GW_OK);
        assert_int_equal(used, GOOD[i].len);
    }
}

static void test_a_cut_header_is_never_taken(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof GOOD / sizeof GOOD[0]; i++) {
        for (size_t len = 0; len < GOOD[i].len; len++) {
            struct vector cut = {.bytes = GOOD[i].bytes, .len = len};
            struct gw_proxy_result result;
            size_t used;
            assert_int_equal(feed(&cut, 7, &result, &used), GW_EAGAIN);
        }
    }
}

static void test_what_is_no_header_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        for (size_t piece = 1; piece <= BAD[i].len; piece += 5) {
            struct gw_proxy_result result;
            size_t used;
            int got = feed(&BAD[i], piece, &result, &used);
            if (got != GW_EPROTOCOL)
                print_error("%s: %d\n", BAD[i].what, got);
            assert_int_equal(got, GW_EPROTOCOL);
            assert_true(used <= GW_PROXY_HEAD); /* at once: a stranger gets no time */
        }
    }
}

static void test_the_longest_header_is_read_over(void **state)
{
    (void)state;
    static uint8_t stream[GW_PROXY_HEAD + 65535 + 1];
    memcpy(stream, GOOD[0].bytes, GOOD[0].len);
    stream[14] = stream[15] = 0xff;
    struct vector longest = {.bytes = stream, .len = sizeof stream};
    struct gw_proxy_result result;
    size_t used;
    assert_int_equal(feed(&longest, 1000, &result, &used), GW_OK);
    assert_int_equal(used, sizeof stream - 1);
    assert_true(result.known);
}

/* --- ranges --- */

static bool in(const char *range, const char *address)
{
    struct gw_peer_ranges ranges = {.count = 1};
    struct gw_peer_range one;
    assert_int_equal(gw_peer_range_parse(range, &ranges.ranges[0]), GW_OK);
    assert_int_equal(gw_peer_range_parse(address, &one), GW_OK);
    return gw_peer_in(&ranges, &one.first);
}

static void test_addresses_are_in_their_ranges_only(void **state)
{
    (void)state;
    assert_true(in("192.0.2.0/24", "192.0.2.255"));
    assert_false(in("192.0.2.0/24", "192.0.3.0"));
    assert_true(in("192.0.2.128/25", "192.0.2.128"));
    assert_false(in("192.0.2.128/25", "192.0.2.127"));
    assert_true(in("192.0.2.7", "192.0.2.7"));
    assert_false(in("192.0.2.7", "192.0.2.6"));
    assert_true(in("0.0.0.0/0", "203.0.113.7"));
    assert_false(in("0.0.0.0/0", "2001:db8::1"));
    assert_true(in("::/0", "203.0.113.7")); /* mapped */
    assert_true(in("2001:db8::/32", "2001:db8:ffff::1"));
    assert_false(in("2001:db8::/32", "2001:db9::1"));
    assert_true(in("::ffff:192.0.2.0/120", "192.0.2.9"));
}

static void test_what_is_no_range_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "/",
        "192.0.2.0/33",
        "192.0.2.0/",
        "192.0.2.0/ 8",
        "192.0.2.0/-1",
        "192.0.2.0/24x",
        "192.0.2.1/24",
        "2001:db8::/129",
        "2001:db8::1/64",
        "proxy.example",
        "192.0.2",
        "192.0.2.0/24/8",
        "2001:0db8:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0001"};
    struct gw_peer_range range;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(gw_peer_range_parse(bad[i], &range), GW_EINVALID);
}

static void test_a_household_counts_as_one(void **state)
{
    (void)state;
    struct gw_peer_range a, b;
    assert_int_equal(gw_peer_range_parse("2001:db8:1:2::1", &a), GW_OK);
    assert_int_equal(gw_peer_range_parse("2001:db8:1:2:ffff::9", &b), GW_OK);
    struct gw_peer x = gw_peer_counted(&a.first), y = gw_peer_counted(&b.first);
    assert_memory_equal(&x, &y, sizeof x);
    assert_int_equal(gw_peer_range_parse("2001:db8:1:3::1", &b), GW_OK);
    y = gw_peer_counted(&b.first);
    assert_memory_not_equal(&x, &y, sizeof x);
    assert_int_equal(gw_peer_range_parse("192.0.2.1", &a), GW_OK);
    assert_int_equal(gw_peer_range_parse("192.0.2.2", &b), GW_OK);
    x = gw_peer_counted(&a.first);
    y = gw_peer_counted(&b.first);
    assert_memory_not_equal(&x, &y, sizeof x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers_are_read_in_any_pieces),
        cmocka_unit_test(test_the_source_is_the_first_address),
        cmocka_unit_test(test_what_follows_the_header_is_not_read),
        cmocka_unit_test(test_a_cut_header_is_never_taken),
        cmocka_unit_test(test_what_is_no_header_is_refused),
        cmocka_unit_test(test_the_longest_header_is_read_over),
        cmocka_unit_test(test_addresses_are_in_their_ranges_only),
        cmocka_unit_test(test_what_is_no_range_is_refused),
        cmocka_unit_test(test_a_household_counts_as_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
