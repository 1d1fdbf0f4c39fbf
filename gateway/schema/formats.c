/* Names of formats; email, hostname, uuid, regex, JSON pointers. */
#include "schema/formats.h"

#include <stdint.h>
#include <string.h>

#include "schema/regex.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
    return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

gw_format_check gw_format_find(const char *name, size_t len)
{
    static const struct {
        const char *name;
        gw_format_check check;
    } known[] = {
        {"date-time", gw_format_date_time},
        {"date", gw_format_date},
        {"time", gw_format_time},
        {"duration", gw_format_duration},
        {"email", gw_format_email},
        {"hostname", gw_format_hostname},
        {"ipv4", gw_format_ipv4},
        {"ipv6", gw_format_ipv6},
        {"uri", gw_format_uri},
        {"uri-reference", gw_format_uri_reference},
        {"uuid", gw_format_uuid},
        {"regex", gw_format_regex},
        {"json-pointer", gw_format_json_pointer},
        {"relative-json-pointer", gw_format_relative_json_pointer},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strlen(known[i].name) == len && memcmp(known[i].name, name, len) == 0)
            return known[i].check;
    return NULL;
}

static bool is_label(const char *text, size_t len)
{
    if (len == 0 || len > 63 || text[0] == '-' || text[len - 1] == '-')
        return false;
    for (size_t i = 0; i < len; i++)
        if (!is_alnum(text[i]) && text[i] != '-')
            return false;
    return true;
}

bool gw_format_hostname(const char *text, size_t len)
{
    if (len == 0 || len > 253)
        return false;
    for (;;) {
        const char *dot = memchr(text, '.', len);
        const size_t label = dot ? (size_t)(dot - text) : len;
        if (!is_label(text, label))
            return false;
        if (label >= 4 && text[2] == '-' && text[3] == '-' &&
            !((text[0] | 0x20) == 'x' && (text[1] | 0x20) == 'n'))
            return false; /* RFC 5891 §4.2.3.1: reserved */
        if (label == 4 && (text[0] | 0x20) == 'x' && (text[1] | 0x20) == 'n' && text[2] == '-')
            return false;
        if (!dot)
            return true;
        text += label + 1;
        len -= label + 1;
    }
}

static bool is_atom_text(char c)
{
    return is_alnum(c) || (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

static bool is_dot_atom(const char *text, size_t len)
{
    bool dot = true;
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '.' ? dot : !is_atom_text(text[i]))
            return false;
        dot = text[i] == '.';
    }
    return !dot;
}

/* RFC 5321 §4.1.2 Quoted-string */
static bool is_quoted(const char *text, size_t len)
{
    if (len < 2 || text[0] != '"' || text[len - 1] != '"')
        return false;
    for (size_t i = 1; i + 1 < len; i++) {
        if (text[i] == '\\' && ++i + 1 >= len)
            return false;
        if (text[i] < 0x20 || text[i] == 0x7f || (text[i] == '"' && text[i - 1] != '\\'))
            return false;
    }
    return true;
}

static bool is_mail_domain(const char *text, size_t len)
{
    if (len > 2 && text[0] == '[' && text[len - 1] == ']') {
        if (len > 7 && memcmp(text + 1, "IPv6:", 5) == 0)
            return gw_format_ipv6(text + 6, len - 7);
        return gw_format_ipv4(text + 1, len - 2);
    }
    return gw_format_hostname(text, len);
}

bool gw_format_email(const char *text, size_t len)
{
    size_t at = len;
    while (at > 0 && text[at - 1] != '@')
        at--;
    if (at < 2)
        return false;
    const size_t local = at - 1;
    return local <= 64 && (is_dot_atom(text, local) || is_quoted(text, local)) &&
           is_mail_domain(text + at, len - at);
}

bool gw_format_uuid(const char *text, size_t len)
{
    if (len != 36)
        return false;
    for (size_t i = 0; i < len; i++) {
        const bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;
        const char c = (char)(text[i] | 0x20);
        if (hyphen ? text[i] != '-' : !is_digit(text[i]) && !(c >= 'a' && c <= 'f'))
            return false;
    }
    return true;
}

bool gw_format_regex(const char *text, size_t len)
{
    const char *why;
    return gw_ecma_translate(text, len, NULL, 0, &why) >= 0;
}

bool gw_format_json_pointer(const char *text, size_t len)
{
    if (len > 0 && text[0] != '/')
        return false;
    for (size_t i = 0; i < len; i++)
        if (text[i] == '~' && (i + 1 == len || (text[i + 1] != '0' && text[i + 1] != '1')))
            return false;
    return true;
}

bool gw_format_relative_json_pointer(const char *text, size_t len)
{
    size_t i = 0;
    while (i < len && is_digit(text[i]))
        i++;
    if (i == 0 || (i > 1 && text[0] == '0'))
        return false;
    return (i + 1 == len && text[i] == '#') || gw_format_json_pointer(text + i, len - i);
}
