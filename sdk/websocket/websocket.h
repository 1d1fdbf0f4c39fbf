/*
 * The client's half of RFC 6455, without I/O: bytes in, bytes out, no allocation, no clock.
 *
 *   handshake   trib_ws_request_write makes the upgrade request, trib_ws_response_feed judges the answer
 * (§4.1) sending     trib_ws_frame_write puts a masked frame's head before a payload that lies in place
 * (§5.2, §5.3) receiving   trib_ws_decoder_feed takes bytes as they come and gives whole messages and control
 * frames (§5.4, §5.5)
 *
 * No extension is offered, so none is accepted. Feeding byte by byte gives what feeding all at once gives.
 */
#ifndef TRIB_WEBSOCKET_WEBSOCKET_H
#define TRIB_WEBSOCKET_WEBSOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/error.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TRIB_WS_NONCE_BYTES 16
#define TRIB_WS_MASK_BYTES 4
#define TRIB_WS_CONTROL_BYTES_MAX 125
#define TRIB_WS_HEAD_BYTES_MAX 14        /* 2, 8 for the length, 4 for the mask */
#define TRIB_WS_RESPONSE_BYTES_MAX 16384 /* the status line and all header fields */
#define TRIB_WS_ACCEPT_CHARS 28

enum trib_ws_opcode {
    TRIB_WS_CONTINUATION = 0,
    TRIB_WS_TEXT = 1,
    TRIB_WS_BINARY = 2,
    TRIB_WS_CLOSE = 8,
    TRIB_WS_PING = 9,
    TRIB_WS_PONG = 10,
};

/* Close codes that a client sends (§7.4.1). */
enum trib_ws_close_code {
    TRIB_WS_CLOSE_NORMAL = 1000,
    TRIB_WS_CLOSE_GOING_AWAY = 1001,
    TRIB_WS_CLOSE_PROTOCOL = 1002,
    TRIB_WS_CLOSE_UNSUPPORTED = 1003,
    TRIB_WS_CLOSE_TOO_LARGE = 1009,
};

/* --- Opening handshake --- */

struct trib_ws_request {
    const char *host; /* a name or a numeric address; IPv6 without brackets */
    uint16_t port;
    const char *path;        /* begins with '/' */
    const char *subprotocol; /* the only one offered */
    const char *token;       /* sent as "Authorization: Bearer"; NULL: none */
};

/* Writes the request. nonce: fresh random bytes for each connection. TRIB_ESPACE, or TRIB_EINVAL when a text
 * would break out of its line (a control character or a space). */
TRIB_MUST_CHECK int trib_ws_request_write(const struct trib_ws_request *request,
                                          const uint8_t nonce[TRIB_WS_NONCE_BYTES], char *buf, size_t cap,
                                          size_t *out_len);

/* Reads the answer. All fields are the parser's own but for the two results named so. */
struct trib_ws_response {
    char *line; /* borrowed: one line at a time is kept here; before it what Sec-WebSocket-Accept must be */
    size_t line_cap;
    size_t line_len;
    const char *subprotocol; /* borrowed: the one asked for */
    uint32_t retry_after_s;  /* result: from Retry-After in seconds (RFC 9110 §10.2.3), 0: none */
    uint16_t total;
    uint16_t status; /* result: 0 until the status line was read */
    uint8_t seen;    /* which of the demanded fields were there and right */
    bool line_cut;   /* the line is longer than line_cap */
    int8_t error;
};

/* line: at least 128 bytes, in use until the end of the handshake. nonce: the one of the request. */
void trib_ws_response_init(struct trib_ws_response *r, const uint8_t nonce[TRIB_WS_NONCE_BYTES],
                           const char *subprotocol, char *line, size_t line_cap);

/*
 * Takes bytes of the answer; *out_used says how many, the rest belongs to the frames that follow.
 * 0: the connection is a websocket now. TRIB_EAGAIN: more is needed. TRIB_EAUTH: 401 or 403. TRIB_EBUSY: 429
 * or 503; see retry_after_s. TRIB_EPROTOCOL: anything else that is not the answer §4.1 demands. Errors are
 * sticky.
 */
TRIB_MUST_CHECK int trib_ws_response_feed(struct trib_ws_response *r, const uint8_t *data, size_t len,
                                          size_t *out_used);

/* --- Sending --- */

/* Bytes of the head before a masked payload of this length. */
size_t trib_ws_head_bytes(size_t payload_len);

/*
 * Masks payload[0, len) in place and writes the head directly before it, so that the frame starts at
 * payload - trib_ws_head_bytes(len); that room must be the caller's. mask: four fresh random bytes (§5.3:
 * from a strong source, never reused). The frame is final: no message is sent in pieces.
 */
void trib_ws_frame_write(enum trib_ws_opcode opcode, uint8_t *payload, size_t len,
                         const uint8_t mask[TRIB_WS_MASK_BYTES]);

/* --- Receiving --- */

/* The last TRIB_WS_CONTROL_BYTES_MAX bytes of the buffer hold control frames, which may come between
 * fragments. */
struct trib_ws_decoder {
    uint8_t *buffer; /* borrowed */
    size_t message_cap;
    size_t message_len; /* of the message in work */
    size_t left;        /* payload bytes of this frame still to come */
    uint8_t head[10];
    uint8_t head_len;
    uint8_t control_len;
    uint8_t message_opcode; /* 0: no message in work */
    bool in_payload;
    bool closed;
    int8_t error;
};

struct trib_ws_event {
    enum trib_ws_opcode opcode; /* TEXT, BINARY, CLOSE, PING or PONG; CONTINUATION: nothing whole yet */
    const uint8_t *data;        /* borrowed from the decoder's buffer until the next feed */
    size_t len;
    uint16_t close_code; /* CLOSE: 1005 when it carried none (§7.1.5) */
};

/* buf_bytes: at least 2 × TRIB_WS_CONTROL_BYTES_MAX. */
void trib_ws_decoder_init(struct trib_ws_decoder *d, uint8_t *buf, size_t buf_bytes);

/* The longest message that a decoder on a buffer of this size can take. */
size_t trib_ws_decoder_capacity(size_t buf_bytes);

/*
 * Takes bytes until a message or control frame is whole or all are used; call again with the rest while there
 * is any. 0; TRIB_EPROTOCOL (a masked frame, reserved bits, unknown opcode, broken fragmentation, a length
 * not in its shortest form, a bad close frame, bytes after a close); TRIB_ESPACE (a message longer than the
 * buffer). Sticky. Text is given as it came, its UTF-8 unchecked.
 */
TRIB_MUST_CHECK int trib_ws_decoder_feed(struct trib_ws_decoder *d, const uint8_t *data, size_t len,
                                         size_t *out_used, struct trib_ws_event *out_event);

#ifdef __cplusplus
}
#endif
#endif
