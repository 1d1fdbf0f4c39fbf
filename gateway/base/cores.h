/* Cores that this process may run on: a container or taskset may leave it fewer than there are. */
#ifndef GW_BASE_CORES_H
#define GW_BASE_CORES_H

/* At least 1; 1 where the system cannot say. */
unsigned gw_usable_cores(void);

#endif
