/*
 * Faults from outside: a full disk, failing writes and syncs, another process, folders that are not what they should
 * be.
 */
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "journal_fixture.h"
#include "support/disk_faults.h"

/* --- failing writes and syncs --- */

/* One more commit, which may fail; then as many as it takes to see that all is well again. */
static void commit_through_fault(struct fixture *f, uint64_t *io_seq, int expected)
{
    static struct batch b;
    make_batch(&b, "tv-1", 1, *io_seq, *io_seq + 1, 500);
    struct gw_journal_write *writes[] = {&b.write};
    int rc = gw_journal_commit(f->journal, writes, 1, &f->error);
    no_faults();
    assert_int_equal(rc, expected);
    if (rc != 0) {
        assert_int_equal(b.write.status, rc);
        assert_non_null(strstr(f->error.text, f->folder));
        assert_int_equal(committed(f, "tv-1", 1), *io_seq); /* none of it is kept */
        assert_int_equal(gw_journal_end(f->journal), *io_seq);
        assert_int_equal(read_all(f, 0).entries, *io_seq); /* what was there is still readable */
    } else {
        (*io_seq)++;
    }
    commit_range(f, "tv-1", 1, *io_seq + 1, *io_seq + 3, 500);
    *io_seq += 3;
    struct reading r = read_all(f, 0);
    assert_int_equal(r.entries, *io_seq);
    assert_int_equal(r.lost, 0);
}

static void test_failed_sync_keeps_nothing_and_the_next_commit_works(void **state)
{
    struct fixture *f = *state;
    open_journal(f);
    uint64_t seq = 10;
    commit_range(f, "tv-1", 1, 1, seq, 500);
    for (int i = 0; i < 3; i++) {
        sync_fault = (struct fault){.error = EIO, .count = 1};
        commit_through_fault(f, &seq, GW_EIO);
    }
    struct gw_journal_stats stats;
    gw_journal_get_stats(f->journal, &stats);
    assert_int_equal(stats.segments, 4); /* each failure ended a segment */
    assert_int_equal(stats.damaged_segments, 0);
    reopen_journal(f);
    assert_int_equal(read_all(f, 0).entries, seq);
    assert_int_equal(committed(f, "tv-1", 1), seq);
    abandon_journal(f);
    open_journal(f);
    assert_int_equal(read_all(f, 0).entries, seq);
}

static void test_failed_write_keeps_nothing_wherever_it_fails(void **state)
{
    struct fixture *f = *state;
    open_journal(f);
    uint64_t seq = 5;
    commit_range(f, "tv-1", 1, 1, seq, 500);
    for (int after = 0; after < 3; after++) { /* pages, then the meta page */
        write_fault = (struct fault){.error = after % 2 ? ENOSPC : EIO, .after = after, .count = 1};
        static struct batch b;
        make_batch(&b, "tv-1", 1, seq, seq + 1, 500);
        struct gw_journal_write *writes[] = {&b.write};
        int rc = gw_journal_commit(f->journal, writes, 1, &f->error);
        bool fired = write_fault.count == 0;
        no_faults();
        assert_int_equal(rc != 0, fired);
        seq += rc == 0;
        assert_int_equal(committed(f, "tv-1", 1), seq);
        commit_range(f, "tv-1", 1, seq + 1, seq + 2, 500);
        seq += 2;
        assert_int_equal(read_all(f, 0).entries, seq);
    }
    abandon_journal(f);
    open_journal(f);
    assert_int_equal(read_all(f, 0).entries, seq);
    assert_int_equal(committed(f, "tv-1", 1), seq);
}

static void test_failed_cursor_sync_is_told_and_loses_no_commit(void **state)
{
    struct fixture *f = *state;
    open_journal(f);
    commit_range(f, "tv-1", 1, 1, 20, 500);
    f->journal->cursors_synced_ms = 0;
    sync_fault = (struct fault){.error = EIO, .count = 1};
    assert_int_equal(gw_journal_cursor_set(f->journal, "stream", 7), GW_EIO);
    no_faults();
    commit_range(f, "tv-1", 1, 21, 25, 500); /* the active segment is not concerned */
    close_journal(f);
    open_journal(f);
    assert_int_equal(read_all(f, 0).entries, 25);
    assert_int_equal(committed(f, "tv-1", 1), 25);
}

/* --- no space --- */

static void fill_until(struct fixture *f, uint64_t *io_seq, int expected)
{
    static struct batch b;
    for (int i = 0; i < 100000; i++) {
        make_batch(&b, "tv-1", 1, *io_seq, *io_seq + 1, 4000);
        struct gw_journal_write *writes[] = {&b.write};
        int rc = gw_journal_commit(f->journal, writes, 1, &f->error);
        if (rc != 0) {
            assert_int_equal(rc, expected);
            assert_int_equal(b.write.status, expected);
            return;
        }
        assert_int_equal(b.write.status, 0);
        ++*io_seq;
    }
    fail_msg("it never filled up");
}

static void give_back(struct fixture *f, uint64_t offset)
{
    static const char *const sinks[] = {"stream"};
    assert_int_equal(gw_journal_cursor_set(f->journal, "stream", offset), 0);
    assert_int_equal(gw_journal_reclaim(f->journal, sinks, 1), 0);
}

static void test_quota_refuses_and_recovers_without_a_restart(void **state)
{
    struct fixture *f = *state;
    f->config.quota_bytes = 8 * MIB;
    open_journal(f);
    uint64_t seq = 0;
    for (int round = 0; round < 3; round++) {
        uint64_t before = seq;
        fill_until(f, &seq, GW_EFULL);
        assert_true(seq > before + 500);
        assert_non_null(strstr(f->error.text, "quota"));
        struct gw_journal_stats stats;
        gw_journal_get_stats(f->journal, &stats);
        assert_true(stats.disk_bytes <= f->config.quota_bytes);
        assert_int_equal(read_all(f, gw_journal_begin(f->journal)).entries,
                         seq - gw_journal_begin(f->journal));
        assert_int_equal(committed(f, "tv-1", 1), seq);
        give_back(f, seq);
    }
    reopen_journal(f);
    assert_int_equal(committed(f, "tv-1", 1), seq);
}

static void test_no_space_for_a_segment_refuses_and_recovers(void **state)
{
    struct fixture *f = *state;
    open_journal(f);
    uint64_t seq = 0;
    commit_range(f, "tv-1", 1, 1, 10, 4000);
    seq = 10;
    for (int round = 0; round < 3; round++) {
        allocate_fault = (struct fault){.error = ENOSPC, .count = 1 << 30};
        fill_until(f, &seq, GW_EFULL);
        assert_int_equal(read_all(f, 0).entries, seq);
        assert_int_equal(committed(f, "tv-1", 1), seq);
        fill_until(f, &seq, GW_EFULL); /* and again, at once */
        no_faults();
        commit_range(f, "tv-1", 1, seq + 1, seq + 5, 4000);
        seq += 5;
    }
    /* A full disk at the start does not keep the sinks from what is there. */
    close_journal(f);
    allocate_fault = (struct fault){.error = ENOSPC, .count = 1 << 30};
    open_journal(f);
    assert_int_equal(read_all(f, 0).entries, seq);
    fill_until(f, &seq, GW_EFULL);
    give_back(f, seq);
    no_faults();
    commit_range(f, "tv-1", 1, seq + 1, seq + 1, 4000);
}

/* Runs in a child in a mount namespace of its own, so that mounts go with it. 77: not allowed here. */
static void in_own_mounts(struct fixture *f, void (*body)(struct fixture *f))
{
    pid_t pid = fork();
    if (pid == 0) {
        if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
            _exit(77);
        body(f);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip();
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* cmocka's assertions belong to the parent; a child says its line and ends. */
#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%d: %s (%s)\n", __LINE__, #condition, f->error.text);                           \
            _exit(1);                                                                                        \
        }                                                                                                    \
    } while (0)

static int commit_next(struct fixture *f, uint64_t *io_seq)
{
    static struct batch b;
    make_batch(&b, "tv-1", 1, *io_seq, *io_seq + 1, 4000);
    int rc = commit_one(f, &b);
    *io_seq += rc == 0;
    return rc;
}

static void small_disk(struct fixture *f)
{
    if (mount("none", f->folder, "tmpfs", 0, "size=6m") != 0)
        _exit(77);
    CHECK(gw_journal_open(&f->config, &f->journal, &f->error) == 0);
    uint64_t seq = 0;
    for (int round = 0; round < 3; round++) {
        int rc;
        while ((rc = commit_next(f, &seq)) == 0)
            continue;
        CHECK(rc == GW_EFULL);
        CHECK(seq > 400);
        struct gw_journal_stream row;
        CHECK(gw_journal_stream_get(f->journal, "tv-1", 1, &row) == 0 && row.committed == seq);
        static uint8_t buffer[8192];
        struct gw_journal_entry entry;
        size_t count, needed;
        uint64_t next, lost;
        CHECK(gw_journal_read(f->journal, seq - 1, buffer, sizeof buffer, &entry, 1, &count, &next, &lost,
                              &needed) == 0 &&
              count == 1);
        static const char *const sinks[] = {"stream"};
        CHECK(gw_journal_cursor_set(f->journal, "stream", seq) == 0);
        CHECK(gw_journal_reclaim(f->journal, sinks, 1) == 0);
        CHECK(commit_next(f, &seq) == 0); /* the same process goes on as soon as there is space */
    }
    gw_journal_close(f->journal);
    CHECK(gw_journal_open(&f->config, &f->journal, &f->error) == 0);
    CHECK(gw_journal_end(f->journal) == seq);
    gw_journal_close(f->journal);
}

static void test_small_disk_fills_and_recovers(void **state)
{
    in_own_mounts(*state, small_disk);
}

static void read_only_disk(struct fixture *f)
{
    if (mount(f->folder, f->folder, NULL, MS_BIND, NULL) != 0 ||
        mount(NULL, f->folder, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) != 0)
        _exit(77);
    CHECK(gw_journal_open(&f->config, &f->journal, &f->error) == GW_EINVALID);
    CHECK(strstr(f->error.text, f->folder) && strstr(f->error.text, "read-write"));
}

static void test_read_only_folder_is_refused(void **state)
{
    in_own_mounts(*state, read_only_disk);
}

static void test_read_only_journal_is_refused(void **state)
{
    struct fixture *f = *state;
    open_journal(f);
    commit_range(f, "tv-1", 1, 1, 5, 100);
    close_journal(f);
    in_own_mounts(f, read_only_disk);
}

static void no_room_at_all(struct fixture *f)
{
    if (mount("none", f->folder, "tmpfs", 0, "size=256k") != 0)
        _exit(77);
    CHECK(gw_journal_open(&f->config, &f->journal, &f->error) == GW_EFULL);
    CHECK(strstr(f->error.text, f->folder));
    CHECK(umount(f->folder) == 0);
    /* And once more with space: nothing half-made is in the way. */
    if (mount("none", f->folder, "tmpfs", 0, "size=256k") != 0)
        _exit(77);
    CHECK(gw_journal_open(&f->config, &f->journal, &f->error) == GW_EFULL);
    CHECK(mount(NULL, f->folder, NULL, MS_REMOUNT, "size=8m") == 0);
    CHECK(gw_journal_open(&f->config, &f->journal, &f->error) == 0);
    gw_journal_close(f->journal);
}

static void test_disk_too_small_to_begin_is_refused(void **state)
{
    in_own_mounts(*state, no_room_at_all);
}

/* --- folders that are not what they should be --- */

static int refused(struct fixture *f)
{
    f->error = (struct gw_error){0};
    int rc = gw_journal_open(&f->config, &f->journal, &f->error);
    assert_int_equal(f->error.code, rc);
    assert_true(rc == 0 || strlen(f->error.text) > 30);
    return rc;
}

static void write_text(const char *folder, const char *name, const char *text)
{
    struct gw_path path = gw_path_join(folder, name);
    FILE *file = fopen(path.text, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void test_missing_folder_is_named(void **state)
{
    struct fixture *f = *state;
    struct gw_path path = gw_path_join(f->folder, "not-there");
    f->config.folder = path.text;
    assert_int_equal(refused(f), GW_EINVALID);
    assert_non_null(strstr(f->error.text, path.text));
    write_text(f->folder, "a-file", "x");
    path = gw_path_join(f->folder, "a-file");
    assert_int_equal(refused(f), GW_EINVALID);
    assert_non_null(strstr(f->error.text, "not a folder"));
}

static void test_foreign_folder_is_left_alone(void **state)
{
    struct fixture *f = *state;
    write_text(f->folder, "holiday.txt", "precious");
    assert_int_equal(refused(f), GW_EINVALID);
    assert_non_null(strstr(f->error.text, "holiday.txt"));
    struct gw_path meta = gw_path_join(f->folder, "meta");
    assert_false(gw_path_exists(meta.text));
}

static void test_format_file_is_judged(void **state)
{
    struct fixture *f = *state;
    open_journal(f);
    commit_range(f, "tv-1", 1, 1, 5, 100);
    close_journal(f);
    static const struct {
        const char *text;
        int code;
    } cases[] = {
        {"", GW_EINVALID},
        {"garbage", GW_EINVALID},
        {"tributary-journal\n", GW_EINVALID},
        {"tributary-journal\nread 0\nwrite 0\n", GW_EINVALID},
        {"tributary-journal\nread 1\nwrite 1\nmore\n", GW_EINVALID},
        {"tributary-journal\nread 1\nwrite 2\n", GW_EVERSION},
        {"tributary-journal\nread 2\nwrite 2\n", GW_EVERSION},
        {"tributary-journal\nread 4000000000\nwrite 4000000000\n", GW_EINVALID},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_text(f->folder, "FORMAT", cases[i].text);
        assert_int_equal(refused(f), cases[i].code);
    }
    run("rm '%s/FORMAT'", f->folder);
    assert_int_equal(refused(f), GW_EINVALID);
    assert_non_null(strstr(f->error.text, "FORMAT"));
    write_text(f->folder, "FORMAT", "tributary-journal\nread 1\nwrite 1\n");
    open_journal(f);
    assert_int_equal(committed(f, "tv-1", 1), 5);
}

static void test_second_opener_is_told_who_has_it(void **state)
{
    struct fixture *f = *state;
    open_journal(f);
    struct gw_journal *second;
    struct gw_error error;
    char pid[32];
    snprintf(pid, sizeof pid, "%ld", (long)getpid());
    assert_int_equal(gw_journal_open(&f->config, &second, &error), GW_EBUSY);
    assert_non_null(strstr(error.text, pid));
    assert_non_null(strstr(error.text, f->folder));
    pid_t child = fork();
    if (child == 0)
        _exit(gw_journal_open(&f->config, &second, &error) == GW_EBUSY ? 0 : 1);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    commit_range(f, "tv-1", 1, 1, 5, 100); /* the first is not disturbed */
    close_journal(f);
    open_journal(f);
}

static void test_files_are_for_the_owner_only(void **state)
{
    struct fixture *f = *state;
    umask(0);
    open_journal(f);
    commit_range(f, "tv-1", 1, 1, 5, 100);
    run("test -z \"$(find '%s' -mindepth 1 -perm /077)\"", f->folder);
    umask(022);
}

static void test_senseless_sizes_are_refused(void **state)
{
    struct fixture *f = *state;
    f->config.segment_bytes = 4096;
    assert_int_equal(refused(f), GW_EINVALID);
    assert_non_null(strstr(f->error.text, "segment"));
    f->config.segment_bytes = 0;
    f->config.quota_bytes = 1000;
    assert_int_equal(refused(f), GW_EINVALID);
    assert_non_null(strstr(f->error.text, "quota"));
}

static int fault_teardown(void **state)
{
    no_faults();
    return fixture_teardown(state);
}

#define JOURNAL_TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup, fault_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        JOURNAL_TEST(test_failed_sync_keeps_nothing_and_the_next_commit_works),
        JOURNAL_TEST(test_failed_write_keeps_nothing_wherever_it_fails),
        JOURNAL_TEST(test_failed_cursor_sync_is_told_and_loses_no_commit),
        JOURNAL_TEST(test_quota_refuses_and_recovers_without_a_restart),
        JOURNAL_TEST(test_no_space_for_a_segment_refuses_and_recovers),
        JOURNAL_TEST(test_small_disk_fills_and_recovers),
        JOURNAL_TEST(test_read_only_folder_is_refused),
        JOURNAL_TEST(test_read_only_journal_is_refused),
        JOURNAL_TEST(test_disk_too_small_to_begin_is_refused),
        JOURNAL_TEST(test_missing_folder_is_named),
        JOURNAL_TEST(test_foreign_folder_is_left_alone),
        JOURNAL_TEST(test_format_file_is_judged),
        JOURNAL_TEST(test_second_opener_is_told_who_has_it),
        JOURNAL_TEST(test_files_are_for_the_owner_only),
        JOURNAL_TEST(test_senseless_sizes_are_refused),
    };
    gw_log_set_level((enum gw_log_level)(GW_LOG_ERROR + 1));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
