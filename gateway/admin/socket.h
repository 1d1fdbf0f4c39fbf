/* The Unix socket of the admin API, by path, however long the path is. */
#ifndef GW_ADMIN_SOCKET_H
#define GW_ADMIN_SOCKET_H

#include "base/error.h"

struct gw_admin_socket {
    int listener, lock; /* descriptors; -1: none */
    char *path;
    unsigned long device, inode; /* of the socket file, so that only our own is removed */
};

/*
 * Listens at path, mode 0600. A lock file beside it (path + ".lock") is held as long as the socket is open:
 * so a socket file found there belongs to nobody and is replaced. GW_EBUSY: another gateway holds it;
 * GW_EINVALID: something else stands there; GW_EIO.
 */
GW_MUST_CHECK int gw_admin_socket_listen(const char *path, struct gw_admin_socket *out,
                                         struct gw_error *error);
void gw_admin_socket_close(struct gw_admin_socket *socket);

/* Connects, blocking. GW_ENOTFOUND: no gateway listens there; GW_EAUTH: permission; GW_EIO. */
GW_MUST_CHECK int gw_admin_socket_connect(const char *path, int *out_descriptor, struct gw_error *error);

#endif
