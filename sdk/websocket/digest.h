/*
 * SHA-1 (FIPS 180-4 §6.1) and base64 (RFC 4648 §4), only for Sec-WebSocket-Key and -Accept: there they prove
 * that the peer understood the request and guard nothing. Do not use this SHA-1 for anything else.
 */
#ifndef TRIB_WEBSOCKET_DIGEST_H
#define TRIB_WEBSOCKET_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#define TRIB_WS_SHA1_BYTES 20

struct trib_ws_sha1 {
    uint32_t state[5];
    uint32_t total; /* bytes; inputs here are far below 2^29 */
    uint8_t block[64];
};

void trib_ws_sha1_init(struct trib_ws_sha1 *s);
void trib_ws_sha1_update(struct trib_ws_sha1 *s, const void *data, size_t len);
void trib_ws_sha1_finish(struct trib_ws_sha1 *s, uint8_t out_digest[TRIB_WS_SHA1_BYTES]);

/* Writes (len + 2) / 3 * 4 characters and no terminator; returns how many. */
size_t trib_ws_base64(const uint8_t *data, size_t len, char *out_text);

#endif
