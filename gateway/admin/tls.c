#include "admin/tls.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

int gw_admin_tls_new(const char *certificate, const char *key, SSL_CTX **out, struct gw_error *error)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    int rc = GW_OK;
    if (!context || SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1)
        rc = gw_error_set(error, GW_ENOMEM, 0, "out of memory");
    else if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1)
        rc = gw_error_set(error, GW_EINVALID, 0, "admin.certificate: %s is no readable PEM certificate",
                          certificate);
    else if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)
        rc = gw_error_set(error, GW_EINVALID, 0, "admin.key: %s is no readable PEM key of that certificate",
                          key);
    ERR_clear_error();
    if (rc != GW_OK) {
        SSL_CTX_free(context);
        return rc;
    }
    (void)SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    (void)SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    *out = context;
    return GW_OK;
}

SSL *gw_admin_tls_accept(SSL_CTX *context, int descriptor)
{
    SSL *ssl = SSL_new(context);
    if (!ssl || SSL_set_fd(ssl, descriptor) != 1) {
        SSL_free(ssl);
        return NULL;
    }
    SSL_set_accept_state(ssl);
    return ssl;
}

static ssize_t outcome(SSL *ssl, int rc, bool *out_wants_write)
{
    const int why = rc > 0 ? SSL_ERROR_NONE : SSL_get_error(ssl, rc);
    *out_wants_write = why == SSL_ERROR_WANT_WRITE;
    if (rc > 0)
        return rc;
    ERR_clear_error(); /* of this thread: what is left there would be taken for the next call's */
    if (why == SSL_ERROR_ZERO_RETURN)
        return 0;
    errno = why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? EAGAIN : EIO;
    return -1;
}

ssize_t gw_admin_tls_read(SSL *ssl, void *buffer, size_t capacity, bool *out_wants_write)
{
    return outcome(ssl, SSL_read(ssl, buffer, capacity > INT_MAX ? INT_MAX : (int)capacity), out_wants_write);
}

ssize_t gw_admin_tls_write(SSL *ssl, const void *data, size_t len, bool *out_wants_write)
{
    return outcome(ssl, SSL_write(ssl, data, len > INT_MAX ? INT_MAX : (int)len), out_wants_write);
}

bool gw_admin_tls_pending(const SSL *ssl)
{
    return SSL_pending(ssl) > 0;
}
