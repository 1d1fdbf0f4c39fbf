#include "ingest/credentials.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "observe/log.h"

/* OpenSSL's reason for its last failure, without the codes and function names that help nobody. */
static int fail(struct gw_error *error, const char *what, const char *path)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    gw_error_set(error, GW_EINVALID, 0, "%s %s: %s", what, path, reason ? reason : "not usable");
    ERR_clear_error();
    return GW_EINVALID;
}

static int no_memory(struct gw_error *error)
{
    ERR_clear_error();
    return gw_error_set(error, GW_ENOMEM, 0, "out of memory");
}

uint64_t gw_credentials_anchor(const X509 *authority)
{
    unsigned char *name = NULL, *key = NULL, digest[EVP_MAX_MD_SIZE] = {0};
    int name_len = i2d_X509_NAME(X509_get_subject_name(authority), &name);
    int key_len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(authority), &key);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    uint64_t anchor = 0;
    if (name_len > 0 && key_len > 0 && context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1 &&
        EVP_DigestUpdate(context, name, (size_t)name_len) == 1 &&
        EVP_DigestUpdate(context, key, (size_t)key_len) == 1 &&
        EVP_DigestFinal_ex(context, digest, NULL) == 1)
        memcpy(&anchor, digest, sizeof anchor);
    EVP_MD_CTX_free(context);
    OPENSSL_free(name);
    OPENSSL_free(key);
    return anchor ? anchor : 1;
}

bool gw_credentials_trusts(const struct gw_credentials *credentials, uint64_t anchor)
{
    for (size_t i = 0; i < credentials->anchor_count; i++)
        if (credentials->anchors[i] == anchor)
            return true;
    return false;
}

/* Of the authorities; and who of theirs is revoked, as far as they themselves have signed. */
static int note_anchors(struct gw_credentials *credentials, const struct gw_config *config,
                        struct gw_error *error)
{
    STACK_OF(X509) *all = X509_STORE_get1_all_certs(credentials->authorities);
    int count = all ? sk_X509_num(all) : 0;
    credentials->anchors = calloc((size_t)count + 1, sizeof *credentials->anchors);
    for (int i = 0; credentials->anchors && i < count; i++)
        credentials->anchors[credentials->anchor_count++] = gw_credentials_anchor(sk_X509_value(all, i));
    int result = credentials->anchors ? GW_OK : no_memory(error);
    if (result == GW_OK && config->listen.crl[0] != 0)
        result = gw_crl_load(config->listen.crl, all, &credentials->crl, error);
    sk_X509_pop_free(all, X509_free);
    return result;
}

static int load_authorities(struct gw_credentials *credentials, const struct gw_config *config,
                            struct gw_error *error)
{
    if (config->auth.client_ca_count == 0)
        return config->listen.crl[0] == 0
                   ? GW_OK
                   : gw_error_set(error, GW_EINVALID, 0,
                                  "listen.crl needs auth.client_ca: revocation lists are of its authorities");
    credentials->authorities = X509_STORE_new();
    credentials->names = sk_X509_NAME_new_null();
    if (!credentials->authorities || !credentials->names)
        return no_memory(error);
    for (size_t i = 0; i < config->auth.client_ca_count; i++) {
        const char *path = config->auth.client_ca[i];
        if (X509_STORE_load_file(credentials->authorities, path) != 1 ||
            SSL_add_file_cert_subjects_to_stack(credentials->names, path) != 1)
            return fail(error, "auth.client_ca: cannot load the device CA", path);
    }
    return note_anchors(credentials, config, error);
}

/* Through a context: it reads the files as a server would, and checks that they belong together. */
static int load_certificate(struct gw_credentials *credentials, const struct gw_config *config,
                            struct gw_error *error)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (!context)
        return fail(error, "OpenSSL", "cannot make a context");
    STACK_OF(X509) *chain = NULL;
    int result = GW_OK;
    if (SSL_CTX_use_certificate_chain_file(context, config->listen.certificate) != 1)
        result = fail(error, "listen.certificate: cannot load", config->listen.certificate);
    else if (SSL_CTX_use_PrivateKey_file(context, config->listen.key, SSL_FILETYPE_PEM) != 1)
        result = fail(error, "listen.key: cannot load, or not the certificate's key,", config->listen.key);
    else if (SSL_CTX_check_private_key(context) != 1)
        result = fail(error, "listen.key: is not the certificate's key:", config->listen.key);
    if (result == GW_OK) {
        credentials->certificate = SSL_CTX_get0_certificate(context);
        X509_up_ref(credentials->certificate);
        credentials->key = SSL_CTX_get0_privatekey(context);
        EVP_PKEY_up_ref(credentials->key);
        if (SSL_CTX_get0_chain_certs(context, &chain) == 1 && chain)
            credentials->chain = X509_chain_up_ref(chain);
        if (X509_cmp_current_time(X509_get0_notAfter(credentials->certificate)) < 0)
            gw_log(GW_LOG_WARNING, "ingest.certificate_expired",
                   "devices will refuse this gateway: renew its certificate",
                   GW_TEXT("file", config->listen.certificate));
    }
    SSL_CTX_free(context);
    return result;
}

static int load_tokens(struct gw_credentials *credentials, const struct gw_config *config,
                       struct gw_error *error)
{
    if (config->auth.jwks[0] == 0)
        return GW_OK;
    if (config->auth.audience[0] == 0)
        return gw_error_set(error, GW_EINVALID, 0,
                            "auth.audience is needed with auth.jwks: tokens must carry it");
    return gw_jwks_load(config->auth.jwks, &credentials->keys, error);
}

int gw_credentials_load(const struct gw_config *config, struct gw_credentials **out, struct gw_error *error)
{
    struct gw_credentials *credentials = calloc(1, sizeof *credentials);
    if (!credentials)
        return no_memory(error);
    int result = load_certificate(credentials, config, error);
    if (result == GW_OK)
        result = load_authorities(credentials, config, error);
    if (result == GW_OK)
        result = load_tokens(credentials, config, error);
    if (result == GW_OK && config->auth.deny[0] != 0)
        result = gw_deny_load(config->auth.deny, &credentials->deny, error);
    if (result != GW_OK) {
        gw_credentials_free(credentials);
        return result;
    }
    *out = credentials;
    return GW_OK;
}

void gw_credentials_free(struct gw_credentials *credentials)
{
    if (!credentials)
        return;
    X509_free(credentials->certificate);
    sk_X509_pop_free(credentials->chain, X509_free);
    EVP_PKEY_free(credentials->key);
    X509_STORE_free(credentials->authorities);
    sk_X509_NAME_pop_free(credentials->names, X509_NAME_free);
    free(credentials->anchors);
    gw_crl_free(credentials->crl);
    gw_jwks_free(credentials->keys);
    gw_deny_free(credentials->deny);
    free(credentials);
}
