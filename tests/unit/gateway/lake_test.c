#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "lake/commit_log.h"
#include "lake/ndjson.h"
#include "unit/gateway/fault_io.h"
#include "unit/gateway/sink_fixture.h"

static struct memory_journal journal;
static char root[64], folder[128];
static struct gw_error error;

static int group_setup(void **state)
{
    (void)state;
    journal_make(&journal, 30);
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    journal_free(&journal);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    if (!make_root(root))
        return -1;
    snprintf(folder, sizeof folder, "%s/lake", root);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fault_disarm();
    remove_tree(root);
    return 0;
}

static struct gw_sink new_sink(uint64_t epoch, uint32_t flush_ms, uint64_t flush_bytes)
{
    struct gw_sink sink;
    const struct gw_lake_config config = {folder, flush_ms, flush_bytes, epoch, GATEWAY_ID};
    assert_int_equal(gw_lake_new(&config, &sink, &error), 0);
    return sink;
}

/* --- a reader of its own: walks the folder, as any engine does --- */

static unsigned seen[EVENTS_MAX];
static size_t files, strangers, misplaced;

static void read_line(const char *path, const char *line)
{
    size_t i = 0;
    while (i < journal.event_count && strcmp(line, journal.json[i]) != 0)
        i++;
    if (i == journal.event_count) {
        strangers++;
        return;
    }
    seen[i]++;
    cJSON *event = cJSON_Parse(line);
    char partition[128];
    snprintf(partition, sizeof partition, "/events/schema=%s/date=%.10s/part-",
             cJSON_GetObjectItem(event, "type")->valuestring,
             cJSON_GetObjectItem(event, "time")->valuestring);
    misplaced += strstr(path, partition) == NULL;
    cJSON_Delete(event);
}

static int read_file(const char *path, const struct stat *st, int flag, struct FTW *walk)
{
    (void)st;
    (void)walk;
    if (flag != FTW_F)
        return 0;
    const size_t len = strlen(path);
    if (len < 6 || strcmp(path + len - 6, ".jsonl") != 0) {
        strangers++;
        return 0;
    }
    static char line[8192];
    FILE *f = fopen(path, "r");
    files++;
    while (f && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = '\0';
        read_line(path, line);
    }
    if (f)
        fclose(f);
    return 0;
}

/* Whether the lake holds exactly the first events of the journal, each once, each in its partition. */
static bool is_whole(size_t event_count)
{
    char events[160], temporary[160];
    memset(seen, 0, sizeof seen);
    files = strangers = misplaced = 0;
    snprintf(events, sizeof events, "%s/events", folder);
    snprintf(temporary, sizeof temporary, "%s/_tmp", folder);
    nftw(events, read_file, 16, FTW_PHYS);
    bool good = strangers == 0 && misplaced == 0;
    for (size_t i = 0; i < journal.event_count; i++)
        good = good && seen[i] == (i < event_count);
    return good;
}

static size_t count_temporary(void)
{
    char path[160];
    snprintf(path, sizeof path, "%s/_tmp", folder);
    files = strangers = 0;
    nftw(path, read_file, 16, FTW_PHYS);
    return files + strangers;
}

static void test_each_event_is_in_its_partition_once(void **state)
{
    (void)state;
    struct gw_sink sink = new_sink(EPOCH, 0, 0);
    uint64_t events = 0;
    assert_true(deliver(&journal, &sink, journal.count, 1000, 1, &events));
    assert_int_equal(events, journal.event_count);
    assert_true(is_whole(journal.event_count));
    assert_true(files > 3); /* three types, several days */
    assert_int_equal(count_temporary(), 0);
    sink.free(sink.self);
}

static void test_part_names_say_epoch_and_range(void **state)
{
    (void)state;
    struct gw_sink sink = new_sink(EPOCH, 0, 0);
    assert_true(deliver(&journal, &sink, 1, 1, 1, NULL));
    sink.free(sink.self);
    char path[400];
    snprintf(path, sizeof path,
             "%s/events/schema=ping/date=2025-11-13/part-1234abcd5678ef00-%020d-%020d.jsonl", folder, 0, 0);
    assert_int_equal(access(path, F_OK), 0);
}

static void test_it_goes_on_where_it_was_after_each_restart(void **state)
{
    (void)state;
    for (size_t i = 1; i <= journal.count; i++) {
        struct gw_sink sink = new_sink(EPOCH, 0, 0);
        assert_true(deliver(&journal, &sink, i, 1000, 1, NULL));
        sink.free(sink.self);
        sink = new_sink(EPOCH, 0, 0);
        struct gw_sink_position at = {0};
        assert_int_equal(sink.open(sink.self, &at, &error), 0);
        assert_true(at.known);
        assert_true(at.epoch == EPOCH);
        assert_int_equal(at.next, i);
        sink.free(sink.self);
    }
    assert_true(is_whole(journal.event_count));
}

static void test_a_flush_is_due_by_size_and_by_age_only(void **state)
{
    (void)state;
    struct gw_sink sink = new_sink(EPOCH, 3600000, 2000);
    struct gw_sink_position at = {0};
    uint64_t next, events, flushes = 0, before = 0;
    assert_int_equal(sink.open(sink.self, &at, &error), 0);
    for (size_t i = 0; i < journal.count; i++) {
        assert_int_equal(sink.write(sink.self, i, journal.entries[i], journal.lens[i], &error), 0);
        assert_int_equal(sink.flush(sink.self, GW_FLUSH_DUE, &next, &events, &error), 0);
        flushes += next != before;
        assert_true(next == before || next == i + 1);
        before = next;
    }
    assert_true(flushes > 3 && flushes < journal.count);
    assert_int_equal(sink.flush(sink.self, GW_FLUSH_ALL, &next, &events, &error), 0);
    assert_int_equal(next, journal.count);
    sink.free(sink.self);
    remove_tree(folder);

    sink = new_sink(EPOCH, 1, 1 << 30); /* by age: 1 ms is over in no time */
    assert_int_equal(sink.open(sink.self, &at, &error), 0);
    assert_int_equal(sink.write(sink.self, 0, journal.entries[0], journal.lens[0], &error), 0);
    do {
        assert_int_equal(sink.flush(sink.self, GW_FLUSH_DUE, &next, &events, &error), 0);
    } while (next == 0);
    assert_int_equal(next, 1);
    sink.free(sink.self);
}

static void test_a_crash_at_any_step_neither_loses_nor_doubles(void **state)
{
    (void)state;
    unsigned at = 1, crashes = 0;
    for (bool crashed = true; crashed; at++) {
        remove_tree(folder);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            struct gw_sink sink = new_sink(EPOCH, 0, 0);
            fault_arm(FAULT_CRASH, at, 1, 0);
            _exit(deliver(&journal, &sink, 12, 5, 1, NULL) ? 0 : 1);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        crashed = WIFEXITED(status) && WEXITSTATUS(status) == FAULT_EXIT;
        if (!crashed)
            assert_int_equal(status, 0);
        crashes += crashed;
        struct gw_sink sink = new_sink(EPOCH, 0, 0);
        if (!deliver(&journal, &sink, journal.count, 1000, 1, NULL) || !is_whole(journal.event_count) ||
            count_temporary() != 0)
            fail_msg("after a crash at call %u: %s", at, error.text);
        sink.free(sink.self);
    }
    assert_true(crashes > 60);
    print_message("lake: %u crash points\n", crashes);
}

/* After a crash readers see whole flushes only, before the gateway comes back: no torn file under a final name. */
static void test_a_crash_leaves_readers_with_whole_files(void **state)
{
    (void)state;
    for (unsigned at = 1; at < 400; at += 3) {
        remove_tree(folder);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            struct gw_sink sink = new_sink(EPOCH, 0, 0);
            fault_arm(FAULT_CRASH, at, 1, 0);
            _exit(deliver(&journal, &sink, 12, 5, 1, NULL) ? 0 : 1);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        (void)is_whole(0);
        assert_int_equal(strangers, 0);
        for (size_t i = 0; i < journal.event_count; i++)
            assert_true(seen[i] <= 1);
    }
}

static void test_an_error_at_any_step_is_retried_without_doubles(void **state)
{
    (void)state;
    static const unsigned lengths[] = {1, 3, 20};
    for (unsigned l = 0; l < 3; l++) {
        unsigned at = 1;
        for (bool hit = true; hit; at++) {
            remove_tree(folder);
            struct gw_sink sink = new_sink(EPOCH, 0, 0);
            fault_arm(FAULT_ERROR, at, lengths[l], at % 2 ? ENOSPC : EIO);
            bool done = deliver(&journal, &sink, 12, 5, 50, NULL);
            hit = fault.calls >= at;
            fault_disarm();
            done = done && deliver(&journal, &sink, journal.count, 1000, 1, NULL);
            sink.free(sink.self);
            if (!done || !is_whole(journal.event_count) || count_temporary() != 0)
                fail_msg("after an error at call %u (%u long): %s", at, lengths[l], error.text);
        }
        assert_true(at > 60);
    }
}

static char *load(const char *path, size_t *len)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    char *data = malloc(1 << 20);
    *len = fread(data, 1, 1 << 20, f);
    fclose(f);
    return data;
}

static void store(const char *path, const char *data, size_t len)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    fclose(f);
}

/* The commit log, cut at each byte of its last line: the flush before counts, or none, and nothing is doubled. */
static void test_a_torn_commit_line_never_happened(void **state)
{
    (void)state;
    struct gw_sink sink = new_sink(EPOCH, 0, 0);
    assert_true(deliver(&journal, &sink, 2, 1, 1, NULL));
    sink.free(sink.self);
    char path[160];
    size_t len, first;
    snprintf(path, sizeof path, "%s/_commits.log", folder);
    char *whole = load(path, &len);
    first = (size_t)((char *)memchr(whole, '\n', len) - whole) + 1;
    assert_true(first < len);
    for (size_t cut = first; cut < len; cut++) {
        struct gw_lake_log log;
        store(path, whole, cut);
        assert_int_equal(gw_lake_log_read(folder, &log, &error), 0);
        assert_true(log.any);
        assert_int_equal(log.last.to, 0);
        assert_int_equal(log.len, first);
        gw_lake_log_free(&log);
    }
    for (size_t cut = 0; cut < first - 1; cut++) { /* the very first line: as if nothing were there */
        struct gw_lake_log log;
        store(path, whole, cut);
        assert_int_equal(gw_lake_log_read(folder, &log, &error), 0);
        assert_false(log.any);
        gw_lake_log_free(&log);
    }
    free(whole);
}

static void test_damage_in_the_commit_log_is_never_taken_for_a_position(void **state)
{
    (void)state;
    struct gw_sink sink = new_sink(EPOCH, 0, 0);
    assert_true(deliver(&journal, &sink, 1, 1, 1, NULL));
    sink.free(sink.self);
    char path[160];
    size_t len;
    snprintf(path, sizeof path, "%s/_commits.log", folder);
    char *whole = load(path, &len);
    for (size_t i = 0; i < len * 8; i++) {
        struct gw_lake_log log;
        whole[i / 8] ^= (char)(1 << i % 8);
        store(path, whole, len);
        int rc = gw_lake_log_read(folder, &log, &error);
        if (rc ==
            GW_OK) { /* without its line end it looks like a torn first append; or a hex digit's case changed */
            if (log.any)
                assert_int_equal(log.last.to, 0);
            gw_lake_log_free(&log);
        } else {
            assert_int_equal(rc, GW_EDAMAGED);
        }
        whole[i / 8] ^= (char)(1 << i % 8);
    }
    const char evil[] =
        "{\"epoch\":\"1234abcd5678ef00\",\"from\":0,\"to\":0,\"files\":[[\"_tmp/x\",\"../../x\"]]}";
    store(path, evil,
          sizeof evil - 1); /* not even with a good CRC would it leave its folder; without one it is void */
    struct gw_lake_log log;
    assert_int_equal(gw_lake_log_read(folder, &log, &error), 0);
    assert_false(log.any);
    gw_lake_log_free(&log);
    free(whole);
}

static void test_the_commit_log_stays_small(void **state)
{
    (void)state;
    assert_int_equal(mkdir(folder, 0750), 0);
    struct gw_lake_log log;
    assert_int_equal(gw_lake_log_read(folder, &log, &error), 0);
    uint64_t largest = 0;
    for (uint64_t i = 0; i < 300; i++) {
        struct gw_lake_intent intent = {.epoch = 5, .from = i, .to = i, .file_count = 100};
        intent.files = calloc(100, sizeof *intent.files);
        for (unsigned k = 0; k < 100; k++) {
            intent.files[k].temporary = strdup("_tmp/a-name-of-some-length-that-fills-the-log");
            intent.files[k].final = strdup("events/schema=x/date=2026-01-01/a-name-of-some-length");
        }
        assert_int_equal(gw_lake_log_append(&log, &intent, &error), 0);
        largest = log.len > largest ? log.len : largest;
    }
    assert_true(largest <= 1 << 20);
    gw_lake_log_free(&log);
    assert_int_equal(gw_lake_log_read(folder, &log, &error), 0);
    assert_int_equal(log.last.to, 299);
    gw_lake_log_free(&log);
}

static void test_another_epoch_is_told_and_not_overwritten(void **state)
{
    (void)state;
    struct gw_sink sink = new_sink(EPOCH, 0, 0);
    assert_true(deliver(&journal, &sink, 5, 1000, 1, NULL));
    sink.free(sink.self);
    sink = new_sink(EPOCH + 1, 0, 0);
    struct gw_sink_position at = {0};
    assert_int_equal(sink.open(sink.self, &at, &error), 0);
    assert_true(at.epoch == EPOCH);
    sink.free(sink.self);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_each_event_is_in_its_partition_once),
        TEST(test_part_names_say_epoch_and_range),
        TEST(test_it_goes_on_where_it_was_after_each_restart),
        TEST(test_a_flush_is_due_by_size_and_by_age_only),
        TEST(test_a_crash_at_any_step_neither_loses_nor_doubles),
        TEST(test_a_crash_leaves_readers_with_whole_files),
        TEST(test_an_error_at_any_step_is_retried_without_doubles),
        TEST(test_a_torn_commit_line_never_happened),
        TEST(test_damage_in_the_commit_log_is_never_taken_for_a_position),
        TEST(test_the_commit_log_stays_small),
        TEST(test_another_epoch_is_told_and_not_overwritten),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
