/* The parsed key set, as jwks.c fills it and jwt.c uses it. */
#ifndef GW_INGEST_JWKS_H
#define GW_INGEST_JWKS_H

#include <openssl/types.h>
#include <stddef.h>
#include <stdint.h>

enum gw_jwk_kind { GW_JWK_ES256, GW_JWK_ED25519 };

struct gw_jwk {
    EVP_PKEY *key;
    enum gw_jwk_kind kind;
    char kid[128];
    uint64_t id; /* of kid and public key, never 0 */
};

struct gw_jwks {
    size_t count;
    struct gw_jwk keys[];
};

const struct gw_jwk *gw_jwks_find(const struct gw_jwks *keys, const char *kid);

#endif
