#include "ingest/rates.h"

#include <openssl/rand.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "privacy/pseudonym_cache.h"

#define WAYS 8
#define MINUTE_MS 60000u /* a token has so many parts: then what a bucket gains in a millisecond is whole */

struct bucket {
    uint64_t tag;   /* 0: nobody's */
    uint64_t parts; /* of tokens */
    uint64_t seen_ms;
};

struct gw_rates {
    pthread_mutex_t lock;
    uint64_t per_minute, most_parts;
    uint8_t key[GW_SIPHASH_KEY_BYTES];
    size_t set_mask;
    struct bucket buckets[];
};

int gw_rates_new(uint64_t per_minute, uint64_t burst, size_t entries, struct gw_rates **out)
{
    size_t sets = 1;
    while (sets * WAYS < entries)
        sets *= 2;
    struct gw_rates *rates = calloc(1, sizeof *rates + sets * WAYS * sizeof rates->buckets[0]);
    if (!rates)
        return GW_ENOMEM;
    if (RAND_bytes(rates->key, sizeof rates->key) != 1) {
        free(rates);
        return GW_ECRYPTO;
    }
    pthread_mutex_init(&rates->lock, NULL);
    rates->per_minute = per_minute;
    rates->most_parts = burst * MINUTE_MS;
    rates->set_mask = sets - 1;
    *out = rates;
    return GW_OK;
}

void gw_rates_free(struct gw_rates *rates)
{
    if (!rates)
        return;
    pthread_mutex_destroy(&rates->lock);
    free(rates);
}

static void gain(const struct gw_rates *rates, struct bucket *bucket, uint64_t now_ms)
{
    uint64_t passed = now_ms - bucket->seen_ms, missing = rates->most_parts - bucket->parts;
    bool full = rates->per_minute != 0 && passed >= missing / rates->per_minute + 1;
    bucket->parts = full ? rates->most_parts : bucket->parts + passed * rates->per_minute;
    if (bucket->parts > rates->most_parts)
        bucket->parts = rates->most_parts;
    bucket->seen_ms = now_ms;
}

/* Times of several threads may be some milliseconds apart, and must not go back. */
static struct bucket *find(struct gw_rates *rates, const void *key, size_t key_len, uint64_t now_ms)
{
    uint64_t hash[2];
    gw_siphash128(rates->key, key, key_len, hash);
    uint64_t tag = hash[0] ? hash[0] : 1;
    struct bucket *set = rates->buckets + (hash[1] & rates->set_mask) * WAYS, *oldest = set;
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].tag == tag) {
            gain(rates, &set[i], now_ms > set[i].seen_ms ? now_ms : set[i].seen_ms);
            return &set[i];
        }
        if (set[i].tag == 0 || (oldest->tag != 0 && set[i].seen_ms < oldest->seen_ms))
            oldest = &set[i];
    }
    *oldest = (struct bucket){.tag = tag, .parts = rates->most_parts, .seen_ms = now_ms};
    return oldest;
}

uint64_t gw_rates_take(struct gw_rates *rates, const void *key, size_t key_len, uint64_t want,
                       uint64_t now_ms)
{
    if (!rates)
        return want;
    pthread_mutex_lock(&rates->lock);
    struct bucket *bucket = find(rates, key, key_len, now_ms);
    uint64_t there = bucket->parts / MINUTE_MS, taken = want < there ? want : there;
    bucket->parts -= taken * MINUTE_MS;
    pthread_mutex_unlock(&rates->lock);
    return taken;
}

void gw_rates_give(struct gw_rates *rates, const void *key, size_t key_len, uint64_t count, uint64_t now_ms)
{
    if (!rates)
        return;
    pthread_mutex_lock(&rates->lock);
    struct bucket *bucket = find(rates, key, key_len, now_ms);
    uint64_t missing = (rates->most_parts - bucket->parts) / MINUTE_MS;
    bucket->parts += (count < missing ? count : missing) * MINUTE_MS;
    pthread_mutex_unlock(&rates->lock);
}
