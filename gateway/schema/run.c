/* The interpreter: instructions of a node in their order, on a value that is read where it lies. */
#include "schema/run.h"

static inline int run_type(struct gw_run *run, const struct gw_frame *frame, const struct gw_op *op,
                           const struct gw_value *value)
{
    static const char *const names[] = {"null", "boolean", "number", "string", "array", "object"};
    if (op->arg >> value->kind & 1)
        return 0;
    if (value->kind == GW_KIND_NUMBER && op->arg & GW_TYPE_INTEGER && gw_value_is_integer(value))
        return 0;
    return gw_run_fault(run, frame, GW_KW_TYPE, "%s is not one of the types",
                        value->kind == GW_KIND_NUMBER && op->arg & GW_TYPE_INTEGER ? "a fraction"
                                                                                   : names[value->kind]);
}

static inline int run_number(struct gw_run *run, const struct gw_frame *frame, const struct gw_op *op,
                             const struct gw_value *value)
{
    const struct gw_number_rule *rule = op->rule;
    if (value->form == GW_FORM_INT64 && value->integer >= rule->low && value->integer <= rule->high &&
        (!(rule->has & GW_HAS_MULTIPLE) || (rule->step != 0 && value->integer % rule->step == 0)))
        return 0;
    return gw_run_number_exactly(run, frame, op, value);
}

static int run_reference(struct gw_run *run, const struct gw_frame *frame, const struct gw_op *op,
                         struct gw_value *value, struct gw_marks *marks)
{
    const struct gw_frame to = {.up = frame, .node = op->arg, .via = op->keyword};
    return gw_run_node(run, &to, value, marks);
}

static inline int run_op(struct gw_run *run, const struct gw_frame *frame, const struct gw_op *op,
                         struct gw_value *value, struct gw_marks *marks)
{
    switch ((enum gw_op_code)op->code) {
    case GW_OP_FALSE:
        return gw_run_fault(run, frame, GW_KW_COUNT, "nothing is allowed here");
    case GW_OP_TYPE:
        return run_type(run, frame, op, value);
    case GW_OP_NUMBER:
        return run_number(run, frame, op, value);
    case GW_OP_STRING:
        return gw_run_string(run, frame, op, value);
    case GW_OP_CHOICE:
        return gw_run_choice(run, frame, op, value);
    case GW_OP_OBJECT:
        return gw_run_object(run, frame, op, value, marks);
    case GW_OP_ARRAY:
        return gw_run_array(run, frame, op, value, marks);
    case GW_OP_REF:
        return run_reference(run, frame, op, value, marks);
    case GW_OP_UNEVALUATED_ITEMS:
    case GW_OP_UNEVALUATED_PROPERTIES:
        return gw_run_unevaluated(run, frame, op, value, marks);
    default:
        return gw_run_applicator(run, frame, op, value, marks);
    }
}

int gw_run_ops(struct gw_run *run, const struct gw_frame *frame, struct gw_value *value,
               struct gw_marks *marks)
{
    const struct gw_node *node = &run->schema->nodes[frame->node];
    if (node->count == 0) /* true; there may be no instructions at all */
        return 0;
    const struct gw_op *op = run->schema->ops + node->first, *end = op + node->count;
    int verdict = 0;
    for (; op < end; op++) {
        if (!(op->kinds >> value->kind & 1))
            continue;
        int rc = run_op(run, frame, op, value, marks);
        if (rc < 0 || (rc > 0 && !run->collect))
            return rc;
        verdict |= rc;
    }
    return verdict;
}

int gw_run_node(struct gw_run *run, const struct gw_frame *frame, struct gw_value *value,
                struct gw_marks *marks)
{
    const struct gw_node *node = &run->schema->nodes[frame->node];
    run->fuel -= 32 + 4 * (int64_t)node->count;
    if (run->fuel < 0 || run->depth >= GW_SCHEMA_DEPTH)
        return GW_ELIMIT;
    run->depth++;
    const bool own =
        node->flags & GW_NODE_MARKS && (value->kind == GW_KIND_ARRAY || value->kind == GW_KIND_OBJECT);
    int rc = own ? gw_run_marked(run, frame, value, marks) : gw_run_ops(run, frame, value, marks);
    run->depth--;
    return rc;
}

int gw_schema_scratch_init(void *memory, size_t bytes, struct gw_schema_scratch *out)
{
    const size_t regex_bytes = bytes / 4 < 32768 ? bytes / 4 & ~(size_t)15 : 32768;
    if (bytes < GW_SCHEMA_SCRATCH_MIN)
        return GW_EFULL;
    *out = (struct gw_schema_scratch){.fuel_max = GW_SCHEMA_FUEL};
    out->regex = gw_regex_scratch_init(memory, regex_bytes);
    if (!out->regex)
        return GW_EFULL;
    out->memory = (struct gw_scratch){.memory = (uint8_t *)memory + regex_bytes, .size = bytes - regex_bytes};
    return 0;
}

static int run_all(struct gw_run *run)
{
    struct gw_value value;
    const struct gw_frame frame = {.node = run->schema->root, .via = GW_KW_COUNT};
    int rc = gw_value_first(run->cursor, &value);
    if (rc != 0)
        return rc;
    int verdict = gw_run_node(run, &frame, &value, NULL);
    if (verdict < 0 || (verdict > 0 && !run->collect))
        return verdict;
    rc = gw_run_finish(run, &value);
    if (rc == 0)
        rc = gw_value_last(run->cursor, value.after);
    return rc != 0 ? rc : verdict;
}

int gw_schema_validate(const struct gw_schema *schema, struct gw_schema_scratch *scratch,
                       const struct gw_cursor *instance, struct gw_schema_report *report)
{
    struct gw_run run = {.schema = schema,
                         .cursor = instance,
                         .scratch = scratch,
                         .report = report,
                         .collect = report != NULL,
                         .fuel = scratch->fuel_max};
    scratch->memory.used = 0;
    if (report)
        report->fault_count = report->text_len = report->more = 0;
    int rc = instance->len <= INT32_MAX ? run_all(&run) : GW_ELIMIT;
    scratch->fuel_used = (uint64_t)(scratch->fuel_max - run.fuel);
    return rc;
}
