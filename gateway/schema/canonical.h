/*
 * What makes two schemas the same: a text without spaces, members in the order of their names, strings with no more escapes
 * than JSON asks for. Numbers stay as they are written.
 */
#ifndef GW_SCHEMA_CANONICAL_H
#define GW_SCHEMA_CANONICAL_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct gw_schema_hash {
    uint8_t bytes[32]; /* SHA-256 */
};

#define GW_SCHEMA_HASH_TEXT 65
/* Lower-case hexadecimal with NUL. Returns out. */
const char *gw_schema_hash_text(const struct gw_schema_hash *hash, char out[GW_SCHEMA_HASH_TEXT]);

enum gw_json_style { GW_JSON_CANONICAL, GW_JSON_PRETTY };

/*
 * The text again (malloc, NUL at its end, the caller's): canonical, or for people, with members in their order and two spaces
 * a level. GW_EINVALID: not JSON, or a member twice; GW_ELIMIT: too deep; GW_ENOMEM.
 */
GW_MUST_CHECK int gw_schema_rewrite(const char *text, size_t len, enum gw_json_style style, char **out,
                                    size_t *out_len);
/* Of the canonical text. Errors as above, and GW_ECRYPTO. */
GW_MUST_CHECK int gw_schema_hash(const char *text, size_t len, struct gw_schema_hash *out);

#endif
