#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <pthread.h>

#include <cmocka.h>

#include "delivery/delivery.h"
#include "lake/ndjson.h"
#include "observe/log.h"
#include "sinks/stream_log.h"
#include "sinks/stream_reader.h"
#include "unit/gateway/sink_fixture.h"

static struct memory_journal memory;
static char root[64], path[160];
static struct gw_journal *journal;
static struct gw_error error;
static uint64_t committed;

static void open_journal(void)
{
    const struct gw_journal_config config = {.folder = root, .segment_bytes = 1 << 20};
    assert_int_equal(gw_journal_open(&config, &journal, &error), 0);
}

static int setup(void **state)
{
    (void)state;
    gw_log_set_level(GW_LOG_ERROR + 1); /* what is logged here is what is tested here */
    journal_make(&memory, 30);
    committed = 0;
    if (!make_root(root))
        return -1;
    open_journal();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (journal)
        gw_journal_close(journal);
    journal = NULL;
    remove_tree(root);
    journal_free(&memory);
    return 0;
}

/* One more entry, `entry_len` bytes of any kind. */
static void commit_bytes(const uint8_t *entry, size_t entry_len)
{
    struct gw_journal_write write = {.device = "dev-1", .entry = entry, .entry_len = entry_len};
    write.lanes[0] = (struct gw_journal_lane){.stream = 1, .expected = committed, .last_seq = committed + 1};
    struct gw_journal_write *writes[] = {&write};
    assert_int_equal(gw_journal_commit(journal, writes, 1, &error), 0);
    assert_int_equal(write.status, 0);
    committed++;
}

static void commit(size_t count)
{
    for (size_t i = 0; i < count; i++)
        commit_bytes(memory.entries[committed], memory.lens[committed]);
}

/* --- a sink that can be told to fail --- */

struct fake {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct gw_sink_position start;
    unsigned fail_opens, fail_writes, fail_flushes; /* every so many calls, until so many are left */
    unsigned opens, closes, frees;
    uint64_t taken, durable; /* next offset */
    uint64_t events;
    bool out_of_order, cursor_ahead;
    bool patient; /* nothing is due before the end */
};

static struct fake fake;

static int fails(unsigned *left)
{
    if (*left == 0)
        return 0;
    (*left)--;
    return gw_error_set(&error, GW_EIO, 0, "told to fail");
}

static int fake_open(void *self, struct gw_sink_position *out, struct gw_error *e)
{
    struct fake *f = self;
    (void)e;
    pthread_mutex_lock(&f->lock);
    f->opens++;
    int rc = fails(&f->fail_opens);
    f->taken = f->durable;
    *out = f->start;
    if (f->durable > 0)
        *out = (struct gw_sink_position){true, f->start.epoch, f->durable, 0};
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
    return rc;
}

static int fake_write(void *self, uint64_t offset, const uint8_t *entry, size_t len, struct gw_error *e)
{
    struct fake *f = self;
    (void)entry;
    (void)len;
    (void)e;
    pthread_mutex_lock(&f->lock);
    int rc = offset % 3 == 2 ? fails(&f->fail_writes) : 0;
    if (rc == 0) {
        f->out_of_order |= f->taken != 0 && offset != f->taken;
        f->taken = offset + 1;
    }
    pthread_mutex_unlock(&f->lock);
    return rc;
}

static int fake_flush(void *self, enum gw_sink_flush how, uint64_t *out_next, uint64_t *out_events,
                      struct gw_error *e)
{
    struct fake *f = self;
    (void)e;
    pthread_mutex_lock(&f->lock);
    uint64_t cursor = 0;
    f->cursor_ahead |= gw_journal_cursor_get(journal, "fake", &cursor) == GW_OK && cursor > f->durable;
    int rc = fails(&f->fail_flushes);
    if (rc == 0) {
        if (!f->patient || how == GW_FLUSH_ALL)
            f->durable = f->taken;
        *out_next = f->durable;
        *out_events = 0;
    }
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
    return rc;
}

static void fake_close(void *self)
{
    struct fake *f = self;
    f->closes++;
}

static void fake_free(void *self)
{
    struct fake *f = self;
    f->frees++;
}

static struct gw_sink fake_sink(void)
{
    fake = (struct fake){.start = {.epoch = gw_journal_epoch(journal)}};
    pthread_mutex_init(&fake.lock, NULL);
    pthread_cond_init(&fake.changed, NULL);
    return (struct gw_sink){.name = "fake",
                            .offset_metric = GW_METRIC_STREAM_OFFSET,
                            .events_metric = GW_METRIC_STREAM_EVENTS,
                            .self = &fake,
                            .open = fake_open,
                            .write = fake_write,
                            .flush = fake_flush,
                            .close = fake_close,
                            .free = fake_free};
}

/* Bounded: a sink that never gets there fails the test. */
static void wait_for(const uint64_t *offset, uint64_t next)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 20;
    pthread_mutex_lock(&fake.lock);
    while (*offset < next)
        assert_int_equal(pthread_cond_timedwait(&fake.changed, &fake.lock, &until), 0);
    pthread_mutex_unlock(&fake.lock);
}

static void wait_for_durable(uint64_t next)
{
    wait_for(&fake.durable, next);
}

static struct gw_delivery *start(const struct gw_sink *sinks, size_t count, uint32_t idle_ms)
{
    const struct gw_delivery_config config = {.backoff_min_ms = 1, .backoff_max_ms = 4, .idle_ms = idle_ms};
    struct gw_delivery *delivery;
    assert_int_equal(gw_delivery_start(journal, &config, sinks, count, &delivery, &error), 0);
    return delivery;
}

/* Until the sink is in this state and has come so far; bounded. */
static struct gw_delivery_status wait_for_status(struct gw_delivery *delivery, size_t sink,
                                                 enum gw_delivery_state state, uint64_t next)
{
    struct gw_delivery_status status[GW_DELIVERY_SINKS_MAX];
    struct timespec begin, now;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    do {
        assert_true(gw_delivery_get_status(delivery, status, GW_DELIVERY_SINKS_MAX) > sink);
        clock_gettime(CLOCK_MONOTONIC, &now);
        assert_true(now.tv_sec - begin.tv_sec < 20);
        sched_yield();
    } while (status[sink].state != state || status[sink].next < next);
    return status[sink];
}

static void test_entries_reach_a_sink_in_order_and_the_cursor_follows(void **state)
{
    (void)state;
    commit(10);
    struct gw_sink sink = fake_sink();
    struct gw_delivery *delivery = start(&sink, 1, 5);
    wait_for_durable(10);
    commit(20);
    wait_for_durable(30);
    gw_delivery_stop(delivery);
    assert_false(fake.out_of_order);
    assert_false(fake.cursor_ahead);
    assert_int_equal(fake.frees, 1);
    uint64_t cursor;
    assert_int_equal(gw_journal_cursor_get(journal, "fake", &cursor), 0);
    assert_int_equal(cursor, 30);
}

static void test_a_commit_wakes_the_sinks(void **state)
{
    (void)state;
    struct gw_sink sink = fake_sink();
    struct gw_delivery *delivery = start(&sink, 1, 3600000);
    for (unsigned i = 1; i <= 20; i++) {
        commit(1);
        gw_delivery_wake(delivery);
        wait_for_durable(i);
    }
    gw_delivery_stop(delivery);
    gw_delivery_wake(NULL);
    gw_delivery_stop(NULL);
}

static void test_every_failure_is_retried_from_what_is_durable(void **state)
{
    (void)state;
    commit(30);
    struct gw_sink sink = fake_sink();
    fake.fail_opens = 3;
    fake.fail_writes = 7;
    fake.fail_flushes = 5;
    const uint64_t failures = gw_metric_get(GW_METRIC_SINK_FAILURES);
    struct gw_delivery *delivery = start(&sink, 1, 5);
    wait_for_durable(30);
    gw_delivery_stop(delivery);
    assert_false(fake.out_of_order);
    assert_false(fake.cursor_ahead);
    assert_int_equal(gw_metric_get(GW_METRIC_SINK_FAILURES) - failures, 15);
    assert_int_equal(fake.opens, 16);
    assert_int_equal(fake.closes, fake.opens);
}

static void test_a_stop_does_not_wait_for_a_sink_that_fails(void **state)
{
    (void)state;
    commit(3);
    struct gw_sink sink = fake_sink();
    fake.fail_writes = UINT32_MAX;
    const struct gw_delivery_config config = {.backoff_min_ms = 3600000, .backoff_max_ms = 3600000};
    struct gw_delivery *delivery;
    assert_int_equal(gw_delivery_start(journal, &config, &sink, 1, &delivery, &error), 0);
    struct gw_delivery_status status = wait_for_status(delivery, 0, GW_DELIVERY_RETRYING, 0);
    assert_string_equal(status.sink, "fake");
    gw_delivery_stop(delivery);
    assert_int_equal(fake.frees, 1);
}

static void new_embedded(struct gw_sink sinks[2], uint64_t epoch)
{
    snprintf(path, sizeof path, "%s/stream", root);
    const struct gw_stream_log_config stream = {path, 5000, epoch, GATEWAY_ID};
    assert_int_equal(gw_stream_log_new(&stream, &sinks[0], &error), 0);
    snprintf(path, sizeof path, "%s/lake", root);
    const struct gw_lake_config lake = {path, 1, 0, epoch, GATEWAY_ID};
    assert_int_equal(gw_lake_new(&lake, &sinks[1], &error), 0);
}

static size_t count_stream(void)
{
    struct gw_stream_reader *reader;
    struct gw_stream_record record;
    size_t count = 0;
    snprintf(path, sizeof path, "%s/stream", root);
    assert_int_equal(gw_stream_reader_open(path, 0, &reader, &error), 0);
    while (gw_stream_reader_next(reader, &record, &error) == 1) {
        assert_int_equal(record.json_len, strlen(memory.json[count]));
        assert_memory_equal(record.json, memory.json[count], record.json_len);
        count++;
    }
    gw_stream_reader_close(reader);
    return count;
}

static void test_stream_and_lake_survive_restarts_of_the_gateway(void **state)
{
    (void)state;
    const uint64_t stream_events = gw_metric_get(GW_METRIC_STREAM_EVENTS);
    const uint64_t lake_events = gw_metric_get(GW_METRIC_LAKE_EVENTS);
    for (unsigned life = 0; life < 6; life++) {
        struct gw_sink sinks[2];
        new_embedded(sinks, gw_journal_epoch(journal));
        commit(2);
        struct gw_delivery *delivery = start(sinks, 2, 5);
        commit(3);
        gw_delivery_wake(delivery);
        wait_for_status(delivery, 0, GW_DELIVERY_RUNNING, committed);
        wait_for_status(delivery, 1, GW_DELIVERY_RUNNING, committed);
        const char *names[GW_DELIVERY_SINKS_MAX];
        assert_int_equal(gw_delivery_sink_names(delivery, names), 2);
        assert_string_equal(names[0], "stream");
        assert_string_equal(names[1], "lake");
        gw_delivery_stop(delivery);
        gw_journal_close(journal);
        open_journal();
    }
    assert_int_equal(committed, 30);
    assert_int_equal(count_stream(), memory.event_count);
    assert_int_equal(gw_metric_get(GW_METRIC_STREAM_EVENTS) - stream_events, memory.event_count);
    assert_int_equal(gw_metric_get(GW_METRIC_LAKE_EVENTS) - lake_events, memory.event_count);
    uint64_t cursor;
    assert_int_equal(gw_journal_cursor_get(journal, "lake", &cursor), 0);
    assert_int_equal(cursor, 30);
}

/* What was handed over but was not due to be flushed is flushed when the gateway stops. */
static void test_a_stop_flushes_what_waits(void **state)
{
    (void)state;
    commit(10);
    struct gw_sink sink = fake_sink();
    fake.patient = true;
    struct gw_delivery *delivery = start(&sink, 1, 1);
    wait_for(&fake.taken, 10);
    uint64_t cursor = 0;
    assert_int_equal(gw_journal_cursor_get(journal, "fake", &cursor), GW_ENOTFOUND);
    gw_delivery_stop(delivery);
    assert_int_equal(fake.durable, 10);
    assert_int_equal(gw_journal_cursor_get(journal, "fake", &cursor), 0);
    assert_int_equal(cursor, 10);
}

static void test_a_sink_of_another_journal_stops_and_says_so(void **state)
{
    (void)state;
    commit(5);
    struct gw_sink sinks[2];
    new_embedded(sinks, gw_journal_epoch(journal));
    struct gw_delivery *delivery = start(sinks, 2, 1);
    wait_for_status(delivery, 0, GW_DELIVERY_RUNNING, 5);
    gw_delivery_stop(delivery);
    const size_t before = count_stream();

    struct gw_sink stranger = fake_sink();
    fake.start = (struct gw_sink_position){true, gw_journal_epoch(journal) + 1, 2, 0};
    struct gw_sink both[2] = {stranger, {0}};
    new_embedded(sinks, gw_journal_epoch(journal));
    sinks[1].free(sinks[1].self);
    both[1] = sinks[0];
    delivery = start(both, 2, 1);
    struct gw_delivery_status said = wait_for_status(delivery, 0, GW_DELIVERY_STOPPED, 0);
    assert_non_null(strstr(said.error.text, "another journal"));
    commit(5); /* the other sink goes on */
    gw_delivery_wake(delivery);
    wait_for_status(delivery, 1, GW_DELIVERY_RUNNING, 10);
    gw_delivery_stop(delivery);
    assert_int_equal(fake.taken, 0);
    assert_true(count_stream() > before);
}

static void test_a_sink_ahead_of_the_journal_stops_and_says_so(void **state)
{
    (void)state;
    commit(5);
    const struct gw_sink_position ahead[] = {{true, 0, 6, 0}, {true, 0, 5, 1}};
    for (size_t i = 0; i < 2; i++) {
        struct gw_sink sink = fake_sink();
        fake.start = ahead[i];
        fake.start.epoch = gw_journal_epoch(journal);
        struct gw_delivery *delivery = start(&sink, 1, 1);
        struct gw_delivery_status status = wait_for_status(delivery, 0, GW_DELIVERY_STOPPED, 0);
        assert_non_null(strstr(status.error.text, "ahead"));
        gw_delivery_stop(delivery);
        assert_int_equal(fake.taken, 0);
    }
    struct gw_sink sink = fake_sink(); /* exactly at the end is no fault */
    fake.start = (struct gw_sink_position){true, gw_journal_epoch(journal), 5, 0};
    struct gw_delivery *delivery = start(&sink, 1, 1);
    commit(1);
    wait_for_durable(6);
    gw_delivery_stop(delivery);
}

static void test_entries_that_the_journal_no_longer_has_are_counted(void **state)
{
    (void)state;
    uint8_t *bytes = calloc(1, 50000);
    for (unsigned i = 0; i < 100; i++)
        commit_bytes(bytes, 50000);
    free(bytes);
    const char *const names[] = {"other"};
    assert_int_equal(gw_journal_cursor_set(journal, "other", 100), 0);
    assert_int_equal(gw_journal_reclaim(journal, names, 1), 0);
    const uint64_t begin = gw_journal_begin(journal);
    assert_true(begin > 2);
    struct gw_sink sink = fake_sink();
    fake.start = (struct gw_sink_position){true, gw_journal_epoch(journal), 2, 0};
    struct gw_delivery *delivery = start(&sink, 1, 1);
    wait_for_durable(100);
    struct gw_delivery_status status;
    gw_delivery_get_status(delivery, &status, 1);
    assert_int_equal(status.lost, begin - 2);
    gw_delivery_stop(delivery);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_entries_reach_a_sink_in_order_and_the_cursor_follows),
        TEST(test_a_commit_wakes_the_sinks),
        TEST(test_every_failure_is_retried_from_what_is_durable),
        TEST(test_a_stop_does_not_wait_for_a_sink_that_fails),
        TEST(test_stream_and_lake_survive_restarts_of_the_gateway),
        TEST(test_a_stop_flushes_what_waits),
        TEST(test_a_sink_of_another_journal_stops_and_says_so),
        TEST(test_a_sink_ahead_of_the_journal_stops_and_says_so),
        TEST(test_entries_that_the_journal_no_longer_has_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
