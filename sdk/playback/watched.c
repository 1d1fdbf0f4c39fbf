#include "playback/watched.h"

TRIB_ONE_COPY static void forget(struct trib_watched *w, unsigned index)
{
    w->count--;
    for (unsigned i = index; i < w->count; i++) {
        w->from[i] = w->from[i + 1];
        w->to[i] = w->to[i + 1];
    }
}

/* For the shortest interval, if the new one is longer. False: there is no place. */
static bool make_room(struct trib_watched *w, uint32_t length)
{
    unsigned shortest = 0;
    if (w->count < TRIB_WATCHED_MAX)
        return true;
    w->capped = true;
    for (unsigned i = 1; i < w->count; i++)
        if (w->to[i] - w->from[i] < w->to[shortest] - w->from[shortest])
            shortest = i;
    if (length <= w->to[shortest] - w->from[shortest])
        return false;
    forget(w, shortest);
    return true;
}

void trib_watched_add(struct trib_watched *w, uint64_t from_ms, uint64_t to_ms)
{
    if (from_ms >= to_ms)
        return;
    if (w->count ==
        0) /* a live stream's positions may be large: they are kept from here, 24 days before and after */
        w->base_ms = from_ms > UINT32_MAX / 2 ? from_ms - UINT32_MAX / 2 : 0;
    if (from_ms < w->base_ms || to_ms - w->base_ms > UINT32_MAX) {
        w->capped = true;
        return;
    }
    uint32_t from = (uint32_t)(from_ms - w->base_ms), to = (uint32_t)(to_ms - w->base_ms);
    for (unsigned i = 0; i < w->count;) {
        if (to < w->from[i] || w->to[i] < from) {
            i++;
            continue;
        }
        from = from < w->from[i] ? from : w->from[i];
        to = to > w->to[i] ? to : w->to[i];
        forget(w, i);
    }
    if (!make_room(w, to - from))
        return;
    w->from[w->count] = from;
    w->to[w->count] = to;
    w->count++;
}

uint32_t trib_watched_sum(const struct trib_watched *w)
{
    uint32_t sum = 0;
    for (unsigned i = 0; i < w->count; i++)
        sum += w->to[i] - w->from[i];
    return sum;
}
