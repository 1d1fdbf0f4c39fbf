/*
 * TLS of the device port, on OpenSSL: 1.2 and newer, no renegotiation, no tickets (each connection proves who it is),
 * client certificates asked for when device CAs are configured, and refused when they do not verify.
 */
#ifndef GW_INGEST_TLS_H
#define GW_INGEST_TLS_H

#include <openssl/types.h>

#include "base/error.h"
#include "config/config.h"
#include "wire/message.h"

/* What a device certificate's SAN must carry as URI, with the device id behind it. */
#define GW_TLS_DEVICE_URI "urn:tributary:device:"

enum gw_tls_identity { GW_TLS_NO_CERTIFICATE, GW_TLS_DEVICE, GW_TLS_NOT_A_DEVICE };

/* Tries out everything that the files are needed for. GW_EINVALID with a text that names the file. */
GW_MUST_CHECK int gw_tls_check(const struct gw_config *config, struct gw_error *error);
/* Sets the context that libwebsockets made; it has loaded certificate and key already. */
GW_MUST_CHECK int gw_tls_configure(SSL_CTX *context, const struct gw_config *config, struct gw_error *error);
/* The verified peer certificate's device. The CN is never used. */
enum gw_tls_identity gw_tls_peer_device(SSL *ssl, char out_device[TRIB_WIRE_DEVICE_BYTES_MAX + 1]);

#endif
