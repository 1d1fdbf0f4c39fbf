/* What session.c (life, HELLO, WELCOME, BYE) and session_batch.c (BATCH, ACK, NACK, credit) share. */
#ifndef GW_SESSION_SESSION_INTERNAL_H
#define GW_SESSION_SESSION_INTERNAL_H

#include "session/session.h"

/* Largest message the gateway sends: an ACK with all streams and rejections stays below. */
#define SESSION_SEND_MAX 2048
/* The same as JSON. */
#define SESSION_SEND_TEXT_MAX 16384

/* A seq beyond this is nonsense from a broken device; sums of it cannot overflow. What WELCOME says of a closed stream. */
#define SESSION_SEQ_MAX (((uint64_t)1 << 62) - 1)

/* How long a device should stay away when the gateway cannot store. */
#define SESSION_RETRY_UNAVAILABLE_MS 5000
/* The same when its sinks are slow: that takes longer to mend. */
#define SESSION_RETRY_HELD_MS 30000

/* Sends an encoded message, as JSON on the text protocol. */
void gw_session_send(struct gw_session *session, const uint8_t *message, size_t len);

/* The session's state of a stream, or NULL. */
struct gw_session_stream *gw_session_find(struct gw_session *session, uint64_t stream);
/* Looks the stream up in the journal and adds it. GW_EFULL: eight are live; GW_EIO; GW_EINVALID: stream 0; GW_ESTALE: it
 * is closed. */
GW_MUST_CHECK int gw_session_add(struct gw_session *session, uint64_t stream, struct gw_session_stream **out,
                                 struct gw_journal_stream *out_row);

/* What a batch used comes back as a higher limit: on commit, duplicate, quarantine or NACK. */
void gw_session_release(struct gw_session *session, uint64_t events, uint64_t bytes);
/* Grants what is owed, as far as it may be. True: the limits rose. */
bool gw_session_grant(struct gw_session *session);
/* Time passes for what is owed: CREDIT when it comes late, BYE when it does not. */
void gw_session_grant_late(struct gw_session *session, uint64_t now_ms);

/* wire_len: the message as the device sent it (JSON on the text protocol). */
void gw_session_batch(struct gw_session *session, const uint8_t *message, size_t len, size_t wire_len);

#endif
