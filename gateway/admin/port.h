/* A TCP port that the admin thread listens on. */
#ifndef GW_ADMIN_PORT_H
#define GW_ADMIN_PORT_H

#include <stdint.h>

#include "base/error.h"

struct gw_admin_port {
    int listener; /* -1: none */
    uint16_t port;
    char *file; /* that holds the port's number */
};

struct gw_admin_port_config {
    const char *address;
    uint16_t port;             /* 0: any */
    const char *section;       /* of the configuration, for errors */
    const char *folder, *name; /* where the port's number is written */
};

/* GW_EINVALID: address; GW_EBUSY; GW_EIO; GW_ENOMEM. *out is -1 and NULL before. */
GW_MUST_CHECK int gw_admin_port_open(const struct gw_admin_port_config *config, struct gw_admin_port *out,
                                     struct gw_error *error);
/* Removes the file. */
void gw_admin_port_close(struct gw_admin_port *port);

#endif
