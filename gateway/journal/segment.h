/*
 * A segment: an LMDB environment with the blocks and quarantine entries of one stretch of offsets. It is
 * written by the process that made it and never by another; then it is sealed, and read only.
 */
#ifndef GW_JOURNAL_SEGMENT_H
#define GW_JOURNAL_SEGMENT_H

#include <lmdb.h>
#include <stdint.h>

#include "base/error.h"
#include "journal/block.h"
#include "journal/journal.h"
#include "journal/rows.h"

#define GW_SEGMENT_NAME_BYTES 21 /* 20 digits */
#define GW_BLOCK_BYTES_MAX                                                                                   \
    ((size_t)64 * GW_BLOCK_PAGE_BYTES - 16) /* fills its overflow pages to the last byte */
#define GW_BLOCK_PAGE_BYTES 4096u
#define GW_DIGEST_CHUNK_BYTES ((uint64_t)1 << 20)

struct gw_segment {
    MDB_env *env;
    MDB_dbi blocks, quarantine;
};

struct gw_segment_name {
    char text[GW_SEGMENT_NAME_BYTES];
};
struct gw_segment_name gw_segment_name(uint64_t first_offset);
/* False: not the name of a segment. */
bool gw_segment_name_parse(const char *name, uint64_t *out_first_offset);

/* Makes a durable, empty one in `parent`, of the spare (a path; NULL: none) if it is there. GW_EFULL, GW_EIO, GW_EINVALID,
 * GW_ENOMEM. */
GW_MUST_CHECK int gw_segment_create(const char *parent, uint64_t first_offset, uint64_t bytes,
                                    const char *spare, struct gw_segment *out, int *out_errno);
/* Opens for reading. Only after its digest or a child process said that it is sound. */
GW_MUST_CHECK int gw_segment_open(const char *folder, struct gw_segment *out);
void gw_segment_close(struct gw_segment *segment);

/* One batch that passed compare-and-swap, with the rows it leaves behind: its lanes (exists false: not used), and those
 * of streams that it closes and of its device. */
struct gw_segment_row {
    uint64_t stream;
    struct gw_row row;
};
struct gw_segment_item {
    struct gw_journal_write *write;
    struct gw_row rows[2];
    const struct gw_segment_row *more;
    size_t more_count;
};
/* The most that one write closes at a time; what is left over is closed by the next connection. */
#define GW_SEGMENT_MORE_MAX 24u

/* Where the next transaction goes on; gw_segment_append moves it forward if it succeeds. */
struct gw_segment_tail {
    uint64_t epoch, next_offset;
    uint32_t block_count, quarantine_count;
};

/* Bytes that the items take, about; for cutting a big commit into transactions. */
size_t gw_segment_item_bytes(const struct gw_journal_write *write);
/*
 * All items in one synced transaction. GW_EAGAIN: they do not fit, nothing is written. GW_EFULL, GW_EIO: the
 * sync or a write failed, and this environment must not be synced again.
 */
GW_MUST_CHECK int gw_segment_append(struct gw_segment *segment, struct gw_segment_tail *tail,
                                    const struct gw_segment_item *items, size_t count);

/* As gw_journal_read, within this segment and below `end`. GW_EDAMAGED: a block is not what it was. */
struct gw_segment_read {
    uint64_t offset, end;
    uint8_t *buffer;
    size_t capacity;
    struct gw_journal_entry *entries;
    size_t max_entries;
    size_t count, used, needed; /* out */
    uint64_t next;              /* out */
};
GW_MUST_CHECK int gw_segment_read(const struct gw_segment *segment, struct gw_segment_read *read);

/* Call back for each row and each quarantine value in order; a call back's negative result ends the walk. */
typedef int (*gw_segment_row_fn)(void *context, const struct gw_block_row *row);
typedef int (*gw_segment_quarantine_fn)(void *context, uint64_t number, const MDB_val *value);
GW_MUST_CHECK int gw_segment_each_row(const struct gw_segment *segment, gw_segment_row_fn fn, void *context);
GW_MUST_CHECK int gw_segment_each_quarantine(const struct gw_segment *segment, gw_segment_quarantine_fn fn,
                                             void *context);
/* The same from a number on. */
GW_MUST_CHECK int gw_segment_quarantine_from(const struct gw_segment *segment, uint64_t number,
                                             gw_segment_quarantine_fn fn, void *context);

/* Reads and checks everything. Maps what may be damaged: for a child process only (check.h). */
struct gw_segment_walk {
    uint64_t end, entries, used_bytes;
    uint64_t epoch; /* of its blocks */
    uint32_t blocks, quarantine;
};
/* For `epoch` below: that of the first block, and all the same. A journal may hold segments of epochs before its own. */
#define GW_EPOCH_ANY 0u
GW_MUST_CHECK int gw_segment_walk(const char *folder, uint64_t epoch, uint64_t first_offset,
                                  struct gw_segment_walk *out);

#endif
