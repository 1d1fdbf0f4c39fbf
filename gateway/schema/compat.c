#include "schema/compat.h"

#include <stdlib.h>
#include <string.h>

#include "schema/compat_tree.h"

const char *gw_compat_level_name(enum gw_compat_level level)
{
    switch (level) {
#define CASE(number, name)                                                                                   \
    case GW_COMPAT_##name:                                                                                   \
        return #name;
        GW_COMPAT_LEVELS(CASE)
#undef CASE
    default:
        return NULL;
    }
}

enum gw_compat_level gw_compat_level_of(const char *name)
{
#define IF(number, level)                                                                                    \
    if (strcmp(name, #level) == 0)                                                                           \
        return GW_COMPAT_##level;
    GW_COMPAT_LEVELS(IF)
#undef IF
    return GW_COMPAT_UNSET;
}

bool gw_compat_is_transitive(enum gw_compat_level level)
{
    return level == GW_COMPAT_BACKWARD_TRANSITIVE || level == GW_COMPAT_FORWARD_TRANSITIVE ||
           level == GW_COMPAT_FULL_TRANSITIVE;
}

unsigned gw_compat_questions(enum gw_compat_level level)
{
    switch (level) {
    case GW_COMPAT_NONE:
        return 0;
    case GW_COMPAT_FORWARD:
    case GW_COMPAT_FORWARD_TRANSITIVE:
        return GW_COMPAT_ASK_HOUSE | GW_COMPAT_ASK_FORWARD;
    case GW_COMPAT_FULL:
    case GW_COMPAT_FULL_TRANSITIVE:
        return GW_COMPAT_ASK_HOUSE | GW_COMPAT_ASK_BACKWARD | GW_COMPAT_ASK_FORWARD;
    default:
        return GW_COMPAT_ASK_HOUSE | GW_COMPAT_ASK_BACKWARD;
    }
}

static int open_tree(struct gw_compat_tree *tree, bool keeps_undeclared, const struct gw_compat_side *side,
                     const struct gw_schema_options *options, struct gw_error *error)
{
    int rc = gw_resolver_open(&tree->resolver, side->text, side->len, options, &tree->root, error);
    if (rc != 0)
        return rc;
    tree->keeps_undeclared = keeps_undeclared;
    const struct gw_doc_node *annotation =
        tree->root->kind == GW_KIND_OBJECT ? gw_compat_member(tree, tree->root, "x-tributary") : NULL;
    const struct gw_doc_node *undeclared = annotation && annotation->kind == GW_KIND_OBJECT
                                               ? gw_compat_member(tree, annotation, "undeclared")
                                               : NULL;
    if (undeclared && undeclared->kind == GW_KIND_STRING)
        tree->keeps_undeclared = undeclared->text_len == 4 && memcmp(undeclared->text, "keep", 4) == 0;
    return 0;
}

/* Every question is asked, so that a refusal names all that is to be mended. */
static int ask(struct gw_compat *c, unsigned questions)
{
    int rc = 0;
    if (questions & GW_COMPAT_ASK_HOUSE) {
        c->question = "house";
        rc = gw_compat_house(c);
    }
    if (c->broken == 0 && questions & GW_COMPAT_ASK_BACKWARD) {
        c->question = "backward";
        int other = gw_compat_contained(c, &c->old, &c->new);
        rc = other != 0 ? other : rc;
    }
    if (c->broken == 0 && questions & GW_COMPAT_ASK_FORWARD) {
        c->question = "forward";
        int other = gw_compat_contained(c, &c->new, &c->old);
        rc = other != 0 ? other : rc;
    }
    return c->broken ? c->broken : rc;
}

int gw_compat_check(const struct gw_compat_side *old, const struct gw_compat_side *new, unsigned questions,
                    const struct gw_schema_options *options, uint32_t version,
                    struct gw_compat_report *report, struct gw_error *error)
{
    static const struct gw_schema_options defaults;
    struct gw_compat c = {
        .report = report, .error = error, .version = version, .question = "", .fuel = GW_COMPAT_FUEL};
    const unsigned before = report->count;
    const bool kept = (questions & GW_COMPAT_UNDECLARED_KEPT) != 0;
    if ((questions & 7u) == 0)
        return 0;
    if (!options)
        options = &defaults;
    int rc = open_tree(&c.old, kept, old, options, error);
    if (rc == 0)
        rc = open_tree(&c.new, kept, new, options, error);
    if (rc == 0) {
        rc = ask(&c, questions);
        if (rc == GW_ECONFLICT && report->count > before) {
            const struct gw_compat_fault *fault = &report->faults[before];
            (void)gw_error_set(error, rc, 0, "version %u: %s: %s (%s, rule %s)", version,
                               *fault->path ? fault->path : "/", fault->text, fault->question, fault->rule);
        } else if (rc != 0) {
            (void)gw_error_set(error, rc, 0,
                               "version %u: the schemas are too large or too entangled to be compared: %s",
                               version, gw_error_text(rc));
        }
    }
    gw_resolver_close(&c.old.resolver);
    gw_resolver_close(&c.new.resolver);
    return rc;
}
