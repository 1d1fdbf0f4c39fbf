#include "admin/admin.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "admin/connection.h"
#include "admin/routes.h"
#include "admin/socket.h"
#include "observe/log.h"
#include "observe/process.h"

#define CONNECTIONS_MAX 64
#define BACKLOG 64
#define ACCEPT_PAUSE_MS 200 /* when descriptors run out: poll would say "readable" again at once */
#define STOP_MS 1000        /* for answers under way */
#define TICK_MS 500         /* how late a deadline may be noticed */
#define FIXED 3             /* descriptors before the connections: wake, http, socket */

struct gw_admin {
    struct gw_admin_view view;
    struct gw_admin_connection connections[CONNECTIONS_MAX];
    struct gw_admin_socket socket;
    int http, wake;
    uint16_t http_port;
    char *port_file;
    uint64_t accept_after_ms;
    atomic_bool stopping;
    pthread_t thread;
};

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* A free place; if there is none, that of the client that has kept us waiting longest. */
static struct gw_admin_connection *place(struct gw_admin *admin)
{
    struct gw_admin_connection *stalest = &admin->connections[0];
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        struct gw_admin_connection *c = &admin->connections[i];
        if (c->descriptor < 0)
            return c;
        if (c->deadline_ms < stalest->deadline_ms)
            stalest = c;
    }
    gw_admin_connection_close(stalest);
    return stalest;
}

static void accept_some(struct gw_admin *admin, int listener, bool local, uint64_t now)
{
    for (int i = 0; i < BACKLOG; i++) {
        int descriptor = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (descriptor >= 0) {
            gw_admin_connection_open(place(admin), descriptor, local, now);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            admin->accept_after_ms = now + ACCEPT_PAUSE_MS;
            gw_log(GW_LOG_WARNING, "admin.accept_failed", "raise the limit of open files (ulimit -n)",
                   GW_TEXT("error", strerror(errno)));
        }
        return;
    }
}

static bool any_writing(const struct gw_admin *admin)
{
    for (size_t i = 0; i < CONNECTIONS_MAX; i++)
        if (admin->connections[i].descriptor >= 0 && admin->connections[i].state == GW_ADMIN_WRITING)
            return true;
    return false;
}

static void poll_once(struct gw_admin *admin, bool stopping)
{
    struct pollfd polled[FIXED + CONNECTIONS_MAX];
    bool accepting = !stopping && now_ms() >= admin->accept_after_ms;
    polled[0] = (struct pollfd){.fd = stopping ? -1 : admin->wake, .events = POLLIN};
    polled[1] = (struct pollfd){.fd = accepting ? admin->http : -1, .events = POLLIN};
    polled[2] = (struct pollfd){.fd = accepting ? admin->socket.listener : -1, .events = POLLIN};
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        const struct gw_admin_connection *c = &admin->connections[i];
        polled[FIXED + i] = (struct pollfd){.fd = c->descriptor, .events = gw_admin_connection_events(c)};
    }
    if (poll(polled, FIXED + CONNECTIONS_MAX, accepting ? TICK_MS : ACCEPT_PAUSE_MS) < 0)
        return; /* EINTR, ENOMEM: the next round tries again */
    uint64_t now = now_ms();
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        short got = polled[FIXED + i].revents;
        if (admin->connections[i].descriptor >= 0)
            gw_admin_connection_run(&admin->connections[i], &admin->view, got & (POLLIN | POLLHUP | POLLERR),
                                    got & (POLLOUT | POLLHUP | POLLERR), now);
    }
    /* After the connections: a place freed and taken again must not be given the old one's events. */
    if (polled[1].revents)
        accept_some(admin, admin->http, false, now);
    if (polled[2].revents)
        accept_some(admin, admin->socket.listener, true, now);
}

static void *serve(void *argument)
{
    struct gw_admin *admin = argument;
    (void)pthread_setname_np(pthread_self(), "admin");
    while (!atomic_load(&admin->stopping))
        poll_once(admin, false);
    uint64_t until = now_ms() + STOP_MS;
    while (any_writing(admin) && now_ms() < until)
        poll_once(admin, true);
    for (size_t i = 0; i < CONNECTIONS_MAX; i++)
        gw_admin_connection_close(&admin->connections[i]);
    return NULL;
}

/* --- starting --- */

static int listen_on(const struct addrinfo *address, int *out_listener)
{
    int on = 1;
    int listener = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener < 0)
        return -1;
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        bind(listener, address->ai_addr, address->ai_addrlen) == 0 && listen(listener, BACKLOG) == 0) {
        *out_listener = listener;
        return 0;
    }
    int why = errno;
    close(listener);
    errno = why;
    return -1;
}

static int listen_http(struct gw_admin *admin, const struct gw_admin_config *config, struct gw_error *error)
{
    char port[8];
    snprintf(port, sizeof port, "%u", config->http_port);
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *addresses;
    int rc = getaddrinfo(config->http_address, port, &hints, &addresses);
    if (rc != 0)
        return gw_error_set(error, GW_EINVALID, 0, "observe.http_address: `%s` is no address here: %s",
                            config->http_address, gai_strerror(rc));
    rc = listen_on(addresses, &admin->http);
    int why = errno;
    freeaddrinfo(addresses);
    if (rc != 0 && why == EADDRINUSE)
        return gw_error_set(
            error, GW_EBUSY, 0,
            "observe.http_port: port %u of %s is in use: stop what uses it, or give another port",
            config->http_port, config->http_address);
    if (rc != 0)
        return gw_error_set(error, GW_EIO, why, "observe.http_address: cannot listen on port %u of %s",
                            config->http_port, config->http_address);
    struct sockaddr_storage bound;
    socklen_t len = sizeof bound;
    if (getsockname(admin->http, (struct sockaddr *)&bound, &len) == 0 &&
        getnameinfo((const struct sockaddr *)&bound, len, NULL, 0, port, sizeof port, NI_NUMERICSERV) == 0)
        admin->http_port = (uint16_t)strtoul(port, NULL, 10);
    return GW_OK;
}

/* By a rename, so that who waits for the file never reads half a number. */
static int write_port_file(struct gw_admin *admin, const char *folder, struct gw_error *error)
{
    char *temporary = NULL;
    int rc = GW_ENOMEM;
    if (asprintf(&admin->port_file, "%s/http_port", folder) < 0)
        admin->port_file = NULL;
    else if (asprintf(&temporary, "%s.new", admin->port_file) < 0)
        temporary = NULL;
    if (temporary) {
        FILE *file = fopen(temporary, "we");
        bool written = file && fprintf(file, "%u\n", admin->http_port) > 0;
        written = file && fclose(file) == 0 && written;
        rc = written && rename(temporary, admin->port_file) == 0 ? GW_OK : GW_EIO;
    }
    if (rc != GW_OK)
        (void)gw_error_set(error, rc, errno, "data.folder: %s/http_port cannot be written", folder);
    free(temporary);
    return rc;
}

static int listen_socket(struct gw_admin *admin, const struct gw_admin_config *config, struct gw_error *error)
{
    char *path;
    int n = config->socket && *config->socket ? asprintf(&path, "%s", config->socket)
                                              : asprintf(&path, "%s/admin.sock", config->run_folder);
    if (n < 0)
        return gw_error_set(error, GW_ENOMEM, 0, "out of memory");
    int rc = gw_admin_socket_listen(path, &admin->socket, error);
    free(path);
    return rc;
}

/* Signals belong to main's thread. */
static int start_thread(struct gw_admin *admin, struct gw_error *error)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&admin->thread, NULL, serve, admin);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc == 0 ? GW_OK : gw_error_set(error, GW_ENOMEM, rc, "the admin thread cannot be started");
}

static void release(struct gw_admin *admin)
{
    if (admin->http >= 0)
        close(admin->http);
    if (admin->wake >= 0)
        close(admin->wake);
    gw_admin_socket_close(&admin->socket);
    if (admin->port_file)
        (void)unlink(admin->port_file);
    free(admin->port_file);
    pthread_mutex_destroy(&admin->view.lock);
    free(admin);
}

int gw_admin_start(const struct gw_admin_config *config, struct gw_admin **out, struct gw_error *error)
{
    (void)gw_process_uptime_seconds(); /* counts from here at the latest */
    if (mkdir(config->run_folder, 0700) != 0 && errno != EEXIST)
        return gw_error_set(error, GW_EIO, errno, "data.folder: %s cannot be made", config->run_folder);
    struct gw_admin *admin = calloc(1, sizeof *admin);
    if (!admin)
        return gw_error_set(error, GW_ENOMEM, 0, "out of memory");
    admin->http = -1;
    admin->socket.listener = admin->socket.lock = -1;
    admin->view.sinks = config->sinks;
    admin->view.sink_count = config->sink_count;
    admin->view.schemas = config->schemas;
    pthread_mutex_init(&admin->view.lock, NULL);
    for (size_t i = 0; i < CONNECTIONS_MAX; i++)
        admin->connections[i].descriptor = -1;
    admin->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    /* The socket first: it tells that another gateway has this folder before that one's port file is touched.
     */
    int rc = admin->wake >= 0 ? listen_socket(admin, config, error)
                              : gw_error_set(error, GW_EIO, errno, "eventfd failed");
    if (rc == GW_OK)
        rc = listen_http(admin, config, error);
    if (rc == GW_OK)
        rc = write_port_file(admin, config->run_folder, error);
    if (rc == GW_OK)
        rc = start_thread(admin, error);
    if (rc == GW_OK)
        *out = admin;
    else
        release(admin);
    return rc;
}

void gw_admin_stop(struct gw_admin *admin)
{
    if (!admin)
        return;
    atomic_store(&admin->stopping, true);
    uint64_t one = 1;
    ssize_t n = write(admin->wake, &one, sizeof one);
    (void)n; /* fails only if the counter is full, which wakes as well */
    pthread_join(admin->thread, NULL);
    release(admin);
}

uint16_t gw_admin_http_port(const struct gw_admin *admin)
{
    return admin->http_port;
}

void gw_admin_set_journal(struct gw_admin *admin, struct gw_journal *journal)
{
    pthread_mutex_lock(&admin->view.lock);
    admin->view.journal = journal;
    pthread_mutex_unlock(&admin->view.lock);
}

void gw_admin_set_writer(struct gw_admin *admin, const struct gw_admin_writer *writer)
{
    pthread_mutex_lock(&admin->view.lock);
    admin->view.writer = writer;
    pthread_mutex_unlock(&admin->view.lock);
}
