/* Quarantine in `meta`: what came with segments that are sealed. */
#include "journal/bytes.h"
#include "journal/meta_records.h"
#include "journal/rejected.h"
#include "journal/store.h"

static MDB_val place_key(uint64_t first, uint64_t number, uint8_t out_bytes[16])
{
    gw_put64_be(out_bytes, first);
    gw_put64_be(out_bytes + 8, number);
    return (MDB_val){.mv_size = 16, .mv_data = out_bytes};
}

int gw_meta_quarantine_put(struct gw_meta_txn *t, uint64_t first, uint64_t number, const MDB_val *value)
{
    uint8_t key_bytes[16];
    MDB_val key = place_key(first, number, key_bytes), copy = *value;
    return mdb_put(t->txn, t->meta->quarantine, &key, &copy, 0);
}

int gw_meta_quarantine_delete(struct gw_meta_txn *t, uint64_t first, uint64_t number)
{
    uint8_t key_bytes[16];
    MDB_val key = place_key(first, number, key_bytes);
    int rc = mdb_del(t->txn, t->meta->quarantine, &key, NULL);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

int gw_meta_quarantine_has(struct gw_meta *meta, uint64_t first, uint64_t number)
{
    uint8_t key_bytes[16];
    MDB_val key = place_key(first, number, key_bytes), value;
    MDB_txn *txn;
    pthread_rwlock_rdlock(&meta->map_lock);
    int rc = mdb_txn_begin(meta->env, NULL, MDB_RDONLY, &txn);
    if (rc == 0) {
        rc = mdb_get(txn, meta->quarantine, &key, &value);
        mdb_txn_abort(txn);
    }
    pthread_rwlock_unlock(&meta->map_lock);
    return gw_store_error(rc);
}

int gw_meta_quarantine_trim(struct gw_meta_txn *t, uint64_t now_ms, uint64_t *out_evicted)
{
    MDB_stat stat;
    MDB_cursor *cursor;
    uint64_t evicted = 0;
    int rc = mdb_stat(t->txn, t->meta->quarantine, &stat);
    if (rc == 0)
        rc = mdb_cursor_open(t->txn, t->meta->quarantine, &cursor);
    if (rc != 0)
        return rc;
    uint64_t count = stat.ms_entries;
    MDB_val key, value;
    while ((rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST)) == 0) {
        struct gw_rejected record;
        if (gw_rejected_decode(value.mv_data, value.mv_size, &record) != 0) {
            rc = MDB_CORRUPTED;
            break;
        }
        bool expired =
            record.received_ms + GW_META_QUARANTINE_MS<now_ms, above = count> GW_META_QUARANTINE_MAX;
        if (!expired && !above)
            break;
        rc = mdb_cursor_del(cursor, 0);
        if (rc != 0)
            break;
        count--;
        evicted += !expired;
    }
    mdb_cursor_close(cursor);
    if (rc == 0 || rc == MDB_NOTFOUND)
        *out_evicted = evicted;
    return rc == MDB_NOTFOUND ? 0 : rc;
}

uint64_t gw_meta_quarantine_count(struct gw_meta *meta)
{
    MDB_stat stat = {0};
    MDB_txn *txn;
    pthread_rwlock_rdlock(&meta->map_lock);
    if (mdb_txn_begin(meta->env, NULL, MDB_RDONLY, &txn) == 0) {
        if (mdb_stat(txn, meta->quarantine, &stat) != 0)
            stat.ms_entries = 0;
        mdb_txn_abort(txn);
    }
    pthread_rwlock_unlock(&meta->map_lock);
    return stat.ms_entries;
}

struct quarantine_visit {
    gw_meta_quarantine_fn fn;
    void *context;
};

static int visit_quarantine(void *context, const MDB_val *key, const MDB_val *value)
{
    const struct quarantine_visit *visit = context;
    const uint8_t *place = key->mv_data;
    return key->mv_size == 16 ? visit->fn(visit->context, gw_get64_be(place), gw_get64_be(place + 8), value)
                              : GW_EDAMAGED;
}

int gw_meta_quarantine_from(struct gw_meta *meta, uint64_t first, uint64_t number, gw_meta_quarantine_fn fn,
                            void *context)
{
    struct quarantine_visit visit = {.fn = fn, .context = context};
    uint8_t key_bytes[16];
    const MDB_val key = place_key(first, number, key_bytes);
    return gw_meta_each_record_from(meta, meta->quarantine, &key, visit_quarantine, &visit);
}

int gw_meta_each_quarantine(struct gw_meta *meta, gw_meta_quarantine_fn fn, void *context)
{
    return gw_meta_quarantine_from(meta, 0, 0, fn, context);
}
