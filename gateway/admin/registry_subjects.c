/* subjects/… and compatibility/… */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "admin/answer.h"
#include "admin/registry.h"

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* --- the schema in a request --- */

/* One of the body's references, whose version is there. False: refused. */
static bool take_reference(struct gw_registry_call *call, const cJSON *item, struct gw_reference *out)
{
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "name"));
    const char *subject = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "subject"));
    const cJSON *version = cJSON_GetObjectItemCaseSensitive(item, "version");
    const bool numbered = cJSON_IsNumber(version) && version->valuedouble >= 1 &&
                          version->valuedouble == (double)version->valueint;
    if (!name || !subject || !numbered) {
        gw_registry_fail(call, GW_REGISTRY_BAD_SCHEMA,
                         "A reference must be {\"name\": text, \"subject\": text, \"version\": number}");
        return false;
    }
    *out = (struct gw_reference){.name = name, .subject = subject, .version = (uint32_t)version->valueint};
    if (gw_schemas_find(call->schemas, subject, strlen(subject), out->version))
        return true;
    gw_registry_fail(call, GW_REGISTRY_BAD_SCHEMA,
                     "Invalid reference %.200s: subject '%.128s' has no version %u", name, subject,
                     out->version);
    return false;
}

/* The schema's text with the body's references, kept in the body; NULL: refused. */
static const char *join_references(struct gw_registry_call *call, cJSON *body, const char *schema)
{
    struct gw_reference list[GW_REFERENCES_MAX];
    struct gw_error error = {0};
    const cJSON *item, *references = cJSON_GetObjectItemCaseSensitive(body, "references");
    size_t count = 0;
    if (cJSON_GetArraySize(references) == 0)
        return schema;
    if (cJSON_GetArraySize(references) > GW_REFERENCES_MAX) {
        gw_registry_fail(call, GW_REGISTRY_BAD_SCHEMA, "a schema has at most %d references",
                         GW_REFERENCES_MAX);
        return NULL;
    }
    cJSON_ArrayForEach(item, references)
    {
        if (!take_reference(call, item, &list[count++]))
            return NULL;
    }
    char *joined = NULL;
    int rc = gw_references_join(schema, strlen(schema), list, count, &joined, &error);
    if (rc != GW_OK) {
        gw_registry_refuse(call, rc, NULL, &error);
        return NULL;
    }
    const cJSON *kept = cJSON_AddStringToObject(body, "joined", joined);
    free(joined);
    if (!kept)
        gw_registry_fail(call, GW_REGISTRY_STORE, "out of memory");
    return cJSON_GetStringValue(kept);
}

/* The body's schema for the subject; *out_body owns its text. False: refused. */
static bool take_candidate(struct gw_registry_call *call, const char *subject, struct gw_schema_text *out,
                           cJSON **out_body)
{
    const struct gw_admin_question *question = call->question;
    cJSON *body = question->body ? cJSON_ParseWithLength(question->body, question->request->body_len) : NULL;
    const char *schema = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(body, "schema"));
    const char *type = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(body, "schemaType"));
    const char *text = NULL;
    *out_body = body;
    if (!schema)
        gw_registry_fail(call, body ? GW_REGISTRY_BAD_SCHEMA : 400,
                         "The body must be {\"schemaType\": \"JSON\", \"schema\": \"the schema's text\"}");
    else if (!type || strcmp(type, "JSON") != 0)
        gw_registry_fail(call, GW_REGISTRY_BAD_SCHEMA,
                         "schemaType must be JSON here (without one the dialect means AVRO)");
    else
        text = join_references(call, body, schema);
    if (text && strlen(text) > GW_SCHEMA_TEXT_MAX) {
        gw_registry_fail(call, GW_REGISTRY_BAD_SCHEMA, "a schema is at most %d KiB",
                         GW_SCHEMA_TEXT_MAX >> 10);
        text = NULL;
    }
    if (text) {
        *out = (struct gw_schema_text){.subject = subject, .text = text, .len = strlen(text)};
        return true;
    }
    cJSON_Delete(body);
    return false;
}

static cJSON *version_tree(const struct gw_schema_version *version)
{
    cJSON *tree = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(tree, "subject", gw_schema_subject_name(version->subject));
    (void)cJSON_AddNumberToObject(tree, "version", version->version);
    (void)cJSON_AddNumberToObject(tree, "id", version->schema->id);
    gw_registry_add_schema(tree, version->schema);
    return tree;
}

/* --- subjects/… --- */

static void list_subjects(struct gw_registry_call *call)
{
    cJSON *list = cJSON_CreateArray();
    for (const struct gw_schema_subject *s = NULL; (s = gw_schemas_next(call->schemas, s));)
        if (gw_schema_subject_versions(s) > 0)
            (void)cJSON_AddItemToArray(list, cJSON_CreateString(gw_schema_subject_name(s)));
    gw_registry_answer(call, list);
}

static void list_versions(struct gw_registry_call *call)
{
    const struct gw_schema_subject *subject = gw_registry_subject(call, call->parts[1]);
    if (!subject)
        return;
    cJSON *list = cJSON_CreateArray();
    for (uint32_t i = 1; i <= gw_schema_subject_versions(subject); i++)
        (void)cJSON_AddItemToArray(list, cJSON_CreateNumber(i));
    gw_registry_answer(call, list);
}

static void register_version(struct gw_registry_call *call)
{
    struct gw_schema_text candidate;
    struct gw_compat_report report = {.count = 0};
    struct gw_error error = {0};
    const struct gw_schema_version *version;
    cJSON *body;
    if (!take_candidate(call, call->parts[1], &candidate, &body))
        return;
    int rc = gw_schemas_register(call->schemas, &candidate, now_ms(), &report, &version, &error);
    cJSON_Delete(body);
    if (rc != GW_OK)
        gw_registry_refuse(call, rc, &report, &error);
    else
        gw_registry_answer(call, version_tree(version));
}

static void look_up(struct gw_registry_call *call)
{
    struct gw_schema_text candidate;
    struct gw_error error = {0};
    const struct gw_schema_version *version;
    cJSON *body;
    if (!gw_registry_subject(call, call->parts[1]) ||
        !take_candidate(call, call->parts[1], &candidate, &body))
        return;
    int rc = gw_schemas_find_text(call->schemas, &candidate, &version, &error);
    cJSON_Delete(body);
    if (rc == GW_ENOTFOUND)
        gw_registry_fail(call, GW_REGISTRY_NO_SCHEMA, "Schema not found");
    else if (rc != GW_OK)
        gw_registry_refuse(call, rc, NULL, &error);
    else
        gw_registry_answer(call, version_tree(version));
}

/* The ids of schemas that refer to this version by name. */
static cJSON *users_of(const struct gw_registry_call *call, const struct gw_schema_version *version)
{
    cJSON *list = cJSON_CreateArray();
    for (uint32_t id = 1; id <= gw_schemas_count(call->schemas); id++) {
        const struct gw_attributes *a = gw_schemas_by_id(call->schemas, id)->attributes;
        bool refers = false;
        for (uint32_t i = 0; i < a->reference_count && !refers; i++)
            refers = a->references[i].version == version->version &&
                     strcmp(a->references[i].subject, gw_schema_subject_name(version->subject)) == 0;
        if (refers)
            (void)cJSON_AddItemToArray(list, cJSON_CreateNumber(id));
    }
    return list;
}

static void show_version(struct gw_registry_call *call)
{
    const struct gw_schema_subject *subject = gw_registry_subject(call, call->parts[1]);
    const struct gw_schema_version *version =
        subject ? gw_registry_version(call, subject, call->parts[3]) : NULL;
    if (!version)
        return;
    if (call->count == 4)
        gw_registry_answer(call, version_tree(version));
    else if (strcmp(call->parts[4], "schema") == 0)
        gw_registry_answer_text(call, version->schema);
    else
        gw_registry_answer(call, users_of(call, version));
}

static bool is_version_path(const struct gw_registry_call *call)
{
    return call->count == 4 || (call->count == 5 && (strcmp(call->parts[4], "schema") == 0 ||
                                                     strcmp(call->parts[4], "referencedby") == 0));
}

bool gw_registry_subjects(struct gw_registry_call *call)
{
    const bool get = gw_registry_is(call, GW_HTTP_GET), post = gw_registry_is(call, GW_HTTP_POST);
    const bool versions = call->count >= 3 && strcmp(call->parts[2], "versions") == 0;
    void (*answer)(struct gw_registry_call *) = NULL;
    if (call->count == 1 && get)
        answer = list_subjects;
    else if (call->count == 2 && post)
        answer = look_up;
    else if (versions && call->count == 3 && (get || post))
        answer = get ? list_versions : register_version;
    else if (versions && get && is_version_path(call))
        answer = show_version;
    if (answer)
        answer(call);
    return answer != NULL;
}

/* --- compatibility/subjects/S/versions[/V] --- */

static void add_messages(cJSON *tree, const struct gw_compat_report *report)
{
    cJSON *list = cJSON_AddArrayToObject(tree, "messages");
    for (unsigned i = 0; i < report->count; i++) {
        const struct gw_compat_fault *fault = &report->faults[i];
        char text[512];
        snprintf(text, sizeof text, "%s, version %u, at %s: %s", fault->rule, fault->version, fault->path,
                 fault->text);
        (void)cJSON_AddItemToArray(list, cJSON_CreateString(text));
    }
}

bool gw_registry_compatibility(struct gw_registry_call *call)
{
    const bool known = (call->count == 4 || call->count == 5) && gw_registry_is(call, GW_HTTP_POST) &&
                       strcmp(call->parts[1], "subjects") == 0 && strcmp(call->parts[3], "versions") == 0;
    if (!known)
        return false;
    const struct gw_schema_version *version = NULL;
    if (call->count == 5) {
        const struct gw_schema_subject *subject = gw_registry_subject(call, call->parts[2]);
        version = subject ? gw_registry_version(call, subject, call->parts[4]) : NULL;
        if (!version)
            return true;
    }
    struct gw_schema_text candidate;
    struct gw_compat_report report = {.count = 0};
    struct gw_error error = {0};
    cJSON *body;
    if (!take_candidate(call, call->parts[2], &candidate, &body))
        return true;
    int rc = gw_schemas_check(call->schemas, &candidate, version ? version->version : 0, &report, &error);
    cJSON_Delete(body);
    if (rc != GW_OK && rc != GW_ECONFLICT) {
        gw_registry_refuse(call, rc, NULL, &error);
        return true;
    }
    char verbose[8];
    cJSON *tree = cJSON_CreateObject();
    (void)cJSON_AddBoolToObject(tree, "is_compatible", rc == GW_OK);
    if (gw_http_query(call->question->request, "verbose", verbose, sizeof verbose) &&
        strcmp(verbose, "true") == 0)
        add_messages(tree, &report);
    gw_registry_answer(call, tree);
    return true;
}
