/*
 * A device with its real uplink and websocket, a gateway that speaks the protocol, a network that breaks anywhere and
 * power that goes anywhere; all under one fake clock. Whatever was recorded and reported durable arrives once and in
 * order, or is declared dropped.
 */
#include "support/fake_device.h"
#include "websocket/digest.h"
#include "wire/base64.h"

#define QUEUE 65536u
#define NUMBERS_MAX 20000u

struct sim {
    struct fake_device device;
    struct fake_gateway gateway;
    uint8_t up[QUEUE], down[QUEUE];
    size_t up_len, down_from, down_len;
    bool reachable, connected, upgraded;
    bool keep_acks;     /* the gateway commits and says nothing */
    uint64_t cut_after; /* bytes in either direction until the connection breaks */
    struct trib_wire_credit credit;
    uint64_t took_events, took_bytes;
    unsigned hellos;
    uint32_t next_number, durable_number;
    uint8_t durable[NUMBERS_MAX];
};

static uint32_t seed = 1;

static uint32_t random_below(uint32_t limit)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed % limit;
}

/* --- the gateway's end --- */

static void say(struct sim *s, const void *data, size_t len)
{
    assert_true(s->down_len + len <= QUEUE);
    memcpy(s->down + s->down_len, data, len);
    s->down_len += len;
}

static void say_message(struct sim *s, const uint8_t *data, size_t len)
{
    uint8_t head[4] = {0x82, (uint8_t)len, 0, 0};
    if (len > 125) {
        head[1] = 126;
        head[2] = (uint8_t)(len >> 8);
        head[3] = (uint8_t)len;
    }
    say(s, head, len > 125 ? 4 : 2);
    say(s, data, len);
}

static void hear_upgrade(struct sim *s)
{
    char *text = (char *)s->up, answer[256], accept[29] = "";
    uint8_t digest[TRIB_WS_SHA1_BYTES];
    s->up[s->up_len] = 0;
    if (!strstr(text, "\r\n\r\n"))
        return;
    const char *key = strstr(text, "Sec-WebSocket-Key: ") + 19;
    snprintf(answer, sizeof answer, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    trib_ws_sha1(answer, 60, digest);
    trib_base64(digest, sizeof digest, false, accept);
    int len = snprintf(answer, sizeof answer,
                       "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       "Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: tributary.v1.cbor\r\n\r\n",
                       accept);
    say(s, answer, (size_t)len);
    s->upgraded = true;
    s->up_len = 0;
}

static void hear_message(struct sim *s, const uint8_t *data, size_t len)
{
    static uint8_t buffer[2048];
    uint64_t type, events;
    size_t body, out_len;
    assert_int_equal(trib_wire_open(data, len, &type, &body), 0);
    if (type == TRIB_WIRE_HELLO) {
        struct trib_wire_hello hello;
        struct trib_wire_welcome welcome;
        assert_int_equal(trib_wire_hello_decode(data, len, &hello), 0);
        s->gateway.utc_ms = 1700000000000 + s->device.now_ms;
        fake_answer(&s->gateway, &hello, &welcome);
        s->credit = (struct trib_wire_credit){200, 20000};
        s->took_events = s->took_bytes = 0;
        welcome.credit = s->credit;
        welcome.max_message_bytes = 1200;
        welcome.max_event_bytes = 1000;
        welcome.keepalive_ms = 25000;
        assert_int_equal(trib_wire_welcome_encode(&welcome, buffer, sizeof buffer, &out_len), 0);
        s->hellos++;
    } else {
        struct trib_wire_ack ack;
        assert_int_equal(type, TRIB_WIRE_BATCH);
        assert_true(len <= 1200);
        fake_take_message(&s->gateway, data, len, &events, &ack);
        s->took_events += events;
        s->took_bytes += len;
        assert_true(s->took_events <= s->credit.events && s->took_bytes <= s->credit.bytes);
        if (s->keep_acks)
            return;
        s->credit = (struct trib_wire_credit){s->took_events + 200, s->took_bytes + 20000};
        ack.credit = s->credit;
        assert_int_equal(trib_wire_ack_encode(&ack, buffer, sizeof buffer, &out_len), 0);
    }
    say_message(s, buffer, out_len);
}

/* One whole frame at the front; returns its bytes, or 0. */
static size_t hear_frame(struct sim *s)
{
    size_t head = 2, n = s->up_len;
    if (n < 2)
        return 0;
    size_t len = s->up[1] & 0x7F;
    if (len == 126) {
        if (n < 4)
            return 0;
        len = (size_t)s->up[2] << 8 | s->up[3];
        head = 4;
    }
    if (n < head + 4 + len)
        return 0;
    uint8_t *mask = s->up + head, *body = mask + 4;
    for (size_t i = 0; i < len; i++)
        body[i] ^= mask[i % 4];
    if (s->up[0] == 0x82)
        hear_message(s, body, len);
    return head + 4 + len;
}

static void gateway_hears(struct sim *s)
{
    size_t used;
    if (!s->upgraded) {
        hear_upgrade(s);
        return;
    }
    while ((used = hear_frame(s)) > 0) {
        memmove(s->up, s->up + used, s->up_len - used);
        s->up_len -= used;
    }
}

/* --- the network --- */

static int net_connect(void *context, const char *host, uint16_t port)
{
    struct sim *s = context;
    (void)host, (void)port;
    if (!s->reachable)
        return TRIB_EIO;
    s->connected = true;
    s->upgraded = false;
    s->up_len = s->down_from = s->down_len = 0;
    return 0;
}

static bool breaks(struct sim *s, size_t count)
{
    if (!s->reachable || !s->connected || s->cut_after < count) {
        s->connected = false;
        s->cut_after = UINT64_MAX;
        return true;
    }
    if (s->cut_after != UINT64_MAX)
        s->cut_after -= count;
    return false;
}

static int net_send(void *context, const uint8_t *data, size_t length)
{
    struct sim *s = context;
    size_t count = 1 + random_below((uint32_t)length);
    if (random_below(8) == 0)
        return TRIB_EAGAIN;
    if (breaks(s, count))
        return TRIB_ECLOSED;
    assert_true(s->up_len + count < QUEUE);
    memcpy(s->up + s->up_len, data, count);
    s->up_len += count;
    gateway_hears(s);
    return (int)count;
}

static int net_receive(void *context, uint8_t *out, size_t capacity)
{
    struct sim *s = context;
    size_t count = s->down_len - s->down_from;
    if (!s->connected || !s->reachable)
        return TRIB_ECLOSED;
    if (count == 0)
        return TRIB_EAGAIN;
    count = count < capacity ? count : capacity;
    count = 1 + random_below((uint32_t)count);
    if (breaks(s, count))
        return TRIB_ECLOSED;
    memcpy(out, s->down + s->down_from, count);
    s->down_from += count;
    if (s->down_from == s->down_len)
        s->down_from = s->down_len = 0;
    return (int)count;
}

static void net_close(void *context)
{
    ((struct sim *)context)->connected = false;
}

/* --- the device --- */

static int setup(void **state)
{
    struct sim *s = calloc(1, sizeof *s);
    fake_device_init(&s->device, 1024, 12, 1);
    s->device.ram[0].twin = &s->device.ram[1];
    s->device.ram[1].twin = &s->device.ram[0];
    fake_gateway_init(&s->gateway);
    s->device.config.net = (struct trib_net){s, net_connect, net_send, net_receive, net_close};
    s->device.config.path = "/v1";
    s->reachable = true;
    s->cut_after = UINT64_MAX;
    s->next_number = 1;
    assert_int_equal(fake_device_boot(&s->device), 0);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct sim *s = *state;
    fake_device_free(&s->device);
    fake_gateway_free(&s->gateway);
    free(s);
    return 0;
}

/* Polls as an app would: when asked to, or a little later while bytes move. */
static int run(struct sim *s, uint64_t ms)
{
    uint64_t until = s->device.now_ms + ms;
    while (s->device.now_ms < until) {
        uint32_t next;
        int rc = trib_poll(&s->device.client, &next);
        if (rc < 0)
            return rc;
        uint64_t step = next < 20 ? 20 : next;
        if (s->down_from < s->down_len && step > 20)
            step = 20;
        uint64_t left = until - s->device.now_ms;
        s->device.now_ms += step < left ? step : left;
    }
    return 0;
}

static int record(struct sim *s)
{
    char item[16];
    uint8_t buffer[64];
    struct trib_custom event;
    uint32_t number = s->next_number;
    int rc;
    assert_true(number < NUMBERS_MAX);
    if (number % 5 == 0) {
        snprintf(item, sizeof item, "%u", number);
        rc = trib_favourite_add(&s->device.client, NULL, item, NULL);
    } else {
        trib_custom_begin(&event, buffer, sizeof buffer, "t");
        trib_custom_int(&event, "n", number);
        rc = trib_custom_record(&s->device.client, &event);
    }
    if (rc == 0)
        s->next_number++;
    return rc;
}

static uint32_t number_of(const struct fake_event *e)
{
    struct trib_cbor_reader r;
    size_t len;
    if (e->type != TRIB_EVENT_CUSTOM && e->type != TRIB_EVENT_FAVOURITE_ADD)
        return 0;
    trib_cbor_reader_init(&r, e->fields, e->fields_len);
    (void)trib_cbor_get_map(&r);
    uint64_t field = trib_cbor_get_uint(&r);
    if (field == TRIB_FIELD_ITEM_VERSION) {
        trib_cbor_skip(&r);
        assert_int_equal(trib_cbor_get_uint(&r), TRIB_FIELD_ITEM);
        return (uint32_t)strtoul(trib_cbor_get_text(&r, &len), NULL, 10);
    }
    trib_cbor_skip(&r);
    trib_cbor_skip(&r);
    (void)trib_cbor_get_map(&r);
    (void)trib_cbor_get_text(&r, &len);
    return (uint32_t)trib_cbor_get_uint(&r);
}

static void judge(struct sim *s)
{
    static uint8_t seen[NUMBERS_MAX];
    uint32_t missing = 0, last[2] = {0, 0};
    memset(seen, 0, sizeof seen);
    for (size_t i = 0; i < s->gateway.event_count; i++) {
        uint32_t number = number_of(&s->gateway.events[i]);
        if (number == 0)
            continue;
        assert_int_equal(seen[number], 0);
        seen[number] = 1;
        assert_true(number > last[s->gateway.events[i].lane]);
        last[s->gateway.events[i].lane] = number;
    }
    for (uint32_t i = 1; i < s->next_number; i++)
        missing += s->durable[i] && !seen[i];
    assert_true(missing <= s->gateway.dropped[TRIB_DROP_ROUTINE][TRIB_DROP_OVERFLOW]);
    for (unsigned reason = 0; reason < 5; reason++) {
        assert_int_equal(s->gateway.dropped[TRIB_DROP_VITAL][reason], 0);
        assert_int_equal(s->gateway.dropped[TRIB_DROP_UNKNOWN][reason], 0);
    }
    assert_int_equal(s->gateway.dropped[TRIB_DROP_ROUTINE][TRIB_DROP_DAMAGED], 0);
    assert_int_equal(s->gateway.stream_count, 2);
}

static void mark_durable(struct sim *s)
{
    for (uint32_t i = s->durable_number; i < s->next_number; i++)
        s->durable[i] = 1;
    s->durable_number = s->next_number;
}

static void test_events_are_acked_over_a_slow_and_broken_network(void **state)
{
    struct sim *s = *state;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(record(s), 0);
        s->cut_after = random_below(2) ? UINT64_MAX : random_below(400);
        assert_int_equal(run(s, 1500), 0);
    }
    s->cut_after = UINT64_MAX;
    assert_int_equal(trib_flush(&s->device.client, 0), 0);
    mark_durable(s);
    assert_int_equal(run(s, 300000), 0);
    struct trib_stats stats;
    trib_get_stats(&s->device.client, &stats);
    assert_int_equal(stats.waiting, 0);
    assert_true(s->hellos > 5);
    judge(s);
    assert_int_equal(fake_count(&s->gateway, TRIB_EVENT_CUSTOM), 80);
}

static void test_more_is_sent_before_acks_come(void **state)
{
    struct sim *s = *state;
    assert_int_equal(run(s, 5000), 0);
    s->keep_acks = true;
    for (int i = 0; i < 60; i++) {
        assert_int_equal(record(s), 0);
        assert_int_equal(run(s, 1500), 0);
    }
    assert_int_equal(fake_count(&s->gateway, TRIB_EVENT_CUSTOM), 48);
    assert_true(s->gateway.batches > 5);
    assert_int_equal(trib_get_state(&s->device.client), TRIB_STATE_ONLINE);
}

static void test_credit_that_is_used_up_stops_sending(void **state)
{
    struct sim *s = *state;
    assert_int_equal(run(s, 5000), 0);
    s->keep_acks = true;
    for (int i = 0; i < 400; i++) { /* for less time than a silent gateway is given */
        assert_int_equal(record(s), 0);
        assert_int_equal(run(s, 120), 0);
    }
    assert_true(s->took_events <= s->credit.events);
    assert_true(s->took_events > s->credit.events - 30);
    assert_int_equal(trib_get_state(&s->device.client), TRIB_STATE_ONLINE);
}

static void test_a_flush_waits_for_the_ack(void **state)
{
    struct sim *s = *state;
    assert_int_equal(run(s, 5000), 0);
    assert_int_equal(record(s), 0);
    s->device.tick_ms = 1; /* time goes on while the flush spins */
    assert_int_equal(trib_flush(&s->device.client, 5000), 0);
    assert_int_equal(fake_count(&s->gateway, TRIB_EVENT_CUSTOM), 1);
    s->reachable = false;
    assert_int_equal(record(s), 0);
    assert_int_equal(trib_flush(&s->device.client, 5000), TRIB_ETIMEOUT);
    assert_int_equal(trib_shutdown(&s->device.client, 100), TRIB_ETIMEOUT);
}

/* Records until one routine event was taken; returns how many ms it waited for company. */
static uint64_t wait_of_a_routine_event(struct sim *s)
{
    size_t before = fake_count(&s->gateway, TRIB_EVENT_CUSTOM);
    while (s->next_number % 5 == 0)
        s->next_number++;
    assert_int_equal(record(s), 0);
    uint64_t began = s->device.now_ms;
    while (fake_count(&s->gateway, TRIB_EVENT_CUSTOM) == before && s->device.now_ms < began + 200000)
        assert_int_equal(run(s, 100), 0);
    return s->device.now_ms - began;
}

static void test_hints_say_how_long_routine_events_wait_for_company(void **state)
{
    struct sim *s = *state;
    uint64_t durable;
    assert_int_equal(run(s, 5000), 0);
    assert_in_range(wait_of_a_routine_event(s), 10000, 12500);
    assert_int_equal(trib_hint(&s->device.client, TRIB_HINT_METERED), 0);
    assert_in_range(wait_of_a_routine_event(s), 60000, 62500);
    assert_int_equal(trib_favourite_add(&s->device.client, NULL, "1", NULL), 0);
    assert_int_equal(run(s, 1000), 0); /* vital: at once */
    assert_int_equal(fake_count(&s->gateway, TRIB_EVENT_FAVOURITE_ADD), 1);
    durable = trib_durable_seq(&s->device.client, TRIB_LANE_ROUTINE);
    assert_int_equal(record(s), 0);
    assert_int_equal(trib_hint(&s->device.client, TRIB_HINT_SUSPEND), 0);
    assert_int_equal(trib_durable_seq(&s->device.client, TRIB_LANE_ROUTINE), durable + 1);
    assert_int_equal(run(s, 300), 0);
    assert_int_equal(fake_count(&s->gateway, TRIB_EVENT_CUSTOM), 3);
    assert_int_equal(trib_hint(&s->device.client, TRIB_HINT_NORMAL), 0);
    assert_in_range(wait_of_a_routine_event(s), 10000, 12500);
}

/* Weeks of faults: the gateway away, connections cut at any byte, acks that never come, power that goes at any byte
 * of a program or erase. Everything durable is there in the end. */
static void faults(struct sim *s, uint32_t number)
{
    unsigned power_cuts = 0;
    seed = number * 2654435761u | 1;
    for (int i = 0; i < 400; i++) {
        s->reachable = random_below(3) != 0;
        s->keep_acks = random_below(6) == 0;
        s->cut_after = random_below(2) ? UINT64_MAX : random_below(3000);
        bool cut = random_below(4) == 0;
        if (cut) {
            struct trib_storage_ram *ram = &s->device.ram[random_below(2)];
            ram->cut_after = ram->bytes_done + random_below(1500);
            ram->tear = random_below(2) ? TRIB_TEAR_BITS : TRIB_TEAR_PREFIX;
        }
        int rc = 0;
        for (uint32_t n = random_below(6); n > 0 && rc == 0; n--) {
            rc = record(s);
            if (rc == TRIB_EFULL)
                rc = 0;
            rc = rc ? rc : run(s, random_below(4000));
        }
        if (rc == 0 && random_below(2) && (rc = trib_flush(&s->device.client, 0)) == 0)
            mark_durable(s);
        if (rc == 0)
            rc = run(s, random_below(90000));
        if (s->device.ram[0].off || random_below(20) == 0) { /* cut, or a plain restart */
            power_cuts += s->device.ram[0].off;
            s->connected = false;
            s->durable_number = s->next_number;
            assert_int_equal(fake_device_boot(&s->device), 0);
        } else {
            assert_int_equal(rc, 0);
        }
        for (unsigned lane = 0; lane < 2; lane++)
            s->device.ram[lane].cut_after = TRIB_STORAGE_RAM_NO_CUT;
    }
    s->reachable = true;
    s->keep_acks = false;
    s->cut_after = UINT64_MAX;
    assert_int_equal(trib_flush(&s->device.client, 0), 0);
    mark_durable(s);
    assert_int_equal(run(s, 600000), 0);
    struct trib_stats stats;
    trib_get_stats(&s->device.client, &stats);
    assert_int_equal(stats.waiting, 0);
    judge(s);
    if (number <= 3)
        printf("run %u: %u power cuts, %u connections, %u recorded, %zu arrived, %llu dropped and declared\n",
               number, power_cuts, s->hellos, s->next_number - 1, s->gateway.event_count,
               (unsigned long long)s->gateway.dropped[TRIB_DROP_ROUTINE][TRIB_DROP_OVERFLOW]);
}

static void test_weeks_of_faults_lose_nothing_without_a_word(void **state)
{
    (void)state;
    for (uint32_t number = 1; number <= 60; number++) {
        void *one;
        assert_int_equal(setup(&one), 0);
        faults(one, number);
        assert_int_equal(teardown(&one), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        CASE(test_events_are_acked_over_a_slow_and_broken_network),
        CASE(test_more_is_sent_before_acks_come),
        CASE(test_credit_that_is_used_up_stops_sending),
        CASE(test_a_flush_waits_for_the_ack),
        CASE(test_hints_say_how_long_routine_events_wait_for_company),
        CASE(test_weeks_of_faults_lose_nothing_without_a_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
