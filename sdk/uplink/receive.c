/* What the gateway says: one message in, the source told, the credit and the way on noted. */
#include "uplink/internal.h"

#define KEEPALIVE_MIN_MS 1000u
#define KEEPALIVE_MAX_MS 3600000u
#define RETRY_AFTER_MAX_MS 86400000u
#define NACKS_MAX 64 /* in a row; a hole costs one for each batch in flight */

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Limits are cumulative, so an older one that comes late takes nothing back. */
TRIB_ONE_COPY static void take_credit(struct trib_uplink *u, const struct trib_wire_credit *credit)
{
    u->limit.events = later(u->limit.events, credit->events);
    u->limit.bytes = later(u->limit.bytes, credit->bytes);
}

static int take_welcome(struct trib_uplink *u, const uint8_t *data, size_t len)
{
    struct trib_wire_welcome welcome;
    int error = trib_wire_welcome_decode(data, len, &welcome);
    if (error != 0)
        return error;
    uint64_t keepalive = welcome.keepalive_ms != 0 ? welcome.keepalive_ms : TRIB_UPLINK_KEEPALIVE_MS;
    keepalive = later(keepalive, KEEPALIVE_MIN_MS);
    u->keepalive_ms = keepalive < KEEPALIVE_MAX_MS ? (uint32_t)keepalive : KEEPALIVE_MAX_MS;
    uint64_t most = welcome.max_message_bytes;
    u->max_message_bytes = most != 0 && most < UINT32_MAX ? (uint32_t)most : UINT32_MAX;
    u->limit = welcome.credit;
    u->used = (struct trib_wire_credit){0};
    u->awaiting_ack = false;
    u->nacks = 0;
    error = u->source->welcome(u->context, &welcome);
    if (error != 0)
        return error;
    u->phase = TRIB_UPLINK_STREAM;
    u->at_ms = u->now_ms;
    trib_uplink_log(u, TRIB_LOG_INFO, "online", NULL, 0, NULL);
    return 0;
}

static int take_ack(struct trib_uplink *u, const uint8_t *data, size_t len)
{
    struct trib_wire_ack ack;
    int error = trib_wire_ack_decode(data, len, &ack);
    if (error != 0)
        return error;
    u->attempts = 0; /* this gateway does its work */
    u->awaiting_ack = false;
    u->nacks = 0;
    take_credit(u, &ack.credit);
    u->source->ack(u->context, &ack);
    return 0;
}

static int take_nack(struct trib_uplink *u, const uint8_t *data, size_t len)
{
    struct trib_wire_nack nack;
    int error = trib_wire_nack_decode(data, len, &nack);
    if (error != 0)
        return error;
    if (++u->nacks >= NACKS_MAX)
        return TRIB_EPROTOCOL; /* both ends insist: pause instead of turning in a circle at full speed */
    u->source->nack(u->context, &nack);
    return 0;
}

static int take_credit_message(struct trib_uplink *u, const uint8_t *data, size_t len)
{
    struct trib_wire_credit credit;
    int error = trib_wire_credit_decode(data, len, &credit);
    if (error == 0)
        take_credit(u, &credit);
    return error;
}

static int take_config(struct trib_uplink *u, const uint8_t *data, size_t len)
{
    struct trib_wire_config config;
    int error = trib_wire_config_decode(data, len, &config);
    if (error == 0)
        u->source->config(u->context, &config);
    return error;
}

/* Always ends the connection; the code says why. */
TRIB_OWN_FRAME static int take_bye(struct trib_uplink *u, const uint8_t *data, size_t len)
{
    struct trib_wire_bye bye;
    int error = trib_wire_bye_decode(data, len, &bye);
    if (error != 0)
        return error;
    trib_uplink_log(u, TRIB_LOG_WARNING, "the gateway says BYE", NULL, bye.reason,
                    "(reason; see enum trib_bye)");
    u->retry_after_ms =
        bye.retry_after_ms < RETRY_AFTER_MAX_MS ? (uint32_t)bye.retry_after_ms : RETRY_AFTER_MAX_MS;
    u->close_code = TRIB_WS_CLOSE_NORMAL;
    switch (bye.reason) {
    case TRIB_BYE_VERSION:
        return TRIB_EVERSION;
    case TRIB_BYE_BLOCKED:
    case TRIB_BYE_AUTH:
        return TRIB_EAUTH;
    case TRIB_BYE_ERASED:
        return TRIB_EERASED;
    case TRIB_BYE_REPLACED:
        u->patience = TRIB_UPLINK_LONGEST;
        return TRIB_EBUSY;
    case TRIB_BYE_DRAINING:
        trib_uplink_hang_up(u); /* the net port may hold the host's text, which the next line replaces */
        if (TRIB_HAS_ALTERNATES)
            trib_uplink_keep_alternates(u, &bye);
        return TRIB_ECLOSED;
    case TRIB_BYE_UNAVAILABLE:
        return TRIB_EBUSY;
    case TRIB_BYE_TIMEOUT:
        return TRIB_ETIMEOUT;
    case TRIB_BYE_CREDIT:
    case TRIB_BYE_PROTOCOL:
    case TRIB_BYE_TOO_LARGE:
        return TRIB_EPROTOCOL;
    default:
        return TRIB_ECLOSED; /* a reason that came after this version */
    }
}

int trib_uplink_message(struct trib_uplink *u, const uint8_t *data, size_t len)
{
    uint64_t type;
    size_t body;
    int error = trib_wire_open(data, len, &type, &body);
    if (error != 0)
        return TRIB_EPROTOCOL;
    bool online = u->phase == TRIB_UPLINK_STREAM;
    switch (type) {
    case TRIB_WIRE_WELCOME:
        return online ? TRIB_EPROTOCOL : take_welcome(u, data, len);
    case TRIB_WIRE_BYE:
        return take_bye(u, data, len);
    case TRIB_WIRE_ACK:
        return online ? take_ack(u, data, len) : TRIB_EPROTOCOL;
    case TRIB_WIRE_NACK:
        return online ? take_nack(u, data, len) : TRIB_EPROTOCOL;
    case TRIB_WIRE_CREDIT:
        return online ? take_credit_message(u, data, len) : TRIB_EPROTOCOL;
    case TRIB_WIRE_CONFIG:
        if (!TRIB_HAS_REMOTE_CONFIG)
            return 0;
        return online ? take_config(u, data, len) : TRIB_EPROTOCOL;
    case TRIB_WIRE_HELLO:
    case TRIB_WIRE_BATCH:
        return TRIB_EPROTOCOL; /* ours to send */
    default:
        return 0; /* a type that came after this version */
    }
}
