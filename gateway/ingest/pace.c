#include "ingest/pace.h"

#include <stddef.h>

void gw_pace_init(struct gw_pace *pace, uint64_t (*now_us)(void))
{
    *pace = (struct gw_pace){.now_us = now_us};
}

void gw_pace_turn(struct gw_pace *pace)
{
    pace->held_before = pace->held;
    pace->held = false;
    pace->until_us = 0;
    pace->who = NULL;
}

static bool in_time(struct gw_pace *pace)
{
    uint64_t now_us = pace->now_us();
    if (pace->until_us == 0)
        pace->until_us = now_us + GW_PACE_US;
    return now_us < pace->until_us;
}

bool gw_pace_step(struct gw_pace *pace, const void *who)
{
    if (who == pace->who)
        return true;
    if (!in_time(pace)) {
        pace->held = true;
        return false;
    }
    pace->who = who;
    return true;
}

bool gw_pace_admits(struct gw_pace *pace)
{
    if (pace->held_before && pace->passed_over < GW_PACE_TURNS - 1) {
        pace->passed_over++;
        return false;
    }
    pace->passed_over = 0;
    pace->who = NULL; /* what it does from here on is a step of its own */
    return in_time(pace);
}
