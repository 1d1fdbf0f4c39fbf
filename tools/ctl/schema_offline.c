/* tributaryctl schema check, register, test: what developers and their CI ask, of files alone or of a gateway. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "schema.h"
#include "schema/registry_disk.h"

void ctl_schema_print_faults(const struct ctl *ctl, const struct gw_compat_report *report)
{
    if (ctl->json) {
        cJSON *list = cJSON_CreateArray();
        for (unsigned i = 0; i < report->count; i++) {
            const struct gw_compat_fault *fault = &report->faults[i];
            cJSON *one = cJSON_CreateObject();
            cJSON_AddStringToObject(one, "question", fault->question);
            cJSON_AddStringToObject(one, "rule", fault->rule);
            cJSON_AddStringToObject(one, "path", fault->path);
            cJSON_AddNumberToObject(one, "version", fault->version);
            cJSON_AddStringToObject(one, "error", fault->text);
            cJSON_AddItemToArray(list, one);
        }
        (void)ctl_print_json(list);
        cJSON_Delete(list);
        return;
    }
    for (unsigned i = 0; i < report->count; i++) {
        const struct gw_compat_fault *fault = &report->faults[i];
        char against[32] = "";
        if (fault->version)
            (void)snprintf(against, sizeof against, ", version %u", fault->version);
        printf("%s: %s\n    by rule %s (%s%s)\n", *fault->path ? fault->path : "/", fault->text, fault->rule,
               fault->question, against);
    }
    if (report->more)
        printf("and %u more\n", report->more);
}

/* A folder of SUBJECT/VERSION.json as a registry; nothing else is read or written. */
struct folder {
    struct gw_schemas *schemas;
    struct gw_schema_disk *disk;
    struct gw_compat_report report;
};

static void close_folder(struct folder *f)
{
    gw_schema_disk_close(f->disk);
    gw_schemas_close(f->schemas);
}

static int open_folder(const struct ctl *ctl, const struct ctl_schema_options *options, bool writable,
                       struct folder *out)
{
    const struct gw_schemas_options settings = {.compile = {.assert_formats = true}};
    const struct gw_schema_disk_options disk = {
        .files = options->folder, .read_files_only = !writable, .now_ms = (int64_t)time(NULL) * 1000};
    struct gw_error error;
    *out = (struct folder){.schemas = gw_schemas_new(&settings)};
    if (!out->schemas)
        return ctl_fail(CTL_FAILED, "out of memory");
    int rc = gw_schemas_set_level(out->schemas, NULL, options->level, &error);
    if (rc == 0)
        rc = gw_schema_disk_open(&disk, out->schemas, &out->report, &out->disk, &error);
    if (rc == 0)
        return CTL_OK;
    ctl_schema_print_faults(ctl, &out->report);
    close_folder(out);
    const bool bad = rc == GW_ECONFLICT || rc == GW_EINVALID || rc == GW_EDAMAGED;
    return ctl_fail(bad ? CTL_BAD : CTL_FAILED, "%s", error.text);
}

static int count_folder(const struct folder *f, const char *name)
{
    unsigned subjects = 0, versions = 0;
    for (const struct gw_schema_subject *s = NULL; (s = gw_schemas_next(f->schemas, s)) != NULL; subjects++)
        versions += gw_schema_subject_versions(s);
    printf("%s: %u subjects, %u versions: each may follow those before it\n", name, subjects, versions);
    return CTL_OK;
}

static int judge_candidate(const struct ctl *ctl, struct folder *f, const char *subject, const char *path,
                           bool enter)
{
    char *text = NULL;
    size_t len = 0;
    struct gw_error error;
    const struct gw_schema_version *version = NULL;
    int rc = ctl_schema_read(path, &text, &len);
    if (rc != CTL_OK)
        return rc;
    const struct gw_schema_text candidate = {.subject = subject, .text = text, .len = len};
    int verdict = enter ? gw_schemas_register_file(f->schemas, &candidate, 0, (int64_t)time(NULL) * 1000,
                                                   &f->report, &version, &error)
                        : gw_schemas_check(f->schemas, &candidate, 0, &f->report, &error);
    free(text);
    if (verdict == 0 && enter)
        printf("%s: version %u of %s, id %u\n", path, version->version, subject, version->schema->id);
    else if (verdict == 0)
        printf("%s: may be the next version of %s\n", path, subject);
    else if (verdict == GW_ECONFLICT)
        ctl_schema_print_faults(ctl, &f->report);
    if (verdict == 0)
        return CTL_OK;
    const bool bad = verdict == GW_ECONFLICT || verdict == GW_EINVALID || verdict == GW_ELIMIT;
    return ctl_fail(bad ? CTL_BAD : CTL_FAILED, "%s: %s", path,
                    verdict == GW_ECONFLICT ? "may not follow what is there" : error.text);
}

int ctl_schema_check(const struct ctl *ctl, const struct ctl_schema_options *options, int count, char **words)
{
    struct folder f;
    if (!options->folder || (count != 0 && count != 2))
        return ctl_fail(CTL_USAGE,
                        "schema check takes a folder, and perhaps a candidate: tributaryctl schema check "
                        "--folder DIR [SUBJECT FILE]");
    int rc = open_folder(ctl, options, false, &f);
    if (rc != CTL_OK)
        return rc;
    rc = count == 0 ? count_folder(&f, options->folder) : judge_candidate(ctl, &f, words[0], words[1], false);
    close_folder(&f);
    return rc;
}

/* By the running gateway, as its clients do. */
static int register_there(const struct ctl *ctl, const char *subject, const char *file)
{
    char path[GW_SUBJECT_MAX + 32], *text = NULL;
    size_t len = 0;
    int rc = ctl_schema_read(file, &text, &len);
    if (rc != CTL_OK)
        return rc;
    char *whole = realloc(text, len + 1);
    if (!whole || strlen(subject) > GW_SUBJECT_MAX || strspn(subject, "/?#% \r\n") != 0) {
        free(whole ? whole : text);
        return ctl_fail(CTL_USAGE, "\"%s\" is no name of a subject", subject);
    }
    whole[len] = '\0';
    cJSON *body = cJSON_CreateObject(), *answer = NULL;
    cJSON_AddStringToObject(body, "schemaType", "JSON");
    cJSON_AddStringToObject(body, "schema", whole);
    free(whole);
    (void)snprintf(path, sizeof path, "/subjects/%s/versions", subject);
    rc = ctl_post(ctl, path, body, &answer);
    cJSON_Delete(body);
    if (rc == CTL_OK)
        printf("%s: registered under %s, id %llu\n", file, subject,
               (unsigned long long)ctl_number(answer, "id"));
    cJSON_Delete(answer);
    return rc;
}

int ctl_schema_register(const struct ctl *ctl, const struct ctl_schema_options *options, int count,
                        char **words)
{
    struct folder f;
    if (count != 2)
        return ctl_fail(
            CTL_USAGE,
            "schema register takes a subject and a file: tributaryctl schema register [--folder DIR] "
            "SUBJECT FILE");
    if (!options->folder)
        return register_there(ctl, words[0], words[1]);
    int rc = open_folder(ctl, options, true, &f);
    if (rc != CTL_OK)
        return rc;
    rc = judge_candidate(ctl, &f, words[0], words[1], true);
    char trouble[256];
    if (rc == CTL_OK && *gw_schema_disk_trouble(f.disk, trouble))
        rc = ctl_fail(CTL_FAILED, "%s", trouble);
    close_folder(&f);
    return rc;
}

/* --- schema test --- */

struct example_run {
    const struct gw_schema *schema;
    struct gw_schema_scratch *scratch;
    unsigned good, total;
};

static int is_example(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');
    return entry->d_name[0] != '.' && dot && strcmp(dot, ".json") == 0;
}

static int judge_example(struct example_run *run, const char *path, bool expected)
{
    struct gw_schema_fault faults[4] = {{.instance = NULL}};
    char texts[2048], *text = NULL;
    size_t len = 0;
    struct gw_schema_report report = {
        .faults = faults, .fault_max = 4, .text = texts, .text_max = sizeof texts};
    int rc = ctl_schema_read(path, &text, &len);
    if (rc != CTL_OK)
        return rc;
    const struct gw_cursor cursor = {.data = (const uint8_t *)text, .len = (uint32_t)len};
    int verdict = gw_schema_validate(run->schema, run->scratch, &cursor, &report);
    const bool good = expected ? verdict == GW_SCHEMA_VALID : verdict == GW_SCHEMA_INVALID;
    run->total++;
    run->good += good;
    if (!good && verdict == GW_SCHEMA_INVALID && report.fault_count > 0)
        printf("FAIL %s: %s: %s\n    by %s\n", path, *faults[0].instance ? faults[0].instance : "/",
               faults[0].message, faults[0].keyword);
    else if (!good)
        printf("FAIL %s: %s\n", path,
               verdict == GW_SCHEMA_VALID ? "is valid, and should not be" : gw_error_text(verdict));
    free(text);
    return CTL_OK;
}

static int judge_examples(struct example_run *run, const char *folder, const char *name, bool expected)
{
    struct dirent **entries = NULL;
    char *path;
    int rc = CTL_OK;
    if (asprintf(&path, "%s/%s", folder, name) < 0)
        return ctl_fail(CTL_FAILED, "out of memory");
    int count = scandir(path, &entries, is_example, alphasort);
    if (count <= 0)
        rc = ctl_fail(CTL_FAILED, "%s: has no examples (*.json)", path);
    for (int i = 0; i < count; i++) {
        char *file;
        if (rc == CTL_OK && asprintf(&file, "%s/%s", path, entries[i]->d_name) >= 0) {
            rc = judge_example(run, file, expected);
            free(file);
        }
        free(entries[i]);
    }
    free(entries);
    free(path);
    return rc;
}

int ctl_schema_test(const struct ctl *ctl, const struct ctl_schema_options *options, int count, char **words)
{
    char *text = NULL;
    size_t len = 0;
    struct gw_error error;
    struct gw_schema *schema = NULL;
    struct gw_schema_scratch scratch;
    (void)ctl;
    if (count != 2)
        return ctl_fail(
            CTL_USAGE,
            "schema test takes a schema and a folder with valid/ and invalid/: tributaryctl schema test "
            "SCHEMA DIR");
    int rc = ctl_schema_read(words[0], &text, &len);
    if (rc != CTL_OK)
        return rc;
    struct gw_schema_options compile = options->compile;
    compile.assert_formats = true; /* as the gateway does */
    if (gw_schema_compile(text, len, &compile, &schema, &error) != 0)
        rc = ctl_fail(CTL_BAD, "%s: %s", words[0], error.text);
    free(text);
    void *memory = malloc(CTL_SCHEMA_SCRATCH);
    if (rc == CTL_OK && (!memory || gw_schema_scratch_init(memory, CTL_SCHEMA_SCRATCH, &scratch) != 0))
        rc = ctl_fail(CTL_FAILED, "out of memory");
    struct example_run run = {.schema = schema, .scratch = &scratch};
    if (rc == CTL_OK)
        rc = judge_examples(&run, words[1], "valid", true);
    if (rc == CTL_OK)
        rc = judge_examples(&run, words[1], "invalid", false);
    if (rc == CTL_OK)
        printf("%u of %u\n", run.good, run.total);
    gw_schema_free(schema);
    free(memory);
    return rc != CTL_OK ? rc : run.good == run.total ? CTL_OK : CTL_BAD;
}
