#include "session/device_config.h"

#include "base/crc32c.h"
#include "wire/cbor.h"

void gw_device_config_make(const struct gw_config *config, struct gw_device_config *out)
{
    const struct {
        enum gw_device_setting key;
        uint32_t value, standard;
    } settings[] = {
        {GW_DEVICE_HEARTBEAT_MS, config->devices.heartbeat_ms, 0},
        {GW_DEVICE_SAMPLING_MILLI, config->devices.sampling_milli, 1000},
        {GW_DEVICE_LINGER_MS, config->devices.linger_ms, 0},
        {GW_DEVICE_DURABLE_WINDOW_MS, config->devices.durable_window_ms, 0},
        {GW_DEVICE_VITAL_SHARE, config->devices.vital_share, 0},
        {GW_DEVICE_RECORDING, config->devices.recording, 1},
        {GW_DEVICE_SENDING, config->devices.sending, 1},
        {GW_DEVICE_RECHECK_MS, config->devices.recheck_ms, 3600000},
    };
    const size_t count = sizeof settings / sizeof settings[0];
    size_t set = 0;
    for (size_t i = 0; i < count; i++)
        set += settings[i].value != settings[i].standard;
    struct trib_cbor_writer w;
    trib_cbor_writer_init(&w, out->map, sizeof out->map);
    trib_cbor_put_map(&w, set);
    for (size_t i = 0; i < count; i++) {
        if (settings[i].value == settings[i].standard)
            continue;
        trib_cbor_put_uint(&w, settings[i].key);
        trib_cbor_put_uint(&w, settings[i].value);
    }
    out->map_len = w.len; /* 8 keys and values take 49 bytes at most */
    uint32_t crc = gw_crc32c(0, out->map, out->map_len);
    out->version = set == 0 ? 0 : crc != 0 ? crc : 1;
}
