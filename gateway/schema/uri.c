#include "schema/uri.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* The five parts of RFC 3986 appendix B; a part that is not there has text NULL. */
struct part {
    const char *text;
    size_t len;
};

struct parts {
    struct part scheme, authority, path, query, fragment;
};

static size_t span_until(const char *text, size_t len, const char *stops)
{
    size_t i = 0;
    for (; i < len; i++)
        for (const char *stop = stops; *stop; stop++)
            if (text[i] == *stop)
                return i;
    return i;
}

static void split(const char *text, size_t len, struct parts *out)
{
    *out = (struct parts){.scheme = {.text = NULL}};
    size_t n = span_until(text, len, ":/?#");
    if (n > 0 && n < len && text[n] == ':') {
        out->scheme = (struct part){text, n};
        text += n + 1;
        len -= n + 1;
    }
    if (len >= 2 && text[0] == '/' && text[1] == '/') {
        n = span_until(text + 2, len - 2, "/?#");
        out->authority = (struct part){text + 2, n};
        text += n + 2;
        len -= n + 2;
    }
    n = span_until(text, len, "?#");
    out->path = (struct part){text, n};
    text += n;
    len -= n;
    if (len > 0 && *text == '?') {
        n = span_until(text, len, "#");
        out->query = (struct part){text + 1, n - 1};
        text += n;
        len -= n;
    }
    if (len > 0)
        out->fragment = (struct part){text + 1, len - 1};
}

struct buffer {
    char *text;
    size_t len;
    bool full;
};

static void put(struct buffer *b, const char *text, size_t len)
{
    if (b->full || len >= GW_URI_MAX - b->len) {
        b->full = true;
        return;
    }
    if (len > 0)
        memcpy(b->text + b->len, text, len);
    b->len += len;
}

/* §5.2.4, in place from `start` on. */
static void remove_dots(struct buffer *b, size_t start)
{
    char *in = b->text + start, *end = b->text + b->len, *out = in, *root = in;
    while (in < end) {
        char *next = memchr(in + 1, '/', (size_t)(end - in - 1));
        if (!next)
            next = end;
        const char *name = *in == '/' ? in + 1 : in;
        const size_t len = (size_t)(next - name);
        const bool one = len == 1 && *name == '.', two = len == 2 && name[0] == '.' && name[1] == '.';
        if (two) {
            while (out > root && *--out != '/')
                ;
        }
        if (!one && !two) {
            memmove(out, in, (size_t)(next - in));
            out += next - in;
        } else if (next == end && *in == '/') {
            *out++ = '/';
        }
        in = next;
    }
    b->len = (size_t)(out - b->text);
}

/* §5.2.3 */
static void merge(struct buffer *b, const struct parts *base, const struct part *path)
{
    if (base->authority.text && base->path.len == 0) {
        put(b, "/", 1);
    } else {
        size_t keep = base->path.len;
        while (keep > 0 && base->path.text[keep - 1] != '/')
            keep--;
        put(b, base->path.text, keep);
    }
    put(b, path->text, path->len);
}

static void put_path(struct buffer *b, const struct parts *base, const struct parts *reference)
{
    const size_t start = b->len;
    const bool own = reference->scheme.text || reference->authority.text;
    if (!own && reference->path.len == 0) {
        put(b, base->path.text, base->path.len);
        return;
    }
    if (own || reference->path.text[0] == '/')
        put(b, reference->path.text, reference->path.len);
    else
        merge(b, base, &reference->path);
    if (!b->full)
        remove_dots(b, start);
}

int gw_uri_resolve(const char *base, const char *reference, size_t reference_len, char out[GW_URI_MAX])
{
    struct parts from, to;
    split(base, strlen(base), &from);
    split(reference, reference_len, &to);
    struct buffer b = {.text = out};
    const struct part *scheme = to.scheme.text ? &to.scheme : &from.scheme;
    if (scheme->text) {
        put(&b, scheme->text, scheme->len);
        put(&b, ":", 1);
    }
    const struct part *authority = to.scheme.text || to.authority.text ? &to.authority : &from.authority;
    if (authority->text) {
        put(&b, "//", 2);
        put(&b, authority->text, authority->len);
    }
    put_path(&b, &from, &to);
    const bool same = !to.scheme.text && !to.authority.text && to.path.len == 0 && !to.query.text;
    const struct part *query = same ? &from.query : &to.query;
    if (query->text) {
        put(&b, "?", 1);
        put(&b, query->text, query->len);
    }
    if (to.fragment.text) {
        put(&b, "#", 1);
        put(&b, to.fragment.text, to.fragment.len);
    }
    if (b.full)
        return GW_ELIMIT;
    out[b.len] = '\0';
    return 0;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int gw_uri_split(char *uri, char out_fragment[GW_URI_MAX])
{
    char *mark = strchr(uri, '#'), *out = out_fragment;
    *out = '\0';
    if (!mark)
        return 0;
    for (const char *p = mark + 1; *p; p++) {
        if (*p != '%') {
            *out++ = *p;
            continue;
        }
        int high = hex(p[1]), low = high < 0 ? -1 : hex(p[2]);
        if (low < 0 || (high | low) == 0)
            return GW_EINVALID;
        *out++ = (char)(high * 16 + low);
        p += 2;
    }
    *out = '\0';
    *mark = '\0';
    return 0;
}
