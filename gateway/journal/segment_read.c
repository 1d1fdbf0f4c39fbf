#include <string.h>
#include <sys/mman.h>

#include "journal/audit.h"
#include "journal/bytes.h"
#include "journal/guard.h"
#include "journal/rejected.h"
#include "journal/segment.h"
#include "journal/store.h"

/* Puts the cursor on the block that holds `offset`: the last one whose key is not above it. */
static int seek_block(MDB_cursor *cursor, uint64_t offset, MDB_val *key, MDB_val *value)
{
    uint8_t key_bytes[12] = {0};
    gw_put64_be(key_bytes, offset + 1);
    *key = (MDB_val){.mv_size = sizeof key_bytes, .mv_data = key_bytes};
    int rc = mdb_cursor_get(cursor, key, value, MDB_SET_RANGE);
    if (rc == MDB_NOTFOUND)
        return mdb_cursor_get(cursor, key, value, MDB_LAST);
    return rc != 0 ? rc : mdb_cursor_get(cursor, key, value, MDB_PREV);
}

/* Copies what fits of one block. 1: the buffer or the entry array is full. */
static int copy_entries(struct gw_segment_read *read, const MDB_val *value)
{
    struct gw_block_reader block;
    if (gw_block_read(&block, value->mv_data, value->mv_size) != 0)
        return GW_EDAMAGED;
    uint64_t offset = block.head.first_offset;
    const uint8_t *data;
    size_t len;
    int rc;
    while ((rc = gw_block_next_entry(&block, &data, &len)) == 1) {
        if (offset >= read->end)
            return 1;
        if (offset++ < read->next)
            continue;
        if (read->count == read->max_entries)
            return 1;
        if (len > read->capacity - read->used) {
            read->needed = len;
            return 1;
        }
        memcpy(read->buffer + read->used, data, len);
        read->entries[read->count++] =
            (struct gw_journal_entry){.offset = offset - 1, .data = read->buffer + read->used, .len = len};
        read->used += len;
        read->next = offset;
    }
    return rc;
}

/* A read transaction under the guard: what a fault leaves is ended by end_reading. */
struct reading {
    MDB_env *env;
    MDB_dbi dbi;
    MDB_txn *txn;
    MDB_cursor *cursor;
};

static int begin_reading(struct reading *r)
{
    MDB_stat
        root; /* read before there is a cursor: a fault on it would leave that nowhere to be closed from */
    int rc = mdb_txn_begin(r->env, NULL, MDB_RDONLY, &r->txn);
    if (rc == 0)
        rc = mdb_stat(r->txn, r->dbi, &root);
    return rc != 0 ? rc : mdb_cursor_open(r->txn, r->dbi, &r->cursor);
}

static void end_reading(struct reading *r)
{
    if (r->cursor)
        mdb_cursor_close(r->cursor);
    if (r->txn)
        mdb_txn_abort(r->txn);
}

struct read_job {
    struct reading reading;
    struct gw_segment_read *read;
    uintptr_t low, high; /* of the map, what was touched */
};

static int read_blocks(void *context)
{
    struct read_job *job = context;
    MDB_val key, value;
    int step = 0, rc = begin_reading(&job->reading);
    if (rc == 0)
        rc = seek_block(job->reading.cursor, job->read->offset, &key, &value);
    while (rc == 0) {
        uintptr_t at = (uintptr_t)value.mv_data, end = at + value.mv_size;
        job->low = job->low == 0 || at < job->low ? at : job->low;
        job->high = end > job->high ? end : job->high;
        step = copy_entries(job->read, &value);
        rc = step < 0
                 ? MDB_CORRUPTED
                 : (step > 0 ? MDB_NOTFOUND : mdb_cursor_get(job->reading.cursor, &key, &value, MDB_NEXT));
    }
    return rc;
}

/* What was read counts as the process's memory for as long as it is mapped; a backlog would fill it. The pages stay in
 * the system's cache, and come back at a touch. */
static void forget_pages(const struct read_job *job)
{
    uintptr_t low = job->low / GW_BLOCK_PAGE_BYTES * GW_BLOCK_PAGE_BYTES;
    if (job->high > low)
        (void)madvise((void *)low, job->high - low, MADV_DONTNEED); // NOLINT(performance-no-int-to-ptr)
}

int gw_segment_read(const struct gw_segment *segment, struct gw_segment_read *read)
{
    read->count = read->used = read->needed = 0;
    read->next = read->offset;
    struct read_job job = {.reading = {.env = segment->env, .dbi = segment->blocks}, .read = read};
    int rc;
    bool whole = gw_guard_run(read_blocks, &job, &rc);
    end_reading(&job.reading);
    forget_pages(&job);
    if (!whole) {
        read->count = 0;
        return GW_EDAMAGED;
    }
    if (rc == MDB_NOTFOUND)
        rc = 0;
    if (rc == 0 && read->count > 0 && read->entries[0].offset != read->offset)
        return GW_EDAMAGED; /* the tree led past what was asked for */
    return gw_store_error(rc);
}

/* Calls visit for each record of a database in key order, in one read transaction; from a key on, if one is given. */
typedef int (*visit_fn)(void *context, const MDB_val *key, const MDB_val *value);

struct visit_job {
    struct reading reading;
    const MDB_val *from; /* NULL: all */
    visit_fn visit;
    void *context;
    int stopped;
};

static int visit_all(void *context)
{
    struct visit_job *job = context;
    MDB_val key = job->from ? *job->from : (MDB_val){0}, value;
    MDB_cursor_op step = job->from ? MDB_SET_RANGE : MDB_FIRST;
    int rc = begin_reading(&job->reading);
    for (; rc == 0 && job->stopped == 0; step = MDB_NEXT)
        if ((rc = mdb_cursor_get(job->reading.cursor, &key, &value, step)) == 0)
            job->stopped = job->visit(job->context, &key, &value);
    return rc;
}

static int each_record(MDB_env *env, MDB_dbi dbi, const MDB_val *from, visit_fn visit, void *context)
{
    struct visit_job job = {
        .reading = {.env = env, .dbi = dbi}, .from = from, .visit = visit, .context = context};
    int rc;
    bool whole = gw_guard_run(visit_all, &job, &rc);
    end_reading(&job.reading);
    if (!whole)
        return GW_EDAMAGED;
    if (job.stopped != 0)
        return job.stopped;
    return rc == MDB_NOTFOUND ? 0 : gw_store_error(rc);
}

struct row_visit {
    gw_segment_row_fn fn;
    void *context;
};

static int visit_rows(void *context, const MDB_val *key, const MDB_val *value)
{
    (void)key;
    const struct row_visit *visit = context;
    struct gw_block_reader block;
    if (gw_block_read(&block, value->mv_data, value->mv_size) != 0)
        return GW_EDAMAGED;
    struct gw_block_row row;
    int rc;
    while ((rc = gw_block_next_row(&block, &row)) == 1) {
        int stopped = visit->fn(visit->context, &row);
        if (stopped != 0)
            return stopped;
    }
    return rc;
}

int gw_segment_each_row(const struct gw_segment *segment, gw_segment_row_fn fn, void *context)
{
    struct row_visit visit = {.fn = fn, .context = context};
    return each_record(segment->env, segment->blocks, NULL, visit_rows, &visit);
}

struct quarantine_visit {
    gw_segment_quarantine_fn fn;
    void *context;
};

static int visit_quarantine(void *context, const MDB_val *key, const MDB_val *value)
{
    const struct quarantine_visit *visit = context;
    if (key->mv_size != 8)
        return GW_EDAMAGED;
    return visit->fn(visit->context, gw_get64_be(key->mv_data), value);
}

int gw_segment_quarantine_from(const struct gw_segment *segment, uint64_t number, gw_segment_quarantine_fn fn,
                               void *context)
{
    struct quarantine_visit visit = {.fn = fn, .context = context};
    uint8_t key_bytes[8];
    gw_put64_be(key_bytes, number);
    const MDB_val key = {.mv_size = sizeof key_bytes, .mv_data = key_bytes};
    return each_record(segment->env, segment->quarantine, &key, visit_quarantine, &visit);
}

int gw_segment_each_quarantine(const struct gw_segment *segment, gw_segment_quarantine_fn fn, void *context)
{
    return gw_segment_quarantine_from(segment, 0, fn, context);
}

struct walk {
    struct gw_segment_walk found;
    uint64_t epoch, txn;
    uint32_t quarantine_claimed;
};

static int walk_block(void *context, const MDB_val *key, const MDB_val *value)
{
    struct walk *walk = context;
    struct gw_block_reader block;
    if (key->mv_size != 12 || gw_block_read(&block, value->mv_data, value->mv_size) != 0)
        return GW_EDAMAGED;
    const struct gw_block_head *head = &block.head;
    if (walk->epoch == GW_EPOCH_ANY)
        walk->epoch = head->epoch;
    uint8_t expected_key[12];
    gw_put64_be(expected_key, walk->found.end);
    gw_put32_be(expected_key + 8, walk->found.blocks);
    if (memcmp(key->mv_data, expected_key, sizeof expected_key) != 0 ||
        head->first_offset != walk->found.end || head->epoch != walk->epoch || head->txn < walk->txn ||
        head->quarantine_total < walk->quarantine_claimed)
        return GW_EDAMAGED;
    uint32_t entries = 0, rows = 0;
    const uint8_t *data;
    size_t len;
    struct gw_block_row row;
    int rc;
    while ((rc = gw_block_next_entry(&block, &data, &len)) == 1)
        entries++;
    while (rc == 0 && (rc = gw_block_next_row(&block, &row)) == 1) {
        rows++;
        rc = 0;
    }
    if (rc < 0 || entries != head->entry_count || rows != head->row_count)
        return GW_EDAMAGED;
    walk->found.end += entries;
    walk->found.entries += entries;
    walk->found.blocks++;
    walk->txn = head->txn;
    walk->quarantine_claimed = head->quarantine_total;
    return 0;
}

static int walk_quarantine(void *context, uint64_t number, const MDB_val *value)
{
    struct walk *walk = context;
    struct gw_rejected record;
    if (number != (uint64_t)walk->found.quarantine + 1)
        return GW_EDAMAGED;
    walk->found.quarantine++;
    return gw_rejected_decode(value->mv_data, value->mv_size, &record);
}

/* The transaction that made the databases; each one after it has written a block. */
#define FIRST_TXN 1u

int gw_segment_walk(const char *folder, uint64_t epoch, uint64_t first_offset, struct gw_segment_walk *out)
{
    uint64_t newest_txn;
    int rc = gw_store_judge(folder, &newest_txn);
    if (rc != 0)
        return rc;
    struct gw_segment segment;
    rc = gw_audit(folder);
    if (rc == 0)
        rc = gw_segment_open(folder, &segment);
    if (rc != 0)
        return rc;
    struct walk walk = {.epoch = epoch, .txn = FIRST_TXN, .found.end = first_offset};
    rc = each_record(segment.env, segment.blocks, NULL, walk_block, &walk);
    if (rc == 0)
        rc = gw_segment_each_quarantine(&segment, walk_quarantine, &walk);
    if (rc == 0 && (walk.txn != newest_txn || walk.found.quarantine != walk.quarantine_claimed))
        rc = GW_EDAMAGED;
    walk.found.epoch = walk.epoch;
    walk.found.used_bytes = gw_store_used_bytes(segment.env);
    gw_segment_close(&segment);
    if (rc == 0)
        *out = walk.found;
    return rc;
}
