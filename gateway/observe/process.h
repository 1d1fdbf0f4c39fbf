/* What Prometheus expects every process to tell: CPU, memory, descriptors, start time; and our build and
 * readiness. */
#ifndef GW_OBSERVE_PROCESS_H
#define GW_OBSERVE_PROCESS_H

#include <stddef.h>
#include <stdint.h>

/* Appends the exposition of these to buffer; returns its length, as snprintf does. Reads /proc. */
size_t gw_process_render(char *buffer, size_t capacity);
/* Seconds since this was first called; main calls it once at the start. */
uint64_t gw_process_uptime_seconds(void);

#endif
