/*
 * Who may use the admin API over TCP: whoever has the token, as `Authorization: Bearer TOKEN` (RFC 6750) or as the password of
 * `Basic` (RFC 7617, any user name). Compared in constant time; an address that fails too often is turned away for a while,
 * unheard. The token is 64 hexadecimal digits in a file of the owner's only, made at the first start.
 */
#ifndef GW_ADMIN_GUARD_H
#define GW_ADMIN_GUARD_H

#include <stdint.h>
#include <sys/socket.h>

#include "base/error.h"

#define GW_TOKEN_DIGITS 64
#define GW_GUARD_SOURCES 64
#define GW_GUARD_FAILURES 5 /* of one address, ... */
#define GW_GUARD_MS 10000   /* ... then one try each so long */
#define GW_TOKEN_NAME "admin.token"

struct gw_guard_source {
    uint8_t address[16];
    uint64_t failed_ms; /* the newest failure */
    unsigned failures;
};

struct gw_guard {
    char token[GW_TOKEN_DIGITS + 1];
    struct gw_guard_source sources[GW_GUARD_SOURCES];
};

/* file "": data_folder/keys/admin.token, made if it is not there. GW_EINVALID, GW_EIO, with what to mend. */
GW_MUST_CHECK int gw_guard_open(struct gw_guard *out, const char *file, const char *data_folder,
                                struct gw_error *error);
/* 0; -401: no or wrong credentials; -429: too many of those from this address. */
int gw_guard_check(struct gw_guard *guard, const uint8_t address[16], const char *credentials,
                   uint64_t now_ms);
/* An IPv6 address, or an IPv4 one mapped into it (RFC 4291 §2.5.5.2). */
void gw_guard_address(const struct sockaddr *from, uint8_t out[16]);

#endif
