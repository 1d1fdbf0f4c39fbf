#include "schema/compat_prove.h"

#include <stdlib.h>
#include <string.h>

#define SPLITS_MAX 4
#define BRANCHES_MAX 64

/* --- premises --- */

void gw_premise_free(struct gw_premise *premise)
{
    gw_compat_list_free(&premise->list);
    gw_compat_list_free(&premise->nots);
    gw_compat_list_free(&premise->done);
}

static int copy_list(const struct gw_compat_list *from, struct gw_compat_list *out)
{
    int rc = 0;
    for (size_t i = 0; i < from->count && rc == 0; i++)
        rc = gw_compat_list_add(out, from->nodes[i]);
    return rc;
}

int gw_premise_copy(const struct gw_premise *from, struct gw_premise *out)
{
    *out = (struct gw_premise){.kinds = from->kinds};
    int rc = copy_list(&from->list, &out->list);
    if (rc == 0)
        rc = copy_list(&from->nots, &out->nots);
    return rc == 0 ? copy_list(&from->done, &out->done) : rc;
}

int gw_premise_add(struct gw_prover *p, struct gw_premise *premise, struct gw_doc_node *schema)
{
    premise->kinds &= gw_compat_kinds(p->writer, schema, 16);
    const size_t from = premise->list.count;
    int rc = gw_compat_in_place(p->writer, schema, true, &premise->list);
    if (rc == 0)
        rc = gw_compat_pay(p->c, (uint32_t)(premise->list.count + 1));
    for (size_t i = from; i < premise->list.count && rc == 0; i++) {
        struct gw_doc_node *kw[GW_KW_COUNT];
        if (premise->list.nodes[i]->kind != GW_KIND_OBJECT)
            continue;
        gw_resolver_keywords(&p->writer->resolver, premise->list.nodes[i], kw);
        if (kw[GW_KW_NOT])
            rc = gw_compat_list_add(&premise->nots, kw[GW_KW_NOT]);
    }
    return rc == 0 ? 0 : gw_compat_break(p->c, rc);
}

static bool same_premise(const struct gw_premise *a, const struct gw_premise *b)
{
    return a->kinds == b->kinds && a->list.count == b->list.count && a->nots.count == b->nots.count &&
           (a->list.count == 0 ||
            memcmp(a->list.nodes, b->list.nodes, a->list.count * sizeof(struct gw_doc_node *)) == 0) &&
           (a->nots.count == 0 ||
            memcmp(a->nots.nodes, b->nots.nodes, a->nots.count * sizeof(struct gw_doc_node *)) == 0);
}

/* --- branches of the goal --- */

static int prove_any(struct gw_prover *p, const struct gw_premise *premise, struct gw_doc_node *list)
{
    for (struct gw_doc_node *each = list->first; each; each = each->next) {
        int rc = gw_prove_quietly(p, premise, each);
        if (rc != GW_ECONFLICT)
            return rc;
    }
    return gw_compat_fault(p->c, list, "anyOf",
                           "no branch takes all that was allowed: keep the branches as they are and "
                           "add new ones");
}

static int prove_one(struct gw_prover *p, const struct gw_premise *premise, struct gw_doc_node *list)
{
    for (struct gw_doc_node *each = list->first; each; each = each->next) {
        int rc = gw_prove_quietly(p, premise, each);
        if (rc != 0 && rc != GW_ECONFLICT)
            return rc;
#ifdef GW_MUTANT_SCHEMA_OVERLAP
        if (rc == 0)
            return 0;
#endif
        struct gw_doc_node *other = rc == 0 ? list->first : NULL;
        while (other && (other == each || gw_disjoint(p, premise, other)))
            other = other->next;
        if (rc == 0 && !other)
            return 0;
    }
    return gw_compat_fault(
        p->c, list, "oneOf",
        "not exactly one branch takes all that was allowed, as far as can be shown: tell the branches "
        "apart by a required attribute with a const");
}

static bool keyword_same(struct gw_prover *p, const struct gw_premise *premise, unsigned keyword,
                         struct gw_doc_node *goal)
{
    struct gw_doc_node *kw[GW_KW_COUNT];
    for (size_t i = 0; i < premise->list.count; i++) {
        if (premise->list.nodes[i]->kind != GW_KIND_OBJECT)
            continue;
        gw_resolver_keywords(&p->writer->resolver, premise->list.nodes[i], kw);
        if (kw[keyword] && gw_compat_same(p, kw[keyword], goal))
            return true;
    }
    return false;
}

static int prove_not(struct gw_prover *p, const struct gw_premise *premise, struct gw_doc_node *goal)
{
    if (keyword_same(p, premise, GW_KW_NOT, goal) || gw_disjoint(p, premise, goal))
        return 0;
    return gw_compat_fault(p->c, goal, "not", "what is ruled out here may have been allowed");
}

static bool same_or_none(struct gw_prover *p, struct gw_doc_node *a, struct gw_doc_node *b)
{
    return a && b ? gw_compat_same(p, a, b) : a == b;
}

static bool condition_same(struct gw_prover *p, const struct gw_premise *premise,
                           struct gw_doc_node *const goal[])
{
    struct gw_doc_node *kw[GW_KW_COUNT];
    for (size_t i = 0; i < premise->list.count; i++) {
        if (premise->list.nodes[i]->kind != GW_KIND_OBJECT)
            continue;
        gw_resolver_keywords(&p->writer->resolver, premise->list.nodes[i], kw);
        if (kw[GW_KW_IF] && gw_compat_same(p, kw[GW_KW_IF], goal[GW_KW_IF]) &&
            same_or_none(p, kw[GW_KW_THEN], goal[GW_KW_THEN]) &&
            same_or_none(p, kw[GW_KW_ELSE], goal[GW_KW_ELSE]))
            return true;
    }
    return false;
}

static int prove_optional(struct gw_prover *p, const struct gw_premise *premise, struct gw_doc_node *goal)
{
    return goal ? gw_prove_quietly(p, premise, goal) : 0;
}

static int prove_condition(struct gw_prover *p, const struct gw_premise *premise,
                           struct gw_doc_node *const goal[])
{
    if (condition_same(p, premise, goal))
        return 0;
    int then = gw_disjoint(p, premise, goal[GW_KW_IF]) ? 0 : prove_optional(p, premise, goal[GW_KW_THEN]);
    int otherwise = then == 0 ? prove_optional(p, premise, goal[GW_KW_ELSE]) : then;
    if (then == 0 && otherwise == GW_ECONFLICT) /* never mind `else`, if `if` always holds */
        otherwise = gw_prove_quietly(p, premise, goal[GW_KW_IF]);
    if (p->c->broken || (then == 0 && otherwise == 0))
        return p->c->broken;
    return gw_compat_fault(p->c, goal[GW_KW_IF], "if",
                           "the condition asks for more than was asked before, or that cannot be "
                           "shown");
}

static int prove_branches(struct gw_prover *p, const struct gw_premise *premise,
                          struct gw_doc_node *const goal[])
{
    int rc = 0;
    if (goal[GW_KW_ANY_OF])
        rc = gw_worse(rc, prove_any(p, premise, goal[GW_KW_ANY_OF]));
    if (goal[GW_KW_ONE_OF])
        rc = gw_worse(rc, prove_one(p, premise, goal[GW_KW_ONE_OF]));
    if (goal[GW_KW_NOT])
        rc = gw_worse(rc, prove_not(p, premise, goal[GW_KW_NOT]));
    if (goal[GW_KW_IF])
        rc = gw_worse(rc, prove_condition(p, premise, goal));
    if (goal[GW_KW_DYNAMIC_REF])
        rc = gw_worse(
            rc, gw_compat_fault(p->c, goal[GW_KW_DYNAMIC_REF], "dynamicRef",
                                "what a dynamic reference means depends on its use, and is not compared"));
    return rc;
}

/* --- one schema of the goal --- */

static bool is_known(struct gw_prover *p, const struct gw_premise *premise, struct gw_doc_node *goal)
{
    for (size_t i = 0; i < premise->list.count; i++)
        if (gw_compat_same(p, premise->list.nodes[i], goal))
            return true;
    return false;
}

static int prove_type(struct gw_prover *p, const struct gw_premise *premise, const struct gw_doc_node *type)
{
    char text[80];
    const unsigned more = premise->kinds & ~gw_compat_kinds_of_type(type);
    if (more == 0)
        return 0;
    return gw_compat_fault(p->c, type, "type", "%s was allowed: leave it allowed",
                           gw_compat_kinds_text(more, text));
}

static int prove_schema(struct gw_prover *p, const struct gw_premise *premise, struct gw_doc_node *schema)
{
    struct gw_doc_node *kw[GW_KW_COUNT];
    int rc = gw_compat_pay(p->c, 16);
    if (rc != 0)
        return rc;
    if (schema->kind != GW_KIND_OBJECT)
        return schema->truth
                   ? 0
                   : gw_compat_fault(p->c, schema, "false", "nothing is allowed here, and something was");
    if (is_known(p, premise, schema))
        return p->c->broken;
    gw_resolver_keywords(&p->reader->resolver, schema, kw);
    rc = kw[GW_KW_TYPE] ? prove_type(p, premise, kw[GW_KW_TYPE]) : 0;
    rc = gw_worse(rc, gw_prove_scalars(p, premise, kw));
    if (premise->kinds & 1u << GW_KIND_OBJECT)
        rc = gw_worse(rc, gw_prove_object(p, premise, schema, kw));
    if (premise->kinds & 1u << GW_KIND_ARRAY)
        rc = gw_worse(rc, gw_prove_array(p, premise, schema, kw));
    return gw_worse(rc, prove_branches(p, premise, kw));
}

/* Every value that is left is valid by itself. */
static bool values_are_valid(struct gw_prover *p, const struct gw_premise *premise, struct gw_doc_node *goal)
{
    bool many;
    const struct gw_doc_node *values = gw_premise_values(p, premise, &many);
    for (const struct gw_doc_node *each = values && many ? values->first : values; each;
         each = many ? each->next : NULL) {
        bool possible = (premise->kinds & gw_compat_kind_of(each)) != 0;
        for (size_t i = 0; i < premise->list.count && possible; i++)
            possible = gw_compat_eval(p->c, p->writer, premise->list.nodes[i], each, 16) != GW_NO;
        if (possible && gw_compat_eval(p->c, p->reader, goal, each, 16) != GW_YES)
            return false;
    }
    return values != NULL;
}

static int prove_directly(struct gw_prover *p, const struct gw_premise *premise, struct gw_doc_node *goal)
{
    struct gw_compat_list goals = {.nodes = NULL};
    if (premise->kinds == 0 || values_are_valid(p, premise, goal))
        return p->c->broken;
    int rc = gw_compat_in_place(p->reader, goal, true, &goals);
    if (rc != 0)
        (void)gw_compat_break(p->c, rc);
    for (size_t i = 0; i < goals.count && p->c->broken == 0; i++)
        rc = gw_worse(rc, prove_schema(p, premise, goals.nodes[i]));
    gw_compat_list_free(&goals);
    return p->c->broken ? p->c->broken : rc;
}

/* --- telling cases apart --- */

static bool is_done(const struct gw_premise *premise, const struct gw_doc_node *node)
{
    for (size_t i = 0; i < premise->done.count; i++)
        if (premise->done.nodes[i] == node)
            return true;
    return false;
}

/* The goal under one case more: these hold, those do not. */
static int prove_case(struct gw_prover *p, const struct gw_premise *premise, struct gw_doc_node *done,
                      struct gw_doc_node *const holds[2], const struct gw_doc_node *others,
                      struct gw_doc_node *goal)
{
    struct gw_premise here;
    int rc = gw_premise_copy(premise, &here);
    if (rc == 0)
        rc = gw_compat_list_add(&here.done, done);
    for (size_t i = 0; i < 2 && rc == 0; i++)
        rc = holds[i] ? gw_premise_add(p, &here, holds[i]) : 0;
    for (struct gw_doc_node *each = others ? others->first : NULL; each && rc == 0; each = each->next)
        rc = each == holds[0] ? 0 : gw_compat_list_add(&here.nots, each);
    rc = rc == 0 ? gw_prove(p, &here, goal) : gw_compat_break(p->c, rc);
    gw_premise_free(&here);
    return rc;
}

static int prove_split(struct gw_prover *p, const struct gw_premise *premise, struct gw_doc_node *goal,
                       bool *out_split)
{
    for (size_t i = 0; i < premise->list.count; i++) {
        struct gw_doc_node *schema = premise->list.nodes[i], *kw[GW_KW_COUNT];
        if (schema->kind != GW_KIND_OBJECT)
            continue;
        gw_resolver_keywords(&p->writer->resolver, schema, kw);
        struct gw_doc_node *list =
            kw[GW_KW_ONE_OF] && !is_done(premise, kw[GW_KW_ONE_OF]) ? kw[GW_KW_ONE_OF] : kw[GW_KW_ANY_OF];
        if (list && !is_done(premise, list) && list->count <= BRANCHES_MAX) {
            int rc = 0;
            *out_split = true;
            for (struct gw_doc_node *each = list->first; each && rc == 0; each = each->next)
                rc = prove_case(p, premise, list, (struct gw_doc_node *[2]){each, NULL},
                                list == kw[GW_KW_ONE_OF] ? list : NULL, goal);
            return rc;
        }
        struct gw_doc_node *condition = kw[GW_KW_IF];
        if (condition && !is_done(premise, condition)) {
            *out_split = true;
            int rc = prove_case(p, premise, condition, (struct gw_doc_node *[2]){condition, kw[GW_KW_THEN]},
                                NULL, goal);
            const struct gw_doc_node only = {.first = NULL};
            return rc == 0 ? prove_case(p, premise, condition,
                                        (struct gw_doc_node *[2]){kw[GW_KW_ELSE], NULL}, &only, goal)
                           : rc;
        }
    }
    return GW_ECONFLICT;
}

/* One kind after the other: "string or null" against branches for each. */
static int prove_kinds(struct gw_prover *p, const struct gw_premise *premise, struct gw_doc_node *goal)
{
    static const unsigned groups[] = {1u << GW_KIND_NULL,   1u << GW_KIND_BOOL,  GW_COMPAT_NUMBERS,
                                      1u << GW_KIND_STRING, 1u << GW_KIND_ARRAY, 1u << GW_KIND_OBJECT};
    int rc = 0;
    for (size_t i = 0; i < 6 && rc == 0; i++) {
        struct gw_premise here;
        if (!(premise->kinds & groups[i]))
            continue;
        if ((premise->kinds & ~groups[i]) == 0)
            return GW_ECONFLICT; /* it was of one kind already */
        rc = gw_premise_copy(premise, &here);
        here.kinds &= groups[i];
        rc = rc == 0 ? gw_prove(p, &here, goal) : gw_compat_break(p->c, rc);
        gw_premise_free(&here);
    }
    return rc;
}

static int prove_by_cases(struct gw_prover *p, const struct gw_premise *premise, struct gw_doc_node *goal)
{
    bool split = false;
    if (p->splits >= SPLITS_MAX)
        return GW_ECONFLICT;
    p->splits++;
    p->c->quiet++;
    int rc = prove_split(p, premise, goal, &split);
    if (!split)
        rc = prove_kinds(p, premise, goal);
    p->c->quiet--;
    p->splits--;
    return rc;
}

int gw_prove_quietly(struct gw_prover *p, const struct gw_premise *premise, struct gw_doc_node *goal)
{
    p->c->quiet++;
    int rc = gw_prove(p, premise, goal);
    p->c->quiet--;
    return rc;
}

int gw_prove(struct gw_prover *p, const struct gw_premise *premise, struct gw_doc_node *goal)
{
    int rc = gw_compat_pay(p->c, 8);
    if (rc != 0)
        return rc;
    if (p->depth >= GW_COMPAT_DEPTH)
        return gw_compat_break(p->c, GW_ELIMIT);
    p->depth++;
    p->c->quiet++;
    rc = prove_directly(p, premise, goal);
    p->c->quiet--;
    if (rc == GW_ECONFLICT)
        rc = prove_by_cases(p, premise, goal);
    if (rc == GW_ECONFLICT && p->c->quiet == 0)
        rc = prove_directly(p, premise, goal); /* once more, to tell why */
    p->depth--;
    return p->c->broken ? p->c->broken : rc;
}

/*
 * A step down into the value. The same question further up is about a larger value, so that taking it for granted is an
 * induction over the depth of values: schemas that hold themselves come to an end.
 */
int gw_prove_child(struct gw_prover *p, const struct gw_premise *premise, struct gw_doc_node *goal)
{
    const struct gw_proof_step step = {.up = p->steps, .premise = premise, .goal = goal};
    for (const struct gw_proof_step *up = p->steps; up; up = up->up)
        if (up->goal == goal && same_premise(up->premise, premise))
            return 0;
    const unsigned splits = p->splits;
    p->steps = &step;
    p->splits = 0;
    int rc = gw_prove(p, premise, goal);
    p->splits = splits;
    p->steps = step.up;
    return rc;
}

int gw_compat_contained(struct gw_compat *c, struct gw_compat_tree *writer, struct gw_compat_tree *reader)
{
    struct gw_prover p = {.c = c, .writer = writer, .reader = reader, .closed = !writer->keeps_undeclared};
    struct gw_premise premise = {.kinds = GW_COMPAT_KINDS};
    int rc = gw_premise_add(&p, &premise, writer->root);
    if (rc == 0)
        rc = gw_prove_child(&p, &premise, reader->root);
    gw_premise_free(&premise);
    return c->broken ? c->broken : rc;
}
