/* Latencies in microseconds, log-linear like an HDR histogram: 64 steps a power of two, so within 1.6%. */
#ifndef LOAD_HISTOGRAM_H
#define LOAD_HISTOGRAM_H

#include <stdint.h>

#define LOAD_HISTOGRAM_STEPS 64
#define LOAD_HISTOGRAM_POWERS 32

struct load_histogram {
    uint64_t counts[LOAD_HISTOGRAM_POWERS * LOAD_HISTOGRAM_STEPS];
    uint64_t total;
    uint64_t max_us;
};

/* count: how many events had this latency. */
void load_histogram_add(struct load_histogram *h, uint64_t value_us, uint64_t count);
/* The latency that a part (0.99) of all did not exceed; 0 when there is none. */
uint64_t load_histogram_at(const struct load_histogram *h, double part);

#endif
