/* Base64 (RFC 4648): §4 with padding, or §5, for names and addresses, without. */
#ifndef TRIB_WIRE_BASE64_H
#define TRIB_WIRE_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Writes (len + 2) / 3 * 4 characters, or with url (len * 4 + 2) / 3, and no terminator; returns how many. */
size_t trib_base64(const uint8_t *data, size_t len, bool url, char *out_text);

#endif
