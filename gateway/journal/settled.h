/*
 * The set of what the active segment takes out of quarantine; sealing that segment takes it out of meta, and clears the set.
 * The committer alone changes it. Any thread may ask; the lock is the innermost one, and held for a look only.
 */
#ifndef GW_JOURNAL_SETTLED_H
#define GW_JOURNAL_SETTLED_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "journal/journal.h"

struct gw_settled {
    struct gw_journal_place *places;
    size_t count, durable, capacity; /* beyond `durable`: of the transaction under way */
    uint32_t *slots;                 /* twice the capacity, by hash: index of a place and 1; 0: empty */
    uint64_t life;                   /* how often it was cleared */
    uint64_t probes;                 /* slots looked at, ever: what it costs */
    pthread_mutex_t lock;
};

void gw_settled_init(struct gw_settled *settled);
void gw_settled_free(struct gw_settled *settled);
/* The place is not in it yet. False: out of memory. */
bool gw_settled_add(struct gw_settled *settled, const struct gw_journal_place *place);
/* Also of the transaction under way. */
bool gw_settled_has(struct gw_settled *settled, const struct gw_journal_place *place);
/* Forgets all but the first `count`. */
void gw_settled_shrink(struct gw_settled *settled, size_t count);
void gw_settled_publish(struct gw_settled *settled);
void gw_settled_revert(struct gw_settled *settled);
void gw_settled_clear(struct gw_settled *settled);

/* For walks: which set it is that is asked. */
uint64_t gw_settled_life(struct gw_settled *settled);
enum gw_settled_state {
    GW_SETTLED_NOT,
    GW_SETTLED_DURABLY,
    GW_SETTLED_CLEARED /* it is no longer the set of that life: its segment was sealed */
};
enum gw_settled_state gw_settled_ask(struct gw_settled *settled, uint64_t life,
                                     const struct gw_journal_place *place);

#endif
