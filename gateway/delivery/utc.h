/* UTC in RFC 3339 (§5.6): milliseconds since 1970 as text. Leap seconds do not exist, as in POSIX. */
#ifndef GW_DELIVERY_UTC_H
#define GW_DELIVERY_UTC_H

#include <stdint.h>

#define GW_UTC_MS_MAX 253402300799999ull /* 9999-12-31T23:59:59.999Z: the last that has four digits */
#define GW_UTC_TEXT_BYTES 24             /* 2026-11-21T01:02:03.456Z */
#define GW_UTC_DATE_BYTES 10             /* 2026-11-21 */

/* Not terminated. Times beyond GW_UTC_MS_MAX are written as that. */
void gw_utc_text(uint64_t utc_ms, char out[GW_UTC_TEXT_BYTES]);
void gw_utc_date(uint64_t utc_ms, char out[GW_UTC_DATE_BYTES]);

#endif
