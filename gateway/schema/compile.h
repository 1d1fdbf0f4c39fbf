/* What the files of the compiler share. */
#ifndef GW_SCHEMA_COMPILE_H
#define GW_SCHEMA_COMPILE_H

#include "schema/formats.h"
#include "schema/regex.h"
#include "schema/resolve.h"

struct gw_compiler {
    struct gw_resolver resolver;
    struct gw_schema *schema;       /* that is made */
    struct gw_doc_node **documents; /* by node: what it is made from */
    uint32_t node_room, op_room;
    struct gw_dynamic_use *dynamic; /* chain of $dynamicRef met */
    struct gw_error *error;
    bool assert_formats;
};

/* A $dynamicRef, to be finished when all nodes are known. */
struct gw_dynamic_use {
    struct gw_dynamic_use *next;
    struct gw_dynamic_rule *rule;
    const char *name;
    uint32_t name_len;
};

/* Zeroed memory that lives as long as the schema; NULL with the error set. */
void *gw_compile_alloc(struct gw_compiler *c, size_t bytes);
/* The node of a schema; made now, its instructions later. */
GW_MUST_CHECK int gw_compile_node(struct gw_compiler *c, struct gw_doc_node *schema, uint32_t *out);
/* *out = GW_NODE_NONE if there is no such keyword. */
GW_MUST_CHECK int gw_compile_optional(struct gw_compiler *c, struct gw_doc_node *schema, uint32_t *out);
GW_MUST_CHECK int gw_compile_emit(struct gw_compiler *c, enum gw_op_code code, unsigned kinds,
                                  unsigned keyword, uint32_t arg, const void *rule);
/* "keyword must be ...": GW_EINVALID */
int gw_compile_refuse(struct gw_compiler *c, const struct gw_doc_node *where, const char *what);
/* An integer that is not negative; beyond 64 bits: UINT64_MAX. otherwise where there is no such keyword. */
GW_MUST_CHECK int gw_compile_count(struct gw_compiler *c, const struct gw_doc_node *node, uint64_t otherwise,
                                   uint64_t *out);
/* A list of nodes from an array of schemas. */
GW_MUST_CHECK int gw_compile_list(struct gw_compiler *c, const struct gw_doc_node *array,
                                  const struct gw_list **out);
GW_MUST_CHECK int gw_compile_regex(struct gw_compiler *c, const struct gw_doc_node *where, const char *text,
                                   size_t len, const struct gw_regex **out);
const char *gw_compile_keep(struct gw_compiler *c, const char *text, size_t len);

/* Each emits what the keywords of its kind ask for. */
GW_MUST_CHECK int gw_compile_numbers(struct gw_compiler *c, struct gw_doc_node *const kw[GW_KW_COUNT]);
GW_MUST_CHECK int gw_compile_strings(struct gw_compiler *c, struct gw_doc_node *const kw[GW_KW_COUNT]);
GW_MUST_CHECK int gw_compile_choices(struct gw_compiler *c, struct gw_doc_node *const kw[GW_KW_COUNT]);
GW_MUST_CHECK int gw_compile_object(struct gw_compiler *c, struct gw_doc_node *const kw[GW_KW_COUNT]);
GW_MUST_CHECK int gw_compile_array(struct gw_compiler *c, struct gw_doc_node *const kw[GW_KW_COUNT],
                                   bool draft_7);

#endif
