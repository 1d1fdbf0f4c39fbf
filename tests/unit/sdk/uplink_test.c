/* The uplink against a gateway, a network and a clock that are all fake: no sleep, no socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tributary/uplink_state.h"
#include "websocket/digest.h"

#define STREAM 0x1122334455667788ull
#define QUEUE_BYTES (1u << 18)
#define HEAR_BYTES (1u << 16)
#define KEEPALIVE_MS 25000u
#define SOMETHING 0xA5

/* --- A world of one device and one gateway --- */

struct world {
    struct trib_uplink uplink;
    struct trib_uplink_config config;
    uint8_t transmit[2048], receive[2048];
    uint64_t now_ms;
    uint32_t next_ms;
    int last_error;
    char log[4096];

    /* network: bytes on their way to the device */
    uint8_t down[QUEUE_BYTES];
    size_t down_from, down_to;
    size_t cut_after;   /* the connection breaks after that many bytes to the device; SIZE_MAX: never */
    size_t piece;       /* most bytes a send or receive moves; 0: any */
    bool stutter;       /* each second call says TRIB_EAGAIN */
    bool send_blocked;  /* sends say TRIB_EAGAIN */
    size_t send_budget; /* bytes until they do so; SIZE_MAX: any */
    unsigned calls;
    int connect_result; /* once connect_delay calls are over */
    unsigned connect_delay;
    unsigned connects, closes;
    bool is_open;
    char host[64];
    const char *host_given;
    uint16_t port;
    uint64_t connected_at_ms;

    /* gateway */
    bool upgraded, mute, hold_acks;
    const char *answer; /* instead of 101 */
    uint8_t hear[HEAR_BYTES];
    size_t hear_len;
    struct trib_wire_welcome welcome;
    struct trib_wire_credit given, got; /* since WELCOME */
    uint64_t committed;
    unsigned hellos, batches, pongs, unacked;
    uint8_t pong[125];
    size_t pong_len;
    uint16_t close_code;
    uint32_t last_mask;
    unsigned same_masks;
    bool over_credit;

    /* the device's events: seq 1 to head */
    uint64_t head, next, acked;
    uint64_t events_a_batch;
    size_t event_bytes;
    unsigned welcomes, nacks, configs;
    int welcome_result, batch_result;

    uint64_t random;
    bool no_entropy;
};

static struct world *w;

static int fake_fill(void *context, uint8_t *out, size_t len)
{
    (void)context;
    for (size_t i = 0; i < len; i++) {
        uint64_t z = w->random += 0x9E3779B97F4A7C15ull; /* splitmix64 */
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
        z = (z ^ z >> 27) * 0x94D049BB133111EBull;
        out[i] = (uint8_t)(z >> 56);
    }
    return w->no_entropy ? TRIB_EIO : 0;
}

static void fake_log(void *context, enum trib_log_level level, const char *text)
{
    (void)context;
    (void)level;
    size_t len = strlen(w->log);
    if (len + strlen(text) + 2 > sizeof w->log)
        len = 0;
    snprintf(w->log + len, sizeof w->log - len, "%s\n", text);
}

/* --- gateway --- */

static void down(const void *data, size_t len)
{
    assert_true(w->down_to + len <= QUEUE_BYTES);
    memcpy(w->down + w->down_to, data, len);
    w->down_to += len;
}

static void say_frame(unsigned first, const void *data, size_t len)
{
    uint8_t head[4] = {(uint8_t)first, (uint8_t)len};
    if (len > 125) {
        head[1] = 126;
        head[2] = (uint8_t)(len >> 8);
        head[3] = (uint8_t)len;
    }
    down(head, len > 125 ? 4 : 2);
    down(data, len);
}

static void say(const uint8_t *data, size_t len)
{
    say_frame(0x82, data, len);
}

#define SAY(kind, message)                                                                                   \
    do {                                                                                                     \
        uint8_t buf_[1024];                                                                                  \
        size_t len_;                                                                                         \
        assert_int_equal(trib_wire_##kind##_encode(message, buf_, sizeof buf_, &len_), 0);                   \
        say(buf_, len_);                                                                                     \
    } while (0)

static void say_ack(void)
{
    struct trib_wire_ack ack = {.acked_count = 1, .acked = {{STREAM, w->committed}}, .credit = w->given};
    SAY(ack, &ack);
}

static void say_bye(unsigned reason, uint64_t retry_after_ms)
{
    struct trib_wire_bye bye = {.reason = reason, .retry_after_ms = retry_after_ms};
    SAY(bye, &bye);
}

static void hear_batch(const uint8_t *data, size_t len)
{
    /* [3, {first: count}]: enough for the uplink, which does not look inside */
    struct trib_cbor_reader r;
    trib_cbor_reader_init(&r, data, len);
    (void)trib_cbor_get_array(&r);
    (void)trib_cbor_get_uint(&r);
    (void)trib_cbor_get_map(&r);
    uint64_t first = trib_cbor_get_uint(&r), count = trib_cbor_get_uint(&r);
    assert_int_equal(r.error, 0);
    w->batches++;
    w->got.events += count;
    w->got.bytes += len;
    if (w->got.events > w->given.events || w->got.bytes > w->given.bytes)
        w->over_credit = true;
    if (first > w->committed + 1) {
        struct trib_wire_nack nack = {.stream = STREAM, .expected = w->committed + 1};
        SAY(nack, &nack);
        return;
    }
    if (first + count - 1 > w->committed)
        w->committed = first + count - 1;
    w->given.events += count;
    w->given.bytes += len;
    if (w->hold_acks)
        w->unacked++;
    else
        say_ack();
}

static void hear_message(const uint8_t *data, size_t len)
{
    uint64_t type;
    size_t body;
    assert_int_equal(trib_wire_open(data, len, &type, &body), 0);
    if (type == TRIB_WIRE_HELLO) {
        struct trib_wire_hello hello;
        assert_int_equal(trib_wire_hello_decode(data, len, &hello), 0);
        w->hellos++;
        w->given = w->welcome.credit;
        w->got = (struct trib_wire_credit){0};
        w->welcome.streams[0] = (struct trib_wire_stream_state){STREAM, w->committed, 0};
        w->welcome.stream_count = 1;
        if (!w->mute)
            SAY(welcome, &w->welcome);
    } else {
        assert_int_equal(type, TRIB_WIRE_BATCH);
        assert_true(w->hellos > 0);
        hear_batch(data, len);
    }
}

static void hear_upgrade(void)
{
    char *text = (char *)w->hear;
    w->hear[w->hear_len] = '\0';
    char *end = strstr(text, "\r\n\r\n");
    if (end == NULL)
        return;
    assert_memory_equal(text, "GET /v1 HTTP/1.1\r\n", 18);
    assert_non_null(strstr(text, "\r\nSec-WebSocket-Protocol: tributary.v1.cbor\r\n"));
    assert_non_null(strstr(text, "\r\nAuthorization: Bearer abc.def.ghi\r\n"));
    char *key = strstr(text, "Sec-WebSocket-Key: ") + 19;
    struct trib_ws_sha1 sha1;
    uint8_t digest[TRIB_WS_SHA1_BYTES];
    char accept[29] = "", answer[256];
    trib_ws_sha1_init(&sha1);
    trib_ws_sha1_update(&sha1, key, 24);
    trib_ws_sha1_update(&sha1, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", 36);
    trib_ws_sha1_finish(&sha1, digest);
    trib_ws_base64(digest, sizeof digest, accept);
    snprintf(answer, sizeof answer,
             "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: tributary.v1.cbor\r\n\r\n",
             accept);
    if (w->answer != NULL)
        down(w->answer, strlen(w->answer));
    else if (!w->mute)
        down(answer, strlen(answer));
    w->upgraded = true;
    assert_int_equal(end + 4 - text, w->hear_len); /* nothing is sent before the upgrade was granted */
    w->hear_len = 0;
}

/* One whole frame at the front of `hear`; returns its bytes, or 0. */
static size_t hear_frame(void)
{
    size_t head = 2, len, n = w->hear_len;
    uint8_t *p = w->hear, *mask;
    if (n < 2)
        return 0;
    assert_true((p[1] & 0x80) != 0); /* §5.3 */
    len = p[1] & 0x7F;
    if (len == 126 && n >= 4) {
        len = (size_t)p[2] << 8 | p[3];
        head = 4;
    } else if (len >= 126) {
        return 0;
    }
    if (n < head + 4 + len)
        return 0;
    mask = p + head;
    uint32_t value = (uint32_t)mask[0] << 24 | (uint32_t)mask[1] << 16 | (uint32_t)mask[2] << 8 | mask[3];
    w->same_masks += value == w->last_mask;
    w->last_mask = value;
    uint8_t *body = mask + 4;
    for (size_t i = 0; i < len; i++)
        body[i] ^= mask[i % 4];
    if (p[0] == 0x82) {
        hear_message(body, len);
    } else if (p[0] == 0x8A) {
        w->pongs++;
        w->pong_len = len;
        memcpy(w->pong, body, len);
    } else {
        assert_int_equal(p[0], 0x88);
        w->close_code = (uint16_t)(body[0] << 8 | body[1]);
    }
    return head + 4 + len;
}

static void gateway_hears(void)
{
    size_t used;
    if (!w->upgraded) {
        hear_upgrade();
        return;
    }
    while ((used = hear_frame()) > 0) {
        memmove(w->hear, w->hear + used, w->hear_len - used);
        w->hear_len -= used;
    }
}

/* --- network --- */

static bool stutters(void)
{
    return w->stutter && w->calls++ % 2 == 0;
}

static int fake_connect(void *context, const char *host, uint16_t port)
{
    (void)context;
    if (w->connect_delay > 0) {
        w->connect_delay--;
        return TRIB_EAGAIN;
    }
    w->connects++;
    w->connected_at_ms = w->now_ms;
    w->host_given = host;
    snprintf(w->host, sizeof w->host, "%s", host);
    w->port = port;
    w->is_open = w->connect_result == 0;
    w->down_from = w->down_to = w->hear_len = 0;
    w->upgraded = false;
    return w->connect_result;
}

static int fake_send(void *context, const uint8_t *data, size_t len)
{
    (void)context;
    assert_true(w->is_open);
    assert_true(len > 0);
    if (w->send_blocked || w->send_budget == 0 || stutters())
        return TRIB_EAGAIN;
    size_t count = w->piece != 0 && len > w->piece ? w->piece : len;
    if (count > w->send_budget)
        count = w->send_budget;
    if (w->send_budget != SIZE_MAX)
        w->send_budget -= count;
    assert_true(w->hear_len + count < HEAR_BYTES);
    memcpy(w->hear + w->hear_len, data, count);
    w->hear_len += count;
    gateway_hears();
    return (int)count;
}

static int fake_receive(void *context, uint8_t *out, size_t capacity)
{
    (void)context;
    assert_true(w->is_open);
    assert_true(capacity > 0);
    size_t count = w->down_to - w->down_from;
    if (w->down_from >= w->cut_after)
        return TRIB_ECLOSED;
    if (count == 0 || stutters())
        return TRIB_EAGAIN;
    if (count > capacity)
        count = capacity;
    if (w->piece != 0 && count > w->piece)
        count = w->piece;
    if (count > w->cut_after - w->down_from)
        count = w->cut_after - w->down_from;
    memcpy(out, w->down + w->down_from, count);
    w->down_from += count;
    return (int)count;
}

static void fake_close(void *context)
{
    (void)context;
    if (w->is_open)
        assert_string_equal(w->host_given, w->host); /* it must stay valid until now */
    w->closes++;
    w->is_open = false;
}

/* --- the device's source --- */

static void source_hello(void *context, struct trib_wire_hello *out)
{
    (void)context;
    out->device = (struct trib_text){"device-1", 8};
    out->sdk = (struct trib_text){"test", 4};
    out->version = TRIB_WIRE_VERSION;
    out->stream_count = 1;
    out->streams[0] =
        (struct trib_wire_hello_stream){.stream = STREAM, .next_seq = w->head + 1, .acked_seq = w->acked};
}

static int source_welcome(void *context, const struct trib_wire_welcome *welcome)
{
    (void)context;
    w->welcomes++;
    w->acked = welcome->streams[0].committed;
    w->next = w->acked + 1;
    return w->welcome_result;
}

static int source_batch(void *context, uint8_t *buf, size_t cap, uint64_t max_events, size_t *out_len,
                        uint64_t *out_events)
{
    (void)context;
    static const uint8_t filler[1024] = {SOMETHING};
    uint64_t count = w->head + 1 - w->next;
    count = count < w->events_a_batch ? count : w->events_a_batch;
    count = count < max_events ? count : max_events;
    while (count > 0 && 40 + count * w->event_bytes > cap)
        count--;
    *out_len = 0;
    if (w->batch_result != 0 || count == 0)
        return w->batch_result;
    struct trib_cbor_writer writer;
    trib_cbor_writer_init(&writer, buf, cap);
    trib_cbor_put_array(&writer, 2);
    trib_cbor_put_uint(&writer, TRIB_WIRE_BATCH);
    trib_cbor_put_map(&writer, 2);
    trib_cbor_put_uint(&writer, w->next);
    trib_cbor_put_uint(&writer, count);
    trib_cbor_put_uint(&writer, 0);
    trib_cbor_put_bytes(&writer, filler, (size_t)count * w->event_bytes);
    assert_int_equal(writer.error, 0);
    w->next += count;
    *out_len = writer.len;
    *out_events = count;
    return 0;
}

static void source_ack(void *context, const struct trib_wire_ack *ack)
{
    (void)context;
    assert_true(ack->acked[0].seq >= w->acked);
    w->acked = ack->acked[0].seq;
}

static void source_nack(void *context, const struct trib_wire_nack *nack)
{
    (void)context;
    w->nacks++;
    w->next = nack->expected;
}

static void source_config(void *context, const struct trib_wire_config *config)
{
    (void)context;
    w->configs += config->version == 7;
}

/* --- driving --- */

static int setup(void **state)
{
    w = calloc(1, sizeof *w);
    *state = w;
    w->now_ms = 1000000;
    w->random = 1;
    w->cut_after = w->send_budget = SIZE_MAX;
    w->events_a_batch = 8;
    w->event_bytes = 20;
    w->welcome = (struct trib_wire_welcome){.gateway = {"gw", 2},
                                            .epoch = 9,
                                            .credit = {1000000, 100000000},
                                            .max_message_bytes = 65536,
                                            .max_event_bytes = 4096,
                                            .keepalive_ms = KEEPALIVE_MS};
    w->config = (struct trib_uplink_config){
        .host = "gate.example",
        .port = 8443,
        .token = "abc.def.ghi",
        .net = {NULL, fake_connect, fake_send, fake_receive, fake_close},
        .entropy = {NULL, fake_fill},
        .log = {NULL, fake_log},
        .source = {NULL, source_hello, source_welcome, source_batch, source_ack, source_nack, source_config},
        .transmit = w->transmit,
        .transmit_bytes = sizeof w->transmit,
        .receive = w->receive,
        .receive_bytes = sizeof w->receive,
        .backoff_min_ms = 1000,
        .backoff_max_ms = 60000,
    };
    trib_uplink_init(&w->uplink, &w->config);
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

/* The same again from the start, with other random bytes. */
static void renew(void **state)
{
    uint64_t random = w->random;
    teardown(state);
    setup(state);
    w->random = random + 77;
}

static enum trib_uplink_phase phase(void)
{
    return trib_uplink_get_phase(&w->uplink);
}

static int poll_once(void)
{
    int error = trib_uplink_poll(&w->uplink, w->now_ms, &w->next_ms);
    if (error != 0)
        w->last_error = error;
    return error;
}

/* Polls as an app would, for that long. */
static void run_ms(uint64_t ms)
{
    uint64_t until = w->now_ms + ms;
    unsigned rounds = 0;
    for (;;) {
        (void)poll_once();
        assert_true(++rounds < 200000);
        uint64_t next = w->now_ms + w->next_ms;
        if (next > until)
            break;
        w->now_ms = next;
    }
    w->now_ms = until;
}

static void go_online(void)
{
    run_ms(1000);
    assert_int_equal(phase(), TRIB_UPLINK_STREAM);
}

/* Polls until the connection in work ended; returns the error. */
static int run_until_offline(uint64_t limit_ms)
{
    uint64_t until = w->now_ms + limit_ms;
    while (w->now_ms <= until) {
        int error = poll_once();
        if (error != 0)
            return error;
        w->now_ms += w->next_ms != 0 ? w->next_ms : 1;
    }
    return 0;
}

/* --- tests --- */

static void test_hello_comes_first_and_all_events_are_acked(void **state)
{
    (void)state;
    w->head = 500;
    run_ms(5000);
    assert_int_equal(phase(), TRIB_UPLINK_STREAM);
    assert_int_equal(w->hellos, 1);
    assert_int_equal(w->welcomes, 1);
    assert_int_equal(w->acked, 500);
    assert_int_equal(w->committed, 500);
    assert_int_equal(w->same_masks, 0);
    assert_int_equal(w->connects, 1);
    assert_string_equal(w->host, "gate.example");
    assert_int_equal(w->port, 8443);
}

static void test_short_sends_and_receives_change_nothing(void **state)
{
    (void)state;
    for (size_t piece = 1; piece < 40; piece++) {
        w->head = 60;
        w->piece = piece;
        w->stutter = piece % 2 == 1;
        for (int i = 0; i < 4000; i++, w->now_ms++)
            assert_int_equal(poll_once(), 0);
        assert_int_equal(w->acked, 60);
        assert_int_equal(w->connects, 1);
        renew(state);
    }
}

static void test_several_batches_are_in_flight(void **state)
{
    (void)state;
    w->head = 100;
    w->hold_acks = true;
    run_ms(5000);
    assert_int_equal(w->batches, 13);
    assert_int_equal(w->acked, 0);
    say_ack();
    run_ms(1000);
    assert_int_equal(w->acked, 100);
}

static void test_credit_in_events_is_never_passed(void **state)
{
    (void)state;
    w->head = 1000;
    w->hold_acks = true;
    w->welcome.credit.events = 21;
    run_ms(5000);
    assert_int_equal(w->got.events, 21);
    /* CREDIT alone lets more through, and an older one takes nothing back. */
    w->given.events = 30;
    SAY(credit, &w->given);
    struct trib_wire_credit older = {5, 5};
    SAY(credit, &older);
    run_ms(5000);
    assert_int_equal(w->got.events, 30);
    w->hold_acks = false;
    w->given.events = 40;
    say_ack();
    run_ms(60000);
    assert_int_equal(w->acked, 1000);
    assert_false(w->over_credit);
}

static void test_credit_counts_from_each_welcome_anew(void **state)
{
    (void)state;
    w->head = 1000;
    w->hold_acks = true;
    w->welcome.credit.events = 21;
    run_ms(5000);
    assert_int_equal(w->got.events, 21);
    w->cut_after = 0;
    assert_int_equal(run_until_offline(10000), TRIB_ECLOSED);
    w->cut_after = SIZE_MAX;
    run_ms(5000);
    assert_int_equal(w->got.events, 21);
    assert_int_equal(w->committed, 42);
    assert_false(w->over_credit);
}

static void test_credit_in_bytes_is_never_passed(void **state)
{
    (void)state;
    for (uint64_t bytes = 0; bytes < 900; bytes += 37) {
        w->head = 300;
        w->hold_acks = true;
        w->welcome.credit.bytes = bytes;
        run_ms(3000);
        assert_true(w->got.bytes <= bytes);
        assert_true(w->got.bytes + 250 >= bytes);
        assert_false(w->over_credit);
        renew(state);
    }
}

static void test_message_limit_of_the_gateway_is_kept(void **state)
{
    (void)state;
    w->head = 300;
    w->welcome.max_message_bytes = 100;
    w->hold_acks = true;
    run_ms(60000);
    assert_int_equal(w->batches, 100); /* 3 events of 20 bytes fit into 100 */
}

static void test_nack_goes_back_and_endless_nacks_end_the_connection(void **state)
{
    (void)state;
    go_online();
    w->head = 30;
    w->next = 11; /* a hole */
    run_ms(1000);
    assert_true(w->nacks > 0);
    assert_int_equal(w->acked, 30);
    uint8_t buf[64];
    size_t len;
    struct trib_wire_nack nack = {STREAM, 31};
    assert_int_equal(trib_wire_nack_encode(&nack, buf, sizeof buf, &len), 0);
    for (int i = 0; i < 64; i++)
        say(buf, len);
    assert_int_equal(run_until_offline(1000), TRIB_EPROTOCOL);
}

static void test_ping_is_answered_with_its_payload(void **state)
{
    (void)state;
    go_online();
    uint8_t text[125];
    memset(text, 'p', sizeof text);
    say_frame(0x89, text, sizeof text);
    run_ms(10000);
    assert_int_equal(w->pongs, 1);
    assert_int_equal(w->pong_len, sizeof text);
    assert_memory_equal(w->pong, text, sizeof text);
    say_frame(0x89, "", 0);
    run_ms(10000);
    assert_int_equal(w->pongs, 2);
    assert_int_equal(w->pong_len, 0);
}

static void test_pong_does_not_tear_a_batch_that_is_half_sent(void **state)
{
    (void)state;
    go_online();
    w->piece = 7;
    w->stutter = true;
    w->head = 2000;
    for (int i = 0; i < 3000; i++) {
        if (i % 10 == 0 && w->down_to < QUEUE_BYTES / 2)
            say_frame(0x89, "12345", 5);
        (void)poll_once();
        w->now_ms++;
    }
    assert_int_equal(w->last_error, 0);
    assert_true(w->pongs > 50);
    assert_true(w->batches > 20);
    assert_memory_equal(w->pong, "12345", 5);
}

static void test_newest_ping_is_answered_when_sending_was_blocked(void **state)
{
    (void)state;
    go_online();
    w->send_blocked = true;
    say_frame(0x89, "old", 3);
    say_frame(0x89, "new", 3);
    run_ms(100);
    w->send_blocked = false;
    run_ms(100);
    assert_int_equal(w->pongs, 1);
    assert_memory_equal(w->pong, "new", 3);
}

static void test_pong_that_is_half_sent_is_not_overwritten(void **state)
{
    (void)state;
    go_online();
    w->send_budget = 7;
    say_frame(0x89, "first", 5);
    run_ms(0);
    say_frame(0x89, "second", 6);
    run_ms(0);
    w->send_budget = SIZE_MAX;
    run_ms(100);
    assert_int_equal(w->pongs, 1);
    assert_memory_equal(w->pong, "first", 5);
    say_frame(0x89, "third", 5);
    run_ms(100);
    assert_memory_equal(w->pong, "third", 5);
}

static void test_silence_of_two_and_a_half_intervals_closes(void **state)
{
    (void)state;
    w->welcome.keepalive_ms = 10000;
    run_ms(0);
    assert_int_equal(phase(), TRIB_UPLINK_STREAM);
    uint64_t start = w->now_ms;
    run_ms(24000);
    say_frame(0x89, "", 0); /* a sign of life starts the count again */
    run_ms(0);
    assert_int_equal(phase(), TRIB_UPLINK_STREAM);
    assert_int_equal(run_until_offline(100000), TRIB_ETIMEOUT);
    assert_int_equal(w->now_ms - start, 24000 + 25000);
    assert_int_equal(w->close_code, TRIB_WS_CLOSE_GOING_AWAY);
}

static void test_app_that_cannot_see_sockets_still_answers_in_time(void **state)
{
    (void)state;
    go_online();
    assert_true(w->next_ms <= KEEPALIVE_MS / 2);
    w->hold_acks = true;
    w->head = 1;
    run_ms(w->next_ms);
    assert_int_equal(w->batches, 1);
    assert_true(w->next_ms <= 200); /* an ack is awaited */
}

static void test_fragmented_and_unknown_messages(void **state)
{
    (void)state;
    go_online();
    w->head = 5;
    w->hold_acks = true;
    run_ms(6300);
    struct trib_wire_ack ack = {.acked_count = 1, .acked = {{STREAM, 5}}, .credit = w->given};
    uint8_t buf[256];
    size_t len;
    assert_int_equal(trib_wire_ack_encode(&ack, buf, sizeof buf, &len), 0);
    say_frame(0x02, buf, 3);
    say_frame(0x89, "mid", 3);
    for (size_t i = 3; i < len; i++)
        say_frame(i + 1 == len ? 0x80 : 0x00, buf + i, 1);
    say((const uint8_t *)"\x82\x18\x63\xA1\x01\x02", 6); /* [99, {1: 2}] */
    say((const uint8_t *)"\x83\x18\x63\xA0\x01", 5);     /* [99, {}, 1] */
    run_ms(100);
    assert_int_equal(w->acked, 5);
    assert_int_equal(w->pongs, 1);
    assert_int_equal(phase(), TRIB_UPLINK_STREAM);
}

static void test_config_is_handed_on(void **state)
{
    (void)state;
    go_online();
    struct trib_wire_config config = {.version = 7, .map = (const uint8_t *)"\xA0", .map_len = 1};
    SAY(config, &config);
    run_ms(100);
    assert_int_equal(w->configs, 1);
}

static void test_garbage_of_the_gateway_ends_the_connection_and_it_recovers(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        int error;
        unsigned close_code;
    } cases[] = {
        {"\x82\x05\x37\xfa\x21\x3d\x7f", 7, TRIB_EPROTOCOL, 1002}, /* not a message */
        {"\x82\x00", 2, TRIB_EPROTOCOL, 1002},                     /* empty */
        {"\x82\x81\x00\x00\x00\x00\x80", 7, TRIB_EPROTOCOL, 1002}, /* masked */
        {"\x81\x02hi", 4, TRIB_EPROTOCOL, 1003},                   /* text */
        {"\xC2\x02hi", 4, TRIB_EPROTOCOL, 1002},                   /* compressed */
        {"\x82\x7F\x00\x00\x00\x01\x00\x00\x00\x00", 10, TRIB_ESPACE, 1009},
        {"\x82\x03\x82\x01\xA0", 5, TRIB_EPROTOCOL, 1002}, /* HELLO from a gateway */
        {"\x88\x02\x03\xE9", 4, TRIB_ECLOSED, 1000},
        {"\x88\x00", 2, TRIB_ECLOSED, 1000},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        w->head += 100;
        run_ms(120000);
        assert_int_equal(phase(), TRIB_UPLINK_STREAM);
        assert_int_equal(w->acked, w->head);
        w->close_code = 0;
        down(cases[i].bytes, cases[i].len);
        assert_int_equal(run_until_offline(30000), cases[i].error);
        assert_int_equal(w->close_code, cases[i].close_code);
        assert_false(w->is_open);
    }
}

static void test_random_garbage_never_hurts(void **state)
{
    (void)state;
    w->head = 40;
    for (int round = 0; round < 4000; round++) {
        uint8_t noise[64];
        assert_int_equal(fake_fill(NULL, noise, sizeof noise), 0);
        size_t len = 4 + noise[63] % 60;
        if (round % 2 == 0) { /* half of it reaches the message decoders */
            noise[0] = 0x82;
            noise[1] = (uint8_t)(len > 2 ? len - 2 : 0);
            noise[2] = 0x82;
            noise[3] %= 9;
        }
        w->uplink.attempts = 0;
        run_ms(3000);
        if (phase() == TRIB_UPLINK_STREAM)
            down(noise, len);
        run_ms(10);
        if (phase() == TRIB_UPLINK_REFUSED)
            w->uplink.retry_at_ms = w->now_ms; /* a BYE by chance */
    }
    assert_true(w->welcomes > 500);
}

static void test_cut_at_every_byte_of_a_conversation_recovers(void **state)
{
    (void)state;
    w->head = 40;
    run_ms(2000);
    size_t whole = w->down_to;
    assert_true(whole > 150);
    for (size_t cut = 0; cut < whole; cut++) {
        renew(state);
        w->head = 40;
        w->cut_after = cut;
        assert_int_equal(run_until_offline(3000), TRIB_ECLOSED);
        assert_false(w->is_open);
        w->cut_after = SIZE_MAX;
        run_ms(5000);
        assert_int_equal(w->acked, 40);
        assert_int_equal(w->connects, 2);
    }
}

static void test_timeouts_of_each_phase(void **state)
{
    (void)state;
    w->connect_delay = UINT32_MAX;
    assert_int_equal(run_until_offline(40000), TRIB_ETIMEOUT);
    w->connect_delay = 0;
    w->mute = true;
    assert_int_equal(run_until_offline(40000), TRIB_ETIMEOUT); /* no answer to the upgrade */
    assert_int_equal(w->hellos, 0);
}

static void test_welcome_must_come_in_time(void **state)
{
    (void)state;
    run_ms(0);
    assert_int_equal(phase(), TRIB_UPLINK_STREAM);
    say_bye(TRIB_BYE_UNAVAILABLE, 0);
    (void)run_until_offline(1000);
    w->piece = 1; /* byte by byte, so that the gateway falls silent after the upgrade */
    while (phase() != TRIB_UPLINK_HELLO) {
        (void)poll_once();
        w->now_ms += w->next_ms;
        w->mute = phase() == TRIB_UPLINK_UPGRADE && w->upgraded;
    }
    w->mute = true;
    w->down_to = w->down_from;
    uint64_t start = w->now_ms;
    assert_int_equal(run_until_offline(40000), TRIB_ETIMEOUT);
    assert_in_range(w->now_ms - start, 14000, 16000);
}

static void test_fatal_answers_wait_for_hours(void **state)
{
    (void)state;
    static const struct {
        unsigned bye;
        const char *answer;
        int error;
    } cases[] = {{TRIB_BYE_VERSION, NULL, TRIB_EVERSION},
                 {TRIB_BYE_BLOCKED, NULL, TRIB_EAUTH},
                 {TRIB_BYE_AUTH, NULL, TRIB_EAUTH},
                 {0, "HTTP/1.1 401 Unauthorized\r\n\r\n", TRIB_EAUTH},
                 {0, "HTTP/1.1 403 Forbidden\r\n\r\n", TRIB_EAUTH}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        renew(state);
        w->answer = cases[i].answer;
        if (cases[i].bye != 0) {
            (void)poll_once();
            say_bye(cases[i].bye, 0);
        }
        assert_int_equal(run_until_offline(1000), cases[i].error);
        assert_int_equal(phase(), TRIB_UPLINK_REFUSED);
        assert_in_range(w->next_ms, 3600000, 5400000);
        unsigned before = w->connects;
        uint64_t due = w->now_ms + w->next_ms;
        w->answer = NULL;
        trib_uplink_wake(&w->uplink);
        run_ms(3599000);
        assert_int_equal(w->connects, before);
        run_ms(due - w->now_ms);
        assert_int_equal(w->connects, before + 1); /* and then it tries again */
        assert_int_equal(phase(), TRIB_UPLINK_STREAM);
    }
}

static void test_new_events_never_cut_a_backoff_short(void **state)
{
    (void)state;
    w->connect_result = TRIB_EIO;
    for (int i = 0; i < 12; i++) {
        assert_int_equal(run_until_offline(70000), TRIB_EIO);
        uint64_t due = w->now_ms + w->next_ms;
        unsigned before = w->connects;
        for (uint64_t ms = 1; ms < w->next_ms && ms < 500; ms++) {
            uint32_t next;
            w->head++;
            trib_uplink_wake(&w->uplink);
            assert_int_equal(trib_uplink_poll(&w->uplink, w->now_ms + ms, &next), 0);
            assert_int_equal(next, due - w->now_ms - ms);
        }
        assert_int_equal(w->connects, before);
        w->now_ms = due;
    }
}

static void test_retry_after_is_honoured_and_spread(void **state)
{
    (void)state;
    uint64_t earliest = UINT64_MAX, latest = 0;
    for (int i = 0; i < 300; i++) {
        renew(state);
        if (i % 2 == 0) {
            w->answer = "HTTP/1.1 503 Busy\r\nRetry-After: 20\r\n\r\n";
        } else {
            (void)poll_once();
            say_bye(TRIB_BYE_DRAINING, 20000);
        }
        assert_true(run_until_offline(1000) != 0);
        assert_int_equal(phase(), TRIB_UPLINK_IDLE);
        assert_true(w->next_ms >= 20000);
        earliest = w->next_ms < earliest ? w->next_ms : earliest;
        latest = w->next_ms > latest ? w->next_ms : latest;
    }
    assert_in_range(earliest, 20000, 21000);
    assert_in_range(latest, 29000, 31000);
}

/* A gateway restarts and 2,000 devices come back: no second may see a crowd. */
static void test_backoff_spreads_a_herd(void **state)
{
    (void)state;
    enum { DEVICES = 2000, FAILURES = 6, BUCKETS = 32 };
    unsigned buckets[BUCKETS] = {0};
    const uint64_t window = 1000u << (FAILURES - 1); /* 32 s */
    for (int i = 0; i < DEVICES; i++) {
        renew(state);
        w->random = (uint64_t)i << 32;
        w->connect_result = TRIB_EIO;
        for (int k = 0; k < FAILURES; k++)
            assert_int_equal(run_until_offline(70000), TRIB_EIO);
        assert_true(w->next_ms <= window);
        buckets[(uint64_t)w->next_ms * BUCKETS / (window + 1)]++;
    }
    double chi = 0;
    for (int i = 0; i < BUCKETS; i++) {
        double expected = (double)DEVICES / BUCKETS, d = buckets[i] - expected;
        chi += d * d / expected;
    }
    print_message("herd: chi-squared %.1f over %d buckets\n", chi, BUCKETS);
    assert_true(chi < 70); /* 31 degrees of freedom: beyond 61 one time in a thousand */
}

static void test_window_doubles_up_to_its_limit_and_a_success_resets_it(void **state)
{
    (void)state;
    uint64_t most[10] = {0};
    for (int i = 0; i < 200; i++) {
        renew(state);
        w->connect_result = TRIB_EIO;
        for (int k = 0; k < 10; k++) {
            (void)run_until_offline(70000);
            most[k] = w->next_ms > most[k] ? w->next_ms : most[k];
        }
    }
    for (int k = 0; k < 10; k++) {
        uint64_t window = 1000ull << k < 60000 ? 1000ull << k : 60000;
        assert_in_range(most[k], window * 9 / 10, window);
    }
    w->connect_result = 0;
    w->head = 1;
    run_ms(61000);
    assert_int_equal(w->acked, 1);
    say_frame(0x88, "", 0);
    assert_int_equal(run_until_offline(10000), TRIB_ECLOSED);
    assert_true(w->next_ms <= 1000);
}

/* Accepted, welcomed, thrown out at once: without an ack that is a failure like any other. */
static void test_welcome_alone_does_not_reset_the_backoff(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++) {
        w->now_ms += w->next_ms;
        (void)poll_once();
        assert_int_equal(phase(), TRIB_UPLINK_STREAM);
        say_bye(TRIB_BYE_PROTOCOL, 0);
        assert_int_equal(run_until_offline(1000), TRIB_EPROTOCOL);
    }
    assert_int_equal(w->uplink.attempts, 8);
}

static void test_replaced_stays_away_for_long(void **state)
{
    (void)state;
    uint64_t most = 0;
    for (int i = 0; i < 100; i++) {
        renew(state);
        (void)poll_once();
        say_bye(TRIB_BYE_REPLACED, 0);
        assert_int_equal(run_until_offline(1000), TRIB_EBUSY);
        most = w->next_ms > most ? w->next_ms : most;
    }
    assert_in_range(most, 50000, 60000);
}

static void drain_to(const char *const *alternates, size_t count)
{
    struct trib_wire_bye bye = {
        .reason = TRIB_BYE_DRAINING, .retry_after_ms = 50000, .alternate_count = count};
    for (size_t i = 0; i < count; i++)
        bye.alternates[i] = (struct trib_text){alternates[i], strlen(alternates[i])};
    SAY(bye, &bye);
    assert_int_equal(run_until_offline(1000), TRIB_ECLOSED);
}

static void test_alternates_are_tried_in_turn_and_then_home(void **state)
{
    (void)state;
    static const char *const list[] = {"bad", "one.example:1001", "[fd00::2]:1002", "x:0"};
    go_online();
    uint64_t start = w->now_ms;
    drain_to(list, 4);
    w->connect_result = TRIB_EIO;
    assert_int_equal(run_until_offline(10000), TRIB_EIO);
    assert_string_equal(w->host, "one.example");
    assert_int_equal(w->port, 1001);
    assert_true(w->now_ms - start < 1500);
    assert_int_equal(run_until_offline(10000), TRIB_EIO);
    assert_string_equal(w->host, "fd00::2");
    assert_int_equal(w->port, 1002);
    assert_true(w->now_ms - start < 10000);
    w->connect_result = 0;
    w->head = 3;
    while (phase() != TRIB_UPLINK_STREAM || w->acked < 3)
        run_ms(100);
    assert_string_equal(w->host, "gate.example");
    assert_int_equal(w->port, 8443);
    assert_true(w->connected_at_ms - start >= 50000); /* home asked for that */
    assert_int_equal(w->acked, 3);
}

static void test_alternate_that_works_is_kept_until_it_ends(void **state)
{
    (void)state;
    static const char *const list[] = {"one.example:1001", "two.example:1002"};
    go_online();
    drain_to(list, 2);
    w->head = 9;
    run_ms(20000);
    assert_int_equal(phase(), TRIB_UPLINK_STREAM);
    assert_string_equal(w->host, "one.example");
    assert_int_equal(w->acked, 9);
    /* It drains too, and its list replaces the old one while the connection is open. */
    static const char *const other[] = {"three.example:1003"};
    drain_to(other, 1);
    run_ms(20000);
    assert_string_equal(w->host, "three.example");
    w->cut_after = 0;
    assert_int_equal(run_until_offline(10000), TRIB_ECLOSED);
    w->cut_after = SIZE_MAX;
    run_ms(20000);
    assert_string_equal(w->host, "gate.example");
    assert_int_equal(phase(), TRIB_UPLINK_STREAM);
}

static void test_refusal_of_an_alternate_is_not_the_last_word(void **state)
{
    (void)state;
    static const char *const list[] = {"one.example:1001"};
    go_online();
    drain_to(list, 1);
    w->answer = "HTTP/1.1 403 Forbidden\r\n\r\n";
    assert_int_equal(run_until_offline(10000), TRIB_EAUTH);
    assert_int_equal(phase(), TRIB_UPLINK_IDLE);
    w->answer = NULL;
    run_ms(120000);
    assert_string_equal(w->host, "gate.example");
    assert_int_equal(phase(), TRIB_UPLINK_STREAM);
}

static void test_source_errors_end_the_connection(void **state)
{
    (void)state;
    w->welcome_result = TRIB_EDAMAGED;
    assert_int_equal(run_until_offline(1000), TRIB_EDAMAGED);
    w->welcome_result = 0;
    w->head = 1;
    w->batch_result = TRIB_EIO;
    w->now_ms += w->next_ms;
    assert_int_equal(run_until_offline(5000), TRIB_EIO);
    w->batch_result = 0;
    run_ms(10000);
    assert_int_equal(w->acked, 1);
}

static void test_without_entropy_nothing_is_sent(void **state)
{
    (void)state;
    w->no_entropy = true;
    assert_int_equal(run_until_offline(1000), TRIB_EIO);
    assert_int_equal(w->hear_len, 0);
    assert_int_equal(w->next_ms, 1000); /* and the wait is the whole window */
}

static void test_close_says_goodbye_and_poll_connects_again(void **state)
{
    (void)state;
    go_online();
    trib_uplink_close(&w->uplink, w->now_ms);
    assert_int_equal(w->close_code, TRIB_WS_CLOSE_GOING_AWAY);
    assert_false(w->is_open);
    trib_uplink_close(&w->uplink, w->now_ms);
    assert_int_equal(w->closes, 1);
    go_online();
    /* but closing does not cut a backoff short */
    w->cut_after = 0;
    (void)run_until_offline(10000);
    uint64_t due = w->uplink.retry_at_ms;
    trib_uplink_close(&w->uplink, w->now_ms);
    assert_int_equal(w->uplink.retry_at_ms, due);
}

static void test_poll_is_bounded_under_a_flood(void **state)
{
    (void)state;
    go_online();
    for (int i = 0; i < 20000; i++)
        say_frame(0x8A, "12345678", 8);
    size_t before = w->down_from;
    assert_int_equal(poll_once(), 0);
    assert_true(w->down_from - before <= 16 * 256);
    assert_int_equal(w->next_ms, 0);
    w->head = 100000;
    w->down_from = w->down_to;
    unsigned batches = w->batches;
    assert_int_equal(poll_once(), 0);
    assert_in_range(w->batches - batches, 1, 8);
    assert_int_equal(w->next_ms, 0);
}

static void test_small_buffers_work(void **state)
{
    (void)state;
    w->config.transmit_bytes = 1024;
    w->config.receive_bytes = 1024;
    trib_uplink_init(&w->uplink, &w->config);
    w->head = 300;
    w->events_a_batch = 1000;
    run_ms(10000);
    assert_int_equal(w->acked, 300);
    for (size_t bytes = 0; bytes < 400; bytes++) { /* too small for its work: an error, never an overrun */
        w->config.transmit_bytes = bytes;
        trib_uplink_init(&w->uplink, &w->config);
        (void)run_until_offline(100);
        w->now_ms += 100000;
    }
}

static void test_log_says_what_happened_and_what_comes(void **state)
{
    (void)state;
    w->answer = "HTTP/1.1 404 Not Found\r\n\r\n";
    (void)run_until_offline(1000);
    assert_non_null(strstr(w->log, "uplink: the upgrade was not granted: HTTP status 404"));
    assert_non_null(strstr(w->log, "ms to the next attempt"));
    assert_null(strstr(w->log, "abc.def")); /* never the token */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_hello_comes_first_and_all_events_are_acked),
        TEST(test_short_sends_and_receives_change_nothing),
        TEST(test_several_batches_are_in_flight),
        TEST(test_credit_in_events_is_never_passed),
        TEST(test_credit_counts_from_each_welcome_anew),
        TEST(test_credit_in_bytes_is_never_passed),
        TEST(test_message_limit_of_the_gateway_is_kept),
        TEST(test_nack_goes_back_and_endless_nacks_end_the_connection),
        TEST(test_ping_is_answered_with_its_payload),
        TEST(test_pong_does_not_tear_a_batch_that_is_half_sent),
        TEST(test_newest_ping_is_answered_when_sending_was_blocked),
        TEST(test_pong_that_is_half_sent_is_not_overwritten),
        TEST(test_silence_of_two_and_a_half_intervals_closes),
        TEST(test_app_that_cannot_see_sockets_still_answers_in_time),
        TEST(test_fragmented_and_unknown_messages),
        TEST(test_config_is_handed_on),
        TEST(test_garbage_of_the_gateway_ends_the_connection_and_it_recovers),
        TEST(test_random_garbage_never_hurts),
        TEST(test_cut_at_every_byte_of_a_conversation_recovers),
        TEST(test_timeouts_of_each_phase),
        TEST(test_welcome_must_come_in_time),
        TEST(test_fatal_answers_wait_for_hours),
        TEST(test_new_events_never_cut_a_backoff_short),
        TEST(test_retry_after_is_honoured_and_spread),
        TEST(test_backoff_spreads_a_herd),
        TEST(test_window_doubles_up_to_its_limit_and_a_success_resets_it),
        TEST(test_welcome_alone_does_not_reset_the_backoff),
        TEST(test_replaced_stays_away_for_long),
        TEST(test_alternates_are_tried_in_turn_and_then_home),
        TEST(test_alternate_that_works_is_kept_until_it_ends),
        TEST(test_refusal_of_an_alternate_is_not_the_last_word),
        TEST(test_source_errors_end_the_connection),
        TEST(test_without_entropy_nothing_is_sent),
        TEST(test_close_says_goodbye_and_poll_connects_again),
        TEST(test_poll_is_bounded_under_a_flood),
        TEST(test_small_buffers_work),
        TEST(test_log_says_what_happened_and_what_comes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
