#include "net_lwip.h"

#include <errno.h>
#include <string.h>

#include <lwip/dns.h>
#include <lwip/inet.h>
#include <lwip/sockets.h>
#include <lwip/sys.h>
#include <lwip/tcpip.h>

#define LOOKUP_STEP_MS 20

enum lookup { LOOKUP_NONE, LOOKUP_BUSY, LOOKUP_FOUND, LOOKUP_FAILED };

static void say(const struct trib_lwip *l, const char *text)
{
    if (l->log.write)
        l->log.write(l->log.context, TRIB_LOG_WARNING, text);
}

/* --- names --- */

/* lookup says whether address may be read; the other thread may run on another core. */
static uint8_t lookup_of(const struct trib_lwip *l)
{
    SYS_ARCH_DECL_PROTECT(level);
    SYS_ARCH_PROTECT(level);
    uint8_t state = l->lookup;
    SYS_ARCH_UNPROTECT(level);
    return state;
}

#if LWIP_DNS
/* In lwIP's thread. */
static void found(const char *name, const ip_addr_t *address, void *argument)
{
    struct trib_lwip *l = argument;
    SYS_ARCH_DECL_PROTECT(level);
    (void)name;
    SYS_ARCH_PROTECT(level);
    if (address)
        l->address = *address;
    l->lookup = address ? LOOKUP_FOUND : LOOKUP_FAILED;
    SYS_ARCH_UNPROTECT(level);
}

/* In lwIP's thread: dns.h is for that one alone. */
static void look_up(void *argument)
{
    struct trib_lwip *l = argument;
    ip_addr_t address;
    err_t error = dns_gethostbyname(l->name, &address, found, l);
    if (error == ERR_OK)
        found(l->name, &address, l);
    else if (error != ERR_INPROGRESS)
        found(l->name, NULL, l);
}

static int start_lookup(struct trib_lwip *l)
{
    l->lookup = LOOKUP_BUSY;
    if (tcpip_try_callback(look_up, l) == ERR_OK)
        return TRIB_EAGAIN;
    l->lookup = LOOKUP_NONE; /* its mailbox is full: the next call tries again */
    return TRIB_EAGAIN;
}
#else
static int start_lookup(struct trib_lwip *l)
{
    say(l, "lwip: this build has no DNS: the host must be a numeric address");
    return TRIB_EIO;
}
#endif

/* Fills l->address. A lookup outlives a close, for nothing can stop it; another name waits for its end. */
static int resolve(struct trib_lwip *l, const char *host)
{
    uint8_t state = lookup_of(l);
    if (state == LOOKUP_BUSY)
        return TRIB_EAGAIN;
    bool same = strcmp(l->name, host) == 0;
    l->lookup = LOOKUP_NONE;
    if (same && state == LOOKUP_FOUND)
        return 0;
    if (same && state == LOOKUP_FAILED) {
        say(l, "lwip: the host's name cannot be looked up");
        return TRIB_EIO;
    }
    if (ipaddr_aton(host, &l->address))
        return 0;
    if (strlen(host) >= sizeof l->name) {
        say(l, "lwip: the host's name is too long");
        return TRIB_EIO;
    }
    memcpy(l->name, host, strlen(host) + 1);
    return start_lookup(l);
}

/* --- the connection --- */

static void close_socket(struct trib_lwip *l)
{
    if (l->fd >= 0)
        (void)lwip_close(l->fd);
    l->fd = -1;
    l->connected = false;
    l->send_blocked = false;
}

static socklen_t fill_address(const struct trib_lwip *l, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof *out);
#if LWIP_IPV6
    if (IP_IS_V6(&l->address)) {
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
        v6->sin6_family = AF_INET6;
        v6->sin6_port = lwip_htons(l->port);
        memcpy(&v6->sin6_addr, ip_2_ip6(&l->address)->addr, 16);
        return sizeof *v6;
    }
#endif
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    v4->sin_family = AF_INET;
    v4->sin_port = lwip_htons(l->port);
    memcpy(&v4->sin_addr, &ip_2_ip4(&l->address)->addr, 4);
    return sizeof *v4;
}

static int begin(struct trib_lwip *l)
{
    struct sockaddr_storage address;
    socklen_t length = fill_address(l, &address);
    int one = 1;
    l->fd = lwip_socket(address.ss_family, SOCK_STREAM, 0);
    if (l->fd < 0) {
        say(l, "lwip: no socket is free");
        return TRIB_EIO;
    }
    /* Whole messages are written at once; waiting for more would only delay them. */
    (void)lwip_setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (lwip_fcntl(l->fd, F_SETFL, O_NONBLOCK) != 0)
        return TRIB_EIO;
    if (lwip_connect(l->fd, (struct sockaddr *)&address, length) == 0 || errno == EINPROGRESS)
        return 0;
    say(l, "lwip: cannot connect");
    return TRIB_EIO;
}

static int lwip_connect_port(void *context, const char *host, uint16_t port)
{
    struct trib_lwip *l = context;
    if (l->connected)
        return 0;
    if (l->fd < 0) {
        int result = resolve(l, host);
        if (result != 0)
            return result;
        l->port = port;
        result = begin(l);
        if (result != 0) {
            close_socket(l);
            return result;
        }
    }
    struct pollfd p = {.fd = l->fd, .events = POLLOUT};
    if (lwip_poll(&p, 1, 0) <= 0)
        return TRIB_EAGAIN;
    int error = 0;
    socklen_t length = sizeof error;
    if (lwip_getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0 || error != 0 ||
        (p.revents & (POLLERR | POLLHUP)) != 0) {
        say(l, "lwip: cannot connect");
        close_socket(l);
        return TRIB_EIO;
    }
    l->connected = true;
    return 0;
}

static int error_for(int number)
{
    if (number == EAGAIN || number == EWOULDBLOCK || number == EINPROGRESS)
        return TRIB_EAGAIN;
    return number == ECONNRESET || number == ECONNABORTED || number == ENOTCONN ? TRIB_ECLOSED : TRIB_EIO;
}

static size_t limit(size_t length)
{
    return length < 65535 ? length : 65535;
}

static int lwip_send_port(void *context, const uint8_t *data, size_t length)
{
    struct trib_lwip *l = context;
    if (!l->connected)
        return TRIB_ECLOSED;
    if (length == 0)
        return TRIB_EINVAL;
    int sent = (int)lwip_send(l->fd, data, limit(length), 0);
    int result = sent > 0 ? sent : error_for(sent < 0 ? errno : EAGAIN);
    l->send_blocked = result == TRIB_EAGAIN;
    return result;
}

static int lwip_receive_port(void *context, uint8_t *out_buffer, size_t capacity)
{
    struct trib_lwip *l = context;
    if (!l->connected)
        return TRIB_ECLOSED;
    if (capacity == 0)
        return TRIB_EINVAL;
    int got = (int)lwip_recv(l->fd, out_buffer, limit(capacity), 0);
    if (got < 0)
        return error_for(errno);
    return got == 0 ? TRIB_ECLOSED : got;
}

static void lwip_close_port(void *context)
{
    close_socket(context);
}

static void lwip_wait_port(void *context, uint32_t timeout_ms)
{
    const struct trib_lwip *l = context;
    struct pollfd p = {.fd = l->fd, .events = POLLIN};
    if (l->fd >= 0 && !l->connected)
        p.events = POLLOUT;
    else if (l->send_blocked)
        p.events |= POLLOUT;
    if (lookup_of(l) == LOOKUP_BUSY && timeout_ms > LOOKUP_STEP_MS)
        timeout_ms = LOOKUP_STEP_MS;
    /* Without a socket this is a sleep. */
    (void)lwip_poll(&p, l->fd >= 0 ? 1 : 0, timeout_ms < INT32_MAX ? (int)timeout_ms : INT32_MAX);
}

void trib_lwip_init(struct trib_lwip *lwip, const struct trib_log *log)
{
    memset(lwip, 0, sizeof *lwip);
    lwip->fd = -1;
    if (log)
        lwip->log = *log;
}

struct trib_net trib_lwip_net(struct trib_lwip *lwip)
{
    return (struct trib_net){lwip, lwip_connect_port, lwip_send_port, lwip_receive_port, lwip_close_port};
}

struct trib_wait trib_lwip_waiter(struct trib_lwip *lwip)
{
    return (struct trib_wait){lwip, lwip_wait_port};
}

bool trib_lwip_idle(const struct trib_lwip *lwip)
{
    return lookup_of(lwip) != LOOKUP_BUSY;
}
