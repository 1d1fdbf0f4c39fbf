/*
 * Everything that decides who the gateway and its devices are: certificate and key, the devices' authorities, the key set
 * for tokens, revocation lists, the deny list. Loaded and checked as a whole, immutable afterwards, shared by all threads.
 */
#ifndef GW_INGEST_CREDENTIALS_H
#define GW_INGEST_CREDENTIALS_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "base/error.h"
#include "config/config.h"
#include "ingest/crl.h"
#include "ingest/deny.h"
#include "ingest/jwt.h"

struct gw_credentials {
    X509 *certificate;
    STACK_OF(X509) * chain; /* NULL: no intermediates */
    EVP_PKEY *key;
    X509_STORE *authorities;     /* NULL: no client certificates are asked for */
    STACK_OF(X509_NAME) * names; /* of the authorities, for the handshake */
    uint64_t *anchors;           /* of the authorities; see gw_credentials_anchor */
    size_t anchor_count;
    struct gw_crl *crl;   /* NULL: nobody is revoked */
    struct gw_jwks *keys; /* NULL: no tokens */
    struct gw_deny *deny; /* NULL: nobody is denied */
};

/* GW_EINVALID, GW_EIO: the text says which file and what is wrong; GW_ENOMEM. */
GW_MUST_CHECK int gw_credentials_load(const struct gw_config *config, struct gw_credentials **out,
                                      struct gw_error *error);
void gw_credentials_free(struct gw_credentials *credentials);

/* An authority by its name and key, so that one that is issued anew is still the same. Never 0. */
uint64_t gw_credentials_anchor(const X509 *authority);
bool gw_credentials_trusts(const struct gw_credentials *credentials, uint64_t anchor);

#endif
