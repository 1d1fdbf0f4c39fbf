/* Documents, resources ($id), anchors, and what a reference means. JSON Schema Core §8.2, §9. */
#ifndef GW_SCHEMA_RESOLVE_H
#define GW_SCHEMA_RESOLVE_H

#include "schema/document.h"
#include "schema/program.h"
#include "schema/uri.h"

enum gw_vocabulary {
    GW_VOCABULARY_CORE = 1,
    GW_VOCABULARY_APPLICATOR = 2,
    GW_VOCABULARY_UNEVALUATED = 4,
    GW_VOCABULARY_VALIDATION = 8,
    GW_VOCABULARY_FORMAT_ASSERTION = 16,
};

enum gw_keyword_shape { GW_SHAPE_VALUE, GW_SHAPE_ONE, GW_SHAPE_LIST, GW_SHAPE_MAP, GW_SHAPE_ANY };

struct gw_dynamic_anchor {
    struct gw_dynamic_anchor *next;
    const struct gw_doc_node *name; /* its text */
    struct gw_doc_node *node;
};

struct gw_resource {
    const char *uri; /* absolute, without fragment; "" if it has none */
    struct gw_doc_node *root;
    enum gw_schema_draft draft;
    unsigned vocabularies;
    uint32_t index;
    struct gw_dynamic_anchor *anchors;
    struct gw_resource *next; /* in order of index */
};

struct gw_text {
    struct gw_text *next;
    char *text;
};

struct gw_resolver {
    const struct gw_schema_options *options;
    struct gw_arena arena;
    struct gw_map members, uris, anchors;
    struct gw_resource *first, *last;
    uint32_t resource_count, document_count;
    size_t text_bytes, text_bytes_max;
    struct gw_text *texts; /* loaded documents */
    struct gw_names keywords;
    uint32_t keyword_slots[256];
    struct gw_error *error;
};

/* Reads the schema itself. Errors as of gw_schema_compile; in any case to be closed. */
GW_MUST_CHECK int gw_resolver_open(struct gw_resolver *r, const char *text, size_t len,
                                   const struct gw_schema_options *options, struct gw_doc_node **out,
                                   struct gw_error *error);
void gw_resolver_close(struct gw_resolver *r);

/* The schema that a $ref or $dynamicRef in `from` names; *out_dynamic: its fragment is that schema's $dynamicAnchor. */
GW_MUST_CHECK int gw_resolver_find(struct gw_resolver *r, struct gw_doc_node *from,
                                   const struct gw_doc_node *reference, struct gw_doc_node **out,
                                   bool *out_dynamic);

struct gw_resource *gw_resource_of(const struct gw_doc_node *node);
/* The values of the keywords that count in this schema, by enum gw_keyword; NULL where there is none. */
void gw_resolver_keywords(const struct gw_resolver *r, const struct gw_doc_node *schema,
                          struct gw_doc_node *out[GW_KW_COUNT]);
/* What is in a keyword in a draft. */
enum gw_keyword_shape gw_keyword_shape(unsigned keyword);

/* A JSON pointer to a node of a document, with long names cut; the length it has or would have. */
size_t gw_document_pointer(const struct gw_doc_node *node, char *out, size_t room);
/* "schema, where: what": code. */
int gw_schema_fail(struct gw_error *error, int code, const struct gw_doc_node *where, const char *what);

/* A draft's own metaschema or vocabulary; NULL: not one of them. uri without fragment. */
const char *gw_metaschema_find(const char *uri);

#endif
