#include "admin/answer.h"
#include "admin/backup.h"
#include "admin/catalog.h"
#include "admin/quarantine.h"
#include "admin/registry.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "observe/health.h"
#include "observe/metrics.h"
#include "observe/process.h"
#include "session/custom.h"

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

void gw_admin_refuse(int status, struct gw_admin_answer *out)
{
    const char *text = status == 405   ? "only GET, HEAD, POST, PUT and DELETE are spoken here"
                       : status == 413 ? "a request with a body, or with one so long, is not taken here"
                       : status == 417 ? "send the body without asking first (curl: -H 'Expect:')"
                       : status == 401
                           ? "the admin token is needed: Authorization: Bearer, or as password of Basic"
                       : status == 429 ? "too many wrong tokens from this address: wait ten seconds"
                       : status == 503 ? "out of memory"
                       : status == 431 ? "the request is too long"
                       : status == 501 ? "transfer encodings are not taken here"
                       : status == 505 ? "only HTTP/1.1 and HTTP/1.0 are spoken here"
                                       : "not a valid HTTP request";
    cJSON *tree = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(tree, "error", text);
    (void)cJSON_AddNumberToObject(tree, "error_code", status); /* as the registry's dialect has it */
    (void)cJSON_AddStringToObject(tree, "message", text);
    gw_answer_json(status, tree, out);
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
    size_t capacity =
        gw_metrics_render(NULL, 0) + gw_process_render(NULL, 0) + gw_custom_render(NULL, 0) + 4096;
    char *text = malloc(capacity);
    if (!text)
        return;
    size_t len = gw_metrics_render(text, capacity);
    if (len < capacity)
        len += gw_process_render(text + len, capacity - len);
    if (len < capacity)
        len += gw_custom_render(text + len, capacity - len);
    out->body = text;
    out->body_len = len < capacity ? len : capacity - 1;
}

/* --- health --- */

static void health(struct gw_admin_view *view, struct gw_admin_answer *out)
{
    (void)view;
    cJSON *tree = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(tree, "status", "alive");
    (void)cJSON_AddStringToObject(tree, "version", TRIBUTARY_VERSION);
    gw_answer_json(200, tree, out);
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

static void ready(struct gw_admin_view *view, struct gw_admin_answer *out)
{
    (void)view;
    bool is_ready = gw_health_ready();
    cJSON *tree = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(tree, "status", is_ready ? "ready" : "not ready");
    if (!is_ready)
        add_conditions(tree);
    gw_answer_json(is_ready ? 200 : 503, tree, out);
}

/* --- /v1/status --- */

static void add_lost(void *context, const struct gw_journal_lost *lost)
{
    char epoch[17];
    snprintf(epoch, sizeof epoch, "%016" PRIx64, lost->epoch);
    cJSON *item = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(item, "sink", lost->sink);
    (void)cJSON_AddStringToObject(item, "epoch", epoch);
    gw_answer_number(item, "from", lost->from);
    gw_answer_number(item, "to", lost->to);
    gw_answer_number(item, "entries", lost->entries);
    gw_answer_number(item, "first_ms", lost->first_ms);
    gw_answer_number(item, "last_ms", lost->last_ms);
    (void)cJSON_AddItemToArray(context, item);
}

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
    gw_answer_number(object, "begin", gw_journal_begin(journal));
    gw_answer_number(object, "end", gw_journal_end(journal));
    gw_answer_number(object, "disk_bytes", stats.disk_bytes);
    gw_answer_number(object, "segments", stats.segments);
    gw_answer_number(object, "damaged_segments", stats.damaged_segments);
    gw_answer_number(object, "quarantine_entries", stats.quarantine_entries);
    cJSON *sinks = cJSON_AddArrayToObject(tree, "sinks");
    for (size_t i = 0; i < sink_count; i++) {
        uint64_t cursor = 0;
        cJSON *sink = cJSON_CreateObject();
        (void)cJSON_AddStringToObject(sink, "name", sink_names[i]);
        if (gw_journal_cursor_get(journal, sink_names[i], &cursor) == GW_OK) {
            uint64_t end = gw_journal_end(journal);
            gw_answer_number(sink, "cursor", cursor);
            gw_answer_number(sink, "behind", end > cursor ? end - cursor : 0);
        }
        if (gw_journal_is_detached(journal, sink_names[i]))
            (void)cJSON_AddTrueToObject(sink, "detached");
        (void)cJSON_AddItemToArray(sinks, sink);
    }
    cJSON *lost = cJSON_AddArrayToObject(tree, "lost");
    if (gw_journal_each_lost(journal, add_lost, lost) != GW_OK)
        (void)cJSON_AddStringToObject(tree, "lost_error", "what sinks lost cannot be read");
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
        gw_answer_number(events, shown[i].name, gw_metric_get(shown[i].metric));
}

static void status(struct gw_admin_view *view, struct gw_admin_answer *out)
{
    cJSON *tree = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(tree, "version", TRIBUTARY_VERSION);
    gw_answer_number(tree, "pid", (uint64_t)getpid());
    gw_answer_number(tree, "uptime_seconds", gw_process_uptime_seconds());
    (void)cJSON_AddBoolToObject(tree, "ready", gw_health_ready());
    add_conditions(tree);
    gw_answer_number(tree, "connections", gw_metric_get(GW_METRIC_CONNECTIONS));
    pthread_mutex_lock(&view->lock);
    if (view->journal)
        gw_admin_add_journal(tree, view->journal, view->sinks, view->sink_count);
    pthread_mutex_unlock(&view->lock);
    add_totals(tree);
    gw_answer_json(200, tree, out);
}

/* --- /v1/reload --- */

static bool reload(struct gw_admin_view *view, const struct gw_admin_question *question,
                   struct gw_admin_answer *out)
{
    struct gw_error error = {0};
    int result = GW_EAGAIN;
    if (!question->local || strcmp(question->request->path, "/v1/reload") != 0)
        return false;
    if (question->request->method != GW_HTTP_POST) {
        gw_answer_method("POST", out);
        return true;
    }
    pthread_mutex_lock(&view->lock);
    if (view->reload)
        result = view->reload->reload(view->reload->context, &error);
    pthread_mutex_unlock(&view->lock);
    if (result == GW_OK) {
        cJSON *tree = cJSON_CreateObject();
        (void)cJSON_AddStringToObject(tree, "status", "reloaded");
        gw_answer_json(200, tree, out);
    } else if (result == GW_EAGAIN) {
        gw_answer_error(503, "the gateway is starting or stopping", out);
    } else {
        gw_answer_error(422, error.text, out);
    }
    return true;
}

static void catalog(struct gw_admin_view *view, struct gw_admin_answer *out)
{
    if (view->schemas)
        gw_answer_json(200, gw_admin_catalog(view->schemas), out);
    else
        gw_answer_error(503, "the registry is not open", out);
}

static void catalog_page(struct gw_admin_view *view, struct gw_admin_answer *out)
{
    cJSON *rows = view->schemas ? gw_admin_catalog(view->schemas) : NULL;
    *out = (struct gw_admin_answer){.status = 200, .content_type = "text/html; charset=utf-8"};
    if (rows)
        out->body = gw_admin_catalog_page(rows, &out->body_len);
    else
        gw_answer_error(503, "the registry is not open", out);
    cJSON_Delete(rows);
}

/* --- which path --- */

bool gw_admin_takes_body(const struct gw_http_request *request, bool local)
{
    (void)request;
    return local;
}

static bool answer_get(struct gw_admin_view *view, const struct gw_admin_question *question,
                       struct gw_admin_answer *out)
{
    const char *path = question->request->path;
    void (*answer)(struct gw_admin_view *, struct gw_admin_answer *) = NULL;
    if (strcmp(path, "/metrics") == 0)
        answer = metrics;
    else if (strcmp(path, "/healthz") == 0)
        answer = health;
    else if (strcmp(path, "/readyz") == 0)
        answer = ready;
    else if (question->local && strcmp(path, "/v1/status") == 0)
        answer = status;
    else if (question->local && strcmp(path, "/v1/catalog") == 0)
        answer = catalog;
    else if (question->local && strcmp(path, "/catalog") == 0)
        answer = catalog_page;
    if (!answer)
        return false;
    if (question->request->method == GW_HTTP_GET)
        answer(view, out);
    else
        gw_answer_method("GET, HEAD", out);
    return true;
}

void gw_admin_answer(struct gw_admin_view *view, const struct gw_admin_question *question,
                     struct gw_admin_answer *out)
{
    if (answer_get(view, question, out) || reload(view, question, out))
        return;
    if (question->local && gw_admin_quarantine(view, question, out))
        return;
    if (question->local && gw_admin_backup(view, question, out))
        return;
    if (question->local && gw_admin_registry(view->schemas, question, out))
        return;
    gw_answer_error(404,
                    question->local
                        ? "there are /metrics, /healthz, /readyz, /catalog, /v1/status, /v1/catalog, "
                          "/v1/quarantine, /v1/backup, /v1/reload, and /subjects, /schemas, /compatibility, "
                          "/config and /mode of the registry"
                        : "there are /metrics, /healthz and /readyz; the admin API is on the Unix socket",
                    out);
}
