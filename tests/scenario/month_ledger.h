/*
 * What the device of the simulated month recorded, and what of it the gateway's journal holds. The ledger is written
 * at the moment of recording, with the true time; each entry must be found in the journal once, in order, at a time
 * within the stated uncertainty, or be declared dropped, or have been lost by a cut before it was promised durable.
 */
#ifndef TESTS_SCENARIO_MONTH_LEDGER_H
#define TESTS_SCENARIO_MONTH_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "delivery/event.h"
#include "wire/vocabulary.h"

#define LEDGER_ITEMS 64
#define LEDGER_CLASSES 3
#define LEDGER_REASONS 5

enum ledger_fate {
    LEDGER_PENDING, /* nobody promised anything yet */
    LEDGER_DURABLE, /* promised */
    LEDGER_AT_RISK, /* the power went before it was promised: it may be there or not */
    LEDGER_GONE,    /* the same, and its boot's number was used again: nothing of that boot may be there */
};

struct ledger_entry {
    uint64_t true_ms, mono_ms;
    uint64_t clock_ms; /* of the device, which goes on where a jump of it begins another boot's mono_ms */
    uint32_t boot, ord, crc;
    uint8_t type, fate, item; /* item: of a favourite, else LEDGER_ITEMS */
    bool delivered;
};

struct ledger_lane {
    struct ledger_entry *entries;
    size_t count, capacity;
    size_t settled; /* all below is no longer pending */
    /* Reading the journal. */
    size_t next;
    uint64_t stream, next_seq;
    uint64_t previous_next;       /* next_seq of the stream before */
    uint64_t dropped, tombstones; /* since the newest event */
};

struct ledger_place {
    uint64_t stream, seq;
};

struct ledger_session {
    uint64_t id, start_clock_ms;
    uint32_t boot;
    unsigned starts, ends;
};

struct ledger {
    struct ledger_lane lanes[TRIB_LANE_COUNT];
    struct ledger_session *sessions;
    size_t session_count;
    struct ledger_place *rejected; /* sorted before the first entry is taken */
    size_t rejected_count;
    bool reading;
    bool may_lose_streams; /* torn pages in any order look like damage: sdk/journal/README.md, known limits */
    uint64_t lost_streams,
        unaccounted;           /* unaccounted: what stream.start says that the stream before had besides */
    struct ledger_place *ords; /* boot and ord of all that was delivered */
    size_t ord_count;
    uint64_t delivered, quarantined, never_durable, worst_cut;
    uint64_t dropped[TRIB_LANE_COUNT][LEDGER_CLASSES][LEDGER_REASONS];
    uint64_t quality[4], worst_error_ms, worst_uncertainty_ms;
    uint64_t ends, power_loss_ends;
};

void ledger_init(struct ledger *ledger);
void ledger_free(struct ledger *ledger);
void ledger_record(struct ledger *ledger, unsigned lane, const struct ledger_entry *entry,
                   const uint8_t *fields, size_t fields_len);
/* All that the lane recorded up to clock_ms since the power came is promised. */
void ledger_promise(struct ledger *ledger, unsigned lane, uint64_t clock_ms);
/* The device starts anew. boot: its number now; clean: all was promised before. */
void ledger_boot(struct ledger *ledger, uint32_t boot);

/* What lies in quarantine; all of it before the first entry. */
void ledger_reject(struct ledger *ledger, uint64_t stream, uint64_t seq);
/* The journal, entry by entry: fails the test with a line that says what is wrong. */
void ledger_take(struct ledger *ledger, const uint8_t *entry, size_t len);
/* All was read. */
void ledger_judge(struct ledger *ledger);

#endif
