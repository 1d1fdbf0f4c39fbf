/*
 * ECMAScript's regular expressions (ECMA-262 §22.2.1, u flag) in PCRE2's syntax. Everything that PCRE2 would take and
 * ECMAScript does not is refused, and what both take with another meaning is written out.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "schema/regex.h"

/* \s: ECMA-262 WhiteSpace and LineTerminator */
#define SPACE                                                                                                \
    "\\t-\\r \\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}\\x{feff}"
#define NOT_SPACE                                                                                            \
    "\\x{0}-\\x{8}\\x{e}-\\x{1f}!-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-\\x{1fff}\\x{200b}-\\x{2027}\\x{202a}-"  \
    "\\x{202e}\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}\\x{3001}-\\x{fefe}\\x{ff00}-\\x{10ffff}"

struct translator {
    const char *p, *end;
    char *out; /* NULL: count only */
    size_t len, room;
    const char *why;
    unsigned depth;
    bool full, atom; /* atom: something stands here that can be repeated */
};

static void put(struct translator *t, const char *text, size_t len)
{
    if (!t->out)
        return;
    if (len >= t->room - t->len) {
        t->full = true;
        return;
    }
    memcpy(t->out + t->len, text, len);
    t->len += len;
}

static void put_text(struct translator *t, const char *text)
{
    put(t, text, strlen(text));
}

static bool refuse(struct translator *t, const char *why)
{
    t->why = why;
    return false;
}

static void put_code(struct translator *t, unsigned code)
{
    char text[16];
    put(t, text, (size_t)snprintf(text, sizeof text, "\\x{%x}", code));
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static int hex_value(char c)
{
    if (is_digit(c))
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* count hex digits at t->p; -1: they are not there. */
static int32_t take_hex(struct translator *t, int count)
{
    int32_t value = 0;
    if (t->end - t->p < count)
        return -1;
    for (int i = 0; i < count; i++) {
        int digit = hex_value(t->p[i]);
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    t->p += count;
    return value;
}

/* Behind \u: four digits (with a second half for surrogates) or {digits}. */
static bool take_unicode(struct translator *t)
{
    int32_t code = 0;
    if (t->p < t->end && *t->p == '{') {
        const char *start = ++t->p;
        for (; t->p < t->end && hex_value(*t->p) >= 0 && code <= 0x10ffff; t->p++)
            code = code * 16 + hex_value(*t->p);
        if (t->p == start || t->p == t->end || *t->p++ != '}')
            return refuse(t, "\\u{ without digits and }");
    } else {
        code = take_hex(t, 4);
        if (code >= 0xd800 && code <= 0xdbff && t->end - t->p >= 6 && t->p[0] == '\\' && t->p[1] == 'u') {
            t->p += 2;
            int32_t low = take_hex(t, 4);
            code = low >= 0xdc00 && low <= 0xdfff ? 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00) : -1;
        }
    }
    if (code < 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return refuse(t, "\\u without a code point");
    put_code(t, (unsigned)code);
    return true;
}

/* The short names of general categories, which are what PCRE2 knows. */
static const char *category(const char *name, size_t len)
{
    static const char *const names[][2] = {
        {"Letter", "L"},
        {"Uppercase_Letter", "Lu"},
        {"Lowercase_Letter", "Ll"},
        {"Titlecase_Letter", "Lt"},
        {"Cased_Letter", "L&"},
        {"LC", "L&"},
        {"Modifier_Letter", "Lm"},
        {"Other_Letter", "Lo"},
        {"Mark", "M"},
        {"Combining_Mark", "M"},
        {"Nonspacing_Mark", "Mn"},
        {"Spacing_Mark", "Mc"},
        {"Enclosing_Mark", "Me"},
        {"Number", "N"},
        {"Decimal_Number", "Nd"},
        {"digit", "Nd"},
        {"Letter_Number", "Nl"},
        {"Other_Number", "No"},
        {"Punctuation", "P"},
        {"punct", "P"},
        {"Connector_Punctuation", "Pc"},
        {"Dash_Punctuation", "Pd"},
        {"Open_Punctuation", "Ps"},
        {"Close_Punctuation", "Pe"},
        {"Initial_Punctuation", "Pi"},
        {"Final_Punctuation", "Pf"},
        {"Other_Punctuation", "Po"},
        {"Symbol", "S"},
        {"Math_Symbol", "Sm"},
        {"Currency_Symbol", "Sc"},
        {"Modifier_Symbol", "Sk"},
        {"Other_Symbol", "So"},
        {"Separator", "Z"},
        {"Space_Separator", "Zs"},
        {"Line_Separator", "Zl"},
        {"Paragraph_Separator", "Zp"},
        {"Other", "C"},
        {"Control", "Cc"},
        {"cntrl", "Cc"},
        {"Format", "Cf"},
        {"Surrogate", "Cs"},
        {"Private_Use", "Co"},
        {"Unassigned", "Cn"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i][0]) == len && memcmp(names[i][0], name, len) == 0)
            return names[i][1];
    return NULL;
}

/* Behind \p or \P: {Name}, {gc=Name}, {Script=Name}. */
static bool take_property(struct translator *t, char kind)
{
    const char *close = t->p < t->end && *t->p == '{' ? memchr(t->p, '}', (size_t)(t->end - t->p)) : NULL;
    if (!close || close == t->p + 1)
        return refuse(t, "\\p without {…}");
    const char *name = t->p + 1;
    for (const char *c = name; c < close; c++)
        if (!is_letter(*c) && !is_digit(*c) && *c != '_' && *c != '=')
            return refuse(t, "\\p with a name that is none");
    t->p = close + 1;
    const char *equals = memchr(name, '=', (size_t)(close - name));
    const char *value = equals ? equals + 1 : name, *prefix = "";
    const size_t key = equals ? (size_t)(equals - name) : 0;
    if ((key == 6 && memcmp(name, "Script", 6) == 0) || (key == 2 && memcmp(name, "sc", 2) == 0))
        prefix = "sc:";
    else if ((key == 17 && memcmp(name, "Script_Extensions", 17) == 0) ||
             (key == 3 && memcmp(name, "scx", 3) == 0))
        prefix = "scx:";
    const char open[] = {'\\', kind, '{'};
    put(t, open, sizeof open);
    put_text(t, prefix);
    const char *brief = *prefix ? NULL : category(value, (size_t)(close - value));
    if (brief)
        put_text(t, brief);
    else
        put(t, value, (size_t)(close - value));
    put_text(t, "}");
    return true;
}

/* Escapes that mean the same within and without a class; t->p is behind the letter c. */
static bool take_common_escape(struct translator *t, char c)
{
    static const char controls[] = "tnvfr", codes[] = "\t\n\v\f\r";
    const char *control = c ? strchr(controls, c) : NULL;
    if (control) {
        put_code(t, (unsigned char)codes[control - controls]);
        return true;
    }
    switch (c) {
    case 'd':
        put_text(t, "\\d");
        return true;
    case 'D':
    case 'w':
    case 'W':
        put(t, t->p - 2, 2);
        return true;
    case 'p':
    case 'P':
        return take_property(t, c);
    case 'u':
        return take_unicode(t);
    case 'x': {
        int32_t code = take_hex(t, 2);
        if (code < 0)
            return refuse(t, "\\x without two hex digits");
        put_code(t, (unsigned)code);
        return true;
    }
    case 'c':
        if (t->p == t->end || !is_letter(*t->p))
            return refuse(t, "\\c without a letter");
        put_code(t, (unsigned char)*t->p++ & 31u);
        return true;
    case '0':
        if (t->p < t->end && is_digit(*t->p))
            return refuse(t, "octal escapes are not of ECMAScript");
        put_code(t, 0);
        return true;
    default:
        if (is_letter(c) || is_digit(c) || c == '_' || (unsigned char)c >= 0x80)
            return refuse(t, "an escape that ECMAScript does not have");
        put_code(t, (unsigned char)c);
        return true;
    }
}

static bool take_back_reference(struct translator *t)
{
    const char *start = t->p - 1;
    while (t->p < t->end && is_digit(*t->p))
        t->p++;
    put_text(t, "\\g{");
    put(t, start, (size_t)(t->p - start));
    put_text(t, "}");
    return true;
}

/* <name>, as letters, digits, _ and $ of ASCII. */
static bool take_name(struct translator *t)
{
    const char *start = t->p;
    if (t->p == t->end || *t->p++ != '<')
        return refuse(t, "a group's name is missing");
    while (t->p < t->end && (is_letter(*t->p) || is_digit(*t->p) || *t->p == '_'))
        t->p++;
    if (t->p == t->end || *t->p != '>' || t->p == start + 1 || is_digit(start[1]))
        return refuse(t, "a group's name must be of letters, digits and _");
    t->p++;
    put(t, start, (size_t)(t->p - start));
    return true;
}

static bool take_escape(struct translator *t)
{
    if (t->p == t->end)
        return refuse(t, "a backslash at the end");
    const char c = *t->p++;
    t->atom = c != 'b' && c != 'B';
    if (c == 'b' || c == 'B') {
        put(t, t->p - 2, 2);
        return true;
    }
    if (c == 's' || c == 'S') {
        put_text(t, c == 's' ? "[" SPACE "]" : "[^" SPACE "]");
        return true;
    }
    if (c == 'k') {
        put_text(t, "\\k");
        return take_name(t);
    }
    return c >= '1' && c <= '9' ? take_back_reference(t) : take_common_escape(t, c);
}

static bool take_class_member(struct translator *t)
{
    const char c = *t->p++;
    if (c == '[') {
        put_text(t, "\\[");
        return true;
    }
    if (c != '\\') {
        put(t, &c, 1);
        return true;
    }
    if (t->p == t->end)
        return refuse(t, "a backslash at the end");
    const char escaped = *t->p++;
    if (escaped == 's' || escaped == 'S') {
        put_text(t, escaped == 's' ? SPACE : NOT_SPACE);
        return true;
    }
    if (escaped == 'b') {
        put_code(t, 8);
        return true;
    }
    return take_common_escape(t, escaped);
}

/* Behind the bracket. */
static bool take_class(struct translator *t)
{
    put_text(t, "[");
    if (t->p < t->end && *t->p == '^') {
        put_text(t, "^");
        t->p++;
    }
    while (t->p < t->end && *t->p != ']')
        if (!take_class_member(t))
            return false;
    if (t->p++ == t->end)
        return refuse(t, "a [ without its ]");
    put_text(t, "]");
    t->atom = true;
    return true;
}

static bool starts(const struct translator *t, const char *text)
{
    const size_t len = strlen(text);
    return (size_t)(t->end - t->p) >= len && memcmp(t->p, text, len) == 0;
}

/* Behind the parenthesis. */
static bool take_group(struct translator *t)
{
    static const char *const kinds[] = {"?:", "?=", "?!", "?<=", "?<!"};
    put_text(t, "(");
    t->depth++;
    t->atom = false;
    if (!starts(t, "?"))
        return true;
    for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (!starts(t, kinds[i]))
            continue;
        put_text(t, kinds[i]);
        t->p += strlen(kinds[i]);
        return true;
    }
    put_text(t, "?");
    t->p++;
    return take_name(t);
}

/* {n}, {n,} or {n,m} at t->p; 0: it is none. */
static size_t count_length(const struct translator *t)
{
    const char *p = t->p + 1;
    const char *start = p;
    while (p < t->end && is_digit(*p))
        p++;
    if (p == start)
        return 0;
    if (p < t->end && *p == ',')
        for (p++; p < t->end && is_digit(*p); p++)
            ;
    return p < t->end && *p == '}' ? (size_t)(p + 1 - t->p) : 0;
}

static bool take_repeat(struct translator *t)
{
    size_t len = *t->p == '{' ? count_length(t) : 1;
    if (len == 0) { /* a brace that repeats nothing stands for itself (annex B) */
        put_text(t, "\\{");
        t->p++;
        t->atom = true;
        return true;
    }
    if (!t->atom)
        return refuse(t, "nothing to repeat");
    put(t, t->p, len);
    t->p += len;
    if (t->p < t->end && *t->p == '?') {
        put_text(t, "?");
        t->p++;
    }
    t->atom = false;
    return true;
}

static bool take_one(struct translator *t)
{
    const char c = *t->p;
    if (c == '*' || c == '+' || c == '?' || c == '{')
        return take_repeat(t);
    t->p++;
    switch (c) {
    case '\\':
        return take_escape(t);
    case '[':
        return take_class(t);
    case '(':
        return take_group(t);
    case ')':
        if (t->depth-- == 0)
            return refuse(t, "a ) without its (");
        put_text(t, ")");
        t->atom = true;
        return true;
    case '^':
    case '$':
    case '|':
        put(t, &c, 1);
        t->atom = false;
        return true;
    case '.':
        put_text(t, "[^\\n\\r\\x{2028}\\x{2029}]");
        break;
    case ']':
    case '}':
        put_text(t, c == ']' ? "\\]" : "\\}");
        break;
    default:
        put(t, &c, 1);
        break;
    }
    t->atom = true;
    return true;
}

int gw_ecma_translate(const char *pattern, size_t len, char *out, size_t room, const char **out_why)
{
    struct translator t = {.p = pattern, .end = pattern + len, .out = out, .room = room};
    bool good = true;
    while (good && t.p < t.end)
        good = take_one(&t);
    if (good && t.depth > 0)
        good = refuse(&t, "a ( without its )");
    *out_why = t.full ? "too long" : t.why;
    if (!good)
        return GW_EINVALID;
    if (t.full)
        return GW_ELIMIT;
    if (out)
        out[t.len] = '\0';
    return (int)t.len;
}
