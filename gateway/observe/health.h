/*
 * Readiness: conditions under which the gateway should get no new devices. Any thread of any folder sets or
 * clears its own; /readyz answers 200 while none holds. Never for a sink: a sink that is away is what the
 * journal is for.
 */
#ifndef GW_OBSERVE_HEALTH_H
#define GW_OBSERVE_HEALTH_H

#include <stdbool.h>

/* GW_CONDITION(ID, name in /readyz, what the operator can do) */
#define GW_CONDITIONS(GW_CONDITION)                                                                          \
    GW_CONDITION(STARTING, "starting", "wait: the journal is being opened")                                  \
    GW_CONDITION(DRAINING, "draining", "the gateway is stopping")                                            \
    GW_CONDITION(FULL, "full",                                                                               \
                 "free disk space, raise data.quota, or mend the sink that holds the journal back")          \
    GW_CONDITION(UNWRITABLE, "unwritable", "look at the disk and the permissions of data.folder")

enum gw_condition {
#define GW_CONDITION_ENUM(ID, name, advice) GW_CONDITION_##ID,
    GW_CONDITIONS(GW_CONDITION_ENUM)
#undef GW_CONDITION_ENUM
        GW_CONDITION_COUNT,
};

/* A process begins with STARTING set. Thread-safe, does not block. */
void gw_health_set(enum gw_condition condition, bool holds);
bool gw_health_holds(enum gw_condition condition);
bool gw_health_ready(void);
const char *gw_health_name(enum gw_condition condition);
const char *gw_health_advice(enum gw_condition condition);

#endif
