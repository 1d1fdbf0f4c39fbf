/* date-time, date, time (RFC 3339 §5.6) and duration (appendix A). */
#include "schema/formats.h"

/* Exactly `count` digits at *p, or -1. */
static int take_digits(const char **p, const char *end, int count)
{
    int value = 0;
    if (end - *p < count)
        return -1;
    for (int i = 0; i < count; i++) {
        const char c = (*p)[i];
        if (c < '0' || c > '9')
            return -1;
        value = value * 10 + (c - '0');
    }
    *p += count;
    return value;
}

static bool take(const char **p, const char *end, char c)
{
    if (*p == end || **p != c)
        return false;
    ++*p;
    return true;
}

static bool take_date(const char **p, const char *end)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year = take_digits(p, end, 4);
    if (year < 0 || !take(p, end, '-'))
        return false;
    int month = take_digits(p, end, 2);
    if (month < 1 || month > 12 || !take(p, end, '-'))
        return false;
    int day = take_digits(p, end, 2);
    const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return day >= 1 && day <= days[month - 1] + (month == 2 && leap);
}

/* Minutes east of UTC in *out. */
static bool take_offset(const char **p, const char *end, int *out)
{
    *out = 0;
    if (take(p, end, 'Z') || take(p, end, 'z'))
        return true;
    int sign = take(p, end, '+') ? 1 : take(p, end, '-') ? -1 : 0;
    int hour = sign ? take_digits(p, end, 2) : -1;
    if (hour < 0 || hour > 23 || !take(p, end, ':'))
        return false;
    int minute = take_digits(p, end, 2);
    *out = sign * (hour * 60 + minute);
    return minute >= 0 && minute <= 59;
}

static bool take_time(const char **p, const char *end)
{
    int hour = take_digits(p, end, 2);
    if (hour < 0 || hour > 23 || !take(p, end, ':'))
        return false;
    int minute = take_digits(p, end, 2);
    if (minute < 0 || minute > 59 || !take(p, end, ':'))
        return false;
    int second = take_digits(p, end, 2);
    if (second < 0 || second > 60)
        return false;
    if (take(p, end, '.')) {
        const char *start = *p;
        while (take_digits(p, end, 1) >= 0)
            ;
        if (*p == start)
            return false;
    }
    int offset;
    if (!take_offset(p, end, &offset))
        return false;
    return second < 60 || ((hour * 60 + minute - offset) % 1440 + 1440) % 1440 == 1439;
}

bool gw_format_date(const char *text, size_t len)
{
    const char *p = text, *end = text + len;
    return take_date(&p, end) && p == end;
}

bool gw_format_time(const char *text, size_t len)
{
    const char *p = text, *end = text + len;
    return take_time(&p, end) && p == end;
}

bool gw_format_date_time(const char *text, size_t len)
{
    const char *p = text, *end = text + len;
    return take_date(&p, end) && (take(&p, end, 'T') || take(&p, end, 't')) && take_time(&p, end) && p == end;
}

/* Numbers with units of a list, in its order and without a gap: 1Y2M, 3D, 4H5M6S. At least one. */
static bool take_units(const char **p, const char *end, const char *units)
{
    bool any = false;
    while (*units) {
        const char *start = *p;
        while (take_digits(p, end, 1) >= 0)
            ;
        if (*p == start)
            return any;
        if (any) {
            if (!take(p, end, *units))
                return false;
        } else {
            while (*units && !take(p, end, *units))
                units++;
            if (!*units)
                return false;
        }
        any = true;
        units++;
    }
    return any;
}

bool gw_format_duration(const char *text, size_t len)
{
    const char *p = text, *end = text + len;
    if (!take(&p, end, 'P') || p == end)
        return false;
    if (len > 2 && end[-1] == 'W')
        return take_units(&p, end, "W") && p == end;
    if (*p != 'T' && !take_units(&p, end, "YMD"))
        return false;
    if (p == end)
        return true;
    return take(&p, end, 'T') && take_units(&p, end, "HMS") && p == end;
}
