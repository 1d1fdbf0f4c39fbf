/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <stdlib.h>
#include <string.h>

#include "unit/sdk/hex.h"
#include "wire/cbor.h"
#include "wire/crc32c.h"
#include "wire/error.h"

/* A copy of exactly the vector's size on the heap, so that a sanitizer sees a read one byte beyond it. */
struct input {
    uint8_t *data;
    size_t len;
    struct trib_cbor_reader r;
};

static void input_open(struct input *in, const char *hex)
{
    uint8_t bytes[512];

    in->len = hex_decode(hex, bytes, sizeof bytes);
    assert_int_equal(in->len * 2, strlen(hex));
    in->data = malloc(in->len ? in->len : 1);
    memcpy(in->data, bytes, in->len);
    trib_cbor_reader_init(&in->r, in->data, in->len);
}

static void input_close(struct input *in)
{
    free(in->data);
}

static void assert_written(const struct trib_cbor_writer *w, const char *hex)
{
    char written[1024];

    assert_int_equal(w->error, 0);
    hex_encode(w->buf, w->len, written);
    assert_string_equal(written, hex);
}

/* --- RFC 8949 appendix A: what we write and read --- */

static void test_unsigned_integers_of_appendix_a(void **state)
{
    static const struct {
        uint64_t value;
        const char *hex;
    } vectors[] = {
        {0, "00"},
        {1, "01"},
        {10, "0a"},
        {23, "17"},
        {24, "1818"},
        {25, "1819"},
        {100, "1864"},
        {1000, "1903e8"},
        {1000000, "1a000f4240"},
        {1000000000000, "1b000000e8d4a51000"},
        {18446744073709551615u, "1bffffffffffffffff"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        uint8_t buf[16];
        struct trib_cbor_writer w;
        struct input in;
        trib_cbor_writer_init(&w, buf, sizeof buf);
        trib_cbor_put_uint(&w, vectors[i].value);
        assert_written(&w, vectors[i].hex);
        input_open(&in, vectors[i].hex);
        assert_int_equal(trib_cbor_peek(&in.r), TRIB_CBOR_UINT);
        assert_true(trib_cbor_get_uint(&in.r) == vectors[i].value);
        assert_true(trib_cbor_at_end(&in.r));
        input_close(&in);
    }
}

static void test_signed_integers_of_appendix_a(void **state)
{
    static const struct {
        int64_t value;
        const char *hex;
    } vectors[] = {
        {0, "00"},
        {-1, "20"},
        {-10, "29"},
        {-100, "3863"},
        {-1000, "3903e7"},
        {1000, "1903e8"},
        {INT64_MAX, "1b7fffffffffffffff"},
        {INT64_MIN, "3b7fffffffffffffff"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        uint8_t buf[16];
        struct trib_cbor_writer w;
        struct input in;
        trib_cbor_writer_init(&w, buf, sizeof buf);
        trib_cbor_put_int(&w, vectors[i].value);
        assert_written(&w, vectors[i].hex);
        input_open(&in, vectors[i].hex);
        assert_true(trib_cbor_get_int(&in.r) == vectors[i].value);
        assert_true(trib_cbor_at_end(&in.r));
        input_close(&in);
    }
}

static void test_integers_beyond_int64_are_out_of_range(void **state)
{
    static const char *vectors[] = {"3bffffffffffffffff", "1bffffffffffffffff", "3b8000000000000000"};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct input in;
        input_open(&in, vectors[i]);
        assert_int_equal(trib_cbor_get_int(&in.r), 0);
        assert_int_equal(in.r.error, TRIB_ERANGE);
        input_close(&in);
    }
}

static void test_strings_of_appendix_a(void **state)
{
    static const struct {
        const char *value;
        const char *hex;
    } vectors[] = {
        {"", "60"},
        {"a", "6161"},
        {"IETF", "6449455446"},
        {"\"\\", "62225c"},
        {"\xc3\xbc", "62c3bc"},
        {"\xe6\xb0\xb4", "63e6b0b4"},
        {"\xf0\x90\x85\x91", "64f0908591"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        uint8_t buf[16];
        size_t len = strlen(vectors[i].value), read_len;
        struct trib_cbor_writer w;
        struct input in;
        trib_cbor_writer_init(&w, buf, sizeof buf);
        trib_cbor_put_text(&w, vectors[i].value, len);
        assert_written(&w, vectors[i].hex);
        input_open(&in, vectors[i].hex);
        const char *text = trib_cbor_get_text(&in.r, &read_len);
        assert_int_equal(read_len, len);
        assert_memory_equal(text, vectors[i].value, len);
        input_close(&in);
    }
    uint8_t buf[16];
    size_t len;
    struct trib_cbor_writer w;
    struct input in;
    trib_cbor_writer_init(&w, buf, sizeof buf);
    trib_cbor_put_bytes(&w, (const uint8_t *)"\1\2\3\4", 4);
    assert_written(&w, "4401020304");
    input_open(&in, "4401020304");
    assert_memory_equal(trib_cbor_get_bytes(&in.r, &len), "\1\2\3\4", 4);
    assert_int_equal(len, 4);
    input_close(&in);
}

static void test_simple_values_of_appendix_a(void **state)
{
    uint8_t buf[16];
    struct trib_cbor_writer w;
    struct input in;

    (void)state;
    trib_cbor_writer_init(&w, buf, sizeof buf);
    trib_cbor_put_bool(&w, false);
    trib_cbor_put_bool(&w, true);
    trib_cbor_put_null(&w);
    assert_written(&w, "f4f5f6");
    input_open(&in, "f4f5f6");
    assert_false(trib_cbor_get_bool(&in.r));
    assert_true(trib_cbor_get_bool(&in.r));
    trib_cbor_get_bool(&in.r);
    assert_int_equal(in.r.error, TRIB_ETYPE);
    input_close(&in);
}

/* {"a": 1, "b": [2, 3]}, definite and indefinite */
static void test_containers_of_appendix_a(void **state)
{
    static const char *vectors[] = {"a26161016162820203", "bf61610161629f0203ffff", "bf6161016162820203ff"};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct input in;
        size_t len;
        input_open(&in, vectors[i]);
        struct trib_cbor_container map = trib_cbor_get_map(&in.r);
        assert_true(trib_cbor_next(&in.r, &map));
        assert_memory_equal(trib_cbor_get_text(&in.r, &len), "a", 1);
        assert_int_equal(trib_cbor_get_uint(&in.r), 1);
        assert_true(trib_cbor_next(&in.r, &map));
        assert_memory_equal(trib_cbor_get_text(&in.r, &len), "b", 1);
        struct trib_cbor_container array = trib_cbor_get_array(&in.r);
        assert_true(trib_cbor_next(&in.r, &array));
        assert_int_equal(trib_cbor_get_uint(&in.r), 2);
        assert_true(trib_cbor_next(&in.r, &array));
        assert_int_equal(trib_cbor_get_uint(&in.r), 3);
        assert_false(trib_cbor_next(&in.r, &array));
        assert_false(trib_cbor_next(&in.r, &array)); /* and stays there */
        assert_false(trib_cbor_next(&in.r, &map));
        assert_true(trib_cbor_at_end(&in.r));
        input_close(&in);
    }
}

/* Every item of appendix A, those we do not read included, is stepped over as one item. */
static const char *appendix_a[] = {
    "00",
    "17",
    "1818",
    "1903e8",
    "1a000f4240",
    "1b000000e8d4a51000",
    "1bffffffffffffffff",
    "c249010000000000000000",
    "3bffffffffffffffff",
    "c349010000000000000000",
    "20",
    "29",
    "3863",
    "3903e7",
    "f90000",
    "f98000",
    "f93c00",
    "fb3ff199999999999a",
    "f93e00",
    "f97bff",
    "fa47c35000",
    "fa7f7fffff",
    "fb7e37e43c8800759c",
    "f90001",
    "f90400",
    "f9c400",
    "fbc010666666666666",
    "f97c00",
    "f97e00",
    "f9fc00",
    "fa7f800000",
    "fa7fc00000",
    "faff800000",
    "fb7ff0000000000000",
    "fb7ff8000000000000",
    "fbfff0000000000000",
    "f4",
    "f5",
    "f6",
    "f7",
    "f0",
    "f8ff",
    "c074323031332d30332d32315432303a30343a30305a",
    "c11a514b67b0",
    "c1fb41d452d9e2000000",
    "d74401020304",
    "d818456449455446",
    "d82076687474703a2f2f7777772e6578616d706c652e636f6d",
    "40",
    "4401020304",
    "60",
    "6161",
    "6449455446",
    "62225c",
    "62c3bc",
    "63e6b0b4",
    "64f0908591",
    "80",
    "83010203",
    "8301820203820405",
    "98190102030405060708090a0b0c0d0e0f101112131415161718181819",
    "a0",
    "a201020304",
    "a26161016162820203",
    "826161a161626163",
    "a56161614161626142616361436164614461656145",
    "5f42010243030405ff",
    "7f657374726561646d696e67ff",
    "9fff",
    "9f018202039f0405ffff",
    "9f01820203820405ff",
    "83018202039f0405ff",
    "83019f0203ff820405",
    "9f0102030405060708090a0b0c0d0e0f101112131415161718181819ff",
    "bf61610161629f0203ffff",
    "826161bf61626163ff",
    "bf6346756ef563416d7421ff",
};

static void test_skip_steps_over_all_of_appendix_a(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof appendix_a / sizeof appendix_a[0]; i++) {
        struct input in;
        input_open(&in, appendix_a[i]);
        trib_cbor_skip(&in.r);
        if (!trib_cbor_at_end(&in.r))
            fail_msg("%s: error %d at %zu", appendix_a[i], in.r.error, in.r.pos);
        input_close(&in);
    }
}

static void test_skip_of_a_truncated_item_is_an_error_at_every_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof appendix_a / sizeof appendix_a[0]; i++) {
        size_t whole = strlen(appendix_a[i]) / 2;
        for (size_t len = 0; len < whole; len++) {
            char hex[128];
            struct input in;
            memcpy(hex, appendix_a[i], 2 * len);
            hex[2 * len] = '\0';
            input_open(&in, hex);
            trib_cbor_skip(&in.r);
            assert_int_equal(in.r.error, TRIB_ETRUNCATED);
            input_close(&in);
        }
    }
}

/* RFC 8949 appendix F: not well-formed. */
static void test_malformed_items_are_refused(void **state)
{
    static const char *vectors[] = {
        "1c",           "1d",           "1e",       "3c",
        "5c",           "7d",           "9e",       "bc",
        "dd",           "fc",           "fd",       "fe",   /* reserved */
        "f800",         "f801",         "f818",     "f81f", /* simple values in two bytes */
        "5f00ff",       "5f21ff",       "5f6100ff", "5f80ff",
        "5fc000ff",     "5fe0ff",       "7f4100ff", /* chunks of another type */
        "5f5f4100ffff", "7f7f6100ffff",             /* nested chunks */
        "ff",                                       /* a break alone */
        "81ff",         "8200ff",       "a1ff",     "a1ff00",
        "a100ff",       "a20000ff",     "9f81ff",   "9f829f819f9fffffffff", /* in definite */
        "bf00ff",       "bf000000ff",                                       /* half a pair */
        "1f",           "3f",           "df",                               /* info 31 */
        "c1ff",         "9fc1ff",                                           /* a tag without its item */
    };
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        struct input in;
        input_open(&in, vectors[i]);
        trib_cbor_skip(&in.r);
        if (in.r.error != TRIB_EMALFORMED && in.r.error != TRIB_ETRUNCATED)
            fail_msg("%s: taken, error %d", vectors[i], in.r.error);
        input_close(&in);
    }
}

/* A count is a promise of bytes: one beyond the input is refused at once, and never multiplied. */
static void test_counts_are_not_trusted(void **state)
{
    static const char *vectors[] = {
        "9b1000000000000000",
        "9bffffffffffffffff",
        "bb1000000000000000",
        "bb8000000000000000",
        "bbffffffffffffffff",
        "5b1000000000000000",
        "7bffffffffffffffff",
        "9affffffff00",
        "bb800000000000000000",
        "8401",
        "a20102",
    };
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        struct input in;
        size_t len;
        input_open(&in, vectors[i]);
        trib_cbor_skip(&in.r);
        assert_int_equal(in.r.error, TRIB_ETRUNCATED);
        trib_cbor_reader_init(&in.r, in.data, in.len);
        switch (trib_cbor_peek(&in.r)) {
        case TRIB_CBOR_ARRAY:
            assert_true(trib_cbor_get_array(&in.r).left == 0);
            break;
        case TRIB_CBOR_MAP:
            assert_true(trib_cbor_get_map(&in.r).left == 0);
            break;
        case TRIB_CBOR_BYTES:
            assert_null(trib_cbor_get_bytes(&in.r, &len));
            break;
        default:
            assert_null(trib_cbor_get_text(&in.r, &len));
            break;
        }
        assert_int_equal(in.r.error, TRIB_ETRUNCATED);
        input_close(&in);
    }
}

static void test_skip_has_a_depth_limit(void **state)
{
    (void)state;
    for (int depth = 1; depth <= 40; depth++) {
        for (int open = 0; open < 2; open++) {
            char hex[256] = "";
            for (int i = 0; i < depth; i++)
                strcat(hex, open ? "9f" : "81");
            strcat(hex, "00");
            for (int i = 0; i < depth && open; i++)
                strcat(hex, "ff");
            struct input in;
            input_open(&in, hex);
            trib_cbor_skip(&in.r);
            assert_int_equal(in.r.error, depth <= TRIB_CBOR_DEPTH_MAX ? 0 : TRIB_EMALFORMED);
            input_close(&in);
        }
    }
}

static void test_utf8_is_checked(void **state)
{
    static const struct {
        const char *text;
        bool valid;
    } vectors[] = {
        {"plain ascii of more than eight bytes", true},
        {"caf\xc3\xa9 au lait", true},
        {"\xed\x9f\xbf", true},
        {"\xee\x80\x80", true},
        {"\xf4\x8f\xbf\xbf", true},
        {"\xc2\x80", true},
        {"\xe0\xa0\x80", true},
        {"\xf0\x90\x80\x80", true},
        {"\x80", false},
        {"\xbf", false},
        {"\xc0\x80", false},         /* overlong */
        {"\xc1\xbf", false},         /* overlong */
        {"\xe0\x9f\xbf", false},     /* overlong */
        {"\xf0\x8f\xbf\xbf", false}, /* overlong */
        {"\xed\xa0\x80", false},     /* surrogate */
        {"\xed\xbf\xbf", false},     /* surrogate */
        {"\xf4\x90\x80\x80", false}, /* above U+10FFFF */
        {"\xf5\x80\x80\x80", false},
        {"\xff", false},
        {"\xc3", false},
        {"\xe6\xb0", false},
        {"\xf0\x90\x85", false},
        {"12345678\xc3", false},
        {"1234567\xc3\x28", false},
        {"\xe6\x28\xb4", false},
        {"\xe6\xb0\x28", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        size_t len = strlen(vectors[i].text);
        char *exact = malloc(len);
        memcpy(exact, vectors[i].text, len);
        if (trib_cbor_utf8_valid(exact, len) != vectors[i].valid)
            fail_msg("vector %zu", i);
        free(exact);
    }
    struct input in;
    size_t len = 7;
    input_open(&in, "62c328");
    assert_null(trib_cbor_get_text(&in.r, &len));
    assert_int_equal(len, 0);
    assert_int_equal(in.r.error, TRIB_EMALFORMED);
    input_close(&in);
}

static void test_other_types_are_refused_and_errors_stick(void **state)
{
    struct input in;
    size_t len;

    (void)state;
    input_open(&in, "6161");
    assert_int_equal(trib_cbor_get_uint(&in.r), 0);
    assert_int_equal(in.r.error, TRIB_ETYPE);
    assert_null(trib_cbor_get_text(&in.r, &len)); /* the text that was there is not read any more */
    assert_int_equal(trib_cbor_peek(&in.r), -1);
    trib_cbor_skip(&in.r);
    assert_int_equal(in.r.error, TRIB_ETYPE);
    assert_false(trib_cbor_at_end(&in.r));
    input_close(&in);

    static const char *not_uint[] = {"20", "40", "60", "80", "a0", "c100", "f4", "f6", "f93c00"};
    for (size_t i = 0; i < sizeof not_uint / sizeof not_uint[0]; i++) {
        input_open(&in, not_uint[i]);
        trib_cbor_get_uint(&in.r);
        assert_int_equal(in.r.error, TRIB_ETYPE);
        input_close(&in);
    }
    input_open(&in, "7f6161ff"); /* a text in chunks cannot be borrowed */
    assert_null(trib_cbor_get_text(&in.r, &len));
    assert_int_equal(in.r.error, TRIB_ETYPE);
    input_close(&in);
}

static void test_longer_encodings_than_needed_are_read(void **state)
{
    static const char *vectors[] = {"1805", "190005", "1a00000005", "1b0000000000000005"};
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct input in;
        input_open(&in, vectors[i]);
        assert_int_equal(trib_cbor_get_uint(&in.r), 5);
        assert_true(trib_cbor_at_end(&in.r));
        input_close(&in);
    }
}

static void write_some(struct trib_cbor_writer *w)
{
    trib_cbor_put_map_open(w);
    trib_cbor_put_uint(w, 70000);
    trib_cbor_put_text(w, "hello", 5);
    trib_cbor_put_uint(w, 2);
    trib_cbor_put_array_open(w);
    trib_cbor_put_int(w, -500);
    trib_cbor_put_break(w);
    trib_cbor_put_uint(w, 3);
    trib_cbor_put_raw(w, (const uint8_t *)"\x81\xf5", 2);
    trib_cbor_put_break(w);
}

static void test_size_only_pass_counts_what_is_written(void **state)
{
    struct trib_cbor_writer count, w;
    uint8_t buf[64];

    (void)state;
    trib_cbor_writer_init(&count, NULL, 0);
    write_some(&count);
    assert_int_equal(count.error, 0);
    trib_cbor_writer_init(&w, buf, sizeof buf);
    write_some(&w);
    assert_int_equal(w.len, count.len);
    assert_written(&w, "bf1a000111706568656c6c6f029f3901f3ff0381f5ff");
}

static void test_writer_never_passes_its_capacity(void **state)
{
    struct trib_cbor_writer count;

    (void)state;
    trib_cbor_writer_init(&count, NULL, 0);
    write_some(&count);
    for (size_t cap = 0; cap <= count.len; cap++) {
        uint8_t *buf = malloc(cap + 1);
        struct trib_cbor_writer w;
        buf[cap] = 0xa5;
        trib_cbor_writer_init(&w, buf, cap);
        write_some(&w);
        assert_int_equal(w.error, cap == count.len ? 0 : TRIB_ESPACE);
        assert_int_equal(w.len, count.len);
        assert_int_equal(buf[cap], 0xa5);
        free(buf);
    }
}

/* RFC 3720 appendix B.4 */
static void test_crc32c_of_rfc_3720(void **state)
{
    uint8_t data[32];

    (void)state;
    memset(data, 0, sizeof data);
    assert_int_equal(trib_crc32c(0, data, 32), 0x8a9136aau);
    memset(data, 0xff, sizeof data);
    assert_int_equal(trib_crc32c(0, data, 32), 0x62a8ab43u);
    for (unsigned i = 0; i < 32; i++)
        data[i] = (uint8_t)i;
    assert_int_equal(trib_crc32c(0, data, 32), 0x46dd794eu);
    assert_int_equal(trib_crc32c(trib_crc32c(0, data, 13), data + 13, 19), 0x46dd794eu);
    assert_int_equal(trib_crc32c(0, "123456789", 9), 0xe3069283u);
    assert_int_equal(trib_crc32c(0, NULL, 0), 0);
}

static void test_every_error_has_a_text(void **state)
{
    (void)state;
    assert_string_equal(trib_error_text(0), "no error");
    for (int code = -1; code >= -21; code--)
        assert_string_not_equal(trib_error_text(code), "unknown error");
    assert_string_equal(trib_error_text(-22), "unknown error");
    assert_string_equal(trib_error_text(1), "unknown error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unsigned_integers_of_appendix_a),
        cmocka_unit_test(test_signed_integers_of_appendix_a),
        cmocka_unit_test(test_integers_beyond_int64_are_out_of_range),
        cmocka_unit_test(test_strings_of_appendix_a),
        cmocka_unit_test(test_simple_values_of_appendix_a),
        cmocka_unit_test(test_containers_of_appendix_a),
        cmocka_unit_test(test_skip_steps_over_all_of_appendix_a),
        cmocka_unit_test(test_skip_of_a_truncated_item_is_an_error_at_every_byte),
        cmocka_unit_test(test_malformed_items_are_refused),
        cmocka_unit_test(test_counts_are_not_trusted),
        cmocka_unit_test(test_skip_has_a_depth_limit),
        cmocka_unit_test(test_utf8_is_checked),
        cmocka_unit_test(test_other_types_are_refused_and_errors_stick),
        cmocka_unit_test(test_longer_encodings_than_needed_are_read),
        cmocka_unit_test(test_size_only_pass_counts_what_is_written),
        cmocka_unit_test(test_writer_never_passes_its_capacity),
        cmocka_unit_test(test_crc32c_of_rfc_3720),
        cmocka_unit_test(test_every_error_has_a_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
