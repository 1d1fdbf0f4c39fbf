/* What the client is to its uplink, but for the batches. */
#include <string.h>

#include "client/client_internal.h"

static void hello(void *context, struct trib_wire_hello *out)
{
    struct trib_client *client = context;
    memset(out, 0, sizeof *out);
    out->device.ptr = client->config->device_id;
    out->device.len = strlen(client->config->device_id);
    out->version = TRIB_WIRE_VERSION;
    out->sdk.ptr = "tributary-c/" TRIBUTARY_VERSION;
    out->sdk.len = sizeof "tributary-c/" TRIBUTARY_VERSION - 1;
    out->generation = client->lanes[TRIB_LANE_VITAL].ring.generation;
    out->boot = client->boot;
    client->hello_ms = trib_client_now(client);
    out->mono_ms = trib_client_mono(client, client->hello_ms);
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++)
        out->stream_count +=
            trib_lane_streams(&client->lanes[lane], (enum trib_lane)lane, out->streams + out->stream_count);
    out->acked_gateway.ptr = client->gateway;
    out->acked_gateway.len = client->gateway_len;
    out->acked_epoch = client->acked_epoch;
    out->config_version = client->config_version;
}

static void take_time(struct trib_client *client, const struct trib_wire_welcome *welcome)
{
    uint64_t now = trib_client_now(client);
    if (welcome->utc_quality == TRIB_TIME_NONE || welcome->utc_ms == 0)
        return;
    /* The gateway read its clock at some moment between HELLO and now: the middle, give or take the half. */
    if (now < client->hello_ms)
        return; /* the clock jumped in between */
    uint64_t half = (now - client->hello_ms + 1) / 2;
    uint64_t uncertainty = welcome->utc_uncertainty_ms + half;
    struct trib_anchor anchor = {
        .mono_ms = trib_client_mono(client, now),
        .utc_ms = welcome->utc_ms + half,
        .boot = client->boot,
        .uncertainty_ms = uncertainty < UINT32_MAX ? (uint32_t)uncertainty : UINT32_MAX,
    };
    trib_client_add_anchor(client, &anchor);
    trib_client_tell_time(client);
}

static void remember_gateway(struct trib_client *client, const struct trib_wire_welcome *welcome)
{
    size_t len =
        welcome->gateway.len < sizeof client->gateway ? welcome->gateway.len : sizeof client->gateway;
    if (client->acked_epoch == welcome->epoch && client->gateway_len == len &&
        memcmp(client->gateway, welcome->gateway.ptr, len) == 0)
        return;
    client->acked_epoch = welcome->epoch;
    client->gateway_len = (uint8_t)len;
    memcpy(client->gateway, welcome->gateway.ptr, len);
    client->state_due = true;
}

int trib_client_new_stream(struct trib_client *client, enum trib_lane lane, enum trib_enum_value reason,
                           uint64_t first_pos, uint64_t lost_count)
{
    const struct trib_entropy *entropy = &client->config->entropy;
    uint8_t random[8];
    struct trib_ring_start start = {
        .first_pos = first_pos, .lost_count = lost_count, .boot = client->boot, .reason = (uint8_t)reason};
    do {
        if (entropy->fill(entropy->context, random, sizeof random) < 0)
            return TRIB_EIO;
        start.stream = trib_get_u64(random);
    } while (start.stream == 0);
    uint64_t now = trib_client_now(client);
    trib_client_lock(client);
    now = trib_client_mono(client, now);
    client->last_mono_ms = now > client->last_mono_ms ? now : client->last_mono_ms;
    start.mono_ms = client->last_mono_ms;
    start.ord = ++client->ord;
    trib_client_unlock(client);
    int rc = trib_lane_open(&client->lanes[lane], &start, TRIB_RING_USE_SPARE);
    if (rc == TRIB_EFULL) /* without a new stream nothing would ever be sent again */
        rc = trib_lane_open(&client->lanes[lane], &start, TRIB_RING_DROP_OLDEST);
    if (rc == 0 && lane == TRIB_LANE_VITAL)
        client->state_due = true;
    return rc;
}

int trib_client_roll_back(struct trib_client *client)
{
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++) {
        if (!(client->roll_back >> lane & 1))
            continue;
        trib_client_log(
            client, TRIB_LOG_WARNING,
            "the gateway has events that this journal never had: unsent events go to a new stream");
        int rc = trib_client_new_stream(client, (enum trib_lane)lane, TRIB_START_REASON_ROLLBACK,
                                        client->lanes[lane].ring.acked_pos, 0);
        if (rc < 0)
            return rc;
        client->roll_back &= (uint8_t) ~(1u << lane);
    }
    return 0;
}

static int welcome(void *context, const struct trib_wire_welcome *welcome)
{
    struct trib_client *client = context;
    int result = 0;
    client->connects++;
    take_time(client, welcome);
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++) {
        struct trib_lane_state *state = &client->lanes[lane];
        if (!state->ring.open)
            continue;
        int rc = trib_lane_welcome(state, welcome);
        trib_client_watch_acks(client, lane, true);
        if (rc == TRIB_ERANGE) {
            client->roll_back |= (uint8_t)(1u << lane);
            result = TRIB_ERANGE; /* HELLO must name the new stream first */
        } else if (rc < 0) {
            return rc;
        }
    }
    if (result == 0)
        remember_gateway(client, welcome);
    if (welcome->config_version == client->config_version) /* else CONFIG is on its way */
        trib_client_recheck_later(client, UINT32_MAX);
    trib_client_budget(client);
    return result;
}

void trib_client_watch_acks(struct trib_client *client, unsigned lane, bool progress)
{
    struct trib_lane_state *state = &client->lanes[lane];
    if (!trib_lane_unacked(state))
        state->unacked_since_ms = UINT64_MAX;
    else if (progress || state->unacked_since_ms == UINT64_MAX)
        state->unacked_since_ms = trib_client_now(client);
}

static uint64_t unacked_since_ms(void *context)
{
    const struct trib_client *client = context;
    uint64_t vital = client->lanes[TRIB_LANE_VITAL].unacked_since_ms;
    uint64_t routine = client->lanes[TRIB_LANE_ROUTINE].unacked_since_ms;
    return vital < routine ? vital : routine;
}

static void ack(void *context, const struct trib_wire_ack *ack)
{
    struct trib_client *client = context;
    const struct trib_callbacks *callbacks = &client->config->callbacks;
    for (size_t i = 0; i < ack->acked_count; i++)
        for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++)
            if (trib_lane_ack(&client->lanes[lane], ack->acked[i].stream, ack->acked[i].seq)) {
                trib_client_watch_acks(client, lane, true);
                break;
            }
    client->rejected += (uint32_t)(ack->rejected_count + ack->rejected_more);
    for (size_t i = 0; i < ack->rejected_count && callbacks->rejected; i++)
        callbacks->rejected(callbacks->context, ack->rejected[i].stream, ack->rejected[i].seq,
                            (unsigned)ack->rejected[i].code);
    trib_client_budget(client);
}

static void nack(void *context, const struct trib_wire_nack *nack)
{
    struct trib_client *client = context;
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++)
        if (trib_lane_nack(&client->lanes[lane], nack->stream, nack->expected)) {
            trib_client_watch_acks(client, lane, true);
            break;
        }
}

static void config(void *context, const struct trib_wire_config *config)
{
    struct trib_client *client = context;
    if (TRIB_HAS_REMOTE_CONFIG)
        trib_client_configure(client, config);
}

const struct trib_uplink_source trib_client_source = {
    .hello = hello,
    .welcome = welcome,
    .batch = trib_client_batch,
    .ack = ack,
    .unacked_since_ms = unacked_since_ms,
    .nack = nack,
    .config = config,
};
