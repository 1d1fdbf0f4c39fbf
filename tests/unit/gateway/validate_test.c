#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "schema/validate.h"

static uint8_t buffer[8192];
static struct trib_cbor_writer w;
static struct gw_validated valid;

static void begin(uint64_t pairs)
{
    trib_cbor_writer_init(&w, buffer, sizeof buffer);
    trib_cbor_put_map(&w, pairs);
}

static void put_uint(unsigned id, uint64_t value)
{
    trib_cbor_put_uint(&w, id);
    trib_cbor_put_uint(&w, value);
}

static void put_text(unsigned id, const char *text, size_t len)
{
    trib_cbor_put_uint(&w, id);
    trib_cbor_put_text(&w, text, len);
}

/* The bytes are copied to a heap block of their exact size, so that a sanitizer sees each read behind their
 * end. */
static int validate(unsigned type)
{
    assert_int_equal(w.error, 0);
    uint8_t *exact = test_malloc(w.len ? w.len : 1);
    memcpy(exact, buffer, w.len);
    int code = gw_validate_event(type, exact, w.len, &valid);
    test_free(exact);
    return code;
}

static void test_an_event_with_its_fields_is_valid_and_located(void **state)
{
    (void)state;
    begin(3);
    put_uint(TRIB_FIELD_FROM_MS, 100000);
    put_text(TRIB_FIELD_USER, "ann", 3);
    put_uint(TRIB_FIELD_TO_MS, 5);
    assert_int_equal(validate(TRIB_EVENT_SEEK), 0);
    assert_int_equal(valid.field_count, 3);
    assert_int_equal(valid.undeclared, 0);
    assert_int_equal(valid.fields[0].id, TRIB_FIELD_FROM_MS);
    assert_int_equal(valid.fields[0].key_at, 1);
    assert_int_equal(valid.fields[0].value_at, 2);
    assert_int_equal(valid.fields[0].end, 7);
    assert_int_equal(valid.fields[1].id, TRIB_FIELD_USER);
    assert_int_equal(valid.fields[1].key_at, 7);
    assert_int_equal(valid.fields[1].end, 12);
    assert_int_equal(valid.fields[2].end, w.len);
}

static void test_maps_of_indefinite_length_are_read(void **state)
{
    (void)state;
    trib_cbor_writer_init(&w, buffer, sizeof buffer);
    trib_cbor_put_map_open(&w);
    put_uint(TRIB_FIELD_PERCENT, 50);
    trib_cbor_put_break(&w);
    assert_int_equal(validate(TRIB_EVENT_PROGRESS), 0);
    assert_int_equal(valid.field_count, 1);
    w.len--; /* without its break */
    assert_int_equal(validate(TRIB_EVENT_PROGRESS), TRIB_REJECT_MALFORMED);
}

static void test_an_unknown_event_type_is_rejected(void **state)
{
    (void)state;
    begin(0);
    assert_int_equal(validate(TRIB_EVENT_COUNT), TRIB_REJECT_UNKNOWN_TYPE);
    assert_int_equal(validate(TRIB_WIRE_EVENT_TYPE_NEVER), TRIB_REJECT_UNKNOWN_TYPE);
    assert_int_equal(validate(TRIB_ITEM_DROP), TRIB_REJECT_UNKNOWN_TYPE);
    assert_int_equal(validate(UINT32_MAX), TRIB_REJECT_UNKNOWN_TYPE);
}

static void test_each_required_field_is_demanded(void **state)
{
    (void)state;
    for (unsigned type = TRIB_ITEM_FIRST_EVENT; type < TRIB_EVENT_COUNT; type++) {
        if (!trib_events[type].required)
            continue;
        begin(0);
        assert_int_equal(validate(type), TRIB_REJECT_MISSING_FIELD);
        assert_int_equal(valid.bad_field, __builtin_ctzll(trib_events[type].required));
    }
    begin(1);
    put_uint(TRIB_FIELD_FROM_MS, 1);
    assert_int_equal(validate(TRIB_EVENT_SEEK), TRIB_REJECT_MISSING_FIELD);
    assert_int_equal(valid.bad_field, TRIB_FIELD_TO_MS);
}

/* Every field of the vocabulary, in an event that declares it, with a value of each other kind. */
static void test_each_field_of_another_type_is_rejected(void **state)
{
    (void)state;
    for (unsigned id = 0; id < TRIB_FIELD_COUNT; id++) {
        unsigned type = TRIB_ITEM_FIRST_EVENT;
        while (!((trib_events[type].required | trib_events[type].optional | TRIB_F(USER)) >> id & 1))
            type++;
        for (unsigned kind = 0; kind < 8; kind++) {
            const unsigned own = trib_fields[id].type;
            begin(1);
            trib_cbor_put_uint(&w, id);
            switch (kind) {
            case 0:
                trib_cbor_put_uint(&w, 1);
                break;
            case 1:
                trib_cbor_put_int(&w, -1);
                break;
            case 2:
                trib_cbor_put_bytes(&w, (const uint8_t *)"x", 1);
                break;
            case 3:
                trib_cbor_put_text(&w, "x", 1);
                break;
            case 4:
                trib_cbor_put_array(&w, 0);
                break;
            case 5:
                trib_cbor_put_map(&w, 0);
                break;
            case 6:
                trib_cbor_put_bool(&w, true);
                break;
            default:
                trib_cbor_put_null(&w);
                break;
            }
            const int same =
                (kind == 0 && (own == TRIB_TYPE_UINT || own == TRIB_TYPE_ENUM || own == TRIB_TYPE_INT)) ||
                (kind == 1 && own == TRIB_TYPE_INT) || (kind == 2 && own == TRIB_TYPE_BYTES) ||
                (kind == 3 && own == TRIB_TYPE_TEXT) || (kind == 5 && own == TRIB_TYPE_MAP) ||
                (kind == 6 && own == TRIB_TYPE_BOOL);
            int code = validate(type);
            if (same) {
                assert_int_not_equal(code, TRIB_REJECT_WRONG_TYPE);
            } else {
                assert_int_equal(code, TRIB_REJECT_WRONG_TYPE);
                assert_int_equal(valid.bad_field, id);
            }
        }
    }
}

static void test_ranges_hold_at_their_edges(void **state)
{
    (void)state;
    begin(1);
    put_uint(TRIB_FIELD_PERCENT, 100);
    assert_int_equal(validate(TRIB_EVENT_PROGRESS), 0);
    begin(1);
    put_uint(TRIB_FIELD_PERCENT, 101);
    assert_int_equal(validate(TRIB_EVENT_PROGRESS), TRIB_REJECT_OUT_OF_RANGE);
    assert_int_equal(valid.bad_field, TRIB_FIELD_PERCENT);
    begin(1);
    put_uint(TRIB_FIELD_START_REASON, 16);
    assert_int_equal(validate(TRIB_EVENT_STREAM_START), TRIB_REJECT_OUT_OF_RANGE);
    begin(2);
    put_uint(TRIB_FIELD_START_REASON, 1);
    put_uint(TRIB_FIELD_PREVIOUS, UINT64_MAX);
    assert_int_equal(validate(TRIB_EVENT_STREAM_START), 0);

    const struct {
        int64_t value;
        int code;
    } codes[] = {{INT32_MIN, 0},
                 {INT32_MAX, 0},
                 {INT32_MIN - 1ll, TRIB_REJECT_OUT_OF_RANGE},
                 {INT32_MAX + 1ll, TRIB_REJECT_OUT_OF_RANGE},
                 {INT64_MIN, TRIB_REJECT_OUT_OF_RANGE}};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        begin(1);
        trib_cbor_put_uint(&w, TRIB_FIELD_CODE);
        trib_cbor_put_int(&w, codes[i].value);
        assert_int_equal(validate(TRIB_EVENT_ERROR), codes[i].code);
    }
    const uint8_t lowest[] = {0xa1, TRIB_FIELD_CODE, 0x3b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    assert_int_equal(gw_validate_event(TRIB_EVENT_ERROR, lowest, sizeof lowest, &valid),
                     TRIB_REJECT_OUT_OF_RANGE);
}

static void test_texts_are_bounded_and_utf8(void **state)
{
    (void)state;
    char text[200];
    memset(text, 'x', sizeof text);
    const struct {
        size_t len;
        int code;
    } lengths[] = {{0, TRIB_REJECT_OUT_OF_RANGE}, {1, 0}, {128, 0}, {129, TRIB_REJECT_OUT_OF_RANGE}};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        begin(1);
        put_text(TRIB_FIELD_ITEM, text, lengths[i].len);
        assert_int_equal(validate(TRIB_EVENT_FAVOURITE_ADD), lengths[i].code);
    }
    begin(1);
    put_text(TRIB_FIELD_ITEM, "Grün 日本 \xf0\x9f\x8e\xac", strlen("Grün 日本 \xf0\x9f\x8e\xac"));
    assert_int_equal(validate(TRIB_EVENT_FAVOURITE_ADD), 0);
    const char *bad[] = {"\x80", "\xc0\xaf", "\xed\xa0\x80", "\xf5\x80\x80\x80", "abcdefgh\xe2\x82"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        begin(1);
        put_text(TRIB_FIELD_ITEM, bad[i], strlen(bad[i]));
        assert_int_equal(validate(TRIB_EVENT_FAVOURITE_ADD), TRIB_REJECT_MALFORMED);
    }
}

static void test_undeclared_fields_are_counted_and_not_located(void **state)
{
    (void)state;
    begin(5);
    put_text(TRIB_FIELD_ITEM, "secret", 6); /* a known field, but not one of this event */
    put_uint(TRIB_FIELD_PERCENT, 25);
    put_uint(99, 1);
    trib_cbor_put_text(&w, "email", 5);
    trib_cbor_put_text(&w, "a@b.example", 11);
    trib_cbor_put_array(&w, 1); /* any item may be a key */
    trib_cbor_put_uint(&w, 1);
    trib_cbor_put_map(&w, 1);
    put_uint(1, 2);
    assert_int_equal(validate(TRIB_EVENT_PROGRESS), 0);
    assert_int_equal(valid.field_count, 1);
    assert_int_equal(valid.fields[0].id, TRIB_FIELD_PERCENT);
    assert_int_equal(valid.undeclared, 4);
}

static void test_a_field_twice_is_malformed(void **state)
{
    (void)state;
    begin(2);
    put_text(TRIB_FIELD_USER, "ann", 3);
    put_text(TRIB_FIELD_USER, "bob", 3);
    assert_int_equal(validate(TRIB_EVENT_PLAY), TRIB_REJECT_MALFORMED);
    assert_int_equal(valid.bad_field, TRIB_FIELD_USER);
}

static void test_custom_events_need_a_schema_and_a_map(void **state)
{
    (void)state;
    begin(2);
    put_text(TRIB_FIELD_SCHEMA, "com.example.ad", 14);
    trib_cbor_put_uint(&w, TRIB_FIELD_DATA);
    trib_cbor_put_map(&w, 1);
    trib_cbor_put_text(&w, "a", 1);
    trib_cbor_put_uint(&w, 1);
    assert_int_equal(validate(TRIB_EVENT_CUSTOM), 0); /* what its schema says is admission's to ask */

    begin(1);
    trib_cbor_put_uint(&w, TRIB_FIELD_DATA);
    trib_cbor_put_map(&w, 0);
    assert_int_equal(validate(TRIB_EVENT_CUSTOM), TRIB_REJECT_MISSING_FIELD);

    begin(2);
    put_text(TRIB_FIELD_SCHEMA, "com.example.ad", 14);
    trib_cbor_put_uint(&w, TRIB_FIELD_DATA);
    trib_cbor_put_map(&w, 17);
    for (unsigned i = 0; i < 17; i++)
        put_uint(i, i);
    assert_int_equal(validate(TRIB_EVENT_CUSTOM), TRIB_REJECT_OUT_OF_RANGE);
}

static void test_whatever_is_not_one_whole_map_is_rejected(void **state)
{
    (void)state;
    begin(2);
    put_uint(TRIB_FIELD_FROM_MS, 70000);
    put_uint(TRIB_FIELD_TO_MS, 1);
    const size_t whole = w.len;
    for (w.len = 0; w.len < whole; w.len++)
        assert_int_equal(validate(TRIB_EVENT_SEEK), TRIB_REJECT_MALFORMED);
    assert_int_equal(validate(TRIB_EVENT_SEEK), 0);
    trib_cbor_put_uint(&w, 0); /* bytes behind it */
    assert_int_equal(validate(TRIB_EVENT_SEEK), TRIB_REJECT_MALFORMED);
    trib_cbor_writer_init(&w, buffer, sizeof buffer);
    trib_cbor_put_array(&w, 0);
    assert_int_equal(validate(TRIB_EVENT_PLAY), TRIB_REJECT_WRONG_TYPE);
    const uint8_t huge[] = {0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    assert_int_equal(gw_validate_event(TRIB_EVENT_PLAY, huge, sizeof huge, &valid), TRIB_REJECT_MALFORMED);
    const uint8_t long_text[] = {0xa1, TRIB_FIELD_USER, 0x7b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                 'a'};
    assert_int_equal(gw_validate_event(TRIB_EVENT_PLAY, long_text, sizeof long_text, &valid),
                     TRIB_REJECT_MALFORMED);
}

/* Any single byte of a valid map may change to anything: an answer, and never a read behind the end. */
static void test_every_byte_may_be_damaged(void **state)
{
    (void)state;
    begin(4);
    put_uint(TRIB_FIELD_CODE, 70000);
    trib_cbor_put_uint(&w, TRIB_FIELD_FATAL);
    trib_cbor_put_bool(&w, true);
    put_uint(TRIB_FIELD_POSITION_MS, 1000);
    put_text(TRIB_FIELD_USER, "ann", 3);
    const struct trib_cbor_writer saved = w;
    for (size_t i = 0; i < saved.len; i++) {
        const uint8_t original = buffer[i];
        for (unsigned value = 0; value < 256; value++) {
            buffer[i] = (uint8_t)value;
            w = saved;
            int code = validate(TRIB_EVENT_ERROR);
            assert_in_range(code, 0, TRIB_REJECT_MALFORMED);
            for (uint32_t f = 0; code == 0 && f < valid.field_count; f++) {
                assert_true(valid.fields[f].key_at < valid.fields[f].value_at);
                assert_true(valid.fields[f].value_at < valid.fields[f].end);
                assert_true(valid.fields[f].end <= saved.len);
            }
        }
        buffer[i] = original;
    }
}

/* Not an assertion: a number for people, of ten fields with a text among them. */
static uint64_t seed = 7;

static unsigned dice(unsigned sides)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % sides;
}

/* Fields that an event of this type may have, or others; then a bit or two flipped, and bytes behind it. */
static void any_fields(unsigned type)
{
    const uint64_t declared = trib_events[type].required | trib_events[type].optional;
    trib_cbor_writer_init(&w, buffer, sizeof buffer);
    trib_cbor_put_map_open(&w);
    for (unsigned id = 0; id < TRIB_FIELD_COUNT; id++) {
        if (!(declared >> id & 1 ? dice(8) > 0 : dice(60) == 0))
            continue;
        trib_cbor_put_uint(&w, id);
        const unsigned kind = trib_fields[id].type;
        if (kind == TRIB_TYPE_TEXT)
            trib_cbor_put_text(&w, "some text of thirty characters", 1 + dice(30));
        else if (kind == TRIB_TYPE_BOOL)
            trib_cbor_put_bool(&w, dice(2));
        else if (kind == TRIB_TYPE_MAP)
            trib_cbor_put_map(&w, 0);
        else
            trib_cbor_put_uint(&w, (uint64_t)trib_fields[id].min + dice(3));
    }
    trib_cbor_put_break(&w);
    for (unsigned flips = dice(4) % 3; flips > 0; flips--)
        buffer[dice((unsigned)w.len)] ^= (uint8_t)(1u << dice(8));
    for (unsigned more = dice(20); more > 0; more--)
        buffer[w.len++] = (uint8_t)dice(256);
}

/* A batch's reader goes on where the flat look says that an event ends, so both ways must come to the same. */
static void test_a_flat_event_is_what_a_step_over_it_and_a_look_at_it_say(void **state)
{
    (void)state;
    static const unsigned types[] = {TRIB_EVENT_PING,          TRIB_EVENT_SEEK,        TRIB_EVENT_CUSTOM,
                                     TRIB_EVENT_FAVOURITE_ADD, TRIB_EVENT_SESSION_END, TRIB_EVENT_RATE};
    unsigned flat = 0, other = 0;
    for (unsigned i = 0; i < 200000; i++) {
        const unsigned type = types[dice(sizeof types / sizeof *types)];
        any_fields(type);
        uint8_t *exact = test_malloc(w.len);
        memcpy(exact, buffer, w.len);
        static struct gw_validated one, both;
        struct trib_cbor_reader r;
        trib_cbor_reader_init(&r, exact, w.len);
        trib_cbor_skip(&r);
        const size_t len = gw_validate_flat(type, exact, w.len, &one);
        const int code = r.error ? TRIB_REJECT_MALFORMED : gw_validate_event(type, exact, r.pos, &both);
        if (len > 0) {
            assert_int_equal(r.error, 0);
            assert_int_equal(len, r.pos);
            assert_int_equal(code, 0);
            assert_int_equal(one.undeclared, 0);
            assert_int_equal(one.field_count, both.field_count);
            assert_memory_equal(one.fields, both.fields, one.field_count * sizeof one.fields[0]);
        } else {
            assert_true(code != 0 || both.undeclared > 0 || type == TRIB_EVENT_CUSTOM);
        }
        flat += len > 0;
        other += len == 0;
        test_free(exact);
    }
    assert_true(flat > 20000 && other > 20000);
    for (unsigned type = 0; type < TRIB_EVENT_COUNT; type++) /* only there can anything be nested */
        for (unsigned id = 0; id < TRIB_FIELD_COUNT && type != TRIB_EVENT_CUSTOM; id++)
            assert_true(trib_fields[id].type != TRIB_TYPE_MAP ||
                        !((trib_events[type].required | trib_events[type].optional) >> id & 1));
}

static void test_measure_ten_fields(void **state)
{
    (void)state;
    begin(10);
    put_uint(TRIB_FIELD_REASON, 0);
    put_uint(TRIB_FIELD_PLAYED_MS, 3600000);
    put_uint(TRIB_FIELD_PAUSED_MS, 60000);
    put_uint(TRIB_FIELD_BUFFERING_MS, 900);
    put_uint(TRIB_FIELD_STARTUP_MS, 700);
    put_uint(TRIB_FIELD_WATCHED_MS, 3500000);
    put_uint(TRIB_FIELD_STALL_COUNT, 2);
    put_uint(TRIB_FIELD_POSITION_MS, 3400000);
    put_uint(TRIB_FIELD_DURATION_MS, 5400000);
    put_text(TRIB_FIELD_USER, "user-0123456789-0123456789-abcdef", 33);
    const int rounds = 200000;
    struct timespec from, to;
    unsigned sum = 0;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    for (int i = 0; i < rounds; i++)
        sum += (unsigned)gw_validate_event(TRIB_EVENT_SESSION_END, buffer, w.len, &valid);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    assert_int_equal(sum, 0);
    double ns = (double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec);
    print_message("validate: %.0f ns for ten fields (%zu bytes)\n", ns / rounds, w.len);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_event_with_its_fields_is_valid_and_located),
        cmocka_unit_test(test_maps_of_indefinite_length_are_read),
        cmocka_unit_test(test_an_unknown_event_type_is_rejected),
        cmocka_unit_test(test_each_required_field_is_demanded),
        cmocka_unit_test(test_each_field_of_another_type_is_rejected),
        cmocka_unit_test(test_ranges_hold_at_their_edges),
        cmocka_unit_test(test_texts_are_bounded_and_utf8),
        cmocka_unit_test(test_undeclared_fields_are_counted_and_not_located),
        cmocka_unit_test(test_a_field_twice_is_malformed),
        cmocka_unit_test(test_custom_events_need_a_schema_and_a_map),
        cmocka_unit_test(test_whatever_is_not_one_whole_map_is_rejected),
        cmocka_unit_test(test_every_byte_may_be_damaged),
        cmocka_unit_test(test_a_flat_event_is_what_a_step_over_it_and_a_look_at_it_say),
        cmocka_unit_test(test_measure_ten_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
