/*
 * TLS of the device port, on OpenSSL: 1.2 and newer, no renegotiation, no early data; client certificates asked for when
 * device CAs are configured, and refused when they do not verify or are revoked. Sessions are resumed by tickets (tickets.h);
 * what was withdrawn since a ticket was given (the authority, the certificate, the device) makes it worthless. A ticket
 * carries the proof (proof.h) that it was given for; it is read by this process only.
 */
#ifndef GW_INGEST_TLS_H
#define GW_INGEST_TLS_H

#include <openssl/types.h>

#include "base/error.h"
#include "ingest/credentials.h"
#include "ingest/pace.h"
#include "ingest/peer.h"
#include "ingest/proof.h"
#include "ingest/tickets.h"
#include "wire/message.h"

/* What a device certificate's SAN must carry as URI, with the device id behind it. */
#define GW_TLS_DEVICE_URI "urn:tributary:device:"

enum gw_tls_identity { GW_TLS_NO_CERTIFICATE, GW_TLS_DEVICE, GW_TLS_NOT_A_DEVICE };

/* What one thread's TLS context works with; outlives the context. */
struct gw_tls_view {
    const struct gw_credentials *credentials; /* the thread's own; gw_tls_renew after it changes */
    struct gw_tickets *tickets;               /* of all threads; NULL: sessions are not resumed */
    uint64_t (*now_ms)(void);
};

/* Sets up the context that libwebsockets made. From the context's thread. */
GW_MUST_CHECK int gw_tls_configure(SSL_CTX *context, const struct gw_tls_view *view, struct gw_error *error);
/* Certificate, key and authorities of the view's credentials, for handshakes that begin from now on. */
GW_MUST_CHECK int gw_tls_renew(SSL_CTX *context, const struct gw_tls_view *view, struct gw_error *error);
/* Names the peer for log lines of its handshake. Not copied. */
void gw_tls_name_peer(SSL *ssl, const struct gw_peer *peer);

/* Until gw_tls_serve, what the peer sends is read only as the pace allows. The pace outlives the connection. ssl may be NULL. */
void gw_tls_pace(SSL *ssl, struct gw_pace *pace);
void gw_tls_serve(SSL *ssl);

/* The verified peer certificate's device, and what proves it. The CN is never used. */
enum gw_tls_identity gw_tls_peer_device(SSL *ssl, char out_device[TRIB_WIRE_DEVICE_BYTES_MAX + 1],
                                        struct gw_proof *out_proof);

#endif
