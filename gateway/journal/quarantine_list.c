#include <stdlib.h>

#include "journal/parts.h"
#include "journal/rejected.h"

/* What is in the active segment is not in meta yet; what was in a sealed one is. */
struct walk {
    gw_journal_rejected_fn fn;
    void *context;
    uint64_t active_first;     /* the segment to be read itself; UINT64_MAX: none */
    struct gw_settled settled; /* sorted: what the active segment takes out */
};

static int compare(const void *a, const void *b)
{
    const struct gw_journal_place *x = a, *y = b;
    if (x->segment != y->segment)
        return x->segment < y->segment ? -1 : 1;
    return x->number == y->number ? 0 : x->number < y->number ? -1 : 1;
}

static int visit(const struct walk *walk, uint64_t first, uint64_t number, const MDB_val *value)
{
    const struct gw_journal_place place = {first, number};
    struct gw_rejected record;
    if (gw_rejected_decode(value->mv_data, value->mv_size, &record) != 0)
        return GW_EDAMAGED;
    if (record.settles || (walk->settled.count > 0 &&
                           bsearch(&place, walk->settled.places, walk->settled.count, sizeof place, compare)))
        return 0;
    const struct gw_journal_rejected rejected = {.device = record.device,
                                                 .device_len = record.device_len,
                                                 .stream = record.stream,
                                                 .seq = record.seq,
                                                 .received_ms = record.received_ms,
                                                 .code = record.code,
                                                 .sealed = record.sealed,
                                                 .sealed_len = record.sealed_len,
                                                 .place = place};
    return walk->fn(walk->context, &rejected);
}

static int visit_meta(void *context, uint64_t first, uint64_t number, const MDB_val *value)
{
    const struct walk *walk = context;
    if (first == walk->active_first)
        return 0; /* sealed meanwhile: it is read below */
    return visit(walk, first, number, value);
}

static int visit_active(void *context, uint64_t number, const MDB_val *value)
{
    const struct walk *walk = context;
    return visit(walk, walk->active_first, number, value);
}

static int note_settled(void *context, uint64_t number, const MDB_val *value)
{
    struct walk *walk = context;
    struct gw_rejected record;
    (void)number;
    if (gw_rejected_decode(value->mv_data, value->mv_size, &record) != 0)
        return GW_EDAMAGED;
    return !record.settles || gw_settled_add(&walk->settled, &record.place) ? 0 : GW_ENOMEM;
}

int gw_journal_each_rejected(struct gw_journal *journal, gw_journal_rejected_fn fn, void *context)
{
    struct walk walk = {.fn = fn, .context = context, .active_first = UINT64_MAX};
    pthread_mutex_lock(&journal->lock);
    struct gw_part *active = journal->active;
    if (active && gw_part_acquire(journal, active) != 0)
        active = NULL; /* set aside as damaged */
    if (active)
        walk.active_first = active->first;
    pthread_mutex_unlock(&journal->lock);
    int rc = active ? gw_segment_each_quarantine(&active->segment, note_settled, &walk) : 0;
    if (walk.settled.count > 0)
        qsort(walk.settled.places, walk.settled.count, sizeof *walk.settled.places, compare);
    if (rc == 0)
        rc = gw_meta_each_quarantine(journal->meta, visit_meta, &walk);
    if (rc == 0 && active)
        rc = gw_segment_each_quarantine(&active->segment, visit_active, &walk);
    if (active) {
        pthread_mutex_lock(&journal->lock);
        gw_part_release(journal, active);
        pthread_mutex_unlock(&journal->lock);
    }
    gw_settled_free(&walk.settled);
    return rc;
}
