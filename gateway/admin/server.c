#include "admin/admin.h"

#include <errno.h>
#include <openssl/ssl.h>
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
#include "admin/port.h"
#include "admin/routes.h"
#include "admin/socket.h"
#include "observe/log.h"
#include "observe/process.h"

#define CONNECTIONS_MAX 64
#define BACKLOG 64
#define ACCEPT_PAUSE_MS 200 /* when descriptors run out: poll would say "readable" again at once */
#define STOP_MS 1000        /* for answers under way */
#define TICK_MS 500         /* how late a deadline may be noticed */
#define FIXED 4             /* descriptors before the connections: wake, http, remote, socket */

struct gw_admin {
    struct gw_admin_view view;
    struct gw_admin_connection connections[CONNECTIONS_MAX];
    struct gw_admin_socket socket;
    struct gw_admin_port http, remote;
    struct gw_guard guard;
    SSL_CTX *tls; /* of remote */
    int wake;
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

static void take_in(struct gw_admin *admin, int listener, int descriptor, const struct sockaddr *from,
                    uint64_t now)
{
    struct gw_admin_origin origin = {.local = listener == admin->socket.listener};
    if (listener == admin->remote.listener) {
        gw_guard_address(from, origin.address);
        origin.ssl = gw_admin_tls_accept(admin->tls, descriptor);
        if (!origin.ssl) {
            close(descriptor);
            return;
        }
    }
    gw_admin_connection_open(place(admin), descriptor, &origin, now);
}

static void accept_some(struct gw_admin *admin, int listener, uint64_t now)
{
    for (int i = 0; i < BACKLOG; i++) {
        struct sockaddr_storage from = {.ss_family = AF_UNSPEC};
        socklen_t len = sizeof from;
        int descriptor = accept4(listener, (struct sockaddr *)&from, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (descriptor >= 0) {
            take_in(admin, listener, descriptor, (const struct sockaddr *)&from, now);
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
    const int listeners[FIXED - 1] = {admin->http.listener, admin->remote.listener, admin->socket.listener};
    for (size_t i = 0; i < FIXED - 1; i++)
        polled[1 + i] = (struct pollfd){.fd = accepting ? listeners[i] : -1, .events = POLLIN};
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
    for (size_t i = 0; i < FIXED - 1; i++)
        if (polled[1 + i].revents)
            accept_some(admin, listeners[i], now);
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

static int listen_http(struct gw_admin *admin, const struct gw_admin_config *config, struct gw_error *error)
{
    const struct gw_admin_port_config port = {.address = config->http_address,
                                              .port = config->http_port,
                                              .section = "observe",
                                              .folder = config->run_folder,
                                              .name = "http_port"};
    return gw_admin_port_open(&port, &admin->http, error);
}

/* The admin API for other machines: with TLS and a token, or not at all. */
static int listen_remote(struct gw_admin *admin, const struct gw_admin_config *config, struct gw_error *error)
{
    if (!config->remote_address || !*config->remote_address)
        return GW_OK;
    int rc = gw_guard_open(&admin->guard, config->token_file, config->data_folder, error);
    if (rc == GW_OK)
        rc = gw_admin_tls_new(config->certificate, config->key, &admin->tls, error);
    if (rc != GW_OK)
        return rc;
    admin->view.guard = &admin->guard;
    const struct gw_admin_port_config port = {.address = config->remote_address,
                                              .port = config->remote_port,
                                              .section = "admin",
                                              .folder = config->run_folder,
                                              .name = "admin_port"};
    return gw_admin_port_open(&port, &admin->remote, error);
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
    gw_admin_port_close(&admin->http);
    gw_admin_port_close(&admin->remote);
    SSL_CTX_free(admin->tls);
    if (admin->wake >= 0)
        close(admin->wake);
    gw_admin_socket_close(&admin->socket);
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
    admin->http.listener = admin->remote.listener = -1;
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
        rc = listen_remote(admin, config, error);
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
    return admin->http.port;
}

void gw_admin_set_journal(struct gw_admin *admin, struct gw_journal *journal)
{
    pthread_mutex_lock(&admin->view.lock);
    admin->view.journal = journal;
    pthread_mutex_unlock(&admin->view.lock);
}

void gw_admin_set_reload(struct gw_admin *admin, const struct gw_admin_reload *reload)
{
    pthread_mutex_lock(&admin->view.lock);
    admin->view.reload = reload;
    pthread_mutex_unlock(&admin->view.lock);
}

void gw_admin_set_writer(struct gw_admin *admin, const struct gw_admin_writer *writer)
{
    pthread_mutex_lock(&admin->view.lock);
    admin->view.writer = writer;
    pthread_mutex_unlock(&admin->view.lock);
}
