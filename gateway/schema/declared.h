/*
 * What a schema declares, at every depth: which members an object may have by it, in the event's root, in nested objects and in
 * arrays of objects. Made once, beside the program; then an event is copied without what nobody declared, in one walk, without
 * a tree and without allocation.
 *
 * A member is declared if any schema that may speak of its object names it: through $ref, $dynamicRef, allOf, anyOf, oneOf,
 * if, then, else, dependentSchemas and dependencies, whichever branch holds (docs/schemas.md). An object of which nothing is
 * declared is taken to hold anything, but for the root.
 */
#ifndef GW_SCHEMA_DECLARED_H
#define GW_SCHEMA_DECLARED_H

#include "base/arena.h"
#include "schema/names.h"
#include "schema/regex.h"
#include "schema/resolve.h"
#include "schema/schema.h"

#define GW_PLACE_ANYTHING 0 /* nothing is declared here or deeper */
#define GW_PLACE_ROOT 1

/* All values of which the same schemas speak. */
struct gw_declared_place {
    struct gw_names names;  /* of properties */
    const uint32_t *places; /* of their values, by name */
    const struct gw_regex *const *patterns;
    uint32_t pattern_count;
    uint32_t rest;  /* place of values under names that a pattern or a rest takes */
    uint32_t items; /* place of what stands in an array */
    bool
        open; /* additionalProperties or unevaluatedProperties with a schema of its own: every name is declared */
    bool closed; /* names that are not declared are none of this object */
};

struct gw_declared {
    const struct gw_declared_place *places;
    uint32_t count;
    bool deep; /* more than the root is declared */
    struct gw_regex *regexes;
};

/*
 * Reads it from a schema's tree; root is the schema. What it holds is the arena's, but for gw_declared_free. GW_EINVALID: a
 * reference or pattern is none; GW_ELIMIT: too much is declared, or the arena is full; GW_ENOMEM. *error says what.
 */
GW_MUST_CHECK int gw_declared_build(struct gw_resolver *resolver, struct gw_doc_node *root,
                                    struct gw_arena *arena, struct gw_declared *out, struct gw_error *error);
void gw_declared_free(struct gw_declared *declared);

/* One event being looked through. */
struct gw_declared_walk {
    const struct gw_declared *declared;
    const struct gw_cursor *cursor; /* CBOR */
    struct gw_schema_scratch *scratch;
    int64_t fuel;
    uint8_t *out; /* where the copy goes; NULL: members are counted only */
    size_t len;   /* of the copy so far */
    uint32_t undeclared;
};

/*
 * Whether a member with this name is declared in a place; any thread. 1 and *out_place, the place of its value; 0: not (and
 * *out_place is GW_PLACE_ANYTHING); or GW_ELIMIT, GW_EFULL of a regular expression.
 */
int gw_declared_find(struct gw_declared_walk *walk, uint32_t place, const char *name, size_t len,
                     uint32_t *out_place);
/*
 * Copies a value without the members that its place does not declare, and counts them. A copy is never longer than the value.
 * value->after is set. 0, GW_EPROTOCOL, GW_ELIMIT or GW_EFULL as of reading. depth: how many levels are allowed.
 */
int gw_declared_copy(struct gw_declared_walk *walk, uint32_t place, struct gw_value *value, unsigned depth);

#endif
