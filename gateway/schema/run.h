/* What the files of the interpreter share. Handlers return 0 (valid), 1 (invalid) or an error. */
#ifndef GW_SCHEMA_RUN_H
#define GW_SCHEMA_RUN_H

#include "schema/program.h"
#include "schema/regex.h"

enum gw_segment { GW_SEGMENT_NONE, GW_SEGMENT_KEY, GW_SEGMENT_INDEX };

/* One evaluation of a schema; the chain of them is the dynamic scope and the way to the value. */
struct gw_frame {
    const struct gw_frame *up;
    uint32_t node;
    uint16_t via;    /* GW_KW_REF or GW_KW_DYNAMIC_REF, else GW_KW_COUNT: a subschema where it stands */
    uint8_t segment; /* enum gw_segment: from the parent's value to this one */
    uint32_t index;
    const struct gw_value *key;
};

/* Which members or items have been evaluated (Core §11): a bit each, in the order of the instance. */
struct gw_marks {
    uint64_t *words;
    uint32_t count;
};

struct gw_run {
    const struct gw_schema *schema;
    const struct gw_cursor *cursor;
    struct gw_schema_scratch *scratch;
    struct gw_schema_report *report;
    bool collect; /* look for all faults, and report them */
    unsigned depth, value_depth;
    int64_t fuel;
};

/* Evaluates frame->node on a value. marks: of the value, or NULL if nobody asks. */
int gw_run_node(struct gw_run *run, const struct gw_frame *frame, struct gw_value *value,
                struct gw_marks *marks);

int gw_run_string(struct gw_run *run, const struct gw_frame *frame, const struct gw_op *op,
                  const struct gw_value *value);
int gw_run_number_exactly(struct gw_run *run, const struct gw_frame *frame, const struct gw_op *op,
                          const struct gw_value *value);
int gw_run_choice(struct gw_run *run, const struct gw_frame *frame, const struct gw_op *op,
                  const struct gw_value *value);
int gw_run_object(struct gw_run *run, const struct gw_frame *frame, const struct gw_op *op,
                  struct gw_value *value, struct gw_marks *marks);
int gw_run_array(struct gw_run *run, const struct gw_frame *frame, const struct gw_op *op,
                 struct gw_value *value, struct gw_marks *marks);
/* $dynamicRef, allOf, anyOf, oneOf, not, if. */
int gw_run_applicator(struct gw_run *run, const struct gw_frame *frame, const struct gw_op *op,
                      struct gw_value *value, struct gw_marks *marks);
/* unevaluatedItems and unevaluatedProperties. */
int gw_run_unevaluated(struct gw_run *run, const struct gw_frame *frame, const struct gw_op *op,
                       struct gw_value *value, struct gw_marks *marks);
/* A node that keeps marks of its own, and hands them on if it is valid. */
int gw_run_marked(struct gw_run *run, const struct gw_frame *frame, struct gw_value *value,
                  struct gw_marks *outer);
int gw_run_ops(struct gw_run *run, const struct gw_frame *frame, struct gw_value *value,
               struct gw_marks *marks);

/* Reports a fault if all are looked for; 1 always. keyword GW_KW_COUNT: the schema itself. */
int gw_run_fault(struct gw_run *run, const struct gw_frame *frame, unsigned keyword, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static inline void gw_mark(struct gw_marks *marks, uint32_t index)
{
    if (marks && index < marks->count)
        marks->words[index / 64] |= 1ull << index % 64;
}

static inline int gw_run_pay(struct gw_run *run, uint64_t steps)
{
    run->fuel -= (int64_t)steps;
    return run->fuel < 0 ? GW_ELIMIT : 0;
}

/* Steps over what is left of a child, and pays for its bytes. */
static inline int gw_run_finish(struct gw_run *run, struct gw_value *child)
{
    if (child->after == 0) {
        int rc = gw_value_finish(run->cursor, child, GW_SCHEMA_VALUE_DEPTH - run->value_depth);
        if (rc != 0)
            return rc;
    }
    return gw_run_pay(run, 16 + (child->after - child->at));
}

#endif
