#include "ingest/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <sys/socket.h>

#include "ingest/device_id.h"
#include "observe/address.h"
#include "observe/log.h"
#include "observe/metrics.h"

/* OpenSSL's reason for its last failure, without the codes and function names that help nobody. */
static int fail(struct gw_error *error, const char *what, const char *path)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    gw_error_set(error, GW_EINVALID, 0, "%s %s: %s", what, path, reason ? reason : "not usable");
    ERR_clear_error();
    return GW_EINVALID;
}

static int load_device_cas(SSL_CTX *context, const struct gw_config *config, struct gw_error *error)
{
    X509_STORE *store = X509_STORE_new();
    STACK_OF(X509_NAME) *names = sk_X509_NAME_new_null();
    int result = store && names ? GW_OK : gw_error_set(error, GW_ENOMEM, 0, "out of memory");
    for (size_t i = 0; result == GW_OK && i < config->auth.client_ca_count; i++) {
        const char *path = config->auth.client_ca[i];
        if (X509_STORE_load_file(store, path) != 1 || SSL_add_file_cert_subjects_to_stack(names, path) != 1)
            result = fail(error, "auth.client_ca: cannot load the device CA", path);
    }
    if (result != GW_OK) {
        X509_STORE_free(store);
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return result;
    }
    SSL_CTX_set_cert_store(context, store);
    SSL_CTX_set_client_CA_list(context, names);
    return GW_OK;
}

static int verify(int ok, X509_STORE_CTX *store)
{
    if (ok)
        return 1;
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct sockaddr_storage peer = {0};
    socklen_t len = sizeof peer;
    char address[GW_ADDRESS_TEXT_MAX];
    if (getpeername(SSL_get_fd(ssl), (struct sockaddr *)&peer, &len) != 0)
        peer.ss_family = AF_UNSPEC;
    gw_metric_add(GW_METRIC_UPGRADES_REFUSED, 1);
    gw_log(GW_LOG_WARNING, "ingest.certificate_refused", "a client certificate does not verify",
           GW_TEXT("reason", X509_verify_cert_error_string(X509_STORE_CTX_get_error(store))),
           GW_TEXT("peer", gw_address_truncate((struct sockaddr *)&peer, address)));
    return 0;
}

int gw_tls_configure(SSL_CTX *context, const struct gw_config *config, struct gw_error *error)
{
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(context, 0);
    SSL_CTX_set_max_early_data(context, 0);
    if (config->auth.client_ca_count == 0) {
        SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
        return GW_OK;
    }
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, verify);
    return load_device_cas(context, config, error);
}

int gw_tls_check(const struct gw_config *config, struct gw_error *error)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (!context)
        return fail(error, "OpenSSL", "cannot make a context");
    int result = GW_OK;
    if (SSL_CTX_use_certificate_chain_file(context, config->listen.certificate) != 1)
        result = fail(error, "listen.certificate: cannot load", config->listen.certificate);
    else if (SSL_CTX_use_PrivateKey_file(context, config->listen.key, SSL_FILETYPE_PEM) != 1)
        result = fail(error, "listen.key: cannot load, or not the certificate's key,", config->listen.key);
    else if (SSL_CTX_check_private_key(context) != 1)
        result = fail(error, "listen.key: is not the certificate's key:", config->listen.key);
    else
        result = gw_tls_configure(context, config, error);
    if (result == GW_OK && X509_cmp_current_time(X509_get0_notAfter(SSL_CTX_get0_certificate(context))) < 0)
        gw_log(GW_LOG_WARNING, "ingest.certificate_expired",
               "devices will refuse this gateway: renew its certificate",
               GW_TEXT("file", config->listen.certificate));
    SSL_CTX_free(context);
    return result;
}

/* The device in one SAN entry: 1 taken, 0 another kind of name, -1 not a valid one or a second one. */
static int take_name(const GENERAL_NAME *name, char *out_device)
{
    if (name->type != GEN_URI)
        return 0;
    const char *uri = (const char *)ASN1_STRING_get0_data(name->d.uniformResourceIdentifier);
    size_t len = (size_t)ASN1_STRING_length(name->d.uniformResourceIdentifier),
           prefix = strlen(GW_TLS_DEVICE_URI);
    if (len < prefix || memcmp(uri, GW_TLS_DEVICE_URI, prefix) != 0)
        return 0;
    if (out_device[0] || !gw_device_id_valid(uri + prefix, len - prefix))
        return -1;
    memcpy(out_device, uri + prefix, len - prefix);
    out_device[len - prefix] = 0;
    return 1;
}

enum gw_tls_identity gw_tls_peer_device(SSL *ssl, char out_device[TRIB_WIRE_DEVICE_BYTES_MAX + 1])
{
    X509 *certificate = SSL_get1_peer_certificate(ssl);
    if (!certificate)
        return GW_TLS_NO_CERTIFICATE;
    out_device[0] = 0;
    int found = SSL_get_verify_result(ssl) == X509_V_OK ? 0 : -1;
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; found >= 0 && i < sk_GENERAL_NAME_num(names); i++) {
        int taken = take_name(sk_GENERAL_NAME_value(names, i), out_device);
        found = taken < 0 ? -1 : found + taken;
    }
    GENERAL_NAMES_free(names);
    X509_free(certificate);
    return found > 0 ? GW_TLS_DEVICE : GW_TLS_NOT_A_DEVICE;
}
