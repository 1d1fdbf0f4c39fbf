#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "observe/address.h"
#include "observe/log.h"
#include "observe/log_limit.h"
#include "observe/log_line.h"

#define FIELDS(...)                                                                                          \
    (const struct gw_log_field[])                                                                            \
    {                                                                                                        \
        __VA_ARGS__,                                                                                         \
        {                                                                                                    \
            .name = NULL                                                                                     \
        }                                                                                                    \
    }

static char text[GW_LOG_LINE_MAX + 1];

static const char *format(const struct gw_log_field *fields, uint64_t suppressed)
{
    const struct gw_log_line line = {.utc_ms = 1700000000123,
                                     .level = GW_LOG_WARNING,
                                     .event = "a.b",
                                     .message = "what \"now\"",
                                     .fields = fields,
                                     .suppressed = suppressed};
    size_t len = gw_log_line_format(&line, text, GW_LOG_LINE_MAX);
    text[len] = 0;
    return text;
}

static void test_line_has_time_level_event_message_and_fields(void **state)
{
    (void)state;
    assert_string_equal(
        format(FIELDS(GW_TEXT("t", "v"), GW_UINT("u", UINT64_MAX), GW_INT("i", INT64_MIN), GW_HEX("h", 0xab),
                      GW_TEXT("none", NULL)),
               0),
        "{\"ts\":\"2023-11-14T22:13:20.123Z\",\"level\":\"warning\",\"event\":\"a.b\",\"message\":\"what "
        "\\\"now\\\"\",\"t\":\"v\",\"u\":18446744073709551615,\"i\":-9223372036854775808,\"h\":"
        "\"00000000000000ab\",\"none\":null}\n");
}

static void test_suppressed_count_is_shown(void **state)
{
    (void)state;
    assert_non_null(strstr(format(NULL, 17), "\"suppressed\":17}"));
}

static void test_control_characters_are_escaped(void **state)
{
    (void)state;
    assert_non_null(
        strstr(format(FIELDS(GW_TEXT("f", "a\n\t\x01\\\x7f")), 0), "\"f\":\"a\\n\\t\\u0001\\\\\\u007f\""));
}

static void test_bytes_that_are_not_utf8_become_replacement_characters(void **state)
{
    (void)state;
    static const char *const bad[] = {"\x80", "\xc0\xaf", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\xe2\x82"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const char *line = format(FIELDS(GW_TEXT("f", bad[i])), 0);
        assert_non_null(strstr(line, "\"f\":\"\xef\xbf\xbd"));
        assert_null(strstr(line, bad[i]));
    }
    assert_non_null(strstr(format(FIELDS(GW_TEXT("f", "caf\xc3\xa9 \xf0\x9f\x8e\xb5")), 0),
                           "\"f\":\"caf\xc3\xa9 \xf0\x9f\x8e\xb5\""));
}

static void test_a_line_too_long_stays_json_and_says_so(void **state)
{
    (void)state;
    char *long_value = malloc(5001);
    memset(long_value, 'x', 5000);
    long_value[5000] = 0;
    struct gw_log_field fields[9] = {{0}};
    for (int i = 0; i < 8; i++)
        fields[i] = (struct gw_log_field)GW_TEXT("field", long_value);
    const char *line = format(fields, 0);
    assert_true(strlen(line) <= GW_LOG_LINE_MAX);
    cJSON *parsed = cJSON_Parse(line);
    assert_non_null(parsed);
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(parsed, "truncated")));
    cJSON_Delete(parsed);
    free(long_value);
}

/* Every capacity, so that running full is met at every byte of a line. */
static void test_every_capacity_gives_a_whole_json_line(void **state)
{
    (void)state;
    char digits[401];
    memset(digits, '7', 400);
    digits[400] = 0;
    for (size_t cap = 0; cap < 1500; cap++) {
        const struct gw_log_line line = {
            .event = "e",
            .message = "m",
            .fields = FIELDS(GW_TEXT("a", digits), GW_TEXT("b", "\n\n\n\xff\xff\"\x01"), GW_HEX("c", 1),
                             GW_TEXT("d", digits), GW_UINT("e", 7))};
        char *exact = malloc(cap + 1); /* so that the sanitizer sees a write beyond it */
        size_t len = gw_log_line_format(&line, exact, cap);
        if (cap < 512) {
            assert_int_equal(len, 0);
        } else {
            assert_true(len <= cap);
            assert_int_equal(exact[len - 1], '\n');
            exact[len] = 0;
            cJSON *parsed = cJSON_Parse(exact);
            assert_non_null(parsed);
            cJSON_Delete(parsed);
        }
        free(exact);
    }
}

static void test_the_eleventh_line_in_a_second_is_cut_and_counted(void **state)
{
    (void)state;
    static struct gw_log_limit limit;
    memset(&limit, 0, sizeof limit);
    uint64_t suppressed = 99;
    for (int i = 0; i < 10; i++) {
        assert_true(gw_log_limit_allow(&limit, 1, "a", 5000, &suppressed));
        assert_int_equal(suppressed, 0);
    }
    for (int i = 0; i < 7; i++)
        assert_false(gw_log_limit_allow(&limit, 1, "a", 5999, &suppressed));
    assert_true(gw_log_limit_allow(&limit, 1, "b", 5999, &suppressed));
    assert_true(gw_log_limit_allow(&limit, 2, "a", 5999, &suppressed));
    assert_true(gw_log_limit_allow(&limit, 1, "a", 6000, &suppressed));
    assert_int_equal(suppressed, 7);
    assert_true(gw_log_limit_allow(&limit, 1, "a", 6001, &suppressed));
    assert_int_equal(suppressed, 0);
}

static void test_more_code_points_than_places_still_log(void **state)
{
    (void)state;
    static struct gw_log_limit limit;
    memset(&limit, 0, sizeof limit);
    for (uint64_t i = 0; i < 4096; i++) {
        char event[32];
        uint64_t suppressed;
        snprintf(event, sizeof event, "point.%u", (unsigned)i);
        assert_true(gw_log_limit_allow(&limit, 0, event, 1000 + i, &suppressed));
    }
}

static void *log_some(void *event)
{
    for (int i = 0; i < 5; i++)
        gw_log(GW_LOG_ERROR, event, "from a thread", GW_INT("i", i));
    return NULL;
}

static void test_threads_write_whole_lines_and_the_level_filters(void **state)
{
    (void)state;
    int pipe_ends[2];
    assert_int_equal(pipe(pipe_ends), 0);
    gw_log_set_descriptor(pipe_ends[1]);
    enum gw_log_level level;
    assert_int_equal(gw_log_level_from_name("error", &level), 0);
    assert_int_equal(gw_log_level_from_name("loud", &level), GW_EINVALID);
    gw_log_set_level(level);
    gw_log(GW_LOG_WARNING, "w", "below the level");
    static const char *const events[] = {"t.0", "t.1", "t.2", "t.3"};
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, log_some, (void *)(uintptr_t)events[i]), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    gw_log_set_descriptor(STDERR_FILENO);
    close(pipe_ends[1]);
    FILE *lines = fdopen(pipe_ends[0], "r");
    int count = 0;
    while (fgets(text, sizeof text, lines)) {
        cJSON *parsed = cJSON_Parse(text);
        assert_non_null(parsed);
        assert_string_equal(cJSON_GetObjectItem(parsed, "level")->valuestring, "error");
        cJSON_Delete(parsed);
        count++;
    }
    fclose(lines);
    assert_int_equal(count, 20);
}

static void test_addresses_are_cut_to_their_network(void **state)
{
    (void)state;
    char out[GW_ADDRESS_TEXT_MAX];
    assert_string_equal(gw_address_truncate_text("203.0.113.77", out), "203.0.113.0/24");
    assert_string_equal(gw_address_truncate_text("2001:db8:abcd:12::77", out), "2001:db8:abcd::/48");
    assert_string_equal(gw_address_truncate_text("::ffff:203.0.113.77", out), "203.0.113.0/24");
    assert_string_equal(gw_address_truncate_text("someone's house", out), "unknown");
    assert_string_equal(gw_address_truncate_text(NULL, out), "unknown");
    const struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc0000237)};
    assert_string_equal(gw_address_truncate((const struct sockaddr *)&v4, out), "192.0.2.0/24");
    const struct sockaddr local = {.sa_family = AF_UNIX};
    assert_string_equal(gw_address_truncate(&local, out), "local");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line_has_time_level_event_message_and_fields),
        cmocka_unit_test(test_suppressed_count_is_shown),
        cmocka_unit_test(test_control_characters_are_escaped),
        cmocka_unit_test(test_bytes_that_are_not_utf8_become_replacement_characters),
        cmocka_unit_test(test_a_line_too_long_stays_json_and_says_so),
        cmocka_unit_test(test_every_capacity_gives_a_whole_json_line),
        cmocka_unit_test(test_the_eleventh_line_in_a_second_is_cut_and_counted),
        cmocka_unit_test(test_more_code_points_than_places_still_log),
        cmocka_unit_test(test_threads_write_whole_lines_and_the_level_filters),
        cmocka_unit_test(test_addresses_are_cut_to_their_network),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
