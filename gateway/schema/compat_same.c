/* Whether two schemas are the same but for annotations: then whatever holds by one holds by the other. */
#include "schema/compat_prove.h"

struct twins {
    const struct twins *up;
    const struct gw_doc_node *a, *b;
};

static bool same(struct gw_prover *p, struct gw_doc_node *a, struct gw_doc_node *b, const struct twins *up,
                 unsigned depth);

static bool same_children(struct gw_prover *p, struct gw_doc_node *a, struct gw_doc_node *b,
                          const struct twins *up, unsigned depth)
{
    if (a->kind != b->kind || a->count != b->count)
        return false;
    struct gw_doc_node *other = b->first;
    for (struct gw_doc_node *each = a->first; each; each = each->next, other = other->next) {
        struct gw_doc_node *match = other;
        if (a->kind == GW_KIND_OBJECT)
            match = gw_map_get(&p->reader->resolver.members, b, each->key, each->key_len);
        if (!match)
            return false;
        const bool schemas = (each->kind == GW_KIND_OBJECT || each->kind == GW_KIND_BOOL);
        if (schemas ? !same(p, each, match, up, depth) : !gw_compat_equal(each, match))
            return false;
    }
    return true;
}

static bool same_keyword(struct gw_prover *p, unsigned keyword, struct gw_doc_node *a, struct gw_doc_node *b,
                         const struct twins *up, unsigned depth)
{
    switch (gw_keyword_shape(keyword)) {
    case GW_SHAPE_VALUE:
        return gw_compat_equal(a, b);
    case GW_SHAPE_ONE:
        return same(p, a, b, up, depth);
    case GW_SHAPE_ANY:
        return a->kind == GW_KIND_ARRAY ? same_children(p, a, b, up, depth) : same(p, a, b, up, depth);
    default:
        return same_children(p, a, b, up, depth);
    }
}

static bool counts(unsigned keyword)
{
    switch (keyword) {
    case GW_KW_SCHEMA:
    case GW_KW_ID:
    case GW_KW_ANCHOR:
    case GW_KW_VOCABULARY:
    case GW_KW_DEFS:
    case GW_KW_DEFINITIONS:
    case GW_KW_REF:
        return false;
    default:
        return true;
    }
}

static bool same(struct gw_prover *p, struct gw_doc_node *a, struct gw_doc_node *b, const struct twins *up,
                 unsigned depth)
{
    struct gw_doc_node *left[GW_KW_COUNT], *right[GW_KW_COUNT];
    const struct twins self = {.up = up, .a = a, .b = b};
    if (a->kind != GW_KIND_OBJECT || b->kind != GW_KIND_OBJECT)
        return a->kind == GW_KIND_BOOL && b->kind == GW_KIND_BOOL && a->truth == b->truth;
    for (const struct twins *twins = up; twins; twins = twins->up)
        if (twins->a == a && twins->b == b)
            return true;
    if (depth == 0 || gw_compat_pay(p->c, 4) != 0 || gw_resource_of(a)->draft != gw_resource_of(b)->draft ||
        gw_resource_of(a)->vocabularies != gw_resource_of(b)->vocabularies)
        return false;
    gw_resolver_keywords(&p->writer->resolver, a, left);
    gw_resolver_keywords(&p->reader->resolver, b, right);
    /* A dynamic reference means what its user makes of it. */
    if (left[GW_KW_DYNAMIC_REF] || right[GW_KW_DYNAMIC_REF])
        return false;
    for (unsigned i = 0; i < GW_KW_COUNT; i++) {
        if (!counts(i) || (!left[i] && !right[i]))
            continue;
        if (!left[i] || !right[i] || !same_keyword(p, i, left[i], right[i], &self, depth - 1))
            return false;
    }
    if (!left[GW_KW_REF] && !right[GW_KW_REF])
        return true;
    struct gw_doc_node *to_left = gw_compat_target(p->writer, a, left[GW_KW_REF]),
                       *to_right = gw_compat_target(p->reader, b, right[GW_KW_REF]);
    return to_left && to_right && same(p, to_left, to_right, &self, depth - 1);
}

bool gw_compat_same(struct gw_prover *p, struct gw_doc_node *writer, struct gw_doc_node *reader)
{
    return same(p, writer, reader, NULL, 64);
}
