/* Any bytes as a token, and as a key set: refused or read, never more. A forged token must not get in. */
#include <stdint.h>
#include <stdlib.h>

#include "ingest/jwt.h"

/* An Ed25519 key whose secret nobody has (the base point of RFC 8032 in this form). */
static const char key_set[] =
    "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"a\",\"alg\":\"EdDSA\","
    "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct gw_jwks *known;
    struct gw_jwks *parsed = NULL;
    struct gw_jwt token;
    const char *reason = NULL;
    if (!known &&
        (gw_jwks_parse(key_set, sizeof key_set - 1, &known, NULL) != 0 || gw_jwks_count(known) != 1))
        abort();
    if (gw_jwt_verify(known, (const char *)data, size, "tributary", 1790000000, &token, &reason) == 0 ||
        !reason)
        abort();
    if (gw_jwks_parse((const char *)data, size, &parsed, NULL) == 0) {
        if (gw_jwt_verify(parsed, (const char *)data, size, "tributary", 1790000000, &token, &reason) == 0)
            abort();
        gw_jwks_free(parsed);
    }
    return 0;
}
