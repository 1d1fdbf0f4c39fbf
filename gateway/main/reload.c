#include "main/reload.h"

#include <time.h>

#include "observe/log.h"
#include "observe/metrics.h"

/*
 * Before anything is swapped, so that a refused reload has swapped nothing. What of the files could be registered is, whatever
 * comes of the rest: it is an addition, and final.
 */
static int take_schemas(struct gw_gateway *gateway, struct gw_error *error)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return gw_schema_disk_reload(gateway->schema_disk, (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000,
                                 error);
}

static int swap(struct gw_gateway *gateway, struct gw_config *config, struct gw_error *error)
{
    enum gw_log_level level;
    int result = gw_config_check_reload(gateway->config, config, error);
    if (result == GW_OK)
        result = gw_log_level_from_name(config->observe.log_level, &level);
    if (result == GW_OK)
        result = take_schemas(gateway, error);
    if (result == GW_OK)
        result = gw_ingest_reload(gateway->ingest, config, error);
    if (result == GW_OK)
        gw_log_set_level(level);
    return result;
}

int gw_gateway_reload(struct gw_gateway *gateway, struct gw_error *error)
{
    const char *path = gateway->config_path;
    struct gw_config config = {.owned = NULL};
    pthread_mutex_lock(&gateway->reload_lock);
    int result = gw_config_load(path, &config, error);
    if (result == GW_OK)
        result = swap(gateway, &config, error);
    pthread_mutex_unlock(&gateway->reload_lock);
    gw_config_free(&config); /* empty where ingest took it over */
    gw_metric_add(result == GW_OK ? GW_METRIC_RELOADS : GW_METRIC_RELOADS_REFUSED, 1);
    if (result == GW_OK)
        gw_log(GW_LOG_INFO, "main.reloaded", "the configuration is as the files are now",
               GW_TEXT("file", path));
    else
        gw_log(GW_LOG_ERROR, "main.reload_refused", error->text, GW_TEXT("file", path));
    return result;
}
