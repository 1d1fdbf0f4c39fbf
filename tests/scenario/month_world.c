#include "scenario/month_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "scenario/staging_tap.h"

#define WINDOW_MS 1000u
#define BIG_UNIT_WINDOW_MS 10000u /* docs/sdk.md: units of 64 bytes and more */
#define NETWORK_STEP_US 20000u
#define CONNECTED_STEP_US (5 * MONTH_SECOND_US)
#define GATEWAY_ERROR_MS 4 /* it states 5 */

uint64_t month_random(struct month_world *w, uint64_t least, uint64_t most)
{
    return least + fake_next(&w->random) % (most - least + 1);
}

/* --- clock, entropy --- */

static uint64_t clock_ms(void *context)
{
    const struct month_world *w = context;
    return w->mono_us / 1000;
}

static uint32_t count_discontinuities(void *context)
{
    return ((const struct month_world *)context)->discontinuities;
}

static int entropy_fill(void *context, uint8_t *out, size_t len)
{
    struct month_world *w = context;
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)fake_next(&w->random);
    return 0;
}

/* The oscillator is off by up to 100 ppm: another amount each day, and a little another each hour. */
static void change_drift(struct month_world *w)
{
    uint64_t hour = w->true_us / MONTH_HOUR_US;
    if (hour % 24 == 0 || w->drift_next_us == 0)
        w->day_ppm = (int)month_random(w, 0, 160) - 80;
    w->drift_ppm = w->day_ppm + (int)month_random(w, 0, 40) - 20;
    w->drift_next_us = (hour + 1) * MONTH_HOUR_US;
    w->gateway_error_ms = (int)month_random(w, 0, 2 * GATEWAY_ERROR_MS) - GATEWAY_ERROR_MS;
}

static void let_pass(struct month_world *w, uint64_t us)
{
    while (us > 0) {
        uint64_t step = w->drift_next_us - w->true_us;
        step = step < us ? step : us;
        uint64_t part = w->mono_part + step * (uint64_t)(1000000 + w->drift_ppm);
        w->true_us += step;
        if (!w->clock_stands) {
            w->mono_us += part / 1000000;
            w->mono_part = part % 1000000;
        }
        w->counts.asleep_us += w->asleep ? step : 0;
        us -= step;
        w->counts.away_us += w->away ? step : 0;
        w->counts.off_us += w->on ? 0 : step;
        if (w->true_us == w->drift_next_us)
            change_drift(w);
    }
    w->gateway.now_ms = 1 + w->true_us / 1000;
    w->gateway.utc_ms = MONTH_UTC_MS + w->true_us / 1000 + (uint64_t)(int64_t)w->gateway_error_ms;
}

/* --- the ledger's tap: staging, each time the SDK gives the lock back --- */

static void lock(void *context)
{
    (void)context;
}

static void take_staged(void *context, const struct staged_event *event)
{
    struct month_world *w = context;
    struct ledger_entry entry = {.true_ms = MONTH_UTC_MS + w->true_us / 1000,
                                 .mono_ms = event->mono_ms,
                                 .clock_ms = w->mono_us / 1000,
                                 .boot = event->boot,
                                 .ord = event->ord,
                                 .type = (uint8_t)event->type};
    ledger_record(&w->ledger, event->lane, &entry, event->fields, event->fields_len);
}

static void unlock(void *context)
{
    struct month_world *w = context;
    staging_tap(&w->client, &w->tapped_ord, take_staged, w);
}

/* --- power --- */

static void keep_counts(struct month_world *w)
{
    struct trib_stats stats;
    trib_get_stats(&w->client, &stats);
    w->counts.recorded += stats.recorded;
    w->counts.refused += stats.refused;
    w->counts.connects += stats.connects;
}

static void plan_cut(struct month_world *w)
{
    uint64_t day = w->true_us / MONTH_DAY_US;
    w->cut_us = (day + 1) * MONTH_DAY_US + month_random(w, 0, MONTH_DAY_US - 1);
    w->cut_at_rest = fake_chance(&w->random, 8);
    w->cut_armed = false;
}

static void plan_sleep(struct month_world *w)
{
    w->sleep_us = w->true_us + month_random(w, 60 * MONTH_SECOND_US, 8 * MONTH_HOUR_US);
}

/* Power comes back. It may go again while the SDK starts. */
static void boot(struct month_world *w)
{
    int rc;
    w->on = true;
    w->asleep = w->clock_stands = false;
    plan_sleep(w);
    do {
        w->power.off = false;
        w->power.cut_at = fake_chance(&w->random, 4) ? w->power.ticks + month_random(w, 0, 400) : UINT64_MAX;
        w->mono_us = w->mono_part = 0;
        w->tapped_ord = 0;
        memset(&w->client, 0xA5, sizeof w->client);
        rc = trib_init(&w->client, &w->config);
        if (rc != 0 && !w->power.off)
            fail_msg("trib_init returned %d", rc);
        w->counts.cuts_at_boot += rc != 0;
    } while (rc != 0);
    w->power.cut_at = UINT64_MAX;
    ledger_boot(&w->ledger, w->client.boot);
    w->poll_us = w->true_us;
    month_viewer_begin(w);
}

static void power_gone(struct month_world *w)
{
    keep_counts(w);
    w->counts.power_cuts++;
    fake_link_cut(&w->link);
    w->on = w->asleep = w->clock_stands = false;
    plan_cut(w);
    if (fake_chance(&w->random, 6)) /* and again soon after */
        w->cut_us = w->true_us + month_random(w, 1, 20 * 60 * MONTH_SECOND_US);
    w->on_us = w->true_us + (fake_chance(&w->random, 3) ? month_random(w, MONTH_HOUR_US, 10 * MONTH_HOUR_US)
                                                        : month_random(w, 0, 90 * MONTH_SECOND_US));
}

/* The plug is pulled between two storage calls. */
static void pull_plug(struct month_world *w)
{
    struct trib_storage *port = &w->config.storage[0];
    w->power.cut_at = w->power.ticks;
    assert_int_equal(port->sync(port->context), TRIB_EIO);
    power_gone(w);
}

static void check_power(struct month_world *w)
{
    if (w->power.off) {
        w->counts.cuts_in_a_call++;
        power_gone(w);
        return;
    }
    /* Most cuts wait until something plays: a device at rest has little to lose. */
    if (!w->cut_armed && w->true_us >= w->cut_us &&
        (w->viewer.watching || w->cut_at_rest || w->true_us >= w->cut_us + MONTH_DAY_US / 2)) {
        w->cut_armed = true;
        w->plug_us = w->true_us + month_random(w, 0, 300 * MONTH_SECOND_US);
        w->power.cut_at = w->power.ticks + month_random(w, 0, fake_chance(&w->random, 2) ? 300 : 12000);
    }
    if (w->cut_armed && w->true_us >= w->plug_us)
        pull_plug(w);
}

/* The app ends, in order or not, and is started again. */
static void restart(struct month_world *w)
{
    w->restart_us = w->true_us + month_random(w, MONTH_HOUR_US, 4 * MONTH_DAY_US);
    if (fake_chance(&w->random, 2)) {
        int rc = trib_shutdown(&w->client, 0);
        if (w->power.off)
            return;
        assert_int_equal(rc, 0);
        ledger_promise(&w->ledger, TRIB_LANE_VITAL, UINT64_MAX);
        ledger_promise(&w->ledger, TRIB_LANE_ROUTINE, UINT64_MAX);
        w->counts.shutdowns++;
    }
    keep_counts(w);
    w->counts.restarts++;
    fake_link_cut(&w->link);
    boot(w);
}

/* --- suspend --- */

static void poll(struct month_world *w);

/* The clock stood, or what it says now has nothing to do with the time that went by; it never goes back. */
static void wake_up(struct month_world *w)
{
    if (w->clock_stands || !w->asleep) {
        w->discontinuities++;
        if (fake_chance(&w->random, 2) || !w->asleep) {
            w->mono_us +=
                month_random(w, 0, fake_chance(&w->random, 2) ? MONTH_SECOND_US : 30 * MONTH_HOUR_US);
            w->counts.clock_jumps++;
        }
    }
    w->asleep = w->clock_stands = false;
    plan_sleep(w);
    w->viewer.moved_us = w->true_us; /* nothing played meanwhile */
    if (fake_chance(&w->random, 2))
        (void)trib_hint(&w->client, TRIB_HINT_NORMAL);
    if (!w->power.off)
        poll(w); /* tributary/port.h: the first call after it */
}

/* The device stops between two calls, with a clock that counts on or stands; or it runs on and its clock jumps. */
static void fall_asleep(struct month_world *w)
{
    static const uint64_t spans_us[] = {MONTH_SECOND_US, 60 * MONTH_SECOND_US, MONTH_HOUR_US,
                                        12 * MONTH_HOUR_US};
    if (fake_chance(&w->random, 5)) {
        wake_up(w);
        return;
    }
    if (fake_chance(&w->random, 2))
        (void)trib_hint(&w->client, TRIB_HINT_SUSPEND);
    if (w->power.off)
        return;
    w->counts.suspends++;
    w->asleep = true;
    w->clock_stands = !fake_chance(&w->random, 3);
    w->wake_us = w->true_us + month_random(w, 1000, spans_us[month_random(w, 0, 3)]);
    if (fake_chance(&w->random, 2))
        fake_link_cut(&w->link);
}

/* --- network --- */

static void change_outage(struct month_world *w)
{
    static const uint64_t spans_us[] = {MONTH_HOUR_US / 6, 2 * MONTH_HOUR_US, 10 * MONTH_HOUR_US,
                                        30 * MONTH_HOUR_US, 72 * MONTH_HOUR_US};
    w->away = !w->away;
    uint64_t span = spans_us[month_random(w, 0, sizeof spans_us / sizeof *spans_us - 1)];
    /* Half of the time away, also of a short run: whoever is behind gets the longer span. */
    uint64_t away = w->counts.away_us, here = w->true_us - away;
    if (w->away ? away > here : here > away)
        span = span < 2 * MONTH_HOUR_US ? span : 2 * MONTH_HOUR_US;
    w->outage_us = w->true_us + span / 2 + month_random(w, 0, span);
    w->counts.outages += w->away;
    w->flapping = w->away && span <= 10 * MONTH_HOUR_US && fake_chance(&w->random, 3);
    w->link.reachable = !w->away || w->flapping;
    if (w->away)
        fake_link_cut(&w->link);
    w->gateway.swallows = fake_chance(&w->random, 4);
}

static void change_network(struct month_world *w)
{
    if (w->gateway.stalls && !w->gateway.queue_head)
        w->kill_us = w->true_us + month_random(w, 0, 2 * MONTH_SECOND_US);
    if (w->gateway.stalls && (w->true_us >= w->kill_us || !w->link.connected)) {
        w->gateway.stalls = false;
        fake_gateway_restart(&w->gateway);
    }
    if (w->true_us >= w->outage_us)
        change_outage(w);
    if (w->true_us < w->link_cut_us)
        return;
    w->link_cut_us = w->true_us + (w->flapping ? month_random(w, 0, 60 * MONTH_SECOND_US)
                                               : month_random(w, 0, 4 * MONTH_HOUR_US));
    w->counts.link_cuts += w->link.connected;
    if (!w->flapping && fake_chance(&w->random, 4))
        w->gateway.stalls = true; /* and soon it is killed, with a batch on its way into the journal */
    else
        fake_link_cut(&w->link);
}

/* --- the loop --- */

static void poll(struct month_world *w)
{
    uint32_t next_ms;
    uint64_t now_ms = w->mono_us / 1000;
    int rc = trib_poll(&w->client, &next_ms);
    w->counts.polls++;
    if (w->power.off)
        return;
    assert_int_equal(rc, 0);
    /* docs/sdk.md: vital events with the next poll, others within the window. */
    ledger_promise(&w->ledger, TRIB_LANE_VITAL, now_ms);
    uint64_t window_ms = w->plan.unit >= 64 ? BIG_UNIT_WINDOW_MS : WINDOW_MS;
    if (now_ms >= window_ms)
        ledger_promise(&w->ledger, TRIB_LANE_ROUTINE, now_ms - window_ms);
    w->recorded_since_poll = false;
    w->poll_us = w->true_us + (next_ms > 0 ? next_ms : 1) * 1000u;
}

static void sooner(uint64_t *in_out_us, uint64_t us)
{
    *in_out_us = us < *in_out_us ? us : *in_out_us;
}

/* How long nothing happens. */
static uint64_t quiet_us(const struct month_world *w, uint64_t until_us)
{
    uint64_t to = until_us;
    sooner(&to, w->outage_us);
    sooner(&to, w->link_cut_us);
    if (!w->on) {
        sooner(&to, w->on_us);
        return to > w->true_us ? to - w->true_us : 0;
    }
    sooner(&to, w->cut_armed ? w->plug_us : w->cut_us);
    if (w->asleep) {
        sooner(&to, w->wake_us);
        return to > w->true_us ? to - w->true_us : 0;
    }
    sooner(&to, w->sleep_us);
    sooner(&to, w->restart_us);
    sooner(&to, w->viewer.next_us);
    sooner(&to, w->poll_us);
    if (w->link.connected)
        sooner(&to, w->true_us + CONNECTED_STEP_US);
    if (w->link.up.end > 0 || w->link.down.end > 0 || w->gateway.queue_head)
        sooner(&to, w->true_us + NETWORK_STEP_US);
    return to > w->true_us ? to - w->true_us : 0;
}

static void device_step(struct month_world *w)
{
    if (w->asleep && w->true_us >= w->wake_us)
        wake_up(w);
    else if (!w->asleep && w->true_us >= w->sleep_us)
        fall_asleep(w);
    if (w->asleep || w->power.off) {
        check_power(w);
        return;
    }
    month_viewer_act(w);
    if (!w->power.off && (w->recorded_since_poll || w->true_us >= w->poll_us || w->link.down.end > 0))
        poll(w);
    check_power(w);
    if (w->on && w->true_us >= w->restart_us)
        restart(w);
}

void month_world_run(struct month_world *w, uint64_t until_us)
{
    while (w->true_us < until_us) {
        uint64_t us = quiet_us(w, until_us);
        let_pass(w, us > 0 ? us : 1000);
        change_network(w);
        if (!w->on && w->true_us >= w->on_us)
            boot(w);
        if (w->on)
            device_step(w);
        fake_gateway_step(&w->gateway);
    }
}

void month_world_drain(struct month_world *w)
{
    struct trib_stats stats;
    uint64_t began_us = w->true_us;
    if (!w->on)
        boot(w);
    while (w->power.off) { /* it went as the SDK started, with a write that trib_init can do without */
        power_gone(w);
        boot(w);
    }
    w->gateway.swallows = w->away = w->flapping = w->cut_armed = w->gateway.stalls = false;
    w->power.cut_at = UINT64_MAX;
    w->link.reachable = true;
    w->cut_us = w->restart_us = w->sleep_us = w->outage_us = w->link_cut_us = w->viewer.next_us = UINT64_MAX;
    if (w->asleep)
        wake_up(w);
    w->power.cut_at = w->viewer.next_us = w->sleep_us = UINT64_MAX;
    while (w->viewer.watching && trib_session_end(&w->viewer.session, TRIB_REASON_QUIT) == TRIB_EFULL) {
        assert_true(w->true_us < began_us + MONTH_DAY_US);
        month_world_run(w, w->true_us + 60 * MONTH_SECOND_US);
    }
    assert_int_equal(trib_flush(&w->client, 0), 0);
    ledger_promise(&w->ledger, TRIB_LANE_VITAL, UINT64_MAX);
    ledger_promise(&w->ledger, TRIB_LANE_ROUTINE, UINT64_MAX);
    for (int minutes = 0; minutes < 24 * 60; minutes++) {
        month_world_run(w, w->true_us + 60 * MONTH_SECOND_US);
        trib_get_stats(&w->client, &stats);
        if (stats.waiting == 0) {
            keep_counts(w);
            return;
        }
    }
    fail_msg("after a day with a gateway %llu events wait, state %d", (unsigned long long)stats.waiting,
             (int)trib_get_state(&w->client));
}

void month_world_init(struct month_world *w, const struct month_plan *plan, const char *folder)
{
    w->plan = *plan;
    w->random.state = plan->seed;
    w->true_us = MONTH_HOUR_US;
    change_drift(w);
    fake_gateway_start(&w->gateway, folder, &w->random);
    w->link.random = &w->random;
    w->link.reachable = true;
    ledger_init(&w->ledger);
    w->power = (struct torn_power){.cut_at = UINT64_MAX, .random = plan->seed | 1};
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++) {
        uint32_t bytes = lane == TRIB_LANE_VITAL ? plan->vital_bytes : plan->routine_bytes;
        torn_init(&w->storage[lane], &w->power, plan->sector_bytes, bytes / plan->sector_bytes, plan->unit);
        w->storage[lane].shape = plan->shape;
        w->storage[lane].other = &w->storage[1 - lane];
        w->config.storage[lane] = torn_port(&w->storage[lane]);
    }
    w->config.device_id = "tv-1";
    w->config.host = "gateway.test";
    w->config.port = 443;
    w->config.net = fake_link_net(&w->link);
    w->config.clock = (struct trib_clock){w, clock_ms};
    w->config.discontinuity = (struct trib_discontinuity){w, count_discontinuities};
    w->config.entropy = (struct trib_entropy){w, entropy_fill};
    w->config.lock = (struct trib_lock){w, lock, unlock};
    w->config.staging = w->staging;
    w->config.staging_bytes = sizeof w->staging;
    w->config.transmit = w->transmit;
    w->config.transmit_bytes = sizeof w->transmit;
    w->config.receive = w->receive;
    w->config.receive_bytes = sizeof w->receive;
    w->config.user_id_as_given = true;
    fake_gateway_attach(&w->gateway, &w->link, w->config.device_id);
    w->away = true;
    change_outage(w);
    plan_cut(w);
    w->restart_us = w->true_us + month_random(w, MONTH_HOUR_US, 4 * MONTH_DAY_US);
    let_pass(w, 1000);
    boot(w);
}

void month_world_free(struct month_world *w)
{
    fake_gateway_stop(&w->gateway);
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++)
        torn_free(&w->storage[lane]);
    ledger_free(&w->ledger);
}
