#include "observe/health.h"

#include <stdatomic.h>

static const struct {
    const char *name, *advice;
} declared[GW_CONDITION_COUNT] = {
#define GW_CONDITION_ROW(ID, name, advice) {name, advice},
    GW_CONDITIONS(GW_CONDITION_ROW)
#undef GW_CONDITION_ROW
};

static _Atomic unsigned conditions = 1U << GW_CONDITION_STARTING;

void gw_health_set(enum gw_condition condition, bool holds)
{
    if (holds)
        atomic_fetch_or(&conditions, 1U << condition);
    else
        atomic_fetch_and(&conditions, ~(1U << condition));
}

bool gw_health_holds(enum gw_condition condition)
{
    return atomic_load(&conditions) >> condition & 1U;
}

bool gw_health_ready(void)
{
    return atomic_load(&conditions) == 0;
}

const char *gw_health_name(enum gw_condition condition)
{
    return declared[condition].name;
}

const char *gw_health_advice(enum gw_condition condition)
{
    return declared[condition].advice;
}
