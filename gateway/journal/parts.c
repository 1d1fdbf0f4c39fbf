#include "journal/parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "journal/check.h"
#include "observe/log.h"

static uint64_t clock_ms(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t gw_journal_wall_ms(void)
{
    return clock_ms(CLOCK_REALTIME);
}

uint64_t gw_journal_mono_ms(void)
{
    return clock_ms(CLOCK_MONOTONIC);
}

struct gw_path gw_part_folder(const struct gw_journal *journal, const struct gw_part *part)
{
    return gw_path_join(journal->segments_folder.text, gw_segment_name(part->first).text);
}

uint64_t gw_part_wanted_end(const struct gw_part *part)
{
    if (part->state == GW_SEGMENT_DAMAGED)
        return part->end; /* nobody knows what was in it */
    return part->entries != 0 ? part->first + part->entries : 0;
}

struct gw_segment_record gw_part_record(const struct gw_part *part)
{
    return (struct gw_segment_record){.first = part->first,
                                      .end = part->end,
                                      .entries = part->entries,
                                      .lost = part->lost,
                                      .used_bytes = part->bytes,
                                      .sealed_ms = part->sealed_ms,
                                      .quarantine = part->quarantine,
                                      .state = part->state};
}

struct gw_part *gw_part_add_alone(struct gw_journal *journal, const struct gw_part *like)
{
    if (journal->part_count == journal->part_capacity) {
        size_t capacity = journal->part_capacity ? journal->part_capacity * 2 : 16;
        struct gw_part **parts = realloc(journal->parts, capacity * sizeof(struct gw_part *));
        if (!parts)
            return NULL;
        journal->parts = parts;
        journal->part_capacity = capacity;
    }
    struct gw_part *part = malloc(sizeof *part);
    if (!part)
        return NULL;
    *part = *like;
    size_t at = journal->part_count++;
    for (; at > 0 && journal->parts[at - 1]->first > part->first; at--)
        journal->parts[at] = journal->parts[at - 1];
    journal->parts[at] = part;
    return part;
}

struct gw_part *gw_part_add(struct gw_journal *journal, const struct gw_part *like)
{
    pthread_mutex_lock(&journal->lock);
    struct gw_part *part = gw_part_add_alone(journal, like);
    pthread_mutex_unlock(&journal->lock);
    return part;
}

void gw_part_remove(struct gw_journal *journal, struct gw_part *part)
{
    pthread_mutex_lock(&journal->lock);
    size_t at = 0;
    while (journal->parts[at] != part)
        at++;
    journal->part_count--;
    for (; at < journal->part_count; at++)
        journal->parts[at] = journal->parts[at + 1];
    pthread_mutex_unlock(&journal->lock);
    gw_journal_digest_forget(journal, part);
    gw_segment_close(&part->segment);
    free(part);
}

/* Digest first, then the map. */
static int verify_and_open(struct gw_journal *journal, const struct gw_part *part, struct gw_segment *out)
{
    struct gw_path folder = gw_part_folder(journal, part);
    struct gw_digest digest;
    int rc = gw_meta_digests_get(journal->meta, part->first, &digest.chunks, &digest.count);
    if (rc != 0)
        return rc;
    rc = gw_digest_compare(folder.text, part->bytes, &digest);
    gw_digest_free(&digest);
    return rc != 0 ? rc : gw_segment_open(folder.text, out);
}

static bool may_be_closed(const struct gw_journal *journal, const struct gw_part *part)
{
    return part->segment.env && part != journal->active && !part->pinned;
}

void gw_part_close_unused(struct gw_journal *journal)
{
    size_t open = 0;
    for (size_t i = 0; i < journal->part_count; i++)
        open += may_be_closed(journal, journal->parts[i]);
    while (open-- > GW_JOURNAL_OPEN_PARTS_MAX) {
        struct gw_part *oldest = NULL;
        for (size_t i = 0; i < journal->part_count; i++) {
            struct gw_part *part = journal->parts[i];
            if (may_be_closed(journal, part) && part->refs == 0 &&
                (!oldest || part->last_used < oldest->last_used))
                oldest = part;
        }
        if (!oldest)
            return;
        gw_segment_close(&oldest->segment);
    }
}

int gw_part_acquire(struct gw_journal *journal, struct gw_part *part)
{
    part->waiters++; /* from here on it stays in memory */
    while (part->opening)
        pthread_cond_wait(&journal->opened, &journal->lock);
    part->waiters--;
    part->refs++;
    int rc = 0;
    if (part->state == GW_SEGMENT_DAMAGED) {
        rc = GW_EDAMAGED;
    } else if (!part->segment.env) {
        part->opening = true;
        pthread_mutex_unlock(&journal->lock);
        struct gw_segment segment = {0};
        rc = verify_and_open(journal, part, &segment);
        if (rc == GW_EDAMAGED && gw_part_set_aside(journal, part, "its digest does not match") != 0)
            rc = GW_EIO;
        pthread_mutex_lock(&journal->lock);
        part->segment = segment;
        part->opening = false;
        pthread_cond_broadcast(&journal->opened);
    }
    if (rc != 0)
        part->refs--;
    else
        part->last_used = ++journal->use_counter;
    return rc;
}

void gw_part_release(struct gw_journal *journal, struct gw_part *part)
{
    part->refs--;
    if (part->refs == 0 && part->opening)
        pthread_cond_broadcast(&journal->opened);
    gw_part_close_unused(journal);
}

static int put_record(void *context, struct gw_meta_txn *t)
{
    const struct gw_segment_record *record = context;
    int rc = gw_meta_segment_put(t, record);
    return rc != 0 ? rc : gw_meta_next_raise(t, record->end);
}

bool gw_part_is_to_salvage(const char *name)
{
    const size_t len = strlen(name), tail = sizeof GW_JOURNAL_SALVAGED - 1;
    bool done = len > tail && strcmp(name + len - tail, GW_JOURNAL_SALVAGED) == 0;
    return !done && strspn(name, "0123456789") == GW_SEGMENT_NAME_BYTES - 1;
}

static int move_to_damaged(const struct gw_journal *journal, const struct gw_part *part)
{
    struct gw_path from = gw_part_folder(journal, part);
    int e = gw_folder_make(journal->damaged_folder.text, 0700);
    for (unsigned i = 0; e == 0 && i < 1000; i++) {
        char name[48];
        snprintf(name, sizeof name, i ? "%s-%u" : "%s", gw_segment_name(part->first).text, i);
        struct gw_path to = gw_path_join(journal->damaged_folder.text, name);
        if (rename(from.text, to.text) == 0)
            break;
        if (errno == ENOENT) /* gone already */
            break;
        if (errno != ENOTEMPTY && errno != EEXIST)
            e = errno;
    }
    if (e == 0)
        e = gw_folder_sync(journal->damaged_folder.text);
    if (e == 0)
        e = gw_folder_sync(journal->segments_folder.text);
    if (e == 0)
        e = gw_folder_sync(journal->folder);
    return e;
}

int gw_part_set_aside(struct gw_journal *journal, struct gw_part *part, const char *why)
{
    pthread_mutex_lock(&journal->lock);
    if (part->state != GW_SEGMENT_DAMAGED && part->lost == 0)
        part->lost = part->entries;
    part->state = GW_SEGMENT_DAMAGED;
    struct gw_segment_record record = gw_part_record(part);
    pthread_mutex_unlock(&journal->lock);
    gw_log(GW_LOG_ERROR, "journal.segment_damaged",
           "a journal segment is damaged and was set aside in damaged/: the sinks lose what they had not "
           "taken from it. "
           "Check the disk, and keep the folder if it is to be salvaged",
           GW_TEXT("segment", gw_segment_name(record.first).text), GW_UINT("entries", record.lost),
           GW_TEXT("why", why));
    /* The note first: a folder without one would be taken for an unclean stop at the next start. */
    int rc = gw_meta_update(journal->meta, put_record, &record);
    int e = rc == 0 ? move_to_damaged(journal, part) : 0;
    pthread_mutex_lock(&journal->lock);
    journal->damaged_folders++;
    pthread_mutex_unlock(&journal->lock);
    if (e != 0)
        gw_log(GW_LOG_ERROR, "journal.segment_stuck", "a damaged segment cannot be moved to damaged/",
               GW_TEXT("segment", gw_segment_name(record.first).text), GW_TEXT("error", strerror(e)));
    return rc;
}
