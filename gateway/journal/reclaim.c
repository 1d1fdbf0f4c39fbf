/* Cursors of the sinks, giving disk back, forgetting streams. */
#include <string.h>

#include "journal/meta_records.h"
#include "journal/parts.h"
#include "journal/spare.h"
#include "journal/store.h"
#include "observe/log.h"

#define FORGET_STEP 512u /* rows looked at per call */

struct gw_sink_cursor *gw_journal_sink_find(struct gw_journal *journal, const char *sink)
{
    for (size_t i = 0; i < journal->sink_count; i++) {
        if (strcmp(journal->sinks[i].name, sink) == 0)
            return &journal->sinks[i];
    }
    return NULL;
}

struct gw_sink_cursor *gw_journal_sink_add(struct gw_journal *journal, const char *sink)
{
    size_t len = strlen(sink);
    if (len == 0 || len > GW_META_SINK_CHARS_MAX || journal->sink_count == GW_JOURNAL_SINKS_MAX)
        return NULL;
    struct gw_sink_cursor *cursor = &journal->sinks[journal->sink_count++];
    *cursor = (struct gw_sink_cursor){0};
    memcpy(cursor->name, sink, len + 1);
    return cursor;
}

static int load_one(void *context, const char *sink, uint64_t offset)
{
    struct gw_journal *journal = context;
    struct gw_sink_cursor *cursor = gw_journal_sink_add(journal, sink);
    if (cursor)
        cursor->offset = cursor->synced = offset;
    return 0;
}

int gw_journal_cursors_load(struct gw_journal *journal)
{
    return gw_meta_each_cursor(journal->meta, load_one, journal);
}

struct cursor_copy {
    struct gw_sink_cursor sinks[GW_JOURNAL_SINKS_MAX];
    size_t count;
};

static int put_cursors(void *context, struct gw_meta_txn *t)
{
    const struct cursor_copy *copy = context;
    for (size_t i = 0; i < copy->count; i++) {
        int rc = copy->sinks[i].dirty ? gw_meta_cursor_put(t, copy->sinks[i].name, copy->sinks[i].offset) : 0;
        if (rc != 0)
            return rc;
    }
    return 0;
}

int gw_journal_cursors_sync(struct gw_journal *journal)
{
    struct cursor_copy copy = {0};
    bool any = false;
    pthread_mutex_lock(&journal->lock);
    copy.count = journal->sink_count;
    memcpy(copy.sinks, journal->sinks, copy.count * sizeof copy.sinks[0]);
    for (size_t i = 0; i < copy.count; i++) {
        any = any || copy.sinks[i].dirty;
        journal->sinks[i].dirty = false;
    }
    journal->cursors_synced_ms = gw_journal_mono_ms();
    pthread_mutex_unlock(&journal->lock);
    if (!any)
        return 0;
    int rc = gw_meta_update(journal->meta, put_cursors, &copy);
    pthread_mutex_lock(&journal->lock);
    for (size_t i = 0; i < copy.count; i++) {
        if (!copy.sinks[i].dirty)
            continue;
        if (rc != 0)
            journal->sinks[i].dirty = true;
        else
            journal->sinks[i].synced = copy.sinks[i].offset;
    }
    pthread_mutex_unlock(&journal->lock);
    return rc;
}

int gw_journal_cursor_set(struct gw_journal *journal, const char *sink, uint64_t offset)
{
    pthread_mutex_lock(&journal->lock);
    struct gw_sink_cursor *cursor = gw_journal_sink_find(journal, sink);
    if (!cursor)
        cursor = gw_journal_sink_add(journal, sink);
    bool due = gw_journal_mono_ms() - journal->cursors_synced_ms >= GW_JOURNAL_CURSOR_SYNC_MS;
    if (cursor) {
        cursor->offset = offset;
        cursor->dirty = true;
    }
    pthread_mutex_unlock(&journal->lock);
    if (!cursor)
        return GW_EINVALID;
    return due ? gw_journal_cursors_sync(journal) : 0;
}

int gw_journal_cursor_get(struct gw_journal *journal, const char *sink, uint64_t *out_offset)
{
    pthread_mutex_lock(&journal->lock);
    const struct gw_sink_cursor *cursor = gw_journal_sink_find(journal, sink);
    if (cursor)
        *out_offset = cursor->offset;
    pthread_mutex_unlock(&journal->lock);
    return cursor ? 0 : GW_ENOTFOUND;
}

struct leaving {
    const struct gw_part *part;
    uint64_t end; /* gw_part_wanted_end */
    struct gw_losses losses;
};

static int mark(void *context, struct gw_meta_txn *t)
{
    const struct leaving *leaving = context;
    struct gw_segment_record record = gw_part_record(leaving->part);
    record.state = GW_SEGMENT_RECLAIMING;
    int rc = gw_meta_segment_put(t, &record);
    for (size_t i = 0; rc == 0 && i < leaving->losses.count; i++)
        rc = gw_meta_lost_add(t, leaving->losses.sinks[i], &leaving->losses.ranges[i]);
    return rc != 0 || leaving->end == 0 ? rc : gw_meta_number_put(t, GW_META_TRIMMED, leaving->end);
}

static int forget_record(void *context, struct gw_meta_txn *t)
{
    const uint64_t *first = context;
    return gw_meta_segment_delete(t, *first);
}

/* Meta first says that the segment is on its way out, and who loses what with it; so a power cut leaves no folder that
 * looks like a lost one, and no loss that nobody knows of. */
static int reclaim_part(struct gw_journal *journal, struct leaving *leaving, struct gw_part *part)
{
    struct gw_path folder = gw_part_folder(journal, part);
    uint64_t first = part->first;
    bool on_disk = part->state != GW_SEGMENT_DAMAGED;
    /* Its digest may be under way: that ends with the part, before its file is the spare. */
    bool sound = part->state == GW_SEGMENT_SEALED || (part->state == GW_SEGMENT_SUSPECT && part->undigested);
    int rc = gw_meta_update(journal->meta, mark, leaving);
    if (rc != 0)
        return rc;
    gw_journal_losses_happened(journal, &leaving->losses);
    gw_part_remove(journal, part);
    if (leaving->end != 0) {
        pthread_mutex_lock(&journal->lock);
        journal->trimmed = leaving->end;
        pthread_mutex_unlock(&journal->lock);
    }
    if (journal->recycle && sound)
        gw_spare_keep(journal->spare.text, gw_path_join(folder.text, GW_STORE_DATA).text);
    if (on_disk) {
        int e = gw_folder_remove(folder.text);
        if (e == 0)
            e = gw_folder_sync(journal->segments_folder.text);
        if (e != 0)
            return gw_error_of_errno(e);
    }
    return gw_meta_update(journal->meta, forget_record, &first);
}

struct forget {
    struct gw_journal *journal;
    uint64_t before_ms;
};

static int forget_rows(void *context, struct gw_meta_txn *t)
{
    struct forget *forget = context;
    return gw_meta_rows_forget(t, &forget->journal->forget_position, FORGET_STEP, forget->before_ms);
}

int gw_journal_forget(struct gw_journal *journal, uint64_t before_ms)
{
    struct forget forget = {.journal = journal, .before_ms = before_ms};
    return gw_meta_update(journal->meta, forget_rows, &forget);
}

/* What waits for a commit otherwise: sinks must not stand still in a quiet night. */
static int mend(struct gw_journal *journal)
{
    int rc = gw_meta_renew(journal->meta);
    gw_meta_keep_ballast(journal->meta);
    gw_journal_serve_backup(journal);
    if (rc == 0 && journal->active && gw_journal_judge_active(journal)) {
        journal->active_failed = true;
        rc = gw_journal_roll(journal, NULL);
    }
    return rc;
}

/* The oldest part, if it is to go now. */
static struct gw_part *next_to_go(struct gw_journal *journal, const char *const *sinks, size_t sink_count,
                                  struct leaving *out)
{
    pthread_mutex_lock(&journal->lock);
    const struct gw_passed passed = gw_journal_passed(journal, sinks, sink_count, gw_journal_mono_ms());
    struct gw_part *part = journal->part_count ? journal->parts[0] : NULL;
    const uint64_t end = part ? gw_part_wanted_end(part) : 0;
    const bool gone = part && part != journal->active && end <= passed.holding && part->refs == 0 &&
                      part->waiters == 0 &&
                      gw_journal_outlived(journal, passed.holding, gw_journal_wall_ms());
    *out = (struct leaving){.part = part, .end = end};
    if (gone && end > passed.all)
        gw_journal_losses_of(journal, part, sinks, sink_count, &out->losses);
    pthread_mutex_unlock(&journal->lock);
    return gone ? part : NULL;
}

int gw_journal_reclaim(struct gw_journal *journal, const char *const *sinks, size_t sink_count)
{
    int rc = mend(journal);
    if (rc == 0)
        rc = gw_journal_cursors_sync(journal);
    gw_journal_look_at_sinks(journal);
    struct leaving leaving;
    bool any = false;
    for (struct gw_part *part; rc == 0 && (part = next_to_go(journal, sinks, sink_count, &leaving));) {
        any = true;
        rc = reclaim_part(journal, &leaving, part);
    }
    pthread_mutex_lock(&journal->lock);
    const struct gw_passed passed = gw_journal_passed(journal, sinks, sink_count, gw_journal_mono_ms());
    pthread_mutex_unlock(&journal->lock);
    uint64_t now_ms = gw_journal_wall_ms();
    if (!gw_journal_clock_jumped(journal))
        gw_spare_expire(journal->spare.text, now_ms);
    gw_journal_note_room(journal, passed.holding);
    if (rc == 0 && any && !gw_journal_clock_jumped(journal) && now_ms > journal->forget_ms)
        rc = gw_journal_forget(journal, now_ms - journal->forget_ms);
    return rc;
}
