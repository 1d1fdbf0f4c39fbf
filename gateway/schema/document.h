/* Schema documents while they are compiled: JSON as a tree with parents, numbers as their text, members found by a hash. */
#ifndef GW_SCHEMA_DOCUMENT_H
#define GW_SCHEMA_DOCUMENT_H

#include "base/arena.h"
#include "schema/value.h"

struct gw_location;
struct gw_resource;

struct gw_doc_node {
    struct gw_doc_node *up, *first, *next;
    const char *key; /* in its object; NULL in arrays and at the root */
    uint32_t key_len, index;
    uint8_t kind; /* enum gw_value_kind */
    bool truth, scanned;
    const char *text; /* string: decoded; number: as written */
    uint32_t text_len, count;
    const char *source; /* as written */
    uint32_t source_len;
    uint32_t compiled;                  /* node of the program plus 1 */
    struct gw_resource *resource;       /* of which this is the root; NULL: see the parents */
    const struct gw_location *location; /* made when first asked for */
};

/* From (owner, name) to a pointer. Owners are compared by address. */
struct gw_map_entry {
    const void *owner;
    const char *name;
    size_t len;
    void *value;
};

struct gw_map {
    struct gw_map_entry *entries;
    size_t count, slots;
};

void gw_map_free(struct gw_map *map);
void *gw_map_get(const struct gw_map *map, const void *owner, const char *name, size_t len);
/* name is borrowed. 0, GW_ENOMEM, or GW_EINVALID if it is there already. */
GW_MUST_CHECK int gw_map_put(struct gw_map *map, const void *owner, const char *name, size_t len,
                             void *value);

/*
 * text is borrowed by the tree. GW_EINVALID: not JSON, or a member twice; GW_ELIMIT: too deep; GW_ENOMEM: beyond the arena.
 */
GW_MUST_CHECK int gw_document_parse(const char *text, size_t len, struct gw_arena *arena,
                                    struct gw_map *members, struct gw_doc_node **out);

#endif
