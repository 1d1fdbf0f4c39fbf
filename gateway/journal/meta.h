/*
 * `meta`: what outlives segments. Who this gateway is, the merged stream rows, the list of segments with
 * their digests, cursors, quarantine. Small, preallocated, grown by doubling. Each record carries a CRC.
 */
#ifndef GW_JOURNAL_META_H
#define GW_JOURNAL_META_H

#include <lmdb.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "journal/rows.h"

#define GW_META_ID_CHARS 16
#define GW_META_QUARANTINE_MAX 16384u /* entries kept; beyond it the oldest go */
#define GW_META_QUARANTINE_MS ((uint64_t)7 * 24 * 3600 * 1000)
#define GW_META_SINK_CHARS_MAX 64

enum gw_segment_state {
    GW_SEGMENT_ACTIVE = 1,
    GW_SEGMENT_SEALED = 2, /* merged, digest known */
    GW_SEGMENT_SUSPECT =
        3, /* merged, but no digest: it is not made yet, or a sync failed; a child walks it before it is mapped */
    GW_SEGMENT_DAMAGED = 4,    /* set aside in damaged/ */
    GW_SEGMENT_RECLAIMING = 5, /* every sink is past it: on its way out */
};

struct gw_segment_record {
    uint64_t first, end; /* offsets; the next segment starts at end or later */
    uint64_t entries, used_bytes;
    /* Entries, if it is damaged. A suspect one has `entries` here if it was cut and synced, so that it lacks its digest only,
     * and 0 if a sync of it had failed, or it has none. */
    uint64_t lost;
    uint64_t sealed_ms; /* UTC; 0: not known */
    uint32_t quarantine;
    enum gw_segment_state state;
    const uint32_t *digests; /* when putting; NULL when listing */
    size_t digest_count;
};

struct gw_meta {
    MDB_env *env;
    MDB_dbi info, streams, segments, cursors, quarantine;
    char *folder;
    _Atomic uint64_t map_bytes; /* any thread asks for it while the committer grows it */
    uint64_t epoch;
    char gateway_id[GW_META_ID_CHARS + 1];
    pthread_rwlock_t map_lock; /* written while the map grows: no transaction may be open then */
    pthread_mutex_t write_lock;
    bool poisoned;                       /* a sync failed: this environment is never synced again */
    uint64_t renew_at_ms, ballast_at_ms; /* monotonic: not tried before */
};

/* Makes one with a new random epoch and gateway id. */
GW_MUST_CHECK int gw_meta_create(const char *parent, uint64_t bytes, struct gw_error *error);
/* Opens one that gw_check_meta found sound; not writable: without a lock file, for looking only. */
GW_MUST_CHECK int gw_meta_open(const char *folder, bool writable, struct gw_meta **out,
                               struct gw_error *error);
void gw_meta_close(struct gw_meta *meta);
/* Reads and checks everything; for a child process only. */
GW_MUST_CHECK int gw_meta_walk(const char *folder);

/* 0, GW_ENOTFOUND, GW_EDAMAGED, GW_EIO. Any thread. */
GW_MUST_CHECK int gw_meta_row_get(struct gw_meta *meta, const char *device, size_t device_len,
                                  uint64_t stream, struct gw_row *out);
/* The streams of a device that have rows, in *out_count of `max`. 0, GW_EDAMAGED, GW_EIO. Any thread. */
GW_MUST_CHECK int gw_meta_streams_of(struct gw_meta *meta, const char *device, size_t device_len,
                                     uint64_t *out_streams, size_t max, size_t *out_count);
/* The offset below which segments have been begun. */
GW_MUST_CHECK int gw_meta_next_get(struct gw_meta *meta, uint64_t *out_next);
GW_MUST_CHECK int gw_meta_digests_get(struct gw_meta *meta, uint64_t first, uint32_t **out_digests,
                                      size_t *out_count);

typedef int (*gw_meta_segment_fn)(void *context, const struct gw_segment_record *record);
typedef int (*gw_meta_cursor_fn)(void *context, const char *sink, uint64_t offset);
GW_MUST_CHECK int gw_meta_each_segment(struct gw_meta *meta, gw_meta_segment_fn fn, void *context);
GW_MUST_CHECK int gw_meta_each_cursor(struct gw_meta *meta, gw_meta_cursor_fn fn, void *context);
uint64_t gw_meta_quarantine_count(struct gw_meta *meta);
/* 0, GW_ENOTFOUND, GW_EIO. Any thread. */
GW_MUST_CHECK int gw_meta_quarantine_has(struct gw_meta *meta, uint64_t first, uint64_t number);
/* first: offset of the segment that it came from; number: the one it had there. */
typedef int (*gw_meta_quarantine_fn)(void *context, uint64_t first, uint64_t number, const MDB_val *value);
GW_MUST_CHECK int gw_meta_each_quarantine(struct gw_meta *meta, gw_meta_quarantine_fn fn, void *context);
/* The same from a place on. */
GW_MUST_CHECK int gw_meta_quarantine_from(struct gw_meta *meta, uint64_t first, uint64_t number,
                                          gw_meta_quarantine_fn fn, void *context);
/* Of the map and its ballast. */
uint64_t gw_meta_bytes(const struct gw_meta *meta);

/*
 * One synced transaction: change is called inside it, once more if the map had to grow. After GW_EIO the
 * environment is poisoned and never synced again: the next update first puts a new one in its place, and fails with
 * GW_EIO or GW_EFULL if the disk does not let it. GW_EFULL: the map is full and the disk has no room to grow it.
 */
struct gw_meta_txn {
    struct gw_meta *meta;
    MDB_txn *txn;
};
typedef int (*gw_meta_change_fn)(void *context, struct gw_meta_txn *txn);
GW_MUST_CHECK int gw_meta_update(struct gw_meta *meta, gw_meta_change_fn change, void *context);

/* A new random epoch; positions of the one before it hold up to `end`. Errors of gw_meta_update. */
GW_MUST_CHECK int gw_meta_mint(struct gw_meta *meta, uint64_t end);
/* 0 with the offset up to which positions of an epoch before this one hold; GW_ENOTFOUND: not one of ours; GW_EDAMAGED;
 * GW_EIO. */
GW_MUST_CHECK int gw_meta_ancestor_get(struct gw_meta *meta, uint64_t epoch, uint64_t *out_end);

/* Puts a new environment in the place of a poisoned one, at most once a second; nothing to do else. It may block for
 * as long as a start takes. GW_EIO, GW_EFULL: it stays as it is. Any thread. */
GW_MUST_CHECK int gw_meta_renew(struct gw_meta *meta);
/* A copy of it as it is now, synced, in a folder that is there. 0 or an errno value. Any thread. */
int gw_meta_copy(struct gw_meta *meta, const char *folder);
/* Keeps a file beside the map that is as large as it: given up when the map must grow, or be renewed, on a full disk.
 * Tried at most each ten seconds. Any thread. */
void gw_meta_keep_ballast(struct gw_meta *meta);

/* Inside gw_meta_update. They return what `change` is to return: LMDB's codes. */
GW_MUST_CHECK int gw_meta_row_merge(struct gw_meta_txn *t, const char *device, size_t device_len,
                                    uint64_t stream, const struct gw_row *row);
GW_MUST_CHECK int gw_meta_ancestor_put(struct gw_meta_txn *t, uint64_t epoch, uint64_t end);
GW_MUST_CHECK int gw_meta_next_put(struct gw_meta_txn *t, uint64_t next);
/* As put, but never lowers it: an offset is given once. */
GW_MUST_CHECK int gw_meta_next_raise(struct gw_meta_txn *t, uint64_t next);
GW_MUST_CHECK int gw_meta_segment_put(struct gw_meta_txn *t, const struct gw_segment_record *record);
GW_MUST_CHECK int gw_meta_segment_delete(struct gw_meta_txn *t, uint64_t first);
GW_MUST_CHECK int gw_meta_cursor_put(struct gw_meta_txn *t, const char *sink, uint64_t offset);
GW_MUST_CHECK int gw_meta_quarantine_put(struct gw_meta_txn *t, uint64_t first, uint64_t number,
                                         const MDB_val *value);
/* Not being there is no error. */
GW_MUST_CHECK int gw_meta_quarantine_delete(struct gw_meta_txn *t, uint64_t first, uint64_t number);
/* Removes what is older than GW_META_QUARANTINE_MS, and the oldest above GW_META_QUARANTINE_MAX. */
GW_MUST_CHECK int gw_meta_quarantine_trim(struct gw_meta_txn *t, uint64_t now_ms, uint64_t *out_evicted);
/* Looks at up to `max` rows from *io_position on and removes those not touched since `before_ms`; but never what a
 * device's generation is known from. */
struct gw_meta_position {
    unsigned char key[GW_META_SINK_CHARS_MAX * 8];
    size_t len; /* 0: from the start, and again when the end was reached */
};
GW_MUST_CHECK int gw_meta_rows_forget(struct gw_meta_txn *t, struct gw_meta_position *io_position, size_t max,
                                      uint64_t before_ms);

#endif
