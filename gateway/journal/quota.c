#include "journal/quota.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define SLOTS 32768u /* a power of two, an eighth above GW_QUOTA_DEVICES_MAX: probes stay short */

int gw_quota_init(struct gw_quota *quota, uint64_t most)
{
    *quota = (struct gw_quota){.most = most};
    if (most == 0)
        return 0;
    if (getrandom(quota->key, sizeof quota->key, 0) != (ssize_t)sizeof quota->key)
        return GW_ECRYPTO;
    quota->slots = calloc(SLOTS, sizeof *quota->slots);
    return quota->slots ? 0 : GW_ENOMEM;
}

void gw_quota_free(struct gw_quota *quota)
{
    free(quota->slots);
    *quota = (struct gw_quota){.slots = NULL};
}

void gw_quota_clear(struct gw_quota *quota)
{
    if (quota->slots)
        memset(quota->slots, 0, SLOTS * sizeof *quota->slots);
    quota->used = 0;
}

static uint64_t hash_of(const struct gw_quota *quota, const char *device, size_t device_len)
{
    uint64_t hash[2];
    gw_siphash128(quota->key, device, device_len, hash);
    return hash[0] != 0 ? hash[0] : 1;
}

/* The device's slot, or the free one that it would take. */
static size_t find(const struct gw_quota *quota, uint64_t hash)
{
    size_t i = hash % SLOTS;
    while (quota->slots[i].hash != 0 && quota->slots[i].hash != hash)
        i = (i + 1) % SLOTS;
    return i;
}

uint64_t gw_quota_left(const struct gw_quota *quota, const char *device, size_t device_len)
{
    if (!quota->slots)
        return UINT64_MAX;
    const struct gw_quota_slot *slot = &quota->slots[find(quota, hash_of(quota, device, device_len))];
    return slot->count < quota->most ? quota->most - slot->count : 0;
}

bool gw_quota_add(struct gw_quota *quota, const char *device, size_t device_len, uint64_t events)
{
    if (!quota->slots || events == 0)
        return true;
    const uint64_t hash = hash_of(quota, device, device_len);
    struct gw_quota_slot *slot = &quota->slots[find(quota, hash)];
    if (slot->hash == 0 && quota->used == GW_QUOTA_DEVICES_MAX)
        return false;
    quota->used += slot->hash == 0;
    slot->hash = hash;
    slot->count += events;
    return true;
}

/* Frees a slot, and moves back those behind it that probed past it: a search ends at the first free one. */
static void release(struct gw_quota *quota, size_t hole)
{
    for (size_t i = (hole + 1) % SLOTS; quota->slots[i].hash != 0; i = (i + 1) % SLOTS) {
        const size_t home = quota->slots[i].hash % SLOTS;
        if ((i - home) % SLOTS < (i - hole) % SLOTS)
            continue; /* its home lies behind the hole */
        quota->slots[hole] = quota->slots[i];
        hole = i;
    }
    quota->slots[hole] = (struct gw_quota_slot){0};
    quota->used--;
}

void gw_quota_take(struct gw_quota *quota, const char *device, size_t device_len, uint64_t events)
{
    if (!quota->slots || events == 0)
        return;
    const size_t at = find(quota, hash_of(quota, device, device_len));
    struct gw_quota_slot *slot = &quota->slots[at];
    if (slot->hash == 0)
        return;
    if (slot->count > events)
        slot->count -= events;
    else
        release(quota, at);
}
