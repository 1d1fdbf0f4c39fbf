/* Two schemas as trees, and what both parts of the compatibility check (house rule, containment) ask of them. */
#ifndef GW_SCHEMA_COMPAT_TREE_H
#define GW_SCHEMA_COMPAT_TREE_H

#include "schema/compat.h"
#include "schema/resolve.h"

struct gw_compat_tree {
    struct gw_resolver resolver;
    struct gw_doc_node *root;
    bool keeps_undeclared; /* x-tributary.undeclared is keep */
};

struct gw_compat {
    struct gw_compat_tree old, new;
    struct gw_compat_report *report;
    struct gw_error *error;
    const char *question;
    uint32_t version;
    unsigned faults; /* found, told or not */
    unsigned quiet;  /* above 0: faults decide, and are not told */
    int64_t fuel;
    int broken; /* GW_ELIMIT, GW_ENOMEM ...: no verdict */
};

#define GW_COMPAT_FUEL 20000000 /* steps, about 20 ns each */
#define GW_COMPAT_DEPTH 96

/* Counts a fault, and tells of it; GW_ECONFLICT always. where: in the schema that reads, or that has lost something. */
int gw_compat_fault(struct gw_compat *c, const struct gw_doc_node *where, const char *rule,
                    const char *format, ...) __attribute__((format(printf, 4, 5)));
/* No verdict; returns code. */
int gw_compat_break(struct gw_compat *c, int code);
/* 0, or GW_ELIMIT once the fuel is used up. */
GW_MUST_CHECK int gw_compat_pay(struct gw_compat *c, uint32_t steps);

struct gw_doc_node *gw_compat_member(const struct gw_compat_tree *tree, const struct gw_doc_node *node,
                                     const char *name);
/* The target of a $ref; NULL: none, or it leads nowhere (which compiling has ruled out). */
struct gw_doc_node *gw_compat_target(struct gw_compat_tree *tree, struct gw_doc_node *schema,
                                     const struct gw_doc_node *reference);

/* Kinds: a bit each of enum gw_value_kind, GW_KIND_NUMBER standing for numbers with a fraction, and GW_TYPE_INTEGER. */
#define GW_COMPAT_KINDS 0x7fu
#define GW_COMPAT_NUMBERS ((1u << GW_KIND_NUMBER) | GW_TYPE_INTEGER)
/* The kinds that a value may have by this schema alone; never too few. */
unsigned gw_compat_kinds(struct gw_compat_tree *tree, struct gw_doc_node *schema, unsigned depth);
unsigned gw_compat_kinds_of_type(const struct gw_doc_node *type); /* of the keyword's value */
unsigned gw_compat_kind_of(const struct gw_doc_node *value);
/* "integer or null" */
const char *gw_compat_kinds_text(unsigned kinds, char out[80]);

/* Schemas of a list; grows. */
struct gw_compat_list {
    struct gw_doc_node **nodes;
    size_t count, room;
};
void gw_compat_list_free(struct gw_compat_list *list);
/* GW_ENOMEM */
GW_MUST_CHECK int gw_compat_list_add(struct gw_compat_list *list, struct gw_doc_node *node);

/*
 * The schemas that may speak of the same value as this one: itself, and through $ref, allOf, anyOf, oneOf, if, then, else and
 * dependentSchemas. certain: only those that must hold ($ref, allOf). Each once; a list is only ever added to in one of the two ways.
 */
GW_MUST_CHECK int gw_compat_in_place(struct gw_compat_tree *tree, struct gw_doc_node *schema, bool certain,
                                     struct gw_compat_list *out);

GW_MUST_CHECK int gw_compat_house(struct gw_compat *c);
/* Every event of the writer is valid for the reader. */
GW_MUST_CHECK int gw_compat_contained(struct gw_compat *c, struct gw_compat_tree *writer,
                                      struct gw_compat_tree *reader);

#endif
