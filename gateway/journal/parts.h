/*
 * Inside the journal: the state that journal.c, recover.c, commit.c, roll.c, read.c and reclaim.c share.
 *
 * Threads: one thread opens, commits, reclaims and closes ("the committer"); it alone changes the list of
 * parts, the rows and the active segment, under `lock`. Other threads read under `lock`, and hold a reference
 * to a part while they copy out of its environment.
 */
#ifndef GW_JOURNAL_PARTS_H
#define GW_JOURNAL_PARTS_H

#include <pthread.h>

#include "journal/check.h"
#include "journal/detach.h"
#include "journal/folder.h"
#include "journal/journal.h"
#include "journal/lost.h"
#include "journal/maintain.h"
#include "journal/meta.h"
#include "journal/quota.h"
#include "journal/rows.h"
#include "journal/segment.h"
#include "journal/settled.h"

#define GW_JOURNAL_SEGMENT_BYTES ((uint64_t)256 << 20)
#define GW_JOURNAL_SEGMENT_BYTES_MIN ((uint64_t)1 << 20)
#define GW_JOURNAL_META_BYTES_MIN ((uint64_t)1 << 20)
#define GW_JOURNAL_META_BYTES_MAX ((uint64_t)16 << 20)
#define GW_JOURNAL_FORGET_MS ((uint64_t)90 * 24 * 3600 * 1000)
#define GW_JOURNAL_ROWS_MAX                                                                                  \
    ((size_t)1 << 18) /* streams a segment may touch: bounds memory and the time of a seal */
#define GW_JOURNAL_SINKS_MAX 32
#define GW_JOURNAL_OPEN_PARTS_MAX 4 /* sealed segments mapped at once */
#define GW_JOURNAL_SALVAGED ".salvaged"
#define GW_JOURNAL_EPOCHS_MAX 64
#define GW_JOURNAL_CURSOR_SYNC_MS 1000
#define GW_JOURNAL_ENTRY_BYTES_MIN                                                                           \
    4u /* what an entry takes at least: bounds the offsets a segment can hold */

/* A segment as the journal knows it. */
struct gw_part {
    uint64_t first, end; /* end: the offset that the next part begins at, or later */
    uint64_t entries, lost, bytes, sealed_ms;
    uint32_t quarantine;
    enum gw_segment_state state;
    struct gw_segment segment; /* env NULL: not open */
    unsigned refs, waiters;    /* readers copying out of it, and those waiting until it is open */
    bool opening, pinned;      /* pinned: its digest is not known, so it stays open */
    bool undigested; /* suspect, cut and synced: its digest is to be made; the committer's thread only */
    bool faulty;     /* a read of it failed while it took commits: it is to be sealed and judged */
    uint64_t last_used;
};

struct gw_sink_cursor {
    char name[GW_META_SINK_CHARS_MAX + 1];
    uint64_t offset, synced;
    bool dirty;
    struct gw_detach detach;
    uint64_t lost; /* entries that it was left behind without */
};

/* How full it is, as the newest reclaim found it. */
struct gw_room {
    uint64_t limit_bytes, retained_bytes;
    bool nearly_full;
};

struct gw_journal {
    char *folder;
    struct gw_path segments_folder, damaged_folder, spare;
    uint64_t segment_bytes, quota_bytes, forget_ms, retention_bytes, retention_ms;
    bool recycle;
    struct gw_room room;             /* lock held */
    struct gw_journal_backup backup; /* lock held */
    bool any_epoch; /* a salvage: segments without a record may be of epochs before; these were met */
    uint64_t epochs[GW_JOURNAL_EPOCHS_MAX];
    size_t epoch_count;
    int lock_fd;
    struct gw_meta *meta;

    pthread_mutex_t lock;
    pthread_cond_t opened;
    struct gw_part **parts; /* by first offset */
    size_t part_count, part_capacity;
    struct gw_part *active; /* the last part, or NULL: the next commit makes one */
    struct gw_segment_tail tail;
    uint64_t begin, end, use_counter, quarantine_count;
    uint64_t
        trimmed; /* offset after the last entry that was let go; UINT64_MAX: not known, of an older version */
    uint64_t damaged_folders; /* in damaged/, not yet salvaged or removed */
    struct gw_rows rows;
    struct gw_settled settled;
    struct gw_quota quota; /* the committer's own */
    bool active_full, active_failed;
    bool digests_due;         /* a part may be undigested; the committer's own, as are the next two */
    struct gw_part *digested; /* whose digest is being made, or NULL */
    struct gw_digesting digesting;

    struct gw_segment_item *items;
    struct gw_arena more_rows; /* of the items */
    size_t item_capacity;

    struct gw_sink_cursor sinks[GW_JOURNAL_SINKS_MAX];
    size_t sink_count;
    uint64_t cursors_synced_ms; /* monotonic */
    struct gw_meta_position forget_position;
    int64_t clock_offset_ms; /* wall clock minus monotonic clock at open */
};

uint64_t gw_journal_wall_ms(void);
uint64_t gw_journal_mono_ms(void);

/* parts.c. The caller holds `lock` where a function says so. */
struct gw_path gw_part_folder(const struct gw_journal *journal, const struct gw_part *part);
struct gw_segment_record gw_part_record(const struct gw_part *part);
/* The offset that a sink has come to when it has all of the part; 0: there is nothing for sinks in it (rejected events, rows). */
uint64_t gw_part_wanted_end(const struct gw_part *part);
/* A new part in its place in the list (takes the lock). NULL: out of memory. */
struct gw_part *gw_part_add(struct gw_journal *journal, const struct gw_part *like);
/* The same while no other thread knows the journal: takes no lock, so it may be called under meta's (whose order is
 * the other way round in a commit). */
struct gw_part *gw_part_add_alone(struct gw_journal *journal, const struct gw_part *like);
void gw_part_remove(struct gw_journal *journal, struct gw_part *part); /* takes the lock */
/* Lock held: makes sure the part is open and counted as used. It gives the lock up meanwhile. GW_EDAMAGED:
 * set aside. */
GW_MUST_CHECK int gw_part_acquire(struct gw_journal *journal, struct gw_part *part);
void gw_part_release(struct gw_journal *journal, struct gw_part *part); /* lock held */
/* Closes those that nobody has used for longest, beyond GW_JOURNAL_OPEN_PARTS_MAX: an open one takes some MB. Lock held. */
void gw_part_close_unused(struct gw_journal *journal);
/*
 * Moves a damaged segment out of the way, into damaged/, notes and logs it; part->lost and part->end say what
 * is gone. Any thread, lock not held.
 */
GW_MUST_CHECK int gw_part_set_aside(struct gw_journal *journal, struct gw_part *part, const char *why);

/* Whether a name in damaged/ is that of a segment that was not salvaged. */
bool gw_part_is_to_salvage(const char *name);
/* recover.c: reads the list of segments and mends what an unclean stop left. */
GW_MUST_CHECK int gw_journal_recover(struct gw_journal *journal, struct gw_error *error);

/* quarantine_quota.c: the committer's thread. */
/* Counts what is in meta. */
GW_MUST_CHECK int gw_journal_quota_load(struct gw_journal *journal);
/* Takes from a write what its device may not put into quarantine, and counts the rest. 0; GW_EAGAIN: roll first. */
GW_MUST_CHECK int gw_journal_quota_bound(struct gw_journal *journal, struct gw_journal_write *write);
/* A write was settled (gw_settled_take). */
void gw_journal_quota_settled(struct gw_journal *journal, const struct gw_journal_write *write);
/* Of items that are not to be committed after all: as if they had not been counted. */
void gw_journal_quota_revert(struct gw_journal *journal, size_t items);

/* settle.c. Lock held; a place that is settled is noted as of the transaction under way. 0, GW_ESTALE, or why nothing can be
 * looked up. */
GW_MUST_CHECK int gw_settled_take(struct gw_journal *journal, const struct gw_journal_write *write);
/* Inside gw_meta_update: what a segment's quarantine says, into that of meta. LMDB's codes. */
GW_MUST_CHECK int gw_settled_merge(struct gw_meta_txn *t, uint64_t first, uint64_t number,
                                   const MDB_val *value);

/* roll.c */
GW_MUST_CHECK int gw_journal_begin_segment(struct gw_journal *journal, struct gw_error *error);
/* Seals the active segment, if there is one, and does not wait for its digest: gw_journal_step makes it. The digest of the one
 * before is finished, so that one at most is under way. */
GW_MUST_CHECK int gw_journal_roll(struct gw_journal *journal, struct gw_error *error);
/* The same with the digest; nothing is under way afterwards. */
GW_MUST_CHECK int gw_journal_seal(struct gw_journal *journal, struct gw_error *error);
/* Whether a reader found the active segment faulty. */
bool gw_journal_judge_active(struct gw_journal *journal);
/* Cuts the data file to its used bytes, and syncs it. 0 or an errno value. */
GW_MUST_CHECK int gw_journal_shrink(const char *folder, uint64_t used_bytes);

/* digesting.c: the committer's thread */
/* Finishes what gw_journal_step would. */
void gw_journal_digest_rest(struct gw_journal *journal);
/* The part goes: what there is of its digest goes too. */
void gw_journal_digest_forget(struct gw_journal *journal, const struct gw_part *part);

/* commit.c: appends entries of any kind, without rows. One synced transaction; entries are at most a quarter of a
 * segment together. Errors as gw_journal_commit. */
GW_MUST_CHECK int gw_journal_append(struct gw_journal *journal, const struct gw_journal_entry *entries,
                                    size_t count, struct gw_error *error);

/* retain.c */
/* Lock held: whether the oldest part, which every sink has passed, is to go now. passed: offset that they all have. */
bool gw_journal_outlived(const struct gw_journal *journal, uint64_t passed, uint64_t now_ms);
/* Notes how full the journal is, and logs when that changes. passed: as above. */
void gw_journal_note_room(struct gw_journal *journal, uint64_t passed);
uint64_t gw_journal_disk_bytes(const struct gw_journal *journal); /* lock held, or the committer's thread */
/* Wall clock less monotonic clock has moved since the journal was opened: nothing is done for its age. */
bool gw_journal_clock_jumped(const struct gw_journal *journal);

/* backup.c: does what gw_journal_backup_ask asked for. */
void gw_journal_serve_backup(struct gw_journal *journal);

/* detached.c */
/* Takes what meta knows of lost ranges and of what was let go, once parts and cursors are loaded. */
GW_MUST_CHECK int gw_journal_lost_load(struct gw_journal *journal);
/* How far all sinks are for good, and how far those that hold segments are. */
struct gw_passed {
    uint64_t all, holding;
};
/* Lock held. now_ms: monotonic. */
struct gw_passed gw_journal_passed(struct gw_journal *journal, const char *const *sinks, size_t sink_count,
                                   uint64_t now_ms);
/* Looks at where each sink is, and logs those that are back. */
void gw_journal_look_at_sinks(struct gw_journal *journal);
/* What the sinks lose with a part. */
struct gw_losses {
    const char *sinks[GW_JOURNAL_SINKS_MAX];
    struct gw_lost_range ranges[GW_JOURNAL_SINKS_MAX];
    size_t count;
};
/* Lock held. */
void gw_journal_losses_of(struct gw_journal *journal, const struct gw_part *part, const char *const *sinks,
                          size_t sink_count, struct gw_losses *out);
/* They are recorded: the sinks are detached, and the log says so. */
void gw_journal_losses_happened(struct gw_journal *journal, const struct gw_losses *losses);

/* reclaim.c */
/* Lock held; NULL: it is not known, or there is no room for one more. */
struct gw_sink_cursor *gw_journal_sink_find(struct gw_journal *journal, const char *sink);
struct gw_sink_cursor *gw_journal_sink_add(struct gw_journal *journal, const char *sink);
GW_MUST_CHECK int gw_journal_cursors_load(struct gw_journal *journal);
GW_MUST_CHECK int gw_journal_cursors_sync(struct gw_journal *journal);
/* Looks at some rows in meta and removes those not touched since before_ms. */
GW_MUST_CHECK int gw_journal_forget(struct gw_journal *journal, uint64_t before_ms);

#endif
