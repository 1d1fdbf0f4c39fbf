/* tributary-load: reads the command line and runs the loop. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/param.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "device.h"

#define EVENTS_MAX 256
#define TICK_US 5000
#define TICK_DEVICES 5000 /* a fleet larger than this is looked at less often */
#define TICK_HELD                                                                                            \
    100 /* so much less often while all are only held: looking at them is to cost nobody else a core */
#define TICK_DEVICES_US 2 /* with a rate: how many devices are looked at in a microsecond, at most */
#define DRAIN_US 5000000  /* how long the last acks may take once the time is up */

static volatile sig_atomic_t stop_signal;

static void on_signal(int number)
{
    stop_signal = number;
}

static int resolve(struct load_target *target)
{
    const struct load_options *o = target->options;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    char port[8];

    snprintf(port, sizeof port, "%u", o->port);
    int error = getaddrinfo(o->host, port, &hints, &found);
    if (error) {
        fprintf(stderr, "tributary-load: %s: %s\n", o->host, gai_strerror(error));
        return -1;
    }
    for (const struct addrinfo *a = found; a && target->address_count < LOAD_ADDRESSES_MAX; a = a->ai_next) {
        memcpy(&target->addresses[target->address_count], a->ai_addr, a->ai_addrlen);
        target->address_lens[target->address_count++] = a->ai_addrlen;
    }
    freeaddrinfo(found);
    return 0;
}

/* The whole fleet and its loop. */
struct fleet {
    struct load_run run;
    struct load_credentials credentials;
    struct load_device *devices;
    int epoll;
    uint64_t count, online, done, failed;
    uint64_t due_us;                    /* with a rate: when the first device has something to send */
    uint64_t progress_us, acked_before; /* when something was last acked */
    bool told;                          /* that all connections are held */
};

static int name_device(const struct fleet *f, uint64_t index, char *out, size_t cap)
{
    const struct load_options *o = f->run.options;

    if (o->devices == 1 && load_credentials_device(&f->credentials, out, cap) == 0)
        return 0;
    if (o->cert || o->token || o->token_file) {
        fprintf(stderr, "tributary-load: the credentials name no device\n");
        return -1;
    }
    snprintf(out, cap, "%s%05llu", o->device_prefix, (unsigned long long)index);
    return 0;
}

static int fleet_open(struct fleet *f, const struct load_options *o)
{
    memset(f, 0, sizeof *f);
    f->run.options = f->run.target.options = o;
    f->run.target.credentials = &f->credentials;
    f->count = o->devices;
    f->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (f->epoll < 0 || load_credentials_open(&f->credentials, o) || resolve(&f->run.target) ||
        load_obligations_open(&f->run.obligations, o->obligations, o->ack_position))
        return -1;
    f->run.frame = malloc(TRIB_WS_HEAD_BYTES_MAX + LOAD_FRAME_BYTES);
    f->devices = calloc(f->count, sizeof *f->devices);
    if (!f->run.frame || !f->devices) {
        fprintf(stderr, "tributary-load: out of memory\n");
        return -1;
    }
    for (uint64_t i = 0; i < f->count; i++) {
        char name[TRIB_WIRE_DEVICE_BYTES_MAX + 1];
        if (name_device(f, i, name, sizeof name) || load_device_init(&f->devices[i], &f->run, i, name))
            return -1;
    }
    f->run.start_us = f->run.now_us = f->progress_us = load_now_us(CLOCK_MONOTONIC);
    /* So that the last event of each device lies about now, or a day ago when there is no last one. */
    uint64_t life_ms = o->events > 0 ? o->events * LOAD_INTERVAL_MS + 1000 : 86400000;
    uint64_t utc_ms = load_now_us(CLOCK_REALTIME) / 1000;
    f->run.anchor_utc_ms = life_ms < utc_ms ? utc_ms - life_ms : 0;
    return 0;
}

static void fleet_close(struct fleet *f)
{
    for (uint64_t i = 0; f->devices && i < f->count; i++)
        load_device_free(&f->devices[i]);
    free(f->devices);
    free(f->run.frame);
    load_credentials_close(&f->credentials);
}

/* Tells epoll what the device waits for, if that changed. */
static void watch(struct fleet *f, struct load_device *d)
{
    struct load_connection *c = &d->connection;

    if (c->phase == LOAD_CLOSED)
        return;
    uint32_t interest = load_connection_interest(c);
    if (interest == c->watched)
        return;
    struct epoll_event event = {.events = interest, .data.ptr = d};
    epoll_ctl(f->epoll, c->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->fd, &event);
    c->watched = interest;
}

/* What was due before now waits for an ack or for credit: its socket tells, no clock. */
static void note_due(struct fleet *f, const struct load_device *d)
{
    uint64_t due = f->run.options->rate > 0 ? load_device_due_us(d) : UINT64_MAX;

    if (due > f->run.now_us)
        f->due_us = MIN(f->due_us, due);
}

static void tick_all(struct fleet *f)
{
    const struct load_options *o = f->run.options;

    f->online = f->done = f->failed = 0;
    f->due_us = UINT64_MAX;
    for (uint64_t i = 0; i < f->count; i++) {
        struct load_device *d = &f->devices[i];
        bool done = load_device_done(d);
        if (done && !o->hold)
            load_device_stop(d);
        load_device_tick(d);
        if (d->online)
            load_device_pump(d);
        watch(f, d);
        note_due(f, d);
        f->online += d->online;
        f->done += done;
        f->failed += d->failed;
    }
}

static bool all_idle(const struct fleet *f)
{
    for (uint64_t i = 0; i < f->count; i++)
        if (!load_device_idle(&f->devices[i]))
            return false;
    return true;
}

/* Whether the run is over. */
static bool over(struct fleet *f)
{
    const struct load_options *o = f->run.options;
    uint64_t now = f->run.now_us, age = now - f->run.start_us, limit = (uint64_t)(o->duration * 1e6);

    if (f->run.fatal || stop_signal)
        return true;
    if (limit > 0 && age >= limit) {
        f->run.stopping = true;
        return all_idle(f) || age >= limit + DRAIN_US;
    }
    if (f->done + f->failed == f->count) {
        if (o->hold && !f->told && f->online == f->count) {
            fprintf(stderr, "tributary-load: all is acked; holding %" PRIu64 " connections\n", f->online);
            f->told = true;
        }
        return !o->hold || f->failed == f->count;
    }
    if (f->run.events_acked != f->acked_before || f->done == f->count) {
        f->acked_before = f->run.events_acked;
        f->progress_us = now;
    }
    if (o->rate == 0 && (double)(now - f->progress_us) > o->patience * 1e6) {
        fprintf(stderr, "\ntributary-load: nothing was acked for %.0f s; giving up%s%s\n", o->patience,
                f->run.trouble ? ": " : "", f->run.trouble ? f->run.trouble : "");
        f->run.fatal = true;
        return true;
    }
    return false;
}

/* With a rate, the moment at which a batch is due, so that none of them are sent in bursts. */
static uint64_t next_tick(const struct fleet *f)
{
    uint64_t now = f->run.now_us,
             tick = now + TICK_US * (1 + f->count / TICK_DEVICES) * (f->told ? TICK_HELD : 1);

    return MIN(tick, MAX(f->due_us, now + f->count / TICK_DEVICES_US));
}

/* epoll_wait() counts in milliseconds. */
static int await(struct fleet *f, struct epoll_event *events, uint64_t until_us)
{
    uint64_t now = load_now_us(CLOCK_MONOTONIC), left_us = until_us - MIN(until_us, now);
    struct timespec left = {.tv_sec = (time_t)(left_us / 1000000),
                            .tv_nsec = (long)(left_us % 1000000) * 1000};

    return epoll_pwait2(f->epoll, events, EVENTS_MAX, &left, NULL);
}

static void loop(struct fleet *f)
{
    struct epoll_event events[EVENTS_MAX];
    uint64_t next_tick_us = 0, next_progress_us = f->run.start_us + 1000000;
    bool shows = !f->run.options->quiet && isatty(STDERR_FILENO);

    while (true) {
        f->run.now_us = load_now_us(CLOCK_MONOTONIC);
        if (f->run.now_us >= next_tick_us) {
            tick_all(f);
            next_tick_us = next_tick(f);
            if (over(f))
                break;
        }
        if (shows && f->run.now_us >= next_progress_us) {
            load_progress(&f->run, f->online, f->done);
            next_progress_us += 1000000;
        }
        int ready = await(f, events, next_tick_us);
        f->run.now_us = load_now_us(CLOCK_MONOTONIC);
        for (int i = 0; i < ready; i++) {
            struct load_device *d = events[i].data.ptr;
            load_device_ready(d);
            if (d->online)
                load_device_pump(d);
            watch(f, d);
            note_due(f, d);
        }
        next_tick_us = ready < 0 ? 0 : MIN(next_tick_us, next_tick(f)); /* a signal is looked at by a tick */
    }
    if (shows)
        fputs("\r\033[K", stderr);
}

static int run(const struct load_options *o)
{
    static struct fleet fleet;
    struct rlimit files;
    uint64_t broken = 0;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    if (fleet_open(&fleet, o)) {
        fleet_close(&fleet);
        return 1;
    }
    loop(&fleet);
    uint64_t online = 0;
    for (uint64_t i = 0; i < fleet.count; i++) {
        online += fleet.devices[i].online;
        load_device_stop(&fleet.devices[i]);
    }
    bool acked_all = fleet.done == fleet.count;
    load_report(&fleet.run, online, acked_all);
    for (int i = 0; i < LOAD_VIOLATIONS; i++)
        broken += fleet.run.violations[i];
    if (fleet.failed > 0)
        fprintf(stderr, "tributary-load: %llu devices gave up: %s\n", (unsigned long long)fleet.failed,
                fleet.run.trouble ? fleet.run.trouble : "");
    bool ended = o->duration > 0 && fleet.run.stopping;
    int status = !fleet.run.fatal && fleet.failed == 0 && broken == 0 && (acked_all || ended) ? 0 : 1;
    fleet_close(&fleet);
    return status;
}

int main(int argc, char **argv)
{
    struct load_options o;

    if (argc > 1 && strcmp(argv[1], "check") == 0)
        return load_check(argc - 1, argv + 1);
    int parsed = load_options_parse(argc, argv, &o);
    if (parsed)
        return parsed > 0 ? 0 : 2;
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_TIMERSLACK, 1); /* ns; else Linux wakes it some 50 µs late */
    return run(&o);
}
