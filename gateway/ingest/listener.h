/* Listening sockets. Each ingest thread has its own on the same port (SO_REUSEPORT): the kernel spreads connections. */
#ifndef GW_INGEST_LISTENER_H
#define GW_INGEST_LISTENER_H

#include <stdint.h>

#include "base/error.h"

/*
 * Binds and listens on a numeric IPv4 or IPv6 address; port 0: any. *out_port is the one bound.
 * gw_listener_probe fails with GW_EBUSY when somebody else has the port: SO_REUSEPORT alone would let two gateways of
 * one user share it by accident. GW_EINVALID: the address; GW_EBUSY; GW_EIO.
 */
GW_MUST_CHECK int gw_listener_probe(const char *address, uint16_t port, struct gw_error *error);
GW_MUST_CHECK int gw_listener_open(const char *address, uint16_t port, int *out_fd, uint16_t *out_port,
                                   struct gw_error *error);

#endif
