/* What the journal was doing at each position of a trace, so that cuts can be aimed at it, and counted. */
#ifndef TESTS_POWERCUT_GATEWAY_CUT_PHASES_H
#define TESTS_POWERCUT_GATEWAY_CUT_PHASES_H

#include <stddef.h>
#include <stdint.h>

/* PHASE(id, name) */
#define CUT_PHASES(PHASE)                                                                                    \
    PHASE(COMMIT, "commit")     /* the open segment is written to */                                         \
    PHASE(ROLL, "segment roll") /* one is made, and gets its name */                                         \
    PHASE(SEAL, "seal")         /* one is cut to its size and synced */                                      \
    PHASE(MERGE, "merge")       /* its rows go to meta */                                                    \
    PHASE(META, "meta")         /* other changes of meta: cursors, the list of segments */                   \
    PHASE(RENEW, "renewal")     /* meta is copied to a new file after a disk error */                        \
    PHASE(UNLINK, "unlink")     /* one is removed */                                                         \
    PHASE(RECYCLE, "recycle")   /* its file becomes the spare, or the spare the next one's */                \
    PHASE(FULL, "disk full")    /* from a commit that found no space to the one that did */                  \
    PHASE(EIO, "EIO")           /* from one that met a disk error to the one that did not */

enum cut_phase {
#define CUT_PHASE_ENUM(id, name) CUT_PHASE_##id,
    CUT_PHASES(CUT_PHASE_ENUM)
#undef CUT_PHASE_ENUM
        CUT_PHASE_COUNT,
};
extern const char *const cut_phase_names[CUT_PHASE_COUNT];

/* By position, a bit for each phase it is in; index 0 is not used. */
struct cut_phases {
    uint16_t *bits;
    uint64_t last;
};

/* Reads a trace (powercut/trace.h). 0 or -1. */
int cut_phases_read(const char *trace, struct cut_phases *out);
/* Marks positions from … to, both included, as in a phase. */
void cut_phases_mark(struct cut_phases *phases, enum cut_phase phase, uint64_t from, uint64_t to);
/* The position of the nth (from 0, taken modulo their count) that is in a phase; 0: none is. */
uint64_t cut_phases_pick(const struct cut_phases *phases, enum cut_phase phase, uint64_t nth);
void cut_phases_free(struct cut_phases *phases);

#endif
