#include "reporter.h"

#include <stdio.h>
#include <string.h>

#define POSITION_EVERY_MS 1000
#define FAULT_EVERY_MS                                                                                       \
    5000 /* a broken file complains once a packet; one event in five seconds tells enough */
#define FAULT_CODE 1

void reporter_init(struct reporter *reporter, struct device *device)
{
    *reporter = (struct reporter){.device = device};
}

void reporter_expect(struct reporter *reporter, const char *content, const char *user)
{
    snprintf(reporter->content, sizeof reporter->content, "%s", content);
    snprintf(reporter->user, sizeof reporter->user, "%s", user != NULL ? user : "");
}

enum reporter_phase reporter_phase_of(const struct player_status *status, enum reporter_phase so_far)
{
    if (status->seeking)
        return REPORTER_SEEKING;
    if (!status->restarted)
        return so_far;
    if (status->paused_for_cache)
        return REPORTER_BUFFERING;
    if (status->pause)
        return REPORTER_PAUSED;
    if (!status->core_idle)
        return REPORTER_PLAYING;
    return so_far; /* about to move, or at the end */
}

static void report(struct reporter *reporter, enum trib_player_report what,
                   const struct player_status *status, int64_t value)
{
    enum trib_enum_value cause = what == TRIB_PLAYER_BUFFERING ? TRIB_CAUSE_SYSTEM : TRIB_CAUSE_USER;

    reporter->position_at_ms = side_now_ms();
    device_report(reporter->device, what, status->position_ms, value, cause);
}

static void start_session(struct reporter *reporter, const struct player_status *status)
{
    reporter->phase = REPORTER_STARTING;
    reporter->pause_known = false; /* to load a file is to ask for playback */
    reporter->speed_milli = 1000;
    reporter->dropped_frames = 0;
    reporter->mute = false;
    reporter->duration_ms = 0;
    reporter->fault_at_ms = 0;
    device_session_start(reporter->device, reporter->content,
                         reporter->user[0] != '\0' ? reporter->user : NULL);
    report(reporter, TRIB_PLAYER_PLAY, status, 0);
}

/* Where the player is, and with it what it dropped: both go on all the time, and once a second is plenty. */
static void report_position(struct reporter *reporter, const struct player_status *status)
{
    if (status->dropped_frames > reporter->dropped_frames) {
        reporter->dropped_frames = status->dropped_frames;
        report(reporter, TRIB_PLAYER_DROPPED, status, status->dropped_frames);
    } else {
        report(reporter, TRIB_PLAYER_POSITION, status, 0);
    }
}

static void end_session(struct reporter *reporter, const struct player_status *status, enum player_end end,
                        int error)
{
    report_position(reporter, status);
    if (end == PLAYER_END_COMPLETE)
        report(reporter, TRIB_PLAYER_COMPLETE, status, 0);
    else if (end == PLAYER_END_ERROR)
        report(reporter, TRIB_PLAYER_ERROR, status, error);
    device_session_end(reporter->device, end == PLAYER_END_COMPLETE ? TRIB_REASON_ENDED
                                         : end == PLAYER_END_ERROR  ? TRIB_REASON_ERROR
                                                                    : TRIB_REASON_QUIT);
}

static void follow_phase(struct reporter *reporter, const struct player_status *status)
{
    static const enum trib_player_report reports[] = {
        [REPORTER_PLAYING] = TRIB_PLAYER_PLAYING,
        [REPORTER_PAUSED] = TRIB_PLAYER_PAUSED,
        [REPORTER_BUFFERING] = TRIB_PLAYER_BUFFERING,
        [REPORTER_SEEKING] = TRIB_PLAYER_SEEKING,
    };
    enum reporter_phase phase = reporter_phase_of(status, reporter->phase);

    if (phase == reporter->phase)
        return;
    reporter->phase = phase;
    report(reporter, reports[phase], status, 0);
}

/* Before a file has begun to play, libmpv still reports what was left of the one before. */
static void follow_properties(struct reporter *reporter, const struct player_status *status)
{
    if (!status->restarted && reporter->phase == REPORTER_STARTING)
        return;
    if (status->speed_milli != reporter->speed_milli) {
        reporter->speed_milli = status->speed_milli;
        report(reporter, TRIB_PLAYER_RATE, status, status->speed_milli);
    }
    if (status->mute != reporter->mute) {
        reporter->mute = status->mute;
        report(reporter, TRIB_PLAYER_MUTED, status, status->mute);
    }
    if (status->duration_ms != reporter->duration_ms) {
        reporter->duration_ms = status->duration_ms;
        report(reporter, TRIB_PLAYER_DURATION, status, (int64_t)status->duration_ms);
    }
}

static void follow_pause(struct reporter *reporter, const struct player_status *status)
{
    if (reporter->pause_known && !status->pause)
        report(reporter, TRIB_PLAYER_PLAY, status, 0);
    reporter->pause_known = status->pause;
}

/* A seek out of a seek begins anew: its target is the one that counts. */
static void begin_seek(struct reporter *reporter, const struct player_status *status)
{
    struct player_status before = *status;

    before.position_ms = status->left_ms;
    if (reporter->phase != REPORTER_SEEKING)
        report(reporter, TRIB_PLAYER_POSITION, &before, 0);
    reporter->phase = REPORTER_SEEKING;
    report(reporter, TRIB_PLAYER_SEEKING, status, 0);
}

/* After SEEKED comes what the player does now, even if it is what it did before the seek. */
static void end_seek(struct reporter *reporter, const struct player_status *status)
{
    if (reporter->phase != REPORTER_SEEKING)
        return;
    report(reporter, TRIB_PLAYER_SEEKED, status, 0);
    reporter->phase = REPORTER_STARTING;
}

static void report_fault(struct reporter *reporter, const struct player_status *status)
{
    uint64_t now_ms = side_now_ms();

    if (reporter->fault_at_ms != 0 && now_ms - reporter->fault_at_ms < FAULT_EVERY_MS)
        return;
    reporter->fault_at_ms = now_ms;
    report(reporter, TRIB_PLAYER_ERROR, status, FAULT_CODE);
}

void reporter_changed(void *context, enum player_change change, const struct player_status *status,
                      enum player_end end, int error)
{
    struct reporter *reporter = context;

    if (change == PLAYER_STARTED) {
        start_session(reporter, status);
        return;
    }
    if (!device_session_active(reporter->device))
        return;
    switch (change) {
    case PLAYER_ENDED:
        end_session(reporter, status, end, error);
        break;
    case PLAYER_SEEK:
        begin_seek(reporter, status);
        break;
    case PLAYER_RESTARTED:
        end_seek(reporter, status);
        follow_properties(reporter, status);
        follow_phase(reporter, status);
        break;
    case PLAYER_PAUSE:
        follow_pause(reporter, status);
        follow_phase(reporter, status);
        break;
    case PLAYER_STATUS:
        follow_properties(reporter, status);
        follow_phase(reporter, status);
        break;
    case PLAYER_TIME:
        if (reporter->phase == REPORTER_PLAYING &&
            side_now_ms() - reporter->position_at_ms >= POSITION_EVERY_MS)
            report_position(reporter, status);
        break;
    case PLAYER_FAULT:
        report_fault(reporter, status);
        break;
    default:
        break;
    }
}
