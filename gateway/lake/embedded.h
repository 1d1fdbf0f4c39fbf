/*
 * The embedded default: stream and lake in the data folder, as the configuration wants them, and delivery to both.
 * With this a gateway needs no broker and no bucket.
 */
#ifndef GW_LAKE_EMBEDDED_H
#define GW_LAKE_EMBEDDED_H

#include "config/config.h"
#include "delivery/delivery.h"

/*
 * Starts delivery from the journal to <data.folder>/stream and <data.folder>/lake. gateway_id is written into each
 * event. End it with gw_delivery_stop, before the journal is closed. GW_ENOMEM, GW_EINVALID.
 */
GW_MUST_CHECK int gw_embedded_start(struct gw_journal *journal, const struct gw_config *config,
                                    const char *gateway_id, struct gw_delivery **out, struct gw_error *error);

#endif
