/* What the parts of a connection share: its life and frames (connection.c), the HTTP request (connection_head.c),
 * output (connection_out.c) and the edge of its session (connection_edge.c). */
#ifndef GW_INGEST_CONNECTION_INTERNAL_H
#define GW_INGEST_CONNECTION_INTERNAL_H

#include "ingest/ingest_internal.h"

static inline struct gw_ingest *gw_connection_ingest(const struct gw_connection *connection)
{
    return connection->thread->ingest;
}

/* --- connection.c --- */
/* It has said what it wants, was refused, or is gone. */
void gw_connection_waits_no_more(struct gw_connection *connection);
/* Bytes of frames; unmasked in place. Non-zero: close now. */
int gw_connection_frames(struct gw_connection *connection, uint8_t *data, size_t len);

/* --- connection_head.c --- */
/* Bytes of the HTTP request. Non-zero: close now. */
int gw_connection_head(struct gw_connection *connection, const uint8_t *data, size_t len);
void gw_connection_refuse(struct gw_connection *connection, int status, const char *reason);

/* --- connection_out.c --- */
/* Copies; sent when the socket takes it. */
void gw_connection_put(struct gw_connection *connection, const void *data, size_t len);
void gw_connection_put_frame(struct gw_connection *connection, unsigned opcode, const void *data, size_t len);
/* Nothing more will be said; the peer gets time to read our last word. */
void gw_connection_start_closing(struct gw_connection *connection);
void gw_connection_close_websocket(struct gw_connection *connection, unsigned code);

#endif
