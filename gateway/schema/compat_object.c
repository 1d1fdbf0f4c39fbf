/* Goals about objects. */
#include "schema/compat_object.h"

#define OBJECT (1u << GW_KIND_OBJECT)

/* A schema for what is not named, and more than "anything". */
static bool speaks(const struct gw_doc_node *rest)
{
    return rest && rest->kind == GW_KIND_OBJECT && rest->count > 0;
}

static bool is_false(const struct gw_doc_node *schema)
{
    return schema && schema->kind == GW_KIND_BOOL && !schema->truth;
}

static int widen(struct gw_prover *p, const struct gw_premise *premise, struct gw_compat_list *out)
{
    int rc = 0;
    for (size_t i = 0; i < premise->list.count && rc == 0; i++)
        rc = gw_compat_in_place(p->writer, premise->list.nodes[i], false, out);
    if (rc == 0)
        rc = gw_compat_pay(p->c, (uint32_t)(out->count * 12 + out->count * out->count / 16));
    return rc == 0 ? 0 : gw_compat_break(p->c, rc);
}

/* A pattern of the map that takes this name: its schema; in turn by *at. */
static struct gw_doc_node *matching(struct gw_compat *c, const struct gw_doc_node *map, const char *name,
                                    size_t len, struct gw_doc_node **at)
{
    for (struct gw_doc_node *each = *at ? (*at)->next : map ? map->first : NULL; each; each = each->next)
        if (gw_compat_matches(c, each->key, each->key_len, name, len) == 1) {
            *at = each;
            return each;
        }
    return NULL;
}

static bool declares(struct gw_prover *p, const struct gw_compat_list *wide, const char *name, size_t len)
{
    struct gw_doc_node *kw[GW_KW_COUNT];
    for (size_t i = 0; i < wide->count; i++) {
        struct gw_doc_node *at = NULL;
        if (gw_object_keywords(p->writer, wide->nodes[i], kw) &&
            (gw_object_property(p->writer, kw[GW_KW_PROPERTIES], name, len) ||
             speaks(kw[GW_KW_ADDITIONAL_PROPERTIES]) || speaks(kw[GW_KW_UNEVALUATED_PROPERTIES]) ||
             matching(p->c, kw[GW_KW_PATTERN_PROPERTIES], name, len, &at)))
            return true;
    }
    return false;
}

/* One certain schema's word on a member: what it asks of its value. */
static int add_member(struct gw_prover *p, struct gw_doc_node *const kw[], const char *name, size_t len,
                      struct gw_premise *out)
{
    struct gw_doc_node *found = gw_object_property(p->writer, kw[GW_KW_PROPERTIES], name, len), *at = NULL;
    bool covered = found != NULL;
    int rc = found ? gw_premise_add(p, out, found) : 0;
    while (rc == 0 && (found = matching(p->c, kw[GW_KW_PATTERN_PROPERTIES], name, len, &at)) != NULL) {
        covered = true;
        rc = gw_premise_add(p, out, found);
    }
    if (rc == 0 && !covered && kw[GW_KW_ADDITIONAL_PROPERTIES])
        rc = gw_premise_add(p, out, kw[GW_KW_ADDITIONAL_PROPERTIES]);
    return rc;
}

/* Whole objects that are allowed as they stand. */
static bool lists_objects(const struct gw_doc_node *value, bool many)
{
    for (const struct gw_doc_node *each = many ? value->first : value; each; each = many ? each->next : NULL)
        if (each->kind == GW_KIND_OBJECT && each->count > 0)
            return true;
    return false;
}

/*
 * Whether only names that are declared can be there: unevaluatedProperties says so; or events hold no others, as
 * ingest drops them. An object of which no property is declared at all is taken for one that is free to hold anything.
 */
static bool shuts_undeclared(struct gw_prover *p, const struct gw_premise *premise,
                             const struct gw_compat_list *wide)
{
    struct gw_doc_node *kw[GW_KW_COUNT];
    bool declares_some = false;
    for (size_t i = 0; i < premise->list.count; i++) {
        if (!gw_object_keywords(p->writer, premise->list.nodes[i], kw))
            continue;
        if (is_false(kw[GW_KW_UNEVALUATED_PROPERTIES]))
            return true;
        if ((kw[GW_KW_CONST] && lists_objects(kw[GW_KW_CONST], false)) ||
            (kw[GW_KW_ENUM] && lists_objects(kw[GW_KW_ENUM], true)))
            return false;
    }
    for (size_t i = 0; i < wide->count && !declares_some; i++)
        declares_some = gw_object_keywords(p->writer, wide->nodes[i], kw) && kw[GW_KW_PROPERTIES];
    return p->closed && declares_some;
}

int gw_premise_member(struct gw_prover *p, const struct gw_premise *premise, const char *name, size_t len,
                      struct gw_premise *out, bool *out_possible)
{
    struct gw_compat_list wide = {.nodes = NULL};
    struct gw_doc_node *kw[GW_KW_COUNT];
    *out = (struct gw_premise){.kinds = GW_COMPAT_KINDS};
    int rc = gw_compat_pay(p->c, (uint32_t)premise->list.count * 6);
    for (size_t i = 0; i < premise->list.count && rc == 0; i++)
        if (gw_object_keywords(p->writer, premise->list.nodes[i], kw))
            rc = add_member(p, kw, name, len, out);
    *out_possible = (premise->kinds & OBJECT) && out->kinds != 0;
    if (rc == 0 && *out_possible) {
        rc = widen(p, premise, &wide);
        if (rc == 0 && shuts_undeclared(p, premise, &wide))
            *out_possible = declares(p, &wide, name, len);
        gw_compat_list_free(&wide);
    }
    return rc;
}

bool gw_premise_requires(struct gw_prover *p, const struct gw_premise *premise, const char *name, size_t len)
{
    struct gw_doc_node *kw[GW_KW_COUNT];
    for (size_t i = 0; i < premise->list.count; i++)
        if (gw_object_keywords(p->writer, premise->list.nodes[i], kw) &&
            gw_object_lists(kw[GW_KW_REQUIRED], name, len))
            return true;
    return false;
}

/* --- names that are no property anywhere --- */

static int add_cases(struct gw_object_shape *shape, const struct gw_doc_node *map)
{
    int rc = 0;
    for (struct gw_doc_node *each = map->first; each && rc == 0; each = each->next)
        rc = gw_compat_list_add(&shape->cases, each);
    return rc;
}

/*
 * Each schema that surely holds and has patterns or a rest says: by one of my patterns, or by my rest. The first that has
 * patterns is taken at its word, else the first that has a rest; the others could only say more.
 */
static int find_cases(struct gw_prover *p, const struct gw_premise *premise, struct gw_object_shape *shape)
{
    struct gw_doc_node *kw[GW_KW_COUNT], *rest = NULL, *owner = NULL;
    bool patterns_elsewhere = false;
    int rc = 0;
    for (size_t i = 0; i < premise->list.count; i++) {
        if (!gw_object_keywords(p->writer, premise->list.nodes[i], kw))
            continue;
        if (kw[GW_KW_PATTERN_PROPERTIES] && !owner) {
            owner = kw[GW_KW_PATTERN_PROPERTIES];
            rest = kw[GW_KW_ADDITIONAL_PROPERTIES];
        } else if (!owner && !rest) {
            rest = kw[GW_KW_ADDITIONAL_PROPERTIES];
        }
    }
    if (owner) {
        shape->pattern_owner = owner;
        rc = add_cases(shape, owner);
    }
    for (size_t i = 0; i < shape->wide.count; i++)
        if (gw_object_keywords(p->writer, shape->wide.nodes[i], kw) &&
            ((kw[GW_KW_PATTERN_PROPERTIES] && kw[GW_KW_PATTERN_PROPERTIES] != owner) ||
             (speaks(kw[GW_KW_ADDITIONAL_PROPERTIES]) && kw[GW_KW_ADDITIONAL_PROPERTIES] != rest) ||
             speaks(kw[GW_KW_UNEVALUATED_PROPERTIES])))
            patterns_elsewhere = true;
    if (rc == 0 && speaks(rest))
        rc = gw_compat_list_add(&shape->cases, rest);
    shape->free = !speaks(rest) && !is_false(rest) && (!shape->closed || patterns_elsewhere);
    return rc == 0 ? 0 : gw_compat_break(p->c, rc);
}

static int survey(struct gw_prover *p, const struct gw_premise *premise, struct gw_object_shape *out)
{
    *out = (struct gw_object_shape){.closed = false};
    int rc = widen(p, premise, &out->wide);
    out->closed = rc == 0 && shuts_undeclared(p, premise, &out->wide);
    return rc == 0 ? find_cases(p, premise, out) : rc;
}

static void free_shape(struct gw_object_shape *shape)
{
    gw_compat_list_free(&shape->wide);
    gw_compat_list_free(&shape->cases);
}

/* --- what the goal asks of values --- */

static int prove_value(struct gw_prover *p, const struct gw_premise *known, struct gw_doc_node *goal,
                       const char *name, size_t len)
{
    if (is_false(goal) && known->kinds != 0)
        return gw_compat_fault(
            p->c, goal, "additionalProperties",
            "\"%.*s\" was allowed, and would be refused: declare it, or leave the object open",
            (int)(len > 60 ? 60 : len), name);
    return gw_prove_child(p, known, goal);
}

/* All that the goal says of one member. evaluated: by whom, of unevaluatedProperties; NULL: not asked. */
static int prove_member(struct gw_prover *p, const struct gw_premise *premise,
                        struct gw_doc_node *const goal[], const char *name, size_t len)
{
    struct gw_premise known;
    bool possible = false, covered = false;
    struct gw_doc_node *found = gw_object_property(p->reader, goal[GW_KW_PROPERTIES], name, len), *at = NULL;
    int rc = gw_premise_member(p, premise, name, len, &known, &possible);
    if (rc == 0 && possible) {
        if (found) {
            covered = true;
            rc = prove_value(p, &known, found, name, len);
        }
        while ((found = matching(p->c, goal[GW_KW_PATTERN_PROPERTIES], name, len, &at)) != NULL) {
            covered = true;
            rc = gw_worse(rc, prove_value(p, &known, found, name, len));
        }
        if (!covered && goal[GW_KW_ADDITIONAL_PROPERTIES])
            rc = gw_worse(rc, prove_value(p, &known, goal[GW_KW_ADDITIONAL_PROPERTIES], name, len));
    }
    gw_premise_free(&known);
    return rc;
}

static bool seen_before(struct gw_prover *p, const struct gw_compat_list *list, size_t before,
                        const struct gw_doc_node *name)
{
    struct gw_doc_node *kw[GW_KW_COUNT];
    for (size_t i = 0; i < before; i++)
        if (gw_object_keywords(p->writer, list->nodes[i], kw) &&
            gw_object_property(p->writer, kw[GW_KW_PROPERTIES], name->key, name->key_len))
            return true;
    return false;
}

int gw_object_each_name(struct gw_prover *p, const struct gw_premise *premise,
                        const struct gw_object_shape *shape, struct gw_doc_node *const goal[],
                        gw_object_on_name prove)
{
    struct gw_doc_node *kw[GW_KW_COUNT];
    int rc = 0;
    for (size_t i = 0; i < shape->wide.count && p->c->broken == 0; i++) {
        if (!gw_object_keywords(p->writer, shape->wide.nodes[i], kw) ||
            gw_compat_pay(p->c, 6 + (uint32_t)i * 6) != 0)
            continue;
        for (const struct gw_doc_node *each = kw[GW_KW_PROPERTIES] ? kw[GW_KW_PROPERTIES]->first : NULL; each;
             each = each->next)
            if (!seen_before(p, &shape->wide, i, each))
                rc = gw_worse(rc, prove(p, premise, goal, each->key, each->key_len));
    }
    return rc;
}

static bool is_property(struct gw_prover *p, const struct gw_object_shape *shape,
                        const struct gw_doc_node *name)
{
    return seen_before(p, &shape->wide, shape->wide.count, name);
}

/* Properties of the goal that the writer does not have: what came under that name, if anything could. */
static int prove_new(struct gw_prover *p, const struct gw_premise *premise,
                     const struct gw_object_shape *shape, struct gw_doc_node *const goal[])
{
    int rc = 0;
    for (struct gw_doc_node *each = goal[GW_KW_PROPERTIES] ? goal[GW_KW_PROPERTIES]->first : NULL; each;
         each = each->next) {
        struct gw_premise known;
        bool possible = false;
        if (is_property(p, shape, each))
            continue;
        int one = gw_premise_member(p, premise, each->key, each->key_len, &known, &possible);
        if (one == 0 && possible) {
            one = gw_prove_quietly(p, &known, each);
            if (one == GW_ECONFLICT)
                one = gw_compat_fault(
                    p->c, each, "properties",
                    "undeclared members were kept, so that others may have this name with other values: "
                    "take another name, or close the object first");
        }
        gw_premise_free(&known);
        rc = gw_worse(rc, one);
    }
    return rc;
}

/* --- values under names that are no property --- */

static int prove_case_by(struct gw_prover *p, struct gw_doc_node *value, struct gw_doc_node *goal)
{
    struct gw_premise known = {.kinds = GW_COMPAT_KINDS};
    int rc = value ? gw_premise_add(p, &known, value) : 0;
    if (rc == 0)
        rc = prove_value(p, &known, goal, "other members", 13);
    gw_premise_free(&known);
    return rc;
}

static bool same_pattern(const struct gw_doc_node *a, const struct gw_doc_node *b)
{
    return a->key_len == b->key_len && memcmp(a->key, b->key, a->key_len) == 0;
}

static bool has_pattern(const struct gw_doc_node *owner, const struct gw_doc_node *pattern)
{
    const struct gw_doc_node *each = owner ? owner->first : NULL;
    while (each && !same_pattern(each, pattern))
        each = each->next;
    return each != NULL;
}

/*
 * value NULL: any. pattern: it is under names that match this; NULL: under names that match none of the owner's patterns, and
 * are otherwise not known.
 */
static int prove_rest_case(struct gw_prover *p, const struct gw_object_shape *shape,
                           struct gw_doc_node *value, const struct gw_doc_node *pattern,
                           struct gw_doc_node *const goal[])
{
    const struct gw_doc_node *map = goal[GW_KW_PATTERN_PROPERTIES];
    bool covered = false;
    int rc = 0;
    for (struct gw_doc_node *each = map ? map->first : NULL; each; each = each->next) {
        if (!pattern && has_pattern(shape->pattern_owner, each))
            continue;
        covered |= pattern && same_pattern(pattern, each);
        rc = gw_worse(rc, prove_case_by(p, value, each));
    }
    if (goal[GW_KW_ADDITIONAL_PROPERTIES] && !covered)
        rc = gw_worse(rc, prove_case_by(p, value, goal[GW_KW_ADDITIONAL_PROPERTIES]));
    return rc;
}

static int prove_rest(struct gw_prover *p, const struct gw_object_shape *shape,
                      struct gw_doc_node *const goal[])
{
    int rc = shape->free ? prove_rest_case(p, shape, NULL, NULL, goal) : 0;
    for (size_t i = 0; i < shape->cases.count; i++) {
        struct gw_doc_node *value = shape->cases.nodes[i];
        const bool by_pattern = shape->pattern_owner && value->up == shape->pattern_owner;
        rc = gw_worse(rc, prove_rest_case(p, shape, value, by_pattern ? value : NULL, goal));
    }
    return rc;
}

/* --- unevaluatedProperties: names that the goal's own schema surely evaluates, and the others --- */

struct evaluated {
    struct gw_compat_list by; /* certain schemas of the goal */
    bool all;
};

static int find_evaluated(struct gw_prover *p, struct gw_doc_node *schema, struct evaluated *out)
{
    struct gw_doc_node *kw[GW_KW_COUNT];
    *out = (struct evaluated){.all = false};
    int rc = gw_compat_in_place(p->reader, schema, true, &out->by);
    for (size_t i = 0; i < out->by.count && rc == 0; i++)
        if (gw_object_keywords(p->reader, out->by.nodes[i], kw))
            out->all |= kw[GW_KW_ADDITIONAL_PROPERTIES] ||
                        (out->by.nodes[i] != schema && kw[GW_KW_UNEVALUATED_PROPERTIES]);
    return rc == 0 ? 0 : gw_compat_break(p->c, rc);
}

static bool is_evaluated(struct gw_prover *p, const struct evaluated *e, const char *name, size_t len)
{
    struct gw_doc_node *kw[GW_KW_COUNT];
    for (size_t i = 0; i < e->by.count; i++) {
        struct gw_doc_node *at = NULL;
        if (gw_object_keywords(p->reader, e->by.nodes[i], kw) &&
            (gw_object_property(p->reader, kw[GW_KW_PROPERTIES], name, len) ||
             matching(p->c, kw[GW_KW_PATTERN_PROPERTIES], name, len, &at)))
            return true;
    }
    return false;
}

static int prove_unevaluated_name(struct gw_prover *p, const struct gw_premise *premise,
                                  struct gw_doc_node *const goal[], const char *name, size_t len)
{
    struct gw_doc_node *unevaluated = goal[GW_KW_UNEVALUATED_PROPERTIES];
    struct evaluated e;
    struct gw_premise known = {.kinds = 0};
    bool possible = false;
    int rc = find_evaluated(p, unevaluated->up, &e);
    if (rc == 0 && !e.all && !is_evaluated(p, &e, name, len))
        rc = gw_premise_member(p, premise, name, len, &known, &possible);
    if (rc == 0 && possible)
        rc = prove_value(p, &known, unevaluated, name, len);
    gw_premise_free(&known);
    gw_compat_list_free(&e.by);
    return rc;
}

static int prove_unevaluated(struct gw_prover *p, const struct gw_premise *premise,
                             const struct gw_object_shape *shape, struct gw_doc_node *const goal[])
{
    struct gw_doc_node *unevaluated = goal[GW_KW_UNEVALUATED_PROPERTIES];
    struct evaluated e;
    int rc = find_evaluated(p, unevaluated->up, &e);
    const bool all = e.all;
    gw_compat_list_free(&e.by);
    if (rc != 0 || all)
        return rc;
    rc = gw_object_each_name(p, premise, shape, goal, prove_unevaluated_name);
    if (shape->free)
        rc = gw_worse(rc, prove_case_by(p, NULL, unevaluated));
    for (size_t i = 0; i < shape->cases.count; i++)
        rc = gw_worse(rc, prove_case_by(p, shape->cases.nodes[i], unevaluated));
    return rc;
}

int gw_prove_object(struct gw_prover *p, const struct gw_premise *premise, struct gw_doc_node *schema,
                    struct gw_doc_node *const goal[GW_KW_COUNT])
{
    static const unsigned dependents[] = {GW_KW_DEPENDENT_REQUIRED, GW_KW_DEPENDENT_SCHEMAS,
                                          GW_KW_DEPENDENCIES};
    struct gw_object_shape shape;
    (void)schema;
    int rc = survey(p, premise, &shape);
    if (rc == 0) {
        rc = gw_object_each_name(p, premise, &shape, goal, prove_member);
        rc = gw_worse(rc, prove_new(p, premise, &shape, goal));
        rc = gw_worse(rc, prove_rest(p, &shape, goal));
        rc = gw_worse(rc, gw_object_prove_counts(p, premise, &shape, goal));
        if (goal[GW_KW_PROPERTY_NAMES])
            rc = gw_worse(rc, gw_object_prove_names(p, premise, &shape, goal));
        if (goal[GW_KW_UNEVALUATED_PROPERTIES])
            rc = gw_worse(rc, prove_unevaluated(p, premise, &shape, goal));
        if (goal[GW_KW_REQUIRED])
            rc = gw_worse(rc, gw_object_prove_required(p, premise, goal[GW_KW_REQUIRED]));
        for (size_t i = 0; i < 3; i++)
            for (struct gw_doc_node *each = goal[dependents[i]] ? goal[dependents[i]]->first : NULL; each;
                 each = each->next)
                rc = gw_worse(rc, gw_object_prove_dependent(p, premise, each));
    }
    free_shape(&shape);
    return rc;
}
