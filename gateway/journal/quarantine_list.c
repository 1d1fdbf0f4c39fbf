#include "journal/parts.h"
#include "journal/rejected.h"

/* What is in the active segment is not in meta yet; what was in a sealed one is. */
struct walk {
    gw_journal_rejected_fn fn;
    void *context;
    uint64_t active_first; /* the segment to be read itself; UINT64_MAX: none */
};

static int visit(const struct walk *walk, const MDB_val *value)
{
    struct gw_rejected record;
    if (gw_rejected_decode(value->mv_data, value->mv_size, &record) != 0)
        return GW_EDAMAGED;
    const struct gw_journal_rejected rejected = {.device = record.device,
                                                 .device_len = record.device_len,
                                                 .stream = record.stream,
                                                 .seq = record.seq,
                                                 .received_ms = record.received_ms,
                                                 .code = record.code,
                                                 .sealed_len = record.sealed_len};
    return walk->fn(walk->context, &rejected);
}

static int visit_meta(void *context, uint64_t first, const MDB_val *value)
{
    const struct walk *walk = context;
    return first == walk->active_first ? 0 : visit(walk, value); /* sealed meanwhile: it is read below */
}

static int visit_active(void *context, uint64_t number, const MDB_val *value)
{
    (void)number;
    return visit(context, value);
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
    int rc = gw_meta_each_quarantine(journal->meta, visit_meta, &walk);
    if (rc == 0 && active)
        rc = gw_segment_each_quarantine(&active->segment, visit_active, &walk);
    if (active) {
        pthread_mutex_lock(&journal->lock);
        gw_part_release(journal, active);
        pthread_mutex_unlock(&journal->lock);
    }
    return rc;
}
