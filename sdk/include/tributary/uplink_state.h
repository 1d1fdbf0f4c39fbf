/*
 * struct trib_uplink: visible so that the caller can own it. Its fields are private to sdk/uplink: read it
 * with trib_uplink_get_phase only.
 */
#ifndef TRIBUTARY_UPLINK_STATE_H
#define TRIBUTARY_UPLINK_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "uplink/uplink.h"
#include "websocket/websocket.h"

struct trib_uplink {
    const struct trib_config *config;
    const struct trib_uplink_source *source;
    void *context; /* the source's */
    union {        /* by phase */
        struct trib_ws_response response;
        struct trib_ws_decoder decoder;
    } ws;
    struct trib_wire_credit limit; /* as the gateway gave it */
    struct trib_wire_credit used;  /* since WELCOME */
    uint64_t now_ms;               /* of the poll in work */
    uint64_t at_ms; /* idle and refused: when to connect; connecting: when to give up; online: since when */
    uint64_t home_at_ms; /* alternates are tried: when the configured host is due again */
    uint64_t heard_ms;   /* when the last byte came */
    uint32_t keepalive_ms;
    uint32_t max_message_bytes;
    uint32_t retry_after_ms;   /* what the gateway asked for with its last words */
    size_t send_from, send_to; /* the part of transmit that is still to be sent */
    size_t pong_from, pong_to; /* the same for the pong at the end of transmit */
    uint16_t close_code;       /* what to tell the gateway when this connection ends */
    uint8_t phase;             /* enum trib_uplink_phase */
    uint8_t patience;          /* how long to stay away after this connection */
    uint8_t attempts;          /* connections failed in a row, capped */
    uint8_t alternate; /* one more than where in alternates() the next one starts; 0: there are none */
    bool away;         /* that one is being tried, not the configured host */
    uint8_t nacks;     /* since the last ACK */
    bool open;         /* net.connect was called, net.close not yet */
    bool woken;
    bool awaiting_ack;
};

#endif
