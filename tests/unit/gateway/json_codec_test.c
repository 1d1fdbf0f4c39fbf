/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <stdlib.h>
#include <string.h>

#include "session/json_codec.h"
#include "unit/sdk/samples.h"

#define STREAM 0xa1

/* Converts a text of exactly its size on the heap. The CBOR is the caller's to free. */
static int convert(const char *json, uint8_t **out, size_t *out_len, struct gw_error *error)
{
    size_t len = strlen(json), cap = GW_JSON_CBOR_BYTES(len);
    char *copy = malloc(len ? len : 1);

    memcpy(copy, json, len);
    *out = malloc(cap);
    memset(error, 0, sizeof *error);
    int result = gw_json_to_cbor(copy, len, *out, cap, out_len, error);
    free(copy);
    return result;
}

static void assert_refused(const char *json, const char *text)
{
    uint8_t *cbor;
    size_t len;
    struct gw_error error;
    int result = convert(json, &cbor, &len, &error);

    free(cbor);
    if (result != GW_EPROTOCOL || !strstr(error.text, text))
        fail_msg("%s: %d, \"%s\" instead of \"%s\"", json, result, error.text, text);
}

#define HELLO                                                                                                \
    "{\"type\":\"hello\",\"device\":\"d1\",\"version\":1,\"sdk\":\"web/1\",\"boot\":7,\"mono_ms\":12,"       \
    "\"streams\":[{\"stream\":\"a1\",\"lane\":\"vital\",\"next_seq\":\"5\",\"acked_seq\":\"4\"},"            \
    "{\"stream\":\"FFFFFFFFFFFFFFFF\",\"lane\":\"routine\",\"next_seq\":18446744073709551615}],"             \
    "\"acked_gateway\":{\"gateway\":\"gw\",\"epoch\":\"00000000000000ff\"},\"config_version\":\"3\"}"

static void test_hello_is_converted_field_by_field(void **state)
{
    uint8_t *cbor;
    size_t len;
    struct gw_error error;
    struct trib_wire_hello m;

    (void)state;
    assert_refused(HELLO, "streams[1].next_seq: an unsigned integer"); /* a double cannot hold it */
    char *json = strdup(HELLO);
    memcpy(strstr(json, "18446744073709551615"), "\"900000000000000000\"", 20);
    int result = convert(json, &cbor, &len, &error);
    free(json);
    assert_int_equal(result, 0);
    assert_int_equal(trib_wire_hello_decode(cbor, len, &m), 0);
    assert_memory_equal(m.device.ptr, "d1", m.device.len);
    assert_memory_equal(m.sdk.ptr, "web/1", m.sdk.len);
    assert_true(m.boot == 7 && m.mono_ms == 12 && m.stream_count == 2 && m.config_version == 3);
    assert_true(m.streams[0].stream == 0xa1 && m.streams[0].next_seq == 5 && m.streams[0].acked_seq == 4);
    assert_true(m.streams[1].stream == UINT64_MAX && m.streams[1].next_seq == 900000000000000000u);
    assert_int_equal(m.streams[1].lane, TRIB_LANE_ROUTINE);
    assert_true(m.acked_epoch == 255);
    free(cbor);
}

#define BATCH(items)                                                                                         \
    "{\"type\":\"batch\",\"lanes\":[{\"stream\":\"b2\",\"first_seq\":\"10\"},"                               \
    "{\"stream\":\"a1\",\"first_seq\":\"1\"}],\"boot\":1,\"anchors\":[{\"boot\":1,\"mono_ms\":900,"          \
    "\"utc_ms\":1700000000000,\"uncertainty_ms\":20}],\"items\":[" items "]}"
#define PAUSE(rest) "{\"kind\":\"event\",\"lane\":\"routine\",\"type\":\"pause\",\"mono_ms\":1000" rest "}"

static struct trib_wire_batch_reader open_batch(const char *json, uint8_t **cbor)
{
    struct trib_wire_batch_reader r;
    struct gw_error error;
    size_t len;

    if (convert(json, cbor, &len, &error))
        fail_msg("%s", error.text);
    assert_int_equal(trib_wire_batch_read(&r, *cbor, len), 0);
    return r;
}

static struct trib_wire_batch_item next(struct trib_wire_batch_reader *r)
{
    struct trib_wire_batch_item item;

    assert_int_equal(trib_wire_batch_next(r, &item), 1);
    return item;
}

static void assert_fields(const struct trib_wire_batch_item *item, const char *bytes, size_t len)
{
    assert_int_equal(item->fields_len, len);
    assert_memory_equal(item->fields, bytes, len);
}

static void test_a_batch_becomes_what_a_device_would_send(void **state)
{
    uint8_t *cbor;
    struct trib_wire_batch_item item;
    struct trib_wire_batch_reader r = open_batch(
        BATCH(
            "{\"kind\":\"context\",\"index\":1,\"session\":\"b0b\",\"content\":\"film-7\",\"user\":\"u\"},"
            "{\"kind\":\"drop\",\"lane\":\"routine\",\"count\":\"4\",\"class\":\"routine\",\"reason\":"
            "\"overflow\"},"
            "{\"kind\":\"event\",\"lane\":\"vital\",\"type\":\"session.start\",\"mono_ms\":1000,\"ord\":41,"
            "\"context\":1,"
            "\"fields\":{\"stream_type\":\"live\"}}," PAUSE(",\"context\":1,\"fields\":{\"cause\":\"user\","
                                                            "\"position_ms\":1500}") ",{\"kind\":\"event\","
                                                                                     "\"lane\":\"vital\","
                                                                                     "\"type\":\"error\","
                                                                                     "\"mono_ms\":\"1001\","
                                                                                     "\"ord\":50,"
                                                                                     "\"fields\":{\"code\":-"
                                                                                     "7,\"fatal\":true}},"
                                                                                     "{\"kind\":\"event\","
                                                                                     "\"lane\":\"vital\","
                                                                                     "\"type\":\"favourite."
                                                                                     "add\",\"mono_ms\":1001,"
                                                                                     "\"fields\":{\"item\":"
                                                                                     "\"caf\\u00e9\"}}"),
        &cbor);

    (void)state;
    assert_true(r.head.lanes[0].stream == 0xb2 && r.head.lanes[0].seq == 10 &&
                r.head.lanes[1].stream == STREAM);
    assert_true(r.head.boot == 1 && r.head.anchor_count == 1 && r.head.anchors[0].utc_ms == 1700000000000);
    item = next(&r);
    assert_int_equal(item.kind, TRIB_ITEM_CONTEXT);
    assert_true(item.context_value.session == 0xb0b);
    assert_memory_equal(item.context_value.content.ptr, "film-7", 6);
    item = next(&r);
    assert_true(item.kind == TRIB_ITEM_DROP && item.seq == 1 && item.count == 4);
    assert_true(item.drop_class == TRIB_DROP_ROUTINE && item.drop_reason == TRIB_DROP_OVERFLOW);
    item = next(&r);
    assert_true(item.kind == TRIB_EVENT_SESSION_START && item.seq == 10 && item.mono_ms == 1000 &&
                item.ord == 41);
    assert_int_equal(item.context, 1);
    assert_fields(&item, "\xbf\x18\x1a\x01\xff", 5);
    item = next(&r);
    assert_true(item.kind == TRIB_EVENT_PAUSE && item.seq == 5 && item.ord == 42 &&
                item.lane == TRIB_LANE_ROUTINE);
    assert_fields(&item, "\xbf\x01\x00\x03\x19\x05\xdc\xff", 8);
    item = next(&r);
    assert_true(item.kind == TRIB_EVENT_ERROR && item.seq == 11 && item.ord == 50 && item.mono_ms == 1001);
    assert_int_equal(item.context, 0);
    assert_fields(&item, "\xbf\x14\x26\x15\xf5\xff", 6);
    item = next(&r);
    assert_true(item.kind == TRIB_EVENT_FAVOURITE_ADD && item.seq == 12 && item.ord == 51);
    assert_fields(&item,
                  "\xbf\x17\x65"
                  "caf\xc3\xa9"
                  "\xff",
                  9);
    assert_int_equal(trib_wire_batch_next(&r, &item), 0);
    free(cbor);
}

static void test_ord_defaults_to_the_first_seq_and_counts_on(void **state)
{
    uint8_t *cbor;
    struct trib_wire_batch_reader r =
        open_batch(BATCH("{\"kind\":\"drop\",\"lane\":\"routine\",\"count\":6,\"class\":\"unknown\","
                         "\"reason\":\"not_known\"}," PAUSE("") "," PAUSE("")),
                   &cbor);

    (void)state;
    next(&r);
    assert_true(next(&r).ord == 7);
    assert_true(next(&r).ord == 8);
    free(cbor);
}

/* Nothing in one event may harm its neighbours: it is converted so that the validator rejects it, and no other. */
static void test_an_event_that_cannot_be_converted_is_still_an_event(void **state)
{
    uint8_t *cbor;
    struct trib_wire_batch_item item;
    struct trib_wire_batch_reader r = open_batch(
        BATCH(
            "{\"kind\":\"event\",\"lane\":\"routine\",\"type\":\"poke\",\"mono_ms\":1000,"
            "\"fields\":{\"x\":1}"
            "}," PAUSE(",\"fields\":{\"cause\":\"nobody\"}") "," PAUSE(
                ",\"fields\":{\"position_ms\":"
                "\"soon\"}") "," PAUSE(",\"fields\":{"
                                       "\"position_"
                                       "ms\":1.5}") "," PAUSE(",\"fields\":{\"position_ms\":-"
                                                              "1}") "," PAUSE(",\"fields\":{"
                                                                              "\"position_ms\":"
                                                                              "[1]}") "," PAUSE(",\"fields\":"
                                                                                                "{\"user\":"
                                                                                                "5}") "," PAUSE(",\"fiel"
                                                                                                                "ds\":{"
                                                                                                                "\"elsew"
                                                                                                                "here\":"
                                                                                                                "{\"a\":"
                                                                                                                "1},"
                                                                                                                "\"posit"
                                                                                                                "ion_"
                                                                                                                "ms\":"
                                                                                                                "7}") "," PAUSE("")),
        &cbor);

    (void)state;
    item = next(&r);
    assert_true(item.kind == TRIB_WIRE_EVENT_TYPE_NEVER && item.seq == 1);
    assert_fields(&item, "\xbf\xff", 2);
    for (uint64_t seq = 2; seq <= 7; seq++) {
        item = next(&r);
        assert_true(item.kind == TRIB_EVENT_PAUSE && item.seq == seq);
        assert_int_equal(item.fields_len, 4);
        assert_int_equal(item.fields[2], 0xf6); /* null */
    }
    item = next(&r);
    assert_fields(&item,
                  "\xbf\x69"
                  "elsewhere"
                  "\xf6\x03\x07\xff",
                  15);
    item = next(&r);
    assert_true(item.seq == 9);
    assert_fields(&item, "\xbf\xff", 2);
    free(cbor);
}

static void test_custom_data_is_a_flat_map(void **state)
{
    uint8_t *cbor;
    struct trib_wire_batch_item item;
    struct trib_wire_batch_reader r = open_batch(
        BATCH("{\"kind\":\"event\",\"lane\":\"routine\",\"type\":\"custom\",\"mono_ms\":5,\"fields\":{"
              "\"schema\":\"s\","
              "\"data\":{\"a\":\"t\",\"b\":-2,\"c\":true,\"d\":null}}},"
              "{\"kind\":\"event\",\"lane\":\"routine\",\"type\":\"custom\",\"mono_ms\":5,\"fields\":{"
              "\"data\":{\"a\":{}}}},"
              "{\"kind\":\"event\",\"lane\":\"routine\",\"type\":\"custom\",\"mono_ms\":5,\"fields\":{"
              "\"data\":{\"a\":0.5}}},"
              "{\"kind\":\"event\",\"lane\":\"routine\",\"type\":\"stream.start\",\"mono_ms\":5,\"fields\":{"
              "\"start_reason\":"
              "\"lost\",\"previous\":\"00000000000000a0\",\"previous_next\":\"18446744073709551615\"}}"),
        &cbor);

    (void)state;
    item = next(&r);
    assert_fields(&item,
                  "\xbf\x18\x1b\x61s\x18\x1c\xa4\x61"
                  "a\x61t\x61"
                  "b\x21\x61"
                  "c\xf5\x61"
                  "d\xf6\xff",
                  22);
    item = next(&r);
    assert_fields(&item, "\xbf\x18\x1c\xf6\xff", 5);
    item = next(&r);
    assert_fields(&item, "\xbf\x18\x1c\xf6\xff", 5);
    item = next(&r);
    assert_fields(&item, "\xbf\x18\x1f\x01\x18\x1d\x18\xa0\x18\x1e\x1b\xff\xff\xff\xff\xff\xff\xff\xff\xff",
                  20);
    free(cbor);
}

static void test_errors_name_the_place(void **state)
{
    (void)state;
    assert_refused("", "no JSON");
    assert_refused("{\"type\":", "no JSON at byte");
    assert_refused("[]", "type: an object");
    assert_refused("{}", "type: an object");
    assert_refused("{\"type\":5}", "type: an object");
    assert_refused("{\"type\":\"hello\"} {}", "something follows");
    assert_refused("{\"type\":\"ack\"}", "type: only the gateway");
    assert_refused("{\"type\":\"hello\",\"device\":\"a\\u0000b\"}", "NUL");
    assert_refused("{\"type\":\"hello\",\"device\":\"\xff\"}", "UTF-8");
    assert_refused("{\"type\":\"hello\",\"device\":\"\\ud800\"}", "no JSON");
    assert_refused("{\"type\":\"hello\"}", "device: a string");
    assert_refused("{\"type\":\"hello\",\"device\":5}", "device: a string");
    assert_refused("{\"type\":\"hello\",\"device\":\"d\",\"boot\":1}", "streams: an array");
    assert_refused("{\"type\":\"hello\",\"device\":\"d\",\"boot\":1,\"streams\":[{}]}",
                   "streams[0].stream: a string of up to 16 hex");
    assert_refused(
        "{\"type\":\"hello\",\"device\":\"d\",\"boot\":1,\"streams\":[{\"stream\":\"00000000000000001\"}]}",
        "16 hex");
    assert_refused("{\"type\":\"hello\",\"device\":\"d\",\"boot\":1,\"streams\":[{\"stream\":\"0x1\"}]}",
                   "16 hex");
    assert_refused(
        "{\"type\":\"hello\",\"device\":\"d\",\"boot\":1,\"streams\":[{\"stream\":\"1\",\"lane\":\"fast\"}]}",
        "streams[0].lane: one of");
    assert_refused("{\"type\":\"hello\",\"device\":\"d\",\"boot\":1,\"streams\":[{\"stream\":\"1\",\"lane\":"
                   "\"vital\",\"next_seq\":0}]}",
                   "acked_seq must be below");
    assert_refused("{\"type\":\"batch\"}", "lanes: an array");
    assert_refused("{\"type\":\"batch\",\"lanes\":[1]}", "lanes[0].stream");
    assert_refused("{\"type\":\"batch\",\"lanes\":[null,{\"stream\":\"1\",\"first_seq\":0}]}",
                   "lanes[1]: stream and first_seq");
    assert_refused("{\"type\":\"batch\",\"lanes\":[null,{\"stream\":\"1\",\"first_seq\":1}]}",
                   "boot: an unsigned");
    assert_refused("{\"type\":\"batch\",\"lanes\":[null,{\"stream\":\"1\",\"first_seq\":1}],\"boot\":1}",
                   "items: an array");
    assert_refused(BATCH("5"), "items[0].kind");
    assert_refused(BATCH(PAUSE("") ",{\"kind\":\"event\",\"lane\":\"routine\",\"type\":\"pause\"}"),
                   "items[1].mono_ms: an unsigned");
    assert_refused(BATCH(PAUSE(",\"context\":3")), "items[0].context: no context");
    assert_refused(BATCH(PAUSE(",\"context\":99")), "items[0].context: no context");
    assert_refused(BATCH(PAUSE(",\"ord\":0")), "items[0].ord");
    assert_refused(BATCH(PAUSE(",\"ord\":5") "," PAUSE(",\"ord\":5")), "items[1].ord: it must be above");
    assert_refused(
        BATCH(PAUSE("") ",{\"kind\":\"event\",\"lane\":\"vital\",\"type\":\"pause\",\"mono_ms\":999}"),
        "items[1].mono_ms: it must not");
    assert_refused(BATCH(PAUSE(",\"fields\":[]")), "items[0].fields: an object");
    assert_refused(BATCH("{\"kind\":\"context\",\"index\":0}"), "items[0].index");
    assert_refused(BATCH("{\"kind\":\"context\",\"index\":1,\"session\":7}"), "items[0].session");
    assert_refused(BATCH("{\"kind\":\"drop\",\"lane\":\"vital\",\"count\":0}"), "items[0].count");
    assert_refused(BATCH("{\"kind\":\"drop\",\"lane\":\"vital\",\"count\":\"18446744073709551615\"}"),
                   "items[0].count");
    assert_refused(BATCH("{\"kind\":\"drop\",\"lane\":\"vital\",\"count\":\"18446744073709551616\"}"),
                   "items[0].count");
    assert_refused(
        "{\"type\":\"batch\",\"lanes\":[null,{\"stream\":\"1\",\"first_seq\":1}],\"boot\":1,\"items\":["
        "{\"kind\":\"event\",\"lane\":\"vital\"}]}",
        "items[0].lane: lanes gives no stream");
}

static void test_an_unknown_message_is_passed_on_as_unknown(void **state)
{
    uint8_t *cbor;
    size_t len, body;
    uint64_t type;
    struct gw_error error;

    (void)state;
    assert_int_equal(convert(" {\"type\":\"wave\",\"x\":[1,2]} \n", &cbor, &len, &error), 0);
    assert_int_equal(trib_wire_open(cbor, len, &type, &body), 0);
    assert_int_equal(type, 255);
    free(cbor);
}

static void test_truncated_and_damaged_texts_do_no_harm(void **state)
{
    const char *json = BATCH("{\"kind\":\"context\",\"index\":1,\"content\":\"c\"}," PAUSE(
        ",\"context\":1,\"fields\":{\"cause\":\"user\"}"));
    size_t len = strlen(json);

    (void)state;
    for (size_t at = 0; at < len; at++) {
        static const char damage[] = "\"\\{}[],:0-e\x80\x01 ";
        char *copy = malloc(len);
        uint8_t *cbor = malloc(GW_JSON_CBOR_BYTES(len));
        size_t out_len, items = 0;
        struct gw_error error;
        memcpy(copy, json, len);
        assert_int_equal(gw_json_to_cbor(copy, at, cbor, GW_JSON_CBOR_BYTES(at), &out_len, &error),
                         GW_EPROTOCOL);
        for (size_t i = 0; i < sizeof damage - 1; i++) {
            copy[at] = damage[i];
            if (gw_json_to_cbor(copy, len, cbor, GW_JSON_CBOR_BYTES(len), &out_len, &error) == 0) {
                struct trib_wire_batch_reader r;
                struct trib_wire_batch_item item;
                uint64_t type;
                size_t body;
                assert_int_equal(trib_wire_open(cbor, out_len, &type, &body), 0);
                if (type != TRIB_WIRE_BATCH)
                    continue;
                assert_int_equal(trib_wire_batch_read(&r, cbor, out_len), 0);
                while (trib_wire_batch_next(&r, &item) == 1)
                    items++;
                assert_int_equal(r.r.error, 0); /* what is converted can be read */
            }
        }
        free(cbor);
        free(copy);
    }
}

static void test_small_buffers_are_told(void **state)
{
    const char *json = BATCH(PAUSE(",\"fields\":{\"cause\":\"user\"}"));
    uint8_t buf[256];
    size_t len;
    struct gw_error error;
    int result = GW_EFULL;

    (void)state;
    for (size_t cap = 4; cap < sizeof buf && result == GW_EFULL; cap++) {
        result = gw_json_to_cbor(json, strlen(json), buf, cap, &len, &error);
        assert_true(result == 0 || result == GW_EFULL);
    }
    assert_int_equal(result, 0);
}

static void assert_json(int encoded, const uint8_t *cbor, const size_t *len, const char *expected)
{
    char json[2048];
    size_t json_len = 0;

    assert_int_equal(encoded, 0);
    assert_int_equal(gw_cbor_to_json(cbor, *len, json, sizeof json - 1, &json_len), 0);
    json[json_len] = '\0';
    assert_string_equal(json, expected);
    for (size_t cap = 0; cap < json_len; cap++)
        assert_int_equal(gw_cbor_to_json(cbor, *len, json, cap, &json_len), GW_EFULL);
}

static void test_messages_of_the_gateway_become_json(void **state)
{
    uint8_t buf[1024];
    size_t len;

    (void)state;
    assert_json(trib_wire_welcome_encode(&sample_welcome, buf, sizeof buf, &len), buf, &len,
                "{\"type\":\"welcome\",\"version\":1,\"gateway\":\"gw-1\",\"epoch\":\"8877665544332211\","
                "\"streams\":["
                "{\"stream\":\"feedfacecafebeef\",\"committed\":\"11\",\"crc\":3735928559},"
                "{\"stream\":\"0123456789abcdef\",\"committed\":\"0\",\"crc\":0}],"
                "\"time\":{\"utc_ms\":1700000000123,\"quality\":\"synced\",\"uncertainty_ms\":4},"
                "\"credit\":{\"events\":\"10000\",\"bytes\":\"1048576\"},\"max_message_bytes\":262144,"
                "\"max_event_bytes\":16384,\"keepalive_ms\":25000,\"config_version\":\"3\"}");
    assert_json(
        trib_wire_ack_encode(&sample_ack_rejected, buf, sizeof buf, &len), buf, &len,
        "{\"type\":\"ack\",\"acked\":[{\"stream\":\"0123456789abcdef\",\"seq\":\"40\"}],\"rejected\":["
        "{\"stream\":\"0123456789abcdef\",\"seq\":\"38\",\"code\":\"unknown_type\"},"
        "{\"stream\":\"0123456789abcdef\",\"seq\":\"39\",\"code\":\"out_of_range\"}],\"rejected_more\":\"5\","
        "\"credit\":{\"events\":\"10100\",\"bytes\":\"1052576\"}}");
    assert_json(trib_wire_nack_encode(&sample_nack, buf, sizeof buf, &len), buf, &len,
                "{\"type\":\"nack\",\"stream\":\"0123456789abcdef\",\"expected\":\"41\"}");
    assert_json(trib_wire_credit_encode(&sample_credit, buf, sizeof buf, &len), buf, &len,
                "{\"type\":\"credit\",\"credit\":{\"events\":\"20000\",\"bytes\":\"2097152\"}}");
    const struct trib_wire_bye late = {.reason = 77, .text = {"a \"quote\"\n\\", 11}};
    assert_json(trib_wire_bye_encode(&late, buf, sizeof buf, &len), buf, &len,
                "{\"type\":\"bye\",\"reason\":77,\"retry_after_ms\":0,\"alternates\":[],"
                "\"text\":\"a \\\"quote\\\"\\u000a\\\\\"}");
    assert_json(trib_wire_bye_encode(&sample_bye, buf, sizeof buf, &len), buf, &len,
                "{\"type\":\"bye\",\"reason\":\"draining\",\"retry_after_ms\":1500,\"alternates\":["
                "\"wss://gw-2.example:7443/v1\",\"wss://gw-3.example:7443/v1\"],\"text\":\"the gateway is "
                "stopping\"}");
    /* {1: 60000, "a": [true, -3, h'00', {2: "x"}]} */
    const struct trib_wire_config config = {.version = 4,
                                            .map = (const uint8_t *)"\xa2\x01\x19\xea\x60\x61"
                                                                    "a\x84\xf5\x22\x41\x00\xa1\x02\x61x",
                                            .map_len = 16};
    assert_json(trib_wire_config_encode(&config, buf, sizeof buf, &len), buf, &len,
                "{\"type\":\"config\",\"version\":\"4\",\"config\":{\"1\":60000,\"a\":[true,-3,null,{\"2\":"
                "\"x\"}]}}");
    assert_int_equal(trib_wire_hello_encode(&sample_hello, buf, sizeof buf, &len), 0);
    assert_int_equal(gw_cbor_to_json(buf, len, (char *)buf, 0, &len), GW_EPROTOCOL); /* not the gateway's */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hello_is_converted_field_by_field),
        cmocka_unit_test(test_a_batch_becomes_what_a_device_would_send),
        cmocka_unit_test(test_ord_defaults_to_the_first_seq_and_counts_on),
        cmocka_unit_test(test_an_event_that_cannot_be_converted_is_still_an_event),
        cmocka_unit_test(test_custom_data_is_a_flat_map),
        cmocka_unit_test(test_errors_name_the_place),
        cmocka_unit_test(test_an_unknown_message_is_passed_on_as_unknown),
        cmocka_unit_test(test_truncated_and_damaged_texts_do_no_harm),
        cmocka_unit_test(test_small_buffers_are_told),
        cmocka_unit_test(test_messages_of_the_gateway_become_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
