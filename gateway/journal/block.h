/*
 * A block: what one transaction appends to a segment. Entries for the sinks, and the stream rows the same
 * batches moved, in one checked piece. Pure: bytes in, bytes out. Little-endian; the layout is in
 * docs/journal.md.
 */
#ifndef GW_JOURNAL_BLOCK_H
#define GW_JOURNAL_BLOCK_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define GW_BLOCK_MAGIC 0x31424a54u /* "TJB1" */
#define GW_BLOCK_HEADER_BYTES 56u
#define GW_DEVICE_BYTES_MAX 255u

struct gw_block_head {
    uint64_t epoch;
    uint64_t first_offset;
    uint64_t txn; /* LMDB transaction that wrote it: the newest block must carry the environment's newest */
    uint32_t entry_count;
    uint32_t row_count;
    uint32_t quarantine_total; /* quarantine entries in the segment once this transaction is in */
};

struct gw_block_row {
    const char *device; /* borrowed, not terminated */
    size_t device_len;
    uint64_t stream, committed, generation, touched_ms;
    uint32_t crc;
};

/* Bytes that an entry and a row take in a block. */
size_t gw_block_entry_bytes(size_t entry_len);
size_t gw_block_row_bytes(size_t device_len);

/* Writes into a buffer of exactly the size that the three functions add up to: all entries, then all rows,
 * then close. */
struct gw_block_writer {
    uint8_t *buf;
    size_t len, cap;
    uint32_t rows_at, entry_count, row_count;
};
void gw_block_open(struct gw_block_writer *w, uint8_t *buf, size_t cap);
void gw_block_add_entry(struct gw_block_writer *w, const uint8_t *data, size_t len);
void gw_block_add_row(struct gw_block_writer *w, const struct gw_block_row *row);
/* Fills the header (counts come from what was added) and the CRC. */
void gw_block_close(struct gw_block_writer *w, const struct gw_block_head *head);

/* Checks magic, length and CRC; inner lengths are checked as they are walked. 0 or GW_EDAMAGED. */
struct gw_block_reader {
    struct gw_block_head head;
    const uint8_t *data;
    size_t len;
    size_t entry_at, row_at; /* where the next one starts */
    size_t rows_at;
};
GW_MUST_CHECK int gw_block_read(struct gw_block_reader *r, const uint8_t *data, size_t len);
/* 1: an entry (borrowed); 0: no more; GW_EDAMAGED. */
int gw_block_next_entry(struct gw_block_reader *r, const uint8_t **out_data, size_t *out_len);
int gw_block_next_row(struct gw_block_reader *r, struct gw_block_row *out);

#endif
