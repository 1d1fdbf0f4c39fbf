/* The gateway's clocks. */
#ifndef GW_INGEST_CLOCK_H
#define GW_INGEST_CLOCK_H

#include <stdint.h>

#include "session/session.h"

uint64_t gw_clock_mono_us(void);
uint64_t gw_clock_mono_ms(void);
/* UTC and whether the kernel calls it synchronised (adjtimex(2): set by NTP or PTP), with its own error bound. */
void gw_clock_utc(struct gw_session_time *out);
/* The time now, with the rest as of `state`, which is not older than a second: that needs no system call. */
void gw_clock_utc_with(const struct gw_session_time *state, struct gw_session_time *out);

#endif
