/* What a device id may look like: 1 to 64 of A-Z a-z 0-9 . _ - : so that it is safe in keys, paths, logs and
 * ids. */
#ifndef GW_INGEST_DEVICE_ID_H
#define GW_INGEST_DEVICE_ID_H

#include <stdbool.h>
#include <stddef.h>

bool gw_device_id_valid(const char *id, size_t len);

#endif
