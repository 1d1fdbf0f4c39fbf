/* The set of what the active segment takes out of quarantine. Grown by the committer, asked by whoever walks quarantine. */
#include "journal/settled.h"

#include <stdlib.h>

#define PLACES_LEAST 64

void gw_settled_init(struct gw_settled *settled)
{
    *settled = (struct gw_settled){0};
    pthread_mutex_init(&settled->lock, NULL);
}

void gw_settled_free(struct gw_settled *settled)
{
    free(settled->places);
    free(settled->slots);
    pthread_mutex_destroy(&settled->lock);
    *settled = (struct gw_settled){0};
}

static size_t slot_count(const struct gw_settled *settled)
{
    return 2 * settled->capacity;
}

/* The slot that holds the place, or the empty one where it belongs. */
static uint32_t *slot_of(struct gw_settled *settled, const struct gw_journal_place *place)
{
    uint64_t hash = (place->segment ^ place->number << 32 ^ place->number) * 0x9e3779b97f4a7c15u;
    for (size_t i = (hash ^ hash >> 32) & (slot_count(settled) - 1);;
         i = (i + 1) & (slot_count(settled) - 1)) {
        uint32_t *slot = &settled->slots[i];
        settled->probes++;
        if (*slot == 0 || (settled->places[*slot - 1].segment == place->segment &&
                           settled->places[*slot - 1].number == place->number))
            return slot;
    }
}

static bool grow(struct gw_settled *settled)
{
    const size_t capacity = settled->capacity ? 2 * settled->capacity : PLACES_LEAST;
    uint32_t *slots = capacity <= UINT32_MAX ? calloc(2 * capacity, sizeof *slots) : NULL;
    struct gw_journal_place *places = slots ? realloc(settled->places, capacity * sizeof *places) : NULL;
    if (!places) {
        free(slots);
        return false;
    }
    free(settled->slots);
    settled->places = places;
    settled->slots = slots;
    settled->capacity = capacity;
    for (size_t i = 0; i < settled->count; i++)
        *slot_of(settled, &places[i]) = (uint32_t)i + 1;
    return true;
}

bool gw_settled_add(struct gw_settled *settled, const struct gw_journal_place *place)
{
    pthread_mutex_lock(&settled->lock);
    const bool room = settled->count < settled->capacity || grow(settled);
    if (room) {
        settled->places[settled->count++] = *place;
        *slot_of(settled, place) = (uint32_t)settled->count;
    }
    pthread_mutex_unlock(&settled->lock);
    return room;
}

bool gw_settled_has(struct gw_settled *settled, const struct gw_journal_place *place)
{
    pthread_mutex_lock(&settled->lock);
    const bool has = settled->count > 0 && *slot_of(settled, place) != 0;
    pthread_mutex_unlock(&settled->lock);
    return has;
}

/* The newest go first: no other was put behind them, so an emptied slot cuts off nothing. */
void gw_settled_shrink(struct gw_settled *settled, size_t count)
{
    pthread_mutex_lock(&settled->lock);
    while (settled->count > count) {
        *slot_of(settled, &settled->places[settled->count - 1]) = 0;
        settled->count--;
    }
    pthread_mutex_unlock(&settled->lock);
}

void gw_settled_publish(struct gw_settled *settled)
{
    pthread_mutex_lock(&settled->lock);
    settled->durable = settled->count;
    pthread_mutex_unlock(&settled->lock);
}

void gw_settled_revert(struct gw_settled *settled)
{
    gw_settled_shrink(settled, settled->durable);
}

void gw_settled_clear(struct gw_settled *settled)
{
    gw_settled_shrink(settled, 0);
    pthread_mutex_lock(&settled->lock);
    settled->durable = 0;
    settled->life++;
    pthread_mutex_unlock(&settled->lock);
}

uint64_t gw_settled_life(struct gw_settled *settled)
{
    pthread_mutex_lock(&settled->lock);
    const uint64_t life = settled->life;
    pthread_mutex_unlock(&settled->lock);
    return life;
}

enum gw_settled_state gw_settled_ask(struct gw_settled *settled, uint64_t life,
                                     const struct gw_journal_place *place)
{
    enum gw_settled_state state = GW_SETTLED_NOT;
    pthread_mutex_lock(&settled->lock);
    if (settled->life != life) {
        state = GW_SETTLED_CLEARED;
    } else if (settled->count > 0) {
        const uint32_t slot = *slot_of(settled, place);
        state = slot != 0 && slot <= settled->durable ? GW_SETTLED_DURABLY : GW_SETTLED_NOT;
    }
    pthread_mutex_unlock(&settled->lock);
    return state;
}
