/* Counts what a storage goes through, sector by sector. */
#ifndef TESTS_WEAR_H
#define TESTS_WEAR_H

#include "tributary/port.h"

#define WEAR_SECTORS_MAX 512u

struct wear {
    struct trib_storage inner;
    uint64_t programmed_bytes, programs, total;
    uint32_t erases[WEAR_SECTORS_MAX];
};

static inline int wear_read(void *context, uint32_t address, void *out, uint32_t length)
{
    struct wear *w = context;
    return w->inner.read(w->inner.context, address, out, length);
}

static inline int wear_program(void *context, uint32_t address, const void *data, uint32_t length)
{
    struct wear *w = context;
    w->programmed_bytes += length;
    w->programs++;
    return w->inner.program(w->inner.context, address, data, length);
}

static inline int wear_erase(void *context, uint32_t sector)
{
    struct wear *w = context;
    w->erases[sector]++;
    w->total++;
    return w->inner.erase(w->inner.context, sector);
}

static inline int wear_sync(void *context)
{
    struct wear *w = context;
    return w->inner.sync(w->inner.context);
}

/* Puts itself in front of *storage. */
static inline void wear_watch(struct wear *w, struct trib_storage *storage)
{
    *w = (struct wear){.inner = *storage};
    storage->context = w;
    storage->read = wear_read;
    storage->program = wear_program;
    storage->erase = wear_erase;
    storage->sync = wear_sync;
}

/* Of the most and the least erased sector. */
static inline uint32_t wear_spread(const struct wear *w)
{
    uint32_t least = UINT32_MAX, most = 0;
    for (uint32_t i = 0; i < w->inner.sector_count; i++) {
        least = w->erases[i] < least ? w->erases[i] : least;
        most = w->erases[i] > most ? w->erases[i] : most;
    }
    return most - least;
}

#endif
