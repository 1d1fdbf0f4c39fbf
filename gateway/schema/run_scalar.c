/* Numbers beyond the quick way, strings, const and enum. */
#include "schema/run.h"

int gw_run_number_exactly(struct gw_run *run, const struct gw_frame *frame, const struct gw_op *op,
                          const struct gw_value *value)
{
    const struct gw_number_rule *rule = op->rule;
    struct gw_number n;
    const uint64_t price =
        rule->has & GW_HAS_MULTIPLE ? 16 : 2; /* a division for each digit and each bit of the exponent */
    int verdict = gw_run_pay(run, price * (128 + value->after - value->at));
    if (verdict != 0)
        return verdict;
    gw_value_number(value, &n);
    if (rule->has & GW_HAS_MINIMUM && gw_number_compare(&n, &rule->minimum) < 0)
        verdict = gw_run_fault(run, frame, GW_KW_MINIMUM, "is below the minimum");
    if (rule->has & GW_HAS_MAXIMUM && gw_number_compare(&n, &rule->maximum) > 0)
        verdict = gw_run_fault(run, frame, GW_KW_MAXIMUM, "is above the maximum");
    if (rule->has & GW_HAS_ABOVE && gw_number_compare(&n, &rule->above) <= 0)
        verdict = gw_run_fault(run, frame, GW_KW_EXCLUSIVE_MINIMUM, "is not above the exclusive minimum");
    if (rule->has & GW_HAS_BELOW && gw_number_compare(&n, &rule->below) >= 0)
        verdict = gw_run_fault(run, frame, GW_KW_EXCLUSIVE_MAXIMUM, "is not below the exclusive maximum");
    if (rule->has & GW_HAS_MULTIPLE && !gw_number_multiple(&n, &rule->multiple))
        verdict = gw_run_fault(run, frame, GW_KW_MULTIPLE_OF, "is not a multiple");
    return verdict;
}

static int check_length(struct gw_run *run, const struct gw_frame *frame, const struct gw_string_rule *rule,
                        const struct gw_value *value)
{
    int verdict = 0;
    const uint64_t length = gw_value_length(value);
    if (length < rule->min)
        verdict = gw_run_fault(run, frame, GW_KW_MIN_LENGTH, "has %llu characters, fewer than %llu",
                               (unsigned long long)length, (unsigned long long)rule->min);
    if (length > rule->max)
        verdict = gw_run_fault(run, frame, GW_KW_MAX_LENGTH, "has %llu characters, more than %llu",
                               (unsigned long long)length, (unsigned long long)rule->max);
    return verdict;
}

int gw_run_string(struct gw_run *run, const struct gw_frame *frame, const struct gw_op *op,
                  const struct gw_value *value)
{
    const struct gw_string_rule *rule = op->rule;
    int verdict = gw_run_pay(run, value->text_len);
    if (verdict == 0)
        verdict = check_length(run, frame, rule, value);
    if ((verdict != 0 && !run->collect) || verdict < 0 || (!rule->pattern && !rule->format))
        return verdict;
    const size_t mark = run->scratch->memory.used;
    const char *text;
    size_t len;
    int rc = gw_value_text(run->cursor, value, &run->scratch->memory, &text, &len);
    if (rc == 0 && rule->pattern) {
        rc = gw_regex_match(rule->pattern, run->scratch->regex, text, len, &run->fuel);
        if (rc == 0)
            verdict = gw_run_fault(run, frame, GW_KW_PATTERN, "does not match the pattern");
    }
    if (rc >= 0 && rule->format && !rule->format(text, len))
        verdict = gw_run_fault(run, frame, GW_KW_FORMAT, "is not in the format %.40s", rule->format_name);
    run->scratch->memory.used = mark;
    return rc < 0 ? rc : verdict;
}

static int is_choice_text(struct gw_run *run, const struct gw_choice_rule *rule, const struct gw_value *value)
{
    const size_t mark = run->scratch->memory.used;
    const char *text;
    size_t len;
    int rc = gw_value_text(run->cursor, value, &run->scratch->memory, &text, &len);
    run->scratch->memory.used = mark; /* nothing is taken before it was used */
    return rc != 0 ? rc : gw_names_find(&rule->strings, text, (uint32_t)len) != GW_NAME_NONE;
}

static int is_choice(struct gw_run *run, const struct gw_choice_rule *rule, const struct gw_value *value)
{
    if (value->kind == GW_KIND_STRING)
        return is_choice_text(run, rule, value);
    if (value->kind == GW_KIND_NULL)
        return rule->null_allowed;
    if (value->kind == GW_KIND_BOOL)
        return value->truth ? rule->true_allowed : rule->false_allowed;
    const struct gw_value_pair pair = {run->cursor, &rule->cursor, &run->scratch->memory, &run->fuel};
    for (uint32_t i = 0; i < rule->value_count; i++) {
        int rc = gw_value_equal(&pair, value, &rule->values[i], GW_SCHEMA_VALUE_DEPTH - run->value_depth);
        if (rc != 0)
            return rc;
    }
    return 0;
}

int gw_run_choice(struct gw_run *run, const struct gw_frame *frame, const struct gw_op *op,
                  const struct gw_value *value)
{
    int rc = is_choice(run, op->rule, value);
    if (rc < 0)
        return rc;
    return rc > 0 ? 0 : gw_run_fault(run, frame, op->keyword, "is not what is allowed here");
}
