/* The formats of JSON Schema Validation §7.3, each a pure function of a string's bytes. */
#ifndef GW_SCHEMA_FORMATS_H
#define GW_SCHEMA_FORMATS_H

#include <stdbool.h>
#include <stddef.h>

#include "schema/program.h"

/* NULL: a format that is not known; it is an annotation. */
gw_format_check gw_format_find(const char *name, size_t len);

/* RFC 3339 §5.6, with leap seconds (23:59:60 UTC). */
bool gw_format_date_time(const char *text, size_t len);
bool gw_format_date(const char *text, size_t len);
bool gw_format_time(const char *text, size_t len);
/* RFC 3339 appendix A */
bool gw_format_duration(const char *text, size_t len);
/* RFC 5321 §4.1.2 */
bool gw_format_email(const char *text, size_t len);
/* RFC 1123 §2.1; labels of letters, digits and hyphens, at most 63 bytes, 253 together */
bool gw_format_hostname(const char *text, size_t len);
/* RFC 2673 §3.2: four decimal numbers without leading zeros */
bool gw_format_ipv4(const char *text, size_t len);
/* RFC 4291 §2.2, without a zone */
bool gw_format_ipv6(const char *text, size_t len);
/* RFC 3986 */
bool gw_format_uri(const char *text, size_t len);
bool gw_format_uri_reference(const char *text, size_t len);
/* RFC 4122 §3 */
bool gw_format_uuid(const char *text, size_t len);
/* ECMA-262 with the u flag */
bool gw_format_regex(const char *text, size_t len);
/* RFC 6901, and relative ones */
bool gw_format_json_pointer(const char *text, size_t len);
bool gw_format_relative_json_pointer(const char *text, size_t len);

#endif
