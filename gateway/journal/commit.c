/* Commit: compare-and-swap of the rows, then one synced transaction in the active segment. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "journal/parts.h"
#include "observe/log.h"

/* More than this in one transaction would make the next ack wait too long, and could outgrow the row table.
 */
#define CHUNK_WRITES_MAX 8192u

static void set_status(struct gw_journal_write *const *writes, size_t count, int status)
{
    for (size_t i = 0; i < count; i++)
        writes[i]->status = status;
}

/* The slot of a stream, taken from meta if this segment has not touched it. GW_EAGAIN: the table is full. */
static int slot_of(struct gw_journal *journal, const char *device, uint64_t stream, struct gw_row_slot **out)
{
    size_t device_len = strlen(device);
    *out = gw_rows_find(&journal->rows, device, device_len, stream);
    if (*out)
        return 0;
    struct gw_row row = {0};
    int rc = gw_meta_row_get(journal->meta, device, device_len, stream, &row);
    if (rc != 0 && rc != GW_ENOTFOUND)
        return rc;
    *out = gw_rows_add(&journal->rows, device, device_len, stream, &row);
    if (*out)
        return 0;
    return journal->rows.count >= journal->rows.limit ? GW_EAGAIN : GW_ENOMEM;
}

static bool matches(const struct gw_row *row, const struct gw_journal_lane *lane)
{
#if defined(GW_MUTANT_NO_CONTIGUITY)
    (void)row;
    (void)lane;
    return true;
#else
    return row->committed == lane->expected || (lane->adopt && row->committed <= lane->expected);
#endif
}

static struct gw_row moved_row(const struct gw_row *row, const struct gw_journal_lane *lane,
                               uint64_t generation, uint64_t now_ms)
{
    struct gw_row moved = {.committed = lane->last_seq,
                           .crc = lane->last_crc,
                           .generation = generation,
                           .touched_ms = now_ms,
                           .exists = true};
    if (lane->last_seq == row->committed)
        moved.crc = row->crc; /* nothing new: the event that the CRC is of is not in this batch */
    return moved;
}

/* Whether the write can ever be stored. */
static bool acceptable(const struct gw_journal *journal, const struct gw_journal_write *write)
{
    const struct gw_journal_lane *a = &write->lanes[0], *b = &write->lanes[1];
    if (write->settle_count > 0)
        return strlen(write->device) <= GW_DEVICE_BYTES_MAX && a->stream == 0 && b->stream == 0 &&
               write->quarantine_count == 0 && !write->names_streams &&
               gw_segment_item_bytes(write) <= journal->segment_bytes / 4;
    if (strlen(write->device) > GW_DEVICE_BYTES_MAX || (a->stream != 0 && a->stream == b->stream))
        return false;
    if (a->stream == 0 && b->stream == 0)
        return false;
    if ((a->stream != 0 && a->last_seq < a->expected) || (b->stream != 0 && b->last_seq < b->expected))
        return false;
    return write->named_count <= GW_JOURNAL_NAMED_MAX &&
           gw_segment_item_bytes(write) <= journal->segment_bytes / 4;
}

/* Rows of an item besides those of its lanes, while it is prepared. */
struct more {
    struct gw_segment_row rows[GW_SEGMENT_MORE_MAX];
    size_t count;
};

/* A device whose journal was erased has a row of its own: what comes with a lower generation is from before. */
static int check_generation(struct gw_journal *journal, const struct gw_journal_write *write, uint64_t now_ms,
                            struct more *more)
{
    struct gw_row_slot *slot;
    int rc = slot_of(journal, write->device, GW_JOURNAL_DEVICE_ROW, &slot);
    if (rc != 0)
        return rc;
#ifndef GW_MUTANT_NO_GENERATION
    if (write->generation < slot->pending.generation)
        return GW_ESTALE;
#endif
    if (write->generation > slot->pending.generation)
        more->rows[more->count++] = (struct gw_segment_row){
            .row = {.generation = write->generation, .touched_ms = now_ms, .exists = true}};
    return 0;
}

static bool is_named(const struct gw_journal_write *write, uint64_t stream)
{
    for (size_t i = 0; i < write->named_count; i++)
        if (write->named[i] == stream)
            return true;
    return stream == GW_JOURNAL_DEVICE_ROW || stream == write->lanes[0].stream ||
           stream == write->lanes[1].stream;
}

/* What a stream's row says once it is closed. False: it says so already. */
static bool close_row(struct gw_row *row, uint64_t generation, uint64_t now_ms)
{
    uint64_t marks = GW_ROW_CLOSED | (row->generation < generation ? GW_ROW_ERASED : 0);
    if (!row->exists || (row->committed & marks) == marks)
        return false;
    row->committed |= marks;
    row->touched_ms = now_ms;
    return true;
}

/* Streams of the device that its HELLO did not name. */
static int close_others(struct gw_journal *journal, const struct gw_journal_write *write, uint64_t now_ms,
                        struct more *more)
{
    const size_t device_len = strlen(write->device);
    uint64_t streams[4 * GW_SEGMENT_MORE_MAX];
    size_t count = 0, most = sizeof streams / sizeof *streams;
    int rc = gw_meta_streams_of(journal->meta, write->device, device_len, streams, most / 2, &count);
    if (rc != 0)
        return rc;
    struct gw_row_slot *slot = NULL;
    while (count < most && (slot = gw_rows_of_device(&journal->rows, write->device, device_len, slot)))
        streams[count++] = slot->stream;
    for (size_t i = 0; i < count && more->count < GW_SEGMENT_MORE_MAX; i++) {
        if (is_named(write, streams[i]))
            continue;
        rc = slot_of(journal, write->device, streams[i], &slot);
        if (rc != 0)
            return rc;
        struct gw_row row = slot->pending;
        bool again = false; /* it is in meta and in the table */
        for (size_t k = 0; k < more->count; k++)
            again = again || more->rows[k].stream == streams[i];
        if (!again && close_row(&row, write->generation, now_ms))
            more->rows[more->count++] = (struct gw_segment_row){streams[i], row};
    }
    return 0;
}

/* Lock held. */
static int prepare_more(struct gw_journal *journal, struct gw_journal_write *write, uint64_t now_ms,
                        struct gw_segment_item *item)
{
    struct more more = {.count = 0};
    int rc = check_generation(journal, write, now_ms, &more);
    size_t device_rows = more.count;
    if (rc == 0 && write->names_streams)
        rc = close_others(journal, write, now_ms, &more);
    if (rc != 0 || more.count == 0)
        return rc;
    struct gw_segment_row *rows = gw_arena_alloc(&journal->more_rows, more.count * sizeof *rows);
    if (!rows)
        return GW_ENOMEM;
    memcpy(rows, more.rows, more.count * sizeof *rows);
    item->more = rows;
    item->more_count = more.count;
    write->closed_count = (uint32_t)(more.count - device_rows);
    return 0;
}

static bool touch(struct gw_journal *journal, const char *device, uint64_t stream, const struct gw_row *row)
{
    struct gw_row_slot *slot = gw_rows_find(&journal->rows, device, strlen(device), stream);
    return gw_rows_touch(&journal->rows, slot, row);
}

/* Lock held. All its rows are in the table by now. */
static int touch_all(struct gw_journal *journal, const struct gw_segment_item *item)
{
    const struct gw_journal_write *write = item->write;
    bool done = true;
    for (size_t i = 0; i < 2; i++)
        done = done && (!item->rows[i].exists ||
                        touch(journal, write->device, write->lanes[i].stream, &item->rows[i]));
    for (size_t i = 0; i < item->more_count; i++)
        done = done && touch(journal, write->device, item->more[i].stream, &item->more[i].row);
    return done ? 0 : GW_ENOMEM;
}

/* Compares, and on success leaves the item's rows pending. Lock held. GW_ESTALE, GW_EINVALID, GW_EAGAIN,
 * others. */
static int prepare(struct gw_journal *journal, struct gw_journal_write *write, uint64_t now_ms,
                   struct gw_segment_item *item)
{
    write->quarantine_count += write->beyond_quota; /* of an attempt before */
    write->beyond_quota = 0;
    if (!acceptable(journal, write))
        return GW_EINVALID;
    *item = (struct gw_segment_item){.write = write};
    if (write->settle_count > 0) {
        int rc = gw_settled_take(journal, write);
        if (rc == 0)
            gw_journal_quota_settled(journal, write);
        return rc;
    }
    for (size_t i = 0; i < 2; i++) {
        const struct gw_journal_lane *lane = &write->lanes[i];
        struct gw_row_slot *slot;
        if (lane->stream == 0)
            continue;
        int rc = slot_of(journal, write->device, lane->stream, &slot);
        if (rc != 0)
            return rc;
        if (!matches(&slot->pending, lane))
            return GW_ESTALE;
#ifndef GW_MUTANT_NO_GENERATION
        if (slot->pending.exists && slot->pending.generation < write->generation)
            return GW_ESTALE; /* a stream from before the erasure */
#endif
        item->rows[i] = moved_row(&slot->pending, lane, write->generation, now_ms);
    }
    int rc = prepare_more(journal, write, now_ms, item);
    if (rc == 0)
        rc = touch_all(journal, item);
    return rc != 0 ? rc : gw_journal_quota_bound(journal, write);
}

/* Fills journal->items. GW_EAGAIN: roll first. */
static int prepare_all(struct gw_journal *journal, struct gw_journal_write *const *writes, size_t count,
                       size_t *out_items)
{
    uint64_t now_ms = gw_journal_wall_ms();
    size_t items = 0;
    int rc = 0;
    gw_arena_reset(&journal->more_rows);
    pthread_mutex_lock(&journal->lock);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        int status = prepare(journal, writes[i], now_ms, &journal->items[items]);
        writes[i]->status = status;
        if (status == 0)
            items++;
        else if (status != GW_ESTALE && status != GW_EINVALID)
            rc = status;
    }
    if (rc != 0) {
        gw_rows_revert(&journal->rows);
        gw_settled_revert(&journal->settled);
        gw_journal_quota_revert(journal, items);
    }
    pthread_mutex_unlock(&journal->lock);
    *out_items = items;
    return rc;
}

static void publish(struct gw_journal *journal, uint32_t quarantined)
{
    pthread_mutex_lock(&journal->lock);
    gw_rows_publish(&journal->rows);
    journal->end = journal->tail.next_offset;
    journal->active->end = journal->end;
    journal->active->entries = journal->end - journal->active->first;
    const uint64_t settled = journal->settled.count - journal->settled.durable;
    gw_settled_publish(&journal->settled);
    journal->quarantine_count += quarantined - settled; /* each that settles is a record too ... */
    journal->quarantine_count -= settled;               /* ... and takes one away */
    pthread_mutex_unlock(&journal->lock);
}

static void take_back(struct gw_journal *journal, size_t items)
{
    gw_journal_quota_revert(journal, items);
    pthread_mutex_lock(&journal->lock);
    gw_rows_revert(&journal->rows);
    gw_settled_revert(&journal->settled);
    pthread_mutex_unlock(&journal->lock);
}

/* An active segment that can be written to: seals one that is full or has failed, makes one where there is
 * none. */
static int ready(struct gw_journal *journal, struct gw_error *error)
{
    /* If it cannot be mended yet, commits go on for as long as they need nothing of it. */
    (void)!gw_meta_renew(journal->meta);
    if (journal->active && gw_journal_judge_active(journal))
        journal->active_failed = true;
    if (journal->active && (journal->active_full || journal->active_failed)) {
        int rc = gw_journal_roll(journal, error);
        if (rc != 0)
            return rc;
    }
    return journal->active ? 0 : gw_journal_begin_segment(journal, error);
}

int gw_journal_probe(struct gw_journal *journal, struct gw_error *error)
{
    return ready(journal, error);
}

static int append_failed(struct gw_journal *journal, int rc, struct gw_error *error)
{
    journal->active_failed = true;
    gw_log(GW_LOG_ERROR, "journal.commit_failed",
           "a journal segment could not be written: it is sealed, and the next commit goes to a new one. "
           "Check the disk",
           GW_TEXT("segment", gw_segment_name(journal->active->first).text),
           GW_TEXT("error", gw_error_text(rc)));
    return gw_error_set(error, rc == GW_EFULL ? GW_EFULL : GW_EIO, 0,
                        "the journal in %s cannot be written to: %s", journal->folder,
                        rc == GW_EFULL ? "free space on this disk" : "check the disk");
}

static int commit_chunk(struct gw_journal *journal, struct gw_journal_write *const *writes, size_t count,
                        struct gw_error *error)
{
    for (int attempt = 0; attempt < 2; attempt++) {
        int rc = ready(journal, error);
        if (rc != 0)
            return rc;
        size_t items = 0;
        rc = prepare_all(journal, writes, count, &items);
        if (rc == GW_EAGAIN) {
            journal->active_full = true;
            continue;
        }
        if (rc != 0)
            return gw_error_set(error, rc, 0, "the journal in %s cannot read its stream rows",
                                journal->folder);
        if (items == 0)
            return 0;
        uint32_t quarantine_before = journal->tail.quarantine_count;
        rc = gw_segment_append(&journal->active->segment, &journal->tail, journal->items, items);
        if (rc == 0) {
            publish(journal, journal->tail.quarantine_count - quarantine_before);
            return 0;
        }
        take_back(journal, items);
        if (rc != GW_EAGAIN)
            return append_failed(journal, rc, error);
        journal->active_full = true;
    }
    return gw_error_set(error, GW_EFULL, 0, "a commit does not fit into an empty segment of %s",
                        journal->folder);
}

static bool reserve_items(struct gw_journal *journal, size_t count)
{
    if (count <= journal->item_capacity)
        return true;
    struct gw_segment_item *items = realloc(journal->items, count * sizeof *items);
    if (!items)
        return false;
    journal->items = items;
    journal->item_capacity = count;
    return true;
}

/* How many writes from the first on go into one transaction. */
static size_t chunk_of(const struct gw_journal *journal, struct gw_journal_write *const *writes, size_t count)
{
    size_t bytes = gw_segment_item_bytes(writes[0]), n = 1;
    while (n < count && n < CHUNK_WRITES_MAX && n < journal->rows.limit / 4) {
        bytes += gw_segment_item_bytes(writes[n]);
        if (bytes > journal->segment_bytes / 4)
            break;
        n++;
    }
    return n;
}

int gw_journal_commit(struct gw_journal *journal, struct gw_journal_write *const *writes, size_t count,
                      struct gw_error *error)
{
    size_t done = 0;
    while (done < count) {
        size_t n = chunk_of(journal, writes + done, count - done);
        int rc = reserve_items(journal, n) ? commit_chunk(journal, writes + done, n, error)
                                           : gw_error_set(error, GW_ENOMEM, 0, "out of memory for a commit");
        if (rc != 0) {
            set_status(writes + done, count - done, rc);
            return done == 0 ? rc : 0;
        }
        done += n;
    }
    return 0;
}

int gw_journal_append(struct gw_journal *journal, const struct gw_journal_entry *entries, size_t count,
                      struct gw_error *error)
{
    struct gw_journal_write *writes = calloc(count, sizeof *writes);
    if (!writes || !reserve_items(journal, count)) {
        free(writes);
        return gw_error_set(error, GW_ENOMEM, 0, "out of memory for %zu entries", count);
    }
    for (size_t i = 0; i < count; i++) {
        writes[i] =
            (struct gw_journal_write){.device = "", .entry = entries[i].data, .entry_len = entries[i].len};
        journal->items[i] = (struct gw_segment_item){.write = &writes[i]};
    }
    int rc = GW_EAGAIN;
    for (int attempt = 0; attempt < 2 && rc == GW_EAGAIN; attempt++) {
        rc = ready(journal, error);
        if (rc != 0)
            break;
        rc = gw_segment_append(&journal->active->segment, &journal->tail, journal->items, count);
        if (rc == 0)
            publish(journal, 0);
        else if (rc != GW_EAGAIN)
            rc = append_failed(journal, rc, error);
        journal->active_full = rc == GW_EAGAIN;
    }
    free(writes);
    return rc == GW_EAGAIN ? gw_error_set(error, GW_EFULL, 0, "entries do not fit into a segment") : rc;
}

int gw_journal_stream_get(struct gw_journal *journal, const char *device, uint64_t stream,
                          struct gw_journal_stream *out)
{
    size_t device_len = strlen(device);
    if (device_len > GW_DEVICE_BYTES_MAX)
        return GW_ENOTFOUND;
    struct gw_row row = {0};
    pthread_mutex_lock(&journal->lock);
    const struct gw_row_slot *slot = gw_rows_find(&journal->rows, device, device_len, stream);
    if (slot)
        row = slot->durable;
    pthread_mutex_unlock(&journal->lock);
    /* Not in the table: in meta, also if the segment was sealed since, for sealing merges before it clears
     * the table. */
    if (!slot) {
        int rc = gw_meta_row_get(journal->meta, device, device_len, stream, &row);
        if (rc != 0)
            return rc == GW_ENOTFOUND ? rc : GW_EIO;
    }
    if (!row.exists)
        return GW_ENOTFOUND;
    *out = (struct gw_journal_stream){.committed = row.committed & GW_ROW_SEQ_MASK,
                                      .crc = row.crc,
                                      .generation = row.generation,
                                      .closed = (row.committed & GW_ROW_CLOSED) != 0,
                                      .erased = (row.committed & GW_ROW_ERASED) != 0};
    return 0;
}
