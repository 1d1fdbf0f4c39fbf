/* Sinks that are waited for, and those that were left behind: what holds segments, and what is lost with them. */
#include <string.h>

#include "journal/meta_records.h"
#include "journal/parts.h"
#include "observe/log.h"

static int load_one(void *context, const char *sink, const struct gw_lost_list *list)
{
    struct gw_journal *journal = context;
    struct gw_sink_cursor *cursor = gw_journal_sink_find(journal, sink);
    if (!cursor)
        cursor = gw_journal_sink_add(journal, sink);
    if (!cursor)
        return 0;
    for (size_t i = 0; i < list->count; i++)
        cursor->lost += list->ranges[i].entries;
    /* It has not been back since. */
    cursor->detach.detached = list->count > 0 && list->ranges[list->count - 1].to > cursor->offset;
    return 0;
}

int gw_journal_lost_load(struct gw_journal *journal)
{
    const bool whole = journal->part_count ? journal->parts[0]->first == 0 : journal->end == 0;
    int rc = gw_meta_number_get(journal->meta, GW_META_TRIMMED, &journal->trimmed);
    if (rc == GW_ENOTFOUND) {
        journal->trimmed = whole ? 0 : UINT64_MAX;
        rc = 0;
    }
    return rc != 0 ? rc : gw_meta_each_lost(journal->meta, load_one, journal);
}

/* Lock held: offset after the newest entry. Segments behind it hold rejected events alone, and nobody waits for them. */
static uint64_t entries_end(const struct gw_journal *journal)
{
    for (size_t i = journal->part_count; i-- > 0;) {
        const uint64_t end = gw_part_wanted_end(journal->parts[i]);
        if (end != 0)
            return end;
    }
    return 0;
}

int gw_journal_detach_after(struct gw_journal *journal, const char *sink, uint64_t after_ms)
{
    pthread_mutex_lock(&journal->lock);
    struct gw_sink_cursor *cursor = gw_journal_sink_find(journal, sink);
    if (!cursor && after_ms != 0)
        cursor = gw_journal_sink_add(journal, sink);
    if (cursor)
        cursor->detach.after_ms = after_ms;
    pthread_mutex_unlock(&journal->lock);
    return cursor || after_ms == 0 ? 0 : GW_EINVALID;
}

bool gw_journal_is_detached(struct gw_journal *journal, const char *sink)
{
    pthread_mutex_lock(&journal->lock);
    const struct gw_sink_cursor *cursor = gw_journal_sink_find(journal, sink);
    const bool detached = cursor && cursor->detach.detached;
    pthread_mutex_unlock(&journal->lock);
    return detached;
}

/* What is not synced would be asked for again after a power cut. */
struct gw_passed gw_journal_passed(struct gw_journal *journal, const char *const *sinks, size_t sink_count,
                                   uint64_t now_ms)
{
    struct gw_passed passed = {.all = UINT64_MAX, .holding = UINT64_MAX};
    for (size_t i = 0; i < sink_count; i++) {
        const struct gw_sink_cursor *cursor = gw_journal_sink_find(journal, sinks[i]);
        const uint64_t offset = cursor ? cursor->synced : 0;
        passed.all = offset < passed.all ? offset : passed.all;
        if (!cursor || !gw_detach_due(&cursor->detach, now_ms))
            passed.holding = offset < passed.holding ? offset : passed.holding;
    }
    return passed;
}

void gw_journal_look_at_sinks(struct gw_journal *journal)
{
    const char *back[GW_JOURNAL_SINKS_MAX];
    size_t back_count = 0;
    pthread_mutex_lock(&journal->lock);
    const uint64_t now_ms = gw_journal_mono_ms(), end = entries_end(journal);
    for (size_t i = 0; i < journal->sink_count; i++) {
        struct gw_sink_cursor *sink = &journal->sinks[i];
        if (gw_detach_look(&sink->detach, sink->offset, end, now_ms))
            back[back_count++] = sink->name; /* names stay */
    }
    pthread_mutex_unlock(&journal->lock);
    for (size_t i = 0; i < back_count; i++)
        gw_log(
            GW_LOG_WARNING, "journal.sink_back",
            "a sink that was left behind is back and goes on behind what it lost; segments wait for it again",
            GW_TEXT("sink", back[i]));
}

void gw_journal_losses_of(struct gw_journal *journal, const struct gw_part *part, const char *const *sinks,
                          size_t sink_count, struct gw_losses *out)
{
    const uint64_t last = part->first + part->entries, now_ms = gw_journal_wall_ms();
    out->count = 0;
    for (size_t i = 0; i < sink_count && out->count < GW_JOURNAL_SINKS_MAX; i++) {
        const struct gw_sink_cursor *sink = gw_journal_sink_find(journal, sinks[i]);
        if (!sink || sink->synced >= gw_part_wanted_end(part))
            continue;
        const uint64_t from = sink->synced > part->first ? sink->synced : part->first;
        out->sinks[out->count] = sinks[i];
        out->ranges[out->count++] = (struct gw_lost_range){.epoch = journal->meta->epoch,
                                                           .from = from,
                                                           .to = part->end,
                                                           .entries = last > from ? last - from : 0,
                                                           .first_ms = now_ms,
                                                           .last_ms = now_ms};
    }
}

void gw_journal_losses_happened(struct gw_journal *journal, const struct gw_losses *losses)
{
    for (size_t i = 0; i < losses->count; i++) {
        const struct gw_lost_range *range = &losses->ranges[i];
        pthread_mutex_lock(&journal->lock);
        struct gw_sink_cursor *sink = gw_journal_sink_find(journal, losses->sinks[i]);
        sink->detach.detached = true;
        sink->lost += range->entries;
        pthread_mutex_unlock(&journal->lock);
        gw_log(GW_LOG_WARNING, "journal.sink_detached",
               "a sink stood still for longer than its detach_after: what only it held back was let go, and "
               "is lost to "
               "it (tributaryctl journal inspect). It goes on behind that when it works again",
               GW_TEXT("sink", losses->sinks[i]), GW_UINT("from", range->from), GW_UINT("to", range->to),
               GW_UINT("entries", range->entries));
    }
}

struct lost_walk {
    gw_journal_lost_fn fn;
    void *context;
};

static int walk(void *context, const char *sink, const struct gw_lost_list *list)
{
    const struct lost_walk *walk = context;
    for (size_t i = 0; i < list->count; i++) {
        const struct gw_lost_range *range = &list->ranges[i];
        const struct gw_journal_lost lost = {.sink = sink,
                                             .epoch = range->epoch,
                                             .from = range->from,
                                             .to = range->to,
                                             .entries = range->entries,
                                             .first_ms = range->first_ms,
                                             .last_ms = range->last_ms};
        walk->fn(walk->context, &lost);
    }
    return 0;
}

int gw_journal_each_lost(struct gw_journal *journal, gw_journal_lost_fn fn, void *context)
{
    struct lost_walk both = {.fn = fn, .context = context};
    return gw_meta_each_lost(journal->meta, walk, &both);
}
