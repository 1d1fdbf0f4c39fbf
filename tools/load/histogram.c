#include "histogram.h"

#include <stddef.h>

static size_t slot(uint64_t value)
{
    unsigned power = 0;

    while (value >> power >= 2 * LOAD_HISTOGRAM_STEPS)
        power++;
    if (value < LOAD_HISTOGRAM_STEPS)
        return (size_t)value;
    size_t at =
        (size_t)(power + 1) * LOAD_HISTOGRAM_STEPS + (size_t)((value >> power) - LOAD_HISTOGRAM_STEPS);
    size_t last = LOAD_HISTOGRAM_POWERS * LOAD_HISTOGRAM_STEPS - 1;
    return at < last ? at : last;
}

/* The highest value that falls into a slot. */
static uint64_t value_of(size_t at)
{
    if (at < LOAD_HISTOGRAM_STEPS)
        return at;
    unsigned power = (unsigned)(at / LOAD_HISTOGRAM_STEPS - 1);
    return ((uint64_t)(LOAD_HISTOGRAM_STEPS + at % LOAD_HISTOGRAM_STEPS + 1) << power) - 1;
}

void load_histogram_add(struct load_histogram *h, uint64_t value_us, uint64_t count)
{
    h->counts[slot(value_us)] += count;
    h->total += count;
    if (value_us > h->max_us)
        h->max_us = value_us;
}

uint64_t load_histogram_at(const struct load_histogram *h, double part)
{
    uint64_t seen = 0, wanted = (uint64_t)(part * (double)h->total);

    if (h->total == 0)
        return 0;
    for (size_t at = 0; at < sizeof h->counts / sizeof h->counts[0]; at++) {
        seen += h->counts[at];
        if (seen > wanted || seen == h->total)
            return value_of(at) < h->max_us ? value_of(at) : h->max_us;
    }
    return h->max_us;
}
