/* Goals about values without parts: constants, numbers, strings. */
#include <string.h>

#include "schema/compat_prove.h"

/* The keywords of the premise's schemas in turn; false at the end. */
static bool next(struct gw_prover *p, const struct gw_premise *premise, size_t *at,
                 struct gw_doc_node *kw[GW_KW_COUNT])
{
    while (*at < premise->list.count) {
        struct gw_doc_node *schema = premise->list.nodes[(*at)++];
        if (schema->kind != GW_KIND_OBJECT)
            continue;
        gw_resolver_keywords(&p->writer->resolver, schema, kw);
        return true;
    }
    return false;
}

static int compare(const struct gw_doc_node *a, const struct gw_doc_node *b)
{
    struct gw_number left, right;
    gw_number_parse(a->text, a->text_len, &left);
    gw_number_parse(b->text, b->text_len, &right);
    return gw_number_compare(&left, &right);
}

/* upper: 1 for bounds from above, -1 from below. strict: the goal excludes the bound itself. */
static bool is_bounded(struct gw_prover *p, const struct gw_premise *premise, const struct gw_doc_node *goal,
                       int upper, bool strict)
{
    const unsigned loose = upper > 0 ? GW_KW_MAXIMUM : GW_KW_MINIMUM,
                   tight = upper > 0 ? GW_KW_EXCLUSIVE_MAXIMUM : GW_KW_EXCLUSIVE_MINIMUM;
    struct gw_doc_node *kw[GW_KW_COUNT];
    for (size_t at = 0; next(p, premise, &at, kw);) {
        const int by_loose = kw[loose] ? compare(goal, kw[loose]) * upper : -1;
        if (by_loose > 0 || (by_loose == 0 && !strict) ||
            (kw[tight] && compare(goal, kw[tight]) * upper >= 0))
            return true;
    }
    return false;
}

static int prove_bounds(struct gw_prover *p, const struct gw_premise *premise,
                        struct gw_doc_node *const goal[])
{
    static const struct {
        unsigned keyword;
        const char *rule;
        int upper;
        bool strict;
    } bounds[] = {{GW_KW_MINIMUM, "minimum", -1, false},
                  {GW_KW_EXCLUSIVE_MINIMUM, "exclusiveMinimum", -1, true},
                  {GW_KW_MAXIMUM, "maximum", 1, false},
                  {GW_KW_EXCLUSIVE_MAXIMUM, "exclusiveMaximum", 1, true}};
    int rc = 0;
    for (size_t i = 0; i < 4; i++) {
        const struct gw_doc_node *bound = goal[bounds[i].keyword];
        if (bound && !is_bounded(p, premise, bound, bounds[i].upper, bounds[i].strict))
            rc = gw_compat_fault(p->c, bound, bounds[i].rule,
                                 "%s numbers were allowed: leave the bound where it was",
                                 bounds[i].upper > 0 ? "larger" : "smaller");
    }
    return rc;
}

static int prove_multiple(struct gw_prover *p, const struct gw_premise *premise,
                          const struct gw_doc_node *goal)
{
    struct gw_doc_node *kw[GW_KW_COUNT];
    struct gw_number step, one, whole;
    gw_number_parse(goal->text, goal->text_len, &step);
    gw_number_from_int(1, &one);
    if (!(premise->kinds & 1u << GW_KIND_NUMBER) && gw_number_multiple(&one, &step))
        return 0;
    for (size_t at = 0; next(p, premise, &at, kw);) {
        if (!kw[GW_KW_MULTIPLE_OF])
            continue;
        gw_number_parse(kw[GW_KW_MULTIPLE_OF]->text, kw[GW_KW_MULTIPLE_OF]->text_len, &whole);
        if (gw_number_multiple(&whole, &step))
            return 0;
    }
    return gw_compat_fault(p->c, goal, "multipleOf", "other numbers were allowed");
}

static int prove_lengths(struct gw_prover *p, const struct gw_premise *premise,
                         struct gw_doc_node *const goal[])
{
    struct gw_doc_node *kw[GW_KW_COUNT];
    struct gw_number least;
    bool low = true, high = true;
    if (goal[GW_KW_MIN_LENGTH]) {
        gw_number_parse(goal[GW_KW_MIN_LENGTH]->text, goal[GW_KW_MIN_LENGTH]->text_len, &least);
        low = least.digits == 0;
    }
    high = !goal[GW_KW_MAX_LENGTH];
    for (size_t at = 0; next(p, premise, &at, kw);) {
        low |= kw[GW_KW_MIN_LENGTH] && goal[GW_KW_MIN_LENGTH] &&
               compare(kw[GW_KW_MIN_LENGTH], goal[GW_KW_MIN_LENGTH]) >= 0;
        high |= kw[GW_KW_MAX_LENGTH] && goal[GW_KW_MAX_LENGTH] &&
                compare(kw[GW_KW_MAX_LENGTH], goal[GW_KW_MAX_LENGTH]) <= 0;
    }
    int rc = 0;
    if (!low)
        rc = gw_compat_fault(p->c, goal[GW_KW_MIN_LENGTH], "minLength", "shorter strings were allowed");
    if (!high)
        rc = gw_compat_fault(p->c, goal[GW_KW_MAX_LENGTH], "maxLength", "longer strings were allowed");
    return rc;
}

/* Of patterns and formats only the same is known to be no narrower. */
static int prove_text(struct gw_prover *p, const struct gw_premise *premise, unsigned keyword,
                      const char *rule, const struct gw_doc_node *goal)
{
    struct gw_doc_node *kw[GW_KW_COUNT];
    if (!goal || goal->kind != GW_KIND_STRING)
        return 0;
    for (size_t at = 0; next(p, premise, &at, kw);)
        if (kw[keyword] && gw_compat_equal(kw[keyword], goal))
            return 0;
    return gw_compat_fault(
        p->c, goal, rule,
        "other strings were allowed, as far as can be shown: a %s is never added or changed", rule);
}

static bool all_among(struct gw_prover *p, const struct gw_premise *premise, const struct gw_doc_node *goal,
                      bool many)
{
    bool from_many;
    const struct gw_doc_node *values = gw_premise_values(p, premise, &from_many);
    for (const struct gw_doc_node *each = values && from_many ? values->first : values; each;
         each = from_many ? each->next : NULL) {
        if (!(premise->kinds & gw_compat_kind_of(each)))
            continue;
        const struct gw_doc_node *found = many ? goal->first : goal;
        while (found && !gw_compat_equal(found, each))
            found = many ? found->next : NULL;
        if (!found)
            return false;
    }
    return values != NULL;
}

/* null, true and false are few by themselves. */
static bool kinds_among(const struct gw_premise *premise, const struct gw_doc_node *goal, bool many)
{
    unsigned missing =
        (premise->kinds & 1u << GW_KIND_NULL ? 1 : 0) | (premise->kinds & 1u << GW_KIND_BOOL ? 6 : 0);
    if (premise->kinds & ~(1u << GW_KIND_NULL | 1u << GW_KIND_BOOL))
        return false;
    for (const struct gw_doc_node *each = many ? goal->first : goal; each; each = many ? each->next : NULL) {
        if (each->kind == GW_KIND_NULL)
            missing &= ~1u;
        else if (each->kind == GW_KIND_BOOL)
            missing &= ~(each->truth ? 2u : 4u);
    }
    return missing == 0;
}

static int prove_choices(struct gw_prover *p, const struct gw_premise *premise,
                         const struct gw_doc_node *goal, const char *rule, bool many)
{
    if (!goal || all_among(p, premise, goal, many) || kinds_among(premise, goal, many))
        return 0;
    return gw_compat_fault(p->c, goal, rule,
                           "other values were allowed: values are added, and never taken away");
}

int gw_prove_scalars(struct gw_prover *p, const struct gw_premise *premise,
                     struct gw_doc_node *const goal[GW_KW_COUNT])
{
    int rc = prove_choices(p, premise, goal[GW_KW_CONST], "const", false);
    rc = gw_worse(rc, prove_choices(p, premise, goal[GW_KW_ENUM], "enum", true));
    if (premise->kinds & GW_COMPAT_NUMBERS) {
        rc = gw_worse(rc, prove_bounds(p, premise, goal));
        if (goal[GW_KW_MULTIPLE_OF])
            rc = gw_worse(rc, prove_multiple(p, premise, goal[GW_KW_MULTIPLE_OF]));
    }
    if (premise->kinds & 1u << GW_KIND_STRING) {
        rc = gw_worse(rc, prove_lengths(p, premise, goal));
        rc = gw_worse(rc, prove_text(p, premise, GW_KW_PATTERN, "pattern", goal[GW_KW_PATTERN]));
        rc = gw_worse(rc, prove_text(p, premise, GW_KW_FORMAT, "format", goal[GW_KW_FORMAT]));
    }
    return rc;
}
