/*
 * Which parts of the content were watched: a list of intervals with a cap. It errs low: when the list is full the
 * shortest interval is forgotten.
 */
#ifndef TRIB_PLAYBACK_WATCHED_H
#define TRIB_PLAYBACK_WATCHED_H

#include "tributary/state.h"

/* Adds [from, to) in ms of content; nothing if it is empty. */
void trib_watched_add(struct trib_watched *w, uint64_t from, uint64_t to);
/* Unique ms. */
uint64_t trib_watched_sum(const struct trib_watched *w);

#endif
