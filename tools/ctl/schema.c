/* tributaryctl schema: options, files, and `schema validate`. */
#include "schema.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FILE_BYTES_MAX (64u << 20)
#define FAULTS_MAX 100
#define REPORT_BYTES 65536

static int read_stream(FILE *file, char **out_text, size_t *out_len)
{
    size_t room = 65536, len = 0;
    char *text = malloc(room);
    while (text) {
        len += fread(text + len, 1, room - len, file);
        if (len < room)
            break;
        char *larger = room < FILE_BYTES_MAX ? realloc(text, room *= 2) : NULL;
        if (!larger)
            free(text);
        text = larger;
    }
    if (!text || ferror(file)) {
        free(text);
        return GW_EIO;
    }
    *out_text = text;
    *out_len = len;
    return 0;
}

int ctl_schema_read(const char *path, char **out_text, size_t *out_len)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return ctl_fail(CTL_FAILED, "%s: %s", path, strerror(errno));
    int rc = read_stream(file, out_text, out_len);
    (void)fclose(file);
    return rc == 0 ? CTL_OK : ctl_fail(CTL_FAILED, "%s: cannot be read, or is too large", path);
}

int ctl_schema_load(void *context, const char *uri, char **out_text, size_t *out_len)
{
    static const char local[] = "http://localhost:1234/";
    const char *folder = context;
    char *path;
    if (!folder || strstr(uri, ".."))
        return GW_ENOTFOUND;
    if (strncmp(uri, local, sizeof local - 1) == 0)
        uri += sizeof local - 1;
    else if (strstr(uri, "://"))
        uri = strstr(uri, "://") + 3;
    if (asprintf(&path, "%s/%s", folder, uri) < 0)
        return GW_ENOMEM;
    FILE *file = fopen(path, "rb");
    free(path);
    if (!file)
        return GW_ENOTFOUND;
    int rc = read_stream(file, out_text, out_len);
    (void)fclose(file);
    return rc;
}

static int take_draft(const char *value, struct ctl_schema_options *out)
{
    if (strcmp(value, "7") == 0 || strcmp(value, "draft7") == 0)
        out->compile.draft = GW_DRAFT_7;
    else if (strcmp(value, "2020-12") == 0 || strcmp(value, "draft2020-12") == 0)
        out->compile.draft = GW_DRAFT_2020_12;
    else
        return ctl_fail(CTL_USAGE, "--draft is 2020-12 or 7");
    return CTL_OK;
}

static int take_level(const char *value, struct ctl_schema_options *out)
{
    out->level = gw_compat_level_of(value);
    return out->level ? CTL_OK
                      : ctl_fail(CTL_USAGE,
                                 "--level is NONE, or BACKWARD, FORWARD or FULL, alone or with _TRANSITIVE");
}

int ctl_schema_options(const struct ctl *ctl, int first, struct ctl_schema_options *out, int *out_count)
{
    int count = first;
    *out = (struct ctl_schema_options){.compile = {.load = ctl_schema_load}};
    for (int i = first; i < ctl->argument_count; i++) {
        char *word = ctl->arguments[i], *value = i + 1 < ctl->argument_count ? ctl->arguments[i + 1] : NULL;
        const bool remotes = strcmp(word, "--remotes") == 0, draft = strcmp(word, "--draft") == 0;
        const bool folder = strcmp(word, "--folder") == 0, level = strcmp(word, "--level") == 0;
        if (strcmp(word, "--formats") == 0) {
            out->compile.assert_formats = true;
        } else if (strcmp(word, "--verbose") == 0) {
            out->verbose = true;
        } else if (strcmp(word, "--odcs") == 0) {
            out->odcs = true;
        } else if (remotes || draft || folder || level) {
            if (!value)
                return ctl_fail(CTL_USAGE, "%s needs a value", word);
            if (remotes)
                out->compile.load_context = value;
            else if (folder)
                out->folder = value;
            else if (draft ? take_draft(value, out) != CTL_OK : take_level(value, out) != CTL_OK)
                return CTL_USAGE;
            i++;
        } else if (strncmp(word, "--", 2) == 0) {
            return ctl_fail(CTL_USAGE, "schema has no option %s", word);
        } else {
            ctl->arguments[count++] = word;
        }
    }
    *out_count = count - first;
    return CTL_OK;
}

/* --- schema validate --- */

struct checker {
    const struct ctl *ctl;
    struct gw_schema *schema;
    struct gw_schema_scratch scratch;
    struct gw_schema_report report;
    void *memory;
    cJSON *results; /* with --json */
};

static void add_result(struct checker *c, const char *path, bool valid, const char *failure)
{
    cJSON *result = cJSON_CreateObject(), *errors = cJSON_CreateArray();
    cJSON_AddStringToObject(result, "instance", path);
    cJSON_AddBoolToObject(result, "valid", valid);
    for (size_t i = 0; i < c->report.fault_count && !failure; i++) {
        const struct gw_schema_fault *fault = &c->report.faults[i];
        cJSON *error = cJSON_CreateObject();
        cJSON_AddStringToObject(error, "keywordLocation", fault->keyword);
        cJSON_AddStringToObject(error, "absoluteKeywordLocation", fault->absolute);
        cJSON_AddStringToObject(error, "instanceLocation", fault->instance);
        cJSON_AddStringToObject(error, "error", fault->message);
        cJSON_AddItemToArray(errors, error);
    }
    if (failure)
        cJSON_AddStringToObject(result, "failure", failure);
    cJSON_AddItemToObject(result, "errors", errors);
    cJSON_AddItemToArray(c->results, result);
}

static void print_result(const struct checker *c, const char *path, bool valid, const char *failure)
{
    if (failure)
        printf("%s: %s\n", path, failure);
    else if (valid)
        printf("%s: valid\n", path);
    for (size_t i = 0; i < c->report.fault_count && !failure; i++) {
        const struct gw_schema_fault *fault = &c->report.faults[i];
        printf("%s: %s: %s\n    by %s (%s)\n", path, *fault->instance ? fault->instance : "/", fault->message,
               *fault->keyword ? fault->keyword : "/", fault->absolute);
    }
    if (c->report.more && !failure)
        printf("%s: and %zu more\n", path, c->report.more);
}

static int check_file(struct checker *c, const char *path)
{
    char *text = NULL;
    size_t len = 0;
    int rc = ctl_schema_read(path, &text, &len);
    if (rc != CTL_OK)
        return rc;
    const struct gw_cursor cursor = {.data = (const uint8_t *)text, .len = (uint32_t)len};
    int verdict = gw_schema_validate(c->schema, &c->scratch, &cursor, &c->report);
    const char *failure = verdict == GW_EPROTOCOL
                              ? "not well-formed JSON, or a declared property stands twice"
                          : verdict < 0 ? gw_error_text(verdict)
                                        : NULL;
    if (c->results)
        add_result(c, path, verdict == GW_SCHEMA_VALID, failure);
    else
        print_result(c, path, verdict == GW_SCHEMA_VALID, failure);
    free(text);
    return verdict == GW_SCHEMA_VALID ? CTL_OK : CTL_BAD;
}

static int check_files(struct checker *c, int count, char **paths)
{
    int worst = CTL_OK;
    for (int i = 0; i < count; i++) {
        int rc = check_file(c, paths[i]);
        worst = rc > worst ? rc : worst;
    }
    if (c->results && ctl_print_json(c->results) != CTL_OK)
        return CTL_FAILED;
    return worst;
}

int ctl_schema_validate(const struct ctl *ctl, const struct ctl_schema_options *options, int count,
                        char **words)
{
    if (count < 2)
        return ctl_fail(
            CTL_USAGE,
            "schema validate takes a schema and instances: tributaryctl schema validate SCHEMA FILE…");
    struct checker c = {.ctl = ctl, .results = ctl->json ? cJSON_CreateArray() : NULL};
    struct gw_schema_fault faults[FAULTS_MAX];
    struct gw_error error;
    char *text = NULL;
    size_t len = 0;
    int rc = ctl_schema_read(words[0], &text, &len);
    if (rc == CTL_OK) {
        if (gw_schema_compile(text, len, &options->compile, &c.schema, &error) != 0)
            rc = ctl_fail(CTL_BAD, "%s: %s", words[0], error.text);
        free(text);
    }
    c.memory = malloc(CTL_SCHEMA_SCRATCH + REPORT_BYTES);
    if (rc == CTL_OK && (!c.memory || gw_schema_scratch_init(c.memory, CTL_SCHEMA_SCRATCH, &c.scratch) != 0))
        rc = ctl_fail(CTL_FAILED, "out of memory");
    if (rc == CTL_OK) {
        c.report = (struct gw_schema_report){.faults = faults,
                                             .fault_max = FAULTS_MAX,
                                             .text = (char *)c.memory + CTL_SCHEMA_SCRATCH,
                                             .text_max = REPORT_BYTES};
        rc = check_files(&c, count - 1, words + 1);
    }
    gw_schema_free(c.schema);
    free(c.memory);
    cJSON_Delete(c.results);
    return rc;
}

int ctl_schema(const struct ctl *ctl)
{
    const char *what = ctl->argument_count > 0 ? ctl->arguments[0] : "";
    struct ctl_schema_options options;
    int count = 0;
    int rc = ctl_schema_options(ctl, 1, &options, &count);
    if (rc != CTL_OK)
        return rc;
    static const struct {
        const char *name;
        int (*run)(const struct ctl *, const struct ctl_schema_options *, int, char **);
    } known[] = {{"validate", ctl_schema_validate}, {"suite", ctl_schema_suite},  {"check", ctl_schema_check},
                 {"register", ctl_schema_register}, {"diff", ctl_schema_diff},    {"lint", ctl_schema_lint},
                 {"test", ctl_schema_test},         {"export", ctl_schema_export}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(what, known[i].name) == 0)
            return known[i].run(ctl, &options, count, ctl->arguments + 1);
    return ctl_fail(CTL_USAGE,
                    "schema takes a command: validate, check, register, diff, lint, test, export or suite");
}
