/*
 * struct trib_net through an HTTP proxy: connects to the proxy over a lower net, asks it for a tunnel (CONNECT, RFC 9110
 * §9.3.6; the message's form is RFC 9112), and passes bytes through from then on. TLS belongs on top of it, so that the
 * proxy sees the gateway's name and port and nothing else. The proxy looks up that name; the device only the proxy's.
 *
 * Between device and proxy nothing is encrypted: credentials for the proxy (Basic, RFC 7617) can be read there.
 */
#ifndef TRIB_NET_PROXY_H
#define TRIB_NET_PROXY_H

#include "tributary/port.h"
#include "wire/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Room for one request: the gateway's name twice, and the credentials by four thirds. */
#define TRIB_PROXY_BUFFER_BYTES 640

/* All that its answer may have before the tunnel, interim answers included. */
#define TRIB_PROXY_ANSWER_BYTES_MAX 8192

/* The caller's strings must stay. */
struct trib_proxy_config {
    struct trib_net lower; /* to the proxy: ports/posix, … */
    const char *host;
    uint16_t port;
    const char *user;     /* NULL: no credentials. No colon, no control characters */
    const char *password; /* NULL: empty */
    struct trib_log log;  /* optional: why the proxy refused */
};

/* The caller's; the fields are private. */
struct trib_proxy {
    struct trib_proxy_config config;
    uint8_t step;
    uint8_t line_step; /* where in a line of the answer */
    uint16_t status;
    uint16_t begin, end; /* of what is in the buffer: unsent, or received behind the answer */
    uint32_t answered;   /* bytes of the answer so far */
    uint8_t buffer[TRIB_PROXY_BUFFER_BYTES];
};

/* TRIB_EINVAL: host, port or a call of lower is missing, or the credentials have characters that they must not. */
TRIB_MUST_CHECK int trib_proxy_init(struct trib_proxy *proxy, const struct trib_proxy_config *config);

/*
 * connect fails with TRIB_EAUTH when the proxy wants (other) credentials (407), with TRIB_EIO when it refuses, answers
 * with something else than HTTP, or closes, and with whatever lower fails with. All else is as in tributary/port.h.
 */
struct trib_net trib_proxy_net(struct trib_proxy *proxy);

#ifdef __cplusplus
}
#endif
#endif
