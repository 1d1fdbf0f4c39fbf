/* Re-drive and drop: events are copied out in groups, judged, and settled in one transaction a group; so many a request. */
#include <stdlib.h>
#include <string.h>

#include "admin/quarantine.h"
#include "observe/log.h"
#include "observe/metrics.h"
#include "session/redrive.h"

#define GROUP 128
#define GROUP_BYTES ((size_t)4 << 20)
#define SCRATCH_BYTES 65536
#define ARENA_BYTES ((size_t)64 << 20)

struct item {
    struct gw_journal_rejected rejected; /* sealed points into the group's bytes */
    char device[256];
};

struct group {
    const struct gw_quarantine_filter *filter;
    struct gw_journal_rejected_walk walk; /* goes on where the group before ended */
    struct item items[GROUP];
    size_t count, most, used;
    uint64_t unfit; /* fit into no group */
    uint8_t *bytes;
};

/* All that one pass works with. */
struct pass {
    const struct gw_admin_writer *writer;
    struct gw_schema_scratch scratch;
    struct gw_arena arena;
    struct group group;
    struct gw_redriven redriven[GROUP];
    struct gw_journal_write *writes[GROUP];
    uint8_t *plain;
    void *memory;
};

static bool matches(const struct gw_quarantine_filter *filter, const struct gw_journal_rejected *rejected)
{
    const size_t len = strlen(filter->device);
    if (len > 0 && (len != rejected->device_len || memcmp(filter->device, rejected->device, len) != 0))
        return false;
    return !filter->has_id || (filter->stream == rejected->stream && filter->seq == rejected->seq);
}

static int collect(void *context, const struct gw_journal_rejected *rejected)
{
    struct group *group = context;
    if (!matches(group->filter, rejected))
        return 0;
    if (rejected->sealed_len > GROUP_BYTES || rejected->device_len >= sizeof group->items[0].device) {
        group->unfit++;
        return 0;
    }
    if (group->count == group->most || group->used + rejected->sealed_len > GROUP_BYTES)
        return 1; /* the next group begins with it */
    struct item *item = &group->items[group->count++];
    item->rejected = *rejected;
    memcpy(item->device, rejected->device, rejected->device_len);
    item->device[rejected->device_len] = 0;
    item->rejected.device = item->device;
    item->rejected.sealed = memcpy(group->bytes + group->used, rejected->sealed, rejected->sealed_len);
    group->used += rejected->sealed_len;
    return 0;
}

/* The next `most` events at most, GROUP or fewer, behind those of the group before. */
static int next_group(struct gw_journal *journal, struct group *group, size_t most)
{
    group->count = group->used = group->unfit = 0;
    group->most = most < GROUP ? most : GROUP;
    int rc = gw_journal_walk_rejected(journal, &group->walk, collect, group);
    return rc == 1 ? 0 : rc;
}

/* The schema that a custom event names, without a version. */
static struct trib_text schema_of(const struct gw_rejected_event *event)
{
    struct trib_text name = {"", 0};
    struct trib_cbor_reader r;
    trib_cbor_reader_init(&r, event->fields, event->fields_len);
    struct trib_cbor_container map = trib_cbor_get_map(&r);
    while (event->type == TRIB_EVENT_CUSTOM && trib_cbor_next(&r, &map)) {
        if (trib_cbor_peek(&r) == TRIB_CBOR_UINT && trib_cbor_get_uint(&r) == TRIB_FIELD_SCHEMA &&
            trib_cbor_peek(&r) == TRIB_CBOR_TEXT) {
            name.ptr = trib_cbor_get_text(&r, &name.len);
            break;
        }
        trib_cbor_skip(&r);
    }
    const char *at = r.error == 0 ? memchr(name.ptr, '@', name.len) : NULL;
    if (r.error != 0)
        return (struct trib_text){"", 0};
    return (struct trib_text){name.ptr, at ? (size_t)(at - name.ptr) : name.len};
}

static bool is_of_schema(const struct gw_rejected_event *event, const char *wanted)
{
    struct trib_text name = schema_of(event);
    return *wanted == 0 || (name.len == strlen(wanted) && memcmp(name.ptr, wanted, name.len) == 0);
}

/* 1: out is to be written; 0: nothing to do with it; or an error. */
static int prepare(struct pass *pass, const struct item *item, bool redrive, struct gw_redriven *out,
                   struct gw_quarantine_tally *tally, struct gw_error *error)
{
    const bool look_inside = redrive || pass->group.filter->schema[0] != 0;
    struct gw_rejected_event event;
    *out = (struct gw_redriven){0};
    if (look_inside) {
        int rc = gw_redrive_open(pass->writer->policy->seal, &item->rejected, pass->plain, &event);
        if (rc != GW_OK) {
            tally->unreadable++;
            return 0;
        }
        if (!is_of_schema(&event, pass->group.filter->schema))
            return 0;
    }
    tally->matched++;
    if (redrive) {
        int rc = gw_redrive(pass->writer->policy, &pass->scratch, &event, &item->rejected.place, &pass->arena,
                            out, error);
        if (rc == GW_ENOMEM)
            return rc;
        if (rc != GW_OK) {
            tally->unreadable++;
            return 0;
        }
        if (out->reason != 0) {
            tally->still++;
            tally->last_reason = out->reason;
            return 0;
        }
    } else {
        out->settled =
            (struct gw_journal_settled){item->rejected.place, item->rejected.stream, item->rejected.seq};
        out->admitted.write.settles = &out->settled;
        out->admitted.write.settle_count = 1;
    }
    out->admitted.write.device = item->device;
    return 1;
}

static int settle_group(struct pass *pass, bool redrive, struct gw_quarantine_tally *tally,
                        struct gw_error *error)
{
    size_t count = 0;
    int rc = 0;
    gw_arena_reset(&pass->arena);
    for (size_t i = 0; rc >= 0 && i < pass->group.count; i++) {
        rc = prepare(pass, &pass->group.items[i], redrive, &pass->redriven[i], tally, error);
        if (rc == 1)
            pass->writes[count++] = &pass->redriven[i].admitted.write;
    }
    if (rc < 0 || count == 0)
        return rc < 0 ? rc : 0;
    rc = pass->writer->write(pass->writer->context, pass->writes, count, error);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        const int status = pass->writes[i]->status;
        if (status == GW_OK)
            tally->done++;
        else if (status == GW_ESTALE)
            tally->gone++;
        else
            rc = status;
    }
    return rc;
}

static int open_pass(struct pass *pass)
{
    pass->memory = aligned_alloc(16, SCRATCH_BYTES);
    pass->group.bytes = malloc(GROUP_BYTES);
    pass->plain = malloc(GROUP_BYTES);
    gw_arena_init(&pass->arena, 65536, ARENA_BYTES);
    if (!pass->memory || !pass->group.bytes || !pass->plain)
        return GW_ENOMEM;
    return gw_schema_scratch_init(pass->memory, SCRATCH_BYTES, &pass->scratch);
}

static void close_pass(struct pass *pass)
{
    if (pass->plain)
        explicit_bzero(pass->plain, GROUP_BYTES);
    gw_arena_free(&pass->arena);
    free(pass->plain);
    free(pass->group.bytes);
    free(pass->memory);
    free(pass);
}

/* Group by group, until it is enough for one request. */
static int settle_step(struct gw_journal *journal, struct pass *pass, bool redrive,
                       struct gw_quarantine_tally *out, struct gw_error *error)
{
    struct group *group = &pass->group;
    size_t taken = 0;
    do {
        group->walk.most = GW_QUARANTINE_STEP_WALK - out->walked;
        int rc = next_group(journal, group, GW_QUARANTINE_STEP - taken);
        if (rc == 0)
            rc = settle_group(pass, redrive, out, error);
        if (rc != 0)
            return rc;
        taken += group->count;
        out->walked += group->walk.walked;
        out->matched += group->unfit;
        out->unreadable += group->unfit;
        out->next = group->walk.after;
        out->more = !group->walk.ended;
    } while (out->more && taken < GW_QUARANTINE_STEP && out->walked < GW_QUARANTINE_STEP_WALK);
    return 0;
}

int gw_quarantine_settle(struct gw_journal *journal, const struct gw_admin_writer *writer,
                         const struct gw_quarantine_filter *filter, const struct gw_journal_place *after,
                         bool redrive, struct gw_quarantine_tally *out, struct gw_error *error)
{
    struct pass *pass = calloc(1, sizeof *pass);
    *out = (struct gw_quarantine_tally){0};
    if (!pass)
        return GW_ENOMEM;
    pass->writer = writer;
    pass->group.filter = filter;
    pass->group.walk.after = *after;
    int rc = open_pass(pass);
    if (rc == 0)
        rc = settle_step(journal, pass, redrive, out, error);
    close_pass(pass);
    gw_metric_add(redrive ? GW_METRIC_EVENTS_REDRIVEN : GW_METRIC_QUARANTINE_DROPPED, out->done);
    if (out->done > 0)
        gw_log(GW_LOG_INFO, redrive ? "admin.redriven" : "admin.quarantine_dropped",
               redrive ? "events left quarantine for the stream and the lake"
                       : "events were dropped from quarantine by request",
               GW_UINT("events", out->done));
    return rc;
}

/* --- show --- */

#define SHOWN_FAULTS 16

static void add_faults(cJSON *out, const struct gw_schema_report *report)
{
    cJSON *list = cJSON_AddArrayToObject(out, "faults");
    for (size_t i = 0; i < report->fault_count; i++) {
        cJSON *item = cJSON_CreateObject();
        (void)cJSON_AddStringToObject(item, "instanceLocation", report->faults[i].instance);
        (void)cJSON_AddStringToObject(item, "keywordLocation", report->faults[i].keyword);
        (void)cJSON_AddStringToObject(item, "error", report->faults[i].message);
        (void)cJSON_AddItemToArray(list, item);
    }
}

static void judge_again(const struct pass *pass, struct gw_schema_scratch *scratch,
                        const struct gw_rejected_event *event, const struct gw_validated *valid, cJSON *out)
{
    struct gw_schema_fault faults[SHOWN_FAULTS];
    char text[8192];
    struct gw_schema_report report = {
        .faults = faults, .fault_max = SHOWN_FAULTS, .text = text, .text_max = sizeof text};
    struct trib_text name = {"", 0};
    const struct gw_field_span *data = NULL;
    for (uint32_t i = 0; i < valid->field_count; i++) {
        const struct gw_field_span *span = &valid->fields[i];
        struct trib_cbor_reader r;
        trib_cbor_reader_init(&r, event->fields + span->value_at, span->end - span->value_at);
        if (span->id == TRIB_FIELD_SCHEMA)
            name.ptr = trib_cbor_get_text(&r, &name.len);
        else if (span->id == TRIB_FIELD_DATA)
            data = span;
    }
    struct gw_custom custom;
    int code = gw_custom_judge(&pass->writer->policy->custom, scratch, name,
                               data ? event->fields + data->value_at : NULL,
                               data ? data->end - data->value_at : 0, pass->group.bytes, &report, &custom);
    char schema[160];
    snprintf(schema, sizeof schema, "%.*s", (int)name.len, name.ptr);
    (void)cJSON_AddStringToObject(out, "schema", schema);
    (void)cJSON_AddBoolToObject(out, "valid_now", code == 0);
    if (custom.version)
        (void)cJSON_AddNumberToObject(out, "judged_by_version", custom.version->version);
    add_faults(out, &report);
}

int gw_quarantine_show(struct gw_journal *journal, const struct gw_admin_writer *writer,
                       const struct gw_quarantine_filter *filter, cJSON *out)
{
    struct pass *pass = calloc(1, sizeof *pass);
    if (!pass)
        return GW_ENOMEM;
    pass->writer = writer;
    pass->group.filter = filter;
    struct gw_rejected_event event;
    pass->group.walk.most = UINT64_MAX;
    int rc = open_pass(pass);
    if (rc == 0)
        rc = next_group(journal, &pass->group, 1);
    if (rc == 0 && pass->group.count == 0)
        rc = GW_ENOTFOUND;
    if (rc == 0)
        rc = gw_redrive_open(writer->policy->seal, &pass->group.items[0].rejected, pass->plain, &event);
    if (rc == 0) {
        gw_admin_add_rejected(out, &pass->group.items[0].rejected);
        const char *type = event.type < TRIB_EVENT_COUNT ? trib_events[event.type].name : NULL;
        (void)cJSON_AddStringToObject(out, "type", type ? type : "unknown");
        struct gw_validated valid;
        int code = gw_validate_event((unsigned)event.type, event.fields, event.fields_len, &valid);
        if (event.type == TRIB_EVENT_CUSTOM && code == 0)
            judge_again(pass, &pass->scratch, &event, &valid, out);
        else
            (void)cJSON_AddBoolToObject(out, "valid_now", code == 0);
    }
    close_pass(pass);
    return rc;
}
