/* URI references (RFC 3986): resolving, and percent-decoding of fragments. */
#ifndef GW_SCHEMA_URI_H
#define GW_SCHEMA_URI_H

#include <stddef.h>

#include "base/error.h"

#define GW_URI_MAX 2048

/* RFC 3986 §5.2: reference in the light of base (which may be empty). 0, or GW_ELIMIT if it is longer than GW_URI_MAX. */
GW_MUST_CHECK int gw_uri_resolve(const char *base, const char *reference, size_t reference_len,
                                 char out[GW_URI_MAX]);
/* Cuts the fragment off, decodes it into out_fragment ("" if there is none). 0, or GW_EINVALID. */
GW_MUST_CHECK int gw_uri_split(char *uri, char out_fragment[GW_URI_MAX]);

#endif
