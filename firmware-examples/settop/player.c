#include "player.h"

#include <mpv/client.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct observed {
    const char *name;
    mpv_format format;
};

/* The index is the reply_userdata of the property's changes. */
static const struct observed observed[] = {
    {"pause", MPV_FORMAT_FLAG},
    {"core-idle", MPV_FORMAT_FLAG},
    {"paused-for-cache", MPV_FORMAT_FLAG},
    {"seeking", MPV_FORMAT_FLAG},
    {"time-pos", MPV_FORMAT_DOUBLE},
    {"speed", MPV_FORMAT_DOUBLE},
    {"mute", MPV_FORMAT_FLAG},
    {"duration", MPV_FORMAT_DOUBLE},
    {"eof-reached", MPV_FORMAT_FLAG},
    {"frame-drop-count", MPV_FORMAT_INT64},
};

static const char *const options[][2] = {
    {"config", "no"},
    {"load-scripts", "no"},
    {"osc", "no"},
    {"ytdl", "no"},
    {"terminal", "no"},
    {"input-terminal", "no"},
    {"vo", "null"},
    {"ao", "null"},
    {"untimed", "no"},
    {"idle", "yes"},
    {"keep-open", "no"},
    {"audio-display", "no"},
    {"sid", "no"},
    {"hr-seek", "yes"},
    {"gapless-audio", "no"},
    {"audio-file-auto", "no"},
    {"sub-auto", "no"},
    {"reset-on-next-file", "pause,speed"},
    {"vd-lavc-threads", "1"},
};

static void notify(struct player *player, enum player_change change)
{
    player->observer.changed(player->observer.context, change, &player->status, PLAYER_END_STOPPED, 0);
}

/* Runs on one of libmpv's threads. */
static void wake(void *context)
{
    const struct player *player = context;
    uint64_t one = 1;

    /* It fails only when the counter is full, and then the loop is awake already. */
    if (write(player->wake_fd, &one, sizeof one) < 0)
        return;
}

void player_close(struct player *player)
{
    if (player->mpv == NULL)
        return;
    mpv_terminate_destroy(player->mpv); /* no wake-up comes after this */
    player->mpv = NULL;
    close(player->wake_fd);
}

int player_open(struct player *player, struct side_file *side, const struct player_observer *observer)
{
    int result;

    *player = (struct player){
        .side = side,
        .wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC),
        .observer = *observer,
        .status = {.core_idle = true, .position_ms = PLAYER_POSITION_UNKNOWN, .speed_milli = 1000},
    };
    player->mpv = mpv_create();
    if (player->mpv == NULL || player->wake_fd < 0) {
        fprintf(stderr, "settop: libmpv cannot start (LC_NUMERIC must be C)\n");
        goto failed;
    }
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        result = mpv_set_option_string(player->mpv, options[i][0], options[i][1]);
        if (result < 0 && result != MPV_ERROR_OPTION_NOT_FOUND) { /* a libmpv built without Lua has no osc */
            fprintf(stderr, "settop: libmpv option %s: %s\n", options[i][0], mpv_error_string(result));
            goto failed;
        }
    }
    result = mpv_initialize(player->mpv);
    if (result < 0) {
        fprintf(stderr, "settop: libmpv: %s\n", mpv_error_string(result));
        goto failed;
    }
    mpv_set_wakeup_callback(player->mpv, wake, player);
    mpv_request_log_messages(player->mpv, "error");
    for (size_t i = 0; i < sizeof observed / sizeof observed[0]; i++)
        mpv_observe_property(player->mpv, i, observed[i].name, observed[i].format);
    return 0;

failed:
    player_close(player);
    return -1;
}

static uint64_t to_ms(double seconds)
{
    return seconds > 0 ? (uint64_t)(seconds * 1000 + 0.5) : 0;
}

/* Changes of time-pos are coalesced; where a seek goes and where playback goes on is asked for at that
 * moment. */
static void read_position(struct player *player)
{
    double seconds;

    if (mpv_get_property(player->mpv, "time-pos", MPV_FORMAT_DOUBLE, &seconds) != 0)
        return;
    side_begin(player->side, "get", "time-pos");
    side_real(player->side, "value", seconds);
    side_end(player->side);
    player->status.position_ms = to_ms(seconds);
}

static void write_property(struct player *player, const mpv_event_property *property)
{
    side_begin(player->side, "mpv", property->name);
    if (property->format == MPV_FORMAT_FLAG)
        side_flag(player->side, "value", *(int *)property->data != 0);
    else if (property->format == MPV_FORMAT_DOUBLE)
        side_real(player->side, "value", *(double *)property->data);
    else if (property->format == MPV_FORMAT_INT64)
        side_int(player->side, "value", *(int64_t *)property->data);
    else
        side_text(player->side, "value", NULL); /* not available now */
    side_end(player->side);
}

static void handle_property(struct player *player, const mpv_event_property *property)
{
    struct player_status *status = &player->status;
    const char *name = property->name;
    bool flag = property->format == MPV_FORMAT_FLAG && *(int *)property->data != 0;

    write_property(player, property);
    if (property->format == MPV_FORMAT_NONE)
        return;
    if (strcmp(name, "pause") == 0) {
        status->pause = flag;
        notify(player, PLAYER_PAUSE);
        return;
    }
    if (strcmp(name, "time-pos") == 0) {
        status->position_ms = to_ms(*(double *)property->data);
        notify(player, PLAYER_TIME);
        return;
    }
    if (strcmp(name, "core-idle") == 0)
        status->core_idle = flag;
    else if (strcmp(name, "paused-for-cache") == 0)
        status->paused_for_cache = flag;
    else if (strcmp(name, "mute") == 0)
        status->mute = flag;
    else if (strcmp(name, "speed") == 0)
        status->speed_milli = (int64_t)to_ms(*(double *)property->data);
    else if (strcmp(name, "duration") == 0)
        status->duration_ms = to_ms(*(double *)property->data);
    else if (strcmp(name, "frame-drop-count") == 0)
        status->dropped_frames = *(int64_t *)property->data;
    notify(player, PLAYER_STATUS);
}

static void handle_end(struct player *player, const mpv_event_end_file *end)
{
    static const char *const names[] = {"complete", "stopped", "error"};
    enum player_end how = end->reason == MPV_END_FILE_REASON_EOF     ? PLAYER_END_COMPLETE
                          : end->reason == MPV_END_FILE_REASON_ERROR ? PLAYER_END_ERROR
                                                                     : PLAYER_END_STOPPED;

    side_begin(player->side, "event", "end-file");
    side_text(player->side, "reason", names[how]);
    side_int(player->side, "code", end->reason);
    side_int(player->side, "error", end->error);
    side_end(player->side);
    player->status.loaded = false;
    player->status.restarted = false;
    player->status.seeking = false;
    player->observer.changed(player->observer.context, PLAYER_ENDED, &player->status, how, end->error);
}

/* Of all modules that may complain, those that read and decode the file. */
static bool concerns_media(const char *prefix)
{
    static const char *const modules[] = {"ffmpeg", "lavf", "demux", "vd", "ad", "file", "stream", "mkv"};

    for (size_t i = 0; i < sizeof modules / sizeof modules[0]; i++) {
        size_t length = strlen(modules[i]);

        if (strncmp(prefix, modules[i], length) == 0 && (prefix[length] == '\0' || prefix[length] == '/'))
            return true;
    }
    return false;
}

static void handle_log(struct player *player, const mpv_event_log_message *message)
{
    char text[400];

    snprintf(text, sizeof text, "%s", message->text);
    text[strcspn(text, "\n")] = '\0';
    side_begin(player->side, "event", "log-message");
    side_text(player->side, "prefix", message->prefix);
    side_text(player->side, "level", message->level);
    side_text(player->side, "text", text);
    side_end(player->side);
    if (concerns_media(message->prefix))
        notify(player, PLAYER_FAULT);
}

static void write_event(struct player *player, const char *name)
{
    side_begin(player->side, "event", name);
    side_end(player->side);
}

static void handle_start(struct player *player)
{
    struct player_status *status = &player->status;

    write_event(player, "start-file");
    status->loaded = true;
    status->restarted = false;
    status->seeking = false;
    status->paused_for_cache = false;
    status->position_ms = PLAYER_POSITION_UNKNOWN;
    status->duration_ms = 0;
    status->dropped_frames = 0;
    notify(player, PLAYER_STARTED);
}

static void handle(struct player *player, const mpv_event *event)
{
    struct player_status *status = &player->status;

    switch (event->event_id) {
    case MPV_EVENT_PROPERTY_CHANGE:
        handle_property(player, event->data);
        break;
    case MPV_EVENT_START_FILE:
        handle_start(player);
        break;
    case MPV_EVENT_END_FILE:
        handle_end(player, event->data);
        break;
    case MPV_EVENT_SEEK:
        write_event(player, "seek");
        status->seeking = true;
        status->restarted = false;
        status->left_ms = status->position_ms;
        read_position(player);
        notify(player, PLAYER_SEEK);
        break;
    case MPV_EVENT_PLAYBACK_RESTART:
        write_event(player, "playback-restart");
        read_position(player);
        status->restarted = true;
        status->seeking = false;
        notify(player, PLAYER_RESTARTED);
        break;
    case MPV_EVENT_LOG_MESSAGE:
        handle_log(player, event->data);
        break;
    case MPV_EVENT_COMMAND_REPLY:
    case MPV_EVENT_SET_PROPERTY_REPLY:
        if (event->error >= 0)
            break;
        side_begin(player->side, "event", "command-failed");
        side_int(player->side, "error", event->error);
        side_text(player->side, "text", mpv_error_string(event->error));
        side_end(player->side);
        break;
    case MPV_EVENT_FILE_LOADED:
    case MPV_EVENT_SHUTDOWN:
    case MPV_EVENT_QUEUE_OVERFLOW: /* the oracle has a gap: the comparison must know */
        write_event(player, mpv_event_name(event->event_id));
        break;
    default:
        break;
    }
}

void player_poll(struct player *player)
{
    uint64_t wakes;

    /* Before the queue is read: what comes later wakes us again. An empty eventfd is no error. */
    if (read(player->wake_fd, &wakes, sizeof wakes) < 0)
        wakes = 0;
    for (;;) {
        const mpv_event *event = mpv_wait_event(player->mpv, 0);

        if (event->event_id == MPV_EVENT_NONE)
            return;
        handle(player, event);
    }
}

static void command(struct player *player, const char *const *arguments)
{
    /* The arguments are copied; a failure comes back as MPV_EVENT_COMMAND_REPLY. */
    mpv_command_async(player->mpv, 0, (const char **)arguments);
}

void player_load(struct player *player, const char *path)
{
    command(player, (const char *const[]){"loadfile", path, "replace", NULL});
}

void player_stop(struct player *player)
{
    command(player, (const char *const[]){"stop", NULL});
}

void player_seek(struct player *player, double seconds, bool relative)
{
    char number[32];

    snprintf(number, sizeof number, "%.3f", seconds);
    command(player,
            (const char *const[]){"seek", number, relative ? "relative+exact" : "absolute+exact", NULL});
}

void player_pause(struct player *player, bool pause)
{
    int flag = pause;

    mpv_set_property_async(player->mpv, 0, "pause", MPV_FORMAT_FLAG, &flag);
}

void player_speed(struct player *player, double speed)
{
    mpv_set_property_async(player->mpv, 0, "speed", MPV_FORMAT_DOUBLE, &speed);
}

void player_mute(struct player *player, bool mute)
{
    int flag = mute;

    mpv_set_property_async(player->mpv, 0, "mute", MPV_FORMAT_FLAG, &flag);
}
