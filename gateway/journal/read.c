#include "journal/parts.h"

uint64_t gw_journal_end(const struct gw_journal *journal)
{
    struct gw_journal *j =
        (struct gw_journal *)(uintptr_t)journal; /* the lock is no part of what is promised const */
    pthread_mutex_lock(&j->lock);
    uint64_t end = j->end;
    pthread_mutex_unlock(&j->lock);
    return end;
}

uint64_t gw_journal_begin(const struct gw_journal *journal)
{
    struct gw_journal *j = (struct gw_journal *)(uintptr_t)journal;
    pthread_mutex_lock(&j->lock);
    uint64_t begin = j->part_count ? j->parts[0]->first : j->end;
    pthread_mutex_unlock(&j->lock);
    return begin;
}

uint64_t gw_journal_trimmed(const struct gw_journal *journal)
{
    struct gw_journal *j = (struct gw_journal *)(uintptr_t)journal;
    pthread_mutex_lock(&j->lock);
    uint64_t begin = j->part_count ? j->parts[0]->first : j->end;
    uint64_t trimmed = j->trimmed < begin ? j->trimmed : begin;
    pthread_mutex_unlock(&j->lock);
    return trimmed;
}

/* The part that holds `offset`, or the first one after it; NULL: none. Lock held. */
static struct gw_part *find_part(const struct gw_journal *journal, uint64_t offset)
{
    size_t low = 0, high = journal->part_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (journal->parts[middle]->end > offset)
            high = middle;
        else
            low = middle + 1;
    }
    return low < journal->part_count ? journal->parts[low] : NULL;
}

/* Steps over what holds no entries to read: gaps, damaged parts. Lock held. True: *io_at is in a part to
 * read. */
static bool leap(const struct gw_journal *journal, uint64_t *io_at, uint64_t *io_lost,
                 struct gw_part **out_part)
{
    while (*io_at < journal->end) {
        struct gw_part *part = find_part(journal, *io_at);
        uint64_t first = part ? part->first : journal->end;
        if (*io_at < first) { /* reclaimed before this reader came, or gone */
            /* Of what was let go, the last offsets may have had no entries. */
            const bool oldest = !part || part == journal->parts[0];
            const uint64_t held = oldest && journal->trimmed < first ? journal->trimmed : first;
            *io_lost += held > *io_at ? held - *io_at : 0;
            *io_at = first;
            continue;
        }
        uint64_t held = part->state == GW_SEGMENT_DAMAGED ? part->lost : part->entries;
        uint64_t past = *io_at - first, left = held > past ? held - past : 0;
        if (part->state != GW_SEGMENT_DAMAGED && left > 0) {
            *out_part = part;
            return true;
        }
        *io_lost += left;
        *io_at = part->end;
    }
    return false;
}

int gw_journal_read(struct gw_journal *journal, uint64_t offset, uint8_t *buffer, size_t capacity,
                    struct gw_journal_entry *entries, size_t max_entries, size_t *out_count,
                    uint64_t *out_next, uint64_t *out_lost, size_t *out_needed)
{
    if (max_entries == 0)
        return GW_EINVALID;
    uint64_t at = offset, lost = 0;
    struct gw_part *part;
    pthread_mutex_lock(&journal->lock);
    while (leap(journal, &at, &lost, &part)) {
        uint64_t end = part->first + part->entries;
        int rc = gw_part_acquire(journal, part);
        if (rc == GW_EDAMAGED)
            continue; /* it is set aside now */
        if (rc != 0) {
            pthread_mutex_unlock(&journal->lock);
            return GW_EIO;
        }
        pthread_mutex_unlock(&journal->lock);
        struct gw_segment_read read = {.offset = at,
                                       .end = end,
                                       .buffer = buffer,
                                       .capacity = capacity,
                                       .entries = entries,
                                       .max_entries = max_entries};
        rc = gw_segment_read(&part->segment, &read);
        pthread_mutex_lock(&journal->lock);
        bool sealed = part != journal->active;
        gw_part_release(journal, part);
        if (rc == 0 && read.count == 0 && read.needed != 0) {
            pthread_mutex_unlock(&journal->lock);
            *out_needed = read.needed;
            return GW_EFULL;
        }
        if (rc == 0 && read.count > 0) {
            pthread_mutex_unlock(&journal->lock);
            *out_count = read.count;
            *out_next = read.next;
            *out_lost = lost;
            return 0;
        }
        /* Bytes that went bad under the map. The active segment is the committer's: it seals it, and then a child
         * judges. */
        bool bad = rc == 0 || rc == GW_EDAMAGED, give_up = sealed && bad;
        if (!sealed && bad)
            part->faulty = true;
        pthread_mutex_unlock(&journal->lock);
        if (!give_up || gw_part_set_aside(journal, part, "a block in it cannot be read") != 0)
            return GW_EIO;
        pthread_mutex_lock(&journal->lock);
    }
    pthread_mutex_unlock(&journal->lock);
    *out_count = 0;
    *out_next = at;
    *out_lost = lost;
    return 0;
}
