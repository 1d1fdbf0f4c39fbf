/*
 * The device journal: a ring of sectors that survives a power cut at any byte. Format: format.h.
 *
 * It knows positions, streams and record kinds; what to drop, when to send and what a context means is its users'
 * affair. Nothing is durable before a commit returned 0, and nothing is programmed twice between two erases.
 * All functions may block for the medium's time and return 0 or TRIB_EIO besides the errors they name.
 */
#ifndef TRIB_JOURNAL_JOURNAL_H
#define TRIB_JOURNAL_JOURNAL_H

#include "journal/format.h"
#include "tributary/state.h"
#include "wire/error.h"

enum trib_ring_verdict {
    TRIB_RING_GOOD,
    TRIB_RING_BLANK, /* never used: format it */
    TRIB_RING_LOST, /* nothing readable, or the newest records are damaged: seqs of this stream must not go on */
};

struct trib_ring_found {
    enum trib_ring_verdict verdict;
    uint32_t boot;       /* highest boot seen; 0: none */
    uint32_t damaged;    /* damaged places met: headers, and records in the newest sector */
    uint64_t lost_count; /* LOST: how many events at least are gone at the head */
};

/* What a new stream begins with. */
struct trib_ring_start {
    uint64_t stream;
    uint64_t first_pos;  /* UINT64_MAX: the head */
    uint64_t lost_count; /* positions to leave out before it */
    uint64_t mono_ms;
    uint32_t boot, ord;
    uint8_t reason;
};

/* Finds head and tail, in bounded reads: each header once, the newest sector, the tail. TRIB_EINVAL: geometry. */
TRIB_MUST_CHECK int trib_ring_mount(struct trib_ring *r, const struct trib_storage *storage,
                                    struct trib_ring_found *out_found);
/* From here on records are of this boot. */
void trib_ring_boot(struct trib_ring *r, uint32_t boot);

enum trib_ring_room { TRIB_RING_KEEP_SPARE, TRIB_RING_USE_SPARE, TRIB_RING_DROP_OLDEST };

/*
 * Opens the next sector, for a new stream or (start NULL) the same; copies open contexts into it.
 * TRIB_EFULL: there is no sector that may be taken. *out_dropped_to: positions below were dropped to make room; or 0.
 */
TRIB_MUST_CHECK int trib_ring_open(struct trib_ring *r, const struct trib_ring_start *start,
                                   enum trib_ring_room room, uint64_t *out_dropped_to);
/*
 * Erasure, in two steps. First trib_ring_open with the start reason TRIB_START_REASON_ERASED: its header, with the next
 * generation, is the durable intent; nothing older is copied or sent from then on. Then this: erases all sectors of
 * older generations, and notes that it is done. Call it after each mount too, when what is to survive was read and put
 * anew: it finishes what a cut left, and does nothing where nothing is left to do. TRIB_EIO: a sector could not be
 * erased; call again.
 */
int trib_ring_erase_others(struct trib_ring *r);
/*
 * A step of giving up operations on favourites that a later one on the same item supersedes, when the ring has at most its
 * spare sector left: see ring_compact.c. Nothing below `keep` is given up.
 * Blocks for one read of the ring and of a sector, and for programming what 24 records take, or one erase. Errors only
 * end the pass: what was written until then is of no use, and does no harm.
 */
enum trib_compaction_verdict {
    TRIB_COMPACT_NOTHING, /* there is nothing to gain, for now */
    TRIB_COMPACT_AGAIN,   /* call again */
    TRIB_COMPACT_FREED,   /* the same; a sector was erased: cursors must be sought anew */
    TRIB_COMPACT_OPEN,    /* call again when the spare sector was opened */
};
enum trib_compaction_verdict trib_ring_compact(struct trib_ring *r, struct trib_compaction *k, uint64_t keep);
/* The active sector is half full, and the next may be free. */
bool trib_ring_wants_erase(const struct trib_ring *r);
/* Erases the next sector before it is needed, if that is free. Persist the ack cursor first. */
int trib_ring_erase_ahead(struct trib_ring *r);
/* All below pos is acked. Going back is allowed, as far as the ring still holds it. */
int trib_ring_ack(struct trib_ring *r, uint64_t pos, bool start_acked);
/* The sector that is erased next, if one is free; else UINT32_MAX. */
uint32_t trib_ring_next_free(const struct trib_ring *r);
/* Sectors that hold nothing unacked. */
uint32_t trib_ring_free_count(const struct trib_ring *r);
/* Lowest position that is still there. */
int trib_ring_oldest(const struct trib_ring *r, uint64_t *out_pos);

/* --- writing: a group of records that becomes durable as a whole --- */

struct trib_ring_writer {
    struct trib_ring *ring;
    uint64_t pos, mono_ms;
    uint32_t ord;
    uint32_t from;   /* where the group begins */
    uint32_t offset; /* where the next byte goes; the chunk holds those not yet programmed */
    uint32_t fill;
    uint32_t crc;
    int32_t opened;       /* contexts opened less closed */
    uint64_t saved_acked; /* by an ACK of the group; UINT64_MAX: none */
    uint32_t saved_crc;
    int error;
    bool based;
    bool first; /* the present record is the group's first */
    bool dry;   /* nothing is programmed: it only measures */
    uint8_t chunk[TRIB_FORMAT_UNIT_MAX];
};

struct trib_ring_record;

/* Every begin is followed by a commit. */
void trib_ring_begin(struct trib_ring_writer *w, struct trib_ring *r);
/* Each returns TRIB_ESPACE if the record does not fit in the sector: commit, open the next one, begin again; and
 * TRIB_EAGAIN if the group must be committed first. ref: of a context put before, 0: none. */
int trib_ring_put_event(struct trib_ring_writer *w, unsigned type, uint32_t ref, uint64_t mono_ms,
                        uint32_t ord, const uint8_t *fields, uint32_t length);
int trib_ring_put_context(struct trib_ring_writer *w, uint32_t ref, uint64_t session, const char *content,
                          uint32_t content_len, const char *user, uint32_t user_len);
/* What is copied from a record that was read from this ring is checked against its CRC: if it is not what it was a moment
 * ago, the copy is damaged, which the commit says. `kind`: CONTEXT, or MOVED_CONTEXT, which no event to come refers to. */
int trib_ring_put_copy(struct trib_ring_writer *w, const struct trib_ring_record *from, unsigned kind,
                       uint32_t *out_offset);
/* An event, a DROP, or what a MOVED says. context: offset in this sector of the event's context; 0: none. A DROP may be made
 * up: `bytes` 0. */
int trib_ring_put_gone(struct trib_ring_writer *w, uint32_t sector_seq);
int trib_ring_put_moved(struct trib_ring_writer *w, const struct trib_ring_record *from, uint32_t context);
int trib_ring_put_end(struct trib_ring_writer *w, uint32_t ref);
int trib_ring_put_drop(struct trib_ring_writer *w, uint64_t count, unsigned drop_class, unsigned reason);
int trib_ring_put_base(struct trib_ring_writer *w); /* at a group's start, on what needs no other record */
int trib_ring_put_state(struct trib_ring_writer *w, const uint8_t *data, uint32_t length);
/* crc: trib_wire_event_crc of the event before acked_pos, 0: not known. */
int trib_ring_put_ack(struct trib_ring_writer *w, uint32_t crc);
/*
 * Programs, reads back, syncs. TRIB_EDAMAGED: the medium kept only the records up to r->head_pos and r->ord; put the
 * others again. TRIB_EIO: the sync failed; nothing new is durable until a later commit, even an empty one, succeeds.
 */
int trib_ring_commit(struct trib_ring_writer *w);
/* The most that one record's body may have, so that it fits in a fresh sector with `contexts` bytes of contexts. */
uint32_t trib_ring_body_max(const struct trib_storage *s, uint32_t contexts);

/* --- reading --- */

struct trib_ring_record {
    uint64_t pos, mono_ms; /* event: its own; drop: the first position; moved: the same of what it says */
    uint64_t count;        /* drop; moved */
    uint32_t boot, ord;
    uint32_t address; /* of the body, in the lane */
    uint32_t bytes;   /* of the body */
    uint32_t data;    /* event, state: address of fields, state */
    uint32_t data_bytes;
    uint32_t head;    /* bytes of the record before data */
    uint32_t seed;    /* of its CRC */
    uint32_t context; /* event: address of its context record's start; UINT32_MAX: none. end: the same */
    uint32_t ref;     /* context; gone: sector_seq */
    uint64_t session; /* context */
    uint64_t acked;   /* base, ack */
    uint32_t acked_crc;
    uint8_t flags; /* base, ack */
    uint8_t kind;  /* event type or enum trib_record_kind */
    uint8_t moved; /* moved: event type or TRIB_RECORD_DROP */
    bool first;    /* of its group */
    uint8_t drop_class, drop_reason;
};

/* To the record with the highest position not above pos, or to the oldest. */
int trib_ring_seek(const struct trib_ring *r, uint64_t pos, struct trib_ring_cursor *out);
/* 1: a record; 0: nothing more now; TRIB_EIO. Steps over damage; the gap then shows in the next record's pos. */
int trib_ring_next(const struct trib_ring *r, struct trib_ring_cursor *c, struct trib_ring_record *out);
/* What a MOVED record says of pos: 1; 0: there is none. A drop that says `superseded` may reach over positions that others
 * say more of: from *in_out_end on, which goes down, another record counts. *in_out_seq: the sector it was found in, where
 * the next search begins. TRIB_EIO. */
int trib_ring_find_moved(const struct trib_ring *r, uint64_t pos, uint32_t *in_out_seq,
                         struct trib_ring_record *out, uint64_t *in_out_end);
/* To the beginning of the next sector. 1: there; 0: there is none; TRIB_EIO: a header in between cannot be read (force:
 * it is left out). */
int trib_ring_skip_sector(const struct trib_ring *r, struct trib_ring_cursor *c, bool force);
/* The same as next within one sector up to limit. */
int trib_ring_next_in_sector(const struct trib_storage *s, struct trib_ring_cursor *c, uint32_t limit,
                             struct trib_ring_record *out);
/*
 * Reads the last part of a record, `length` bytes from an address on, to out, and checks the CRC over what it read: bits
 * that the power has torn may read differently each time. head: bytes of the record before them. Of the caller's memory
 * also `head` bytes before out and TRIB_RING_TAIL_BYTES behind the part are overwritten.
 * TRIB_EDAMAGED: it is not what it was a moment ago; TRIB_EIO.
 */
#define TRIB_RING_HEAD_MAX 40u /* most that is before an event's fields, a context's texts, a state */
#define TRIB_RING_TAIL_BYTES 4u
int trib_ring_read_checked(const struct trib_storage *s, uint32_t address, uint32_t head, uint32_t length,
                           uint32_t seed, uint8_t *out);

/* The context record at an address that an event gave: session, and where content and user are. */
struct trib_ring_context {
    uint64_t session;
    uint32_t head;                 /* bytes of the record before content */
    uint32_t content, content_len; /* address */
    uint32_t user, user_len;
};
/* TRIB_EDAMAGED. seed: of the cursor that gave the event. */
int trib_ring_context(const struct trib_ring *r, uint32_t address, uint32_t seed,
                      struct trib_ring_context *out);

/* The stream at a position: its id, position of its seq 2, and where it ends (UINT64_MAX: it is the current one).
 * out_header may be NULL; else it gets a header that has the stream's start. TRIB_EDAMAGED: no header speaks for it. */
int trib_ring_stream_at(const struct trib_ring *r, uint64_t pos, uint64_t *out_stream,
                        uint64_t *out_first_pos, uint64_t *out_end, struct trib_ring_header *out_header);

/* --- for the ring's own files --- */
int trib_ring_find_sector(
    const struct trib_ring *r, uint32_t seq, uint32_t hint, uint32_t *out_sector,
    struct trib_ring_header
        *out); /* lowest seq >= seq; TRIB_EAGAIN: none; TRIB_EIO: one that cannot be read may be nearer */
void trib_ring_cursor_at(struct trib_ring_cursor *c, const struct trib_ring *r, uint32_t sector,
                         const struct trib_ring_header *h);
/* At the beginning of the oldest sector there is whose seq is not below. TRIB_EAGAIN: there is none; TRIB_EIO. */
int trib_ring_cursor_from(const struct trib_ring *r, uint32_t seq, struct trib_ring_cursor *out);
/* Offset of the next whole BASE at or after `from`, which is rounded up to a unit; or limit. *out_pos: what it says. */
uint32_t trib_ring_find_base(const struct trib_storage *s, const struct trib_ring_cursor *c, uint32_t from,
                             uint32_t limit, uint64_t *out_pos);
int trib_ring_retail(struct trib_ring *r); /* recompute tail_seq, tail_end, live_count from acked_pos */
int trib_ring_copy_contexts(struct trib_ring *r, uint32_t sector, uint32_t seed);
bool trib_seq_before(uint32_t a, uint32_t b);

#endif
