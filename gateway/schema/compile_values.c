/* Keywords for numbers and strings, const and enum: bounds folded, constants read ahead. */
#include <string.h>

#include "schema/compile.h"

/* --- numbers --- */

/* The integer part of a number that has one of 18 digits at most, cut towards zero. */
static bool whole_part(const struct gw_number *n, int64_t *out)
{
    if (n->scale > 18)
        return false;
    uint64_t value = n->mantissa;
    uint32_t digits = n->digits;
    if (n->text || digits > 19)
        return false;
    for (; (int64_t)digits > n->scale && digits > 0; digits--)
        value /= 10;
    for (; (int64_t)digits < n->scale; digits++)
        value *= 10;
    *out = n->negative ? -(int64_t)value : (int64_t)value;
    return true;
}

static void no_integer(struct gw_number_rule *rule)
{
    rule->low = INT64_MAX;
    rule->high = INT64_MIN;
}

/* What integers of 64 bits satisfy a lower bound without any doubt; the exact bound decides on the others. */
static void fold_low(struct gw_number_rule *rule, const struct gw_number *bound, bool exclusive)
{
    int64_t whole;
    if (!whole_part(bound, &whole)) {
        no_integer(rule);
        return;
    }
    if (gw_number_is_integer(bound) ? exclusive : !bound->negative)
        whole++;
    if (whole > rule->low)
        rule->low = whole;
}

static void fold_high(struct gw_number_rule *rule, const struct gw_number *bound, bool exclusive)
{
    int64_t whole;
    if (!whole_part(bound, &whole)) {
        no_integer(rule);
        return;
    }
    if (gw_number_is_integer(bound) ? exclusive : bound->negative)
        whole--;
    if (whole < rule->high)
        rule->high = whole;
}

static int take_number(struct gw_compiler *c, const struct gw_doc_node *node, struct gw_number *out)
{
    if (node->kind != GW_KIND_NUMBER)
        return gw_compile_refuse(c, node, "must be a number");
    const char *text = gw_compile_keep(c, node->text, node->text_len);
    if (!text)
        return GW_ELIMIT;
    gw_number_parse(text, node->text_len, out);
    return 0;
}

static int take_multiple(struct gw_compiler *c, const struct gw_doc_node *node, struct gw_number_rule *rule)
{
    if (!node)
        return 0;
    int rc = take_number(c, node, &rule->multiple);
    if (rc != 0)
        return rc;
    if (rule->multiple.negative || rule->multiple.digits == 0)
        return gw_compile_refuse(c, node, "multipleOf must be above zero");
    if (rule->multiple.digits > 19)
        return gw_compile_refuse(c, node, "multipleOf must have 19 significant digits at most");
    rule->has |= GW_HAS_MULTIPLE;
    if (!gw_number_to_int(&rule->multiple, &rule->step))
        rule->step = 0;
    return 0;
}

int gw_compile_numbers(struct gw_compiler *c, struct gw_doc_node *const kw[GW_KW_COUNT])
{
    const unsigned keywords[] = {GW_KW_MINIMUM, GW_KW_MAXIMUM, GW_KW_EXCLUSIVE_MINIMUM,
                                 GW_KW_EXCLUSIVE_MAXIMUM, GW_KW_MULTIPLE_OF};
    bool any = false;
    for (unsigned i = 0; i < 5; i++)
        any = any || kw[keywords[i]];
    if (!any)
        return 0;
    struct gw_number_rule *rule = gw_compile_alloc(c, sizeof *rule);
    if (!rule)
        return GW_ELIMIT;
    rule->low = INT64_MIN;
    rule->high = INT64_MAX;
    struct gw_number *const bounds[] = {&rule->minimum, &rule->maximum, &rule->above, &rule->below};
    for (unsigned i = 0; i < 4; i++) {
        if (!kw[keywords[i]])
            continue;
        int rc = take_number(c, kw[keywords[i]], bounds[i]);
        if (rc != 0)
            return rc;
        rule->has |= (uint8_t)(1u << i);
        if (i % 2 == 0)
            fold_low(rule, bounds[i], i == 2);
        else
            fold_high(rule, bounds[i], i == 3);
    }
    int rc = take_multiple(c, kw[GW_KW_MULTIPLE_OF], rule);
    return rc == 0 ? gw_compile_emit(c, GW_OP_NUMBER, 1u << GW_KIND_NUMBER, GW_KW_COUNT, 0, rule) : rc;
}

/* --- strings --- */

static int take_format(struct gw_compiler *c, const struct gw_doc_node *node, struct gw_string_rule *rule)
{
    if (!node)
        return 0;
    if (node->kind != GW_KIND_STRING)
        return gw_compile_refuse(c, node, "format must be a string");
    if (!c->assert_formats && !(gw_resource_of(node)->vocabularies & GW_VOCABULARY_FORMAT_ASSERTION))
        return 0;
    rule->format = gw_format_find(node->text, node->text_len);
    rule->format_name = gw_compile_keep(c, node->text, node->text_len);
    return rule->format_name ? 0 : GW_ELIMIT;
}

int gw_compile_strings(struct gw_compiler *c, struct gw_doc_node *const kw[GW_KW_COUNT])
{
    const struct gw_doc_node *pattern = kw[GW_KW_PATTERN];
    if (!kw[GW_KW_MIN_LENGTH] && !kw[GW_KW_MAX_LENGTH] && !pattern && !kw[GW_KW_FORMAT])
        return 0;
    struct gw_string_rule *rule = gw_compile_alloc(c, sizeof *rule);
    if (!rule)
        return GW_ELIMIT;
    int rc = gw_compile_count(c, kw[GW_KW_MIN_LENGTH], 0, &rule->min);
    if (rc == 0)
        rc = gw_compile_count(c, kw[GW_KW_MAX_LENGTH], UINT64_MAX, &rule->max);
    if (rc == 0 && pattern && pattern->kind != GW_KIND_STRING)
        rc = gw_compile_refuse(c, pattern, "pattern must be a string");
    if (rc == 0 && pattern)
        rc = gw_compile_regex(c, pattern, pattern->text, pattern->text_len, &rule->pattern);
    if (rc == 0)
        rc = take_format(c, kw[GW_KW_FORMAT], rule);
    if (rc != 0 || (rule->min == 0 && rule->max == UINT64_MAX && !rule->pattern && !rule->format))
        return rc;
    return gw_compile_emit(c, GW_OP_STRING, 1u << GW_KIND_STRING, GW_KW_COUNT, 0, rule);
}

/* --- const and enum --- */

struct choices {
    struct gw_choice_rule *rule;
    struct gw_name *names;
    struct gw_value *values;
    char *text; /* of the values, a space behind each */
    uint32_t name_count, text_len;
};

static int add_choice(struct gw_compiler *c, struct choices *all, const struct gw_doc_node *value)
{
    struct gw_choice_rule *rule = all->rule;
    switch ((enum gw_value_kind)value->kind) {
    case GW_KIND_NULL:
        rule->null_allowed = true;
        return 0;
    case GW_KIND_BOOL:
        *(value->truth ? &rule->true_allowed : &rule->false_allowed) = true;
        return 0;
    case GW_KIND_STRING: {
        const char *text = gw_compile_keep(c, value->text, value->text_len);
        if (!text)
            return GW_ELIMIT;
        int rc = gw_map_put(&c->resolver.members, rule, text, value->text_len, all);
        if (rc == 0)
            all->names[all->name_count++] = (struct gw_name){text, value->text_len};
        return rc == GW_EINVALID ? 0 : rc; /* a value twice is of no matter */
    }
    default:
        memcpy(all->text + all->text_len, value->source, value->source_len);
        all->values[rule->value_count++].at = all->text_len;
        all->text_len += value->source_len;
        all->text[all->text_len++] = ' ';
        return 0;
    }
}

/* first..: the node itself (const), or the items of an array (enum). */
static int compile_choice(struct gw_compiler *c, const struct gw_doc_node *first, bool many, unsigned keyword)
{
    uint32_t count = 0, bytes = 0;
    for (const struct gw_doc_node *each = first; each; each = many ? each->next : NULL) {
        count++;
        bytes += each->source_len + 1;
    }
    struct choices all = {.rule = gw_compile_alloc(c, sizeof *all.rule)};
    all.names = gw_compile_alloc(c, count * sizeof *all.names);
    all.values = gw_compile_alloc(c, count * sizeof *all.values);
    all.text = gw_compile_alloc(c, bytes);
    if (!all.rule || !all.names || !all.values || !all.text)
        return GW_ELIMIT;
    for (const struct gw_doc_node *each = first; each; each = many ? each->next : NULL) {
        int rc = add_choice(c, &all, each);
        if (rc != 0)
            return rc;
    }
    struct gw_choice_rule *rule = all.rule;
    rule->cursor = (struct gw_cursor){.data = (const uint8_t *)all.text, .len = all.text_len};
    rule->values = all.values;
    for (uint32_t i = 0; i < rule->value_count; i++) {
        int rc = gw_value_read(&rule->cursor, all.values[i].at, &all.values[i]);
        if (rc != 0)
            return rc;
    }
    uint32_t *slots = gw_compile_alloc(c, gw_names_slots(all.name_count) * sizeof *slots);
    int rc = slots ? gw_names_build(all.names, all.name_count, slots, &rule->strings) : GW_ELIMIT;
    if (rc != 0)
        return gw_error_set(c->error, rc, 0, "schema: strings of an enum collide");
    return gw_compile_emit(c, GW_OP_CHOICE, GW_KINDS_ALL, keyword, 0, rule);
}

int gw_compile_choices(struct gw_compiler *c, struct gw_doc_node *const kw[GW_KW_COUNT])
{
    const struct gw_doc_node *list = kw[GW_KW_ENUM];
    if (list && list->kind != GW_KIND_ARRAY)
        return gw_compile_refuse(c, list, "enum must be an array");
    int rc = kw[GW_KW_CONST] ? compile_choice(c, kw[GW_KW_CONST], false, GW_KW_CONST) : 0;
    return rc == 0 && list ? compile_choice(c, list->first, true, GW_KW_ENUM) : rc;
}
