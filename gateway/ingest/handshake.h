/*
 * The HTTP/1.1 request that asks for a websocket (RFC 6455 §4.2, RFC 9112), without I/O. Only this one kind
 * of request is understood; everything else gets a status code. Nothing is kept: all texts point into the
 * request.
 */
#ifndef GW_INGEST_HANDSHAKE_H
#define GW_INGEST_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define GW_HANDSHAKE_HEAD_MAX 8192
#define GW_HANDSHAKE_ACCEPT_LEN 28 /* base64 of a SHA-1 */

struct gw_handshake_text {
    const char *ptr; /* NULL: the header is absent */
    size_t len;
};

struct gw_handshake_request {
    struct gw_handshake_text path; /* without query */
    struct gw_handshake_text key, origin, authorization;
    bool offers_cbor, offers_json;
};

/* Bytes up to and with the empty line that ends the head, 0: not there yet. from: where to start looking. */
size_t gw_handshake_head_len(const uint8_t *data, size_t len);

/* 0, or the status to answer with (400, 405, 426, 505) and why. head_len as from gw_handshake_head_len. */
GW_MUST_CHECK int gw_handshake_parse(const uint8_t *head, size_t head_len, struct gw_handshake_request *out,
                                     const char **out_reason);

/* Sec-WebSocket-Accept for a key (RFC 6455 §4.2.2 item 5.4). 0 or GW_ECRYPTO. Terminated. */
GW_MUST_CHECK int gw_handshake_accept(struct gw_handshake_text key, char out[GW_HANDSHAKE_ACCEPT_LEN + 1]);

/* The whole answer; returns its length, as snprintf does. */
size_t gw_handshake_upgrade_response(char *buffer, size_t capacity, const char *accept,
                                     const char *subprotocol);
size_t gw_handshake_error_response(char *buffer, size_t capacity, int status, const char *reason);

#endif
