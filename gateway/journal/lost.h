/*
 * What sinks that were left behind (journal/detach.h) did not get: a record in `meta` for each range, in the transaction
 * that lets its segment go. Ranges that touch are one; a sink has at most GW_LOST_RANGES_MAX, then the two oldest are one,
 * with what lies between them.
 */
#ifndef GW_JOURNAL_LOST_H
#define GW_JOURNAL_LOST_H

#include "journal/meta.h"

#define GW_LOST_RANGES_MAX 16

struct gw_lost_range {
    uint64_t epoch, from, to;   /* offsets; `to` is the first that was kept */
    uint64_t entries;           /* that were in it */
    uint64_t first_ms, last_ms; /* UTC: when its first and its last segment went */
};

struct gw_lost_list {
    struct gw_lost_range ranges[GW_LOST_RANGES_MAX]; /* oldest first */
    size_t count;
};

/* Adds a range behind the others. Pure. */
void gw_lost_add(struct gw_lost_list *list, const struct gw_lost_range *range);

/* Inside gw_meta_update: adds a range to a sink's record. LMDB's codes. */
GW_MUST_CHECK int gw_meta_lost_add(struct gw_meta_txn *t, const char *sink,
                                   const struct gw_lost_range *range);

typedef int (*gw_meta_lost_fn)(void *context, const char *sink, const struct gw_lost_list *list);
/* Calls fn for each sink that has lost something, in one read transaction. 0; fn's result; GW_EDAMAGED; GW_EIO. */
GW_MUST_CHECK int gw_meta_each_lost(struct gw_meta *meta, gw_meta_lost_fn fn, void *context);

#endif
