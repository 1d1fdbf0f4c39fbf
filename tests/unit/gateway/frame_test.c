/* The frame reader against RFC 6455: every way to cut the input, and every rule that a client can break. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ingest/frame.h"
#include "ingest/utf8.h"

#define LIMIT 1000

struct made {
    uint8_t bytes[4096];
    size_t len;
};

static void add(struct made *m, unsigned first, bool masked, const void *payload, size_t len)
{
    static const uint8_t MASK[4] = {0x37, 0xfa, 0x21, 0x3d};
    uint8_t *p = m->bytes + m->len;
    *p++ = (uint8_t)first;
    if (len < 126) {
        *p++ = (uint8_t)((masked ? 0x80 : 0) | len);
    } else {
        *p++ = (uint8_t)((masked ? 0x80 : 0) | 126);
        *p++ = (uint8_t)(len >> 8);
        *p++ = (uint8_t)len;
    }
    if (masked) {
        memcpy(p, MASK, 4);
        p += 4;
    }
    for (size_t i = 0; i < len; i++)
        *p++ = ((const uint8_t *)payload)[i] ^ (masked ? MASK[i & 3] : 0);
    m->len = (size_t)(p - m->bytes);
}

/* Reads all, in pieces of at most `step` bytes, and keeps what was complete. */
struct got {
    struct {
        enum gw_frame_kind kind;
        unsigned opcode, code;
        uint8_t data[2048];
        size_t len;
    } items[8];
    size_t count;
};

static void read_all(const struct made *m, size_t step, size_t limit, struct got *got)
{
    struct gw_frame_reader reader;
    gw_frame_reader_init(&reader);
    got->count = 0;
    for (size_t at = 0; at < m->len; at += step) {
        size_t piece = m->len - at < step ? m->len - at : step;
        uint8_t *copy = malloc(piece); /* exactly as long, so that a sanitizer sees an overrun */
        memcpy(copy, m->bytes + at, piece);
        struct gw_frame frame;
        size_t used = 0;
        do {
            used += gw_frame_read(&reader, copy + used, piece - used, limit, &frame);
            assert_true(used <= piece);
            if (frame.kind == GW_FRAME_MORE)
                break;
            assert_true(got->count < 8 && frame.len <= sizeof got->items[0].data);
            got->items[got->count].kind = frame.kind;
            got->items[got->count].opcode = frame.opcode;
            got->items[got->count].code = frame.code;
            got->items[got->count].len = frame.len;
            if (frame.len > 0)
                memcpy(got->items[got->count].data, frame.data, frame.len);
            got->count++;
        } while (frame.kind != GW_FRAME_BROKEN);
        free(copy);
        if (frame.kind == GW_FRAME_BROKEN)
            break;
        assert_int_equal(used, piece);
    }
    gw_frame_reader_free(&reader);
}

static void assert_broken(const struct made *m, unsigned code)
{
    for (size_t step = 1; step <= m->len; step += step < 20 ? 1 : 97) {
        struct got got;
        read_all(m, step, LIMIT, &got);
        assert_true(got.count > 0);
        assert_int_equal(got.items[got.count - 1].kind, GW_FRAME_BROKEN);
        assert_int_equal(got.items[got.count - 1].code, code);
    }
}

static void test_messages_come_out_whole_however_the_input_is_cut(void **state)
{
    (void)state;
    struct made m = {.len = 0};
    uint8_t big[300], fragments[50];
    memset(big, 'b', sizeof big);
    memset(fragments, 'f', sizeof fragments);
    add(&m, 0x82, true, big, sizeof big);
    add(&m, 0x01, true, fragments, 20);
    add(&m, 0x89, true, "ping", 4); /* between two fragments */
    add(&m, 0x00, true, fragments, 0);
    add(&m, 0x80, true, fragments, 30);
    add(&m, 0x82, true, "", 0);
    add(&m, 0x88, true, "\x03\xe8", 2);
    for (size_t step = 1; step <= m.len; step++) {
        struct got got;
        read_all(&m, step, LIMIT, &got);
        assert_int_equal(got.count, 5);
        assert_int_equal(got.items[0].kind, GW_FRAME_MESSAGE);
        assert_int_equal(got.items[0].opcode, GW_FRAME_BINARY);
        assert_int_equal(got.items[0].len, sizeof big);
        assert_memory_equal(got.items[0].data, big, sizeof big);
        assert_int_equal(got.items[1].opcode, GW_FRAME_PING);
        assert_memory_equal(got.items[1].data, "ping", 4);
        assert_int_equal(got.items[2].opcode, GW_FRAME_TEXT);
        assert_int_equal(got.items[2].len, sizeof fragments);
        assert_memory_equal(got.items[2].data, fragments, sizeof fragments);
        assert_int_equal(got.items[3].kind, GW_FRAME_MESSAGE);
        assert_int_equal(got.items[3].len, 0);
        assert_int_equal(got.items[4].opcode, GW_FRAME_CLOSE);
        assert_int_equal(got.items[4].code, 1000);
    }
}

static void test_an_unmasked_frame_breaks_the_connection(void **state)
{
    (void)state;
    struct made m = {.len = 0};
    add(&m, 0x82, true, "good", 4);
    add(&m, 0x82, false, "bad", 3);
    assert_broken(&m, GW_CLOSE_PROTOCOL);
}

static void test_reserved_bits_and_opcodes_break_the_connection(void **state)
{
    (void)state;
    for (unsigned rsv = 0x10; rsv <= 0x40; rsv <<= 1) {
        struct made m = {.len = 0};
        add(&m, 0x82 | rsv, true, "x", 1);
        assert_broken(&m, GW_CLOSE_PROTOCOL);
    }
    for (unsigned opcode = 0; opcode < 16; opcode++) {
        if (opcode == 1 || opcode == 2 || (opcode >= 8 && opcode <= 10))
            continue;
        struct made m = {.len = 0};
        add(&m, 0x80 | opcode, true, "x", 1);
        assert_broken(&m, GW_CLOSE_PROTOCOL);
    }
}

static void test_control_frames_must_be_short_and_whole(void **state)
{
    (void)state;
    uint8_t payload[126] = {0};
    struct made fragmented = {.len = 0}, longer = {.len = 0};
    add(&fragmented, 0x09, true, "x", 1);
    assert_broken(&fragmented, GW_CLOSE_PROTOCOL);
    add(&longer, 0x89, true, payload, 126);
    assert_broken(&longer, GW_CLOSE_PROTOCOL);
}

static void test_a_new_message_inside_another_breaks_the_connection(void **state)
{
    (void)state;
    struct made m = {.len = 0};
    add(&m, 0x02, true, "start", 5);
    add(&m, 0x82, true, "other", 5);
    assert_broken(&m, GW_CLOSE_PROTOCOL);
}

static void test_the_declared_length_alone_trips_the_limit(void **state)
{
    (void)state;
    struct made m = {.bytes = {0x82, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 1, 2, 3, 4}, .len = 14}; /* 1 TiB */
    assert_broken(&m, GW_CLOSE_TOO_LARGE);
    struct made over = {.bytes = {0x82, 0xfe, 0x03, 0xe9, 1, 2, 3, 4}, .len = 8}; /* 1001 */
    assert_broken(&over, GW_CLOSE_TOO_LARGE);
}

static void test_fragments_together_trip_the_limit(void **state)
{
    (void)state;
    struct made m = {.len = 0};
    uint8_t payload[400] = {0};
    add(&m, 0x02, true, payload, 400);
    add(&m, 0x00, true, payload, 400);
    add(&m, 0x80, true, payload, 201);
    assert_broken(&m, GW_CLOSE_TOO_LARGE);
}

static void test_a_length_that_is_not_minimal_breaks_the_connection(void **state)
{
    (void)state;
    struct made m = {.bytes = {0x82, 0xfe, 0, 5, 1, 2, 3, 4, 0, 0, 0, 0, 0}, .len = 13};
    assert_broken(&m, GW_CLOSE_PROTOCOL);
    struct made wide = {.bytes = {0x82, 0xff, 0, 0, 0, 0, 0, 0, 0, 200, 1, 2, 3, 4}, .len = 14};
    assert_broken(&wide, GW_CLOSE_PROTOCOL);
    struct made huge = {.bytes = {0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}, .len = 14};
    assert_broken(&huge, GW_CLOSE_PROTOCOL);
}

static void test_bad_utf8_and_bad_close_codes_break_the_connection(void **state)
{
    (void)state;
    struct made text = {.len = 0}, close = {.len = 0}, half = {.len = 0};
    add(&text, 0x81, true, "\xc0\xaf", 2);
    assert_broken(&text, GW_CLOSE_BAD_DATA);
    add(&close, 0x88, true, "\x03\xee", 2); /* 1006 may not be on the wire */
    assert_broken(&close, GW_CLOSE_PROTOCOL);
    add(&half, 0x88, true, "\x03", 1);
    assert_broken(&half, GW_CLOSE_PROTOCOL);
}

static void test_utf8_as_rfc_3629_has_it(void **state)
{
    (void)state;
    static const char *const GOOD[] = {
        "", "a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x8e\xac", "\xf4\x8f\xbf\xbf", "\xee\x80\x80"};
    static const char *const BAD[] = {"\x80",
                                      "\xc3",
                                      "\xc1\x81",
                                      "\xe0\x9f\xbf",
                                      "\xed\xa0\x80",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xe2\x82",
                                      "a\xff"};
    for (size_t i = 0; i < sizeof GOOD / sizeof GOOD[0]; i++)
        assert_true(gw_utf8_valid((const uint8_t *)GOOD[i], strlen(GOOD[i])));
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++)
        assert_false(gw_utf8_valid((const uint8_t *)BAD[i], strlen(BAD[i])));
}

static void test_random_bytes_never_overrun(void **state)
{
    (void)state;
    srand(1);
    for (unsigned round = 0; round < 20000; round++) {
        struct made m = {.len = 1 + (size_t)rand() % 200};
        for (size_t i = 0; i < m.len; i++)
            m.bytes[i] = (uint8_t)rand();
        m.bytes[0] = (uint8_t)(0x80 * (rand() & 1) | (rand() % 3));
        m.bytes[1] = (uint8_t)(0x80 | (rand() % 128));
        struct got got;
        read_all(&m, 1 + (size_t)rand() % 50, LIMIT, &got);
    }
}

static void test_headers_that_the_server_writes(void **state)
{
    (void)state;
    uint8_t header[GW_FRAME_HEADER_MAX];
    assert_int_equal(gw_frame_header(GW_FRAME_BINARY, 125, header), 2);
    assert_memory_equal(header, "\x82\x7d", 2);
    assert_int_equal(gw_frame_header(GW_FRAME_TEXT, 126, header), 4);
    assert_memory_equal(header, "\x81\x7e\x00\x7e", 4);
    assert_int_equal(gw_frame_header(GW_FRAME_BINARY, 65536, header), 10);
    assert_memory_equal(header, "\x82\x7f\0\0\0\0\0\1\0\0", 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages_come_out_whole_however_the_input_is_cut),
        cmocka_unit_test(test_an_unmasked_frame_breaks_the_connection),
        cmocka_unit_test(test_reserved_bits_and_opcodes_break_the_connection),
        cmocka_unit_test(test_control_frames_must_be_short_and_whole),
        cmocka_unit_test(test_a_new_message_inside_another_breaks_the_connection),
        cmocka_unit_test(test_the_declared_length_alone_trips_the_limit),
        cmocka_unit_test(test_fragments_together_trip_the_limit),
        cmocka_unit_test(test_a_length_that_is_not_minimal_breaks_the_connection),
        cmocka_unit_test(test_bad_utf8_and_bad_close_codes_break_the_connection),
        cmocka_unit_test(test_utf8_as_rfc_3629_has_it),
        cmocka_unit_test(test_random_bytes_never_overrun),
        cmocka_unit_test(test_headers_that_the_server_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
