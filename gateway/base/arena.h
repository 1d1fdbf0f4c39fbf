/*
 * Arena: memory that is freed all at once. One per batch, reused; never shared between threads.
 * It grows by chunks up to a limit. Over a reset it keeps one chunk, as large as what it was last used for (up to
 * GW_ARENA_KEPT_BYTES), so that an arena that is used for the same again and again takes no memory from the system.
 */
#ifndef GW_BASE_ARENA_H
#define GW_BASE_ARENA_H

#include <stddef.h>

struct gw_arena_chunk;

#define GW_ARENA_KEPT_BYTES (256u << 10)

struct gw_arena {
    struct gw_arena_chunk *first, *current;
    size_t chunk_bytes;
    size_t used_bytes, limit_bytes;
};

void gw_arena_init(struct gw_arena *arena, size_t chunk_bytes, size_t limit_bytes);
/* 16-byte aligned, not zeroed; NULL beyond the limit or out of memory. */
void *gw_arena_alloc(struct gw_arena *arena, size_t bytes);
void gw_arena_reset(struct gw_arena *arena);
void gw_arena_free(struct gw_arena *arena);

#endif
