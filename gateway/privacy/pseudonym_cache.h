/*
 * Pseudonyms remembered: a small, bounded table of one thread, so that a user who is named again and again costs one
 * HMAC and then a look-up.
 *
 * No user id is kept. An entry holds a 128-bit SipHash-2-4 of the id, under a random key that only this table has, and
 * the pseudonym's digits: what the journal will hold anyway. Two ids are taken for one another only if their 128-bit
 * hashes collide, which nobody who does not know the key can bring about. Another pseudonym key empties the table;
 * what is thrown out or left behind is wiped.
 */
#ifndef GW_PRIVACY_PSEUDONYM_CACHE_H
#define GW_PRIVACY_PSEUDONYM_CACHE_H

#include <stddef.h>
#include <stdint.h>

#include "privacy/pseudonym.h"

#define GW_SIPHASH_KEY_BYTES 16

struct gw_pseudonym_cache; /* of one thread */

/*
 * Room for `entries` values, rounded up to a power of two and at least 4; 48 bytes each. GW_ENOMEM; GW_ECRYPTO: the
 * system gives no random bytes.
 */
GW_MUST_CHECK int gw_pseudonym_cache_new(size_t entries, struct gw_pseudonym_cache **out);
/* Wipes it. NULL is allowed. */
void gw_pseudonym_cache_free(struct gw_pseudonym_cache *cache);
/* As gw_pseudonym_text, and the same text as it would give. cache NULL: remembers nothing. */
size_t gw_pseudonym_cached(struct gw_pseudonym_cache *cache, const struct gw_pseudonym_key *key,
                           const char *user, size_t user_len, char out[GW_PSEUDONYM_TEXT_MAX]);
/* Look-ups that found something, for tests and the bench. */
uint64_t gw_pseudonym_cache_hits(const struct gw_pseudonym_cache *cache);

/* SipHash-2-4 with 128 bits of output (Aumasson and Bernstein, 2012; as OpenSSL's SIPHASH with size 16). */
void gw_siphash128(const uint8_t key[GW_SIPHASH_KEY_BYTES], const void *data, size_t len, uint64_t out[2]);

#endif
