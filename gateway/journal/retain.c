/* How full the journal is, and how long it keeps what every sink has. */
#include <sys/statvfs.h>

#include "journal/parts.h"
#include "journal/spare.h"
#include "observe/log.h"

#define CLOCK_JUMP_MS 60000

uint64_t gw_journal_disk_bytes(const struct gw_journal *journal)
{
    uint64_t bytes = gw_meta_bytes(journal->meta);
    for (size_t i = 0; i < journal->part_count; i++)
        bytes += journal->parts[i]->bytes;
    return bytes;
}

bool gw_journal_clock_jumped(const struct gw_journal *journal)
{
    int64_t drift = (int64_t)(gw_journal_wall_ms() - gw_journal_mono_ms()) - journal->clock_offset_ms;
    return drift <= -CLOCK_JUMP_MS || drift >= CLOCK_JUMP_MS;
}

/* What the journal may take: its quota, or what it has and what the disk still gives. The spare is room for the next segment,
 * and not counted as used. */
static uint64_t limit_bytes(const struct gw_journal *journal, uint64_t used)
{
    struct statvfs disk;
    if (journal->quota_bytes != 0)
        return journal->quota_bytes;
    if (statvfs(journal->folder, &disk) != 0)
        return UINT64_MAX;
    return used + gw_spare_bytes(journal->spare.text) + (uint64_t)disk.f_bavail * disk.f_frsize;
}

/* A segment is taken from the disk as a whole: where few fit, 80% would come after the last of them. */
static bool is_nearly_full(const struct gw_journal *journal, uint64_t used, uint64_t limit)
{
    return used >= limit / 5 * 4 || limit - used < 2 * journal->segment_bytes;
}

static uint64_t passed_bytes(const struct gw_journal *journal, uint64_t passed)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < journal->part_count; i++) {
        const struct gw_part *part = journal->parts[i];
        if (part != journal->active && part->state != GW_SEGMENT_DAMAGED &&
            gw_part_wanted_end(part) <= passed)
            bytes += part->bytes;
    }
    return bytes;
}

bool gw_journal_outlived(const struct gw_journal *journal, uint64_t passed, uint64_t now_ms)
{
    const struct gw_part *part = journal->parts[0];
    if ((journal->retention_bytes == 0 && journal->retention_ms == 0) || part->state == GW_SEGMENT_DAMAGED)
        return true;
    uint64_t used = gw_journal_disk_bytes(journal);
    if (is_nearly_full(journal, used, limit_bytes(journal, used)))
        return true;
    if (journal->retention_bytes != 0 && passed_bytes(journal, passed) > journal->retention_bytes)
        return true;
    return journal->retention_ms != 0 && !gw_journal_clock_jumped(journal) &&
           part->sealed_ms + journal->retention_ms <= now_ms;
}

void gw_journal_note_room(struct gw_journal *journal, uint64_t passed)
{
    pthread_mutex_lock(&journal->lock);
    bool was = journal->room.nearly_full;
    uint64_t used = gw_journal_disk_bytes(journal), limit = limit_bytes(journal, used);
    struct gw_room room = {.limit_bytes = limit,
                           .retained_bytes = passed_bytes(journal, passed),
                           .nearly_full = is_nearly_full(journal, used, limit)};
    journal->room = room;
    pthread_mutex_unlock(&journal->lock);
    if (room.nearly_full && !was)
        gw_log(GW_LOG_WARNING, "journal.nearly_full",
               "the journal has taken most of the disk it may have: devices are held back when it is full. "
               "Bring the "
               "sinks up to date, or give it more",
               GW_UINT("bytes", used), GW_UINT("limit_bytes", limit));
    if (!room.nearly_full && was)
        gw_log(GW_LOG_INFO, "journal.has_room", "the journal has room again", GW_UINT("bytes", used),
               GW_UINT("limit_bytes", limit));
}
