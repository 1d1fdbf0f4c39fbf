/* States that power cuts left, by hash, and what came of each: one that is known need not be tried again. */
#ifndef TESTS_CUT_STATES_H
#define TESTS_CUT_STATES_H

#include "support/torn_storage.h"

/* Counted while a state was judged. */
struct outcome {
    uint64_t new_streams, brinks, full; /* of one width: the whole is compared as bytes */
    struct torn_hash after;             /* the world, when it was judged */
};

/* All are forgotten. */
void cut_states_clear(void);
/* *out_new: it was not there; the caller fills in the outcome, which stays where it is until the next call. */
struct outcome *cut_states_find(const struct torn_hash *hash, bool *out_new);

#endif
