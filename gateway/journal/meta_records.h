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

#endif
