/*
 * SHA-1 (FIPS 180-4 §6.1), only for Sec-WebSocket-Accept: there it proves that the peer understood the request and guards
 * nothing. Do not use it for anything else.
 */
#ifndef TRIB_WEBSOCKET_DIGEST_H
#define TRIB_WEBSOCKET_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#define TRIB_WS_SHA1_BYTES 20

#define TRIB_WS_SHA1_INPUT_MAX 119 /* two blocks */

/* len: at most TRIB_WS_SHA1_INPUT_MAX. */
void trib_ws_sha1(const void *data, size_t len, uint8_t out_digest[TRIB_WS_SHA1_BYTES]);

#endif
