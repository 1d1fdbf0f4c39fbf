/*
 * struct trib_net over lwIP's sockets (2.1 or 2.2, with its own thread): what ports/posix does with the system's. Needs
 * LWIP_SOCKET and its lwip_poll; names need LWIP_DNS, without it a host is a numeric address.
 *
 * One connection at a time. All calls belong to the task that polls the SDK. A name is looked up in lwIP's own thread,
 * which writes into struct trib_lwip until it is done: the struct must stay until trib_lwip_idle says so.
 */
#ifndef TRIB_NET_LWIP_H
#define TRIB_NET_LWIP_H

#include <lwip/ip_addr.h>
#include <lwip/opt.h>

#include "tributary/port.h"
#include "wire/error.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TRIB_LWIP_HOST_BYTES 128

/* The caller's; the fields are private. */
struct trib_lwip {
    int fd; /* -1: none */
    bool connected;
    bool send_blocked;
    struct trib_log log;
    uint8_t lookup; /* shared with lwIP's thread */
    uint16_t port;
    ip_addr_t address;
    char name[TRIB_LWIP_HOST_BYTES]; /* that address is of, or will be */
};

/* log may be NULL. lwIP must be up (tcpip_init). */
void trib_lwip_init(struct trib_lwip *lwip, const struct trib_log *log);
struct trib_net trib_lwip_net(struct trib_lwip *lwip);
/* For config.wait, and for the app's own loop: sleeps until the connection can go on, at most timeout_ms; while a name
 * is being looked up at most 20 ms. */
struct trib_wait trib_lwip_waiter(struct trib_lwip *lwip);
/* No lookup is under way: the struct may go, after close. */
bool trib_lwip_idle(const struct trib_lwip *lwip);

#ifdef __cplusplus
}
#endif
#endif
