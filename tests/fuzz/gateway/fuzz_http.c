/* Any bytes as HTTP requests: the parser must agree with itself however the bytes arrive. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "admin/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gw_http_request whole, part;
    char *bytes = malloc(size + 1); /* exact, for the sanitizer */
    if (!bytes)
        return 0;
    memcpy(bytes, data, size);
    int rc = gw_http_parse(bytes, size, &whole);
    if (rc > 0) {
        char value[16], decoded[GW_HTTP_TARGET_MAX];
        if ((size_t)rc > size || whole.path[0] != '/' || strchr(whole.path, '?'))
            abort();
        if (whole.body_len > GW_HTTP_BODY_MAX || (whole.method == GW_HTTP_GET && whole.body_len > 0) ||
            strlen(whole.credentials) >= GW_HTTP_CREDENTIALS_MAX)
            abort();
        if (gw_http_decode(whole.path, strlen(whole.path), decoded, sizeof decoded) &&
            strlen(decoded) > strlen(whole.path))
            abort();
        (void)gw_http_query(&whole, "from", value, sizeof value);
        /* Not one byte earlier, and the same with more behind it. */
        if (gw_http_parse(bytes, (size_t)rc - 1, &part) != 0 || gw_http_parse(bytes, (size_t)rc, &part) != rc)
            abort();
        if (strcmp(part.path, whole.path) != 0 || strcmp(part.query, whole.query) != 0 ||
            part.method != whole.method || part.body_len != whole.body_len)
            abort();
    } else if (rc != 0 && (rc > -400 || rc < -599)) {
        abort();
    }
    free(bytes);
    return 0;
}
