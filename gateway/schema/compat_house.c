/*
 * The rule of the house: no attribute is removed, no type is changed; and what follows from it for annotations: a privacy class
 * is not lowered, a lake's type and the partition stay. It looks at what a schema declares, at any depth, whatever branch
 * declares it.
 */
#include <string.h>

#include "schema/compat_tree.h"

struct pair {
    struct gw_compat *c;
    struct gw_compat_list old, new; /* schemas that may speak of the same value */
    unsigned depth;
};

static int compare(struct pair *pair);

static int spread(struct gw_compat *c, struct gw_compat_tree *tree, struct gw_doc_node *schema,
                  struct gw_compat_list *out)
{
    int rc = gw_compat_in_place(tree, schema, false, out);
    return rc == 0 ? gw_compat_pay(c, (uint32_t)out->count) : gw_compat_break(c, rc);
}

/* What is declared of a member by this name. */
static int gather(struct gw_compat *c, struct gw_compat_tree *tree, const struct gw_compat_list *from,
                  const struct gw_doc_node *name, struct gw_compat_list *out, unsigned *kinds)
{
    int rc = gw_compat_pay(c, (uint32_t)from->count * 8);
    for (size_t i = 0; i < from->count && rc == 0; i++) {
        struct gw_doc_node *kw[GW_KW_COUNT];
        if (from->nodes[i]->kind != GW_KIND_OBJECT)
            continue;
        gw_resolver_keywords(&tree->resolver, from->nodes[i], kw);
        struct gw_doc_node *found =
            kw[GW_KW_PROPERTIES]
                ? gw_map_get(&tree->resolver.members, kw[GW_KW_PROPERTIES], name->key, name->key_len)
                : NULL;
        if (!found)
            continue;
        *kinds |= gw_compat_kinds(tree, found, 16);
        rc = spread(c, tree, found, out);
    }
    return rc;
}

/* --- annotations --- */

static const struct gw_doc_node *annotation(const struct gw_compat_tree *tree,
                                            const struct gw_compat_list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct gw_doc_node *all = list->nodes[i]->kind == GW_KIND_OBJECT
                                            ? gw_compat_member(tree, list->nodes[i], "x-tributary")
                                            : NULL;
        const struct gw_doc_node *found =
            all && all->kind == GW_KIND_OBJECT ? gw_compat_member(tree, all, name) : NULL;
        if (found && found->kind == GW_KIND_STRING)
            return found;
    }
    return NULL;
}

static int rank(const struct gw_doc_node *privacy)
{
    if (!privacy || privacy->text_len == 4)
        return 0;
    return privacy->text_len == 8 ? 1 : 2; /* none, personal, secret */
}

static bool same_text(const struct gw_doc_node *a, const struct gw_doc_node *b)
{
    if (!a || !b)
        return a == b;
    return a->text_len == b->text_len && memcmp(a->text, b->text, a->text_len) == 0;
}

static int compare_annotations(struct gw_compat *c, const struct pair *pair, const struct gw_doc_node *where)
{
    const struct gw_doc_node *before = annotation(&c->old, &pair->old, "privacy"),
                             *after = annotation(&c->new, &pair->new, "privacy");
    int rc = 0;
    if (rank(after) < rank(before))
        rc = gw_compat_fault(
            c, where, "privacy-lowered",
            "was %.*s and would now be stored in the clear, or less protected: a class is never lowered",
            (int)before->text_len, before->text);
    before = annotation(&c->old, &pair->old, "lake");
    after = annotation(&c->new, &pair->new, "lake");
    if (before && !same_text(before, after))
        rc = gw_compat_fault(
            c, where, "lake-type-changed",
            "the lake has it as %.*s: a column never changes its type; give a new attribute another name",
            (int)before->text_len, before->text);
    return rc;
}

/* --- members and items --- */

static int compare_member(struct pair *pair, const struct gw_doc_node *name)
{
    struct gw_compat *c = pair->c;
    struct pair deeper = {.c = c, .depth = pair->depth - 1};
    unsigned before = 0, after = 0;
    char before_text[80], after_text[80];
    int rc = gather(c, &c->old, &pair->old, name, &deeper.old, &before);
    if (rc == 0)
        rc = gather(c, &c->new, &pair->new, name, &deeper.new, &after);
    if (rc == 0 && deeper.new.count == 0) {
        rc = gw_compat_fault(
            c, name, "attribute-removed",
            "is not declared any more: keep it, and mark it \"deprecated\": true if nobody sets it");
    } else if (rc == 0) {
        if (before != after)
            rc = gw_compat_fault(
                c, name, "type-changed",
                "was %s and is now %s: types never change; give a new attribute another name",
                gw_compat_kinds_text(before, before_text), gw_compat_kinds_text(after, after_text));
        int other = compare_annotations(c, &deeper, name);
        if (before == after) {
            int inner = compare(&deeper);
            other = inner != 0 ? inner : other;
        }
        rc = other != 0 ? other : rc;
    }
    gw_compat_list_free(&deeper.old);
    gw_compat_list_free(&deeper.new);
    return rc;
}

/* Everything of these keywords, in all schemas of the list, as one. */
static int gather_items(struct gw_compat *c, struct gw_compat_tree *tree, const struct gw_compat_list *from,
                        unsigned keyword, struct gw_compat_list *out, unsigned *kinds)
{
    int rc = 0;
    for (size_t i = 0; i < from->count && rc == 0; i++) {
        struct gw_doc_node *kw[GW_KW_COUNT];
        if (from->nodes[i]->kind != GW_KIND_OBJECT)
            continue;
        gw_resolver_keywords(&tree->resolver, from->nodes[i], kw);
        if (!kw[keyword] || (kw[keyword]->kind != GW_KIND_OBJECT && kw[keyword]->kind != GW_KIND_BOOL))
            continue;
        *kinds |= gw_compat_kinds(tree, kw[keyword], 16);
        rc = spread(c, tree, kw[keyword], out);
    }
    return rc;
}

/* Items, and the values of maps: their type is a column's too. */
static int compare_items(struct pair *pair, unsigned keyword)
{
    struct gw_compat *c = pair->c;
    struct pair deeper = {.c = c, .depth = pair->depth - 1};
    unsigned before = 0, after = 0;
    char before_text[80], after_text[80];
    int rc = gather_items(c, &c->old, &pair->old, keyword, &deeper.old, &before);
    if (rc == 0)
        rc = gather_items(c, &c->new, &pair->new, keyword, &deeper.new, &after);
    const bool both = deeper.old.count > 0 && deeper.new.count > 0;
    if (rc == 0 && both && before != after && before != 0 && after != 0)
        rc = gw_compat_fault(c, deeper.new.nodes[0], "type-changed",
                             "was %s and is now %s: types never change; give a new attribute another name",
                             gw_compat_kinds_text(before, before_text),
                             gw_compat_kinds_text(after, after_text));
    else if (rc == 0 && both)
        rc = compare(&deeper);
    gw_compat_list_free(&deeper.old);
    gw_compat_list_free(&deeper.new);
    return rc;
}

/* Whether an earlier schema of the list has this name too: it was compared then. */
static bool was_compared(const struct gw_compat_tree *tree, const struct gw_compat_list *list, size_t before,
                         const struct gw_doc_node *name)
{
    for (size_t i = 0; i < before; i++) {
        const struct gw_doc_node *properties = list->nodes[i]->kind == GW_KIND_OBJECT
                                                   ? gw_compat_member(tree, list->nodes[i], "properties")
                                                   : NULL;
        if (properties && gw_map_get(&tree->resolver.members, properties, name->key, name->key_len))
            return true;
    }
    return false;
}

static int compare(struct pair *pair)
{
    struct gw_compat *c = pair->c;
    int worst = 0;
    if (pair->depth == 0)
        return 0; /* a schema that holds itself: it has been compared */
    for (size_t i = 0; i < pair->old.count; i++) {
        struct gw_doc_node *kw[GW_KW_COUNT];
        if (pair->old.nodes[i]->kind != GW_KIND_OBJECT)
            continue;
        gw_resolver_keywords(&c->old.resolver, pair->old.nodes[i], kw);
        for (const struct gw_doc_node *each = kw[GW_KW_PROPERTIES] ? kw[GW_KW_PROPERTIES]->first : NULL; each;
             each = each->next) {
            if (was_compared(&c->old, &pair->old, i, each))
                continue;
            int rc = compare_member(pair, each);
            worst = rc != 0 ? rc : worst;
            if (c->broken)
                return c->broken;
        }
    }
    static const unsigned rest[] = {GW_KW_ITEMS, GW_KW_ADDITIONAL_PROPERTIES};
    for (size_t i = 0; i < 2; i++) {
        int rc = compare_items(pair, rest[i]);
        worst = rc != 0 ? rc : worst;
    }
    return c->broken ? c->broken : worst;
}

int gw_compat_house(struct gw_compat *c)
{
    struct pair pair = {.c = c, .depth = 12};
    int rc = spread(c, &c->old, c->old.root, &pair.old);
    if (rc == 0)
        rc = spread(c, &c->new, c->new.root, &pair.new);
    if (rc == 0) {
        const struct gw_doc_node *before = annotation(&c->old, &pair.old, "partition");
        if (before && !same_text(before, annotation(&c->new, &pair.new, "partition")))
            rc = gw_compat_fault(c, before, "partition-changed",
                                 "events were in order by %.*s: another key would break that order",
                                 (int)before->text_len, before->text);
        int other = compare(&pair);
        rc = other != 0 ? other : rc;
    }
    gw_compat_list_free(&pair.old);
    gw_compat_list_free(&pair.new);
    return rc;
}
