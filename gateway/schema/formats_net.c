/* ipv4, ipv6, uri, uri-reference. */
#include <string.h>

#include "schema/formats.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alpha(char c)
{
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

static bool is_hex(char c)
{
    return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

bool gw_format_ipv4(const char *text, size_t len)
{
    const char *p = text, *end = text + len;
    for (int part = 0; part < 4; part++) {
        if (part > 0 && (p == end || *p++ != '.'))
            return false;
        const char *start = p;
        int value = 0;
        while (p < end && is_digit(*p) && p - start < 3)
            value = value * 10 + (*p++ - '0');
        if (p == start || value > 255 || (*start == '0' && p - start > 1))
            return false;
    }
    return p == end;
}

/* Groups up to the end or "::"; -1: not well-formed. An IPv4 address at the end counts as two. */
static int count_groups(const char *p, const char *end)
{
    int count = 0;
    if (p == end)
        return 0;
    for (;;) {
        const char *start = p;
        while (p < end && is_hex(*p))
            p++;
        if (p < end && *p == '.')
            return gw_format_ipv4(start, (size_t)(end - start)) ? count + 2 : -1;
        if (p == start || p - start > 4)
            return -1;
        count++;
        if (p == end)
            return count;
        if (*p++ != ':')
            return -1;
    }
}

bool gw_format_ipv6(const char *text, size_t len)
{
    const char *end = text + len, *gap = NULL;
    for (const char *p = text; p + 1 < end && !gap; p++)
        if (p[0] == ':' && p[1] == ':')
            gap = p;
    if (!gap)
        return count_groups(text, end) == 8;
    int before = count_groups(text, gap), after = count_groups(gap + 2, end);
    if (memchr(text, '.', (size_t)(gap - text))) /* an IPv4 address stands at the end only */
        return false;
    return before >= 0 && after >= 0 && before + after <= 7;
}

/* RFC 3986 §2: unreserved, sub-delims, percent-encoded, and `more`. */
static bool all_of(const char *p, const char *end, const char *more)
{
    for (; p < end; p++) {
        if (*p == '%') {
            if (end - p < 3 || !is_hex(p[1]) || !is_hex(p[2]))
                return false;
            p += 2;
        } else if (*p == '\0' ||
                   (!is_digit(*p) && !is_alpha(*p) && !strchr("-._~!$&'()*+,;=", *p) && !strchr(more, *p))) {
            return false;
        }
    }
    return true;
}

static bool is_host(const char *p, const char *end)
{
    if (p == end || *p != '[')
        return all_of(p, end, "");
    if (end[-1] != ']' || end - p < 4)
        return false;
    if (p[1] != 'v' && p[1] != 'V')
        return gw_format_ipv6(p + 1, (size_t)(end - p - 2));
    const char *dot = memchr(p, '.', (size_t)(end - p));
    if (!dot || dot == p + 2 || dot + 1 == end - 1)
        return false;
    for (const char *c = p + 2; c < dot; c++)
        if (!is_hex(*c))
            return false;
    return !memchr(dot, '%', (size_t)(end - dot)) && all_of(dot + 1, end - 1, ":");
}

static bool is_authority(const char *p, const char *end)
{
    const char *at = memchr(p, '@', (size_t)(end - p));
    if (at) {
        if (!all_of(p, at, ":"))
            return false;
        p = at + 1;
    }
    const char *port = end;
    while (port > p && is_digit(port[-1]))
        port--;
    return is_host(p, port > p && port[-1] == ':' ? port - 1 : end);
}

static const char *find_any(const char *p, const char *end, const char *stops)
{
    while (p < end && (*p == '\0' || !strchr(stops, *p)))
        p++;
    return p;
}

/* §4.1; behind the scheme, if there is one. */
static bool is_rest(const char *p, const char *end, bool relative)
{
    if (end - p >= 2 && p[0] == '/' && p[1] == '/') {
        const char *stop = find_any(p + 2, end, "/?#");
        if (!is_authority(p + 2, stop))
            return false;
        p = stop;
    } else if (relative && memchr(p, ':', (size_t)(find_any(p, end, "/?#") - p))) {
        return false; /* the first segment of a relative path has no colon */
    }
    const char *query = find_any(p, end, "?#"), *fragment = find_any(query, end, "#");
    return all_of(p, query, ":@/") && all_of(query + (query < fragment), fragment, ":@/?") &&
           all_of(fragment + (fragment < end), end, ":@/?");
}

static const char *behind_scheme(const char *p, const char *end)
{
    if (p == end || !is_alpha(*p))
        return NULL;
    while (p < end && (is_alpha(*p) || is_digit(*p) || *p == '+' || *p == '-' || *p == '.'))
        p++;
    return p < end && *p == ':' ? p + 1 : NULL;
}

bool gw_format_uri(const char *text, size_t len)
{
    const char *rest = behind_scheme(text, text + len);
    return rest && is_rest(rest, text + len, false);
}

bool gw_format_uri_reference(const char *text, size_t len)
{
    const char *rest = behind_scheme(text, text + len);
    return rest ? is_rest(rest, text + len, false) : is_rest(text, text + len, true);
}
