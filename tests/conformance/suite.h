/* The conformance suite in a cmocka test: runs it, remembers which rules failed, prints them when none should have. */
#ifndef TESTS_CONFORMANCE_SUITE_H
#define TESTS_CONFORMANCE_SUITE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "conformance.h"

struct suite {
    struct trib_conformance suite;
    uint8_t scratch[TRIB_CONFORMANCE_SCRATCH];
    char failed[2048]; /* " rule rule " */
};

static inline void suite_print(void *context, const char *line)
{
    struct suite *s = context;
    if (strncmp(line, "FAIL ", 5) == 0) {
        size_t at = strlen(s->failed);
        snprintf(s->failed + at, sizeof s->failed - at, " %.*s ", (int)strcspn(line + 5, ":"), line + 5);
    }
    if (getenv("TRIB_CONFORMANCE_VERBOSE"))
        fprintf(stderr, "%s\n", line);
}

static inline int suite_run(struct suite *s, const struct trib_conformance_ports *ports)
{
    memset(s, 0, sizeof *s);
    s->suite = (struct trib_conformance){.context = s, .print = suite_print, .scratch = s->scratch};
    return trib_conformance_run(&s->suite, ports);
}

/* All rules hold, and so many could not be tried. */
static inline void suite_passes(const struct trib_conformance_ports *ports, unsigned skipped)
{
    struct suite s;
    if (suite_run(&s, ports) != 0)
        fail_msg("these rules failed:%s", s.failed);
    assert_int_equal(s.suite.skipped, skipped);
    assert_true(s.suite.passed > 0);
    assert_null(s.suite.first_failed);
}

/* This rule fails, perhaps with others. */
static inline void suite_notices(const struct trib_conformance_ports *ports, const char *rule)
{
    struct suite s;
    char word[128];
    (void)suite_run(&s, ports);
    snprintf(word, sizeof word, " %s ", rule);
    if (!strstr(s.failed, word))
        fail_msg("a port without %s passes that rule; failed were:%s", rule, s.failed);
    assert_non_null(s.suite.first_failed);
}

#endif
