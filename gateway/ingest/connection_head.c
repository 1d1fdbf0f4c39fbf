/* The HTTP request that becomes a device's websocket, or is refused. */
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/clock.h"
#include "ingest/connection_internal.h"
#include "ingest/handshake.h"
#include "ingest/tls.h"
#include "ingest/upgrade.h"
#include "observe/address.h"
#include "observe/log.h"
#include "observe/metrics.h"

void gw_connection_refuse(struct gw_connection *connection, int status, const char *reason)
{
    char response[512], peer[GW_ADDRESS_TEXT_MAX];
    size_t len = gw_handshake_error_response(response, sizeof response, status, reason);
    gw_metric_add(GW_METRIC_UPGRADES_REFUSED, 1);
    gw_log(GW_LOG_WARNING, "ingest.refused", "an upgrade to a websocket was refused",
           GW_UINT("status", (unsigned)status), GW_TEXT("reason", reason),
           GW_TEXT("peer", gw_peer_text(&connection->peer, peer)));
    gw_connection_put(connection, response, len < sizeof response ? len : sizeof response - 1);
    gw_connection_start_closing(connection);
}

static bool take_place(struct gw_ingest *ingest)
{
    if (atomic_fetch_add(&ingest->websockets, 1) < ingest->deps.config->limits.connections)
        return true;
    atomic_fetch_sub(&ingest->websockets, 1);
    return false;
}

static void upgrade(struct gw_connection *connection, size_t head_len)
{
    struct gw_ingest *ingest = gw_connection_ingest(connection);
    const struct gw_settings *settings = connection->thread->settings;
    struct gw_handshake_request request;
    struct gw_upgrade accepted;
    const char *reason = "";
    char certified[TRIB_WIRE_DEVICE_BYTES_MAX + 1], accept[GW_HANDSHAKE_ACCEPT_LEN + 1], response[512];
    int status = gw_handshake_parse(connection->head, head_len, &request, &reason);
    if (status == 0) {
        struct gw_session_time now;
        gw_clock_utc(&now);
        enum gw_tls_identity identity =
            gw_tls_peer_device(lws_get_ssl(connection->wsi), certified, &connection->proof);
        status = gw_upgrade_decide(&settings->config, settings->credentials, &request, identity, certified,
                                   now.utc_ms / 1000, &accepted, &reason);
        if (SSL_session_reused(lws_get_ssl(connection->wsi)))
            gw_metric_add(GW_METRIC_RESUMED, 1);
        if (identity == GW_TLS_NO_CERTIFICATE)
            connection->proof = (struct gw_proof){.by_token = true,
                                                  .anchor = accepted.token_key,
                                                  .valid_until_s = (int64_t)accepted.token_expires_s};
        /* Withdrawn or expired since its handshake began? */
        if (status == 0 && gw_proof_refusal(&connection->proof, settings->credentials, accepted.device,
                                            (int64_t)(now.utc_ms / 1000), &reason) != 0)
            status = 401;
    }
    if (status == 0 && gw_handshake_accept(request.key, accept) != GW_OK) {
        status = 400;
        reason = "the websocket key cannot be used";
    }
    if (status == 0 && gw_rates_take(ingest->device_rates, accepted.device, strlen(accepted.device), 1,
                                     gw_clock_mono_ms()) == 0) {
        status = 429;
        reason = "the device connects more often than it may";
        gw_metric_add(GW_METRIC_RATE_LIMITED, 1);
    }
    if (status == 0 && !take_place(ingest)) {
        status = 503;
        reason = "the gateway has as many connections as it may";
    }
    if (status != 0) {
        gw_connection_refuse(connection, status, reason);
        return;
    }
    gw_connection_put(connection, response,
                      gw_handshake_upgrade_response(response, sizeof response, accept, accepted.subprotocol));
    connection->deadline_ms = UINT64_MAX;
    lws_set_timeout(connection->wsi, NO_PENDING_TIMEOUT, 0);
    connection->phase = GW_CONNECTION_WEBSOCKET;
    gw_connection_waits_no_more(connection);
    gw_tls_serve(lws_get_ssl(connection->wsi));
    gw_metric_add(GW_METRIC_CONNECTIONS, 1);
    gw_session_open(&connection->session, &settings->rules, &gw_connection_edge, connection, accepted.device,
                    accepted.text, gw_clock_mono_ms());
}

int gw_connection_head(struct gw_connection *connection, const uint8_t *data, size_t len)
{
    if (!connection->head && !(connection->head = malloc(GW_HANDSHAKE_HEAD_MAX)))
        return -1;
    size_t room = GW_HANDSHAKE_HEAD_MAX - connection->head_len, used = len < room ? len : room;
    memcpy(connection->head + connection->head_len, data, used);
    connection->head_len += used;
    size_t head_len = gw_handshake_head_len(connection->head, connection->head_len);
    if (head_len == 0) {
        if (connection->head_len == GW_HANDSHAKE_HEAD_MAX)
            gw_connection_refuse(connection, 431, "the request is larger than 8 KiB");
        return 0;
    }
    upgrade(connection, head_len);
    /* Frames may follow at once. Those that did not fit belong to no honest client: it waits for our answer. */
    uint8_t *head = connection->head;
    size_t rest = connection->head_len - head_len;
    connection->head = NULL;
    int result = 0;
    if (connection->phase == GW_CONNECTION_WEBSOCKET && used < len)
        result = -1;
    else if (connection->phase == GW_CONNECTION_WEBSOCKET && rest > 0)
        result = gw_connection_frames(connection, head + head_len, rest);
    free(head);
    return result;
}
