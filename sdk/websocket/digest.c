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
static void compress(struct trib_ws_sha1 *s)
{
    static const uint32_t constants[4] = {0x5A827999u, 0x6ED9EBA1u, 0x8F1BBCDCu, 0xCA62C1D6u};
    uint32_t w[16];
    for (unsigned i = 0; i < 16; i++) {
        const uint8_t *p = s->block + 4 * i;
        w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    }
    uint32_t a = s->state[0], b = s->state[1], c = s->state[2], d = s->state[3], e = s->state[4];
    for (unsigned t = 0; t < 80; t++) {
        uint32_t word = w[t % 16];
        if (t >= 16) {
            word = rotate(w[(t + 13) % 16] ^ w[(t + 8) % 16] ^ w[(t + 2) % 16] ^ word, 1);
            w[t % 16] = word;
        }
        uint32_t next = rotate(a, 5) + round_function(t, b, c, d) + e + constants[t / 20] + word;
        e = d;
        d = c;
        c = rotate(b, 30);
        b = a;
        a = next;
    }
    s->state[0] += a;
    s->state[1] += b;
    s->state[2] += c;
    s->state[3] += d;
    s->state[4] += e;
}

void trib_ws_sha1_init(struct trib_ws_sha1 *s)
{
    static const uint32_t initial[5] = {0x67452301u, 0xEFCDAB89u, 0x98BADCFEu, 0x10325476u, 0xC3D2E1F0u};
    memcpy(s->state, initial, sizeof s->state);
    s->total = 0;
}

void trib_ws_sha1_update(struct trib_ws_sha1 *s, const void *data, size_t len)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < len; i++) {
        s->block[s->total++ % 64] = bytes[i];
        if (s->total % 64 == 0)
            compress(s);
    }
}

void trib_ws_sha1_finish(struct trib_ws_sha1 *s, uint8_t out_digest[TRIB_WS_SHA1_BYTES])
{
    uint32_t bits = s->total * 8;
    uint8_t length[8] = {
        0, 0, 0, 0, (uint8_t)(bits >> 24), (uint8_t)(bits >> 16), (uint8_t)(bits >> 8), (uint8_t)bits};
    trib_ws_sha1_update(s, "\x80", 1);
    while (s->total % 64 != 56)
        trib_ws_sha1_update(s, "", 1);
    trib_ws_sha1_update(s, length, sizeof length);
    for (unsigned i = 0; i < TRIB_WS_SHA1_BYTES; i++)
        out_digest[i] = (uint8_t)(s->state[i / 4] >> (24 - 8 * (i % 4)));
}

size_t trib_ws_base64(const uint8_t *data, size_t len, char *out_text)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t written = 0;
    for (size_t i = 0; i < len; i += 3) {
        size_t have = len - i < 3 ? len - i : 3;
        uint32_t group = (uint32_t)data[i] << 16;
        group |= have > 1 ? (uint32_t)data[i + 1] << 8 : 0;
        group |= have > 2 ? data[i + 2] : 0;
        for (size_t k = 0; k < 4; k++)
            out_text[written++] = k <= have ? alphabet[group >> (18 - 6 * k) & 63] : '=';
    }
    return written;
}
