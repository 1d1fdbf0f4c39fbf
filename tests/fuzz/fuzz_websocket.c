/*
 * The websocket's answer to the handshake and its frames: any bytes give a clear result, and cutting them into pieces
 * changes nothing. The first byte chooses the parser and the piece.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "websocket/websocket.h"

#define BUFFER 600
#define LOG_BYTES 65536

struct outcome {
    int result;
    size_t used, len;
    uint8_t log[LOG_BYTES]; /* the first len of them */
};

static void note(struct outcome *o, const void *data, size_t len)
{
    if (len > sizeof o->log - o->len)
        len = sizeof o->log - o->len;
    if (len > 0)
        memcpy(o->log + o->len, data, len);
    o->len += len;
}

static void handshake(const uint8_t *data, size_t size, size_t piece, struct outcome *o)
{
    static const uint8_t nonce[TRIB_WS_NONCE_BYTES] = "the sample nonce";
    char line[128];
    struct trib_ws_response r;
    trib_ws_response_init(&r, nonce, "tributary.v1.cbor", line, sizeof line);
    o->result = TRIB_EAGAIN;
    while (o->used < size && o->result == TRIB_EAGAIN) {
        size_t used, count = size - o->used < piece ? size - o->used : piece;
        o->result = trib_ws_response_feed(&r, data + o->used, count, &used);
        if (used > count || (used < count && o->result == TRIB_EAGAIN))
            abort();
        o->used += used;
    }
    note(o, &r.status, sizeof r.status);
    note(o, &r.retry_after_s, sizeof r.retry_after_s);
}

static void frames(const uint8_t *data, size_t size, size_t piece, struct outcome *o)
{
    uint8_t buf[BUFFER];
    struct trib_ws_decoder d;
    trib_ws_decoder_init(&d, buf, sizeof buf);
    while (o->used < size && o->result == 0) {
        struct trib_ws_event e;
        size_t used, count = size - o->used < piece ? size - o->used : piece;
        o->result = trib_ws_decoder_feed(&d, data + o->used, count, &used, &e);
        if (used > count || (used == 0 && o->result == 0))
            abort();
        o->used += used;
        if (o->result != 0 || e.opcode == TRIB_WS_CONTINUATION)
            continue;
        if (e.data < buf || e.data + e.len > buf + sizeof buf)
            abort();
        note(o, &e.opcode, sizeof e.opcode);
        note(o, &e.len, sizeof e.len);
        note(o, e.data, e.len);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct outcome whole, pieces;
    if (size < 1)
        return 0;
    void (*parse)(const uint8_t *, size_t, size_t, struct outcome *) =
        (data[0] & 1) != 0 ? handshake : frames;
    whole.result = pieces.result = 0;
    whole.used = whole.len = pieces.used = pieces.len = 0;
    parse(data + 1, size - 1, SIZE_MAX, &whole);
    parse(data + 1, size - 1, 1 + (data[0] >> 1), &pieces);
    if (whole.result != pieces.result || whole.len != pieces.len ||
        memcmp(whole.log, pieces.log, whole.len) != 0)
        abort();
    return 0;
}
