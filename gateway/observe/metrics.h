/* Counters and gauges: relaxed atomics, exposed in the Prometheus text format 0.0.4. */
#ifndef GW_OBSERVE_METRICS_H
#define GW_OBSERVE_METRICS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum gw_metric {
#define GW_METRIC(ID, KIND, name, help) GW_METRIC_##ID,
#include "observe/metrics.def"
#undef GW_METRIC
    GW_METRIC_COUNT,
};

void gw_metric_add(enum gw_metric metric, uint64_t amount);
void gw_metric_sub(enum gw_metric metric, uint64_t amount); /* gauges */
void gw_metric_set(enum gw_metric metric, uint64_t value);  /* gauges */
uint64_t gw_metric_get(enum gw_metric metric);
const char *gw_metric_name(enum gw_metric metric);
/* The whole exposition; returns its length, as snprintf does. */
size_t gw_metrics_render(char *buffer, size_t capacity);
/* Markdown for docs/metrics.md. */
void gw_metrics_print_reference(FILE *out);

#endif
