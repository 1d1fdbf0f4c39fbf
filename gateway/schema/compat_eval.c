/* Values that stand in schemas: equal or not, valid by another schema or not. */
#include <stdlib.h>
#include <string.h>

#include "schema/compat_prove.h"
#include "schema/formats.h"
#include "schema/regex.h"

#define REGEX_BYTES 65536

bool gw_compat_equal(const struct gw_doc_node *a, const struct gw_doc_node *b)
{
    if (a->kind != b->kind || a->count != b->count)
        return false;
    struct gw_number left, right;
    switch (a->kind) {
    case GW_KIND_NULL:
        return true;
    case GW_KIND_BOOL:
        return a->truth == b->truth;
    case GW_KIND_NUMBER:
        gw_number_parse(a->text, a->text_len, &left);
        gw_number_parse(b->text, b->text_len, &right);
        return gw_number_compare(&left, &right) == 0;
    case GW_KIND_STRING:
        return a->text_len == b->text_len && memcmp(a->text, b->text, a->text_len) == 0;
    default:
        break;
    }
    const struct gw_doc_node *other = b->first;
    for (const struct gw_doc_node *each = a->first; each; each = each->next, other = other->next) {
        const struct gw_doc_node *match = other;
        if (a->kind == GW_KIND_OBJECT)
            for (match = b->first; match && !(match->key_len == each->key_len &&
                                              memcmp(match->key, each->key, each->key_len) == 0);)
                match = match->next;
        if (!match || !gw_compat_equal(each, match))
            return false;
    }
    return true;
}

uint64_t gw_compat_length(const char *text, size_t len)
{
    uint64_t count = 0;
    for (size_t i = 0; i < len; i++)
        count += ((unsigned char)text[i] & 0xc0) != 0x80;
    return count;
}

int gw_compat_matches(struct gw_compat *c, const char *pattern, size_t pattern_len, const char *text,
                      size_t len)
{
    struct gw_regex *regex = NULL;
    char why[160];
    int64_t fuel = 1000000;
    int rc = gw_compat_pay(c, 500);
    if (rc != 0)
        return rc;
    rc = gw_regex_compile(pattern, pattern_len, NULL, &regex, why);
    void *memory = rc == 0 ? malloc(REGEX_BYTES) : NULL;
    if (memory) {
        struct gw_regex_scratch *scratch = gw_regex_scratch_init(memory, REGEX_BYTES);
        rc = scratch ? gw_regex_match(regex, scratch, text, len, &fuel) : GW_EFULL;
    } else if (rc == 0) {
        rc = GW_ENOMEM;
    }
    free(memory);
    gw_regex_free(regex);
    return rc < 0 ? gw_compat_break(c, rc) : rc;
}

static enum gw_truth of(bool truth)
{
    return truth ? GW_YES : GW_NO;
}

static enum gw_truth both(enum gw_truth a, enum gw_truth b)
{
    if (a == GW_NO || b == GW_NO)
        return GW_NO;
    return a == GW_YES && b == GW_YES ? GW_YES : GW_UNKNOWN;
}

static bool is_among(const struct gw_doc_node *list, const struct gw_doc_node *value)
{
    const struct gw_doc_node *each = list->first;
    while (each && !gw_compat_equal(each, value))
        each = each->next;
    return each != NULL;
}

static int compare(const struct gw_number *value, const struct gw_doc_node *bound)
{
    struct gw_number number;
    gw_number_parse(bound->text, bound->text_len, &number);
    return gw_number_compare(value, &number);
}

static enum gw_truth eval_number(const struct gw_doc_node *value, struct gw_doc_node *const kw[])
{
    struct gw_number number, step;
    gw_number_parse(value->text, value->text_len, &number);
    if ((kw[GW_KW_MINIMUM] && compare(&number, kw[GW_KW_MINIMUM]) < 0) ||
        (kw[GW_KW_MAXIMUM] && compare(&number, kw[GW_KW_MAXIMUM]) > 0) ||
        (kw[GW_KW_EXCLUSIVE_MINIMUM] && compare(&number, kw[GW_KW_EXCLUSIVE_MINIMUM]) <= 0) ||
        (kw[GW_KW_EXCLUSIVE_MAXIMUM] && compare(&number, kw[GW_KW_EXCLUSIVE_MAXIMUM]) >= 0))
        return GW_NO;
    if (!kw[GW_KW_MULTIPLE_OF])
        return GW_YES;
    gw_number_parse(kw[GW_KW_MULTIPLE_OF]->text, kw[GW_KW_MULTIPLE_OF]->text_len, &step);
    return of(gw_number_multiple(&number, &step));
}

static enum gw_truth eval_string(struct gw_compat *c, const struct gw_doc_node *value,
                                 struct gw_doc_node *const kw[])
{
    struct gw_number length;
    gw_number_from_uint(gw_compat_length(value->text, value->text_len), false, &length);
    if ((kw[GW_KW_MIN_LENGTH] && compare(&length, kw[GW_KW_MIN_LENGTH]) < 0) ||
        (kw[GW_KW_MAX_LENGTH] && compare(&length, kw[GW_KW_MAX_LENGTH]) > 0))
        return GW_NO;
    const struct gw_doc_node *pattern = kw[GW_KW_PATTERN], *format = kw[GW_KW_FORMAT];
    if (pattern) {
        int match = gw_compat_matches(c, pattern->text, pattern->text_len, value->text, value->text_len);
        if (match != 1)
            return match == 0 ? GW_NO : GW_UNKNOWN;
    }
    if (!format || format->kind != GW_KIND_STRING)
        return GW_YES;
    gw_format_check check = gw_format_find(format->text, format->text_len);
    return check ? of(check(value->text, value->text_len)) : GW_UNKNOWN;
}

static enum gw_truth eval_branches(struct gw_compat *c, struct gw_compat_tree *tree, struct gw_doc_node *list,
                                   const struct gw_doc_node *value, bool one, unsigned depth)
{
    unsigned yes = 0, unknown = 0;
    for (struct gw_doc_node *each = list->first; each; each = each->next) {
        enum gw_truth truth = gw_compat_eval(c, tree, each, value, depth);
        yes += truth == GW_YES;
        unknown += truth == GW_UNKNOWN;
    }
    if (one && yes > 1)
        return GW_NO;
    if (unknown > 0 && (one || yes == 0))
        return GW_UNKNOWN;
    return of(yes > 0);
}

/* Keywords of containers are not judged here, nor are references that depend on where they are used. */
static enum gw_truth eval_kind(struct gw_compat *c, const struct gw_doc_node *value,
                               struct gw_doc_node *const kw[])
{
    static const unsigned containers[] = {GW_KW_PREFIX_ITEMS,
                                          GW_KW_ITEMS,
                                          GW_KW_CONTAINS,
                                          GW_KW_UNIQUE_ITEMS,
                                          GW_KW_MIN_ITEMS,
                                          GW_KW_MAX_ITEMS,
                                          GW_KW_ADDITIONAL_ITEMS,
                                          GW_KW_UNEVALUATED_ITEMS,
                                          GW_KW_PROPERTIES,
                                          GW_KW_REQUIRED,
                                          GW_KW_PATTERN_PROPERTIES,
                                          GW_KW_ADDITIONAL_PROPERTIES,
                                          GW_KW_PROPERTY_NAMES,
                                          GW_KW_MIN_PROPERTIES,
                                          GW_KW_MAX_PROPERTIES,
                                          GW_KW_DEPENDENT_REQUIRED,
                                          GW_KW_DEPENDENT_SCHEMAS,
                                          GW_KW_DEPENDENCIES,
                                          GW_KW_UNEVALUATED_PROPERTIES};
    if (kw[GW_KW_DYNAMIC_REF])
        return GW_UNKNOWN;
    if (value->kind == GW_KIND_NUMBER)
        return eval_number(value, kw);
    if (value->kind == GW_KIND_STRING)
        return eval_string(c, value, kw);
    if (value->kind != GW_KIND_ARRAY && value->kind != GW_KIND_OBJECT)
        return GW_YES;
    for (size_t i = 0; i < sizeof containers / sizeof *containers; i++)
        if (kw[containers[i]])
            return GW_UNKNOWN;
    return GW_YES;
}

static enum gw_truth eval_applied(struct gw_compat *c, struct gw_compat_tree *tree,
                                  struct gw_doc_node *schema, struct gw_doc_node *const kw[],
                                  const struct gw_doc_node *value, unsigned depth)
{
    enum gw_truth truth = GW_YES;
    struct gw_doc_node *target = gw_compat_target(tree, schema, kw[GW_KW_REF]);
    if (target)
        truth = gw_compat_eval(c, tree, target, value, depth);
    for (struct gw_doc_node *each = kw[GW_KW_ALL_OF] ? kw[GW_KW_ALL_OF]->first : NULL; each;
         each = each->next)
        truth = both(truth, gw_compat_eval(c, tree, each, value, depth));
    if (kw[GW_KW_ANY_OF])
        truth = both(truth, eval_branches(c, tree, kw[GW_KW_ANY_OF], value, false, depth));
    if (kw[GW_KW_ONE_OF])
        truth = both(truth, eval_branches(c, tree, kw[GW_KW_ONE_OF], value, true, depth));
    if (kw[GW_KW_NOT]) {
        enum gw_truth inner = gw_compat_eval(c, tree, kw[GW_KW_NOT], value, depth);
        truth = both(truth, inner == GW_UNKNOWN ? GW_UNKNOWN : of(inner == GW_NO));
    }
    if (kw[GW_KW_IF]) {
        enum gw_truth condition = gw_compat_eval(c, tree, kw[GW_KW_IF], value, depth);
        struct gw_doc_node *then = kw[condition == GW_YES ? GW_KW_THEN : GW_KW_ELSE];
        if (condition == GW_UNKNOWN)
            truth = both(truth, GW_UNKNOWN);
        else if (then)
            truth = both(truth, gw_compat_eval(c, tree, then, value, depth));
    }
    return truth;
}

enum gw_truth gw_compat_eval(struct gw_compat *c, struct gw_compat_tree *tree, struct gw_doc_node *schema,
                             const struct gw_doc_node *value, unsigned depth)
{
    struct gw_doc_node *kw[GW_KW_COUNT];
    if (schema->kind != GW_KIND_OBJECT)
        return of(schema->truth);
    if (depth == 0 || gw_compat_pay(c, 4) != 0)
        return GW_UNKNOWN;
    gw_resolver_keywords(&tree->resolver, schema, kw);
    if (kw[GW_KW_TYPE] && !(gw_compat_kinds_of_type(kw[GW_KW_TYPE]) & gw_compat_kind_of(value)))
        return GW_NO;
    if ((kw[GW_KW_CONST] && !gw_compat_equal(kw[GW_KW_CONST], value)) ||
        (kw[GW_KW_ENUM] && !is_among(kw[GW_KW_ENUM], value)))
        return GW_NO;
    enum gw_truth truth = eval_kind(c, value, kw);
    return truth == GW_NO ? GW_NO : both(truth, eval_applied(c, tree, schema, kw, value, depth - 1));
}

const struct gw_doc_node *gw_premise_values(struct gw_prover *p, const struct gw_premise *premise,
                                            bool *out_many)
{
    struct gw_doc_node *kw[GW_KW_COUNT];
    const struct gw_doc_node *found = NULL;
    for (size_t i = 0; i < premise->list.count; i++) {
        if (premise->list.nodes[i]->kind != GW_KIND_OBJECT)
            continue;
        gw_resolver_keywords(&p->writer->resolver, premise->list.nodes[i], kw);
        if (kw[GW_KW_CONST]) {
            *out_many = false;
            return kw[GW_KW_CONST];
        }
        if (kw[GW_KW_ENUM] && (!found || kw[GW_KW_ENUM]->count < found->count))
            found = kw[GW_KW_ENUM];
    }
    *out_many = true;
    return found;
}
