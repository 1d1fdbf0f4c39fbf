/* Reading frames: RFC 6455 §5.2, §5.4, §5.5 and §7.4. */
#include <string.h>

#include "websocket/websocket.h"

#define FINAL 0x80u
#define RESERVED 0x70u
#define MASKED 0x80u
#define CLOSE_CODE_ABSENT 1005

static uint8_t *control_area(const struct trib_ws_decoder *d)
{
    return d->buffer + d->message_cap;
}

static uint8_t opcode_of(const struct trib_ws_decoder *d)
{
    return d->head[0] & 0x0F;
}

static bool is_control(const struct trib_ws_decoder *d)
{
    return opcode_of(d) >= TRIB_WS_CLOSE;
}

static bool is_final(const struct trib_ws_decoder *d)
{
    return (d->head[0] & FINAL) != 0;
}

/* The first byte: what kind of frame, and whether one may come now. */
static int check_first(const struct trib_ws_decoder *d)
{
    if ((d->head[0] & RESERVED) != 0)
        return TRIB_EPROTOCOL;
    switch (opcode_of(d)) {
    case TRIB_WS_CONTINUATION:
        return d->message_opcode != 0 ? 0 : TRIB_EPROTOCOL;
    case TRIB_WS_TEXT:
    case TRIB_WS_BINARY:
        return d->message_opcode == 0 ? 0 : TRIB_EPROTOCOL;
    case TRIB_WS_CLOSE:
    case TRIB_WS_PING:
    case TRIB_WS_PONG:
        return is_final(d) ? 0 : TRIB_EPROTOCOL;
    default:
        return TRIB_EPROTOCOL;
    }
}

/* The second byte: no mask from a server (§5.1), control frames are short (§5.5). */
static int check_second(const struct trib_ws_decoder *d)
{
    if ((d->head[1] & MASKED) != 0)
        return TRIB_EPROTOCOL;
    return is_control(d) && d->head[1] > TRIB_WS_CONTROL_BYTES_MAX ? TRIB_EPROTOCOL : 0;
}

static uint8_t head_bytes(const struct trib_ws_decoder *d)
{
    if (d->head_len < 2)
        return 2;
    return d->head[1] == 127 ? 10 : d->head[1] == 126 ? 4 : 2;
}

/* The head is whole: its length, in the shortest form only (§5.2), and whether it fits. */
static int open_payload(struct trib_ws_decoder *d)
{
    uint64_t length = d->head[1];
    if (d->head_len > 2) {
        length = 0;
        for (uint8_t i = 2; i < d->head_len; i++)
            length = length << 8 | d->head[i];
        if (length < (d->head_len == 4 ? 126u : 65536u) || length >> 63 != 0)
            return TRIB_EPROTOCOL;
    }
    if (is_control(d)) {
        d->control_len = 0;
    } else {
        if (length > d->message_cap - d->message_len)
            return TRIB_ESPACE;
        if (opcode_of(d) != TRIB_WS_CONTINUATION)
            d->message_opcode = opcode_of(d);
    }
    d->left = (size_t)length;
    d->in_payload = true;
    return 0;
}

static int take_head(struct trib_ws_decoder *d, uint8_t byte)
{
    d->head[d->head_len++] = byte;
    if (d->head_len == 1)
        return check_first(d);
    if (d->head_len == 2) {
        int error = check_second(d);
        if (error != 0)
            return error;
    }
    return d->head_len == head_bytes(d) ? open_payload(d) : 0;
}

static size_t take_payload(struct trib_ws_decoder *d, const uint8_t *data, size_t len)
{
    size_t count = d->left < len ? d->left : len;
    bool control = is_control(d);
    memcpy(control ? control_area(d) + d->control_len : d->buffer + d->message_len, data, count);
    if (control)
        d->control_len = (uint8_t)(d->control_len + count);
    else
        d->message_len += count;
    d->left -= count;
    return count;
}

/* Codes that may stand in a frame (§7.4). */
static bool close_code_is_allowed(unsigned code)
{
    if (code >= 3000)
        return code <= 4999;
    return code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006;
}

static int finish_close(struct trib_ws_decoder *d, struct trib_ws_event *out_event)
{
    unsigned code = CLOSE_CODE_ABSENT;
    if (d->control_len == 1)
        return TRIB_EPROTOCOL;
    if (d->control_len >= 2) {
        code = (unsigned)control_area(d)[0] << 8 | control_area(d)[1];
        if (!close_code_is_allowed(code))
            return TRIB_EPROTOCOL;
    }
    d->closed = true;
    out_event->close_code = (uint16_t)code;
    return 0;
}

/* A frame is whole. */
static int finish_frame(struct trib_ws_decoder *d, struct trib_ws_event *out_event)
{
    enum trib_ws_opcode opcode = (enum trib_ws_opcode)opcode_of(d);
    d->in_payload = false;
    d->head_len = 0;
    if (is_control(d)) {
        int error = opcode == TRIB_WS_CLOSE ? finish_close(d, out_event) : 0;
        if (error != 0)
            return error;
        out_event->opcode = opcode;
        out_event->data = control_area(d);
        out_event->len = d->control_len;
        return 0;
    }
    if (!is_final(d))
        return 0;
    out_event->opcode = (enum trib_ws_opcode)d->message_opcode;
    out_event->data = d->buffer;
    out_event->len = d->message_len;
    d->message_opcode = 0;
    d->message_len = 0;
    return 0;
}

void trib_ws_decoder_init(struct trib_ws_decoder *d, uint8_t *buf, size_t buf_bytes)
{
    memset(d, 0, sizeof *d);
    d->buffer = buf;
    d->message_cap = trib_ws_decoder_capacity(buf_bytes);
}

size_t trib_ws_decoder_capacity(size_t buf_bytes)
{
    return buf_bytes > TRIB_WS_CONTROL_BYTES_MAX ? buf_bytes - TRIB_WS_CONTROL_BYTES_MAX : 0;
}

int trib_ws_decoder_feed(struct trib_ws_decoder *d, const uint8_t *data, size_t len, size_t *out_used,
                         struct trib_ws_event *out_event)
{
    size_t used = 0;
    memset(out_event, 0, sizeof *out_event);
    while (d->error == 0 && used < len && out_event->opcode == TRIB_WS_CONTINUATION) {
        int error = 0;
        if (d->closed)
            error = TRIB_EPROTOCOL; /* §5.5.1: nothing follows a close */
        else if (!d->in_payload)
            error = take_head(d, data[used++]);
        else
            used += take_payload(d, data + used, len - used);
        if (error == 0 && d->in_payload && d->left == 0)
            error = finish_frame(d, out_event);
        d->error = (int8_t)error;
    }
    *out_used = used;
    return d->error;
}
