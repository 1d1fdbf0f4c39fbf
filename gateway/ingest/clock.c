#include "ingest/clock.h"

#include <sys/timex.h>
#include <time.h>

uint64_t gw_clock_mono_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void gw_clock_utc(struct gw_session_time *out)
{
    struct timespec now;
    struct timex state = {.modes = 0};
    clock_gettime(CLOCK_REALTIME, &now);
    int status = adjtimex(&state);
    *out = (struct gw_session_time){.utc_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000,
                                    .synchronised = status != -1 && status != TIME_ERROR};
    if (out->synchronised && state.maxerror > 0)
        out->uncertainty_ms = (uint64_t)(state.maxerror + 999) / 1000;
}
