/*
 * Keys of TLS session tickets (RFC 5077 §4, RFC 8446 §4.6.1), shared by all threads, so that a device resumes on
 * whichever thread the kernel gives it. Made at random, rotated, never stored: after a restart everybody proves who it is
 * again. Every function locks inside; time comes from the caller.
 */
#ifndef GW_INGEST_TICKETS_H
#define GW_INGEST_TICKETS_H

#include <stdint.h>

#include "base/error.h"

struct gw_tickets;

struct gw_ticket_key {
    uint8_t name[16];
    uint8_t cipher[32]; /* AES-256-CBC */
    uint8_t mac[32];    /* HMAC-SHA-256 */
};

enum gw_ticket_age { GW_TICKET_UNKNOWN, GW_TICKET_OLD, GW_TICKET_CURRENT };

/* A key makes tickets for one lifetime and opens them for one more. */
GW_MUST_CHECK int gw_tickets_new(uint64_t lifetime_ms, struct gw_tickets **out);
void gw_tickets_free(struct gw_tickets *tickets);
uint64_t gw_tickets_lifetime_ms(const struct gw_tickets *tickets);
/* The key to make tickets with. GW_ECRYPTO: no random bytes. */
GW_MUST_CHECK int gw_tickets_current(struct gw_tickets *tickets, uint64_t now_ms, struct gw_ticket_key *out);
/* The key that a ticket names; filled unless it is unknown. Old: give the device a new ticket. */
enum gw_ticket_age gw_tickets_find(struct gw_tickets *tickets, const uint8_t name[16], uint64_t now_ms,
                                   struct gw_ticket_key *out);

#endif
