/*
 * May this schema follow that one? Two questions, each answered with a proof or a refusal that names path and rule:
 *   backward: every event that is valid under the old one is valid under the new one;
 *   forward:  every event that is valid under the new one is valid under the old one;
 * and the rule of the house, which holds for every level but NONE: no attribute is removed, no type is changed.
 *
 * "Compatible" is never wrong. "Not compatible" may be: where a proof would need more than looking at the keywords one by one,
 * the answer is no. The rules: docs/schemas.md.
 */
#ifndef GW_SCHEMA_COMPAT_H
#define GW_SCHEMA_COMPAT_H

#include <stdbool.h>

#include "schema/schema.h"

#define GW_COMPAT_LEVELS(X)                                                                                  \
    X(1, NONE)                                                                                               \
    X(2, BACKWARD)                                                                                           \
    X(3, BACKWARD_TRANSITIVE)                                                                                \
    X(4, FORWARD)                                                                                            \
    X(5, FORWARD_TRANSITIVE)                                                                                 \
    X(6, FULL)                                                                                               \
    X(7, FULL_TRANSITIVE)

/* The numbers are stored. */
enum gw_compat_level {
    GW_COMPAT_UNSET = 0,
#define GW_COMPAT_ENUM(number, name) GW_COMPAT_##name = number,
    GW_COMPAT_LEVELS(GW_COMPAT_ENUM)
#undef GW_COMPAT_ENUM
};

#define GW_COMPAT_DEFAULT GW_COMPAT_BACKWARD_TRANSITIVE

/* "BACKWARD_TRANSITIVE"; NULL: not a level. */
const char *gw_compat_level_name(enum gw_compat_level level);
/* GW_COMPAT_UNSET: not the name of a level. */
enum gw_compat_level gw_compat_level_of(const char *name);
/* All earlier versions count, and not the latest only. */
bool gw_compat_is_transitive(enum gw_compat_level level);

enum gw_compat_question {
    GW_COMPAT_ASK_HOUSE = 1,
    GW_COMPAT_ASK_BACKWARD = 2,
    GW_COMPAT_ASK_FORWARD = 4,
    /* No question: members that a schema does not declare are kept, unless it says otherwise; else they never are. */
    GW_COMPAT_UNDECLARED_KEPT = 8,
};
/* What a level asks: a mask of the above. */
unsigned gw_compat_questions(enum gw_compat_level level);

/* One reason for a refusal. */
struct gw_compat_fault {
    const char *question; /* "house", "backward", "forward" */
    const char *rule;     /* "attribute-removed": a name of docs/schemas.md */
    uint32_t version;     /* of the subject, that it contradicts; 0: not known to the caller */
    char path[160];       /* JSON pointer into the schema; cut with "..." */
    char text[240];       /* what, and how to mend it */
};

#define GW_COMPAT_FAULTS_MAX 16

struct gw_compat_report {
    struct gw_compat_fault faults[GW_COMPAT_FAULTS_MAX];
    unsigned count, more; /* more: that did not fit */
};

struct gw_compat_side {
    const char *text;
    size_t len;
};

/*
 * 0, or GW_ECONFLICT with *report (faults are added; version is put into each) and *error (the first one), or GW_EINVALID: one of
 * them is no schema; GW_ELIMIT: too much to compare, which is no verdict; GW_ENOMEM.
 */
GW_MUST_CHECK int gw_compat_check(const struct gw_compat_side *old, const struct gw_compat_side *new,
                                  unsigned questions, const struct gw_schema_options *options,
                                  uint32_t version, struct gw_compat_report *report, struct gw_error *error);

#endif
