/* A quarantine record as it lies in a segment, then in `meta`: whose event it is and why, around the sealed
 * bytes. */
#ifndef GW_JOURNAL_REJECTED_H
#define GW_JOURNAL_REJECTED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "journal/journal.h"

struct gw_rejected {
    const char *device; /* borrowed, not terminated */
    size_t device_len;
    uint64_t stream, seq, received_ms;
    uint32_t code;
    const uint8_t *sealed; /* borrowed */
    size_t sealed_len;
    bool settles; /* not an event: it takes the one at `place` out of quarantine, and nothing is sealed */
    struct gw_journal_place place;
};

#define GW_REJECTED_PLACE_BYTES 16u /* as sealed_len of one that settles */

size_t gw_rejected_bytes(size_t device_len, size_t sealed_len);
/* buf has exactly gw_rejected_bytes. */
void gw_rejected_encode(const struct gw_rejected *record, uint8_t *buf);
/* 0 or GW_EDAMAGED. */
GW_MUST_CHECK int gw_rejected_decode(const uint8_t *data, size_t len, struct gw_rejected *out);

#endif
