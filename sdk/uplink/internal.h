/* What the files of this folder share. */
#ifndef TRIB_UPLINK_INTERNAL_H
#define TRIB_UPLINK_INTERNAL_H

#include "tributary/tributary.h"

#define TRIB_UPLINK_KEEPALIVE_MS 25000u /* when WELCOME gives none */

enum trib_uplink_patience {
    TRIB_UPLINK_BACKOFF, /* the usual: full jitter, doubling */
    TRIB_UPLINK_LONGEST, /* as if many attempts had failed: another connection of this device is at work */
    TRIB_UPLINK_HOURS,   /* fatal */
};

/* retry.c: when and where to connect next. */
const char *trib_uplink_host(const struct trib_uplink *u, uint16_t *out_port);
/* The connection ended, or was not made. Sets phase, at_ms, and the host to try. */
void trib_uplink_schedule(struct trib_uplink *u);
/* What of the receive buffer is free for what comes in. */
size_t trib_uplink_receive_room(const struct trib_uplink *u);
/* Back to the configured host. */
void trib_uplink_go_home(struct trib_uplink *u);
/* Keeps the alternates of a BYE that can be read and fit. */
void trib_uplink_keep_alternates(struct trib_uplink *u, const struct trib_wire_bye *bye);

/* uplink.c: closes the connection, with a close frame where that is possible. Idempotent. */
void trib_uplink_hang_up(struct trib_uplink *u);

/* receive.c: one websocket message from the gateway. 0, or the error that ends the connection. */
TRIB_MUST_CHECK int trib_uplink_message(struct trib_uplink *u, const uint8_t *data, size_t len);

/* log.c: "uplink: <what>: <detail> <number> <unit>"; detail and unit may be NULL, and without a unit no
 * number. */
void trib_uplink_write_log(const struct trib_uplink *u, enum trib_log_level level, const char *what,
                           const char *detail, uint64_t number, const char *unit);

/* A macro, so that TRIB_WITHOUT_LOG leaves out the arguments too. */
#define trib_uplink_log(...)                                                                                 \
    do {                                                                                                     \
        if (TRIB_HAS_LOG)                                                                                    \
            trib_uplink_write_log(__VA_ARGS__);                                                              \
    } while (0)

#endif
