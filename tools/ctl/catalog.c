/* tributaryctl catalog: what data there is, where it lies, who answers for it. And a schema as an open data contract. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "admin/catalog.h"
#include "base/layout.h"
#include "schema.h"
#include "schema/registry_disk.h"

struct catalog {
    struct gw_schemas *schemas;
    struct gw_schema_disk *disk;
};

static void close_catalog(struct catalog *c)
{
    gw_schema_disk_close(c->disk);
    gw_schemas_close(c->schemas);
}

/* The registry of a folder of files, or of a data folder; both are only read, also while a gateway runs. */
static int open_catalog(const struct ctl *ctl, const char *folder, struct catalog *out)
{
    const struct gw_schemas_options settings = {.compile = {.assert_formats = true}};
    struct gw_schema_disk_options disk = {.files = folder, .read_files_only = true};
    struct gw_error error;
    struct stat st;
    char *store = NULL;
    *out = (struct catalog){.schemas = gw_schemas_new(&settings)};
    if (!out->schemas)
        return ctl_fail(CTL_FAILED, "out of memory");
    if (!folder && ctl->data && asprintf(&store, "%s/" GW_LAYOUT_REGISTRY, ctl->data) < 0)
        store = NULL;
    disk.store = store && stat(store, &st) == 0 ? store : NULL;
    int rc = gw_schemas_set_level(out->schemas, NULL, folder ? GW_COMPAT_NONE : GW_COMPAT_UNSET, &error);
    if (rc == 0)
        rc = gw_schema_disk_open(&disk, out->schemas, NULL, &out->disk, &error);
    free(store);
    if (rc == 0)
        return CTL_OK;
    close_catalog(out);
    return ctl_fail(CTL_BAD, "%s", error.text);
}

static const char *or_else(const char *text, const char *otherwise)
{
    return *text ? text : otherwise;
}

/* --- as a table, as a page --- */

static unsigned count_personal(const cJSON *row)
{
    unsigned count = 0;
    const cJSON *attribute;
    cJSON_ArrayForEach(attribute, cJSON_GetObjectItemCaseSensitive(row, "attributes")) count +=
        strcmp(ctl_text(attribute, "privacy"), "none") != 0;
    return count;
}

static void print_table(const struct ctl *ctl, const cJSON *rows)
{
    const cJSON *row;
    printf("%s%-24s %7s %5s %8s  %-28s %-32s %s%s\n", ctl_bold(ctl), "NAME", "VERSION", "ID", "PERSONAL",
           "OWNER", "LAKE", "DESCRIPTION", ctl_plain(ctl));
    cJSON_ArrayForEach(row, rows)
    {
        char version[16] = "built in", id[16] = "";
        if (cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(row, "built_in"))) {
            (void)snprintf(version, sizeof version, "%u", (unsigned)ctl_number(row, "version"));
            (void)snprintf(id, sizeof id, "%u", (unsigned)ctl_number(row, "id"));
        }
        printf("%-23s %8s %5s %8u  %-28s %-32s %s\n", ctl_text(row, "name"), version, id, count_personal(row),
               or_else(ctl_text(row, "owner"), "nobody"), ctl_text(row, "lake"),
               ctl_text(row, "description"));
    }
}

/* A cell of a Markdown table. */
static void print_cell(const char *text)
{
    for (; *text; text++)
        (void)fputs(*text == '|' ? "\\|" : *text == '\n' ? " " : (char[2]){*text, '\0'}, stdout);
    (void)fputs(" | ", stdout);
}

static void print_page(const cJSON *rows)
{
    const cJSON *row, *attribute;
    puts("# Catalog\n\nWhat data there is, where it lies, and who answers for it. Made by `tributaryctl "
         "catalog --markdown`.");
    cJSON_ArrayForEach(row, rows)
    {
        printf("\n## %s\n%s\n\n", ctl_text(row, "name"), ctl_text(row, "description"));
        if (cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(row, "built_in")))
            printf("- version %u, id %u\n", (unsigned)ctl_number(row, "version"),
                   (unsigned)ctl_number(row, "id"));
        printf("- owner: %s\n- lake: `%s`\n- stream: type `%s`\n\n",
               or_else(ctl_text(row, "owner"), "nobody"), ctl_text(row, "lake"), ctl_text(row, "stream"));
        puts("| attribute | type | required | privacy | meaning |\n|---|---|---|---|---|");
        cJSON_ArrayForEach(attribute, cJSON_GetObjectItemCaseSensitive(row, "attributes"))
        {
            (void)fputs("| ", stdout);
            print_cell(ctl_text(attribute, "name"));
            print_cell(ctl_text(attribute, "type"));
            print_cell(cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(attribute, "required")) ? "yes" : "no");
            print_cell(ctl_text(attribute, "privacy"));
            print_cell(ctl_text(attribute, "description"));
            putchar('\n');
        }
    }
}

int ctl_catalog(const struct ctl *ctl)
{
    const char *folder = NULL;
    bool page = false;
    struct catalog c;
    for (int i = 0; i < ctl->argument_count; i++) {
        if (strcmp(ctl->arguments[i], "--markdown") == 0)
            page = true;
        else if (strcmp(ctl->arguments[i], "--folder") == 0 && i + 1 < ctl->argument_count)
            folder = ctl->arguments[++i];
        else
            return ctl_fail(CTL_USAGE, "catalog takes --folder DIR and --markdown");
    }
    if (!folder && !ctl->data)
        return ctl_fail(CTL_USAGE,
                        "whose data? Give --folder DIR (of SUBJECT/VERSION.json), or --data or --config");
    int rc = open_catalog(ctl, folder, &c);
    if (rc != CTL_OK)
        return rc;
    cJSON *rows = gw_admin_catalog(c.schemas);
    if (ctl->json)
        rc = ctl_print_json(rows);
    else if (page)
        print_page(rows);
    else
        print_table(ctl, rows);
    cJSON_Delete(rows);
    close_catalog(&c);
    return rc;
}

/* --- Open Data Contract Standard, v3.1.0 --- */

/* The standard has no word for "anything"; an object comes nearest. */
static const char *logical_type(const struct gw_attribute *a)
{
    static const struct {
        const char *lake, *type;
    } by_lake[] = {{"date", "date"},       {"timestamp", "timestamp"}, {"int", "integer"},
                   {"long", "integer"},    {"float", "number"},        {"double", "number"},
                   {"boolean", "boolean"}, {"string", "string"},       {"binary", "string"}};
    static const char *const known[] = {"integer", "number", "boolean", "string", "array", "object"};
    for (size_t i = 0; i < sizeof by_lake / sizeof *by_lake; i++)
        if (strcmp(a->lake, by_lake[i].lake) == 0)
            return by_lake[i].type;
    const char *type = strncmp(a->type, "null or ", 8) == 0 ? a->type + 8 : a->type;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strncmp(type, known[i], strlen(known[i])) == 0)
            return known[i];
    return "object";
}

static void add_custom(cJSON *list, const char *name, cJSON *value)
{
    cJSON *one = cJSON_CreateObject();
    cJSON_AddStringToObject(one, "property", name);
    cJSON_AddItemToObject(one, "value", value);
    cJSON_AddItemToArray(list, one);
}

static cJSON *odcs_property(const struct gw_attributes *all, const struct gw_attribute *a)
{
    cJSON *out = cJSON_CreateObject();
    cJSON_AddStringToObject(out, "name", a->name);
    cJSON_AddStringToObject(out, "logicalType", logical_type(a));
    if (*a->lake)
        cJSON_AddStringToObject(out, "physicalType", a->lake);
    cJSON_AddBoolToObject(out, "required", a->required);
    if (*a->description)
        cJSON_AddStringToObject(out, "description", a->description);
    cJSON_AddStringToObject(out, "classification", gw_catalog_privacy[a->privacy]);
    if (strcmp(all->partition, a->name) == 0)
        cJSON_AddBoolToObject(out, "partitioned", true);
    if (*a->vocabulary)
        add_custom(cJSON_AddArrayToObject(out, "customProperties"), "vocabulary",
                   cJSON_CreateString(a->vocabulary));
    return out;
}

static cJSON *odcs_of(const struct gw_schema_version *version)
{
    const struct gw_schema_entry *entry = version->schema;
    const struct gw_attributes *a = entry->attributes;
    const char *name = gw_schema_subject_name(version->subject);
    char text[GW_SUBJECT_MAX + 64], hash[GW_SCHEMA_HASH_TEXT], place[GW_CATALOG_PLACE_MAX];
    gw_catalog_place(name, a->lake, place);
    cJSON *out = cJSON_CreateObject(), *table = cJSON_CreateObject(), *part;
    cJSON_AddStringToObject(out, "apiVersion", "v3.1.0");
    cJSON_AddStringToObject(out, "kind", "DataContract");
    (void)snprintf(text, sizeof text, "urn:tributary:schema:%s:%u", name, version->version);
    cJSON_AddStringToObject(out, "id", text);
    cJSON_AddStringToObject(out, "name", or_else(a->title, name));
    (void)snprintf(text, sizeof text, "%u.0.0", version->version);
    cJSON_AddStringToObject(out, "version", text);
    cJSON_AddStringToObject(out, "status", "active");
    if (*a->description)
        cJSON_AddStringToObject(cJSON_AddObjectToObject(out, "description"), "purpose", a->description);
    if (*a->owner)
        cJSON_AddStringToObject(cJSON_AddObjectToObject(out, "team"), "name", a->owner);
    cJSON_AddStringToObject(table, "name", name);
    cJSON_AddStringToObject(table, "logicalType", "object");
    cJSON_AddStringToObject(table, "physicalName", place);
    cJSON_AddStringToObject(table, "physicalType", "table");
    part = cJSON_AddArrayToObject(table, "properties");
    for (uint32_t i = 0; i < a->count; i++)
        cJSON_AddItemToArray(part, odcs_property(a, &a->list[i]));
    cJSON_AddItemToArray(cJSON_AddArrayToObject(out, "schema"), table);
    part = cJSON_AddArrayToObject(out, "customProperties");
    add_custom(part, "schemaId", cJSON_CreateNumber(entry->id));
    add_custom(part, "sha256", cJSON_CreateString(gw_schema_hash_text(&entry->hash, hash)));
    add_custom(part, "stream", cJSON_CreateString(name));
    return out;
}

int ctl_schema_export(const struct ctl *ctl, const struct ctl_schema_options *options, int count,
                      char **words)
{
    struct catalog c;
    if (!options->odcs || count < 1 || count > 2 || (!options->folder && !ctl->data))
        return ctl_fail(
            CTL_USAGE,
            "schema export takes a subject: tributaryctl schema export --odcs (--folder DIR or --data DIR) "
            "SUBJECT [VERSION]");
    int rc = open_catalog(ctl, options->folder, &c);
    if (rc != CTL_OK)
        return rc;
    const unsigned long number = count > 1 ? strtoul(words[1], NULL, 10) : 0;
    const struct gw_schema_version *version = gw_schemas_find(
        c.schemas, words[0], strlen(words[0]), number <= UINT32_MAX ? (uint32_t)number : UINT32_MAX);
    if (!version || (count > 1 && number == 0)) {
        rc = ctl_fail(CTL_BAD, "there is no %s%s%s", words[0], count > 1 ? " version " : "",
                      count > 1 ? words[1] : "");
    } else {
        cJSON *contract = odcs_of(version);
        rc = ctl_print_json(contract);
        cJSON_Delete(contract);
    }
    close_catalog(&c);
    return rc;
}
