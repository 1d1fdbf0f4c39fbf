/*
 * HMAC-SHA-256 (RFC 2104, FIPS 198-1) with the key's two hash states computed once.
 *
 * A one-shot HMAC hashes four blocks for a short message, two of them made of the key alone. Keeping the
 * states after those two halves the work. See hmac.c for why this is the one place that uses OpenSSL's
 * low-level SHA-256.
 */
#ifndef GW_PRIVACY_HMAC_H
#define GW_PRIVACY_HMAC_H

#include <openssl/sha.h>
#include <stddef.h>
#include <stdint.h>

#define GW_HMAC_BYTES 32

/* Holds the secret in another form: wipe it with OPENSSL_cleanse. Immutable after init, so threads share it.
 */
struct gw_hmac_key {
    SHA256_CTX inner, outer; /* after the block key ^ ipad, and after key ^ opad */
};

/* Any key length (RFC 2104 §2: above 64 bytes it is hashed first). */
void gw_hmac_key_init(struct gw_hmac_key *key, const uint8_t *secret, size_t secret_len);
/* No allocation, no shared state; cannot fail. */
void gw_hmac(const struct gw_hmac_key *key, const void *data, size_t len, uint8_t out_mac[GW_HMAC_BYTES]);

#endif
