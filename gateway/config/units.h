/* Numbers, sizes and durations as people write them. Pure. */
#ifndef GW_CONFIG_UNITS_H
#define GW_CONFIG_UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Each takes the whole text and is false for anything else, and for what does not fit in 64 bits. */
bool gw_units_number(const char *text, uint64_t *out_value);
/* Bytes: a plain number, or with B, KiB, MiB, GiB, TiB (powers of 1024), kB, MB, GB, TB (powers of 1000). */
bool gw_units_size(const char *text, uint64_t *out_bytes);
/* A number with ms, s, m, h or d; a plain number only if it is 0. */
bool gw_units_duration(const char *text, uint64_t *out_ms);

#define GW_UNITS_TEXT_MAX 32

/* "256MiB", "65537": exact, as gw_units_size reads it. Returns out. */
const char *gw_units_size_text(uint64_t bytes, char out[GW_UNITS_TEXT_MAX]);
/* "25s", "500ms", "2m": exact, as gw_units_duration reads it. Returns out. */
const char *gw_units_duration_text(uint64_t ms, char out[GW_UNITS_TEXT_MAX]);
/* "1.4 GiB", for people. Returns out. */
const char *gw_units_size_about(uint64_t bytes, char out[GW_UNITS_TEXT_MAX]);
/* "3 days", "5 hours": rounded down, for people; "over 10 years" beyond that. Returns out. */
const char *gw_units_duration_about(uint64_t seconds, char out[GW_UNITS_TEXT_MAX]);

#endif
