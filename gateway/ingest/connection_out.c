#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/clock.h"
#include "ingest/connection_internal.h"

/* A peer that sends but does not read would make this grow: beyond it the connection is cut. */
#define OUT_MAX (256u << 10)
#define OUT_CHUNK 16384u
/* How long the peer may take to read our last word before the socket goes. */
#define LINGER_MS 2000

/*
 * A connection has a buffer only while something waits in it: thousands are silent. The thread keeps one for the next that
 * has something to say, which is most often the same one.
 */
static void release_buffer(struct gw_connection *connection)
{
    struct gw_ingest_thread *thread = connection->thread;
    if (thread->spare_out || connection->out_capacity > OUT_CHUNK) {
        free(connection->out);
    } else {
        thread->spare_out = connection->out;
        thread->spare_out_capacity = connection->out_capacity;
    }
    connection->out = NULL;
    connection->out_capacity = 0;
}

static bool make_room(struct gw_connection *connection, size_t needed)
{
    struct gw_ingest_thread *thread = connection->thread;
    if (!connection->out && thread->spare_out) {
        connection->out = thread->spare_out;
        connection->out_capacity = thread->spare_out_capacity;
        thread->spare_out = NULL;
    }
    if (needed <= connection->out_capacity)
        return true;
    size_t capacity = needed < 512 ? 512 : needed * 2;
    uint8_t *grown = needed <= OUT_MAX ? realloc(connection->out, LWS_PRE + capacity) : NULL;
    if (!grown)
        return false;
    connection->out = grown;
    connection->out_capacity = capacity;
    return true;
}

void gw_connection_put(struct gw_connection *connection, const void *data, size_t len)
{
    size_t needed = connection->out_len + len;
    if (!connection->wsi || connection->cut)
        return;
    if (!make_room(connection, needed)) {
        connection->cut = true; /* the next tick closes it: here libwebsockets may be in the middle of it */
        connection->deadline_ms = 0;
        return;
    }
    memcpy(connection->out + LWS_PRE + connection->out_len, data, len);
    connection->out_len = needed;
    if (!connection->thread->sends_at_once)
        lws_callback_on_writable(connection->wsi);
}

/*
 * Acks of a commit go out at once: asking to be called when the socket is writable costs two epoll_ctl and a turn of the
 * loop for each. What the socket does not take, libwebsockets keeps, and it is not asked again before that is out.
 */
void gw_connection_send_now(struct gw_connection *connection)
{
    if (!connection->wsi || connection->out_len == 0)
        return;
    bool plain = connection->phase == GW_CONNECTION_WEBSOCKET && connection->out_len <= OUT_CHUNK &&
                 !lws_partial_buffered(connection->wsi);
    if (!plain) {
        lws_callback_on_writable(connection->wsi);
        return;
    }
    size_t len = connection->out_len;
    connection->out_len = 0;
    if (lws_write(connection->wsi, connection->out + LWS_PRE, len, LWS_WRITE_RAW) < 0) {
        connection->cut = true; /* the next tick closes it */
        connection->deadline_ms = 0;
    }
    release_buffer(connection);
}

void gw_connection_put_frame(struct gw_connection *connection, unsigned opcode, const void *data, size_t len)
{
    uint8_t header[GW_FRAME_HEADER_MAX];
    if (connection->phase != GW_CONNECTION_WEBSOCKET)
        return;
    gw_connection_put(connection, header, gw_frame_header(opcode, len, header));
    if (len > 0)
        gw_connection_put(connection, data, len);
}

/*
 * Nothing more will be said. The socket is not closed at once: closing with unread input sends a reset that can
 * destroy our last word on its way.
 */
void gw_connection_start_closing(struct gw_connection *connection)
{
    connection->phase = GW_CONNECTION_CLOSING;
    gw_connection_waits_no_more(connection);
    if (!connection->cut)
        connection->deadline_ms = gw_clock_mono_ms() + LINGER_MS;
}

void gw_connection_close_websocket(struct gw_connection *connection, unsigned code)
{
    uint8_t payload[2] = {(uint8_t)(code >> 8), (uint8_t)code};
    if (connection->phase != GW_CONNECTION_WEBSOCKET)
        return;
    gw_connection_put_frame(connection, GW_FRAME_CLOSE, payload,
                            code == GW_CLOSE_NO_STATUS ? 0 : sizeof payload);
    gw_connection_start_closing(connection);
}

/*
 * All is out; libwebsockets has nothing left either, else it would not have called. After a close handshake the
 * server closes the socket (RFC 6455 §7.1.1). A peer from which no close frame can come is told that nothing follows.
 */
static int said_all(struct gw_connection *connection)
{
    if (connection->peer_closed)
        return -1;
    bool no_handshake = connection->deaf || !connection->session.rules;
    if (connection->phase == GW_CONNECTION_CLOSING && no_handshake && !connection->told_end) {
        connection->told_end = true;
        SSL_shutdown(lws_get_ssl(connection->wsi));
        ERR_clear_error();
    }
    return 0;
}

int gw_connection_writable(struct gw_connection *connection)
{
    size_t len = connection->out_len < OUT_CHUNK ? connection->out_len : OUT_CHUNK;
    if (len == 0)
        return said_all(connection);
    uint8_t *begin = connection->out + LWS_PRE;
    if (lws_write(connection->wsi, begin, len, LWS_WRITE_RAW) < 0)
        return -1;
    connection->out_len -= len; /* what the socket did not take, libwebsockets keeps */
    if (connection->out_len > 0)
        memmove(begin, begin + len, connection->out_len);
    if (connection->out_len > 0 || connection->phase == GW_CONNECTION_CLOSING)
        lws_callback_on_writable(connection->wsi);
    if (connection->out_len == 0)
        release_buffer(connection);
    return 0;
}
