/*
 * The committer: one thread that takes all batches that wait, stores them in one synced journal transaction, and only
 * then hands them back with their outcome. Batches of a connection that was replaced are refused here.
 */
#ifndef GW_INGEST_COMMITTER_H
#define GW_INGEST_COMMITTER_H

#include "journal/journal.h"
#include "session/registry.h"
#include "session/session.h"

struct gw_committer;

struct gw_committer_config {
    struct gw_journal *journal;
    struct gw_registry *registry;
    const char *const *sinks; /* whose cursors hold segments back */
    size_t sink_count;
    bool realtime;                   /* the thread runs ahead of others, where the system allows it */
    const char *cpus;                /* that the thread runs on (base/cores.h); "": any */
    uint32_t min_commit_interval_ms; /* from the begin of one commit to that of the next */
    /* The outcomes of one commit, in order, linked by next; status is set. From the committer's thread. */
    void (*outcome)(void *context, struct gw_session_batch *batches);
    /* How a commit went: 0, or why nothing can be stored now. From the committer's thread, before the outcomes. */
    void (*stored)(void *context, int status);
    void *context;
};

GW_MUST_CHECK int gw_committer_start(const struct gw_committer_config *config, struct gw_committer **out,
                                     struct gw_error *error);
/* From any thread; keeps the order of one thread's calls. */
void gw_committer_queue(struct gw_committer *committer, struct gw_session_batch *batch);
/*
 * Stores writes that are no batch of a device (re-driven events) and waits for it: as gw_journal_commit. From any thread but
 * the committer's and those that serve devices; all calls must have returned before gw_committer_stop.
 */
GW_MUST_CHECK int gw_committer_write(struct gw_committer *committer, struct gw_journal_write *const *writes,
                                     size_t count, struct gw_error *error);
/* Commits what is queued, then ends the thread. Nothing may be queued any more. */
void gw_committer_stop(struct gw_committer *committer);

#endif
