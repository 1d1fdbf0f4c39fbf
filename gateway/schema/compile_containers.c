/* Keywords for objects and arrays: one rule each, so that one walk over the members serves them all. */
#include <string.h>

#include "schema/compile.h"

/* --- objects --- */

struct object {
    struct gw_object_rule *rule;
    struct gw_name *names;
    uint32_t *nodes;
    uint32_t count;
};

/* The index of a name, a new one if need be. */
static int add_name(struct gw_compiler *c, struct object *o, const char *text, uint32_t len, uint32_t *out)
{
    uintptr_t known = (uintptr_t)gw_map_get(&c->resolver.members, o->rule, text, len);
    if (known) {
        *out = (uint32_t)known - 1;
        return 0;
    }
    const char *kept = gw_compile_keep(c, text, len);
    if (!kept)
        return GW_ELIMIT;
    *out = o->count++;
    o->names[*out] = (struct gw_name){kept, len};
    o->nodes[*out] = GW_NODE_NONE;
    return gw_map_put(&c->resolver.members, o->rule, kept, len, (void *)((uintptr_t)*out + 1));
}

static int need_object(struct gw_compiler *c, const struct gw_doc_node *node)
{
    return node && node->kind != GW_KIND_OBJECT ? gw_compile_refuse(c, node, "must be an object") : 0;
}

static int need_strings(struct gw_compiler *c, const struct gw_doc_node *node)
{
    if (node->kind != GW_KIND_ARRAY)
        return gw_compile_refuse(c, node, "must be an array of strings");
    for (const struct gw_doc_node *each = node->first; each; each = each->next)
        if (each->kind != GW_KIND_STRING)
            return gw_compile_refuse(c, each, "must be a string");
    return 0;
}

static uint32_t count_of(const struct gw_doc_node *node)
{
    return node ? node->count : 0;
}

/* How many names there may be at most. */
static size_t count_names(struct gw_doc_node *const kw[GW_KW_COUNT])
{
    const unsigned dependents[] = {GW_KW_DEPENDENT_REQUIRED, GW_KW_DEPENDENT_SCHEMAS, GW_KW_DEPENDENCIES};
    size_t count = (size_t)count_of(kw[GW_KW_PROPERTIES]) + count_of(kw[GW_KW_REQUIRED]);
    for (unsigned i = 0; i < 3; i++) {
        count += count_of(kw[dependents[i]]);
        for (const struct gw_doc_node *each = kw[dependents[i]] ? kw[dependents[i]]->first : NULL; each;
             each = each->next)
            count += each->kind == GW_KIND_ARRAY ? each->count : 0;
    }
    return count;
}

static int add_properties(struct gw_compiler *c, struct object *o, const struct gw_doc_node *properties)
{
    int rc = need_object(c, properties);
    for (struct gw_doc_node *each = properties ? properties->first : NULL; each && rc == 0;
         each = each->next) {
        uint32_t index;
        rc = add_name(c, o, each->key, each->key_len, &index);
        if (rc == 0)
            rc = gw_compile_node(c, each, &o->nodes[index]);
    }
    return rc;
}

/* Names of a list become a mask; its words are counted when all names are known, so it is as long as there may be names. */
static int add_mask(struct gw_compiler *c, struct object *o, const struct gw_doc_node *list, size_t words,
                    const uint64_t **out)
{
    int rc = need_strings(c, list);
    uint64_t *mask = rc == 0 ? gw_compile_alloc(c, words * sizeof *mask) : NULL;
    if (!mask)
        return rc != 0 ? rc : GW_ELIMIT;
    for (const struct gw_doc_node *each = list->first; each && rc == 0; each = each->next) {
        uint32_t index;
        rc = add_name(c, o, each->text, each->text_len, &index);
        if (rc == 0)
            mask[index / 64] |= 1ull << index % 64;
    }
    *out = mask;
    return rc;
}

static int add_dependents(struct gw_compiler *c, struct object *o, struct gw_doc_node *const kw[GW_KW_COUNT],
                          size_t words)
{
    const unsigned keywords[] = {GW_KW_DEPENDENT_REQUIRED, GW_KW_DEPENDENT_SCHEMAS, GW_KW_DEPENDENCIES};
    size_t most = 0;
    for (unsigned i = 0; i < 3; i++)
        most += count_of(kw[keywords[i]]);
    struct gw_dependent_rule *rules = gw_compile_alloc(c, most * sizeof *rules);
    if (!rules)
        return GW_ELIMIT;
    o->rule->dependents = rules;
    for (unsigned i = 0; i < 3; i++) {
        const struct gw_doc_node *all = kw[keywords[i]];
        int rc = need_object(c, all);
        for (struct gw_doc_node *each = all ? all->first : NULL; each && rc == 0; each = each->next) {
            struct gw_dependent_rule *rule = &rules[o->rule->dependent_count++];
            *rule = (struct gw_dependent_rule){.node = GW_NODE_NONE, .keyword = (uint16_t)keywords[i]};
            rc = add_name(c, o, each->key, each->key_len, &rule->trigger);
            const bool names = i == 0 || (i == 2 && each->kind == GW_KIND_ARRAY);
            if (rc == 0 && names)
                rc = add_mask(c, o, each, words, &rule->required);
            else if (rc == 0)
                rc = gw_compile_node(c, each, &rule->node);
        }
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int add_patterns(struct gw_compiler *c, struct object *o, const struct gw_doc_node *patterns)
{
    int rc = need_object(c, patterns);
    if (rc != 0 || !patterns)
        return rc;
    struct gw_pattern_rule *rules = gw_compile_alloc(c, patterns->count * sizeof *rules);
    if (!rules)
        return GW_ELIMIT;
    o->rule->patterns = rules;
    for (struct gw_doc_node *each = patterns->first; each && rc == 0; each = each->next) {
        struct gw_pattern_rule *rule = &rules[o->rule->pattern_count++];
        rc = gw_compile_regex(c, each, each->key, each->key_len, &rule->regex);
        if (rc == 0)
            rc = gw_compile_node(c, each, &rule->node);
    }
    return rc;
}

static int finish_object(struct gw_compiler *c, struct object *o)
{
    struct gw_object_rule *rule = o->rule;
    uint32_t *slots = gw_compile_alloc(c, gw_names_slots(o->count) * sizeof *slots);
    if (!slots)
        return GW_ELIMIT;
    rule->nodes = o->nodes;
    rule->words = (o->count + 63) / 64;
    if (gw_names_build(o->names, o->count, slots, &rule->names) != 0)
        return gw_error_set(c->error, GW_ELIMIT, 0, "schema: names of properties collide");
    return gw_compile_emit(c, GW_OP_OBJECT, 1u << GW_KIND_OBJECT, GW_KW_COUNT, 0, rule);
}

static bool is_any(struct gw_doc_node *const kw[GW_KW_COUNT], const unsigned *keywords, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (kw[keywords[i]])
            return true;
    return false;
}

int gw_compile_object(struct gw_compiler *c, struct gw_doc_node *const kw[GW_KW_COUNT])
{
    static const unsigned keywords[] = {
        GW_KW_PROPERTIES,     GW_KW_PATTERN_PROPERTIES, GW_KW_ADDITIONAL_PROPERTIES,
        GW_KW_PROPERTY_NAMES, GW_KW_REQUIRED,           GW_KW_MIN_PROPERTIES,
        GW_KW_MAX_PROPERTIES, GW_KW_DEPENDENT_REQUIRED, GW_KW_DEPENDENT_SCHEMAS,
        GW_KW_DEPENDENCIES};
    if (!is_any(kw, keywords, sizeof keywords / sizeof *keywords))
        return 0;
    const size_t most = count_names(kw), words = (most + 63) / 64;
    struct object o = {.rule = gw_compile_alloc(c, sizeof *o.rule)};
    o.names = gw_compile_alloc(c, most * sizeof *o.names);
    o.nodes = gw_compile_alloc(c, most * sizeof *o.nodes);
    if (!o.rule || !o.names || !o.nodes)
        return GW_ELIMIT;
    int rc = add_properties(c, &o, kw[GW_KW_PROPERTIES]);
    if (rc == 0 && kw[GW_KW_REQUIRED])
        rc = add_mask(c, &o, kw[GW_KW_REQUIRED], words, &o.rule->required);
    if (rc == 0)
        rc = add_dependents(c, &o, kw, words);
    if (rc == 0)
        rc = add_patterns(c, &o, kw[GW_KW_PATTERN_PROPERTIES]);
    if (rc == 0)
        rc = gw_compile_optional(c, kw[GW_KW_ADDITIONAL_PROPERTIES], &o.rule->additional);
    if (rc == 0)
        rc = gw_compile_optional(c, kw[GW_KW_PROPERTY_NAMES], &o.rule->property_names);
    if (rc == 0)
        rc = gw_compile_count(c, kw[GW_KW_MIN_PROPERTIES], 0, &o.rule->min);
    if (rc == 0)
        rc = gw_compile_count(c, kw[GW_KW_MAX_PROPERTIES], UINT64_MAX, &o.rule->max);
    return rc == 0 ? finish_object(c, &o) : rc;
}

/* --- arrays --- */

/* items: a schema for all that prefixItems leaves; in draft 7 also an array, and then additionalItems is for the others. */
static int take_items(struct gw_compiler *c, struct gw_doc_node *const kw[GW_KW_COUNT], bool draft_7,
                      struct gw_array_rule *rule)
{
    struct gw_doc_node *prefix = kw[GW_KW_PREFIX_ITEMS], *items = kw[GW_KW_ITEMS];
    rule->items = GW_NODE_NONE;
    if (draft_7 && items && items->kind == GW_KIND_ARRAY) {
        prefix = items->count > 0 ? items : NULL;
        items = kw[GW_KW_ADDITIONAL_ITEMS];
    }
    int rc = prefix ? gw_compile_list(c, prefix, &rule->prefix) : 0;
    return rc == 0 ? gw_compile_optional(c, items, &rule->items) : rc;
}

static int take_contains(struct gw_compiler *c, struct gw_doc_node *const kw[GW_KW_COUNT],
                         struct gw_array_rule *rule)
{
    int rc = gw_compile_optional(c, kw[GW_KW_CONTAINS], &rule->contains);
    if (rc == 0)
        rc = gw_compile_count(c, kw[GW_KW_MIN_CONTAINS], 1, &rule->min_contains);
    if (rc == 0)
        rc = gw_compile_count(c, kw[GW_KW_MAX_CONTAINS], UINT64_MAX, &rule->max_contains);
    return rc;
}

int gw_compile_array(struct gw_compiler *c, struct gw_doc_node *const kw[GW_KW_COUNT], bool draft_7)
{
    static const unsigned keywords[] = {GW_KW_PREFIX_ITEMS, GW_KW_ITEMS,     GW_KW_CONTAINS,
                                        GW_KW_MIN_ITEMS,    GW_KW_MAX_ITEMS, GW_KW_UNIQUE_ITEMS};
    if (!is_any(kw, keywords, sizeof keywords / sizeof *keywords))
        return 0;
    struct gw_array_rule *rule = gw_compile_alloc(c, sizeof *rule);
    if (!rule)
        return GW_ELIMIT;
    const struct gw_doc_node *unique = kw[GW_KW_UNIQUE_ITEMS];
    if (unique && unique->kind != GW_KIND_BOOL)
        return gw_compile_refuse(c, unique, "uniqueItems must be true or false");
    rule->unique = unique && unique->truth;
    rule->contains_marks = !draft_7;
    int rc = take_items(c, kw, draft_7, rule);
    if (rc == 0)
        rc = take_contains(c, kw, rule);
    if (rc == 0)
        rc = gw_compile_count(c, kw[GW_KW_MIN_ITEMS], 0, &rule->min);
    if (rc == 0)
        rc = gw_compile_count(c, kw[GW_KW_MAX_ITEMS], UINT64_MAX, &rule->max);
    return rc == 0 ? gw_compile_emit(c, GW_OP_ARRAY, 1u << GW_KIND_ARRAY, GW_KW_COUNT, 0, rule) : rc;
}
