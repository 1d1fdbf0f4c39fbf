#include "journal/parts.h"
#include "journal/rejected.h"

/* What is in the active segment is not in meta yet; what was in a sealed one is. */
struct walk {
    struct gw_settled *settled; /* what the active segment takes out */
    struct gw_journal_rejected_walk *out;
    gw_journal_rejected_fn fn;
    void *context;
    uint64_t active_first; /* the segment to be read itself; UINT64_MAX: none */
    uint64_t life;         /* of `settled` as the active segment's */
    bool enough, sealed;   /* why it stopped: `most` is reached; the active segment became a sealed one */
};

static int visit(struct walk *walk, uint64_t first, uint64_t number, const MDB_val *value)
{
    const struct gw_journal_place place = {first, number};
    struct gw_rejected record;
    if (walk->out->walked == walk->out->most) {
        walk->enough = true;
        return 1;
    }
    if (gw_rejected_decode(value->mv_data, value->mv_size, &record) != 0)
        return GW_EDAMAGED;
    enum gw_settled_state state = GW_SETTLED_NOT;
    if (!record.settles && walk->active_first != UINT64_MAX)
        state = gw_settled_ask(walk->settled, walk->life, &place);
    if (state == GW_SETTLED_CLEARED) {
        walk->sealed = true;
        return 1;
    }
    if (!record.settles && state == GW_SETTLED_NOT) {
        const struct gw_journal_rejected rejected = {.device = record.device,
                                                     .device_len = record.device_len,
                                                     .stream = record.stream,
                                                     .seq = record.seq,
                                                     .received_ms = record.received_ms,
                                                     .code = record.code,
                                                     .sealed = record.sealed,
                                                     .sealed_len = record.sealed_len,
                                                     .place = place};
        int rc = walk->fn(walk->context, &rejected);
        if (rc != 0)
            return rc;
    }
    walk->out->after = place;
    walk->out->walked++;
    return 0;
}

static int visit_meta(void *context, uint64_t first, uint64_t number, const MDB_val *value)
{
    struct walk *walk = context;
    if (first == walk->active_first)
        return 0; /* sealed meanwhile: it is read below */
    return visit(walk, first, number, value);
}

static int visit_active(void *context, uint64_t number, const MDB_val *value)
{
    struct walk *walk = context;
    return visit(walk, walk->active_first, number, value);
}

/* The segment that is active, held; NULL: none, or it was set aside as damaged. Lock held, but not throughout. */
static struct gw_part *hold_active(struct gw_journal *journal)
{
    for (struct gw_part *active = journal->active; active; active = journal->active) {
        if (gw_part_acquire(journal, active) != 0)
            return NULL;
        if (active == journal->active)
            return active;
        gw_part_release(journal, active); /* sealed while it was waited for */
    }
    return NULL;
}

/* From out->after on, by what meta and the active segment are now. */
static int walk_once(struct gw_journal *journal, struct walk *walk)
{
    walk->sealed = walk->enough = false;
    pthread_mutex_lock(&journal->lock);
    struct gw_part *active = hold_active(journal);
    walk->active_first = active ? active->first : UINT64_MAX;
    walk->life = gw_settled_life(walk->settled);
    pthread_mutex_unlock(&journal->lock);

    const struct gw_journal_place *after = &walk->out->after;
    int rc = gw_meta_quarantine_from(journal->meta, after->segment, after->number + 1, visit_meta, walk);
    if (rc == 0 && active && after->segment <= active->first)
        rc = gw_segment_quarantine_from(
            &active->segment, after->segment == active->first ? after->number + 1 : 0, visit_active, walk);
    if (active) {
        pthread_mutex_lock(&journal->lock);
        gw_part_release(journal, active);
        pthread_mutex_unlock(&journal->lock);
    }
    return walk->sealed || walk->enough ? 0 : rc;
}

int gw_journal_walk_rejected(struct gw_journal *journal, struct gw_journal_rejected_walk *walk,
                             gw_journal_rejected_fn fn, void *context)
{
    struct walk steps = {.settled = &journal->settled, .out = walk, .fn = fn, .context = context};
    int rc;
    walk->walked = 0;
    do
        rc = walk_once(journal, &steps);
    while (steps.sealed);
    walk->ended = rc == 0 && !steps.enough;
    return rc;
}

int gw_journal_each_rejected(struct gw_journal *journal, gw_journal_rejected_fn fn, void *context)
{
    struct gw_journal_rejected_walk all = {.most = UINT64_MAX};
    return gw_journal_walk_rejected(journal, &all, fn, context);
}
