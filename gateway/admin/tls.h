/* TLS of the admin port, on descriptors that do not block. */
#ifndef GW_ADMIN_TLS_H
#define GW_ADMIN_TLS_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"

/* TLS 1.2 or newer, with a certificate (and its intermediates) and key in PEM files. GW_EINVALID says what is wrong. */
GW_MUST_CHECK int gw_admin_tls_new(const char *certificate, const char *key, SSL_CTX **out,
                                   struct gw_error *error);
/* The server's side of a connection; NULL: out of memory. */
SSL *gw_admin_tls_accept(SSL_CTX *context, int descriptor);

/*
 * As recv and send: -1 with EAGAIN where TLS has to wait, for reading or (*out_wants_write) for writing. The handshake is done on
 * the way. 0 from reading: the end.
 */
ssize_t gw_admin_tls_read(SSL *ssl, void *buffer, size_t capacity, bool *out_wants_write);
ssize_t gw_admin_tls_write(SSL *ssl, const void *data, size_t len, bool *out_wants_write);
/* Bytes have been read that gw_admin_tls_read has not given out: poll(2) does not tell of them. */
bool gw_admin_tls_pending(const SSL *ssl);

#endif
