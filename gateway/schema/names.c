#include "schema/names.h"

#define SEEDS_TRIED 64
#define SEEDED_NAMES_MAX 512 /* beyond, a seed without collisions is not to be expected */
#define PROBES_MAX 64        /* more than honest names ever need at a quarter full */

uint32_t gw_names_slots(uint32_t count)
{
    uint32_t slots = 4;
    while (slots < 4 * (uint64_t)count && slots < 1u << 28)
        slots *= 2;
    return slots;
}

/* The number of names that did not get their own slot; UINT32_MAX: some stand too far from it. */
static uint32_t fill(struct gw_names *set)
{
    uint32_t moved = 0;
    memset(set->slots, 0, ((size_t)set->mask + 1) * sizeof *set->slots);
    for (uint32_t i = 0; i < set->count; i++) {
        uint32_t slot = gw_names_slot(set, set->names[i].text, set->names[i].len), probes = 0;
        moved += set->slots[slot] != 0;
        for (; set->slots[slot] != 0; slot = (slot + 1) & set->mask)
            if (++probes > PROBES_MAX)
                return UINT32_MAX;
        set->slots[slot] = i + 1;
    }
    return moved;
}

int gw_names_build(const struct gw_name *names, uint32_t count, uint32_t *slots, struct gw_names *out)
{
    *out =
        (struct gw_names){.names = names, .slots = slots, .mask = gw_names_slots(count) - 1, .count = count};
    uint32_t best = UINT32_MAX, best_seed = 0;
    const uint32_t tries = count > SEEDED_NAMES_MAX ? 1 : SEEDS_TRIED;
    for (uint32_t seed = 0; seed < tries && best > 0; seed++) {
        out->seed = seed;
        uint32_t moved = fill(out);
        if (moved < best) {
            best = moved;
            best_seed = seed;
        }
    }
    out->seed = best_seed;
    out->whole = best > count / 4; /* they agree in length and at both ends */
    return fill(out) == UINT32_MAX ? GW_ELIMIT : 0;
}
