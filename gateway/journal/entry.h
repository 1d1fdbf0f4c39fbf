/*
 * A journal entry: one admitted batch, masked. CBOR array
 *   [version 1, device, tenant, received_utc_ms, received_uncertainty_ms, flags, BATCH body]
 * The BATCH body is the wire's own (wire/message.h) with: user values replaced by pseudonyms, rejected events
 * by tombstones, undeclared fields gone, duplicates gone. So the wire's reader reads it.
 */
#ifndef GW_JOURNAL_ENTRY_H
#define GW_JOURNAL_ENTRY_H

#include <stddef.h>
#include <stdint.h>

#include "wire/message.h"

#define GW_ENTRY_VERSION 1

enum gw_entry_flag {
    GW_ENTRY_REDRIVEN = 1, /* its events were in quarantine, so they stand behind what came after them */
};

struct gw_entry_head {
    struct trib_text device;
    uint64_t tenant;
    uint64_t received_utc_ms;
    uint64_t received_uncertainty_ms;
    uint64_t flags; /* enum gw_entry_flag; unknown ones mean nothing */
};

/* Writes the head; the BATCH message follows directly in the same buffer (trib_wire_batch_open with buf +
 * *out_len). */
TRIB_MUST_CHECK int gw_entry_head_encode(const struct gw_entry_head *head, uint8_t *buf, size_t cap,
                                         size_t *out_len);

/* Splits an entry into its head and its BATCH message (borrowed). TRIB_E…, TRIB_EVERSION. */
TRIB_MUST_CHECK int gw_entry_decode(const uint8_t *data, size_t len, struct gw_entry_head *out_head,
                                    const uint8_t **out_batch, size_t *out_batch_len);

#endif
