/*
 * Admission: one pass over a BATCH that validates, drops duplicates, masks, seals what is rejected, and
 * re-encodes the rest as a journal entry. Pure but for the random nonce of a seal: bytes in, bytes out, in
 * the caller's arena.
 */
#ifndef GW_SESSION_ADMIT_H
#define GW_SESSION_ADMIT_H

#include "base/arena.h"
#include "journal/entry.h"
#include "journal/journal.h"
#include "privacy/pseudonym_cache.h"
#include "privacy/seal.h"
#include "session/custom.h"
#include "wire/message.h"

struct gw_admit_policy {
    const struct gw_pseudonym_key *pseudonym;
    const struct gw_seal_key *seal;
    size_t max_event_bytes; /* of one fields map */
    struct gw_custom_rules custom;
};

struct gw_admit_lane {
    uint64_t stream;
    uint64_t committed; /* everything up to here is committed or on its way: duplicates */
};

struct gw_admit_input {
    struct gw_entry_head head; /* device, tenant, time received */
    struct gw_admit_lane
        lanes[TRIB_LANE_COUNT]; /* what the session knows of the streams in the batch's lanes */
    const uint8_t *batch;       /* the whole BATCH message */
    size_t batch_len;
    struct gw_pseudonym_cache *pseudonyms;    /* of this thread; NULL: each pseudonym is computed anew */
    struct gw_schema_scratch *schema_scratch; /* of this thread; NULL: no custom event is let in */
    bool again;                               /* a re-drive: its events have been counted when they came */
};

struct gw_admitted {
    struct gw_journal_write write; /* device is left to the caller; entry, quarantine and lanes are filled */
    struct trib_wire_rejection rejected[TRIB_WIRE_REJECTED_MAX];
    size_t rejected_count;
    uint64_t rejected_more;
    uint64_t event_count, duplicate_count, dropped_count, undeclared_count; /* event_count: new and valid */
    uint64_t unaccounted_count; /* part of dropped_count: the device itself does not know what or why */
    struct gw_admitted_start {
        uint64_t previous, previous_next; /* of a new stream.start; previous 0: none */
    } starts[TRIB_LANE_COUNT];
    uint64_t credit_events; /* all events in the batch, whatever became of them */
};

enum gw_admit_verdict {
    GW_ADMIT_OK =
        0, /* write it (all may be duplicate: then lanes' last_seq equal committed and entry is NULL) */
    GW_ADMIT_HOLE = 1,      /* NACK: first seq > committed + 1 in out_lane; nothing else is filled */
    GW_ADMIT_MALFORMED = 2, /* the batch cannot be read: BYE protocol; *out_error says why and where */
    GW_ADMIT_NO_MEMORY = 3,
    GW_ADMIT_CRYPTO = 4,
};

/* The lanes of a batch before admission: the session looks up its streams by them. 0 or TRIB_E…. */
TRIB_MUST_CHECK int gw_admit_peek(const uint8_t *batch, size_t len,
                                  struct trib_wire_position lanes[TRIB_LANE_COUNT]);

enum gw_admit_verdict gw_admit(const struct gw_admit_policy *policy, const struct gw_admit_input *input,
                               struct gw_arena *arena, struct gw_admitted *out, unsigned *out_lane,
                               struct gw_error *out_error);

#endif
