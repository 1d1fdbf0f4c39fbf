/*
 * Decimal numbers, exactly: any integer, any fraction, any exponent. 0.1 is a tenth, 1e308 has 309 digits, and 2^53 + 1 is
 * not 2^53. A number is borrowed from its text where it has more than 19 digits.
 */
#ifndef GW_SCHEMA_NUMBER_H
#define GW_SCHEMA_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ±0.d1d2…dn × 10^scale, d1 and dn not 0; digits == 0: zero. */
struct gw_number {
    bool negative;
    uint32_t digits;
    int64_t scale;
    uint64_t mantissa; /* d1…dn, when digits <= 19 */
    const char *text;  /* else: from d1 on; a point may stand between digits; borrowed */
};

/* text is a number of RFC 8259 §6. */
void gw_number_parse(const char *text, size_t len, struct gw_number *out);
void gw_number_from_int(int64_t value, struct gw_number *out);
void gw_number_from_uint(uint64_t magnitude, bool negative, struct gw_number *out);
/* The shortest decimal that is this double when read back; finite only. */
void gw_number_from_double(double value, struct gw_number *out);
/* < 0, 0, > 0 */
int gw_number_compare(const struct gw_number *a, const struct gw_number *b);
bool gw_number_is_integer(const struct gw_number *n);
/* True and *out, if it is an integer of 64 bits. */
bool gw_number_to_int(const struct gw_number *n, int64_t *out);
/* Whether value is an integer multiple of divisor (> 0, at most 19 digits). */
bool gw_number_multiple(const struct gw_number *value, const struct gw_number *divisor);
uint64_t gw_number_hash(const struct gw_number *n);

#endif
