#include "credentials.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define URN "urn:tributary:device:"
#define LIFE_S 86400
#define DEVICE_BYTES_MAX 64

static int complain(const char *what, const char *name)
{
    char reason[160] = "";
    unsigned long code = ERR_get_error();

    if (code)
        ERR_error_string_n(code, reason, sizeof reason);
    ERR_clear_error();
    fprintf(stderr, "tributary-load: %s %s%s%s\n", what, name, code ? ": " : "", reason);
    return -1;
}

static EVP_PKEY *read_key(const char *path)
{
    FILE *file = fopen(path, "r");
    EVP_PKEY *key = file ? PEM_read_PrivateKey(file, NULL, NULL, NULL) : NULL;

    if (file)
        fclose(file);
    if (!key)
        complain("cannot read a private key from", path);
    return key;
}

static X509 *read_certificate(const char *path)
{
    FILE *file = fopen(path, "r");
    X509 *certificate = file ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;

    if (file)
        fclose(file);
    if (!certificate)
        complain("cannot read a certificate from", path);
    return certificate;
}

static int read_token(const char *path, char *out, size_t cap)
{
    FILE *file = fopen(path, "r");
    size_t len = file ? fread(out, 1, cap - 1, file) : 0;

    if (file)
        fclose(file);
    out[len] = '\0';
    out[strcspn(out, " \t\r\n")] = '\0';
    return out[0] ? 0 : complain("cannot read a token from", path);
}

static int open_identity(struct load_credentials *c)
{
    const struct load_options *o = c->options;

    if (o->cert) {
        if (SSL_CTX_use_certificate_chain_file(c->context, o->cert) != 1)
            return complain("cannot use the certificate", o->cert);
        if (SSL_CTX_use_PrivateKey_file(c->context, o->key, SSL_FILETYPE_PEM) != 1)
            return complain("cannot use the key", o->key);
    } else if (o->device_ca) {
        c->issuer = read_certificate(o->device_ca);
        c->issuer_key = read_key(o->ca_key);
        c->device_key = EVP_EC_gen("P-256");
        if (!c->issuer || !c->issuer_key || !c->device_key)
            return -1;
        if (X509_check_private_key(c->issuer, c->issuer_key) != 1)
            return complain("the key does not belong to", o->device_ca);
    } else if (o->jwt_key) {
        c->token_key = read_key(o->jwt_key);
        if (!c->token_key)
            return -1;
        if (EVP_PKEY_get_id(c->token_key) != EVP_PKEY_EC || EVP_PKEY_get_bits(c->token_key) != 256)
            return complain("a P-256 key is needed to sign tokens, not", o->jwt_key);
    } else if (o->token_file) {
        return read_token(o->token_file, c->token, sizeof c->token);
    } else if (o->token) {
        snprintf(c->token, sizeof c->token, "%s", o->token);
    }
    return 0;
}

int load_credentials_open(struct load_credentials *c, const struct load_options *options)
{
    memset(c, 0, sizeof *c);
    c->options = options;
    c->context = SSL_CTX_new(TLS_client_method());
    if (!c->context)
        return complain("no TLS", "");
    SSL_CTX_set_min_proto_version(c->context, TLS1_2_VERSION);
    SSL_CTX_set_mode(c->context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                     SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_verify(c->context, SSL_VERIFY_PEER, NULL);
    if (SSL_CTX_load_verify_file(c->context, options->ca) != 1)
        return complain("cannot read certificates from", options->ca);
    return open_identity(c);
}

void load_credentials_close(struct load_credentials *c)
{
    SSL_CTX_free(c->context);
    EVP_PKEY_free(c->device_key);
    EVP_PKEY_free(c->issuer_key);
    EVP_PKEY_free(c->token_key);
    X509_free(c->issuer);
}

/* --- the device that credentials hold --- */

static int device_of_certificate(X509 *certificate, char *out, size_t cap)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    int found = -1;

    for (int i = 0; found && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type != GEN_URI)
            continue;
        const char *uri = (const char *)ASN1_STRING_get0_data(name->d.uniformResourceIdentifier);
        size_t len = (size_t)ASN1_STRING_length(name->d.uniformResourceIdentifier), skip = sizeof URN - 1;
        if (len > skip && len - skip < cap && memcmp(uri, URN, skip) == 0) {
            memcpy(out, uri + skip, len - skip);
            out[len - skip] = '\0';
            found = 0;
        }
    }
    GENERAL_NAMES_free(names);
    return found;
}

/* The `sub` of a token's payload; the token is not judged, that is the gateway's part. */
static int device_of_token(const char *token, char *out, size_t cap)
{
    unsigned char payload[LOAD_TOKEN_BYTES_MAX];
    char text[LOAD_TOKEN_BYTES_MAX + 4];
    const char *begin = strchr(token, '.');
    size_t len = begin ? strcspn(begin + 1, ".") : 0;

    if (len == 0 || len >= LOAD_TOKEN_BYTES_MAX)
        return -1;
    for (size_t i = 0; i < len; i++)
        text[i] = begin[1 + i] == '-' ? '+' : begin[1 + i] == '_' ? '/' : begin[1 + i];
    while (len % 4)
        text[len++] = '=';
    int got = EVP_DecodeBlock(payload, (unsigned char *)text, (int)len);
    if (got <= 0 || (size_t)got >= sizeof payload)
        return -1;
    payload[got] = '\0';
    const char *sub = strstr((char *)payload, "\"sub\"");
    sub = sub ? strchr(sub + 5, '"') : NULL;
    size_t bytes = sub ? strcspn(sub + 1, "\"") : 0;
    if (bytes == 0 || bytes >= cap)
        return -1;
    memcpy(out, sub + 1, bytes);
    out[bytes] = '\0';
    return 0;
}

int load_credentials_device(const struct load_credentials *c, char *out, size_t cap)
{
    if (c->options->cert)
        return device_of_certificate(SSL_CTX_get0_certificate(c->context), out, cap);
    return c->token[0] ? device_of_token(c->token, out, cap) : -1;
}

/* --- certificates on the fly --- */

static int add_extension(X509 *certificate, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    int added = extension && X509_add_ext(certificate, extension, -1);

    X509_EXTENSION_free(extension);
    return added;
}

static X509 *issue(const struct load_credentials *c, const char *device)
{
    X509 *certificate = X509_new();
    X509_NAME *subject = X509_NAME_new();
    char uri[sizeof "URI:" URN + DEVICE_BYTES_MAX];
    uint64_t serial;

    snprintf(uri, sizeof uri, "URI:" URN "%s", device);
    int good =
        certificate && subject && RAND_bytes((unsigned char *)&serial, sizeof serial) == 1 &&
        X509_set_version(certificate, X509_VERSION_3) &&
        ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial >> 1) &&
        X509_gmtime_adj(X509_getm_notBefore(certificate), -300) &&
        X509_gmtime_adj(X509_getm_notAfter(certificate), LIFE_S) &&
        X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)device, -1, -1, 0) &&
        X509_set_subject_name(certificate, subject) &&
        X509_set_issuer_name(certificate, X509_get_subject_name(c->issuer)) &&
        X509_set_pubkey(certificate, c->device_key) &&
        add_extension(certificate, NID_basic_constraints, "critical,CA:FALSE") &&
        add_extension(certificate, NID_key_usage, "critical,digitalSignature") &&
        add_extension(certificate, NID_ext_key_usage, "clientAuth") &&
        add_extension(certificate, NID_subject_alt_name, uri) &&
        X509_sign(certificate, c->issuer_key, EVP_sha256()) > 0;
    X509_NAME_free(subject);
    if (!good) {
        X509_free(certificate);
        complain("cannot issue a certificate for", device);
        return NULL;
    }
    return certificate;
}

static int use_identity(const struct load_credentials *c, SSL *ssl, const char *device)
{
    const struct load_options *o = c->options;
    char path[4096];

    if (o->cert_dir) {
        snprintf(path, sizeof path, "%s/device-%s.pem", o->cert_dir, device);
        if (SSL_use_certificate_chain_file(ssl, path) != 1)
            return complain("cannot use the certificate", path);
        snprintf(path, sizeof path, "%s/device-%s.key", o->cert_dir, device);
        if (SSL_use_PrivateKey_file(ssl, path, SSL_FILETYPE_PEM) != 1)
            return complain("cannot use the key", path);
    } else if (c->issuer) {
        X509 *certificate = issue(c, device);
        int used = certificate && SSL_use_certificate(ssl, certificate) == 1 &&
                   SSL_use_PrivateKey(ssl, c->device_key) == 1;
        X509_free(certificate);
        return used ? 0 : -1;
    }
    return 0;
}

SSL *load_credentials_tls(const struct load_credentials *c, const char *device)
{
    const char *host = c->options->host;
    struct in6_addr address;
    SSL *ssl = SSL_new(c->context);

    if (!ssl)
        return NULL;
    if (inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1)
        X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host);
    else if (SSL_set1_host(ssl, host) != 1 || SSL_set_tlsext_host_name(ssl, host) != 1)
        complain("cannot set the name", host);
    if (use_identity(c, ssl, device)) {
        SSL_free(ssl);
        return NULL;
    }
    SSL_set_connect_state(ssl);
    return ssl;
}

/* --- tokens --- */

static size_t base64url(const unsigned char *data, size_t len, char *out)
{
    int n = EVP_EncodeBlock((unsigned char *)out, data, (int)len);

    while (n > 0 && out[n - 1] == '=')
        n--;
    out[n] = '\0';
    for (int i = 0; i < n; i++)
        out[i] = out[i] == '+' ? '-' : out[i] == '/' ? '_' : out[i];
    return (size_t)n;
}

/* ES256 (RFC 7518 §3.4): r and s, 32 bytes each. */
static int sign_es256(EVP_PKEY *key, const char *text, size_t len, unsigned char out[64])
{
    unsigned char der[128];
    size_t der_len = sizeof der;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    int good = context && EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
               EVP_DigestSign(context, der, &der_len, (const unsigned char *)text, len) == 1;
    const unsigned char *p = der;
    ECDSA_SIG *signature = good ? d2i_ECDSA_SIG(NULL, &p, (long)der_len) : NULL;

    good = signature && BN_bn2binpad(ECDSA_SIG_get0_r(signature), out, 32) == 32 &&
           BN_bn2binpad(ECDSA_SIG_get0_s(signature), out + 32, 32) == 32;
    ECDSA_SIG_free(signature);
    EVP_MD_CTX_free(context);
    return good ? 0 : -1;
}

const char *load_credentials_token(const struct load_credentials *c, const char *device, char *buf,
                                   size_t cap)
{
    char header[256], payload[512];
    unsigned char signature[64];
    const struct load_options *o = c->options;

    if (!c->token_key)
        return c->token[0] ? c->token : NULL;
    int header_len =
        snprintf(header, sizeof header, "{\"alg\":\"ES256\",\"typ\":\"JWT\",\"kid\":\"%s\"}", o->jwt_kid);
    int payload_len = snprintf(payload, sizeof payload, "{\"sub\":\"%s\",\"aud\":\"%s\",\"exp\":%" PRId64 "}",
                               device, o->jwt_audience, (int64_t)time(NULL) + LIFE_S);
    if (header_len >= (int)sizeof header || payload_len >= (int)sizeof payload || cap < LOAD_TOKEN_BYTES_MAX)
        return NULL;
    size_t len = base64url((unsigned char *)header, (size_t)header_len, buf);
    buf[len++] = '.';
    len += base64url((unsigned char *)payload, (size_t)payload_len, buf + len);
    if (sign_es256(c->token_key, buf, len, signature)) {
        complain("cannot sign a token for", device);
        return NULL;
    }
    buf[len++] = '.';
    base64url(signature, sizeof signature, buf + len);
    return buf;
}
