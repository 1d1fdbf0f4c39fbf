/* What devices are told to do: the configuration's section `devices` as the map of a CONFIG message. */
#ifndef GW_SESSION_DEVICE_CONFIG_H
#define GW_SESSION_DEVICE_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#include "config/config.h"

#define GW_DEVICE_CONFIG_BYTES 64

/* Keys of CONFIG's map; docs/protocol.md. */
enum gw_device_setting {
    GW_DEVICE_HEARTBEAT_MS = 1,
    GW_DEVICE_SAMPLING_MILLI = 2,
    GW_DEVICE_LINGER_MS = 3,
    GW_DEVICE_DURABLE_WINDOW_MS = 4,
    GW_DEVICE_VITAL_SHARE = 5,
    GW_DEVICE_RECORDING = 6,
    GW_DEVICE_SENDING = 7,
    GW_DEVICE_RECHECK_MS = 8,
};

struct gw_device_config {
    uint8_t map[GW_DEVICE_CONFIG_BYTES]; /* CBOR; only what is not as it would be by itself */
    size_t map_len;
    uint64_t version; /* by its content; 0: all is as it would be by itself. 32 bits */
};

void gw_device_config_make(const struct gw_config *config, struct gw_device_config *out);

#endif
