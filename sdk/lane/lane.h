/*
 * A lane: one ring, and where sending stands in it. Turns positions into (stream, seq), makes each stream begin with
 * stream.start, and shows what is missing as a declared drop with class and reason.
 */
#ifndef TRIB_LANE_LANE_H
#define TRIB_LANE_LANE_H

#include "journal/journal.h"
#include "tributary/state.h"
#include "wire/message.h"

#define TRIB_LANE_START_BYTES 32 /* fields of stream.start */

enum trib_lane_kind { TRIB_LANE_ITEM_START, TRIB_LANE_ITEM_EVENT, TRIB_LANE_ITEM_DROP };

struct trib_lane_item {
    enum trib_lane_kind kind;
    uint64_t stream, seq;
    uint64_t mono_ms; /* start, event */
    uint64_t count;   /* drop */
    uint32_t boot, ord;
    uint32_t data, data_bytes; /* event: where its fields are in the lane's storage */
    uint32_t context, seed;    /* event: address of its context or UINT32_MAX */
    uint8_t type, drop_class, drop_reason;
    uint8_t head;        /* event: bytes of its record before its fields */
    uint8_t start_bytes; /* start: its fields */
    uint8_t start[TRIB_LANE_START_BYTES];
    struct trib_ring_cursor after;
    uint64_t after_pos;
};

/* Mounts the ring and puts sending at the first unacked event. */
TRIB_MUST_CHECK int trib_lane_mount(struct trib_lane_state *lane, enum trib_lane which,
                                    const struct trib_storage *storage, struct trib_ring_found *out_found);
/* trib_ring_open, with the ack cursor's CRC taken along. */
TRIB_MUST_CHECK int trib_lane_open(struct trib_lane_state *lane, const struct trib_ring_start *start,
                                   enum trib_ring_room room);
/* The next durable thing to send. 1: *out; 0: nothing; TRIB_EIO. Does not move. */
TRIB_MUST_CHECK int trib_lane_peek(struct trib_lane_state *lane, enum trib_lane which,
                                   struct trib_lane_item *out);
/* Past an item that peek gave. */
void trib_lane_advance(struct trib_lane_state *lane, const struct trib_lane_item *item);
/* Something is there that was not sent. */
bool trib_lane_pending(const struct trib_lane_state *lane);

#define TRIB_LANE_STREAMS_MAX (TRIB_WIRE_STREAMS_MAX / TRIB_LANE_COUNT)
/* The lane's streams that may still have something unacked, oldest first; returns how many. Of more than fit, the oldest
 * and the newest. The gateway closes those that HELLO leaves out (docs/protocol.md). */
size_t trib_lane_streams(const struct trib_lane_state *lane, enum trib_lane which,
                         struct trib_wire_hello_stream out[TRIB_LANE_STREAMS_MAX]);
/* What the gateway has committed. TRIB_ERANGE: it has what this journal never had: roll back. */
TRIB_MUST_CHECK int trib_lane_welcome(struct trib_lane_state *lane, const struct trib_wire_welcome *welcome);
/* True if the stream is one of this lane. */
bool trib_lane_ack(struct trib_lane_state *lane, uint64_t stream, uint64_t seq);
/* Something was sent on this connection that is not acked. */
bool trib_lane_unacked(const struct trib_lane_state *lane);
bool trib_lane_nack(struct trib_lane_state *lane, uint64_t stream, uint64_t expected);
/* CRC of the event before the ack cursor (trib_wire_event_crc), 0: not known or a drop. */
uint32_t trib_lane_acked_crc(const struct trib_lane_state *lane);
/* Durable and not acked. */
uint64_t trib_lane_waiting(const struct trib_lane_state *lane);
uint64_t trib_lane_durable_seq(const struct trib_lane_state *lane);
uint64_t trib_lane_acked_seq(const struct trib_lane_state *lane);

#endif
