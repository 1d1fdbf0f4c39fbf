#include "ingest/settings.h"

#include <stdlib.h>

int gw_settings_new(struct gw_config *config, const struct gw_session_rules *fixed, struct gw_settings **out,
                    struct gw_error *error)
{
    struct gw_settings *settings = calloc(1, sizeof *settings);
    if (!settings)
        return gw_error_set(error, GW_ENOMEM, 0, "out of memory");
    int result = gw_credentials_load(config, &settings->credentials, error);
    if (result != GW_OK) {
        free(settings);
        return result;
    }
    atomic_init(&settings->holders, 1);
    settings->config = *config;
    config->owned = NULL;
    settings->rules = *fixed;
    settings->rules.drain_retry_ms = settings->config.drain.retry_after_ms;
    settings->rules.drain_window_ms = settings->config.drain.window_ms;
    gw_device_config_make(&settings->config, &settings->rules.devices);
    settings->rules.alternate_count = settings->config.drain.alternate_count;
    for (size_t i = 0; i < settings->rules.alternate_count; i++)
        settings->rules.alternates[i] = settings->config.drain.alternates[i];
    *out = settings;
    return GW_OK;
}

struct gw_settings *gw_settings_hold(struct gw_settings *settings)
{
    atomic_fetch_add_explicit(&settings->holders, 1, memory_order_relaxed);
    return settings;
}

void gw_settings_release(struct gw_settings *settings)
{
    if (!settings || atomic_fetch_sub_explicit(&settings->holders, 1, memory_order_acq_rel) != 1)
        return;
    gw_credentials_free(settings->credentials);
    gw_config_free(&settings->config);
    free(settings);
}
