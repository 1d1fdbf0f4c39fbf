#define PCRE2_CODE_UNIT_WIDTH 8
#include "schema/regex.h"

#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATTERN_BYTES_MAX 4096
#define JIT_BYTES_MAX 16384 /* larger programs are not worth the compile time */

struct gw_regex {
    struct gw_regex *next;
    pcre2_code *code; /* NULL: the simple form does */
    struct gw_simple simple;
    size_t bytes; /* of this and what is behind it */
};

struct gw_regex_scratch {
    uint8_t *memory;
    size_t size, used;
    pcre2_match_context *context;
    pcre2_match_data *data;
};

/* PCRE2's memory at match time is the scratch: it is never given back, but taken once only (or doubled, without JIT). */
static void *take(size_t bytes, void *context)
{
    struct gw_regex_scratch *s = context;
    bytes = (bytes + 15) & ~(size_t)15;
    if (bytes > s->size - s->used)
        return NULL;
    void *memory = s->memory + s->used;
    s->used += bytes;
    return memory;
}

static void give_back(void *memory, void *context)
{
    (void)memory;
    (void)context;
}

struct gw_regex_scratch *gw_regex_scratch_init(void *memory, size_t bytes)
{
    struct gw_regex_scratch *s = memory;
    if (bytes <= sizeof *s)
        return NULL;
    const size_t head = (sizeof *s + 15) & ~(size_t)15;
    *s = (struct gw_regex_scratch){.memory = (uint8_t *)memory + head, .size = bytes - head};
    pcre2_general_context *general = pcre2_general_context_create(take, give_back, s);
    if (!general)
        return NULL;
    s->context = pcre2_match_context_create(general);
    s->data = pcre2_match_data_create(1, general);
    return s->context && s->data ? s : NULL;
}

static int compile_pcre(const char *pattern, size_t len, pcre2_code **out, char why[160])
{
    char text[8 * PATTERN_BYTES_MAX];
    const char *reason = "";
    int translated = gw_ecma_translate(pattern, len, text, sizeof text, &reason);
    if (translated < 0) {
        (void)snprintf(why, 160, "not a regular expression of ECMAScript: %s", reason);
        return translated;
    }
    int code;
    PCRE2_SIZE at;
    const uint32_t options = PCRE2_UTF | PCRE2_NO_UTF_CHECK | PCRE2_DOLLAR_ENDONLY |
                             PCRE2_MATCH_UNSET_BACKREF | PCRE2_ALLOW_EMPTY_CLASS | PCRE2_NEVER_BACKSLASH_C;
    *out = pcre2_compile((PCRE2_SPTR)text, (PCRE2_SIZE)translated, options, &code, &at, NULL);
    if (*out)
        return 0;
    char said[100] = "";
    (void)pcre2_get_error_message(code, (PCRE2_UCHAR *)said, sizeof said);
    (void)snprintf(why, 160, "a regular expression that cannot be run: %s", said);
    return GW_EINVALID;
}

int gw_regex_compile(const char *pattern, size_t len, struct gw_regex *next, struct gw_regex **out,
                     char why[160])
{
    if (len > PATTERN_BYTES_MAX) {
        (void)snprintf(why, 160, "a regular expression must have %d bytes at most", PATTERN_BYTES_MAX);
        return GW_ELIMIT;
    }
    struct gw_regex *made = calloc(1, sizeof *made);
    if (!made)
        return GW_ENOMEM;
    made->next = next;
    made->bytes = gw_regex_bytes(next) + sizeof *made;
    gw_simple_compile(pattern, len, &made->simple);
    int rc = made->simple.count > 0 ? 0 : compile_pcre(pattern, len, &made->code, why);
    if (rc != 0) {
        free(made);
        return rc;
    }
    size_t size = 0;
    if (made->code) {
        (void)pcre2_pattern_info(made->code, PCRE2_INFO_SIZE, &size);
        if (size <= JIT_BYTES_MAX)
            (void)pcre2_jit_compile(made->code, PCRE2_JIT_COMPLETE); /* without it, it is only slower */
    }
    made->bytes += size;
    *out = made;
    return 0;
}

void gw_regex_free(struct gw_regex *regex)
{
    while (regex) {
        struct gw_regex *next = regex->next;
        pcre2_code_free(regex->code);
        free(regex);
        regex = next;
    }
}

size_t gw_regex_bytes(const struct gw_regex *regex)
{
    return regex ? regex->bytes : 0;
}

/*
 * What a match costs is not told, so the limit goes up in steps, and each is paid before it is tried: few expensive matches
 * fit in a validation, and many cheap ones.
 */
int gw_regex_match(const struct gw_regex *regex, struct gw_regex_scratch *scratch, const char *text,
                   size_t len, int64_t *fuel)
{
    static const struct {
        uint32_t limit;
        int64_t price;
    } steps[] = {{300, 2000}, {5000, 50000}, {100000, 1000000}};
    *fuel -= (int64_t)len + 16;
    if (*fuel < 0)
        return GW_ELIMIT;
    if (regex->simple.count > 0)
        return gw_simple_match(&regex->simple, text, len);
    for (unsigned i = 0; i < sizeof steps / sizeof *steps; i++) {
        *fuel -= steps[i].price;
        if (*fuel < 0)
            return GW_ELIMIT;
        (void)pcre2_set_match_limit(scratch->context, steps[i].limit);
        int rc = pcre2_match(regex->code, (PCRE2_SPTR)text, len, 0, PCRE2_NO_UTF_CHECK, scratch->data,
                             scratch->context);
        if (rc >= 0)
            return 1;
        if (rc == PCRE2_ERROR_NOMATCH)
            return 0;
        if (rc == PCRE2_ERROR_NOMEMORY || rc == PCRE2_ERROR_HEAPLIMIT)
            return GW_EFULL;
        if (rc != PCRE2_ERROR_MATCHLIMIT)
            break;
    }
    return GW_ELIMIT;
}
