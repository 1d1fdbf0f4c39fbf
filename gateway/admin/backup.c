#include "admin/backup.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "admin/answer.h"
#include "base/layout.h"
#include "config/units.h"
#include "journal/maintain.h"

static const char *const states[] = {[GW_BACKUP_NONE] = "none",
                                     [GW_BACKUP_WAITING] = "waiting",
                                     [GW_BACKUP_RUNNING] = "running",
                                     [GW_BACKUP_READY] = "ready",
                                     [GW_BACKUP_FAILED] = "failed"};

static void add_summary(cJSON *tree, const struct gw_journal_summary *sum)
{
    char epoch[17];
    snprintf(epoch, sizeof epoch, "%016" PRIx64, sum->epoch);
    (void)cJSON_AddStringToObject(tree, "folder", GW_LAYOUT_BACKUP);
    (void)cJSON_AddStringToObject(tree, "epoch", epoch);
    gw_answer_number(tree, "begin", sum->begin);
    gw_answer_number(tree, "end", sum->end);
    gw_answer_number(tree, "segments", sum->segments);
    gw_answer_number(tree, "entries", sum->entries);
    gw_answer_number(tree, "bytes", sum->bytes);
    gw_answer_number(tree, "bad", sum->bad);
    gw_answer_number(tree, "lost", sum->lost);
    gw_answer_number(tree, "schemas", sum->schemas);
}

static cJSON *describe(const struct gw_journal_backup *backup)
{
    cJSON *tree = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(tree, "state", states[backup->state]);
    gw_answer_number(tree, "number", backup->number);
    if (backup->state == GW_BACKUP_READY)
        add_summary(tree, &backup->summary);
    else if (backup->state == GW_BACKUP_FAILED)
        (void)cJSON_AddStringToObject(tree, "error", backup->error.text);
    return tree;
}

static void look(struct gw_admin_view *view, struct gw_admin_answer *out)
{
    struct gw_journal_backup backup = {.state = GW_BACKUP_NONE};
    pthread_mutex_lock(&view->lock);
    const bool open = view->journal != NULL;
    if (open)
        gw_journal_backup_look(view->journal, &backup);
    pthread_mutex_unlock(&view->lock);
    if (open)
        gw_answer_json(200, describe(&backup), out);
    else
        gw_answer_error(503, "the gateway is starting or stopping", out);
}

/* Only while there is a writer: without a committer nobody would ever make it. */
static void ask(struct gw_admin_view *view, struct gw_admin_answer *out)
{
    struct gw_journal_backup backup = {.state = GW_BACKUP_WAITING};
    struct gw_error error = {.text = "the gateway is starting or stopping"};
    int rc = GW_EAGAIN;
    pthread_mutex_lock(&view->lock);
    if (view->journal && view->writer)
        rc = gw_journal_backup_ask(view->journal, &backup.number, &error);
    pthread_mutex_unlock(&view->lock);
    if (rc == GW_OK)
        gw_answer_json(202, describe(&backup), out);
    else
        gw_answer_error(rc == GW_EBUSY ? 409 : 503, error.text, out);
}

static void withdraw(struct gw_admin_view *view, const struct gw_http_request *request,
                     struct gw_admin_answer *out)
{
    char text[24];
    uint64_t number;
    int rc = GW_ENOTFOUND;
    if (!gw_http_query(request, "number", text, sizeof text) || !gw_units_number(text, &number)) {
        gw_answer_error(400, "say which backup: number=N, as POST answered", out);
        return;
    }
    pthread_mutex_lock(&view->lock);
    if (view->journal)
        rc = gw_journal_backup_withdraw(view->journal, number);
    pthread_mutex_unlock(&view->lock);
    if (rc == GW_OK)
        gw_answer_json(200, describe(&(struct gw_journal_backup){.number = number}), out);
    else
        gw_answer_error(404, "no backup of that number waits: it has begun, or there is none", out);
}

bool gw_admin_backup(struct gw_admin_view *view, const struct gw_admin_question *question,
                     struct gw_admin_answer *out)
{
    const struct gw_http_request *request = question->request;
    if (strcmp(request->path, "/v1/backup") != 0)
        return false;
    if (request->method == GW_HTTP_GET)
        look(view, out);
    else if (request->method == GW_HTTP_POST)
        ask(view, out);
    else if (request->method == GW_HTTP_DELETE)
        withdraw(view, request, out);
    else
        gw_answer_method("GET, HEAD, POST, DELETE", out);
    return true;
}
