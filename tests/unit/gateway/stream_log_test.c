#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "sinks/stream_log.h"
#include "sinks/stream_reader.h"
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
    snprintf(folder, sizeof folder, "%s/stream", root);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fault_disarm();
    remove_tree(root);
    return 0;
}

static struct gw_sink new_sink(uint64_t file_bytes)
{
    struct gw_sink sink;
    const struct gw_stream_log_config config = {folder, file_bytes, EPOCH, GATEWAY_ID};
    assert_int_equal(gw_stream_log_new(&config, &sink, &error), 0);
    return sink;
}

/* Whether the stream holds exactly the journal's events, once and in order. Returns false rather than failing, so
 * that a crash test can say where it was. */
static bool is_whole(size_t from)
{
    struct gw_stream_reader *reader;
    struct gw_stream_record record;
    if (gw_stream_reader_open(folder, from, &reader, &error) != 0)
        return false;
    bool good = true;
    size_t i = from;
    uint64_t last_offset = 0;
    int rc;
    while (good && (rc = gw_stream_reader_next(reader, &record, &error)) == 1) {
        good = i < journal.event_count && record.number == i && record.epoch == EPOCH &&
               record.json_len == strlen(journal.json[i]) &&
               memcmp(record.json, journal.json[i], record.json_len) == 0 && record.offset >= last_offset;
        last_offset = record.offset;
        i++;
    }
    good = good && rc == 0 && i == journal.event_count && gw_stream_reader_damaged(reader) == 0;
    gw_stream_reader_close(reader);
    return good;
}

static size_t count_files(void)
{
    uint64_t *numbers;
    size_t count;
    assert_int_equal(gw_stream_file_list(folder, &numbers, &count, &error), 0);
    free(numbers);
    return count;
}

static void test_all_events_are_in_it_once_and_in_order(void **state)
{
    (void)state;
    struct gw_sink sink = new_sink(0);
    uint64_t events = 0;
    assert_true(deliver(&journal, &sink, journal.count, 1000, 1, &events));
    assert_int_equal(events, journal.event_count);
    assert_true(is_whole(0));
    assert_int_equal(count_files(), 1);
    /* once more from the start of the journal: nothing is doubled */
    assert_int_equal(sink.open(sink.self, &(struct gw_sink_position){0}, &error), 0);
    for (size_t i = 0; i < journal.count; i++)
        assert_int_equal(sink.write(sink.self, i, journal.entries[i], journal.lens[i], &error), 0);
    uint64_t next;
    assert_int_equal(sink.flush(sink.self, GW_FLUSH_ALL, &next, &events, &error), 0);
    assert_int_equal(next, journal.count);
    assert_int_equal(events, 0);
    assert_true(is_whole(0));
    sink.free(sink.self);
}

static void test_no_user_id_is_in_the_files(void **state)
{
    (void)state;
    struct gw_sink sink = new_sink(0);
    assert_true(deliver(&journal, &sink, journal.count, 1000, 1, NULL));
    struct gw_stream_reader *reader;
    struct gw_stream_record record;
    assert_int_equal(gw_stream_reader_open(folder, 0, &reader, &error), 0);
    while (gw_stream_reader_next(reader, &record, &error) == 1) {
        assert_null(memmem(record.json, record.json_len, "planted", 7));
        assert_non_null(memmem(record.json, record.json_len, "\"user\":\"p1.k1.", 14));
    }
    gw_stream_reader_close(reader);
    sink.free(sink.self);
}

static void test_it_goes_on_where_it_was_after_each_restart(void **state)
{
    (void)state;
    for (size_t i = 1; i <= journal.count; i++) {
        struct gw_sink sink = new_sink(2000);
        assert_true(deliver(&journal, &sink, i, 1000, 1, NULL));
        sink.free(sink.self);
        sink = new_sink(2000);
        struct gw_sink_position at = {0};
        assert_int_equal(sink.open(sink.self, &at, &error), 0);
        assert_true(at.known);
        assert_true(at.epoch == EPOCH);
        assert_int_equal(at.next, i); /* also behind an entry without events: it left a mark */
        assert_int_equal(at.index, 0);
        sink.free(sink.self);
    }
    assert_true(is_whole(0));
}

static void test_files_are_begun_before_they_exceed_their_size(void **state)
{
    (void)state;
    struct gw_sink sink = new_sink(2000);
    assert_true(deliver(&journal, &sink, journal.count, 4, 1, NULL));
    sink.free(sink.self);
    assert_true(count_files() > 10);
    uint64_t *numbers;
    size_t count;
    assert_int_equal(gw_stream_file_list(folder, &numbers, &count, &error), 0);
    for (size_t i = 0; i < count; i++) {
        char name[GW_STREAM_NAME_BYTES], path[256];
        struct stat st;
        gw_stream_file_name(numbers[i], name);
        snprintf(path, sizeof path, "%s/%s", folder, name);
        assert_int_equal(stat(path, &st), 0);
        assert_true(st.st_size > 0 && st.st_size <= 2000);
    }
    free(numbers);
    for (size_t from = 0; from < journal.event_count; from += 5)
        assert_true(is_whole(from));
    struct gw_stream_info info;
    assert_int_equal(gw_stream_info_get(folder, &info, &error), 0);
    assert_int_equal(info.files, count);
    assert_int_equal(info.first_number, 0);
    assert_int_equal(info.next_number, journal.event_count);
    assert_true(info.epoch == EPOCH);
    assert_int_equal(info.offset, journal.count - 1);
}

static void test_a_reader_follows_while_it_is_written(void **state)
{
    (void)state;
    struct gw_sink sink = new_sink(3000);
    struct gw_stream_reader *reader;
    struct gw_stream_record record;
    size_t seen = 0;
    assert_int_equal(gw_stream_reader_open(folder, 0, &reader, &error), 0);
    assert_int_equal(gw_stream_reader_next(reader, &record, &error), 0); /* not even a folder yet */
    for (size_t i = 1; i <= journal.count; i++) {
        assert_true(deliver(&journal, &sink, i, 1000, 1, NULL));
        int rc;
        while ((rc = gw_stream_reader_next(reader, &record, &error)) == 1) {
            assert_int_equal(record.number, seen);
            assert_memory_equal(record.json, journal.json[seen], record.json_len);
            seen++;
        }
        assert_int_equal(rc, 0);
    }
    assert_int_equal(seen, journal.event_count);
    gw_stream_reader_close(reader);
    sink.free(sink.self);
}

/* The process ends at each of its calls to the file system in turn, a write half done. */
static void test_a_crash_at_any_step_neither_loses_nor_doubles(void **state)
{
    (void)state;
    unsigned at = 1, crashes = 0;
    for (bool crashed = true; crashed; at++) {
        remove_tree(folder);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            struct gw_sink sink = new_sink(3000);
            fault_arm(FAULT_CRASH, at, 1, 0);
            _exit(deliver(&journal, &sink, journal.count, 3, 1, NULL) ? 0 : 1);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        crashed = WIFEXITED(status) && WEXITSTATUS(status) == FAULT_EXIT;
        if (!crashed)
            assert_int_equal(status, 0);
        crashes += crashed;
        struct gw_sink sink = new_sink(3000);
        if (!deliver(&journal, &sink, journal.count, 3, 1, NULL) || !is_whole(0))
            fail_msg("after a crash at call %u: %s", at, error.text);
        sink.free(sink.self);
    }
    assert_true(crashes > 30);
    print_message("stream: %u crash points\n", crashes);
}

/* Each call fails in turn: alone, with the next ones, and for good for a while. */
static void test_an_error_at_any_step_is_retried_without_doubles(void **state)
{
    (void)state;
    static const unsigned lengths[] = {1, 3, 20};
    for (unsigned l = 0; l < 3; l++) {
        unsigned at = 1;
        for (bool hit = true; hit; at++) {
            remove_tree(folder);
            struct gw_sink sink = new_sink(3000);
            fault_arm(FAULT_ERROR, at, lengths[l], at % 2 ? ENOSPC : EIO);
            bool done = deliver(&journal, &sink, journal.count, 3, 50, NULL);
            hit = fault.calls >= at;
            fault_disarm();
            sink.free(sink.self);
            if (!done || !is_whole(0))
                fail_msg("after an error at call %u (%u long): %s", at, lengths[l], error.text);
        }
        assert_true(at > 30);
    }
}

static off_t newest_file_bytes(void)
{
    uint64_t *numbers;
    size_t count;
    char name[GW_STREAM_NAME_BYTES], path[256];
    struct stat st;
    assert_int_equal(gw_stream_file_list(folder, &numbers, &count, &error), 0);
    assert_true(count > 0);
    gw_stream_file_name(numbers[count - 1], name);
    free(numbers);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(stat(path, &st), 0);
    return st.st_size;
}

/* A file was begun, and the sync of its folder failed: the next append goes to the one before, and nothing may stand behind
 * that. An entry without events comes next, which needs no new file. */
static void test_a_file_that_was_begun_in_vain_is_removed(void **state)
{
    (void)state;
    static const uint8_t unreadable[] = {0};
    unsigned begun_in_vain = 0;
    for (unsigned at = 1;; at++) {
        struct gw_sink_position position;
        uint64_t next, events;
        size_t i = 0;
        remove_tree(folder);
        struct gw_sink sink = new_sink(3000);
        fault_arm(FAULT_ERROR, at, 1, EIO);
        bool good = sink.open(sink.self, &position, &error) == GW_OK;
        while (good && i < journal.count) {
            good = sink.write(sink.self, i, journal.entries[i], journal.lens[i], &error) == GW_OK;
            i += good;
        }
        bool hit = fault.calls >= at;
        fault_disarm();
        sink.close(sink.self);
        if (hit && !good && count_files() > 1 && newest_file_bytes() == 0) {
            begun_in_vain++;
            assert_int_equal(sink.open(sink.self, &position, &error), 0);
            assert_int_equal(sink.write(sink.self, position.next, unreadable, sizeof unreadable, &error), 0);
            assert_int_equal(sink.flush(sink.self, GW_FLUSH_ALL, &next, &events, &error), 0);
            assert_true(newest_file_bytes() > 0);
            sink.close(sink.self);
        }
        sink.free(sink.self);
        if (!hit)
            break;
    }
    assert_true(begun_in_vain > 3);
}

static void read_all(const char *path, uint8_t **out, size_t *out_len)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    *out_len = (size_t)ftell(f);
    rewind(f);
    *out = malloc(*out_len + 1);
    assert_int_equal(fread(*out, 1, *out_len, f), *out_len);
    fclose(f);
}

static void write_all(const char *path, const uint8_t *data, size_t len)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    fclose(f);
}

/* What a power cut can leave of the newest file: any prefix, with zeros or noise behind it. */
static void test_a_torn_tail_is_cut_off_wherever_it_ends(void **state)
{
    (void)state;
    struct gw_sink sink = new_sink(0);
    assert_true(deliver(&journal, &sink, 12, 1000, 1, NULL));
    sink.free(sink.self);
    char path[256];
    snprintf(path, sizeof path, "%s/%020d.log", folder, 0);
    uint8_t *whole;
    size_t len;
    read_all(path, &whole, &len);
    uint8_t *torn = calloc(1, len + 100);
    for (size_t cut = 0; cut <= len; cut += cut % 97 == 0 ? 1 : 3) {
        memcpy(torn, whole, cut);
        memset(torn + cut, cut % 2 ? 0 : 0xa5, 100);
        write_all(path, torn, cut + (cut % 3) * 50);
        sink = new_sink(0);
        assert_true(deliver(&journal, &sink, journal.count, 1000, 1, NULL));
        sink.free(sink.self);
        if (!is_whole(0))
            fail_msg("after a cut at byte %zu", cut);
    }
    free(torn);
    free(whole);
}

/* What lies behind the last whole record goes, even if it is longer than what comes in its place. */
static void test_a_long_torn_tail_leaves_nothing_behind(void **state)
{
    (void)state;
    char path[256];
    uint8_t *expected, *whole;
    size_t expected_len, len;
    struct gw_sink sink = new_sink(0);
    assert_true(deliver(&journal, &sink, 13, 1000, 1, NULL));
    sink.free(sink.self);
    snprintf(path, sizeof path, "%s/%020d.log", folder, 0);
    read_all(path, &expected, &expected_len);
    remove_tree(folder);

    sink = new_sink(0);
    assert_true(deliver(&journal, &sink, 12, 1000, 1, NULL));
    sink.free(sink.self);
    read_all(path, &whole, &len);
    whole = realloc(whole, len + 100000);
    memset(whole + len, 0x5a, 100000);
    write_all(path, whole, len + 100000);
    free(whole);
    sink = new_sink(0);
    assert_true(deliver(&journal, &sink, 13, 1000, 1, NULL));
    sink.free(sink.self);
    read_all(path, &whole, &len);
    assert_int_equal(len, expected_len);
    assert_memory_equal(whole, expected, len);
    free(whole);
    free(expected);
}

/* A bit flips in what was synced: what lies behind is kept aside, and delivered again. */
static void test_a_flipped_bit_costs_no_event_that_the_journal_has(void **state)
{
    (void)state;
    struct gw_sink sink = new_sink(0);
    assert_true(deliver(&journal, &sink, journal.count, 1000, 1, NULL));
    sink.free(sink.self);
    char path[256], copy[300];
    snprintf(path, sizeof path, "%s/%020d.log", folder, 0);
    uint8_t *whole;
    size_t len;
    read_all(path, &whole, &len);
    for (size_t at = 5; at < len; at += 499) {
        whole[at] ^= 0x10;
        write_all(path, whole, len);
        whole[at] ^= 0x10;
        sink = new_sink(0);
        struct gw_sink_position position = {0};
        assert_int_equal(sink.open(sink.self, &position, &error), 0);
        const bool last_record = position.known && position.next == journal.count;
        assert_false(last_record);
        sink.close(sink.self);
        assert_true(deliver(&journal, &sink, journal.count, 1000, 1, NULL));
        sink.free(sink.self);
        assert_true(is_whole(0));
    }
    /* the first one flipped was in the first record: all behind it was kept */
    snprintf(copy, sizeof copy, "%s.cut-0", path);
    assert_int_equal(access(copy, F_OK), 0);
    free(whole);
}

static void test_a_reader_steps_over_damage_in_finished_files_and_counts_it(void **state)
{
    (void)state;
    struct gw_sink sink = new_sink(3000);
    assert_true(deliver(&journal, &sink, journal.count, 1000, 1, NULL));
    sink.free(sink.self);
    char path[256];
    snprintf(path, sizeof path, "%s/%020d.log", folder, 0);
    uint8_t *whole;
    size_t len;
    read_all(path, &whole, &len);
    for (size_t at = 0; at < len; at += 37) {
        whole[at] ^= 0x04;
        write_all(path, whole, len);
        whole[at] ^= 0x04;
        struct gw_stream_reader *reader;
        struct gw_stream_record record;
        size_t seen = 0;
        int rc;
        assert_int_equal(gw_stream_reader_open(folder, 0, &reader, &error), 0);
        while ((rc = gw_stream_reader_next(reader, &record, &error)) == 1) {
            assert_memory_equal(record.json, journal.json[record.number], record.json_len);
            seen++;
        }
        assert_int_equal(rc, 0);
        assert_int_equal(gw_stream_reader_damaged(reader), 1);
        assert_true(seen == journal.event_count - 1 ||
                    seen == journal.event_count); /* or only a mark was hit */
        gw_stream_reader_close(reader);
    }
    free(whole);
}

static void test_a_folder_without_one_readable_record_is_an_error(void **state)
{
    (void)state;
    struct gw_sink sink = new_sink(3000);
    assert_true(deliver(&journal, &sink, journal.count, 1000, 1, NULL));
    uint64_t *numbers;
    size_t count;
    assert_int_equal(gw_stream_file_list(folder, &numbers, &count, &error), 0);
    for (size_t i = 0; i < count; i++) {
        char path[256];
        snprintf(path, sizeof path, "%s/%020llu.log", folder, (unsigned long long)numbers[i]);
        write_all(path, (const uint8_t *)"nonsense", 8);
    }
    free(numbers);
    sink.free(sink.self);
    sink = new_sink(3000);
    struct gw_sink_position at = {0};
    assert_int_equal(sink.open(sink.self, &at, &error), GW_EDAMAGED);
    assert_non_null(strstr(error.text, "aside"));
    sink.free(sink.self);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_all_events_are_in_it_once_and_in_order),
        TEST(test_no_user_id_is_in_the_files),
        TEST(test_it_goes_on_where_it_was_after_each_restart),
        TEST(test_files_are_begun_before_they_exceed_their_size),
        TEST(test_a_reader_follows_while_it_is_written),
        TEST(test_a_crash_at_any_step_neither_loses_nor_doubles),
        TEST(test_an_error_at_any_step_is_retried_without_doubles),
        TEST(test_a_file_that_was_begun_in_vain_is_removed),
        TEST(test_a_torn_tail_is_cut_off_wherever_it_ends),
        TEST(test_a_long_torn_tail_leaves_nothing_behind),
        TEST(test_a_flipped_bit_costs_no_event_that_the_journal_has),
        TEST(test_a_reader_steps_over_damage_in_finished_files_and_counts_it),
        TEST(test_a_folder_without_one_readable_record_is_an_error),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
