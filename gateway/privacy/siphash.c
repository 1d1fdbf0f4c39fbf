/* Little-endian words, as SipHash is defined; the gateway runs on nothing else (gateway/journal/bytes.h). */
#include <string.h>

#include "privacy/pseudonym_cache.h"

struct state {
    uint64_t a, b, c, d;
};

static uint64_t rotated(uint64_t word, unsigned bits)
{
    return word << bits | word >> (64 - bits);
}

static inline void round_of(struct state *s)
{
    s->a += s->b;
    s->c += s->d;
    s->b = rotated(s->b, 13) ^ s->a;
    s->d = rotated(s->d, 16) ^ s->c;
    s->a = rotated(s->a, 32) + s->d;
    s->c += s->b;
    s->d = rotated(s->d, 21) ^ s->a;
    s->b = rotated(s->b, 17) ^ s->c;
    s->c = rotated(s->c, 32);
}

static inline void take(struct state *s, uint64_t word)
{
    s->d ^= word;
    round_of(s);
    round_of(s);
    s->a ^= word;
}

static uint64_t finish(struct state *s)
{
    for (int i = 0; i < 4; i++)
        round_of(s);
    return s->a ^ s->b ^ s->c ^ s->d;
}

void gw_siphash128(const uint8_t key[GW_SIPHASH_KEY_BYTES], const void *data, size_t len, uint64_t out[2])
{
    uint64_t low, high, word;
    memcpy(&low, key, sizeof low);
    memcpy(&high, key + sizeof low, sizeof high);
    struct state s = {low ^ 0x736f6d6570736575u, high ^ 0x646f72616e646f6du ^ 0xee, low ^ 0x6c7967656e657261u,
                      high ^ 0x7465646279746573u};
    const uint8_t *p = data;
    size_t left = len;
    for (; left >= sizeof word; left -= sizeof word, p += sizeof word) {
        memcpy(&word, p, sizeof word);
        take(&s, word);
    }
    word = 0;
    if (left > 0)
        memcpy(&word, p, left);
    take(&s, word | (uint64_t)len << 56);
    s.c ^= 0xee;
    out[0] = finish(&s);
    s.b ^= 0xdd;
    out[1] = finish(&s);
}
