/*
 * Regular expressions of schemas: ECMAScript's syntax with the `u` flag, run by PCRE2. The pattern is translated where the two
 * differ; simple ones (^[0-9a-f]{16}$ and their like) need no PCRE2 at all. Backtracking is bounded and paid for.
 */
#ifndef GW_SCHEMA_REGEX_H
#define GW_SCHEMA_REGEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct gw_regex;
struct gw_regex_scratch;

/* GW_EINVALID: not a regular expression, or one that PCRE2 cannot run (*out_why, static or in why_buffer); GW_ELIMIT: too large. */
GW_MUST_CHECK int gw_regex_compile(const char *pattern, size_t len, struct gw_regex *next,
                                   struct gw_regex **out, char why[160]);
/* Frees the whole chain. */
void gw_regex_free(struct gw_regex *regex);
/* The chain's compiled bytes. */
size_t gw_regex_bytes(const struct gw_regex *regex);

/* A thread's working memory for matching; in memory of the caller's. NULL: too little. */
struct gw_regex_scratch *gw_regex_scratch_init(void *memory, size_t bytes);

/* 1: matches somewhere; 0: does not; GW_ELIMIT: too much backtracking; GW_EFULL: scratch. text is UTF-8. */
int gw_regex_match(const struct gw_regex *regex, struct gw_regex_scratch *scratch, const char *text,
                   size_t len, int64_t *fuel);

/* Translates to PCRE2's syntax, with a NUL; out NULL: checks only. The length, or GW_EINVALID with *out_why, or GW_ELIMIT. */
int gw_ecma_translate(const char *pattern, size_t len, char *out, size_t room, const char **out_why);

/* ^ and a few classes of ASCII characters, each repeated, then $ or nothing: no step back is ever needed. */
#define GW_SIMPLE_ATOMS 8
struct gw_simple_atom {
    uint64_t set[2];
    uint32_t min, max;
};
struct gw_simple {
    unsigned count; /* 0: not simple */
    bool to_end;
    struct gw_simple_atom atoms[GW_SIMPLE_ATOMS];
};
void gw_simple_compile(const char *pattern, size_t len, struct gw_simple *out);
bool gw_simple_match(const struct gw_simple *simple, const char *text, size_t len);

#endif
