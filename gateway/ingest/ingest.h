/*
 * Ingest: devices' websockets in, admitted batches to the committer, acks out. Starts its threads and owns them.
 */
#ifndef GW_INGEST_INGEST_H
#define GW_INGEST_INGEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "config/config.h"
#include "journal/journal.h"
#include "session/admit.h"

struct gw_ingest;

/* All borrowed until gw_ingest_stop. */
struct gw_ingest_deps {
    const struct gw_config *config;
    struct gw_journal *journal;
    const struct gw_admit_policy *policy;
    const char *const *sinks; /* names of the sinks whose cursors hold journal segments back */
    size_t sink_count;
    /* Called after each commit that stored something, from the committer's thread; must not block. NULL: none. */
    void (*on_commit)(void *context);
    void *on_commit_context;
};

/* Checks certificate, key, CAs and key set, binds, then starts the threads. The error says what to mend. */
GW_MUST_CHECK int gw_ingest_start(const struct gw_ingest_deps *deps, struct gw_ingest **out,
                                  struct gw_error *error);
uint16_t gw_ingest_port(const struct gw_ingest *ingest);
/* False for a moment after a commit failed (disk full, I/O error): devices are sent away with a retry-after. */
bool gw_ingest_can_store(const struct gw_ingest *ingest);
/* Stores what is no batch of a device, and waits: see gw_committer_write. Not after gw_ingest_stop has begun. */
GW_MUST_CHECK int gw_ingest_write(struct gw_ingest *ingest, struct gw_journal_write *const *writes,
                                  size_t count, struct gw_error *error);
/*
 * Swaps what may change while devices are connected: certificate and key, device CAs, key set, deny list, origins, what
 * devices are told. Everything is loaded and checked first; config is taken over on success. Whom the new credentials do
 * not let in gets BYE (blocked, auth) at once. From any thread. Errors as gw_ingest_start, and then nothing changed.
 */
GW_MUST_CHECK int gw_ingest_reload(struct gw_ingest *ingest, struct gw_config *config,
                                   struct gw_error *error);
/*
 * Graceful: takes no new connection and no new batch, commits and acks what is on its way, says BYE draining, waits at
 * most five seconds for devices to go, and ends all threads. The journal stays open.
 */
void gw_ingest_stop(struct gw_ingest *ingest);

#endif
