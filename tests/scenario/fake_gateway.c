#include "scenario/fake_gateway.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* --- versions to come --- */

static const uint8_t unknown_message[] = {0x82, 0x18, 0x4d, 0xa1, 0x01, 0x63, 'n', 'e', 'w'};

/* [type, {...}] becomes [type, {60: [1, true], ...}, {"x": null}]. The map's pairs are few, so its head is a byte. */
static size_t make_newer(const uint8_t *message, size_t len, uint8_t *out)
{
    static const uint8_t pair[] = {0x18, 60, 0x82, 0x01, 0xf5}, element[] = {0xa1, 0x61, 'x', 0xf6};
    uint64_t type;
    size_t body;
    assert_int_equal(trib_wire_open(message, len, &type, &body), 0);
    assert_true(message[0] == 0x82 && (message[body] & 0xe0) == 0xa0 && (message[body] & 0x1f) < 23);
    memcpy(out, message, body + 1);
    out[0]++;
    out[body]++;
    memcpy(out + body + 1, pair, sizeof pair);
    memcpy(out + body + 1 + sizeof pair, message + body + 1, len - body - 1);
    memcpy(out + len + sizeof pair, element, sizeof element);
    return len + sizeof pair + sizeof element;
}

/* --- the edge --- */

static void edge_send(void *context, const uint8_t *message, size_t len)
{
    struct fake_connection *c = context;
    if (c->gateway->tap)
        c->gateway->tap(c->gateway->tap_context, false, message, len);
    uint8_t other[32768];
    if (c->gateway->newer) {
        fake_link_send(c->link, unknown_message, sizeof unknown_message);
        len = make_newer(message, len, other);
        message = other;
    }
    fake_link_send(c->link, message, len);
}

static void edge_ping(void *context)
{
    struct fake_connection *c = context;
    fake_link_ping(c->link);
}

static void edge_close(void *context, unsigned reason)
{
    struct fake_connection *c = context;
    (void)reason;
    c->closing = true;
}

static void edge_time(void *context, struct gw_session_time *out)
{
    struct fake_connection *c = context;
    *out = (struct gw_session_time){c->gateway->utc_ms, 5, true};
}

static int edge_stream_get(void *context, const char *device, uint64_t stream, struct gw_journal_stream *out)
{
    struct fake_connection *c = context;
    return gw_journal_stream_get(c->gateway->journal, device, stream, out);
}

static int edge_claim(void *context, const char *device, struct gw_registry_seat *out_seat)
{
    struct fake_connection *c = context;
    uint64_t previous;
    return gw_registry_claim(c->gateway->registry, device, c->id, out_seat, &previous);
}

static bool edge_settled(void *context, const struct gw_registry_seat *seat)
{
    struct fake_connection *c = context;
    return gw_registry_settled(c->gateway->registry, seat);
}

static uint32_t edge_reserve(void *context, uint32_t want, uint32_t least)
{
    (void)context;
    (void)least;
    return want;
}

static struct gw_session_batch *edge_batch_take(void *context)
{
    (void)context;
    struct gw_session_batch *batch = calloc(1, sizeof *batch);
    gw_arena_init(&batch->arena, 16384, 1 << 20);
    return batch;
}

static void edge_batch_give(void *context, struct gw_session_batch *batch)
{
    (void)context;
    gw_arena_free(&batch->arena);
    free(batch);
}

static void edge_batch_queue(void *context, struct gw_session_batch *batch)
{
    struct fake_connection *c = context;
    batch->connection = c->id;
    batch->next = NULL;
    gw_registry_batch_begins(c->gateway->registry, &batch->seat);
    *c->gateway->queue_tail = batch;
    c->gateway->queue_tail = &batch->next;
}

static const struct gw_session_edge edge = {
    .send = edge_send,
    .ping = edge_ping,
    .close = edge_close,
    .get_time = edge_time,
    .stream_get = edge_stream_get,
    .claim = edge_claim,
    .settled = edge_settled,
    .reserve = edge_reserve,
    .batch_take = edge_batch_take,
    .batch_give = edge_batch_give,
    .batch_queue = edge_batch_queue,
};

/* --- the committer --- */

static struct fake_connection *connection_of(struct fake_gateway *gateway, uint64_t id)
{
    for (size_t i = 0; i < gateway->connection_count; i++)
        if (gateway->connections[i].id == id)
            return &gateway->connections[i];
    return NULL;
}

static void finish(struct fake_gateway *gateway, struct gw_session_batch *batch, int status)
{
    struct fake_connection *c = connection_of(gateway, batch->connection);
    gw_registry_batch_ends(gateway->registry, &batch->seat);
    if (c) {
        gw_session_committed(&c->session, batch, status);
        gw_session_flush(&c->session);
    }
    edge_batch_give(NULL, batch);
}

static void commit_queued(struct fake_gateway *gateway)
{
    struct gw_session_batch *batch = gateway->queue_head;
    gateway->queue_head = NULL;
    gateway->queue_tail = &gateway->queue_head;
    while (batch) {
        struct gw_session_batch *next = batch->next;
        int status = GW_ESTALE;
        if (gw_registry_current(gateway->registry, &batch->seat)) {
            struct gw_journal_write *write = &batch->admitted.write;
            struct gw_error error;
            status = gw_journal_commit(gateway->journal, &write, 1, &error);
            assert_int_equal(status, 0);
            status = write->status;
            gateway->commits++;
        }
        finish(gateway, batch, status);
        batch = next;
    }
}

static void forget_queued(struct fake_gateway *gateway)
{
    struct gw_session_batch *batch = gateway->queue_head;
    gateway->queue_head = NULL;
    gateway->queue_tail = &gateway->queue_head;
    while (batch) {
        struct gw_session_batch *next = batch->next;
        gw_registry_batch_ends(gateway->registry, &batch->seat);
        edge_batch_give(NULL, batch);
        batch = next;
    }
}

/* --- life --- */

static void open_journal(struct fake_gateway *gateway)
{
    struct gw_journal_config config = {.folder = gateway->folder, .segment_bytes = 1 << 20};
    struct gw_error error = {0};
    int rc = gw_journal_open(&config, &gateway->journal, &error);
    if (rc != 0)
        fail_msg("journal: %s", error.text);
    /* Not the journal's own, which are random: a run must repeat by its seed. */
    gateway->rules.gateway_id = "0123456789abcdef";
    gateway->rules.journal_epoch = 0x1122334455667788;
}

void fake_gateway_start(struct fake_gateway *gateway, const char *folder, struct fake_random *random)
{
    static const uint8_t secret[32] = {1, 2, 3};
    memset(gateway, 0, sizeof *gateway);
    gateway->random = random;
    gateway->folder = folder;
    gateway->queue_tail = &gateway->queue_head;
    gateway->registry = gw_registry_new(FAKE_DEVICES_MAX);
    assert_int_equal(gw_pseudonym_key_new(secret, sizeof secret, "k1", &gateway->pseudonym, NULL), 0);
    assert_int_equal(gw_seal_key_new(secret, sizeof secret, "k1", &gateway->seal, NULL), 0);
    gateway->policy = (struct gw_admit_policy){
        .pseudonym = gateway->pseudonym, .seal = gateway->seal, .max_event_bytes = 4096};
    gateway->rules = (struct gw_session_rules){.policy = &gateway->policy,
                                               .hello_timeout_ms = 5000,
                                               .keepalive_ms = 25000,
                                               .message_bytes = 16384,
                                               .event_bytes = 4096,
                                               .credit_events = 200,
                                               .credit_bytes = 32768};
    open_journal(gateway);
}

void fake_gateway_attach(struct fake_gateway *gateway, struct fake_link *link, const char *device)
{
    struct fake_connection *c = &gateway->connections[gateway->connection_count++];
    *c = (struct fake_connection){.gateway = gateway, .link = link};
    strncpy(c->device, device, sizeof c->device - 1);
}

static void leave(struct fake_connection *c)
{
    if (c->id == 0)
        return;
    gw_session_lost(&c->session);
    if (c->session.seat.entry)
        gw_registry_leave(c->gateway->registry, &c->session.seat);
    c->id = 0;
    c->closing = false;
}

static bool swallow(struct fake_gateway *gateway, const uint8_t *message, size_t len)
{
    uint64_t type;
    size_t body;
    if (!gateway->swallows || !fake_chance(gateway->random, 50) ||
        trib_wire_open(message, len, &type, &body) != 0 || type != TRIB_WIRE_BATCH)
        return false;
    gateway->swallowed++;
    return true;
}

void fake_gateway_receive(struct fake_connection *c, const uint8_t *message, size_t len)
{
    if (c->gateway->tap)
        c->gateway->tap(c->gateway->tap_context, true, message, len);
    uint8_t other[32768];
    if (c->gateway->newer) {
        if (c->session.state != GW_SESSION_HELLO) /* nothing may come before HELLO */
            gw_session_receive(&c->session, unknown_message, sizeof unknown_message, c->gateway->now_ms);
        len = make_newer(message, len, other);
        message = other;
    }
    gw_session_receive(&c->session, message, len, c->gateway->now_ms);
}

static void serve(struct fake_connection *c)
{
    struct fake_gateway *gateway = c->gateway;
    if (c->id != 0 && (!c->link->connected || c->link->generation != c->generation))
        leave(c);
    if (c->id == 0 && c->link->connected && c->link->generation != c->generation) {
        c->id = ++gateway->next_id;
        c->generation = c->link->generation;
        gw_session_open(&c->session, &gateway->rules, &edge, c, c->device, false, gateway->now_ms);
    }
    if (c->id == 0)
        return;
    const uint8_t *message;
    size_t len;
    int got;
    while (!c->closing && (got = fake_link_receive(c->link, &message, &len)) != 0) {
        assert_true(got > 0);
        if (got == 2) {
            gw_session_heard(&c->session, gateway->now_ms);
            continue;
        }
        if (swallow(gateway, message, len))
            continue;
        fake_gateway_receive(c, message, len);
    }
    gw_session_tick(&c->session, gateway->now_ms);
    if (c->closing && c->link->down.end == 0) { /* BYE was read */
        fake_link_cut(c->link);
        leave(c);
    }
}

void fake_gateway_step(struct fake_gateway *gateway)
{
    for (size_t i = 0; i < gateway->connection_count; i++)
        serve(&gateway->connections[i]);
    if (fake_chance(gateway->random, 3) && !gateway->stalls)
        commit_queued(gateway);
}

void fake_gateway_restart(struct fake_gateway *gateway)
{
    for (size_t i = 0; i < gateway->connection_count; i++) {
        fake_link_cut(gateway->connections[i].link);
        leave(&gateway->connections[i]);
    }
    forget_queued(gateway);
    gw_journal_close(gateway->journal);
    open_journal(gateway);
    gateway->restarts++;
}

void fake_gateway_stop(struct fake_gateway *gateway)
{
    for (size_t i = 0; i < gateway->connection_count; i++)
        leave(&gateway->connections[i]);
    forget_queued(gateway);
    gw_journal_close(gateway->journal);
    gw_registry_free(gateway->registry);
    gw_pseudonym_key_free(gateway->pseudonym);
    gw_seal_key_free(gateway->seal);
}
