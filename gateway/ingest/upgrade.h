/* Whether a request may become a device's websocket: path, subprotocol, origin, credentials. No I/O. */
#ifndef GW_INGEST_UPGRADE_H
#define GW_INGEST_UPGRADE_H

#include "config/config.h"
#include "ingest/credentials.h"
#include "ingest/handshake.h"
#include "ingest/tls.h"

struct gw_upgrade {
    bool text; /* tributary.v1.json */
    const char *subprotocol;
    char device[TRIB_WIRE_DEVICE_BYTES_MAX + 1];
    uint64_t token_key; /* which key signed the token (gw_jwt_verify); 0: no token was needed */
    uint64_t token_expires_s;
};

/*
 * certificate: what the TLS peer proved; with GW_TLS_DEVICE, certificate_device is its id.
 * 0, or the HTTP status to refuse with (400, 401, 403, 404) and why, in words without secrets.
 */
GW_MUST_CHECK int gw_upgrade_decide(const struct gw_config *config, const struct gw_credentials *credentials,
                                    const struct gw_handshake_request *request,
                                    enum gw_tls_identity certificate, const char *certificate_device,
                                    uint64_t now_s, struct gw_upgrade *out, const char **out_reason);

#endif
