/* Patterns like ^[0-9a-f]{16}$ without a regex engine: each class takes what it can, and that is never too much. */
#include <string.h>

#include "schema/regex.h"

static bool has(const struct gw_simple_atom *atom, unsigned char c)
{
    return c < 128 && (atom->set[c / 64] >> c % 64 & 1);
}

static void add(struct gw_simple_atom *atom, unsigned char c)
{
    atom->set[c / 64] |= 1ull << c % 64;
}

static bool is_plain(char c)
{
    return (unsigned char)c >= 0x20 && (unsigned char)c < 127;
}

/* [a-z0-9_]: ASCII letters and ranges only. NULL: something else. */
static const char *take_class(const char *p, const char *end, struct gw_simple_atom *atom)
{
    for (p++; p < end && *p != ']'; p++) {
        if (!is_plain(*p) || strchr("\\[^", *p) || (*p == '-' && p + 1 < end && p[1] != ']'))
            return NULL;
        unsigned char from = (unsigned char)*p, to = from;
        if (p + 2 < end && p[1] == '-' && p[2] != ']') {
            if (!is_plain(p[2]) || strchr("\\[^", p[2]))
                return NULL;
            to = (unsigned char)p[2];
            p += 2;
        }
        if (to < from)
            return NULL;
        for (unsigned c = from; c <= to; c++)
            add(atom, (unsigned char)c);
    }
    return p < end && (atom->set[0] | atom->set[1]) ? p + 1 : NULL;
}

static const char *take_count(const char *p, const char *end, uint32_t *out)
{
    uint32_t value = 0;
    const char *start = p;
    for (; p < end && *p >= '0' && *p <= '9'; p++) {
        if (value > 100000)
            return NULL;
        value = value * 10 + (uint32_t)(*p - '0');
    }
    *out = value;
    return p > start ? p : NULL;
}

static const char *take_repeat(const char *p, const char *end, struct gw_simple_atom *atom)
{
    atom->min = atom->max = 1;
    if (p == end || !strchr("*+?{", *p))
        return p;
    if (*p != '{') {
        atom->min = *p == '+';
        atom->max = *p == '?' ? 1 : UINT32_MAX;
        p++;
    } else {
        p = take_count(p + 1, end, &atom->min);
        if (!p || p == end)
            return NULL;
        atom->max = atom->min;
        if (*p == ',') {
            atom->max = UINT32_MAX;
            p++;
            if (p < end && *p != '}')
                p = take_count(p, end, &atom->max);
        }
        if (!p || p == end || *p != '}' || atom->max < atom->min)
            return NULL;
        p++;
    }
    return p < end && strchr("*+?{", *p) ? NULL : p; /* lazy, or a mistake */
}

static bool overlap(const struct gw_simple_atom *a, const struct gw_simple_atom *b)
{
    return (a->set[0] & b->set[0]) || (a->set[1] & b->set[1]);
}

/* A part of variable length must not be able to take what a later one needs; one of fixed length never does. */
static bool is_exact(const struct gw_simple *s)
{
    for (unsigned i = 0; i < s->count; i++) {
        if (s->atoms[i].min == s->atoms[i].max)
            continue;
        for (unsigned j = i + 1; j < s->count; j++) {
            if (overlap(&s->atoms[i], &s->atoms[j]))
                return false;
            if (s->atoms[j].min > 0)
                break;
        }
    }
    return true;
}

void gw_simple_compile(const char *pattern, size_t len, struct gw_simple *out)
{
    const char *p = pattern, *end = pattern + len;
    struct gw_simple made = {.count = 0};
    *out = made;
    if (len < 2 || *p != '^' || memchr(pattern, 0, len))
        return;
    for (p++; p < end; made.count++) {
        if (*p == '$' && p + 1 == end) {
            made.to_end = true;
            break;
        }
        if (made.count == GW_SIMPLE_ATOMS || !is_plain(*p) || strchr("\\^$.*+?(){}]|", *p))
            return;
        struct gw_simple_atom *atom = &made.atoms[made.count];
        if (*p == '[') {
            p = take_class(p, end, atom);
        } else {
            add(atom, (unsigned char)*p);
            p++;
        }
        p = p ? take_repeat(p, end, atom) : NULL;
        if (!p)
            return;
    }
    if (made.count > 0 && is_exact(&made))
        *out = made;
}

bool gw_simple_match(const struct gw_simple *simple, const char *text, size_t len)
{
    size_t at = 0;
    for (unsigned i = 0; i < simple->count; i++) {
        const struct gw_simple_atom *atom = &simple->atoms[i];
        const size_t most = len - at < atom->max ? len - at : atom->max;
        size_t n = 0;
        while (n < most && has(atom, (unsigned char)text[at + n]))
            n++;
        if (n < atom->min)
            return false;
        at += n;
    }
    return !simple->to_end || at == len;
}
