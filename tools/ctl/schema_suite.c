/* tributaryctl schema suite: a folder of files in the format of the official JSON Schema test suite. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "schema.h"
#include "schema/document.h"
#include "wire/cbor.h"

#define CBOR_BYTES 65536u

struct suite {
    const struct ctl_schema_options *options;
    struct gw_schema_scratch scratch;
    uint8_t *cbor; /* CBOR_BYTES */
    const char *file;
    unsigned passed, total;
};

static const struct gw_doc_node *member(const struct gw_doc_node *object, const char *name)
{
    const struct gw_doc_node *node = object->first;
    while (node &&
           !(node->key && node->key_len == strlen(name) && memcmp(node->key, name, node->key_len) == 0))
        node = node->next;
    return node;
}

/* One line of the output: what was expected and what came. */
static void judge(struct suite *s, const struct gw_doc_node *group, const struct gw_doc_node *test,
                  int verdict, const char *failure)
{
    const struct gw_doc_node *name = member(group, "description"), *sub = member(test, "description");
    const struct gw_doc_node *valid = member(test, "valid");
    const bool good = verdict >= 0 && valid && valid->truth == (verdict == GW_SCHEMA_VALID);
    s->total++;
    s->passed += good;
    if (good && !s->options->verbose)
        return;
    printf("%s %s: %.*s: %.*s", good ? "ok  " : "FAIL", s->file, name ? (int)name->text_len : 0,
           name ? name->text : "", sub ? (int)sub->text_len : 0, sub ? sub->text : "");
    if (!good)
        printf(" (expected %s, got %s)", valid && valid->truth ? "valid" : "invalid",
               verdict < 0                  ? failure
               : verdict == GW_SCHEMA_VALID ? "valid"
                                            : "invalid");
    putchar('\n');
}

/* The same from CBOR; otherwise where CBOR has no such number. */
static int verdict_of_cbor(struct suite *s, const struct gw_schema *schema, const struct gw_cursor *json,
                           int otherwise)
{
    struct trib_cbor_writer w;
    trib_cbor_writer_init(&w, s->cbor, CBOR_BYTES);
    s->scratch.memory.used = 0;
    if (gw_value_to_cbor(json, &s->scratch.memory, &w, GW_SCHEMA_VALUE_DEPTH) != 0)
        return otherwise;
    const struct gw_cursor cursor = {.data = s->cbor, .len = (uint32_t)w.len, .encoding = GW_ENCODING_CBOR};
    return gw_schema_validate(schema, &s->scratch, &cursor, NULL);
}

/* Three ways: the first fault decides, all are collected, and the same from CBOR. They must agree. */
static int verdict_of(struct suite *s, const struct gw_schema *schema, const struct gw_doc_node *data)
{
    struct gw_schema_fault faults[16];
    char text[8192];
    struct gw_schema_report report = {
        .faults = faults, .fault_max = 16, .text = text, .text_max = sizeof text};
    const struct gw_cursor cursor = {.data = (const uint8_t *)data->source, .len = data->source_len};
    int quick = gw_schema_validate(schema, &s->scratch, &cursor, NULL);
    int whole = gw_schema_validate(schema, &s->scratch, &cursor, &report);
    if (quick != whole || (whole == GW_SCHEMA_INVALID && report.fault_count == 0) ||
        verdict_of_cbor(s, schema, &cursor, quick) != quick)
        return GW_EDAMAGED;
    return quick;
}

static void run_group(struct suite *s, const struct gw_doc_node *group)
{
    const struct gw_doc_node *schema_text = member(group, "schema"), *tests = member(group, "tests");
    struct gw_schema *schema = NULL;
    struct gw_error error = {.text = "no schema"};
    int rc = schema_text ? gw_schema_compile(schema_text->source, schema_text->source_len,
                                             &s->options->compile, &schema, &error)
                         : GW_EINVALID;
    for (const struct gw_doc_node *test = tests ? tests->first : NULL; test; test = test->next) {
        const struct gw_doc_node *data = member(test, "data");
        int verdict = rc == 0 && data ? verdict_of(s, schema, data) : GW_EINVALID;
        judge(s, group, test, verdict, rc != 0 ? error.text : gw_error_text(verdict));
    }
    gw_schema_free(schema);
}

static int run_file(struct suite *s, const char *folder, const char *name)
{
    char *path, *text = NULL;
    size_t len = 0;
    if (asprintf(&path, "%s/%s", folder, name) < 0)
        return ctl_fail(CTL_FAILED, "out of memory");
    int rc = ctl_schema_read(path, &text, &len);
    free(path);
    if (rc != CTL_OK)
        return rc;
    struct gw_arena arena;
    struct gw_map members = {.entries = NULL};
    struct gw_doc_node *root;
    gw_arena_init(&arena, 1 << 20, 1 << 30);
    s->file = name;
    if (gw_document_parse(text, len, &arena, &members, &root) == 0) {
        for (const struct gw_doc_node *group = root->first; group; group = group->next)
            run_group(s, group);
    } else {
        rc = ctl_fail(CTL_FAILED, "%s/%s is not JSON", folder, name);
    }
    gw_map_free(&members);
    gw_arena_free(&arena);
    free(text);
    return rc;
}

static int is_json(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');
    return dot && strcmp(dot, ".json") == 0;
}

static int run_folder(struct suite *s, const char *folder)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, is_json, alphasort), rc = CTL_OK;
    if (count < 0)
        return ctl_fail(CTL_FAILED, "%s: cannot be read", folder);
    for (int i = 0; i < count; i++) {
        if (rc == CTL_OK)
            rc = run_file(s, folder, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    return rc;
}

int ctl_schema_suite(const struct ctl *ctl, const struct ctl_schema_options *options, int count, char **words)
{
    (void)ctl;
    if (count != 1)
        return ctl_fail(
            CTL_USAGE,
            "schema suite takes one folder: tributaryctl schema suite DIR [--remotes DIR] [--draft D]");
    struct suite s = {.options = options};
    uint8_t *memory = malloc(CTL_SCHEMA_SCRATCH + CBOR_BYTES);
    if (!memory || gw_schema_scratch_init(memory, CTL_SCHEMA_SCRATCH, &s.scratch) != 0) {
        free(memory);
        return ctl_fail(CTL_FAILED, "out of memory");
    }
    s.cbor = memory + CTL_SCHEMA_SCRATCH;
    int rc = run_folder(&s, words[0]);
    free(memory);
    if (rc == CTL_OK)
        printf("%u of %u\n", s.passed, s.total);
    return rc != CTL_OK ? rc : s.passed == s.total ? CTL_OK : CTL_BAD;
}
