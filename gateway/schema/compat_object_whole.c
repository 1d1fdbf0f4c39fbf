/* Goals about an object as a whole: names, counts, what must be there, and beside what. */
#include "schema/compat_object.h"

static int prove_name(struct gw_prover *p, const struct gw_premise *premise, struct gw_doc_node *const goal[],
                      const char *name, size_t len)
{
    const struct gw_doc_node value = {.kind = GW_KIND_STRING, .text = name, .text_len = (uint32_t)len};
    struct gw_premise known;
    bool possible = false;
    int rc = gw_premise_member(p, premise, name, len, &known, &possible);
    gw_premise_free(&known);
    if (rc != 0 || !possible ||
        gw_compat_eval(p->c, p->reader, goal[GW_KW_PROPERTY_NAMES], &value, 16) == GW_YES)
        return rc;
    return gw_compat_fault(p->c, goal[GW_KW_PROPERTY_NAMES], "propertyNames",
                           "\"%.*s\" was allowed as a name", (int)(len > 60 ? 60 : len), name);
}

int gw_object_prove_names(struct gw_prover *p, const struct gw_premise *premise,
                          const struct gw_object_shape *shape, struct gw_doc_node *const goal[])
{
    struct gw_doc_node *kw[GW_KW_COUNT];
    struct gw_premise names = {.kinds = 1u << GW_KIND_STRING};
    int rc = gw_object_each_name(p, premise, shape, goal, prove_name), more = 0;
    for (size_t i = 0; i < premise->list.count && more == 0; i++)
        if (gw_object_keywords(p->writer, premise->list.nodes[i], kw) && kw[GW_KW_PROPERTY_NAMES])
            more = gw_premise_add(p, &names, kw[GW_KW_PROPERTY_NAMES]);
    if (more == 0 && (shape->free || shape->cases.count > 0))
        more = gw_prove(p, &names, goal[GW_KW_PROPERTY_NAMES]);
    gw_premise_free(&names);
    return gw_worse(rc, more);
}

int gw_object_prove_required(struct gw_prover *p, const struct gw_premise *premise,
                             const struct gw_doc_node *required)
{
    int rc = 0;
    for (const struct gw_doc_node *name = required->first; name; name = name->next)
        if (!gw_premise_requires(p, premise, name->text, name->text_len))
            rc = gw_compat_fault(p->c, name, "required", "\"%.*s\" could be missing: leave it optional",
                                 (int)(name->text_len > 60 ? 60 : name->text_len), name->text);
    return rc;
}

static bool at_least(const struct gw_doc_node *a, const struct gw_doc_node *b)
{
    struct gw_number left, right;
    gw_number_parse(a->text, a->text_len, &left);
    gw_number_parse(b->text, b->text_len, &right);
    return gw_number_compare(&left, &right) >= 0;
}

int gw_object_prove_counts(struct gw_prover *p, const struct gw_premise *premise,
                           const struct gw_object_shape *shape, struct gw_doc_node *const goal[])
{
    struct gw_doc_node *kw[GW_KW_COUNT];
    struct gw_number number;
    int64_t least = 0, most = INT64_MAX, required = 0, names = 0;
    bool low = !goal[GW_KW_MIN_PROPERTIES], high = !goal[GW_KW_MAX_PROPERTIES];
    for (size_t i = 0; i < premise->list.count; i++) {
        if (!gw_object_keywords(p->writer, premise->list.nodes[i], kw))
            continue;
        low |= goal[GW_KW_MIN_PROPERTIES] && kw[GW_KW_MIN_PROPERTIES] &&
               at_least(kw[GW_KW_MIN_PROPERTIES], goal[GW_KW_MIN_PROPERTIES]);
        high |= goal[GW_KW_MAX_PROPERTIES] && kw[GW_KW_MAX_PROPERTIES] &&
                at_least(goal[GW_KW_MAX_PROPERTIES], kw[GW_KW_MAX_PROPERTIES]);
        if (kw[GW_KW_REQUIRED] && kw[GW_KW_REQUIRED]->count > required)
            required = kw[GW_KW_REQUIRED]->count;
    }
    for (size_t i = 0; i < shape->wide.count; i++)
        if (gw_object_keywords(p->writer, shape->wide.nodes[i], kw) && kw[GW_KW_PROPERTIES])
            names += kw[GW_KW_PROPERTIES]->count;
    int rc = 0;
    if (!low) {
        gw_number_parse(goal[GW_KW_MIN_PROPERTIES]->text, goal[GW_KW_MIN_PROPERTIES]->text_len, &number);
        if (!gw_number_to_int(&number, &least) || least > required)
            rc = gw_compat_fault(p->c, goal[GW_KW_MIN_PROPERTIES], "minProperties",
                                 "fewer members were allowed");
    }
    if (!high) {
        gw_number_parse(goal[GW_KW_MAX_PROPERTIES]->text, goal[GW_KW_MAX_PROPERTIES]->text_len, &number);
        (void)gw_number_to_int(&number, &most);
        if (shape->free || shape->cases.count > 0 || names > most)
            rc = gw_compat_fault(p->c, goal[GW_KW_MAX_PROPERTIES], "maxProperties",
                                 "more members were allowed");
    }
    return rc;
}

/* What the writer asks when this member is there. */
static int add_dependents(struct gw_prover *p, const struct gw_premise *premise,
                          const struct gw_doc_node *trigger, struct gw_premise *out)
{
    static const unsigned lists[] = {GW_KW_DEPENDENT_SCHEMAS, GW_KW_DEPENDENCIES};
    struct gw_doc_node *kw[GW_KW_COUNT];
    int rc = gw_premise_copy(premise, out);
    for (size_t i = 0; i < premise->list.count && rc == 0; i++) {
        if (!gw_object_keywords(p->writer, premise->list.nodes[i], kw))
            continue;
        for (size_t j = 0; j < 2 && rc == 0; j++) {
            struct gw_doc_node *found =
                gw_object_property(p->writer, kw[lists[j]], trigger->key, trigger->key_len);
            if (found && found->kind != GW_KIND_ARRAY)
                rc = gw_premise_add(p, out, found);
        }
    }
    return rc == 0 ? 0 : gw_compat_break(p->c, rc);
}

static bool depends(struct gw_prover *p, const struct gw_premise *premise, const struct gw_doc_node *trigger,
                    const struct gw_doc_node *name)
{
    struct gw_doc_node *kw[GW_KW_COUNT];
    if (gw_premise_requires(p, premise, name->text, name->text_len))
        return true;
    for (size_t i = 0; i < premise->list.count; i++) {
        if (!gw_object_keywords(p->writer, premise->list.nodes[i], kw))
            continue;
        const struct gw_doc_node *a = gw_object_property(p->writer, kw[GW_KW_DEPENDENT_REQUIRED],
                                                         trigger->key, trigger->key_len),
                                 *b = gw_object_property(p->writer, kw[GW_KW_DEPENDENCIES], trigger->key,
                                                         trigger->key_len);
        if (gw_object_lists(a, name->text, name->text_len) ||
            (b && b->kind == GW_KIND_ARRAY && gw_object_lists(b, name->text, name->text_len)))
            return true;
    }
    return false;
}

int gw_object_prove_dependent(struct gw_prover *p, const struct gw_premise *premise, struct gw_doc_node *each)
{
    struct gw_premise known;
    bool possible = false;
    int rc = gw_premise_member(p, premise, each->key, each->key_len, &known, &possible);
    gw_premise_free(&known);
    if (rc != 0 || !possible)
        return rc;
    rc = add_dependents(p, premise, each, &known);
    if (rc == 0 && each->kind == GW_KIND_ARRAY) {
        for (const struct gw_doc_node *name = each->first; name; name = name->next)
            if (!depends(p, &known, each, name))
                rc = gw_compat_fault(p->c, name, "dependentRequired",
                                     "\"%.*s\" could be missing beside \"%.*s\": leave it optional",
                                     (int)(name->text_len > 60 ? 60 : name->text_len), name->text,
                                     (int)(each->key_len > 60 ? 60 : each->key_len), each->key);
    } else if (rc == 0 && gw_prove_quietly(p, &known, each) == GW_ECONFLICT) {
        rc = gw_compat_fault(p->c, each, "dependentSchemas",
                             "asks for more beside \"%.*s\" than was asked before",
                             (int)(each->key_len > 60 ? 60 : each->key_len), each->key);
    }
    gw_premise_free(&known);
    return p->c->broken ? p->c->broken : rc;
}
