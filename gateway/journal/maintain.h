/*
 * What an operator does with a journal: verify, back up, restore, salvage (tributaryctl journal). All but the backup
 * are for a journal that no gateway has open.
 */
#ifndef GW_JOURNAL_MAINTAIN_H
#define GW_JOURNAL_MAINTAIN_H

#include "journal/journal.h"

/* One line of a report. Borrowed for the call. */
struct gw_journal_report {
    const char *segment; /* its name, or that of a folder in damaged/ */
    const char *found;   /* in words */
    uint64_t entries, bytes;
    bool sound;
};
typedef void (*gw_journal_report_fn)(void *context, const struct gw_journal_report *report);

struct gw_journal_summary {
    uint64_t epoch, begin, end;        /* offsets */
    uint64_t segments, entries, bytes; /* that are sound; of a salvage: what was appended */
    uint64_t bad, lost;                /* segments that are not, and entries in them */
    uint64_t schemas;                  /* changes of the registry of schemas in a backup that are whole */
};

/*
 * Reads everything that is stored and compares it with its digests and CRCs; changes nothing. folder: a data folder, or
 * a backup. report: for each segment. 0, with out->bad if something is not well; GW_EBUSY: a gateway has it open;
 * GW_ENOTFOUND: there is no journal; GW_EVERSION; GW_EDAMAGED: meta, so that nothing else can be judged; GW_EIO.
 */
GW_MUST_CHECK int gw_journal_verify(const char *folder, gw_journal_report_fn report, void *context,
                                    struct gw_journal_summary *out, struct gw_error *error);

/*
 * Seals the open segment, and makes `folder` with hard links to all segments and to the registry's changes, and a copy of meta; it must
 * not exist, and be on the same file system. It is there whole or not at all. Damaged segments are left out and counted as bad. The
 * committer's thread, or that of an opener without one. 0; GW_EINVALID: the folder; GW_EFULL; GW_EIO.
 */
GW_MUST_CHECK int gw_journal_backup(struct gw_journal *journal, const char *folder,
                                    struct gw_journal_summary *out, struct gw_error *error);

/*
 * The same of a journal at work. It is asked for from any thread, made by the committer at its next gw_journal_reclaim, and then lies
 * in the data folder as `backup.ready`: there a link can always be made, and only there the gateway may write. Whoever asked takes it
 * away (gw_backup_take). Nothing of this waits.
 */
enum gw_backup_state {
    GW_BACKUP_NONE,
    GW_BACKUP_WAITING, /* for the committer */
    GW_BACKUP_RUNNING, /* commits wait meanwhile */
    GW_BACKUP_READY,
    GW_BACKUP_FAILED
};
struct gw_journal_backup {
    enum gw_backup_state state;
    uint64_t number; /* of the newest that was asked for since the journal was opened; 0: none */
    struct gw_journal_summary summary; /* READY */
    struct gw_error error;             /* FAILED */
};
/* GW_EBUSY: one is under way, or lies there and was not taken away. */
GW_MUST_CHECK int gw_journal_backup_ask(struct gw_journal *journal, uint64_t *out_number,
                                        struct gw_error *error);
/* How the newest fares. */
void gw_journal_backup_look(struct gw_journal *journal, struct gw_journal_backup *out);
/* Takes back what was asked for. GW_ENOTFOUND: there is none of that number, or it has begun. */
GW_MUST_CHECK int gw_journal_backup_withdraw(struct gw_journal *journal, uint64_t number);

/*
 * For the one who takes a backup to `destination`, a folder that is not there yet, outside the data folder `data`: looks whether that can
 * be, keeps others from doing the same until *out_lock_fd is closed, and removes what an interrupted one left. 0; GW_EBUSY; GW_EINVALID;
 * GW_EIO.
 */
GW_MUST_CHECK int gw_backup_begin(const char *data, const char *destination, int *out_lock_fd,
                                  struct gw_error *error);
/*
 * Moves what lies ready in `data` to `destination`: by renaming it, or to another file system by a synced copy, which takes its time and
 * space there, and gets its name when it is whole. Either way nothing is left in `data`. 0; GW_EFULL; GW_EINVALID; GW_EIO.
 */
GW_MUST_CHECK int gw_backup_take(const char *data, const char *destination, struct gw_error *error);

/*
 * Makes a journal in `folder` (it may hold keys, stream and lake, but no journal) of what is sound in a backup, under a
 * new epoch, and puts back the schemas that its registry lacks. Links files where it can, else copies. report: for each segment, and for
 * schemas that are damaged. 0, with out->bad if some were damaged and left out; GW_EINVALID, GW_ENOTFOUND, GW_EVERSION, GW_EDAMAGED (the
 * backup's meta), GW_ECONFLICT (the registry holds other schemas), GW_EFULL, GW_EIO, GW_EBUSY.
 */
GW_MUST_CHECK int gw_journal_restore(const char *backup, const char *folder, gw_journal_report_fn report,
                                     void *context, struct gw_journal_summary *out, struct gw_error *error);

/*
 * Finds whole blocks in the segments that were set aside, and appends their entries anew, under a new epoch. Before it,
 * all segments are compared with their digests; and if meta is damaged or lost, one is made from the segments, with a
 * new gateway id: what segments reclaimed before had told of streams is gone then. Entries of a segment that a sink had
 * read before it went bad reach that sink twice. report: for each segment that was looked at. 0, with out->segments 0
 * if there was nothing to do; errors as gw_journal_open.
 */
GW_MUST_CHECK int gw_journal_salvage(const char *folder, gw_journal_report_fn report, void *context,
                                     struct gw_journal_summary *out, struct gw_error *error);

#endif
