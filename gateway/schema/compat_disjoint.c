/* When no value that is allowed so far can be valid by a schema: what tells branches apart. */
#include <string.h>

#include "schema/compat_prove.h"

static bool values_excluded(struct gw_prover *p, const struct gw_premise *premise, struct gw_doc_node *schema)
{
    bool many;
    const struct gw_doc_node *values = gw_premise_values(p, premise, &many);
    for (const struct gw_doc_node *each = values && many ? values->first : values; each;
         each = many ? each->next : NULL)
        if (gw_compat_eval(p->c, p->reader, schema, each, 16) != GW_NO)
            return false;
    return values != NULL;
}

/* The reader's values, by the writer's schemas. */
static bool choices_excluded(struct gw_prover *p, const struct gw_premise *premise,
                             const struct gw_doc_node *values, bool many)
{
    for (const struct gw_doc_node *each = many ? values->first : values; each;
         each = many ? each->next : NULL) {
        bool excluded = !(premise->kinds & gw_compat_kind_of(each));
        for (size_t i = 0; i < premise->list.count && !excluded; i++)
            excluded = gw_compat_eval(p->c, p->writer, premise->list.nodes[i], each, 16) == GW_NO;
        if (!excluded)
            return false;
    }
    return true;
}

static bool all_disjoint(struct gw_prover *p, const struct gw_premise *premise,
                         const struct gw_doc_node *list)
{
    for (struct gw_doc_node *each = list->first; each; each = each->next)
        if (!gw_disjoint(p, premise, each))
            return false;
    return true;
}

/* A member that must be there and cannot be the same in both. */
static bool member_disjoint(struct gw_prover *p, const struct gw_premise *premise, struct gw_doc_node *member,
                            bool required)
{
    struct gw_premise known;
    bool possible = true, result = false;
    int rc = gw_premise_member(p, premise, member->key, member->key_len, &known, &possible);
    if (rc == 0 && (required || gw_premise_requires(p, premise, member->key, member->key_len)))
        result = !possible || gw_disjoint(p, &known, member);
    gw_premise_free(&known);
    return result;
}

static bool is_named(const struct gw_doc_node *list, const struct gw_doc_node *member)
{
    const struct gw_doc_node *each = list ? list->first : NULL;
    while (each &&
           !(each->text_len == member->key_len && memcmp(each->text, member->key, member->key_len) == 0))
        each = each->next;
    return each != NULL;
}

static bool one_disjoint(struct gw_prover *p, const struct gw_premise *premise, struct gw_doc_node *schema)
{
    struct gw_doc_node *kw[GW_KW_COUNT];
    if (schema->kind != GW_KIND_OBJECT)
        return !schema->truth;
    gw_resolver_keywords(&p->reader->resolver, schema, kw);
    if ((kw[GW_KW_CONST] && choices_excluded(p, premise, kw[GW_KW_CONST], false)) ||
        (kw[GW_KW_ENUM] && choices_excluded(p, premise, kw[GW_KW_ENUM], true)) ||
        (kw[GW_KW_ANY_OF] && all_disjoint(p, premise, kw[GW_KW_ANY_OF])) ||
        (kw[GW_KW_ONE_OF] && all_disjoint(p, premise, kw[GW_KW_ONE_OF])))
        return true;
    /* Only objects have members to differ in. */
    if (premise->kinds & gw_compat_kinds(p->reader, schema, 16) & ~(1u << GW_KIND_OBJECT))
        return false;
    for (struct gw_doc_node *each = kw[GW_KW_PROPERTIES] ? kw[GW_KW_PROPERTIES]->first : NULL; each;
         each = each->next)
        if (member_disjoint(p, premise, each, is_named(kw[GW_KW_REQUIRED], each)))
            return true;
    return false;
}

bool gw_disjoint(struct gw_prover *p, const struct gw_premise *premise, struct gw_doc_node *schema)
{
    struct gw_compat_list parts = {.nodes = NULL};
    if (p->depth >= GW_COMPAT_DEPTH || gw_compat_pay(p->c, 8) != 0)
        return false;
    p->depth++;
    bool result =
        !(premise->kinds & gw_compat_kinds(p->reader, schema, 16)) || values_excluded(p, premise, schema);
    for (size_t i = 0; i < premise->nots.count && !result; i++)
        result = gw_compat_same(p, premise->nots.nodes[i], schema);
    int rc = result ? 0 : gw_compat_in_place(p->reader, schema, true, &parts);
    for (size_t i = 0; i < parts.count && rc == 0 && !result; i++)
        result = one_disjoint(p, premise, parts.nodes[i]);
    gw_compat_list_free(&parts);
    p->depth--;
    if (rc != 0)
        (void)gw_compat_break(p->c, rc);
    return result;
}
