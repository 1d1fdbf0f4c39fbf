/*
 * How many events of each device are in quarantine, so that no device takes the room of others: a table of fixed size with an
 * entry for each device that has some, and no memory per event. Two devices whose hashes (64 bits, keyed) meet would share a
 * quota. Not locked: the committer's own.
 */
#ifndef GW_JOURNAL_QUOTA_H
#define GW_JOURNAL_QUOTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "privacy/pseudonym_cache.h"

#define GW_QUOTA_DEVICES_MAX                                                                                 \
    28672u /* more than there can be events in meta: after a seal there is always room */

struct gw_quota_slot {
    uint64_t hash; /* 0: free */
    uint64_t count;
};

struct gw_quota {
    struct gw_quota_slot *slots; /* NULL: no quota */
    size_t used;
    uint64_t most; /* of a device */
    uint8_t key[GW_SIPHASH_KEY_BYTES];
};

/* most 0: no quota, and no memory. GW_ENOMEM; GW_ECRYPTO: the system gives no random bytes. */
GW_MUST_CHECK int gw_quota_init(struct gw_quota *quota, uint64_t most);
void gw_quota_free(struct gw_quota *quota);
void gw_quota_clear(struct gw_quota *quota);

/* How many more events of a device may come; UINT64_MAX: any number. */
uint64_t gw_quota_left(const struct gw_quota *quota, const char *device, size_t device_len);
/* Counts events that came, whatever is left. False: there are GW_QUOTA_DEVICES_MAX others; nothing was counted. */
bool gw_quota_add(struct gw_quota *quota, const char *device, size_t device_len, uint64_t events);
/* Counts events that went. */
void gw_quota_take(struct gw_quota *quota, const char *device, size_t device_len, uint64_t events);

#endif
