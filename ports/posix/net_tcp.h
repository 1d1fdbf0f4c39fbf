/*
 * struct trib_net over a TCP socket, and a way for an app's loop to sleep until there is something to do.
 *
 * Names are looked up off the caller's thread (see resolve.h); then each address is tried in the system's order
 * (RFC 6724: IPv6 and IPv4 as the machine has them), the next one when one fails or takes more than 5 seconds.
 * One connection at a time. All calls belong to the thread that polls the SDK. No call raises SIGPIPE.
 */
#ifndef TRIB_POSIX_NET_TCP_H
#define TRIB_POSIX_NET_TCP_H

#include <netinet/in.h>
#include <stdbool.h>

#include "tributary/port.h"
#include "wire/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* So many addresses of a host are tried. */
#define TRIB_POSIX_TCP_ADDRESSES_MAX 8

struct trib_posix_lookup;

/* The caller's; the fields are private. */
struct trib_posix_tcp {
    int fd; /* -1: none */
    bool connected;
    bool send_blocked;
    struct trib_posix_lookup *lookup;
    struct sockaddr_in6 addresses[TRIB_POSIX_TCP_ADDRESSES_MAX]; /* large enough for IPv4 too */
    size_t address_count, address_next;
    uint64_t address_deadline_ms;
    int last_errno;
    struct trib_log log;
};

/* log may be NULL: then failures are only codes. */
void trib_posix_tcp_init(struct trib_posix_tcp *tcp, const struct trib_log *log);
/* Closes, and gives up a lookup that may be under way. */
void trib_posix_tcp_deinit(struct trib_posix_tcp *tcp);
struct trib_net trib_posix_tcp_net(struct trib_posix_tcp *tcp);

/*
 * Sleeps until the connection can go on (readable; writable if a send was refused; connected), wake_fd is readable
 * (-1: none), or timeout_ms is over. Give it what trib_poll returned. 1: something is ready. 0: the time is over, or
 * a signal came. While a name is being looked up it returns every 20 ms.
 */
int trib_posix_wait(const struct trib_posix_tcp *tcp, int wake_fd, uint32_t timeout_ms);
/* The same without a wake_fd, for config.wait: trib_flush sleeps in it. */
struct trib_wait trib_posix_waiter(struct trib_posix_tcp *tcp);

#ifdef __cplusplus
}
#endif
#endif
