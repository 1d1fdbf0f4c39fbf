#include "observe/metrics.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>

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

#define SHARDS 96 /* the most ingest threads, the committer, the sinks' threads, and room */
#define SHARED 0  /* of whoever has none of its own */

/* Sums wrap as unsigned ones do: a gauge may go up in one shard and down in another. */
static struct {
    alignas(64) _Atomic uint64_t values[GW_METRIC_COUNT];
    atomic_bool taken;
} shards[SHARDS];
static _Thread_local unsigned mine = SHARED;
static pthread_key_t at_end;
static pthread_once_t at_end_made = PTHREAD_ONCE_INIT;

/* A thread has ended: the next one counts on from its sums. */
static void give_back(void *shard)
{
    unsigned index = (unsigned)(uintptr_t)shard;
    mine = SHARED;
    atomic_store_explicit(&shards[index].taken, false, memory_order_release);
}

static void make_at_end(void)
{
    if (pthread_key_create(&at_end, give_back) != 0)
        atomic_store(&shards[SHARED].taken, true); /* then nobody gets one */
}

void gw_metrics_own_shard(void)
{
    pthread_once(&at_end_made, make_at_end);
    if (mine != SHARED || atomic_load(&shards[SHARED].taken))
        return;
    for (unsigned i = SHARED + 1; i < SHARDS; i++) {
        if (atomic_exchange_explicit(&shards[i].taken, true, memory_order_acquire))
            continue;
        if (pthread_setspecific(at_end, (void *)(uintptr_t)i) == 0)
            mine = i;
        else
            atomic_store_explicit(&shards[i].taken, false, memory_order_release);
        return;
    }
}

void gw_metric_add(enum gw_metric metric, uint64_t amount)
{
    _Atomic uint64_t *value = &shards[mine].values[metric];
    if (mine == SHARED) {
        atomic_fetch_add_explicit(value, amount, memory_order_relaxed);
        return;
    }
    /* Nobody else writes here, so no locked instruction is needed. */
    atomic_store_explicit(value, atomic_load_explicit(value, memory_order_relaxed) + amount,
                          memory_order_relaxed);
}

void gw_metric_sub(enum gw_metric metric, uint64_t amount)
{
    gw_metric_add(metric, 0 - amount);
}

void gw_metric_set(enum gw_metric metric, uint64_t value)
{
    atomic_store_explicit(&shards[SHARED].values[metric], value, memory_order_relaxed);
}

uint64_t gw_metric_get(enum gw_metric metric)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < SHARDS; i++)
        sum += atomic_load_explicit(&shards[i].values[metric], memory_order_relaxed);
    return sum;
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
    fputs(
        "| `tributary_build_info` | gauge | 1, with the version as label |\n"
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
        "| `tributary_journal_nearly_full == 1` | the journal is at 80% of its limit: devices are held back "
        "next |\n"
        "| `tributary_journal_damaged_segments > 0` | something in the journal is damaged: `tributaryctl "
        "journal salvage` |\n"
        "| `tributary_sinks_detached > 0` | a sink was left behind and loses entries: mend it, and see "
        "`tributaryctl journal inspect` |\n"
        "| `tributary_journal_end_offset - tributary_stream_offset` grows for an hour | the stream does "
        "not keep up |\n"
        "| `tributary_journal_end_offset - tributary_lake_offset` grows for an hour | the lake does not "
        "keep up |\n"
        "| `tributary_crl_next_update_seconds > 0 and tributary_crl_next_update_seconds - time() < 86400` | "
        "a revocation list "
        "(`listen.crl`) is out of date within a day: who is revoked later is not known |\n"
        "| `tributary_ready == 0` for 5 minutes | starting, draining, full or unwritable: `/readyz` says "
        "which |\n",
        out);
}
