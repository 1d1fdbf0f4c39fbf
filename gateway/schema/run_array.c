/* Arrays: one walk over the items for prefixItems, items, contains and the counts; then uniqueItems. */
#include <string.h>

#include "schema/run.h"

struct walker {
    struct gw_run *run;
    const struct gw_frame *frame;
    const struct gw_array_rule *rule;
    struct gw_marks *marks;
    uint32_t count;
    uint64_t contained;
    int verdict;
};

static int judge(struct walker *w, uint32_t node, struct gw_value *child)
{
    const struct gw_frame to = {
        .up = w->frame, .node = node, .via = GW_KW_COUNT, .segment = GW_SEGMENT_INDEX, .index = w->count};
    return gw_run_node(w->run, &to, child, NULL);
}

/* An item that is not contained is no fault, so nothing is reported. */
static int by_contains(struct walker *w, struct gw_value *child)
{
    const bool collect = w->run->collect;
    w->run->collect = false;
    int rc = judge(w, w->rule->contains, child);
    w->run->collect = collect;
    if (rc != 0)
        return rc < 0 ? rc : 0;
    w->contained++;
    if (w->rule->contains_marks)
        gw_mark(w->marks, w->count);
    return 0;
}

static int by_item(struct walker *w, struct gw_value *child)
{
    const struct gw_list *prefix = w->rule->prefix;
    const uint32_t node = prefix && w->count < prefix->count ? prefix->nodes[w->count] : w->rule->items;
    int rc = 0;
    if (node != GW_NODE_NONE) {
        rc = judge(w, node, child);
        if (rc < 0 || (rc > 0 && !w->run->collect))
            return rc;
        w->verdict |= rc;
        gw_mark(w->marks, w->count);
    }
    rc = w->rule->contains != GW_NODE_NONE ? by_contains(w, child) : 0;
    w->count++;
    return rc != 0 ? rc : gw_run_finish(w->run, child);
}

static int walk_items(struct walker *w, struct gw_value *array)
{
    struct gw_walk walk;
    struct gw_value child;
    int rc;
    gw_walk_open(array, &walk);
    while ((rc = gw_walk_item(w->run->cursor, &walk, &child)) > 0) {
        rc = by_item(w, &child);
        if (rc != 0)
            return rc;
        walk.at = child.after;
    }
    array->after = walk.at;
    return rc;
}

static int check_counts(struct walker *w)
{
    const struct gw_array_rule *rule = w->rule;
    int verdict = 0;
    if (w->count < rule->min)
        verdict = gw_run_fault(w->run, w->frame, GW_KW_MIN_ITEMS, "has %u items, fewer than %llu", w->count,
                               (unsigned long long)rule->min);
    if (w->count > rule->max)
        verdict = gw_run_fault(w->run, w->frame, GW_KW_MAX_ITEMS, "has %u items, more than %llu", w->count,
                               (unsigned long long)rule->max);
    if (rule->contains == GW_NODE_NONE)
        return verdict;
    if (w->contained < rule->min_contains)
        verdict =
            gw_run_fault(w->run, w->frame, rule->min_contains == 1 ? GW_KW_CONTAINS : GW_KW_MIN_CONTAINS,
                         "%llu items match, fewer than %llu", (unsigned long long)w->contained,
                         (unsigned long long)rule->min_contains);
    if (w->contained > rule->max_contains)
        verdict = gw_run_fault(w->run, w->frame, GW_KW_MAX_CONTAINS, "%llu items match, more than %llu",
                               (unsigned long long)w->contained, (unsigned long long)rule->max_contains);
    return verdict;
}

struct item {
    uint32_t at, hash;
};

/* A hash table of items in scratch: equal ones meet. 1: some two are equal. */
struct set {
    struct gw_run *run;
    struct item *items;
    uint32_t mask;
};

static int insert(struct set *set, const struct gw_value *child, const struct gw_value_pair *pair)
{
    const unsigned depth = GW_SCHEMA_VALUE_DEPTH - set->run->value_depth;
    uint64_t hash;
    int rc = gw_value_hash(pair, child, depth, &hash);
    if (rc != 0)
        return rc;
    uint32_t slot = (uint32_t)hash & set->mask;
    for (; set->items[slot].at != 0; slot = (slot + 1) & set->mask) {
        rc = gw_run_pay(set->run, 4);
        struct gw_value other;
        if (rc == 0 && set->items[slot].hash == (uint32_t)(hash >> 32)) {
            rc = gw_value_read(set->run->cursor, set->items[slot].at, &other);
            if (rc == 0)
                rc = gw_value_equal(pair, child, &other, depth);
        }
        if (rc != 0)
            return rc;
    }
    set->items[slot] = (struct item){.at = child->at, .hash = (uint32_t)(hash >> 32)};
    return 0;
}

static int fill(struct set *set, const struct gw_value *array)
{
    const struct gw_cursor *cursor = set->run->cursor;
    const struct gw_value_pair pair = {cursor, cursor, &set->run->scratch->memory, &set->run->fuel};
    struct gw_walk walk;
    struct gw_value child;
    int rc;
    gw_walk_open(array, &walk);
    while ((rc = gw_walk_item(cursor, &walk, &child)) > 0) {
        rc = insert(set, &child, &pair);
        if (rc == 0)
            rc = gw_run_finish(set->run, &child);
        if (rc != 0)
            return rc;
        walk.at = child.after;
    }
    return rc;
}

/* 1: unique; 0: not. */
static int is_unique(struct gw_run *run, const struct gw_value *array, uint32_t count)
{
    struct gw_scratch *scratch = &run->scratch->memory;
    const size_t mark = scratch->used;
    uint32_t slots = 4;
    while (slots < 2 * (uint64_t)count)
        slots *= 2;
    struct set set = {
        .run = run, .mask = slots - 1, .items = gw_scratch_take(scratch, slots * sizeof *set.items)};
    if (!set.items)
        return GW_EFULL;
    memset(set.items, 0, slots * sizeof *set.items);
    int rc = fill(&set, array);
    scratch->used = mark;
    return rc < 0 ? rc : !rc;
}

int gw_run_array(struct gw_run *run, const struct gw_frame *frame, const struct gw_op *op,
                 struct gw_value *value, struct gw_marks *marks)
{
    struct walker w = {.run = run, .frame = frame, .rule = op->rule, .marks = marks};
    if (run->value_depth >= GW_SCHEMA_VALUE_DEPTH)
        return GW_ELIMIT;
    run->value_depth++;
    int rc = walk_items(&w, value);
    run->value_depth--;
    if (rc != 0)
        return rc;
    w.verdict |= check_counts(&w);
    if (!w.rule->unique || w.count < 2 || (w.verdict && !run->collect))
        return w.verdict;
    rc = is_unique(run, value, w.count);
    if (rc < 0)
        return rc;
    return rc == 0 ? gw_run_fault(run, frame, GW_KW_UNIQUE_ITEMS, "two items are equal") : w.verdict;
}
