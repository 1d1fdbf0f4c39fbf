/* Verify, backup, restore, salvage: what they find, keep and give back, and that positions of sinks go on over them. */
#include <sys/stat.h>

#include "journal/maintain.h"
#include "journal_fixture.h"
#include "journal_said.h"

static const char *const sinks[] = {"stream"};

/* Four sealed segments of 50 entries and one open of 20; the sink has the first 60. */
static void fill(struct fixture *f)
{
    open_journal(f);
    for (uint64_t i = 0; i < 4; i++) {
        commit_range(f, "tv-1", 1, 50 * i + 1, 50 * i + 50, 4000);
        assert_int_equal(gw_journal_seal(f->journal, &f->error), 0);
    }
    commit_range(f, "tv-1", 1, 201, 220, 4000);
    f->journal->cursors_synced_ms = 0;
    assert_int_equal(gw_journal_cursor_set(f->journal, "stream", 60), 0);
}

static void flip(const char *folder, uint64_t first, long at)
{
    char path[2 * PATH_MAX];
    snprintf(path, sizeof path, "%s/segments/%020llu/data.mdb", folder, (unsigned long long)first);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    int byte = fgetc(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    assert_int_equal(fputc(byte ^ 0x10, file), byte ^ 0x10);
    assert_int_equal(fclose(file), 0);
}

/* Within the n-th block of a segment, in its entry. */
static void flip_in_block(const char *folder, uint64_t first, unsigned n)
{
    static uint8_t bytes[2 * MIB];
    char path[2 * PATH_MAX];
    snprintf(path, sizeof path, "%s/segments/%020llu/data.mdb", folder, (unsigned long long)first);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t len = fread(bytes, 1, sizeof bytes, file);
    assert_int_equal(fclose(file), 0);
    const uint8_t *at = bytes;
    for (unsigned i = 0; i <= n; i++, at++) {
        at = memmem(at, len - (size_t)(at - bytes), "TJB1", 4);
        assert_non_null(at);
    }
    flip(folder, first, (long)(at - bytes) + 2000);
}

static struct gw_journal_summary verified(const char *folder, struct said *said, int expected)
{
    struct gw_journal_summary sum = {0};
    struct gw_error error = {0};
    *said = (struct said){.lines = 0};
    int rc = gw_journal_verify(folder, say, said, &sum, &error);
    if (rc != expected)
        fail_msg("verify: %d %s", rc, error.text);
    return sum;
}

static void open_other(struct fixture *f, const char *folder)
{
    f->config.folder = folder;
    open_journal(f);
}

/* --- backup and restore --- */

static void test_backup_holds_all_and_the_gateway_goes_on(void **state)
{
    struct fixture *f = *state;
    struct gw_path backup = beside(f, "backup");
    struct gw_journal_summary sum;
    struct said said;
    fill(f);
    assert_int_equal(gw_journal_backup(f->journal, backup.text, &sum, &f->error), 0);
    assert_int_equal(sum.end, 220);
    assert_int_equal(sum.segments, 5);
    assert_int_equal(sum.entries, 220);
    commit_range(f, "tv-1", 1, 221, 230, 4000);
    assert_int_equal(gw_journal_cursor_set(f->journal, "stream", 230), 0);
    f->journal->cursors_synced_ms = 0;
    assert_int_equal(gw_journal_reclaim(f->journal, sinks, 1), 0); /* its own names go, the backup's stay */
    assert_int_equal(gw_journal_begin(f->journal), 220);
    sum = verified(backup.text, &said, 0);
    assert_int_equal(sum.entries, 220);
    assert_int_equal(sum.bad, 0);
    assert_int_equal(said.lines, 5);
    assert_int_equal(gw_journal_backup(f->journal, backup.text, &sum, &f->error), GW_EINVALID);
    assert_non_null(strstr(f->error.text, "there already"));
}

static void test_restore_gives_all_back_under_a_new_epoch(void **state)
{
    struct fixture *f = *state;
    struct gw_path backup = beside(f, "backup"), restored = beside(f, "restored");
    struct gw_journal_summary sum;
    struct said said = {.lines = 0};
    fill(f);
    const uint64_t old_epoch = gw_journal_epoch(f->journal);
    char id[GW_META_ID_CHARS + 1];
    snprintf(id, sizeof id, "%s", gw_journal_gateway_id(f->journal));
    assert_int_equal(gw_journal_backup(f->journal, backup.text, &sum, &f->error), 0);
    commit_range(f, "tv-1", 1, 221, 240, 4000); /* after it */
    close_journal(f);
    assert_int_equal(gw_journal_restore(backup.text, restored.text, say, &said, &sum, &f->error), 0);
    assert_int_equal(said.unsound + sum.bad, 0);
    assert_int_equal(sum.end, 220);
    open_other(f, restored.text);
    assert_true(gw_journal_epoch(f->journal) != old_epoch && gw_journal_epoch(f->journal) == sum.epoch);
    assert_string_equal(gw_journal_gateway_id(f->journal), id);
    assert_int_equal(read_all(f, 0).entries, 220);
    assert_int_equal(committed(f, "tv-1", 1), 220);
    uint64_t offset = 0;
    assert_int_equal(gw_journal_cursor_get(f->journal, "stream", &offset), 0);
    assert_int_equal(offset, 60);
    /* A sink that is at or before the backup's end goes on; one beyond it is ahead. */
    assert_int_equal(gw_journal_position_end(f->journal, old_epoch, &offset), 0);
    assert_int_equal(offset, 220);
    assert_int_equal(gw_journal_position_end(f->journal, old_epoch ^ 2, &offset), GW_ENOTFOUND);
    commit_range(f, "tv-1", 1, 221, 230, 4000);
    abandon_journal(f); /* segments of both epochs, one of them open */
    open_other(f, restored.text);
    assert_int_equal(read_all(f, 0).entries, 230);
    assert_int_equal(gw_journal_position_end(f->journal, old_epoch, &offset), 0);
    assert_int_equal(offset, 220);
    assert_int_equal(gw_journal_position_end(f->journal, gw_journal_epoch(f->journal), &offset), 0);
    assert_int_equal(offset, 230);
}

static void test_restore_leaves_out_what_is_damaged(void **state)
{
    struct fixture *f = *state;
    struct gw_path backup = beside(f, "backup"), restored = beside(f, "restored");
    struct gw_journal_summary sum;
    struct said said = {.lines = 0};
    fill(f);
    assert_int_equal(gw_journal_backup(f->journal, backup.text, &sum, &f->error), 0);
    close_journal(f);
    run("cp -a --reflink=never '%s' '%s-copy'", backup.text, backup.text);
    run("rm -rf '%s' && mv '%s-copy' '%s'", backup.text, backup.text, backup.text);
    flip_in_block(backup.text, 50, 7);
    run("rm -r '%s/segments/00000000000000000150'", backup.text);
    sum = verified(backup.text, &said, 0);
    assert_int_equal(sum.bad, 2);
    assert_int_equal(sum.lost, 100);
    said = (struct said){.lines = 0};
    assert_int_equal(gw_journal_restore(backup.text, restored.text, say, &said, &sum, &f->error), 0);
    assert_int_equal(sum.bad, 2);
    assert_int_equal(sum.lost, 100);
    assert_non_null(strstr(said.text, "00000000000000000050: damaged"));
    assert_non_null(strstr(said.text, "00000000000000000150: missing"));
    open_other(f, restored.text);
    struct reading r = read_all(f, 0);
    assert_int_equal(r.entries, 120);
    assert_int_equal(r.lost, 100);
    assert_int_equal(committed(f, "tv-1", 1), 220);
}

static void test_restore_touches_no_journal_and_takes_only_whole_backups(void **state)
{
    struct fixture *f = *state;
    struct gw_path backup = beside(f, "backup"), other = beside(f, "other");
    struct gw_journal_summary sum;
    struct said said = {.lines = 0};
    fill(f);
    assert_int_equal(gw_journal_backup(f->journal, backup.text, &sum, &f->error), 0);
    close_journal(f);
    assert_int_equal(gw_journal_restore(backup.text, f->folder, say, &said, &sum, &f->error), GW_EINVALID);
    assert_non_null(strstr(f->error.text, "move its folders meta and segments away"));
    assert_int_equal(gw_journal_restore(f->folder, other.text, say, &said, &sum, &f->error), GW_ENOTFOUND);
    run("echo 'tributary-journal-backup\nread 2\nwrite 2' > '%s/BACKUP'", backup.text);
    assert_int_equal(gw_journal_restore(backup.text, other.text, say, &said, &sum, &f->error), GW_EVERSION);
    run("rm '%s/BACKUP'", backup.text); /* interrupted */
    assert_int_equal(gw_journal_restore(backup.text, other.text, say, &said, &sum, &f->error), GW_ENOTFOUND);
    open_journal(f);
    assert_int_equal(read_all(f, 0).entries, 220);
}

/* --- verify --- */

static void test_verify_finds_each_kind_of_damage_and_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct said said;
    fill(f);
    abandon_journal(f);
    struct gw_journal_summary sum = verified(f->folder, &said, 0);
    assert_int_equal(sum.bad, 0);
    assert_int_equal(said.lines, 5);
    assert_non_null(strstr(said.text, "not sealed"));
    flip_in_block(f->folder, 0, 7);
    run("truncate -s -4096 '%s/segments/00000000000000000050/data.mdb'", f->folder);
    run("rm -r '%s/segments/00000000000000000100'", f->folder);
    flip_in_block(f->folder, 200, 7);
    run("cd '%s' && find . -type f ! -name LOCK -exec sha256sum {} + | sort > '%s-before'", f->folder,
        f->folder);
    sum = verified(f->folder, &said, 0);
    assert_int_equal(sum.bad, 4);
    assert_int_equal(sum.segments, 1);
    assert_non_null(strstr(said.text, "00000000000000000000: damaged: its digest"));
    assert_non_null(strstr(said.text, "00000000000000000050: damaged: its digest"));
    assert_non_null(strstr(said.text, "00000000000000000100: missing"));
    assert_non_null(strstr(said.text, "00000000000000000200: damaged: its check"));
    run("cd '%s' && find . -type f ! -name LOCK -exec sha256sum {} + | sort | cmp - '%s-before'", f->folder,
        f->folder);
}

static void test_verify_of_an_open_or_lost_journal_is_refused(void **state)
{
    struct fixture *f = *state;
    struct said said;
    fill(f);
    (void)verified(f->folder, &said, GW_EBUSY);
    close_journal(f);
    run("dd if=/dev/zero of='%s/meta/data.mdb' bs=4096 count=2 conv=notrunc status=none", f->folder);
    (void)verified(f->folder, &said, GW_EDAMAGED);
    run("rm -r '%s'/*", f->folder);
    (void)verified(f->folder, &said, GW_ENOTFOUND);
}

/* --- salvage --- */

static struct gw_journal_summary salvaged(struct fixture *f, struct said *said)
{
    struct gw_journal_summary sum = {0};
    *said = (struct said){.lines = 0};
    int rc = gw_journal_salvage(f->folder, say, said, &sum, &f->error);
    if (rc != 0)
        fail_msg("salvage: %d %s", rc, f->error.text);
    return sum;
}

static void test_salvage_appends_what_is_whole_in_a_damaged_segment(void **state)
{
    struct fixture *f = *state;
    struct said said;
    fill(f);
    const uint64_t old_epoch = gw_journal_epoch(f->journal);
    close_journal(f);
    flip_in_block(f->folder, 50, 20); /* 49 of 50 are whole */
    struct gw_journal_summary sum = salvaged(f, &said);
    assert_int_equal(sum.segments, 1);
    assert_int_equal(sum.entries, 49);
    assert_true(sum.epoch != old_epoch);
    open_journal(f);
    struct reading r = read_all(f, 220);
    assert_int_equal(r.entries, 49);
    assert_int_equal(committed(f, "tv-1", 1), 220);
    uint64_t end = 0;
    assert_int_equal(gw_journal_position_end(f->journal, old_epoch, &end), 0);
    assert_int_equal(end, 220);
    commit_range(f, "tv-1", 1, 221, 225, 4000);
    close_journal(f);
    sum = salvaged(f, &said); /* once is enough */
    assert_int_equal(sum.segments, 0);
    open_journal(f);
    assert_int_equal(gw_journal_epoch(f->journal), sum.epoch);
    assert_int_equal(gw_journal_end(f->journal), 220 + 49 + 5);
}

static void test_salvage_with_nothing_to_do_keeps_the_epoch(void **state)
{
    struct fixture *f = *state;
    struct said said;
    fill(f);
    const uint64_t epoch = gw_journal_epoch(f->journal);
    close_journal(f);
    struct gw_journal_summary sum = salvaged(f, &said);
    assert_int_equal(sum.segments, 0);
    assert_int_equal(sum.epoch, epoch);
    assert_int_equal(sum.end, 220);
}

static void test_salvage_makes_a_lost_meta_anew_from_the_segments(void **state)
{
    struct fixture *f = *state;
    struct said said;
    fill(f);
    const uint64_t old_epoch = gw_journal_epoch(f->journal);
    abandon_journal(f);
    flip_in_block(f->folder, 100, 20);
    run("rm -r '%s/meta'", f->folder);
    struct gw_journal_summary sum = salvaged(f, &said);
    assert_non_null(strstr(said.text, "meta: lost"));
    assert_int_equal(sum.entries, 49);
    open_journal(f);
    assert_true(gw_journal_epoch(f->journal) != old_epoch);
    assert_int_equal(committed(f, "tv-1", 1), 220);
    uint8_t buffer[8192];
    struct gw_journal_entry entry;
    size_t count, needed;
    uint64_t next = 0, lost, total = 0, total_lost = 0;
    do {
        assert_int_equal(gw_journal_read(f->journal, next, buffer, sizeof buffer, &entry, 1, &count, &next,
                                         &lost, &needed),
                         0);
        total += count;
        total_lost += lost;
    } while (count > 0);
    assert_int_equal(total, 170 + 49);
    assert_int_equal(total_lost, 50);
    uint64_t end = 0; /* a sink of the old epoch goes on where it was */
    assert_int_equal(gw_journal_position_end(f->journal, old_epoch, &end), 0);
    assert_true(end >= 220);
}

static void test_salvage_replaces_a_damaged_meta(void **state)
{
    struct fixture *f = *state;
    struct said said;
    fill(f);
    close_journal(f);
    run("dd if=/dev/zero of='%s/meta/data.mdb' bs=4096 count=2 conv=notrunc status=none", f->folder);
    (void)salvaged(f, &said);
    struct gw_path kept = gw_path_join(f->folder, "damaged/meta-0/data.mdb");
    assert_true(gw_path_exists(kept.text));
    open_journal(f);
    assert_int_equal(read_all(f, 0).entries, 220);
    assert_int_equal(committed(f, "tv-1", 1), 220);
}

/* Any bytes at all: a clear answer, and the sound segments unharmed. */
static void test_salvage_of_garbage_finds_nothing(void **state)
{
    struct fixture *f = *state;
    struct said said;
    fill(f);
    close_journal(f);
    run("head -c 300000 /dev/urandom > '%s/segments/00000000000000000000/data.mdb'", f->folder);
    run(": > '%s/segments/00000000000000000050/data.mdb'", f->folder);
    struct gw_journal_summary sum = salvaged(f, &said);
    assert_int_equal(sum.entries, 0);
    assert_int_equal(sum.segments, 2);
    assert_non_null(strstr(said.text, "nothing in it is whole"));
    open_journal(f);
    struct reading r = read_all(f, 0);
    assert_int_equal(r.entries, 120);
    assert_int_equal(r.lost, 100);
}

#define JOURNAL_TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup, remove_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        JOURNAL_TEST(test_backup_holds_all_and_the_gateway_goes_on),
        JOURNAL_TEST(test_restore_gives_all_back_under_a_new_epoch),
        JOURNAL_TEST(test_restore_leaves_out_what_is_damaged),
        JOURNAL_TEST(test_restore_touches_no_journal_and_takes_only_whole_backups),
        JOURNAL_TEST(test_verify_finds_each_kind_of_damage_and_changes_nothing),
        JOURNAL_TEST(test_verify_of_an_open_or_lost_journal_is_refused),
        JOURNAL_TEST(test_salvage_appends_what_is_whole_in_a_damaged_segment),
        JOURNAL_TEST(test_salvage_with_nothing_to_do_keeps_the_epoch),
        JOURNAL_TEST(test_salvage_makes_a_lost_meta_anew_from_the_segments),
        JOURNAL_TEST(test_salvage_replaces_a_damaged_meta),
        JOURNAL_TEST(test_salvage_of_garbage_finds_nothing),
    };
    gw_log_set_level((enum gw_log_level)(GW_LOG_ERROR + 1));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
