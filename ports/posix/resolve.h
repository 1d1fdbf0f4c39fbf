/*
 * Looking up a host without blocking. Numeric addresses are read at once. For names getaddrinfo is the only portable
 * way, and it blocks for as long as the resolver is configured to: so it runs in a small thread of this port, which
 * lives for one lookup and touches nothing but that lookup. The SDK itself has no threads.
 */
#ifndef TRIB_POSIX_RESOLVE_H
#define TRIB_POSIX_RESOLVE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "wire/error.h"

#define TRIB_POSIX_ADDRESSES_MAX 8

union trib_posix_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

struct trib_posix_addresses {
    union trib_posix_address list[TRIB_POSIX_ADDRESSES_MAX]; /* in the order to try them (RFC 6724) */
    size_t count;
    int error; /* of getaddrinfo (EAI_…), 0 when count > 0 */
};

struct trib_posix_lookup;

/* Reads a numeric address. 0, or TRIB_EINVAL when host is not one. */
TRIB_MUST_CHECK int trib_posix_read_numeric(const char *host, uint16_t port,
                                            struct trib_posix_addresses *out);

/* Begins a lookup. NULL: no memory, or no thread. */
struct trib_posix_lookup *trib_posix_lookup_start(const char *host, uint16_t port);
/* 0: *out is filled. TRIB_EAGAIN: not yet. */
TRIB_MUST_CHECK int trib_posix_lookup_result(struct trib_posix_lookup *lookup,
                                             struct trib_posix_addresses *out);
bool trib_posix_lookup_is_for(const struct trib_posix_lookup *lookup, const char *host, uint16_t port);
/* The caller is done with it, finished or not. The thread frees it if it is still at work. */
void trib_posix_lookup_release(struct trib_posix_lookup *lookup);

#endif
