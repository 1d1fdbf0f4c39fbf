#include "journal/meta_records.h"

#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "journal/audit.h"
#include "journal/bytes.h"
#include "journal/journal.h"
#include "journal/rejected.h"
#include "journal/store.h"

#define RECORD_VERSION 1u
#define ROW_BYTES 33u      /* crc 4, version 1, committed 8, event crc 4, generation 8, touched 8 */
#define IDENTITY_BYTES 29u /* crc 4, version 1, epoch 8, gateway id 16 */
#define NUMBER_BYTES 13u   /* crc 4, version 1, number 8 */
#define SEGMENT_BYTES                                                                                        \
    54u /* crc 4, version 1, state 1, end, entries, lost, used 8 each, quarantine 4, sealed 8, count 4 */
#define ROW_KEY_BYTES_MAX (255u + 8u)

#define INFO_IDENTITY "identity"
#define INFO_NEXT "next"

static uint32_t record_crc(const MDB_val *key, const uint8_t *value, size_t len)
{
    uint32_t crc = gw_crc32c(0, key->mv_data, key->mv_size);
    return gw_crc32c(crc, value + 4, len - 4);
}

static void finish(const MDB_val *key, uint8_t *value, size_t len)
{
    value[4] = RECORD_VERSION;
    gw_put32(value, record_crc(key, value, len));
}

bool gw_meta_record_sound(const MDB_val *key, const MDB_val *value, size_t least)
{
    const uint8_t *p = value->mv_data;
    return value->mv_size >= least && gw_get32(p) == record_crc(key, p, value->mv_size) &&
           p[4] == RECORD_VERSION;
}

int gw_meta_record_put(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, uint8_t *bytes, size_t len)
{
    finish(key, bytes, len);
    MDB_val value = {.mv_size = len, .mv_data = bytes};
    return mdb_put(txn, dbi, key, &value, 0);
}

static MDB_val text_key(const char *text)
{
    return (MDB_val){.mv_size = strlen(text), .mv_data = (void *)(uintptr_t)text};
}

static int put_number(MDB_txn *txn, MDB_dbi dbi, const char *name, uint64_t number)
{
    MDB_val key = text_key(name);
    uint8_t bytes[NUMBER_BYTES];
    gw_put64(bytes + 5, number);
    return gw_meta_record_put(txn, dbi, &key, bytes, sizeof bytes);
}

int gw_identity_put(MDB_txn *txn, MDB_dbi info, const struct gw_identity *identity)
{
    MDB_val key = text_key(INFO_IDENTITY);
    uint8_t bytes[IDENTITY_BYTES];
    gw_put64(bytes + 5, identity->epoch);
    memcpy(bytes + 13, identity->gateway_id, GW_META_ID_CHARS);
    return gw_meta_record_put(txn, info, &key, bytes, sizeof bytes);
}

int gw_identity_get(MDB_txn *txn, MDB_dbi info, struct gw_identity *out)
{
    MDB_val key = text_key(INFO_IDENTITY), value;
    int rc = mdb_get(txn, info, &key, &value);
    if (rc != 0)
        return gw_store_error(rc);
    if (!gw_meta_record_sound(&key, &value, IDENTITY_BYTES))
        return GW_EDAMAGED;
    const uint8_t *p = value.mv_data;
    *out = (struct gw_identity){.epoch = gw_get64(p + 5)};
    memcpy(out->gateway_id, p + 13, GW_META_ID_CHARS);
    return 0;
}

int gw_meta_number_put(struct gw_meta_txn *t, const char *name, uint64_t number)
{
    return put_number(t->txn, t->meta->info, name, number);
}

static int get_number(MDB_txn *txn, MDB_dbi info, const char *name, uint64_t *out_number)
{
    MDB_val key = text_key(name), value;
    int rc = mdb_get(txn, info, &key, &value);
    if (rc == 0 && !gw_meta_record_sound(&key, &value, NUMBER_BYTES))
        rc = MDB_CORRUPTED;
    if (rc == 0)
        *out_number = gw_get64((const uint8_t *)value.mv_data + 5);
    return rc;
}

int gw_meta_number_get(struct gw_meta *meta, const char *name, uint64_t *out_number)
{
    pthread_rwlock_rdlock(&meta->map_lock);
    MDB_txn *txn;
    int rc = mdb_txn_begin(meta->env, NULL, MDB_RDONLY, &txn);
    if (rc == 0) {
        rc = get_number(txn, meta->info, name, out_number);
        mdb_txn_abort(txn);
    }
    pthread_rwlock_unlock(&meta->map_lock);
    return gw_store_error(rc);
}

int gw_meta_next_put(struct gw_meta_txn *t, uint64_t next)
{
    return gw_meta_number_put(t, INFO_NEXT, next);
}

int gw_meta_next_raise(struct gw_meta_txn *t, uint64_t next)
{
    uint64_t now;
    int rc = get_number(t->txn, t->meta->info, INFO_NEXT, &now);
    return rc != 0 || next <= now ? rc : gw_meta_next_put(t, next);
}

int gw_meta_next_get(struct gw_meta *meta, uint64_t *out_next)
{
    return gw_meta_number_get(meta, INFO_NEXT, out_next);
}

/* --- rows --- */

struct row_key {
    uint8_t bytes[ROW_KEY_BYTES_MAX];
    MDB_val val;
};

static void make_row_key(struct row_key *key, const char *device, size_t device_len, uint64_t stream)
{
    memcpy(key->bytes, device, device_len);
    gw_put64_be(key->bytes + device_len, stream);
    key->val = (MDB_val){.mv_size = device_len + 8, .mv_data = key->bytes};
}

static int get_row(MDB_txn *txn, MDB_dbi streams, MDB_val *key, struct gw_row *out)
{
    MDB_val value;
    int rc = mdb_get(txn, streams, key, &value);
    if (rc != 0)
        return rc;
    if (!gw_meta_record_sound(key, &value, ROW_BYTES))
        return MDB_CORRUPTED;
    const uint8_t *p = value.mv_data;
    *out = (struct gw_row){.committed = gw_get64(p + 5),
                           .crc = gw_get32(p + 13),
                           .generation = gw_get64(p + 17),
                           .touched_ms = gw_get64(p + 25),
                           .exists = true};
    return 0;
}

int gw_meta_row_get(struct gw_meta *meta, const char *device, size_t device_len, uint64_t stream,
                    struct gw_row *out)
{
    struct row_key key;
    make_row_key(&key, device, device_len, stream);
    pthread_rwlock_rdlock(&meta->map_lock);
    MDB_txn *txn;
    int rc = mdb_txn_begin(meta->env, NULL, MDB_RDONLY, &txn);
    if (rc == 0) {
        rc = get_row(txn, meta->streams, &key.val, out);
        mdb_txn_abort(txn);
    }
    pthread_rwlock_unlock(&meta->map_lock);
    return gw_store_error(rc);
}

/* The device's own keys lie among those of devices whose names begin with its own: they are longer. */
static int list_streams(MDB_cursor *cursor, const char *device, size_t device_len, uint64_t *out_streams,
                        size_t max, size_t *out_count)
{
    struct row_key first;
    make_row_key(&first, device, device_len, 0);
    MDB_val key = first.val, value;
    size_t count = 0;
    int rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    while (rc == 0 && count < max && key.mv_size >= device_len &&
           memcmp(key.mv_data, device, device_len) == 0) {
        if (key.mv_size == device_len + 8)
            out_streams[count++] = gw_get64_be((const uint8_t *)key.mv_data + device_len);
        rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    *out_count = count;
    return rc == MDB_NOTFOUND ? 0 : rc;
}

int gw_meta_streams_of(struct gw_meta *meta, const char *device, size_t device_len, uint64_t *out_streams,
                       size_t max, size_t *out_count)
{
    MDB_txn *txn;
    MDB_cursor *cursor;
    pthread_rwlock_rdlock(&meta->map_lock);
    int rc = mdb_txn_begin(meta->env, NULL, MDB_RDONLY, &txn);
    if (rc == 0) {
        rc = mdb_cursor_open(txn, meta->streams, &cursor);
        if (rc == 0) {
            rc = list_streams(cursor, device, device_len, out_streams, max, out_count);
            mdb_cursor_close(cursor);
        }
        mdb_txn_abort(txn);
    }
    pthread_rwlock_unlock(&meta->map_lock);
    return gw_store_error(rc);
}

int gw_meta_row_merge(struct gw_meta_txn *t, const char *device, size_t device_len, uint64_t stream,
                      const struct gw_row *row)
{
    struct row_key key;
    make_row_key(&key, device, device_len, stream);
    struct gw_row current = {0};
    int rc = get_row(t->txn, t->meta->streams, &key.val, &current);
    if (rc != 0 && rc != MDB_NOTFOUND)
        return rc;
    if (!gw_row_wins(row, &current))
        return 0;
    uint8_t bytes[ROW_BYTES];
    gw_put64(bytes + 5, row->committed);
    gw_put32(bytes + 13, row->crc);
    gw_put64(bytes + 17, row->generation);
    gw_put64(bytes + 25, row->touched_ms);
    return gw_meta_record_put(t->txn, t->meta->streams, &key.val, bytes, sizeof bytes);
}

static bool is_device_row(const MDB_val *key)
{
    return key->mv_size >= 8 &&
           gw_get64_be((const uint8_t *)key->mv_data + key->mv_size - 8) == GW_JOURNAL_DEVICE_ROW;
}

int gw_meta_rows_forget(struct gw_meta_txn *t, struct gw_meta_position *io_position, size_t max,
                        uint64_t before_ms)
{
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(t->txn, t->meta->streams, &cursor);
    if (rc != 0)
        return rc;
    MDB_val key = {.mv_size = io_position->len, .mv_data = io_position->key}, value;
    rc = mdb_cursor_get(cursor, &key, &value, io_position->len ? MDB_SET_RANGE : MDB_FIRST);
    for (size_t i = 0; rc == 0 && i < max; i++) {
        if (!gw_meta_record_sound(&key, &value, ROW_BYTES))
            rc = MDB_CORRUPTED;
        else if (!is_device_row(&key) && gw_get64((const uint8_t *)value.mv_data + 25) < before_ms)
            rc = mdb_cursor_del(cursor, 0);
        if (rc == 0)
            rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    if (rc == 0 && key.mv_size <= sizeof io_position->key) {
        memcpy(io_position->key, key.mv_data, key.mv_size);
        io_position->len = key.mv_size;
    } else {
        io_position->len = 0;
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* --- segments --- */

int gw_meta_segment_put(struct gw_meta_txn *t, const struct gw_segment_record *record)
{
    uint8_t key_bytes[8];
    gw_put64_be(key_bytes, record->first);
    MDB_val key = {.mv_size = sizeof key_bytes, .mv_data = key_bytes};
    size_t len = SEGMENT_BYTES + record->digest_count * 4;
    uint8_t *bytes = calloc(1, len);
    if (!bytes)
        return GW_ENOMEM;
    bytes[5] = (uint8_t)record->state;
    gw_put64(bytes + 6, record->end);
    gw_put64(bytes + 14, record->entries);
    gw_put64(bytes + 22, record->lost);
    gw_put64(bytes + 30, record->used_bytes);
    gw_put32(bytes + 38, record->quarantine);
    gw_put64(bytes + 42, record->sealed_ms);
    gw_put32(bytes + 50, (uint32_t)record->digest_count);
    for (size_t i = 0; i < record->digest_count; i++)
        gw_put32(bytes + SEGMENT_BYTES + i * 4, record->digests[i]);
    int rc = gw_meta_record_put(t->txn, t->meta->segments, &key, bytes, len);
    free(bytes);
    return rc;
}

int gw_meta_segment_delete(struct gw_meta_txn *t, uint64_t first)
{
    uint8_t key_bytes[8];
    gw_put64_be(key_bytes, first);
    MDB_val key = {.mv_size = sizeof key_bytes, .mv_data = key_bytes};
    int rc = mdb_del(t->txn, t->meta->segments, &key, NULL);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int decode_segment(const MDB_val *key, const MDB_val *value, struct gw_segment_record *out)
{
    if (key->mv_size != 8 || !gw_meta_record_sound(key, value, SEGMENT_BYTES))
        return GW_EDAMAGED;
    const uint8_t *p = value->mv_data;
    *out = (struct gw_segment_record){.first = gw_get64_be(key->mv_data),
                                      .state = p[5],
                                      .end = gw_get64(p + 6),
                                      .entries = gw_get64(p + 14),
                                      .lost = gw_get64(p + 22),
                                      .used_bytes = gw_get64(p + 30),
                                      .quarantine = gw_get32(p + 38),
                                      .sealed_ms = gw_get64(p + 42),
                                      .digest_count = gw_get32(p + 50)};
    bool sensible = out->state >= GW_SEGMENT_ACTIVE && out->state <= GW_SEGMENT_RECLAIMING &&
                    out->end >= out->first && value->mv_size == SEGMENT_BYTES + out->digest_count * 4;
    return sensible ? 0 : GW_EDAMAGED;
}

/* In one read transaction: visit must not write to meta. */
int gw_meta_each_record_from(struct gw_meta *meta, MDB_dbi dbi, const MDB_val *from, gw_record_fn visit,
                             void *context)
{
    pthread_rwlock_rdlock(&meta->map_lock);
    MDB_txn *txn;
    MDB_cursor *cursor;
    int stopped = 0, rc = mdb_txn_begin(meta->env, NULL, MDB_RDONLY, &txn);
    if (rc == 0) {
        rc = mdb_cursor_open(txn, dbi, &cursor);
        if (rc == 0) {
            MDB_val key = from ? *from : (MDB_val){0}, value;
            MDB_cursor_op step = from ? MDB_SET_RANGE : MDB_FIRST;
            for (; stopped == 0 && (rc = mdb_cursor_get(cursor, &key, &value, step)) == 0; step = MDB_NEXT)
                stopped = visit(context, &key, &value);
            mdb_cursor_close(cursor);
        }
        mdb_txn_abort(txn);
    }
    pthread_rwlock_unlock(&meta->map_lock);
    if (stopped != 0)
        return stopped;
    return rc == MDB_NOTFOUND ? 0 : gw_store_error(rc);
}

int gw_meta_each_record(struct gw_meta *meta, MDB_dbi dbi, gw_record_fn visit, void *context)
{
    return gw_meta_each_record_from(meta, dbi, NULL, visit, context);
}

struct segment_visit {
    gw_meta_segment_fn fn;
    void *context;
};

static int visit_segment(void *context, const MDB_val *key, const MDB_val *value)
{
    const struct segment_visit *visit = context;
    struct gw_segment_record record;
    int rc = decode_segment(key, value, &record);
    return rc != 0 ? rc : visit->fn(visit->context, &record);
}

int gw_meta_each_segment(struct gw_meta *meta, gw_meta_segment_fn fn, void *context)
{
    struct segment_visit visit = {.fn = fn, .context = context};
    return gw_meta_each_record(meta, meta->segments, visit_segment, &visit);
}

int gw_meta_digests_get(struct gw_meta *meta, uint64_t first, uint32_t **out_digests, size_t *out_count)
{
    uint8_t key_bytes[8];
    gw_put64_be(key_bytes, first);
    MDB_val key = {.mv_size = sizeof key_bytes, .mv_data = key_bytes}, value;
    pthread_rwlock_rdlock(&meta->map_lock);
    MDB_txn *txn;
    int rc = gw_store_error(mdb_txn_begin(meta->env, NULL, MDB_RDONLY, &txn));
    if (rc == 0) {
        struct gw_segment_record record = {0};
        rc = gw_store_error(mdb_get(txn, meta->segments, &key, &value));
        if (rc == 0)
            rc = decode_segment(&key, &value, &record);
        uint32_t *digests = rc == 0 ? malloc((record.digest_count + 1) * sizeof *digests) : NULL;
        if (rc == 0 && !digests)
            rc = GW_ENOMEM;
        for (size_t i = 0; rc == 0 && i < record.digest_count; i++)
            digests[i] = gw_get32((const uint8_t *)value.mv_data + SEGMENT_BYTES + i * 4);
        if (rc == 0) {
            *out_digests = digests;
            *out_count = record.digest_count;
        }
        mdb_txn_abort(txn);
    }
    pthread_rwlock_unlock(&meta->map_lock);
    return rc;
}

/* --- cursors --- */

int gw_meta_cursor_put(struct gw_meta_txn *t, const char *sink, uint64_t offset)
{
    return put_number(t->txn, t->meta->cursors, sink, offset);
}

struct cursor_visit {
    gw_meta_cursor_fn fn;
    void *context;
};

static int visit_cursor(void *context, const MDB_val *key, const MDB_val *value)
{
    const struct cursor_visit *visit = context;
    char name[GW_META_SINK_CHARS_MAX + 1];
    if (key->mv_size > GW_META_SINK_CHARS_MAX || !gw_meta_record_sound(key, value, NUMBER_BYTES))
        return GW_EDAMAGED;
    memcpy(name, key->mv_data, key->mv_size);
    name[key->mv_size] = '\0';
    return visit->fn(visit->context, name, gw_get64((const uint8_t *)value->mv_data + 5));
}

int gw_meta_each_cursor(struct gw_meta *meta, gw_meta_cursor_fn fn, void *context)
{
    struct cursor_visit visit = {.fn = fn, .context = context};
    return gw_meta_each_record(meta, meta->cursors, visit_cursor, &visit);
}

uint64_t gw_meta_bytes(const struct gw_meta *meta)
{
    return meta->map_bytes * 2; /* with its ballast */
}

/* --- the walk of a child process --- */

static int walk_row(void *context, const MDB_val *key, const MDB_val *value)
{
    (void)context;
    return key->mv_size >= 8 && key->mv_size <= ROW_KEY_BYTES_MAX &&
                   gw_meta_record_sound(key, value, ROW_BYTES)
               ? 0
               : GW_EDAMAGED;
}

static int walk_info(void *context, const MDB_val *key, const MDB_val *value)
{
    (void)context;
    return gw_meta_record_sound(key, value, NUMBER_BYTES) ? 0 : GW_EDAMAGED;
}

static int walk_segment(void *context, const MDB_val *key, const MDB_val *value)
{
    (void)context;
    struct gw_segment_record record;
    return decode_segment(key, value, &record);
}

static int walk_cursor(void *context, const char *sink, uint64_t offset)
{
    (void)context;
    (void)sink;
    (void)offset;
    return 0;
}

static int walk_quarantine(void *context, const MDB_val *key, const MDB_val *value)
{
    (void)context;
    struct gw_rejected record;
    return key->mv_size == 16 ? gw_rejected_decode(value->mv_data, value->mv_size, &record) : GW_EDAMAGED;
}

int gw_meta_walk(const char *folder)
{
    uint64_t txn;
    int rc = gw_store_judge(folder, &txn);
    if (rc != 0)
        return rc;
    struct gw_meta *meta;
    rc = gw_audit(folder);
    if (rc == 0)
        rc = gw_meta_open(folder, false, &meta, NULL);
    if (rc != 0)
        return rc;
    if ((rc = gw_meta_each_record(meta, meta->info, walk_info, NULL)) == 0 &&
        (rc = gw_meta_each_record(meta, meta->streams, walk_row, NULL)) == 0 &&
        (rc = gw_meta_each_record(meta, meta->segments, walk_segment, NULL)) == 0 &&
        (rc = gw_meta_each_cursor(meta, walk_cursor, NULL)) == 0)
        rc = gw_meta_each_record(meta, meta->quarantine, walk_quarantine, NULL);
    gw_meta_close(meta);
    return rc;
}
