/* How connections come in: the listener, limits on who may, what a proxy says ahead of them. */
#ifndef GW_INGEST_ACCEPT_H
#define GW_INGEST_ACCEPT_H

#include "ingest/ingest_internal.h"

/* In its thread: the listener is readable. */
void gw_accept_some(struct gw_ingest_thread *thread);
/* Listens, unless draining or at its limits; each tick, and when a handshake is over. */
void gw_accept_listen(struct gw_ingest_thread *thread);
void gw_accept_stop(struct gw_ingest_thread *thread);
/* Closes connections whose PROXY header is late; all of them at the end. */
void gw_accept_tick(struct gw_ingest_thread *thread, uint64_t now_ms);
void gw_accept_drop_all(struct gw_ingest_thread *thread);
/* More sockets are open than should be. */
bool gw_accept_crowded(struct gw_ingest *ingest);

#endif
