/*
 * settop: a headless set-top box. One loop, no thread of its own: libmpv's reports, the script's actions and
 * the SDK's work take turns, and none of them waits for another.
 */
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "options.h"
#include "player.h"
#include "reporter.h"
#include "script.h"
#include "side_file.h"

#define STEP_MAX_MS 50    /* longest sleep: libmpv cannot wake us when the network has something */
#define STOP_WAIT_MS 3000 /* for libmpv's end-file after `stop` */

static volatile sig_atomic_t stop_asked;

static void on_signal(int number)
{
    (void)number;
    stop_asked = 1;
}

struct settop {
    struct options options;
    struct script script;
    size_t next_action;
    uint64_t started_ms, acted_ms; /* acted: when the newest action began */
    struct side_file side;
    struct player player;
    struct reporter reporter;
    struct device *device;
    char user[129]; /* of the newest file: favourites are theirs unless the script says otherwise */
    bool quit;
};

/* One turn: SDK, sleep until network, libmpv or limit_ms call for us, libmpv. */
static void turn(struct settop *s, uint64_t limit_ms)
{
    uint64_t wait_ms = device_poll(s->device);

    if (wait_ms > limit_ms)
        wait_ms = limit_ms;
    if (wait_ms > STEP_MAX_MS)
        wait_ms = STEP_MAX_MS;
    device_wait(s->device, s->player.wake_fd, (uint32_t)wait_ms);
    player_poll(&s->player);
}

static const char *beside_script(const struct settop *s, const char *path, char *buffer, size_t capacity)
{
    const char *slash = strrchr(s->options.script, '/');

    if (path[0] == '/' || slash == NULL)
        return path;
    snprintf(buffer, capacity, "%.*s/%s", (int)(slash - s->options.script), s->options.script, path);
    return buffer;
}

static void load(struct settop *s, const struct script_action *action)
{
    char path[PATH_MAX];

    snprintf(s->user, sizeof s->user, "%s", action->user != NULL ? action->user : "");
    /* The session of the file that ends now must end before the new one's content is known to the reporter.
     */
    player_stop(&s->player);
    for (uint64_t until = side_now_ms() + STOP_WAIT_MS; s->player.status.loaded && side_now_ms() < until;)
        turn(s, 20);
    reporter_expect(&s->reporter, action->content, action->user);
    player_pause(&s->player, false);
    player_load(&s->player, beside_script(s, action->subject, path, sizeof path));
}

static void favourite(struct settop *s, const struct script_action *action)
{
    const char *user = action->user != NULL ? action->user : s->user[0] != '\0' ? s->user : NULL;

    device_favourite(s->device, action->verb == SCRIPT_FAVOURITE_ADD, action->list, action->subject, user);
}

static void custom(struct settop *s, const struct script_action *action)
{
    struct device_attribute attributes[SCRIPT_ATTRIBUTES_MAX];

    for (size_t i = 0; i < action->attribute_count; i++)
        attributes[i] = (struct device_attribute){.name = action->attributes[i].name,
                                                  .value = action->attributes[i].value};
    device_custom(s->device, action->subject, attributes, action->attribute_count);
}

static void act(struct settop *s, const struct script_action *action)
{
    s->acted_ms = side_now_ms();
    side_begin(&s->side, "action", script_verb_name(action->verb));
    side_uint(&s->side, "line", action->line);
    side_uint(&s->side, "late_ms", side_now_ms() - s->started_ms - action->at_ms);
    if (action->verb == SCRIPT_LOAD) {
        side_text(&s->side, "content", action->content);
        side_text(&s->side, "user", action->user);
    }
    side_end(&s->side);
    switch (action->verb) {
    case SCRIPT_LOAD:
        load(s, action);
        break;
    case SCRIPT_PLAY:
    case SCRIPT_PAUSE:
        player_pause(&s->player, action->verb == SCRIPT_PAUSE);
        break;
    case SCRIPT_SEEK:
    case SCRIPT_SEEK_RELATIVE:
        player_seek(&s->player, action->number, action->verb == SCRIPT_SEEK_RELATIVE);
        break;
    case SCRIPT_RATE:
        player_speed(&s->player, action->number);
        break;
    case SCRIPT_MUTE:
        player_mute(&s->player, action->number != 0);
        break;
    case SCRIPT_FAVOURITE_ADD:
    case SCRIPT_FAVOURITE_REMOVE:
        favourite(s, action);
        break;
    case SCRIPT_CUSTOM:
        custom(s, action);
        break;
    case SCRIPT_STOP:
        player_stop(&s->player);
        break;
    case SCRIPT_QUIT:
        s->quit = true;
        break;
    }
}

/* Does what is due; returns the ms until the next action. Without one left the run goes on until `quit`. */
static uint64_t act_when_due(struct settop *s)
{
    while (!s->quit && s->next_action < s->script.count) {
        const struct script_action *action = &s->script.actions[s->next_action];
        uint64_t due_ms = s->started_ms + action->at_ms, now_ms = side_now_ms();

        if (now_ms < due_ms)
            return due_ms - now_ms;
        s->next_action++;
        act(s, action);
    }
    return UINT64_MAX;
}

static void play_script(struct settop *s)
{
    while (!s->quit && !stop_asked) {
        uint64_t wait_ms = act_when_due(s);

        if (s->quit)
            break;
        /* A script without `quit` ends with the last file. */
        if (wait_ms == UINT64_MAX && !s->player.status.loaded && side_now_ms() - s->acted_ms > STOP_WAIT_MS)
            break;
        turn(s, wait_ms);
    }
    player_stop(&s->player);
    for (uint64_t until = side_now_ms() + STOP_WAIT_MS; s->player.status.loaded && side_now_ms() < until;)
        turn(s, 20);
    if (device_session_active(s->device)) /* libmpv said nothing in time */
        device_session_end(s->device, TRIB_REASON_QUIT);
}

static void stay(struct settop *s)
{
    uint64_t until = side_now_ms() + s->options.stay_ms;
    sig_atomic_t asked = stop_asked;

    /* A signal that ended the script does not end the stay; a further one does. */
    stop_asked = 0;
    device_settle(s->device);
    while (side_now_ms() < until && device_waiting(s->device) > 0 && !stop_asked)
        turn(s, STEP_MAX_MS);
    stop_asked |= asked;
}

static int run(struct settop *s)
{
    int result;

    s->started_ms = side_now_ms();
    if (s->options.script != NULL)
        play_script(s);
    if (s->options.stay_ms > 0)
        stay(s);
    device_write_stats(s->device, "before-shutdown");
    result = device_shutdown(s->device, s->options.shutdown_ms);
    device_write_stats(s->device, "end");
    side_begin(&s->side, "run", "end");
    side_uint(&s->side, "waiting", device_waiting(s->device));
    side_end(&s->side);
    if (result == 0)
        printf("settop %s: all events are acked\n", s->options.device.device_id);
    else
        printf("settop %s: %" PRIu64 " events wait in the ring for the next run (%s)\n",
               s->options.device.device_id, device_waiting(s->device), trib_error_text(result));
    return result == 0 ? 0 : result == TRIB_ETIMEOUT ? 3 : 1;
}

static int start(struct settop *s)
{
    struct player_observer observer = {.context = &s->reporter, .changed = reporter_changed};

    if (s->options.script != NULL && script_read(s->options.script, &s->script) != 0) {
        fprintf(stderr, "settop: script: %s\n", s->script.error);
        return -1;
    }
    if (side_open(&s->side, s->options.side_file) != 0) {
        fprintf(stderr, "settop: cannot write the side file %s\n", s->options.side_file);
        return -1;
    }
    side_begin(&s->side, "run", "begin");
    side_text(&s->side, "device", s->options.device.device_id);
    side_text(&s->side, "script", s->options.script);
    side_end(&s->side);
    s->device = device_open(&s->options.device, &s->side);
    if (s->device == NULL)
        return -1;
    reporter_init(&s->reporter, s->device);
    return player_open(&s->player, &s->side, &observer);
}

static void install_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};

    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    action.sa_handler = SIG_IGN; /* a gateway that goes away while we write is no reason to die */
    sigaction(SIGPIPE, &action, NULL);
}

int main(int argc, char **argv)
{
    static struct settop settop; /* too big for the stack: the script's actions */
    struct settop *s = &settop;
    int result = options_read(argc, argv, &s->options);

    if (result != 0)
        return result < 0 ? 2 : 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    install_signals();
    s->side.fd = -1;
    result = start(s) == 0 ? run(s) : 1;
    player_close(&s->player);
    device_close(s->device);
    script_free(&s->script);
    if (side_close(&s->side) != 0) {
        fprintf(stderr, "settop: the side file has gaps\n");
        result = 1;
    }
    return result;
}
