/* Goals about arrays. */
#include "schema/compat_prove.h"

#define PREFIX_MAX 256u

/* Both drafts: 2020-12 has prefixItems and items, draft 7 has items (an array) and additionalItems. */
struct array {
    const struct gw_doc_node *prefix; /* an array of schemas, or NULL */
    struct gw_doc_node *rest;         /* NULL: anything */
};

static struct array array_of(struct gw_doc_node *const kw[])
{
    if (kw[GW_KW_ITEMS] && kw[GW_KW_ITEMS]->kind == GW_KIND_ARRAY)
        return (struct array){.prefix = kw[GW_KW_ITEMS], .rest = kw[GW_KW_ADDITIONAL_ITEMS]};
    return (struct array){.prefix = kw[GW_KW_PREFIX_ITEMS], .rest = kw[GW_KW_ITEMS]};
}

static uint32_t prefix_count(const struct array *array)
{
    return array->prefix ? array->prefix->count : 0;
}

static struct gw_doc_node *item(const struct array *array, uint32_t index)
{
    if (index >= prefix_count(array))
        return array->rest;
    struct gw_doc_node *each = array->prefix->first;
    while (each && index-- > 0)
        each = each->next;
    return each;
}

static bool keywords(struct gw_prover *p, struct gw_doc_node *schema, struct gw_doc_node *kw[GW_KW_COUNT])
{
    if (schema->kind != GW_KIND_OBJECT)
        return false;
    gw_resolver_keywords(&p->writer->resolver, schema, kw);
    return true;
}

/* What is known of the item at an index; kinds is 0 if there is none. */
static int premise_item(struct gw_prover *p, const struct gw_premise *premise, uint32_t index,
                        struct gw_premise *out)
{
    struct gw_doc_node *kw[GW_KW_COUNT];
    struct gw_number most;
    int64_t limit;
    int rc = 0;
    *out = (struct gw_premise){.kinds = GW_COMPAT_KINDS};
    for (size_t i = 0; i < premise->list.count && rc == 0; i++) {
        if (!keywords(p, premise->list.nodes[i], kw))
            continue;
        const struct array array = array_of(kw);
        struct gw_doc_node *schema = item(&array, index);
        if (schema)
            rc = gw_premise_add(p, out, schema);
        if (!kw[GW_KW_MAX_ITEMS])
            continue;
        gw_number_parse(kw[GW_KW_MAX_ITEMS]->text, kw[GW_KW_MAX_ITEMS]->text_len, &most);
        if (gw_number_to_int(&most, &limit) && limit <= (int64_t)index)
            out->kinds = 0;
    }
    return rc;
}

static int prove_item(struct gw_prover *p, const struct gw_premise *premise, uint32_t index,
                      struct gw_doc_node *goal)
{
    struct gw_premise known;
    int rc = premise_item(p, premise, index, &known);
    if (rc == 0 && goal->kind == GW_KIND_BOOL && !goal->truth && known.kinds != 0)
        rc = gw_compat_fault(p->c, goal, "items", "more items were allowed");
    else if (rc == 0)
        rc = gw_prove_child(p, &known, goal);
    gw_premise_free(&known);
    return rc;
}

/* Item by item as far as anybody tells them apart, then all others at once. */
static int prove_items(struct gw_prover *p, const struct gw_premise *premise,
                       struct gw_doc_node *const goal[])
{
    struct gw_doc_node *kw[GW_KW_COUNT];
    const struct array asked = array_of(goal);
    uint32_t count = prefix_count(&asked);
    int rc = 0;
    if (!asked.prefix && !asked.rest)
        return 0;
    for (size_t i = 0; i < premise->list.count; i++) {
        if (!keywords(p, premise->list.nodes[i], kw))
            continue;
        const struct array array = array_of(kw);
        count = prefix_count(&array) > count ? prefix_count(&array) : count;
    }
    if (count > PREFIX_MAX)
        return gw_compat_break(p->c, GW_ELIMIT);
    for (uint32_t i = 0; i <= count; i++) {
        struct gw_doc_node *schema = item(&asked, i);
        if (schema)
            rc = gw_worse(rc, prove_item(p, premise, i, schema));
    }
    return rc;
}

static int compare(const struct gw_doc_node *a, int64_t b)
{
    struct gw_number left, right;
    gw_number_parse(a->text, a->text_len, &left);
    gw_number_from_int(b, &right);
    return gw_number_compare(&left, &right);
}

static bool at_least(const struct gw_doc_node *a, const struct gw_doc_node *b)
{
    struct gw_number left, right;
    gw_number_parse(a->text, a->text_len, &left);
    gw_number_parse(b->text, b->text_len, &right);
    return gw_number_compare(&left, &right) >= 0;
}

/* No item can be at this index. */
static bool ends_by(struct gw_prover *p, const struct gw_premise *premise, const struct gw_doc_node *most)
{
    struct gw_premise known;
    struct gw_number number;
    int64_t limit;
    gw_number_parse(most->text, most->text_len, &number);
    if (!gw_number_to_int(&number, &limit) || limit > PREFIX_MAX)
        return false;
    bool result = premise_item(p, premise, (uint32_t)limit, &known) == 0 && known.kinds == 0;
    gw_premise_free(&known);
    return result;
}

static int prove_counts(struct gw_prover *p, const struct gw_premise *premise,
                        struct gw_doc_node *const goal[])
{
    struct gw_doc_node *kw[GW_KW_COUNT];
    const struct gw_doc_node *least = goal[GW_KW_MIN_ITEMS], *most = goal[GW_KW_MAX_ITEMS],
                             *unique = goal[GW_KW_UNIQUE_ITEMS];
    bool low = !least || compare(least, 0) <= 0, high = !most, single = !unique || !unique->truth;
    for (size_t i = 0; i < premise->list.count; i++) {
        if (!keywords(p, premise->list.nodes[i], kw))
            continue;
        low |= kw[GW_KW_MIN_ITEMS] && least && at_least(kw[GW_KW_MIN_ITEMS], least);
        high |= kw[GW_KW_MAX_ITEMS] && most && at_least(most, kw[GW_KW_MAX_ITEMS]);
        single |= kw[GW_KW_UNIQUE_ITEMS] && kw[GW_KW_UNIQUE_ITEMS]->truth;
        single |= kw[GW_KW_MAX_ITEMS] && compare(kw[GW_KW_MAX_ITEMS], 1) <= 0;
    }
    int rc = 0;
    if (!low)
        rc = gw_compat_fault(p->c, least, "minItems", "fewer items were allowed");
    if (!high && !ends_by(p, premise, most))
        rc = gw_compat_fault(p->c, most, "maxItems", "more items were allowed");
    if (!single)
        rc = gw_compat_fault(p->c, unique, "uniqueItems", "the same item twice was allowed");
    return rc;
}

/* The same schema, counted at least as strictly. */
static bool contains_known(struct gw_prover *p, const struct gw_premise *premise,
                           struct gw_doc_node *const goal[])
{
    struct gw_doc_node *kw[GW_KW_COUNT];
    for (size_t i = 0; i < premise->list.count; i++) {
        if (!keywords(p, premise->list.nodes[i], kw) || !kw[GW_KW_CONTAINS] ||
            !gw_compat_same(p, kw[GW_KW_CONTAINS], goal[GW_KW_CONTAINS]))
            continue;
        const struct gw_doc_node *had = kw[GW_KW_MIN_CONTAINS], *asks = goal[GW_KW_MIN_CONTAINS];
        bool low = asks ? (had ? at_least(had, asks) : compare(asks, 1) <= 0) : !had || compare(had, 1) >= 0;
        had = kw[GW_KW_MAX_CONTAINS];
        asks = goal[GW_KW_MAX_CONTAINS];
        if (low && (!asks || (had && at_least(asks, had))))
            return true;
    }
    return false;
}

static int prove_contains(struct gw_prover *p, const struct gw_premise *premise,
                          struct gw_doc_node *const goal[])
{
    const struct gw_doc_node *least = goal[GW_KW_MIN_CONTAINS];
    if ((least && compare(least, 0) <= 0 && !goal[GW_KW_MAX_CONTAINS]) || contains_known(p, premise, goal))
        return 0;
    return gw_compat_fault(p->c, goal[GW_KW_CONTAINS], "contains",
                           "arrays without it were allowed, as far as can be shown");
}

int gw_prove_array(struct gw_prover *p, const struct gw_premise *premise, struct gw_doc_node *schema,
                   struct gw_doc_node *const goal[GW_KW_COUNT])
{
    (void)schema;
    int rc = prove_items(p, premise, goal);
    rc = gw_worse(rc, prove_counts(p, premise, goal));
    if (goal[GW_KW_CONTAINS])
        rc = gw_worse(rc, prove_contains(p, premise, goal));
    struct gw_doc_node *rest = goal[GW_KW_UNEVALUATED_ITEMS];
    /* Where `items` stands beside it, nothing is left unevaluated. */
    if (rest && !(rest->kind == GW_KIND_BOOL && rest->truth) && !array_of(goal).rest)
        rc = gw_worse(rc, gw_compat_fault(p->c, rest, "unevaluatedItems",
                                          "items that nothing else speaks of are not compared: use items"));
    return rc;
}
