#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>

struct gw_arena_chunk {
    struct gw_arena_chunk *next;
    size_t used, bytes;
    alignas(16) uint8_t data[];
};

void gw_arena_init(struct gw_arena *arena, size_t chunk_bytes, size_t limit_bytes)
{
    *arena = (struct gw_arena){.chunk_bytes = chunk_bytes, .limit_bytes = limit_bytes};
}

static struct gw_arena_chunk *add_chunk(struct gw_arena *arena, size_t at_least)
{
    size_t bytes = at_least > arena->chunk_bytes ? at_least : arena->chunk_bytes;
    struct gw_arena_chunk *chunk = malloc(sizeof *chunk + bytes);
    if (!chunk)
        return NULL;
    *chunk = (struct gw_arena_chunk){.bytes = bytes};
    if (arena->current)
        arena->current->next = chunk;
    else
        arena->first = chunk;
    arena->current = chunk;
    return chunk;
}

void *gw_arena_alloc(struct gw_arena *arena, size_t bytes)
{
    if (bytes > arena->limit_bytes)
        return NULL;
    size_t rounded = (bytes + 15) & ~(size_t)15;
    if (rounded > arena->limit_bytes - arena->used_bytes)
        return NULL;
    struct gw_arena_chunk *chunk = arena->current;
    if (!chunk || chunk->bytes - chunk->used < rounded)
        chunk = add_chunk(arena, rounded);
    if (!chunk)
        return NULL;
    void *p = chunk->data + chunk->used;
    chunk->used += rounded;
    arena->used_bytes += rounded;
    return p;
}

static void free_chunks(struct gw_arena_chunk *chunk)
{
    while (chunk) {
        struct gw_arena_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
}

void gw_arena_reset(struct gw_arena *arena)
{
    size_t used = arena->used_bytes;
    arena->used_bytes = 0;
    if (!arena->first)
        return;
    if (arena->first->next && used > arena->chunk_bytes && used <= GW_ARENA_KEPT_BYTES) {
        /* It was too small: the next one is made for all of this, with a quarter of room, when it is needed. */
        arena->chunk_bytes = used + used / 4;
        gw_arena_free(arena);
        return;
    }
    free_chunks(arena->first->next);
    arena->first->next = NULL;
    arena->first->used = 0;
    arena->current = arena->first;
}

void gw_arena_free(struct gw_arena *arena)
{
    free_chunks(arena->first);
    arena->first = arena->current = NULL;
    arena->used_bytes = 0;
}
