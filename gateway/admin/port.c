#include "admin/port.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/files.h"

#define BACKLOG 64

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

static int listen_at(const struct gw_admin_port_config *config, struct gw_admin_port *out,
                     struct gw_error *error)
{
    char port[8];
    snprintf(port, sizeof port, "%u", config->port);
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *addresses;
    int rc = getaddrinfo(config->address, port, &hints, &addresses);
    if (rc != 0)
        return gw_error_set(error, GW_EINVALID, 0, "%s.http_address: `%s` is no address here: %s",
                            config->section, config->address, gai_strerror(rc));
    rc = listen_on(addresses, &out->listener);
    int why = errno;
    freeaddrinfo(addresses);
    if (rc != 0 && why == EADDRINUSE)
        return gw_error_set(error, GW_EBUSY, 0,
                            "%s.http_port: port %u of %s is in use: stop what uses it, or give another port",
                            config->section, config->port, config->address);
    if (rc != 0)
        return gw_error_set(error, GW_EIO, why, "%s.http_address: cannot listen on port %u of %s",
                            config->section, config->port, config->address);
    struct sockaddr_storage bound;
    socklen_t len = sizeof bound;
    if (getsockname(out->listener, (struct sockaddr *)&bound, &len) == 0 &&
        getnameinfo((const struct sockaddr *)&bound, len, NULL, 0, port, sizeof port, NI_NUMERICSERV) == 0)
        out->port = (uint16_t)strtoul(port, NULL, 10);
    return GW_OK;
}

/* Whole or not at all, so that who waits for the file never reads half a number. */
static int write_file(const struct gw_admin_port_config *config, struct gw_admin_port *out,
                      struct gw_error *error)
{
    char text[8];
    const int len = snprintf(text, sizeof text, "%u\n", out->port);
    int e = ENOMEM;
    if (asprintf(&out->file, "%s/%s", config->folder, config->name) < 0)
        out->file = NULL;
    else
        e = gw_file_write(config->folder, config->name, text, (size_t)len, 0644);
    return e == 0 ? GW_OK
                  : gw_error_set(error, e == ENOMEM ? GW_ENOMEM : GW_EIO, e,
                                 "data.folder: %s/%s cannot be written", config->folder, config->name);
}

int gw_admin_port_open(const struct gw_admin_port_config *config, struct gw_admin_port *out,
                       struct gw_error *error)
{
    int rc = listen_at(config, out, error);
    return rc == GW_OK ? write_file(config, out, error) : rc;
}

void gw_admin_port_close(struct gw_admin_port *port)
{
    if (port->listener >= 0)
        close(port->listener);
    if (port->file)
        (void)unlink(port->file);
    free(port->file);
    *port = (struct gw_admin_port){.listener = -1};
}
