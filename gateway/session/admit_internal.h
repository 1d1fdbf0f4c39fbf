/*
 * One admission while it runs: what the pass (admit.c), valid events (admit_accept.c) and rejected ones
 * (admit_reject.c) share.
 */
#ifndef GW_SESSION_ADMIT_INTERNAL_H
#define GW_SESSION_ADMIT_INTERNAL_H

#include <stdbool.h>
#include <stdio.h>

#include "schema/validate.h"
#include "session/admit.h"

/* What an item's own head, deltas and context index take at most, with room to spare. */
#define GW_ADMIT_ITEM_OVERHEAD 64
#define GW_ADMIT_USER_BYTES_MAX 48 /* a longer id is left to the thread's table */
#define GW_ADMIT_USERS_BITS 6      /* a batch remembers 64 users; users_known has a bit for each */

/* The last news of a lane: enough to compute the CRC of its row at the end. */
struct gw_admit_lane_state {
    uint64_t committed, last_seq;
    struct trib_wire_batch_item last; /* kind drop: CRC 0 */
    bool news;
};

/*
 * A user id and its pseudonym. A household has few users, and a batch names them again and again. The id is a copy: what a
 * custom event's stood in is written over by the next one.
 */
struct gw_admit_user {
    uint64_t mixed;
    uint32_t id_len, text_len;
    char id[GW_ADMIT_USER_BYTES_MAX];
    char text[GW_PSEUDONYM_TEXT_MAX];
};

/* Grows in the batch's arena; what it held is gone when it is asked for again. */
struct gw_admit_memory {
    uint8_t *bytes;
    size_t size;
};

struct gw_admission {
    const struct gw_admit_policy *policy;
    const struct gw_admit_input *input;
    struct gw_arena *arena;
    struct gw_admitted *out;
    struct gw_error *error;
    struct trib_wire_batch_reader reader;
    struct trib_wire_batch_writer writer;
    uint8_t *entry; /* the writer's buffer begins behind the entry head */
    size_t head_len;
    struct gw_admit_lane_state lanes[TRIB_LANE_COUNT];
    size_t item_at; /* where the item begins in the batch, and what the reader's state was there */
    struct {
        uint64_t mono_ms, ord;
        unsigned context;
    } before;
    struct trib_wire_context contexts[TRIB_WIRE_CONTEXTS_MAX + 1];
    uint32_t contexts_written; /* bit = index */
    uint64_t users_known;      /* bit = place in users that is taken */
    struct gw_admit_user users[1 << GW_ADMIT_USERS_BITS];
    struct gw_admit_memory scratch;  /* a fields map being written anew */
    struct gw_admit_memory declared; /* of the custom event at hand: what its schema declares */
    struct gw_journal_quarantine *quarantine;
    size_t quarantine_capacity;
    struct gw_custom custom; /* the custom event at hand */
    struct gw_validated valid;
    const uint8_t *valid_fields; /* that `valid` is of; NULL: of none */
};

/* Room for `bytes` more in the writer. The writer's errors are sticky, so it must never meet its end. */
enum gw_admit_verdict gw_admit_room(struct gw_admission *a, size_t bytes);

/* Working memory for one event, until it is asked for again; NULL: the arena is full. */
uint8_t *gw_admit_scratch(struct gw_admission *a, struct gw_admit_memory *memory, size_t bytes);

/* --- admit_custom.c --- */
/* A custom event by its schema: 0 and a->custom, or why not (enum trib_reject). */
int gw_admit_judge(struct gw_admission *a, const struct trib_wire_batch_item *event,
                   const struct gw_validated *valid);
/* Write the values of `schema` and `data` as they are stored; return the end, or NULL: no pseudonym. */
uint8_t *gw_admit_pinned(const struct gw_admission *a, uint8_t *out);
uint8_t *gw_admit_attributes(struct gw_admission *a, uint8_t *out);

/* --- admit_accept.c --- */
/* Writes the pseudonym of a text as CBOR: at most GW_ADMIT_ITEM_OVERHEAD and GW_PSEUDONYM_TEXT_MAX bytes. Returns the end, or
 * NULL: it cannot be computed. */
uint8_t *gw_admit_write_pseudonym(struct gw_admission *a, struct trib_text plain, uint8_t *out);
/* A context of the batch: kept until an event needs it. */
void gw_admit_context(struct gw_admission *a, const struct trib_wire_batch_item *item);
/* Writes a valid event to the entry, masked. */
enum gw_admit_verdict gw_admit_accept(struct gw_admission *a, const struct trib_wire_batch_item *event,
                                      const struct gw_validated *valid);

/* --- admit_reject.c --- */
/* Seals a bad event for quarantine and writes a tombstone in its place. code: enum trib_reject. */
enum gw_admit_verdict gw_admit_reject(struct gw_admission *a, const struct trib_wire_batch_item *event,
                                      int code);

#endif
