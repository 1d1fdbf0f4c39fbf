#include "config/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit size_units[] = {
    {"B", 1},     {"KiB", 1ULL << 10}, {"MiB", 1ULL << 20}, {"GiB", 1ULL << 30}, {"TiB", 1ULL << 40},
    {"kB", 1000}, {"KB", 1000},        {"MB", 1000000},     {"GB", 1000000000},  {"TB", 1000000000000}};
static const struct unit time_units[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};

/* Digits at the start of text; *out_rest is what follows. */
static bool leading_number(const char *text, uint64_t *out_value, const char **out_rest)
{
    uint64_t value = 0;
    const char *p = text;
    for (; *p >= '0' && *p <= '9'; p++) {
        uint64_t digit = (uint64_t)(*p - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    if (p == text)
        return false;
    *out_value = value;
    *out_rest = p;
    return true;
}

static bool with_unit(const char *text, const struct unit *units, size_t count, uint64_t *out_value)
{
    uint64_t value;
    const char *rest;
    if (!leading_number(text, &value, &rest))
        return false;
    if (*rest == ' ')
        rest++;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rest, units[i].name) == 0) {
            if (value > UINT64_MAX / units[i].factor)
                return false;
            *out_value = value * units[i].factor;
            return true;
        }
    }
    return false;
}

bool gw_units_number(const char *text, uint64_t *out_value)
{
    uint64_t value;
    const char *rest;
    if (!leading_number(text, &value, &rest) || *rest)
        return false;
    *out_value = value;
    return true;
}

bool gw_units_size(const char *text, uint64_t *out_bytes)
{
    return gw_units_number(text, out_bytes) ||
           with_unit(text, size_units, sizeof size_units / sizeof size_units[0], out_bytes);
}

bool gw_units_duration(const char *text, uint64_t *out_ms)
{
    uint64_t plain;
    if (gw_units_number(text, &plain)) {
        if (plain != 0) /* milliseconds or seconds? Guessing wrong would be a thousandfold. */
            return false;
        *out_ms = 0;
        return true;
    }
    return with_unit(text, time_units, sizeof time_units / sizeof time_units[0], out_ms);
}

const char *gw_units_size_text(uint64_t bytes, char out[GW_UNITS_TEXT_MAX])
{
    int shift = 0;
    while (shift < 4 && bytes && (bytes & 1023) == 0) {
        bytes >>= 10;
        shift++;
    }
    static const char *const names[] = {"", "KiB", "MiB", "GiB", "TiB"};
    snprintf(out, GW_UNITS_TEXT_MAX, "%" PRIu64 "%s", bytes, names[shift]);
    return out;
}

const char *gw_units_duration_text(uint64_t ms, char out[GW_UNITS_TEXT_MAX])
{
    size_t best = 0;
    for (size_t i = 0; i < sizeof time_units / sizeof time_units[0]; i++)
        if (ms && ms % time_units[i].factor == 0)
            best = i;
    if (ms)
        snprintf(out, GW_UNITS_TEXT_MAX, "%" PRIu64 "%s", ms / time_units[best].factor,
                 time_units[best].name);
    else
        snprintf(out, GW_UNITS_TEXT_MAX, "0");
    return out;
}

const char *gw_units_size_about(uint64_t bytes, char out[GW_UNITS_TEXT_MAX])
{
    static const char *const names[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes;
    size_t i = 0;
    for (; value >= 1024 && i + 1 < sizeof names / sizeof names[0]; i++)
        value /= 1024;
    snprintf(out, GW_UNITS_TEXT_MAX, value < 10 && i > 0 ? "%.1f %s" : "%.0f %s", value, names[i]);
    return out;
}

const char *gw_units_duration_about(uint64_t seconds, char out[GW_UNITS_TEXT_MAX])
{
    static const struct {
        const char *name;
        uint64_t seconds;
    } steps[] = {{"year", 31557600}, {"month", 2629800}, {"day", 86400},
                 {"hour", 3600},     {"minute", 60},     {"second", 1}};
    if (seconds >= 10 * steps[0].seconds)
        return strcpy(out, "over 10 years");
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        /* Two of a unit at least, so that 47 hours are not "1 day". */
        uint64_t n = seconds / steps[i].seconds;
        if (n >= 2 || steps[i].seconds == 1) {
            snprintf(out, GW_UNITS_TEXT_MAX, "%" PRIu64 " %s%s", n, steps[i].name, n == 1 ? "" : "s");
            break;
        }
    }
    return out;
}
