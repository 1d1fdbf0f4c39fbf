/* The registry on disk: what is registered is there after any end of the process, and files that differ are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "schema/registry_disk.h"
#include "unit/gateway/fault_io.h"

static struct {
    char folder[64], store[80], files[80];
    struct gw_schemas *schemas;
    struct gw_schema_disk *disk;
    struct gw_error error;
    struct gw_compat_report report;
    bool only_files, read_files_only;
} it;

static int open_disk(void)
{
    const struct gw_schema_disk_options options = {.store = it.only_files ? NULL : it.store,
                                                   .files = it.files,
                                                   .read_files_only = it.read_files_only,
                                                   .now_ms = 5};
    memset(&it.report, 0, sizeof it.report);
    it.schemas = gw_schemas_new(NULL);
    assert_non_null(it.schemas);
    int rc = gw_schema_disk_open(&options, it.schemas, &it.report, &it.disk, &it.error);
    if (rc != 0) {
        gw_schemas_close(it.schemas);
        it.schemas = NULL;
        it.disk = NULL;
    }
    return rc;
}

static void close_disk(void)
{
    gw_schema_disk_close(it.disk);
    gw_schemas_close(it.schemas);
    it.disk = NULL;
    it.schemas = NULL;
}

static void must_open(void)
{
    int rc = open_disk();
    if (rc != 0)
        print_error("%s\n", it.error.text);
    assert_int_equal(rc, 0);
}

static void clear(void)
{
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf %.60s/*", it.folder);
    assert_int_equal(system(command), 0);
}

static int setup(void **state)
{
    (void)state;
    fault_disarm();
    memset(&it, 0, sizeof it);
    (void)snprintf(it.folder, sizeof it.folder, "/tmp/schema_disk_XXXXXX");
    if (!mkdtemp(it.folder))
        return -1;
    (void)snprintf(it.store, sizeof it.store, "%s/registry", it.folder);
    (void)snprintf(it.files, sizeof it.files, "%s/schemas", it.folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fault_disarm();
    close_disk();
    clear();
    return rmdir(it.folder);
}

static int enter(const char *subject, const char *text)
{
    const struct gw_schema_version *version;
    const struct gw_schema_text candidate = {.subject = subject, .text = text, .len = strlen(text)};
    return gw_schemas_register(it.schemas, &candidate, 1234, &it.report, &version, &it.error);
}

static void put(const char *name, const char *text)
{
    char path[200];
    (void)snprintf(path, sizeof path, "%s/%s", it.folder, name);
    for (char *slash = strchr(path + strlen(it.folder) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(path, 0700);
        *slash = '/';
    }
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    (void)fputs(text, file);
    (void)fclose(file);
}

static char *get(const char *name)
{
    static char text[4096];
    char path[200];
    (void)snprintf(path, sizeof path, "%s/%s", it.folder, name);
    FILE *file = fopen(path, "rb");
    if (!file)
        return NULL;
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    (void)fclose(file);
    return text;
}

#define A1 "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"}}}"
#define A2 "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"},\"b\":{\"type\":\"string\"}}}"

static const struct gw_schema_version *find(const char *subject, uint32_t version)
{
    return gw_schemas_find(it.schemas, subject, strlen(subject), version);
}

static void test_what_was_registered_is_there_after_a_restart(void **state)
{
    (void)state;
    must_open();
    assert_int_equal(enter("a", A1), 0);
    assert_int_equal(enter("b", A1), 0);
    assert_int_equal(enter("a", A2), 0);
    assert_int_equal(gw_schemas_set_level(it.schemas, "b", GW_COMPAT_FULL, &it.error), 0);
    for (int i = 0; i < 2; i++) {
        close_disk();
        must_open();
        assert_string_equal(find("a", 2)->schema->text, A2);
        assert_int_equal(find("a", 2)->registered_ms, 1234);
        assert_int_equal(find("a", 2)->schema->id, 2);
        assert_int_equal(find("b", 1)->schema->id, 1);
        assert_int_equal(gw_schemas_level_of(it.schemas, find("b", 1)->subject), GW_COMPAT_FULL);
    }
    char text[256];
    assert_string_equal(gw_schema_disk_trouble(it.disk, text), "");
}

static void test_schemas_stand_as_files_for_people_with_their_ids(void **state)
{
    (void)state;
    must_open();
    assert_int_equal(enter("a", A1), 0);
    assert_int_equal(enter("a", A2), 0);
    assert_string_equal(
        get("schemas/a/1.json"),
        "{\n  \"type\": \"object\",\n  \"properties\": {\"a\": {\"type\": \"integer\"}}\n}\n");
    const char *ids = get("schemas/ids");
    assert_int_equal(strncmp(ids, "1 ", 2), 0);
    assert_int_equal(strlen(ids), 2 * 67);
    close_disk();
    char path[128];
    (void)snprintf(path, sizeof path, "%s/a/1.json", it.files);
    assert_int_equal(unlink(path), 0);
    must_open(); /* a missing one is written again */
    assert_non_null(get("schemas/a/1.json"));
}

static void test_a_folder_of_files_makes_the_same_registry_elsewhere(void **state)
{
    (void)state;
    must_open();
    assert_int_equal(enter("z", A1), 0); /* ids are not in the order of names */
    assert_int_equal(enter("a", A2), 0);
    assert_int_equal(enter("z", A2), 0);
    close_disk();
    char command[128];
    (void)snprintf(command, sizeof command, "rm -r %s", it.store);
    assert_int_equal(system(command), 0);
    it.read_files_only = true;
    must_open();
    assert_int_equal(find("z", 1)->schema->id, 1);
    assert_int_equal(find("a", 1)->schema->id, 2);
    assert_int_equal(find("z", 2)->schema->id, 2);
    assert_int_equal(find("a", 1)->registered_ms, 5);
}

static void refused(int code, const char *words)
{
    int rc = open_disk();
    assert_int_equal(rc, code);
    if (!strstr(it.error.text, words))
        print_error("%s\n", it.error.text);
    assert_non_null(strstr(it.error.text, words));
}

static void test_a_changed_file_is_refused_with_both_hashes(void **state)
{
    (void)state;
    must_open();
    assert_int_equal(enter("a", A1), 0);
    close_disk();
    put("schemas/a/1.json", A2);
    refused(GW_ECONFLICT, "a/1.json was changed: registered is sha256 ");
    struct gw_schema_hash one, two;
    char text[GW_SCHEMA_HASH_TEXT];
    assert_int_equal(gw_schema_hash(A1, strlen(A1), &one), 0);
    assert_int_equal(gw_schema_hash(A2, strlen(A2), &two), 0);
    assert_non_null(strstr(it.error.text, gw_schema_hash_text(&one, text)));
    assert_non_null(strstr(it.error.text, gw_schema_hash_text(&two, text)));
    put("schemas/a/1.json", "{ \"properties\": {\"a\": {\"type\": \"integer\"}}, \"type\": \"object\" }");
    must_open(); /* another form of the same content is none */
}

static void test_files_are_registered_by_the_rules_for_all(void **state)
{
    (void)state;
    must_open();
    assert_int_equal(enter("a", A2), 0);
    assert_int_equal(gw_schemas_set_mode(it.schemas, NULL, GW_SCHEMAS_READONLY, &it.error), 0);
    close_disk();
    put("schemas/b/1.json", A1); /* read-only is for clients */
    must_open();
    assert_non_null(find("b", 1));
    close_disk();
    put("schemas/a/2.json", A1);
    refused(GW_ECONFLICT, "/properties/b");
    assert_int_equal(it.report.count, 1);
    put("schemas/a/2.json", A2);
    refused(GW_ECONFLICT, "a/2.json is the same schema as version 1");
    put("schemas/a/2.json", "{\"type\": \"nothing\"}");
    refused(GW_EINVALID, "a/2.json");
    put("schemas/a/2.json", "{");
    refused(GW_EINVALID, "a/2.json");
    put("schemas/a/2.json", "{\"properties\":{\"a\":{\"type\":\"integer\"},\"b\":{\"type\":\"string\"}}}");
    put("schemas/a/4.json", A2);
    refused(GW_EINVALID, "3.json is missing");
    assert_int_equal(unlink(strcat(strcpy((char[200]){0}, it.files), "/a/4.json")), 0);
    put("schemas/a/02.json", A2);
    refused(GW_EINVALID, "02.json");
}

static void test_a_reload_takes_new_files_and_leaves_what_is_wrong(void **state)
{
    (void)state;
    must_open();
    assert_int_equal(enter("a", A1), 0);
    assert_int_equal(enter("c", A2), 0);
    put("schemas/b/1.json", A1);
    put("schemas/a/2.json", A2);
    assert_int_equal(gw_schema_disk_reload(it.disk, 5678, &it.error), 0);
    assert_non_null(find("a", 2));
    assert_int_equal(find("b", 1)->registered_ms, 5678);
    put("schemas/a/1.json", A2); /* changed */
    put("schemas/b/2.json", A2);
    put("schemas/c/2.json", A1); /* may not follow */
    assert_int_equal(gw_schema_disk_reload(it.disk, 5679, &it.error), GW_ECONFLICT);
    assert_non_null(strstr(it.error.text, "a/1.json was changed: registered is sha256 "));
    assert_string_equal(find("a", 1)->schema->text, A1);
    assert_non_null(find("b", 2));
    assert_null(find("c", 2));
    put("schemas/a/1.json", A1);
    assert_int_equal(gw_schema_disk_reload(it.disk, 5680, &it.error), GW_ECONFLICT);
    assert_non_null(strstr(it.error.text, "c/2.json"));
    char path[200];
    (void)snprintf(path, sizeof path, "%s/c/2.json", it.files);
    assert_int_equal(unlink(path), 0);
    (void)snprintf(path, sizeof path, "%s/c/1.json", it.files);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(gw_schema_disk_reload(it.disk, 5681, &it.error), 0);
    assert_non_null(get("schemas/c/1.json")); /* written again */
    close_disk();
    must_open();
    assert_int_equal(find("b", 2)->registered_ms, 5679);
}

static void test_a_file_becomes_the_version_that_it_is_named_or_none(void **state)
{
    (void)state;
    const struct gw_schema_text candidate = {.subject = "a", .text = A2, .len = strlen(A2)};
    const struct gw_schema_version *version;
    must_open();
    assert_int_equal(enter("a", A1), 0); /* by a client, after the folder was read */
    assert_int_equal(gw_schemas_register_file(it.schemas, &candidate, 1, 1, NULL, &version, &it.error),
                     GW_ECONFLICT);
    assert_non_null(strstr(it.error.text, "the next version of a is 2"));
    assert_null(find("a", 2));
    assert_int_equal(gw_schemas_register_file(it.schemas, &candidate, 2, 1, NULL, &version, &it.error), 0);
    assert_int_equal(version->version, 2);
}

static void test_files_of_another_registry_are_refused_by_their_ids(void **state)
{
    (void)state;
    must_open();
    assert_int_equal(enter("a", A1), 0);
    close_disk();
    struct gw_schema_hash two;
    char text[GW_SCHEMA_HASH_TEXT], ids[128];
    assert_int_equal(gw_schema_hash(A2, strlen(A2), &two), 0);
    (void)snprintf(ids, sizeof ids, "7 %s\n", gw_schema_hash_text(&two, text));
    put("schemas/ids", ids);
    put("schemas/a/2.json", A2);
    refused(GW_ECONFLICT, "has id 7");
}

static void test_damage_of_the_store_is_told_and_never_stepped_over(void **state)
{
    (void)state;
    must_open();
    assert_int_equal(enter("a", A1), 0);
    assert_int_equal(enter("a", A2), 0);
    close_disk();
    char whole[4096], changed[4096];
    (void)snprintf(whole, sizeof whole, "%s", get("registry/00000001"));
    const size_t len = strlen(whole);
    for (size_t i = 0; i < len; i++) {
        memcpy(changed, whole, len + 1);
        changed[i] ^= 1;
        put("registry/00000001", changed);
        refused(GW_EDAMAGED, "registry/00000001");
    }
    for (size_t cut = 0; cut < len; cut++) {
        memcpy(changed, whole, cut);
        changed[cut] = '\0';
        put("registry/00000001", changed);
        refused(GW_EDAMAGED, "registry/00000001");
    }
    assert_int_equal(unlink(strcat(strcpy((char[200]){0}, it.store), "/00000001")), 0);
    refused(GW_EDAMAGED, "00000001, is missing");
    put("registry/00000001", whole);
    must_open();
    assert_non_null(find("a", 2));
}

/* --- ends of the process and errors of the disk, at each call --- */

/* What is registered in turn; the number of those that were acknowledged. */
static unsigned work(void)
{
    unsigned done = 0;
    if (open_disk() != 0)
        return 0;
    done += enter("a", A1) == 0;
    done += enter("b", A1) == 0;
    done += enter("a", A2) == 0;
    return done;
}

/* The acknowledged ones are there, and none but those that were asked for. */
static void judge(unsigned acknowledged)
{
    must_open();
    const uint32_t a = find("a", 0) ? find("a", 0)->version : 0, b = find("b", 0) ? find("b", 0)->version : 0;
    assert_true(a + b >= acknowledged);
    assert_true(acknowledged < 1 || strcmp(find("a", 1)->schema->text, A1) == 0);
    assert_true(acknowledged < 3 || strcmp(find("a", 2)->schema->text, A2) == 0);
    assert_int_equal(enter("a", A1), 0); /* and it goes on */
    assert_int_equal(enter("b", A1), 0);
    assert_int_equal(enter("a", A2), 0);
    assert_non_null(get("schemas/a/2.json"));
    assert_non_null(get("schemas/b/1.json"));
    close_disk();
    must_open();
    assert_int_equal(find("a", 0)->version, 2);
    close_disk();
}

static void test_a_process_that_ends_anywhere_leaves_what_was_acknowledged(void **state)
{
    (void)state;
    bool ended = true;
    unsigned at = 1;
    for (; ended; at++) {
        int channel[2], status;
        unsigned char acknowledged = 0;
        clear();
        assert_int_equal(pipe(channel), 0);
        pid_t pid = fork();
        if (pid == 0) {
            fault_arm(FAULT_CRASH, at, 1, 0);
            bool good = open_disk() == 0;
            static const char *const steps[][2] = {{"a", A1}, {"b", A1}, {"a", A2}};
            for (unsigned i = 0; i < 3 && good; i++) {
                good = enter(steps[i][0], steps[i][1]) == 0;
                const enum fault_kind kind = fault.kind;
                fault_disarm(); /* the note of it is not part of what is cut */
                (void)!write(channel[1], "+", 1);
                fault.kind = kind;
            }
            _exit(good ? 0 : 1);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        (void)close(channel[1]);
        for (char c; read(channel[0], &c, 1) == 1;)
            acknowledged++;
        (void)close(channel[0]);
        ended = WIFEXITED(status) && WEXITSTATUS(status) == FAULT_EXIT;
        assert_true(ended || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
        judge(acknowledged);
    }
    assert_in_range(at, 40, 400);
}

static void test_an_error_of_the_disk_at_any_call_loses_nothing_acknowledged(void **state)
{
    (void)state;
    static const unsigned lengths[] = {1, 3, 1000};
    for (size_t l = 0; l < 3; l++) {
        unsigned calls = 1;
        for (unsigned at = 1; at <= calls; at++) {
            clear();
            fault_arm(FAULT_ERROR, at, lengths[l], at % 2 ? ENOSPC : EIO);
            unsigned done = work();
            calls = fault.calls > calls ? fault.calls : calls;
            fault_disarm();
            close_disk();
            judge(done);
            if (at > 200)
                break;
        }
    }
}

static void test_files_that_cannot_be_written_are_told_and_come_later(void **state)
{
    (void)state;
    char text[256];
    must_open();
    assert_int_equal(enter("a", A1), 0);
    put("schemas/b", "a file where a folder should be");
    assert_int_equal(enter("b", A1), 0); /* the store has it */
    assert_non_null(strstr(gw_schema_disk_trouble(it.disk, text), "schemas/b"));
    assert_int_equal(unlink(strcat(strcpy((char[200]){0}, it.files), "/b")), 0);
    assert_int_equal(enter("a", A2), 0);
    assert_string_equal(gw_schema_disk_trouble(it.disk, text), "");
    assert_non_null(get("schemas/b/1.json"));
}

static void test_a_folder_alone_is_a_registry_too(void **state)
{
    (void)state;
    it.only_files = true;
    must_open();
    assert_int_equal(enter("a", A1), 0);
    assert_int_equal(enter("a", A2), 0);
    close_disk();
    must_open();
    assert_int_equal(find("a", 0)->version, 2);
    assert_null(get("registry/00000001"));
    fault_arm(FAULT_ERROR, 1, 1000, ENOSPC);
    assert_int_equal(enter("b", A1), GW_EFULL);
    fault_disarm();
    assert_null(find("b", 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_was_registered_is_there_after_a_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_schemas_stand_as_files_for_people_with_their_ids, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_folder_of_files_makes_the_same_registry_elsewhere, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_changed_file_is_refused_with_both_hashes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_files_are_registered_by_the_rules_for_all, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_reload_takes_new_files_and_leaves_what_is_wrong, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_file_becomes_the_version_that_it_is_named_or_none, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_files_of_another_registry_are_refused_by_their_ids, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_damage_of_the_store_is_told_and_never_stepped_over, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_process_that_ends_anywhere_leaves_what_was_acknowledged, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_an_error_of_the_disk_at_any_call_loses_nothing_acknowledged,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_files_that_cannot_be_written_are_told_and_come_later, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_folder_alone_is_a_registry_too, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
