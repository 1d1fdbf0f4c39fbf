/*
 * Uplink: keeps one connection to a gateway and moves events over it. A state machine over a byte stream and
 * a clock: connect, upgrade (RFC 6455 §4), HELLO, WELCOME, then BATCH and ACK; backoff with full jitter
 * between. It knows nothing of lanes and rings: it asks its source for bytes and tells it what the gateway
 * said.
 */
#ifndef TRIB_UPLINK_UPLINK_H
#define TRIB_UPLINK_UPLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tributary/port.h"
#include "wire/message.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What the client gives its uplink. All calls come from trib_uplink_poll, with the context of trib_uplink_init. */
struct trib_uplink_source {
    /* Fills in all of HELLO. */
    void (*hello)(void *context, struct trib_wire_hello *out_hello);
    /* WELCOME arrived: compare, roll back, set the sending position to committed + 1. 0, or an error that
     * ends the connection. */
    int (*welcome)(void *context, const struct trib_wire_welcome *welcome);
    /* Writes the next BATCH message within cap bytes and max_events; *out_len 0: nothing to send now.
     * *out_events counts what credit counts (events, not drops or contexts). */
    int (*batch)(void *context, uint8_t *buffer, size_t cap, uint64_t max_events, size_t *out_len,
                 uint64_t *out_events);
    void (*ack)(void *context, const struct trib_wire_ack *ack);
    /* Since when the ACK of the oldest unacked event is awaited, on the monotonic clock; UINT64_MAX: of none. */
    uint64_t (*unacked_since_ms)(void *context);
    /* Go back to `expected`, or declare a drop if it is gone. */
    void (*nack)(void *context, const struct trib_wire_nack *nack);
    void (*config)(void *context, const struct trib_wire_config *config);
};

struct trib_config;

enum trib_uplink_phase {
    TRIB_UPLINK_IDLE, /* waiting until at_ms */
    TRIB_UPLINK_CONNECT,
    TRIB_UPLINK_UPGRADE,
    TRIB_UPLINK_HELLO,   /* HELLO sent or being sent, WELCOME awaited */
    TRIB_UPLINK_STREAM,  /* online */
    TRIB_UPLINK_REFUSED, /* fatal; waiting for hours */
};

struct trib_uplink; /* defined in tributary/uplink_state.h, so that the caller owns it */

/* Of config it uses host, port, path, token, net, entropy, log, transmit, receive and the backoffs; neither it nor source is
 * copied. */
void trib_uplink_init(struct trib_uplink *u, const struct trib_config *config,
                      const struct trib_uplink_source *source, void *context);
/* One bounded step. now_ms is the monotonic clock. *out_next_ms: when to call again at the latest.
 * Returns the error that ended a connection in this step, or 0. */
int trib_uplink_poll(struct trib_uplink *u, uint64_t now_ms, uint32_t *out_next_ms);
/* New data waits in the source: look at it in the next poll. Never shortens a backoff. */
void trib_uplink_wake(struct trib_uplink *u);
void trib_uplink_close(struct trib_uplink *u, uint64_t now_ms);
/* Closes; what the gateway refused is no more, so the next connection is due at once. */
void trib_uplink_restart(struct trib_uplink *u, uint64_t now_ms);
enum trib_uplink_phase trib_uplink_get_phase(const struct trib_uplink *u);

#ifdef __cplusplus
}
#endif
#endif
