#include "cut_states.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_SLOTS ((size_t)1 << 12)
#define MOST_SLOTS ((size_t)1 << 22) /* 160 MB; a table that is fuller forgets all */

struct slot {
    struct torn_hash hash;
    struct outcome outcome;
    bool used;
};

static struct slot *slots;
static size_t slot_count, used_count;

void cut_states_clear(void)
{
    free(slots);
    slot_count = FIRST_SLOTS;
    used_count = 0;
    slots = calloc(slot_count, sizeof *slots);
    assert(slots);
}

static struct slot *slot_of(const struct torn_hash *hash)
{
    size_t i = hash->half[0] & (slot_count - 1);
    while (slots[i].used && memcmp(&slots[i].hash, hash, sizeof *hash) != 0)
        i = (i + 1) & (slot_count - 1);
    return &slots[i];
}

static void grow(void)
{
    struct slot *old = slots;
    size_t old_count = slot_count;
    slot_count *= 2;
    slots = calloc(slot_count, sizeof *slots);
    assert(slots);
    for (size_t i = 0; i < old_count; i++)
        if (old[i].used)
            *slot_of(&old[i].hash) = old[i];
    free(old);
}

struct outcome *cut_states_find(const struct torn_hash *hash, bool *out_new)
{
    if (used_count * 2 >= slot_count && slot_count < MOST_SLOTS)
        grow();
    else if (used_count * 2 >= slot_count)
        cut_states_clear();
    struct slot *slot = slot_of(hash);
    *out_new = !slot->used;
    used_count += !slot->used;
    slot->used = true;
    slot->hash = *hash;
    return &slot->outcome;
}
