/* Frames (RFC 6455 §5): the examples of §5.7, every rule a server can break, and any cut into pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "websocket/websocket.h"

#define BUFFER 1024
#define BIG 70000

static uint8_t big[BIG + TRIB_WS_CONTROL_BYTES_MAX];

/* What came out of a stream of bytes, as one text that can be compared. */
struct outcome {
    uint8_t log[8192];
    size_t len;
    int error;
};

static void note(struct outcome *o, const void *data, size_t len)
{
    assert_true(o->len + len <= sizeof o->log);
    if (len > 0)
        memcpy(o->log + o->len, data, len);
    o->len += len;
}

/* piece 0: pieces of random size. */
static void run(const uint8_t *data, size_t len, size_t piece, struct outcome *o)
{
    static uint8_t buf[BUFFER];
    struct trib_ws_decoder d;
    size_t at = 0;
    memset(o, 0, sizeof *o);
    trib_ws_decoder_init(&d, buf, sizeof buf);
    while (at < len && o->error == 0) {
        size_t want = piece != 0 ? piece : 1 + (size_t)rand() % 97;
        size_t end = at + (len - at < want ? len - at : want);
        while (at < end && o->error == 0) {
            struct trib_ws_event e;
            size_t used;
            o->error = trib_ws_decoder_feed(&d, data + at, end - at, &used, &e);
            at += used;
            assert_true(used > 0 || o->error != 0);
            if (o->error == 0 && e.opcode != TRIB_WS_CONTINUATION) {
                note(o, &(uint8_t){(uint8_t)e.opcode}, 1);
                note(o, &e.close_code, sizeof e.close_code);
                note(o, &e.len, sizeof e.len);
                note(o, e.data, e.len);
            }
        }
    }
}

static int verdict(const uint8_t *data, size_t len)
{
    struct outcome o;
    run(data, len, SIZE_MAX, &o);
    return o.error;
}

#define VERDICT(...) verdict((const uint8_t[]){__VA_ARGS__}, sizeof(const uint8_t[]){__VA_ARGS__})

/* One frame in, one event out, with its payload. */
static void expect_one(const uint8_t *data, size_t len, enum trib_ws_opcode opcode, const void *payload,
                       size_t size)
{
    struct trib_ws_decoder d;
    struct trib_ws_event e;
    size_t used;
    trib_ws_decoder_init(&d, big, sizeof big);
    assert_int_equal(trib_ws_decoder_feed(&d, data, len, &used, &e), 0);
    assert_int_equal(used, len);
    assert_int_equal(e.opcode, opcode);
    assert_int_equal(e.len, size);
    assert_memory_equal(e.data, payload, size);
}

static void test_examples_of_the_rfc_are_read(void **state)
{
    (void)state;
    static const uint8_t single[] = {0x81, 0x05, 'H', 'e', 'l', 'l', 'o'};
    static const uint8_t pieces[] = {0x01, 0x03, 'H', 'e', 'l', 0x80, 0x02, 'l', 'o'};
    static const uint8_t ping[] = {0x89, 0x05, 'H', 'e', 'l', 'l', 'o'};
    static uint8_t medium[4 + 256] = {0x82, 0x7E, 0x01, 0x00, 7};
    static uint8_t large[10 + 65536] = {0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0, 9};
    expect_one(single, sizeof single, TRIB_WS_TEXT, "Hello", 5);
    expect_one(pieces, sizeof pieces, TRIB_WS_TEXT, "Hello", 5);
    expect_one(ping, sizeof ping, TRIB_WS_PING, "Hello", 5);
    expect_one(medium, sizeof medium, TRIB_WS_BINARY, medium + 4, 256);
    expect_one(large, sizeof large, TRIB_WS_BINARY, large + 10, 65536);
}

static void test_examples_of_the_rfc_are_written(void **state)
{
    (void)state;
    static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    static const uint8_t text[] = {0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58};
    static const uint8_t pong[] = {0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58};
    uint8_t buf[] = "......Hello";
    assert_int_equal(trib_ws_head_bytes(5), 6);
    trib_ws_frame_write(TRIB_WS_TEXT, buf + 6, 5, mask);
    assert_memory_equal(buf, text, sizeof text);
    memcpy(buf, "......Hello", sizeof buf);
    trib_ws_frame_write(TRIB_WS_PONG, buf + 6, 5, mask);
    assert_memory_equal(buf, pong, sizeof pong);
}

static void test_length_is_written_in_its_shortest_form(void **state)
{
    (void)state;
    static const struct {
        size_t len, head;
        uint8_t bytes[10];
        size_t count;
    } cases[] = {
        {0, 6, {0x82, 0x80}, 2},
        {125, 6, {0x82, 0xFD}, 2},
        {126, 8, {0x82, 0xFE, 0, 126}, 4},
        {65535, 8, {0x82, 0xFE, 0xFF, 0xFF}, 4},
        {65536, 14, {0x82, 0xFF, 0, 0, 0, 0, 0, 1, 0, 0}, 10},
    };
    static const uint8_t zero[4];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(trib_ws_head_bytes(cases[i].len), cases[i].head);
        trib_ws_frame_write(TRIB_WS_BINARY, big + 14, cases[i].len, zero);
        assert_memory_equal(big + 14 - cases[i].head, cases[i].bytes, cases[i].count);
    }
}

static void test_masked_frame_of_a_server_is_refused(void **state)
{
    (void)state;
    assert_int_equal(VERDICT(0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58),
                     TRIB_EPROTOCOL);
    assert_int_equal(VERDICT(0x89, 0x80, 0, 0, 0, 0), TRIB_EPROTOCOL);
}

static void test_reserved_bits_and_opcodes_are_refused(void **state)
{
    (void)state;
    for (unsigned first = 0; first < 256; first++) {
        bool good = first == 0x81 || first == 0x82 || first == 0x01 || first == 0x02 || first == 0x88 ||
                    first == 0x89 || first == 0x8A;
        assert_int_equal(VERDICT((uint8_t)first, 0), good ? 0 : TRIB_EPROTOCOL);
    }
}

static void test_lengths_not_in_their_shortest_form_are_refused(void **state)
{
    (void)state;
    assert_int_equal(VERDICT(0x82, 126, 0, 125), TRIB_EPROTOCOL);
    assert_int_equal(VERDICT(0x82, 126, 0, 126), 0);
    assert_int_equal(VERDICT(0x82, 127, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF), TRIB_EPROTOCOL);
    assert_int_equal(VERDICT(0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0), TRIB_ESPACE);
    assert_int_equal(VERDICT(0x82, 127, 0x80, 0, 0, 0, 0, 1, 0, 0), TRIB_EPROTOCOL);
    assert_int_equal(VERDICT(0x82, 127, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF), TRIB_ESPACE);
}

static void test_control_frames_are_short_and_whole(void **state)
{
    (void)state;
    static uint8_t ping[2 + 125] = {0x89, 125};
    expect_one(ping, sizeof ping, TRIB_WS_PING, ping + 2, 125);
    assert_int_equal(VERDICT(0x89, 126, 0, 126), TRIB_EPROTOCOL);
    assert_int_equal(VERDICT(0x09, 0), TRIB_EPROTOCOL);
    assert_int_equal(VERDICT(0x88, 127), TRIB_EPROTOCOL);
}

static void test_fragmentation_keeps_its_order(void **state)
{
    (void)state;
    assert_int_equal(VERDICT(0x80, 0), TRIB_EPROTOCOL);                    /* nothing to continue */
    assert_int_equal(VERDICT(0x02, 1, 'a', 0x82, 1, 'b'), TRIB_EPROTOCOL); /* a new one inside another */
    assert_int_equal(VERDICT(0x82, 0, 0x80, 0), TRIB_EPROTOCOL);
    assert_int_equal(VERDICT(0x02, 0, 0x00, 0, 0x80, 0), 0);
}

static void test_control_frames_between_fragments_leave_the_message_whole(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {0x02, 3, 'a', 'b',  'c', 0x89, 2,   'p',  'q', 0x00, 1,   'd',
                                    0x8A, 1, 'r', 0x80, 2,   'e',  'f', 0x88, 2,   0x03, 0xE8};
    struct outcome o;
    struct trib_ws_event e;
    struct trib_ws_decoder d;
    uint8_t buf[2 * TRIB_WS_CONTROL_BYTES_MAX];
    size_t at = 0, used;
    static const struct {
        enum trib_ws_opcode opcode;
        const char *text;
    } expected[] = {
        {TRIB_WS_PING, "pq"}, {TRIB_WS_PONG, "r"}, {TRIB_WS_BINARY, "abcdef"}, {TRIB_WS_CLOSE, "\x03\xE8"}};
    trib_ws_decoder_init(&d, buf, sizeof buf);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(trib_ws_decoder_feed(&d, bytes + at, sizeof bytes - at, &used, &e), 0);
        at += used;
        assert_int_equal(e.opcode, expected[i].opcode);
        assert_int_equal(e.len, strlen(expected[i].text));
        assert_memory_equal(e.data, expected[i].text, e.len);
    }
    assert_int_equal(e.close_code, 1000);
    assert_int_equal(at, sizeof bytes);
    run(bytes, sizeof bytes, 1, &o);
    assert_int_equal(o.error, 0);
}

static void test_close_codes(void **state)
{
    (void)state;
    assert_int_equal(VERDICT(0x88, 1, 3), TRIB_EPROTOCOL);
    for (unsigned code = 0; code < 65536; code += code < 6000 ? 1 : 997) {
        bool good =
            (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code < 5000);
        assert_int_equal(VERDICT(0x88, 2, (uint8_t)(code >> 8), (uint8_t)code), good ? 0 : TRIB_EPROTOCOL);
    }
    struct trib_ws_decoder d;
    struct trib_ws_event e;
    size_t used;
    trib_ws_decoder_init(&d, big, sizeof big);
    assert_int_equal(trib_ws_decoder_feed(&d, (const uint8_t *)"\x88", 2, &used, &e), 0);
    assert_int_equal(e.close_code, 1005);
    assert_int_equal(VERDICT(0x88, 0, 0x89, 0), TRIB_EPROTOCOL); /* nothing comes after a close */
}

static void test_messages_longer_than_the_buffer_are_refused(void **state)
{
    (void)state;
    static uint8_t frame[4 + BUFFER] = {0x82, 126};
    size_t room = trib_ws_decoder_capacity(BUFFER);
    assert_int_equal(room, BUFFER - TRIB_WS_CONTROL_BYTES_MAX);
    frame[2] = (uint8_t)(room >> 8);
    frame[3] = (uint8_t)room;
    assert_int_equal(verdict(frame, 4 + room), 0);
    frame[3]++;
    assert_int_equal(verdict(frame, 4), TRIB_ESPACE);
    /* Fragments add up. */
    frame[0] = 0x02;
    frame[3]--;
    uint8_t two[BUFFER + 8];
    memcpy(two, frame, 4 + room);
    memcpy(two + 4 + room, "\x80\x01x", 3);
    assert_int_equal(verdict(two, 4 + room + 3), TRIB_ESPACE);
    memcpy(two + 4 + room, "\x80\x00", 2);
    assert_int_equal(verdict(two, 4 + room + 2), 0);
}

static size_t random_stream(uint8_t *out)
{
    size_t len = 0, heads[12];
    bool open = false;
    for (int frames = 0; frames < 12; frames++) {
        bool control = rand() % 3 == 0;
        size_t size = control           ? (size_t)rand() % 126
                      : rand() % 4 == 0 ? 126 + (size_t)rand() % 200
                                        : (size_t)rand() % 30;
        bool final = control || rand() % 2 == 0;
        uint8_t opcode = control ? (uint8_t)(9 + rand() % 2) : open ? 0 : (uint8_t)(1 + rand() % 2);
        heads[frames] = len;
        out[len++] = (uint8_t)(opcode | (final ? 0x80 : 0));
        if (size >= 126) {
            out[len++] = 126;
            out[len++] = (uint8_t)(size >> 8);
            out[len++] = (uint8_t)size;
        } else {
            out[len++] = (uint8_t)size;
        }
        for (size_t i = 0; i < size; i++)
            out[len++] = (uint8_t)rand();
        if (!control)
            open = !final;
    }
    if (rand() % 2 == 0) /* and sometimes damage it */
        out[heads[rand() % 12] + (size_t)rand() % 2] ^= (uint8_t)(1 << rand() % 8);
    return len;
}

static void test_any_cut_into_pieces_gives_the_same(void **state)
{
    (void)state;
    static uint8_t stream[12 * 330];
    static struct outcome whole, pieces;
    srand(6455);
    unsigned good = 0;
    for (int round = 0; round < 3000; round++) {
        size_t len = random_stream(stream);
        run(stream, len, SIZE_MAX, &whole);
        good += whole.error == 0;
        for (size_t piece = 0; piece < 3; piece++) {
            run(stream, len, piece, &pieces);
            assert_int_equal(pieces.error, whole.error);
            assert_int_equal(pieces.len, whole.len);
            assert_memory_equal(pieces.log, whole.log, whole.len);
        }
    }
    assert_in_range(good, 300, 2700); /* the generator makes both kinds */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples_of_the_rfc_are_read),
        cmocka_unit_test(test_examples_of_the_rfc_are_written),
        cmocka_unit_test(test_length_is_written_in_its_shortest_form),
        cmocka_unit_test(test_masked_frame_of_a_server_is_refused),
        cmocka_unit_test(test_reserved_bits_and_opcodes_are_refused),
        cmocka_unit_test(test_lengths_not_in_their_shortest_form_are_refused),
        cmocka_unit_test(test_control_frames_are_short_and_whole),
        cmocka_unit_test(test_fragmentation_keeps_its_order),
        cmocka_unit_test(test_control_frames_between_fragments_leave_the_message_whole),
        cmocka_unit_test(test_close_codes),
        cmocka_unit_test(test_messages_longer_than_the_buffer_are_refused),
        cmocka_unit_test(test_any_cut_into_pieces_gives_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
