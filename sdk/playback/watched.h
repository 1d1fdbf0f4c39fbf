/*
 * Which parts of the content were watched: a list of intervals with a cap. It errs low, and then says so (capped): when
 * the list is full the shortest interval is forgotten. The sum never goes down.
 */
#ifndef TRIB_PLAYBACK_WATCHED_H
#define TRIB_PLAYBACK_WATCHED_H

#include "tributary/state.h"

/* Adds [from, to) in ms of content; nothing if it is empty. */
void trib_watched_add(struct trib_watched *w, uint64_t from, uint64_t to);
/* Unique ms. */
uint32_t trib_watched_sum(const struct trib_watched *w);

#endif
