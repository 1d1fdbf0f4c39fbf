#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cores.h"
#include "config/config.h"
#include "config/keys.h"
#include "config/nearest.h"
#include "config/units.h"

#define GOOD                                                                                                 \
    "listen:\n  certificate: gw.crt\n  key: gw.key\n"                                                        \
    "auth:\n  client_ca: ca.crt\n"                                                                           \
    "data:\n  folder: data\n"

static struct gw_config_report report;

static const char *environment(void *context, const char *name)
{
    (void)context;
    if (strcmp(name, "PORT") == 0)
        return "9000";
    if (strcmp(name, "SECRET") == 0)
        return "hunter2";
    return strcmp(name, "EMPTY") == 0 ? "" : NULL;
}

static int parse(const char *text, struct gw_config *out)
{
    return gw_config_parse("conf/f.yaml", text, strlen(text), environment, NULL, out, &report);
}

static void test_a_minimal_file_has_every_default(void **state)
{
    (void)state;
    struct gw_config c;
    assert_int_equal(parse(GOOD, &c), GW_OK);
    assert_string_equal(c.listen.address, "127.0.0.1");
    assert_int_equal(c.listen.port, 8443);
    assert_string_equal(c.listen.path, "/v1");
    assert_string_equal(c.listen.certificate, "conf/gw.crt");
    assert_int_equal(c.listen.origin_count, 0);
    assert_int_equal(c.auth.client_ca_count, 1);
    assert_string_equal(c.auth.client_ca[0], "conf/ca.crt");
    assert_string_equal(c.auth.jwks, "");
    assert_string_equal(c.data.folder, "conf/data");
    assert_int_equal(c.data.segment_bytes, 256 << 20);
    assert_int_equal(c.data.quota_bytes, 0);
    assert_string_equal(c.privacy.pseudonym_key_id, "k1");
    assert_string_equal(c.privacy.pseudonym_key_file, "");
    assert_int_equal(c.limits.connections, 1000);
    assert_int_equal(c.limits.message_bytes, 65536);
    assert_int_equal(c.limits.event_bytes, 4096);
    assert_int_equal(c.limits.credit_events, 2000);
    assert_int_equal(c.limits.credit_bytes, 262144);
    assert_int_equal(c.limits.memory_bytes, 256 << 20);
    assert_int_equal(c.limits.hello_timeout_ms, 5000);
    assert_int_equal(c.limits.keepalive_ms, 25000);
    assert_true(c.stream.enabled);
    assert_int_equal(c.stream.file_bytes, 64 << 20);
    assert_true(c.lake.enabled);
    assert_int_equal(c.lake.flush_seconds, 10);
    assert_int_equal(c.lake.flush_bytes, 8 << 20);
    assert_string_equal(c.observe.http_address, "127.0.0.1");
    assert_int_equal(c.observe.http_port, 9464);
    assert_string_equal(c.observe.log_level, "info");
    assert_string_equal(c.admin.socket, "");
    gw_config_free(&c);
}

static void test_values_of_each_type_are_read(void **state)
{
    (void)state;
    struct gw_config c;
    assert_int_equal(parse("listen: {certificate: /abs/gw.crt, key: k, port: ${PORT}}\n", &c), GW_EINVALID);
    assert_int_equal(parse("listen:\n  certificate: /abs/gw.crt\n  key: k\n  port: ${PORT}\n"
                           "  origins: [https://a, https://b]\n"
                           "auth:\n  jwks: j.json\n  audience: 'a$$b${NONE:-c}${EMPTY:-d}${EMPTY}'\n"
                           "data:\n  folder: d\n  segment_size: 1MiB\n  quota: \"3MB\"\n"
                           "limits:\n  keepalive: 1500ms\n  hello_timeout: 1m\n"
                           "stream:\n  enabled: false\n"
                           "lake:\n  flush_interval: 2m\n"
                           "observe:\n  log_level: debug\n"
                           "privacy:\nadmin: ~\n",
                           &c),
                     GW_OK);
    assert_string_equal(c.listen.certificate, "/abs/gw.crt");
    assert_int_equal(c.listen.port, 9000);
    assert_int_equal(c.listen.origin_count, 2);
    assert_string_equal(c.listen.origins[1], "https://b");
    assert_string_equal(c.auth.jwks, "conf/j.json");
    assert_string_equal(c.auth.audience, "a$bcd");
    assert_int_equal(c.data.segment_bytes, 1048576);
    assert_int_equal(c.data.quota_bytes, 3000000);
    assert_int_equal(c.limits.keepalive_ms, 1500);
    assert_int_equal(c.limits.hello_timeout_ms, 60000);
    assert_false(c.stream.enabled);
    assert_int_equal(c.lake.flush_seconds, 120);
    assert_string_equal(c.observe.log_level, "debug");
    gw_config_free(&c);
}

static const struct {
    const char *text, *error;
} bad[] = {
#include "unit/gateway/config_bad.inc"
};

static void test_each_mistake_has_its_message(void **state)
{
    (void)state;
    int wrong = 0;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct gw_config c;
        int rc = parse(bad[i].text, &c);
        const char *got = rc == GW_OK ? "(accepted)" : report.errors[0].text;
        if (rc == GW_OK)
            gw_config_free(&c);
        if (strcmp(got, bad[i].error) != 0 || report.count != 1) {
            print_error("%zu errors for:\n%s---\ngot:      %s\nexpected: %s\n\n", report.count, bad[i].text,
                        got, bad[i].error);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

static void test_all_errors_are_collected_in_the_order_of_lines(void **state)
{
    (void)state;
    struct gw_config c;
    assert_int_equal(
        parse("limits:\n  memory: much\nlisten:\n  port: high\n  prot: 1\ndata:\n  folder: d\n", &c),
        GW_EINVALID);
    static const char *const expected[] = {
        "conf/f.yaml:2: `limits.memory` is `much`: it must be a size from 1MiB to 1TiB, in bytes or such as "
        "64KiB or "
        "256MiB",
        "conf/f.yaml:3: `listen.certificate` is missing: add `certificate:` below `listen:`. PEM file: the "
        "gateway's "
        "certificate, followed by its intermediates.",
        "conf/f.yaml:3: `listen.key` is missing: add `key:` below `listen:`. PEM file: the private key of "
        "that "
        "certificate.",
        "conf/f.yaml:4: `listen.port` is `high`: it must be a whole number from 0 to 65535",
        "conf/f.yaml:5: unknown key `listen.prot`: did you mean `listen.port`?",
    };
    assert_int_equal(report.count, 5);
    for (size_t i = 0; i < 5; i++)
        assert_string_equal(report.errors[i].text, expected[i]);
}

static void test_errors_beyond_the_report_are_counted(void **state)
{
    (void)state;
    struct gw_config c;
    char text[4096] = GOOD "limits:\n";
    for (int i = 0; i < 25; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "  zzzzz%d: 1\n", i);
    assert_int_equal(parse(text, &c), GW_EINVALID);
    assert_int_equal(report.count, GW_CONFIG_ERRORS_MAX);
    assert_int_equal(report.more, 5);
}

static void test_a_variable_never_shows_its_value_in_an_error(void **state)
{
    (void)state;
    struct gw_config c;
    assert_int_equal(parse(GOOD "limits:\n  memory: ${SECRET}\nadmin:\n  socket: ${SECRET}${NONE}\n", &c),
                     GW_EINVALID);
    assert_int_equal(report.count, 2);
    for (size_t i = 0; i < report.count; i++)
        assert_null(strstr(report.errors[i].text, "hunter2"));
    assert_string_equal(
        report.errors[0].text,
        "conf/f.yaml:9: `limits.memory` is `${SECRET}`, and what that expands to is not a size from "
        "1MiB to 1TiB, in bytes or such as 64KiB or 256MiB");
}

static void test_large_deep_and_binary_files_are_refused(void **state)
{
    (void)state;
    struct gw_config c;
    size_t len = 1024 * 1024 + 1;
    char *text = malloc(len + 1);
    memset(text, '#', len);
    assert_int_equal(gw_config_parse("f", text, len, environment, NULL, &c, &report), GW_EINVALID);
    assert_string_equal(report.errors[0].text, "f: larger than 1 MiB: is this the right file?");
    memset(text, '[', len);
    assert_int_equal(gw_config_parse("f", text, len - 1, environment, NULL, &c, &report), GW_EINVALID);
    assert_string_equal(report.errors[0].text, "f:1: nested too deeply");
    strcpy(text, "listen: [");
    for (int i = 0; i < 3000; i++)
        strcat(text + 9, "1,");
    strcat(text, "]\n");
    assert_int_equal(gw_config_parse("f", text, strlen(text), environment, NULL, &c, &report), GW_EINVALID);
    assert_string_equal(report.errors[0].text, "f:1: more than 2000 values: is this the right file?");
    assert_int_equal(gw_config_parse("f", "a: 1\nb: \xff\n", 10, environment, NULL, &c, &report),
                     GW_EINVALID);
    assert_string_equal(report.errors[0].text,
                        "f:2: not valid UTF-8 text: save the file as UTF-8, without control characters");
    assert_int_equal(gw_config_parse("f", "a\0b: 1\n", 7, environment, NULL, &c, &report), GW_EINVALID);
    free(text);
}

static void test_a_file_that_is_not_there_is_named(void **state)
{
    (void)state;
    struct gw_config c;
    struct gw_error error;
    assert_int_equal(gw_config_load("no/such/file.yaml", &c, &error), GW_ENOTFOUND);
    assert_string_equal(error.text, "no/such/file.yaml: cannot be opened: No such file or directory");
    assert_int_equal(gw_config_load("/", &c, &error), GW_EIO);
}

/* The whole of example and defaults: what the file sets must be what the loader would have set. */
static void test_the_example_file_holds_the_defaults(void **state)
{
    (void)state;
    struct gw_config example, defaults;
    int rc = gw_config_load_report(TRIBUTARY_SOURCE_DIR "/gateway/deploy/tributaryd.yaml", &example, &report);
    if (rc != GW_OK)
        print_error("%s\n", report.errors[0].text);
    assert_int_equal(rc, GW_OK);
    assert_int_equal(parse(GOOD, &defaults), GW_OK);
    for (size_t i = 0; i < gw_config_key_count; i++) {
        const struct gw_config_key *key = &gw_config_keys[i];
        char a[512], b[512];
        if (key->required || strcmp(key->path, "auth.client_ca") == 0)
            continue;
        assert_int_equal(gw_config_value_count(&example, key), gw_config_value_count(&defaults, key));
        if (gw_config_value_count(&defaults, key) == 0)
            continue;
        gw_config_value_text(&example, key, 0, a, sizeof a);
        gw_config_value_text(&defaults, key, 0, b, sizeof b);
        assert_string_equal(a, b);
    }
    gw_config_free(&example);
    gw_config_free(&defaults);
}

static size_t print(const struct gw_config *config, char *text, size_t capacity)
{
    FILE *out = fmemopen(text, capacity, "w");
    assert_non_null(out);
    gw_config_print_effective(config, out);
    long len = ftell(out);
    fclose(out);
    assert_in_range(len, 1, capacity - 1);
    return (size_t)len;
}

static void test_the_printed_effective_configuration_loads_to_the_same(void **state)
{
    (void)state;
    struct gw_config first, second;
    assert_int_equal(parse(GOOD "  quota: 1000000001\n"
                                "limits:\n  keepalive: 90s\n"
                                "lake:\n  enabled: false\n"
                                "observe:\n  http_address: 'it''s \"a\\b\" # $$x: caf\xc3\xa9 - '\n"
                                "privacy:\n  seal_key_file: \"/\\u0085\\u2028\\t\\ufeff\\u00a0\"\n",
                           &first),
                     GW_OK);
    char text[8192], again[8192];
    size_t len = print(&first, text, sizeof text);
    int rc = gw_config_parse("f.yaml", text, len, environment, NULL, &second, &report);
    if (rc != GW_OK)
        print_error("%s\n%s\n", report.errors[0].text, text);
    assert_int_equal(rc, GW_OK);
    assert_int_equal(print(&second, again, sizeof again), len);
    assert_memory_equal(text, again, len);
    assert_int_equal(second.data.quota_bytes, 1000000001);
    assert_int_equal(second.limits.keepalive_ms, 90000);
    assert_string_equal(second.observe.http_address, "it's \"a\\b\" # $x: caf\xc3\xa9 - ");
    assert_string_equal(second.privacy.seal_key_file, first.privacy.seal_key_file);
    gw_config_free(&first);
    gw_config_free(&second);
}

static void test_check_config_warns_about_files_that_cannot_be_read(void **state)
{
    (void)state;
    struct gw_config c;
    char text[16384] = "";
    assert_int_equal(parse(GOOD, &c), GW_OK);
    FILE *out = fmemopen(text, sizeof text, "w");
    assert_int_equal(gw_config_check_print(&c, out), 3);
    fclose(out);
    assert_non_null(strstr(text, "warning: `listen.key`: conf/gw.key cannot be read"));
    assert_non_null(strstr(text, "Memory, at worst:\n  31 MiB      1000 connections"));
    gw_config_free(&c);
}

static void test_one_thread_fewer_than_cores_serves_devices(void **state)
{
    (void)state;
    struct gw_config config = {.listen = {.threads = 0}};
    assert_int_equal(gw_config_ingest_threads(&config, 1), 1);
    assert_int_equal(gw_config_ingest_threads(&config, 2), 1);
    assert_int_equal(gw_config_ingest_threads(&config, 8), 7);
    assert_int_equal(gw_config_ingest_threads(&config, 200), GW_INGEST_THREADS_MAX);
    config.listen.cpus = "1,4-6";
    assert_int_equal(gw_config_ingest_threads(&config, 8), 4);
    assert_int_equal(gw_config_ingest_threads(&config, 2), 2);
    config.listen.threads = 5;
    assert_int_equal(gw_config_ingest_threads(&config, 2), 5);
}

static void test_lists_of_cpus(void **state)
{
    (void)state;
    cpu_set_t cpus;
    assert_int_equal(gw_cores_parse("1", &cpus), GW_OK);
    assert_true(CPU_COUNT(&cpus) == 1 && CPU_ISSET(1, &cpus));
    assert_int_equal(gw_cores_parse("0,2-4,3,1023", &cpus), GW_OK);
    assert_true(CPU_COUNT(&cpus) == 5 && CPU_ISSET(0, &cpus) && CPU_ISSET(2, &cpus) && CPU_ISSET(3, &cpus) &&
                CPU_ISSET(4, &cpus) && CPU_ISSET(1023, &cpus));
    static const char *const no_lists[] = {"",   ",", "1,",    "-1",  "1-",   "2-1",
                                           "1 ", "a", "1-2-3", "0x1", "1024", "99999999999999999999"};
    for (size_t i = 0; i < sizeof no_lists / sizeof no_lists[0]; i++)
        assert_int_equal(gw_cores_parse(no_lists[i], &cpus), GW_EINVALID);
}

static void *where(void *context)
{
    cpu_set_t *cpus = context;
    assert_int_equal(pthread_getaffinity_np(pthread_self(), sizeof *cpus, cpus), 0);
    return NULL;
}

static void test_a_thread_runs_on_the_cpus_that_it_is_given(void **state)
{
    (void)state;
    cpu_set_t usable, cpus;
    assert_int_equal(sched_getaffinity(0, sizeof usable, &usable), 0);
    int last = CPU_SETSIZE - 1;
    while (!CPU_ISSET((size_t)last, &usable))
        last--;
    char list[16];
    snprintf(list, sizeof list, "%d", last);
    pthread_t thread;
    assert_int_equal(gw_cores_thread(list, &thread, where, &cpus), 0);
    pthread_join(thread, NULL);
    assert_true(CPU_COUNT(&cpus) == 1 && CPU_ISSET((size_t)last, &cpus));
    assert_int_equal(gw_cores_thread("", &thread, where, &cpus), 0);
    pthread_join(thread, NULL);
    assert_true(CPU_EQUAL(&cpus, &usable));
    assert_int_equal(gw_cores_thread("1023", &thread, where, &cpus), EINVAL);
}

/* Sixteen segments a quota, unless they are to be smaller, or the largest message needs them larger. */
static void test_a_quota_makes_segments_smaller(void **state)
{
    (void)state;
    const uint64_t mib = 1 << 20;
    struct gw_config config = {.data = {.segment_bytes = 256 * mib}, .limits = {.message_bytes = 65536}};
    assert_int_equal(gw_config_segment_bytes(&config), 256 * mib);
    assert_int_equal(gw_config_item_bytes(&config), 32 * mib);
    config.data.quota_bytes = 512 * mib;
    assert_int_equal(gw_config_segment_bytes(&config), 32 * mib);
    config.data.quota_bytes = 8192 * mib;
    assert_int_equal(gw_config_segment_bytes(&config), 256 * mib);
    config.data.quota_bytes = 3 * mib;
    assert_int_equal(gw_config_segment_bytes(&config), mib);
    config.limits.message_bytes = 1 * mib;
    assert_int_equal(gw_config_message_segment_bytes(&config), 8 * mib + 262144);
    config.data.quota_bytes = 64 * mib;
    assert_int_equal(gw_config_segment_bytes(&config), 8 * mib + 262144);
    config.data.quota_bytes = 16 * mib;
    assert_int_equal(gw_config_segment_bytes(&config), 4 * mib);
    config.data.segment_bytes = 2 * mib;
    assert_int_equal(gw_config_segment_bytes(&config), 2 * mib);
}

static void test_units(void **state)
{
    (void)state;
    uint64_t v = 0;
    char text[GW_UNITS_TEXT_MAX];
    assert_true(gw_units_size("18446744073709551615", &v) && v == UINT64_MAX);
    assert_false(gw_units_size("18446744073709551616", &v));
    assert_true(gw_units_size("16777215TiB", &v) && v == 16777215ULL << 40);
    assert_false(gw_units_size("16777216TiB", &v));
    assert_true(gw_units_size("1 KiB", &v) && v == 1024);
    static const char *const not_sizes[] = {"",   "-1",  "+1",    "1.5MiB", "1K",  "1 ",
                                            " 1", "MiB", "1MiB ", "0x10",   "1kib"};
    for (size_t i = 0; i < sizeof not_sizes / sizeof not_sizes[0]; i++)
        assert_false(gw_units_size(not_sizes[i], &v));
    assert_true(gw_units_duration("0", &v) && v == 0);
    assert_true(gw_units_duration("2d", &v) && v == 172800000);
    assert_false(gw_units_duration("5", &v));
    assert_false(gw_units_duration("5sec", &v));
    assert_string_equal(gw_units_size_text(1536, text), "1536");
    assert_string_equal(gw_units_size_text(3 << 20, text), "3MiB");
    assert_string_equal(gw_units_size_text(0, text), "0");
    assert_string_equal(gw_units_duration_text(90000, text), "90s");
    assert_string_equal(gw_units_duration_text(1500, text), "1500ms");
    assert_string_equal(gw_units_duration_text(0, text), "0");
    assert_string_equal(gw_units_size_about(1500ULL << 20, text), "1.5 GiB");
    assert_string_equal(gw_units_duration_about(47 * 3600, text), "47 hours");
    assert_string_equal(gw_units_duration_about(1, text), "1 second");
    assert_string_equal(gw_units_duration_about(UINT64_MAX, text), "over 10 years");
}

static void test_nearest(void **state)
{
    (void)state;
    assert_int_equal(gw_nearest_distance("prot", "port"), 1);
    assert_int_equal(gw_nearest_distance("", "abc"), 3);
    assert_int_equal(gw_nearest_distance("kitten", "sitting"), 3);
    assert_int_equal(gw_nearest_distance("same", "same"), 0);
}

static void test_a_reload_may_change_some_keys_and_no_others(void **state)
{
    (void)state;
    static const struct {
        const char *more;
        const char *refused; /* NULL: taken */
    } cases[] = {
        {"", NULL},
        {"devices:\n  linger: 3s\n", NULL},
        {"drain:\n  retry_after: 9s\n  alternates: [a.example:1, b.example:2]\n", NULL},
        {"observe:\n  log_level: debug\n", NULL},
        {"observe:\n  http_port: 1\n", "observe.http_port"},
        {"limits:\n  credit_events: 7\n", "limits.credit_events"},
        {"lake:\n  enabled: false\n", "lake.enabled"},
        {"privacy:\n  seal_key_id: s2\n", "privacy.seal_key_id"},
    };
    struct gw_config running, wanted;
    assert_int_equal(parse(GOOD, &running), GW_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[1024];
        struct gw_error error = {0};
        snprintf(text, sizeof text, "%s%s", GOOD, cases[i].more);
        assert_int_equal(parse(text, &wanted), GW_OK);
        int result = gw_config_check_reload(&running, &wanted, &error);
        assert_int_equal(result, cases[i].refused ? GW_EINVALID : GW_OK);
        if (cases[i].refused)
            assert_memory_equal(error.text, cases[i].refused, strlen(cases[i].refused));
        gw_config_free(&wanted);
    }
    gw_config_free(&running);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_reload_may_change_some_keys_and_no_others),
        cmocka_unit_test(test_a_minimal_file_has_every_default),
        cmocka_unit_test(test_values_of_each_type_are_read),
        cmocka_unit_test(test_each_mistake_has_its_message),
        cmocka_unit_test(test_all_errors_are_collected_in_the_order_of_lines),
        cmocka_unit_test(test_errors_beyond_the_report_are_counted),
        cmocka_unit_test(test_a_variable_never_shows_its_value_in_an_error),
        cmocka_unit_test(test_large_deep_and_binary_files_are_refused),
        cmocka_unit_test(test_a_file_that_is_not_there_is_named),
        cmocka_unit_test(test_the_example_file_holds_the_defaults),
        cmocka_unit_test(test_the_printed_effective_configuration_loads_to_the_same),
        cmocka_unit_test(test_check_config_warns_about_files_that_cannot_be_read),
        cmocka_unit_test(test_one_thread_fewer_than_cores_serves_devices),
        cmocka_unit_test(test_lists_of_cpus),
        cmocka_unit_test(test_a_thread_runs_on_the_cpus_that_it_is_given),
        cmocka_unit_test(test_a_quota_makes_segments_smaller),
        cmocka_unit_test(test_units),
        cmocka_unit_test(test_nearest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
