/* A quarantine record as it lies in a segment, then in `meta`: whose event it is and why, around the sealed
 * bytes. */
#ifndef GW_JOURNAL_QUARANTINE_H
#define GW_JOURNAL_QUARANTINE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct gw_quarantine_record {
    const char *device; /* borrowed, not terminated */
    size_t device_len;
    uint64_t stream, seq, received_ms;
    uint32_t code;
    const uint8_t *sealed; /* borrowed */
    size_t sealed_len;
};

size_t gw_quarantine_bytes(size_t device_len, size_t sealed_len);
/* buf has exactly gw_quarantine_bytes. */
void gw_quarantine_encode(const struct gw_quarantine_record *record, uint8_t *buf);
/* 0 or GW_EDAMAGED. */
GW_MUST_CHECK int gw_quarantine_decode(const uint8_t *data, size_t len, struct gw_quarantine_record *out);

#endif
