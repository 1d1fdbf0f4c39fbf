#include "schema/compat_tree.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int gw_compat_fault(struct gw_compat *c, const struct gw_doc_node *where, const char *rule,
                    const char *format, ...)
{
    c->faults++;
    if (c->quiet > 0)
        return GW_ECONFLICT;
    if (c->report->count >= GW_COMPAT_FAULTS_MAX) {
        c->report->more++;
        return GW_ECONFLICT;
    }
    struct gw_compat_fault *fault = &c->report->faults[c->report->count++];
    fault->question = c->question;
    fault->rule = rule;
    fault->version = c->version;
    fault->path[0] = '\0';
    if (gw_document_pointer(where, fault->path, sizeof fault->path) >= sizeof fault->path)
        memcpy(fault->path + sizeof fault->path - 4, "...", 4);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(fault->text, sizeof fault->text, format, args);
    va_end(args);
    return GW_ECONFLICT;
}

int gw_compat_break(struct gw_compat *c, int code)
{
    if (c->broken == 0)
        c->broken = code;
    return c->broken;
}

int gw_compat_pay(struct gw_compat *c, uint32_t steps)
{
    if (c->broken != 0)
        return c->broken;
    c->fuel -= steps;
    return c->fuel < 0 ? gw_compat_break(c, GW_ELIMIT) : 0;
}

struct gw_doc_node *gw_compat_member(const struct gw_compat_tree *tree, const struct gw_doc_node *node,
                                     const char *name)
{
    return gw_map_get(&tree->resolver.members, node, name, strlen(name));
}

struct gw_doc_node *gw_compat_target(struct gw_compat_tree *tree, struct gw_doc_node *schema,
                                     const struct gw_doc_node *reference)
{
    struct gw_doc_node *target = NULL;
    bool dynamic;
    if (!reference || gw_resolver_find(&tree->resolver, schema, reference, &target, &dynamic) != 0)
        return NULL;
    return target;
}

/* --- kinds --- */

unsigned gw_compat_kind_of(const struct gw_doc_node *value)
{
    struct gw_number number;
    if (value->kind != GW_KIND_NUMBER)
        return 1u << value->kind;
    gw_number_parse(value->text, value->text_len, &number);
    return gw_number_is_integer(&number) ? GW_TYPE_INTEGER : 1u << GW_KIND_NUMBER;
}

unsigned gw_compat_kinds_of_type(const struct gw_doc_node *type)
{
    static const struct {
        const char *name;
        unsigned kinds;
    } known[] = {{"null", 1u << GW_KIND_NULL},     {"boolean", 1u << GW_KIND_BOOL},
                 {"string", 1u << GW_KIND_STRING}, {"array", 1u << GW_KIND_ARRAY},
                 {"object", 1u << GW_KIND_OBJECT}, {"number", GW_COMPAT_NUMBERS},
                 {"integer", GW_TYPE_INTEGER}};
    const bool many = type->kind == GW_KIND_ARRAY;
    unsigned kinds = 0;
    for (const struct gw_doc_node *each = many ? type->first : type; each; each = many ? each->next : NULL)
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            if (each->text_len == strlen(known[i].name) &&
                memcmp(each->text, known[i].name, each->text_len) == 0)
                kinds |= known[i].kinds;
    return kinds;
}

static unsigned kinds_of_choices(const struct gw_doc_node *list)
{
    unsigned kinds = 0;
    for (const struct gw_doc_node *value = list->first; value; value = value->next)
        kinds |= gw_compat_kind_of(value);
    return kinds;
}

static unsigned kinds_of_branches(struct gw_compat_tree *tree, struct gw_doc_node *list, unsigned depth)
{
    unsigned kinds = 0;
    for (struct gw_doc_node *branch = list->first; branch; branch = branch->next)
        kinds |= gw_compat_kinds(tree, branch, depth);
    return kinds;
}

unsigned gw_compat_kinds(struct gw_compat_tree *tree, struct gw_doc_node *schema, unsigned depth)
{
    struct gw_doc_node *kw[GW_KW_COUNT];
    unsigned kinds = GW_COMPAT_KINDS;
    if (schema->kind != GW_KIND_OBJECT)
        return schema->truth ? kinds : 0;
    if (depth == 0)
        return kinds;
    gw_resolver_keywords(&tree->resolver, schema, kw);
    if (kw[GW_KW_TYPE])
        kinds &= gw_compat_kinds_of_type(kw[GW_KW_TYPE]);
    if (kw[GW_KW_CONST])
        kinds &= gw_compat_kind_of(kw[GW_KW_CONST]);
    if (kw[GW_KW_ENUM])
        kinds &= kinds_of_choices(kw[GW_KW_ENUM]);
    if (kw[GW_KW_ANY_OF])
        kinds &= kinds_of_branches(tree, kw[GW_KW_ANY_OF], depth - 1);
    if (kw[GW_KW_ONE_OF])
        kinds &= kinds_of_branches(tree, kw[GW_KW_ONE_OF], depth - 1);
    for (struct gw_doc_node *each = kw[GW_KW_ALL_OF] ? kw[GW_KW_ALL_OF]->first : NULL; each;
         each = each->next)
        kinds &= gw_compat_kinds(tree, each, depth - 1);
    struct gw_doc_node *target = gw_compat_target(tree, schema, kw[GW_KW_REF]);
    return target ? kinds & gw_compat_kinds(tree, target, depth - 1) : kinds;
}

const char *gw_compat_kinds_text(unsigned kinds, char out[80])
{
    static const struct {
        unsigned kinds;
        const char *name;
    } names[] = {{1u << GW_KIND_NULL, "null"},       {1u << GW_KIND_BOOL, "boolean"},
                 {GW_COMPAT_NUMBERS, "number"},      {GW_TYPE_INTEGER, "integer"},
                 {1u << GW_KIND_NUMBER, "fraction"}, {1u << GW_KIND_STRING, "string"},
                 {1u << GW_KIND_ARRAY, "array"},     {1u << GW_KIND_OBJECT, "object"}};
    size_t used = 0;
    if (kinds == GW_COMPAT_KINDS || kinds == 0) {
        (void)snprintf(out, 80, "%s", kinds ? "any" : "none");
        return out;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if ((kinds & names[i].kinds) != names[i].kinds)
            continue;
        kinds &= ~names[i].kinds;
        int n = snprintf(out + used, 80 - used, "%s%s", used ? " or " : "", names[i].name);
        used += n > 0 ? (size_t)n : 0;
    }
    return out;
}

/* --- lists --- */

void gw_compat_list_free(struct gw_compat_list *list)
{
    free(list->nodes);
    *list = (struct gw_compat_list){.nodes = NULL};
}

int gw_compat_list_add(struct gw_compat_list *list, struct gw_doc_node *node)
{
    if (list->count == list->room) {
        const size_t room = list->room ? list->room * 2 : 8;
        struct gw_doc_node **larger = realloc(list->nodes, room * sizeof(struct gw_doc_node *));
        if (!larger)
            return GW_ENOMEM;
        list->nodes = larger;
        list->room = room;
    }
    list->nodes[list->count++] = node;
    return 0;
}

static bool has(const struct gw_compat_list *list, const struct gw_doc_node *node)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->nodes[i] == node)
            return true;
    return false;
}

static int add_once(struct gw_compat_list *list, struct gw_doc_node *node)
{
    if (!node || has(list, node))
        return 0;
    return list->count < 4096 ? gw_compat_list_add(list, node) : GW_ELIMIT;
}

static int add_children(struct gw_compat_list *list, const struct gw_doc_node *parent)
{
    int rc = 0;
    for (struct gw_doc_node *each = parent ? parent->first : NULL; each && rc == 0; each = each->next)
        if (each->kind == GW_KIND_OBJECT || each->kind == GW_KIND_BOOL)
            rc = add_once(list, each);
    return rc;
}

int gw_compat_in_place(struct gw_compat_tree *tree, struct gw_doc_node *schema, bool certain,
                       struct gw_compat_list *out)
{
    struct gw_doc_node *kw[GW_KW_COUNT];
    const size_t from = out->count; /* what was there is spread already */
    int rc = add_once(out, schema);
    for (size_t i = from; i < out->count && rc == 0; i++) {
        if (out->nodes[i]->kind != GW_KIND_OBJECT)
            continue;
        gw_resolver_keywords(&tree->resolver, out->nodes[i], kw);
        rc = add_once(out, gw_compat_target(tree, out->nodes[i], kw[GW_KW_REF]));
        if (rc == 0)
            rc = add_children(out, kw[GW_KW_ALL_OF]);
        static const unsigned lists[] = {GW_KW_ANY_OF, GW_KW_ONE_OF, GW_KW_DEPENDENT_SCHEMAS,
                                         GW_KW_DEPENDENCIES};
        static const unsigned ones[] = {GW_KW_IF, GW_KW_THEN, GW_KW_ELSE};
        for (size_t j = 0; j < 4 && rc == 0 && !certain; j++)
            rc = add_children(out, kw[lists[j]]);
        for (size_t j = 0; j < 3 && rc == 0 && !certain; j++)
            rc = add_once(out, kw[ones[j]]);
    }
    return rc;
}
