/*
 * Pseudonyms: HMAC-SHA-256 (RFC 2104, FIPS 198-1) of a user id under the gateway's pseudonym key, truncated
 * to 128 bits (FIPS 198-1 §5). Text form, as it travels to stream and lake: "p1.<key id>.<32 hex digits>",
 * version 1. The key's inner and outer SHA-256 states are computed once (the dearest part of a one-shot
 * HMAC).
 */
#ifndef GW_PRIVACY_PSEUDONYM_H
#define GW_PRIVACY_PSEUDONYM_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define GW_PSEUDONYM_TEXT_MAX 64
#define GW_PSEUDONYM_DIGITS 32 /* its last characters: the MAC in hexadecimal */

struct gw_pseudonym_key; /* shared by threads, immutable */

/* secret: 32 bytes. key_id: 1 to 16 bytes of [a-z0-9]. */
GW_MUST_CHECK int gw_pseudonym_key_new(const uint8_t *secret, size_t secret_len, const char *key_id,
                                       struct gw_pseudonym_key **out, struct gw_error *error);
void gw_pseudonym_key_free(struct gw_pseudonym_key *key);
/* Writes the text form (not terminated); returns its length, or 0 when OpenSSL fails. */
size_t gw_pseudonym_text(const struct gw_pseudonym_key *key, const char *user, size_t user_len,
                         char out[GW_PSEUDONYM_TEXT_MAX]);
/* The text form from digits that gw_pseudonym_text made under this key; returns its length. */
size_t gw_pseudonym_text_of(const struct gw_pseudonym_key *key, const char digits[GW_PSEUDONYM_DIGITS],
                            char out[GW_PSEUDONYM_TEXT_MAX]);
/* Tells keys of this process apart, also one that lies where another did; never 0. */
uint64_t gw_pseudonym_key_serial(const struct gw_pseudonym_key *key);

#endif
