#include "privacy/pseudonym_cache.h"

#include <openssl/crypto.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define WAYS 4
#define WINDOW 512u
#define SKIPPED 65536u

struct entry {
    uint64_t tag[2]; /* 0, 0: empty; a user id whose hash is that is computed each time */
    char digits[GW_PSEUDONYM_DIGITS];
};

struct gw_pseudonym_cache {
    uint8_t key[GW_SIPHASH_KEY_BYTES];
    uint64_t key_serial; /* of the pseudonym key that the entries are of; 0: none yet */
    uint64_t hits;
    uint32_t window_left, window_hits, skip; /* see worth_it */
    size_t set_mask, bytes;
    struct entry entries[]; /* sets of WAYS, in each the last used first */
};

/* A new hash key as well, so that nothing that was learnt of the old table helps with this one. */
static int make_empty(struct gw_pseudonym_cache *cache)
{
    OPENSSL_cleanse(cache->entries, (cache->set_mask + 1) * WAYS * sizeof(struct entry));
    cache->key_serial = 0;
    return getrandom(cache->key, sizeof cache->key, 0) == (ssize_t)sizeof cache->key ? GW_OK : GW_ECRYPTO;
}

int gw_pseudonym_cache_new(size_t entries, struct gw_pseudonym_cache **out)
{
    size_t sets = 1;
    while (sets * WAYS < entries)
        sets *= 2;
    size_t bytes = sizeof(struct gw_pseudonym_cache) + sets * WAYS * sizeof(struct entry);
    struct gw_pseudonym_cache *cache = calloc(1, bytes);
    if (!cache)
        return GW_ENOMEM;
    cache->set_mask = sets - 1;
    cache->bytes = bytes;
    cache->window_left = WINDOW;
    int rc = make_empty(cache);
    if (rc == GW_OK)
        *out = cache;
    else
        gw_pseudonym_cache_free(cache);
    return rc;
}

void gw_pseudonym_cache_free(struct gw_pseudonym_cache *cache)
{
    if (!cache)
        return;
    OPENSSL_cleanse(cache, cache->bytes);
    free(cache);
}

uint64_t gw_pseudonym_cache_hits(const struct gw_pseudonym_cache *cache)
{
    return cache->hits;
}

/* The entry of this hash, now first in its set; NULL: there is none. */
static struct entry *find(struct entry *set, const uint64_t tag[2])
{
    for (unsigned i = 0; i < WAYS; i++) {
        if (set[i].tag[0] != tag[0] || set[i].tag[1] != tag[1])
            continue;
        if (i > 0) {
            struct entry found = set[i];
            memmove(set + 1, set, i * sizeof *set);
            set[0] = found;
        }
        return set;
    }
    return NULL;
}

/*
 * Where users hardly ever come again, looking each up is only a cost: then most are not looked up, and now and again a
 * window shows whether that has changed.
 */
static bool worth_it(struct gw_pseudonym_cache *cache)
{
    if (cache->skip > 0) {
        cache->skip--;
        return false;
    }
    if (cache->window_left == 0) {
        bool poor = cache->window_hits < WINDOW / 16;
        cache->window_left = WINDOW;
        cache->window_hits = 0;
        cache->skip = poor ? SKIPPED : 0;
    }
    cache->window_left--;
    return true;
}

size_t gw_pseudonym_cached(struct gw_pseudonym_cache *cache, const struct gw_pseudonym_key *key,
                           const char *user, size_t user_len, char out[GW_PSEUDONYM_TEXT_MAX])
{
    if (!cache)
        return gw_pseudonym_text(key, user, user_len, out);
    if (!worth_it(cache))
        return gw_pseudonym_text(key, user, user_len, out);
    uint64_t serial = gw_pseudonym_key_serial(key);
    if (cache->key_serial != serial && make_empty(cache) != GW_OK)
        return gw_pseudonym_text(key, user, user_len, out);
    cache->key_serial = serial;
    uint64_t tag[2];
    gw_siphash128(cache->key, user, user_len, tag);
    struct entry *set = cache->entries + (tag[0] & cache->set_mask) * WAYS;
    struct entry *known = tag[0] | tag[1] ? find(set, tag) : NULL;
    if (known) {
        cache->hits++;
        cache->window_hits++;
        return gw_pseudonym_text_of(key, known->digits, out);
    }
    size_t len = gw_pseudonym_text(key, user, user_len, out);
    if (len < GW_PSEUDONYM_DIGITS)
        return len;
    memmove(set + 1, set, (WAYS - 1) * sizeof *set); /* the one that was used longest ago is written over */
    set[0] = (struct entry){.tag = {tag[0], tag[1]}};
    memcpy(set[0].digits, out + len - sizeof set[0].digits, sizeof set[0].digits);
    return len;
}
