/*
 * tributary-vocabulary: prints what is made from sdk/wire/vocabulary.def, and checks that the copies in the tree
 * (docs/vocabulary.md, docs/schemas/, sdk/wire/vocabulary.cddl) are what it would print.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "wire/vocabulary.h"

#define LAST_ENUM_VALUE 15

static const char *const type_names[] = {
    [TRIB_TYPE_UINT] = "unsigned", [TRIB_TYPE_INT] = "integer", [TRIB_TYPE_BOOL] = "boolean",
    [TRIB_TYPE_TEXT] = "text",     [TRIB_TYPE_BYTES] = "bytes", [TRIB_TYPE_ENUM] = "enumeration",
    [TRIB_TYPE_MAP] = "map",
};

/* Of a column: an enumeration is its name there, a map is JSON. */
static const char *const lake_types[] = {
    [TRIB_TYPE_UINT] = "long",   [TRIB_TYPE_INT] = "long",     [TRIB_TYPE_BOOL] = "boolean",
    [TRIB_TYPE_TEXT] = "string", [TRIB_TYPE_BYTES] = "binary", [TRIB_TYPE_ENUM] = "string",
    [TRIB_TYPE_MAP] = "json",
};

/* --- JSON Schema --- */

static void print_string(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

static void print_enum(FILE *out, unsigned field)
{
    const char *separator = "";

    /* A value that a later version names appears as its number. */
    fputs("\"anyOf\": [{\"enum\": [", out);
    for (uint64_t value = 0; value <= LAST_ENUM_VALUE; value++) {
        const char *name = trib_enum_name(field, value);
        if (!name)
            continue;
        fputs(separator, out);
        print_string(out, name);
        separator = ", ";
    }
    fprintf(out, "]}, {\"type\": \"integer\", \"minimum\": 0, \"maximum\": %d}]", LAST_ENUM_VALUE);
}

static void print_field_schema(FILE *out, unsigned id)
{
    const struct trib_field_info *f = &trib_fields[id];

    fputs("    ", out);
    print_string(out, f->name);
    fputs(": {", out);
    switch (f->type) {
    case TRIB_TYPE_UINT:
    case TRIB_TYPE_INT:
        if (id == TRIB_FIELD_PREVIOUS) { /* a stream id, and written as one */
            fputs("\"type\": \"string\", \"pattern\": \"^[0-9a-f]{16}$\"", out);
            break;
        }
        fprintf(out, "\"type\": \"integer\", \"minimum\": %" PRId64 ", \"maximum\": %" PRIu64, f->min,
                f->max);
        break;
    case TRIB_TYPE_BOOL:
        fputs("\"type\": \"boolean\"", out);
        break;
    case TRIB_TYPE_TEXT:
        fprintf(out, "\"type\": \"string\", \"minLength\": %d, \"maxLength\": %" PRIu64, f->min > 0, f->max);
        break;
    case TRIB_TYPE_BYTES:
        fputs("\"type\": \"string\", \"contentEncoding\": \"base64\"", out);
        break;
    case TRIB_TYPE_ENUM:
        print_enum(out, id);
        break;
    default:
        fprintf(out, "\"type\": \"object\", \"maxProperties\": %" PRIu64, f->max);
        break;
    }
    fputs(", \"description\": ", out);
    print_string(out, f->doc);
    fprintf(out, ", \"x-tributary\": {\"privacy\": \"%s\", \"lake\": \"%s\", \"vocabulary\": \"%s\"}}",
            f->privacy == TRIB_PRIVACY_PERSONAL ? "personal" : "none",
            id == TRIB_FIELD_PREVIOUS ? "string" : lake_types[f->type], f->name);
}

/* What each event has around its own fields (gateway/delivery/event.h). */
static const char envelope[] =
    "    \"id\": {\"type\": \"string\", \"description\": \"device, stream and seq: one identity for "
    "life\"},\n"
    "    \"device\": {\"type\": \"string\", \"minLength\": 1, \"maxLength\": 64},\n"
    "    \"stream\": {\"type\": \"string\", \"pattern\": \"^[0-9a-f]{16}$\"},\n"
    "    \"seq\": {\"type\": \"integer\", \"minimum\": 1},\n"
    "    \"boot\": {\"type\": \"integer\", \"minimum\": 0},\n"
    "    \"ord\": {\"type\": \"integer\", \"minimum\": 1, \"description\": \"order of recording in a boot, "
    "over all lanes\"},\n"
    "    \"time\": {\"type\": \"string\", \"format\": \"date-time\"},\n"
    "    \"time_quality\": {\"enum\": [\"synced\", \"estimated\", \"received\"]},\n"
    "    \"time_uncertainty_ms\": {\"type\": \"integer\", \"minimum\": 0},\n"
    "    \"received\": {\"type\": \"string\", \"format\": \"date-time\"},\n"
    "    \"session\": {\"type\": \"string\", \"pattern\": \"^[0-9a-f]{16}$\"},\n"
    "    \"content\": {\"type\": \"string\"},\n"
    "    \"gateway\": {\"type\": \"string\"}";

static void print_schema(FILE *out, unsigned type)
{
    const struct trib_event_info *e = &trib_events[type];

    fputs("{\n  \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n", out);
    fprintf(out,
            "  \"$id\": \"urn:tributary:event:%s:1\",\n  \"title\": \"%s\",\n  \"description\": ", e->name,
            e->name);
    print_string(out, e->doc);
    fprintf(
        out,
        ",\n  \"x-tributary\": {\"owner\": \"the operator of the gateway\", \"lake\": \"events/schema=%s\", "
        "\"partition\": \"device\"}",
        e->name);
    fprintf(out, ",\n  \"type\": \"object\",\n  \"properties\": {\n    \"type\": {\"const\": \"%s\"},\n%s",
            e->name, envelope);
    for (unsigned id = 0; id < TRIB_FIELD_COUNT; id++) {
        if (!trib_fields[id].name || !((e->required | e->optional) >> id & 1))
            continue;
        fputs(",\n", out);
        print_field_schema(out, id);
    }
    fputs("\n  },\n  \"required\": [\"id\", \"type\", \"device\", \"stream\", \"seq\", \"boot\", \"ord\", "
          "\"time\", \"time_quality\"",
          out);
    for (unsigned id = 0; id < TRIB_FIELD_COUNT; id++)
        if (e->required >> id & 1)
            fprintf(out, ", \"%s\"", trib_fields[id].name);
    fputs("]\n}\n", out);
}

/* --- Markdown --- */

static void print_field_names(FILE *out, uint64_t mask)
{
    const char *separator = "";

    if (!mask)
        fputs("–", out);
    for (unsigned id = 0; id < TRIB_FIELD_COUNT; id++) {
        if (!(mask >> id & 1))
            continue;
        fprintf(out, "%s`%s`", separator, trib_fields[id].name);
        separator = ", ";
    }
}

static void print_range(FILE *out, unsigned id)
{
    const struct trib_field_info *f = &trib_fields[id];
    const char *separator = "";

    switch (f->type) {
    case TRIB_TYPE_ENUM:
        for (uint64_t value = 0; value <= LAST_ENUM_VALUE; value++) {
            const char *name = trib_enum_name(id, value);
            if (!name)
                continue;
            fprintf(out, "%s%" PRIu64 " `%s`", separator, value, name);
            separator = ", ";
        }
        break;
    case TRIB_TYPE_BOOL:
        fputs("–", out);
        break;
    case TRIB_TYPE_TEXT:
    case TRIB_TYPE_BYTES:
        fprintf(out, "%" PRId64 " to %" PRIu64 " bytes", f->min, f->max);
        break;
    case TRIB_TYPE_MAP:
        fprintf(out, "%" PRId64 " to %" PRIu64 " pairs", f->min, f->max);
        break;
    default:
        fprintf(out, "%" PRId64 " to %" PRIu64, f->min, f->max);
        break;
    }
}

static void print_markdown(FILE *out)
{
    fputs(
        "# Vocabulary\n\n"
        "The built-in events and their fields. This page, the JSON Schemas in `docs/schemas` and the CDDL of "
        "the\n"
        "fields are made from `sdk/wire/vocabulary.def` by `tributary-vocabulary --write`; do not edit "
        "them.\n\n"
        "Numbers are on the wire and in flash for ever: none is reused. Times are integers in milliseconds.\n"
        "Session and content are in an event's context, not among its fields; `user` is optional in each "
        "event.\n\n"
        "## Events\n\n| no. | event | lane | required | optional | meaning |\n|---|---|---|---|---|---|\n",
        out);
    for (unsigned type = 0; type < TRIB_EVENT_COUNT; type++) {
        const struct trib_event_info *e = &trib_events[type];
        if (!e->name)
            continue;
        fprintf(out, "| %u | `%s` | %s | ", type, e->name, e->lane == TRIB_LANE_VITAL ? "vital" : "routine");
        print_field_names(out, e->required);
        fputs(" | ", out);
        print_field_names(out, e->optional & ~TRIB_F(USER));
        fprintf(out, " | %s |\n", e->doc);
    }
    fputs("\n## Fields\n\n| no. | field | type | range or values | unit | personal | meaning "
          "|\n|---|---|---|---|---|---|---|\n",
          out);
    for (unsigned id = 0; id < TRIB_FIELD_COUNT; id++) {
        const struct trib_field_info *f = &trib_fields[id];
        if (!f->name)
            continue;
        fprintf(out, "| %u | `%s` | %s | ", id, f->name, type_names[f->type]);
        print_range(out, id);
        fprintf(out, " | %s | %s | %s |\n", f->unit[0] ? f->unit : "–",
                f->privacy == TRIB_PRIVACY_PERSONAL ? "yes" : "no", f->doc);
    }
}

/* --- CDDL --- */

static void print_cddl_type(FILE *out, unsigned id)
{
    const struct trib_field_info *f = &trib_fields[id];

    switch (f->type) {
    case TRIB_TYPE_BOOL:
        fputs("bool", out);
        break;
    case TRIB_TYPE_TEXT:
        fprintf(out, "tstr .size (%" PRId64 "..%" PRIu64 ")", f->min, f->max);
        break;
    case TRIB_TYPE_BYTES:
        fprintf(out, "bstr .size (%" PRId64 "..%" PRIu64 ")", f->min, f->max);
        break;
    case TRIB_TYPE_MAP:
        fputs("{ * tstr => any }", out);
        break;
    default:
        fprintf(out, "%" PRId64 "..%" PRIu64, f->min, f->max);
        break;
    }
}

static void print_cddl(FILE *out)
{
    fputs("; The fields of events, by number. Made from vocabulary.def by tributary-vocabulary --write; do "
          "not edit.\n"
          "; Which event has which fields: docs/vocabulary.md. Read together with tributary.cddl.\n\nfields "
          "= {\n",
          out);
    for (unsigned id = 0; id < TRIB_FIELD_COUNT; id++) {
        if (!trib_fields[id].name)
            continue;
        fprintf(out, "  ? %u: ", id);
        print_cddl_type(out, id);
        fprintf(out, ", ; %s\n", trib_fields[id].name);
    }
    fputs("  * uint => any ; fields of later versions\n}\n\n; Types of events (head = type * 2 + lane):\n",
          out);
    for (unsigned type = 0; type < TRIB_EVENT_COUNT; type++)
        if (trib_events[type].name)
            fprintf(out, ";   %2u %s\n", type, trib_events[type].name);
}

/* --- the copies in the tree --- */

typedef void (*printer)(FILE *out, unsigned argument);

static void markdown_printer(FILE *out, unsigned unused)
{
    (void)unused;
    print_markdown(out);
}

static void cddl_printer(FILE *out, unsigned unused)
{
    (void)unused;
    print_cddl(out);
}

/* The whole of a file, terminated; NULL if it cannot be read. The caller frees. */
static char *read_whole(const char *path)
{
    FILE *file = fopen(path, "rb");
    char *text = NULL;
    size_t len = 0, got;

    if (!file)
        return NULL;
    do {
        char *grown = realloc(text, len + 4097);
        if (!grown)
            break;
        text = grown;
        got = fread(text + len, 1, 4096, file);
        len += got;
        text[len] = '\0';
    } while (got > 0);
    fclose(file);
    return text;
}

static int write_whole(const char *path, const char *text)
{
    FILE *file = fopen(path, "wb");

    if (!file || fputs(text, file) < 0 || fclose(file) != 0) {
        fprintf(stderr, "cannot write %s: %s\n", path, strerror(errno));
        return 1;
    }
    return 0;
}

/* Writes one file of the tree, or compares it with what would be written. */
static int sync_file(const char *root, const char *name, bool write, printer print, unsigned argument)
{
    char path[4096], *text = NULL;
    size_t len = 0;
    int result;

    snprintf(path, sizeof path, "%s/%s", root, name);
    FILE *memory = open_memstream(&text, &len);
    if (!memory)
        return 1;
    print(memory, argument);
    fclose(memory);
    if (write) {
        result = write_whole(path, text);
    } else {
        char *present = read_whole(path);
        result = !present || strcmp(present, text) != 0;
        if (result)
            fprintf(stderr, "%s is not what vocabulary.def says: run tributary-vocabulary --write %s\n", name,
                    root);
        free(present);
    }
    free(text);
    return result;
}

static int sync_all(const char *root, bool write)
{
    char name[256];
    int failed;

    if (write) {
        snprintf(name, sizeof name, "%s/docs/schemas", root);
        if (mkdir(name, 0777) && errno != EEXIST) {
            fprintf(stderr, "cannot make %s: %s\n", name, strerror(errno));
            return 1;
        }
    }
    failed = sync_file(root, "docs/vocabulary.md", write, markdown_printer, 0);
    failed |= sync_file(root, "sdk/wire/vocabulary.cddl", write, cddl_printer, 0);
    for (unsigned type = 0; type < TRIB_EVENT_COUNT; type++) {
        if (!trib_events[type].name)
            continue;
        snprintf(name, sizeof name, "docs/schemas/%s.json", trib_events[type].name);
        failed |= sync_file(root, name, write, print_schema, type);
    }
    return failed;
}

int main(int argc, char **argv)
{
    const char *option = argc > 1 ? argv[1] : "";

    if (argc == 2 && strcmp(option, "--markdown") == 0) {
        print_markdown(stdout);
    } else if (argc == 2 && strcmp(option, "--cddl") == 0) {
        print_cddl(stdout);
    } else if (argc == 3 && strcmp(option, "--json-schema") == 0) {
        int type = trib_event_by_name(argv[2], strlen(argv[2]));
        if (type < 0) {
            fprintf(stderr, "there is no event %s; docs/vocabulary.md lists them\n", argv[2]);
            return 1;
        }
        print_schema(stdout, (unsigned)type);
    } else if (argc == 3 && strcmp(option, "--write") == 0) {
        return sync_all(argv[2], true);
    } else if (argc == 3 && strcmp(option, "--check") == 0) {
        return sync_all(argv[2], false);
    } else {
        fputs("usage: tributary-vocabulary --markdown | --cddl | --json-schema EVENT\n"
              "       tributary-vocabulary --write ROOT | --check ROOT    (ROOT: the source tree)\n",
              stderr);
        return 2;
    }
    return 0;
}
