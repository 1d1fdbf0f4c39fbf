/* What the suite's own files share: a rule is a name and a function that says what is wrong. */
#ifndef TRIB_CONFORMANCE_RULES_H
#define TRIB_CONFORMANCE_RULES_H

#include <string.h>

#include "conformance.h"

/* What a rule sees. */
struct trib_rule_run {
    const struct trib_conformance_ports *ports;
    uint8_t *scratch;
};

/* NULL: the rule holds. TRIB_RULE_SKIP: its hook is missing. Else one line that says what the port did. */
typedef const char *trib_rule_check(struct trib_rule_run *run);

extern const char TRIB_RULE_SKIP[];

struct trib_rule {
    const char *name;
    trib_rule_check *check;
};

/* Lists that end with a rule without a name. */
extern const struct trib_rule TRIB_RULES_STORAGE[], TRIB_RULES_NET[], TRIB_RULES_CLOCK[],
    TRIB_RULES_DISCONTINUITY[], TRIB_RULES_ENTROPY[], TRIB_RULES_DIGEST[], TRIB_RULES_LOCK[],
    TRIB_RULES_WAIT[];

/* What two threads count up in the lock's rule. */
struct trib_rule_shared {
    const struct trib_lock *lock;
    volatile uint32_t counter, inside, met;
};

/* Fails the rule unless condition holds. */
#define TRIB_RULE(condition, why)                                                                            \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            return why;                                                                                      \
    } while (0)

#endif
