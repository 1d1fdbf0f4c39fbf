/*
 * A device that records for a simulated month: daily power cuts on storage that is torn as real parts are, a gateway
 * that is away half of the time, a clock that drifts, stands in suspend or jumps, no wall clock. The real SDK client against the real
 * gateway session and journal, in one process under a virtual clock. Oracle: month_ledger.h.
 *
 *   month_test [--seed N] [--days N] [--vital BYTES] [--routine BYTES] [--sector BYTES] [--unit N] [--shape NAME]
 *
 * The seed is printed; by default it is the time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "scenario/month_world.h"

static const char *const shape_names[TORN_SHAPES] = {"prefix",   "bits",     "pages",
                                                     "unstable", "drifting", "unsynced"};
static struct month_plan plan = {.days = 30,
                                 .vital_bytes = 65536,
                                 .routine_bytes = 262144,
                                 .sector_bytes = 4096,
                                 .unit = 1,
                                 .shape = TORN_BITS};

/* In memory where that can be had: this test is about decisions, the power-cut tests are about the disk. */
static char folder[64];

static void remove_folder(void)
{
    char command[96];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    assert_int_equal(system(command), 0);
}

/* A run that failed has left its folder. */
static int clean_up(void **state)
{
    (void)state;
    if (access(folder, F_OK) == 0)
        remove_folder();
    return 0;
}

static int take_rejected(void *context, const struct gw_journal_rejected *item)
{
    ledger_reject(context, item->stream, item->seq);
    return 0;
}

static void read_journal(struct month_world *w)
{
    static uint8_t buffer[1 << 20];
    struct gw_journal_entry entries[64];
    uint64_t offset = 0, lost;
    size_t count, needed;
    assert_int_equal(gw_journal_each_rejected(w->gateway.journal, take_rejected, &w->ledger), 0);
    do {
        assert_int_equal(gw_journal_read(w->gateway.journal, offset, buffer, sizeof buffer, entries, 64,
                                         &count, &offset, &lost, &needed),
                         0);
        assert_int_equal(lost, 0);
        for (size_t i = 0; i < count; i++)
            ledger_take(&w->ledger, entries[i].data, entries[i].len);
    } while (count > 0);
}

static void print_line(const struct month_world *w)
{
    const struct ledger *l = &w->ledger;
    const struct month_counts *c = &w->counts;
    printf("{\"seed\": %llu, \"days\": %u, \"vital_bytes\": %u, \"routine_bytes\": %u, \"unit\": %u, "
           "\"shape\": \"%s\", \"watched_hours\": %.1f, \"gateway_away\": %.3f, \"device_off\": %.3f, "
           "\"suspended\": %.3f, "
           "\"suspends\": %llu, \"clock_jumps\": %llu, ",
           (unsigned long long)plan.seed, plan.days, plan.vital_bytes, plan.routine_bytes, plan.unit,
           shape_names[plan.shape], (double)c->watched_us / MONTH_HOUR_US,
           (double)c->away_us / (double)w->true_us, (double)c->off_us / (double)w->true_us,
           (double)c->asleep_us / (double)w->true_us, (unsigned long long)c->suspends,
           (unsigned long long)c->clock_jumps);
    printf("\"power_cuts\": %llu, \"cuts_in_a_call\": %llu, \"cuts_at_boot\": %llu, \"restarts\": %llu, "
           "\"outages\": %llu, \"link_cuts\": %llu, \"gateway_restarts\": %llu, \"connections\": %llu, ",
           (unsigned long long)c->power_cuts, (unsigned long long)c->cuts_in_a_call,
           (unsigned long long)c->cuts_at_boot, (unsigned long long)c->restarts,
           (unsigned long long)c->outages, (unsigned long long)c->link_cuts,
           (unsigned long long)w->gateway.restarts, (unsigned long long)c->connects);
    uint64_t recorded = l->lanes[0].count + l->lanes[1].count;
    printf("\"recorded\": %llu, \"refused\": %llu, \"delivered\": %llu, \"rejected\": %llu, "
           "\"dropped_overflow\": %llu, \"dropped_superseded\": %llu, \"dropped_damaged\": %llu, "
           "\"dropped_unknown\": %llu, \"lost_streams\": %llu, \"unaccounted\": %llu, \"never_durable\": "
           "%llu, \"most_at_risk_in_a_cut\": %llu, ",
           (unsigned long long)recorded, (unsigned long long)c->refused, (unsigned long long)l->delivered,
           (unsigned long long)l->quarantined, (unsigned long long)l->dropped[1][1][0],
           (unsigned long long)l->dropped[0][0][1],
           (unsigned long long)(l->dropped[0][0][2] + l->dropped[1][1][2]),
           (unsigned long long)(l->dropped[0][2][4] + l->dropped[1][2][4]),
           (unsigned long long)l->lost_streams, (unsigned long long)l->unaccounted,
           (unsigned long long)l->never_durable, (unsigned long long)l->worst_cut);
    printf("\"session_ends\": %llu, \"power_loss_ends\": %llu, \"synced\": %llu, \"estimated\": %llu, "
           "\"received\": %llu, \"worst_error_ms\": %llu, \"worst_uncertainty_ms\": %llu, \"polls\": %llu}\n",
           (unsigned long long)l->ends, (unsigned long long)l->power_loss_ends,
           (unsigned long long)l->quality[TRIB_TIME_SYNCED],
           (unsigned long long)l->quality[TRIB_TIME_ESTIMATED],
           (unsigned long long)l->quality[TRIB_TIME_RECEIVED], (unsigned long long)l->worst_error_ms,
           (unsigned long long)l->worst_uncertainty_ms, (unsigned long long)c->polls);
}

static void test_every_event_of_a_month_is_accounted_for(void **state)
{
    (void)state;
    struct month_world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    printf("seed %llu, %u days\n", (unsigned long long)plan.seed, plan.days);
    fflush(stdout);
    snprintf(folder, sizeof folder, "%s/tributary-month-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(folder));
    month_world_init(w, &plan, folder);
    w->ledger.may_lose_streams = plan.shape == TORN_PAGES;
    month_world_run(w, w->true_us + plan.days * MONTH_DAY_US);
    month_world_drain(w);
    read_journal(w);
    ledger_judge(&w->ledger);
    const struct ledger *l = &w->ledger;
    uint64_t recorded = l->lanes[0].count + l->lanes[1].count, dropped = l->unaccounted;
    for (unsigned i = 0; i < TRIB_LANE_COUNT * LEDGER_CLASSES * LEDGER_REASONS; i++)
        dropped += (&l->dropped[0][0][0])[i];
    print_line(w);
    assert_int_equal(recorded, l->delivered + l->quarantined + dropped + l->never_durable);
    assert_true(w->counts.power_cuts > 0 && w->counts.link_cuts > 0 && l->delivered > 0);
    month_world_free(w);
    remove_folder();
    free(w);
}

static void option(const char *name, const char *value)
{
    uint64_t number = strtoull(value, NULL, 10);
    if (strcmp(name, "--seed") == 0)
        plan.seed = number;
    else if (strcmp(name, "--days") == 0)
        plan.days = (unsigned)number;
    else if (strcmp(name, "--vital") == 0)
        plan.vital_bytes = (uint32_t)number;
    else if (strcmp(name, "--routine") == 0)
        plan.routine_bytes = (uint32_t)number;
    else if (strcmp(name, "--sector") == 0)
        plan.sector_bytes = (uint32_t)number;
    else if (strcmp(name, "--unit") == 0)
        plan.unit = (uint32_t)number;
    for (unsigned i = 0; i < TORN_SHAPES && strcmp(name, "--shape") == 0; i++)
        if (strcmp(value, shape_names[i]) == 0)
            plan.shape = (enum torn_shape)i;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_every_event_of_a_month_is_accounted_for, clean_up),
    };
    plan.seed = (uint64_t)time(NULL);
    for (int i = 1; i + 1 < argc; i += 2)
        option(argv[i], argv[i + 1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
