#include "journal/segment.h"

#include <stdio.h>
#include <string.h>

#include "base/crc32c.h"
#include "journal/bytes.h"
#include "journal/guard.h"
#include "journal/rejected.h"
#include "journal/store.h"

#define KEY_BYTES 12u

struct gw_segment_name gw_segment_name(uint64_t first_offset)
{
    struct gw_segment_name name;
    snprintf(name.text, sizeof name.text, "%020llu", (unsigned long long)first_offset);
    return name;
}

bool gw_segment_name_parse(const char *name, uint64_t *out_first_offset)
{
    if (strlen(name) != GW_SEGMENT_NAME_BYTES - 1 || strspn(name, "0123456789") != GW_SEGMENT_NAME_BYTES - 1)
        return false;
    uint64_t value = 0;
    for (const char *p = name; *p; p++) {
        if (__builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
            return false;
    }
    *out_first_offset = value;
    return true;
}

int gw_segment_create(const char *parent, uint64_t first_offset, uint64_t bytes, const char *spare,
                      struct gw_segment *out, int *out_errno)
{
    static const char *const databases[] = {"blocks", "quarantine", NULL};
    struct gw_segment_name name = gw_segment_name(first_offset);
    struct gw_store_plan plan = {
        .parent = parent, .name = name.text, .spare = spare, .bytes = bytes, .databases = databases};
    MDB_env *env;
    MDB_dbi dbis[2];
    int rc = gw_store_create(&plan, &env, dbis, out_errno);
    if (rc == 0)
        *out = (struct gw_segment){.env = env, .blocks = dbis[0], .quarantine = dbis[1]};
    return rc;
}

int gw_segment_open(const char *folder, struct gw_segment *out)
{
    struct gw_segment s = {0};
    int errno_value;
    int rc = gw_store_open_frozen(folder, &s.env, &errno_value);
    if (rc != 0)
        return rc;
    MDB_txn *txn;
    rc = mdb_txn_begin(s.env, NULL, MDB_RDONLY, &txn);
    if (rc == 0) {
        rc = mdb_dbi_open(txn, "blocks", 0, &s.blocks);
        if (rc == 0)
            rc = mdb_dbi_open(txn, "quarantine", 0, &s.quarantine);
        /* A commit, so that the handles stay: they would be closed by an abort. */
        if (rc == 0)
            rc = mdb_txn_commit(txn);
        else
            mdb_txn_abort(txn);
    }
    if (rc != 0) {
        mdb_env_close(s.env);
        return rc == MDB_NOTFOUND ? GW_EDAMAGED : gw_store_error(rc);
    }
    *out = s;
    return 0;
}

void gw_segment_close(struct gw_segment *segment)
{
    if (segment->env)
        mdb_env_close(segment->env);
    *segment = (struct gw_segment){0};
}

static size_t share(const struct gw_journal_write *write, size_t more)
{
    size_t used = (write->lanes[0].stream != 0) + (write->lanes[1].stream != 0) + more;
    return used * gw_block_row_bytes(strlen(write->device)) +
           (write->entry ? gw_block_entry_bytes(write->entry_len) : 0);
}

static size_t block_share(const struct gw_segment_item *item)
{
    return share(item->write, item->more_count);
}

size_t gw_segment_item_bytes(const struct gw_journal_write *write)
{
    size_t bytes = share(write, write->names_streams ? GW_SEGMENT_MORE_MAX : 1);
    for (size_t i = 0; i < write->quarantine_count; i++)
        bytes +=
            gw_rejected_bytes(strlen(write->device), write->quarantine[i].sealed_len) + GW_BLOCK_PAGE_BYTES;
    return bytes +
           write->settle_count * gw_rejected_bytes(strlen(write->device), GW_REJECTED_PLACE_BYTES + 16);
}

static void put_row(struct gw_block_writer *w, const char *device, uint64_t stream, const struct gw_row *row)
{
    gw_block_add_row(w, &(struct gw_block_row){.device = device,
                                               .device_len = strlen(device),
                                               .stream = stream,
                                               .committed = row->committed,
                                               .generation = row->generation,
                                               .touched_ms = row->touched_ms,
                                               .crc = row->crc});
}

static int put_block(struct gw_segment *segment, MDB_txn *txn, struct gw_segment_tail *tail,
                     const struct gw_segment_item *items, size_t count, size_t bytes)
{
    uint8_t key_bytes[KEY_BYTES];
    gw_put64_be(key_bytes, tail->next_offset);
    gw_put32_be(key_bytes + 8, tail->block_count);
    MDB_val key = {.mv_size = sizeof key_bytes, .mv_data = key_bytes}, value = {.mv_size = bytes};
    int rc = mdb_put(txn, segment->blocks, &key, &value, MDB_APPEND | MDB_RESERVE);
    if (rc != 0)
        return rc;
    struct gw_block_writer w;
    gw_block_open(&w, value.mv_data, bytes);
    for (size_t i = 0; i < count; i++) {
        if (items[i].write->entry)
            gw_block_add_entry(&w, items[i].write->entry, items[i].write->entry_len);
    }
    for (size_t i = 0; i < count; i++) {
        const struct gw_journal_write *write = items[i].write;
        for (size_t lane = 0; lane < 2; lane++)
            if (items[i].rows[lane].exists)
                put_row(&w, write->device, write->lanes[lane].stream, &items[i].rows[lane]);
        for (size_t k = 0; k < items[i].more_count; k++)
            put_row(&w, write->device, items[i].more[k].stream, &items[i].more[k].row);
    }
    uint32_t entries = w.entry_count;
    gw_block_close(&w, &(struct gw_block_head){.epoch = tail->epoch,
                                               .first_offset = tail->next_offset,
                                               .txn = mdb_txn_id(txn),
                                               .quarantine_total = tail->quarantine_count});
    tail->next_offset += entries;
    tail->block_count++;
    return 0;
}

static int put_rejected(struct gw_segment *segment, MDB_txn *txn, struct gw_segment_tail *tail,
                        const struct gw_rejected *record)
{
    uint8_t key_bytes[8];
    gw_put64_be(key_bytes, tail->quarantine_count + 1);
    MDB_val key = {.mv_size = sizeof key_bytes, .mv_data = key_bytes};
    MDB_val value = {.mv_size = gw_rejected_bytes(record->device_len, record->sealed_len)};
    int rc = mdb_put(txn, segment->quarantine, &key, &value, MDB_APPEND | MDB_RESERVE);
    if (rc != 0)
        return rc;
    gw_rejected_encode(record, value.mv_data);
    tail->quarantine_count++;
    return 0;
}

static int put_quarantine(struct gw_segment *segment, MDB_txn *txn, struct gw_segment_tail *tail,
                          const struct gw_journal_write *write, uint64_t now_ms)
{
    const size_t device_len = strlen(write->device);
    for (size_t i = 0; i < write->quarantine_count; i++) {
        const struct gw_journal_quarantine *q = &write->quarantine[i];
        const struct gw_rejected record = {.device = write->device,
                                           .device_len = device_len,
                                           .stream = q->stream,
                                           .seq = q->seq,
                                           .code = q->code,
                                           .received_ms = now_ms,
                                           .sealed = q->sealed,
                                           .sealed_len = q->sealed_len};
        int rc = put_rejected(segment, txn, tail, &record);
        if (rc != 0)
            return rc;
    }
    for (size_t i = 0; i < write->settle_count; i++) {
        const struct gw_journal_settled *settled = &write->settles[i];
        const struct gw_rejected record = {.device = write->device,
                                           .device_len = device_len,
                                           .stream = settled->stream,
                                           .seq = settled->seq,
                                           .received_ms = now_ms,
                                           .sealed_len = GW_REJECTED_PLACE_BYTES,
                                           .settles = true,
                                           .place = settled->place};
        int rc = put_rejected(segment, txn, tail, &record);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int put_all(struct gw_segment *segment, MDB_txn *txn, struct gw_segment_tail *tail,
                   const struct gw_segment_item *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct gw_row *row = items[i].rows[0].exists ? &items[i].rows[0] : &items[i].rows[1];
        int rc = put_quarantine(segment, txn, tail, items[i].write, row->touched_ms);
        if (rc != 0)
            return rc;
    }
    size_t begin = 0;
    while (begin < count) {
        size_t bytes = GW_BLOCK_HEADER_BYTES + block_share(&items[begin]), end = begin + 1;
        while (end < count && bytes + block_share(&items[end]) <= GW_BLOCK_BYTES_MAX)
            bytes += block_share(&items[end++]);
        int rc = put_block(segment, txn, tail, items + begin, end - begin, bytes);
        if (rc != 0)
            return rc;
        begin = end;
    }
    return 0;
}

struct append_job {
    struct gw_segment *segment;
    struct gw_segment_tail *tail;
    const struct gw_segment_item *items;
    size_t count;
    MDB_txn *txn;
};

static int append(void *context)
{
    struct append_job *job = context;
    int rc = mdb_txn_begin(job->segment->env, NULL, 0, &job->txn);
    if (rc == 0)
        rc = put_all(job->segment, job->txn, job->tail, job->items, job->count);
    if (rc != 0)
        return rc;
    /* Writes the pages, fdatasync, then the meta page through a descriptor opened with O_DSYNC. */
    rc = mdb_txn_commit(job->txn);
    job->txn = NULL;
    return rc;
}

int gw_segment_append(struct gw_segment *segment, struct gw_segment_tail *tail,
                      const struct gw_segment_item *items, size_t count)
{
    struct gw_segment_tail moved = *tail;
    struct append_job job = {.segment = segment, .tail = &moved, .items = items, .count = count};
    int rc;
    bool whole = gw_guard_run(append, &job, &rc);
    if (job.txn)
        mdb_txn_abort(job.txn);
    if (!whole)
        return GW_EIO; /* a page that LMDB wanted to read is gone */
    if (rc == 0)
        *tail = moved;
    return gw_store_error(rc);
}
