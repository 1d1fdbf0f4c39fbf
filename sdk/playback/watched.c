#include "playback/watched.h"

static void forget(struct trib_watched *w, unsigned index)
{
    w->count--;
    for (unsigned i = index; i < w->count; i++) {
        w->from[i] = w->from[i + 1];
        w->to[i] = w->to[i + 1];
    }
}

void trib_watched_add(struct trib_watched *w, uint64_t from, uint64_t to)
{
    if (from >= to)
        return;
    for (unsigned i = 0; i < w->count;) {
        if (to < w->from[i] || w->to[i] < from) {
            i++;
            continue;
        }
        from = from < w->from[i] ? from : w->from[i];
        to = to > w->to[i] ? to : w->to[i];
        forget(w, i);
    }
    if (w->count == TRIB_WATCHED_MAX) {
        unsigned shortest = 0;
        for (unsigned i = 1; i < w->count; i++)
            if (w->to[i] - w->from[i] < w->to[shortest] - w->from[shortest])
                shortest = i;
        if (to - from <= w->to[shortest] - w->from[shortest])
            return;
        forget(w, shortest);
    }
    w->from[w->count] = from;
    w->to[w->count] = to;
    w->count++;
}

uint64_t trib_watched_sum(const struct trib_watched *w)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < w->count; i++)
        sum += w->to[i] - w->from[i];
    return sum;
}
