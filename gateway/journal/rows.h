/*
 * The stream rows that the active segment has touched: what a batch is compared with, and what sealing merges
 * into `meta`. A row has a durable and a pending value, so that a commit can be prepared, then published or
 * taken back. Bounded: when it is full the segment is sealed. Not locked: the journal's mutex guards it.
 */
#ifndef GW_JOURNAL_ROWS_H
#define GW_JOURNAL_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

/* In gw_row.committed, so that max-merge lets a closed row win over an open one and an erased one over both, and that no
 * batch ever matches it: seqs stay below both. */
#define GW_ROW_CLOSED ((uint64_t)1 << 63)
#define GW_ROW_ERASED ((uint64_t)1 << 62)
#define GW_ROW_SEQ_MASK (GW_ROW_ERASED - 1)

struct gw_row {
    uint64_t committed, generation, touched_ms;
    uint32_t crc;
    bool exists;
};

struct gw_row_slot {
    const char *device; /* in the table's arena, not terminated */
    size_t device_len;
    uint64_t stream, hash;
    struct gw_row durable, pending;
    bool touched;            /* by the commit being prepared */
    bool changed;            /* since the segment was begun: to be merged */
    uint32_t next;           /* in its bucket, index + 1 */
    uint32_t next_of_device; /* the same among those of devices */
};

struct gw_rows {
    struct gw_row_slot *slots;
    uint32_t *buckets;
    uint32_t *devices; /* buckets of devices */
    uint32_t *touched;
    size_t count, capacity, limit, bucket_count, touched_count, touched_capacity;
    struct gw_arena names;
};

void gw_rows_init(struct gw_rows *rows, size_t limit);
void gw_rows_free(struct gw_rows *rows);
void gw_rows_clear(struct gw_rows *rows);

/* NULL: not in the table. A slot is valid until the next gw_rows_add. */
struct gw_row_slot *gw_rows_find(struct gw_rows *rows, const char *device, size_t device_len,
                                 uint64_t stream);
/* The device's next row after one of its rows, or its first (after NULL). NULL: no more. */
struct gw_row_slot *gw_rows_of_device(struct gw_rows *rows, const char *device, size_t device_len,
                                      const struct gw_row_slot *after);
/* Adds one that is not there, as known from `meta`. NULL: the limit is reached, or out of memory. */
struct gw_row_slot *gw_rows_add(struct gw_rows *rows, const char *device, size_t device_len, uint64_t stream,
                                const struct gw_row *durable);
/* Sets the pending value. False: out of memory, nothing changed. */
bool gw_rows_touch(struct gw_rows *rows, struct gw_row_slot *slot, const struct gw_row *pending);
void gw_rows_publish(struct gw_rows *rows);
void gw_rows_revert(struct gw_rows *rows);

/* The row that knows more: max-merge, the rule by which rows of meta and segments are combined in any order.
 */
bool gw_row_wins(const struct gw_row *candidate, const struct gw_row *current);

#endif
