#include "net_tcp.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform.h"
#include "resolve.h"

#define ADDRESS_MS 5000u /* for one address while others wait */
#define LOOKUP_STEP_MS 20

_Static_assert(TRIB_POSIX_TCP_ADDRESSES_MAX == TRIB_POSIX_ADDRESSES_MAX, "one list is copied into the other");
_Static_assert(sizeof(struct sockaddr_in6) == sizeof(union trib_posix_address),
               "the larger of both families");

static uint64_t now_ms(void)
{
    struct trib_clock clock = trib_posix_clock();
    return clock.mono_ms(clock.context);
}

static void say(const struct trib_posix_tcp *tcp, const char *what, const char *host, uint16_t port,
                const char *why)
{
    char line[256];
    if (tcp->log.write == NULL)
        return;
    (void)snprintf(line, sizeof line, "tcp: %s %s port %u: %s", what, host, (unsigned)port, why);
    tcp->log.write(tcp->log.context, TRIB_LOG_WARNING, line);
}

static void close_socket(struct trib_posix_tcp *tcp)
{
    if (tcp->fd >= 0)
        (void)close(tcp->fd);
    tcp->fd = -1;
    tcp->connected = false;
    tcp->send_blocked = false;
}

static void take_addresses(struct trib_posix_tcp *tcp, const struct trib_posix_addresses *found)
{
    memcpy(tcp->addresses, found->list, sizeof tcp->addresses);
    tcp->address_count = found->count;
    tcp->address_next = 0;
    tcp->last_errno = 0;
}

/* Fills the list of addresses. 0, TRIB_EAGAIN, TRIB_EIO. */
static int resolve(struct trib_posix_tcp *tcp, const char *host, uint16_t port)
{
    struct trib_posix_addresses found;
    if (trib_posix_read_numeric(host, port, &found) == 0) {
        take_addresses(tcp, &found);
        return 0;
    }
    /* A lookup outlives a close, so that a slow resolver is not asked anew by each attempt. */
    if (tcp->lookup != NULL && !trib_posix_lookup_is_for(tcp->lookup, host, port)) {
        trib_posix_lookup_release(tcp->lookup);
        tcp->lookup = NULL;
    }
    if (tcp->lookup == NULL)
        tcp->lookup = trib_posix_lookup_start(host, port);
    if (tcp->lookup == NULL) {
        say(tcp, "cannot look up", host, port, "no memory or no thread for it, or the name is too long");
        return TRIB_EIO;
    }
    int error = trib_posix_lookup_result(tcp->lookup, &found);
    if (error != 0)
        return error;
    trib_posix_lookup_release(tcp->lookup);
    tcp->lookup = NULL;
    if (found.count == 0) {
        say(tcp, "cannot look up", host, port, gai_strerror(found.error));
        return TRIB_EIO;
    }
    take_addresses(tcp, &found);
    return 0;
}

/* Begins with the next address. 0: under way or connected. TRIB_EIO: none is left. */
static int try_next(struct trib_posix_tcp *tcp)
{
    int one = 1;
    close_socket(tcp);
    while (tcp->address_next < tcp->address_count) {
        const union trib_posix_address *a = (const void *)&tcp->addresses[tcp->address_next++];
        socklen_t length = a->any.sa_family == AF_INET6 ? sizeof a->v6 : sizeof a->v4;
        tcp->fd = socket(a->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (tcp->fd >= 0) {
            /* Whole messages are written at once; waiting for more would only delay them. */
            (void)setsockopt(tcp->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            tcp->address_deadline_ms = now_ms() + ADDRESS_MS;
            if (connect(tcp->fd, &a->any, length) == 0 || errno == EINPROGRESS || errno == EINTR)
                return 0;
        }
        tcp->last_errno = errno;
        close_socket(tcp);
    }
    return TRIB_EIO;
}

/* Whether the socket's connect came through: 0, TRIB_EAGAIN, TRIB_EIO (then tcp->last_errno). */
static int check_connecting(struct trib_posix_tcp *tcp)
{
    struct pollfd p = {.fd = tcp->fd, .events = POLLOUT};
    int error = 0;
    socklen_t length = sizeof error;
    if (poll(&p, 1, 0) <= 0) {
        bool others_wait = tcp->address_next < tcp->address_count;
        if (!others_wait || now_ms() < tcp->address_deadline_ms)
            return TRIB_EAGAIN;
        tcp->last_errno = ETIMEDOUT;
        return TRIB_EIO;
    }
    if (getsockopt(tcp->fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0)
        error = errno;
    tcp->last_errno = error;
    return error == 0 ? 0 : TRIB_EIO;
}

static int tcp_connect(void *context, const char *host, uint16_t port)
{
    struct trib_posix_tcp *tcp = context;
    if (tcp->connected)
        return 0;
    if (tcp->fd < 0) {
        int error = resolve(tcp, host, port);
        if (error != 0)
            return error;
        error = try_next(tcp);
        if (error != 0) {
            say(tcp, "cannot connect to", host, port, strerror(tcp->last_errno));
            return error;
        }
    }
    for (;;) {
        int error = check_connecting(tcp);
        if (error == 0)
            tcp->connected = true;
        if (error != TRIB_EIO)
            return error;
        if (try_next(tcp) != 0) {
            say(tcp, "cannot connect to", host, port, strerror(tcp->last_errno));
            return TRIB_EIO;
        }
    }
}

static int error_for(int number)
{
    if (number == EAGAIN || number == EWOULDBLOCK || number == EINTR)
        return TRIB_EAGAIN;
    return number == EPIPE || number == ECONNRESET || number == ENOTCONN ? TRIB_ECLOSED : TRIB_EIO;
}

static size_t limit(size_t length)
{
    return length < INT_MAX ? length : INT_MAX;
}

static int tcp_send(void *context, const uint8_t *data, size_t length)
{
    struct trib_posix_tcp *tcp = context;
    if (!tcp->connected)
        return TRIB_ECLOSED;
    if (length == 0)
        return TRIB_EINVAL;
    ssize_t sent = send(tcp->fd, data, limit(length), MSG_NOSIGNAL);
    int error = sent < 0 ? error_for(errno) : 0;
    tcp->send_blocked = error == TRIB_EAGAIN;
    return error != 0 ? error : (int)sent;
}

static int tcp_receive(void *context, uint8_t *out_buffer, size_t capacity)
{
    struct trib_posix_tcp *tcp = context;
    if (!tcp->connected)
        return TRIB_ECLOSED;
    if (capacity == 0)
        return TRIB_EINVAL;
    ssize_t got = recv(tcp->fd, out_buffer, limit(capacity), 0);
    if (got < 0)
        return error_for(errno);
    return got == 0 ? TRIB_ECLOSED : (int)got;
}

static void tcp_close(void *context)
{
    close_socket(context);
}

void trib_posix_tcp_init(struct trib_posix_tcp *tcp, const struct trib_log *log)
{
    memset(tcp, 0, sizeof *tcp);
    tcp->fd = -1;
    if (log != NULL)
        tcp->log = *log;
}

void trib_posix_tcp_deinit(struct trib_posix_tcp *tcp)
{
    close_socket(tcp);
    trib_posix_lookup_release(tcp->lookup);
    tcp->lookup = NULL;
}

struct trib_net trib_posix_tcp_net(struct trib_posix_tcp *tcp)
{
    return (struct trib_net){tcp, tcp_connect, tcp_send, tcp_receive, tcp_close};
}

int trib_posix_wait(const struct trib_posix_tcp *tcp, int wake_fd, uint32_t timeout_ms)
{
    struct pollfd list[2] = {{.fd = wake_fd, .events = POLLIN},
                             {.fd = tcp->fd, .events = POLLIN}}; /* -1 is ignored */
    int timeout = timeout_ms < INT_MAX ? (int)timeout_ms : INT_MAX;
    if (tcp->fd >= 0 && !tcp->connected)
        list[1].events = POLLOUT;
    else if (tcp->send_blocked)
        list[1].events |= POLLOUT;
    if (tcp->fd < 0 && tcp->lookup != NULL && timeout > LOOKUP_STEP_MS)
        timeout = LOOKUP_STEP_MS;
    return poll(list, 2, timeout) > 0 ? 1 : 0;
}

static void wait_in_flush(void *context, uint32_t timeout_ms)
{
    (void)trib_posix_wait(context, -1, timeout_ms);
}

struct trib_wait trib_posix_waiter(struct trib_posix_tcp *tcp)
{
    return (struct trib_wait){tcp, wait_in_flush};
}
