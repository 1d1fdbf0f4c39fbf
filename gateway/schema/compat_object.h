/* What the files about goals on objects share. */
#ifndef GW_SCHEMA_COMPAT_OBJECT_H
#define GW_SCHEMA_COMPAT_OBJECT_H

#include <string.h>

#include "schema/compat_prove.h"

/* What the writer says of an object, wherever it says it; made once for a goal. */
struct gw_object_shape {
    struct gw_compat_list wide;  /* all schemas that may speak of it, branches included */
    bool closed;                 /* names that none of them declares are not there */
    bool free;                   /* ... and names by no property can be there with any value */
    struct gw_compat_list cases; /* schemas of values under such names, one holds for each; with... */
    const struct gw_doc_node
        *pattern_owner; /* ... these being of patternProperties first, as many as it has */
};

static inline struct gw_doc_node *gw_object_property(const struct gw_compat_tree *tree,
                                                     const struct gw_doc_node *map, const char *name,
                                                     size_t len)
{
    return map ? gw_map_get(&tree->resolver.members, map, name, len) : NULL;
}

static inline bool gw_object_keywords(struct gw_compat_tree *tree, struct gw_doc_node *schema,
                                      struct gw_doc_node *kw[GW_KW_COUNT])
{
    if (schema->kind != GW_KIND_OBJECT)
        return false;
    gw_resolver_keywords(&tree->resolver, schema, kw);
    return true;
}

/* Whether a list of names (required) has this one. NULL: an empty list. */
static inline bool gw_object_lists(const struct gw_doc_node *list, const char *name, size_t len)
{
    const struct gw_doc_node *each = list ? list->first : NULL;
    while (each &&
           !(each->kind == GW_KIND_STRING && each->text_len == len && memcmp(each->text, name, len) == 0))
        each = each->next;
    return each != NULL;
}

typedef int (*gw_object_on_name)(struct gw_prover *p, const struct gw_premise *premise,
                                 struct gw_doc_node *const goal[], const char *name, size_t len);
/* Every name that the writer has as a property, once; the worst of what is said of them. */
GW_MUST_CHECK int gw_object_each_name(struct gw_prover *p, const struct gw_premise *premise,
                                      const struct gw_object_shape *shape, struct gw_doc_node *const goal[],
                                      gw_object_on_name prove);

/* --- of an object as a whole, in compat_object_whole.c; each returns as gw_prove --- */

/* propertyNames */
GW_MUST_CHECK int gw_object_prove_names(struct gw_prover *p, const struct gw_premise *premise,
                                        const struct gw_object_shape *shape,
                                        struct gw_doc_node *const goal[]);
/* minProperties, maxProperties */
GW_MUST_CHECK int gw_object_prove_counts(struct gw_prover *p, const struct gw_premise *premise,
                                         const struct gw_object_shape *shape,
                                         struct gw_doc_node *const goal[]);
GW_MUST_CHECK int gw_object_prove_required(struct gw_prover *p, const struct gw_premise *premise,
                                           const struct gw_doc_node *required);
/* One member of dependentRequired, dependentSchemas or dependencies. */
GW_MUST_CHECK int gw_object_prove_dependent(struct gw_prover *p, const struct gw_premise *premise,
                                            struct gw_doc_node *each);

#endif
