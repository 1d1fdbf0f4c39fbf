#include "schema/number.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef GW_MUTANT_SCHEMA_DOUBLES
#include <math.h>
#endif

#define MANTISSA_DIGITS 19
#define SCALE_LIMIT 1000000000000

/* The exponent's digits; beyond any sense it stays where it is. */
static int64_t parse_exponent(const char *text, const char *end)
{
    bool negative = text < end && *text == '-';
    if (text < end && (*text == '-' || *text == '+'))
        text++;
    int64_t value = 0;
    for (; text < end; text++)
        if (value < SCALE_LIMIT)
            value = value * 10 + (*text - '0');
    return negative ? -value : value;
}

static bool is_exponent(char c)
{
    return c == 'e' || c == 'E';
}

/* Digits from the first to the last that is not 0, and how many places stand before the point. */
struct span {
    const char *first, *last;
    int64_t places;
    const char *rest; /* the exponent, or the end */
};

static void find_digits(const char *p, const char *end, struct span *out)
{
    bool point = false;
    *out = (struct span){.first = NULL};
    for (; p < end && !is_exponent(*p); p++) {
        if (*p == '.') {
            point = true;
            continue;
        }
        if (*p != '0') {
            out->last = p;
            if (!out->first)
                out->first = p;
        }
        if (!point && out->first)
            out->places++;
        else if (point && !out->first)
            out->places--;
    }
    out->rest = p;
}

void gw_number_parse(const char *text, size_t len, struct gw_number *out)
{
    const char *end = text + len;
    *out = (struct gw_number){.negative = len > 0 && *text == '-'};
    struct span span;
    find_digits(text + out->negative, end, &span);
    if (!span.first) {
        out->negative = false;
        return;
    }
    for (const char *p = span.first; p <= span.last; p++) {
        if (*p == '.')
            continue;
        if (out->digits < MANTISSA_DIGITS)
            out->mantissa = out->mantissa * 10 + (uint64_t)(*p - '0');
        out->digits++;
    }
    if (out->digits > MANTISSA_DIGITS)
        out->text = span.first;
    out->scale = span.places + (span.rest < end ? parse_exponent(span.rest + 1, end) : 0);
}

static void set_mantissa(uint64_t value, struct gw_number *out)
{
    out->scale = 0;
    for (uint64_t rest = value; rest > 0; rest /= 10)
        out->scale++;
    out->digits = (uint32_t)out->scale;
    while (value > 0 && value % 10 == 0) {
        value /= 10;
        out->digits--;
    }
    out->mantissa = value;
}

void gw_number_from_int(int64_t value, struct gw_number *out)
{
    *out = (struct gw_number){.negative = value < 0};
    set_mantissa(value < 0 ? 0 - (uint64_t)value : (uint64_t)value, out);
}

/* 20-digit values fit in the mantissa too: nothing but this and set_mantissa makes them. */
void gw_number_from_uint(uint64_t magnitude, bool negative, struct gw_number *out)
{
    *out = (struct gw_number){.negative = negative};
    if (negative && magnitude == UINT64_MAX) { /* -2^64 */
        gw_number_parse("-18446744073709551616", 21, out);
        return;
    }
    set_mantissa(magnitude + (negative ? 1 : 0), out);
}

void gw_number_from_double(double value, struct gw_number *out)
{
    char text[40];
    for (int precision = 15; precision <= 17; precision++) {
        (void)snprintf(text, sizeof text, "%.*e", precision - 1, value);
        if (strtod(text, NULL) == value)
            break;
    }
    gw_number_parse(text, strlen(text), out); /* 17 digits at most, so text is not borrowed */
}

/* One digit after the other, without points; zeros behind the last. */
struct digits {
    const char *next;
    uint32_t left;
    char buffer[24];
};

static void digits_open(const struct gw_number *n, struct digits *out)
{
    out->left = n->digits;
    out->next = n->text;
    if (!n->text) {
        (void)snprintf(out->buffer, sizeof out->buffer, "%llu", (unsigned long long)n->mantissa);
        out->next = out->buffer;
    }
}

static unsigned digits_next(struct digits *d)
{
    if (d->left == 0)
        return 0;
    if (*d->next == '.')
        d->next++;
    d->left--;
    return (unsigned)(*d->next++ - '0');
}

static int compare_magnitude(const struct gw_number *a, const struct gw_number *b)
{
    if (a->scale != b->scale)
        return a->scale < b->scale ? -1 : 1;
    struct digits x, y;
    digits_open(a, &x);
    digits_open(b, &y);
    while (x.left > 0 || y.left > 0) {
        unsigned p = digits_next(&x), q = digits_next(&y);
        if (p != q)
            return p < q ? -1 : 1;
    }
    return 0;
}

static int sign(const struct gw_number *n)
{
    return n->digits == 0 ? 0 : n->negative ? -1 : 1;
}

#ifdef GW_MUTANT_SCHEMA_DOUBLES /* numbers are what a double holds */
static double as_double(const struct gw_number *n)
{
    return (n->negative ? -1 : 1) * (double)n->mantissa * pow(10, (double)(n->scale - (int64_t)n->digits));
}
#endif

int gw_number_compare(const struct gw_number *a, const struct gw_number *b)
{
#ifdef GW_MUTANT_SCHEMA_DOUBLES
    return as_double(a) < as_double(b) ? -1 : as_double(a) > as_double(b);
#endif
    int p = sign(a), q = sign(b);
    if (p != q || p == 0)
        return p - q;
    return p * compare_magnitude(a, b);
}

bool gw_number_is_integer(const struct gw_number *n)
{
    return n->digits == 0 || n->scale >= (int64_t)n->digits;
}

bool gw_number_to_int(const struct gw_number *n, int64_t *out)
{
    if (!gw_number_is_integer(n) || n->scale > 19 || n->text)
        return false;
    uint64_t value = n->mantissa;
    for (int64_t i = n->digits; i < n->scale; i++)
        if (__builtin_mul_overflow(value, 10u, &value))
            return false;
    if (value > (uint64_t)INT64_MAX + (n->negative ? 1 : 0))
        return false;
    *out = n->negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

#ifdef __SIZEOF_INT128__
static uint64_t multiply_mod(uint64_t a, uint64_t b, uint64_t m)
{
    __extension__ typedef unsigned __int128 wide;
    return (uint64_t)((wide)a * b % m);
}
#else
/* a, b < m < 10^19, so a sum of two may need 65 bits: subtract before adding. */
static uint64_t multiply_mod(uint64_t a, uint64_t b, uint64_t m)
{
    uint64_t result = 0;
    if ((a | b) >> 32 == 0)
        return a * b % m;
    for (a %= m, b %= m; b > 0; b >>= 1) {
        if (b & 1)
            result = result >= m - a ? result - (m - a) : result + a;
        a = a >= m - a ? a - (m - a) : a + a;
    }
    return result;
}
#endif

static uint64_t power_of_ten_mod(uint64_t exponent, uint64_t m)
{
    uint64_t result = 1 % m, base = 10 % m;
    for (; exponent > 0; exponent >>= 1) {
        if (exponent & 1)
            result = multiply_mod(result, base, m);
        base = multiply_mod(base, base, m);
    }
    return result;
}

/*
 * value / divisor = digits1 × 10^(e1 - e2) / digits2. digits1 does not end in 0, so below e1 == e2 there is a factor 10 that
 * it cannot have; else it is a remainder, and powers of ten are taken modulo.
 */
bool gw_number_multiple(const struct gw_number *value, const struct gw_number *divisor)
{
    if (value->digits == 0)
        return true;
    int64_t shift = (value->scale - (int64_t)value->digits) - (divisor->scale - (int64_t)divisor->digits);
    if (shift < 0)
        return false;
    const uint64_t m = divisor->mantissa;
    uint64_t rest = 0;
    struct digits d;
    digits_open(value, &d);
    while (d.left > 0)
        rest = (multiply_mod(rest, 10, m) + digits_next(&d)) % m;
    return multiply_mod(rest, power_of_ten_mod((uint64_t)shift, m), m) == 0;
}

uint64_t gw_number_hash(const struct gw_number *n)
{
    uint64_t hash = ((uint64_t)n->scale * 2 + n->negative) * 0x9e3779b97f4a7c15u;
    struct digits d;
    digits_open(n, &d);
    while (d.left > 0)
        hash = (hash ^ digits_next(&d)) * 0x100000001b3u;
    return n->digits ? hash : 0;
}
