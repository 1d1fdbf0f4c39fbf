/* The gateway as a whole: everything started in order, and stopped in the opposite one. */
#ifndef GW_MAIN_GATEWAY_H
#define GW_MAIN_GATEWAY_H

#include <pthread.h>

#include "admin/admin.h"
#include "config/config.h"
#include "delivery/delivery.h"
#include "ingest/ingest.h"
#include "journal/journal.h"
#include "privacy/keys.h"
#include "schema/registry_disk.h"

struct gw_gateway {
    const struct gw_config *config;
    struct gw_journal *journal;
    struct gw_keys keys;
    struct gw_admit_policy policy;
    struct gw_schemas *schemas;
    struct gw_schema_disk *schema_disk;
    struct gw_admin_writer writer;
    struct gw_admin_reload reload;
    const char *config_path;     /* what a reload reads */
    pthread_mutex_t reload_lock; /* reloads come from signals and from the admin */
    struct gw_delivery *delivery;
    const char *sinks[GW_DELIVERY_SINKS_MAX];
    size_t sink_count;
    struct gw_admin *admin;
    struct gw_ingest *ingest;
};

/*
 * Journal, keys, schemas, sinks, admin, ingest; writes data.folder/run/port. On failure everything is stopped again. path: of the
 * file that config was read from. Both are borrowed.
 */
GW_MUST_CHECK int gw_gateway_start(struct gw_gateway *gateway, const struct gw_config *config,
                                   const char *path, struct gw_error *error);
/* Graceful: devices first, then sinks, then the journal. */
void gw_gateway_stop(struct gw_gateway *gateway);

#endif
