/*
 * What `meta` and the segments share: one LMDB environment in a folder of its own, made so that a power cut
 * leaves either none of it or all of it.
 */
#ifndef GW_JOURNAL_STORE_H
#define GW_JOURNAL_STORE_H

#include <lmdb.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define GW_STORE_DATA "data.mdb"
#define GW_STORE_PAGE_BYTES 4096u
#define GW_STORE_DBS_MAX 8

/* Of an LMDB return code: GW_EAGAIN the map is full, GW_EFULL the disk is, GW_EDAMAGED, GW_ENOMEM, GW_EIO …
 */
int gw_store_error(int lmdb_code);

/*
 * Makes `folder` with an environment of `bytes`, preallocated, with the named databases in it: first under
 * folder.tmp, everything synced, then renamed, then the parent is synced. On return the environment is open
 * for writing and durable on disk. On failure nothing is left but perhaps folder.tmp.
 */
struct gw_store_plan {
    const char *parent, *name;
    const char *spare; /* a path: a file to write over, if it is there (spare.h); NULL: none */
    uint64_t bytes;
    const char *const *databases; /* NULL ends the list */
};
GW_MUST_CHECK int gw_store_create(const struct gw_store_plan *plan, MDB_env **out_env, MDB_dbi *out_dbis,
                                  int *out_errno);

/* Opens an existing one for writing. The lock file of the process before is removed: LOCK says we are alone.
 */
GW_MUST_CHECK int gw_store_open_writable(const char *folder, MDB_env **out_env, int *out_errno);
/* Opens for reading only, without a lock file: nobody writes to it any more. */
GW_MUST_CHECK int gw_store_open_frozen(const char *folder, MDB_env **out_env, int *out_errno);

/* Bytes of the data file that its pages use. */
uint64_t gw_store_used_bytes(MDB_env *env);

/*
 * Judges the two meta pages of a data file without mapping it: both must be well-formed, and as each
 * transaction writes the one of its own parity, their numbers must follow each other. Catches the flip of a
 * bit that would make LMDB choose an older state in silence. 0; GW_EDAMAGED; GW_EIO. out_txn: the newer
 * number.
 */
GW_MUST_CHECK int gw_store_judge(const char *folder, uint64_t *out_txn);

#endif
