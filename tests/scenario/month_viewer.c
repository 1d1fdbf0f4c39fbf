/* A household: films now and then, with pauses, seeks, stalls, favourites, an app's own events. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "scenario/month_world.h"

static void wait_ms(struct month_world *w, uint64_t least, uint64_t most)
{
    w->viewer.next_us = w->true_us + month_random(w, least * 1000, most * 1000);
}

/* What a record call returned: it was taken, or it was refused and counted, or there is no such session any more. */
static int expect_taken(int rc)
{
    if (rc != 0 && rc != TRIB_EFULL)
        fail_msg("a record call returned %d", rc);
    return rc;
}

static int report(struct month_world *w, enum trib_player_report what, int64_t value)
{
    struct month_viewer *v = &w->viewer;
    struct trib_player player = {.report = what,
                                 .position_ms = v->position_ms,
                                 .value = value,
                                 .cause = fake_chance(&w->random, 4) ? TRIB_CAUSE_SYSTEM : TRIB_CAUSE_USER};
    return expect_taken(trib_session_report(&v->session, &player));
}

/* The position has moved on since it was last known, if frames did. */
static void move(struct month_world *w)
{
    struct month_viewer *v = &w->viewer;
    uint64_t gone_us = w->true_us - v->moved_us;
    v->moved_us = w->true_us;
    if (!v->watching || !v->started || v->paused || v->stalled || v->seeking)
        return;
    v->position_ms += gone_us / 1000;
    w->counts.watched_us += gone_us;
}

static void favourite(struct month_world *w)
{
    char item[16];
    snprintf(item, sizeof item, "film-%u", (unsigned)month_random(w, 0, LEDGER_ITEMS - 1));
    if (fake_chance(&w->random, 2))
        expect_taken(trib_favourite_add(&w->client, NULL, item, NULL));
    else
        expect_taken(trib_favourite_remove(&w->client, NULL, item, NULL));
}

static void custom(struct month_world *w)
{
    uint8_t buffer[96];
    struct trib_custom event;
    trib_custom_begin(&event, buffer, sizeof buffer, "menu.opened");
    trib_custom_text(&event, "menu", "settings");
    trib_custom_int(&event, "depth", (int64_t)month_random(w, 0, 9));
    expect_taken(trib_custom_record(&w->client, &event));
}

static void start(struct month_world *w)
{
    struct month_viewer *v = &w->viewer;
    char content[24];
    snprintf(content, sizeof content, "film-%u", (unsigned)month_random(w, 0, 999));
    struct trib_content what = {.content_id = content, .user_id = fake_chance(&w->random, 3) ? NULL : "ana"};
    v->length_ms = month_random(w, 5, 150) * 60000;
    what.duration_ms = v->length_ms;
    what.live = fake_chance(&w->random, 10);
    if (expect_taken(trib_session_start(&w->client, &v->session, &what)) != 0) {
        wait_ms(w, 60000, 600000);
        return;
    }
    v->watching = true;
    v->end_reason = 0;
    v->started = v->paused = v->stalled = v->seeking = false;
    v->position_ms = fake_chance(&w->random, 3) ? month_random(w, 0, v->length_ms / 2) : 0;
    v->moved_us = w->true_us;
    report(w, TRIB_PLAYER_PLAY, 0);
    report(w, TRIB_PLAYER_BUFFERING, 0);
    wait_ms(w, 200, 4000);
}

static void end(struct month_world *w, enum trib_enum_value reason)
{
    struct month_viewer *v = &w->viewer;
    v->end_reason = reason;
    if (expect_taken(trib_session_end(&v->session, reason)) != 0) {
        wait_ms(w, 60000, 600000); /* it stays open until there is room for its end */
        return;
    }
    v->watching = false;
    if (fake_chance(&w->random, 4)) /* the next episode */
        wait_ms(w, 3000, 60000);
    else
        wait_ms(w, 600000, 14 * 3600000u);
}

static void go_on(struct month_world *w)
{
    struct month_viewer *v = &w->viewer;
    if (v->seeking) {
        v->position_ms = month_random(w, 0, v->length_ms - 1);
        report(w, TRIB_PLAYER_SEEKED, 0);
    }
    v->seeking = v->paused = v->stalled = false;
    v->started = true;
    report(w, TRIB_PLAYER_PLAYING, 0);
    wait_ms(w, 1000, 20000);
}

static void something_else(struct month_world *w)
{
    struct month_viewer *v = &w->viewer;
    switch (month_random(w, 0, 39)) {
    case 0:
    case 1:
        v->paused = true;
        report(w, TRIB_PLAYER_PAUSED, 0);
        wait_ms(w, 2000, fake_chance(&w->random, 10) ? 3600000 : 120000);
        return;
    case 2:
    case 3:
        v->seeking = true;
        report(w, TRIB_PLAYER_SEEKING, 0);
        wait_ms(w, 100, 3000);
        return;
    case 4:
    case 5:
        v->stalled = true;
        report(w, TRIB_PLAYER_BUFFERING, 0);
        wait_ms(w, 100, 9000);
        return;
    case 6:
        report(w, TRIB_PLAYER_QUALITY, (int64_t)month_random(w, 300, 16000));
        break;
    case 7:
        report(w, TRIB_PLAYER_RATE, fake_chance(&w->random, 2) ? 1000 : 1500);
        break;
    case 8:
        report(w, TRIB_PLAYER_MUTED, (int64_t)month_random(w, 0, 1));
        break;
    case 9:
        favourite(w);
        break;
    case 10:
        custom(w);
        break;
    case 11:
        report(w, TRIB_PLAYER_ERROR, (int64_t)month_random(w, 0, 5000) - 2500);
        break;
    default:
        report(w, TRIB_PLAYER_POSITION, 0);
        break;
    }
    wait_ms(w, 1000, 15000);
}

void month_viewer_begin(struct month_world *w)
{
    struct month_viewer *v = &w->viewer;
    bool was_watching = v->watching;
    memset(v, 0, sizeof *v);
    v->moved_us = w->true_us;
    if (was_watching && fake_chance(&w->random, 2))
        wait_ms(w, 1000, 120000);
    else
        wait_ms(w, 60000, 6 * 3600000u);
}

void month_viewer_act(struct month_world *w)
{
    struct month_viewer *v = &w->viewer;
    if (w->true_us < v->next_us)
        return;
    move(w);
    w->recorded_since_poll = true;
    if (!v->watching) {
        for (uint64_t n = month_random(w, 0, 3); n > 0; n--)
            favourite(w);
        start(w);
    } else if (v->end_reason != 0) {
        end(w, v->end_reason);
    } else if (v->position_ms >= v->length_ms) {
        report(w, TRIB_PLAYER_COMPLETE, 0);
        end(w, TRIB_REASON_ENDED);
    } else if (fake_chance(&w->random, 500)) {
        end(w, fake_chance(&w->random, 5) ? TRIB_REASON_ERROR : TRIB_REASON_QUIT);
    } else if (!v->started || v->paused || v->stalled || v->seeking) {
        go_on(w);
    } else {
        something_else(w);
    }
}
