#include "admin/catalog.h"

#include <stdio.h>
#include <string.h>

#include "wire/vocabulary.h"

static const char *or_else(const char *text, const char *otherwise)
{
    return *text ? text : otherwise;
}

/* A subject that is called like an event type lies in the partition `custom` (docs/lake.md). */
void gw_catalog_place(const char *name, const char *lake, char out[GW_CATALOG_PLACE_MAX])
{
    const bool taken = trib_event_by_name(name, strlen(name)) >= 0;
    if (*lake)
        (void)snprintf(out, GW_CATALOG_PLACE_MAX, "%s", lake);
    else
        (void)snprintf(out, GW_CATALOG_PLACE_MAX, "events/schema=%s", taken ? "custom" : name);
}

static cJSON *attribute_row(const char *name, const char *type, const char *privacy, bool required,
                            const char *text)
{
    cJSON *row = cJSON_CreateObject();
    cJSON_AddStringToObject(row, "name", name);
    cJSON_AddStringToObject(row, "type", or_else(type, "any"));
    cJSON_AddStringToObject(row, "privacy", privacy);
    cJSON_AddBoolToObject(row, "required", required);
    cJSON_AddStringToObject(row, "description", text);
    return row;
}

static cJSON *schema_row(const char *name, bool built_in, const char *owner, const char *lake,
                         const char *text)
{
    cJSON *row = cJSON_CreateObject();
    char place[GW_CATALOG_PLACE_MAX];
    gw_catalog_place(name, lake, place);
    cJSON_AddStringToObject(row, "name", name);
    cJSON_AddBoolToObject(row, "built_in", built_in);
    cJSON_AddStringToObject(row, "owner", owner);
    cJSON_AddStringToObject(row, "lake", place);
    cJSON_AddStringToObject(row, "stream", name);
    cJSON_AddStringToObject(row, "description", text);
    return row;
}

const char *const gw_catalog_privacy[] = {"none", "personal", "secret"};

static cJSON *registered_row(const struct gw_schema_subject *subject)
{
    const struct gw_schema_version *latest = gw_schemas_version(subject, 0);
    const struct gw_attributes *a = latest->schema->attributes;
    cJSON *row = schema_row(gw_schema_subject_name(subject), false, a->owner, a->lake,
                            or_else(a->description, a->title));
    cJSON *list = cJSON_AddArrayToObject(row, "attributes");
    cJSON_AddNumberToObject(row, "version", latest->version);
    cJSON_AddNumberToObject(row, "id", latest->schema->id);
    for (uint32_t i = 0; i < a->count; i++)
        cJSON_AddItemToArray(list, attribute_row(a->list[i].name, a->list[i].type,
                                                 gw_catalog_privacy[a->list[i].privacy], a->list[i].required,
                                                 a->list[i].description));
    return row;
}

static cJSON *built_in_row(unsigned type)
{
    static const char *const types[] = {
        [TRIB_TYPE_UINT] = "integer", [TRIB_TYPE_INT] = "integer",  [TRIB_TYPE_BOOL] = "boolean",
        [TRIB_TYPE_TEXT] = "string",  [TRIB_TYPE_BYTES] = "string", [TRIB_TYPE_ENUM] = "string",
        [TRIB_TYPE_MAP] = "object"};
    const struct trib_event_info *event = &trib_events[type];
    char place[80];
    (void)snprintf(place, sizeof place, "events/schema=%s", event->name);
    cJSON *row = schema_row(event->name, true, "the operator of the gateway", place, event->doc);
    cJSON *list = cJSON_AddArrayToObject(row, "attributes");
    for (unsigned id = 0; id < TRIB_FIELD_COUNT; id++) {
        const struct trib_field_info *field = &trib_fields[id];
        if (field->name && (event->required | event->optional) >> id & 1)
            cJSON_AddItemToArray(list,
                                 attribute_row(field->name, types[field->type],
                                               gw_catalog_privacy[field->privacy == TRIB_PRIVACY_PERSONAL],
                                               event->required >> id & 1, field->doc));
    }
    return row;
}

cJSON *gw_admin_catalog(const struct gw_schemas *schemas)
{
    cJSON *rows = cJSON_CreateArray();
    for (const struct gw_schema_subject *s = NULL; (s = gw_schemas_next(schemas, s)) != NULL;)
        if (gw_schema_subject_versions(s) > 0)
            cJSON_AddItemToArray(rows, registered_row(s));
    for (unsigned type = 0; type < TRIB_EVENT_COUNT; type++)
        if (trib_events[type].name && type != TRIB_EVENT_CUSTOM)
            cJSON_AddItemToArray(rows, built_in_row(type));
    return rows;
}
