/* What a schema declares, and its x-tributary annotations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "schema/attributes.h"

static struct gw_attributes *found;
static struct gw_error error;

static int teardown(void **state)
{
    (void)state;
    gw_attributes_free(found);
    found = NULL;
    return 0;
}

static int read_text(const char *text)
{
    gw_attributes_free(found);
    found = NULL;
    return gw_attributes_read(text, strlen(text), NULL, &found, &error);
}

static const struct gw_attribute *attribute(const char *name)
{
    return gw_attribute_find(found, name, strlen(name));
}

static void test_attributes_are_found_wherever_the_root_declares_them(void **state)
{
    (void)state;
    assert_int_equal(
        read_text(
            "{\"title\": \"T\", \"description\": \"D\", \"x-tributary\": {\"owner\": \"o@example.org\", "
            "\"lake\": \"orders\","
            " \"partition\": \"a\", \"undeclared\": \"reject\"}, \"required\": [\"a\", \"f\"],"
            " \"properties\": {\"a\": {\"type\": [\"string\", \"null\"], \"description\": \"an a\"}},"
            " \"allOf\": [{\"properties\": {\"b\": true}}, {\"$ref\": \"#/$defs/more\"}],"
            " \"anyOf\": [{\"properties\": {\"d\": {\"const\": 1}}}], \"if\": {\"properties\": {\"e\": {}}},"
            " \"$defs\": {\"more\": {\"properties\": {\"c\": {\"$ref\": \"#/$defs/id\"}, \"f\": {}}},"
            " \"id\": {\"type\": \"string\", \"x-tributary\": {\"privacy\": \"personal\", \"vocabulary\": "
            "\"user\"}}},"
            " \"not\": {\"properties\": {\"never\": {}}}}"),
        0);
    assert_string_equal(found->title, "T");
    assert_string_equal(found->description, "D");
    assert_string_equal(found->owner, "o@example.org");
    assert_string_equal(found->lake, "orders");
    assert_string_equal(found->partition, "a");
    assert_int_equal(found->undeclared, GW_UNDECLARED_REJECT);
    assert_int_equal(found->count, 6);
    assert_true(found->personal);
    assert_false(found->declared.places[GW_PLACE_ROOT].open);
    assert_string_equal(attribute("a")->type, "string or null");
    assert_string_equal(attribute("a")->description, "an a");
    assert_true(attribute("a")->required);
    assert_true(attribute("f")->required);
    assert_false(attribute("b")->required);
    assert_string_equal(attribute("c")->type, "string");
    assert_int_equal(attribute("c")->privacy, GW_PRIVACY_PERSONAL);
    assert_string_equal(attribute("c")->vocabulary, "user");
    assert_string_equal(attribute("d")->type, "number");
    assert_non_null(attribute("e"));
    assert_null(attribute("never"));
    assert_null(gw_attribute_find(found, "ab", 0));
}

static void test_a_schema_for_what_is_not_named_declares_everything(void **state)
{
    (void)state;
    assert_int_equal(read_text("{\"patternProperties\": {\"^x\": {}}}"), 0);
    assert_int_equal(found->declared.places[GW_PLACE_ROOT].pattern_count, 1); /* what it takes, not more */
    assert_false(found->declared.places[GW_PLACE_ROOT].open);
    assert_int_equal(read_text("{\"additionalProperties\": {\"type\": \"integer\"}}"), 0);
    assert_true(found->declared.places[GW_PLACE_ROOT].open);
    assert_int_equal(read_text("{\"additionalProperties\": true, \"properties\": {\"a\": {}}}"), 0);
    assert_false(found->declared.places[GW_PLACE_ROOT].open);
    assert_int_equal(read_text("true"), 0);
    assert_int_equal(found->count, 0);
}

static void test_annotations_that_nobody_would_heed_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "{\"x-tributary\": 7}",
        "{\"x-tributary\": {\"onwer\": \"a\"}}",
        "{\"x-tributary\": {\"owner\": \"\"}}",
        "{\"x-tributary\": {\"undeclared\": \"ignore\"}}",
        "{\"x-tributary\": {\"partition\": \"missing\"}}",
        "{\"x-tributary\": {\"partition\": \"a\"}, \"properties\": {\"a\": {\"x-tributary\": {\"privacy\": "
        "\"secret\"}}}}",
        "{\"properties\": {\"a\": {\"x-tributary\": {\"privacy\": \"privat\"}}}}",
        "{\"properties\": {\"a\": {\"x-tributary\": {\"privcy\": \"none\"}}}}",
        "{\"properties\": {\"a\": {\"x-tributary\": {\"vocabulary\": \"usr\"}}}}",
        "{\"properties\": {\"a\": {\"x-tributary\": {\"lake\": \"varchar\"}}}}",
        "{\"properties\": {\"a\": {\"type\": \"integer\", \"x-tributary\": {\"privacy\": \"personal\"}}}}",
        "{\"properties\": {\"a\": {\"x-tributary\": {\"privacy\": \"personal\"}}}}",
        "{\"properties\": {\"a\": {\"properties\": {\"b\": {\"type\": \"string\", \"x-tributary\": "
        "{\"privacy\": \"personal\"}}}}}}",
        "{\"x-tributary\": {\"undeclared\": \"keep\"}, \"properties\": {\"a\": {\"x-tributary\": "
        "{\"privacy\": \"secret\"}}}}",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        error.text[0] = '\0';
        int rc = read_text(wrong[i]);
        if (rc != GW_EINVALID)
            print_error("%s: %d\n", wrong[i], rc);
        assert_int_equal(rc, GW_EINVALID);
        assert_non_null(strstr(error.text, "schema "));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_attributes_are_found_wherever_the_root_declares_them, teardown),
        cmocka_unit_test_teardown(test_a_schema_for_what_is_not_named_declares_everything, teardown),
        cmocka_unit_test_teardown(test_annotations_that_nobody_would_heed_are_refused, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
