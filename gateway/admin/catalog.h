/* The catalog: what data there is, where it lies, who answers for it. */
#ifndef GW_ADMIN_CATALOG_H
#define GW_ADMIN_CATALOG_H

#include <cjson/cJSON.h>

#include "schema/registry.h"

/*
 * An array with an object for each subject (its newest version) and each built-in event type: name, built_in, owner, lake, stream,
 * description, attributes (name, type, privacy, required, description), and version and id of what is registered. The caller's;
 * NULL: out of memory.
 */
cJSON *gw_admin_catalog(const struct gw_schemas *schemas);

/* Those rows as an HTML page for people; UTF-8. The caller's, by free(); NULL: out of memory. */
char *gw_admin_catalog_page(const cJSON *rows, size_t *out_len);

#define GW_CATALOG_PLACE_MAX 512
/* Where a subject's events lie in the lake; lake: what its schema says of it, or "". */
void gw_catalog_place(const char *name, const char *lake, char out[GW_CATALOG_PLACE_MAX]);
/* The names of enum gw_privacy_class. */
extern const char *const gw_catalog_privacy[];

#endif
