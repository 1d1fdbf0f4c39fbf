/*
 * Counters and gauges, exposed in the Prometheus text format 0.0.4. Each busy thread counts in a shard of its own,
 * without locks and without a cache line that another thread writes to; reading sums the shards.
 */
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

/*
 * Gives the calling thread a shard of its own until it ends; before, or when all are taken, it counts in one that
 * threads share by atomic additions. What a thread counted stays counted after it.
 */
void gw_metrics_own_shard(void);
/* Any thread; nothing blocks. */
void gw_metric_add(enum gw_metric metric, uint64_t amount);
void gw_metric_sub(enum gw_metric metric, uint64_t amount); /* gauges */
/* Gauges that are only set, never added to, once threads with a shard of their own run. */
void gw_metric_set(enum gw_metric metric, uint64_t value);
/* The sum; a moment's picture while others count. */
uint64_t gw_metric_get(enum gw_metric metric);
const char *gw_metric_name(enum gw_metric metric);
/* The whole exposition; returns its length, as snprintf does. */
size_t gw_metrics_render(char *buffer, size_t capacity);
/* Markdown for docs/metrics.md. */
void gw_metrics_print_reference(FILE *out);

#endif
