/* Beginning a segment, and sealing the active one. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "journal/check.h"
#include "journal/parts.h"
#include "journal/rejected.h"
#include "journal/store.h"
#include "observe/log.h"

static int put_active(void *context, struct gw_meta_txn *t)
{
    const struct gw_segment_record *record = context;
    int rc = gw_meta_segment_put(t, record);
    return rc != 0 ? rc : gw_meta_next_raise(t, record->first);
}

/*
 * The folder is durable before meta names it, and meta names it before anything is committed to it: a segment
 * that meta knows and the disk has not is a loss, one that meta does not know is empty.
 */
int gw_journal_begin_segment(struct gw_journal *journal, struct gw_error *error)
{
    if (journal->quota_bytes != 0 &&
        gw_journal_disk_bytes(journal) + journal->segment_bytes > journal->quota_bytes)
        return gw_error_set(
            error, GW_EFULL, 0,
            "the journal in %s has reached data.quota: bring the sinks up to date, or raise the "
            "quota",
            journal->folder);
    struct gw_part like = {.first = journal->end,
                           .end = journal->end,
                           .bytes = journal->segment_bytes,
                           .state = GW_SEGMENT_ACTIVE};
    struct gw_path folder = gw_part_folder(journal, &like);
    /* Of a beginning that failed after it had got its name: nothing was ever committed to it. */
    int e = gw_folder_remove(folder.text);
    int rc = e != 0 ? gw_error_of_errno(e)
                    : gw_segment_create(journal->segments_folder.text, like.first, journal->segment_bytes,
                                        journal->recycle ? journal->spare.text : NULL, &like.segment, &e);
    if (rc != 0)
        return gw_error_set(
            error, rc, e,
            "a new journal segment of %llu MiB cannot be made in %s: free space on this disk; what is "
            "stored stays readable",
            (unsigned long long)(journal->segment_bytes >> 20), journal->segments_folder.text);
    struct gw_segment_record record = gw_part_record(&like);
    rc = gw_meta_update(journal->meta, put_active, &record);
    struct gw_part *part = rc == 0 ? gw_part_add(journal, &like) : NULL;
    if (!part) {
        gw_segment_close(&like.segment);
        if (gw_folder_remove(folder.text) == 0)
            (void)gw_folder_sync(journal->segments_folder.text);
        return gw_error_set(error, rc != 0 ? rc : GW_ENOMEM, 0,
                            "the journal's meta in %s cannot be written to: check "
                            "the disk and start tributaryd again",
                            journal->folder);
    }
    pthread_mutex_lock(&journal->lock);
    journal->active = part;
    journal->tail = (struct gw_segment_tail){.epoch = journal->meta->epoch, .next_offset = part->first};
    journal->active_full = journal->active_failed = false;
    pthread_mutex_unlock(&journal->lock);
    return 0;
}

int gw_journal_shrink(const char *folder, uint64_t used_bytes)
{
    struct gw_path data = gw_path_join(folder, GW_STORE_DATA);
    if (truncate(data.text, (off_t)used_bytes) != 0)
        return errno;
    return gw_file_sync(data.text);
}

struct seal {
    struct gw_journal *journal;
    struct gw_segment_record record;
    uint64_t now_ms, evicted;
    struct gw_meta_txn *txn;
};

static int keep_quarantine(void *context, uint64_t number, const MDB_val *value)
{
    struct seal *seal = context;
    struct gw_rejected record;
    if (number + GW_META_QUARANTINE_MAX <= seal->record.quarantine &&
        gw_rejected_decode(value->mv_data, value->mv_size, &record) == 0 && !record.settles) {
        seal->evicted++;
        return 0;
    }
    return gw_settled_merge(seal->txn, seal->record.first, number, value);
}

static int merge(void *context, struct gw_meta_txn *t)
{
    struct seal *seal = context;
    struct gw_journal *journal = seal->journal;
    seal->txn = t;
    seal->evicted = 0;
    for (size_t i = 0; i < journal->rows.count; i++) {
        const struct gw_row_slot *slot = &journal->rows.slots[i];
        if (!slot->changed)
            continue;
        int rc = gw_meta_row_merge(t, slot->device, slot->device_len, slot->stream, &slot->durable);
        if (rc != 0)
            return rc;
    }
    uint64_t evicted = 0;
    int rc = 0;
    if (journal->active->segment.env)
        rc = gw_segment_each_quarantine(&journal->active->segment, keep_quarantine, seal);
    if (rc == 0)
        rc = gw_meta_quarantine_trim(t, seal->now_ms, &evicted);
    seal->evicted += evicted;
    if (rc == 0)
        rc = gw_meta_segment_put(t, &seal->record);
    return rc != 0 ? rc : gw_meta_next_raise(t, seal->record.end);
}

static int delete_record(void *context, struct gw_meta_txn *t)
{
    const struct gw_part *part = context;
    return gw_meta_segment_delete(t, part->first);
}

/* A segment without a block: the record goes first, for a record without its folder would count as a loss. */
static int discard(struct gw_journal *journal, struct gw_part *part)
{
    int rc = gw_meta_update(journal->meta, delete_record, part);
    if (rc != 0)
        return rc;
    struct gw_path folder = gw_part_folder(journal, part);
    pthread_mutex_lock(&journal->lock);
    journal->active = NULL;
    gw_rows_clear(&journal->rows);
    gw_settled_clear(&journal->settled);
    pthread_mutex_unlock(&journal->lock);
    gw_part_remove(journal, part);
    int e = gw_folder_remove(folder.text);
    if (e == 0)
        e = gw_folder_sync(journal->segments_folder.text);
    return gw_error_of_errno(e);
}

/*
 * After a failed write LMDB refuses even to read an environment. Its files are opened anew, read only, once a
 * child has seen that what was committed before is still whole. On failure the part is left closed.
 */
static void reopen_failed(struct gw_journal *journal, struct gw_part *part, const char *folder)
{
    pthread_mutex_lock(&journal->lock);
    part->opening = true;
    while (part->refs > 0)
        pthread_cond_wait(&journal->opened, &journal->lock);
    gw_segment_close(&part->segment);
    pthread_mutex_unlock(&journal->lock);

    struct gw_segment_walk walk;
    struct gw_segment segment = {0};
    int rc = gw_check_segment(folder, journal->meta->epoch, part->first, &walk);
    if (rc == 0 && walk.end >= journal->tail.next_offset)
        rc = gw_segment_open(folder, &segment);
    if (rc != 0)
        segment = (struct gw_segment){0};

    pthread_mutex_lock(&journal->lock);
    part->segment = segment;
    part->opening = false;
    pthread_cond_broadcast(&journal->opened);
    pthread_mutex_unlock(&journal->lock);
}

static void become(struct gw_journal *journal, struct gw_part *part, const struct gw_segment_record *record,
                   bool undigested)
{
    uint64_t quarantined = gw_meta_quarantine_count(journal->meta);
    pthread_mutex_lock(&journal->lock);
    journal->quarantine_count = quarantined; /* some may have expired */
    part->state = record->state;
    part->end = record->end;
    part->entries = record->entries;
    part->lost = record->entries; /* should it be damaged later */
    part->quarantine = record->quarantine;
    part->bytes = record->used_bytes;
    part->sealed_ms = record->sealed_ms;
    part->pinned = record->state == GW_SEGMENT_SUSPECT;
    part->undigested = undigested;
    part->last_used = ++journal->use_counter; /* who reads as fast as is written reads it next */
    journal->digests_due = journal->digests_due || undigested;
    journal->active = NULL;
    journal->end = record->end > journal->end ? record->end : journal->end;
    gw_rows_clear(&journal->rows);
    gw_settled_clear(&journal->settled);
    gw_part_close_unused(journal);
    pthread_mutex_unlock(&journal->lock);
}

bool gw_journal_judge_active(struct gw_journal *journal)
{
    pthread_mutex_lock(&journal->lock);
    bool faulty = journal->active->faulty;
    pthread_mutex_unlock(&journal->lock);
    return faulty;
}

/* The state that it has afterwards, and its bytes. Suspect also if a failure was found, *io_failed. */
static void settle_file(struct gw_journal *journal, struct gw_part *part, bool with_digest, bool *io_failed,
                        struct gw_segment_record *record, struct gw_digest *out_digest)
{
    struct gw_path folder = gw_part_folder(journal, part);
    uint64_t used = 0;
    if (*io_failed)
        reopen_failed(journal, part, folder.text);
    else
        used = gw_store_used_bytes(part->segment.env);
    /* What LMDB has committed is still readable; a child will judge it at the next start. */
    if (!*io_failed && (gw_journal_shrink(folder.text, used) != 0 ||
                        (with_digest && gw_digest_make(folder.text, used, out_digest) != 0)))
        *io_failed = true;
    record->used_bytes = *io_failed ? journal->segment_bytes : used;
    record->state = *io_failed || !with_digest ? GW_SEGMENT_SUSPECT : GW_SEGMENT_SEALED;
    record->lost = *io_failed || with_digest ? 0 : record->entries;
    record->digests = out_digest->chunks;
    record->digest_count = out_digest->count;
}

static int seal(struct gw_journal *journal, bool with_digest, struct gw_error *error)
{
    struct gw_part *part = journal->active;
    if (!part)
        return 0;
    bool failed = journal->active_failed;
    int rc;
    if (journal->tail.block_count == 0) {
        rc = discard(journal, part);
        return rc == 0
                   ? 0
                   : gw_error_set(error, rc, 0, "an empty segment in %s cannot be removed", journal->folder);
    }
    struct gw_digest digest = {0};
    struct seal seal = {.journal = journal, .now_ms = gw_journal_wall_ms()};
    seal.record = gw_part_record(part);
    seal.record.entries = journal->tail.next_offset - part->first;
    /* A segment without entries, with rows or quarantine only, takes one offset, so that names differ. */
    seal.record.end = part->first + (seal.record.entries ? seal.record.entries : 1);
    seal.record.sealed_ms = seal.now_ms;
    seal.record.quarantine = journal->tail.quarantine_count;
    settle_file(journal, part, with_digest, &failed, &seal.record, &digest);
    rc = gw_meta_update(journal->meta, merge, &seal);
    if (rc == GW_EDAMAGED && part->segment.env) { /* its quarantine cannot be read: a child is to judge it */
        journal->active_failed = true;
        rc = GW_EIO;
    }
    gw_digest_free(&digest);
    if (rc != 0)
        return gw_error_set(
            error, rc, 0, "the journal's meta in %s cannot be written to: %s", journal->folder,
            rc == GW_EFULL ? "free space on this disk" : "check the disk and start tributaryd again");
    if (seal.evicted != 0)
        gw_log(GW_LOG_WARNING, "journal.quarantine_full",
               "the oldest quarantined events were dropped before their 7 days",
               GW_UINT("events", seal.evicted));
    const bool readable = part->segment.env != NULL; /* from here on it may be closed, being one of many */
    become(journal, part, &seal.record, !failed && !with_digest);
    if (gw_journal_quota_load(journal) != 0)
        gw_log(GW_LOG_WARNING, "journal.quarantine_uncounted",
               "what is in quarantine cannot be counted: until it can, devices have their quota anew");
    return readable ? 0 : gw_part_set_aside(journal, part, "it cannot be read back after a failed write");
}

int gw_journal_roll(struct gw_journal *journal, struct gw_error *error)
{
    gw_journal_digest_rest(journal);
    return seal(journal, false, error);
}

int gw_journal_seal(struct gw_journal *journal, struct gw_error *error)
{
    gw_journal_digest_rest(journal);
    return seal(journal, true, error);
}
