/*
 * The version rules of docs/protocol.md: what v1 devices said once is stored as it was then, for ever; what a later
 * device or gateway adds costs nothing that v1 knows.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <cJSON.h>

#include "scenario/golden_session.h"

#define STORED_MAX 1024
#define UNKNOWN_TYPE 150

static struct fake_random dice;
static struct fake_gateway gateway;
static struct fake_link wire;

/* What is expected, and how much of it was met. */
static struct {
    cJSON *stored[STORED_MAX];
    size_t count, met;
} expected;

static int set_up(void **state)
{
    (void)state;
    dice.state = 4711;
    memset(&expected, 0, sizeof expected);
    fake_gateway_start(&gateway, golden_folder_make(), &dice);
    gateway.now_ms = 1000;
    gateway.utc_ms = GOLDEN_UTC_MS;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fake_gateway_stop(&gateway);
    golden_folder_remove();
    for (size_t i = 0; i < expected.count; i++)
        cJSON_Delete(expected.stored[i]);
    return 0;
}

/* --- one device, whose messages a test brings --- */

static void connect_anew(void)
{
    wire.connected = true;
    wire.generation++;
    wire.down.begin = wire.down.end = 0;
    gateway.now_ms += 1000;
    fake_gateway_step(&gateway);
    assert_int_not_equal(gateway.connections[0].id, 0);
}

/* Says it, and waits until what it brought is committed. */
static void say(const uint8_t *message, size_t len)
{
    wire.down.begin = wire.down.end = 0; /* nobody reads it here */
    fake_gateway_receive(&gateway.connections[0], message, len);
    for (unsigned i = 0; i < 1000 && (i == 0 || gateway.queue_head); i++)
        fake_gateway_step(&gateway);
    assert_null(gateway.queue_head);
}

static void attach(void)
{
    memset(&wire, 0, sizeof wire);
    wire.random = &dice;
    fake_gateway_attach(&gateway, &wire, GOLDEN_DEVICE);
}

/* --- a recorded session --- */

static size_t from_hex(const char *hex, uint8_t *out)
{
    size_t len = 0;
    unsigned byte;
    for (; sscanf(hex, "%2x", &byte) == 1; hex += 2)
        out[len++] = (uint8_t)byte;
    return len;
}

static void replay_device(const char *hex)
{
    static uint8_t message[GOLDEN_LINE_BYTES / 2];
    size_t len = from_hex(hex, message), body;
    uint64_t type;
    assert_int_equal(trib_wire_open(message, len, &type, &body), 0);
    if (type == TRIB_WIRE_HELLO)
        connect_anew();
    say(message, len);
}

static void replay(const char *name)
{
    static char line[GOLDEN_LINE_BYTES];
    char path[512];
    snprintf(path, sizeof path, "%s/tests/golden/%s", TRIBUTARY_SOURCE_DIR, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        assert_non_null(strchr(line, '\n'));
        if (strncmp(line, "device ", 7) == 0)
            replay_device(line + 7);
        if (strncmp(line, "stored ", 7) == 0) {
            assert_true(expected.count < STORED_MAX);
            expected.stored[expected.count] = cJSON_Parse(line + 7);
            assert_non_null(expected.stored[expected.count++]);
        }
    }
    fclose(file);
}

/* All that was stored then must be there now, with the same value; more may have come since. */
static void compare(void *context, const char *json)
{
    (void)context;
    cJSON *now = cJSON_Parse(json);
    const cJSON *then, *member;
    assert_true(expected.met < expected.count);
    then = expected.stored[expected.met++];
    cJSON_ArrayForEach(member, then)
    {
        if (strcmp(member->string, "received") == 0)
            continue; /* the gateway's own time */
        if (!cJSON_Compare(member, cJSON_GetObjectItemCaseSensitive(now, member->string), true))
            fail_msg("`%s` is not what it was: %s", member->string, json);
    }
    cJSON_Delete(now);
}

static void test_a_recorded_v1_session_is_stored_as_it_was_then(void **state)
{
    (void)state;
    attach();
    replay("v1_session.txt");
    golden_stored(&gateway, compare, NULL);
    assert_int_equal(expected.met, expected.count);
    assert_true(expected.count > 100);
}

/* --- what later versions add --- */

static void count(void *context, const char *json)
{
    (void)json;
    ++*(size_t *)context;
}

/* Every message gets an unknown key and element, and an unknown message goes before it, in both directions. */
static void test_what_a_later_version_adds_is_stepped_over_on_both_sides(void **state)
{
    (void)state;
    size_t stored = 0;
    gateway.newer = true;
    golden_play(&gateway);
    golden_stored(&gateway, count, &stored);
    assert_true(stored > 100);
}

static void welcome_newer_device(void)
{
    uint8_t bytes[512];
    size_t len;
    struct trib_wire_hello hello = {.device = {GOLDEN_DEVICE, strlen(GOLDEN_DEVICE)},
                                    .version = TRIB_WIRE_VERSION,
                                    .boot = 1,
                                    .streams = {{.stream = 0xaa, .next_seq = 4, .lane = TRIB_LANE_VITAL}},
                                    .stream_count = 1};
    attach();
    connect_anew();
    assert_int_equal(trib_wire_hello_encode(&hello, bytes, sizeof bytes, &len), 0);
    say(bytes, len);
    assert_int_equal(gateway.connections[0].session.state, GW_SESSION_OPEN);
}

static void keep_ack(void *context, bool up, const uint8_t *message, size_t len)
{
    size_t body;
    uint64_t type;
    assert_int_equal(trib_wire_open(message, len, &type, &body), 0);
    if (!up && type == TRIB_WIRE_ACK)
        assert_int_equal(trib_wire_ack_decode(message, len, context), 0);
}

/* A pause, an event of a type to come, and a pause with a field and an element to come. */
static void test_an_event_type_to_come_is_rejected_and_does_not_block_its_lane(void **state)
{
    (void)state;
    static const uint8_t pause[] = {0xa1, 0x03, 0x05}, pause_to_come[] = {0xa2, 0x03, 0x05, 0x18, 0xc8, 0xf5};
    struct trib_wire_ack ack = {0};
    struct trib_wire_batch_head head = {.lanes = {{0xaa, 1}, {0, 0}}, .boot = 1, .mono_ms = 100, .ord = 1};
    struct trib_wire_batch_writer batch;
    uint8_t bytes[512];
    size_t len, stored = 0;
    welcome_newer_device();
    gateway.tap = keep_ack;
    gateway.tap_context = &ack;
    trib_wire_batch_open(&batch, &head, bytes, sizeof bytes);
    trib_wire_batch_event(&batch, 0, TRIB_EVENT_PAUSE, 100, 2, 0, pause, sizeof pause);
    trib_wire_batch_event(&batch, 0, UNKNOWN_TYPE, 101, 3, 0, pause_to_come, sizeof pause_to_come);
    trib_wire_batch_event(&batch, 0, TRIB_EVENT_PAUSE, 102, 4, 0, pause_to_come, sizeof pause_to_come);
    assert_int_equal(trib_wire_batch_close(&batch, &len), 0);
    say(bytes, len);
    assert_int_equal(ack.acked_count, 1);
    assert_int_equal(ack.acked[0].seq, 3);
    assert_int_equal(ack.rejected_count, 1);
    assert_int_equal(ack.rejected[0].seq, 2);
    assert_int_equal(ack.rejected[0].code, TRIB_REJECT_UNKNOWN_TYPE);
    golden_stored(&gateway, count, &stored);
    assert_int_equal(stored, 2);
}

static void keep_bye(void *context, bool up, const uint8_t *message, size_t len)
{
    struct trib_wire_bye bye;
    if (!up && trib_wire_bye_decode(message, len, &bye) == 0)
        *(uint64_t *)context = bye.reason;
}

static void test_another_protocol_version_is_told_so(void **state)
{
    (void)state;
    static const uint8_t hello[] = {0x82, 0x01, 0xa2, 0x02,
                                    0x02, 0x18, 0x63, 0x80}; /* nothing of v1 but its number */
    uint64_t reason = 0;
    attach();
    connect_anew();
    gateway.tap = keep_bye;
    gateway.tap_context = &reason;
    say(hello, sizeof hello);
    assert_int_equal(reason, TRIB_BYE_VERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_recorded_v1_session_is_stored_as_it_was_then, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_what_a_later_version_adds_is_stepped_over_on_both_sides, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_an_event_type_to_come_is_rejected_and_does_not_block_its_lane,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_another_protocol_version_is_told_so, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
