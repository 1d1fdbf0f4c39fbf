/*
 * Damaged files: whatever happens to the bytes of a segment costs that segment only, is counted, and never stops the
 * next start. Seeded: TRIBUTARY_SEED repeats a run.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "journal_fixture.h"

static uint64_t random_state;

static uint64_t random_below(uint64_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % limit;
}

static void seed_random(void)
{
    const char *text = getenv("TRIBUTARY_SEED");
    random_state = text ? strtoull(text, NULL, 0) : (uint64_t)time(NULL) * 2654435761u;
    random_state |= 1;
    print_message("TRIBUTARY_SEED=%llu\n", (unsigned long long)random_state);
}

static void file_of(struct fixture *f, uint64_t first, char *out, size_t cap)
{
    snprintf(out, cap, "%s/segments/%s/data.mdb", f->folder, gw_segment_name(first).text);
}

static void flip_bit(const char *path, uint64_t at, unsigned bit)
{
    int fd = open(path, O_RDWR);
    uint8_t byte;
    assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
    byte ^= (uint8_t)(1u << bit);
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
    close(fd);
}

static uint64_t size_of(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return (uint64_t)st.st_size;
}

#define TOTAL 700u /* entries of 3000 bytes: two sealed segments and one that is open when the process dies */

/* first offsets of the segments */
static size_t segments_of(struct fixture *f, uint64_t *firsts, size_t max)
{
    size_t n = f->journal->part_count;
    assert_true(n <= max);
    for (size_t i = 0; i < n; i++)
        firsts[i] = f->journal->parts[i]->first;
    return n;
}

static void keep_copy(struct fixture *f)
{
    run("rm -rf '%s.copy' && cp -a '%s' '%s.copy'", f->folder, f->folder, f->folder);
}

static void restore_copy(struct fixture *f)
{
    run("rm -rf '%s' && cp -a '%s.copy' '%s'", f->folder, f->folder, f->folder);
}

static void drop_copy(struct fixture *f)
{
    run("rm -rf '%s.copy'", f->folder);
}

static uint64_t damaged_count(struct fixture *f)
{
    struct gw_journal_stats stats;
    gw_journal_get_stats(f->journal, &stats);
    return stats.damaged_segments;
}

/* After any damage: commits go on, offsets never come again, the next starts are calm. */
static void go_on(struct fixture *f)
{
    uint64_t end = gw_journal_end(f->journal), row = committed(f, "tv-1", 1);
    commit_range(f, "tv-1", 1, row + 1, row + 5, 500);
    assert_true(gw_journal_end(f->journal) >= end + 5);
    reopen_journal(f);
    assert_int_equal(committed(f, "tv-1", 1), row + 5);
    struct reading r = read_all(f, end);
    assert_int_equal(r.entries, 5);
    assert_int_equal(r.lost, 0);
    commit_range(f, "tv-1", 1, row + 6, row + 6, 500);
    abandon_journal(f);
    open_journal(f);
    assert_int_equal(committed(f, "tv-1", 1), row + 6);
}

static void write_then_die(struct fixture *f, uint64_t *firsts, size_t *out_count)
{
    open_journal(f);
    commit_range(f, "tv-1", 1, 1, TOTAL, 3000);
    *out_count = segments_of(f, firsts, 16);
    assert_true(*out_count >= 3);
    finish_digests(f);
    abandon_journal(f);
    keep_copy(f);
}

static void test_truncated_sealed_segment_costs_itself(void **state)
{
    struct fixture *f = *state;
    uint64_t firsts[16];
    size_t count;
    write_then_die(f, firsts, &count);
    char path[2 * PATH_MAX];
    for (int i = 0; i < 12; i++) {
        restore_copy(f);
        file_of(f, firsts[0], path, sizeof path);
        assert_int_equal(truncate(path, (off_t)random_below(size_of(path))), 0);
        open_journal(f);
        assert_int_equal(committed(f, "tv-1", 1), TOTAL); /* merged rows are not lost with it */
        struct reading r = read_all(f, 0);
        assert_int_equal(r.lost, firsts[1]);
        assert_int_equal(r.entries, TOTAL - firsts[1]);
        assert_int_equal(damaged_count(f), 1);
        go_on(f);
        assert_int_equal(read_all(f, 0).lost, firsts[1]); /* told to every reader */
        close_journal(f);
    }
    drop_copy(f);
}

static void test_bit_flip_in_sealed_segment_costs_itself(void **state)
{
    struct fixture *f = *state;
    uint64_t firsts[16];
    size_t count;
    write_then_die(f, firsts, &count);
    char path[2 * PATH_MAX];
    for (int i = 0; i < 60; i++) {
        restore_copy(f);
        file_of(f, firsts[1], path, sizeof path);
        uint64_t size = size_of(path), at = random_below(i % 3 == 0 ? 8192 : size);
        flip_bit(path, at, (unsigned)random_below(8));
        open_journal(f);
        struct reading r = read_all(f, 0);
        if (r.lost != firsts[2] - firsts[1] || r.entries + r.lost != TOTAL)
            fail_msg("flip at %llu: %llu entries, %llu lost", (unsigned long long)at,
                     (unsigned long long)r.entries, (unsigned long long)r.lost);
        assert_int_equal(committed(f, "tv-1", 1), TOTAL);
        if (i % 10 == 0)
            go_on(f);
        close_journal(f);
    }
    drop_copy(f);
}

/* Offsets of the open segment that are not entries after it was given up: its end is only a bound. */
static void check_open_segment_damage(struct fixture *f, uint64_t open_first, const char *what, uint64_t at)
{
    open_journal(f);
    uint64_t row = committed(f, "tv-1", 1);
    struct reading r = read_all(f, 0);
    bool whole = r.entries == TOTAL && r.lost == 0 && row == TOTAL && damaged_count(f) == 0;
    bool lost = r.entries == open_first && r.lost >= 1 && row == open_first && damaged_count(f) == 1;
    if (!whole && !lost)
        fail_msg("%s at %llu: %llu entries, %llu lost, row %llu", what, (unsigned long long)at,
                 (unsigned long long)r.entries, (unsigned long long)r.lost, (unsigned long long)row);
    if (lost) {
        /* A sink that had read to the end of what is gone must find what comes next. */
        assert_true(gw_journal_end(f->journal) >= TOTAL);
        assert_true(r.lost <= TOTAL - open_first + 1);
    }
}

static void test_bit_flip_in_open_segment_costs_itself(void **state)
{
    struct fixture *f = *state;
    uint64_t firsts[16];
    size_t count, lost = 0;
    write_then_die(f, firsts, &count);
    char path[2 * PATH_MAX];
    enum { FLIPS = 150 };
    for (int i = 0; i < FLIPS; i++) {
        restore_copy(f);
        file_of(f, firsts[count - 1], path, sizeof path);
        /* a third in the meta pages, a third in headers of pages, a third anywhere in the used part */
        uint64_t pages = (TOTAL - firsts[count - 1]) + 8, at = random_below(pages * 4096);
        if (i % 3 == 0)
            at = random_below(2) * 4096 + random_below(160);
        else if (i % 3 == 1)
            at = random_below(pages) * 4096 + random_below(64);
        flip_bit(path, at, (unsigned)random_below(8));
        check_open_segment_damage(f, firsts[count - 1], "flip", at);
        lost += damaged_count(f);
        if (i % 15 == 0)
            go_on(f);
        close_journal(f);
    }
    print_message("%zu of %d flips in the open segment cost it, the others hit nothing that counts\n", lost,
                  FLIPS);
    assert_true(lost > FLIPS / 4);
    drop_copy(f);
}

static void test_truncated_open_segment_costs_itself(void **state)
{
    struct fixture *f = *state;
    uint64_t firsts[16];
    size_t count;
    write_then_die(f, firsts, &count);
    char path[2 * PATH_MAX];
    for (int i = 0; i < 20; i++) {
        restore_copy(f);
        file_of(f, firsts[count - 1], path, sizeof path);
        uint64_t size = i == 0 ? 0 : random_below(400 * 4096);
        assert_int_equal(truncate(path, (off_t)size), 0);
        check_open_segment_damage(f, firsts[count - 1], "truncation", size);
        go_on(f);
        close_journal(f);
    }
    drop_copy(f);
}

static void test_garbage_segment_costs_itself(void **state)
{
    struct fixture *f = *state;
    uint64_t firsts[16];
    size_t count;
    write_then_die(f, firsts, &count);
    char path[2 * PATH_MAX];
    file_of(f, firsts[count - 1], path, sizeof path);
    run("head -c 1000000 /dev/urandom > '%s'", path);
    check_open_segment_damage(f, firsts[count - 1], "garbage", 0);
    go_on(f);
    close_journal(f);
    drop_copy(f);
}

static void test_missing_segment_is_counted(void **state)
{
    struct fixture *f = *state;
    uint64_t firsts[16];
    size_t count;
    write_then_die(f, firsts, &count);
    run("rm -r '%s/segments/%s'", f->folder, gw_segment_name(firsts[0]).text);
    open_journal(f);
    struct reading r = read_all(f, 0);
    assert_int_equal(r.lost, firsts[1]);
    assert_int_equal(r.entries, TOTAL - firsts[1]);
    go_on(f);
    close_journal(f);
    restore_copy(f);
    run("rm -r '%s/segments/%s'", f->folder, gw_segment_name(firsts[count - 1]).text);
    check_open_segment_damage(f, firsts[count - 1], "missing", 0);
    go_on(f);
    close_journal(f);
    drop_copy(f);
}

static void test_damaged_folder_keeps_what_is_left(void **state)
{
    struct fixture *f = *state;
    uint64_t firsts[16];
    size_t count;
    write_then_die(f, firsts, &count);
    char path[2 * PATH_MAX];
    file_of(f, firsts[1], path, sizeof path);
    flip_bit(path, 50000, 3);
    open_journal(f);
    (void)read_all(f, 0);
    char moved[2 * PATH_MAX];
    snprintf(moved, sizeof moved, "%s/damaged/%s/data.mdb", f->folder, gw_segment_name(firsts[1]).text);
    assert_true(gw_path_exists(moved));
    assert_false(gw_path_exists(path));
    static const char *const sinks[] = {"stream"};
    assert_int_equal(gw_journal_cursor_set(f->journal, "stream", TOTAL), 0);
    assert_int_equal(gw_journal_reclaim(f->journal, sinks, 1), 0);
    assert_int_equal(damaged_count(f),
                     1); /* an alarm until it is salvaged or removed, though no sink asks for it */
    assert_true(gw_path_exists(moved));
    reopen_journal(f);
    assert_int_equal(damaged_count(f), 1);
    run("rm -r '%s/damaged'", f->folder);
    reopen_journal(f);
    assert_int_equal(damaged_count(f), 0);
    close_journal(f);
    drop_copy(f);
}

/* In a child: meta decides about everything, so damage to it may refuse the start, but never crash it or lie. */
static int open_with_damaged_meta(struct fixture *f)
{
    pid_t pid = fork();
    if (pid == 0) {
        int rc = gw_journal_open(&f->config, &f->journal, &f->error);
        if (rc != 0) {
            bool named = strstr(f->error.text, "meta") != NULL;
            _exit(rc == GW_EDAMAGED && named ? 10 : 11);
        }
        struct gw_journal_stream row;
        rc = gw_journal_stream_get(f->journal, "tv-1", 1, &row);
        _exit(rc == 0 && row.committed == TOTAL ? 0 : 12);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status);
}

static void test_damaged_meta_is_refused_or_harmless(void **state)
{
    struct fixture *f = *state;
    uint64_t firsts[16];
    size_t count, refused = 0;
    write_then_die(f, firsts, &count);
    char path[2 * PATH_MAX];
    snprintf(path, sizeof path, "%s/meta/data.mdb", f->folder);
    for (int i = 0; i < 180; i++) {
        restore_copy(f);
        uint64_t at = random_below(24 * 4096);
        if (i % 3 == 0)
            at = random_below(2) * 4096 + random_below(160);
        else if (i % 3 == 1)
            at = random_below(14) * 4096 + random_below(48);
        if (i % 12 == 11)
            assert_int_equal(truncate(path, (off_t)at), 0);
        else
            flip_bit(path, at, (unsigned)random_below(8));
        int rc = open_with_damaged_meta(f);
        refused += rc == 10;
        if (rc != 0 && rc != 10)
            fail_msg("meta damaged at %llu: the start ended with %d", (unsigned long long)at, rc);
    }
    print_message("%zu of 180 damages to meta refused the start\n", refused);
    assert_true(refused > 20);
    restore_copy(f);
    run("rm -r '%s/meta'", f->folder);
    assert_int_equal(gw_journal_open(&f->config, &f->journal, &f->error), GW_EDAMAGED);
    assert_non_null(strstr(f->error.text, "meta"));
    drop_copy(f);
}

/* The power went while a segment was removed that nothing had been committed to. */
static void test_what_is_left_of_an_empty_segment_is_no_damage(void **state)
{
    struct fixture *f = *state;
    struct gw_path folder = gw_path_join(gw_path_join(f->folder, "segments").text, gw_segment_name(0).text);
    struct gw_journal_stats stats;
    open_journal(f);
    abandon_journal(f);
    run("mkdir '%s' && touch '%s/lock.mdb'", folder.text, folder.text); /* meta does not know it any more */
    open_journal(f);
    gw_journal_get_stats(f->journal, &stats);
    assert_int_equal(stats.damaged_segments, 0);
    assert_false(gw_path_exists(folder.text));
    assert_int_equal(gw_journal_probe(f->journal, &f->error), 0); /* meta knows this one, and it is empty */
    abandon_journal(f);
    run("mkdir '%s/held'", folder.text);
    assert_int_not_equal(gw_journal_open(&f->config, &f->journal, &f->error), 0);
    f->journal = NULL;
    run("rm -rf '%s/held' '%s/data.mdb'", folder.text, folder.text);
    open_journal(f);
    gw_journal_get_stats(f->journal, &stats);
    assert_int_equal(stats.damaged_segments, 0);
    commit_range(f, "tv-1", 1, 1, 5, 400);
    assert_int_equal(read_all(f, 0).entries, 5);
}

#define JOURNAL_TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        JOURNAL_TEST(test_what_is_left_of_an_empty_segment_is_no_damage),
        JOURNAL_TEST(test_truncated_sealed_segment_costs_itself),
        JOURNAL_TEST(test_bit_flip_in_sealed_segment_costs_itself),
        JOURNAL_TEST(test_bit_flip_in_open_segment_costs_itself),
        JOURNAL_TEST(test_truncated_open_segment_costs_itself),
        JOURNAL_TEST(test_garbage_segment_costs_itself),
        JOURNAL_TEST(test_missing_segment_is_counted),
        JOURNAL_TEST(test_damaged_folder_keeps_what_is_left),
        JOURNAL_TEST(test_damaged_meta_is_refused_or_harmless),
    };
    seed_random();
    gw_log_set_level((enum gw_log_level)(GW_LOG_ERROR + 1));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
