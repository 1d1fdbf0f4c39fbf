/* One sample of each message, as in tests/golden: what the codec must write, byte for byte. */
#ifndef TESTS_UNIT_SDK_SAMPLES_H
#define TESTS_UNIT_SDK_SAMPLES_H

#include <string.h>

#include "wire/message.h"

#define TEXT(s) ((struct trib_text){(s), strlen(s)})

#define SAMPLE_VITAL 0xfeedfacecafebeefull
#define SAMPLE_ROUTINE 0x0123456789abcdefull

static const struct trib_wire_hello sample_hello = {
    .device = {"living-room", 11},
    .version = 1,
    .sdk = {"tributary/0.1.0", 15},
    .generation = 2,
    .boot = 7,
    .mono_ms = 123456,
    .streams = {{.stream = SAMPLE_VITAL, .next_seq = 12, .acked_seq = 11, .lane = TRIB_LANE_VITAL},
                {.stream = SAMPLE_ROUTINE,
                 .next_seq = 5000000000ull,
                 .acked_seq = 4999999000ull,
                 .lane = TRIB_LANE_ROUTINE}},
    .stream_count = 2,
    .acked_gateway = {"gw-1", 4},
    .acked_epoch = 0x8877665544332211ull,
    .config_version = 3,
};

static const struct trib_wire_hello sample_hello_first = {
    .device = {"d", 1},
    .version = 1,
    .boot = 1,
    .streams = {{.stream = 1, .next_seq = 1, .lane = TRIB_LANE_VITAL}},
    .stream_count = 1,
};

static const struct trib_wire_welcome sample_welcome = {
    .gateway = {"gw-1", 4},
    .epoch = 0x8877665544332211ull,
    .streams = {{SAMPLE_VITAL, 11, 0xdeadbeef}, {SAMPLE_ROUTINE, 0, 0}},
    .stream_count = 2,
    .utc_ms = 1700000000123ull,
    .utc_uncertainty_ms = 4,
    .utc_quality = TRIB_TIME_SYNCED,
    .credit = {10000, 1048576},
    .max_message_bytes = 262144,
    .max_event_bytes = 16384,
    .keepalive_ms = 25000,
    .config_version = 3,
};

static const struct trib_wire_welcome sample_welcome_no_time = {
    .gateway = {"gw-1", 4},
    .epoch = 1,
    .credit = {100, 65536},
    .max_message_bytes = 65536,
    .max_event_bytes = 4096,
    .keepalive_ms = 25000,
};

static const struct trib_wire_ack sample_ack = {
    .acked = {{SAMPLE_VITAL, 12}, {SAMPLE_ROUTINE, 5000000000ull}},
    .acked_count = 2,
    .credit = {10100, 1052576},
};

static const struct trib_wire_ack sample_ack_rejected = {
    .acked = {{SAMPLE_ROUTINE, 40}},
    .acked_count = 1,
    .rejected = {{SAMPLE_ROUTINE, 38, TRIB_REJECT_UNKNOWN_TYPE},
                 {SAMPLE_ROUTINE, 39, TRIB_REJECT_OUT_OF_RANGE}},
    .rejected_count = 2,
    .rejected_more = 5,
    .credit = {10100, 1052576},
};

static const struct trib_wire_nack sample_nack = {.stream = SAMPLE_ROUTINE, .expected = 41};

static const struct trib_wire_credit sample_credit = {.events = 20000, .bytes = 2097152};

static const struct trib_wire_bye sample_bye = {
    .reason = TRIB_BYE_DRAINING,
    .retry_after_ms = 1500,
    .alternates = {{"wss://gw-2.example:7443/v1", 26}, {"wss://gw-3.example:7443/v1", 26}},
    .alternate_count = 2,
    .text = {"the gateway is stopping", 23},
};

static const struct trib_wire_bye sample_bye_short = {.reason = TRIB_BYE_REPLACED};

/* {1: 60000} */
static const struct trib_wire_config sample_config = {
    .version = 4, .map = (const uint8_t *)"\xa1\x01\x19\xea\x60", .map_len = 5};

/* --- batches --- */

struct sample_fields {
    uint8_t bytes[96];
    size_t len;
};

struct sample_pair {
    unsigned field;
    uint64_t value;
};

static inline struct sample_fields sample_fields(size_t count, const struct sample_pair *pairs)
{
    struct sample_fields f;
    struct trib_cbor_writer w;

    trib_cbor_writer_init(&w, f.bytes, sizeof f.bytes);
    trib_cbor_put_map(&w, count);
    for (size_t i = 0; i < count; i++) {
        trib_cbor_put_uint(&w, pairs[i].field);
        trib_cbor_put_uint(&w, pairs[i].value);
    }
    f.len = w.len;
    return f;
}

#define PAIRS(...)                                                                                           \
    (sizeof((const struct sample_pair[]){__VA_ARGS__}) / sizeof(struct sample_pair)),                        \
        ((const struct sample_pair[]){__VA_ARGS__})

struct sample_event {
    unsigned lane, type;
    uint64_t mono_ms;
    struct sample_fields fields;
};

#define SAMPLE_SESSION_EVENTS 12

/* Two minutes of a player, as the SDK records them: start-up, pings each 10 s, a seek, a pause, the end. */
static inline void sample_session(struct sample_event out[SAMPLE_SESSION_EVENTS])
{
    const unsigned V = TRIB_LANE_VITAL, R = TRIB_LANE_ROUTINE;
    const struct sample_event events[SAMPLE_SESSION_EVENTS] = {
        {V, TRIB_EVENT_SESSION_START, 5000,
         sample_fields(
             PAIRS({TRIB_FIELD_STREAM_TYPE, TRIB_STREAM_TYPE_ON_DEMAND}, {TRIB_FIELD_DURATION_MS, 5400000}))},
        {R, TRIB_EVENT_PLAY, 5001, sample_fields(PAIRS({TRIB_FIELD_CAUSE, TRIB_CAUSE_USER}))},
        {R, TRIB_EVENT_PLAYING, 5841, sample_fields(PAIRS({TRIB_FIELD_STARTUP_MS, 840}))},
        {R, TRIB_EVENT_PING, 15841,
         sample_fields(PAIRS({TRIB_FIELD_PLAYED_MS, 10000}, {TRIB_FIELD_POSITION_MS, 10000}))},
        {R, TRIB_EVENT_PING, 25841,
         sample_fields(PAIRS({TRIB_FIELD_PLAYED_MS, 10000}, {TRIB_FIELD_POSITION_MS, 20000}))},
        {R, TRIB_EVENT_SEEK, 29100,
         sample_fields(
             PAIRS({TRIB_FIELD_FROM_MS, 23200}, {TRIB_FIELD_TO_MS, 600000}, {TRIB_FIELD_TOOK_MS, 310}))},
        {R, TRIB_EVENT_PING, 35841,
         sample_fields(PAIRS({TRIB_FIELD_PLAYED_MS, 9690}, {TRIB_FIELD_SEEKING_MS, 310},
                             {TRIB_FIELD_POSITION_MS, 606430}))},
        {R, TRIB_EVENT_PAUSE, 41230,
         sample_fields(PAIRS({TRIB_FIELD_CAUSE, TRIB_CAUSE_USER}, {TRIB_FIELD_POSITION_MS, 611819}))},
        {R, TRIB_EVENT_PING, 45841,
         sample_fields(PAIRS({TRIB_FIELD_PLAYED_MS, 5389}, {TRIB_FIELD_PAUSED_MS, 4611},
                             {TRIB_FIELD_POSITION_MS, 611819}))},
        {R, TRIB_EVENT_PING, 145841,
         sample_fields(PAIRS({TRIB_FIELD_PAUSED_MS, 100000}, {TRIB_FIELD_POSITION_MS, 611819}))},
        {V, TRIB_EVENT_FAVOURITE_ADD, 150000, {{0xa1, 0x17, 0x66, 'f', 'i', 'l', 'm', '-', '7'}, 9}},
        {V, TRIB_EVENT_SESSION_END, 151000,
         sample_fields(PAIRS({TRIB_FIELD_REASON, TRIB_REASON_QUIT}, {TRIB_FIELD_PLAYED_MS, 35079},
                             {TRIB_FIELD_PAUSED_MS, 109770}, {TRIB_FIELD_STARTUP_MS, 840},
                             {TRIB_FIELD_WATCHED_MS, 35079}))},
    };
    memcpy(out, events, sizeof events);
}

static inline int sample_batch_session(uint8_t *buf, size_t cap, size_t *out_len)
{
    const struct trib_wire_batch_head head = {
        .lanes = {{SAMPLE_VITAL, 12}, {SAMPLE_ROUTINE, 100}},
        .boot = 7,
        .mono_ms = 5000,
        .ord = 41,
        .anchors = {{7, 1000, 1700000000123ull, 4}},
        .anchor_count = 1,
    };
    const struct trib_wire_context context = {
        .session = 0x1122334455667788ull, .content = TEXT("film-7"), .user = TEXT("u1")};
    struct sample_event events[SAMPLE_SESSION_EVENTS];
    struct trib_wire_batch_writer b;

    sample_session(events);
    trib_wire_batch_open(&b, &head, buf, cap);
    trib_wire_batch_context(&b, 1, &context);
    for (size_t i = 0; i < SAMPLE_SESSION_EVENTS; i++)
        trib_wire_batch_event(&b, events[i].lane, events[i].type, events[i].mono_ms, 42 + i, 1,
                              events[i].fields.bytes, events[i].fields.len);
    return trib_wire_batch_close(&b, out_len);
}

/* One lane, a hole declared, an ord that leaps, a tombstone. */
static inline int sample_batch_drop(uint8_t *buf, size_t cap, size_t *out_len)
{
    const struct trib_wire_batch_head head = {
        .lanes = {{0, 0}, {SAMPLE_ROUTINE, 100}}, .boot = 8, .mono_ms = 0, .ord = 0};
    const struct sample_fields pause = sample_fields(PAIRS({TRIB_FIELD_CAUSE, TRIB_CAUSE_SYSTEM}));
    struct trib_wire_batch_writer b;

    trib_wire_batch_open(&b, &head, buf, cap);
    trib_wire_batch_drop(&b, TRIB_LANE_ROUTINE, 1000, TRIB_DROP_ROUTINE, TRIB_DROP_OVERFLOW);
    trib_wire_batch_event(&b, TRIB_LANE_ROUTINE, TRIB_EVENT_PAUSE, 70000, 1001, 0, pause.bytes, pause.len);
    trib_wire_batch_tombstone(&b, TRIB_LANE_ROUTINE, 70001);
    trib_wire_batch_event(&b, TRIB_LANE_ROUTINE, TRIB_EVENT_PLAY, 70001, 1003, 0, pause.bytes, pause.len);
    return trib_wire_batch_close(&b, out_len);
}

#endif
