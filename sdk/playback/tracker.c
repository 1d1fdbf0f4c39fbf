#include "playback/tracker.h"

#include <string.h>

#include "playback/watched.h"

#define CHECKPOINT_FIRST_MS 10000u /* so that a power cut soon after the start costs few totals */
#define CHECKPOINT_MS 60000u
#define NOT_KNOWN UINT64_MAX
#define JUMP_MS 1000u /* how far a position may run ahead of the clock before it counts as a jump */
#define MS_MAX TRIB_YEAR_MS
#define COUNT_MAX 1000000u /* the vocabulary's bound */

/* One call of the tracker. */
struct run {
    struct trib_tracker *t;
    const struct trib_tracker_sink *sink;
    int rc; /* the first error: what comes after it is tried all the same */
};

static int tell(struct run *r, unsigned type, uint32_t argument)
{
    int rc = trib_tracker_tell(r->t, type, argument, r->sink);
    r->rc = r->rc ? r->rc : rc;
    return rc;
}

/* --- measuring --- */

static enum trib_time state_of(const struct trib_tracker *t)
{
    if (!t->started)
        return TRIB_TIME_STARTUP;
#ifndef TRIB_MUTANT_STUCK_SEEK
    if (t->seeking)
        return TRIB_TIME_SEEKING;
#endif
    if (t->buffering)
        return TRIB_TIME_BUFFERING;
    return t->paused ? TRIB_TIME_PAUSED : TRIB_TIME_PLAYED;
}

TRIB_ONE_COPY static uint32_t plus(uint32_t a, uint64_t b)
{
    return b < UINT32_MAX - a ? a + (uint32_t)b : UINT32_MAX;
}

static uint32_t minus(uint32_t left, uint64_t ms)
{
    return ms < left ? left - (uint32_t)ms : 0;
}

static void count_time(struct trib_tracker *t, enum trib_time where, uint64_t ms)
{
    t->total[where] += ms;
    t->delta[where] = plus(t->delta[where], ms);
}

/* ms × rate / 1000, and what is left over for the next time; without a division of 64 bits, which costs a small device
 * 750 bytes of library. */
static uint64_t at_rate(struct trib_tracker *t, uint64_t ms)
{
    uint32_t bounded_ms = ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
    uint32_t rest = bounded_ms % 1000 * t->rate_milli + t->rate_rest;
    t->rate_rest = (uint16_t)(rest % 1000);
    return (uint64_t)(bounded_ms / 1000) * t->rate_milli + rest / 1000;
}

/* Gives the time since the last sign of life to the state the session was in. */
static void live_on(struct trib_tracker *t, uint64_t now_ms)
{
    uint64_t ms = now_ms > t->last_ms ? now_ms - t->last_ms : 0;
    uint64_t limit = (uint64_t)t->ping_ms * 5 / 2;
#ifdef TRIB_MUTANT_NO_CLAMP
    limit = UINT64_MAX;
#endif
    uint64_t counted = ms < limit ? ms : limit;
    enum trib_time state = state_of(t);

    count_time(t, state, counted);
    count_time(t, TRIB_TIME_UNKNOWN, ms - counted);
    if (state == TRIB_TIME_PLAYED) {
        uint64_t rated = at_rate(t, counted);
        count_time(t, TRIB_TIME_RATED, rated);
        t->advance_ms = plus(t->advance_ms, rated);
        t->credit_ms = plus(t->credit_ms, rated);
        if (t->muted)
            count_time(t, TRIB_TIME_MUTED, counted);
    } else if (state == TRIB_TIME_BUFFERING && t->buffer_cause == TRIB_CAUSE_STALL) {
        count_time(t, TRIB_TIME_STALLED, counted);
    }
    t->last_ms += ms;
    t->ping_left_ms = minus(t->ping_left_ms, ms);
    t->checkpoint_left_ms = minus(t->checkpoint_left_ms, ms);
}

static void jump_to(struct trib_tracker *t, uint64_t where)
{
    t->position_ms = where;
    t->advance_ms = 0;
}

/* The position moved by playing: what lies between was watched, unless it ran ahead of the clock: then it was a jump
 * that nobody reported. A player's clock is not ours; so a position may be a little ahead, but the sum of what counts
 * as watched never is. */
static void play_to(struct trib_tracker *t, uint64_t where)
{
    uint64_t from = t->position_ms, to = where;
    if (t->duration_ms > 0 && to > t->duration_ms)
        to = t->duration_ms;
    uint64_t moved = from != NOT_KNOWN && from < to ? to - from : 0;
    if (t->advance_ms > 0 && moved <= (uint64_t)t->advance_ms + JUMP_MS) {
        uint32_t counted = moved < t->credit_ms ? (uint32_t)moved : t->credit_ms;
#ifdef TRIB_MUTANT_NO_CREDIT
        counted = (uint32_t)moved;
#else
        t->credit_ms -= counted;
#endif
        trib_watched_add(&t->watched, from, from + counted);
    }
    jump_to(t, where);
}

/* --- what the player does --- */

static void tell_progress(struct run *r)
{
    struct trib_tracker *t = r->t;
    if (t->live || t->duration_ms == 0 || t->position_ms > MS_MAX || !t->started || t->seeking)
        return;
    while (t->progress < 3 && t->position_ms * 4 >= t->duration_ms * (t->progress + 1u)) {
        if (tell(r, TRIB_EVENT_PROGRESS, (t->progress + 1u) * 25) < 0)
            return;
        t->progress++;
    }
}

static void tell_held_error(struct run *r, bool fatal)
{
    if (r->t->error_held)
        (void)tell(r, TRIB_EVENT_ERROR, fatal);
    r->t->error_held = false;
}

static void end_buffering(struct run *r)
{
    if (r->t->buffering)
        (void)tell(r, TRIB_EVENT_BUFFER_END, r->t->buffer_cause);
    r->t->buffering = false;
}

static void end_seek(struct run *r)
{
    if (r->t->seeking)
        (void)tell(r, TRIB_EVENT_SEEK, r->t->seek_cause);
    r->t->seeking = false;
}

static void on_playing(struct run *r, uint32_t cause)
{
    struct trib_tracker *t = r->t;
    end_seek(r);
    end_buffering(r);
    if (t->started && !t->paused && !t->play_asked)
        return;
    (void)tell(r, TRIB_EVENT_PLAYING, cause);
    t->started = true;
    t->paused = false;
    t->play_asked = false;
}

static void on_paused(struct run *r, uint32_t cause)
{
    struct trib_tracker *t = r->t;
    end_buffering(r);
    if (t->paused)
        return;
    t->paused = true;
    t->play_asked = false;
    (void)tell(r, TRIB_EVENT_PAUSE, cause);
}

static void on_buffering(struct run *r)
{
    struct trib_tracker *t = r->t;
    if (t->buffering)
        return;
    t->buffering = true;
    t->buffer_began_ms = t->last_ms;
    t->buffer_cause = !t->started ? TRIB_CAUSE_STARTUP : t->seeking ? TRIB_CAUSE_SEEK : TRIB_CAUSE_STALL;
    t->stall_count += t->buffer_cause == TRIB_CAUSE_STALL && t->stall_count < COUNT_MAX;
    (void)tell(r, TRIB_EVENT_BUFFER_START, t->buffer_cause);
}

/* Seeks in a row, as from dragging a bar, are one: from where the first began to where the last one lands. */
static void begin_seek(struct trib_tracker *t, uint32_t cause)
{
    if (t->seeking)
        return;
    t->seeking = true;
    t->seek_count += t->seek_count < COUNT_MAX;
    t->seek_from_ms = t->position_ms;
    t->seek_to_ms = NOT_KNOWN;
    t->seek_began_ms = t->last_ms;
    t->seek_cause = (uint8_t)cause;
}

static void on_seeking(struct run *r, const struct trib_player *p, uint32_t cause)
{
    begin_seek(r->t, cause);
    r->t->seek_to_ms = p->position_ms;
    jump_to(r->t, NOT_KNOWN);
}

static void on_seeked(struct run *r, const struct trib_player *p, uint32_t cause)
{
    begin_seek(r->t, cause); /* if only the end was reported */
    if (p->position_ms != NOT_KNOWN)
        r->t->seek_to_ms = p->position_ms;
    jump_to(r->t, r->t->seek_to_ms);
    end_seek(r);
}

TRIB_ONE_COPY static uint32_t bounded(int64_t value, uint32_t max)
{
    return value < 0 ? 0 : value < (int64_t)max ? (uint32_t)value : max;
}

static void on_rate(struct run *r, const struct trib_player *p, uint32_t cause)
{
    uint16_t rate = (uint16_t)bounded(p->value, 16000);
    if (rate == r->t->rate_milli)
        return;
    r->t->rate_milli = rate;
    (void)tell(r, TRIB_EVENT_RATE, cause);
}

static void on_quality(struct run *r, const struct trib_player *p)
{
    uint32_t kbps = bounded(p->value, 10000000);
    if (kbps == r->t->kbps)
        return;
    r->t->kbps = kbps;
    (void)tell(r, TRIB_EVENT_QUALITY, 0);
}

static void on_complete(struct run *r)
{
    end_seek(r);
    end_buffering(r);
    (void)tell(r, TRIB_EVENT_COMPLETE, 0);
    /* After the end nothing plays: the time until the session ends, or plays again, is a pause. */
    r->t->paused = true;
}

/* A count that goes back belongs to a new decoder: what it dropped shows when it is beyond the old one's. */
static void on_dropped(struct trib_tracker *t, const struct trib_player *p)
{
    uint32_t frames = bounded(p->value, 1000000000);
    if (frames > t->dropped_frames)
        t->dropped_frames = frames;
}

static void act(struct run *r, const struct trib_player *p)
{
    struct trib_tracker *t = r->t;
    uint32_t cause = p->cause == TRIB_CAUSE_SYSTEM ? TRIB_CAUSE_SYSTEM : TRIB_CAUSE_USER;
    switch (p->report) {
    case TRIB_PLAYER_PLAY:
        t->play_asked = true;
        (void)tell(r, TRIB_EVENT_PLAY, cause);
        break;
    case TRIB_PLAYER_PLAYING:
        on_playing(r, cause);
        break;
    case TRIB_PLAYER_PAUSED:
        on_paused(r, cause);
        break;
    case TRIB_PLAYER_BUFFERING:
        on_buffering(r);
        break;
    case TRIB_PLAYER_SEEKING:
        on_seeking(r, p, cause);
        break;
    case TRIB_PLAYER_SEEKED:
        on_seeked(r, p, cause);
        break;
    case TRIB_PLAYER_RATE:
        on_rate(r, p, cause);
        break;
    case TRIB_PLAYER_MUTED:
        t->muted = p->value != 0;
        break;
    case TRIB_PLAYER_QUALITY:
        on_quality(r, p);
        break;
    case TRIB_PLAYER_DROPPED:
        on_dropped(t, p);
        break;
    case TRIB_PLAYER_DURATION:
        if (!t->live)
            t->duration_ms = p->value < 0 ? 0 : (uint64_t)p->value < MS_MAX ? (uint64_t)p->value : MS_MAX;
        break;
    case TRIB_PLAYER_ERROR:
        t->error_held = true;
        t->error_code = p->value > INT32_MAX   ? INT32_MAX
                        : p->value < INT32_MIN ? INT32_MIN
                                               : (int32_t)p->value;
        break;
    case TRIB_PLAYER_COMPLETE:
        on_complete(r);
        break;
    case TRIB_PLAYER_POSITION:
        break;
    }
}

/* --- the contract --- */

int trib_tracker_start(struct trib_tracker *t, uint64_t now_ms, const struct trib_content *content,
                       const struct trib_tracker_setup *setup, const struct trib_tracker_sink *sink)
{
    struct run r = {t, sink, 0};
    memset(t, 0, sizeof *t);
    t->last_ms = now_ms;
    t->position_ms = NOT_KNOWN;
    t->duration_ms = content->live ? 0 : content->duration_ms;
    t->live = content->live;
    t->rate_milli = 1000;
    t->ping_ms = setup->ping_ms;
    t->ping_left_ms = setup->ping_ms;
    t->checkpoint_left_ms = CHECKPOINT_FIRST_MS;
    t->sampled = setup->sampled;
    t->sampling_milli = setup->sampling_milli;
    return tell(&r, TRIB_EVENT_SESSION_START, 0);
}

int trib_tracker_report(struct trib_tracker *t, uint64_t now_ms, const struct trib_player *p,
                        const struct trib_tracker_sink *sink)
{
    struct run r = {t, sink, 0};
    if ((unsigned)p->report > TRIB_PLAYER_COMPLETE)
        return TRIB_EINVAL;
    live_on(t, now_ms);
    if (p->report != TRIB_PLAYER_POSITION)
        tell_held_error(&r, false);
    if (p->position_ms != NOT_KNOWN && p->report != TRIB_PLAYER_SEEKING && p->report != TRIB_PLAYER_SEEKED) {
        if (!t->seeking) /* what a player says on its way is neither start nor end */
            play_to(t, p->position_ms);
        else if (p->report == TRIB_PLAYER_PLAYING)
            t->position_ms = t->seek_to_ms = p->position_ms;
    }
    act(&r, p);
    tell_progress(&r);
    return r.rc;
}

int trib_tracker_tick(struct trib_tracker *t, uint64_t now_ms, const struct trib_tracker_sink *sink,
                      uint32_t *out_next_ms)
{
    struct run r = {t, sink, 0};
    live_on(t, now_ms);
    tell_held_error(&r, false);
    if (t->ping_left_ms == 0) {
        /* Of a ping that is refused nothing is lost: the next one carries these times too. */
        if (tell(&r, TRIB_EVENT_PING, 0) == 0) {
#ifndef TRIB_MUTANT_PING_TWICE
            memset(t->delta, 0, sizeof t->delta);
#endif
            t->dropped_pinged = t->dropped_frames;
        }
        t->ping_left_ms = t->ping_ms;
    }
    if (t->checkpoint_left_ms == 0) {
        (void)tell(&r, TRIB_EVENT_CHECKPOINT, 0);
        t->checkpoint_left_ms = CHECKPOINT_MS;
    }
    *out_next_ms = t->ping_left_ms < t->checkpoint_left_ms ? t->ping_left_ms : t->checkpoint_left_ms;
    return r.rc;
}

int trib_tracker_end(struct trib_tracker *t, uint64_t now_ms, enum trib_enum_value reason,
                     const struct trib_tracker_sink *sink)
{
    struct run r = {t, sink, 0};
    live_on(t, now_ms);
    tell_held_error(&r, reason == TRIB_REASON_ERROR);
    end_seek(&r);
    end_buffering(&r);
    return tell(&r, TRIB_EVENT_SESSION_END, reason);
}
