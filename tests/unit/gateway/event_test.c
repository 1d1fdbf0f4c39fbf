#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "delivery/event.h"
#include "delivery/utc.h"

static uint8_t entry[8192], fields[4096];
static size_t entry_len;
static struct trib_wire_batch_writer batch;
static struct trib_cbor_writer f;
static struct gw_event_reader reader;
static struct gw_event event;
static const struct gw_entry_head head = {
    .device = {"dev \"1\"", 7}, .received_utc_ms = 1764000000000ull, .received_uncertainty_ms = 3};

static void begin(const struct trib_wire_anchor *anchors, size_t count)
{
    struct trib_wire_batch_head b = {
        .lanes = {{0xa, 5}, {0xb, 1}}, .boot = 10, .mono_ms = 1000, .ord = 1, .anchor_count = count};
    if (count > 0)
        memcpy(b.anchors, anchors, count * sizeof *anchors);
    assert_int_equal(gw_entry_head_encode(&head, entry, sizeof entry, &entry_len), 0);
    trib_wire_batch_open(&batch, &b, entry + entry_len, sizeof entry - entry_len);
}

static void put_fields(uint64_t pairs)
{
    trib_cbor_writer_init(&f, fields, sizeof fields);
    trib_cbor_put_map(&f, pairs);
}

static void put_event(unsigned type, unsigned context, uint64_t mono)
{
    trib_wire_batch_event(&batch, 1, type, mono, batch.ord + 1, context, fields, f.len);
}

static void end(void)
{
    size_t len;
    assert_int_equal(trib_wire_batch_close(&batch, &len), 0);
    entry_len += len;
    assert_int_equal(gw_event_reader_open(&reader, 77, entry, entry_len), 0);
}

/* The time of a play event at this mono_ms, with these anchors. */
static void resolve(const struct trib_wire_anchor *anchors, size_t count, uint64_t mono, uint64_t newest)
{
    begin(anchors, count);
    put_fields(0);
    put_event(TRIB_EVENT_PLAY, 0, mono);
    put_event(TRIB_EVENT_PLAY, 0, newest);
    end();
    assert_int_equal(gw_event_next(&reader, &event), 1);
}

static void test_identity_context_and_index_are_resolved(void **state)
{
    (void)state;
    begin(NULL, 0);
    const struct trib_wire_context one = {9, {"film", 4}, {"p1.k.aa", 7}}, two = {0, {"clip", 4}, {NULL, 0}};
    trib_wire_batch_context(&batch, 1, &one);
    put_fields(0);
    put_event(TRIB_EVENT_PLAY, 1, 1000);
    trib_wire_batch_tombstone(&batch, 1, 1001);
    trib_wire_batch_drop(&batch, 1, 10, 0, 0);
    trib_wire_batch_context(&batch, 1, &two); /* an index may be defined again */
    put_fields(1);
    trib_cbor_put_uint(&f, TRIB_FIELD_USER);
    trib_cbor_put_text(&f, "p1.k.bb", 7);
    put_event(TRIB_EVENT_PLAY, 1, 1002);
    put_event(TRIB_EVENT_PLAY, 0, 1003);
    end();
    assert_int_equal(gw_event_next(&reader, &event), 1);
    assert_int_equal(event.stream, 0xb);
    assert_int_equal(event.seq, 1);
    assert_int_equal(event.offset, 77);
    assert_int_equal(event.index, 0);
    assert_int_equal(event.session, 9);
    assert_memory_equal(event.content.ptr, "film", 4);
    assert_memory_equal(event.user.ptr, "p1.k.aa", 7);
    assert_int_equal(gw_event_next(&reader, &event), 1);
    assert_int_equal(event.seq, 13);
    assert_int_equal(event.index, 1);
    assert_int_equal(event.session, 0);
    assert_memory_equal(event.content.ptr, "clip", 4);
    assert_memory_equal(event.user.ptr, "p1.k.bb", 7); /* its own goes before its context's */
    assert_int_equal(gw_event_next(&reader, &event), 1);
    assert_int_equal(event.user.len, 7);
    assert_int_equal(event.content.len, 0);
    assert_int_equal(gw_event_next(&reader, &event), 0);
}

static void test_an_anchor_of_the_same_boot_gives_synced_time(void **state)
{
    (void)state;
    const struct trib_wire_anchor anchors[] = {{10, 100000, 1763000100000ull, 40}, {9, 2000, 5, 1}};
    resolve(anchors, 2, 100000, 200000);
    assert_int_equal(event.quality, TRIB_TIME_SYNCED);
    assert_int_equal(event.utc_ms, 1763000100000ull);
    assert_int_equal(event.uncertainty_ms, 40);
    resolve(anchors, 2, 150000, 200000); /* 50 s later: 5 ms of drift */
    assert_int_equal(event.utc_ms, 1763000150000ull);
    assert_int_equal(event.uncertainty_ms, 45);
    resolve(anchors, 2, 1001, 200000); /* before it just so, rounded up */
    assert_int_equal(event.utc_ms, 1763000001001ull);
    assert_int_equal(event.uncertainty_ms, 50);
}

static void test_the_anchor_with_the_least_uncertainty_counts(void **state)
{
    (void)state;
    const struct trib_wire_anchor anchors[] = {{10, 2000, 1000, 500}, {10, 102000, 900000, 10}};
    resolve(anchors, 2, 3000, 3000); /* the far one: 10 + 9.9 ms beats 500 */
    assert_int_equal(event.utc_ms, 900000 - 99000);
    assert_int_equal(event.uncertainty_ms, 20);
}

static void test_a_boot_without_anchor_is_estimated_between_its_neighbours(void **state)
{
    (void)state;
    const struct trib_wire_anchor anchors[] = {
        {8, 1, 1000000, 30}, {9, 1, 2000000, 30}, {12, 1, 3000000, 20}, {14, 1, 9000000, 20}};
    resolve(anchors, 4, 100000, 100000); /* between 2000000 + 100000 less 10 of drift and 3000000 */
    assert_int_equal(event.quality, TRIB_TIME_ESTIMATED);
    assert_int_equal(event.utc_ms, 2549995);
    assert_int_equal(event.uncertainty_ms, 450035);
    const uint64_t earlier = event.utc_ms;
    resolve(anchors, 4, 100010, 100010);
    assert_true(event.utc_ms > earlier);
    resolve(anchors, 4, 5000000, 5000000); /* a mono_ms that did not begin with the boot */
    assert_int_equal(event.utc_ms, 2500000);
    assert_int_equal(event.uncertainty_ms, 500030);
}

/* A boot of 20 hours on a clock that is 100 ppm fast, right behind the anchor of the boot before. */
static void test_a_fast_clock_stays_within_an_estimated_times_uncertainty(void **state)
{
    (void)state;
    const struct trib_wire_anchor anchors[] = {{9, 1, 1000000, 5}, {11, 1, 73010000, 5}};
    resolve(anchors, 2, 72007200, 72007200);
    assert_int_equal(event.quality, TRIB_TIME_ESTIMATED);
    const uint64_t true_ms = 73000000;
    const uint64_t error = event.utc_ms > true_ms ? event.utc_ms - true_ms : true_ms - event.utc_ms;
    assert_true(error <= event.uncertainty_ms);
    assert_true(event.uncertainty_ms < 8000);
}

static void test_without_anchors_time_is_that_of_reception(void **state)
{
    (void)state;
    const struct trib_wire_anchor other = {9, 1, 1000, 1};
    for (size_t count = 0; count < 2; count++) {
        resolve(&other, count, 2000, 9000);
        assert_int_equal(event.quality, TRIB_TIME_RECEIVED);
        assert_int_equal(event.utc_ms, 1764000000000ull - 7000);
        assert_true(event.uncertainty_ms == GW_UNCERTAINTY_UNKNOWN);
        assert_int_equal(gw_event_next(&reader, &event), 1);
        assert_int_equal(event.utc_ms, 1764000000000ull);
    }
}

static void test_absurd_anchors_neither_overflow_nor_wrap(void **state)
{
    (void)state;
    const struct trib_wire_anchor anchors[] = {{10, UINT64_MAX, 5, UINT64_MAX},
                                               {10, 0, UINT64_MAX, UINT64_MAX - 1}};
    resolve(anchors, 1, 2000, UINT64_MAX);
    assert_int_equal(event.utc_ms, 0);
    assert_true(event.uncertainty_ms == UINT64_MAX);
    resolve(anchors + 1, 1, 2000, 2000);
    assert_true(event.utc_ms == UINT64_MAX);
    char buffer[2048];
    size_t len = gw_event_json(&event, "g", buffer, sizeof buffer);
    assert_non_null(memmem(buffer, len, "\"time\":\"9999-12-31T23:59:59.999Z\"", 33));
    const struct trib_wire_anchor around[] = {{9, 0, UINT64_MAX, UINT64_MAX}, {11, 0, 0, UINT64_MAX}};
    resolve(around, 2, 2000, 2000);
    assert_int_equal(event.quality, TRIB_TIME_ESTIMATED);
}

static void test_utc_is_written_in_rfc_3339(void **state)
{
    (void)state;
    const struct {
        uint64_t ms;
        const char *text;
    } cases[] = {{0, "1970-01-01T00:00:00.000Z"},
                 {951782399999ull, "2000-02-28T23:59:59.999Z"},
                 {951782400000ull, "2000-02-29T00:00:00.000Z"},
                 {1709164800000ull, "2024-02-29T00:00:00.000Z"},
                 {1772323199001ull, "2026-02-28T23:59:59.001Z"},
                 {1772323200000ull, "2026-03-01T00:00:00.000Z"},
                 {4107542400000ull, "2100-03-01T00:00:00.000Z"},
                 {GW_UTC_MS_MAX, "9999-12-31T23:59:59.999Z"},
                 {UINT64_MAX, "9999-12-31T23:59:59.999Z"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[GW_UTC_TEXT_BYTES], date[GW_UTC_DATE_BYTES];
        gw_utc_text(cases[i].ms, text);
        assert_memory_equal(text, cases[i].text, sizeof text);
        gw_utc_date(cases[i].ms, date);
        assert_memory_equal(date, cases[i].text, sizeof date);
    }
}

static cJSON *json(void)
{
    static char buffer[65536];
    memset(buffer, '#', sizeof buffer);
    size_t len = gw_event_json(&event, "gw-1", buffer, sizeof buffer);
    for (size_t cap = 0; cap < len; cap += 7) { /* the same length and no byte too many, whatever the room */
        char *small = malloc(cap + 1);
        assert_int_equal(gw_event_json(&event, "gw-1", small, cap), len);
        assert_memory_equal(small, buffer, cap);
        free(small);
    }
    cJSON *root = cJSON_ParseWithLength(buffer, len);
    assert_non_null(root);
    assert_null(memchr(buffer, '\n', len));
    return root;
}

static const char *text_of(const cJSON *root, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, name);
    return cJSON_IsString(item) ? item->valuestring : "(none)";
}

static double number_of(const cJSON *root, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, name);
    return cJSON_IsNumber(item) ? item->valuedouble : -999;
}

static void test_json_has_identity_time_and_fields(void **state)
{
    (void)state;
    const struct trib_wire_anchor anchor = {10, 1000, 1763000000123ull, 40};
    begin(&anchor, 1);
    const struct trib_wire_context context = {0x1f, {"a\n\"\\\x01/é", 8}, {"p1.k.aa", 7}};
    trib_wire_batch_context(&batch, 3, &context);
    put_fields(4);
    trib_cbor_put_uint(&f, TRIB_FIELD_CODE);
    trib_cbor_put_int(&f, -2147483648ll);
    trib_cbor_put_uint(&f, TRIB_FIELD_FATAL);
    trib_cbor_put_bool(&f, true);
    trib_cbor_put_uint(&f, TRIB_FIELD_POSITION_MS);
    trib_cbor_put_uint(&f, 31536000000ull);
    trib_cbor_put_uint(&f, TRIB_FIELD_USER);
    trib_cbor_put_text(&f, "p1.k.bb", 7);
    put_event(TRIB_EVENT_ERROR, 3, 1000);
    end();
    assert_int_equal(gw_event_next(&reader, &event), 1);
    cJSON *root = json();
    assert_string_equal(text_of(root, "id"), "dev \"1\"/000000000000000b/1");
    assert_string_equal(text_of(root, "type"), "error");
    assert_string_equal(text_of(root, "device"), "dev \"1\"");
    assert_string_equal(text_of(root, "stream"), "000000000000000b");
    assert_int_equal(number_of(root, "seq"), 1);
    assert_int_equal(number_of(root, "boot"), 10);
    assert_int_equal(number_of(root, "ord"), 2);
    assert_string_equal(text_of(root, "time"), "2025-11-13T02:13:20.123Z");
    assert_string_equal(text_of(root, "time_quality"), "synced");
    assert_int_equal(number_of(root, "time_uncertainty_ms"), 40);
    assert_string_equal(text_of(root, "received"), "2025-11-24T16:00:00.000Z");
    assert_string_equal(text_of(root, "session"), "000000000000001f");
    assert_string_equal(text_of(root, "content"), "a\n\"\\\x01/é");
    assert_string_equal(text_of(root, "user"), "p1.k.bb");
    assert_string_equal(text_of(root, "gateway"), "gw-1");
    assert_true(number_of(root, "code") == -2147483648.0);
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(root, "fatal")));
    assert_true(number_of(root, "position_ms") == 31536000000.0);
    for (const cJSON *a = root->child; a; a = a->next) {
        for (const cJSON *b = a->next; b; b = b->next)
            assert_string_not_equal(a->string, b->string);
    }
    cJSON_Delete(root);
}

static void test_json_names_enumerations_and_leaves_out_what_is_not_there(void **state)
{
    (void)state;
    begin(NULL, 0);
    put_fields(2);
    trib_cbor_put_uint(&f, TRIB_FIELD_START_REASON);
    trib_cbor_put_uint(&f, TRIB_START_REASON_ROLLBACK);
    trib_cbor_put_uint(&f, TRIB_FIELD_PREVIOUS);
    trib_cbor_put_uint(&f, UINT64_MAX - 1);
    put_event(TRIB_EVENT_STREAM_START, 0, 1000);
    put_fields(1);
    trib_cbor_put_uint(&f, TRIB_FIELD_START_REASON);
    trib_cbor_put_uint(&f, 15); /* of a newer SDK */
    put_event(TRIB_EVENT_STREAM_START, 0, 1000);
    end();
    assert_int_equal(gw_event_next(&reader, &event), 1);
    cJSON *root = json();
    assert_string_equal(text_of(root, "start_reason"), "rollback");
    assert_string_equal(text_of(root, "previous"), "fffffffffffffffe");
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(root, "time_uncertainty_ms")));
    assert_false(cJSON_HasObjectItem(root, "session"));
    assert_false(cJSON_HasObjectItem(root, "content"));
    assert_false(cJSON_HasObjectItem(root, "user"));
    cJSON_Delete(root);
    assert_int_equal(gw_event_next(&reader, &event), 1);
    root = json();
    assert_string_equal(text_of(root, "start_reason"), "15");
    cJSON_Delete(root);
}

static void test_json_of_custom_data_is_nested(void **state)
{
    (void)state;
    begin(NULL, 0);
    put_fields(2);
    trib_cbor_put_uint(&f, TRIB_FIELD_SCHEMA);
    trib_cbor_put_text(&f, "x", 1);
    trib_cbor_put_uint(&f, TRIB_FIELD_DATA);
    trib_cbor_put_map(&f, 4);
    trib_cbor_put_text(&f, "list\"", 5);
    trib_cbor_put_array(&f, 3);
    trib_cbor_put_int(&f, INT64_MIN);
    trib_cbor_put_null(&f);
    trib_cbor_put_bool(&f, false);
    trib_cbor_put_uint(&f, 7);
    trib_cbor_put_bytes(&f, (const uint8_t *)"\xab\x01", 2);
    trib_cbor_put_text(&f, "float", 5);
    trib_cbor_put_raw(&f, (const uint8_t *)"\xf9\x3c\x00", 3);
    trib_cbor_put_text(&f, "m", 1);
    trib_cbor_put_map(&f, 0);
    put_event(TRIB_EVENT_CUSTOM, 0, 1000);
    end();
    assert_int_equal(gw_event_next(&reader, &event), 1);
    cJSON *root = json();
    char *data = cJSON_PrintUnformatted(cJSON_GetObjectItem(root, "data"));
    assert_non_null(strstr(data, "\"7\":\"ab01\",\"float\":null,\"m\":{}}"));
    const cJSON *list = cJSON_GetObjectItem(cJSON_GetObjectItem(root, "data"), "list\"");
    assert_int_equal(cJSON_GetArraySize(list), 3);
    free(data);
    cJSON_Delete(root);
}

/* A vocabulary field named like a column would be a second value of it. */
static void test_no_field_is_named_like_a_column(void **state)
{
    (void)state;
    const char *columns[] = {"id",       "type",    "device",  "stream",       "seq",
                             "boot",     "ord",     "time",    "time_quality", "time_uncertainty_ms",
                             "received", "session", "content", "gateway"};
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++)
        assert_int_equal(trib_field_by_name(columns[i], strlen(columns[i])), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identity_context_and_index_are_resolved),
        cmocka_unit_test(test_an_anchor_of_the_same_boot_gives_synced_time),
        cmocka_unit_test(test_the_anchor_with_the_least_uncertainty_counts),
        cmocka_unit_test(test_a_boot_without_anchor_is_estimated_between_its_neighbours),
        cmocka_unit_test(test_a_fast_clock_stays_within_an_estimated_times_uncertainty),
        cmocka_unit_test(test_without_anchors_time_is_that_of_reception),
        cmocka_unit_test(test_absurd_anchors_neither_overflow_nor_wrap),
        cmocka_unit_test(test_utc_is_written_in_rfc_3339),
        cmocka_unit_test(test_json_has_identity_time_and_fields),
        cmocka_unit_test(test_json_names_enumerations_and_leaves_out_what_is_not_there),
        cmocka_unit_test(test_json_of_custom_data_is_nested),
        cmocka_unit_test(test_no_field_is_named_like_a_column),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
