/* References: other registered versions by name, as part of a schema. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "schema/references.h"
#include "schema/registry.h"

static struct {
    struct gw_schemas *schemas;
    struct gw_error error;
    struct gw_compat_report report;
    _Alignas(16) uint8_t memory[65536];
    struct gw_schema_scratch scratch;
} it;

static int setup(void **state)
{
    (void)state;
    memset(&it, 0, sizeof it);
    it.schemas = gw_schemas_new(NULL);
    return it.schemas ? gw_schema_scratch_init(it.memory, sizeof it.memory, &it.scratch) : -1;
}

static int teardown(void **state)
{
    (void)state;
    gw_schemas_close(it.schemas);
    return 0;
}

static int enter(const char *subject, const char *text, const struct gw_schema_version **out)
{
    const struct gw_schema_text candidate = {subject, text, strlen(text)};
    memset(&it.report, 0, sizeof it.report);
    return gw_schemas_register(it.schemas, &candidate, 1, &it.report, out, &it.error);
}

static const struct gw_schema_version *must_enter(const char *subject, const char *text)
{
    const struct gw_schema_version *version = NULL;
    if (enter(subject, text, &version) != 0)
        fail_msg("%s", it.error.text);
    return version;
}

static bool is_valid(const struct gw_schema_version *version, const char *json)
{
    const struct gw_cursor cursor = {
        .data = (const uint8_t *)json, .len = (uint32_t)strlen(json), .encoding = GW_ENCODING_JSON};
    int rc = gw_schema_validate(version->schema->program, &it.scratch, &cursor, NULL);
    assert_true(rc == GW_SCHEMA_VALID || rc == GW_SCHEMA_INVALID);
    return rc == GW_SCHEMA_VALID;
}

#define BODY "\"properties\":{\"home\":{\"$ref\":\"address.json\"}}}"
#define WITH(references) "{\"x-tributary-references\":{" references "}," BODY

static void test_a_name_leads_to_the_version_that_was_meant(void **state)
{
    (void)state;
    const struct gw_schema_version *out = NULL;
    must_enter("address", "{\"type\":\"object\",\"properties\":{\"zip\":{\"type\":\"string\"}}}");
    must_enter("address", "{\"type\":\"object\",\"properties\":{\"zip\":{\"type\":\"string\"},\"city\":{"
                          "\"type\":\"string\"}}}");
    const struct gw_schema_version *first = must_enter("customer", WITH("\"address.json\":\"address:1\""));
    assert_true(is_valid(first, "{\"home\":{\"zip\":\"1\",\"city\":2}}"));
    assert_false(is_valid(first, "{\"home\":{\"zip\":1}}"));
    const struct gw_schema_version *second = must_enter("customer", WITH("\"address.json\":\"address:2\""));
    assert_int_equal(second->version, 2); /* the same text, and another schema */
    assert_false(is_valid(second, "{\"home\":{\"zip\":\"1\",\"city\":2}}"));
    assert_int_equal(first->schema->attributes->reference_count, 1);
    assert_string_equal(first->schema->attributes->references[0].name, "address.json");
    assert_string_equal(first->schema->attributes->references[0].subject, "address");
    assert_int_equal(first->schema->attributes->references[0].version, 1);
    assert_int_equal(enter("other", WITH("\"address.json\":\"address:3\""), &out), GW_EINVALID);
    assert_int_equal(enter("other", "{" BODY, &out), GW_EINVALID);
}

static void test_what_may_follow_is_judged_through_references(void **state)
{
    (void)state;
    const struct gw_schema_version *out = NULL;
    assert_int_equal(gw_schemas_set_level(it.schemas, "address", GW_COMPAT_NONE, &it.error), 0);
    must_enter("address", "{\"type\":\"object\",\"properties\":{\"zip\":{\"type\":\"string\"}}}");
    must_enter("address", "{\"type\":\"object\",\"properties\":{\"zip\":{\"type\":\"integer\"}}}");
    must_enter("customer", WITH("\"address.json\":\"address:1\""));
    assert_int_equal(enter("customer", WITH("\"address.json\":\"address:2\""), &out), GW_ECONFLICT);
    bool told = false;
    for (unsigned i = 0; i < it.report.count; i++)
        told |= strcmp(it.report.faults[i].rule, "type-changed") == 0;
    assert_true(told);
    assert_int_equal(gw_schema_subject_versions(gw_schemas_subject(it.schemas, "customer", 8)), 1);
}

/* Two documents that call different versions by one name, one within the other. */
static void test_names_are_those_of_the_document_that_has_them(void **state)
{
    (void)state;
    must_enter("text", "{\"type\":\"string\"}");
    must_enter("number", "{\"type\":\"integer\"}");
    must_enter("inner",
               "{\"x-tributary-references\":{\"it.json\":\"text:1\"},\"properties\":{\"a\":{\"$ref\":"
               "\"it.json\"}}}");
    const struct gw_schema_version *outer = must_enter(
        "outer", "{\"x-tributary-references\":{\"it.json\":\"number:1\",\"inner.json\":\"inner:1\"},"
                 "\"properties\":{\"b\":{\"$ref\":\"it.json\"},\"c\":{\"$ref\":\"inner.json\"}}}");
    assert_true(is_valid(outer, "{\"b\":1,\"c\":{\"a\":\"x\"}}"));
    assert_false(is_valid(outer, "{\"b\":\"x\"}"));
    assert_false(is_valid(outer, "{\"c\":{\"a\":1}}"));
    /* by the base URI, with a fragment, and never in place of the document's own parts */
    must_enter("defs", "{\"$defs\":{\"n\":{\"type\":\"integer\"}}}");
    const struct gw_schema_version *based = must_enter(
        "based",
        "{\"$id\":\"https://example.org/s/me.json\",\"x-tributary-references\":{\"defs.json\":\"defs:1\","
        "\"me.json\":\"text:1\"},\"properties\":{\"a\":{\"$ref\":\"https://example.org/s/"
        "defs.json#/$defs/n\"},\"b\":{\"$ref\":\"#/$defs/own\"}},\"$defs\":{\"own\":{\"const\":7}}}");
    assert_true(is_valid(based, "{\"a\":1,\"b\":7}"));
    assert_false(is_valid(based, "{\"a\":\"x\"}"));
    assert_false(is_valid(based, "{\"b\":8}"));
}

static void test_what_is_no_reference_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {WITH("\"address.json\":7"),
                                        WITH("\"address.json\":\"address\""),
                                        WITH("\"address.json\":\"address:\""),
                                        WITH("\"address.json\":\"address:0\""),
                                        WITH("\"address.json\":\"address:1x\""),
                                        WITH("\"address.json\":\":1\""),
                                        WITH("\"\":\"address:1\""),
                                        "{\"x-tributary-references\":[]}",
                                        WITH("\"unused\":\"address\",\"address.json\":\"address:1\"")};
    const struct gw_schema_version *out = NULL;
    must_enter("address", "{\"type\":\"object\"}");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(enter("customer", wrong[i], &out), GW_EINVALID);
    assert_null(out);
    static char many[8192];
    strcpy(many, "{\"x-tributary-references\":{");
    for (int i = 0; i <= GW_REFERENCES_MAX; i++)
        sprintf(many + strlen(many), "%s\"r%d\":\"address:1\"", i ? "," : "", i);
    strcat(many, "}," BODY);
    assert_int_equal(enter("customer", many, &out), GW_EINVALID);
}

static void test_text_and_references_are_put_together_and_taken_apart(void **state)
{
    (void)state;
    static const char *const texts[] = {"{}", " { } ", "{\"a\":1}",
                                        "\n{ \"a\" : [1, {\"b\":\",\"}] , \"c\": 2 }\n"};
    static const struct gw_reference list[] = {{"a \"name\"", "s", 1}, {"b.json", "t-value", 12}};
    struct gw_schema_hash one, other;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char *joined = NULL, *parted = NULL, *pretty = NULL;
        size_t pretty_len = 0;
        assert_int_equal(gw_references_join(texts[i], strlen(texts[i]), list, 2, &joined, &it.error), 0);
        assert_non_null(strstr(joined, "{\"x-tributary-references\":{\"a \\\"name\\\"\":\"s:1\",\"b.json\":"
                                       "\"t-value:12\"}"));
        assert_int_equal(gw_references_part(joined, strlen(joined), &parted), 0);
        assert_string_equal(parted, texts[i]);
        free(parted);
        /* also as it stands in files */
        assert_int_equal(gw_schema_rewrite(joined, strlen(joined), GW_JSON_PRETTY, &pretty, &pretty_len), 0);
        assert_int_equal(gw_references_part(pretty, pretty_len, &parted), 0);
        assert_int_equal(gw_schema_hash(parted, strlen(parted), &one), 0);
        assert_int_equal(gw_schema_hash(texts[i], strlen(texts[i]), &other), 0);
        assert_memory_equal(one.bytes, other.bytes, sizeof one.bytes);
        free(parted);
        free(pretty);
        assert_int_equal(gw_references_join(joined, strlen(joined), list, 2, &parted, &it.error),
                         GW_EINVALID);
        free(joined);
    }
    static const char last[] = "{\"a\":1 , \"x-tributary-references\" : {\"n\":\"s:1\"} }";
    char *parted = NULL;
    assert_int_equal(gw_references_part(last, strlen(last), &parted), 0);
    assert_string_equal(parted, "{\"a\":1 }");
    free(parted);
    static const struct gw_reference twice[] = {{"a", "s", 1}, {"a", "t", 1}};
    assert_int_equal(gw_references_join("{}", 2, twice, 2, &parted, &it.error), GW_EINVALID);
    assert_int_equal(gw_references_join("true", 4, list, 1, &parted, &it.error), GW_EINVALID);
    assert_int_equal(gw_references_join("{\"a\"", 4, list, 1, &parted, &it.error), GW_EINVALID);
}

#define REFERENCES_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        REFERENCES_TEST(test_a_name_leads_to_the_version_that_was_meant),
        REFERENCES_TEST(test_what_may_follow_is_judged_through_references),
        REFERENCES_TEST(test_names_are_those_of_the_document_that_has_them),
        REFERENCES_TEST(test_what_is_no_reference_is_refused),
        REFERENCES_TEST(test_text_and_references_are_put_together_and_taken_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
