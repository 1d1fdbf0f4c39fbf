/* A backup: the open segment sealed, hard links to all, a copy of meta. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "journal/maintain.h"
#include "journal/parts.h"
#include "journal/tree.h"

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

static int fill(struct gw_journal *journal, const char *folder, struct gw_journal_summary *sum)
{
    struct gw_path meta = gw_path_join(folder, "meta"), segments = gw_path_join(folder, "segments");
    int e = mkdir(folder, 0700) != 0 || mkdir(meta.text, 0700) != 0 ? errno : 0;
    if (e == 0)
        e = link_all(journal, segments.text, sum);
    if (e == 0)
        e = gw_meta_copy(journal->meta, meta.text);
    if (e == 0)
        e = gw_backup_mark(folder, journal->meta->epoch, journal->end);
    return e != 0 ? e : gw_folder_sync(folder);
}

static int sync_parent(const char *folder)
{
    struct gw_path parent;
    snprintf(parent.text, sizeof parent.text, "%s", folder);
    char *slash = strrchr(parent.text, '/');
    if (!slash)
        return gw_folder_sync(".");
    slash[slash == parent.text] = '\0';
    return gw_folder_sync(parent.text);
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
        e = sync_parent(folder);
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

/* --- for another thread --- */

int gw_journal_request_backup(struct gw_journal *journal, const char *folder, struct gw_journal_summary *out,
                              struct gw_error *error)
{
    struct gw_backup_request request = {.folder = folder};
    pthread_mutex_lock(&journal->lock);
    if (journal->backup) {
        pthread_mutex_unlock(&journal->lock);
        return gw_error_set(error, GW_EBUSY, 0, "another backup is under way");
    }
    journal->backup = &request;
    while (!request.done)
        pthread_cond_wait(&journal->opened, &journal->lock);
    pthread_mutex_unlock(&journal->lock);
    if (request.rc != 0 && error)
        *error = request.error;
    else if (request.rc == 0)
        *out = request.summary;
    return request.rc;
}

void gw_journal_serve_backup(struct gw_journal *journal)
{
    pthread_mutex_lock(&journal->lock);
    struct gw_backup_request *request = journal->backup;
    pthread_mutex_unlock(&journal->lock);
    if (!request)
        return;
    request->rc = gw_journal_backup(journal, request->folder, &request->summary, &request->error);
    pthread_mutex_lock(&journal->lock);
    journal->backup = NULL;
    request->done = true;
    pthread_cond_broadcast(&journal->opened);
    pthread_mutex_unlock(&journal->lock);
}
