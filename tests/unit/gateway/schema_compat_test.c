/*
 * The compatibility checker: a golden table of pairs with their verdicts, and a property that it must not break: what was valid
 * for the writer is valid for the reader, whenever it says so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "schema/compat.h"
#include "unit/gateway/compat_random.h"

static struct gw_error error;

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    char *text = calloc(1, 1 << 20);
    assert_non_null(file);
    assert_non_null(text);
    assert_true(fread(text, 1, (1 << 20) - 1, file) > 0);
    (void)fclose(file);
    return text;
}

static int ask(const char *old, const char *new, unsigned questions, struct gw_compat_report *report)
{
    const struct gw_compat_side before = {old, strlen(old)}, after = {new, strlen(new)};
    *report = (struct gw_compat_report){.count = 0};
    return gw_compat_check(&before, &after, questions, NULL, 1, report, &error);
}

/* "rule path" must be among the faults; "" means that there is none. */
static bool is_as_told(const char *name, const char *question, const char *told, int rc,
                       const struct gw_compat_report *report)
{
    char fault[512];
    bool found = false;
    for (unsigned i = 0; i < report->count; i++) {
        (void)snprintf(fault, sizeof fault, "%s %s", report->faults[i].rule, report->faults[i].path);
        found |= strcmp(fault, told) == 0 && strcmp(report->faults[i].question, question) == 0;
    }
    if (*told ? (rc == GW_ECONFLICT && found) : rc == 0)
        return true;
    print_error("%s: %s: expected \"%s\", got %d\n", name, question, told, rc);
    for (unsigned i = 0; i < report->count; i++)
        print_error("    %s %s %s\n", report->faults[i].question, report->faults[i].rule,
                    report->faults[i].path);
    return false;
}

static const char *text_of(const cJSON *row, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(row, name);
    assert_true(cJSON_IsString(item));
    return item->valuestring;
}

/* The seven levels, by what they ask. */
static unsigned wrong_levels(const char *name, const char *old, const char *new, bool house, bool backward,
                             bool forward)
{
    const struct {
        enum gw_compat_level level;
        bool good;
    } levels[] = {{GW_COMPAT_NONE, true},
                  {GW_COMPAT_BACKWARD, house && backward},
                  {GW_COMPAT_BACKWARD_TRANSITIVE, house && backward},
                  {GW_COMPAT_FORWARD, house && forward},
                  {GW_COMPAT_FORWARD_TRANSITIVE, house && forward},
                  {GW_COMPAT_FULL, house && backward && forward},
                  {GW_COMPAT_FULL_TRANSITIVE, house && backward && forward}};
    struct gw_compat_report report;
    unsigned wrong = 0;
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        int rc = ask(old, new, gw_compat_questions(levels[i].level), &report);
        if (rc == (levels[i].good ? 0 : GW_ECONFLICT))
            continue;
        print_error("%s: level %s gives %d\n", name, gw_compat_level_name(levels[i].level), rc);
        wrong++;
    }
    return wrong;
}

/* Numbers of the table go beyond doubles: the text of each schema is cut from the file, not printed anew. */
static char *cut(const char *line, const char *key)
{
    const char *start = strstr(line, key) + strlen(key), *end = strchr(start, '\n');
    char *text = strndup(start, (size_t)(end - start));
    text[strlen(text) - 1] = '\0'; /* the comma */
    return text;
}

static void test_golden_pairs_have_their_verdicts_and_rules(void **state)
{
    (void)state;
    char *text = read_file(TRIBUTARY_SOURCE_DIR "/tests/golden/schema_compatibility.json");
    cJSON *table = cJSON_Parse(text);
    const cJSON *row;
    unsigned rows = 0, wrong = 0;
    const char *line = text;
    static const struct {
        const char *name;
        unsigned question;
    } questions[] = {{"house", GW_COMPAT_ASK_HOUSE},
                     {"backward", GW_COMPAT_ASK_BACKWARD},
                     {"forward", GW_COMPAT_ASK_FORWARD}};
    cJSON_ArrayForEach(row, table)
    {
        struct gw_compat_report report;
        line = strstr(line, "\"name\": ");
        char *old = cut(line, "\n   \"old\": "), *new = cut(line, "\n   \"new\": ");
        line += 8;
        bool good[3];
        for (size_t i = 0; i < 3; i++) {
            const char *told = text_of(row, questions[i].name);
            good[i] = *told == '\0';
            int rc = ask(old, new, questions[i].question, &report);
            wrong += !is_as_told(text_of(row, "name"), questions[i].name, told, rc, &report);
        }
        wrong += wrong_levels(text_of(row, "name"), old, new, good[0], good[1], good[2]);
        free(old);
        free(new);
        rows++;
    }
    cJSON_Delete(table);
    free(text);
    print_message("%u pairs\n", rows);
    assert_int_equal(wrong, 0);
    assert_true(rows >= 60);
}

static void test_names_of_levels(void **state)
{
    (void)state;
    for (int level = GW_COMPAT_NONE; level <= GW_COMPAT_FULL_TRANSITIVE; level++)
        assert_int_equal(gw_compat_level_of(gw_compat_level_name((enum gw_compat_level)level)), level);
    assert_int_equal(gw_compat_level_of("backward"), GW_COMPAT_UNSET);
    assert_null(gw_compat_level_name(GW_COMPAT_UNSET));
    assert_int_equal(gw_compat_questions(GW_COMPAT_DEFAULT), GW_COMPAT_ASK_HOUSE | GW_COMPAT_ASK_BACKWARD);
    assert_true(gw_compat_is_transitive(GW_COMPAT_DEFAULT));
}

/* --- the property --- */

static struct gw_schema *compiled(const char *text)
{
    struct gw_schema *schema = NULL;
    const struct gw_schema_options options = {.assert_formats = true};
    int rc = gw_schema_compile(text, strlen(text), &options, &schema, &error);
    if (rc != 0)
        print_error("%s\n%s\n", error.text, text);
    assert_int_equal(rc, 0);
    return schema;
}

static uint8_t scratch_memory[65536] __attribute__((aligned(16)));
static struct gw_schema_scratch scratch;

static int judge(const struct gw_schema *schema, const char *instance)
{
    const struct gw_cursor cursor = {.data = (const uint8_t *)instance, .len = (uint32_t)strlen(instance)};
    return gw_schema_validate(schema, &scratch, &cursor, NULL);
}

struct counts {
    unsigned compatible, refused, instances;
};

/* Events of the writer, read by the reader. True if one was refused. */
static bool is_refuted(const struct compat_world *writer, const char *writer_text, const char *reader_text,
                       struct counts *counts, bool told)
{
    struct gw_schema *from = compiled(writer_text), *to = compiled(reader_text);
    static char instance[16384];
    bool refuted = false;
    for (unsigned i = 0; i < 60 && !refuted; i++) {
        compat_random_instance(writer, i, instance, sizeof instance);
        if (judge(from, instance) != GW_SCHEMA_VALID)
            continue;
        counts->instances++;
        refuted = judge(to, instance) == GW_SCHEMA_INVALID;
    }
    if (refuted && told)
        (void)fprintf(stderr, "writer %s\nreader %s\nevent  %s\n", writer_text, reader_text, instance);
    gw_schema_free(from);
    gw_schema_free(to);
    return refuted;
}

static unsigned seen_refuted; /* of the refused: an event shows that it was right */

static void check_pair(uint64_t seed, bool loose, struct counts *counts)
{
    static char old_text[16384], new_text[16384];
    const unsigned kept = loose ? GW_COMPAT_UNDECLARED_KEPT : 0;
    const struct compat_world old = {.seed = seed, .loose = loose},
                              new = {
                                  .seed = seed, .change = seed * 7919, .rate = 1 + seed % 40, .loose = loose};
    struct gw_compat_report report;
    compat_random_schema(&old, old_text, sizeof old_text);
    compat_random_schema(&new, new_text, sizeof new_text);
    for (int forward = 0; forward < 2; forward++) {
        int rc = ask(old_text, new_text, kept | (forward ? GW_COMPAT_ASK_FORWARD : GW_COMPAT_ASK_BACKWARD),
                     &report);
        assert_true(rc == 0 || rc == GW_ECONFLICT || rc == GW_ELIMIT);
        bool refuted = is_refuted(forward ? &new : &old, forward ? new_text : old_text,
                                  forward ? old_text : new_text, counts, rc == 0);
        assert_false(refuted && rc == 0);
        counts->compatible += rc == 0;
        counts->refused += rc == GW_ECONFLICT;
        seen_refuted += refuted;
    }
}

static void test_what_is_called_compatible_never_refuses_an_event(void **state)
{
    (void)state;
    struct counts counts = {0};
    const char *runs = getenv("COMPAT_RUNS");
    const unsigned long most = runs ? strtoul(runs, NULL, 10) : 5000;
    assert_int_equal(gw_schema_scratch_init(scratch_memory, sizeof scratch_memory, &scratch), 0);
    for (unsigned long seed = 1; seed <= most; seed++)
        check_pair(seed, seed % 2, &counts);
    print_message("%u times compatible, %u refused (%u of them by an event), %u events\n", counts.compatible,
                  counts.refused, seen_refuted, counts.instances);
    /* Neither side of the property is empty. */
    assert_true(counts.compatible > most / 5 && counts.refused > most / 5 &&
                seen_refuted > counts.refused / 4);
}

static void test_every_schema_may_follow_itself(void **state)
{
    (void)state;
    static char text[16384];
    for (unsigned seed = 1; seed <= 2000; seed++) {
        const struct compat_world world = {.seed = seed};
        struct gw_compat_report report;
        compat_random_schema(&world, text, sizeof text);
        int rc = ask(text, text, 7, &report);
        if (rc != 0)
            print_error("%s\n%s\n", text, error.text);
        assert_int_equal(rc, 0);
    }
}

static void test_a_pair_made_to_take_long_ends_in_a_limit(void **state)
{
    (void)state;
    char *text = malloc(1 << 18);
    struct gw_compat_report report;
    size_t n = 0;
    n += (size_t)sprintf(text, "{\"$ref\":\"#/$defs/d0\",\"$defs\":{");
    for (int i = 0; i < 40; i++)
        n += (size_t)sprintf(
            text + n,
            "\"d%d\":{\"anyOf\":[{\"properties\":{\"a\":{\"$ref\":\"#/$defs/d%d\"}}},{\"properties\":{\"b\":"
            "{\"$ref\":\"#/$defs/d%d\"}}},{\"minProperties\":%d}]},",
            i, i + 1, i + 1, i);
    (void)sprintf(text + n, "\"d40\":{\"type\":\"integer\"}}}");
    char *other = strdup(text);
    memcpy(strstr(other, "integer"), "boolean", 7);
    int rc = ask(text, other, GW_COMPAT_ASK_BACKWARD, &report);
    assert_true(rc == GW_ELIMIT || rc == GW_ECONFLICT);
    free(other);
    free(text);
}

/* Each part is compared with each, for each member. */
static void test_many_parts_end_soon(void **state)
{
    (void)state;
    char *old = malloc(1 << 18), *new = malloc(1 << 18);
    struct gw_compat_report report;
    size_t old_len = (size_t)sprintf(old, "{\"allOf\":["), new_len = (size_t)sprintf(new, "{\"allOf\":[");
    for (int i = 0; i < 800; i++) {
        static const char part[] = "%s{\"properties\":{\"a%d\":{\"type\":\"string\",\"maxLength\":%d}}}";
        old_len += (size_t)sprintf(old + old_len, part, i ? "," : "", i, i);
        new_len += (size_t)sprintf(new + new_len, part, i ? "," : "", i, i + 1);
    }
    (void)sprintf(old + old_len, "]}");
    (void)sprintf(new + new_len, "]}");
    const clock_t before = clock();
    int rc = ask(old, new, 7, &report);
    assert_true(rc == GW_ELIMIT || rc == GW_ECONFLICT);
    assert_true((double)(clock() - before) / CLOCKS_PER_SEC < 5.0);
    free(old);
    free(new);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_pairs_have_their_verdicts_and_rules),
        cmocka_unit_test(test_names_of_levels),
        cmocka_unit_test(test_every_schema_may_follow_itself),
        cmocka_unit_test(test_what_is_called_compatible_never_refuses_an_event),
        cmocka_unit_test(test_a_pair_made_to_take_long_ends_in_a_limit),
        cmocka_unit_test(test_many_parts_end_soon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
