/* Any bytes as the request for a websocket, and its Authorization as a token: a status and a reason, or all texts in
 * the request. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/upgrade.h"

static const char JWKS[] = "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"k\","
                           "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}"; /* RFC 8037 A.2 */

static void check_inside(struct gw_handshake_text text, const uint8_t *data, size_t size)
{
    const uint8_t *at = (const uint8_t *)text.ptr;
    if (at && (at < data || text.len > size || at + text.len > data + size))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct gw_credentials credentials;
    if (!credentials.keys && gw_jwks_parse(JWKS, strlen(JWKS), &credentials.keys, NULL) != 0)
        abort();
    size_t len = gw_handshake_head_len(data, size);
    if (len == 0 || len > GW_HANDSHAKE_HEAD_MAX)
        return 0;
    uint8_t *head = malloc(len); /* exact, for the sanitizer */
    if (!head)
        return 0;
    memcpy(head, data, len);
    struct gw_handshake_request request;
    struct gw_upgrade upgrade;
    struct gw_config config = {.listen = {.path = "/v1"}, .auth = {.audience = "a"}};
    const char *reason = NULL;
    int status = gw_handshake_parse(head, len, &request, &reason);
    if (status == 0) {
        check_inside(request.path, head, len);
        check_inside(request.key, head, len);
        check_inside(request.origin, head, len);
        check_inside(request.authorization, head, len);
        /* Nobody here has the private key: no token can be good. */
        status = gw_upgrade_decide(&config, &credentials, &request, GW_TLS_NO_CERTIFICATE, NULL, 1764000000,
                                   &upgrade, &reason);
        if (status == 0)
            abort();
    }
    if (status < 400 || status > 599 || !reason || !reason[0])
        abort();
    char answer[512];
    if (gw_handshake_error_response(answer, sizeof answer, status, reason) >= sizeof answer)
        abort();
    free(head);
    return 0;
}
