/* Attributes and annotations are read from the tree, before it is forgotten: a program has no use for them. */
#include "schema/attributes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/resolve.h"
#include "wire/vocabulary.h"

#define ATTRIBUTE_COUNT_MAX 4096
#define RESULT_BYTES_MAX (8u << 20)
#define WALK_DEPTH 256

/* The public part comes first: gw_attributes_free goes back to the whole. */
struct owned {
    struct gw_attributes public;
    struct gw_arena arena;
};

struct reader {
    struct gw_resolver resolver;
    struct gw_map in_place; /* schemas that were seen, and annotations that are heeded */
    struct owned *result;
    struct gw_attribute *list;
    struct gw_map names; /* of attributes, to their index plus 1 */
    struct gw_error *error;
};

static const char *const privacy_names[] = {"none", "personal", "secret", NULL};
static const char *const undeclared_names[] = {"drop", "reject", "keep", NULL};
static const char *const lake_names[] = {"boolean", "int",  "long",      "float", "double", "string",
                                         "binary",  "date", "timestamp", "json",  NULL};

static int no_memory(const struct reader *r)
{
    return gw_error_set(r->error, GW_ELIMIT, 0, "schema: too many or too long attributes");
}

static struct gw_doc_node *member(const struct reader *r, const struct gw_doc_node *node, const char *name)
{
    return gw_map_get(&r->resolver.members, node, name, strlen(name));
}

/* A copy that lives as long as the result; cut at a NUL, as it is for people. */
static char *keep_copy(struct reader *r, const char *text, size_t len)
{
    char *copy = gw_arena_alloc(&r->result->arena, len + 1);
    if (copy) {
        memcpy(copy, text, len);
        copy[len] = '\0';
    }
    return copy;
}

static const char *keep(struct reader *r, const char *text, size_t len)
{
    return keep_copy(r, text, len);
}

static int keep_text(struct reader *r, const struct gw_doc_node *node, const char **out)
{
    if (!node || node->kind != GW_KIND_STRING || **out)
        return 0;
    const char *copy = keep(r, node->text, node->text_len);
    if (!copy)
        return no_memory(r);
    *out = copy;
    return 0;
}

static bool is_one_of(const struct gw_doc_node *node, const char *const *names, unsigned *out)
{
    for (unsigned i = 0; node->kind == GW_KIND_STRING && names[i]; i++)
        if (strlen(names[i]) == node->text_len && memcmp(names[i], node->text, node->text_len) == 0) {
            *out = i;
            return true;
        }
    return false;
}

/* --- types, for people --- */

static const char *kind_name(const struct gw_doc_node *value)
{
    static const char *const names[] = {"null", "boolean", "number", "string", "array", "object"};
    return names[value->kind];
}

/* "string or null" of type, or of the kinds in const and enum. */
static int read_type(struct reader *r, const struct gw_doc_node *schema, struct gw_attribute *out)
{
    char text[96] = "";
    size_t used = 0;
    const struct gw_doc_node *type = member(r, schema, "type"), *list = member(r, schema, "enum");
    const struct gw_doc_node *constant = member(r, schema, "const"), *from = type ? type : list;
    const bool many = from && from->kind == GW_KIND_ARRAY;
    if (*out->type)
        return 0;
    if (!from)
        from = constant;
    for (const struct gw_doc_node *each = many ? from->first : from; each; each = many ? each->next : NULL) {
        char name[16];
        (void)snprintf(name, sizeof name, "%.*s", type ? (int)each->text_len : 15,
                       type ? each->text : kind_name(each));
        if (strstr(text, name))
            continue;
        int n = snprintf(text + used, sizeof text - used, "%s%s", used ? " or " : "", name);
        used = n > 0 && used + (size_t)n < sizeof text ? used + (size_t)n : used;
    }
    if (used == 0)
        return 0;
    out->type = keep(r, text, used);
    return out->type ? 0 : no_memory(r);
}

/* --- annotations --- */

static int read_annotation(struct reader *r, const struct gw_doc_node *annotation, struct gw_attribute *out)
{
    unsigned index = 0;
    if (annotation->kind != GW_KIND_OBJECT)
        return gw_schema_fail(r->error, GW_EINVALID, annotation, "x-tributary must be an object");
    for (const struct gw_doc_node *each = annotation->first; each; each = each->next) {
        int rc = 0;
        if (each->key_len == 7 && memcmp(each->key, "privacy", 7) == 0) {
            if (!is_one_of(each, privacy_names, &index))
                return gw_schema_fail(r->error, GW_EINVALID, each,
                                      "privacy must be none, personal or secret");
            out->privacy_stated = true;
            if (index > (unsigned)out->privacy)
                out->privacy = (enum gw_privacy_class)index;
        } else if (each->key_len == 4 && memcmp(each->key, "lake", 4) == 0) {
            if (!is_one_of(each, lake_names, &index))
                return gw_schema_fail(r->error, GW_EINVALID, each,
                                      "lake must be boolean, int, long, float, double, string, binary, date, "
                                      "timestamp or json");
            rc = keep_text(r, each, &out->lake);
        } else if (each->key_len == 10 && memcmp(each->key, "vocabulary", 10) == 0) {
            if (each->kind != GW_KIND_STRING || trib_field_by_name(each->text, each->text_len) < 0)
                return gw_schema_fail(r->error, GW_EINVALID, each,
                                      "vocabulary must be the name of a built-in field (docs/vocabulary.md)");
            rc = keep_text(r, each, &out->vocabulary);
        } else {
            return gw_schema_fail(r->error, GW_EINVALID, each,
                                  "x-tributary of an attribute has privacy, lake and vocabulary only");
        }
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* What stands in an attribute's schema, and in what that refers to. */
static int describe(struct reader *r, struct gw_doc_node *schema, struct gw_attribute *out, unsigned depth)
{
    struct gw_doc_node *kw[GW_KW_COUNT], *target;
    bool dynamic;
    if (schema->kind != GW_KIND_OBJECT)
        return 0;
    if (depth == 0)
        return gw_error_set(r->error, GW_ELIMIT, 0, "schema: references go too deep");
    gw_resolver_keywords(&r->resolver, schema, kw);
    int rc = keep_text(r, member(r, schema, "description"), &out->description);
    if (rc == 0)
        rc = keep_text(r, member(r, schema, "title"), &out->description);
    if (rc == 0)
        rc = read_type(r, schema, out);
    const struct gw_doc_node *annotation = member(r, schema, "x-tributary");
    if (rc == 0 && annotation) {
        rc = read_annotation(r, annotation, out);
        if (rc == 0 && gw_map_put(&r->in_place, annotation, "", 0, schema) == GW_ENOMEM)
            rc = no_memory(r);
    }
    if (rc == 0 && kw[GW_KW_REF]) {
        rc = gw_resolver_find(&r->resolver, schema, kw[GW_KW_REF], &target, &dynamic);
        if (rc == 0)
            rc = describe(r, target, out, depth - 1);
    }
    return rc;
}

static int add_attribute(struct reader *r, struct gw_doc_node *schema)
{
    size_t index = (size_t)(uintptr_t)gw_map_get(&r->names, NULL, schema->key, schema->key_len);
    if (index == 0) {
        if (r->result->public.count >= ATTRIBUTE_COUNT_MAX)
            return no_memory(r);
        const char *name = keep(r, schema->key, schema->key_len);
        index = r->result->public.count + 1;
        if (!name || gw_map_put(&r->names, NULL, name, schema->key_len, (void *)(uintptr_t)index) != 0)
            return no_memory(r);
        r->list[r->result->public.count++] = (struct gw_attribute){.name = name,
                                                                   .name_len = schema->key_len,
                                                                   .type = "",
                                                                   .description = "",
                                                                   .vocabulary = "",
                                                                   .lake = ""};
    }
    return describe(r, schema, &r->list[index - 1], 16);
}

/* --- the schemas that speak of the event's root --- */

static int collect(struct reader *r, struct gw_doc_node *schema, bool certain, unsigned depth);

static int collect_children(struct reader *r, struct gw_doc_node *parent, bool certain, unsigned depth)
{
    int rc = 0;
    for (struct gw_doc_node *each = parent ? parent->first : NULL; each && rc == 0; each = each->next)
        rc = collect(r, each, certain, depth);
    return rc;
}

static void mark_required(struct reader *r, const struct gw_doc_node *required)
{
    for (const struct gw_doc_node *name = required ? required->first : NULL; name; name = name->next) {
        size_t index = (size_t)(uintptr_t)gw_map_get(&r->names, NULL, name->text, name->text_len);
        if (index > 0)
            r->list[index - 1].required = true;
    }
}

static int collect_applied(struct reader *r, struct gw_doc_node *schema, struct gw_doc_node *const kw[],
                           bool certain, unsigned depth)
{
    struct gw_doc_node *target;
    bool dynamic;
    int rc = 0;
    if (kw[GW_KW_REF]) {
        rc = gw_resolver_find(&r->resolver, schema, kw[GW_KW_REF], &target, &dynamic);
        if (rc == 0)
            rc = collect(r, target, certain, depth - 1);
    }
    static const unsigned ones[] = {GW_KW_IF, GW_KW_THEN, GW_KW_ELSE};
    static const unsigned lists[] = {GW_KW_ANY_OF, GW_KW_ONE_OF, GW_KW_DEPENDENT_SCHEMAS, GW_KW_DEPENDENCIES};
    if (rc == 0)
        rc = collect_children(r, kw[GW_KW_ALL_OF], certain, depth - 1);
    for (unsigned i = 0; i < 4 && rc == 0; i++)
        rc = collect_children(r, kw[lists[i]], false, depth - 1);
    for (unsigned i = 0; i < 3 && rc == 0; i++)
        rc = kw[ones[i]] ? collect(r, kw[ones[i]], false, depth - 1) : 0;
    return rc;
}

static int collect(struct reader *r, struct gw_doc_node *schema, bool certain, unsigned depth)
{
    struct gw_doc_node *kw[GW_KW_COUNT];
    if (schema->kind != GW_KIND_OBJECT || gw_map_get(&r->in_place, schema, certain ? "1" : "0", 1))
        return 0;
    if (depth == 0)
        return gw_error_set(r->error, GW_ELIMIT, 0, "schema: references go too deep");
    if (gw_map_put(&r->in_place, schema, certain ? "1" : "0", 1, schema) != 0)
        return no_memory(r);
    gw_resolver_keywords(&r->resolver, schema, kw);
    int rc = 0;
    for (struct gw_doc_node *each = kw[GW_KW_PROPERTIES] ? kw[GW_KW_PROPERTIES]->first : NULL;
         each && rc == 0; each = each->next)
        rc = add_attribute(r, each);
    if (rc == 0)
        rc = collect_applied(r, schema, kw, certain, depth);
    if (rc == 0 && certain)
        mark_required(r, kw[GW_KW_REQUIRED]);
    return rc;
}

/* --- annotations that nobody would heed --- */

/* Masking works on attributes: a class anywhere deeper would be a promise that is not kept. */
static int look_deeper(struct reader *r, const struct gw_doc_node *node)
{
    const struct gw_doc_node *annotation =
        node->kind == GW_KIND_OBJECT ? member(r, node, "x-tributary") : NULL;
    const struct gw_doc_node *privacy = annotation && annotation->kind == GW_KIND_OBJECT && node->up
                                            ? member(r, annotation, "privacy")
                                            : NULL;
    if (privacy && !gw_map_get(&r->in_place, annotation, "", 0) &&
        !(privacy->text_len == 4 && memcmp(privacy->text, "none", 4) == 0))
        return gw_schema_fail(
            r->error, GW_EINVALID, privacy,
            "only attributes (members of the event's root) can be masked: give the class to the "
            "attribute that holds this");
    int rc = 0;
    for (const struct gw_doc_node *each = node->first; each && rc == 0; each = each->next)
        rc = look_deeper(r, each);
    return rc;
}

static int check_privacy(struct reader *r, const struct gw_doc_node *root)
{
    struct gw_attributes *a = &r->result->public;
    for (uint32_t i = 0; i < a->count; i++) {
        a->personal |= r->list[i].privacy != GW_PRIVACY_NONE;
        if (r->list[i].privacy == GW_PRIVACY_PERSONAL && strcmp(r->list[i].type, "string") != 0)
            return gw_error_set(
                r->error, GW_EINVALID, 0,
                "schema #/properties/%.100s: a personal attribute must have type string, as a "
                "pseudonym takes its place; make it secret, or a string",
                r->list[i].name);
    }
    if (a->personal && a->undeclared == GW_UNDECLARED_KEEP)
        return gw_error_set(
            r->error, GW_EINVALID, 0,
            "schema #/x-tributary/undeclared: keep is for schemas without personal data; use drop or "
            "reject");
    return look_deeper(r, root);
}

/* --- the root's own annotation --- */

static int read_root_member(struct reader *r, const struct gw_doc_node *each)
{
    struct gw_attributes *a = &r->result->public;
    static const char *const names[] = {"owner", "lake", "partition", "undeclared", NULL};
    const char **const texts[] = {&a->owner, &a->lake, &a->partition};
    const struct gw_doc_node key = {.kind = GW_KIND_STRING, .text = each->key, .text_len = each->key_len};
    unsigned which = 0, value = 0;
    if (!is_one_of(&key, names, &which))
        return gw_schema_fail(r->error, GW_EINVALID, each,
                              "x-tributary of a schema has owner, lake, partition and undeclared only");
    if (which == 3 && !is_one_of(each, undeclared_names, &value))
        return gw_schema_fail(r->error, GW_EINVALID, each, "undeclared must be drop, reject or keep");
    if (which == 3) {
        a->undeclared = (enum gw_undeclared)value;
        a->undeclared_stated = true;
    }
    if (which < 3 && (each->kind != GW_KIND_STRING || each->text_len == 0 || each->text_len > 256))
        return gw_schema_fail(r->error, GW_EINVALID, each, "must be a text of 1 to 256 bytes");
    return which < 3 ? keep_text(r, each, texts[which]) : 0;
}

/* SUBJECT:VERSION. Whether that version is there is asked where the reference is used. */
static int read_reference(struct reader *r, const struct gw_doc_node *each, struct gw_reference *out)
{
    char *subject = each->kind == GW_KIND_STRING ? keep_copy(r, each->text, each->text_len) : NULL;
    char *colon = subject ? strrchr(subject, ':') : NULL, *end = NULL;
    unsigned long version = colon ? strtoul(colon + 1, &end, 10) : 0;
    if (!colon || colon == subject || colon[1] < '1' || colon[1] > '9' || *end || version > 99999 ||
        each->key_len == 0)
        return gw_schema_fail(r->error, GW_EINVALID, each,
                              "a reference must be \"NAME\": \"SUBJECT:VERSION\"");
    *colon = '\0';
    *out = (struct gw_reference){
        .name = keep(r, each->key, each->key_len), .subject = subject, .version = (uint32_t)version};
    return out->name ? 0 : no_memory(r);
}

static int read_references(struct reader *r, const struct gw_doc_node *list)
{
    struct gw_attributes *a = &r->result->public;
    if (!list)
        return 0;
    if (list->kind != GW_KIND_OBJECT || list->count > GW_REFERENCES_MAX)
        return gw_schema_fail(r->error, GW_EINVALID, list,
                              "references must be an object of 64 members at most");
    struct gw_reference *references =
        gw_arena_alloc(&r->result->arena, (list->count + 1) * sizeof *references);
    if (!references)
        return no_memory(r);
    a->references = references;
    int rc = 0;
    for (const struct gw_doc_node *each = list->first; each && rc == 0; each = each->next)
        rc = read_reference(r, each, &references[a->reference_count++]);
    return rc;
}

static int read_root(struct reader *r, const struct gw_doc_node *root)
{
    struct gw_attributes *a = &r->result->public;
    const struct gw_doc_node *annotation = member(r, root, "x-tributary");
    int rc = read_references(r, member(r, root, GW_REFERENCES_MEMBER));
    if (rc == 0)
        rc = keep_text(r, member(r, root, "title"), &a->title);
    if (rc == 0)
        rc = keep_text(r, member(r, root, "description"), &a->description);
    if (rc == 0 && annotation && annotation->kind != GW_KIND_OBJECT)
        return gw_schema_fail(r->error, GW_EINVALID, annotation, "x-tributary must be an object");
    for (const struct gw_doc_node *each = annotation ? annotation->first : NULL; each && rc == 0;
         each = each->next)
        rc = read_root_member(r, each);
    if (rc != 0 || !*a->partition || strcmp(a->partition, "device") == 0)
        return rc;
    size_t index = (size_t)(uintptr_t)gw_map_get(&r->names, NULL, a->partition, strlen(a->partition));
    if (index == 0 || r->list[index - 1].privacy == GW_PRIVACY_SECRET)
        return gw_schema_fail(r->error, GW_EINVALID, annotation,
                              "partition must be device, or an attribute that is stored");
    return 0;
}

/* The list at its final size, and its names by perfect hashing. */
static int finish(struct reader *r)
{
    struct gw_attributes *a = &r->result->public;
    struct gw_attribute *list = gw_arena_alloc(&r->result->arena, (a->count + 1) * sizeof *list);
    struct gw_name *names = gw_arena_alloc(&r->result->arena, (a->count + 1) * sizeof *names);
    uint32_t *slots = gw_arena_alloc(&r->result->arena, gw_names_slots(a->count) * sizeof *slots);
    if (!list || !names || !slots)
        return no_memory(r);
    for (uint32_t i = 0; i < a->count; i++) {
        list[i] = r->list[i];
        names[i] = (struct gw_name){.text = list[i].name, .len = list[i].name_len};
    }
    a->list = list;
    return gw_names_build(names, a->count, slots, &a->names);
}

static int read_all(struct reader *r, const char *text, size_t len, const struct gw_schema_options *options)
{
    struct gw_doc_node *root;
    r->list = calloc(ATTRIBUTE_COUNT_MAX, sizeof *r->list);
    if (!r->list)
        return gw_error_set(r->error, GW_ENOMEM, 0, "schema: out of memory");
    int rc = gw_resolver_open(&r->resolver, text, len, options, &root, r->error);
    if (rc != 0)
        return rc;
    if (root->kind == GW_KIND_OBJECT) {
        rc = collect(r, root, true, WALK_DEPTH);
        if (rc == 0)
            rc = read_root(r, root);
        if (rc == 0)
            rc = check_privacy(r, root);
    }
    if (rc == 0)
        rc = gw_declared_build(&r->resolver, root, &r->result->arena, &r->result->public.declared, r->error);
    return rc == 0 ? finish(r) : rc;
}

int gw_attributes_read(const char *text, size_t len, const struct gw_schema_options *options,
                       struct gw_attributes **out, struct gw_error *error)
{
    static const struct gw_schema_options defaults;
    struct reader r = {.error = error, .result = calloc(1, sizeof *r.result)};
    if (!r.result)
        return gw_error_set(error, GW_ENOMEM, 0, "schema: out of memory");
    r.result->public =
        (struct gw_attributes){.title = "", .description = "", .owner = "", .lake = "", .partition = ""};
    gw_arena_init(&r.result->arena, 2048, RESULT_BYTES_MAX);
    int rc = read_all(&r, text, len, options ? options : &defaults);
    gw_resolver_close(&r.resolver);
    gw_map_free(&r.in_place);
    gw_map_free(&r.names);
    free(r.list);
    if (rc != 0)
        gw_attributes_free(&r.result->public);
    else
        *out = &r.result->public;
    if (rc == 0)
        r.result->public.bytes =
            r.result->arena.used_bytes + gw_regex_bytes(r.result->public.declared.regexes);
    return rc;
}

void gw_attributes_free(struct gw_attributes *attributes)
{
    if (!attributes)
        return;
    struct owned *whole = (struct owned *)attributes;
    gw_declared_free(&attributes->declared);
    gw_arena_free(&whole->arena);
    free(whole);
}
