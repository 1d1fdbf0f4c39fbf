#include "observe/metrics.h"

#include <inttypes.h>
#include <stdatomic.h>

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_COUNTER_US };
static const char *const kind_names[] = {"counter", "gauge", "counter"};

static const struct {
    const char *name;
    enum metric_kind kind;
    const char *help;
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

static int render_one(int metric, char *buffer, size_t capacity)
{
    uint64_t value = gw_metric_get((enum gw_metric)metric);
    const char *name = declared[metric].name, *kind = kind_names[declared[metric].kind];
    if (declared[metric].kind == METRIC_COUNTER_US)
        return snprintf(buffer, capacity, "# HELP %s %s\n# TYPE %s %s\n%s %" PRIu64 ".%06" PRIu64 "\n", name,
                        declared[metric].help, name, kind, name, value / 1000000, value % 1000000);
    return snprintf(buffer, capacity, "# HELP %s %s\n# TYPE %s %s\n%s %" PRIu64 "\n", name,
                    declared[metric].help, name, kind, name, value);
}

size_t gw_metrics_render(char *buffer, size_t capacity)
{
    size_t len = 0;
    for (int i = 0; i < GW_METRIC_COUNT; i++) {
        int n = render_one(i, len < capacity ? buffer + len : NULL, len < capacity ? capacity - len : 0);
        if (n > 0)
            len += (size_t)n;
    }
    return len;
}

void gw_metrics_print_reference(FILE *out)
{
    fputs(
        "# Metrics\n\n"
        "<!-- Made by `tributaryctl reference metrics` from gateway/observe/metrics.def; do not edit. -->\n\n"
        "`/metrics` on `observe.http_address:http_port`, and on the admin socket, speaks the Prometheus text "
        "format\n"
        "0.0.4. Counters begin at 0 with the process. No label carries a device or a user.\n\n"
        "| metric | kind | meaning |\n|---|---|---|\n",
        out);
    for (int i = 0; i < GW_METRIC_COUNT; i++)
        fprintf(out, "| `%s` | %s | %s |\n", declared[i].name, kind_names[declared[i].kind],
                declared[i].help);
    fputs("| `tributary_build_info` | gauge | 1, with the version as label |\n"
          "| `tributary_ready` | gauge | 1 while `/readyz` answers 200 |\n"
          "| `tributary_uptime_seconds` | gauge | time since the start |\n"
          "| `process_...` | | CPU, memory, descriptors and start time, as Prometheus' own clients name them "
          "|\n\n"
          "## What to alarm on\n\n"
          "| when | because |\n|---|---|\n"
          "| `increase(tributary_events_unaccounted_total[1h]) > 0` | a device has a hole that it did not "
          "declare |\n"
          "| `increase(tributary_commit_failures_total[10m]) > 0` | the journal cannot be written: nothing "
          "is acked |\n"
          "| `tributary_journal_end_offset - tributary_stream_offset` grows for an hour | the stream does "
          "not keep up |\n"
          "| `tributary_journal_end_offset - tributary_lake_offset` grows for an hour | the lake does not "
          "keep up |\n"
          "| `tributary_ready == 0` for 5 minutes | starting, draining, full or unwritable: `/readyz` says "
          "which |\n",
          out);
}
