/*
 * References: names by which a schema refers to registered versions. They are part of the schema, as a member of its root,
 *     "x-tributary-references": {"address.json": "address:1"}
 * so that they are stored, hashed, compared and written to files with it, and mean the same for ever. Clients of the registry
 * have them beside the schema's text; here one becomes the other.
 *
 * A $ref that resolves to what a name resolves to, by the same base URI, leads to that version (resolve.h). What is referred to has
 * names of its own.
 */
#ifndef GW_SCHEMA_REFERENCES_H
#define GW_SCHEMA_REFERENCES_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define GW_REFERENCES_MEMBER "x-tributary-references"
#define GW_REFERENCES_MAX 64
#define GW_SCHEMA_URN "urn:tributary:schema:" /* SUBJECT:VERSION */

/* Texts are borrowed. */
struct gw_reference {
    const char *name;
    const char *subject;
    uint32_t version;
};

/*
 * The schema's text with its references; *out_text is the caller's, for free. GW_EINVALID: the text is no object, has the member
 * already, or a reference is none or stands twice; GW_ELIMIT: more than GW_REFERENCES_MAX; GW_ENOMEM.
 */
GW_MUST_CHECK int gw_references_join(const char *text, size_t len, const struct gw_reference *list,
                                     size_t count, char **out_text, struct gw_error *error);
/* The text without the member, as it was but for that and a comma; *out_text is the caller's, for free. GW_EINVALID: no JSON. */
GW_MUST_CHECK int gw_references_part(const char *text, size_t len, char **out_text);

#endif
