#include "ingest/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 1024

struct address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } as;
    socklen_t len;
};

static int parse(const char *text, uint16_t port, struct address *out, struct gw_error *error)
{
    *out = (struct address){0};
    if (inet_pton(AF_INET, text, &out->as.v4.sin_addr) == 1) {
        out->as.v4.sin_family = AF_INET;
        out->as.v4.sin_port = htons(port);
        out->len = sizeof out->as.v4;
    } else if (inet_pton(AF_INET6, text, &out->as.v6.sin6_addr) == 1) {
        out->as.v6.sin6_family = AF_INET6;
        out->as.v6.sin6_port = htons(port);
        out->len = sizeof out->as.v6;
    } else {
        return gw_error_set(error, GW_EINVALID, 0, "listen.address: %s is not a numeric IPv4 or IPv6 address",
                            text);
    }
    return GW_OK;
}

static int open_socket(const char *text, uint16_t port, bool shared, int *out_fd, struct gw_error *error)
{
    struct address address;
    int result = parse(text, port, &address, error);
    if (result != GW_OK)
        return result;
    int fd = socket(address.as.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return gw_error_set(error, GW_EIO, errno, "cannot make a socket");
    int on = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        (shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0))
        result = gw_error_set(error, GW_EIO, errno, "cannot set up a socket");
    else if (bind(fd, &address.as.any, address.len) != 0 || listen(fd, BACKLOG) != 0)
        result = gw_error_set(error, errno == EADDRINUSE ? GW_EBUSY : GW_EIO, errno,
                              "cannot listen on %s port %u: choose another listen.port, or stop what uses it",
                              text, port);
    if (result != GW_OK)
        close(fd);
    else
        *out_fd = fd;
    return result;
}

int gw_listener_probe(const char *address, uint16_t port, struct gw_error *error)
{
    int fd;
    int result = open_socket(address, port, false, &fd, error);
    if (result == GW_OK)
        close(fd);
    return result;
}

int gw_listener_open(const char *text, uint16_t port, int *out_fd, uint16_t *out_port, struct gw_error *error)
{
    int fd;
    int result = open_socket(text, port, true, &fd, error);
    if (result != GW_OK)
        return result;
    struct address bound = {.len = sizeof bound.as};
    if (getsockname(fd, &bound.as.any, &bound.len) != 0) {
        close(fd);
        return gw_error_set(error, GW_EIO, errno, "cannot read the bound port");
    }
    *out_port = ntohs(bound.as.any.sa_family == AF_INET ? bound.as.v4.sin_port : bound.as.v6.sin6_port);
    *out_fd = fd;
    return GW_OK;
}
