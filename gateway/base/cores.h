/* Cores that this process may use (a container or taskset may leave it fewer than there are), and on which a thread runs. */
#ifndef GW_BASE_CORES_H
#define GW_BASE_CORES_H

#include <pthread.h>
#include <sched.h>

#include "base/error.h"

/* At least 1; 1 where the system cannot say. */
unsigned gw_usable_cores(void);

/* Which CPUs: numbers and ranges, as taskset and the kernel write them, such as `1` or `0-2,5`. GW_EINVALID: no such list. */
GW_MUST_CHECK int gw_cores_parse(const char *list, cpu_set_t *out);

/*
 * pthread_create of a thread that runs on these CPUs only; "" is any. 0 or an errno value; EINVAL: no such list, or this process may
 * use none of them.
 */
GW_MUST_CHECK int gw_cores_thread(const char *list, pthread_t *out, void *(*run)(void *), void *context);

#endif
