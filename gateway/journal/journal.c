#include "journal/journal.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/layout.h"
#include "journal/check.h"
#include "journal/guard.h"
#include "journal/parts.h"
#include "journal/spare.h"
#include "journal/tree.h"
#include "observe/log.h"

static uint64_t meta_bytes_for(uint64_t segment_bytes)
{
    uint64_t bytes = segment_bytes / 16;
    if (bytes < GW_JOURNAL_META_BYTES_MIN)
        return GW_JOURNAL_META_BYTES_MIN;
    return bytes > GW_JOURNAL_META_BYTES_MAX ? GW_JOURNAL_META_BYTES_MAX : bytes;
}

static int check_config(const struct gw_journal_config *config, struct gw_error *error)
{
    uint64_t least = 2 * GW_JOURNAL_META_BYTES_MIN + GW_JOURNAL_SEGMENT_BYTES_MIN;
    if (config->segment_bytes != 0 && config->segment_bytes < GW_JOURNAL_SEGMENT_BYTES_MIN)
        return gw_error_set(error, GW_EINVALID, 0, "data.segment_bytes is %llu: it must be at least 1 MiB",
                            (unsigned long long)config->segment_bytes);
    if (config->quota_bytes != 0 && config->quota_bytes < least)
        return gw_error_set(error, GW_EINVALID, 0, "data.quota_bytes is %llu: it must be at least %llu",
                            (unsigned long long)config->quota_bytes, (unsigned long long)least);
    struct stat st;
    if (stat(config->folder, &st) != 0)
        return gw_error_set(
            error, GW_EINVALID, errno,
            "data folder %s cannot be used: make it, and give it to the user that runs tributaryd",
            config->folder);
    if (!S_ISDIR(st.st_mode))
        return gw_error_set(error, GW_EINVALID, 0, "data folder %s is not a folder: point data.folder at one",
                            config->folder);
    return 0;
}

/* A segment must fit at least three times into the quota, else nothing could be reclaimed while one is
 * written. */
static uint64_t segment_bytes_for(const struct gw_journal_config *config)
{
    uint64_t bytes = config->segment_bytes ? config->segment_bytes : GW_JOURNAL_SEGMENT_BYTES;
    if (config->quota_bytes != 0 && bytes > config->quota_bytes / 4)
        bytes = config->quota_bytes / 4;
    if (bytes < GW_JOURNAL_SEGMENT_BYTES_MIN)
        bytes = GW_JOURNAL_SEGMENT_BYTES_MIN;
    return bytes / GW_BLOCK_PAGE_BYTES * GW_BLOCK_PAGE_BYTES;
}

static struct gw_journal *journal_new(const struct gw_journal_config *config)
{
    struct gw_journal *journal = calloc(1, sizeof *journal);
    char *folder = strdup(config->folder);
    if (!journal || !folder) {
        free(journal);
        free(folder);
        return NULL;
    }
    journal->folder = folder;
    journal->segments_folder = gw_path_join(folder, "segments");
    journal->damaged_folder = gw_path_join(folder, "damaged");
    journal->spare = gw_spare_path(journal->segments_folder.text);
    journal->segment_bytes = segment_bytes_for(config);
    journal->quota_bytes = config->quota_bytes;
    journal->retention_bytes = config->retention_bytes;
    journal->retention_ms = config->retention_ms;
    journal->recycle = config->recycle;
    journal->any_epoch = config->any_epoch;
    journal->forget_ms = config->stream_forget_ms ? config->stream_forget_ms : GW_JOURNAL_FORGET_MS;
    journal->lock_fd = -1;
    journal->clock_offset_ms = (int64_t)(gw_journal_wall_ms() - gw_journal_mono_ms());
    pthread_mutex_init(&journal->lock, NULL);
    pthread_cond_init(&journal->opened, NULL);
    gw_rows_init(&journal->rows, GW_JOURNAL_ROWS_MAX);
    gw_settled_init(&journal->settled);
    gw_arena_init(&journal->more_rows, 65536, SIZE_MAX);
    return journal;
}

static void journal_free(struct gw_journal *journal)
{
    gw_journal_digest_forget(journal, journal->digested);
    for (size_t i = 0; i < journal->part_count; i++) {
        gw_segment_close(&journal->parts[i]->segment);
        free(journal->parts[i]);
    }
    free(journal->parts);
    free(journal->items);
    gw_rows_free(&journal->rows);
    gw_settled_free(&journal->settled);
    gw_quota_free(&journal->quota);
    gw_arena_free(&journal->more_rows);
    gw_meta_close(journal->meta);
    pthread_mutex_destroy(&journal->lock);
    pthread_cond_destroy(&journal->opened);
    if (journal->lock_fd >= 0)
        close(journal->lock_fd);
    free(journal->folder);
    free(journal);
}

static bool holds_segments(const struct gw_journal *journal)
{
    return gw_path_exists(journal->segments_folder.text) && rmdir(journal->segments_folder.text) != 0;
}

/* What a renewal of meta and a backup that were cut short had begun. 0 or an errno value. */
static int remove_unfinished(const struct gw_journal *journal)
{
    struct gw_path made = gw_path_join(journal->folder, "meta.new"),
                   making = gw_path_join(journal->folder, "meta.new.tmp"),
                   backup = gw_path_join(journal->folder, GW_LAYOUT_BACKUP_TMP);
    int e = gw_folder_remove(made.text);
    if (e == 0)
        e = gw_folder_remove(making.text);
    if (e == 0 && gw_path_exists(backup.text)) {
        e = gw_tree_remove(backup.text); /* its links would keep segments on the disk that every sink has */
        gw_log(GW_LOG_INFO, "journal.backup_unfinished",
               "removed what a backup that was cut short had begun");
    }
    return e;
}

/*
 * FORMAT comes first and `meta` last, so that the two tell an interrupted beginning (FORMAT only) from a
 * journal that has lost a part.
 */
static int open_or_format(struct gw_journal *journal, struct gw_error *error)
{
    struct gw_path meta = gw_path_join(journal->folder, "meta");
    int rc = gw_journal_format_check(journal->folder, error);
    if (rc == GW_ENOTFOUND) {
        rc = gw_folder_is_ours(journal->folder, error);
        if (rc == 0 && !gw_path_exists(meta.text) && !holds_segments(journal))
            rc = gw_journal_format_write(journal->folder, error);
        else if (rc == 0)
            rc = gw_error_set(error, GW_EDAMAGED, 0, "the journal in %s has lost its FORMAT file: restore it",
                              journal->folder);
    }
    if (rc != 0)
        return rc;
    if (!gw_path_exists(meta.text)) {
        if (holds_segments(journal))
            return gw_error_set(
                error, GW_EDAMAGED, 0,
                "the journal in %s has lost its meta folder: restore it from a backup, or move the "
                "whole folder away to start anew",
                journal->folder);
        rc = gw_meta_create(journal->folder, meta_bytes_for(journal->segment_bytes), error);
        if (rc != 0)
            return rc;
    }
    int e = gw_folder_make(journal->segments_folder.text, 0700);
    if (e == 0)
        e = remove_unfinished(journal);
    if (e == 0 && !journal->recycle)
        gw_spare_drop(journal->spare.text);
    if (e == 0)
        e = gw_folder_sync(journal->folder);
    if (e != 0)
        return gw_error_set(error, gw_error_of_errno(e), e, "%s cannot be made",
                            journal->segments_folder.text);
    rc = gw_check_meta(meta.text);
    if (rc != 0)
        return gw_error_set(
            error, rc, 0,
            "%s is damaged: restore it from a backup, or move the data folder away to start anew (what "
            "the sinks have not taken is then only in the old folder)",
            meta.text);
    return gw_meta_open(meta.text, true, &journal->meta, error);
}

static uint64_t count_damaged(const char *folder)
{
    uint64_t count = 0;
    DIR *dir = opendir(folder);
    for (const struct dirent *entry; dir && (entry = readdir(dir)) != NULL;)
        count += gw_part_is_to_salvage(entry->d_name);
    if (dir)
        closedir(dir);
    return count;
}

int gw_journal_open(const struct gw_journal_config *config, struct gw_journal **out, struct gw_error *error)
{
    int rc = check_config(config, error);
    if (rc != 0)
        return rc;
    gw_guard_install();
    struct gw_journal *journal = journal_new(config);
    if (!journal)
        return gw_error_set(error, GW_ENOMEM, 0, "out of memory");
    rc = gw_lock_take(journal->folder, &journal->lock_fd, error);
    if (rc == 0)
        rc = open_or_format(journal, error);
    if (rc == 0)
        rc = gw_journal_recover(journal, error);
    if (rc == 0) {
        rc = gw_journal_cursors_load(journal);
        if (rc == 0)
            rc = gw_journal_lost_load(journal);
        if (rc != 0)
            (void)gw_error_set(error, rc, 0, "the cursors in %s/meta cannot be read", journal->folder);
    }
    if (rc == 0) {
        rc = gw_quota_init(&journal->quota, config->quarantine_per_device);
        if (rc == 0)
            rc = gw_journal_quota_load(journal);
        if (rc != 0)
            (void)gw_error_set(error, rc, 0, "what is in quarantine in %s/meta cannot be counted",
                               journal->folder);
    }
    if (rc != 0) {
        journal_free(journal);
        return rc;
    }
    journal->quarantine_count = gw_meta_quarantine_count(journal->meta);
    journal->damaged_folders = count_damaged(journal->damaged_folder.text);
    *out = journal;
    return 0;
}

void gw_journal_close(struct gw_journal *journal)
{
    if (!journal)
        return;
    struct gw_error error = {0};
    if (gw_journal_seal(journal, &error) != 0)
        gw_log(GW_LOG_WARNING, "journal.unsealed",
               "the open segment was not sealed; the next start will check it", GW_TEXT("error", error.text));
    if (gw_journal_cursors_sync(journal) != 0)
        gw_log(GW_LOG_WARNING, "journal.cursors_unsynced",
               "cursors were not synced; sinks will be sent some entries again");
    journal_free(journal);
}

uint64_t gw_journal_epoch(const struct gw_journal *journal)
{
    return journal->meta->epoch;
}

const char *gw_journal_gateway_id(const struct gw_journal *journal)
{
    return journal->meta->gateway_id;
}

void gw_journal_get_stats(struct gw_journal *journal, struct gw_journal_stats *out)
{
    struct gw_journal_stats stats = {.disk_bytes = gw_meta_bytes(journal->meta)};
    pthread_mutex_lock(&journal->lock);
    for (size_t i = 0; i < journal->part_count; i++) {
        const struct gw_part *part = journal->parts[i];
        stats.damaged_segments += part->state == GW_SEGMENT_DAMAGED;
        stats.segments += part->state != GW_SEGMENT_DAMAGED;
        stats.disk_bytes += part->bytes;
    }
    /* The sinks pass a damaged one, and then it leaves the list; until it is salvaged it stays an alarm. */
    if (stats.damaged_segments < journal->damaged_folders)
        stats.damaged_segments = journal->damaged_folders;
    stats.quarantine_entries = journal->quarantine_count;
    stats.limit_bytes = journal->room.limit_bytes;
    stats.retained_bytes = journal->room.retained_bytes;
    stats.nearly_full = journal->room.nearly_full;
    for (size_t i = 0; i < journal->sink_count; i++) {
        stats.detached_sinks += journal->sinks[i].detach.detached;
        stats.lost_entries += journal->sinks[i].lost;
    }
    pthread_mutex_unlock(&journal->lock);
    *out = stats;
}
