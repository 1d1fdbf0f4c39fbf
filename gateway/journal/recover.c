/*
 * Start-up. What was sealed is only listed. What an unclean stop left unsealed is walked by a child, then
 * sealed as it is and never written to again: so nobody builds on a structure that another process left in an
 * unknown state.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "journal/check.h"
#include "journal/parts.h"
#include "journal/store.h"
#include "observe/log.h"

static int add_record(void *context, const struct gw_segment_record *record)
{
    struct gw_journal *journal = context;
    struct gw_part like = {.first = record->first,
                           .end = record->end,
                           .entries = record->entries,
                           .lost = record->lost,
                           .bytes = record->used_bytes,
                           .sealed_ms = record->sealed_ms,
                           .quarantine = record->quarantine,
                           .state = record->state};
    return gw_part_add_alone(journal, &like) ? 0 : GW_ENOMEM;
}

static struct gw_part *part_at(const struct gw_journal *journal, uint64_t first)
{
    for (size_t i = 0; i < journal->part_count; i++) {
        if (journal->parts[i]->first == first)
            return journal->parts[i];
    }
    return NULL;
}

/* A removal that was cut short: meta has forgotten the segment, and its data file is gone. Where meta itself was lost nobody
 * knows that, and it counts as damage. */
static bool is_leftover(const struct gw_journal *journal, const char *folder)
{
    return !journal->any_epoch && !gw_path_exists(gw_path_join(folder, GW_STORE_DATA).text);
}

/* Folders that meta does not know join the list as active ones; what was being made or removed is removed. */
static int add_folders(struct gw_journal *journal, struct gw_error *error)
{
    DIR *dir = opendir(journal->segments_folder.text);
    if (!dir)
        return gw_error_set(error, gw_error_of_errno(errno), errno, "%s cannot be read",
                            journal->segments_folder.text);
    int rc = 0;
    for (struct dirent *entry; rc == 0 && (entry = readdir(dir)) != NULL;) {
        uint64_t first;
        struct gw_path path = gw_path_join(journal->segments_folder.text, entry->d_name);
        size_t len = strlen(entry->d_name);
        bool unknown = gw_segment_name_parse(entry->d_name, &first) && !part_at(journal, first);
        if ((len > 4 && strcmp(entry->d_name + len - 4, ".tmp") == 0) ||
            (unknown && is_leftover(journal, path.text))) {
            if (gw_folder_remove(path.text) != 0)
                rc = gw_error_set(error, GW_EIO, errno, "%s cannot be removed", path.text);
        } else if (unknown) {
            struct gw_part like = {.first = first, .end = first, .state = GW_SEGMENT_ACTIVE};
            if (!gw_part_add(journal, &like))
                rc = gw_error_set(error, GW_ENOMEM, 0, "out of memory");
        }
    }
    closedir(dir);
    return rc;
}

struct adoption {
    struct gw_journal *journal;
    struct gw_segment_record record;
    const struct gw_segment *segment;
    struct gw_meta_txn *txn;
};

static int adopt_row(void *context, const struct gw_block_row *block_row)
{
    const struct adoption *adoption = context;
    struct gw_row row = {.committed = block_row->committed,
                         .crc = block_row->crc,
                         .generation = block_row->generation,
                         .touched_ms = block_row->touched_ms,
                         .exists = true};
    return gw_meta_row_merge(adoption->txn, block_row->device, block_row->device_len, block_row->stream,
                             &row);
}

static int adopt_quarantine(void *context, uint64_t number, const MDB_val *value)
{
    const struct adoption *adoption = context;
    return gw_settled_merge(adoption->txn, adoption->record.first, number, value);
}

static int adopt(void *context, struct gw_meta_txn *t)
{
    struct adoption *adoption = context;
    adoption->txn = t;
    uint64_t evicted;
    int rc = gw_segment_each_row(adoption->segment, adopt_row, adoption);
    if (rc == 0)
        rc = gw_segment_each_quarantine(adoption->segment, adopt_quarantine, adoption);
    if (rc == 0)
        rc = gw_meta_quarantine_trim(t, gw_journal_wall_ms(), &evicted);
    if (rc == 0)
        rc = gw_meta_segment_put(t, &adoption->record);
    return rc != 0 ? rc : gw_meta_next_raise(t, adoption->record.end);
}

static int drop_record(void *context, struct gw_meta_txn *t)
{
    const uint64_t *first = context;
    return gw_meta_segment_delete(t, *first);
}

static int remove_folder(const struct gw_journal *journal, const char *folder)
{
    int e = gw_folder_remove(folder);
    if (e == 0)
        e = gw_folder_sync(journal->segments_folder.text);
    return gw_error_of_errno(e);
}

/* One on its way out: without its record it would be taken for an unclean stop's, so that goes last. */
static int remove_reclaimed(struct gw_journal *journal, struct gw_part *part)
{
    struct gw_path folder = gw_part_folder(journal, part);
    uint64_t first = part->first;
    gw_part_remove(journal, part);
    int rc = remove_folder(journal, folder.text);
    return rc != 0 ? rc : gw_meta_update(journal->meta, drop_record, &first);
}

/* One that holds nothing: a record without its folder would count as a loss, so that goes first. */
static int remove_empty(struct gw_journal *journal, struct gw_part *part)
{
    struct gw_path folder = gw_part_folder(journal, part);
    uint64_t first = part->first;
    gw_part_remove(journal, part);
    int rc = gw_meta_update(journal->meta, drop_record, &first);
    return rc != 0 ? rc : remove_folder(journal, folder.text);
}

static uint64_t epoch_wanted(const struct gw_journal *journal)
{
    return journal->any_epoch ? GW_EPOCH_ANY : journal->meta->epoch;
}

/*
 * Nobody knows how far a damaged segment went, and a sink may have read to its end. So the next one begins
 * beyond any offset that it can have held.
 */
static int lose(struct gw_journal *journal, struct gw_part *part, const char *why)
{
    struct gw_path folder = gw_part_folder(journal, part), data = gw_path_join(folder.text, "data.mdb");
    struct stat st;
    uint64_t bytes = journal->segment_bytes;
    if (stat(data.text, &st) == 0 && (uint64_t)st.st_size > bytes)
        bytes = (uint64_t)st.st_size;
    if (bytes < part->bytes)
        bytes = part->bytes;
    uint64_t limit = part->first + bytes / GW_JOURNAL_ENTRY_BYTES_MIN;
    for (size_t i = 0; i < journal->part_count; i++) /* only where meta was lost is there one behind it */
        if (journal->parts[i]->first > part->first && journal->parts[i]->first < limit)
            limit = journal->parts[i]->first;
    part->lost = gw_check_estimate_end(folder.text, epoch_wanted(journal), part->first, limit) - part->first;
    part->end = limit;
    return gw_part_set_aside(journal, part, why);
}

/* Of a segment that is kept: the salvage tells meta of it. */
static void note_epoch(struct gw_journal *journal, uint64_t epoch)
{
    bool known = epoch == journal->meta->epoch || journal->epoch_count == GW_JOURNAL_EPOCHS_MAX;
    for (size_t i = 0; i < journal->epoch_count; i++)
        known = known || journal->epochs[i] == epoch;
    if (!known)
        journal->epochs[journal->epoch_count++] = epoch;
}

static int recover_active(struct gw_journal *journal, struct gw_part *part)
{
    struct gw_path folder = gw_part_folder(journal, part), data = gw_path_join(folder.text, "data.mdb");
    struct gw_segment_walk walk;
    struct gw_digest digest = {0};
    if (!gw_path_exists(data.text))
        return lose(journal, part, "its files are gone");
    /* A killed process may have left its last commit in the cache only: what is merged from here on must be
     * on disk. */
    int e = gw_file_sync(data.text);
    int rc = e != 0 ? GW_EDAMAGED : gw_check_segment(folder.text, epoch_wanted(journal), part->first, &walk);
    if (rc == 0 && walk.blocks == 0)
        return remove_empty(journal, part);
    if (rc == 0 && (e = gw_journal_shrink(folder.text, walk.used_bytes)) != 0)
        rc = GW_EDAMAGED;
    if (rc == 0)
        rc = gw_digest_make(folder.text, walk.used_bytes, &digest);
    if (rc == 0)
        rc = gw_segment_open(folder.text, &part->segment);
    if (rc == GW_EDAMAGED)
        return lose(journal, part, e != 0 ? strerror(e) : "the check after an unclean stop failed");
    if (rc != 0)
        return rc;
    note_epoch(journal, walk.epoch);
    part->entries = part->lost = walk.entries;
    part->end = part->first + (walk.entries ? walk.entries : 1);
    part->bytes = walk.used_bytes;
    part->quarantine = walk.quarantine;
    part->state = GW_SEGMENT_SEALED;
    part->sealed_ms = gw_journal_wall_ms();
    struct adoption adoption = {
        .journal = journal, .record = gw_part_record(part), .segment = &part->segment};
    adoption.record.digests = digest.chunks;
    adoption.record.digest_count = digest.count;
    rc = gw_meta_update(journal->meta, adopt, &adoption);
    gw_digest_free(&digest);
    gw_log(GW_LOG_INFO, "journal.recovered",
           "the last stop was not a clean one; the open segment was checked and sealed",
           GW_TEXT("segment", gw_segment_name(part->first).text), GW_UINT("entries", part->entries));
    return rc;
}

static int recover_suspect(struct gw_journal *journal, struct gw_part *part)
{
    struct gw_path folder = gw_part_folder(journal, part);
    struct gw_segment_walk walk;
    int rc = gw_check_segment(folder.text, GW_EPOCH_ANY, part->first, &walk);
    if (rc == 0 && walk.entries < part->entries)
        rc = GW_EDAMAGED;
    if (rc == 0)
        rc = gw_segment_open(folder.text, &part->segment);
    part->pinned = rc == 0;
    /* Of one that had failed to sync, the system may show what the disk has not: no digest is made of that. */
    part->undigested = rc == 0 && part->lost != 0;
    journal->digests_due = journal->digests_due || part->undigested;
    return rc == GW_EDAMAGED ? gw_part_set_aside(journal, part,
                                                 part->lost != 0 ? "its check at the start failed"
                                                                 : "it had failed to sync, and is damaged")
                             : rc;
}

static int recover_part(struct gw_journal *journal, struct gw_part *part)
{
    struct gw_path folder = gw_part_folder(journal, part);
    switch (part->state) {
    case GW_SEGMENT_ACTIVE:
        return recover_active(journal, part);
    case GW_SEGMENT_SUSPECT:
        return recover_suspect(journal, part);
    case GW_SEGMENT_RECLAIMING:
        return remove_reclaimed(journal, part);
    case GW_SEGMENT_DAMAGED: /* the power went between the note and the move */
        return gw_path_exists(folder.text) ? gw_part_set_aside(journal, part, "it was found damaged before")
                                           : 0;
    case GW_SEGMENT_SEALED:
        return gw_path_exists(folder.text) ? 0 : gw_part_set_aside(journal, part, "its folder is gone");
    }
    return GW_EDAMAGED;
}

int gw_journal_recover(struct gw_journal *journal, struct gw_error *error)
{
    int rc = gw_meta_each_segment(journal->meta, add_record, journal);
    if (rc != 0)
        return gw_error_set(error, rc, 0, "the list of segments in %s/meta cannot be read", journal->folder);
    rc = add_folders(journal, error);
    if (rc != 0)
        return rc;
    /* A part may leave the list as it is mended. */
    for (size_t i = 0; i < journal->part_count;) {
        struct gw_part *part = journal->parts[i];
        rc = recover_part(journal, part);
        if (rc != 0)
            return gw_error_set(error, rc, 0, "the journal in %s cannot be mended after an unclean stop: %s",
                                journal->folder,
                                rc == GW_EFULL ? "free space on this disk" : "check the disk");
        if (i < journal->part_count && journal->parts[i] == part)
            i++;
    }
    uint64_t next = 0;
    rc = gw_meta_next_get(journal->meta, &next);
    if (rc != 0)
        return gw_error_set(error, rc, 0, "%s/meta cannot be read", journal->folder);
    for (size_t i = 0; i < journal->part_count; i++)
        next = journal->parts[i]->end > next ? journal->parts[i]->end : next;
    journal->end = next;
    return 0;
}
