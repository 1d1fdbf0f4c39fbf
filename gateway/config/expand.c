#include "config/expand.h"

#include <stdbool.h>
#include <string.h>

#define VALUE_MAX 65536
#define NAME_MAX_BYTES 128

struct expansion {
    char *at; /* NULL while measuring */
    size_t len;
};

struct reference {
    char name[NAME_MAX_BYTES + 1];
    const char *fallback; /* NULL: none */
    size_t fallback_len;
    const char *end; /* behind the closing brace */
};

static void append(struct expansion *to, const char *bytes, size_t len)
{
    if (to->at)
        memcpy(to->at + to->len, bytes, len);
    to->len += len;
}

static bool is_name(char c, bool first)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || (!first && c >= '0' && c <= '9');
}

/* p is behind "${". */
static int read_reference(const char *p, struct reference *out, struct gw_error *error)
{
    size_t len = 0;
    while (is_name(p[len], len == 0))
        len++;
    if (len > NAME_MAX_BYTES)
        return gw_error_set(error, GW_EINVALID, 0, "the name of a variable is too long");
    const char *close = strchr(p, '}');
    if (!close)
        return gw_error_set(error, GW_EINVALID, 0,
                            "`${` without `}`: write ${NAME} or ${NAME:-default}, $$ for a dollar");
    bool has_default = p[len] == ':' && p[len + 1] == '-';
    if (len == 0 || (p + len != close && !has_default))
        return gw_error_set(error, GW_EINVALID, 0,
                            "`${%.*s}` is not a variable: write ${NAME} or ${NAME:-default}, $$ for a dollar",
                            (int)(close - p < 64 ? close - p : 64), p);
    memcpy(out->name, p, len);
    out->name[len] = 0;
    out->fallback = has_default ? p + len + 2 : NULL;
    out->fallback_len = has_default ? (size_t)(close - out->fallback) : 0;
    out->end = close + 1;
    return GW_OK;
}

static int append_variable(const struct reference *reference, gw_config_environment environment,
                           void *context, struct expansion *to, struct gw_error *error)
{
    const char *value = environment(context, reference->name);
    if (reference->fallback && (!value || !*value)) {
        append(to, reference->fallback, reference->fallback_len);
        return GW_OK;
    }
    if (!value)
        return gw_error_set(
            error, GW_EINVALID, 0,
            "the environment variable %s is not set: set it, or give a default as ${%s:-default}",
            reference->name, reference->name);
    append(to, value, strlen(value));
    return GW_OK;
}

static int walk(const char *text, gw_config_environment environment, void *context, struct expansion *to,
                struct gw_error *error)
{
    const char *p = text;
    while (*p) {
        size_t plain = strcspn(p, "$");
        append(to, p, plain);
        p += plain;
        if (!*p)
            break;
        if (p[1] == '$') {
            append(to, "$", 1);
            p += 2;
            continue;
        }
        if (p[1] != '{')
            return gw_error_set(error, GW_EINVALID, 0,
                                "a lone `$`: write ${NAME} for an environment variable, $$ for a dollar");
        struct reference reference;
        int rc = read_reference(p + 2, &reference, error);
        if (rc == GW_OK)
            rc = append_variable(&reference, environment, context, to, error);
        if (rc != GW_OK)
            return rc;
        p = reference.end;
    }
    if (to->len > VALUE_MAX)
        return gw_error_set(error, GW_EINVALID, 0, "the value is longer than 64 KiB");
    return GW_OK;
}

int gw_expand(const char *text, gw_config_environment environment, void *context, struct gw_arena *arena,
              char **out_text, struct gw_error *error)
{
    struct expansion size = {0};
    int rc = walk(text, environment, context, &size, error);
    if (rc != GW_OK)
        return rc;
    struct expansion copy = {.at = gw_arena_alloc(arena, size.len + 1)};
    if (!copy.at)
        return gw_error_set(error, GW_ENOMEM, 0, "out of memory");
    rc = walk(text, environment, context, &copy, error);
    if (rc != GW_OK)
        return rc;
    copy.at[copy.len] = 0;
    *out_text = copy.at;
    return GW_OK;
}
