/* Objects: one walk over the members for properties, patterns, names, required, counts and dependents. */
#include <string.h>

#include "schema/run.h"

struct walker {
    struct gw_run *run;
    const struct gw_frame *frame;
    const struct gw_object_rule *rule;
    struct gw_marks *marks;
    uint64_t *seen;
    uint32_t count; /* members so far */
    int verdict;
};

/* Evaluates a child by a node; keeps the verdict. 0 to go on, or what ends the walk. */
static inline int judge(struct walker *w, uint32_t node, const struct gw_value *key, struct gw_value *child)
{
    const struct gw_frame to = {
        .up = w->frame, .node = node, .via = GW_KW_COUNT, .segment = GW_SEGMENT_KEY, .key = key};
    int rc = gw_run_node(w->run, &to, child, NULL);
    if (rc <= 0)
        return rc;
    w->verdict = 1;
    return w->run->collect ? 0 : 1;
}

static int by_patterns(struct walker *w, const struct gw_value *key, const char *name, size_t len,
                       struct gw_value *child, bool *evaluated)
{
    for (uint32_t i = 0; i < w->rule->pattern_count; i++) {
        const struct gw_pattern_rule *pattern = &w->rule->patterns[i];
        int rc = gw_regex_match(pattern->regex, w->run->scratch->regex, name, len, &w->run->fuel);
        if (rc > 0) {
            *evaluated = true;
            rc = judge(w, pattern->node, key, child);
        }
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int by_name(struct walker *w, const struct gw_value *key, const char *name, size_t len,
                   struct gw_value *child)
{
    const struct gw_object_rule *rule = w->rule;
    bool evaluated = false;
    int rc = 0;
    uint32_t index = gw_names_find(&rule->names, name, (uint32_t)len);
    if (index != GW_NAME_NONE) {
        const uint64_t bit = 1ull << index % 64;
        if (w->seen[index / 64] & bit) /* twice: two readers could see two values */
            return GW_EPROTOCOL;
        w->seen[index / 64] |= bit;
        evaluated = rule->nodes[index] != GW_NODE_NONE;
        if (evaluated)
            rc = judge(w, rule->nodes[index], key, child);
    }
    if (rc == 0 && rule->pattern_count > 0)
        rc = by_patterns(w, key, name, len, child, &evaluated);
    if (rc == 0 && !evaluated && rule->additional != GW_NODE_NONE) {
        evaluated = true;
        rc = judge(w, rule->additional, key, child);
    }
    if (evaluated)
        gw_mark(w->marks, w->count);
    return rc;
}

static inline int by_member(struct walker *w, struct gw_value *key, struct gw_value *child)
{
    struct gw_scratch *scratch = &w->run->scratch->memory;
    const size_t mark = scratch->used;
    const char *name = key->text;
    size_t len = key->text_len;
    int rc = key->form == GW_FORM_PLAIN ? 0 : gw_value_text(w->run->cursor, key, scratch, &name, &len);
    if (rc == 0)
        rc = by_name(w, key, name, len, child);
    if (rc == 0 && w->rule->property_names != GW_NODE_NONE) {
        struct gw_value copy = *key;
        rc = judge(w, w->rule->property_names, key, &copy);
    }
    scratch->used = mark;
    w->count++;
    return rc != 0 ? rc : gw_run_finish(w->run, child);
}

static int walk_members(struct walker *w, struct gw_value *object)
{
    struct gw_walk walk;
    struct gw_value key, child;
    int rc;
    gw_walk_open(object, &walk);
    while ((rc = gw_walk_member(w->run->cursor, &walk, &key, &child)) > 0) {
        rc = by_member(w, &key, &child);
        if (rc != 0)
            return rc;
        walk.at = child.after;
    }
    object->after = walk.at;
    return rc;
}

/* Each name of the mask that was not seen is a fault. */
static int check_required(struct walker *w, const uint64_t *mask, unsigned keyword)
{
    int verdict = 0;
    for (uint32_t i = 0; i < w->rule->words; i++) {
        for (uint64_t missing = mask[i] & ~w->seen[i]; missing; missing &= missing - 1) {
            const struct gw_name *name = &w->rule->names.names[i * 64 + (uint32_t)__builtin_ctzll(missing)];
            verdict = gw_run_fault(w->run, w->frame, keyword, "\"%.*s\" is missing",
                                   (int)(name->len > 80 ? 80 : name->len), name->text);
            if (!w->run->collect)
                return verdict;
        }
    }
    return verdict;
}

static int check_count(struct walker *w)
{
    int verdict = 0;
    if (w->count < w->rule->min)
        verdict = gw_run_fault(w->run, w->frame, GW_KW_MIN_PROPERTIES, "has %u members, fewer than %llu",
                               w->count, (unsigned long long)w->rule->min);
    if (w->count > w->rule->max)
        verdict = gw_run_fault(w->run, w->frame, GW_KW_MAX_PROPERTIES, "has %u members, more than %llu",
                               w->count, (unsigned long long)w->rule->max);
    return verdict;
}

static int check_dependents(struct walker *w, struct gw_value *object)
{
    int verdict = 0;
    for (uint32_t i = 0; i < w->rule->dependent_count; i++) {
        const struct gw_dependent_rule *rule = &w->rule->dependents[i];
        if (!(w->seen[rule->trigger / 64] >> rule->trigger % 64 & 1))
            continue;
        const struct gw_frame to = {.up = w->frame, .node = rule->node, .via = GW_KW_COUNT};
        int rc = rule->required ? check_required(w, rule->required, rule->keyword)
                                : gw_run_node(w->run, &to, object, w->marks);
        if (rc < 0 || (rc > 0 && !w->run->collect))
            return rc;
        verdict |= rc;
    }
    return verdict;
}

static int run_object(struct walker *w, struct gw_value *object)
{
    if (w->run->value_depth >= GW_SCHEMA_VALUE_DEPTH)
        return GW_ELIMIT;
    w->run->value_depth++;
    int rc = walk_members(w, object);
    w->run->value_depth--;
    if (rc != 0)
        return rc;
    if (w->rule->required)
        w->verdict |= check_required(w, w->rule->required, GW_KW_REQUIRED);
    if (w->count < w->rule->min || w->count > w->rule->max)
        w->verdict |= check_count(w);
    if (w->rule->dependent_count == 0 || (w->verdict && !w->run->collect))
        return w->verdict;
    rc = check_dependents(w, object);
    return rc < 0 ? rc : w->verdict | rc;
}

int gw_run_object(struct gw_run *run, const struct gw_frame *frame, const struct gw_op *op,
                  struct gw_value *value, struct gw_marks *marks)
{
    uint64_t few[4] = {0};
    struct walker w = {.run = run, .frame = frame, .rule = op->rule, .marks = marks, .seen = few};
    if (w.rule->words <= 4)
        return run_object(&w, value);
    struct gw_scratch *scratch = &run->scratch->memory;
    const size_t mark = scratch->used;
    w.seen = gw_scratch_take(scratch, w.rule->words * sizeof *w.seen);
    if (!w.seen)
        return GW_EFULL;
    memset(w.seen, 0, w.rule->words * sizeof *w.seen);
    int rc = gw_run_pay(run, w.rule->words);
    if (rc == 0)
        rc = run_object(&w, value);
    scratch->used = mark;
    return rc;
}
