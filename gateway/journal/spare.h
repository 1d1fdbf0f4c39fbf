/*
 * The spare: the data file of a segment that nobody needs any more, kept for the next one to write over. Its blocks are on the
 * disk already, so a sync has only the data to write, and no file has to be removed while acks wait. There is at most
 * one; whatever keeps it from being used costs the file, never the segment.
 */
#ifndef GW_JOURNAL_SPARE_H
#define GW_JOURNAL_SPARE_H

#include <stdint.h>

#include "base/files.h"

struct gw_path gw_spare_path(const char *segments);

/* Moves a data file to `spare`, unless there is one, or the file has another name, too: a backup's must stay as it is. */
void gw_spare_keep(const char *spare, const char *data);
/*
 * Puts the spare in the place of the environment `data`, which LMDB has just made: with its meta pages, and not longer than
 * `bytes`. Old pages stay behind them, where no tree leads; entries in them are of offsets below this segment's. `data` is
 * as it was where that cannot be done, and then the spare is gone. Nothing is synced.
 */
void gw_spare_use(const char *spare, const char *data, uint64_t bytes);
void gw_spare_drop(const char *spare);
/* Drops one that nobody has wanted for GW_SPARE_MS: what was in it does not outlive its purpose by more. now_ms: UTC. */
#define GW_SPARE_MS ((uint64_t)24 * 3600 * 1000)
void gw_spare_expire(const char *spare, uint64_t now_ms);
/* 0: there is none. */
uint64_t gw_spare_bytes(const char *spare);

#endif
