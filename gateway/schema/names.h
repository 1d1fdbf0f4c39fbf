/*
 * A set of names, found by perfect hashing: a seed is searched at compile time with which no two names meet in one slot. Where
 * none is found (very many names), those that meet are probed in turn, a bounded number of times.
 */
#ifndef GW_SCHEMA_NAMES_H
#define GW_SCHEMA_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/error.h"

struct gw_name {
    const char *text; /* borrowed, UTF-8 */
    uint32_t len;
};

#define GW_NAME_NONE UINT32_MAX

struct gw_names {
    const struct gw_name *names; /* borrowed */
    uint32_t *slots;             /* index of a name plus 1, or 0 */
    uint32_t mask;               /* number of slots minus 1 */
    uint32_t count;
    uint32_t seed;
    bool whole; /* every byte is hashed, not only the first and last eight */
};

/* How many slots gw_names_build wants for count names. */
uint32_t gw_names_slots(uint32_t count);
/*
 * slots: gw_names_slots(count) of them; both arrays must live as long as the set. The names are distinct. 0, or GW_ELIMIT for
 * names that are made to collide.
 */
GW_MUST_CHECK int gw_names_build(const struct gw_name *names, uint32_t count, uint32_t *slots,
                                 struct gw_names *out);

static inline uint64_t gw_names_load(const char *text, uint32_t len, uint64_t *out_tail)
{
    uint64_t head = 0, tail = 0;
    if (len >= 8) {
        memcpy(&head, text, 8);
        memcpy(&tail, text + len - 8, 8);
    } else if (len >= 4) {
        uint32_t a, b;
        memcpy(&a, text, 4);
        memcpy(&b, text + len - 4, 4);
        head = a;
        tail = b;
    } else if (len > 0) {
        head = (uint8_t)text[0];
        tail = (uint64_t)(uint8_t)text[len / 2] << 8 | (uint8_t)text[len - 1];
    }
    *out_tail = tail;
    return head;
}

static inline uint32_t gw_names_hash(const char *text, uint32_t len, uint32_t seed)
{
    uint64_t tail, head = gw_names_load(text, len, &tail);
    uint64_t hash = (head + seed + len) * 0x9e3779b97f4a7c15u;
    hash = (hash ^ hash >> 32 ^ tail) * 0xc2b2ae3d27d4eb4fu;
    return (uint32_t)(hash >> 32);
}

static inline uint32_t gw_names_hash_whole(const char *text, uint32_t len, uint32_t seed)
{
    uint64_t hash = 0xcbf29ce484222325u + seed;
    for (uint32_t i = 0; i < len; i++)
        hash = (hash ^ (uint8_t)text[i]) * 0x100000001b3u;
    return (uint32_t)(hash ^ hash >> 32);
}

static inline uint32_t gw_names_slot(const struct gw_names *set, const char *text, uint32_t len)
{
    return (set->whole ? gw_names_hash_whole(text, len, set->seed) : gw_names_hash(text, len, set->seed)) &
           set->mask;
}

/* The index of the name, or GW_NAME_NONE. */
static inline uint32_t gw_names_find(const struct gw_names *set, const char *text, uint32_t len)
{
    if (set->count == 0)
        return GW_NAME_NONE;
    uint32_t slot = gw_names_slot(set, text, len);
    for (uint32_t index; (index = set->slots[slot]) != 0; slot = (slot + 1) & set->mask) {
        const struct gw_name *name = &set->names[index - 1];
        if (name->len == len && memcmp(name->text, text, len) == 0)
            return index - 1;
    }
    return GW_NAME_NONE;
}

#endif
