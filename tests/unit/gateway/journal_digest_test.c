/*
 * A segment that is full is sealed at once and digested later, a MiB at a time between commits: no commit waits for the
 * digest, and whatever comes in between loses nothing.
 */
#include "journal/maintain.h"
#include "journal/spare.h"
#include "journal_said.h"
#include "support/disk_faults.h"

#define SEGMENT (4 * MIB)
#define CHUNKS 4u       /* of a full segment */
#define LARGE (MIB / 2) /* such reads are those of a digest */

static uint64_t bytes_read;
static struct fault read_fault; /* of a digest's reads */

ssize_t pread(int fd, void *data, size_t len, off_t at)
{
    REAL(ssize_t, pread, int, void *, size_t, off_t)
    if (len >= LARGE && fails(&read_fault))
        return -1;
    ssize_t n = real(fd, data, len, at);
    bytes_read += n > 0 ? (uint64_t)n : 0;
    return n;
}

static int setup(void **state)
{
    if (fixture_setup(state) != 0)
        return -1;
    struct fixture *f = *state;
    f->config.segment_bytes = SEGMENT;
    no_faults();
    read_fault = (struct fault){0};
    return 0;
}

static uint64_t head; /* newest seq of stream 1 */

/* One commit of so many batches of 8 KB. */
static void commit_batches(struct fixture *f, size_t count)
{
    static struct batch batches[100];
    struct gw_journal_write *writes[100];
    for (size_t i = 0; i < count; i++, head++) {
        make_batch(&batches[i], "tv-1", 1, head, head + 1, 8000);
        writes[i] = &batches[i].write;
    }
    assert_int_equal(gw_journal_commit(f->journal, writes, count, &f->error), 0);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(writes[i]->status, 0);
}

/* Until another segment is begun. Returns the bytes that the commit in which that happened has read. */
static uint64_t fill_one(struct fixture *f)
{
    const size_t before = f->journal->part_count;
    for (uint64_t read = bytes_read;; read = bytes_read) {
        commit_batches(f, 20);
        if (before > 0 && f->journal->part_count > before)
            return bytes_read - read;
        if (before == 0 && f->journal->part_count > 1)
            return bytes_read - read;
    }
}

/* A journal whose first segment is full and waits for its digest; of that, so many chunks are made. */
static struct gw_part *half_digested(struct fixture *f, unsigned steps)
{
    head = 0;
    open_journal(f);
    (void)fill_one(f);
    for (unsigned i = 0; i < steps; i++)
        assert_true(gw_journal_step(f->journal));
    struct gw_part *part = f->journal->parts[0];
    assert_int_equal(part->state, GW_SEGMENT_SUSPECT);
    return part;
}

static struct gw_path folder_of(struct fixture *f, const struct gw_part *part)
{
    return gw_part_folder(f->journal, part);
}

/* Its state in meta, and whether its digests there, if it has any, are those of the file. */
static enum gw_segment_state noted(struct fixture *f, const struct gw_part *part)
{
    struct gw_digest digest;
    assert_int_equal(gw_meta_digests_get(f->journal->meta, part->first, &digest.chunks, &digest.count), 0);
    const bool made = digest.count != 0;
    if (made) {
        assert_int_equal(digest.count, (part->bytes + MIB - 1) / MIB);
        assert_int_equal(gw_digest_compare(folder_of(f, part).text, part->bytes, &digest), 0);
    }
    gw_digest_free(&digest);
    return made ? GW_SEGMENT_SEALED : GW_SEGMENT_SUSPECT;
}

static void check_sealed(struct fixture *f, const struct gw_part *part)
{
    assert_int_equal(part->state, GW_SEGMENT_SEALED);
    assert_false(part->pinned);
    assert_null(f->journal->digested);
    assert_int_equal(noted(f, part), GW_SEGMENT_SEALED);
}

static void check_all_there(struct fixture *f)
{
    struct reading r = read_all(f, 0);
    assert_int_equal(r.entries, head);
    assert_int_equal(r.lost, 0);
    assert_int_equal(committed(f, "tv-1", 1), head);
}

/* --- between commits --- */

static void test_a_commit_that_rolls_does_not_digest(void **state)
{
    struct fixture *f = *state;
    head = 0;
    open_journal(f);
    assert_true(fill_one(f) < LARGE);
    const struct gw_part *part = f->journal->parts[0];
    assert_int_equal(part->state, GW_SEGMENT_SUSPECT);
    assert_true(part->pinned && part->bytes > (CHUNKS - 1) * MIB);
    assert_int_equal(noted(f, part), GW_SEGMENT_SUSPECT);
    check_all_there(f);
}

static void test_steps_make_the_digest_a_chunk_at_a_time(void **state)
{
    struct fixture *f = *state;
    const struct gw_part *part = half_digested(f, 0);
    for (unsigned i = 0; i < CHUNKS; i++) {
        assert_int_equal(part->state, GW_SEGMENT_SUSPECT);
        const uint64_t before = bytes_read;
        assert_int_equal(gw_journal_step(f->journal), i + 1 < CHUNKS);
        assert_in_range(bytes_read - before, 1, MIB);
    }
    check_sealed(f, part);
    assert_false(gw_journal_step(f->journal));
    check_all_there(f);
}

static void test_damage_is_found_by_a_digest_made_in_steps(void **state)
{
    struct fixture *f = *state;
    const struct gw_part *part = half_digested(f, 0);
    const uint64_t held = part->entries;
    finish_digests(f);
    struct gw_path data = gw_path_join(folder_of(f, part).text, "data.mdb");
    abandon_journal(f);
    run("printf x | dd of='%s' bs=1 seek=4500 conv=notrunc status=none",
        data.text); /* of no page that a walk looks at */
    open_journal(f);
    struct reading r = read_all(f, 0);
    assert_int_equal(r.lost, held);
    assert_int_equal(r.entries + r.lost, head);
}

static void test_the_digest_keeps_up_with_large_commits(void **state)
{
    struct fixture *f = *state;
    f->config.segment_bytes = 2 * SEGMENT;
    (void)half_digested(f, 0);
    for (size_t rolls = 0, commits = 1; rolls < 4; commits++) {
        const uint64_t before = bytes_read;
        const size_t parts = f->journal->part_count;
        commit_batches(f, 100); /* ten fill a segment, which has eight chunks */
        if (f->journal->part_count > parts) {
            rolls++;
            assert_true(bytes_read - before < LARGE); /* what was left would be read here */
        }
        if (commits % 3 == 0)
            (void)gw_journal_step(f->journal);
    }
    finish_digests(f);
    for (size_t i = 0; i + 1 < f->journal->part_count; i++)
        check_sealed(f, f->journal->parts[i]);
    check_all_there(f);
}

static size_t open_parts(const struct fixture *f)
{
    size_t open = 0;
    for (size_t i = 0; i < f->journal->part_count; i++)
        open += f->journal->parts[i]->segment.env != NULL;
    return open;
}

/* A backlog without readers, such as while all sinks are down: each open segment takes LMDB's lists, 2 MB and more. */
static void test_segments_that_nobody_reads_are_closed(void **state)
{
    struct fixture *f = *state;
    (void)half_digested(f, 0);
    while (f->journal->part_count < 3 * GW_JOURNAL_OPEN_PARTS_MAX)
        (void)fill_one(f);
    assert_int_equal(open_parts(f), GW_JOURNAL_OPEN_PARTS_MAX +
                                        2); /* the active one, and the one that waits for its digest */
    finish_digests(f);
    assert_int_equal(open_parts(f), GW_JOURNAL_OPEN_PARTS_MAX + 1);
    check_all_there(f);
    assert_int_equal(open_parts(f), GW_JOURNAL_OPEN_PARTS_MAX + 1);
}

static void test_without_steps_a_roll_ends_the_digest_before(void **state)
{
    struct fixture *f = *state;
    const struct gw_part *part = half_digested(f, 1);
    (void)fill_one(f);
    check_sealed(f, part);
    assert_int_equal(f->journal->parts[1]->state, GW_SEGMENT_SUSPECT);
    check_all_there(f);
}

/* --- the end of the process --- */

static void test_a_kill_between_the_steps_loses_nothing(void **state)
{
    for (unsigned steps = 0; steps < CHUNKS; steps++) {
        struct fixture *f = *state;
        (void)half_digested(f, steps);
        abandon_journal(f);
        struct said said = {0};
        struct gw_journal_summary sum;
        assert_int_equal(gw_journal_verify(f->folder, say, &said, &sum, &f->error), 0);
        assert_int_equal(said.unsound, 0);
        assert_non_null(strstr(said.text, "its digest was not made yet"));
        open_journal(f);
        assert_int_equal(f->journal->parts[0]->state, GW_SEGMENT_SUSPECT); /* a child has judged it */
        check_all_there(f);
        finish_digests(f);
        check_sealed(f, f->journal->parts[0]);
        close_journal(f);
        run("rm -rf '%s'/*", f->folder);
    }
}

static void test_damage_after_a_kill_is_found_by_a_child(void **state)
{
    struct fixture *f = *state;
    const struct gw_part *part = half_digested(f, 2);
    const uint64_t held = part->entries;
    struct gw_path data = gw_path_join(folder_of(f, part).text, "data.mdb");
    abandon_journal(f);
    assert_int_equal(truncate(data.text, 2 * MIB), 0);
    open_journal(f);
    struct reading r = read_all(f, 0);
    assert_int_equal(r.lost, held);
    assert_int_equal(r.entries + r.lost, head);
    assert_int_equal(committed(f, "tv-1", 1), head);
    assert_false(gw_journal_step(f->journal));
}

static void test_a_segment_that_failed_to_sync_gets_no_digest_later(void **state)
{
    struct fixture *f = *state;
    head = 0;
    open_journal(f);
    commit_batches(f, 20);
    static struct batch b;
    make_batch(&b, "tv-1", 1, head, head + 1, 500);
    sync_fault = (struct fault){.error = EIO, .count = 1};
    assert_int_equal(commit_one(f, &b), GW_EIO);
    no_faults();
    commit_batches(f, 1);
    for (int i = 0; i < 2; i++) {
        assert_false(gw_journal_step(f->journal));
        assert_int_equal(f->journal->parts[0]->state, GW_SEGMENT_SUSPECT);
        assert_true(f->journal->parts[0]->pinned);
        check_all_there(f);
        abandon_journal(f);
        open_journal(f);
    }
}

static void test_close_finishes_the_digest(void **state)
{
    struct fixture *f = *state;
    (void)half_digested(f, 2);
    reopen_journal(f);
    for (size_t i = 0; i < f->journal->part_count; i++)
        check_sealed(f, f->journal->parts[i]);
    check_all_there(f);
}

static void test_a_backup_finishes_the_digest(void **state)
{
    struct fixture *f = *state;
    const struct gw_part *part = half_digested(f, 2);
    struct gw_path backup = beside(f, "backup");
    struct gw_journal_summary sum;
    struct said said = {0};
    if (gw_journal_backup(f->journal, backup.text, &sum, &f->error) != 0)
        fail_msg("backup: %s", f->error.text);
    check_sealed(f, part);
    assert_int_equal(gw_journal_verify(backup.text, say, &said, &sum, &f->error), 0);
    assert_int_equal(said.unsound, 0);
    assert_null(strstr(said.text, "digest")); /* of each it was compared */
    check_all_there(f);
}

/* --- a part that goes --- */

static void test_what_is_reclaimed_takes_its_digest_along(void **state)
{
    static const char *const sinks[] = {"stream"};
    struct fixture *f = *state;
    f->config.recycle = true;
    const struct gw_part *part = half_digested(f, 2);
    struct gw_path spare = gw_spare_path(f->journal->segments_folder.text);
    assert_int_equal(gw_journal_cursor_set(f->journal, "stream", part->end), 0);
    assert_int_equal(gw_journal_reclaim(f->journal, sinks, 1), 0);
    assert_int_equal(f->journal->part_count, 1);
    assert_null(f->journal->digested); /* before its file became the spare, and may be written to */
    assert_true(gw_path_exists(spare.text));
    const uint64_t before = bytes_read;
    assert_false(gw_journal_step(f->journal));
    assert_int_equal(bytes_read, before);
    (void)fill_one(f); /* into that file */
    assert_false(gw_path_exists(spare.text));
    finish_digests(f);
    check_sealed(f, f->journal->parts[0]);
    reopen_journal(f);
    assert_int_equal(read_all(f, 0).last_of_stream1, head);
}

static void test_what_is_found_damaged_is_digested_no_further(void **state)
{
    struct fixture *f = *state;
    struct gw_part *part = half_digested(f, 2);
    const uint64_t held = part->entries;
    assert_int_equal(gw_part_set_aside(f->journal, part, "a test says so"), 0);
    assert_false(gw_journal_step(f->journal));
    assert_null(f->journal->digested);
    assert_int_equal(part->state, GW_SEGMENT_DAMAGED);
    (void)fill_one(f);
    finish_digests(f);
    check_sealed(f, f->journal->parts[1]);
    reopen_journal(f);
    assert_int_equal(f->journal->parts[0]->state, GW_SEGMENT_DAMAGED);
    struct reading r = read_all(f, 0);
    assert_int_equal(r.lost, held);
    assert_int_equal(r.entries + r.lost, head);
}

/* --- a disk that fails --- */

static void check_goes_on_without_digest(struct fixture *f, const struct gw_part *part)
{
    assert_false(gw_journal_step(f->journal));
    assert_int_equal(part->state, GW_SEGMENT_SUSPECT);
    assert_true(part->pinned);
    assert_null(f->journal->digested);
    commit_batches(f, 20);
    check_all_there(f);
    abandon_journal(f);
    open_journal(f); /* the next start tries again */
    check_all_there(f);
    finish_digests(f);
    check_sealed(f, f->journal->parts[0]);
}

static void test_a_read_that_fails_leaves_it_without_a_digest(void **state)
{
    struct fixture *f = *state;
    const struct gw_part *part = half_digested(f, 2);
    read_fault = (struct fault){.error = EIO, .count = 1};
    assert_false(gw_journal_step(f->journal));
    assert_int_equal(read_fault.count, 0);
    check_goes_on_without_digest(f, part);
}

static void test_meta_that_fails_leaves_it_without_a_digest(void **state)
{
    struct fixture *f = *state;
    const struct gw_part *part = half_digested(f, CHUNKS - 1);
    sync_fault = (struct fault){.error = EIO, .count = 1};
    assert_false(gw_journal_step(f->journal));
    assert_int_equal(sync_fault.count, 0);
    check_goes_on_without_digest(f, part);
}

int main(void)
{
    gw_log_set_level((enum gw_log_level)(GW_LOG_ERROR + 1));
#define T(name) cmocka_unit_test_setup_teardown(name, setup, remove_all)
    const struct CMUnitTest tests[] = {
        T(test_a_commit_that_rolls_does_not_digest),
        T(test_steps_make_the_digest_a_chunk_at_a_time),
        T(test_damage_is_found_by_a_digest_made_in_steps),
        T(test_the_digest_keeps_up_with_large_commits),
        T(test_segments_that_nobody_reads_are_closed),
        T(test_without_steps_a_roll_ends_the_digest_before),
        T(test_a_kill_between_the_steps_loses_nothing),
        T(test_damage_after_a_kill_is_found_by_a_child),
        T(test_a_segment_that_failed_to_sync_gets_no_digest_later),
        T(test_close_finishes_the_digest),
        T(test_a_backup_finishes_the_digest),
        T(test_what_is_reclaimed_takes_its_digest_along),
        T(test_what_is_found_damaged_is_digested_no_further),
        T(test_a_read_that_fails_leaves_it_without_a_digest),
        T(test_meta_that_fails_leaves_it_without_a_digest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
