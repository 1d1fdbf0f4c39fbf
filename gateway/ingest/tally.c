#include "ingest/tally.h"

#include <openssl/rand.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "privacy/pseudonym_cache.h"

#define BUCKETS_MAX (1u << 20)

struct entry {
    struct entry *next;
    struct gw_peer who;
    uint32_t count;
};

struct gw_tally {
    pthread_mutex_t lock;
    uint32_t most;
    uint8_t key[GW_SIPHASH_KEY_BYTES];
    size_t mask, addresses;
    struct entry *heads[];
};

int gw_tally_new(uint32_t most, size_t expected, struct gw_tally **out)
{
    size_t buckets = 16;
    while (buckets < expected && buckets < BUCKETS_MAX)
        buckets *= 2;
    struct gw_tally *tally = calloc(1, sizeof *tally + buckets * sizeof(struct entry *));
    if (!tally)
        return GW_ENOMEM;
    if (RAND_bytes(tally->key, sizeof tally->key) != 1) {
        free(tally);
        return GW_ECRYPTO;
    }
    pthread_mutex_init(&tally->lock, NULL);
    tally->most = most;
    tally->mask = buckets - 1;
    *out = tally;
    return GW_OK;
}

void gw_tally_free(struct gw_tally *tally)
{
    if (!tally)
        return;
    for (size_t i = 0; i <= tally->mask; i++)
        while (tally->heads[i]) {
            struct entry *entry = tally->heads[i];
            tally->heads[i] = entry->next;
            free(entry);
        }
    pthread_mutex_destroy(&tally->lock);
    free(tally);
}

/* The link that holds it, or the end of its row. */
static struct entry **find(struct gw_tally *tally, const struct gw_peer *who)
{
    uint64_t hash[2];
    gw_siphash128(tally->key, who->address, sizeof who->address, hash);
    struct entry **link = &tally->heads[hash[0] & tally->mask];
    while (*link && memcmp(&(*link)->who, who, sizeof *who) != 0)
        link = &(*link)->next;
    return link;
}

static bool enter(struct gw_tally *tally, const struct gw_peer *who)
{
    struct entry **link = find(tally, who);
    if (!*link) {
        *link = calloc(1, sizeof **link);
        if (!*link)
            return false;
        (*link)->who = *who;
        tally->addresses++;
    }
    if ((*link)->count >= tally->most)
        return false;
    (*link)->count++;
    return true;
}

bool gw_tally_enter(struct gw_tally *tally, const struct gw_peer *peer)
{
    if (!tally)
        return true;
    struct gw_peer who = gw_peer_counted(peer);
    pthread_mutex_lock(&tally->lock);
    bool entered = enter(tally, &who);
    pthread_mutex_unlock(&tally->lock);
    return entered;
}

void gw_tally_leave(struct gw_tally *tally, const struct gw_peer *peer)
{
    if (!tally)
        return;
    struct gw_peer who = gw_peer_counted(peer);
    pthread_mutex_lock(&tally->lock);
    struct entry **link = find(tally, &who), *entry = *link;
    if (entry && --entry->count == 0) {
        *link = entry->next;
        tally->addresses--;
        free(entry);
    }
    pthread_mutex_unlock(&tally->lock);
}

size_t gw_tally_addresses(const struct gw_tally *tally)
{
    return tally->addresses;
}
