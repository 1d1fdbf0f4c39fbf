/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "unit/sdk/hex.h"
#include "unit/sdk/samples.h"

/* Walks a whole batch; the result of the first call that is not 1, and the items so far. */
static int walk(const uint8_t *data, size_t len, size_t *out_items)
{
    struct trib_wire_batch_reader r;
    struct trib_wire_batch_item item;
    int result = trib_wire_batch_read(&r, data, len);

    *out_items = 0;
    if (result)
        return result;
    while ((result = trib_wire_batch_next(&r, &item)) == 1)
        ++*out_items;
    /* An end, or an error, is final. */
    assert_int_equal(trib_wire_batch_next(&r, &item), result);
    return result;
}

static int walk_exact(const uint8_t *data, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1);
    size_t items;

    memcpy(copy, data, len);
    int result = walk(copy, len, &items);
    free(copy);
    return result;
}

static void assert_walk(const char *hex, int expected)
{
    uint8_t bytes[512];
    size_t len = hex_decode(hex, bytes, sizeof bytes);

    assert_int_equal(2 * len, strlen(hex));
    int result = walk_exact(bytes, len);
    if (result != expected)
        fail_msg("%s: %d (%s), expected %d", hex, result, trib_error_text(result), expected);
}

static void test_a_session_is_read_back_as_it_was_written(void **state)
{
    uint8_t buf[1024];
    size_t len;
    struct sample_event events[SAMPLE_SESSION_EVENTS];
    struct trib_wire_batch_reader r;
    struct trib_wire_batch_item item;
    uint64_t seq[2] = {12, 100};

    (void)state;
    sample_session(events);
    assert_int_equal(sample_batch_session(buf, sizeof buf, &len), 0);
    assert_int_equal(trib_wire_batch_read(&r, buf, len), 0);
    assert_true(r.head.lanes[0].stream == SAMPLE_VITAL && r.head.lanes[0].seq == 12);
    assert_true(r.head.lanes[1].stream == SAMPLE_ROUTINE && r.head.lanes[1].seq == 100);
    assert_int_equal(r.head.boot, 7);
    assert_int_equal(r.head.anchor_count, 1);
    assert_true(r.head.anchors[0].utc_ms == 1700000000123ull && r.head.anchors[0].uncertainty_ms == 4);
    assert_int_equal(trib_wire_batch_next(&r, &item), 1);
    assert_int_equal(item.kind, TRIB_ITEM_CONTEXT);
    assert_int_equal(item.context, 1);
    assert_true(item.context_value.session == 0x1122334455667788ull);
    assert_int_equal(item.context_value.content.len, 6);
    assert_memory_equal(item.context_value.content.ptr, "film-7", 6);
    assert_memory_equal(item.context_value.user.ptr, "u1", item.context_value.user.len);
    for (size_t i = 0; i < SAMPLE_SESSION_EVENTS; i++) {
        assert_int_equal(trib_wire_batch_next(&r, &item), 1);
        assert_int_equal(item.kind, events[i].type);
        assert_int_equal(item.lane, events[i].lane);
        assert_true(item.seq == seq[item.lane]++);
        assert_true(item.mono_ms == events[i].mono_ms);
        assert_true(item.ord == 42 + i);
        assert_int_equal(item.context, 1);
        assert_int_equal(item.fields_len, events[i].fields.len);
        assert_memory_equal(item.fields, events[i].fields.bytes, item.fields_len);
    }
    assert_int_equal(trib_wire_batch_next(&r, &item), 0);
    assert_int_equal(trib_wire_batch_next(&r, &item), 0);
}

static void test_drops_take_seqs_and_tombstones_take_time_and_ord(void **state)
{
    uint8_t buf[256];
    size_t len;
    struct trib_wire_batch_reader r;
    struct trib_wire_batch_item item;

    (void)state;
    assert_int_equal(sample_batch_drop(buf, sizeof buf, &len), 0);
    assert_int_equal(trib_wire_batch_read(&r, buf, len), 0);
    assert_true(r.head.lanes[0].stream == 0);
    assert_int_equal(trib_wire_batch_next(&r, &item), 1);
    assert_int_equal(item.kind, TRIB_ITEM_DROP);
    assert_true(item.seq == 100 && item.count == 1000);
    assert_int_equal(item.drop_class, TRIB_DROP_ROUTINE);
    assert_int_equal(item.drop_reason, TRIB_DROP_OVERFLOW);
    assert_int_equal(trib_wire_batch_next(&r, &item), 1);
    assert_true(item.seq == 1100 && item.mono_ms == 70000 && item.ord == 1001 && item.context == 0);
    assert_int_equal(trib_wire_batch_next(&r, &item), 1);
    assert_int_equal(item.kind, TRIB_ITEM_TOMBSTONE);
    assert_true(item.seq == 1101 && item.mono_ms == 70001 && item.ord == 1002);
    assert_int_equal(trib_wire_batch_next(&r, &item), 1);
    assert_true(item.seq == 1102 && item.mono_ms == 70001 && item.ord == 1003);
    assert_int_equal(trib_wire_batch_next(&r, &item), 0);
}

static void test_a_context_holds_until_an_event_names_another(void **state)
{
    const struct trib_wire_batch_head head = {.lanes = {{1, 1}, {0, 0}}, .boot = 1};
    const struct trib_wire_context context = {.content = TEXT("c")};
    const unsigned contexts[] = {0, 1, 1, 2, 0, 0, 15, 1};
    uint8_t buf[256];
    size_t len;
    struct trib_wire_batch_writer b;
    struct trib_wire_batch_reader r;
    struct trib_wire_batch_item item;

    (void)state;
    trib_wire_batch_open(&b, &head, buf, sizeof buf);
    trib_wire_batch_context(&b, 1, &context);
    trib_wire_batch_context(&b, 2, &context);
    trib_wire_batch_context(&b, 15, &context);
    for (size_t i = 0; i < 8; i++)
        trib_wire_batch_event(&b, 0, TRIB_EVENT_COMPLETE, 1, i + 1, contexts[i], (const uint8_t *)"\xa0", 1);
    assert_int_equal(trib_wire_batch_close(&b, &len), 0);
    assert_int_equal(trib_wire_batch_read(&r, buf, len), 0);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(trib_wire_batch_next(&r, &item), 1);
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(trib_wire_batch_next(&r, &item), 1);
        assert_int_equal(item.context, contexts[i]);
    }
    assert_int_equal(trib_wire_batch_next(&r, &item), 0);
}

/* The target of the design: a pause or a ping takes at most 20 bytes; what the batch adds is counted apart.
 */
static void test_a_pause_or_ping_takes_at_most_20_bytes(void **state)
{
    const struct trib_wire_batch_head head = {
        .lanes = {{SAMPLE_VITAL, 12}, {SAMPLE_ROUTINE, 100}}, .boot = 7, .mono_ms = 5000, .ord = 41};
    const struct trib_wire_context context = {.session = 0x1122334455667788ull, .content = TEXT("film-7")};
    uint8_t buf[1024];
    size_t total = 0, len;
    struct sample_event events[SAMPLE_SESSION_EVENTS];
    struct trib_wire_batch_writer b;

    (void)state;
    sample_session(events);
    trib_wire_batch_open(&b, &head, buf, sizeof buf);
    trib_wire_batch_context(&b, 1, &context);
    size_t overhead = b.w.len;
    for (size_t i = 0; i < SAMPLE_SESSION_EVENTS; i++) {
        size_t before = b.w.len;
        trib_wire_batch_event(&b, events[i].lane, events[i].type, events[i].mono_ms, 42 + i, 1,
                              events[i].fields.bytes, events[i].fields.len);
        size_t bytes = b.w.len - before;
        print_message("%-14s %3zu bytes\n", trib_events[events[i].type].name, bytes);
        if (events[i].type == TRIB_EVENT_PAUSE || events[i].type == TRIB_EVENT_PING)
            assert_in_range(bytes, 1, 20);
        total += bytes;
    }
    assert_int_equal(trib_wire_batch_close(&b, &len), 0);
    print_message("12 events %zu bytes, %zu.%zu each; batch overhead %zu\n", total, total / 12,
                  total * 10 / 12 % 10, overhead + 1);
}

static void test_truncation_at_every_byte_is_an_error(void **state)
{
    uint8_t buf[1024];
    size_t len;

    (void)state;
    for (int sample = 0; sample < 2; sample++) {
        assert_int_equal(sample ? sample_batch_drop(buf, sizeof buf, &len)
                                : sample_batch_session(buf, sizeof buf, &len),
                         0);
        for (size_t cut = 0; cut < len; cut++)
            assert_int_equal(walk_exact(buf, cut), TRIB_ETRUNCATED);
        assert_int_equal(walk_exact(buf, len), 0);
        buf[len] = 0;
        assert_int_equal(walk_exact(buf, len + 1), TRIB_EMALFORMED);
    }
}

static void test_no_corrupted_byte_does_harm(void **state)
{
    uint8_t buf[1024];
    size_t len, refused = 0;

    (void)state;
    assert_int_equal(sample_batch_session(buf, sizeof buf, &len), 0);
    for (size_t at = 0; at < len; at++) {
        uint8_t original = buf[at];
        for (unsigned value = 0; value < 256; value++) {
            buf[at] = (uint8_t)value;
            refused += walk_exact(buf, len) != 0;
        }
        buf[at] = original;
    }
    print_message("%zu of %zu corrupted batches refused\n", refused, len * 256);
    assert_in_range(refused, len * 64, len * 255);
}

static void test_a_batch_that_is_too_big_is_refused_and_a_savepoint_undoes(void **state)
{
    const struct trib_wire_batch_head head = {.lanes = {{1, 1}, {0, 0}}, .boot = 1};
    uint8_t whole[1024];
    size_t whole_len, len, counted;

    (void)state;
    assert_int_equal(sample_batch_session(whole, sizeof whole, &whole_len), 0);
    assert_int_equal(sample_batch_session(NULL, 0, &counted), 0);
    assert_int_equal(counted, whole_len);
    for (size_t cap = 0; cap < whole_len; cap++) {
        uint8_t *buf = malloc(cap + 1);
        buf[cap] = 0xa5;
        assert_in_range(-sample_batch_session(buf, cap, &len), -TRIB_ESPACE, -TRIB_EINVAL);
        assert_int_equal(buf[cap], 0xa5);
        free(buf);
    }
    for (size_t cap = 40; cap < 90; cap++) {
        uint8_t *buf = malloc(cap);
        struct trib_wire_batch_writer b, save;
        size_t fitted = 0, items;
        trib_wire_batch_open(&b, &head, buf, cap);
        for (;;) {
            save = b;
            trib_wire_batch_event(&b, 0, TRIB_EVENT_PAUSE, 1000 * fitted, fitted + 1, 0,
                                  (const uint8_t *)"\xa1\x01\x00", 3);
            if (b.w.error)
                break;
            fitted++;
        }
        assert_int_equal(b.w.error, TRIB_ESPACE);
        b = save;
        assert_int_equal(trib_wire_batch_close(&b, &len), 0);
        assert_true(len <= cap && len + 9 > cap);
        assert_int_equal(walk(buf, len, &items), 0);
        assert_int_equal(items, fitted);
        free(buf);
    }
}

static struct trib_wire_batch_writer opened(uint8_t *buf, size_t cap)
{
    const struct trib_wire_batch_head head = {.lanes = {{1, 1}, {2, 1}}, .boot = 1, .mono_ms = 10, .ord = 10};
    struct trib_wire_batch_writer b;

    trib_wire_batch_open(&b, &head, buf, cap);
    return b;
}

#define ASSERT_REFUSED(call)                                                                                 \
    do {                                                                                                     \
        b = opened(buf, sizeof buf);                                                                         \
        call;                                                                                                \
        assert_int_equal(trib_wire_batch_close(&b, &len), TRIB_EINVAL);                                      \
    } while (0)

static void test_the_writer_refuses_what_the_reader_would(void **state)
{
    const struct trib_wire_context none = {0};
    const uint8_t *map = (const uint8_t *)"\xa0";
    uint8_t buf[128];
    size_t len;
    struct trib_wire_batch_writer b;

    (void)state;
    ASSERT_REFUSED(trib_wire_batch_event(&b, 0, TRIB_EVENT_PLAY, 9, 11, 0, map, 1));  /* time goes back */
    ASSERT_REFUSED(trib_wire_batch_event(&b, 0, TRIB_EVENT_PLAY, 10, 10, 0, map, 1)); /* ord stands still */
    ASSERT_REFUSED(trib_wire_batch_event(&b, 2, TRIB_EVENT_PLAY, 10, 11, 0, map, 1)); /* no such lane */
    ASSERT_REFUSED(trib_wire_batch_event(&b, 0, 2, 10, 11, 0, map, 1));               /* not an event */
    ASSERT_REFUSED(trib_wire_batch_event(&b, 0, 256, 10, 11, 0, map, 1));
    ASSERT_REFUSED(trib_wire_batch_event(&b, 0, TRIB_EVENT_PLAY, 10, 11, 16, map, 1));
    ASSERT_REFUSED(trib_wire_batch_context(&b, 0, &none));
    ASSERT_REFUSED(trib_wire_batch_context(&b, 16, &none));
    ASSERT_REFUSED(trib_wire_batch_drop(&b, 0, 0, 0, 0));
    ASSERT_REFUSED(trib_wire_batch_drop(&b, 2, 1, 0, 0));
    ASSERT_REFUSED(trib_wire_batch_tombstone(&b, 0, 9));
    b = opened(buf, sizeof buf);
    trib_wire_batch_event(&b, 0, TRIB_EVENT_PLAY, 10, 11, 0, map, 1);
    assert_int_equal(trib_wire_batch_close(&b, &len), 0);
}

/* [3, {1: [[1, seq], [2, 1]], 2: [1, mono, ord], 4: [item…]}] */
#define SEQ_MAX_1 "1bfffffffffffffffe"
#define U64_MAX "1bffffffffffffffff"
#define BATCH(seq, mono, ord, items)                                                                         \
    "8203a3"                                                                                                 \
    "0182"                                                                                                   \
    "8201" seq "820201"                                                                                      \
    "028301" mono ord "04" items
#define PLAIN(items) BATCH("01", "00", "00", items)

static void test_overflow_of_seq_time_and_ord_is_refused(void **state)
{
    (void)state;
    assert_walk(PLAIN("81"
                      "830800a0"),
                0);
    assert_walk(BATCH(SEQ_MAX_1, "00", "00",
                      "81"
                      "830800a0"),
                0);
    assert_walk(BATCH(SEQ_MAX_1, "00", "00",
                      "82"
                      "830800a0"
                      "830800a0"),
                TRIB_ERANGE);
    assert_walk(BATCH(U64_MAX, "00", "00",
                      "81"
                      "830800a0"),
                TRIB_ERANGE);
    assert_walk(BATCH(U64_MAX, "00", "00",
                      "81"
                      "8200"
                      "00"),
                TRIB_ERANGE); /* tombstone */
    assert_walk(PLAIN("82"
                      "8404" U64_MAX "0000"
                      "830800a0"),
                TRIB_ERANGE); /* drop of 2^64 - 1 */
    assert_walk(PLAIN("82"
                      "8404" SEQ_MAX_1 "0000"
                      "830800a0"),
                TRIB_ERANGE);
    assert_walk(PLAIN("81"
                      "8404" SEQ_MAX_1 "0000"),
                0);
    assert_walk(PLAIN("81"
                      "8404000000"),
                TRIB_ERANGE); /* a drop of none */
    assert_walk(BATCH("01", U64_MAX, "00",
                      "81"
                      "830800a0"),
                0);
    assert_walk(BATCH("01", U64_MAX, "00",
                      "81"
                      "830801a0"),
                TRIB_ERANGE);
    assert_walk(BATCH("01", "01", "00",
                      "81"
                      "8308" U64_MAX "a0"),
                TRIB_ERANGE);
    assert_walk(BATCH("01", "01", "00",
                      "81"
                      "8200" U64_MAX),
                TRIB_ERANGE);
    assert_walk(BATCH("01", "00", U64_MAX,
                      "81"
                      "830800a0"),
                TRIB_ERANGE);
    assert_walk(BATCH("01", "00", SEQ_MAX_1,
                      "81"
                      "830800a0"),
                0);
    assert_walk(BATCH("01", "00", SEQ_MAX_1,
                      "82"
                      "830800a0"
                      "830800a0"),
                TRIB_ERANGE);
    assert_walk(BATCH("01", "00", "01",
                      "81"
                      "840800a0" U64_MAX),
                TRIB_ERANGE);
    assert_walk(BATCH("01", "00", "00",
                      "81"
                      "840800a000"),
                TRIB_ERANGE); /* ord stands still */
}

static void test_items_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    assert_walk(PLAIN("81"
                      "80"),
                TRIB_EMISSING);
    assert_walk(PLAIN("81"
                      "8108"),
                TRIB_EMISSING);
    assert_walk(PLAIN("81"
                      "820800"),
                TRIB_EMISSING);
    assert_walk(PLAIN("81"
                      "83080000"),
                TRIB_EMISSING);
    assert_walk(PLAIN("81"
                      "83080080"),
                TRIB_ETYPE);
    assert_walk(PLAIN("81"
                      "00"),
                TRIB_ETYPE);
    assert_walk(PLAIN("00"), TRIB_ETYPE);
    assert_walk(PLAIN("81"
                      "8319020000a0"),
                TRIB_ERANGE); /* kind 256 */
    assert_walk(PLAIN("81"
                      "831901ff00a0"),
                0); /* kind 255: nobody's, but an event */
    assert_walk(PLAIN("81"
                      "84080001a0"),
                TRIB_EMALFORMED); /* a context nobody defined */
    assert_walk(PLAIN("82"
                      "830201a0"
                      "84080001a0"),
                0);
    assert_walk(PLAIN("82"
                      "830201a0"
                      "84080002a0"),
                TRIB_EMALFORMED);
    assert_walk(PLAIN("81"
                      "84080010a0"),
                TRIB_ERANGE);
    assert_walk(PLAIN("81"
                      "830200a0"),
                TRIB_ERANGE); /* context 0 cannot be defined */
    assert_walk(PLAIN("81"
                      "830210a0"),
                TRIB_ERANGE);
    assert_walk(PLAIN("81"
                      "830201a200010002"),
                TRIB_EMALFORMED); /* session twice */
    assert_walk(PLAIN("81"
                      "830201a161610a"),
                0); /* an unknown key */
    assert_walk(PLAIN("81"
                      "840800a0"
                      "01"),
                0);
    assert_walk(PLAIN("81"
                      "850800a0"
                      "01"
                      "6161"),
                0); /* a later version's element */
    assert_walk(PLAIN("81"
                      "8404"
                      "01"
                      "190100"
                      "00"),
                TRIB_ERANGE); /* drop class 256 */
    assert_walk(PLAIN("9bffffffffffffffff"), TRIB_ETRUNCATED);
    assert_walk(PLAIN("81"
                      "9b10000000000000000800a0"),
                TRIB_ETRUNCATED);
}

static void test_heads_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    assert_walk("8203a3"
                "0181820101"
                "0283010000"
                "0480",
                0);
    assert_walk("8203a2"
                "0181820101"
                "0283010000",
                TRIB_EMISSING); /* no items */
    assert_walk("8203a2"
                "0181820101"
                "0480",
                TRIB_EMISSING); /* no base */
    assert_walk("8203a2"
                "0283010000"
                "0480",
                TRIB_EMISSING); /* no lanes */
    assert_walk("8203a3"
                "0480"
                "0181820101"
                "0283010000",
                TRIB_EMISSING); /* items first */
    assert_walk("8203a4"
                "0181820101"
                "0283010000"
                "0480"
                "0500",
                TRIB_EMALFORMED); /* something behind them */
    assert_walk("8203a4"
                "0181820101"
                "0283010000"
                "0500"
                "0480",
                0);
    assert_walk("8203a3"
                "0180"
                "0283010000"
                "0480",
                TRIB_EMISSING);
    assert_walk("8203a3"
                "0183820101820201820301"
                "0283010000"
                "0480",
                TRIB_ERANGE); /* three lanes */
    assert_walk("8203a3"
                "0182820101820101"
                "0283010000"
                "0480",
                TRIB_ERANGE); /* one stream in two lanes */
    assert_walk("8203a3"
                "0181820100"
                "0283010000"
                "0480",
                TRIB_ERANGE); /* seq 0 */
    assert_walk("8203a3"
                "0181820000"
                "0283010000"
                "0480",
                0);
    assert_walk("8203a3"
                "0181820000"
                "0283010000"
                "0481830800a0",
                TRIB_EMALFORMED); /* a lane not used */
    assert_walk("8203a3"
                "0181820101"
                "0283010000"
                "0481830900a0",
                TRIB_EMALFORMED); /* a lane not named */
    assert_walk("8203a3"
                "0181820101"
                "02820100"
                "0480",
                TRIB_EMISSING);
    assert_walk("8203a4"
                "0181820101"
                "0283010000"
                "0388"
                "8401020304"
                "8401020304"
                "8401020304"
                "8401020304"
                "8401020304"
                "8401020304"
                "8401020304"
                "8401020304"
                "0480",
                0);
    assert_walk("8203a4"
                "0181820101"
                "0283010000"
                "0389"
                "8401020304"
                "8401020304"
                "8401020304"
                "8401020304"
                "8401020304"
                "8401020304"
                "8401020304"
                "8401020304"
                "8401020304"
                "0480",
                TRIB_ERANGE);
    assert_walk("8204a3"
                "0181820101"
                "0283010000"
                "0480",
                TRIB_ETYPE);
    assert_walk("9f03bf"
                "0181820101"
                "0283010000"
                "049fff"
                "ffff",
                0);
    assert_walk("9f03bf"
                "0181820101"
                "0283010000"
                "049fff"
                "ff",
                TRIB_ETRUNCATED);
    assert_walk("8303a3"
                "0181820101"
                "0283010000"
                "0480"
                "f6",
                0);
}

/* Not a test of speed (the machine is shared), but a figure to look at. */
static void test_the_walk_is_fast(void **state)
{
    enum { EVENTS = 100, ROUNDS = 2000 };
    const struct trib_wire_batch_head head = {.lanes = {{1, 1}, {2, 1}}, .boot = 1};
    const struct sample_fields fields =
        sample_fields(PAIRS({2, 10000}, {3, 611819}, {4, 4000}, {5, 300}, {6, 310}, {7, 840}, {8, 35079},
                            {9, 2}, {14, 1000}, {17, 0}));
    static uint8_t buf[16384];
    size_t len, items, sum = 0;
    struct trib_wire_batch_writer b;
    struct timespec start, end;

    (void)state;
    trib_wire_batch_open(&b, &head, buf, sizeof buf);
    for (uint64_t i = 0; i < EVENTS; i++)
        trib_wire_batch_event(&b, i & 1, TRIB_EVENT_CHECKPOINT, i * 300, i + 1, 0, fields.bytes, fields.len);
    assert_int_equal(trib_wire_batch_close(&b, &len), 0);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
    for (int i = 0; i < ROUNDS; i++) {
        assert_int_equal(walk(buf, len, &items), 0);
        sum += items;
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    assert_int_equal(sum, EVENTS * ROUNDS);
    double ns = (double)(end.tv_sec - start.tv_sec) * 1e9 + (double)(end.tv_nsec - start.tv_nsec);
    print_message("%.0f ns an event of ten fields (%zu bytes)\n", ns / (EVENTS * ROUNDS), fields.len);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_session_is_read_back_as_it_was_written),
        cmocka_unit_test(test_drops_take_seqs_and_tombstones_take_time_and_ord),
        cmocka_unit_test(test_a_context_holds_until_an_event_names_another),
        cmocka_unit_test(test_a_pause_or_ping_takes_at_most_20_bytes),
        cmocka_unit_test(test_truncation_at_every_byte_is_an_error),
        cmocka_unit_test(test_no_corrupted_byte_does_harm),
        cmocka_unit_test(test_a_batch_that_is_too_big_is_refused_and_a_savepoint_undoes),
        cmocka_unit_test(test_the_writer_refuses_what_the_reader_would),
        cmocka_unit_test(test_overflow_of_seq_time_and_ord_is_refused),
        cmocka_unit_test(test_items_that_make_no_sense_are_refused),
        cmocka_unit_test(test_heads_that_make_no_sense_are_refused),
        cmocka_unit_test(test_the_walk_is_fast),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
