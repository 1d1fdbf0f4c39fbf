/* Schemas that apply to the same value again, and what was not evaluated by any of them. */
#include <string.h>

#include "schema/run.h"

/* --- marks and reports of a branch that may come to nothing --- */

struct branch {
    uint64_t *marks; /* as they were; NULL: none */
    size_t scratch_used;
    size_t fault_count, text_len, more;
};

static size_t mark_words(const struct gw_marks *marks)
{
    return ((size_t)marks->count + 63) / 64;
}

static int branch_open(struct gw_run *run, const struct gw_marks *marks, struct branch *out)
{
    struct gw_scratch *scratch = &run->scratch->memory;
    *out = (struct branch){.scratch_used = scratch->used};
    if (run->report) {
        out->fault_count = run->report->fault_count;
        out->text_len = run->report->text_len;
        out->more = run->report->more;
    }
    if (!marks)
        return 0;
    const size_t words = mark_words(marks);
    out->marks = gw_scratch_take(scratch, words * sizeof *out->marks);
    if (!out->marks)
        return GW_EFULL;
    memcpy(out->marks, marks->words, words * sizeof *out->marks);
    return gw_run_pay(run, words);
}

static void forget_marks(const struct branch *b, struct gw_marks *marks)
{
#ifdef GW_MUTANT_SCHEMA_MARKS /* what a failed branch evaluated stays evaluated */
    return;
#endif
    if (marks)
        memcpy(marks->words, b->marks, mark_words(marks) * sizeof *b->marks);
}

static void forget_faults(struct gw_run *run, const struct branch *b)
{
#ifdef GW_MUTANT_SCHEMA_FAULTS /* a branch that need not hold is reported all the same */
    return;
#endif
    if (!run->report)
        return;
    run->report->fault_count = b->fault_count;
    run->report->text_len = b->text_len;
    run->report->more = b->more;
}

static int apply(struct gw_run *run, const struct gw_frame *frame, uint32_t node, struct gw_value *value,
                 struct gw_marks *marks)
{
    const struct gw_frame to = {.up = frame, .node = node, .via = GW_KW_COUNT};
    return gw_run_node(run, &to, value, marks);
}

/* One branch of several: what it marked stays only if it is valid. */
static int try_branch(struct gw_run *run, const struct gw_frame *frame, uint32_t node, struct gw_value *value,
                      struct gw_marks *marks)
{
    struct branch b;
    int rc = branch_open(run, marks, &b);
    if (rc != 0)
        return rc;
    rc = apply(run, frame, node, value, marks);
    if (rc > 0)
        forget_marks(&b, marks);
    run->scratch->memory.used = b.scratch_used;
    return rc;
}

/* The same without reports: its faults are none of the instance's. */
static int try_quietly(struct gw_run *run, const struct gw_frame *frame, uint32_t node,
                       struct gw_value *value, struct gw_marks *marks)
{
    const bool collect = run->collect;
    run->collect = false;
    int rc = try_branch(run, frame, node, value, marks);
    run->collect = collect;
    return rc;
}

/* --- the keywords --- */

static int run_all_of(struct gw_run *run, const struct gw_frame *frame, const struct gw_list *list,
                      struct gw_value *value, struct gw_marks *marks)
{
    int verdict = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        int rc = apply(run, frame, list->nodes[i], value, marks);
        if (rc < 0 || (rc > 0 && !run->collect))
            return rc;
        verdict |= rc;
    }
    return verdict;
}

/* Where marks are wanted, every branch has its say. */
static int run_any_of(struct gw_run *run, const struct gw_frame *frame, const struct gw_list *list,
                      struct gw_value *value, struct gw_marks *marks)
{
    struct branch before;
    bool valid = false;
    int rc = branch_open(run, NULL, &before);
    for (uint32_t i = 0; i < list->count && rc >= 0 && (!valid || marks); i++) {
        rc = try_branch(run, frame, list->nodes[i], value, marks);
        valid = valid || rc == 0;
    }
    if (rc < 0)
        return rc;
    if (!valid)
        return gw_run_fault(run, frame, GW_KW_ANY_OF, "matches none of the schemas");
    forget_faults(run, &before);
    return 0;
}

static int run_one_of(struct gw_run *run, const struct gw_frame *frame, const struct gw_list *list,
                      struct gw_value *value, struct gw_marks *marks)
{
    struct branch before;
    unsigned valid = 0;
    int rc = branch_open(run, NULL, &before);
    for (uint32_t i = 0; i < list->count && rc >= 0 && valid < 2; i++) {
        rc = try_branch(run, frame, list->nodes[i], value, marks);
        valid += rc == 0;
    }
    if (rc < 0)
        return rc;
    if (valid > 0)
        forget_faults(run, &before);
    if (valid != 1)
        return gw_run_fault(run, frame, GW_KW_ONE_OF, "matches %s of the schemas",
                            valid ? "more than one" : "none");
    return 0;
}

static int run_not(struct gw_run *run, const struct gw_frame *frame, uint32_t node, struct gw_value *value)
{
    int rc = try_quietly(run, frame, node, value, NULL);
    if (rc < 0)
        return rc;
    return rc > 0 ? 0 : gw_run_fault(run, frame, GW_KW_NOT, "matches what is not allowed");
}

static int run_if(struct gw_run *run, const struct gw_frame *frame, const struct gw_list *list,
                  struct gw_value *value, struct gw_marks *marks)
{
    int rc = try_quietly(run, frame, list->nodes[0], value, marks);
    if (rc < 0)
        return rc;
    const uint32_t next = list->nodes[rc == 0 ? 1 : 2];
    return next != GW_NODE_NONE ? apply(run, frame, next, value, marks) : 0;
}

/* Core §8.2.3.2: the outermost resource of the dynamic scope that has the anchor. */
static int run_dynamic(struct gw_run *run, const struct gw_frame *frame, const struct gw_dynamic_rule *rule,
                       struct gw_value *value, struct gw_marks *marks)
{
    struct gw_frame to = {.up = frame, .node = rule->fallback, .via = GW_KW_DYNAMIC_REF};
    uint32_t last = UINT32_MAX;
    for (const struct gw_frame *at = frame; at; at = at->up) {
        const uint32_t resource = run->schema->nodes[at->node].resource;
        if (resource == last)
            continue;
        last = resource;
        int rc = gw_run_pay(run, rule->count);
        if (rc != 0)
            return rc;
        for (uint32_t i = 0; i < rule->count; i++)
            if (rule->targets[i].resource == resource)
                to.node = rule->targets[i].node;
    }
    return gw_run_node(run, &to, value, marks);
}

int gw_run_applicator(struct gw_run *run, const struct gw_frame *frame, const struct gw_op *op,
                      struct gw_value *value, struct gw_marks *marks)
{
    switch ((enum gw_op_code)op->code) {
    case GW_OP_DYNAMIC:
        return run_dynamic(run, frame, op->rule, value, marks);
    case GW_OP_ALL_OF:
        return run_all_of(run, frame, op->rule, value, marks);
    case GW_OP_ANY_OF:
        return run_any_of(run, frame, op->rule, value, marks);
    case GW_OP_ONE_OF:
        return run_one_of(run, frame, op->rule, value, marks);
    case GW_OP_NOT:
        return run_not(run, frame, op->arg, value);
    default:
        return run_if(run, frame, op->rule, value, marks);
    }
}

/* --- unevaluated --- */

static int count_children(struct gw_run *run, struct gw_value *value, uint32_t *out)
{
    struct gw_walk walk;
    struct gw_value key, child;
    const bool object = value->kind == GW_KIND_OBJECT;
    int rc;
    gw_walk_open(value, &walk);
    *out = 0;
    while ((rc = object ? gw_walk_member(run->cursor, &walk, &key, &child)
                        : gw_walk_item(run->cursor, &walk, &child)) > 0) {
        rc = gw_run_finish(run, &child);
        if (rc != 0)
            return rc;
        walk.at = child.after;
        ++*out;
    }
    return rc;
}

int gw_run_marked(struct gw_run *run, const struct gw_frame *frame, struct gw_value *value,
                  struct gw_marks *outer)
{
    struct gw_scratch *scratch = &run->scratch->memory;
    const size_t mark = scratch->used;
    struct gw_marks own;
    int rc = count_children(run, value, &own.count);
    if (rc != 0)
        return rc;
    const size_t words = mark_words(&own);
    own.words = gw_scratch_take(scratch, words * sizeof *own.words);
    if (!own.words)
        return GW_EFULL;
    memset(own.words, 0, words * sizeof *own.words);
    rc = gw_run_ops(run, frame, value, &own);
    for (size_t i = 0; rc == 0 && outer && i < words; i++)
        outer->words[i] |= own.words[i];
    scratch->used = mark;
    return rc;
}

static int walk_unevaluated(struct gw_run *run, const struct gw_frame *frame, uint32_t node,
                            struct gw_value *value, struct gw_marks *marks)
{
    struct gw_walk walk;
    struct gw_value key, child;
    const bool object = value->kind == GW_KIND_OBJECT;
    struct gw_frame to = {.up = frame, .node = node, .via = GW_KW_COUNT, .key = &key};
    to.segment = object ? GW_SEGMENT_KEY : GW_SEGMENT_INDEX;
    int rc, verdict = 0;
    gw_walk_open(value, &walk);
    while ((rc = object ? gw_walk_member(run->cursor, &walk, &key, &child)
                        : gw_walk_item(run->cursor, &walk, &child)) > 0) {
        rc = 0;
        if (!(marks->words[to.index / 64] >> to.index % 64 & 1))
            rc = gw_run_node(run, &to, &child, NULL);
        if (rc < 0 || (rc > 0 && !run->collect))
            return rc;
        verdict |= rc;
        gw_mark(marks, to.index++);
        rc = gw_run_finish(run, &child);
        if (rc != 0)
            return rc;
        walk.at = child.after;
    }
    return rc < 0 ? rc : verdict;
}

int gw_run_unevaluated(struct gw_run *run, const struct gw_frame *frame, const struct gw_op *op,
                       struct gw_value *value, struct gw_marks *marks)
{
    if (run->value_depth >= GW_SCHEMA_VALUE_DEPTH)
        return GW_ELIMIT;
    run->value_depth++;
    int rc = walk_unevaluated(run, frame, op->arg, value, marks);
    run->value_depth--;
    return rc;
}
