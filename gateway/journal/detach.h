/*
 * Whether a sink still holds segments: by its cursor and a clock, without I/O.
 *
 * A sink that may be left behind is so when its cursor has stood still, with entries waiting for it, for a time that is
 * configured. One that moves, however slowly, is not, nor one that has nothing to do; time in which the gateway does not run
 * does not count, for a sink cannot move then. A sink that was left behind holds nothing until its cursor moves again.
 */
#ifndef GW_JOURNAL_DETACH_H
#define GW_JOURNAL_DETACH_H

#include <stdbool.h>
#include <stdint.h>

struct gw_detach {
    uint64_t after_ms; /* 0: required, it holds for ever */
    uint64_t cursor;   /* of the newest look */
    uint64_t since_ms; /* monotonic: since when it has stood there with something to do */
    bool looked;       /* there was a look before */
    bool detached;     /* something was lost to it, and it has not moved since */
};

/* Takes notice of where the sink is. end: offset after the newest entry. now_ms: monotonic. True: it was left behind and is
 * back. */
bool gw_detach_look(struct gw_detach *detach, uint64_t cursor, uint64_t end, uint64_t now_ms);

/* Whether what the sink lacks need not be kept for it, as of the newest look. */
bool gw_detach_due(const struct gw_detach *detach, uint64_t now_ms);

#endif
