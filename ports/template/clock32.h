/*
 * A counter of milliseconds with 32 bits, which wraps after 49.7 days, as the 64 that struct trib_clock wants. Read it at
 * least once a lap; trib_poll does, for it is to be called each minute. Not safe for two threads at once: where several
 * record, read it under a lock of your own, or with interrupts off.
 */
#ifndef TRIB_PORT_CLOCK32_H
#define TRIB_PORT_CLOCK32_H

#include <stdint.h>

/* All zero to begin with. */
struct trib_clock32 {
    uint32_t last;
    uint32_t laps;
};

/* counter: as it is read now. */
static inline uint64_t trib_clock32_ms(struct trib_clock32 *clock, uint32_t counter)
{
    if (counter < clock->last)
        clock->laps++;
    clock->last = counter;
    return (uint64_t)clock->laps << 32 | counter;
}

#endif
