/* Finding whole blocks in a data file without its tree: each is known by its magic and its CRC. Plain reads. */
#ifndef GW_JOURNAL_SCAN_H
#define GW_JOURNAL_SCAN_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "journal/block.h"

struct gw_scan_block {
    uint64_t at; /* in the file */
    size_t len;
    uint64_t first_offset, txn;
    uint32_t entries;
};
struct gw_scan {
    struct gw_scan_block
        *blocks; /* by first offset; each once, the newest transaction's where there are several */
    size_t count, capacity;
    uint64_t entries, first_offset;
};

/* Of `data` (a path) all whole blocks from `first_offset` on: what lies below is of the segment that had this file before
 * (spare.h); its last rows may lie at first_offset, and merged twice they change nothing. What cannot be read is stepped over. 0, GW_ENOMEM, GW_EIO (it cannot be opened). */
GW_MUST_CHECK int gw_scan_file(const char *data, uint64_t first_offset, struct gw_scan *out);
/* The block's bytes, malloced, checked again. 0, GW_EDAMAGED, GW_ENOMEM, GW_EIO. */
GW_MUST_CHECK int gw_scan_load(const char *data, const struct gw_scan_block *block, uint8_t **out_bytes);
void gw_scan_free(struct gw_scan *scan);

#endif
