/*
 * Bearer tokens: JSON Web Tokens (RFC 7519) in compact JWS form (RFC 7515), signed with ES256 (RFC 7518 §3.4)
 * or EdDSA over Ed25519 (RFC 8037) and nothing else, by a key of a JSON Web Key Set (RFC 7517) that `kid`
 * names. A pure function of token, keys and time. No error text holds anything of the token.
 */
#ifndef GW_INGEST_JWT_H
#define GW_INGEST_JWT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "wire/message.h"

#define GW_JWT_BYTES_MAX 4096
#define GW_JWT_LIFE_MAX_S (90ull * 86400)

struct gw_jwks;

/* GW_EINVALID: the text says which key and why; GW_ENOMEM. Keys of other kinds than the two are left out. */
GW_MUST_CHECK int gw_jwks_parse(const char *text, size_t len, struct gw_jwks **out, struct gw_error *error);
/* Reads a file of at most 1 MiB. GW_EIO, or as gw_jwks_parse. */
GW_MUST_CHECK int gw_jwks_load(const char *path, struct gw_jwks **out, struct gw_error *error);
void gw_jwks_free(struct gw_jwks *keys);
size_t gw_jwks_count(const struct gw_jwks *keys);
/* Whether a key with this kid and this very public key is (still) in the set. */
bool gw_jwks_has(const struct gw_jwks *keys, uint64_t key);

/* What a good token says. */
struct gw_jwt {
    char device[TRIB_WIRE_DEVICE_BYTES_MAX + 1]; /* terminated */
    uint64_t key;                                /* what gw_jwks_has finds the key by */
    uint64_t expires_s;                          /* the first second in which it is past; UTC since 1970 */
};

/*
 * Checks signature, kid, aud (one of them must be `audience`), exp (not past, at most 90 days ahead), nbf (a
 * minute of leeway) and sub (a device id). GW_EAUTH with *out_reason, a
 * constant text.
 */
GW_MUST_CHECK int gw_jwt_verify(const struct gw_jwks *keys, const char *token, size_t len,
                                const char *audience, uint64_t now_s, struct gw_jwt *out,
                                const char **out_reason);

#endif
