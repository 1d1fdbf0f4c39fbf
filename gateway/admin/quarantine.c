#include "admin/quarantine.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/answer.h"
#include "config/units.h"
#include "session/custom.h"

struct listing {
    cJSON *list;
    uint64_t limit, count;
};

void gw_admin_add_rejected(cJSON *item, const struct gw_journal_rejected *rejected)
{
    char device[256], stream[17];
    snprintf(device, sizeof device, "%.*s", (int)rejected->device_len, rejected->device);
    snprintf(stream, sizeof stream, "%016" PRIx64, rejected->stream);
    (void)cJSON_AddStringToObject(item, "device", device);
    (void)cJSON_AddStringToObject(item, "stream", stream);
    gw_answer_number(item, "seq", rejected->seq);
    gw_answer_number(item, "received_ms", rejected->received_ms);
    gw_answer_number(item, "code", GW_REJECT_CODE(rejected->code));
    (void)cJSON_AddStringToObject(item, "reason", gw_admin_reject_name(rejected->code));
    const char *keyword = gw_reject_keyword(rejected->code);
    if (keyword)
        (void)cJSON_AddStringToObject(item, "keyword", keyword);
    gw_answer_number(item, "sealed_bytes", rejected->sealed_len);
}

static int add_listed(void *context, const struct gw_journal_rejected *rejected)
{
    struct listing *listing = context;
    if (listing->count++ >= listing->limit)
        return 0; /* counted all the same */
    cJSON *item = cJSON_CreateObject();
    gw_admin_add_rejected(item, rejected);
    (void)cJSON_AddItemToArray(listing->list, item);
    return 0;
}

const char *gw_admin_reject_name(uint32_t code)
{
    switch (GW_REJECT_CODE(code)) {
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
    int rc = gw_journal_each_rejected(journal, add_listed, &listing);
    gw_answer_number(tree, "total", listing.count);
    return rc;
}

static void answer_or_fail(int rc, cJSON *tree, const struct gw_error *error, struct gw_admin_answer *out)
{
    if (rc == GW_OK) {
        gw_answer_json(200, tree, out);
        return;
    }
    cJSON_Delete(tree);
    if (rc == GW_ENOTFOUND)
        gw_answer_error(404, "there is no such event in quarantine", out);
    else if (rc == GW_EAGAIN)
        gw_answer_error(503, "the gateway is starting or stopping", out);
    else
        gw_answer_error(503, error && error->text[0] ? error->text : gw_error_text(rc), out);
}

static void list(struct gw_admin_view *view, const struct gw_http_request *request,
                 struct gw_admin_answer *out)
{
    char text[8];
    uint64_t limit = GW_QUARANTINE_LIMIT;
    if (gw_http_query(request, "limit", text, sizeof text) &&
        (!gw_units_number(text, &limit) || limit > GW_QUARANTINE_LIMIT_MAX)) {
        gw_answer_error(400, "limit is a whole number up to 16384", out);
        return;
    }
    cJSON *tree = cJSON_CreateObject();
    int rc = GW_EAGAIN;
    pthread_mutex_lock(&view->lock);
    if (view->journal)
        rc = gw_admin_add_quarantine(tree, view->journal, limit);
    pthread_mutex_unlock(&view->lock);
    answer_or_fail(rc, tree, NULL, out);
}

/* DEVICE/STREAM/SEQ; a device id may hold slashes. */
static bool take_id(char *id, struct gw_quarantine_filter *out)
{
    char *seq = strrchr(id, '/');
    if (!seq)
        return false;
    *seq++ = 0;
    char *stream = strrchr(id, '/');
    if (!stream || !gw_units_number(seq, &out->seq))
        return false;
    *stream++ = 0;
    char *end;
    out->stream = strtoull(stream, &end, 16);
    if (strlen(stream) != 16 || strspn(stream, "0123456789abcdef") != 16 || *end || strlen(id) == 0 ||
        strlen(id) >= sizeof out->device)
        return false;
    strcpy(out->device, id);
    out->has_id = true;
    return true;
}

static bool decoded(const struct gw_http_request *request, const char *name, char *out, size_t capacity)
{
    char raw[GW_HTTP_TARGET_MAX];
    return !gw_http_query(request, name, raw, sizeof raw) || gw_http_decode(raw, strlen(raw), out, capacity);
}

/* SEGMENT-NUMBER, as `next` of an answer has it. False: something else. */
static bool take_place(const struct gw_http_request *request, struct gw_journal_place *out)
{
    char text[GW_HTTP_TARGET_MAX], *dash;
    if (!gw_http_query(request, "after", text, sizeof text))
        return true; /* from the start */
    if (!(dash = strchr(text, '-')))
        return false;
    *dash = 0;
    return gw_units_number(text, &out->segment) && gw_units_number(dash + 1, &out->number);
}

/* False: it is none; nothing given is none either, so that nobody drops all by a slip. */
static bool take_filter(const struct gw_http_request *request, struct gw_quarantine_filter *out)
{
    char id[512] = "", all[8] = "";
    *out = (struct gw_quarantine_filter){.has_id = false};
    if (!decoded(request, "id", id, sizeof id) || !decoded(request, "all", all, sizeof all) ||
        !decoded(request, "device", out->device, sizeof out->device) ||
        !decoded(request, "schema", out->schema, sizeof out->schema))
        return false;
    if (id[0] && !take_id(id, out))
        return false;
    return out->device[0] || out->schema[0] || out->has_id || strcmp(all, "true") == 0;
}

static cJSON *tree_of(const struct gw_quarantine_tally *tally, bool redrive)
{
    cJSON *tree = cJSON_CreateObject();
    gw_answer_number(tree, "matched", tally->matched);
    gw_answer_number(tree, redrive ? "redriven" : "dropped", tally->done);
    if (redrive)
        gw_answer_number(tree, "still_rejected", tally->still);
    gw_answer_number(tree, "gone", tally->gone);
    gw_answer_number(tree, "unreadable", tally->unreadable);
    if (tally->still > 0)
        (void)cJSON_AddStringToObject(tree, "last_reason", gw_admin_reject_name(tally->last_reason));
    if (tally->still > 0 && gw_reject_keyword(tally->last_reason))
        (void)cJSON_AddStringToObject(tree, "last_keyword", gw_reject_keyword(tally->last_reason));
    gw_answer_number(tree, "walked", tally->walked);
    if (tally->more) {
        char next[48];
        snprintf(next, sizeof next, "%" PRIu64 "-%" PRIu64, tally->next.segment, tally->next.number);
        (void)cJSON_AddStringToObject(tree, "next", next);
    }
    return tree;
}

static void settle(struct gw_admin_view *view, const struct gw_http_request *request,
                   const struct gw_quarantine_filter *filter, bool redrive, struct gw_admin_answer *out)
{
    struct gw_quarantine_tally tally = {0};
    struct gw_journal_place after = {0};
    struct gw_error error = {0};
    if (!take_place(request, &after)) {
        gw_answer_error(400, "after is what the answer before had as its `next`", out);
        return;
    }
    int rc = GW_EAGAIN;
    pthread_mutex_lock(&view->lock);
    if (view->journal && view->writer)
        rc = gw_quarantine_settle(view->journal, view->writer, filter, &after, redrive, &tally, &error);
    pthread_mutex_unlock(&view->lock);
    answer_or_fail(rc, tree_of(&tally, redrive), &error, out);
}

static void show(struct gw_admin_view *view, const struct gw_quarantine_filter *filter,
                 struct gw_admin_answer *out)
{
    cJSON *tree = cJSON_CreateObject();
    int rc = GW_EAGAIN;
    pthread_mutex_lock(&view->lock);
    if (view->journal && view->writer)
        rc = gw_quarantine_show(view->journal, view->writer, filter, tree);
    pthread_mutex_unlock(&view->lock);
    answer_or_fail(rc, tree, NULL, out);
}

bool gw_admin_quarantine(struct gw_admin_view *view, const struct gw_admin_question *question,
                         struct gw_admin_answer *out)
{
    const struct gw_http_request *request = question->request;
    static const char base[] = "/v1/quarantine";
    if (strncmp(request->path, base, sizeof base - 1) != 0)
        return false;
    const char *rest = request->path + sizeof base - 1;
    const bool redrive = strcmp(rest, "/redrive") == 0, drop = strcmp(rest, "/drop") == 0,
               shows = strcmp(rest, "/show") == 0;
    struct gw_quarantine_filter filter;
    if (*rest && !redrive && !drop && !shows)
        return false;
    if (request->method != (redrive || drop ? GW_HTTP_POST : GW_HTTP_GET))
        gw_answer_method(redrive || drop ? "POST" : "GET, HEAD", out);
    else if (!*rest)
        list(view, request, out);
    else if (!take_filter(request, &filter) || (shows && !filter.has_id))
        gw_answer_error(400, "say which events: id=DEVICE/STREAM/SEQ, device=, schema=, or all=true", out);
    else if (shows)
        show(view, &filter, out);
    else
        settle(view, request, &filter, redrive, out);
    return true;
}
