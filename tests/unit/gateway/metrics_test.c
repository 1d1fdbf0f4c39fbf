#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "observe/metrics.h"

static void *count(void *unused)
{
    (void)unused;
    for (int i = 0; i < 10000; i++)
        gw_metric_add(GW_METRIC_BATCHES, 1);
    return NULL;
}

static void test_no_increment_is_lost_between_threads(void **state)
{
    (void)state;
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count, NULL), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(gw_metric_get(GW_METRIC_BATCHES), 40000);
}

static void *count_in_own_shard(void *unused)
{
    gw_metrics_own_shard();
    gw_metrics_own_shard(); /* twice is once */
    gw_metric_add(GW_METRIC_JOURNAL_SEGMENTS, 3);
    gw_metric_sub(GW_METRIC_JOURNAL_SEGMENTS, 5);
    return count(unused);
}

/* More threads than shards, one generation after the other: what ended threads counted stays. */
static void test_shards_sum_up_and_outlive_their_threads(void **state)
{
    (void)state;
    uint64_t before = gw_metric_get(GW_METRIC_BATCHES), gauge = gw_metric_get(GW_METRIC_JOURNAL_SEGMENTS);
    pthread_t threads[120];
    for (int generation = 1; generation <= 2; generation++) {
        for (int i = 0; i < 120; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, count_in_own_shard, NULL), 0);
        for (int i = 0; i < 120; i++)
            pthread_join(threads[i], NULL);
        assert_int_equal(gw_metric_get(GW_METRIC_BATCHES) - before, generation * 1200000);
        assert_int_equal(gauge - gw_metric_get(GW_METRIC_JOURNAL_SEGMENTS), generation * 240);
    }
}

static void test_exposition_has_help_type_and_value_of_each_metric(void **state)
{
    (void)state;
    gw_metric_set(GW_METRIC_CONNECTIONS, 5);
    gw_metric_sub(GW_METRIC_CONNECTIONS, 2);
    gw_metric_add(GW_METRIC_COMMIT_US, 12000034);
    size_t len = gw_metrics_render(NULL, 0);
    char *text = malloc(len + 1);
    assert_int_equal(gw_metrics_render(text, len + 1), len);
    assert_int_equal(strlen(text), len);
    assert_non_null(strstr(text, "# HELP tributary_connections device connections now open\n"
                                 "# TYPE tributary_connections gauge\ntributary_connections 3\n"));
    assert_non_null(strstr(text, "\ntributary_commit_seconds_total 12.000034\n"));
    assert_non_null(strstr(text, "# TYPE tributary_batches_total counter\n"));
    assert_int_equal(text[len - 1], '\n');
    free(text);
}

/* Prometheus naming: counters end in _total, gauges do not; help is one line without escapes. */
static void test_every_declared_metric_follows_the_naming_rules(void **state)
{
    (void)state;
    static const struct {
        const char *kind, *name, *help;
    } declared[] = {
#define GW_METRIC(ID, KIND, name, help) {#KIND, name, help},
#include "observe/metrics.def"
#undef GW_METRIC
    };
    for (size_t i = 0; i < GW_METRIC_COUNT; i++) {
        size_t len = strlen(declared[i].name);
        int total = len > 6 && strcmp(declared[i].name + len - 6, "_total") == 0;
        assert_int_equal(total, strncmp(declared[i].kind, "COUNTER", 7) == 0);
        assert_int_equal(strncmp(declared[i].name, "tributary_", 10), 0);
        assert_int_equal(strcspn(declared[i].help, "\n\\\""), strlen(declared[i].help));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_increment_is_lost_between_threads),
        cmocka_unit_test(test_shards_sum_up_and_outlive_their_threads),
        cmocka_unit_test(test_exposition_has_help_type_and_value_of_each_metric),
        cmocka_unit_test(test_every_declared_metric_follows_the_naming_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
