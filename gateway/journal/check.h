/*
 * Judging files before the gateway maps them. LMDB trusts what it maps, so a damaged page could crash the
 * gateway at every start. What an unclean stop left is walked by a child process, which may die of it; what
 * was sealed is compared with its digest, by plain reads.
 */
#ifndef GW_JOURNAL_CHECK_H
#define GW_JOURNAL_CHECK_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "journal/segment.h"

/* 0; GW_EDAMAGED: the child died, hung or found damage; GW_ENOMEM, GW_EIO: it could not be run. */
GW_MUST_CHECK int gw_check_segment(const char *folder, uint64_t epoch, uint64_t first_offset,
                                   struct gw_segment_walk *out);
GW_MUST_CHECK int gw_check_meta(const char *folder);

/* CRC-32C of each chunk of GW_DIGEST_CHUNK_BYTES of the first `bytes` of a segment's file; the last may be
 * short. */
struct gw_digest {
    uint32_t *chunks; /* malloc */
    size_t count;
};
GW_MUST_CHECK int gw_digest_make(const char *folder, uint64_t bytes, struct gw_digest *out);
/* GW_EDAMAGED: shorter, longer chunks differ or cannot be read. */
GW_MUST_CHECK int gw_digest_compare(const char *folder, uint64_t bytes, const struct gw_digest *digest);
void gw_digest_free(struct gw_digest *digest);

/*
 * What a damaged segment held, as far as its bytes still tell: the offset after the newest block header in it
 * that makes sense. At least first_offset + 1, at most limit.
 */
uint64_t gw_check_estimate_end(const char *folder, uint64_t epoch, uint64_t first_offset, uint64_t limit);

#endif
