/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit/sdk/hex.h"
#include "unit/sdk/samples.h"

/* Any decoded message, so that one table can drive all of them. */
union message {
    struct trib_wire_hello hello;
    struct trib_wire_welcome welcome;
    struct trib_wire_ack ack;
    struct trib_wire_nack nack;
    struct trib_wire_credit credit;
    struct trib_wire_bye bye;
    struct trib_wire_config config;
};

#define MESSAGE(kind)                                                                                        \
    static int encode_##kind(const void *m, uint8_t *buf, size_t cap, size_t *out_len)                       \
    {                                                                                                        \
        return trib_wire_##kind##_encode(m, buf, cap, out_len);                                              \
    }                                                                                                        \
    static int decode_##kind(const uint8_t *data, size_t len, union message *out)                            \
    {                                                                                                        \
        return trib_wire_##kind##_decode(data, len, &out->kind);                                             \
    }
MESSAGE(hello)
MESSAGE(welcome)
MESSAGE(ack)
MESSAGE(nack)
MESSAGE(credit)
MESSAGE(bye)
MESSAGE(config)

static const struct sample {
    const char *name; /* of the file in tests/golden */
    uint64_t type;
    const void *message;
    int (*encode)(const void *m, uint8_t *buf, size_t cap, size_t *out_len);
    int (*decode)(const uint8_t *data, size_t len, union message *out);
} samples[] = {
    {"hello", TRIB_WIRE_HELLO, &sample_hello, encode_hello, decode_hello},
    {"hello_first", TRIB_WIRE_HELLO, &sample_hello_first, encode_hello, decode_hello},
    {"welcome", TRIB_WIRE_WELCOME, &sample_welcome, encode_welcome, decode_welcome},
    {"welcome_no_time", TRIB_WIRE_WELCOME, &sample_welcome_no_time, encode_welcome, decode_welcome},
    {"ack", TRIB_WIRE_ACK, &sample_ack, encode_ack, decode_ack},
    {"ack_rejected", TRIB_WIRE_ACK, &sample_ack_rejected, encode_ack, decode_ack},
    {"nack", TRIB_WIRE_NACK, &sample_nack, encode_nack, decode_nack},
    {"credit", TRIB_WIRE_CREDIT, &sample_credit, encode_credit, decode_credit},
    {"bye", TRIB_WIRE_BYE, &sample_bye, encode_bye, decode_bye},
    {"bye_short", TRIB_WIRE_BYE, &sample_bye_short, encode_bye, decode_bye},
    {"config", TRIB_WIRE_CONFIG, &sample_config, encode_config, decode_config},
};

#define SAMPLE_COUNT (sizeof samples / sizeof samples[0])

static size_t encode(const struct sample *s, uint8_t *buf, size_t cap)
{
    size_t len = 0;

    assert_int_equal(s->encode(s->message, buf, cap, &len), 0);
    return len;
}

/* The hex line of tests/golden/<name>.hex as bytes. */
static size_t golden(const char *name, uint8_t *out, size_t cap)
{
    char path[1024], line[4096];
    size_t len = 0;
    const char *slash = strrchr(__FILE__, '/');

    snprintf(path, sizeof path, "%.*s/../../golden/%s.hex", (int)(slash - __FILE__), __FILE__, name);
    FILE *file = fopen(path, "r");
    if (!file)
        fail_msg("cannot open %s", path);
    while (fgets(line, sizeof line, file))
        if (strncmp(line, "hex: ", 5) == 0)
            len = hex_decode(line + 5, out, cap);
    fclose(file);
    assert_int_not_equal(len, 0);
    return len;
}

static void assert_golden(const char *name, const uint8_t *data, size_t len)
{
    uint8_t expected[2048];
    char hex[4096];
    size_t expected_len = golden(name, expected, sizeof expected);

    hex_encode(data, len, hex);
    if (len != expected_len || memcmp(data, expected, len) != 0)
        fail_msg("%s differs from tests/golden; written: %s", name, hex);
}

static void test_each_message_is_written_as_its_golden_vector(void **state)
{
    (void)state;
    for (size_t i = 0; i < SAMPLE_COUNT; i++) {
        uint8_t buf[1024];
        assert_golden(samples[i].name, buf, encode(&samples[i], buf, sizeof buf));
    }
    uint8_t buf[1024];
    size_t len = 0;
    assert_int_equal(sample_batch_session(buf, sizeof buf, &len), 0);
    assert_golden("batch_session", buf, len);
    assert_int_equal(sample_batch_drop(buf, sizeof buf, &len), 0);
    assert_golden("batch_drop", buf, len);
}

static void test_each_message_survives_a_round_trip(void **state)
{
    (void)state;
    for (size_t i = 0; i < SAMPLE_COUNT; i++) {
        uint8_t buf[1024], again[1024];
        union message m;
        uint64_t type;
        size_t body, again_len, len = encode(&samples[i], buf, sizeof buf);
        assert_int_equal(trib_wire_open(buf, len, &type, &body), 0);
        assert_int_equal(type, samples[i].type);
        assert_int_equal(body, 2);
        assert_int_equal(samples[i].decode(buf, len, &m), 0);
        assert_int_equal(samples[i].encode(&m, again, sizeof again, &again_len), 0);
        assert_int_equal(again_len, len);
        assert_memory_equal(again, buf, len);
    }
}

static void test_hello_is_read_field_by_field(void **state)
{
    uint8_t buf[1024];
    struct trib_wire_hello m;

    (void)state;
    assert_int_equal(trib_wire_hello_decode(buf, encode(&samples[0], buf, sizeof buf), &m), 0);
    assert_int_equal(m.device.len, 11);
    assert_memory_equal(m.device.ptr, "living-room", 11);
    assert_int_equal(m.version, 1);
    assert_memory_equal(m.sdk.ptr, "tributary/0.1.0", m.sdk.len);
    assert_int_equal(m.generation, 2);
    assert_int_equal(m.boot, 7);
    assert_int_equal(m.mono_ms, 123456);
    assert_int_equal(m.stream_count, 2);
    assert_true(m.streams[1].stream == SAMPLE_ROUTINE);
    assert_true(m.streams[1].next_seq == 5000000000ull);
    assert_true(m.streams[1].acked_seq == 4999999000ull);
    assert_int_equal(m.streams[1].lane, TRIB_LANE_ROUTINE);
    assert_memory_equal(m.acked_gateway.ptr, "gw-1", m.acked_gateway.len);
    assert_true(m.acked_epoch == 0x8877665544332211ull);
    assert_int_equal(m.config_version, 3);
}

static void test_ack_and_welcome_are_read_field_by_field(void **state)
{
    uint8_t buf[1024];
    struct trib_wire_ack ack;
    struct trib_wire_welcome welcome;

    (void)state;
    assert_int_equal(trib_wire_ack_decode(buf, encode(&samples[5], buf, sizeof buf), &ack), 0);
    assert_int_equal(ack.acked_count, 1);
    assert_true(ack.acked[0].stream == SAMPLE_ROUTINE && ack.acked[0].seq == 40);
    assert_int_equal(ack.rejected_count, 2);
    assert_true(ack.rejected[1].seq == 39 && ack.rejected[1].code == TRIB_REJECT_OUT_OF_RANGE);
    assert_int_equal(ack.rejected_more, 5);
    assert_true(ack.credit.events == 10100 && ack.credit.bytes == 1052576);
    assert_int_equal(trib_wire_welcome_decode(buf, encode(&samples[2], buf, sizeof buf), &welcome), 0);
    assert_true(welcome.streams[0].committed == 11 && welcome.streams[0].crc == 0xdeadbeef);
    assert_int_equal(welcome.utc_quality, TRIB_TIME_SYNCED);
    assert_true(welcome.utc_ms == 1700000000123ull && welcome.utc_uncertainty_ms == 4);
    assert_int_equal(welcome.keepalive_ms, 25000);
    assert_int_equal(trib_wire_welcome_decode(buf, encode(&samples[3], buf, sizeof buf), &welcome), 0);
    assert_int_equal(welcome.utc_quality, TRIB_TIME_NONE);
}

/* Input of exactly len bytes on the heap: a sanitizer sees any read beyond it. */
static int decode_exact(const struct sample *s, const uint8_t *data, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1), again[4096];
    union message m;
    size_t again_len;

    memcpy(copy, data, len);
    int error = s->decode(copy, len, &m);
    if (!error) /* what was taken is sound enough to be written again */
        assert_int_equal(s->encode(&m, again, sizeof again, &again_len), 0);
    free(copy);
    return error;
}

static void test_truncation_at_every_byte_is_an_error(void **state)
{
    (void)state;
    for (size_t i = 0; i < SAMPLE_COUNT; i++) {
        uint8_t buf[1024];
        size_t len = encode(&samples[i], buf, sizeof buf);
        for (size_t cut = 0; cut < len; cut++)
            assert_int_equal(decode_exact(&samples[i], buf, cut), TRIB_ETRUNCATED);
        buf[len] = 0;
        assert_int_equal(decode_exact(&samples[i], buf, len + 1),
                         TRIB_EMALFORMED); /* and one byte too many */
    }
}

static void test_no_corrupted_byte_does_harm(void **state)
{
    size_t errors = 0, tries = 0;

    (void)state;
    for (size_t i = 0; i < SAMPLE_COUNT; i++) {
        uint8_t buf[1024];
        size_t len = encode(&samples[i], buf, sizeof buf);
        for (size_t at = 0; at < len; at++) {
            uint8_t original = buf[at];
            for (unsigned value = 0; value < 256; value++) {
                buf[at] = (uint8_t)value;
                errors += decode_exact(&samples[i], buf, len) != 0;
                tries++;
            }
            buf[at] = original;
        }
    }
    print_message("%zu of %zu corrupted messages refused\n", errors, tries);
    assert_in_range(errors, tries / 4, tries - 1);
}

static void test_a_buffer_that_is_too_small_is_refused_and_counting_agrees(void **state)
{
    (void)state;
    for (size_t i = 0; i < SAMPLE_COUNT; i++) {
        uint8_t buf[1024];
        size_t len = encode(&samples[i], buf, sizeof buf), counted = 0, untouched = 77;
        assert_int_equal(samples[i].encode(samples[i].message, NULL, 0, &counted), 0);
        assert_int_equal(counted, len);
        for (size_t cap = 0; cap < len; cap++)
            assert_int_equal(samples[i].encode(samples[i].message, buf, cap, &untouched), TRIB_ESPACE);
        assert_int_equal(untouched, 77);
    }
}

/* Each row: a message in hex and what its decoder must say. */
static void assert_decode(int (*decode)(const uint8_t *, size_t, union message *), const char *hex,
                          int expected)
{
    uint8_t bytes[1024];
    union message m;
    size_t len = hex_decode(hex, bytes, sizeof bytes);

    assert_int_equal(2 * len, strlen(hex));
    uint8_t *copy = malloc(len);
    memcpy(copy, bytes, len);
    int error = decode(copy, len, &m);
    free(copy);
    if (error != expected)
        fail_msg("%s: %d (%s), expected %d", hex, error, trib_error_text(error), expected);
}

static void test_unknown_keys_are_ignored(void **state)
{
    (void)state;
    assert_decode(decode_nack, "8205a201010202", 0);
    assert_decode(decode_nack,
                  "8205a3182a8301a1010263616263010102"
                  "02",
                  0); /* 42: [1, {1: 2}, "abc"] first */
    assert_decode(decode_nack,
                  "8205a401010202"
                  "613100"
                  "20fb3ff199999999999a",
                  0); /* "1" and -1 */
    /* 0, and keys that no table reaches: under UBSan also not by the arithmetic of a pointer */
    assert_decode(decode_nack,
                  "8205a501010202000a1bffffffffffffffff0a1b2000000000000000"
                  "0a",
                  0);
    assert_decode(decode_nack, "9f05bf01010202ffff", 0); /* indefinite lengths */
    assert_decode(decode_nack, "8305a20101020200", 0);   /* a third element */
    /* an ACK position with a third element: [[1, 5, "later"]] */
    assert_decode(decode_ack,
                  "8204a2018183010565"
                  "6c61746572"
                  "04820a0a",
                  0);
}

static void test_what_must_be_there_is_demanded(void **state)
{
    (void)state;
    assert_decode(decode_nack, "8205a10101", TRIB_EMISSING);
    assert_decode(decode_nack, "8205a0", TRIB_EMISSING);
    assert_decode(decode_nack, "8105", TRIB_EMISSING);
    assert_decode(decode_nack, "80", TRIB_EMISSING);
    assert_decode(decode_nack, "8204a201010202", TRIB_ETYPE);          /* another message */
    assert_decode(decode_nack, "8205a20101026132", TRIB_ETYPE);        /* a text for a number */
    assert_decode(decode_nack, "8205a3010101010202", TRIB_EMALFORMED); /* a key twice */
    assert_decode(decode_nack, "820580", TRIB_ETYPE);
    assert_decode(decode_nack, "a0", TRIB_ETYPE);
    assert_decode(decode_ack,
                  "8204a1"
                  "0180",
                  TRIB_EMISSING);
    assert_decode(decode_ack,
                  "8204a2"
                  "018101"
                  "048200"
                  "00",
                  TRIB_ETYPE); /* a position that is no array */
    assert_decode(decode_ack,
                  "8204a2"
                  "01818101"
                  "04820000",
                  TRIB_EMISSING);
    assert_decode(decode_config,
                  "8206a20101"
                  "0280",
                  TRIB_ETYPE);
    assert_decode(decode_config,
                  "8206a20101"
                  "02a101",
                  TRIB_ETRUNCATED);
}

static void test_a_declared_count_of_two_to_the_sixty_is_refused(void **state)
{
    (void)state;
    assert_decode(decode_nack,
                  "8205bb1000000000000000"
                  "01010202",
                  TRIB_ETRUNCATED);
    assert_decode(decode_nack,
                  "9b1000000000000000"
                  "05a201010202",
                  TRIB_ETRUNCATED);
    assert_decode(decode_ack,
                  "8204a2"
                  "019b1000000000000000"
                  "04820000",
                  TRIB_ETRUNCATED);
    assert_decode(decode_ack,
                  "8204a2"
                  "029b1000000000000000"
                  "04820000",
                  TRIB_ETRUNCATED);
    assert_decode(decode_hello,
                  "8201a1"
                  "079bffffffffffffffff",
                  TRIB_ETRUNCATED);
}

static int hello_with(struct trib_wire_hello m, const char *device, size_t device_len)
{
    static uint8_t buf[8192];
    struct trib_wire_hello out;
    size_t len = 0;

    if (device)
        m.device = (struct trib_text){device, device_len};
    int error = trib_wire_hello_encode(&m, buf, sizeof buf, &len);
    return error ? error : trib_wire_hello_decode(buf, len, &out);
}

static void test_hello_limits_are_enforced(void **state)
{
    char name[80];
    struct trib_wire_hello m = sample_hello;

    (void)state;
    memset(name, 'x', sizeof name);
    assert_int_equal(hello_with(m, name, 1), 0);
    assert_int_equal(hello_with(m, name, 64), 0);
    assert_int_equal(hello_with(m, name, 65), TRIB_ERANGE);
    assert_int_equal(hello_with(m, name, 0), TRIB_ERANGE);
    assert_int_equal(hello_with(m, "\xc3(", 2), TRIB_EMALFORMED);
    m.version = 2;
    assert_int_equal(hello_with(m, NULL, 0), TRIB_EVERSION);
    m = sample_hello;
    m.streams[1].stream = m.streams[0].stream;
    assert_int_equal(hello_with(m, NULL, 0), TRIB_ERANGE);
    m = sample_hello;
    m.streams[1].stream = 0;
    assert_int_equal(hello_with(m, NULL, 0), TRIB_ERANGE);
    m = sample_hello;
    m.streams[1].lane = 2;
    assert_int_equal(hello_with(m, NULL, 0), TRIB_ERANGE);
    m = sample_hello;
    m.streams[0].acked_seq = m.streams[0].next_seq;
    assert_int_equal(hello_with(m, NULL, 0), TRIB_ERANGE);
    m = sample_hello;
    m.streams[0].next_seq = m.streams[0].acked_seq = 0;
    assert_int_equal(hello_with(m, NULL, 0), TRIB_ERANGE);
    m = sample_hello;
    m.stream_count = 8;
    for (size_t i = 0; i < 8; i++)
        m.streams[i] = (struct trib_wire_hello_stream){.stream = i + 1, .next_seq = 1};
    assert_int_equal(hello_with(m, NULL, 0), 0);
    m.stream_count = 9;
    assert_int_equal(hello_with(m, NULL, 0), TRIB_EINVAL);
    /* nine streams on the wire */
    assert_decode(decode_hello,
                  "8201a50161640201050106000789"
                  "84010001008402000100840300010084040001008405000100840600010084070001008408000100"
                  "8409000100",
                  TRIB_ERANGE);
}

static void test_hello_above_4096_bytes_is_refused(void **state)
{
    uint8_t *big = malloc(5000);
    struct trib_wire_hello m;
    size_t len;

    (void)state;
    for (size_t pad = 4000; pad < 4200; pad++) {
        struct trib_cbor_writer w;
        trib_cbor_writer_init(&w, big, 5000);
        assert_int_equal(trib_wire_hello_encode(&sample_hello_first, big, 5000, &len), 0);
        big[2]++; /* one more pair: an unknown key with a long byte string */
        w.len = len;
        trib_cbor_put_uint(&w, 63);
        trib_cbor_put_bytes(&w, big + 5000 - pad, 0);
        w.len--;
        uint8_t head[3] = {0x59, (uint8_t)(pad >> 8), (uint8_t)pad};
        trib_cbor_put_raw(&w, head, 3);
        memset(big + w.len, 0, pad);
        w.len += pad;
        assert_int_equal(trib_wire_hello_decode(big, w.len, &m),
                         w.len <= TRIB_WIRE_HELLO_BYTES_MAX ? 0 : TRIB_ERANGE);
    }
    free(big);
}

static void test_lists_beyond_their_limits_are_refused(void **state)
{
    char hex[1024];

    (void)state;
    for (unsigned count = 32; count <= 33; count++) {
        int n = snprintf(hex, sizeof hex,
                         "8204a3018002"
                         "98%02x",
                         count);
        for (unsigned i = 0; i < count; i++)
            n += snprintf(hex + n, sizeof hex - (size_t)n, "83010101");
        snprintf(hex + n, sizeof hex - (size_t)n, "04820000");
        assert_decode(decode_ack, hex, count <= TRIB_WIRE_REJECTED_MAX ? 0 : TRIB_ERANGE);
    }
    assert_decode(decode_bye,
                  "8208a20101"
                  "038461616162616361"
                  "64",
                  0);
    assert_decode(decode_bye,
                  "8208a20101"
                  "0385616161626163616461"
                  "65",
                  TRIB_ERANGE);
    assert_decode(decode_ack,
                  "8204a20189820101820201820301820401820501820601820701820801"
                  "820901"
                  "04820000",
                  TRIB_ERANGE);
    struct trib_wire_ack ack = {.rejected_count = 33};
    struct trib_wire_bye bye = {.alternate_count = 5};
    size_t len;
    assert_int_equal(trib_wire_ack_encode(&ack, NULL, 0, &len), TRIB_EINVAL);
    assert_int_equal(trib_wire_bye_encode(&bye, NULL, 0, &len), TRIB_EINVAL);
}

static void test_unknown_message_types_can_be_told_apart(void **state)
{
    uint8_t buf[8];
    uint64_t type = 0;
    size_t body = 0;

    (void)state;
    assert_int_equal(trib_wire_open(buf, hex_decode("82182aa0", buf, 8), &type, &body), 0);
    assert_int_equal(type, 42);
    assert_int_equal(body, 3);
    assert_int_equal(trib_wire_open(buf, hex_decode("8203", buf, 8), &type, &body), TRIB_ETRUNCATED);
    assert_int_equal(trib_wire_open(buf, hex_decode("820380", buf, 8), &type, &body), TRIB_ETYPE);
    assert_int_equal(trib_wire_open(buf, hex_decode("8161", buf, 8), &type, &body), TRIB_ETYPE);
    assert_int_equal(trib_wire_open(buf, 0, &type, &body), TRIB_ETRUNCATED);
    assert_int_equal(trib_wire_open((const uint8_t *)"GET / HTTP/1.1", 14, &type, &body), TRIB_ETYPE);
}

static void test_event_crc_depends_on_all_of_the_identity(void **state)
{
    static const uint8_t fields[] = {0xa1, 1, 0};
    const uint32_t crc = trib_wire_event_crc(1, 2, 3, 4, 5, 6, fields, sizeof fields);

    (void)state;
    assert_int_equal(crc, 0x69d28ed6u); /* computed apart, bit by bit */
    assert_int_not_equal(crc, trib_wire_event_crc(2, 2, 3, 4, 5, 6, fields, sizeof fields));
    assert_int_not_equal(crc, trib_wire_event_crc(1, 1, 3, 4, 5, 6, fields, sizeof fields));
    assert_int_not_equal(crc, trib_wire_event_crc(1, 2, 1, 4, 5, 6, fields, sizeof fields));
    assert_int_not_equal(crc, trib_wire_event_crc(1, 2, 3, 1, 5, 6, fields, sizeof fields));
    assert_int_not_equal(crc, trib_wire_event_crc(1, 2, 3, 4, 1, 6, fields, sizeof fields));
    assert_int_not_equal(crc, trib_wire_event_crc(1, 2, 3, 4, 5, 1, fields, sizeof fields));
    assert_int_not_equal(crc, trib_wire_event_crc(1, 2, 3, 4, 5, 6, fields, sizeof fields - 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_message_is_written_as_its_golden_vector),
        cmocka_unit_test(test_each_message_survives_a_round_trip),
        cmocka_unit_test(test_hello_is_read_field_by_field),
        cmocka_unit_test(test_ack_and_welcome_are_read_field_by_field),
        cmocka_unit_test(test_truncation_at_every_byte_is_an_error),
        cmocka_unit_test(test_no_corrupted_byte_does_harm),
        cmocka_unit_test(test_a_buffer_that_is_too_small_is_refused_and_counting_agrees),
        cmocka_unit_test(test_unknown_keys_are_ignored),
        cmocka_unit_test(test_what_must_be_there_is_demanded),
        cmocka_unit_test(test_a_declared_count_of_two_to_the_sixty_is_refused),
        cmocka_unit_test(test_hello_limits_are_enforced),
        cmocka_unit_test(test_hello_above_4096_bytes_is_refused),
        cmocka_unit_test(test_lists_beyond_their_limits_are_refused),
        cmocka_unit_test(test_unknown_message_types_can_be_told_apart),
        cmocka_unit_test(test_event_crc_depends_on_all_of_the_identity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
