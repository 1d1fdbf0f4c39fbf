#include "schema/resolve.h"
#include "schema/references.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DOCUMENT_COUNT_MAX 64
#define RESOURCE_COUNT_MAX 4096
#define TEXT_BYTES_DEFAULT (512u << 10)
#define ARENA_FACTOR 96 /* bytes of tree for a byte of text, at most: "[0,0,0" is the worst */

static int out_of_memory(struct gw_resolver *r)
{
    return gw_error_set(r->error, GW_ENOMEM, 0, "schema: too large, or no memory left");
}

static struct gw_doc_node *member(const struct gw_resolver *r, const struct gw_doc_node *node,
                                  const char *name)
{
    return gw_map_get(&r->members, node, name, strlen(name));
}

static bool text_is(const struct gw_doc_node *node, const char *text)
{
    return node->kind == GW_KIND_STRING && node->text_len == strlen(text) &&
           memcmp(node->text, text, node->text_len) == 0;
}

static const char *keep(struct gw_resolver *r, const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = gw_arena_alloc(&r->arena, bytes);
    return copy ? memcpy(copy, text, bytes) : NULL;
}

struct gw_resource *gw_resource_of(const struct gw_doc_node *node)
{
    while (!node->resource && node->up)
        node = node->up;
    return node->resource;
}

/* --- which draft, which vocabularies --- */

static int load_document(struct gw_resolver *r, const char *uri, const struct gw_doc_node *from,
                         struct gw_doc_node **out);

static unsigned known_vocabulary(const struct gw_doc_node *uri)
{
    static const struct {
        const char *name;
        unsigned bit;
    } known[] = {
        {"core", GW_VOCABULARY_CORE},
        {"applicator", GW_VOCABULARY_APPLICATOR},
        {"unevaluated", GW_VOCABULARY_UNEVALUATED},
        {"validation", GW_VOCABULARY_VALIDATION},
        {"format-assertion", GW_VOCABULARY_FORMAT_ASSERTION},
        {"format-annotation", GW_VOCABULARY_CORE},
        {"meta-data", GW_VOCABULARY_CORE},
        {"content", GW_VOCABULARY_CORE},
    };
    static const char prefix[] = "https://json-schema.org/draft/2020-12/vocab/";
    const size_t start = sizeof prefix - 1;
    if (uri->key_len <= start || memcmp(uri->key, prefix, start) != 0)
        return 0;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strlen(known[i].name) == uri->key_len - start &&
            memcmp(known[i].name, uri->key + start, uri->key_len - start) == 0)
            return known[i].bit;
    return 0;
}

/* Core §8.1.2: a vocabulary that is not known and is required makes the schema one that cannot be judged. */
static int take_vocabularies(struct gw_resolver *r, const struct gw_doc_node *metaschema,
                             struct gw_resource *resource)
{
    const struct gw_doc_node *list = member(r, metaschema, "$vocabulary");
    if (!list || list->kind != GW_KIND_OBJECT)
        return 0;
    resource->vocabularies = GW_VOCABULARY_CORE;
    for (const struct gw_doc_node *uri = list->first; uri; uri = uri->next) {
        unsigned bit = known_vocabulary(uri);
        if (bit == 0 && uri->truth)
            return gw_schema_fail(r->error, GW_EINVALID, uri, "a vocabulary that is required is not known");
        resource->vocabularies |= bit;
    }
    return 0;
}

static int take_draft(struct gw_resolver *r, const struct gw_doc_node *schema, struct gw_resource *resource)
{
    const struct gw_doc_node *named = member(r, schema, "$schema");
    if (!named)
        return 0;
    if (text_is(named, "http://json-schema.org/draft-07/schema#") ||
        text_is(named, "http://json-schema.org/draft-07/schema")) {
        resource->draft = GW_DRAFT_7;
        return 0;
    }
    resource->draft = GW_DRAFT_2020_12;
    if (text_is(named, "https://json-schema.org/draft/2020-12/schema") ||
        text_is(named, "https://json-schema.org/draft/2020-12/schema#"))
        return 0;
    char uri[GW_URI_MAX], fragment[GW_URI_MAX];
    if (named->kind != GW_KIND_STRING || gw_uri_resolve("", named->text, named->text_len, uri) != 0 ||
        gw_uri_split(uri, fragment) != 0)
        return gw_schema_fail(r->error, GW_EINVALID, named, "$schema must be a URI");
    struct gw_doc_node *metaschema = gw_map_get(&r->uris, NULL, uri, strlen(uri));
    int rc = metaschema ? 0 : load_document(r, uri, named, &metaschema);
    if (rc != 0 || !metaschema)
        return rc;
    if (metaschema != schema)
        resource->draft = gw_resource_of(metaschema)->draft;
    return take_vocabularies(r, metaschema, resource);
}

/* --- resources and anchors --- */

static struct gw_resource *add_resource(struct gw_resolver *r, struct gw_doc_node *root, const char *uri)
{
    const struct gw_resource *around = gw_resource_of(root);
    struct gw_resource *resource = gw_arena_alloc(&r->arena, sizeof *resource);
    const char *kept = keep(r, uri);
    if (!resource || !kept)
        return NULL;
    *resource = (struct gw_resource){.uri = kept, .root = root, .index = r->resource_count++};
    resource->draft = around ? around->draft : r->options->draft ? r->options->draft : GW_DRAFT_2020_12;
    resource->vocabularies = around ? around->vocabularies
                                    : GW_VOCABULARY_CORE | GW_VOCABULARY_APPLICATOR |
                                          GW_VOCABULARY_UNEVALUATED | GW_VOCABULARY_VALIDATION;
    root->resource = resource;
    if (r->last)
        r->last->next = resource;
    else
        r->first = resource;
    r->last = resource;
    return resource;
}

static int put_uri(struct gw_resolver *r, const char *uri, struct gw_doc_node *node)
{
    struct gw_doc_node *there = gw_map_get(&r->uris, NULL, uri, strlen(uri));
    if (there == node)
        return 0;
    if (there)
        return gw_schema_fail(r->error, GW_EINVALID, node, "the same $id stands twice");
    const char *kept = keep(r, uri);
    return kept && gw_map_put(&r->uris, NULL, kept, strlen(kept), node) == 0 ? 0 : out_of_memory(r);
}

static int put_anchor(struct gw_resolver *r, struct gw_resource *resource, const char *name, size_t len,
                      struct gw_doc_node *node)
{
    int rc = gw_map_put(&r->anchors, resource, name, len, node);
    if (rc == GW_EINVALID)
        return gw_schema_fail(r->error, GW_EINVALID, node,
                              "the same anchor stands twice in one schema resource");
    return rc == 0 ? 0 : out_of_memory(r);
}

/* Draft 7 §8.2.3: "$id": "#name" is an anchor. */
static int enter_fragment(struct gw_resolver *r, struct gw_doc_node *node, const char *fragment)
{
    struct gw_resource *resource = gw_resource_of(node);
    if (*fragment == '\0' || *fragment == '/')
        return 0;
    if (resource->draft != GW_DRAFT_7)
        return gw_schema_fail(r->error, GW_EINVALID, node, "$id must not have a fragment");
    const char *name = keep(r, fragment);
    return name ? put_anchor(r, resource, name, strlen(name), node) : out_of_memory(r);
}

static int enter_id(struct gw_resolver *r, struct gw_doc_node *node)
{
    const struct gw_doc_node *id = member(r, node, "$id");
    struct gw_resource *resource = gw_resource_of(node);
    if (!id || (resource->draft == GW_DRAFT_7 && member(r, node, "$ref")))
        return 0;
    char uri[GW_URI_MAX], fragment[GW_URI_MAX];
    if (id->kind != GW_KIND_STRING || gw_uri_resolve(resource->uri, id->text, id->text_len, uri) != 0 ||
        gw_uri_split(uri, fragment) != 0)
        return gw_schema_fail(r->error, GW_EINVALID, id, "$id must be a URI reference");
    if (strcmp(uri, resource->uri) == 0)
        return enter_fragment(r, node, fragment);
    int rc = put_uri(r, uri, node);
    if (rc != 0)
        return rc;
    if (resource->root == node) { /* the document's own name goes before where it was found */
        resource->uri = keep(r, uri);
        if (!resource->uri)
            return out_of_memory(r);
    } else {
        if (r->resource_count >= RESOURCE_COUNT_MAX)
            return gw_schema_fail(r->error, GW_ELIMIT, id, "too many schema resources");
        resource = add_resource(r, node, uri);
        if (!resource)
            return out_of_memory(r);
        rc = take_draft(r, node, resource);
    }
    return rc != 0 ? rc : enter_fragment(r, node, fragment);
}

static int enter_anchors(struct gw_resolver *r, struct gw_doc_node *node)
{
    struct gw_resource *resource = gw_resource_of(node);
    const struct gw_doc_node *anchor = member(r, node, "$anchor"),
                             *dynamic = member(r, node, "$dynamicAnchor");
    if (resource->draft == GW_DRAFT_7)
        return 0;
    if ((anchor && anchor->kind != GW_KIND_STRING) || (dynamic && dynamic->kind != GW_KIND_STRING))
        return gw_schema_fail(r->error, GW_EINVALID, node, "$anchor and $dynamicAnchor must be strings");
    int rc = anchor ? put_anchor(r, resource, anchor->text, anchor->text_len, node) : 0;
    if (rc != 0 || !dynamic)
        return rc;
    if (!anchor || anchor->text_len != dynamic->text_len ||
        memcmp(anchor->text, dynamic->text, anchor->text_len) != 0)
        rc = put_anchor(r, resource, dynamic->text, dynamic->text_len, node);
    struct gw_dynamic_anchor *made = gw_arena_alloc(&r->arena, sizeof *made);
    if (rc != 0 || !made)
        return rc != 0 ? rc : out_of_memory(r);
    *made = (struct gw_dynamic_anchor){.next = resource->anchors, .name = dynamic, .node = node};
    resource->anchors = made;
    return 0;
}

/* Looks for $id and anchors where schemas are, and nowhere else: an enum may hold what looks like one. */
static int scan(struct gw_resolver *r, struct gw_doc_node *node)
{
    if (node->kind != GW_KIND_OBJECT || node->scanned)
        return 0;
    node->scanned = true;
    int rc = enter_id(r, node);
    if (rc == 0)
        rc = enter_anchors(r, node);
    for (struct gw_doc_node *child = node->first; child && rc == 0; child = child->next) {
        uint32_t keyword = gw_names_find(&r->keywords, child->key, child->key_len);
        enum gw_keyword_shape shape = keyword == GW_NAME_NONE ? GW_SHAPE_VALUE : gw_keyword_shape(keyword);
        if (shape == GW_SHAPE_VALUE)
            continue;
        if (shape == GW_SHAPE_ONE || (shape == GW_SHAPE_ANY && child->kind == GW_KIND_OBJECT)) {
            rc = scan(r, child);
            continue;
        }
        for (struct gw_doc_node *each = child->first; each && rc == 0; each = each->next)
            rc = scan(r, each);
    }
    return rc;
}

/* --- documents --- */

static int read_document(struct gw_resolver *r, const char *text, size_t len, const char *uri,
                         struct gw_doc_node **out)
{
    struct gw_doc_node *root;
    if (len > r->text_bytes_max - r->text_bytes || r->document_count >= DOCUMENT_COUNT_MAX)
        return gw_error_set(r->error, GW_ELIMIT, 0, "schema %s: too many documents, or too large", uri);
    r->text_bytes += len;
    r->document_count++;
    int rc = gw_document_parse(text, len, &r->arena, &r->members, &root);
    if (rc != 0)
        return gw_error_set(r->error, rc, 0, "schema %s: not JSON, a member stands twice, or nested too deep",
                            uri);
    struct gw_resource *resource = add_resource(r, root, uri);
    if (!resource)
        return out_of_memory(r);
    rc = put_uri(r, uri, root);
    if (rc == 0)
        rc = take_draft(r, root, resource);
    if (rc == 0)
        rc = scan(r, root);
    *out = root;
    return rc;
}

static int load_document(struct gw_resolver *r, const char *uri, const struct gw_doc_node *from,
                         struct gw_doc_node **out)
{
    const char *known = gw_metaschema_find(uri);
    if (known)
        return read_document(r, known, strlen(known), uri, out);
    char *text = NULL;
    size_t len = 0;
    int rc = r->options->load ? r->options->load(r->options->load_context, uri, &text, &len) : GW_ENOTFOUND;
    if (rc != 0) {
        char what[256];
        (void)snprintf(what, sizeof what, "%.160s is not known here: register or hand in that schema first",
                       uri);
        return gw_schema_fail(r->error, rc == GW_ENOTFOUND ? GW_EINVALID : rc, from, what);
    }
    struct gw_text *kept = gw_arena_alloc(&r->arena, sizeof *kept);
    if (!kept) {
        free(text);
        return out_of_memory(r);
    }
    *kept = (struct gw_text){.next = r->texts, .text = text};
    r->texts = kept;
    return read_document(r, text, len, uri, out);
}

int gw_resolver_open(struct gw_resolver *r, const char *text, size_t len,
                     const struct gw_schema_options *options, struct gw_doc_node **out,
                     struct gw_error *error)
{
    *r = (struct gw_resolver){.options = options, .error = error};
    r->text_bytes_max = options->text_bytes_max ? options->text_bytes_max : TEXT_BYTES_DEFAULT;
    gw_arena_init(&r->arena, 16384, 65536 + r->text_bytes_max * ARENA_FACTOR);
    int rc = gw_names_build(gw_keyword_names, GW_KW_COUNT, r->keyword_slots, &r->keywords);
    if (rc != 0)
        return rc;
    return read_document(r, text, len, options->uri ? options->uri : "", out);
}

void gw_resolver_close(struct gw_resolver *r)
{
    for (struct gw_text *text = r->texts; text; text = text->next)
        free(text->text);
    gw_map_free(&r->members);
    gw_map_free(&r->uris);
    gw_map_free(&r->anchors);
    gw_arena_free(&r->arena);
}

/* --- references --- */

/* RFC 6901 §4; the pointer's text is changed. NULL: leads nowhere. */
static struct gw_doc_node *follow(const struct gw_resolver *r, struct gw_doc_node *node, char *pointer)
{
    while (*pointer == '/' && node) {
        char *token = ++pointer, *out = token;
        for (; *pointer && *pointer != '/'; pointer++) {
            char c = *pointer;
            if (c == '~') {
                if (pointer[1] != '0' && pointer[1] != '1')
                    return NULL;
                c = *++pointer == '0' ? '~' : '/';
            }
            *out++ = c;
        }
        const size_t len = (size_t)(out - token);
        if (node->kind == GW_KIND_OBJECT) {
            node = gw_map_get(&r->members, node, token, len);
            continue;
        }
        char number[12];
        if (node->kind != GW_KIND_ARRAY || len == 0 || len >= sizeof number)
            return NULL;
        memcpy(number, token, len);
        number[len] = '\0';
        char *rest;
        unsigned long index = strtoul(number, &rest, 10);
        if (*rest || *number < '0' || *number > '9')
            return NULL;
        for (node = node->first; node && node->index != index;)
            node = node->next;
    }
    return *pointer ? NULL : node;
}

/*
 * A name of the references of this document (references.h) stands for a registered version: the URI becomes that version's. Only the
 * document's own names count, so that what it means does not depend on who refers to it.
 */
static int rename_referenced(struct gw_resolver *r, const struct gw_doc_node *from, char uri[GW_URI_MAX])
{
    const struct gw_doc_node *root = from;
    char name[GW_URI_MAX], fragment[GW_URI_MAX];
    while (root->up)
        root = root->up;
    const struct gw_doc_node *list =
        root->kind == GW_KIND_OBJECT ? member(r, root, GW_REFERENCES_MEMBER) : NULL;
    if (list && list->count > GW_REFERENCES_MAX)
        return gw_schema_fail(r->error, GW_EINVALID, list, "there are too many references");
    for (const struct gw_doc_node *each = list ? list->first : NULL; each; each = each->next) {
        if (each->kind != GW_KIND_STRING || !each->key ||
            gw_uri_resolve(gw_resource_of(from)->uri, each->key, each->key_len, name) != 0 ||
            gw_uri_split(name, fragment) != 0 || strcmp(name, uri) != 0)
            continue;
        const int len = snprintf(uri, GW_URI_MAX, GW_SCHEMA_URN "%.*s", (int)each->text_len, each->text);
        return len > 0 && len < GW_URI_MAX
                   ? 0
                   : gw_schema_fail(r->error, GW_EINVALID, each, "a reference must be SUBJECT:VERSION");
    }
    return 0;
}

int gw_resolver_find(struct gw_resolver *r, struct gw_doc_node *from, const struct gw_doc_node *reference,
                     struct gw_doc_node **out, bool *out_dynamic)
{
    char uri[GW_URI_MAX], fragment[GW_URI_MAX];
    if (reference->kind != GW_KIND_STRING ||
        gw_uri_resolve(gw_resource_of(from)->uri, reference->text, reference->text_len, uri) != 0 ||
        gw_uri_split(uri, fragment) != 0)
        return gw_schema_fail(r->error, GW_EINVALID, reference, "a reference must be a URI reference");
    const bool within = reference->text_len == 0 || reference->text[0] == '#';
    int rc = within ? 0 : rename_referenced(r, from, uri);
    if (rc != 0)
        return rc;
    struct gw_doc_node *node = gw_map_get(&r->uris, NULL, uri, strlen(uri));
    rc = node ? 0 : load_document(r, uri, reference, &node);
    if (rc != 0 || !node)
        return rc;
    const bool named = *fragment != '\0' && *fragment != '/';
    if (named)
        node = gw_map_get(&r->anchors, gw_resource_of(node), fragment, strlen(fragment));
    else
        node = follow(r, node, fragment);
    if (!node || (node->kind != GW_KIND_OBJECT && node->kind != GW_KIND_BOOL))
        return gw_schema_fail(r->error, GW_EINVALID, reference, "the reference leads to no schema");
    const struct gw_doc_node *anchor = named ? member(r, node, "$dynamicAnchor") : NULL;
    *out_dynamic = anchor && text_is(anchor, fragment) && gw_resource_of(node)->draft != GW_DRAFT_7;
    *out = node;
    return scan(r, node);
}
