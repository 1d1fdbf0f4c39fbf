#include "admin/routes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "observe/health.h"
#include "observe/metrics.h"
#include "observe/process.h"

#define JSON_TYPE "application/json"
#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Exact, where cJSON's own numbers are doubles. */
static void add_number(cJSON *object, const char *name, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, value);
    (void)cJSON_AddRawToObject(object, name, text);
}

/* Takes the tree over. */
static void answer_json(int status, cJSON *tree, struct gw_admin_answer *out)
{
    char *text = tree ? cJSON_PrintUnformatted(tree) : NULL;
    cJSON_Delete(tree);
    *out = (struct gw_admin_answer){.status = status, .content_type = JSON_TYPE};
    int len = text ? asprintf(&out->body, "%s\n", text) : -1;
    if (len < 0)
        out->body = NULL;
    else
        out->body_len = (size_t)len;
    cJSON_free(text);
}

static void answer_error(int status, const char *text, struct gw_admin_answer *out)
{
    cJSON *tree = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(tree, "error", text);
    answer_json(status, tree, out);
}

void gw_admin_refuse(int status, struct gw_admin_answer *out)
{
    const char *text = status == 405   ? "only GET and HEAD are answered here"
                       : status == 413 ? "a request with a body is not taken here"
                       : status == 431 ? "the request is too long"
                       : status == 501 ? "transfer encodings are not taken here"
                       : status == 505 ? "only HTTP/1.1 and HTTP/1.0 are spoken here"
                                       : "not a valid HTTP request";
    answer_error(status, text, out);
}

/* --- /metrics --- */

/* Gauges that are cheaper to read now than to keep up to date. */
static void refresh_gauges(struct gw_admin_view *view)
{
    pthread_mutex_lock(&view->lock);
    if (view->journal) {
        struct gw_journal_stats stats = {0};
        gw_journal_get_stats(view->journal, &stats);
        gw_metric_set(GW_METRIC_JOURNAL_BYTES, stats.disk_bytes);
        gw_metric_set(GW_METRIC_JOURNAL_SEGMENTS, stats.segments);
        gw_metric_set(GW_METRIC_JOURNAL_END, gw_journal_end(view->journal));
    }
    pthread_mutex_unlock(&view->lock);
}

static void metrics(struct gw_admin_view *view, struct gw_admin_answer *out)
{
    refresh_gauges(view);
    *out = (struct gw_admin_answer){.status = 200, .content_type = METRICS_TYPE};
    /* Room for counters that grow between the two passes. */
    size_t capacity = gw_metrics_render(NULL, 0) + gw_process_render(NULL, 0) + 1024;
    char *text = malloc(capacity);
    if (!text)
        return;
    size_t len = gw_metrics_render(text, capacity);
    if (len < capacity)
        len += gw_process_render(text + len, capacity - len);
    out->body = text;
    out->body_len = len < capacity ? len : capacity - 1;
}

/* --- health --- */

static void health(struct gw_admin_answer *out)
{
    cJSON *tree = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(tree, "status", "alive");
    (void)cJSON_AddStringToObject(tree, "version", TRIBUTARY_VERSION);
    answer_json(200, tree, out);
}

static void add_conditions(cJSON *tree)
{
    cJSON *conditions = cJSON_AddArrayToObject(tree, "conditions");
    for (int i = 0; i < GW_CONDITION_COUNT; i++) {
        if (!gw_health_holds((enum gw_condition)i))
            continue;
        cJSON *item = cJSON_CreateObject();
        (void)cJSON_AddStringToObject(item, "reason", gw_health_name((enum gw_condition)i));
        (void)cJSON_AddStringToObject(item, "advice", gw_health_advice((enum gw_condition)i));
        (void)cJSON_AddItemToArray(conditions, item);
    }
}

static void ready(struct gw_admin_answer *out)
{
    bool is_ready = gw_health_ready();
    cJSON *tree = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(tree, "status", is_ready ? "ready" : "not ready");
    if (!is_ready)
        add_conditions(tree);
    answer_json(is_ready ? 200 : 503, tree, out);
}

/* --- /v1/status --- */

void gw_admin_add_journal(cJSON *tree, struct gw_journal *journal, const char *const *sink_names,
                          size_t sink_count)
{
    char epoch[17];
    snprintf(epoch, sizeof epoch, "%016" PRIx64, gw_journal_epoch(journal));
    (void)cJSON_AddStringToObject(tree, "gateway_id", gw_journal_gateway_id(journal));
    struct gw_journal_stats stats = {0};
    gw_journal_get_stats(journal, &stats);
    cJSON *object = cJSON_AddObjectToObject(tree, "journal");
    (void)cJSON_AddStringToObject(object, "epoch", epoch);
    add_number(object, "begin", gw_journal_begin(journal));
    add_number(object, "end", gw_journal_end(journal));
    add_number(object, "disk_bytes", stats.disk_bytes);
    add_number(object, "segments", stats.segments);
    add_number(object, "damaged_segments", stats.damaged_segments);
    add_number(object, "quarantine_entries", stats.quarantine_entries);
    cJSON *sinks = cJSON_AddArrayToObject(tree, "sinks");
    for (size_t i = 0; i < sink_count; i++) {
        uint64_t cursor = 0;
        cJSON *sink = cJSON_CreateObject();
        (void)cJSON_AddStringToObject(sink, "name", sink_names[i]);
        if (gw_journal_cursor_get(journal, sink_names[i], &cursor) == GW_OK) {
            uint64_t end = gw_journal_end(journal);
            add_number(sink, "cursor", cursor);
            add_number(sink, "behind", end > cursor ? end - cursor : 0);
        }
        (void)cJSON_AddItemToArray(sinks, sink);
    }
}

static void add_totals(cJSON *tree)
{
    static const struct {
        const char *name;
        enum gw_metric metric;
    } shown[] = {{"committed", GW_METRIC_EVENTS_COMMITTED},
                 {"duplicate", GW_METRIC_EVENTS_DUPLICATE},
                 {"rejected", GW_METRIC_EVENTS_REJECTED},
                 {"declared_dropped", GW_METRIC_EVENTS_DROPPED},
                 {"unaccounted", GW_METRIC_EVENTS_UNACCOUNTED},
                 {"to_stream", GW_METRIC_STREAM_EVENTS},
                 {"to_lake", GW_METRIC_LAKE_EVENTS}};
    cJSON *events = cJSON_AddObjectToObject(tree, "events");
    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++)
        add_number(events, shown[i].name, gw_metric_get(shown[i].metric));
}

static void status(struct gw_admin_view *view, struct gw_admin_answer *out)
{
    cJSON *tree = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(tree, "version", TRIBUTARY_VERSION);
    add_number(tree, "pid", (uint64_t)getpid());
    add_number(tree, "uptime_seconds", gw_process_uptime_seconds());
    (void)cJSON_AddBoolToObject(tree, "ready", gw_health_ready());
    add_conditions(tree);
    add_number(tree, "connections", gw_metric_get(GW_METRIC_CONNECTIONS));
    pthread_mutex_lock(&view->lock);
    if (view->journal)
        gw_admin_add_journal(tree, view->journal, view->sinks, view->sink_count);
    pthread_mutex_unlock(&view->lock);
    add_totals(tree);
    answer_json(200, tree, out);
}

void gw_admin_answer(struct gw_admin_view *view, const struct gw_http_request *request, bool local,
                     struct gw_admin_answer *out)
{
    if (strcmp(request->path, "/metrics") == 0)
        metrics(view, out);
    else if (strcmp(request->path, "/healthz") == 0)
        health(out);
    else if (strcmp(request->path, "/readyz") == 0)
        ready(out);
    else if (local && strcmp(request->path, "/v1/status") == 0)
        status(view, out);
    else
        answer_error(404,
                     local ? "there are /metrics, /healthz, /readyz and /v1/status"
                           : "there are /metrics, /healthz and /readyz; the admin API is on the Unix socket",
                     out);
}
