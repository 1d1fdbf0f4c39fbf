/*
 * The registry of schemas over HTTP, in the dialect of the Confluent Schema Registry (application/vnd.schemaregistry.v1+json):
 * subjects, versions, ids, compatibility, config, mode. What is registered is immutable, so nothing is ever deleted; schemas are
 * of type JSON, in one document each. docs/custom-events.md lists the paths.
 */
#ifndef GW_ADMIN_REGISTRY_H
#define GW_ADMIN_REGISTRY_H

#include "admin/routes.h"
#include "schema/registry.h"

#define GW_REGISTRY_TYPE "application/vnd.schemaregistry.v1+json"

/* The dialect's codes; the HTTP status is the code's first three digits. */
enum gw_registry_code {
    GW_REGISTRY_NO_SUBJECT = 40401,
    GW_REGISTRY_NO_VERSION = 40402,
    GW_REGISTRY_NO_SCHEMA = 40403,
    GW_REGISTRY_NO_LEVEL = 40408,
    GW_REGISTRY_NO_MODE = 40409,
    GW_REGISTRY_IMMUTABLE = 405,
    GW_REGISTRY_INCOMPATIBLE = 409,
    GW_REGISTRY_BAD_SCHEMA = 42201,
    GW_REGISTRY_BAD_VERSION = 42202,
    GW_REGISTRY_BAD_LEVEL = 42203,
    GW_REGISTRY_BAD_MODE = 42204,
    GW_REGISTRY_NOT_PERMITTED = 42205,
    GW_REGISTRY_BAD_SUBJECT = 42208,
    GW_REGISTRY_STORE = 50001,
};

#define GW_REGISTRY_PARTS 6

/* A request, taken apart. */
struct gw_registry_call {
    struct gw_schemas *schemas;
    const struct gw_admin_question *question;
    char parts[GW_REGISTRY_PARTS][160]; /* of the path, decoded */
    size_t count;
    struct gw_admin_answer *out;
};

/* False: not one of its paths. schemas: NULL while there is none. */
bool gw_admin_registry(struct gw_schemas *schemas, const struct gw_admin_question *question,
                       struct gw_admin_answer *out);

/* --- what its files share --- */
void gw_registry_fail(struct gw_registry_call *call, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Takes the tree over. */
void gw_registry_answer(struct gw_registry_call *call, cJSON *tree);
/* The registry's own refusals: of a schema, of a setting. */
void gw_registry_refuse(struct gw_registry_call *call, int rc, const struct gw_compat_report *report,
                        const struct gw_error *error);
/* The subject that a part names, with versions; NULL: 40401 has been answered. */
const struct gw_schema_subject *gw_registry_subject(struct gw_registry_call *call, const char *name);
/* A version by number or "latest"; NULL: answered. */
const struct gw_schema_version *
gw_registry_version(struct gw_registry_call *call, const struct gw_schema_subject *subject, const char *text);
/* A schema as a client knows it: its type, its text without its references, and these beside it. */
void gw_registry_add_schema(cJSON *tree, const struct gw_schema_entry *entry);
/* Its text alone. */
void gw_registry_answer_text(struct gw_registry_call *call, const struct gw_schema_entry *entry);
bool gw_registry_is(const struct gw_registry_call *call, enum gw_http_method method);

/* subjects/…, compatibility/…; schemas/…; config/…, mode/…. False: no such path. */
bool gw_registry_subjects(struct gw_registry_call *call);
bool gw_registry_compatibility(struct gw_registry_call *call);
bool gw_registry_ids(struct gw_registry_call *call);
bool gw_registry_settings(struct gw_registry_call *call);

#endif
