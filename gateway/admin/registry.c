#include "admin/registry.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/answer.h"

void gw_registry_fail(struct gw_registry_call *call, int code, const char *format, ...)
{
    char text[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    cJSON *tree = cJSON_CreateObject();
    (void)cJSON_AddNumberToObject(tree, "error_code", code);
    (void)cJSON_AddStringToObject(tree, "message", text);
    gw_answer_json(code > 999 ? code / 100 : code, tree, call->out);
    call->out->content_type = GW_REGISTRY_TYPE;
}

void gw_registry_answer(struct gw_registry_call *call, cJSON *tree)
{
    gw_answer_json(200, tree, call->out);
    call->out->content_type = GW_REGISTRY_TYPE;
}

/* NULL: it has no references, and is its own text. */
static char *bare_text(const struct gw_schema_entry *entry)
{
    char *text = NULL;
    if (entry->attributes->reference_count == 0 ||
        gw_references_part(entry->text, entry->text_len, &text) != GW_OK)
        return NULL;
    return text;
}

void gw_registry_add_schema(cJSON *tree, const struct gw_schema_entry *entry)
{
    const struct gw_attributes *a = entry->attributes;
    char *text = bare_text(entry);
    (void)cJSON_AddStringToObject(tree, "schemaType", "JSON");
    (void)cJSON_AddStringToObject(tree, "schema", text ? text : entry->text);
    free(text);
    cJSON *list = a->reference_count > 0 ? cJSON_AddArrayToObject(tree, "references") : NULL;
    for (uint32_t i = 0; i < a->reference_count; i++) {
        cJSON *item = cJSON_CreateObject();
        (void)cJSON_AddStringToObject(item, "name", a->references[i].name);
        (void)cJSON_AddStringToObject(item, "subject", a->references[i].subject);
        (void)cJSON_AddNumberToObject(item, "version", a->references[i].version);
        (void)cJSON_AddItemToArray(list, item);
    }
}

void gw_registry_answer_text(struct gw_registry_call *call, const struct gw_schema_entry *entry)
{
    char *text = bare_text(entry);
    gw_registry_answer(call, cJSON_CreateRaw(text ? text : entry->text));
    free(text);
}

void gw_registry_refuse(struct gw_registry_call *call, int rc, const struct gw_compat_report *report,
                        const struct gw_error *error)
{
    if (rc == GW_EINVALID || rc == GW_ELIMIT) {
        gw_registry_fail(call, GW_REGISTRY_BAD_SCHEMA, "%s", error->text);
    } else if (rc == GW_EREADONLY) {
        gw_registry_fail(call, GW_REGISTRY_NOT_PERMITTED, "%s", error->text);
    } else if (rc == GW_ECONFLICT && report && report->count > 0) {
        char text[1800];
        size_t len = 0;
        for (unsigned i = 0; i < report->count && len < sizeof text; i++) {
            const struct gw_compat_fault *fault = &report->faults[i];
            int n = snprintf(text + len, sizeof text - len, "%s{%s, version %u, at %s: %s}", i ? ", " : "",
                             fault->rule, fault->version, fault->path, fault->text);
            len += n > 0 ? (size_t)n : 0;
        }
        gw_registry_fail(call, GW_REGISTRY_INCOMPATIBLE,
                         "Schema being registered is incompatible with an earlier schema for subject \"%s\", "
                         "details: [%s]",
                         call->parts[1], text);
    } else if (rc == GW_ECONFLICT) {
        gw_registry_fail(call, GW_REGISTRY_INCOMPATIBLE, "%s", error->text);
    } else {
        gw_registry_fail(call, GW_REGISTRY_STORE, "Error in the backend data store: %s", error->text);
    }
}

const struct gw_schema_subject *gw_registry_subject(struct gw_registry_call *call, const char *name)
{
    const struct gw_schema_subject *subject = gw_schemas_subject(call->schemas, name, strlen(name));
    if (subject && gw_schema_subject_versions(subject) > 0)
        return subject;
    gw_registry_fail(call, GW_REGISTRY_NO_SUBJECT, "Subject '%s' not found.", name);
    return NULL;
}

const struct gw_schema_version *gw_registry_version(struct gw_registry_call *call,
                                                    const struct gw_schema_subject *subject, const char *text)
{
    char *end;
    unsigned long number = strtoul(text, &end, 10);
    if (strcmp(text, "latest") == 0 || strcmp(text, "-1") == 0) {
        number = 0;
    } else if (*end || number == 0 || number > INT32_MAX || strspn(text, "0123456789") != strlen(text)) {
        gw_registry_fail(call, GW_REGISTRY_BAD_VERSION,
                         "The specified version '%s' is not a valid version id. Allowed values are between "
                         "[1, 2^31-1] and the string \"latest\"",
                         text);
        return NULL;
    }
    const struct gw_schema_version *version = gw_schemas_version(subject, (uint32_t)number);
    if (!version)
        gw_registry_fail(call, GW_REGISTRY_NO_VERSION, "Version %s not found.", text);
    return version;
}

bool gw_registry_is(const struct gw_registry_call *call, enum gw_http_method method)
{
    return call->question->request->method == method;
}

/* False: too many or too long parts, or a broken escape. */
static bool take_apart(const char *path, struct gw_registry_call *call)
{
    while (*path == '/')
        path++;
    while (*path) {
        size_t len = strcspn(path, "/");
        if (call->count == GW_REGISTRY_PARTS || len == 0 ||
            !gw_http_decode(path, len, call->parts[call->count], sizeof call->parts[0]))
            return false;
        call->count++;
        path += len;
        path += *path == '/';
    }
    return true;
}

static bool route(struct gw_registry_call *call)
{
    static const struct {
        const char *name;
        bool (*answer)(struct gw_registry_call *);
    } routes[] = {{"subjects", gw_registry_subjects},
                  {"schemas", gw_registry_ids},
                  {"compatibility", gw_registry_compatibility},
                  {"config", gw_registry_settings},
                  {"mode", gw_registry_settings}};
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (strcmp(call->parts[0], routes[i].name) != 0)
            continue;
        if (gw_registry_is(call, GW_HTTP_DELETE) && i < 3) {
            gw_registry_fail(call, GW_REGISTRY_IMMUTABLE,
                             "What is registered is immutable: it cannot be deleted, only followed by a new "
                             "version");
            call->out->allow = "GET, HEAD, POST";
        } else if (!routes[i].answer(call)) {
            gw_registry_fail(call, 404, "HTTP 404 Not Found");
        }
        return true;
    }
    return false;
}

bool gw_admin_registry(struct gw_schemas *schemas, const struct gw_admin_question *question,
                       struct gw_admin_answer *out)
{
    struct gw_registry_call call = {.schemas = schemas, .question = question, .out = out};
    if (!schemas || !take_apart(question->request->path, &call))
        return false;
    if (call.count > 0)
        return route(&call);
    gw_registry_answer(&call, cJSON_CreateObject());
    return true;
}
