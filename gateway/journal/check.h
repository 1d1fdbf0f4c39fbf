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

/* The same, a chunk at a time: it has the file open meanwhile, wherever that is moved to. */
struct gw_digesting {
    struct gw_digest digest; /* the first `done` of it are known; complete when done is its count */
    size_t done;
    uint64_t bytes;
    uint8_t *buf; /* one chunk */
    int fd;
};
/* GW_EDAMAGED: there is no file; GW_EIO; GW_ENOMEM. Only after 0 is there something to drop. */
GW_MUST_CHECK int gw_digest_begin(struct gw_digesting *digesting, const char *folder, uint64_t bytes);
/* The next chunk, if one is left. GW_EDAMAGED: the file is shorter, or cannot be read. */
GW_MUST_CHECK int gw_digest_step(struct gw_digesting *digesting);
void gw_digest_drop(struct gw_digesting *digesting);

/*
 * What a damaged segment held, as far as its bytes still tell: the offset after the newest block header in it
 * that makes sense. At least first_offset + 1, at most limit.
 */
uint64_t gw_check_estimate_end(const char *folder, uint64_t epoch, uint64_t first_offset, uint64_t limit);

#endif
