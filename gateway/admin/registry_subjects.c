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

static bool has_references(const cJSON *body)
{
    return cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(body, "references")) > 0;
}

/* The body's schema for the subject; *out_body owns its text. False: refused. */
static bool take_candidate(struct gw_registry_call *call, const char *subject, struct gw_schema_text *out,
                           cJSON **out_body)
{
    const struct gw_admin_question *question = call->question;
    cJSON *body = question->body ? cJSON_ParseWithLength(question->body, question->request->body_len) : NULL;
    const char *schema = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(body, "schema"));
    const char *type = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(body, "schemaType"));
    *out_body = body;
    if (!schema)
        gw_registry_fail(call, body ? GW_REGISTRY_BAD_SCHEMA : 400,
                         "The body must be {\"schemaType\": \"JSON\", \"schema\": \"the schema's text\"}");
    else if (!type || strcmp(type, "JSON") != 0)
        gw_registry_fail(call, GW_REGISTRY_BAD_SCHEMA,
                         "schemaType must be JSON here (without one the dialect means AVRO)");
    else if (has_references(body))
        gw_registry_fail(call, GW_REGISTRY_BAD_SCHEMA,
                         "references are not taken: a schema is one document, with $defs");
    else if (strlen(schema) > GW_SCHEMA_TEXT_MAX)
        gw_registry_fail(call, GW_REGISTRY_BAD_SCHEMA, "a schema is at most %d KiB",
                         GW_SCHEMA_TEXT_MAX >> 10);
    else {
        *out = (struct gw_schema_text){.subject = subject, .text = schema, .len = strlen(schema)};
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
    (void)cJSON_AddStringToObject(tree, "schemaType", "JSON");
    (void)cJSON_AddStringToObject(tree, "schema", version->schema->text);
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
        gw_registry_answer(call, cJSON_CreateRaw(version->schema->text));
    else /* referencedby: a schema is one document */
        gw_registry_answer(call, cJSON_CreateArray());
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
