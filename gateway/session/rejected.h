/*
 * What a sealed quarantine item holds: all that is needed to validate a rejected event again later and to
 * append it under its original identity. The plaintext inside the seal is a CBOR array:
 *
 *   [version 1, code, device, tenant, stream, lane, seq, boot, mono_ms, ord,
 *    received_utc_ms, received_uncertainty_ms, [* [boot, mono_ms, utc_ms, uncertainty_ms]],
 *    {? 0: session, ? 1: content, ? 2: user}, type, fields as a byte string]
 *
 * The fields are the bytes as received. User ids in it are in the clear, so nothing of it is ever written
 * unsealed. The seal's label binds an item to its place: items cannot be exchanged for one another.
 */
#ifndef GW_SESSION_REJECTED_H
#define GW_SESSION_REJECTED_H

#include <stddef.h>
#include <stdint.h>

#include "wire/message.h"

#define GW_REJECTED_VERSION 1
#define GW_REJECTED_LABEL_BYTES 26
/* Room for everything but the fields, device and context texts. */
#define GW_REJECTED_OVERHEAD_MAX (160 + TRIB_WIRE_ANCHORS_MAX * 38)

struct gw_rejected_event {
    uint64_t code; /* enum trib_reject */
    struct trib_text device;
    uint64_t tenant, stream, lane, seq, boot, mono_ms, ord;
    uint64_t received_utc_ms, received_uncertainty_ms;
    struct trib_wire_anchor anchors[TRIB_WIRE_ANCHORS_MAX];
    size_t anchor_count;
    struct trib_wire_context context;
    uint64_t type;
    const uint8_t *fields;
    size_t fields_len;
};

/* TRIB_ESPACE. */
TRIB_MUST_CHECK int gw_rejected_event_encode(const struct gw_rejected_event *item, uint8_t *buf, size_t cap,
                                             size_t *out_len);
/* Texts and fields point into data. TRIB_E…, TRIB_EVERSION. */
TRIB_MUST_CHECK int gw_rejected_event_decode(const uint8_t *data, size_t len, struct gw_rejected_event *out);
/* "quarantine", stream, seq (both big-endian): the label to seal and open with. */
void gw_rejected_event_label(uint64_t stream, uint64_t seq, uint8_t out[GW_REJECTED_LABEL_BYTES]);

#endif
