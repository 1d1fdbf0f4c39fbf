/* UTF-8 (RFC 3629) as websocket text must be: no overlong forms, no surrogates, nothing beyond U+10FFFF. */
#ifndef GW_INGEST_UTF8_H
#define GW_INGEST_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool gw_utf8_valid(const uint8_t *data, size_t len);

#endif
