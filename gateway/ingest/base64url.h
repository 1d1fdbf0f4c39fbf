/* base64url without padding (RFC 4648 §5, as RFC 7515 uses it). */
#ifndef GW_INGEST_BASE64URL_H
#define GW_INGEST_BASE64URL_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* GW_EINVALID: a character, length or unused bits that are not allowed; GW_EFULL: more than capacity bytes.
 */
GW_MUST_CHECK int gw_base64url_decode(const char *text, size_t len, uint8_t *out, size_t capacity,
                                      size_t *out_len);

#endif
