/* The uplink's phases, and bytes to and from the net port. */
#include "uplink/uplink.h"

#include <string.h>

#include "uplink/internal.h"

#define CONNECT_MS 30000u
#define UPGRADE_MS 15000u
#define WELCOME_MS 15000u
#define CONNECT_STEP_MS 50u
#define BLOCKED_STEP_MS 20u
#define ANSWER_STEP_MS 100u
#define CHUNK_BYTES 64u /* on the stack below all that a message leads to */
#define CHUNKS_A_POLL 64
#define BATCHES_A_POLL 4
#define BATCH_BYTES_MIN 64u /* less credit than this holds no event worth a frame */
#define PONG_BYTES (2 + TRIB_WS_MASK_BYTES + TRIB_WS_CONTROL_BYTES_MAX)

static bool is_connected(const struct trib_uplink *u)
{
    return u->phase == TRIB_UPLINK_UPGRADE || u->phase == TRIB_UPLINK_HELLO || u->phase == TRIB_UPLINK_STREAM;
}

/* transmit = room for a frame's head, a payload, and at the end a pong, which may be due while a batch is
 * half sent. */
static size_t head_room(const struct trib_uplink *u)
{
    return trib_ws_head_bytes(u->config->transmit_bytes);
}

static uint8_t *payload(const struct trib_uplink *u)
{
    return u->config->transmit + head_room(u);
}

TRIB_ONE_COPY static size_t payload_room(const struct trib_uplink *u)
{
    size_t taken = head_room(u) + PONG_BYTES;
    return u->config->transmit_bytes > taken ? u->config->transmit_bytes - taken : 0;
}

static int fill_random(const struct trib_uplink *u, uint8_t *out_bytes, size_t len)
{
    return u->config->entropy.fill(u->config->entropy.context, out_bytes, len) == 0 ? 0 : TRIB_EIO;
}

/* Sends transmit[*from, to) as far as it goes. 0 when all is gone, TRIB_EAGAIN, or an error. */
static int send_part(struct trib_uplink *u, size_t *from, size_t to)
{
    while (*from < to) {
        int sent = u->config->net.send(u->config->net.context, u->config->transmit + *from, to - *from);
        if (sent < 0)
            return sent;
        if (sent == 0 || (size_t)sent > to - *from)
            return TRIB_EIO;
        *from += (size_t)sent;
    }
    return 0;
}

/* Frames must not be torn apart: a pong waits for the frame before it, and the next frame waits for the pong.
 */
static int flush(struct trib_uplink *u)
{
    int error = send_part(u, &u->send_from, u->send_to);
    return error != 0 ? error : send_part(u, &u->pong_from, u->pong_to);
}

/* Makes a frame of payload[0, len) and begins to send it. */
static int send_payload(struct trib_uplink *u, size_t len)
{
    uint8_t mask[TRIB_WS_MASK_BYTES];
    int error = fill_random(u, mask, sizeof mask);
    if (error != 0)
        return error;
    trib_ws_frame_write(TRIB_WS_BINARY, payload(u), len, mask);
    u->send_from = head_room(u) - trib_ws_head_bytes(len);
    u->send_to = head_room(u) + len;
    error = flush(u);
    return error == TRIB_EAGAIN ? 0 : error;
}

/* A control frame in the place of the pong. One that is half sent stays; the newest ping alone needs an
 * answer (RFC 6455 §5.5.3). */
static int place_control(struct trib_uplink *u, enum trib_ws_opcode opcode, const uint8_t *data, size_t len)
{
    uint8_t mask[TRIB_WS_MASK_BYTES];
    size_t start = u->config->transmit_bytes - PONG_BYTES;
    uint8_t *body = u->config->transmit + start + trib_ws_head_bytes(len);
    if (u->pong_from < u->pong_to && u->pong_from > start)
        return 0;
    int error = fill_random(u, mask, sizeof mask);
    if (error != 0)
        return error;
    memcpy(body, data, len);
    trib_ws_frame_write(opcode, body, len, mask);
    u->pong_from = start;
    u->pong_to = start + trib_ws_head_bytes(len) + len;
    return 0;
}

/* Says why we go, if nothing stands in the way of the words, and goes. */
void trib_uplink_hang_up(struct trib_uplink *u)
{
    if (!u->open)
        return;
    u->open = false;
    bool framed = u->phase == TRIB_UPLINK_HELLO || u->phase == TRIB_UPLINK_STREAM;
    if (framed && u->close_code != 0 && flush(u) == 0) {
        const uint8_t code[2] = {(uint8_t)(u->close_code >> 8), (uint8_t)u->close_code};
        if (place_control(u, TRIB_WS_CLOSE, code, sizeof code) == 0)
            (void)flush(u);
    }
    u->config->net.close(u->config->net.context);
    u->send_from = u->send_to = u->pong_from = u->pong_to = 0;
}

static uint16_t close_code_for(int error)
{
    switch (error) {
    case TRIB_ESPACE:
        return TRIB_WS_CLOSE_TOO_LARGE;
    case TRIB_ECLOSED:
    case TRIB_EIO:
    case TRIB_ETLS:
        return 0; /* nobody listens any more */
    case TRIB_ETIMEOUT:
        return TRIB_WS_CLOSE_GOING_AWAY;
    default:
        return TRIB_WS_CLOSE_PROTOCOL;
    }
}

static int end(struct trib_uplink *u, int error)
{
    if (u->close_code == 0)
        u->close_code = close_code_for(error);
    if (error == TRIB_EAUTH || error == TRIB_EVERSION || error == TRIB_EERASED)
        u->patience = TRIB_UPLINK_HOURS;
    trib_uplink_hang_up(u);
    trib_uplink_schedule(u);
    trib_uplink_log(u, u->patience == TRIB_UPLINK_HOURS ? TRIB_LOG_ERROR : TRIB_LOG_WARNING, "offline",
                    trib_error_text(error), u->at_ms - u->now_ms, "ms to the next attempt");
    return error;
}

static int begin_upgrade(struct trib_uplink *u)
{
    uint8_t nonce[TRIB_WS_NONCE_BYTES];
    struct trib_ws_request request = {.path = u->config->path != NULL ? u->config->path : "/v1",
                                      .subprotocol = TRIB_WIRE_SUBPROTOCOL_CBOR,
                                      .token = u->config->token};
    request.host = trib_uplink_host(u, &request.port);
    int error = fill_random(u, nonce, sizeof nonce);
    if (error != 0)
        return error;
    error = trib_ws_request_write(&request, nonce, (char *)u->config->transmit, u->config->transmit_bytes,
                                  &u->send_to);
    if (error != 0) {
        trib_uplink_log(u, TRIB_LOG_ERROR,
                        error == TRIB_ESPACE ? "the transmit buffer is too small for the upgrade request"
                                             : "host, path or token holds a character that it must not",
                        NULL, 0, NULL);
        return error;
    }
    u->send_from = 0;
    trib_ws_response_init(&u->ws.response, nonce, TRIB_WIRE_SUBPROTOCOL_CBOR, (char *)u->config->receive,
                          trib_uplink_receive_room(u));
    u->phase = TRIB_UPLINK_UPGRADE;
    u->at_ms = u->now_ms + UPGRADE_MS;
    return 0;
}

TRIB_OWN_FRAME static int begin_hello(struct trib_uplink *u)
{
    struct trib_wire_hello hello;
    size_t len, room = payload_room(u);
    memset(&hello, 0, sizeof hello);
    u->source->hello(u->context, &hello);
    if (room > TRIB_WIRE_HELLO_BYTES_MAX)
        room = TRIB_WIRE_HELLO_BYTES_MAX;
    int error = trib_wire_hello_encode(&hello, payload(u), room, &len);
    if (error != 0) {
        trib_uplink_log(u, TRIB_LOG_ERROR, "HELLO cannot be written", trib_error_text(error), 0, NULL);
        return TRIB_EINVAL;
    }
    trib_ws_decoder_init(&u->ws.decoder, u->config->receive, trib_uplink_receive_room(u));
    u->phase = TRIB_UPLINK_HELLO;
    u->at_ms = u->now_ms + WELCOME_MS;
    return send_payload(u, len);
}

static void begin_connect(struct trib_uplink *u)
{
    u->open = true;
    u->phase = TRIB_UPLINK_CONNECT;
    u->patience = TRIB_UPLINK_BACKOFF;
    u->retry_after_ms = 0;
    u->close_code = 0;
    u->at_ms = u->now_ms + CONNECT_MS;
}

static int step_connect(struct trib_uplink *u)
{
    uint16_t port;
    const char *host = trib_uplink_host(u, &port);
    int error = u->config->net.connect(u->config->net.context, host, port);
    if (error == TRIB_EAGAIN)
        return u->now_ms >= u->at_ms ? TRIB_ETIMEOUT : 0;
    u->heard_ms = u->now_ms;
    return error != 0 ? error : begin_upgrade(u);
}

static int take_response(struct trib_uplink *u, const uint8_t *data, size_t len, size_t *out_used)
{
    int error = trib_ws_response_feed(&u->ws.response, data, len, out_used);
    if (error == 0)
        return begin_hello(u);
    if (error == TRIB_EAGAIN)
        return 0;
    u->retry_after_ms = u->ws.response.retry_after_s * 1000;
    trib_uplink_log(u, TRIB_LOG_WARNING, "the upgrade was not granted", "HTTP status", u->ws.response.status,
                    "(0: none, 101: the answer's fields are wrong)");
    return error;
}

TRIB_ONE_COPY static int take_event(struct trib_uplink *u, const struct trib_ws_event *event)
{
    int error;
    switch (event->opcode) {
    case TRIB_WS_BINARY:
        return trib_uplink_message(u, event->data, event->len);
    case TRIB_WS_TEXT:
        u->close_code = TRIB_WS_CLOSE_UNSUPPORTED;
        return TRIB_EPROTOCOL;
    case TRIB_WS_PING:
        error = place_control(u, TRIB_WS_PONG, event->data, event->len);
        if (error == 0)
            error = flush(u);
        return error == TRIB_EAGAIN ? 0 : error;
    case TRIB_WS_CLOSE:
        u->close_code = TRIB_WS_CLOSE_NORMAL;
        return TRIB_ECLOSED;
    default:
        return 0;
    }
}

static int take_bytes(struct trib_uplink *u, const uint8_t *data, size_t len)
{
    int error = 0;
    while (len > 0 && error == 0) {
        size_t used;
        if (u->phase == TRIB_UPLINK_UPGRADE) {
            error = take_response(u, data, len, &used);
        } else {
            struct trib_ws_event event;
            error = trib_ws_decoder_feed(&u->ws.decoder, data, len, &used, &event);
            if (error == 0)
                error = take_event(u, &event);
        }
        data += used;
        len -= used;
    }
    return error;
}

/* *out_more: there may be more to read than one poll takes. */
static int receive(struct trib_uplink *u, bool *out_more)
{
    uint8_t chunk[CHUNK_BYTES];
    for (int i = 0; i < CHUNKS_A_POLL; i++) {
        int got = u->config->net.receive(u->config->net.context, chunk, sizeof chunk);
        if (got == TRIB_EAGAIN)
            return 0;
        if (got <= 0 || (size_t)got > sizeof chunk)
            return got < 0 ? got : TRIB_EIO;
        u->heard_ms = u->now_ms;
        int error = take_bytes(u, chunk, (size_t)got);
        if (error != 0)
            return error;
    }
    *out_more = true;
    return 0;
}

/* The room for the next batch: buffer, WELCOME's limit, and credit in bytes. 0: none may be sent. */
static size_t batch_room(const struct trib_uplink *u)
{
    uint64_t room = payload_room(u);
    uint64_t credit = u->limit.bytes > u->used.bytes ? u->limit.bytes - u->used.bytes : 0;
    if (room > u->max_message_bytes)
        room = u->max_message_bytes;
    if (room > credit)
        room = credit;
    return room >= BATCH_BYTES_MIN && u->limit.events > u->used.events ? (size_t)room : 0;
}

/* 0; *out_sent: a batch was taken from the source. */
static int send_batch(struct trib_uplink *u, bool *out_sent)
{
    size_t len = 0, room = batch_room(u);
    uint64_t events = 0, max_events = u->limit.events - u->used.events;
    *out_sent = false;
    if (room == 0)
        return 0;
    int error = u->source->batch(u->context, payload(u), room, max_events, &len, &events);
    if (error != 0 || len == 0)
        return error;
    if (len > room || events > max_events)
        return TRIB_EINVAL; /* the source broke its contract: better no batch than one beyond its credit */
    u->used.events += events;
    u->used.bytes += len;
    u->awaiting_ack = true;
    *out_sent = true;
    return send_payload(u, len);
}

/* *out_more: the source may have more than one poll sends. */
static int send_batches(struct trib_uplink *u, bool *out_more)
{
    for (int i = 0; i < BATCHES_A_POLL; i++) {
        bool sent;
        int error = flush(u);
        if (error == TRIB_EAGAIN)
            return 0;
        if (error == 0)
            error = send_batch(u, &sent);
        if (error != 0)
            return error;
        if (!sent)
            return 0;
    }
    *out_more = true;
    return 0;
}

/* A gateway is given up after 2.5 keep-alive intervals without a byte, or without the ACK that is due: pings and
 * other ACKs show that it lives, not that it ever got that batch. */
static uint64_t patience_limit(const struct trib_uplink *u)
{
    uint64_t since = u->source->unacked_since_ms(u->context);
    if (since > u->heard_ms)
        since = u->heard_ms;
    return since + (uint64_t)u->keepalive_ms * 5 / 2;
}

static int step_connected(struct trib_uplink *u, bool *out_more)
{
    int error = flush(u);
    if (error != 0 && error != TRIB_EAGAIN)
        return error;
    u->woken = false;
    error = receive(u, out_more);
    if (error != 0)
        return error;
    if (u->phase == TRIB_UPLINK_STREAM) {
        return u->now_ms >= patience_limit(u) ? TRIB_ETIMEOUT : send_batches(u, out_more);
    }
    return u->now_ms >= u->at_ms ? TRIB_ETIMEOUT : 0;
}

static uint64_t next_due(const struct trib_uplink *u)
{
    uint64_t step, until;
    switch ((enum trib_uplink_phase)u->phase) {
    case TRIB_UPLINK_IDLE:
    case TRIB_UPLINK_REFUSED:
        return u->at_ms;
    case TRIB_UPLINK_CONNECT:
        step = CONNECT_STEP_MS;
        until = u->at_ms;
        break;
    case TRIB_UPLINK_STREAM:
        step = u->awaiting_ack ? ANSWER_STEP_MS : u->keepalive_ms / 4;
        until = patience_limit(u);
        break;
    default:
        step = ANSWER_STEP_MS;
        until = u->at_ms;
        break;
    }
    if (u->send_from < u->send_to || u->pong_from < u->pong_to)
        step = BLOCKED_STEP_MS;
    return u->now_ms + step < until ? u->now_ms + step : until;
}

static uint32_t wait_until(uint64_t now_ms, uint64_t due_ms)
{
    if (due_ms <= now_ms)
        return 0;
    return due_ms - now_ms < UINT32_MAX ? (uint32_t)(due_ms - now_ms) : UINT32_MAX;
}

void trib_uplink_init(struct trib_uplink *u, const struct trib_config *config,
                      const struct trib_uplink_source *source, void *context)
{
    memset(u, 0, sizeof *u);
    u->config = config;
    u->source = source;
    u->context = context;
    u->phase = TRIB_UPLINK_IDLE;
    u->keepalive_ms = TRIB_UPLINK_KEEPALIVE_MS;
}

int trib_uplink_poll(struct trib_uplink *u, uint64_t now_ms, uint32_t *out_next_ms)
{
    bool more = false;
    int error = 0;
    u->now_ms = now_ms;
    if ((u->phase == TRIB_UPLINK_IDLE || u->phase == TRIB_UPLINK_REFUSED) && now_ms >= u->at_ms)
        begin_connect(u);
    if (u->phase == TRIB_UPLINK_CONNECT)
        error = step_connect(u);
    if (error == 0 && is_connected(u))
        error = step_connected(u, &more);
    if (error != 0)
        error = end(u, error);
    if (u->phase == TRIB_UPLINK_STREAM && u->woken)
        more = true;
    *out_next_ms = more && error == 0 ? 0 : wait_until(now_ms, next_due(u));
    return error;
}

void trib_uplink_wake(struct trib_uplink *u)
{
    u->woken = true;
}

void trib_uplink_close(struct trib_uplink *u, uint64_t now_ms)
{
    u->now_ms = now_ms;
    if (u->phase == TRIB_UPLINK_IDLE || u->phase == TRIB_UPLINK_REFUSED)
        return;
    u->close_code = TRIB_WS_CLOSE_GOING_AWAY;
    trib_uplink_hang_up(u);
    u->phase = TRIB_UPLINK_IDLE;
    u->at_ms = now_ms;
}

void trib_uplink_restart(struct trib_uplink *u, uint64_t now_ms)
{
    trib_uplink_close(u, now_ms);
    trib_uplink_go_home(u);
    if (u->phase == TRIB_UPLINK_REFUSED) {
        u->phase = TRIB_UPLINK_IDLE;
        u->at_ms = now_ms;
    }
}

enum trib_uplink_phase trib_uplink_get_phase(const struct trib_uplink *u)
{
    return (enum trib_uplink_phase)u->phase;
}
