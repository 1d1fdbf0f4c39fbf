#include "lake/embedded.h"

#include <limits.h>
#include <stdio.h>

#include "lake/ndjson.h"
#include "sinks/stream_log.h"

static int new_stream(struct gw_journal *journal, const struct gw_config *config, const char *gateway_id,
                      struct gw_sink *out, struct gw_error *error)
{
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%s/stream", config->data.folder);
    return gw_stream_log_new(&(struct gw_stream_log_config){.folder = folder,
                                                            .file_bytes = config->stream.file_bytes,
                                                            .epoch = gw_journal_epoch(journal),
                                                            .gateway_id = gateway_id},
                             out, error);
}

static int new_lake(struct gw_journal *journal, const struct gw_config *config, const char *gateway_id,
                    struct gw_sink *out, struct gw_error *error)
{
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%s/lake", config->data.folder);
    return gw_lake_new(&(struct gw_lake_config){.folder = folder,
                                                .flush_ms = config->lake.flush_seconds * 1000,
                                                .flush_bytes = config->lake.flush_bytes,
                                                .epoch = gw_journal_epoch(journal),
                                                .gateway_id = gateway_id},
                       out, error);
}

int gw_embedded_start(struct gw_journal *journal, const struct gw_config *config, const char *gateway_id,
                      struct gw_delivery **out, struct gw_error *error)
{
    struct gw_sink sinks[2];
    size_t count = 0;
    int rc = GW_OK;
    if (config->stream.enabled) {
        rc = new_stream(journal, config, gateway_id, &sinks[count], error);
        if (rc == GW_OK)
            sinks[count++].detach_after_ms = (uint64_t)config->stream.detach_after_seconds * 1000;
    }
    if (rc == GW_OK && config->lake.enabled) {
        rc = new_lake(journal, config, gateway_id, &sinks[count], error);
        if (rc == GW_OK)
            sinks[count++].detach_after_ms = (uint64_t)config->lake.detach_after_seconds * 1000;
    }
    if (rc != GW_OK) {
        for (size_t i = 0; i < count; i++)
            sinks[i].free(sinks[i].self);
        return rc;
    }
    return gw_delivery_start(journal, NULL, sinks, count, out, error);
}
