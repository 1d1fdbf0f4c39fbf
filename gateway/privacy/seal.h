/*
 * Seal: AES-256-GCM (NIST SP 800-38D) for what cannot be parsed or has no policy. Layout:
 *   version 1 (1) | key id length (1) | key id | nonce (12, random) | ciphertext | tag (16)
 * The associated data are version, key id and the caller's label.
 */
#ifndef GW_PRIVACY_SEAL_H
#define GW_PRIVACY_SEAL_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define GW_SEAL_OVERHEAD_MAX (1 + 1 + 16 + 12 + 16)

struct gw_seal_key;

GW_MUST_CHECK int gw_seal_key_new(const uint8_t *secret, size_t secret_len, const char *key_id,
                                  struct gw_seal_key **out, struct gw_error *error);
void gw_seal_key_free(struct gw_seal_key *key);
/* out has room for len + GW_SEAL_OVERHEAD_MAX. GW_ECRYPTO. */
GW_MUST_CHECK int gw_seal(const struct gw_seal_key *key, const void *label, size_t label_len,
                          const uint8_t *data, size_t len, uint8_t *out, size_t *out_len);
/* out has room for len. GW_ECRYPTO: wrong key, label, or damaged. */
GW_MUST_CHECK int gw_unseal(const struct gw_seal_key *key, const void *label, size_t label_len,
                            const uint8_t *sealed, size_t sealed_len, uint8_t *out, size_t *out_len);

#endif
