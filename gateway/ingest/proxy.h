/*
 * The PROXY protocol, version 2 (the specification that comes with HAProxy, §2.2), without I/O: what a proxy sends ahead
 * of a connection's own bytes to say where that comes from. Version 1, the text form, is not taken. What follows the
 * addresses (TLVs) is read over.
 */
#ifndef GW_INGEST_PROXY_H
#define GW_INGEST_PROXY_H

#include "ingest/peer.h"

#define GW_PROXY_HEAD 16
#define GW_PROXY_ADDRESSES 36 /* as long as we need them: of two IPv6 ends */

struct gw_proxy {
    uint8_t bytes[GW_PROXY_HEAD + GW_PROXY_ADDRESSES];
    size_t have;
    size_t skip; /* bytes of the header still to come that are of no interest */
};

struct gw_proxy_result {
    bool
        known; /* false: the proxy speaks for itself (LOCAL), or does not say: the socket's own address holds */
    struct gw_peer source;
};

void gw_proxy_init(struct gw_proxy *proxy);
/* How many bytes may be read now, so that none behind the header is taken. Not 0 as long as gw_proxy_take wants more. */
size_t gw_proxy_room(const struct gw_proxy *proxy);
/* len: at most gw_proxy_room. GW_OK: the header is over, *out is filled; GW_EAGAIN: more; GW_EPROTOCOL: no such header. */
GW_MUST_CHECK int gw_proxy_take(struct gw_proxy *proxy, const uint8_t *data, size_t len,
                                struct gw_proxy_result *out);

#endif
