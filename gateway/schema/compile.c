/* The compiler: a queue of schemas, each becomes a node of consecutive instructions. */
#include "schema/compile.h"

#include <stdlib.h>
#include <string.h>

#define NODE_COUNT_MAX 200000
#define PROGRAM_BYTES_DEFAULT (16u << 20)
#define REGEX_BYTES_MAX (256u << 10)

void *gw_compile_alloc(struct gw_compiler *c, size_t bytes)
{
    void *memory = gw_arena_alloc(&c->schema->arena, bytes ? bytes : 1);
    if (!memory)
        (void)gw_error_set(c->error, GW_ELIMIT, 0, "schema: the program would be too large");
    else
        memset(memory, 0, bytes);
    return memory;
}

const char *gw_compile_keep(struct gw_compiler *c, const char *text, size_t len)
{
    char *copy = gw_compile_alloc(c, len + 1);
    if (copy && len > 0)
        memcpy(copy, text, len);
    return copy;
}

int gw_compile_refuse(struct gw_compiler *c, const struct gw_doc_node *where, const char *what)
{
    return gw_schema_fail(c->error, GW_EINVALID, where, what);
}

/* Room for one more in an array that doubles. */
static int reserve(struct gw_compiler *c, void **array, uint32_t count, uint32_t *room, size_t each)
{
    if (count < *room)
        return 0;
    const uint32_t larger = *room ? *room * 2 : 64;
    void *moved = realloc(*array, larger * each);
    if (!moved)
        return gw_error_set(c->error, GW_ENOMEM, 0, "schema: out of memory");
    *array = moved;
    *room = larger;
    return 0;
}

int gw_compile_emit(struct gw_compiler *c, enum gw_op_code code, unsigned kinds, unsigned keyword,
                    uint32_t arg, const void *rule)
{
    struct gw_schema *s = c->schema;
    int rc = reserve(c, (void **)&s->ops, s->op_count, &c->op_room, sizeof *s->ops);
    if (rc == 0)
        s->ops[s->op_count++] = (struct gw_op){.code = (uint8_t)code,
                                               .kinds = (uint8_t)kinds,
                                               .keyword = (uint16_t)keyword,
                                               .arg = arg,
                                               .rule = rule};
    return rc;
}

/* The way to a node, shared with its parents. */
static const struct gw_location *locate(struct gw_compiler *c, struct gw_doc_node *node)
{
    if (node->location)
        return node->location;
    struct gw_location *made = gw_compile_alloc(c, sizeof *made);
    if (!made)
        return NULL;
    if (node->up) {
        made->up = locate(c, node->up);
        made->index = node->index;
        made->key_len = node->key_len;
        made->key = node->key ? gw_compile_keep(c, node->key, node->key_len) : NULL;
        if (!made->up || (node->key && !made->key))
            return NULL;
    }
    node->location = made;
    return made;
}

int gw_compile_node(struct gw_compiler *c, struct gw_doc_node *schema, uint32_t *out)
{
    struct gw_schema *s = c->schema;
    if (schema->compiled) {
        *out = schema->compiled - 1;
        return 0;
    }
    if (schema->kind != GW_KIND_OBJECT && schema->kind != GW_KIND_BOOL)
        return gw_compile_refuse(c, schema, "a schema must be an object, true or false");
    if (s->node_count >= NODE_COUNT_MAX)
        return gw_error_set(c->error, GW_ELIMIT, 0, "schema: too many subschemas");
    uint32_t room = c->node_room;
    int rc = reserve(c, (void **)&s->nodes, s->node_count, &room, sizeof *s->nodes);
    if (rc == 0)
        rc = reserve(c, (void **)&c->documents, s->node_count, &c->node_room, sizeof(void *));
    const struct gw_location *location = rc == 0 ? locate(c, schema) : NULL;
    if (!location)
        return rc != 0 ? rc : GW_ELIMIT;
    *out = s->node_count++;
    s->nodes[*out] = (struct gw_node){.resource = gw_resource_of(schema)->index, .location = location};
    c->documents[*out] = schema;
    schema->compiled = *out + 1;
    return 0;
}

int gw_compile_optional(struct gw_compiler *c, struct gw_doc_node *schema, uint32_t *out)
{
    *out = GW_NODE_NONE;
    return schema ? gw_compile_node(c, schema, out) : 0;
}

int gw_compile_count(struct gw_compiler *c, const struct gw_doc_node *node, uint64_t otherwise, uint64_t *out)
{
    struct gw_number number;
    int64_t value;
    *out = otherwise;
    if (!node)
        return 0;
    if (node->kind == GW_KIND_NUMBER) {
        gw_number_parse(node->text, node->text_len, &number);
        if (gw_number_is_integer(&number) && !number.negative) {
            *out = gw_number_to_int(&number, &value) ? (uint64_t)value : UINT64_MAX;
            return 0;
        }
    }
    return gw_compile_refuse(c, node, "must be an integer that is not negative");
}

int gw_compile_list(struct gw_compiler *c, const struct gw_doc_node *array, const struct gw_list **out)
{
    if (array->kind != GW_KIND_ARRAY || array->count == 0)
        return gw_compile_refuse(c, array, "must be an array of schemas, with one at least");
    struct gw_list *list = gw_compile_alloc(c, sizeof *list + array->count * sizeof *list->nodes);
    if (!list)
        return GW_ELIMIT;
    for (struct gw_doc_node *each = array->first; each; each = each->next) {
        int rc = gw_compile_node(c, each, &list->nodes[list->count++]);
        if (rc != 0)
            return rc;
    }
    *out = list;
    return 0;
}

int gw_compile_regex(struct gw_compiler *c, const struct gw_doc_node *where, const char *text, size_t len,
                     const struct gw_regex **out)
{
    char why[160];
    struct gw_regex *made = NULL;
    int rc = gw_regex_compile(text, len, c->schema->regexes, &made, why);
    if (rc == 0) {
        c->schema->regexes = made;
        *out = made;
        if (gw_regex_bytes(made) > REGEX_BYTES_MAX)
            return gw_schema_fail(c->error, GW_ELIMIT, where, "the regular expressions are too large");
        return 0;
    }
    return gw_schema_fail(c->error, rc, where, why);
}

static int compile_types(struct gw_compiler *c, const struct gw_doc_node *node)
{
    static const char *const names[] = {"null", "boolean", "number", "string", "array", "object", "integer"};
    if (!node)
        return 0;
    const bool many = node->kind == GW_KIND_ARRAY;
    uint32_t mask = 0;
    for (const struct gw_doc_node *each = many ? node->first : node; each; each = many ? each->next : NULL) {
        unsigned i = 0;
        while (i < 7 && !(each->kind == GW_KIND_STRING && each->text_len == strlen(names[i]) &&
                          memcmp(each->text, names[i], each->text_len) == 0))
            i++;
        if (i == 7)
            return gw_compile_refuse(
                c, each, "type must be one of null, boolean, number, integer, string, array, object");
        mask |= 1u << i;
    }
    if (mask == 0)
        return gw_compile_refuse(c, node, "type must name one type at least");
    return gw_compile_emit(c, GW_OP_TYPE, GW_KINDS_ALL, GW_KW_TYPE, mask, NULL);
}

static int compile_lists(struct gw_compiler *c, struct gw_doc_node *const kw[GW_KW_COUNT])
{
    static const struct {
        enum gw_op_code code;
        unsigned keyword;
    } lists[] = {{GW_OP_ALL_OF, GW_KW_ALL_OF}, {GW_OP_ANY_OF, GW_KW_ANY_OF}, {GW_OP_ONE_OF, GW_KW_ONE_OF}};
    for (unsigned i = 0; i < 3; i++) {
        const struct gw_list *list;
        if (!kw[lists[i].keyword])
            continue;
        int rc = gw_compile_list(c, kw[lists[i].keyword], &list);
        if (rc == 0)
            rc = gw_compile_emit(c, lists[i].code, GW_KINDS_ALL, lists[i].keyword, 0, list);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int compile_one(struct gw_compiler *c, struct gw_doc_node *schema, enum gw_op_code code,
                       unsigned kinds, unsigned keyword)
{
    uint32_t node;
    int rc = schema ? gw_compile_node(c, schema, &node) : 0;
    return rc == 0 && schema ? gw_compile_emit(c, code, kinds, keyword, node, NULL) : rc;
}

static int compile_if(struct gw_compiler *c, struct gw_doc_node *const kw[GW_KW_COUNT])
{
    if (!kw[GW_KW_IF])
        return 0;
    struct gw_list *list = gw_compile_alloc(c, sizeof *list + 3 * sizeof *list->nodes);
    if (!list)
        return GW_ELIMIT;
    list->count = 3;
    int rc = gw_compile_node(c, kw[GW_KW_IF], &list->nodes[0]);
    if (rc == 0)
        rc = gw_compile_optional(c, kw[GW_KW_THEN], &list->nodes[1]);
    if (rc == 0)
        rc = gw_compile_optional(c, kw[GW_KW_ELSE], &list->nodes[2]);
    return rc == 0 ? gw_compile_emit(c, GW_OP_IF, GW_KINDS_ALL, GW_KW_IF, 0, list) : rc;
}

static int compile_reference(struct gw_compiler *c, struct gw_doc_node *from,
                             const struct gw_doc_node *reference, unsigned keyword)
{
    struct gw_doc_node *target;
    bool dynamic;
    uint32_t node;
    if (!reference)
        return 0;
    int rc = gw_resolver_find(&c->resolver, from, reference, &target, &dynamic);
    if (rc == 0)
        rc = gw_compile_node(c, target, &node);
    if (rc != 0)
        return rc;
    if (keyword == GW_KW_REF || !dynamic)
        return gw_compile_emit(c, GW_OP_REF, GW_KINDS_ALL, keyword, node, NULL);
    struct gw_dynamic_use *use = gw_compile_alloc(c, sizeof *use);
    struct gw_dynamic_rule *rule = gw_compile_alloc(c, sizeof *rule);
    const char *mark = strchr(reference->text, '#');
    if (!use || !rule || !mark)
        return GW_ELIMIT;
    rule->fallback = node;
    *use = (struct gw_dynamic_use){.next = c->dynamic, .rule = rule};
    use->name_len = reference->text_len - (uint32_t)(mark + 1 - reference->text);
    use->name = mark + 1;
    c->dynamic = use;
    return gw_compile_emit(c, GW_OP_DYNAMIC, GW_KINDS_ALL, keyword, 0, rule);
}

/* Cheap ones first: they decide most. */
static int compile_keywords(struct gw_compiler *c, struct gw_doc_node *schema, uint32_t node)
{
    struct gw_doc_node *kw[GW_KW_COUNT];
    gw_resolver_keywords(&c->resolver, schema, kw);
    const bool draft_7 = gw_resource_of(schema)->draft == GW_DRAFT_7;
    int rc = compile_types(c, kw[GW_KW_TYPE]);
    if (rc == 0)
        rc = gw_compile_choices(c, kw);
    if (rc == 0)
        rc = gw_compile_numbers(c, kw);
    if (rc == 0)
        rc = gw_compile_strings(c, kw);
    if (rc == 0)
        rc = gw_compile_object(c, kw);
    if (rc == 0)
        rc = gw_compile_array(c, kw, draft_7);
    if (rc == 0)
        rc = compile_reference(c, schema, kw[GW_KW_REF], GW_KW_REF);
    if (rc == 0)
        rc = compile_reference(c, schema, kw[GW_KW_DYNAMIC_REF], GW_KW_DYNAMIC_REF);
    if (rc == 0)
        rc = compile_lists(c, kw);
    if (rc == 0)
        rc = compile_one(c, kw[GW_KW_NOT], GW_OP_NOT, GW_KINDS_ALL, GW_KW_NOT);
    if (rc == 0)
        rc = compile_if(c, kw);
    if (kw[GW_KW_UNEVALUATED_ITEMS] || kw[GW_KW_UNEVALUATED_PROPERTIES])
        c->schema->nodes[node].flags |= GW_NODE_MARKS;
    if (rc == 0)
        rc = compile_one(c, kw[GW_KW_UNEVALUATED_ITEMS], GW_OP_UNEVALUATED_ITEMS, 1u << GW_KIND_ARRAY,
                         GW_KW_UNEVALUATED_ITEMS);
    if (rc == 0)
        rc = compile_one(c, kw[GW_KW_UNEVALUATED_PROPERTIES], GW_OP_UNEVALUATED_PROPERTIES,
                         1u << GW_KIND_OBJECT, GW_KW_UNEVALUATED_PROPERTIES);
    return rc;
}

/* Compiles what is in the queue from *next on; more may be added meanwhile. */
static int compile_queue(struct gw_compiler *c, uint32_t *next)
{
    struct gw_schema *s = c->schema;
    for (; *next < s->node_count; ++*next) {
        struct gw_doc_node *schema = c->documents[*next];
        s->nodes[*next].first = s->op_count;
        int rc = 0;
        if (schema->kind == GW_KIND_OBJECT)
            rc = compile_keywords(c, schema, *next);
        else if (!schema->truth)
            rc = gw_compile_emit(c, GW_OP_FALSE, GW_KINDS_ALL, GW_KW_COUNT, 0, NULL);
        if (rc != 0)
            return rc;
        s->nodes[*next].count = s->op_count - s->nodes[*next].first;
    }
    return 0;
}

/* Core §8.2.3.2: every resource that may be in the dynamic scope and has that $dynamicAnchor. */
static int collect_targets(struct gw_compiler *c, struct gw_dynamic_use *use)
{
    struct gw_dynamic_target *targets = gw_compile_alloc(c, c->resolver.resource_count * sizeof *targets);
    if (!targets)
        return GW_ELIMIT;
    use->rule->targets = targets;
    use->rule->count = 0;
    for (const struct gw_resource *resource = c->resolver.first; resource; resource = resource->next)
        for (const struct gw_dynamic_anchor *anchor = resource->anchors; anchor; anchor = anchor->next) {
            if (anchor->name->text_len != use->name_len ||
                memcmp(anchor->name->text, use->name, use->name_len) != 0)
                continue;
            struct gw_dynamic_target *target = &targets[use->rule->count++];
            target->resource = resource->index;
            int rc = gw_compile_node(c, anchor->node, &target->node);
            if (rc != 0)
                return rc;
        }
    return 0;
}

/* Targets bring schemas, and these may bring $dynamicRefs and resources: until nothing new comes. */
static int compile_all(struct gw_compiler *c)
{
    const struct gw_schema *s = c->schema;
    uint32_t next = 0, nodes, resources;
    const struct gw_dynamic_use *uses;
    int rc = compile_queue(c, &next);
    do {
        nodes = s->node_count;
        resources = c->resolver.resource_count;
        uses = c->dynamic;
        for (struct gw_dynamic_use *use = c->dynamic; use && rc == 0; use = use->next)
            rc = collect_targets(c, use);
        if (rc == 0)
            rc = compile_queue(c, &next);
    } while (rc == 0 &&
             (nodes != s->node_count || resources != c->resolver.resource_count || uses != c->dynamic));
    return rc;
}

static int keep_resources(struct gw_compiler *c)
{
    struct gw_schema *s = c->schema;
    s->resource_count = c->resolver.resource_count;
    s->resources = gw_compile_alloc(c, s->resource_count * sizeof *s->resources);
    if (!s->resources)
        return GW_ELIMIT;
    for (const struct gw_resource *resource = c->resolver.first; resource; resource = resource->next) {
        struct gw_program_resource *kept = &s->resources[resource->index];
        kept->uri = gw_compile_keep(c, resource->uri, strlen(resource->uri));
        kept->location = locate(c, resource->root);
        if (!kept->uri || !kept->location)
            return GW_ELIMIT;
    }
    return 0;
}

int gw_schema_compile(const char *text, size_t len, const struct gw_schema_options *options,
                      struct gw_schema **out, struct gw_error *error)
{
    static const struct gw_schema_options defaults;
    struct gw_compiler c = {.error = error};
    struct gw_doc_node *root;
    if (!options)
        options = &defaults;
    c.assert_formats = options->assert_formats;
    c.schema = calloc(1, sizeof *c.schema);
    if (!c.schema)
        return gw_error_set(error, GW_ENOMEM, 0, "schema: out of memory");
    gw_arena_init(&c.schema->arena, 4096,
                  options->program_bytes_max ? options->program_bytes_max : PROGRAM_BYTES_DEFAULT);
    int rc = gw_resolver_open(&c.resolver, text, len, options, &root, error);
    if (rc == 0)
        rc = gw_compile_node(&c, root, &c.schema->root);
    if (rc == 0)
        rc = compile_all(&c);
    if (rc == 0)
        rc = keep_resources(&c);
    gw_resolver_close(&c.resolver);
    free(c.documents);
    if (rc != 0)
        gw_schema_free(c.schema);
    else
        *out = c.schema;
    return rc;
}

void gw_schema_free(struct gw_schema *schema)
{
    if (!schema)
        return;
    gw_regex_free(schema->regexes);
    gw_arena_free(&schema->arena);
    free(schema->nodes);
    free(schema->ops);
    free(schema);
}

void gw_schema_get_size(const struct gw_schema *schema, struct gw_schema_size *out)
{
    out->schemas = schema->node_count;
    out->instructions = schema->op_count;
    out->bytes = schema->arena.used_bytes + schema->node_count * sizeof *schema->nodes +
                 schema->op_count * sizeof *schema->ops + gw_regex_bytes(schema->regexes);
}
