/* The validator's own promises; that it follows the specification is shown by the official suite (conformance.schema). */
#include "schema_fixture.h"

static void assert_fault(size_t index, const char *instance, const char *keyword, const char *absolute)
{
    assert_true(index < it.report.fault_count);
    assert_string_equal(it.report.faults[index].instance, instance);
    assert_string_equal(it.report.faults[index].keyword, keyword);
    assert_string_equal(it.report.faults[index].absolute, absolute);
}

static void test_every_fault_names_its_place_in_the_instance_and_the_schema(void **state)
{
    (void)state;
    compile(
        "{\"$id\":\"https://example.org/s\",\"properties\":{\"a/b\":{\"items\":{\"$ref\":\"#/$defs/small\"}},"
        "\"ü\":{\"type\":\"string\"}},\"required\":[\"id\"],\"$defs\":{\"small\":{\"maximum\":9}}}");
    assert_int_equal(judge_all("{\"a/b\":[1,10],\"ü\":0}"), GW_SCHEMA_INVALID);
    assert_int_equal(it.report.fault_count, 3);
    assert_fault(0, "/a~1b/1", "/properties/a~1b/items/$ref/maximum",
                 "https://example.org/s#/$defs/small/maximum");
    assert_fault(1, "/ü", "/properties/ü/type", "https://example.org/s#/properties/%C3%BC/type");
    assert_fault(2, "", "/required", "https://example.org/s#/required");
    assert_string_equal(it.report.faults[2].message, "\"id\" is missing");
}

static void test_branches_that_come_to_nothing_leave_no_fault(void **state)
{
    (void)state;
    compile("{\"anyOf\":[{\"type\":\"string\"},{\"minimum\":5}],\"not\":{\"const\":7},\"if\":{\"const\":1},"
            "\"else\":{}}");
    assert_int_equal(judge_all("6"), GW_SCHEMA_VALID);
    assert_int_equal(it.report.fault_count, 0);
    assert_int_equal(judge_all("4"), GW_SCHEMA_INVALID);
    assert_int_equal(it.report.fault_count, 3);
    assert_fault(0, "", "/anyOf/0/type", "#/anyOf/0/type");
    assert_fault(2, "", "/anyOf", "#/anyOf");
}

static void test_messages_hold_no_value_of_the_instance(void **state)
{
    (void)state;
    compile(
        "{\"properties\":{\"user\":{\"type\":\"string\",\"maxLength\":3,\"pattern\":\"^x\",\"enum\":[\"a\"],"
        "\"const\":\"b\"}}}");
    assert_int_equal(judge_all("{\"user\":\"secret-4711\"}"), GW_SCHEMA_INVALID);
    assert_int_equal(it.report.fault_count, 4);
    for (size_t i = 0; i < it.report.text_len; i++)
        assert_true(memcmp(it.report.text + i, "secret", 6) != 0);
}

static void test_a_report_that_is_full_counts_the_rest(void **state)
{
    (void)state;
    compile("{\"items\":{\"type\":\"string\"}}");
    it.report.fault_max = 2;
    assert_int_equal(judge_all("[1,2,3,4,5]"), GW_SCHEMA_INVALID);
    assert_int_equal(it.report.fault_count, 2);
    assert_int_equal(it.report.more, 3);
    it.report.fault_max = 32;
    it.report.text_max = 300;
    assert_int_equal(judge_all("[1,2,3,4,5]"), GW_SCHEMA_INVALID);
    assert_int_equal(it.report.fault_count + it.report.more, 5);
    assert_true(it.report.text_len <= 300);
}

static void test_numbers_are_exact(void **state)
{
    (void)state;
    compile("{\"const\":9007199254740993}");
    assert_int_equal(judge("9007199254740993"), GW_SCHEMA_VALID);
    assert_int_equal(judge("9007199254740993.0"), GW_SCHEMA_VALID);
    assert_int_equal(judge("9007199254740992"), GW_SCHEMA_INVALID);
    compile("{\"maximum\":18446744073709551616}");
    assert_int_equal(judge("18446744073709551616"), GW_SCHEMA_VALID);
    assert_int_equal(judge("18446744073709551616.0000000000000000000001"), GW_SCHEMA_INVALID);
    assert_int_equal(judge("-1e400"), GW_SCHEMA_VALID);
    compile("{\"multipleOf\":0.0001}");
    assert_int_equal(judge("0.0075"), GW_SCHEMA_VALID);
    assert_int_equal(judge("0.00751"), GW_SCHEMA_INVALID);
    assert_int_equal(judge("1e308"), GW_SCHEMA_VALID);
    compile("{\"type\":\"integer\",\"multipleOf\":0.123456789}");
    assert_int_equal(judge("1e308"), GW_SCHEMA_INVALID);
    compile("{\"exclusiveMinimum\":-0.5,\"maximum\":2.5}");
    assert_int_equal(judge("0"), GW_SCHEMA_VALID);
    assert_int_equal(judge("-1"), GW_SCHEMA_INVALID);
    assert_int_equal(judge("3"), GW_SCHEMA_INVALID);
    assert_int_equal(judge("-0.5"), GW_SCHEMA_INVALID);
    compile("{\"minimum\":0.5}");
    assert_int_equal(judge("0"), GW_SCHEMA_INVALID);
    assert_int_equal(judge("1"), GW_SCHEMA_VALID);
    compile("{\"maximum\":-0.5}");
    assert_int_equal(judge("0"), GW_SCHEMA_INVALID);
    assert_int_equal(judge("-1"), GW_SCHEMA_VALID);
    compile("{\"const\":{\"a\":1,\"b\":2}}");
    assert_int_equal(judge("{\"a\":1}"), GW_SCHEMA_INVALID);
    assert_int_equal(judge("{\"b\":2.0,\"a\":1}"), GW_SCHEMA_VALID);
    compile("{\"uniqueItems\":true}");
    assert_int_equal(judge("[{\"a\":1},{\"a\":1,\"b\":2}]"), GW_SCHEMA_VALID);
    assert_int_equal(judge("[1,1.0]"), GW_SCHEMA_INVALID);
    assert_int_equal(judge("[{\"a\":1,\"b\":[2]},{\"b\":[2e0],\"a\":1}]"), GW_SCHEMA_INVALID);
    assert_int_equal(judge("[9007199254740993,9007199254740992,0.1,\"0.1\"]"), GW_SCHEMA_VALID);
}

static void test_what_a_failed_branch_evaluated_counts_for_nothing(void **state)
{
    (void)state;
    compile(
        "{\"anyOf\":[{\"properties\":{\"a\":true,\"b\":{\"type\":\"string\"}},\"required\":[\"c\"]},true],"
        "\"unevaluatedProperties\":false}");
    assert_int_equal(judge("{\"a\":1}"), GW_SCHEMA_INVALID);
    assert_int_equal(judge("{\"a\":1,\"b\":\"\",\"c\":1}"), GW_SCHEMA_INVALID);
    assert_int_equal(judge("{}"), GW_SCHEMA_VALID);
}

static void test_a_declared_property_twice_is_refused(void **state)
{
    (void)state;
    compile("{\"properties\":{\"a\":{\"type\":\"integer\"}}}");
    assert_int_equal(judge("{\"a\":1,\"a\":2}"), GW_EPROTOCOL);
    assert_int_equal(judge("{\"a\":1,\"\\u0061\":2}"), GW_EPROTOCOL);
}

static void test_what_is_not_json_is_refused_wherever_it_stands(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      " ",
                                      "{",
                                      "[1,]",
                                      "{\"a\":}",
                                      "{\"a\" 1}",
                                      "[1 2]",
                                      "01",
                                      "1.",
                                      "1e",
                                      "-",
                                      "tru",
                                      "\"\\x\"",
                                      "\"\\ud800\"",
                                      "\"\\udc00\"",
                                      "\"\\udc00\\udc00\"",
                                      "\"\\ud800\\ud800\"",
                                      "\"\x01\"",
                                      "\"\xff\"",
                                      "\"\xc0\x80\"",
                                      "[1]]",
                                      "{} x",
                                      "{\"a\":1,}",
                                      "'a'",
                                      "\"",
                                      "[\"a",
                                      "+1",
                                      ".5",
                                      "{1:2}",
                                      "[[[",
                                      "\"\\u12\""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        compile("true");
        assert_int_equal(judge(bad[i]), GW_EPROTOCOL);
        char nested[64];
        (void)snprintf(nested, sizeof nested, "{\"x\":%s", bad[i]);
        compile("{\"properties\":{\"x\":{\"not\":{\"type\":\"null\"}}}}");
        assert_int_equal(judge(nested), GW_EPROTOCOL);
    }
}

static int judge_cbor(const void *data, size_t len)
{
    return judge_bytes(data, len, GW_ENCODING_CBOR, NULL);
}

static void test_cbor_is_read_as_json(void **state)
{
    (void)state;
    compile("{\"type\":\"number\",\"const\":1.5}");
    assert_int_equal(judge_cbor("\xf9\x3e\x00", 3), GW_SCHEMA_VALID);
    assert_int_equal(judge_cbor("\xfa\x3f\xc0\x00\x00", 5), GW_SCHEMA_VALID);
    assert_int_equal(judge_cbor("\xfb\x3f\xf8\x00\x00\x00\x00\x00\x00", 9), GW_SCHEMA_VALID);
    compile("{\"type\":\"integer\",\"minimum\":18446744073709551615}");
    assert_int_equal(judge_cbor("\x1b\xff\xff\xff\xff\xff\xff\xff\xff", 9), GW_SCHEMA_VALID);
    assert_int_equal(judge_cbor("\x3b\xff\xff\xff\xff\xff\xff\xff\xff", 9), GW_SCHEMA_INVALID);
    compile("{\"const\":-18446744073709551616}");
    assert_int_equal(judge_cbor("\x3b\xff\xff\xff\xff\xff\xff\xff\xff", 9), GW_SCHEMA_VALID);
    compile("{\"const\":\"AQI\",\"minLength\":3,\"maxLength\":3,\"pattern\":\"^AQ\"}"); /* bytes: base64url */
    assert_int_equal(judge_cbor("\x42\x01\x02", 3), GW_SCHEMA_VALID);
    assert_int_equal(judge_cbor("\x42\x01\x03", 3), GW_SCHEMA_INVALID);
    compile("{\"type\":\"null\"}");
    assert_int_equal(judge_cbor("\xf7", 1), GW_SCHEMA_VALID);
    compile("true");
    static const char *const bad[] = {
        "\xc0\x01", "\x7f\x61\x61\xff", "\xf9\x7e\x00", "\xf9\x7c\x00", "\xf8\x20", "\x1c",
        "\x61\xff", "\x82\x01",         "\xa1\x01",     "\xbf\x01\xff", "\x9f\x01", "\x01\x01"};
    static const size_t sizes[] = {2, 4, 3, 3, 2, 1, 2, 2, 2, 3, 2, 2};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        assert_int_equal(judge_cbor(bad[i], sizes[i]), GW_EPROTOCOL);
}

static void test_integer_keys_have_the_names_of_a_table(void **state)
{
    (void)state;
    static const struct gw_key_name names[] = {{NULL, 0}, {"played_ms", 9}};
    const uint8_t event[] = {0xa2, 0x01, 0x18, 0x64, 0x18, 0xc8, 0x00}; /* {1: 100, 200: 0} */
    struct gw_cursor cursor = {
        .data = event, .len = sizeof event, .encoding = GW_ENCODING_CBOR, .names = names, .name_count = 2};
    compile(
        "{\"properties\":{\"played_ms\":{\"minimum\":1},\"200\":true},\"required\":[\"played_ms\",\"200\"],"
        "\"additionalProperties\":false}");
    assert_int_equal(gw_schema_validate(it.schema, &it.scratch, &cursor, NULL), GW_SCHEMA_VALID);
    cursor.names = NULL;
    assert_int_equal(gw_schema_validate(it.schema, &it.scratch, &cursor, NULL), GW_SCHEMA_INVALID);
}

static void test_formats_decide_only_when_asked_to(void **state)
{
    (void)state;
    compile("{\"format\":\"ipv4\"}");
    assert_int_equal(judge("\"x\""), GW_SCHEMA_VALID);
    it.options.assert_formats = true;
    compile("{\"format\":\"ipv4\"}");
    assert_int_equal(judge("\"x\""), GW_SCHEMA_INVALID);
    assert_int_equal(judge("\"192.0.2.1\""), GW_SCHEMA_VALID);
    assert_int_equal(judge("1"), GW_SCHEMA_VALID);
    compile("{\"format\":\"of-the-future\"}");
    assert_int_equal(judge("\"x\""), GW_SCHEMA_VALID);
}

/* Patterns without and with PCRE2 mean the same. */
static void test_simple_patterns_mean_what_the_engine_says(void **state)
{
    (void)state;
    static const char *const patterns[] = {"[0-9a-f]{4}$", "a[b-d]*e?$", "x-",     "[a-z]+[0-9]*$",
                                           "a{2,3}b$",     "[a-z]+c$",   "a*b?a$", "[-+]?[0-9]+$"};
    static const char *const texts[] = {"",     "01af",  "01ag", "01aff", "ae",  "abcde", "abcdee",
                                        "x-y",  "X-",    "ab",   "abc",   "aba", "aaa",   "aab",
                                        "aaab", "aaaab", "abc9", "9",     "+9",  "9+",    "01af\\n"};
    for (size_t p = 0; p < sizeof patterns / sizeof *patterns; p++)
        for (size_t t = 0; t < sizeof texts / sizeof *texts; t++) {
            char schema[64], text[32];
            (void)snprintf(text, sizeof text, "\"%s\"", texts[t]);
            (void)snprintf(schema, sizeof schema, "{\"pattern\":\"^%s\"}", patterns[p]);
            compile(schema);
            int simple = judge(text);
            (void)snprintf(schema, sizeof schema, "{\"pattern\":\"^(?:)%s\"}", patterns[p]); /* not simple */
            compile(schema);
            assert_int_equal(judge(text), simple);
        }
}

static void test_patterns_are_of_ecmascript(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *text;
        int verdict;
    } cases[] = {
        {"^\\\\d+$", "\"٣\"", GW_SCHEMA_INVALID},
        {"^\\\\s$", "\"\\u00a0\"", GW_SCHEMA_VALID},
        {"^[\\\\s]$", "\"\\ufeff\"", GW_SCHEMA_VALID},
        {"^[^\\\\S]$", "\"\\u2028\"", GW_SCHEMA_VALID},
        {"^a.c$", "\"a\\u2028c\"", GW_SCHEMA_INVALID},
        {"^.$", "\"🙂\"", GW_SCHEMA_VALID},
        {"^a$", "\"a\\n\"", GW_SCHEMA_INVALID},
        {"^\\\\u{1F642}$", "\"🙂\"", GW_SCHEMA_VALID},
        {"^\\\\ud83d\\\\ude42$", "\"🙂\"", GW_SCHEMA_VALID},
        {"^[[:alpha:]]$", "\"a\"", GW_SCHEMA_INVALID},
        {"^[^]$", "\"\\n\"", GW_SCHEMA_VALID},
        {"^\\\\cA$", "\"\\u0001\"", GW_SCHEMA_VALID},
        {"^(?<y>a)\\\\k<y>$", "\"aa\"", GW_SCHEMA_VALID},
        {"^\\\\p{Letter}\\\\p{Script=Greek}$", "\"aπ\"", GW_SCHEMA_VALID},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char schema[80];
        (void)snprintf(schema, sizeof schema, "{\"pattern\":\"%s\"}", cases[i].pattern);
        compile(schema);
        assert_int_equal(judge(cases[i].text), cases[i].verdict);
    }
    static const char *const bad[] = {"a++", "(*ACCEPT)", "(?i)a", "\\\\Z",    "\\\\a", "(",
                                      ")",   "[",         "\\\\",  "(?P<n>a)", "\\\\1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char schema[80];
        (void)snprintf(schema, sizeof schema, "{\"pattern\":\"%s\"}", bad[i]);
        assert_int_equal(try_compile(schema, strlen(schema)), GW_EINVALID);
    }
}

static void test_what_is_no_schema_is_refused_and_the_place_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *schema, *place;
    } cases[] = {
        {"{\"properties\":{\"a\":{\"type\":\"text\"}}}", "#/properties/a/type"},
        {"{\"items\":[{}]}", "#/items"},
        {"{\"required\":[1]}", "#/required/0"},
        {"{\"minLength\":-1}", "#/minLength"},
        {"{\"multipleOf\":0}", "#/multipleOf"},
        {"{\"allOf\":[]}", "#/allOf"},
        {"{\"$ref\":\"#/nowhere\"}", "#/$ref"},
        {"{\"$ref\":\"other.json\"}", "#/$ref"},
        {"{\"$schema\":\"https://json-schema.org/draft/2019-09/schema\"}", "#/$schema"},
        {"{\"$defs\":{\"a\":{\"$id\":\"x\"},\"b\":{\"$id\":\"x\"}}}", "#/$defs/b"},
        {"{\"pattern\":\"(\"}", "#/pattern"},
        {"{\"a\":1,\"a\":2}", ""},
        {"[]", ""},
        {"{", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(try_compile(cases[i].schema, strlen(cases[i].schema)), GW_EINVALID);
        assert_non_null(strstr(it.error.text, cases[i].place));
    }
}

static int load_document(void *context, const char *uri, char **out_text, size_t *out_len)
{
    (void)context;
    if (strcmp(uri, "https://example.org/types") != 0)
        return GW_ENOTFOUND;
    *out_text = strdup("{\"$defs\":{\"n\":{\"$anchor\":\"n\",\"type\":\"integer\"}}}");
    *out_len = strlen(*out_text);
    return 0;
}

static void test_other_documents_come_from_the_callers_loader(void **state)
{
    (void)state;
    it.options.load = load_document;
    it.options.uri = "https://example.org/events/one";
    compile("{\"$ref\":\"../types#n\"}");
    assert_int_equal(judge("1"), GW_SCHEMA_VALID);
    assert_int_equal(judge_all("\"1\""), GW_SCHEMA_INVALID);
    assert_fault(0, "", "/$ref/type", "https://example.org/types#/$defs/n/type");
    assert_int_equal(try_compile("{\"$ref\":\"../missing\"}", 21), GW_EINVALID);
}

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
extern void *__libc_malloc(size_t);
static unsigned long allocations;
void *malloc(size_t bytes)
{
    allocations++;
    return __libc_malloc(bytes);
}
#define COUNTS_ALLOCATIONS 1
#else
static const unsigned long allocations;
#define COUNTS_ALLOCATIONS 0
#endif

static void test_validation_allocates_nothing(void **state)
{
    (void)state;
    static const char event[] =
        "{\"a\":[{\"x\":1},{\"x\":2}],\"\\u0062\":\"aab\",\"c\":{\"d\":1.50},\"f\":\"a@b.c\"}";
    it.options.assert_formats = true;
    compile(
        "{\"properties\":{\"a\":{\"uniqueItems\":true,\"contains\":{\"properties\":{\"x\":{\"const\":2}}}},"
        "\"b\":{\"pattern\":\"^(a|b)+$\"},\"c\":{\"properties\":{\"d\":{\"multipleOf\":0.5}}},\"f\":{"
        "\"format\":\"email\"}},"
        "\"anyOf\":[{\"required\":[\"z\"]},{\"required\":[\"a\"]}],\"unevaluatedProperties\":false}");
    const struct gw_cursor cursor = {.data = (const uint8_t *)event, .len = sizeof event - 1};
    const unsigned long before = allocations;
    assert_int_equal(gw_schema_validate(it.schema, &it.scratch, &cursor, NULL), GW_SCHEMA_VALID);
    assert_int_equal(gw_schema_validate(it.schema, &it.scratch, &cursor, &it.report), GW_SCHEMA_VALID);
    assert_int_equal(allocations, before);
    if (COUNTS_ALLOCATIONS) /* and the count counts */
        assert_true(before > 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_every_fault_names_its_place_in_the_instance_and_the_schema),
        TEST(test_branches_that_come_to_nothing_leave_no_fault),
        TEST(test_messages_hold_no_value_of_the_instance),
        TEST(test_a_report_that_is_full_counts_the_rest),
        TEST(test_numbers_are_exact),
        TEST(test_what_a_failed_branch_evaluated_counts_for_nothing),
        TEST(test_a_declared_property_twice_is_refused),
        TEST(test_what_is_not_json_is_refused_wherever_it_stands),
        TEST(test_cbor_is_read_as_json),
        TEST(test_integer_keys_have_the_names_of_a_table),
        TEST(test_formats_decide_only_when_asked_to),
        TEST(test_simple_patterns_mean_what_the_engine_says),
        TEST(test_patterns_are_of_ecmascript),
        TEST(test_what_is_no_schema_is_refused_and_the_place_is_named),
        TEST(test_other_documents_come_from_the_callers_loader),
        TEST(test_validation_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
