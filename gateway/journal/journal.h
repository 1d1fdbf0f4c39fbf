/*
 * The journal: what was acked, until every sink has it. docs/journal.md describes the files.
 *
 * A `meta` LMDB environment (gateway identity, merged stream rows, cursors) and a row of segment environments. One
 * commit is one synced transaction in the active segment: a block of entries, quarantine entries, stream rows.
 * Offsets count entries from 0 in this journal epoch. An entry is opaque bytes here (journal/entry.h gives them
 * meaning). One thread commits; any thread reads. No read transaction outlives a call.
 */
#ifndef GW_JOURNAL_JOURNAL_H
#define GW_JOURNAL_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct gw_journal;

struct gw_journal_config {
    const char *folder;       /* must exist and be writable; locked while open */
    uint64_t segment_bytes;   /* 0: 256 MiB; at least 1 MiB */
    uint64_t quota_bytes;     /* 0: no quota but the disk's; commits fail with GW_EFULL beyond it */
    uint64_t retention_bytes; /* what every sink has is kept up to this size, 0: no bound ... */
    uint64_t retention_ms;    /* ... and this long, 0: no bound; with neither it goes at once */
    bool recycle;             /* the file of a segment that goes is kept for the next one, one at a time */
    bool any_epoch;           /* a salvage: segments that meta does not know may be of epochs before */
    uint64_t
        quarantine_per_device; /* events of a device in quarantine at a time, 0: no bound but that of all */
    uint64_t stream_forget_ms; /* rows not touched for this long are forgotten; 0: 90 days */
};

/* Not a stream: the row of this number knows the highest journal generation of a device that erased. */
#define GW_JOURNAL_DEVICE_ROW 0u
#define GW_JOURNAL_NAMED_MAX 8

struct gw_journal_stream {
    uint64_t committed;  /* last committed seq, 0: none */
    uint32_t crc;        /* of that event (trib_wire_event_crc), 0 for a drop */
    uint64_t generation; /* journal generation of the device when committed */
    bool closed;         /* nothing is ever committed to it again ... */
    bool erased;         /* ... because the device erased */
};

/* What one batch does to one stream: compare-and-swap on its row. */
struct gw_journal_lane {
    uint64_t stream;   /* 0: not used */
    uint64_t expected; /* the row's committed seq must be this (a missing row counts as 0) ... */
    bool adopt; /* ... unless adopt: another gateway acked the rest; then the row must be ≤ expected */
    uint64_t last_seq; /* new committed seq; equal to expected: nothing new, the row keeps its crc ... */
    uint32_t last_crc; /* ... and this is 0 */
};

struct gw_journal_quarantine {
    const uint8_t *sealed; /* privacy/seal.h output */
    size_t sealed_len;
    uint64_t stream, seq;
    uint32_t code; /* enum trib_reject */
};

/* Where an event lies in quarantine, for as long as it is there. */
struct gw_journal_place {
    uint64_t segment, number; /* first offset of the segment that it came with, and its number there */
};

/* An event that leaves quarantine. */
struct gw_journal_settled {
    struct gw_journal_place place;
    uint64_t stream, seq;
};

/* One batch in a commit. All memory is the caller's and stays until commit returns. */
struct gw_journal_write {
    const char *device; /* terminated */
    uint64_t generation;
    struct gw_journal_lane lanes[2];
    const uint8_t *entry; /* NULL: nothing for the sinks (all rejected) */
    size_t entry_len;
    const struct gw_journal_quarantine *quarantine;
    size_t quarantine_count;
    /* Events of the device that leave quarantine in the same transaction: `entry` holds them (they are re-driven), or is NULL
     * (they are dropped). Such a write has no lanes, quarantine or named streams, and moves no row. GW_ESTALE: one is not
     * there any more, or is to be re-driven and its device has been erased since. */
    const struct gw_journal_settled *settles;
    size_t settle_count;
    /* The first write of a connection names the device's live streams; its others are closed in the same transaction, and
     * those of an older generation are erased. */
    bool names_streams;
    uint64_t named[GW_JOURNAL_NAMED_MAX];
    size_t named_count;
    uint32_t closed_count; /* out: with those that were erased */
    size_t
        beyond_quota; /* out: so many of `quarantine`, the last ones, are beyond quarantine_per_device and were not kept;
                            * quarantine_count is less by them */
    int status; /* out: 0 committed and durable; GW_ESTALE: a row did not match, or the device's journal has been
                 * erased since (a higher generation is known); GW_EINVALID: it can never be
                 * stored (its sizes, a seq that goes back, two lanes of one stream). Then nothing of it is kept. Of a
                 * commit so big that it took several transactions, the writes after a failure have its code. */
};

/* GW_EBUSY another process has it; GW_EVERSION; GW_EDAMAGED (meta); GW_EIO; GW_EINVALID (folder missing, read-only). */
GW_MUST_CHECK int gw_journal_open(const struct gw_journal_config *config, struct gw_journal **out,
                                  struct gw_error *error);
void gw_journal_close(struct gw_journal *journal);

uint64_t gw_journal_epoch(const struct gw_journal *journal);
/* Random 16 hex digits made at format; the gateway id in WELCOME unless configured. */
const char *gw_journal_gateway_id(const struct gw_journal *journal);

/* All writes in one transaction (a few, if they fill more than a quarter of a segment), synced before it returns.
 * 0: look at each status. GW_EFULL, GW_EIO, GW_ENOMEM: none is kept. One thread commits, reclaims and closes. */
GW_MUST_CHECK int gw_journal_commit(struct gw_journal *journal, struct gw_journal_write *const *writes,
                                    size_t count, struct gw_error *error);

/*
 * Goes on with what commits left for later, so that no ack waits for it: the digest of a segment that became full, a MiB at a
 * time, or as many as keep up with the segment that is being filled. To be called after each commit and while there are none;
 * close and a backup finish it. True: there is more to do. The committer's thread.
 */
bool gw_journal_step(struct gw_journal *journal);

/* Whether a commit could be stored now, after one that could not: makes room for it where that is possible, so that the
 * space that came back is noticed without a device that tries. 0; GW_EFULL, GW_EIO, GW_ENOMEM. The committer's thread. */
GW_MUST_CHECK int gw_journal_probe(struct gw_journal *journal, struct gw_error *error);

/* The row of a stream, merged over meta and segments. 0; GW_ENOTFOUND; GW_EIO. Any thread. */
GW_MUST_CHECK int gw_journal_stream_get(struct gw_journal *journal, const char *device, uint64_t stream,
                                        struct gw_journal_stream *out);

struct gw_journal_entry {
    uint64_t offset;
    const uint8_t *data; /* into the caller's buffer */
    size_t len;
};

/*
 * Copies whole entries from `offset` on into buffer, at most max_entries and at least one if any is there.
 * 0 with *out_count (0: nothing newer yet) and *out_next, the offset to ask for next (it leaps over lost segments and
 * *out_lost counts the entries lost); GW_EFULL: buffer too small for the one entry, *out_next is then unchanged and
 * *out_needed its size; GW_EIO.
 */
GW_MUST_CHECK int gw_journal_read(struct gw_journal *journal, uint64_t offset, uint8_t *buffer,
                                  size_t capacity, struct gw_journal_entry *entries, size_t max_entries,
                                  size_t *out_count, uint64_t *out_next, uint64_t *out_lost,
                                  size_t *out_needed);
uint64_t gw_journal_end(const struct gw_journal *journal);   /* offset after the newest durable entry */
uint64_t gw_journal_begin(const struct gw_journal *journal); /* oldest offset kept */
/* Offset after the newest entry that is not kept any more: at most gw_journal_begin, less where only offsets without entries
 * (segments of rejected events alone take one) went since. */
uint64_t gw_journal_trimmed(const struct gw_journal *journal);

/* 0 with the offset up to which a sink's position in that epoch holds here: gw_journal_end, or of an epoch before this
 * one where the two part. GW_ENOTFOUND: another journal's; GW_EDAMAGED; GW_EIO. */
GW_MUST_CHECK int gw_journal_position_end(struct gw_journal *journal, uint64_t epoch, uint64_t *out_end);

/* A sink's cursor: next offset it needs. Kept in memory, synced to meta at most once a second and at close. */
GW_MUST_CHECK int gw_journal_cursor_set(struct gw_journal *journal, const char *sink, uint64_t offset);
GW_MUST_CHECK int gw_journal_cursor_get(struct gw_journal *journal, const char *sink, uint64_t *out_offset);
/* A sink need not be waited for longer than that (journal/detach.h): then segments that it alone holds go, and what it lost
 * is recorded. after_ms: 0: for ever, as without this call. GW_EINVALID: its name, or too many sinks. */
GW_MUST_CHECK int gw_journal_detach_after(struct gw_journal *journal, const char *sink, uint64_t after_ms);
/* A range that a sink lost so. Borrowed for the call. */
struct gw_journal_lost {
    const char *sink;
    uint64_t epoch, from, to;   /* offsets in that epoch; `to` is the first that was kept */
    uint64_t entries;           /* that were in it */
    uint64_t first_ms, last_ms; /* UTC: when the first and the last of it went */
};
typedef void (*gw_journal_lost_fn)(void *context, const struct gw_journal_lost *lost);
/* Calls fn for each, by sink, oldest first; it must be quick and not call the journal. 0; GW_EIO; GW_EDAMAGED. Any thread. */
GW_MUST_CHECK int gw_journal_each_lost(struct gw_journal *journal, gw_journal_lost_fn fn, void *context);
/* Whether a sink was left behind and has not moved since. Any thread. */
bool gw_journal_is_detached(struct gw_journal *journal, const char *sink);
/* Unlinks sealed, merged segments that every named sink has passed and retention does not hold. Called by the committer
 * each second. */
GW_MUST_CHECK int gw_journal_reclaim(struct gw_journal *journal, const char *const *sinks, size_t sink_count);

/* An event in quarantine. Borrowed for the call. */
struct gw_journal_rejected {
    const char *device; /* not terminated */
    size_t device_len;
    uint64_t stream, seq, received_ms; /* received_ms: UTC */
    uint32_t code;                     /* enum trib_reject */
    const uint8_t *sealed;
    size_t sealed_len;
    struct gw_journal_place place;
};
/* A result other than 0 ends the walk. It runs in a read transaction: it must be quick and not call the journal. */
typedef int (*gw_journal_rejected_fn)(void *context, const struct gw_journal_rejected *rejected);
/* A walk through quarantine that goes on where one before it ended. Begin with zeroes and `most`. */
struct gw_journal_rejected_walk {
    struct gw_journal_place
        after; /* the last record that is done with: only what lies behind it is looked at */
    uint64_t most,
        walked; /* records to look at, and looked at, in this call; of those that fn refused, none */
    bool ended; /* there was nothing more */
};
/*
 * Calls fn for each event in quarantine behind walk->after, oldest first, and moves walk->after: not beyond the event for
 * which fn gave something other than 0, so that the next walk begins with that one. 0; fn's result; GW_EIO;
 * GW_EDAMAGED. Any thread.
 */
GW_MUST_CHECK int gw_journal_walk_rejected(struct gw_journal *journal, struct gw_journal_rejected_walk *walk,
                                           gw_journal_rejected_fn fn, void *context);
/* Calls fn for each event in quarantine, oldest first. 0; fn's result; GW_EIO; GW_EDAMAGED. Any thread. */
GW_MUST_CHECK int gw_journal_each_rejected(struct gw_journal *journal, gw_journal_rejected_fn fn,
                                           void *context);

struct gw_journal_stats {
    uint64_t disk_bytes, segments, damaged_segments, quarantine_entries;
    uint64_t limit_bytes;    /* of the newest reclaim: the quota, or what the disk has left for the journal */
    uint64_t retained_bytes; /* of it: what every sink has and retention keeps */
    bool nearly_full;        /* at 80% of the limit, or with room for one more segment only */
    uint64_t detached_sinks, lost_entries; /* sinks left behind now; entries that such sinks ever lost */
};
void gw_journal_get_stats(struct gw_journal *journal, struct gw_journal_stats *out);

#endif
