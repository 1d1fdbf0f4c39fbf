/* What meta.c and meta_renew.c share. */
#ifndef GW_JOURNAL_META_INSIDE_H
#define GW_JOURNAL_META_INSIDE_H

#include "journal/meta.h"

#define GW_META_DATABASES 5
extern const char *const gw_meta_databases[]; /* NULL ends the list */

/* LMDB's codes. */
int gw_meta_open_databases(MDB_env *env, MDB_dbi *out_dbis);
/* Of a poisoned one; 0 if it is not. The write lock is held. */
GW_MUST_CHECK int gw_meta_renew_locked(struct gw_meta *meta);
/* True: there was one, and its space is free now. The write lock is held. */
bool gw_meta_drop_ballast(struct gw_meta *meta);

#endif
