/* Network addresses as logs and metrics may show them: the network, not the host (IPv4 /24, IPv6 /48). */
#ifndef GW_OBSERVE_ADDRESS_H
#define GW_OBSERVE_ADDRESS_H

#include <sys/socket.h>

#define GW_ADDRESS_TEXT_MAX 56

/*
 * "192.0.2.0/24" or "2001:db8:1::/48"; an IPv4 address mapped into IPv6 (RFC 4291 §2.5.5.2) is shown as IPv4;
 * "local" for a Unix socket, "unknown" for anything else. Returns out.
 */
const char *gw_address_truncate(const struct sockaddr *address, char out[GW_ADDRESS_TEXT_MAX]);
/* The same of a numeric address in text, without port or brackets. */
const char *gw_address_truncate_text(const char *address, char out[GW_ADDRESS_TEXT_MAX]);

#endif
