/* tributaryctl schema diff and lint: what changed, and what is worth a second look. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "schema.h"
#include "schema/attributes.h"
#include "schema/compat.h"

struct side {
    char *text;
    size_t len;
    struct gw_attributes *attributes;
};

static void free_side(struct side *side)
{
    gw_attributes_free(side->attributes);
    free(side->text);
}

static int open_side(const struct ctl_schema_options *options, const char *path, struct side *out)
{
    struct gw_schema *program = NULL;
    struct gw_error error;
    *out = (struct side){.text = NULL};
    int rc = ctl_schema_read(path, &out->text, &out->len);
    if (rc != CTL_OK)
        return rc;
    int verdict = gw_schema_compile(out->text, out->len, &options->compile, &program, &error);
    gw_schema_free(program);
    if (verdict == 0)
        verdict = gw_attributes_read(out->text, out->len, &options->compile, &out->attributes, &error);
    return verdict == 0 ? CTL_OK : ctl_fail(CTL_BAD, "%s: %s", path, error.text);
}

static void print_attribute(const char *sign, const struct gw_attribute *a)
{
    static const char *const classes[] = {"", ", personal", ", secret"};
    printf("%s %s: %s%s%s\n", sign, a->name, *a->type ? a->type : "any", a->required ? ", required" : "",
           classes[a->privacy]);
}

static bool differs(const struct gw_attribute *a, const struct gw_attribute *b)
{
    return strcmp(a->type, b->type) != 0 || a->required != b->required || a->privacy != b->privacy ||
           strcmp(a->lake, b->lake) != 0;
}

static void print_attributes(const struct gw_attributes *old, const struct gw_attributes *new)
{
    for (uint32_t i = 0; i < old->count; i++) {
        const struct gw_attribute *before = &old->list[i],
                                  *after = gw_attribute_find(new, before->name, before->name_len);
        if (after && !differs(before, after))
            continue;
        print_attribute("-", before);
        if (after)
            print_attribute("+", after);
    }
    for (uint32_t i = 0; new->list &&i < new->count; i++)
        if (!gw_attribute_find(old, new->list[i].name, new->list[i].name_len))
            print_attribute("+", &new->list[i]);
}

static int print_verdicts(const struct ctl *ctl, const struct ctl_schema_options *options,
                          const struct side *old, const struct side *new)
{
    static const struct {
        unsigned question;
        const char *name;
    } questions[] = {{GW_COMPAT_ASK_HOUSE, "house rule"},
                     {GW_COMPAT_ASK_BACKWARD, "backward"},
                     {GW_COMPAT_ASK_FORWARD, "forward"}};
    const struct gw_compat_side before = {old->text, old->len}, after = {new->text, new->len};
    struct gw_compat_report all = {.count = 0};
    const unsigned asked = gw_compat_questions(options->level ? options->level : GW_COMPAT_DEFAULT);
    int worst = CTL_OK;
    for (size_t i = 0; i < 3; i++) {
        struct gw_error error;
        struct gw_compat_report report = {.count = 0};
        int rc =
            gw_compat_check(&before, &after, questions[i].question, &options->compile, 0, &report, &error);
        if (rc != 0 && rc != GW_ECONFLICT)
            return ctl_fail(CTL_BAD, "%s", error.text);
        if (!ctl->json)
            printf("%-10s %s\n", questions[i].name, rc == 0 ? "compatible" : "not compatible");
        if (rc != 0 && asked & questions[i].question)
            worst = CTL_BAD;
        for (unsigned j = 0; j < report.count && all.count < GW_COMPAT_FAULTS_MAX; j++)
            all.faults[all.count++] = report.faults[j];
    }
    ctl_schema_print_faults(ctl, &all);
    return worst;
}

int ctl_schema_diff(const struct ctl *ctl, const struct ctl_schema_options *options, int count, char **words)
{
    struct side old = {.text = NULL}, new = {.text = NULL};
    if (count != 2)
        return ctl_fail(CTL_USAGE, "schema diff takes two schemas: tributaryctl schema diff OLD NEW");
    int rc = open_side(options, words[0], &old);
    if (rc == CTL_OK)
        rc = open_side(options, words[1], &new);
    if (rc == CTL_OK && old.attributes && new.attributes) {
        if (!ctl->json)
            print_attributes(old.attributes, new.attributes);
        rc = print_verdicts(ctl, options, &old, &new);
    }
    free_side(&old);
    free_side(&new);
    return rc;
}

/* --- lint --- */

struct linter {
    const char *path;
    unsigned found;
};

static void warn(struct linter *l, const char *where, const char *what)
{
    printf("%s: %s: %s\n", l->path, where, what);
    l->found++;
}

/* Names that often hold what belongs to a person. */
static bool sounds_personal(const char *name)
{
    static const char *const words[] = {"email", "mail", "phone",    "user",      "name", "address",
                                        "birth", "ip",   "latitude", "longitude", "ssn",  "cpf"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        const char *found = strcasestr(name, words[i]);
        const size_t len = strlen(words[i]);
        /* A word of the name, not a part of one: "ip" is not in "zip", and "name" not in "rename". */
        if (found && (found == name || found[-1] == '_' || found[-1] == '.') &&
            (!found[len] || found[len] == '_'))
            return true;
    }
    return false;
}

static void lint_attribute(struct linter *l, const struct gw_attribute *a)
{
    char where[160];
    (void)snprintf(where, sizeof where, "/properties/%.120s", a->name);
    if (!*a->type && !*a->lake)
        warn(l, where, "has no type: anything is valid, and the lake cannot know what it is");
    if (!*a->description)
        warn(l, where, "has no description");
    if (!a->privacy_stated && !*a->vocabulary && sounds_personal(a->name))
        warn(l, where, "sounds personal: say its privacy class, be it \"none\"");
    if (strstr(a->type, "object") && !*a->lake)
        warn(l, where,
             "is an object: what it holds is not checked for undeclared members, and masked as a whole only");
}

static int lint_file(const struct ctl_schema_options *options, const char *path, unsigned *found)
{
    struct linter l = {.path = path};
    struct side side;
    int rc = open_side(options, path, &side);
    if (rc == CTL_OK) {
        const struct gw_attributes *a = side.attributes;
        if (!strstr(side.text, "\"$schema\""))
            warn(&l, "/", "has no $schema: which draft it is of is a guess");
        if (!*a->title && !*a->description)
            warn(&l, "/", "has no title and no description");
        if (!*a->owner)
            warn(&l, "/x-tributary", "names no owner: who is to be asked about this data?");
        if (a->count == 0)
            warn(&l, "/properties", "declares no attribute: all of an event is undeclared, and dropped");
        for (uint32_t i = 0; i < a->count; i++)
            lint_attribute(&l, &a->list[i]);
    }
    free_side(&side);
    *found += l.found;
    return rc;
}

int ctl_schema_lint(const struct ctl *ctl, const struct ctl_schema_options *options, int count, char **words)
{
    unsigned found = 0;
    int worst = CTL_OK;
    (void)ctl;
    if (count < 1)
        return ctl_fail(CTL_USAGE, "schema lint takes schemas: tributaryctl schema lint SCHEMA…");
    for (int i = 0; i < count; i++) {
        int rc = lint_file(options, words[i], &found);
        worst = rc > worst ? rc : worst;
    }
    printf("%u warnings\n", found);
    return worst != CTL_OK ? worst : found ? CTL_BAD : CTL_OK;
}
