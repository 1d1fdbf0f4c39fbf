/* A journal made of a backup, under a new epoch. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/layout.h"
#include "journal/check.h"
#include "journal/maintain.h"
#include "journal/parts.h"
#include "journal/tree.h"
#include "journal/verify.h"
#include "schema/registry_disk.h"

struct restoring {
    const char *backup, *folder;
    gw_journal_report_fn report;
    void *context;
    struct gw_journal_summary sum;
    struct gw_path segments_from, segments_to,
        meta_to; /* to: under names that are not yet those of a journal */
    struct gw_records records;
    struct gw_error *error;
};

/* The target may hold what belongs to others, but no journal. */
static int look_at_target(const struct restoring *r)
{
    static const char *const ours[] = {"meta", "segments"};
    if (mkdir(r->folder, 0700) != 0 && errno != EEXIST)
        return gw_error_set(r->error, GW_EINVALID, errno, "the folder %s cannot be made", r->folder);
    for (size_t i = 0; i < 2; i++) {
        struct gw_path path = gw_path_join(r->folder, ours[i]);
        if (rmdir(path.text) != 0 && errno != ENOENT)
            return gw_error_set(
                r->error, GW_EINVALID, 0,
                "there is a journal in %s: move its folders meta and segments away first, and keep them "
                "until all is well",
                r->folder);
    }
    int rc = gw_journal_format_check(r->folder, r->error);
    return rc == GW_ENOTFOUND ? 0 : rc;
}

static int take_segment(struct restoring *r, struct gw_meta *from, struct gw_segment_record *record)
{
    struct gw_segment_name name = gw_segment_name(record->first);
    struct gw_journal_report line = {
        .segment = name.text, .entries = record->entries, .bytes = record->used_bytes};
    line.found = gw_segment_verdict(from, r->segments_from.text, record, &line.sound);
    r->report(r->context, &line);
    if (!line.sound) {
        if (record->state != GW_SEGMENT_DAMAGED)
            record->lost = record->entries;
        record->state = GW_SEGMENT_DAMAGED;
        r->sum.bad++;
        r->sum.lost += record->lost;
        return 0;
    }
    struct gw_path from_folder = gw_path_join(r->segments_from.text, name.text),
                   to_folder = gw_path_join(r->segments_to.text, name.text);
    struct gw_path from_data = gw_path_join(from_folder.text, "data.mdb"),
                   to_data = gw_path_join(to_folder.text, "data.mdb");
    int e = mkdir(to_folder.text, 0700) != 0 ? errno : gw_file_link_or_copy(from_data.text, to_data.text);
    if (e == 0)
        e = gw_folder_sync(to_folder.text);
    r->sum.segments++;
    r->sum.entries += record->entries;
    r->sum.bytes += record->used_bytes;
    return e == 0 ? 0
                  : gw_error_set(r->error, gw_error_of_errno(e), e,
                                 "segment %s cannot be taken from the backup", name.text);
}

static int take_segments(struct restoring *r)
{
    struct gw_path meta = gw_path_join(r->backup, "meta");
    struct gw_meta *from = NULL;
    if (gw_check_meta(meta.text) != 0 || gw_meta_open(meta.text, false, &from, NULL) != 0)
        return gw_error_set(r->error, GW_EDAMAGED, 0, "%s is damaged: take another backup", meta.text);
    int rc = gw_records_list(from, &r->records);
    if (rc == 0)
        rc = gw_meta_next_get(from, &r->sum.end);
    if (rc != 0)
        (void)gw_error_set(r->error, rc, 0, "%s cannot be read", meta.text);
    r->sum.begin = r->sum.end;
    if (rc == 0 && mkdir(r->segments_to.text, 0700) != 0)
        rc =
            gw_error_set(r->error, gw_error_of_errno(errno), errno, "%s cannot be made", r->segments_to.text);
    for (size_t i = 0; rc == 0 && i < r->records.count; i++) {
        struct gw_segment_record *record = &r->records.list[i];
        r->sum.begin = record->first < r->sum.begin ? record->first : r->sum.begin;
        rc = take_segment(r, from, record);
    }
    gw_meta_close(from);
    return rc;
}

static int note_damaged(void *context, struct gw_meta_txn *t)
{
    const struct restoring *r = context;
    for (size_t i = 0; i < r->records.count; i++) {
        if (r->records.list[i].state != GW_SEGMENT_DAMAGED)
            continue;
        struct gw_segment_record record = r->records.list[i];
        record.digest_count = 0;
        int rc = gw_meta_segment_put(t, &record);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int take_meta(struct restoring *r)
{
    struct gw_path from = gw_path_join(r->backup, "meta"), from_data = gw_path_join(from.text, "data.mdb"),
                   to_data = gw_path_join(r->meta_to.text, "data.mdb");
    struct gw_meta *meta = NULL;
    int e = mkdir(r->meta_to.text, 0700) != 0 ? errno : gw_file_copy(from_data.text, to_data.text);
    if (e == 0)
        e = gw_folder_sync(r->meta_to.text);
    if (e != 0)
        return gw_error_set(r->error, gw_error_of_errno(e), e, "meta cannot be copied from the backup");
    int rc = gw_meta_open(r->meta_to.text, true, &meta, r->error);
    if (rc != 0)
        return rc;
    rc = gw_meta_update(meta, note_damaged, r);
    if (rc == 0)
        rc = gw_meta_mint(meta, r->sum.end);
    r->sum.epoch = meta->epoch;
    gw_meta_close(meta);
    return rc == 0 ? 0 : gw_error_set(r->error, rc, 0, "the restored meta cannot be written to");
}

/* First of all: what stands there may forbid it, and a registry that has more than its journal needs is none the worse. */
static int take_schemas(struct restoring *r)
{
    struct gw_path from = gw_path_join(r->backup, GW_LAYOUT_REGISTRY),
                   to = gw_path_join(r->folder, GW_LAYOUT_REGISTRY);
    const unsigned sound = gw_backup_judge_schemas(r->backup, r->report, r->context, &r->sum);
    return gw_schema_store_restore(from.text, sound, to.text, r->error);
}

/* FORMAT first and meta last: an interrupted restore is no journal. */
static int take_names(struct restoring *r)
{
    struct gw_path segments = gw_path_join(r->folder, "segments"), meta = gw_path_join(r->folder, "meta");
    int rc = gw_journal_format_check(r->folder, NULL) == GW_ENOTFOUND
                 ? gw_journal_format_write(r->folder, r->error)
                 : 0;
    if (rc != 0)
        return rc;
    int e = gw_folder_sync(r->segments_to.text);
    if (e == 0 && rename(r->segments_to.text, segments.text) != 0)
        e = errno;
    if (e == 0)
        e = gw_folder_sync(r->folder);
    if (e == 0 && rename(r->meta_to.text, meta.text) != 0)
        e = errno;
    if (e == 0)
        e = gw_folder_sync(r->folder);
    return e == 0 ? 0
                  : gw_error_set(r->error, gw_error_of_errno(e), e,
                                 "the journal in %s cannot be put in place", r->folder);
}

int gw_journal_restore(const char *backup, const char *folder, gw_journal_report_fn report, void *context,
                       struct gw_journal_summary *out, struct gw_error *error)
{
    struct restoring r = {.backup = backup,
                          .folder = folder,
                          .report = report,
                          .context = context,
                          .segments_from = gw_path_join(backup, "segments"),
                          .segments_to = gw_path_join(folder, "segments.tmp"),
                          .meta_to = gw_path_join(folder, "meta.tmp"),
                          .error = error};
    int lock_fd = -1;
    int rc = gw_backup_check(backup, error);
    if (rc == 0)
        rc = look_at_target(&r);
    if (rc == 0)
        rc = gw_lock_take(folder, &lock_fd, error);
    if (rc == 0 && (gw_tree_remove(r.segments_to.text) != 0 || gw_tree_remove(r.meta_to.text) != 0))
        rc = gw_error_set(error, GW_EIO, 0, "what an interrupted restore left in %s cannot be removed",
                          folder);
    if (rc == 0)
        rc = take_schemas(&r);
    if (rc == 0)
        rc = take_segments(&r);
    if (rc == 0)
        rc = take_meta(&r);
    if (rc == 0)
        rc = take_names(&r);
    gw_records_free(&r.records);
    if (lock_fd >= 0)
        close(lock_fd);
    if (rc == 0)
        *out = r.sum;
    return rc;
}
