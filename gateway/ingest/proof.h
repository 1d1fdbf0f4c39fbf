/*
 * What let a connection in, and whether it still does: a certificate may expire or be revoked while its connection lives, a
 * token may expire, an authority or a key may be withdrawn. No I/O; time comes from the caller.
 */
#ifndef GW_INGEST_PROOF_H
#define GW_INGEST_PROOF_H

#include <stdbool.h>
#include <stdint.h>

#include "ingest/credentials.h"
#include "wire/message.h"

/* A device's certificate and the intermediates above it; longer chains do not verify. */
#define GW_PROOF_LINKS_MAX 8

struct gw_proof {
    uint64_t anchor;                    /* gw_credentials_anchor, or the token's key (gw_jwt_verify) */
    int64_t valid_until_s;              /* the first end in its chain, or the token's; UTC since 1970 */
    uint64_t links[GW_PROOF_LINKS_MAX]; /* of its chain, without the authority: gw_crl_link */
    uint8_t link_count;
    bool by_token;
};

/*
 * 0, or why not, with a text for the device. `blocked` and `auth` are fatal to it. `timeout`, for what has only expired, is not:
 * a device that has something newer is to come back with that at once; one that has not is refused as it does.
 */
enum trib_bye gw_proof_refusal(const struct gw_proof *proof, const struct gw_credentials *credentials,
                               const char *device, int64_t now_s, const char **out_text);

#endif
