/* Schemas and instances made to hang or exhaust: each ends soon, and with a verdict or a clear error. */
#include <time.h>

#include "schema_fixture.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SLOWER 20
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SLOWER 20
#endif
#endif
#ifndef SLOWER
#ifdef __OPTIMIZE__
#define SLOWER 1
#else
#define SLOWER 5
#endif
#endif
#define LIMIT_MS 100 /* of CPU time, so that a busy machine is of no matter */

#define TEXT_MAX (4u << 20)
static char schema_text[TEXT_MAX], instance_text[TEXT_MAX];
static size_t schema_len, instance_len;

__attribute__((format(printf, 3, 4))) static void put(char *text, size_t *len, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text + *len, TEXT_MAX - *len, format, args);
    va_end(args);
    assert_true(n >= 0 && (size_t)n < TEXT_MAX - *len);
    *len += (size_t)n;
}
#define SCHEMA(...) put(schema_text, &schema_len, __VA_ARGS__)
#define INSTANCE(...) put(instance_text, &instance_len, __VA_ARGS__)

/* `between` is put between count times what a format with the number makes. */
static void repeat(char *text, size_t *len, unsigned count, const char *before, const char *behind,
                   const char *between)
{
    for (unsigned i = 0; i < count; i++)
        put(text, len, "%s%s%u%s", i ? between : "", before, i, behind);
}

static void begin(void)
{
    schema_len = instance_len = 0;
}

static double cpu_ms(void)
{
    return (double)clock() * 1000.0 / CLOCKS_PER_SEC;
}

/* What compile said, or the verdict; every step within the limit. */
static int run(void)
{
    double start = cpu_ms();
    int rc = try_compile(schema_text, schema_len);
    double took = cpu_ms() - start;
    if (took > LIMIT_MS * SLOWER)
        print_error("compile took %.0f ms\n", took);
    assert_true(took <= LIMIT_MS * SLOWER);
    if (rc != 0) {
        assert_true(it.error.text[0] != '\0');
        return rc;
    }
    for (int pass = 0; pass < 2; pass++) {
        start = cpu_ms();
        rc = judge_bytes(instance_text, instance_len, GW_ENCODING_JSON, pass ? &it.report : NULL);
        took = cpu_ms() - start;
        if (took > LIMIT_MS * SLOWER)
            print_error("validation took %.0f ms\n", took);
        assert_true(took <= LIMIT_MS * SLOWER);
    }
    return rc;
}

/* Each level refers to the next one twice: 2^60 ways. */
static void ref_bomb(const char *applicator, const char *more)
{
    begin();
    SCHEMA("{\"$ref\":\"#/$defs/a0\",\"$defs\":{");
    for (unsigned i = 0; i < 60; i++)
        SCHEMA("\"a%u\":{%s\"%s\":[{\"$ref\":\"#/$defs/a%u\"},{\"$ref\":\"#/$defs/a%u\"}]},", i, more,
               applicator, i + 1, i + 1);
    SCHEMA("\"a60\":{\"type\":\"%s\"}}}", strcmp(applicator, "anyOf") == 0 ? "string" : "object");
}

static void test_schema_bombs_end_in_a_limit(void **state)
{
    (void)state;
    ref_bomb("allOf", "");
    INSTANCE("{}");
    assert_int_equal(run(), GW_ELIMIT);
    ref_bomb("anyOf", "");
    INSTANCE("1");
    assert_int_equal(run(), GW_ELIMIT);
    ref_bomb("allOf", "\"unevaluatedProperties\":true,");
    INSTANCE("{");
    repeat(instance_text, &instance_len, 3000, "\"k", "\":1", ",");
    INSTANCE("}");
    assert_int_equal(run(), GW_ELIMIT);
}

static void test_references_in_a_circle_end_in_a_limit(void **state)
{
    (void)state;
    static const char *const schemas[] = {"{\"$ref\":\"#\"}",
                                          "{\"anyOf\":[{\"$ref\":\"#\"},{\"$ref\":\"#\"}]}",
                                          "{\"$dynamicAnchor\":\"x\",\"not\":{\"$dynamicRef\":\"#x\"}}"};
    for (size_t i = 0; i < 3; i++) {
        begin();
        SCHEMA("%s", schemas[i]);
        INSTANCE("1");
        assert_int_equal(run(), GW_ELIMIT);
    }
}

static void test_regex_bombs_end_in_a_limit(void **state)
{
    (void)state;
    static const char *const patterns[] = {"^(a+)+$", "^(([a-z])+.)+[A-Z]([a-z])+$", "^(a|a?)+$",
                                           "^(a|aa)+$"};
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        begin();
        SCHEMA("{\"additionalProperties\":{\"pattern\":\"%s\"}}", patterns[i]);
        INSTANCE("{");
        repeat(instance_text, &instance_len, 2000, "\"k",
               "\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!\"", ",");
        INSTANCE("}");
        assert_int_equal(run(), GW_ELIMIT);
    }
    begin();
    SCHEMA("{\"patternProperties\":{\"^(a+)+$\":true}}");
    INSTANCE("{");
    repeat(instance_text, &instance_len, 20000, "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", "\":1", ",");
    INSTANCE("}");
    assert_int_equal(run(), GW_ELIMIT);
}

/* No single match reaches its limit; together they would take seconds. */
static void test_many_expensive_matches_end_in_a_limit(void **state)
{
    (void)state;
    begin();
    SCHEMA("{\"items\":{\"not\":{\"pattern\":\"^(a+)+$\"}}}");
    INSTANCE("[");
    for (unsigned i = 0; i < 50000; i++)
        INSTANCE("%s\"aaaaaaaaaaaaaa!\"", i ? "," : "");
    INSTANCE("]");
    assert_int_equal(run(), GW_ELIMIT);
}

static void test_large_patterns_are_refused(void **state)
{
    (void)state;
    begin();
    SCHEMA("{\"pattern\":\"((((a{1,100}){1,100}){1,100}){1,100}){1,100}\"}");
    assert_int_equal(run(), GW_EINVALID);
    begin();
    SCHEMA("{\"patternProperties\":{");
    repeat(schema_text, &schema_len, 8000, "\"^(a{1,60}b{1,60}c{1,60}){1,60}x", "\":true", ",");
    SCHEMA("}}");
    assert_int_equal(run(), GW_ELIMIT);
}

static void test_deep_nesting_is_refused(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < 3; kind++) {
        begin();
        SCHEMA("%s", kind == 0   ? "true"
                     : kind == 1 ? "{\"items\":{\"$ref\":\"#\"}}"
                                 : "{\"uniqueItems\":true}");
        for (unsigned i = 0; i < 100000; i++)
            INSTANCE("[");
        assert_int_equal(run(), GW_ELIMIT);
    }
    begin();
    for (unsigned i = 0; i < 40000; i++)
        SCHEMA("{\"not\":");
    assert_int_equal(run(), GW_ELIMIT);
}

static void test_large_schemas_compile_soon_or_are_refused(void **state)
{
    (void)state;
    begin(); /* names that agree in length, head and tail */
    SCHEMA("{\"properties\":{");
    for (unsigned i = 0; i < 12000; i++)
        SCHEMA("%s\"aaaaaaaa%08ubbbbbbbb\":true", i ? "," : "", i);
    SCHEMA("}}");
    INSTANCE("{\"aaaaaaaa00000001bbbbbbbb\":1}");
    assert_int_equal(run(), GW_SCHEMA_VALID);
    begin(); /* the same constant over and over */
    SCHEMA("{\"enum\":[\"a\"");
    for (unsigned i = 0; i < 100000; i++)
        SCHEMA(",\"a\"");
    SCHEMA("]}");
    INSTANCE("\"a\"");
    assert_int_equal(run(), GW_SCHEMA_VALID);
    begin(); /* long base URIs */
    SCHEMA("{\"$id\":\"http://e/");
    for (unsigned i = 0; i < 900; i++)
        SCHEMA("a/");
    SCHEMA("\",\"$defs\":{");
    for (unsigned i = 0; i < 15000; i++)
        SCHEMA("%s\"x%u\":{\"$id\":\"b%u\"}", i ? "," : "", i, i);
    SCHEMA("}}");
    INSTANCE("1");
    assert_int_equal(run(), GW_ELIMIT);
    begin(); /* many references */
    SCHEMA("{\"allOf\":[");
    repeat(schema_text, &schema_len, 10000, "{\"$ref\":\"#/$defs/x", "\"}", ",");
    SCHEMA("],\"$defs\":{");
    repeat(schema_text, &schema_len, 10000, "\"x", "\":{}", ",");
    SCHEMA("}}");
    INSTANCE("1");
    assert_int_equal(run(), GW_SCHEMA_VALID);
    begin(); /* dynamic anchors times dynamic references */
    SCHEMA("{\"$id\":\"http://x/r\",\"allOf\":[");
    for (unsigned i = 0; i < 4000; i++)
        SCHEMA("%s{\"$id\":\"http://x/%u\",\"$dynamicAnchor\":\"n\",\"not\":{\"$dynamicRef\":\"#n\"}}",
               i ? "," : "", i);
    SCHEMA("]}");
    assert_int_equal(run(), GW_ELIMIT);
}

static void test_large_instances_end_soon(void **state)
{
    (void)state;
    begin(); /* every item with every constant */
    SCHEMA("{\"items\":{\"enum\":[");
    repeat(schema_text, &schema_len, 10000, "{\"a\":", "}", ",");
    SCHEMA("]}}");
    INSTANCE("[");
    for (unsigned i = 0; i < 10000; i++)
        INSTANCE("{\"a\":-1},");
    INSTANCE("1]");
    assert_int_equal(run(), GW_ELIMIT);
    begin(); /* numbers with absurd exponents, and a million digits */
    SCHEMA("{\"items\":{\"minimum\":1,\"multipleOf\":0.123456789}}");
    INSTANCE("[0");
    for (unsigned i = 0; i < 60000; i++)
        INSTANCE(",1e99999999999999");
    INSTANCE("]");
    (void)run();
    begin();
    SCHEMA("{\"multipleOf\":9999999999999999999}");
    memset(instance_text, '7', 1000000);
    instance_len = 1000000;
    assert_true(run() != GW_SCHEMA_VALID);
    begin(); /* the same string read a thousand times */
    SCHEMA("{\"anyOf\":[");
    repeat(schema_text, &schema_len, 1000, "{\"minLength\":1", "000000}", ",");
    SCHEMA("]}");
    INSTANCE("\"");
    for (unsigned i = 0; i < 200000; i++)
        INSTANCE("éé");
    INSTANCE("\"");
    assert_int_equal(run(), GW_ELIMIT);
}

static void test_scratch_that_is_too_small_is_an_error_and_never_a_verdict(void **state)
{
    (void)state;
    begin();
    SCHEMA("{\"uniqueItems\":true}");
    INSTANCE("[");
    repeat(instance_text, &instance_len, 50000, "", "", ",");
    INSTANCE(",1]");
    assert_int_equal(run(), GW_EFULL);
    compile("{\"anyOf\":[true,{\"required\":[\"x\"]}],\"unevaluatedProperties\":true,\"properties\":{\"s\":{"
            "\"pattern\":\"^a*b\"}}}");
    static const char event[] = "{\"s\":\"\\u0061\\u0061\\u0062\",\"t\":1}";
    int rc = GW_EFULL;
    for (size_t room = 0; room < 400; room += 8) {
        it.scratch.memory.size = room;
        rc = judge(event);
        assert_true(rc == GW_EFULL || rc == GW_SCHEMA_VALID);
        if (room == 0)
            assert_int_equal(rc, GW_EFULL);
    }
    assert_int_equal(rc, GW_SCHEMA_VALID);
}

static void test_any_amount_of_fuel_gives_the_verdict_or_the_limit(void **state)
{
    (void)state;
    compile(
        "{\"anyOf\":[{\"items\":{\"type\":\"string\"}},{\"items\":{\"enum\":[1,[2]]}}],\"uniqueItems\":true,"
        "\"contains\":{\"const\":[2.0]},\"unevaluatedItems\":false}");
    assert_int_equal(judge("[1,[2]]"), GW_SCHEMA_VALID);
    const int64_t needed = (int64_t)it.scratch.fuel_used;
    for (int64_t fuel = 0; fuel <= needed + 1; fuel++) {
        it.scratch.fuel_max = fuel;
        assert_int_equal(judge("[1,[2]]"), fuel < needed ? GW_ELIMIT : GW_SCHEMA_VALID);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_schema_bombs_end_in_a_limit),
        TEST(test_references_in_a_circle_end_in_a_limit),
        TEST(test_regex_bombs_end_in_a_limit),
        TEST(test_many_expensive_matches_end_in_a_limit),
        TEST(test_large_patterns_are_refused),
        TEST(test_deep_nesting_is_refused),
        TEST(test_large_schemas_compile_soon_or_are_refused),
        TEST(test_large_instances_end_soon),
        TEST(test_scratch_that_is_too_small_is_an_error_and_never_a_verdict),
        TEST(test_any_amount_of_fuel_gives_the_verdict_or_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
