#include "observe/metrics.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>

#define METRIC_COUNTER "counter"
#define METRIC_GAUGE "gauge"

static const struct {
    const char *name, *kind, *help;
} declared[GW_METRIC_COUNT] = {
#define GW_METRIC(ID, KIND, name, help) {name, METRIC_##KIND, help},
#include "observe/metrics.def"
#undef GW_METRIC
};

static _Atomic uint64_t values[GW_METRIC_COUNT];

void gw_metric_add(enum gw_metric metric, uint64_t amount)
{
    atomic_fetch_add_explicit(&values[metric], amount, memory_order_relaxed);
}

void gw_metric_sub(enum gw_metric metric, uint64_t amount)
{
    atomic_fetch_sub_explicit(&values[metric], amount, memory_order_relaxed);
}

void gw_metric_set(enum gw_metric metric, uint64_t value)
{
    atomic_store_explicit(&values[metric], value, memory_order_relaxed);
}

uint64_t gw_metric_get(enum gw_metric metric)
{
    return atomic_load_explicit(&values[metric], memory_order_relaxed);
}

const char *gw_metric_name(enum gw_metric metric)
{
    return declared[metric].name;
}

size_t gw_metrics_render(char *buffer, size_t capacity)
{
    size_t len = 0;
    for (int i = 0; i < GW_METRIC_COUNT; i++) {
        int n =
            snprintf(len < capacity ? buffer + len : NULL, len < capacity ? capacity - len : 0,
                     "# HELP %s %s\n# TYPE %s %s\n%s %" PRIu64 "\n", declared[i].name, declared[i].help,
                     declared[i].name, declared[i].kind, declared[i].name, gw_metric_get((enum gw_metric)i));
        if (n > 0)
            len += (size_t)n;
    }
    return len;
}
