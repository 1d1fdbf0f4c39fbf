#include "websocket/digest.h"

#include <string.h>

static uint32_t rotate(uint32_t value, unsigned by)
{
    return (value << by) | (value >> (32 - by));
}

static uint32_t round_function(unsigned t, uint32_t b, uint32_t c, uint32_t d)
{
    if (t < 20)
        return (b & c) | (~b & d);
    if (t >= 40 && t < 60)
        return (b & c) | (b & d) | (c & d);
    return b ^ c ^ d;
}

/* The schedule is kept as a window of 16 words: 64 bytes of stack instead of 320. */
static void compress(uint32_t state[5], const uint8_t block[64])
{
    static const uint32_t constants[4] = {0x5A827999u, 0x6ED9EBA1u, 0x8F1BBCDCu, 0xCA62C1D6u};
    uint32_t w[16], v[5];
    for (unsigned i = 0; i < 16; i++) {
        const uint8_t *p = block + 4 * i;
        w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    }
    memcpy(v, state, sizeof v);
    for (unsigned t = 0; t < 80; t++) {
        uint32_t word = w[t % 16];
        if (t >= 16) {
            word = rotate(w[(t + 13) % 16] ^ w[(t + 8) % 16] ^ w[(t + 2) % 16] ^ word, 1);
            w[t % 16] = word;
        }
        word += rotate(v[0], 5) + round_function(t, v[1], v[2], v[3]) + v[4] + constants[t / 20];
        memmove(v + 1, v, 4 * sizeof *v);
        v[0] = word;
        v[2] = rotate(v[2], 30);
    }
    for (unsigned i = 0; i < 5; i++)
        state[i] += v[i];
}

void trib_ws_sha1(const void *data, size_t len, uint8_t out_digest[TRIB_WS_SHA1_BYTES])
{
    static const uint32_t initial[5] = {0x67452301u, 0xEFCDAB89u, 0x98BADCFEu, 0x10325476u, 0xC3D2E1F0u};
    uint8_t padded[128] = {0};
    uint32_t state[5];
    size_t bytes = len < 56 ? 64 : 128;
    memcpy(state, initial, sizeof state);
    memcpy(padded, data, len);
    padded[len] = 0x80;
    padded[bytes - 2] = (uint8_t)(len >> 5); /* the length in bits */
    padded[bytes - 1] = (uint8_t)(len << 3);
    for (size_t at = 0; at < bytes; at += 64)
        compress(state, padded + at);
    for (unsigned i = 0; i < TRIB_WS_SHA1_BYTES; i++)
        out_digest[i] = (uint8_t)(state[i / 4] >> (24 - 8 * (i % 4)));
}
