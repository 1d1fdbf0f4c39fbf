/* How the records of `meta` look as bytes; each begins with a CRC-32C over its key and the rest of its value.
 */
#ifndef GW_JOURNAL_META_RECORDS_H
#define GW_JOURNAL_META_RECORDS_H

#include <lmdb.h>

#include "journal/meta.h"

struct gw_identity {
    uint64_t epoch;
    char gateway_id[GW_META_ID_CHARS + 1];
};

/* LMDB's codes. */
GW_MUST_CHECK int gw_identity_put(MDB_txn *txn, MDB_dbi info, const struct gw_identity *identity);
/* 0, GW_ENOTFOUND, GW_EDAMAGED, GW_EIO. */
GW_MUST_CHECK int gw_identity_get(MDB_txn *txn, MDB_dbi info, struct gw_identity *out);

/* Seals a record's bytes (the first 5 are filled in here) and puts them. LMDB's codes. */
GW_MUST_CHECK int gw_meta_record_put(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, uint8_t *bytes, size_t len);
/* Whether a record is as it was put, and has `least` bytes. */
bool gw_meta_record_sound(const MDB_val *key, const MDB_val *value, size_t least);

#define GW_META_TRIMMED "trimmed" /* offset after the last entry that was let go */

/* A number by its name in `info`. LMDB's codes. */
GW_MUST_CHECK int gw_meta_number_put(struct gw_meta_txn *t, const char *name, uint64_t number);
/* 0, GW_ENOTFOUND, GW_EDAMAGED, GW_EIO. */
GW_MUST_CHECK int gw_meta_number_get(struct gw_meta *meta, const char *name, uint64_t *out_number);

/* Calls visit for each record in order; a result other than 0 ends the walk and is returned. 0, GW_EIO. */
typedef int (*gw_record_fn)(void *context, const MDB_val *key, const MDB_val *value);
GW_MUST_CHECK int gw_meta_each_record(struct gw_meta *meta, MDB_dbi dbi, gw_record_fn visit, void *context);
/* The same from the first key on that is not below `from`. */
GW_MUST_CHECK int gw_meta_each_record_from(struct gw_meta *meta, MDB_dbi dbi, const MDB_val *from,
                                           gw_record_fn visit, void *context);

#endif
