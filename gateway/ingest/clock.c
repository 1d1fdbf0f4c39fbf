#include "ingest/clock.h"

#include <sys/timex.h>
#include <time.h>

uint64_t gw_clock_mono_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t gw_clock_mono_ms(void)
{
    return gw_clock_mono_us() / 1000;
}

static uint64_t utc_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void gw_clock_utc(struct gw_session_time *out)
{
    struct timex state = {.modes = 0};
    int status = adjtimex(&state);
    *out = (struct gw_session_time){.utc_ms = utc_ms(), .synchronised = status != -1 && status != TIME_ERROR};
    if (out->synchronised && state.maxerror > 0)
        out->uncertainty_ms = (uint64_t)(state.maxerror + 999) / 1000;
}

void gw_clock_utc_with(const struct gw_session_time *state, struct gw_session_time *out)
{
    *out = *state;
    out->utc_ms = utc_ms();
}
