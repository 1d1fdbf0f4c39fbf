/* Reading everything that is stored, and changing nothing. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/layout.h"
#include "journal/check.h"
#include "journal/maintain.h"
#include "journal/parts.h"
#include "journal/tree.h"
#include "journal/verify.h"
#include "schema/registry_disk.h"

static int collect(void *context, const struct gw_segment_record *record)
{
    struct gw_records *records = context;
    if (records->count == records->capacity) {
        size_t capacity = records->capacity ? records->capacity * 2 : 64;
        struct gw_segment_record *list = realloc(records->list, capacity * sizeof *list);
        if (!list)
            return GW_ENOMEM;
        records->list = list;
        records->capacity = capacity;
    }
    records->list[records->count] = *record;
    records->list[records->count++].digests = NULL;
    return 0;
}

int gw_records_list(struct gw_meta *meta, struct gw_records *out)
{
    *out = (struct gw_records){0};
    int rc = gw_meta_each_segment(meta, collect, out);
    if (rc != 0)
        gw_records_free(out);
    return rc;
}

void gw_records_free(struct gw_records *records)
{
    free(records->list);
    *records = (struct gw_records){0};
}

static int compare_digest(struct gw_meta *meta, const char *folder, const struct gw_segment_record *record)
{
    struct gw_digest digest;
    int rc = gw_meta_digests_get(meta, record->first, &digest.chunks, &digest.count);
    if (rc != 0)
        return rc;
    rc = gw_digest_compare(folder, record->used_bytes, &digest);
    gw_digest_free(&digest);
    return rc;
}

const char *gw_segment_verdict(struct gw_meta *meta, const char *segments_folder,
                               const struct gw_segment_record *record, bool *out_sound)
{
    struct gw_path folder = gw_path_join(segments_folder, gw_segment_name(record->first).text),
                   data = gw_path_join(folder.text, "data.mdb");
    struct gw_segment_walk walk;
    *out_sound = false;
    if (record->state == GW_SEGMENT_DAMAGED)
        return "damaged: it was set aside before";
    if (record->state == GW_SEGMENT_RECLAIMING) {
        *out_sound = true;
        return "every sink has it: it goes at the next start";
    }
    if (!gw_path_exists(data.text))
        return "missing";
    if (record->state == GW_SEGMENT_SEALED) {
        *out_sound = compare_digest(meta, folder.text, record) == 0;
        return *out_sound ? "sound" : "damaged: its digest does not match";
    }
    int rc = gw_check_segment(folder.text, GW_EPOCH_ANY, record->first, &walk);
    /* An empty one has no block whose epoch could be wrong. */
    *out_sound = rc == 0 && walk.entries >= record->entries;
    if (!*out_sound)
        return "damaged: its check failed";
    if (record->state == GW_SEGMENT_ACTIVE)
        return "sound, not sealed: the last stop was not a clean one";
    return record->lost != 0 ? "sound, its digest was not made yet: the last stop was not a clean one"
                             : "sound, but it has no digest: a sync of it had failed";
}

static void tell(gw_journal_report_fn report, void *context, struct gw_journal_summary *sum,
                 const struct gw_journal_report *line, uint64_t lost)
{
    sum->segments += line->sound;
    sum->entries += line->sound ? line->entries : 0;
    sum->bytes += line->sound ? line->bytes : 0;
    sum->bad += !line->sound;
    sum->lost += line->sound ? 0 : lost;
    report(context, line);
}

unsigned gw_backup_judge_schemas(const char *backup, gw_journal_report_fn report, void *context,
                                 struct gw_journal_summary *sum)
{
    const unsigned count = gw_backup_schemas(backup);
    const unsigned sound = gw_schema_store_sound(gw_path_join(backup, GW_LAYOUT_REGISTRY).text, count);
    sum->schemas = sound;
    if (sound < count) {
        const struct gw_journal_report line = {
            .segment = GW_LAYOUT_REGISTRY,
            .found = "damaged: schemas registered from some time on are missing or unreadable",
            .entries = count - sound};
        sum->bad++;
        report(context, &line);
    }
    return sound;
}

static int verify_meta(const char *folder, struct gw_meta *meta, gw_journal_report_fn report, void *context,
                       struct gw_journal_summary *out)
{
    struct gw_path segments = gw_path_join(folder, "segments");
    struct gw_records records;
    int rc = gw_records_list(meta, &records);
    if (rc == 0)
        rc = gw_meta_next_get(meta, &out->end);
    out->epoch = meta->epoch;
    out->begin = out->end;
    for (size_t i = 0; rc == 0 && i < records.count; i++) {
        const struct gw_segment_record *record = &records.list[i];
        struct gw_segment_name name = gw_segment_name(record->first);
        struct gw_journal_report line = {
            .segment = name.text, .entries = record->entries, .bytes = record->used_bytes};
        line.found = gw_segment_verdict(meta, segments.text, record, &line.sound);
        out->begin = record->first < out->begin ? record->first : out->begin;
        out->end = record->end > out->end ? record->end : out->end;
        tell(report, context, out, &line,
             record->state == GW_SEGMENT_DAMAGED ? record->lost : record->entries);
    }
    gw_records_free(&records);
    return rc;
}

int gw_journal_verify(const char *folder, gw_journal_report_fn report, void *context,
                      struct gw_journal_summary *out, struct gw_error *error)
{
    *out = (struct gw_journal_summary){0};
    int lock_fd = -1;
    int rc = gw_backup_check(folder, NULL);
    if (rc == GW_ENOTFOUND) {
        rc = gw_journal_format_check(folder, error);
        if (rc == GW_ENOTFOUND)
            return gw_error_set(error, rc, 0, "%s: there is no journal: is this the gateway's data.folder?",
                                folder);
        if (rc == 0)
            rc = gw_lock_take(folder, &lock_fd, error);
    } else if (rc != 0) {
        rc = gw_backup_check(folder, error);
    }
    if (rc != 0)
        return rc;
    struct gw_path path = gw_path_join(folder, "meta");
    struct gw_meta *meta = NULL;
    if (gw_check_meta(path.text) != 0 || gw_meta_open(path.text, false, &meta, NULL) != 0)
        rc = gw_error_set(
            error, GW_EDAMAGED, 0,
            "%s is damaged: restore a backup, or run tributaryctl journal salvage, which makes a new one "
            "from the segments",
            path.text);
    if (rc == 0) {
        rc = verify_meta(folder, meta, report, context, out);
        if (rc != 0)
            (void)gw_error_set(error, rc, 0, "%s cannot be read", path.text);
        else if (lock_fd < 0) /* a backup */
            (void)gw_backup_judge_schemas(folder, report, context, out);
    }
    gw_meta_close(meta);
    if (lock_fd >= 0)
        close(lock_fd);
    return rc;
}
