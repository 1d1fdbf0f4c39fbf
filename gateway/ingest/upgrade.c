#include "ingest/upgrade.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static int refuse(const char **out_reason, int status, const char *reason)
{
    *out_reason = reason;
    return status;
}

static bool text_is(struct gw_handshake_text text, const char *expected)
{
    return text.len == strlen(expected) && memcmp(text.ptr, expected, text.len) == 0;
}

/* A browser sends Origin by itself; devices send none. So whatever the subprotocol, a foreign one is a foreign page. */
static bool origin_allowed(const struct gw_config *config, struct gw_handshake_text origin)
{
    for (size_t i = 0; i < config->listen.origin_count; i++)
        if (text_is(origin, config->listen.origins[i]))
            return true;
    return false;
}

static int check_token(const struct gw_config *config, const struct gw_jwks *keys,
                       struct gw_handshake_text authorization, uint64_t now_s, struct gw_upgrade *out,
                       const char **out_reason)
{
    static const char SCHEME[] = "Bearer ";
    size_t scheme = sizeof SCHEME - 1;
    if (!authorization.ptr)
        return refuse(out_reason, 401, "no client certificate and no token");
    if (authorization.len < scheme || strncasecmp(authorization.ptr, SCHEME, scheme) != 0)
        return refuse(out_reason, 401, "the authorization is not a bearer token");
    if (!keys)
        return refuse(out_reason, 401, "this gateway takes no tokens");
    struct gw_jwt token;
    if (gw_jwt_verify(keys, authorization.ptr + scheme, authorization.len - scheme, config->auth.audience,
                      now_s, &token, out_reason) != GW_OK)
        return 401;
    memcpy(out->device, token.device, sizeof out->device);
    out->token_key = token.key;
    out->token_expires_s = token.expires_s;
    return 0;
}

int gw_upgrade_decide(const struct gw_config *config, const struct gw_credentials *credentials,
                      const struct gw_handshake_request *request, enum gw_tls_identity certificate,
                      const char *certificate_device, uint64_t now_s, struct gw_upgrade *out,
                      const char **out_reason)
{
    *out = (struct gw_upgrade){0};
    if (!text_is(request->path, config->listen.path))
        return refuse(out_reason, 404, "no such path");
    if (request->origin.ptr && !origin_allowed(config, request->origin))
        return refuse(out_reason, 403, "this origin is not allowed");
    if (!request->offers_cbor && !request->offers_json)
        return refuse(out_reason, 400, "offer the subprotocol tributary.v1.cbor or tributary.v1.json");
    out->text = !request->offers_cbor;
    out->subprotocol = out->text ? TRIB_WIRE_SUBPROTOCOL_JSON : TRIB_WIRE_SUBPROTOCOL_CBOR;
    int status = 0;
    switch (certificate) {
    case GW_TLS_DEVICE:
        snprintf(out->device, sizeof out->device, "%s", certificate_device);
        break;
    case GW_TLS_NOT_A_DEVICE:
        return refuse(out_reason, 401, "the client certificate names no device");
    case GW_TLS_NO_CERTIFICATE:
        status = check_token(config, credentials->keys, request->authorization, now_s, out, out_reason);
        break;
    }
    if (status == 0 && gw_deny_has(credentials->deny, out->device))
        return refuse(out_reason, 403, "this device is on the deny list");
    return status;
}
