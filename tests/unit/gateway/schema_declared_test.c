/* What a schema declares at every depth, and an event without the rest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "schema/attributes.h"
#include "wire/cbor.h"

static struct {
    _Alignas(16) uint8_t memory[65536];
    struct gw_schema_scratch scratch;
    struct gw_attributes *attributes;
    struct gw_error error;
    uint32_t undeclared;
} it;

static int setup(void **state)
{
    (void)state;
    memset(&it, 0, sizeof it);
    return gw_schema_scratch_init(it.memory, sizeof it.memory, &it.scratch);
}

static int teardown(void **state)
{
    (void)state;
    gw_attributes_free(it.attributes);
    return 0;
}

static void declare(const char *schema)
{
    gw_attributes_free(it.attributes);
    it.attributes = NULL;
    if (gw_attributes_read(schema, strlen(schema), NULL, &it.attributes, &it.error) != 0)
        fail_msg("%s: %s", schema, it.error.text);
}

/* Containers with a count, as devices write them; or (open) without. */
static void encode(const struct gw_cursor *json, struct gw_value *value, struct trib_cbor_writer *out,
                   bool open);

static void encode_children(const struct gw_cursor *json, struct gw_value *value,
                            struct trib_cbor_writer *out, bool open)
{
    struct gw_walk walk;
    struct gw_value key, child;
    const bool object = value->kind == GW_KIND_OBJECT;
    int rc;
    gw_walk_open(value, &walk);
    while ((rc = object ? gw_walk_member(json, &walk, &key, &child) : gw_walk_item(json, &walk, &child)) >
           0) {
        if (object)
            trib_cbor_put_text(out, key.text, key.text_len);
        encode(json, &child, out, open);
        walk.at = child.after;
    }
    assert_int_equal(rc, 0);
    value->after = walk.at;
}

static void encode(const struct gw_cursor *json, struct gw_value *value, struct trib_cbor_writer *out,
                   bool open)
{
    const bool object = value->kind == GW_KIND_OBJECT;
    struct gw_walk walk;
    struct gw_value key, child;
    size_t count = 0;
    if (value->kind == GW_KIND_NUMBER) {
        trib_cbor_put_uint(out, (uint64_t)value->integer);
    } else if (value->kind == GW_KIND_STRING) {
        trib_cbor_put_text(out, value->text, value->text_len);
    } else if (open) {
        out->buf[out->len++] = object ? 0xbf : 0x9f;
        encode_children(json, value, out, open);
        out->buf[out->len++] = 0xff;
    } else {
        gw_walk_open(value, &walk);
        for (; (object ? gw_walk_member(json, &walk, &key, &child) : gw_walk_item(json, &walk, &child)) > 0;
             walk.at = child.after, count++)
            assert_int_equal(gw_value_finish(json, &child, 32), 0);
        if (object)
            trib_cbor_put_map(out, count);
        else
            trib_cbor_put_array(out, count);
        encode_children(json, value, out, open);
    }
}

static size_t cbor(const char *json, uint8_t *out, size_t room, bool open)
{
    const struct gw_cursor cursor = {
        .data = (const uint8_t *)json, .len = (uint32_t)strlen(json), .encoding = GW_ENCODING_JSON};
    struct gw_value value;
    struct trib_cbor_writer w;
    trib_cbor_writer_init(&w, out, room);
    assert_int_equal(gw_value_first(&cursor, &value), 0);
    encode(&cursor, &value, &w, open);
    return w.len;
}

static int copy(const uint8_t *event, size_t len, uint8_t *out, size_t *out_len)
{
    const struct gw_cursor cursor = {.data = event, .len = (uint32_t)len, .encoding = GW_ENCODING_CBOR};
    struct gw_declared_walk walk = {.declared = &it.attributes->declared,
                                    .cursor = &cursor,
                                    .scratch = &it.scratch,
                                    .fuel = 1000000,
                                    .out = out};
    struct gw_value value;
    int rc = gw_value_first(&cursor, &value);
    if (rc == 0)
        rc = gw_declared_copy(&walk, GW_PLACE_ROOT, &value, GW_SCHEMA_VALUE_DEPTH);
    it.undeclared = walk.undeclared;
    if (out_len)
        *out_len = walk.len;
    if (rc == 0)
        assert_int_equal(value.after, len);
    return rc;
}

/* The event by the schema declared last, with and without counts in its containers; copied and only counted. */
static void becomes(const char *event, const char *wanted, uint32_t undeclared)
{
    static uint8_t from[8192], to[8192], right[8192];
    for (int open = 0; open < 2; open++) {
        size_t len = cbor(event, from, sizeof from, open),
               right_len = cbor(wanted, right, sizeof right, open);
        size_t to_len = 0;
        assert_int_equal(copy(from, len, to, &to_len), 0);
        if (to_len != right_len || memcmp(to, right, right_len) != 0)
            fail_msg("%s does not become %s", event, wanted);
        assert_int_equal(it.undeclared, undeclared);
        assert_int_equal(copy(from, len, NULL, NULL), 0);
        assert_int_equal(it.undeclared, undeclared);
    }
}

static void test_undeclared_members_are_left_out_at_every_depth(void **state)
{
    (void)state;
    declare("{\"properties\":{\"a\":{\"properties\":{\"b\":{\"properties\":{\"c\":{}}},\"n\":{}}}}}");
    assert_true(it.attributes->declared.deep);
    becomes("{\"a\":{\"b\":{\"c\":1}},\"x\":2}", "{\"a\":{\"b\":{\"c\":1}}}", 1);
    becomes("{\"a\":{\"b\":{\"c\":{\"free\":1},\"x\":{\"c\":1}},\"x\":2,\"n\":3},\"x\":4}",
            "{\"a\":{\"b\":{\"c\":{\"free\":1}},\"n\":3}}", 3);
    becomes("{\"a\":[{\"x\":1}],\"x\":2}", "{\"a\":[{\"x\":1}]}", 1); /* nothing is declared of items */
    becomes("{\"a\":{\"x\":{}}}", "{\"a\":{}}", 1);
    becomes("{}", "{}", 0);
}

static void test_items_of_arrays_are_looked_into(void **state)
{
    (void)state;
    declare("{\"properties\":{\"l\":{\"items\":{\"items\":{\"properties\":{\"a\":{}}}}}}}");
    becomes("{\"l\":[[{\"a\":1,\"x\":2},{\"x\":{}}],[],[7]]}", "{\"l\":[[{\"a\":1},{}],[],[7]]}", 2);
    declare("{\"properties\":{\"l\":{\"prefixItems\":[{\"properties\":{\"a\":{}}}],"
            "\"contains\":{\"properties\":{\"b\":{}}},\"unevaluatedItems\":{\"properties\":{\"c\":{}}}}}}");
    becomes("{\"l\":[{\"a\":1,\"b\":2,\"c\":3,\"d\":4}]}", "{\"l\":[{\"a\":1,\"b\":2,\"c\":3}]}", 1);
    declare("{\"$schema\":\"http://json-schema.org/draft-07/schema#\",\"properties\":{\"l\":{\"items\":["
            "{\"properties\":{\"a\":{}}}],\"additionalItems\":{\"properties\":{\"b\":{}}}}}}");
    becomes("{\"l\":[{\"a\":1},{\"b\":2,\"x\":3}]}", "{\"l\":[{\"a\":1},{\"b\":2}]}", 1);
}

static void test_every_branch_declares(void **state)
{
    (void)state;
    declare("{\"properties\":{\"o\":{\"$ref\":\"#/$defs/o\"}},\"$defs\":{\"o\":{"
            "\"allOf\":[{\"properties\":{\"all\":{}}}],\"anyOf\":[{\"properties\":{\"any\":{}}}],"
            "\"oneOf\":[{\"properties\":{\"one\":{}}}],\"if\":{\"properties\":{\"if\":{}}},"
            "\"then\":{\"properties\":{\"then\":{}}},\"else\":{\"properties\":{\"else\":{}}},"
            "\"dependentSchemas\":{\"any\":{\"properties\":{\"dependent\":{}}}},"
            "\"not\":{\"properties\":{\"not\":{}}},\"propertyNames\":{\"properties\":{\"names\":{}}}}}}");
    becomes("{\"o\":{\"all\":1,\"any\":1,\"one\":1,\"if\":1,\"then\":1,\"else\":1,\"dependent\":1,\"not\":1,"
            "\"names\":1}}",
            "{\"o\":{\"all\":1,\"any\":1,\"one\":1,\"if\":1,\"then\":1,\"else\":1,\"dependent\":1}}", 2);
    /* what branches say of one attribute is put together */
    declare("{\"anyOf\":[{\"properties\":{\"o\":{\"properties\":{\"a\":{}}}}},"
            "{\"properties\":{\"o\":{\"properties\":{\"b\":{}}}}}]}");
    becomes("{\"o\":{\"a\":1,\"b\":2,\"c\":3}}", "{\"o\":{\"a\":1,\"b\":2}}", 1);
    declare("{\"$schema\":\"http://json-schema.org/draft-07/schema#\",\"dependencies\":{\"a\":[\"b\"],"
            "\"c\":{\"properties\":{\"d\":{}}}},\"properties\":{\"a\":{},\"b\":{},\"c\":{}}}");
    becomes("{\"c\":1,\"d\":2,\"e\":3}", "{\"c\":1,\"d\":2}", 1);
}

static void test_a_schema_in_itself_comes_to_an_end(void **state)
{
    (void)state;
    declare("{\"properties\":{\"name\":{},\"children\":{\"items\":{\"$ref\":\"#\"}}}}");
    becomes("{\"name\":1,\"children\":[{\"name\":2,\"x\":3,\"children\":[{\"x\":4,\"name\":5}]}]}",
            "{\"name\":1,\"children\":[{\"name\":2,\"children\":[{\"name\":5}]}]}", 2);
    declare(
        "{\"$dynamicAnchor\":\"node\",\"properties\":{\"name\":{},\"child\":{\"$dynamicRef\":\"#node\"}}}");
    becomes("{\"child\":{\"name\":1,\"x\":2,\"child\":{\"y\":3}}}", "{\"child\":{\"name\":1,\"child\":{}}}",
            2);
    declare("{\"allOf\":[{\"$ref\":\"#/$defs/a\"}],\"$defs\":{\"a\":{\"$ref\":\"#/$defs/b\"},"
            "\"b\":{\"$ref\":\"#/$defs/a\"}}}");
    becomes("{\"x\":1}", "{}", 1);
}

static void test_names_by_pattern_and_by_a_rest_are_declared(void **state)
{
    (void)state;
    declare("{\"properties\":{\"o\":{\"properties\":{\"a\":{\"properties\":{\"in_a\":{}}}},"
            "\"patternProperties\":{\"^p\":{\"properties\":{\"in_p\":{}}},\"^(a|q)$\":{\"properties\":{"
            "\"in_aq\":{}}}}}}}");
    becomes("{\"o\":{\"a\":{\"in_a\":1,\"in_aq\":2,\"in_p\":3},\"p1\":{\"in_p\":4,\"in_a\":5},\"x\":6}}",
            "{\"o\":{\"a\":{\"in_a\":1,\"in_aq\":2},\"p1\":{\"in_p\":4}}}", 3);
    declare("{\"properties\":{\"o\":{\"properties\":{\"a\":{\"properties\":{\"in_a\":{}}}},"
            "\"additionalProperties\":{\"properties\":{\"in_rest\":{}}}}}}");
    becomes("{\"o\":{\"a\":{\"in_a\":1,\"in_rest\":2},\"any\":{\"in_rest\":3,\"in_a\":4}}}",
            "{\"o\":{\"a\":{\"in_a\":1},\"any\":{\"in_rest\":3}}}", 2);
    declare("{\"properties\":{\"o\":{\"properties\":{\"a\":{}},\"additionalProperties\":true},"
            "\"shut\":{\"properties\":{\"a\":{}},\"additionalProperties\":false}}}");
    becomes("{\"o\":{\"a\":1,\"x\":2},\"shut\":{\"x\":3}}", "{\"o\":{\"a\":1},\"shut\":{}}", 2);
}

static void test_an_object_of_which_nothing_is_declared_is_whole(void **state)
{
    (void)state;
    declare("{\"properties\":{\"o\":{\"type\":\"object\",\"minProperties\":1},\"t\":true,\"c\":{\"const\":{"
            "\"k\":1}},\"l\":{\"items\":{\"type\":\"object\"}}}}");
    becomes("{\"o\":{\"x\":{\"y\":1}},\"t\":{\"x\":1},\"c\":{\"k\":1},\"l\":[{\"x\":1}],\"u\":1}",
            "{\"o\":{\"x\":{\"y\":1}},\"t\":{\"x\":1},\"c\":{\"k\":1},\"l\":[{\"x\":1}]}", 1);
    declare("{}");
    becomes("{\"x\":1}", "{}", 1); /* but for the root */
}

/* A head of two bytes becomes one of one byte. */
static void test_counts_that_shrink_move_what_follows(void **state)
{
    (void)state;
    char event[2048] = "{\"o\":{\"first\":7", wanted[] = "{\"o\":{\"first\":7,\"last\":8},\"z\":9}";
    declare("{\"properties\":{\"o\":{\"properties\":{\"first\":{},\"last\":{}}},\"z\":{}}}");
    for (int i = 0; i < 40; i++)
        sprintf(event + strlen(event), ",\"x%d\":{\"first\":%d}", i, i);
    strcat(event, ",\"last\":8},\"z\":9}");
    becomes(event, wanted, 40);
}

static void test_bad_events_end_in_an_error_and_nothing_is_read_behind_them(void **state)
{
    (void)state;
    uint8_t whole[256], out[256];
    declare(
        "{\"properties\":{\"o\":{\"properties\":{\"a\":{},\"l\":{\"items\":{\"properties\":{\"b\":{}}}}}}}}");
    for (int open = 0; open < 2; open++) {
        const size_t len = cbor("{\"o\":{\"a\":\"text\",\"l\":[{\"b\":1,\"x\":[2]}],\"x\":{\"y\":3}}}", whole,
                                sizeof whole, open);
        for (size_t cut = 1; cut < len; cut++) {
            uint8_t *exact = malloc(cut);
            assert_non_null(exact);
            memcpy(exact, whole, cut);
            assert_int_equal(copy(exact, cut, out, NULL), GW_EPROTOCOL);
            free(exact);
        }
    }
    declare("{\"properties\":{\"d\":{\"$ref\":\"#\"}}}");
    uint8_t deep[1024];
    size_t len = 0;
    for (int i = 0; i < 200; i++) {
        deep[len++] = 0xa1;
        deep[len++] = 0x61;
        deep[len++] = 'd';
    }
    deep[len++] = 0;
    assert_int_equal(copy(deep, len, (uint8_t[1024]){0}, NULL), GW_ELIMIT);
}

/* Branches that pair up in ever new ways: a limit, soon. */
static void test_a_schema_bomb_is_refused(void **state)
{
    (void)state;
    static char bomb[8192];
    strcpy(bomb, "{\"$ref\":\"#/$defs/s0\",\"$defs\":{");
    for (int i = 0; i < 24; i++) /* the i-th last step decides: 2^24 sets */
        sprintf(bomb + strlen(bomb),
                "%s\"s%d\":{\"properties\":{\"a\":{\"$ref\":\"#/$defs/s%d\"},\"b\":{\"%s\":[{\"$ref\":"
                "\"#/$defs/s%d\"},%s]}}}",
                i ? "," : "", i, (i + 1) % 24, "anyOf", i == 0 ? 0 : (i + 1) % 24,
                i == 0 ? "{\"$ref\":\"#/$defs/s1\"}" : "true");
    strcat(bomb, "}}");
    struct gw_attributes *attributes = NULL;
    assert_int_equal(gw_attributes_read(bomb, strlen(bomb), NULL, &attributes, &it.error), GW_ELIMIT);
    assert_non_null(strstr(it.error.text, "schema: "));
    assert_null(attributes);
}

#define DECLARED_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DECLARED_TEST(test_undeclared_members_are_left_out_at_every_depth),
        DECLARED_TEST(test_items_of_arrays_are_looked_into),
        DECLARED_TEST(test_every_branch_declares),
        DECLARED_TEST(test_a_schema_in_itself_comes_to_an_end),
        DECLARED_TEST(test_names_by_pattern_and_by_a_rest_are_declared),
        DECLARED_TEST(test_an_object_of_which_nothing_is_declared_is_whole),
        DECLARED_TEST(test_counts_that_shrink_move_what_follows),
        DECLARED_TEST(test_bad_events_end_in_an_error_and_nothing_is_read_behind_them),
        DECLARED_TEST(test_a_schema_bomb_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
