#include "playback/tracker.h"

#include <string.h>

#include "playback/watched.h"
#include "wire/cbor.h"

#define CHECKPOINT_MS 60000u
#define NOT_KNOWN UINT64_MAX
#define JUMP_MS 1000u /* how far a position may run ahead of the clock before it counts as a jump */
#define MS_MAX TRIB_YEAR_MS

/* A small map under construction: its count is patched into the first byte, so at most 23 fields. */
struct fields {
    uint8_t bytes[144]; /* session.end, the largest, takes at most 128 */
    struct trib_cbor_writer w;
    unsigned count;
};

static void fields_init(struct fields *f)
{
    trib_cbor_writer_init(&f->w, f->bytes + 1, sizeof f->bytes - 1);
    f->count = 0;
}

static void add(struct fields *f, unsigned field, uint64_t value)
{
    trib_cbor_put_uint(&f->w, field);
    trib_cbor_put_uint(&f->w, value);
    f->count++;
}

static void add_if(struct fields *f, unsigned field, uint64_t value)
{
    if (value > 0)
        add(f, field, value < MS_MAX ? value : MS_MAX);
}

/* Live streams may count from 1970: such a position is none in the vocabulary's sense. */
static void add_position(struct fields *f, unsigned field, uint64_t position)
{
    if (position <= MS_MAX)
        add(f, field, position);
}

static int emit(struct fields *f, unsigned type, const struct trib_tracker_sink *sink)
{
    f->bytes[0] = (uint8_t)(0xA0 | f->count);
    return sink->emit(sink->context, type, f->bytes, f->w.len + 1);
}

static enum trib_time state_of(const struct trib_tracker *t)
{
    if (!t->started)
        return TRIB_TIME_STARTUP;
    if (t->seeking)
        return TRIB_TIME_SEEKING;
    if (t->buffering)
        return TRIB_TIME_BUFFERING;
    return t->paused ? TRIB_TIME_PAUSED : TRIB_TIME_PLAYED;
}

static void count_time(struct trib_tracker *t, enum trib_time where, uint64_t ms)
{
    t->total[where] += ms;
    t->delta[where] = ms < UINT32_MAX - t->delta[where] ? t->delta[where] + (uint32_t)ms : UINT32_MAX;
}

static uint32_t minus(uint32_t left, uint64_t ms)
{
    return ms < left ? left - (uint32_t)ms : 0;
}

/* ms × rate / 1000, without a division of 64 bits, which costs a small device 750 bytes of library. */
static uint64_t at_rate(uint64_t ms, uint32_t rate_milli)
{
    uint32_t bounded_ms = ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
    return (uint64_t)(bounded_ms / 1000) * rate_milli + bounded_ms % 1000 * rate_milli / 1000;
}

/* Gives the time since the last sign of life to the state the session was in. */
static void live_on(struct trib_tracker *t, uint64_t now_ms)
{
    uint64_t ms = now_ms > t->last_ms ? now_ms - t->last_ms : 0;
    uint64_t limit = (uint64_t)t->ping_ms * 5 / 2;
    uint64_t counted = ms < limit ? ms : limit;
    enum trib_time state = state_of(t);

    count_time(t, state, counted);
    if (ms > counted)
        count_time(t, TRIB_TIME_UNKNOWN, ms - counted);
    if (state == TRIB_TIME_PLAYED) {
        uint64_t advance = t->advance_ms + at_rate(counted, t->rate_milli);
        t->advance_ms = advance < UINT32_MAX ? (uint32_t)advance : UINT32_MAX;
        if (t->muted)
            count_time(t, TRIB_TIME_MUTED, counted);
    }
    t->last_ms += ms;
    t->ping_left_ms = minus(t->ping_left_ms, ms);
    t->checkpoint_left_ms = minus(t->checkpoint_left_ms, ms);
}

/* The position moved by playing: what lies between was watched, unless it ran ahead of the clock: then it was a jump
 * that nobody reported. */
static void play_to(struct trib_tracker *t, uint64_t position)
{
    uint64_t from = t->position_ms, to = position;
    if (t->duration_ms > 0 && to > t->duration_ms)
        to = t->duration_ms;
    if (from != NOT_KNOWN && t->advance_ms > 0 && from < to && to - from <= (uint64_t)t->advance_ms + JUMP_MS)
        trib_watched_add(&t->watched, from, to);
    t->position_ms = position;
    t->advance_ms = 0;
}

static void jump_to(struct trib_tracker *t, uint64_t position)
{
    t->position_ms = position;
    t->advance_ms = 0;
}

TRIB_OWN_FRAME static int tell_progress(struct trib_tracker *t, const struct trib_tracker_sink *sink)
{
    int rc = 0;
    if (t->live || t->duration_ms == 0 || t->position_ms > MS_MAX || !t->started || t->seeking)
        return 0;
    while (t->progress < 3 && t->position_ms * 4 >= t->duration_ms * (t->progress + 1u) && rc == 0) {
        struct fields f;
        fields_init(&f);
        add(&f, TRIB_FIELD_PERCENT, (t->progress + 1u) * 25);
        add_position(&f, TRIB_FIELD_POSITION_MS, t->position_ms);
        rc = emit(&f, TRIB_EVENT_PROGRESS, sink);
        if (rc == 0)
            t->progress++;
    }
    return rc;
}

static int first_error(int a, int b)
{
    return a ? a : b;
}

static int tell_held_error(struct trib_tracker *t, bool fatal, const struct trib_tracker_sink *sink)
{
    struct fields f;
    if (!t->error_held)
        return 0;
    t->error_held = false;
    fields_init(&f);
    trib_cbor_put_uint(&f.w, TRIB_FIELD_CODE);
    trib_cbor_put_int(&f.w, t->error_code);
    trib_cbor_put_uint(&f.w, TRIB_FIELD_FATAL);
    trib_cbor_put_bool(&f.w, fatal);
    f.count = 2;
    add_position(&f, TRIB_FIELD_POSITION_MS, t->position_ms);
    return emit(&f, TRIB_EVENT_ERROR, sink);
}

static int end_buffering(struct trib_tracker *t, const struct trib_tracker_sink *sink)
{
    struct fields f;
    if (!t->buffering)
        return 0;
    t->buffering = false;
    fields_init(&f);
    add(&f, TRIB_FIELD_CAUSE, t->buffer_cause);
    add(&f, TRIB_FIELD_TOOK_MS, t->last_ms - t->buffer_began_ms);
    add_position(&f, TRIB_FIELD_POSITION_MS, t->position_ms);
    return emit(&f, TRIB_EVENT_BUFFER_END, sink);
}

static int end_seek(struct trib_tracker *t, const struct trib_tracker_sink *sink)
{
    struct fields f;
    if (!t->seeking)
        return 0;
    t->seeking = false;
    fields_init(&f);
    /* Both are required in the vocabulary; where the player does not know, the other one stands for it. */
    uint64_t to = t->seek_to_ms <= MS_MAX ? t->seek_to_ms : 0;
    uint64_t from = t->seek_from_ms <= MS_MAX ? t->seek_from_ms : to;
    add(&f, TRIB_FIELD_FROM_MS, from);
    add(&f, TRIB_FIELD_TO_MS, to);
    add(&f, TRIB_FIELD_TOOK_MS, t->last_ms - t->seek_began_ms);
    add(&f, TRIB_FIELD_CAUSE, t->seek_cause);
    return emit(&f, TRIB_EVENT_SEEK, sink);
}

static int simple(struct trib_tracker *t, unsigned type, const struct trib_player *p,
                  const struct trib_tracker_sink *sink)
{
    struct fields f;
    fields_init(&f);
    if (type != TRIB_EVENT_COMPLETE)
        add(&f, TRIB_FIELD_CAUSE, p->cause == TRIB_CAUSE_SYSTEM ? TRIB_CAUSE_SYSTEM : TRIB_CAUSE_USER);
    add_position(&f, TRIB_FIELD_POSITION_MS, t->position_ms);
    return emit(&f, type, sink);
}

TRIB_OWN_FRAME static int tell_playing(struct trib_tracker *t, const struct trib_player *p,
                                       const struct trib_tracker_sink *sink)
{
    struct fields f;
    fields_init(&f);
    add(&f, TRIB_FIELD_CAUSE, p->cause == TRIB_CAUSE_SYSTEM ? TRIB_CAUSE_SYSTEM : TRIB_CAUSE_USER);
    add_position(&f, TRIB_FIELD_POSITION_MS, t->position_ms);
    if (!t->started)
        add(&f, TRIB_FIELD_STARTUP_MS,
            t->total[TRIB_TIME_STARTUP] < MS_MAX ? t->total[TRIB_TIME_STARTUP] : MS_MAX);
    t->started = true;
    t->paused = false;
    t->play_asked = false;
    return emit(&f, TRIB_EVENT_PLAYING, sink);
}

static int on_playing(struct trib_tracker *t, const struct trib_player *p,
                      const struct trib_tracker_sink *sink)
{
    int rc = first_error(end_seek(t, sink), end_buffering(t, sink));
    if (t->started && !t->paused && !t->play_asked)
        return rc;
    return first_error(rc, tell_playing(t, p, sink));
}

static int on_paused(struct trib_tracker *t, const struct trib_player *p,
                     const struct trib_tracker_sink *sink)
{
    int rc = end_buffering(t, sink);
    if (t->paused)
        return rc;
    t->paused = true;
    t->play_asked = false;
    return first_error(rc, simple(t, TRIB_EVENT_PAUSE, p, sink));
}

TRIB_OWN_FRAME static int on_buffering(struct trib_tracker *t, const struct trib_tracker_sink *sink)
{
    struct fields f;
    if (t->buffering)
        return 0;
    t->buffering = true;
    t->buffer_began_ms = t->last_ms;
    t->buffer_cause = !t->started ? TRIB_CAUSE_STARTUP : t->seeking ? TRIB_CAUSE_SEEK : TRIB_CAUSE_STALL;
    if (t->buffer_cause == TRIB_CAUSE_STALL)
        t->stall_count++;
    fields_init(&f);
    add(&f, TRIB_FIELD_CAUSE, t->buffer_cause);
    add_position(&f, TRIB_FIELD_POSITION_MS, t->position_ms);
    return emit(&f, TRIB_EVENT_BUFFER_START, sink);
}

/* Seeks in a row, as from dragging a bar, are one: from where the first began to where the last one lands. */
static int on_seeking(struct trib_tracker *t, const struct trib_player *p)
{
    if (!t->seeking) {
        t->seeking = true;
        t->seek_from_ms = t->position_ms;
        t->seek_began_ms = t->last_ms;
        t->seek_cause = p->cause == TRIB_CAUSE_SYSTEM ? TRIB_CAUSE_SYSTEM : TRIB_CAUSE_USER;
    }
    t->seek_to_ms = p->position_ms;
    jump_to(t, NOT_KNOWN);
    return 0;
}

static int on_seeked(struct trib_tracker *t, const struct trib_player *p,
                     const struct trib_tracker_sink *sink)
{
    if (!t->seeking) { /* only the end was reported */
        t->seek_from_ms = t->position_ms;
        t->seek_began_ms = t->last_ms;
        t->seek_cause = p->cause == TRIB_CAUSE_SYSTEM ? TRIB_CAUSE_SYSTEM : TRIB_CAUSE_USER;
        t->seek_to_ms = NOT_KNOWN;
        t->seeking = true;
    }
    if (p->position_ms != NOT_KNOWN)
        t->seek_to_ms = p->position_ms;
    jump_to(t, t->seek_to_ms);
    return end_seek(t, sink);
}

static uint64_t bounded(int64_t value, uint64_t max)
{
    return value < 0 ? 0 : (uint64_t)value < max ? (uint64_t)value : max;
}

TRIB_OWN_FRAME static int on_rate(struct trib_tracker *t, const struct trib_player *p,
                                  const struct trib_tracker_sink *sink)
{
    struct fields f;
    uint16_t rate = (uint16_t)bounded(p->value, 16000);
    if (rate == t->rate_milli)
        return 0;
    t->rate_milli = rate;
    fields_init(&f);
    add(&f, TRIB_FIELD_RATE_MILLI, rate);
    add_position(&f, TRIB_FIELD_POSITION_MS, t->position_ms);
    add(&f, TRIB_FIELD_CAUSE, p->cause == TRIB_CAUSE_SYSTEM ? TRIB_CAUSE_SYSTEM : TRIB_CAUSE_USER);
    return emit(&f, TRIB_EVENT_RATE, sink);
}

TRIB_OWN_FRAME static int on_quality(struct trib_tracker *t, const struct trib_player *p,
                                     const struct trib_tracker_sink *sink)
{
    struct fields f;
    uint32_t kbps = (uint32_t)bounded(p->value, 10000000);
    if (kbps == t->kbps)
        return 0;
    t->kbps = kbps;
    fields_init(&f);
    add(&f, TRIB_FIELD_BITRATE_KBPS, kbps);
    add_position(&f, TRIB_FIELD_POSITION_MS, t->position_ms);
    return emit(&f, TRIB_EVENT_QUALITY, sink);
}

static int on_complete(struct trib_tracker *t, const struct trib_player *p,
                       const struct trib_tracker_sink *sink)
{
    int rc = first_error(end_seek(t, sink), end_buffering(t, sink));
    rc = first_error(rc, simple(t, TRIB_EVENT_COMPLETE, p, sink));
    /* After the end nothing plays: the time until the session ends, or plays again, is a pause. */
    t->paused = true;
    return rc;
}

/* 1000 frames more or less at most: a counter that went back belongs to a new decoder, and starts over. */
static void on_dropped(struct trib_tracker *t, const struct trib_player *p)
{
    uint32_t frames = (uint32_t)bounded(p->value, 1000000000);
    if (frames > t->dropped_frames)
        t->dropped_frames = frames;
}

int trib_tracker_report(struct trib_tracker *t, uint64_t now_ms, const struct trib_player *p,
                        const struct trib_tracker_sink *sink)
{
    int rc = 0;
    if ((unsigned)p->report > TRIB_PLAYER_COMPLETE)
        return TRIB_EINVAL;
    live_on(t, now_ms);
    if (p->report != TRIB_PLAYER_POSITION)
        rc = tell_held_error(t, false, sink);
    if (p->position_ms != NOT_KNOWN && p->report != TRIB_PLAYER_SEEKING && p->report != TRIB_PLAYER_SEEKED) {
        if (t->seeking) /* what a player says on its way is neither start nor end */
            t->position_ms = p->report == TRIB_PLAYER_PLAYING ? p->position_ms : t->position_ms;
        else
            play_to(t, p->position_ms);
        if (t->seeking && p->report == TRIB_PLAYER_PLAYING)
            t->seek_to_ms = p->position_ms;
    }
    switch (p->report) {
    case TRIB_PLAYER_PLAY:
        t->play_asked = true;
        rc = first_error(rc, simple(t, TRIB_EVENT_PLAY, p, sink));
        break;
    case TRIB_PLAYER_PLAYING:
        rc = first_error(rc, on_playing(t, p, sink));
        break;
    case TRIB_PLAYER_PAUSED:
        rc = first_error(rc, on_paused(t, p, sink));
        break;
    case TRIB_PLAYER_BUFFERING:
        rc = first_error(rc, on_buffering(t, sink));
        break;
    case TRIB_PLAYER_SEEKING:
        rc = first_error(rc, on_seeking(t, p));
        break;
    case TRIB_PLAYER_SEEKED:
        rc = first_error(rc, on_seeked(t, p, sink));
        break;
    case TRIB_PLAYER_RATE:
        rc = first_error(rc, on_rate(t, p, sink));
        break;
    case TRIB_PLAYER_MUTED:
        t->muted = p->value != 0;
        break;
    case TRIB_PLAYER_QUALITY:
        rc = first_error(rc, on_quality(t, p, sink));
        break;
    case TRIB_PLAYER_DROPPED:
        on_dropped(t, p);
        break;
    case TRIB_PLAYER_DURATION:
        t->duration_ms = bounded(p->value, MS_MAX);
        break;
    case TRIB_PLAYER_ERROR:
        t->error_held = true;
        t->error_code = p->value > INT32_MAX   ? INT32_MAX
                        : p->value < INT32_MIN ? INT32_MIN
                                               : (int32_t)p->value;
        break;
    case TRIB_PLAYER_COMPLETE:
        rc = first_error(rc, on_complete(t, p, sink));
        break;
    case TRIB_PLAYER_POSITION:
        break;
    }
    return first_error(rc, tell_progress(t, sink));
}

TRIB_OWN_FRAME static int ping(struct trib_tracker *t, const struct trib_tracker_sink *sink)
{
    struct fields f;
    fields_init(&f);
    add_if(&f, TRIB_FIELD_PLAYED_MS, t->delta[TRIB_TIME_PLAYED]);
    add_if(&f, TRIB_FIELD_PAUSED_MS, t->delta[TRIB_TIME_PAUSED]);
    add_if(&f, TRIB_FIELD_BUFFERING_MS, t->delta[TRIB_TIME_BUFFERING]);
    add_if(&f, TRIB_FIELD_SEEKING_MS, t->delta[TRIB_TIME_SEEKING]);
    add_if(&f, TRIB_FIELD_MUTED_MS, t->delta[TRIB_TIME_MUTED]);
    add_if(&f, TRIB_FIELD_UNKNOWN_MS, t->delta[TRIB_TIME_UNKNOWN]);
    add_if(&f, TRIB_FIELD_DROPPED_FRAMES, t->dropped_frames - t->dropped_pinged);
    add_position(&f, TRIB_FIELD_POSITION_MS, t->position_ms);
    int rc = emit(&f, TRIB_EVENT_PING, sink);
    if (rc < 0)
        return rc; /* nothing is lost: the next ping carries these times too */
    memset(t->delta, 0, sizeof t->delta);
    t->dropped_pinged = t->dropped_frames;
    return 0;
}

static void add_totals(const struct trib_tracker *t, struct fields *f)
{
    uint64_t played = t->total[TRIB_TIME_PLAYED];
    uint64_t watched = trib_watched_sum(&t->watched);
    add(f, TRIB_FIELD_PLAYED_MS, played < MS_MAX ? played : MS_MAX);
    add_if(f, TRIB_FIELD_PAUSED_MS, t->total[TRIB_TIME_PAUSED]);
    add_if(f, TRIB_FIELD_BUFFERING_MS, t->total[TRIB_TIME_BUFFERING]);
    add_if(f, TRIB_FIELD_SEEKING_MS, t->total[TRIB_TIME_SEEKING]);
    add_if(f, TRIB_FIELD_STARTUP_MS, t->total[TRIB_TIME_STARTUP]);
    add_if(f, TRIB_FIELD_UNKNOWN_MS, t->total[TRIB_TIME_UNKNOWN]);
    add_if(f, TRIB_FIELD_MUTED_MS, t->total[TRIB_TIME_MUTED]);
    add_if(f, TRIB_FIELD_WATCHED_MS,
           !t->live && t->duration_ms > 0 && watched > t->duration_ms ? t->duration_ms : watched);
    add_if(f, TRIB_FIELD_STALL_COUNT, t->stall_count < 1000000 ? t->stall_count : 1000000);
    add_if(f, TRIB_FIELD_DROPPED_FRAMES, t->dropped_frames);
    add_position(f, TRIB_FIELD_POSITION_MS, t->position_ms);
}

int trib_tracker_start(struct trib_tracker *t, uint64_t now_ms, const struct trib_content *content,
                       uint32_t ping_ms, const struct trib_tracker_sink *sink)
{
    struct fields f;
    memset(t, 0, sizeof *t);
    t->last_ms = now_ms;
    t->position_ms = NOT_KNOWN;
    t->duration_ms = content->live ? 0 : content->duration_ms;
    t->live = content->live;
    t->rate_milli = 1000;
    t->ping_ms = ping_ms;
    t->ping_left_ms = ping_ms;
    t->checkpoint_left_ms = CHECKPOINT_MS;
    fields_init(&f);
    add(&f, TRIB_FIELD_STREAM_TYPE, t->live ? TRIB_STREAM_TYPE_LIVE : TRIB_STREAM_TYPE_ON_DEMAND);
    add_if(&f, TRIB_FIELD_DURATION_MS, t->duration_ms);
    return emit(&f, TRIB_EVENT_SESSION_START, sink);
}

TRIB_OWN_FRAME static int checkpoint(const struct trib_tracker *t, const struct trib_tracker_sink *sink)
{
    struct fields f;
    fields_init(&f);
    add_totals(t, &f);
    return emit(&f, TRIB_EVENT_CHECKPOINT, sink);
}

int trib_tracker_tick(struct trib_tracker *t, uint64_t now_ms, const struct trib_tracker_sink *sink,
                      uint32_t *out_next_ms)
{
    live_on(t, now_ms);
    int rc = tell_held_error(t, false, sink);
    if (t->ping_left_ms == 0) {
        rc = first_error(rc, ping(t, sink));
        t->ping_left_ms = t->ping_ms;
    }
    if (t->checkpoint_left_ms == 0) {
        rc = first_error(rc, checkpoint(t, sink));
        t->checkpoint_left_ms = CHECKPOINT_MS;
    }
    *out_next_ms = t->ping_left_ms < t->checkpoint_left_ms ? t->ping_left_ms : t->checkpoint_left_ms;
    return rc;
}

TRIB_OWN_FRAME static int tell_end(const struct trib_tracker *t, enum trib_enum_value reason,
                                   const struct trib_tracker_sink *sink)
{
    struct fields f;
    fields_init(&f);
    add(&f, TRIB_FIELD_REASON, reason);
    add_totals(t, &f);
    if (!t->live)
        add_if(&f, TRIB_FIELD_DURATION_MS, t->duration_ms);
    return emit(&f, TRIB_EVENT_SESSION_END, sink);
}

int trib_tracker_end(struct trib_tracker *t, uint64_t now_ms, enum trib_enum_value reason,
                     const struct trib_tracker_sink *sink)
{
    live_on(t, now_ms);
    int rc = tell_held_error(t, reason == TRIB_REASON_ERROR, sink);
    rc = first_error(rc, end_seek(t, sink));
    rc = first_error(rc, end_buffering(t, sink));
    /* The totals matter more than what came before them could not be recorded. */
    return first_error(tell_end(t, reason, sink), rc);
}
