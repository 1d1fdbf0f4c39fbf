/*
 * What a schema declares: its attributes (the members of the event's root that it names) and the annotations under
 * `x-tributary`. They never decide whether an event is valid.
 *
 * In the schema's root:  "x-tributary": {"owner": "...", "lake": "...", "undeclared": "drop|reject|keep", "partition": "..."}
 * In an attribute:       "x-tributary": {"privacy": "none|personal|secret", "lake": "...", "vocabulary": "..."}
 */
#ifndef GW_SCHEMA_ATTRIBUTES_H
#define GW_SCHEMA_ATTRIBUTES_H

#include <stdbool.h>

#include "schema/declared.h"
#include "schema/names.h"
#include "schema/references.h"
#include "schema/schema.h"

/* What happens to an attribute before anything is stored. */
enum gw_privacy_class {
    GW_PRIVACY_NONE,     /* stored as it is */
    GW_PRIVACY_PERSONAL, /* a pseudonym takes its place */
    GW_PRIVACY_SECRET,   /* never stored */
};

/* What happens to members that the schema does not declare. */
enum gw_undeclared { GW_UNDECLARED_DROP, GW_UNDECLARED_REJECT, GW_UNDECLARED_KEEP };

/* Texts end with NUL; "" where the schema says nothing. */
struct gw_attribute {
    const char *name;
    uint32_t name_len;
    const char *type;        /* of `type` or `const`: "integer", "string or null"; "" if it says none */
    const char *description; /* of `description` or `title` */
    const char *vocabulary;  /* the built-in field that it is the same as */
    const char *lake;        /* type in the lake */
    enum gw_privacy_class privacy;
    bool privacy_stated; /* "none" was said, and not only left out */
    bool required;
};

struct gw_attributes {
    struct gw_names names; /* index: into list */
    const struct gw_attribute *list;
    uint32_t count;
    struct gw_declared declared;           /* at every depth */
    const struct gw_reference *references; /* by name, to registered versions */
    uint32_t reference_count;
    size_t bytes;  /* of memory, all of this together */
    bool personal; /* one attribute at least, at any depth, is personal or secret */
    enum gw_undeclared undeclared;
    bool undeclared_stated; /* else the configuration decides */
    const char *title, *description, *owner, *lake, *partition;
};

/* NULL: not declared. name need not end with NUL. Lock-free, no allocation. */
static inline const struct gw_attribute *gw_attribute_find(const struct gw_attributes *attributes,
                                                           const char *name, size_t len)
{
    uint32_t index = gw_names_find(&attributes->names, name, (uint32_t)len);
    return index == GW_NAME_NONE ? NULL : &attributes->list[index];
}

/*
 * Reads a schema's attributes: those of `properties`, through $ref, allOf, anyOf, oneOf, if, then, else and dependentSchemas. The
 * result is the caller's, for gw_attributes_free. GW_EINVALID: an annotation is not one (*error says where); GW_ELIMIT; GW_ENOMEM.
 */
GW_MUST_CHECK int gw_attributes_read(const char *text, size_t len, const struct gw_schema_options *options,
                                     struct gw_attributes **out, struct gw_error *error);
void gw_attributes_free(struct gw_attributes *attributes);

#endif
