/*
 * How many things each address has at a time: handshakes in progress. Exact, unlike rates.h, and so large as there are
 * addresses that have any. Shared by all threads.
 */
#ifndef GW_INGEST_TALLY_H
#define GW_INGEST_TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "ingest/peer.h"

struct gw_tally;

/*
 * most: how many one address may have. expected: how many there may be of all, for the size of the table. GW_ENOMEM;
 * GW_ECRYPTO: no random bytes for the hash, which outsiders must not foresee.
 */
GW_MUST_CHECK int gw_tally_new(uint32_t most, size_t expected, struct gw_tally **out);
void gw_tally_free(struct gw_tally *tally);
/*
 * One more of who counts with the peer (gw_peer_counted); false: it has as many as it may, or there is no memory. Each true is
 * followed by one gw_tally_leave. tally: NULL takes all.
 */
GW_MUST_CHECK bool gw_tally_enter(struct gw_tally *tally, const struct gw_peer *peer);
void gw_tally_leave(struct gw_tally *tally, const struct gw_peer *peer);
/* Addresses that have any. */
size_t gw_tally_addresses(const struct gw_tally *tally);

#endif
