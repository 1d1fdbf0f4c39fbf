/* A backup: the open segment sealed, hard links to all and to the registry's changes, a copy of meta. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/layout.h"
#include "journal/maintain.h"
#include "journal/parts.h"
#include "journal/tree.h"
#include "observe/log.h"
#include "schema/registry_disk.h"

static int link_segment(const struct gw_journal *journal, const struct gw_part *part, const char *segments)
{
    struct gw_path from = gw_part_folder(journal, part),
                   to = gw_path_join(segments, gw_segment_name(part->first).text);
    struct gw_path from_data = gw_path_join(from.text, "data.mdb"),
                   to_data = gw_path_join(to.text, "data.mdb");
    if (mkdir(to.text, 0700) != 0 || link(from_data.text, to_data.text) != 0)
        return errno;
    return gw_folder_sync(to.text);
}

/* The committer's thread alone takes parts from the list; a reader may find one damaged meanwhile. */
static int link_all(struct gw_journal *journal, const char *segments, struct gw_journal_summary *sum)
{
    int e = mkdir(segments, 0700) != 0 ? errno : 0;
    for (size_t i = 0; e == 0 && i < journal->part_count; i++) {
        pthread_mutex_lock(&journal->lock);
        const struct gw_part part = *journal->parts[i];
        pthread_mutex_unlock(&journal->lock);
        if (part.state == GW_SEGMENT_DAMAGED) {
            sum->bad++;
            sum->lost += part.lost;
            continue;
        }
        e = link_segment(journal, &part, segments);
        sum->segments++;
        sum->entries += part.entries;
        sum->bytes += part.bytes;
    }
    return e != 0 ? e : gw_folder_sync(segments);
}

/* After the seal: whatever a stored event was judged by was registered before. */
static int link_schemas(const struct gw_journal *journal, const char *folder, struct gw_journal_summary *sum)
{
    struct gw_path store = gw_path_join(journal->folder, GW_LAYOUT_REGISTRY),
                   to = gw_path_join(folder, GW_LAYOUT_REGISTRY);
    unsigned count = 0;
    int e = gw_schema_store_copy(store.text, to.text, &count);
    sum->schemas = count;
    return e;
}

static int fill(struct gw_journal *journal, const char *folder, struct gw_journal_summary *sum)
{
    struct gw_path meta = gw_path_join(folder, "meta"), segments = gw_path_join(folder, "segments");
    int e = mkdir(folder, 0700) != 0 || mkdir(meta.text, 0700) != 0 ? errno : 0;
    if (e == 0)
        e = link_all(journal, segments.text, sum);
    if (e == 0)
        e = gw_meta_copy(journal->meta, meta.text);
    if (e == 0)
        e = link_schemas(journal, folder, sum);
    if (e == 0)
        e = gw_backup_mark(folder, sum);
    return e != 0 ? e : gw_folder_sync(folder);
}

int gw_journal_backup(struct gw_journal *journal, const char *folder, struct gw_journal_summary *out,
                      struct gw_error *error)
{
    struct gw_path tmp;
    struct gw_journal_summary sum = {.epoch = journal->meta->epoch, .begin = gw_journal_begin(journal)};
    int n = snprintf(tmp.text, sizeof tmp.text, "%s.tmp", folder);
    if (n < 0 || (size_t)n >= sizeof tmp.text || gw_path_exists(folder))
        return gw_error_set(error, GW_EINVALID, 0, "%s is there already: give the backup a folder of its own",
                            folder);
    int rc = gw_journal_seal(journal, error);
    if (rc == 0)
        rc = gw_journal_cursors_sync(journal);
    if (rc != 0)
        return gw_error_set(error, rc, 0, "the journal cannot be sealed for a backup: look at the disk of %s",
                            journal->folder);
    sum.end = gw_journal_end(journal);
    int e = gw_tree_remove(tmp.text);
    if (e == 0)
        e = fill(journal, tmp.text, &sum);
    if (e == 0 && rename(tmp.text, folder) != 0)
        e = errno;
    if (e == 0)
        e = gw_folder_sync(gw_path_parent(folder).text);
    if (e == 0) {
        *out = sum;
        return 0;
    }
    (void)gw_tree_remove(tmp.text);
    return gw_error_set(error, gw_error_of_errno(e), e,
                        e == EXDEV
                            ? "the backup %s is on another file system than the journal: make it beside the "
                              "data folder, and copy it then"
                            : "the backup %s cannot be made",
                        folder);
}

/* --- asked for by another thread --- */

int gw_journal_backup_ask(struct gw_journal *journal, uint64_t *out_number, struct gw_error *error)
{
    struct gw_path place = gw_path_join(journal->folder, GW_LAYOUT_BACKUP);
    struct gw_journal_backup *backup = &journal->backup;
    int rc = 0;
    pthread_mutex_lock(&journal->lock);
    if (backup->state == GW_BACKUP_WAITING || backup->state == GW_BACKUP_RUNNING)
        rc = gw_error_set(error, GW_EBUSY, 0, "another backup is under way");
    else if (gw_path_exists(place.text))
        rc = gw_error_set(error, GW_EBUSY, 0,
                          "a backup lies ready in %s: take it away (mv), or remove that folder", place.text);
    else
        *backup = (struct gw_journal_backup){.state = GW_BACKUP_WAITING, .number = backup->number + 1};
    if (rc == 0)
        *out_number = backup->number;
    pthread_mutex_unlock(&journal->lock);
    return rc;
}

void gw_journal_backup_look(struct gw_journal *journal, struct gw_journal_backup *out)
{
    pthread_mutex_lock(&journal->lock);
    *out = journal->backup;
    pthread_mutex_unlock(&journal->lock);
}

int gw_journal_backup_withdraw(struct gw_journal *journal, uint64_t number)
{
    pthread_mutex_lock(&journal->lock);
    const bool waits = journal->backup.state == GW_BACKUP_WAITING && journal->backup.number == number;
    if (waits)
        journal->backup.state = GW_BACKUP_NONE;
    pthread_mutex_unlock(&journal->lock);
    return waits ? 0 : GW_ENOTFOUND;
}

static void note(const struct gw_journal_backup *backup, uint64_t begin_ms)
{
    if (backup->state == GW_BACKUP_READY)
        gw_log(GW_LOG_INFO, "journal.backup_ready", "a backup was made and waits to be taken away",
               GW_UINT("segments", backup->summary.segments), GW_UINT("entries", backup->summary.entries),
               GW_UINT("end", backup->summary.end), GW_UINT("took_ms", gw_journal_mono_ms() - begin_ms));
    else
        gw_log(GW_LOG_WARNING, "journal.backup_failed", "a backup that was asked for was not made",
               GW_TEXT("error", backup->error.text));
}

void gw_journal_serve_backup(struct gw_journal *journal)
{
    struct gw_path place = gw_path_join(journal->folder, GW_LAYOUT_BACKUP);
    pthread_mutex_lock(&journal->lock);
    const bool asked = journal->backup.state == GW_BACKUP_WAITING;
    if (asked)
        journal->backup.state = GW_BACKUP_RUNNING;
    struct gw_journal_backup done = journal->backup;
    pthread_mutex_unlock(&journal->lock);
    if (!asked)
        return;
    const uint64_t begin_ms = gw_journal_mono_ms();
    int rc = gw_journal_backup(journal, place.text, &done.summary, &done.error);
    done.state = rc == 0 ? GW_BACKUP_READY : GW_BACKUP_FAILED;
    note(&done, begin_ms);
    pthread_mutex_lock(&journal->lock);
    journal->backup = done;
    pthread_mutex_unlock(&journal->lock);
}
