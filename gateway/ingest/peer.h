/* Where a connection comes from, and which addresses belong to configured ranges. No I/O. */
#ifndef GW_INGEST_PEER_H
#define GW_INGEST_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/error.h"
#include "config/config.h"

/* As IPv6; IPv4 is mapped into it (RFC 4291 §2.5.5.2). */
struct gw_peer {
    uint8_t address[16];
};

struct gw_peer_range {
    struct gw_peer first;
    unsigned bits; /* of the 128 */
};

struct gw_peer_ranges {
    size_t count;
    struct gw_peer_range ranges[GW_CONFIG_RANGES_MAX];
};

/* All zero for anything but IPv4 and IPv6. */
struct gw_peer gw_peer_of(const struct sockaddr *address);
struct gw_peer gw_peer_v4(const uint8_t address[4]);
/* As logs may show it (observe/address.h). Returns out, of GW_ADDRESS_TEXT_MAX bytes. */
const char *gw_peer_text(const struct gw_peer *peer, char *out);
/*
 * What limits count as one: an IPv4 address, or the /64 of an IPv6 address, which is what one household or host has at its
 * disposal.
 */
struct gw_peer gw_peer_counted(const struct gw_peer *peer);

/* "192.0.2.0/24", "2001:db8::/32", or an address alone. GW_EINVALID: not such a text, or bits set behind the prefix. */
GW_MUST_CHECK int gw_peer_range_parse(const char *text, struct gw_peer_range *out);
bool gw_peer_in(const struct gw_peer_ranges *ranges, const struct gw_peer *peer);

#endif
