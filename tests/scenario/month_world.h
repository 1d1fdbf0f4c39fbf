/*
 * The world of the simulated month: one device with a clock that drifts, stands still in suspend or jumps, and power that
 * goes, its user, and a gateway
 * that is away half of the time. True time is the simulation's; the device has only its own monotonic clock.
 */
#ifndef TESTS_SCENARIO_MONTH_WORLD_H
#define TESTS_SCENARIO_MONTH_WORLD_H

#include "scenario/fake_gateway.h"
#include "scenario/month_ledger.h"
#include "support/torn_storage.h"
#include "tributary/tributary.h"

#define MONTH_SECOND_US 1000000ull
#define MONTH_HOUR_US (3600 * MONTH_SECOND_US)
#define MONTH_DAY_US (24 * MONTH_HOUR_US)
#define MONTH_UTC_MS 1790000000000ull

struct month_plan {
    uint64_t seed;
    unsigned days;
    uint32_t vital_bytes, routine_bytes, sector_bytes, unit;
    enum torn_shape shape;
};

struct month_viewer {
    struct trib_session session;
    bool watching, paused, stalled, seeking, started;
    enum trib_enum_value end_reason;           /* of a session whose end was refused; 0: none was */
    uint64_t position_ms, length_ms, moved_us; /* moved_us: true time of the newest position */
    uint64_t next_us;
};

struct month_counts {
    uint64_t power_cuts, cuts_in_a_call, cuts_at_boot, restarts, shutdowns, link_cuts, outages;
    uint64_t suspends, clock_jumps; /* suspends: of all kinds */
    uint64_t away_us, off_us, asleep_us, watched_us;
    uint64_t recorded, refused, connects, polls;
    uint64_t erases_least, erases_most;
};

struct month_world {
    struct month_plan plan;
    struct fake_random random;
    uint64_t true_us, mono_us, mono_part; /* mono_part: of a microsecond, in millionths */
    int drift_ppm, day_ppm;
    uint64_t drift_next_us;
    int gateway_error_ms;
    uint64_t sleep_us; /* when the device is suspended next, or its clock jumps */
    uint64_t wake_us;
    bool asleep, clock_stands;
    uint32_t discontinuities; /* of the clock, as the port counts them */

    struct trib_client client;
    struct trib_config config;
    struct fake_link link;
    struct fake_gateway gateway;
    struct torn_power power;
    struct torn_storage storage[TRIB_LANE_COUNT];
    uint8_t staging[2048], transmit[2048], receive[2048];
    uint32_t tapped_ord;
    bool on, recorded_since_poll;
    uint64_t poll_us; /* when the SDK wants to be called */
    uint64_t on_us;   /* when power comes back */
    uint64_t cut_us;  /* when power goes next */
    bool cut_at_rest; /* also when nothing plays */
    bool cut_armed;   /* in the next storage calls; if none come, at plug_us */
    uint64_t plug_us;
    uint64_t restart_us;
    uint64_t outage_us; /* when the gateway goes or comes */
    uint64_t kill_us;   /* when a gateway that stalls is killed */
    bool away, flapping;
    uint64_t link_cut_us;

    struct month_viewer viewer;
    struct ledger ledger;
    struct month_counts counts;
};

/* --- month_world.c: clock, power, network --- */

void month_world_init(struct month_world *w, const struct month_plan *plan, const char *folder);
void month_world_free(struct month_world *w);
/* Lets `until_us` of true time come, with all that happens until then. */
void month_world_run(struct month_world *w, uint64_t until_us);
/* No faults any more: until all that waits is acked. */
void month_world_drain(struct month_world *w);
uint64_t month_random(struct month_world *w, uint64_t least, uint64_t most);

/* --- month_viewer.c: what the user does --- */

/* The device was started, or lost its power: whatever played is over. */
void month_viewer_begin(struct month_world *w);
/* Does what is due, and sets viewer.next_us. */
void month_viewer_act(struct month_world *w);

#endif
