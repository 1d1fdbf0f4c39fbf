#include "admin/routes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/units.h"
#include "observe/health.h"
#include "observe/metrics.h"
#include "observe/process.h"
#include "wire/message.h"

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

/* --- /v1/quarantine --- */

#define QUARANTINE_LIMIT 1000 /* listed unless asked for another number */
#define QUARANTINE_LIMIT_MAX 16384

struct listing {
    cJSON *list;
    uint64_t limit, count;
};

static int add_rejected(void *context, const struct gw_journal_rejected *rejected)
{
    struct listing *listing = context;
    if (listing->count++ >= listing->limit)
        return 0; /* counted all the same */
    char device[256], stream[17];
    snprintf(device, sizeof device, "%.*s", (int)rejected->device_len, rejected->device);
    snprintf(stream, sizeof stream, "%016" PRIx64, rejected->stream);
    cJSON *item = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(item, "device", device);
    (void)cJSON_AddStringToObject(item, "stream", stream);
    add_number(item, "seq", rejected->seq);
    add_number(item, "received_ms", rejected->received_ms);
    add_number(item, "code", rejected->code);
    (void)cJSON_AddStringToObject(item, "reason", gw_admin_reject_name(rejected->code));
    add_number(item, "sealed_bytes", rejected->sealed_len);
    (void)cJSON_AddItemToArray(listing->list, item);
    return 0;
}

const char *gw_admin_reject_name(uint32_t code)
{
    switch (code) {
    case TRIB_REJECT_UNKNOWN_TYPE:
        return "unknown type";
    case TRIB_REJECT_WRONG_TYPE:
        return "wrong type of a field";
    case TRIB_REJECT_MISSING_FIELD:
        return "missing field";
    case TRIB_REJECT_OUT_OF_RANGE:
        return "value out of range";
    case TRIB_REJECT_UNKNOWN_SCHEMA:
        return "unknown schema";
    case TRIB_REJECT_TOO_LARGE:
        return "too large";
    case TRIB_REJECT_MALFORMED:
        return "malformed";
    default:
        return "unknown code";
    }
}

int gw_admin_add_quarantine(cJSON *tree, struct gw_journal *journal, uint64_t limit)
{
    struct listing listing = {.list = cJSON_AddArrayToObject(tree, "quarantine"), .limit = limit};
    int rc = gw_journal_each_rejected(journal, add_rejected, &listing);
    add_number(tree, "total", listing.count);
    return rc;
}

static void quarantine(struct gw_admin_view *view, const struct gw_http_request *request,
                       struct gw_admin_answer *out)
{
    char text[8];
    uint64_t limit = QUARANTINE_LIMIT;
    if (gw_http_query(request, "limit", text, sizeof text) &&
        (!gw_units_number(text, &limit) || limit > QUARANTINE_LIMIT_MAX)) {
        answer_error(400, "limit is a whole number up to 16384", out);
        return;
    }
    cJSON *tree = cJSON_CreateObject();
    int rc = GW_EAGAIN;
    pthread_mutex_lock(&view->lock);
    if (view->journal)
        rc = gw_admin_add_quarantine(tree, view->journal, limit);
    pthread_mutex_unlock(&view->lock);
    if (rc == GW_OK) {
        answer_json(200, tree, out);
        return;
    }
    cJSON_Delete(tree);
    answer_error(503, rc == GW_EAGAIN ? "the journal is not open yet" : "the journal cannot be read", out);
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
    else if (local && strcmp(request->path, "/v1/quarantine") == 0)
        quarantine(view, request, out);
    else
        answer_error(404,
                     local ? "there are /metrics, /healthz, /readyz, /v1/status and /v1/quarantine"
                           : "there are /metrics, /healthz and /readyz; the admin API is on the Unix socket",
                     out);
}
