/*
 * What is in quarantine, over the admin socket: list, show, re-drive, drop. Nothing of an event's values is ever answered.
 *
 *   GET  /v1/quarantine[?limit=N]
 *   GET  /v1/quarantine/show?id=DEVICE/STREAM/SEQ
 *   POST /v1/quarantine/redrive?FILTER[&after=PLACE]     each event that is valid now is appended to the journal and leaves
 *   POST /v1/quarantine/drop?FILTER[&after=PLACE]        leaves, unread
 *
 * One request of the latter two settles GW_QUARANTINE_STEP events at most. Where there may be more its answer has the member
 * `next`, the PLACE that the next request goes on from: nobody else waits long for the admin's thread.
 *
 * FILTER: id, device, schema (the name without version), or all=true; those given must all hold. Values are percent-encoded.
 */
#ifndef GW_ADMIN_QUARANTINE_H
#define GW_ADMIN_QUARANTINE_H

#include "admin/routes.h"

#define GW_QUARANTINE_LIMIT 1000 /* listed unless asked for another number */
#define GW_QUARANTINE_LIMIT_MAX 16384
#define GW_QUARANTINE_STEP 512u        /* events that one request takes in hand */
#define GW_QUARANTINE_STEP_WALK 16384u /* records that it walks over, meant or not */

/* False: not one of these paths. */
bool gw_admin_quarantine(struct gw_admin_view *view, const struct gw_admin_question *question,
                         struct gw_admin_answer *out);

/* Which events are meant. */
struct gw_quarantine_filter {
    char device[256], schema[160]; /* "": any */
    bool has_id;                   /* stream and seq count */
    uint64_t stream, seq;
};

struct gw_quarantine_tally {
    uint64_t matched, done, still, gone,
        unreadable;       /* still: rejected again; gone: settled or erased meanwhile */
    uint32_t last_reason; /* of one that is rejected again: GW_REJECT_REASON */
    uint64_t walked;      /* records that were looked at for it */
    bool more;            /* it stopped because it had done enough: go on from `next` */
    struct gw_journal_place next;
};

/*
 * One step: re-drives or drops what the filter means behind `after` (zeroes: from the start), oldest first,
 * GW_QUARANTINE_STEP events at most. The journal's errors; what was done by then stays done.
 */
GW_MUST_CHECK int gw_quarantine_settle(struct gw_journal *journal, const struct gw_admin_writer *writer,
                                       const struct gw_quarantine_filter *filter,
                                       const struct gw_journal_place *after, bool redrive,
                                       struct gw_quarantine_tally *out, struct gw_error *error);
/* The faults of one event by today's schemas, without values: members of `show`. 0; GW_ENOTFOUND; the journal's errors. */
GW_MUST_CHECK int gw_quarantine_show(struct gw_journal *journal, const struct gw_admin_writer *writer,
                                     const struct gw_quarantine_filter *filter, cJSON *out);

#endif
