#include "ingest/accept.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ingest/clock.h"
#include "ingest/proxy.h"
#include "observe/address.h"
#include "observe/log.h"
#include "observe/metrics.h"

/* A handshake that takes longer is not an honest one that only waits for its turn. */
#define HANDSHAKE_FAIR_MS 1000

/* A connection from a proxy, before its header is whole. */
struct gw_arrival {
    uv_poll_t poll;
    struct gw_ingest_thread *thread;
    struct gw_arrival *next, **link;
    int fd; /* -1: done with */
    uint64_t deadline_ms;
    struct gw_peer proxy;
    struct gw_proxy header;
};

/* --- places --- */

bool gw_accept_crowded(struct gw_ingest *ingest)
{
    return atomic_load(&ingest->open_total) + ingest->evict_below >= ingest->open_limit;
}

/* The thread with the most connections that have not said anything yet. */
static struct gw_ingest_thread *most_waiting(struct gw_ingest *ingest)
{
    struct gw_ingest_thread *most = NULL;
    size_t count = 0;
    for (unsigned i = 0; i < ingest->thread_count; i++) {
        size_t waiting = atomic_load_explicit(&ingest->threads[i].waiting, memory_order_relaxed);
        if (waiting > count) {
            most = &ingest->threads[i];
            count = waiting;
        }
    }
    return most;
}

/*
 * Many who connect and say nothing must not keep others out: one that waited longest goes. The kernel chooses the
 * thread of a connection, so the silent ones may all be with another thread; that one is asked, and may be slow, so one
 * of this thread goes if there is no place until then. False: there is none.
 */
static bool make_place(struct gw_ingest_thread *thread)
{
    struct gw_ingest *ingest = thread->ingest;
    if (!gw_accept_crowded(ingest))
        return true;
    struct gw_ingest_thread *other = most_waiting(ingest);
    if (other && other != thread && 2 * atomic_load(&thread->waiting) < atomic_load(&other->waiting)) {
        gw_ingest_thread_evict(other);
        if (atomic_load(&ingest->open_total) < ingest->open_limit)
            return true;
    }
    return gw_connection_evict(thread, 0) || atomic_load(&ingest->open_total) < ingest->open_limit;
}

static size_t handshakes(struct gw_ingest *ingest)
{
    size_t count = 0;
    for (unsigned i = 0; i < ingest->thread_count; i++)
        count += atomic_load_explicit(&ingest->threads[i].waiting, memory_order_relaxed);
    return count;
}

/*
 * Whether one more handshake may begin. At the limit, honest ones are finished first, while those who come wait in the
 * kernel's queue; one that takes too long makes room.
 */
static bool may_begin(struct gw_ingest_thread *thread)
{
    uint32_t limit = thread->ingest->deps.config->limits.handshakes;
    return handshakes(thread->ingest) < limit || gw_connection_evict(thread, HANDSHAKE_FAIR_MS);
}

/* --- taking a connection in --- */

static bool rate_allows(struct gw_ingest *ingest, const struct gw_peer *peer)
{
    struct gw_peer counted = gw_peer_counted(peer);
    if (gw_rates_take(ingest->address_rates, counted.address, sizeof counted.address, 1,
                      gw_clock_mono_ms()) == 1)
        return true;
    char text[GW_ADDRESS_TEXT_MAX];
    gw_metric_add(GW_METRIC_RATE_LIMITED, 1);
    gw_log(GW_LOG_WARNING, "ingest.address_rate",
           "an address connects more often than limits.address_rate allows",
           GW_TEXT("peer", gw_peer_text(peer, text)));
    return false;
}

/* Else one address could take all places, and the others would wait with those that dribble. */
static bool handshake_allowed(struct gw_ingest *ingest, const struct gw_peer *peer)
{
    if (gw_tally_enter(ingest->address_handshakes, peer))
        return true;
    char text[GW_ADDRESS_TEXT_MAX];
    gw_metric_add(GW_METRIC_HANDSHAKES_REFUSED, 1);
    gw_log(GW_LOG_WARNING, "ingest.address_handshakes",
           "an address has as many handshakes in progress as limits.address_handshakes allows",
           GW_TEXT("peer", gw_peer_text(peer, text)));
    return false;
}

/* Takes fd over. */
static void let_in(struct gw_ingest_thread *thread, int fd, const struct gw_peer *peer, uint64_t deadline_ms)
{
    if (!rate_allows(thread->ingest, peer) || !handshake_allowed(thread->ingest, peer)) {
        close(fd);
        return;
    }
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    thread->accepting = *peer;
    thread->accepting_deadline_ms = deadline_ms;
    thread->accepting_tallied = true;
    lws_sock_file_fd_type socket = {.sockfd = fd};
    struct lws *wsi =
        lws_adopt_descriptor_vhost(thread->vhost, LWS_ADOPT_SOCKET | LWS_ADOPT_ALLOW_SSL, socket, NULL, NULL);
    struct gw_connection *connection = wsi ? lws_get_opaque_user_data(wsi) : NULL;
    if (thread->accepting_tallied) /* no connection came of it */
        gw_tally_leave(thread->ingest->address_handshakes, peer);
    thread->accepting_tallied = false;
    if (connection) {
        gw_tls_name_peer(lws_get_ssl(wsi), &connection->peer);
        gw_tls_pace(lws_get_ssl(wsi), &thread->pace);
    }
}

/* --- behind a proxy --- */

static void on_poll_closed(uv_handle_t *handle)
{
    free(handle->data);
}

/* Ends the arrival; its socket goes on where it is returned. */
static int leave(struct gw_arrival *arrival)
{
    int fd = arrival->fd;
    arrival->fd = -1;
    *arrival->link = arrival->next;
    if (arrival->next)
        arrival->next->link = arrival->link;
    atomic_fetch_sub_explicit(&arrival->thread->waiting, 1, memory_order_relaxed);
    atomic_fetch_sub(&arrival->thread->ingest->open_total, 1);
    uv_poll_stop(&arrival->poll);
    uv_close((uv_handle_t *)&arrival->poll, on_poll_closed);
    return fd;
}

static void drop(struct gw_arrival *arrival, const char *why)
{
    char text[GW_ADDRESS_TEXT_MAX];
    gw_metric_add(GW_METRIC_UPGRADES_REFUSED, 1);
    gw_log(GW_LOG_WARNING, "ingest.proxy", why, GW_TEXT("proxy", gw_peer_text(&arrival->proxy, text)));
    close(leave(arrival));
}

static void on_header(uv_poll_t *poll, int status, int events)
{
    struct gw_arrival *arrival = poll->data;
    struct gw_proxy_result result;
    (void)events;
    int state = status == 0 ? GW_EAGAIN : GW_EIO;
    while (state == GW_EAGAIN) {
        uint8_t bytes[1024];
        size_t room = gw_proxy_room(&arrival->header);
        ssize_t got = recv(arrival->fd, bytes, room < sizeof bytes ? room : sizeof bytes, 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        state = got > 0 ? gw_proxy_take(&arrival->header, bytes, (size_t)got, &result) : GW_EIO;
    }
    if (state == GW_EPROTOCOL) {
        drop(arrival, "a connection from a trusted proxy does not begin with a PROXY header of version 2");
    } else if (state != GW_OK) {
        close(leave(arrival)); /* a proxy that only looks whether we are here */
    } else {
        struct gw_ingest_thread *thread = arrival->thread;
        uint64_t deadline_ms = arrival->deadline_ms;
        struct gw_peer peer = result.known ? result.source : arrival->proxy;
        let_in(thread, leave(arrival), &peer, deadline_ms);
    }
}

static void await_header(struct gw_ingest_thread *thread, int fd, const struct gw_peer *proxy,
                         uint64_t deadline_ms)
{
    struct gw_arrival *arrival = calloc(1, sizeof *arrival);
    if (!arrival || uv_poll_init(&thread->loop, &arrival->poll, fd) != 0) {
        free(arrival);
        close(fd);
        return;
    }
    arrival->poll.data = arrival;
    arrival->thread = thread;
    arrival->fd = fd;
    arrival->deadline_ms = deadline_ms;
    arrival->proxy = *proxy;
    gw_proxy_init(&arrival->header);
    arrival->next = thread->arrivals;
    arrival->link = &thread->arrivals;
    if (arrival->next)
        arrival->next->link = &arrival->next;
    thread->arrivals = arrival;
    atomic_fetch_add_explicit(&thread->waiting, 1, memory_order_relaxed);
    atomic_fetch_add(&thread->ingest->open_total, 1);
    uv_poll_start(&arrival->poll, UV_READABLE, on_header);
}

void gw_accept_tick(struct gw_ingest_thread *thread, uint64_t now_ms)
{
    for (struct gw_arrival *arrival = thread->arrivals, *next; arrival; arrival = next) {
        next = arrival->next;
        if (now_ms >= arrival->deadline_ms)
            drop(arrival, "a connection from a trusted proxy said nothing in time");
    }
}

void gw_accept_drop_all(struct gw_ingest_thread *thread)
{
    while (thread->arrivals)
        close(leave(thread->arrivals));
}

/* --- the listener --- */

static void take_in(struct gw_ingest_thread *thread, int fd, const struct sockaddr *from)
{
    const struct gw_ingest *ingest = thread->ingest;
    struct gw_peer peer = gw_peer_of(from);
    uint64_t deadline_ms = gw_clock_mono_ms() + ingest->deps.config->limits.handshake_timeout_ms;
    if (gw_peer_in(&ingest->proxies, &peer))
        await_header(thread, fd, &peer, deadline_ms);
    else
        let_in(thread, fd, &peer, deadline_ms);
}

void gw_accept_stop(struct gw_ingest_thread *thread)
{
    if (thread->listening)
        uv_poll_stop(&thread->listener);
    thread->listening = false;
}

void gw_accept_some(struct gw_ingest_thread *thread)
{
    for (int i = 0; i < thread->ingest->accepts_per_wake && gw_pace_admits(&thread->pace); i++) {
        if (!may_begin(thread)) {
            gw_accept_stop(thread); /* a handshake that ends, or the next tick, goes on */
            return;
        }
        struct sockaddr_storage from = {.ss_family = AF_UNSPEC};
        socklen_t from_len = sizeof from;
        int fd =
            accept4(thread->listen_fd, (struct sockaddr *)&from, &from_len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
            gw_log(GW_LOG_ERROR, "ingest.accept",
                   "out of file descriptors or memory: raise the limit (ulimit -n)", GW_INT("errno", errno));
            gw_accept_stop(thread); /* the next tick tries again: it would spin here */
            return;
        }
        if (fd < 0)
            return;
        if (make_place(thread))
            take_in(thread, fd, (const struct sockaddr *)&from);
        else
            close(fd);
    }
}

static void on_listener(uv_poll_t *handle, int status, int events)
{
    (void)status;
    (void)events;
    gw_accept_some(handle->data);
}

void gw_accept_listen(struct gw_ingest_thread *thread)
{
    if (!thread->listening && !thread->draining)
        thread->listening = uv_poll_start(&thread->listener, UV_READABLE, on_listener) == 0;
}
