/* Backups: asked for of a journal at work, taken to where they are wanted, and the schemas in them. */
#include <errno.h>
#include <sys/stat.h>

#include "base/layout.h"
#include "journal/maintain.h"
#include "journal_fixture.h"
#include "journal_said.h"
#include "schema/registry_disk.h"

static const char *const sinks[] = {"stream"};

static struct gw_journal_summary verified(const char *folder, struct said *said)
{
    struct gw_journal_summary sum = {0};
    struct gw_error error = {0};
    *said = (struct said){.unsound = 0};
    int rc = gw_journal_verify(folder, say, said, &sum, &error);
    if (rc != 0)
        fail_msg("verify: %d %s", rc, error.text);
    return sum;
}

static enum gw_backup_state state_of(struct fixture *f)
{
    struct gw_journal_backup backup;
    gw_journal_backup_look(f->journal, &backup);
    return backup.state;
}

/* --- asked for --- */

static void test_backup_is_asked_for_while_commits_go_on(void **state)
{
    struct fixture *f = *state;
    struct gw_path ready = gw_path_join(f->folder, GW_LAYOUT_BACKUP);
    struct gw_journal_backup backup;
    struct said said;
    uint64_t number = 0, other = 7;
    open_journal(f);
    commit_range(f, "tv-1", 1, 1, 220, 4000);
    assert_int_equal(state_of(f), GW_BACKUP_NONE);
    assert_int_equal(gw_journal_backup_ask(f->journal, &number, &f->error), 0);
    assert_int_equal(number, 1);
    assert_int_equal(gw_journal_backup_ask(f->journal, &other, &f->error), GW_EBUSY);
    assert_int_equal(other, 7);
    commit_range(f, "tv-1", 1, 221, 230, 400); /* nobody waits for it */
    assert_int_equal(state_of(f), GW_BACKUP_WAITING);
    assert_false(gw_path_exists(ready.text));
    assert_int_equal(gw_journal_reclaim(f->journal, sinks, 1), 0);
    gw_journal_backup_look(f->journal, &backup);
    assert_int_equal(backup.state, GW_BACKUP_READY);
    assert_int_equal(backup.number, number);
    assert_int_equal(backup.summary.end, 230);
    assert_int_equal(backup.summary.entries, 230);
    commit_range(f, "tv-1", 1, 231, 240, 400);
    assert_int_equal(verified(ready.text, &said).entries, 230);
    assert_int_equal(said.unsound, 0);
    assert_int_equal(gw_journal_backup_ask(f->journal, &number, &f->error), GW_EBUSY);
    assert_non_null(strstr(f->error.text, "lies ready in"));
    run("mv '%s' '%s'", ready.text, beside(f, "taken").text);
    assert_int_equal(gw_journal_backup_ask(f->journal, &number, &f->error), 0);
    assert_int_equal(number, 2);
    assert_int_equal(gw_journal_reclaim(f->journal, sinks, 1), 0);
    assert_int_equal(verified(ready.text, &said).entries, 240);
    reopen_journal(f); /* what nobody took away does no harm to a start */
    assert_int_equal(committed(f, "tv-1", 1), 240);
}

static void test_a_backup_that_waits_is_taken_back(void **state)
{
    struct fixture *f = *state;
    struct gw_path ready = gw_path_join(f->folder, GW_LAYOUT_BACKUP);
    uint64_t number = 0;
    open_journal(f);
    commit_range(f, "tv-1", 1, 1, 5, 400);
    assert_int_equal(gw_journal_backup_ask(f->journal, &number, &f->error), 0);
    assert_int_equal(gw_journal_backup_withdraw(f->journal, number + 1), GW_ENOTFOUND);
    assert_int_equal(state_of(f), GW_BACKUP_WAITING);
    assert_int_equal(gw_journal_backup_withdraw(f->journal, number), 0);
    assert_int_equal(gw_journal_backup_withdraw(f->journal, number), GW_ENOTFOUND);
    assert_int_equal(gw_journal_reclaim(f->journal, sinks, 1), 0);
    assert_false(gw_path_exists(ready.text));
    assert_int_equal(gw_journal_backup_ask(f->journal, &number, &f->error), 0);
    assert_int_equal(gw_journal_reclaim(f->journal, sinks, 1), 0);
    assert_int_equal(gw_journal_backup_withdraw(f->journal, number), GW_ENOTFOUND); /* too late */
    assert_true(gw_path_exists(ready.text));
}

static void test_a_backup_that_fails_says_why_and_the_journal_goes_on(void **state)
{
    struct fixture *f = *state;
    struct gw_journal_backup backup;
    uint64_t number = 0;
    open_journal(f);
    commit_range(f, "tv-1", 1, 1, 5, 400);
    assert_int_equal(gw_journal_seal(f->journal, &f->error), 0);
    assert_int_equal(gw_journal_backup_ask(f->journal, &number, &f->error), 0);
    run("mv '%s/segments/00000000000000000000/data.mdb' '%s'", f->folder, beside(f, "data").text);
    assert_int_equal(gw_journal_reclaim(f->journal, sinks, 1), 0);
    gw_journal_backup_look(f->journal, &backup);
    assert_int_equal(backup.state, GW_BACKUP_FAILED);
    assert_non_null(strstr(backup.error.text, "cannot be made"));
    assert_false(gw_path_exists(gw_path_join(f->folder, GW_LAYOUT_BACKUP_TMP).text));
    run("mv '%s' '%s/segments/00000000000000000000/data.mdb'", beside(f, "data").text, f->folder);
    commit_range(f, "tv-1", 1, 6, 9, 400);
    assert_int_equal(gw_journal_backup_ask(f->journal, &number, &f->error), 0);
    assert_int_equal(gw_journal_reclaim(f->journal, sinks, 1), 0);
    assert_int_equal(state_of(f), GW_BACKUP_READY);
}

static void test_what_an_interrupted_backup_left_is_gone_after_a_start(void **state)
{
    struct fixture *f = *state;
    struct gw_path ready = gw_path_join(f->folder, GW_LAYOUT_BACKUP),
                   begun = gw_path_join(f->folder, GW_LAYOUT_BACKUP_TMP);
    struct said said;
    open_journal(f);
    commit_range(f, "tv-1", 1, 1, 220, 4000);
    assert_int_equal(gw_journal_seal(f->journal, &f->error), 0);
    /* As a process leaves it that is killed in the middle: links, and meta not yet copied. */
    run("mkdir -p '%s/meta' && cp -al '%s/segments' '%s'", begun.text, f->folder, begun.text);
    run("cp -a '%s' '%s' && touch '%s/kept'", begun.text, ready.text, ready.text);
    reopen_journal(f);
    assert_false(gw_path_exists(begun.text));
    assert_true(
        gw_path_exists(gw_path_join(ready.text, "kept").text)); /* whole ones are for who asked for them */
    assert_int_equal(committed(f, "tv-1", 1), 220);
    assert_int_equal(read_all(f, 0).entries, 220);
    close_journal(f);
    assert_int_equal(verified(f->folder, &said).entries, 220);
    assert_int_equal(said.unsound, 0);
}

/* --- taken --- */

static void refused(struct fixture *f, const char *destination, int code, const char *why)
{
    int lock_fd = -7;
    f->error.text[0] = '\0';
    assert_int_equal(gw_backup_begin(f->folder, destination, &lock_fd, &f->error), code);
    assert_int_equal(lock_fd, -7);
    if (!strstr(f->error.text, why))
        fail_msg("%s: %s", destination, f->error.text);
}

static void test_a_backup_goes_only_where_it_is_safe(void **state)
{
    struct fixture *f = *state;
    struct gw_path there = beside(f, "there"), link = beside(f, "link"), dangling = beside(f, "dangling");
    int lock_fd = -1;
    open_journal(f);
    run("mkdir '%s' && ln -s '%s' '%s' && ln -s nowhere '%s'", there.text, f->folder, link.text,
        dangling.text);
    refused(f, there.text, GW_EINVALID, "is there already");
    refused(f, dangling.text, GW_EINVALID, "is there already");
    refused(f, gw_path_join(f->folder, "backup").text, GW_EINVALID, "lies in the data folder");
    refused(f, gw_path_join(f->folder, "meta/backup").text, GW_EINVALID, "lies in the data folder");
    refused(f, gw_path_join(link.text, "backup/").text, GW_EINVALID, "lies in the data folder");
    refused(f, gw_path_join(beside(f, "none").text, "backup").text, GW_EINVALID, "must be there");
    refused(f, "", GW_EINVALID, "must be there");
    struct gw_path left = gw_path_join(f->folder, GW_LAYOUT_BACKUP),
                   wanted = gw_path_join(there.text, "backup");
    run("mkdir -p '%s/meta' && touch '%s/meta/data.mdb'", left.text, left.text); /* of one who died */
    assert_int_equal(gw_backup_begin(f->folder, wanted.text, &lock_fd, &f->error), 0);
    assert_false(gw_path_exists(left.text));
    refused(f, wanted.text, GW_EBUSY, "another backup");
    assert_int_equal(close(lock_fd), 0);
    assert_int_equal(gw_backup_begin(f->folder, wanted.text, &lock_fd, &f->error), 0);
    assert_int_equal(gw_backup_take(f->folder, wanted.text, &f->error), GW_EINVALID); /* none is ready */
    assert_int_equal(close(lock_fd), 0);
}

static void backed_up_to(struct fixture *f, const char *destination)
{
    struct gw_journal_summary sum;
    struct gw_path ready = gw_path_join(f->folder, GW_LAYOUT_BACKUP);
    int lock_fd = -1;
    assert_int_equal(gw_backup_begin(f->folder, destination, &lock_fd, &f->error), 0);
    assert_int_equal(gw_journal_backup(f->journal, ready.text, &sum, &f->error), 0);
    int rc = gw_backup_take(f->folder, destination, &f->error);
    if (rc != 0)
        fail_msg("take: %d %s", rc, f->error.text);
    assert_int_equal(close(lock_fd), 0);
    assert_false(gw_path_exists(ready.text));
}

static dev_t device_of(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_dev;
}

/* Where there is no second file system, both are renamed; the integration test has the copy too. */
static void test_a_backup_is_moved_or_copied_whole(void **state)
{
    struct fixture *f = *state;
    struct said said;
    char shared[] = "/dev/shm/tributary-backup-XXXXXX";
    open_journal(f);
    commit_range(f, "tv-1", 1, 1, 50, 4000);
    struct gw_path near = beside(f, "near"), other = beside(f, "other");
    backed_up_to(f, near.text);
    if (mkdtemp(shared))
        snprintf(other.text, sizeof other.text, "%s", shared);
    else
        run("mkdir '%s'", other.text);
    struct gw_path far = gw_path_join(other.text, "far"), tmp = gw_path_join(other.text, "far.tmp");
    run("mkdir '%s' && touch '%s/left'", tmp.text, tmp.text); /* of one who died */
    backed_up_to(f, gw_path_join(other.text, "far/").text);
    assert_int_equal(verified(near.text, &said).entries, 50);
    assert_int_equal(verified(far.text, &said).entries, 50);
    if (device_of(other.text) != device_of(f->folder))
        assert_false(gw_path_exists(tmp.text));
    run("rm -rf '%s'", other.text);
}

/* --- schemas --- */

#define LEVEL_ONE "{\"type\":\"object\",\"title\":\"%s\",\"properties\":{\"n\":{\"type\":\"integer\"}}}"

/* Registers subjects in the registry of a data folder, from the `from`-th on; as many as *out_count are there then. */
static void registered(const char *data, unsigned from, unsigned to, uint32_t *out_count)
{
    const struct gw_path store = gw_path_join(data, GW_LAYOUT_REGISTRY);
    const struct gw_schema_disk_options options = {.store = store.text, .now_ms = 5};
    struct gw_schemas *schemas = gw_schemas_new(NULL);
    struct gw_schema_disk *disk = NULL;
    struct gw_compat_report report;
    const struct gw_schema_version *version;
    struct gw_error error = {0};
    int rc = gw_schema_disk_open(&options, schemas, NULL, &disk, &error);
    if (rc != 0)
        fail_msg("registry: %s", error.text);
    for (unsigned i = from; i <= to; i++) {
        char subject[32], text[200];
        snprintf(subject, sizeof subject, "subject-%u", i);
        snprintf(text, sizeof text, LEVEL_ONE, subject);
        const struct gw_schema_text candidate = {.subject = subject, .text = text, .len = strlen(text)};
        assert_int_equal(gw_schemas_register(schemas, &candidate, 1234, &report, &version, &error), 0);
    }
    *out_count = gw_schemas_count(schemas);
    gw_schema_disk_close(disk);
    gw_schemas_close(schemas);
}

static int restored(struct fixture *f, const char *backup, const char *folder, struct said *said,
                    struct gw_journal_summary *sum)
{
    *said = (struct said){.unsound = 0};
    return gw_journal_restore(backup, folder, say, said, sum, &f->error);
}

static void test_the_schemas_are_in_a_backup_and_come_back(void **state)
{
    struct fixture *f = *state;
    struct gw_path backup = beside(f, "backup"), fresh = beside(f, "fresh");
    struct gw_journal_summary sum;
    struct said said;
    uint32_t count;
    open_journal(f);
    commit_range(f, "tv-1", 1, 1, 5, 400);
    registered(f->folder, 1, 3, &count);
    assert_int_equal(count, 3);
    assert_int_equal(gw_journal_backup(f->journal, backup.text, &sum, &f->error), 0);
    assert_int_equal(sum.schemas, 3);
    registered(f->folder, 4, 5, &count); /* after it */
    sum = verified(backup.text, &said);
    assert_int_equal(sum.schemas, 3);
    assert_int_equal(said.unsound + sum.bad, 0);
    close_journal(f);
    assert_int_equal(restored(f, backup.text, fresh.text, &said, &sum), 0);
    assert_int_equal(sum.schemas, 3);
    registered(fresh.text, 1, 0, &count);
    assert_int_equal(count, 3);
    registered(fresh.text, 1, 3, &count); /* they are known: nothing is added */
    assert_int_equal(count, 3);
    registered(fresh.text, 6, 6, &count); /* and it goes on */
    assert_int_equal(count, 4);
    /* A registry that went on since stays as it is. */
    run("rm -r '%s/meta' '%s/segments'", f->folder, f->folder);
    assert_int_equal(restored(f, backup.text, f->folder, &said, &sum), 0);
    registered(f->folder, 1, 0, &count);
    assert_int_equal(count, 5);
}

static void test_a_registry_that_says_something_else_is_not_touched(void **state)
{
    struct fixture *f = *state;
    struct gw_path backup = beside(f, "backup"), other = beside(f, "other");
    struct gw_journal_summary sum;
    struct said said;
    uint32_t count;
    open_journal(f);
    commit_range(f, "tv-1", 1, 1, 5, 400);
    registered(f->folder, 1, 3, &count);
    assert_int_equal(gw_journal_backup(f->journal, backup.text, &sum, &f->error), 0);
    run("mkdir '%s'", other.text);
    registered(other.text, 9, 9, &count);
    assert_int_equal(restored(f, backup.text, other.text, &said, &sum), GW_ECONFLICT);
    assert_non_null(strstr(f->error.text, "move that folder away"));
    assert_false(gw_path_exists(gw_path_join(other.text, "meta").text));
    registered(other.text, 1, 0, &count);
    assert_int_equal(count, 1);
    run("mv '%s/registry' '%s'", other.text, beside(f, "away").text);
    assert_int_equal(restored(f, backup.text, other.text, &said, &sum), 0);
    registered(other.text, 1, 0, &count);
    assert_int_equal(count, 3);
}

static void test_damaged_schemas_of_a_backup_are_told_and_the_rest_comes_back(void **state)
{
    struct fixture *f = *state;
    struct gw_path backup = beside(f, "backup"), fresh = beside(f, "fresh");
    struct gw_journal_summary sum;
    struct said said;
    uint32_t count;
    open_journal(f);
    commit_range(f, "tv-1", 1, 1, 5, 400);
    registered(f->folder, 1, 4, &count);
    assert_int_equal(gw_journal_backup(f->journal, backup.text, &sum, &f->error), 0);
    /* Not by writing to the file: it has a name in the data folder as well. */
    run("cd '%s/registry' && tr n m < 00000003 > new && mv new 00000003", backup.text);
    sum = verified(backup.text, &said);
    assert_int_equal(sum.schemas, 2);
    assert_int_equal(sum.bad, 1);
    assert_non_null(strstr(said.text, "registry: damaged"));
    assert_int_equal(restored(f, backup.text, fresh.text, &said, &sum), 0);
    assert_int_equal(sum.bad, 1);
    registered(fresh.text, 1, 0, &count);
    assert_int_equal(count, 2);
    f->config.folder = fresh.text;
    close_journal(f);
    open_journal(f);
    assert_int_equal(read_all(f, 0).entries, 5);
}

#define JOURNAL_TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup, remove_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        JOURNAL_TEST(test_backup_is_asked_for_while_commits_go_on),
        JOURNAL_TEST(test_a_backup_that_waits_is_taken_back),
        JOURNAL_TEST(test_a_backup_that_fails_says_why_and_the_journal_goes_on),
        JOURNAL_TEST(test_what_an_interrupted_backup_left_is_gone_after_a_start),
        JOURNAL_TEST(test_a_backup_goes_only_where_it_is_safe),
        JOURNAL_TEST(test_a_backup_is_moved_or_copied_whole),
        JOURNAL_TEST(test_the_schemas_are_in_a_backup_and_come_back),
        JOURNAL_TEST(test_a_registry_that_says_something_else_is_not_touched),
        JOURNAL_TEST(test_damaged_schemas_of_a_backup_are_told_and_the_rest_comes_back),
    };
    gw_log_set_level((enum gw_log_level)(GW_LOG_ERROR + 1));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
