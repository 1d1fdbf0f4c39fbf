/* The registry's core: immutable versions, ids, rules of levels and modes, and what is stored before it is seen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>

#include "schema/registry.h"

#define RECORDS 64

/* A store in memory, that can fail. */
static struct {
    struct gw_schemas_record records[RECORDS];
    char *texts[RECORDS], *subjects[RECORDS];
    unsigned count;
    int fails;
    const struct gw_schemas *watched; /* what readers see while it is being stored */
    uint32_t seen;
} disk;

static struct {
    struct gw_schemas *schemas;
    struct gw_error error;
    struct gw_compat_report report;
} it;

static int append(void *context, const struct gw_schemas_record *record, struct gw_error *error)
{
    (void)context;
    disk.seen = disk.watched ? gw_schemas_count(disk.watched) : 0;
    if (disk.fails)
        return gw_error_set(error, disk.fails, 0, "the disk is gone");
    assert_true(disk.count < RECORDS);
    struct gw_schemas_record *kept = &disk.records[disk.count];
    *kept = *record;
    kept->text = disk.texts[disk.count] = strdup(record->text_len ? record->text : "");
    kept->subject = disk.subjects[disk.count] = strdup(record->subject);
    disk.count++;
    return 0;
}

static const struct gw_schemas_store store = {.append = append};

static int setup(void **state)
{
    (void)state;
    memset(&it, 0, sizeof it);
    memset(&disk, 0, sizeof disk);
    it.schemas = gw_schemas_new(NULL);
    gw_schemas_attach(it.schemas, &store);
    return it.schemas ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    gw_schemas_close(it.schemas);
    for (unsigned i = 0; i < disk.count; i++) {
        free(disk.texts[i]);
        free(disk.subjects[i]);
    }
    return 0;
}

static int try_register(const char *subject, const char *text, const struct gw_schema_version **out)
{
    const struct gw_schema_text candidate = {subject, text, strlen(text)};
    memset(&it.report, 0, sizeof it.report);
    return gw_schemas_register(it.schemas, &candidate, 1000, &it.report, out, &it.error);
}

static const struct gw_schema_version *enter(const char *subject, const char *text)
{
    const struct gw_schema_version *out = NULL;
    int rc = try_register(subject, text, &out);
    if (rc != 0)
        print_error("%s\n", it.error.text);
    assert_int_equal(rc, 0);
    return out;
}

#define ONE "{\"type\": \"object\", \"properties\": {\"a\": {\"type\": \"integer\"}}}"
#define TWO                                                                                                  \
    "{\"type\": \"object\", \"properties\": {\"a\": {\"type\": \"integer\"}, \"b\": {\"type\": "             \
    "\"string\"}}}"

static void test_versions_and_ids_count_from_one_without_gaps(void **state)
{
    (void)state;
    const struct gw_schema_version *first = enter("orders", ONE), *second = enter("orders", TWO),
                                   *other = enter("carts", "{\"type\": \"string\"}");
    assert_int_equal(first->version, 1);
    assert_int_equal(second->version, 2);
    assert_int_equal(other->version, 1);
    assert_int_equal(first->schema->id, 1);
    assert_int_equal(second->schema->id, 2);
    assert_int_equal(other->schema->id, 3);
    assert_int_equal(gw_schemas_count(it.schemas), 3);
    assert_ptr_equal(gw_schemas_find(it.schemas, "orders", 6, 0), second);
    assert_ptr_equal(gw_schemas_find(it.schemas, "orders!", 6, 1), first);
    assert_null(gw_schemas_find(it.schemas, "orders", 6, 3));
    assert_null(gw_schemas_find(it.schemas, "order", 5, 0));
    assert_ptr_equal(gw_schemas_by_id(it.schemas, 3), other->schema);
    assert_null(gw_schemas_by_id(it.schemas, 0));
    assert_null(gw_schemas_by_id(it.schemas, 4));
    const struct gw_schema_subject *subject = gw_schemas_next(it.schemas, NULL);
    assert_string_equal(gw_schema_subject_name(subject), "orders");
    subject = gw_schemas_next(it.schemas, subject);
    assert_string_equal(gw_schema_subject_name(subject), "carts");
    assert_null(gw_schemas_next(it.schemas, subject));
}

static void test_the_same_content_is_the_same_schema_however_it_is_written(void **state)
{
    (void)state;
    const struct gw_schema_version *first =
        enter("orders", "{\"type\":\"string\",\"title\":\"A\\/b\\u0041\"}");
    assert_ptr_equal(enter("orders", "{ \"title\" : \"A/bA\",\n \"type\": \"string\" }"), first);
    const struct gw_schema_version *elsewhere =
        enter("copies", "{\"title\": \"A/bA\", \"type\": \"string\"}");
    assert_ptr_equal(elsewhere->schema, first->schema);
    assert_int_equal(gw_schemas_count(it.schemas), 1);
    assert_int_equal(disk.count, 2);
    const struct gw_schema_version *found = NULL;
    const struct gw_schema_text text = {"orders", "{\"title\": \"A/bA\", \"type\": \"string\"}", 35};
    assert_int_equal(gw_schemas_find_text(it.schemas, &text, &found, &it.error), 0);
    assert_ptr_equal(found, first);
    const struct gw_schema_text other = {"orders", "true", 4};
    assert_int_equal(gw_schemas_find_text(it.schemas, &other, &found, &it.error), GW_ENOTFOUND);
}

static void test_a_registered_schema_judges_events_at_once(void **state)
{
    (void)state;
    const struct gw_schema_version *version = enter("orders", ONE);
    static uint8_t memory[16384] __attribute__((aligned(16)));
    struct gw_schema_scratch scratch;
    assert_int_equal(gw_schema_scratch_init(memory, sizeof memory, &scratch), 0);
    const struct gw_cursor good = {.data = (const uint8_t *)"{\"a\":1}", .len = 7},
                           bad = {.data = (const uint8_t *)"{\"a\":\"\"}", .len = 8};
    assert_int_equal(gw_schema_validate(version->schema->program, &scratch, &good, NULL), GW_SCHEMA_VALID);
    assert_int_equal(gw_schema_validate(version->schema->program, &scratch, &bad, NULL), GW_SCHEMA_INVALID);
}

static void refused(int rc, int expected)
{
    assert_int_equal(rc, expected);
    assert_int_equal(it.error.code, expected);
    assert_true(strlen(it.error.text) > 10);
}

static void test_what_is_no_schema_or_no_subject_is_refused_and_leaves_nothing(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "{",
                                        "7",
                                        "{\"type\": \"stirng\"}",
                                        "{\"a\":1,\"a\":1}",
                                        "{\"$ref\": \"#/nowhere\"}",
                                        "{\"$ref\": \"urn:tributary:schema:orders:1\"}"};
    static const char *const names[] = {"", ".", "..", ".hidden", "a/b", "a b", "ümlaut", "a\n"};
    const struct gw_schema_version *out = NULL;
    char long_name[GW_SUBJECT_MAX + 2];
    memset(long_name, 'a', sizeof long_name);
    long_name[GW_SUBJECT_MAX + 1] = '\0';
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        refused(try_register("orders", texts[i], &out), GW_EINVALID);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        refused(try_register(names[i], ONE, &out), GW_EINVALID);
    refused(try_register(long_name, ONE, &out), GW_EINVALID);
    char *large = malloc(GW_SCHEMA_TEXT_MAX + 2);
    memset(large, ' ', GW_SCHEMA_TEXT_MAX + 1);
    large[GW_SCHEMA_TEXT_MAX + 1] = '\0';
    memcpy(large, "true", 4);
    refused(try_register("orders", large, &out), GW_ELIMIT);
    free(large);
    assert_null(out);
    assert_int_equal(disk.count, 0);
    assert_int_equal(gw_schemas_count(it.schemas), 0);
    assert_null(gw_schemas_next(it.schemas, NULL));
}

static void test_a_refusal_names_question_rule_path_and_version(void **state)
{
    (void)state;
    const struct gw_schema_version *out = NULL;
    enter("orders", TWO);
    refused(try_register("orders", ONE, &out), GW_ECONFLICT);
    assert_int_equal(it.report.count, 1);
    assert_string_equal(it.report.faults[0].question, "house");
    assert_string_equal(it.report.faults[0].rule, "attribute-removed");
    assert_string_equal(it.report.faults[0].path, "/properties/b");
    assert_int_equal(it.report.faults[0].version, 1);
    assert_non_null(strstr(it.error.text, "/properties/b"));
    assert_null(out);
    assert_int_equal(disk.count, 1);
    const struct gw_schema_text candidate = {"orders", ONE, strlen(ONE)};
    assert_int_equal(gw_schemas_check(it.schemas, &candidate, 0, NULL, &it.error), GW_ECONFLICT);
    assert_int_equal(gw_schemas_check(it.schemas, &candidate, 1, NULL, &it.error), GW_ECONFLICT);
    assert_int_equal(gw_schemas_check(it.schemas, &candidate, 2, NULL, &it.error), GW_ENOTFOUND);
    const struct gw_schema_text free_name = {"nobody", ONE, strlen(ONE)};
    assert_int_equal(gw_schemas_check(it.schemas, &free_name, 0, NULL, &it.error), 0);
}

static void test_transitive_levels_ask_every_version_and_others_the_latest(void **state)
{
    (void)state;
    const struct gw_schema_version *out = NULL;
    enter("orders", TWO);
    assert_int_equal(gw_schemas_set_level(it.schemas, "orders", GW_COMPAT_NONE, &it.error), 0);
    enter("orders", ONE);
    assert_int_equal(gw_schemas_set_level(it.schemas, "orders", GW_COMPAT_BACKWARD_TRANSITIVE, &it.error), 0);
    static const char three[] =
        "{\"type\": \"object\", \"properties\": {\"a\": {\"type\": \"integer\"}, \"c\": {}}}";
    refused(try_register("orders", three, &out), GW_ECONFLICT);
    assert_int_equal(it.report.faults[0].version, 1);
    assert_int_equal(gw_schemas_set_level(it.schemas, "orders", GW_COMPAT_BACKWARD, &it.error), 0);
    assert_int_equal(enter("orders", three)->version, 3);
}

static void test_settings_of_a_subject_go_before_those_of_all(void **state)
{
    (void)state;
    assert_int_equal(gw_schemas_level_of(it.schemas, NULL), GW_COMPAT_BACKWARD_TRANSITIVE);
    assert_int_equal(gw_schemas_level(it.schemas, NULL), GW_COMPAT_UNSET);
    assert_int_equal(gw_schemas_set_level(it.schemas, NULL, GW_COMPAT_FULL, &it.error), 0);
    assert_int_equal(gw_schemas_set_level(it.schemas, "orders", GW_COMPAT_NONE, &it.error), 0);
    const struct gw_schema_subject *orders = gw_schemas_subject(it.schemas, "orders", 6);
    assert_int_equal(gw_schema_subject_versions(orders), 0);
    assert_null(gw_schemas_version(orders, 0));
    assert_int_equal(gw_schemas_level_of(it.schemas, orders), GW_COMPAT_NONE);
    assert_int_equal(gw_schemas_set_level(it.schemas, "orders", GW_COMPAT_UNSET, &it.error), 0);
    assert_int_equal(gw_schemas_level_of(it.schemas, orders), GW_COMPAT_FULL);
    refused(gw_schemas_set_level(it.schemas, "a/b", GW_COMPAT_NONE, &it.error), GW_EINVALID);
    refused(gw_schemas_set_level(it.schemas, NULL, (enum gw_compat_level)99, &it.error), GW_EINVALID);
}

static void test_read_only_refuses_what_is_new_and_answers_what_is_there(void **state)
{
    (void)state;
    const struct gw_schema_version *out = NULL, *first = enter("orders", ONE);
    assert_int_equal(gw_schemas_set_mode(it.schemas, NULL, GW_SCHEMAS_READONLY, &it.error), 0);
    refused(try_register("orders", TWO, &out), GW_EREADONLY);
    refused(try_register("carts", ONE, &out), GW_EREADONLY);
    refused(gw_schemas_set_level(it.schemas, "orders", GW_COMPAT_NONE, &it.error), GW_EREADONLY);
    assert_ptr_equal(enter("orders", ONE), first);
    assert_int_equal(gw_schemas_set_mode(it.schemas, "orders", GW_SCHEMAS_READWRITE, &it.error), 0);
    assert_int_equal(enter("orders", TWO)->version, 2);
    refused(try_register("carts", ONE, &out), GW_EREADONLY);
}

static void test_nothing_is_seen_that_is_not_stored(void **state)
{
    (void)state;
    const struct gw_schema_version *out = NULL;
    disk.watched = it.schemas;
    enter("orders", ONE);
    assert_int_equal(disk.seen, 0);
    disk.fails = GW_EIO;
    refused(try_register("orders", TWO, &out), GW_EIO);
    refused(try_register("carts", "true", &out), GW_EIO);
    assert_null(out);
    assert_int_equal(gw_schema_subject_versions(gw_schemas_subject(it.schemas, "orders", 6)), 1);
    assert_null(gw_schemas_subject(it.schemas, "carts", 5));
    assert_int_equal(gw_schemas_count(it.schemas), 1);
    disk.fails = 0; /* what the file holds is not known any more: only a new start can tell */
    refused(try_register("orders", TWO, &out), GW_EIO);
}

static void test_a_replay_gives_the_same_registry(void **state)
{
    (void)state;
    enter("orders", ONE);
    enter("carts", ONE);
    enter("orders", TWO);
    assert_int_equal(gw_schemas_set_level(it.schemas, NULL, GW_COMPAT_FULL, &it.error), 0);
    assert_int_equal(gw_schemas_set_mode(it.schemas, "carts", GW_SCHEMAS_READONLY, &it.error), 0);
    struct gw_schemas *again = gw_schemas_new(NULL);
    for (unsigned i = 0; i < disk.count; i++)
        assert_int_equal(gw_schemas_replay(again, &disk.records[i], &it.error), 0);
    assert_int_equal(gw_schemas_count(again), 2);
    const struct gw_schema_version *version = gw_schemas_find(again, "orders", 6, 2);
    assert_int_equal(version->schema->id, 2);
    assert_int_equal(version->registered_ms, 1000);
    assert_string_equal(version->schema->text, TWO);
    assert_int_equal(gw_schemas_find(again, "carts", 5, 1)->schema->id, 1);
    assert_int_equal(gw_schemas_level(again, NULL), GW_COMPAT_FULL);
    assert_int_equal(gw_schemas_mode(again, gw_schemas_subject(again, "carts", 5)), GW_SCHEMAS_READONLY);
    gw_schemas_close(again);
}

static void test_a_replay_refuses_what_was_changed(void **state)
{
    (void)state;
    enter("orders", ONE);
    enter("orders", TWO);
    for (unsigned change = 0; change < 6; change++) {
        struct gw_schemas_record records[2] = {disk.records[0], disk.records[1]};
        struct gw_schemas *again = gw_schemas_new(NULL);
        assert_int_equal(gw_schemas_replay(again, &records[0], &it.error), 0);
        records[1].version += change == 0;
        records[1].id += change == 1;
        records[1].hash.bytes[31] ^= change == 2;
        records[1].text = change == 3 ? ONE : records[1].text;
        records[1].text_len = change == 3 ? strlen(ONE) : records[1].text_len;
        records[1].event = change == 4 ? GW_SCHEMAS_LEVEL_SET : records[1].event;
        records[1].value = change == 4 ? 99 : 0;
        records[1].event = change == 5 ? (enum gw_schemas_event)9 : records[1].event;
        refused(gw_schemas_replay(again, &records[1], &it.error), GW_EDAMAGED);
        assert_int_equal(gw_schemas_count(again), 1);
        gw_schemas_close(again);
    }
}

static void test_schemas_refer_to_registered_ones_by_subject_and_version(void **state)
{
    (void)state;
    enter("money", "{\"type\": \"integer\", \"minimum\": 0}");
    enter("orders", "{\"properties\": {\"price\": {\"$ref\": \"urn:tributary:schema:money:1\"}}}");
    const struct gw_schema_version *out = NULL;
    refused(try_register("carts",
                         "{\"properties\": {\"price\": {\"$ref\": \"urn:tributary:schema:money:2\"}}}", &out),
            GW_EINVALID);
}

static void test_memory_is_bounded(void **state)
{
    (void)state;
    const struct gw_schemas_options options = {.memory_max = 20000};
    struct gw_schemas *small = gw_schemas_new(&options);
    const struct gw_schema_version *out;
    char text[64];
    int rc = 0;
    unsigned count = 0;
    for (; count < 1000 && rc == 0; count++) {
        (void)snprintf(text, sizeof text, "{\"title\": \"%u\"}", count);
        const struct gw_schema_text candidate = {"orders", text, strlen(text)};
        rc = gw_schemas_register(small, &candidate, 0, NULL, &out, &it.error);
    }
    refused(rc, GW_ELIMIT);
    assert_true(count > 2 && count < 900);
    assert_int_equal(gw_schemas_count(small), count - 1);
    gw_schemas_close(small);
}

/* --- readers while somebody registers --- */

static atomic_bool over;

static void *reader(void *context)
{
    unsigned long seen = 0;
    while (!atomic_load(&over)) {
        const struct gw_schema_version *version = gw_schemas_find(it.schemas, "many", 4, 0);
        const uint32_t count = gw_schemas_count(it.schemas);
        if (version && (version->version == 0 || version->schema->id > gw_schemas_count(it.schemas)))
            return (void *)1;
        if (count > 0 && (gw_schemas_by_id(it.schemas, count)->id != count ||
                          !gw_schemas_by_id(it.schemas, count)->program))
            return (void *)1;
        for (const struct gw_schema_subject *s = NULL; (s = gw_schemas_next(it.schemas, s)) != NULL;)
            seen += gw_schema_subject_versions(s);
    }
    (void)context;
    return seen > 0 ? NULL : (void *)1;
}

static void test_readers_see_whole_versions_while_others_register(void **state)
{
    (void)state;
    pthread_t threads[2];
    char text[64], subject[16];
    disk.count = 0;
    gw_schemas_attach(it.schemas, &(struct gw_schemas_store){.append = NULL});
    enter("many", "{\"title\": \"first\"}");
    atomic_store(&over, false);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, reader, NULL), 0);
    for (unsigned i = 0; i < 400; i++) {
        (void)snprintf(text, sizeof text, "{\"title\": \"%u\"}", i);
        (void)snprintf(subject, sizeof subject, "other-%u", i % 40);
        enter(i % 2 ? "many" : subject, text);
    }
    atomic_store(&over, true);
    for (int i = 0; i < 2; i++) {
        void *wrong;
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
    assert_int_equal(gw_schema_subject_versions(gw_schemas_subject(it.schemas, "many", 4)), 201);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_versions_and_ids_count_from_one_without_gaps, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_same_content_is_the_same_schema_however_it_is_written, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_registered_schema_judges_events_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_no_schema_or_no_subject_is_refused_and_leaves_nothing,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_refusal_names_question_rule_path_and_version, setup, teardown),
        cmocka_unit_test_setup_teardown(test_transitive_levels_ask_every_version_and_others_the_latest, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_settings_of_a_subject_go_before_those_of_all, setup, teardown),
        cmocka_unit_test_setup_teardown(test_read_only_refuses_what_is_new_and_answers_what_is_there, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_nothing_is_seen_that_is_not_stored, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_replay_gives_the_same_registry, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_replay_refuses_what_was_changed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_schemas_refer_to_registered_ones_by_subject_and_version, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_memory_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_readers_see_whole_versions_while_others_register, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
