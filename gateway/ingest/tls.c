#include "ingest/tls.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "ingest/device_id.h"
#include "observe/address.h"
#include "observe/log.h"
#include "observe/metrics.h"

static pthread_once_t indices_once = PTHREAD_ONCE_INIT;
static int view_index = -1, peer_index = -1;

static void make_indices(void)
{
    view_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    peer_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

static const char *peer_text(const SSL *ssl, char out[GW_ADDRESS_TEXT_MAX])
{
    static const struct gw_peer unknown;
    const struct gw_peer *peer = SSL_get_ex_data(ssl, peer_index);
    return gw_peer_text(peer ? peer : &unknown, out);
}

/* --- proofs --- */

static bool proof_of_chain(STACK_OF(X509) * chain, struct gw_proof *out)
{
    int count = chain ? sk_X509_num(chain) : 0;
    if (count == 0 || count - 1 > GW_PROOF_LINKS_MAX)
        return false;
    *out = (struct gw_proof){.anchor = gw_credentials_anchor(sk_X509_value(chain, count - 1)),
                             .valid_until_s = INT64_MAX};
    for (int i = 0; i < count; i++) {
        X509 *certificate = sk_X509_value(chain, i);
        int64_t end = gw_crl_seconds(X509_get0_notAfter(certificate));
        if (end < out->valid_until_s)
            out->valid_until_s = end;
        if (i + 1 < count)
            out->links[out->link_count++] =
                gw_crl_link(sk_X509_value(chain, i + 1), X509_get0_serialNumber(certificate));
    }
    return true;
}

static bool proof_of_session(SSL_SESSION *session, struct gw_proof *out)
{
    void *data = NULL;
    size_t len = 0;
    if (!session || SSL_SESSION_get0_ticket_appdata(session, &data, &len) != 1 || len != sizeof *out)
        return false;
    memcpy(out, data, sizeof *out);
    return true;
}

/* --- handshakes --- */

static const struct gw_tls_view *view_of(const SSL *ssl)
{
    return SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), view_index);
}

/* OpenSSL's own check of lists would refuse the devices of every authority without one, or with one that is out of date. */
static bool revoked(const SSL *ssl, X509_STORE_CTX *store)
{
    const struct gw_crl *crl = view_of(ssl)->credentials->crl;
    struct gw_proof proof;
    if (!crl || !proof_of_chain(X509_STORE_CTX_get0_chain(store), &proof))
        return false;
    for (uint8_t i = 0; i < proof.link_count; i++)
        if (gw_crl_has(crl, proof.links[i]))
            return true;
    return false;
}

/* Called for each certificate, the device's own last. */
static int verify(int ok, X509_STORE_CTX *store)
{
    const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    if (ok && X509_STORE_CTX_get_error_depth(store) == 0 && revoked(ssl, store)) {
        X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REVOKED);
        ok = 0;
    }
    if (ok)
        return 1;
    char address[GW_ADDRESS_TEXT_MAX];
    gw_metric_add(GW_METRIC_UPGRADES_REFUSED, 1);
    gw_log(GW_LOG_WARNING, "ingest.certificate_refused", "a client certificate does not verify",
           GW_TEXT("reason", X509_verify_cert_error_string(X509_STORE_CTX_get_error(store))),
           GW_TEXT("peer", peer_text(ssl, address)));
    return 0;
}

/* --- tickets --- */

static bool set_up_ciphers(const struct gw_ticket_key *key, const uint8_t *iv, EVP_CIPHER_CTX *cipher,
                           EVP_MAC_CTX *mac, int encrypt)
{
    uint8_t mac_key[sizeof key->mac];
    memcpy(mac_key, key->mac, sizeof mac_key);
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, mac_key, sizeof mac_key),
                           OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                           OSSL_PARAM_construct_end()};
    bool done = EVP_MAC_CTX_set_params(mac, params) == 1 &&
                EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->cipher, iv, encrypt) == 1;
    OPENSSL_cleanse(mac_key, sizeof mac_key);
    return done;
}

/* As SSL_CTX_set_tlsext_ticket_key_evp_cb(3) wants it: 1 use, 2 use and give a new one, 0 no such key, -1 an error. */
static int ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                      EVP_MAC_CTX *mac, int encrypt)
{
    const struct gw_tls_view *view = view_of(ssl);
    struct gw_ticket_key key;
    int result = 1;
    if (encrypt) {
        if (gw_tickets_current(view->tickets, view->now_ms(), &key) != GW_OK ||
            RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1)
            return -1;
        memcpy(name, key.name, sizeof key.name);
    } else {
        enum gw_ticket_age age = gw_tickets_find(view->tickets, name, view->now_ms(), &key);
        if (age == GW_TICKET_UNKNOWN)
            return 0;
        result = age == GW_TICKET_CURRENT ? 1 : 2;
    }
    if (!set_up_ciphers(&key, iv, cipher, mac, encrypt))
        result = -1;
    OPENSSL_cleanse(&key, sizeof key);
    return result;
}

/* A resumed session keeps the proof that it came with. */
static int ticket_made(SSL *ssl, void *context)
{
    (void)context;
    struct gw_proof proof;
    if (SSL_session_reused(ssl) || !proof_of_chain(SSL_get0_verified_chain(ssl), &proof))
        return 1;
    return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), &proof, sizeof proof);
}

static enum gw_tls_identity device_of(X509 *certificate, char *out_device);

static bool still_welcome(const struct gw_tls_view *view, SSL_SESSION *session)
{
    X509 *certificate = SSL_SESSION_get0_peer(session);
    struct gw_proof proof;
    const char *why;
    char device[TRIB_WIRE_DEVICE_BYTES_MAX + 1];
    if (!certificate)
        return true; /* a token comes with each request */
    return proof_of_session(session, &proof) && device_of(certificate, device) == GW_TLS_DEVICE &&
           gw_proof_refusal(&proof, view->credentials, device, (int64_t)time(NULL), &why) == 0;
}

static SSL_TICKET_RETURN ticket_opened(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
                                       size_t name_len, SSL_TICKET_STATUS status, void *context)
{
    (void)name;
    (void)name_len;
    (void)context;
    if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    if (!still_welcome(view_of(ssl), session))
        return SSL_TICKET_RETURN_IGNORE_RENEW; /* a full handshake, which says what is wrong */
    return SSL_TICKET_RETURN_USE_RENEW;
}

static void use_tickets(SSL_CTX *context, const struct gw_tls_view *view)
{
    SSL_CTX_clear_options(context, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(context, 1);
    SSL_CTX_set_timeout(context, (long)(gw_tickets_lifetime_ms(view->tickets) / 1000));
    SSL_CTX_set_tlsext_ticket_key_evp_cb(context, ticket_key);
    SSL_CTX_set_session_ticket_cb(context, ticket_made, ticket_opened, NULL);
}

/* --- contexts --- */

int gw_tls_renew(SSL_CTX *context, const struct gw_tls_view *view, struct gw_error *error)
{
    const struct gw_credentials *credentials = view->credentials;
    if (SSL_CTX_use_cert_and_key(context, credentials->certificate, credentials->key, credentials->chain,
                                 1) != 1) {
        ERR_clear_error();
        return gw_error_set(error, GW_EINVALID, 0, "OpenSSL does not take certificate and key");
    }
    if (!credentials->authorities) {
        SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
        return GW_OK;
    }
    STACK_OF(X509_NAME) *names = SSL_dup_CA_list(credentials->names);
    if (!names)
        return gw_error_set(error, GW_ENOMEM, 0, "out of memory");
    SSL_CTX_set1_cert_store(context, credentials->authorities);
    SSL_CTX_set_client_CA_list(context, names);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, verify);
    SSL_CTX_set_verify_depth(context, GW_PROOF_LINKS_MAX - 1); /* intermediates */
    return GW_OK;
}

int gw_tls_configure(SSL_CTX *context, const struct gw_tls_view *view, struct gw_error *error)
{
    static const unsigned char SESSIONS[] = "tributary";
    pthread_once(&indices_once, make_indices);
    SSL_CTX_set_ex_data(context, view_index, (void *)view);
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_session_id_context(context, SESSIONS, sizeof SESSIONS - 1);
    SSL_CTX_set_num_tickets(context, 0);
    SSL_CTX_set_max_early_data(context, 0);
    /* 34 KiB less for each connection that is silent. */
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    if (view->tickets)
        use_tickets(context, view);
    return gw_tls_renew(context, view, error);
}

void gw_tls_name_peer(SSL *ssl, const struct gw_peer *peer)
{
    if (ssl)
        SSL_set_ex_data(ssl, peer_index, (void *)peer);
}

/* --- pace --- */

/* Before a read: puts it off, as if nothing had come yet; the socket is reported as readable again in the next turn. */
static long on_read(BIO *bio, int operation, const char *data, size_t len, int argi, long argl, int result,
                    size_t *processed)
{
    (void)data, (void)len, (void)argi, (void)argl, (void)processed;
    if (operation != BIO_CB_READ || gw_pace_step((struct gw_pace *)BIO_get_callback_arg(bio), bio))
        return result;
    BIO_clear_retry_flags(bio);
    BIO_set_retry_read(bio);
    return -1;
}

void gw_tls_pace(SSL *ssl, struct gw_pace *pace)
{
    if (!ssl)
        return;
    BIO_set_callback_arg(SSL_get_rbio(ssl), (char *)pace);
    BIO_set_callback_ex(SSL_get_rbio(ssl), on_read);
}

void gw_tls_serve(SSL *ssl)
{
    if (ssl)
        BIO_set_callback_ex(SSL_get_rbio(ssl), NULL);
}

/* --- who it is --- */

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

static enum gw_tls_identity device_of(X509 *certificate, char *out_device)
{
    int found = 0;
    out_device[0] = 0;
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; found >= 0 && i < sk_GENERAL_NAME_num(names); i++) {
        int taken = take_name(sk_GENERAL_NAME_value(names, i), out_device);
        found = taken < 0 ? -1 : found + taken;
    }
    GENERAL_NAMES_free(names);
    return found > 0 ? GW_TLS_DEVICE : GW_TLS_NOT_A_DEVICE;
}

enum gw_tls_identity gw_tls_peer_device(SSL *ssl, char out_device[TRIB_WIRE_DEVICE_BYTES_MAX + 1],
                                        struct gw_proof *out_proof)
{
    X509 *certificate = SSL_get0_peer_certificate(ssl);
    if (!certificate)
        return GW_TLS_NO_CERTIFICATE;
    if (SSL_get_verify_result(ssl) != X509_V_OK ||
        (SSL_session_reused(ssl) ? !proof_of_session(SSL_get_session(ssl), out_proof)
                                 : !proof_of_chain(SSL_get0_verified_chain(ssl), out_proof)))
        return GW_TLS_NOT_A_DEVICE;
    return device_of(certificate, out_device);
}
