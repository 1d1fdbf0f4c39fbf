#include "ingest/proof.h"

static bool revoked(const struct gw_proof *proof, const struct gw_crl *crl)
{
    for (uint8_t i = 0; i < proof->link_count; i++)
        if (gw_crl_has(crl, proof->links[i]))
            return true;
    return false;
}

static enum trib_bye refuse(enum trib_bye reason, const char *text, const char **out_text)
{
    *out_text = text;
    return reason;
}

enum trib_bye gw_proof_refusal(const struct gw_proof *proof, const struct gw_credentials *credentials,
                               const char *device, int64_t now_s, const char **out_text)
{
    if (gw_deny_has(credentials->deny, device))
        return refuse(TRIB_BYE_BLOCKED, "this device is on the deny list", out_text);
    if (proof->by_token && !(credentials->keys && gw_jwks_has(credentials->keys, proof->anchor)))
        return refuse(TRIB_BYE_AUTH, "the key of its token was withdrawn", out_text);
    if (!proof->by_token && !gw_credentials_trusts(credentials, proof->anchor))
        return refuse(TRIB_BYE_AUTH, "the authority of its certificate was withdrawn", out_text);
    if (revoked(proof, credentials->crl))
        return refuse(TRIB_BYE_AUTH, "its certificate was revoked", out_text);
    if (now_s >= proof->valid_until_s)
        return refuse(TRIB_BYE_TIMEOUT,
                      proof->by_token ? "its token has expired" : "its certificate has expired", out_text);
    return 0;
}
