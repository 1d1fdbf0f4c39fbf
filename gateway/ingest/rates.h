/*
 * Token buckets for whoever comes: devices, addresses. A table of fixed size keyed by a hash; where it is crowded, the one
 * not seen for longest is forgotten, which gives it a full bucket. Shared by all threads; time comes from the caller.
 */
#ifndef GW_INGEST_RATES_H
#define GW_INGEST_RATES_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct gw_rates;

/*
 * Each has `burst` at first and at most, and gains `per_minute` a minute. entries: how many are told apart, rounded up.
 * GW_ENOMEM; GW_ECRYPTO: no random bytes for the hash, which outsiders must not foresee.
 */
GW_MUST_CHECK int gw_rates_new(uint64_t per_minute, uint64_t burst, size_t entries, struct gw_rates **out);
void gw_rates_free(struct gw_rates *rates);
/* Takes up to `want`; returns how many were there. rates: NULL has all that is wanted. */
uint64_t gw_rates_take(struct gw_rates *rates, const void *key, size_t key_len, uint64_t want,
                       uint64_t now_ms);
/* Gives back what was taken and not used. */
void gw_rates_give(struct gw_rates *rates, const void *key, size_t key_len, uint64_t count, uint64_t now_ms);

#endif
