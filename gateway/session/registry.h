/*
 * Who is connected: one entry per device with a connection or with batches on their way to the journal. It
 * decides takeover: the newest connection of a device has the entry's generation; the committer refuses
 * batches of older ones. Shared by ingest threads and committer; every function locks inside and never blocks
 * on anything else.
 */
#ifndef GW_SESSION_REGISTRY_H
#define GW_SESSION_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct gw_registry;
struct gw_registry_entry;

/* A device's seat. Valid from gw_registry_claim until gw_registry_leave. */
struct gw_registry_seat {
    struct gw_registry_entry *entry;
    uint64_t generation;
};

/* expected: about how many devices at once; only sizes the table. NULL out of memory. */
struct gw_registry *gw_registry_new(size_t expected);
void gw_registry_free(struct gw_registry *registry);

/*
 * Makes `owner` (a connection, never 0) the newest connection of device. *out_previous is the one it
 * replaces, or 0: the caller has it told. GW_ENOMEM.
 */
GW_MUST_CHECK int gw_registry_claim(struct gw_registry *registry, const char *device, uint64_t owner,
                                    struct gw_registry_seat *out_seat, uint64_t *out_previous);
/* The connection is gone. Its batches in flight keep the entry. */
void gw_registry_leave(struct gw_registry *registry, const struct gw_registry_seat *seat);

/* No batch of an older connection is on its way: what the journal says now is the truth. */
bool gw_registry_settled(struct gw_registry *registry, const struct gw_registry_seat *seat);
/* A batch under this seat may be committed. */
bool gw_registry_current(struct gw_registry *registry, const struct gw_registry_seat *seat);

/* Around each batch: before it is queued, and after its outcome is known. */
void gw_registry_batch_begins(struct gw_registry *registry, const struct gw_registry_seat *seat);
void gw_registry_batch_ends(struct gw_registry *registry, const struct gw_registry_seat *seat);

/* The device id of an entry; lives as long as the seat or a batch in flight. */
const char *gw_registry_device(const struct gw_registry_entry *entry);
size_t gw_registry_count(struct gw_registry *registry);

#endif
