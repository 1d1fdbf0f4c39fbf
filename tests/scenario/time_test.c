/*
 * What time it was: devices with clocks of all kinds, a network that takes its time, gateways whose clock is a little off
 * or not to be trusted. The test knows the true time of each event; the one that the gateway works out from the journal's
 * own bytes must be within the uncertainty that it states.
 */
#include "support/fake_device.h"

#include "delivery/event.h"
#include "template/clock32.h"

#define EVENTS_MAX 4096
#define TRUE_BEGIN_MS 1764000000000ull
#define UNCERTAINTY_MS 20 /* of the gateway's clock */

enum kind {
    FROM_BOOT, /* 0 at each boot */
    RUNS_ON,   /* over restarts of the process: CLOCK_BOOTTIME */
    STOPS,     /* in suspend, and says that it did */
    WRAPS,     /* a counter of 32 bits */
    KIND_COUNT
};

struct world {
    struct fake_device device;
    struct fake_gateway gateway;
    enum kind kind;
    int drift_ppm;      /* of the device's clock */
    uint64_t true_ms;   /* since TRUE_BEGIN_MS */
    uint64_t power_ms;  /* when the device's counter stood at 0, in true time */
    uint64_t asleep_ms; /* that the counter missed */
    uint32_t suspends;
    struct trib_clock32 wide;
    uint32_t count;          /* events recorded */
    uint64_t at[EVENTS_MAX]; /* their true times */
    unsigned by_quality[4], judged;
    uint64_t worst_ms;
};

static uint32_t seed = 1;

static uint32_t random_below(uint32_t limit)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed % limit;
}

static uint64_t device_clock(void *context)
{
    struct world *w = context;
    uint64_t ms = w->true_ms - w->power_ms - w->asleep_ms;
    ms = ms + (uint64_t)((int64_t)ms * w->drift_ppm / 1000000);
    /* The counter starts an hour before it wraps. */
    return w->kind == WRAPS ? trib_clock32_ms(&w->wide, (uint32_t)(ms - 3600000)) : ms;
}

static uint32_t suspends(void *context)
{
    return ((const struct world *)context)->suspends;
}

static void live(struct world *w, uint64_t ms)
{
    uint32_t next;
    for (; ms > 0 && w->kind == WRAPS;
         ms -= ms < 3600000000u ? ms : 3600000000u) { /* it is read once a lap */
        w->true_ms += ms < 3600000000u ? ms : 3600000000u;
        (void)device_clock(w);
    }
    w->true_ms += ms;
    assert_int_equal(trib_poll(&w->device.client, &next), 0);
}

static void record(struct world *w)
{
    uint8_t buffer[64];
    struct trib_custom e;
    assert_true(w->count < EVENTS_MAX);
    trib_custom_begin(&e, buffer, sizeof buffer, "t");
    trib_custom_int(&e, "n", w->count);
    w->at[w->count++] = TRUE_BEGIN_MS + w->true_ms;
    assert_int_equal(trib_custom_record(&w->device.client, &e), 0);
}

static bool number_of(const struct gw_event *e, uint32_t *out)
{
    struct trib_cbor_reader r;
    size_t len;
    if (e->type != TRIB_EVENT_CUSTOM)
        return false;
    trib_cbor_reader_init(&r, e->fields, e->fields_len);
    (void)trib_cbor_get_map(&r);
    for (unsigned i = 0; i < 3; i++)
        trib_cbor_skip(&r);
    (void)trib_cbor_get_map(&r);
    (void)trib_cbor_get_text(&r, &len);
    *out = (uint32_t)trib_cbor_get_uint(&r);
    return r.error == 0;
}

static void judge(struct world *w, const struct gw_event *e)
{
    uint32_t n;
    if (!number_of(e, &n))
        return;
    assert_true(n < w->count);
    w->by_quality[e->quality]++;
    if (e->quality == TRIB_TIME_RECEIVED) {
        assert_true(e->uncertainty_ms == GW_UNCERTAINTY_UNKNOWN);
        return;
    }
    uint64_t off = e->utc_ms > w->at[n] ? e->utc_ms - w->at[n] : w->at[n] - e->utc_ms;
    if (off > e->uncertainty_ms)
        fail_msg("event %u of clock %d: %llu ms off, stated %llu", n, w->kind, (unsigned long long)off,
                 (unsigned long long)e->uncertainty_ms);
    w->worst_ms = off > w->worst_ms ? off : w->worst_ms;
    w->judged++;
}

/* The way of a batch into the journal, and out of it. */
static void deliver(struct world *w)
{
    static uint8_t batch[1500], entry[4096];
    const struct gw_entry_head head = {.device = {"d", 1}, .received_utc_ms = TRUE_BEGIN_MS + w->true_ms};
    struct fake_device *d = &w->device;
    size_t len, at;
    uint64_t events, counted;
    d->client.hurry = true;
    for (;;) {
        struct trib_wire_ack ack;
        struct gw_event_reader reader;
        struct gw_event event;
        int rc;
        assert_int_equal(d->source.batch(&d->client, batch, sizeof batch, 1000, &len, &events), 0);
        if (len == 0)
            break;
        assert_int_equal(gw_entry_head_encode(&head, entry, sizeof entry, &at), 0);
        memcpy(entry + at, batch, len);
        assert_int_equal(gw_event_reader_open(&reader, 0, entry, at + len), 0);
        while ((rc = gw_event_next(&reader, &event)) > 0)
            judge(w, &event);
        assert_int_equal(rc, 0);
        fake_take_message(&w->gateway, batch, len, &counted, &ack);
        d->source.ack(&d->client, &ack);
    }
    d->client.hurry = false;
}

/* HELLO and WELCOME take as long as they take, each way; the gateway reads its clock in between. */
static void connect(struct world *w, bool keeps_time)
{
    struct trib_wire_hello hello;
    struct trib_wire_welcome welcome;
    struct fake_device *d = &w->device;
    d->source.hello(&d->client, &hello);
    w->true_ms += random_below(3000);
    w->gateway.utc_ms =
        keeps_time ? TRUE_BEGIN_MS + w->true_ms + random_below(2 * UNCERTAINTY_MS + 1) - UNCERTAINTY_MS : 0;
    fake_answer(&w->gateway, &hello, &welcome);
    welcome.utc_uncertainty_ms = UNCERTAINTY_MS;
    w->true_ms += random_below(3000);
    assert_int_equal(d->source.welcome(&d->client, &welcome), 0);
    deliver(w);
}

static void restart(struct world *w)
{
    assert_int_equal(trib_flush(&w->device.client, 0), 0);
    w->true_ms +=
        random_below(4) ? random_below(5000) : random_below(86400000); /* off for a moment or for a day */
    if (w->kind != RUNS_ON) {
        w->power_ms = w->true_ms;
        w->asleep_ms = 0;
        memset(&w->wide, 0, sizeof w->wide);
    }
    assert_int_equal(fake_device_boot(&w->device), 0);
}

static void suspend(struct world *w)
{
    uint64_t ms = random_below(28800000);
    w->true_ms += ms;
    if (w->kind == STOPS) {
        w->asleep_ms += ms;
        w->suspends++;
    }
    live(w, 0);
}

static struct world *new_world(enum kind kind)
{
    struct world *w = calloc(1, sizeof *w);
    fake_device_init(&w->device, 4096, 16, 1);
    fake_gateway_init(&w->gateway);
    w->kind = kind;
    w->drift_ppm = (int)random_below(191) - 95;
    w->true_ms = 1000000000; /* on for eleven days before the process starts */
    w->power_ms = kind == RUNS_ON ? 0 : w->true_ms;
    w->device.config.clock = (struct trib_clock){w, device_clock};
    w->device.config.discontinuity = (struct trib_discontinuity){w, suspends};
    assert_int_equal(fake_device_boot(&w->device), 0);
    return w;
}

static void free_world(struct world *w)
{
    fake_device_free(&w->device);
    fake_gateway_free(&w->gateway);
    free(w);
}

static void run(enum kind kind, unsigned *by_quality, uint64_t *in_out_worst)
{
    struct world *w = new_world(kind);
    struct trib_session session;
    struct trib_content content = {.content_id = "c"};
    assert_int_equal(trib_session_start(&w->device.client, &session, &content), 0);
    for (unsigned step = 0; step < 120; step++) {
        live(w, random_below(5) ? random_below(60000) : random_below(7200000));
        record(w);
        switch (random_below(12)) {
        case 0:
            restart(w);
            break;
        case 1:
            suspend(w);
            break;
        case 2:
            connect(w, random_below(4) != 0);
            break;
        case 3:
            if (kind == WRAPS)
                live(w, 4294967296u / 2);
            break;
        }
    }
    assert_int_equal(trib_flush(&w->device.client, 0), 0);
    connect(w, true);
    for (unsigned quality = 0; quality < 4; quality++)
        by_quality[quality] += w->by_quality[quality];
    *in_out_worst = w->worst_ms > *in_out_worst ? w->worst_ms : *in_out_worst;
    assert_int_equal(w->by_quality[0] + w->by_quality[1] + w->by_quality[2] + w->by_quality[3], w->count);
    free_world(w);
}

static void all_runs(enum kind kind)
{
    unsigned by_quality[4] = {0};
    uint64_t worst = 0;
    for (uint32_t number = 1; number <= 300; number++) {
        seed = number * 2654435761u | 1;
        run(kind, by_quality, &worst);
    }
    printf("%u synced, %u estimated, %u received; the worst was %llu ms off\n", by_quality[TRIB_TIME_SYNCED],
           by_quality[TRIB_TIME_ESTIMATED], by_quality[TRIB_TIME_RECEIVED], (unsigned long long)worst);
    assert_true(by_quality[TRIB_TIME_SYNCED] > 0 && by_quality[TRIB_TIME_ESTIMATED] > 0);
}

static void test_no_clock_but_a_counter_from_the_boot(void **state)
{
    (void)state;
    all_runs(FROM_BOOT);
}

static void test_a_counter_that_runs_on_over_restarts(void **state)
{
    (void)state;
    all_runs(RUNS_ON);
}

static void test_a_counter_that_stands_still_in_suspend(void **state)
{
    (void)state;
    all_runs(STOPS);
}

static void test_a_counter_that_wraps(void **state)
{
    (void)state;
    all_runs(WRAPS);
}

static void test_a_counter_is_widened_over_each_wrap(void **state)
{
    struct trib_clock32 clock = {0};
    (void)state;
    assert_true(trib_clock32_ms(&clock, UINT32_MAX) == UINT32_MAX);
    assert_true(trib_clock32_ms(&clock, 0) == 1ull << 32);
    assert_true(trib_clock32_ms(&clock, 5) == (1ull << 32) + 5);
    assert_true(trib_clock32_ms(&clock, 4) == (2ull << 32) + 4);
}

/* A session goes on over a jump of the clock: its context is there in sectors that are opened after it. */
static void test_a_session_outlives_a_jump_of_the_clock(void **state)
{
    struct world *w = new_world(STOPS);
    struct trib_session session;
    struct trib_content content = {.content_id = "c"};
    struct trib_player player = {.report = TRIB_PLAYER_PLAYING, .position_ms = UINT64_MAX};
    uint64_t id = 0;
    (void)state;
    assert_int_equal(trib_session_start(&w->device.client, &session, &content), 0);
    for (unsigned i = 0; i < 200; i++) {
        player.report = i % 2 ? TRIB_PLAYER_PAUSED : TRIB_PLAYER_PLAYING;
        assert_int_equal(trib_session_report(&session, &player), 0);
        live(w, 5000);
        if (i % 50 == 49)
            suspend(w);
        if (i % 20 == 19)
            connect(w, true);
    }
    uint32_t boot = w->device.client.boot;
    assert_int_equal(boot, 5);
    player.report = TRIB_PLAYER_PLAY;
    assert_int_equal(trib_session_report(&session, &player), 0);
    assert_int_equal(trib_flush(&w->device.client, 0), 0);
    assert_int_equal(fake_device_boot(&w->device),
                     0); /* and its end is found in the boot of its last sign of life */
    connect(w, true);
    for (size_t i = 0; i < w->gateway.event_count; i++) {
        const struct fake_event *e = &w->gateway.events[i];
        if (e->type == TRIB_EVENT_STREAM_START)
            continue;
        id = id ? id : e->session;
        assert_true(id != 0 && e->session == id);
        assert_string_equal(e->content, "c");
    }
    assert_int_equal(fake_count(&w->gateway, TRIB_EVENT_SESSION_END), 1);
    for (size_t i = 0; i < w->gateway.event_count; i++)
        if (w->gateway.events[i].type == TRIB_EVENT_SESSION_END)
            assert_int_equal(w->gateway.events[i].boot, boot);
    free_world(w);
}

/* It must not, but if it does: nothing goes back, nothing breaks. */
static void test_a_clock_that_goes_back_stands_still(void **state)
{
    struct world *w = new_world(FROM_BOOT);
    uint64_t last = 0;
    (void)state;
    w->true_ms += 600000;
    for (unsigned i = 0; i < 300; i++) {
        live(w, random_below(500));
        w->true_ms -= random_below(3) ? 0 : random_below(300);
        record(w);
        if (i % 30 == 29) {
            struct trib_wire_hello hello;
            struct trib_wire_welcome welcome;
            w->device.source.hello(&w->device.client, &hello);
            w->true_ms -= random_below(300);
            w->gateway.utc_ms = TRUE_BEGIN_MS;
            fake_answer(&w->gateway, &hello, &welcome);
            assert_int_equal(w->device.source.welcome(&w->device.client, &welcome), 0);
            for (unsigned a = 0; a < TRIB_ANCHORS; a++) /* no round trip of less than nothing */
                assert_true(w->device.client.anchors[a].utc_ms < TRUE_BEGIN_MS + 1000);
            fake_sync(&w->gateway, &w->device);
        }
    }
    assert_int_equal(trib_flush(&w->device.client, 0), 0);
    fake_sync(&w->gateway, &w->device);
    for (size_t i = 0; i < w->gateway.event_count; i++) {
        assert_true(w->gateway.events[i].mono_ms >= last);
        last = w->gateway.events[i].mono_ms;
    }
    assert_int_equal(fake_count(&w->gateway, TRIB_EVENT_CUSTOM), w->count);
    free_world(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_clock_but_a_counter_from_the_boot),
        cmocka_unit_test(test_a_counter_that_runs_on_over_restarts),
        cmocka_unit_test(test_a_counter_that_stands_still_in_suspend),
        cmocka_unit_test(test_a_counter_that_wraps),
        cmocka_unit_test(test_a_counter_is_widened_over_each_wrap),
        cmocka_unit_test(test_a_session_outlives_a_jump_of_the_clock),
        cmocka_unit_test(test_a_clock_that_goes_back_stands_still),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
