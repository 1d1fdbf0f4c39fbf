/* Which keywords there are, and which of them count in a schema. */
#include <stdio.h>

#include "schema/resolve.h"

#define BOTH 0
#define CORE GW_VOCABULARY_CORE
#define APPLICATOR GW_VOCABULARY_APPLICATOR
#define UNEVALUATED GW_VOCABULARY_UNEVALUATED
#define VALIDATION GW_VOCABULARY_VALIDATION

const struct gw_name gw_keyword_names[GW_KW_COUNT] = {
#define X(name, text, shape, drafts, vocabulary) {text, sizeof(text) - 1},
#include "schema/keywords.def"
#undef X
};

static const struct {
    uint8_t shape;
    uint16_t draft;
    uint8_t vocabulary;
} facts[GW_KW_COUNT] = {
#define X(name, text, shape, drafts, vocabulary) {GW_SHAPE_##shape, drafts, vocabulary},
#include "schema/keywords.def"
#undef X
};

enum gw_keyword_shape gw_keyword_shape(unsigned keyword)
{
    return facts[keyword].shape;
}

static void clear(struct gw_doc_node *out[GW_KW_COUNT])
{
    for (unsigned i = 0; i < GW_KW_COUNT; i++)
        out[i] = NULL;
}

void gw_resolver_keywords(const struct gw_resolver *r, const struct gw_doc_node *schema,
                          struct gw_doc_node *out[GW_KW_COUNT])
{
    const struct gw_resource *resource = gw_resource_of(schema);
    clear(out);
    for (struct gw_doc_node *child = schema->first; child; child = child->next) {
        uint32_t keyword = gw_names_find(&r->keywords, child->key, child->key_len);
        if (keyword == GW_NAME_NONE ||
            (facts[keyword].draft != BOTH && facts[keyword].draft != (int)resource->draft))
            continue;
        if (facts[keyword].vocabulary & resource->vocabularies)
            out[keyword] = child;
    }
    struct gw_doc_node *reference = out[GW_KW_REF];
    if (resource->draft == GW_DRAFT_7 && reference) { /* draft 7 §8.3: what stands beside $ref is ignored */
        clear(out);
        out[GW_KW_REF] = reference;
    }
}

size_t gw_document_pointer(const struct gw_doc_node *node, char *out, size_t room)
{
    if (!node->up)
        return 0;
    size_t n = gw_document_pointer(node->up, out, room);
    if (n >= room)
        return n;
    int more = node->key ? snprintf(out + n, room - n, "/%.*s",
                                    (int)(node->key_len > 60 ? 60 : node->key_len), node->key)
                         : snprintf(out + n, room - n, "/%u", node->index);
    return n + (size_t)(more > 0 ? more : 0);
}

int gw_schema_fail(struct gw_error *error, int code, const struct gw_doc_node *where, const char *what)
{
    char pointer[300] = "";
    const struct gw_doc_node *root = where;
    while (root->up)
        root = root->up;
    (void)gw_document_pointer(where, pointer, sizeof pointer);
    return gw_error_set(error, code, 0, "schema %.100s#%.200s: %s", root->resource ? root->resource->uri : "",
                        pointer, what);
}
