/*
 * Re-drive: an event in quarantine is opened, judged and masked as if it came now, and becomes an entry of its own under its
 * original identity, marked as re-driven. Pure: sealed bytes in, a journal write out.
 */
#ifndef GW_SESSION_REDRIVE_H
#define GW_SESSION_REDRIVE_H

#include "schema/validate.h"
#include "session/admit.h"
#include "session/rejected.h"

/* Opens what is sealed. plain: room for sealed_len bytes; *out points into it. GW_ECRYPTO: another key, or damaged;
 * GW_EDAMAGED: not an event that this version knows. The caller wipes plain: it holds personal data in the clear. */
GW_MUST_CHECK int gw_redrive_open(const struct gw_seal_key *key, const struct gw_journal_rejected *rejected,
                                  uint8_t *plain, struct gw_rejected_event *out);

struct gw_redriven {
    struct gw_admitted admitted; /* write: entry, settles; device is the caller's */
    struct gw_journal_settled settled;
    uint32_t reason; /* why it stays: GW_REJECT_REASON; 0: it may be written */
};

/*
 * Admits the event again. out->admitted.write, if out->reason is 0, takes the event at `place` out of quarantine. *out must not
 * move. GW_ENOMEM, GW_ECRYPTO, GW_EDAMAGED.
 */
GW_MUST_CHECK int gw_redrive(const struct gw_admit_policy *policy, struct gw_schema_scratch *scratch,
                             const struct gw_rejected_event *event, const struct gw_journal_place *place,
                             struct gw_arena *arena, struct gw_redriven *out, struct gw_error *error);

#endif
