/*
 * How the disk could look after a power cut: reads a trace (trace.h) up to a position, and writes a folder with what
 * was synced, and of the rest what chance leaves. docs/powercut.md describes the model.
 */
#ifndef TESTS_POWERCUT_REBUILD_H
#define TESTS_POWERCUT_REBUILD_H

#include <stdint.h>

struct pc_rebuild;

/* base: the folder as it was before the run, NULL if it was empty. 0 or -1 with a text on standard error. */
int pc_rebuild_open(const char *trace, const char *base, struct pc_rebuild **out);
void pc_rebuild_close(struct pc_rebuild *r);
/* Position of the last whole record. */
uint64_t pc_rebuild_last(const struct pc_rebuild *r);
/* Names of files that the trace moves or removes and that nobody was seen making: their writes are missing. */
uint64_t pc_rebuild_strangers(const struct pc_rebuild *r);
/* Goes on to the position (never back): records 1 … position have happened when the power goes. */
int pc_rebuild_seek(struct pc_rebuild *r, uint64_t position);

enum pc_names { PC_NAMES_ORDERED, PC_NAMES_BY_FOLDER, PC_NAMES_ANY };

struct pc_cut {
    enum pc_names names;
    uint64_t names_pending, names_kept;
    uint64_t writes_pending, writes_kept, writes_torn;
};

/* Writes the folder `out` (it must not exist). The same seed gives the same disk. */
int pc_rebuild_write(struct pc_rebuild *r, uint64_t seed, const char *out, struct pc_cut *out_cut);

#endif
