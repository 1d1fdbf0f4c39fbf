/* schemas/…, config/… and mode/… */
#include <stdlib.h>
#include <string.h>

#include "admin/answer.h"
#include "admin/registry.h"

/* --- schemas/ids/N[/schema|/versions|/subjects], schemas/types --- */

/* Each version of each subject that is this schema. */
static cJSON *users_of(const struct gw_registry_call *call, uint32_t id, bool versions)
{
    cJSON *list = cJSON_CreateArray();
    for (const struct gw_schema_subject *s = NULL; (s = gw_schemas_next(call->schemas, s));) {
        for (uint32_t i = 1; i <= gw_schema_subject_versions(s); i++) {
            if (gw_schemas_version(s, i)->schema->id != id)
                continue;
            cJSON *item = versions ? cJSON_CreateObject() : cJSON_CreateString(gw_schema_subject_name(s));
            if (versions) {
                (void)cJSON_AddStringToObject(item, "subject", gw_schema_subject_name(s));
                (void)cJSON_AddNumberToObject(item, "version", i);
            }
            (void)cJSON_AddItemToArray(list, item);
            if (!versions)
                break;
        }
    }
    return list;
}

static bool show_id(struct gw_registry_call *call)
{
    char *end;
    unsigned long id = strtoul(call->parts[2], &end, 10);
    const struct gw_schema_entry *entry =
        !*end && id > 0 && id <= UINT32_MAX ? gw_schemas_by_id(call->schemas, (uint32_t)id) : NULL;
    const char *part = call->count == 4 ? call->parts[3] : "";
    const bool versions = strcmp(part, "versions") == 0, subjects = strcmp(part, "subjects") == 0,
               schema = strcmp(part, "schema") == 0;
    if (*part && !versions && !subjects && !schema)
        return false;
    if (!entry) {
        gw_registry_fail(call, GW_REGISTRY_NO_SCHEMA, "Schema %s not found", call->parts[2]);
    } else if (versions || subjects) {
        gw_registry_answer(call, users_of(call, entry->id, versions));
    } else if (schema) {
        gw_registry_answer_text(call, entry);
    } else {
        cJSON *tree = cJSON_CreateObject();
        gw_registry_add_schema(tree, entry);
        gw_registry_answer(call, tree);
    }
    return true;
}

bool gw_registry_ids(struct gw_registry_call *call)
{
    if (!gw_registry_is(call, GW_HTTP_GET) || call->count < 2)
        return false;
    if (call->count == 2 && strcmp(call->parts[1], "types") == 0) {
        cJSON *list = cJSON_CreateArray();
        (void)cJSON_AddItemToArray(list, cJSON_CreateString("JSON"));
        gw_registry_answer(call, list);
        return true;
    }
    return strcmp(call->parts[1], "ids") == 0 && (call->count == 3 || call->count == 4) && show_id(call);
}

/* --- config[/S] and mode[/S] --- */

static const char *mode_name(enum gw_schemas_mode mode)
{
    return mode == GW_SCHEMAS_READONLY ? "READONLY" : "READWRITE";
}

static bool asks_for_default(const struct gw_registry_call *call)
{
    char value[8];
    return gw_http_query(call->question->request, "defaultToGlobal", value, sizeof value) &&
           strcmp(value, "true") == 0;
}

static void show_setting(struct gw_registry_call *call, bool mode)
{
    const char *name = call->count == 2 ? call->parts[1] : NULL;
    const struct gw_schema_subject *subject =
        name ? gw_schemas_subject(call->schemas, name, strlen(name)) : NULL;
    const bool has_own = subject && (mode ? gw_schemas_mode(call->schemas, subject) != GW_SCHEMAS_UNSET
                                          : gw_schemas_level(call->schemas, subject) != GW_COMPAT_UNSET);
    if (name && !has_own && !asks_for_default(call)) {
        gw_registry_fail(call, mode ? GW_REGISTRY_NO_MODE : GW_REGISTRY_NO_LEVEL,
                         mode ? "Subject '%s' does not have subject-level mode configured"
                              : "Subject '%s' does not have subject-level compatibility configured",
                         name);
        return;
    }
    cJSON *tree = cJSON_CreateObject();
    if (mode)
        (void)cJSON_AddStringToObject(tree, "mode", mode_name(gw_schemas_mode_of(call->schemas, subject)));
    else
        (void)cJSON_AddStringToObject(tree, "compatibilityLevel",
                                      gw_compat_level_name(gw_schemas_level_of(call->schemas, subject)));
    gw_registry_answer(call, tree);
}

/* The text that a setting is to have, in the body; NULL: removed or refused. */
static const char *wanted(const cJSON *body, bool mode)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(body, mode ? "mode" : "compatibility"));
}

static void change_level(struct gw_registry_call *call, const char *subject, const char *text)
{
    struct gw_error error = {0};
    enum gw_compat_level level = text ? gw_compat_level_of(text) : GW_COMPAT_UNSET;
    if (text && level == GW_COMPAT_UNSET) {
        gw_registry_fail(call, GW_REGISTRY_BAD_LEVEL,
                         "Invalid compatibility level. Valid values are none, backward, forward, full, "
                         "backward_transitive, forward_transitive, and full_transitive, in capitals");
        return;
    }
    int rc = gw_schemas_set_level(call->schemas, subject, level, &error);
    if (rc != GW_OK) {
        gw_registry_refuse(call, rc, NULL, &error);
        return;
    }
    cJSON *tree = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(tree, text ? "compatibility" : "compatibilityLevel",
                                  text ? text
                                       : gw_compat_level_name(gw_schemas_level_of(call->schemas, NULL)));
    gw_registry_answer(call, tree);
}

static void change_mode(struct gw_registry_call *call, const char *subject, const char *text)
{
    struct gw_error error = {0};
    enum gw_schemas_mode mode = GW_SCHEMAS_UNSET;
    if (text && strcmp(text, "READWRITE") == 0)
        mode = GW_SCHEMAS_READWRITE;
    else if (text && strcmp(text, "READONLY") == 0)
        mode = GW_SCHEMAS_READONLY;
    if (text && mode == GW_SCHEMAS_UNSET) {
        gw_registry_fail(call, GW_REGISTRY_BAD_MODE, "Invalid mode. Valid values are READWRITE and READONLY");
        return;
    }
    int rc = gw_schemas_set_mode(call->schemas, subject, mode, &error);
    if (rc != GW_OK) {
        gw_registry_refuse(call, rc, NULL, &error);
        return;
    }
    cJSON *tree = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(tree, "mode", mode_name(gw_schemas_mode_of(call->schemas, NULL)));
    if (text)
        cJSON_ReplaceItemInObjectCaseSensitive(tree, "mode", cJSON_CreateString(text));
    gw_registry_answer(call, tree);
}

static void change(struct gw_registry_call *call, bool mode)
{
    const struct gw_admin_question *question = call->question;
    const char *subject = call->count == 2 ? call->parts[1] : NULL, *text = NULL;
    cJSON *body = question->body ? cJSON_ParseWithLength(question->body, question->request->body_len) : NULL;
    if (gw_registry_is(call, GW_HTTP_PUT) && !(text = wanted(body, mode)))
        gw_registry_fail(call, mode ? GW_REGISTRY_BAD_MODE : GW_REGISTRY_BAD_LEVEL,
                         mode ? "The body must be {\"mode\": \"READONLY\"} or READWRITE"
                              : "The body must be {\"compatibility\": \"a level\"}");
    else if (mode)
        change_mode(call, subject, text);
    else
        change_level(call, subject, text);
    cJSON_Delete(body);
}

bool gw_registry_settings(struct gw_registry_call *call)
{
    const bool mode = strcmp(call->parts[0], "mode") == 0;
    if (call->count > 2)
        return false;
    if (gw_registry_is(call, GW_HTTP_GET))
        show_setting(call, mode);
    else if (gw_registry_is(call, GW_HTTP_PUT) || (gw_registry_is(call, GW_HTTP_DELETE) && call->count == 2))
        change(call, mode);
    else
        return false;
    return true;
}
