#include "net_tls.h"

#include <limits.h>
#include <mbedtls/error.h>
#include <mbedtls/net_sockets.h> /* its error codes only */
#include <mbedtls/version.h>
#include <stdio.h>
#include <string.h>
#if MBEDTLS_VERSION_NUMBER >= 0x03000000 && defined(MBEDTLS_PSA_CRYPTO_C)
#include <psa/crypto.h>
#endif

#include "verify.h"

#if MBEDTLS_VERSION_NUMBER < 0x021C0000
#error "mbedTLS 2.28 or later is needed"
#endif

#if MBEDTLS_VERSION_NUMBER >= 0x03000000
#define BAD_VERSION MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION
#else
#define BAD_VERSION MBEDTLS_ERR_SSL_BAD_HS_PROTOCOL_VERSION
#endif

enum { PHASE_CLOSED, PHASE_LOWER, PHASE_HANDSHAKE, PHASE_OPEN };

/* --- log --- */

static void say(const struct trib_mbedtls *tls, const char *text)
{
    if (tls->config.log.write != NULL)
        tls->config.log.write(tls->config.log.context, TRIB_LOG_ERROR, text);
}

static void say_code(const struct trib_mbedtls *tls, const char *what, int code)
{
    char line[224], why[120] = "";
#if defined(MBEDTLS_ERROR_C)
    mbedtls_strerror(code, why, sizeof why);
#endif
    (void)snprintf(line, sizeof line, "tls: %s (-0x%04x%s%s)", what, (unsigned)-code,
                   why[0] != '\0' ? ", " : "", why);
    say(tls, line);
}

/* One line for what is wrong with the gateway's certificate, the most telling first. */
static void say_certificate(const struct trib_mbedtls *tls, uint32_t flags)
{
    static const struct {
        uint32_t flag;
        const char *text;
    } causes[] = {
        {MBEDTLS_X509_BADCERT_NOT_TRUSTED, "its chain does not lead to a CA of this device; give the device "
                                           "the CA that signed it, or the gateway its "
                                           "whole chain"},
        {MBEDTLS_X509_BADCERT_CN_MISMATCH, "it is for another name; connect by a name that is in its subject "
                                           "alternative names, or set server_name"},
        {MBEDTLS_X509_BADCERT_EXPIRED, "it has expired; renew it, or check this device's clock"},
        {MBEDTLS_X509_BADCERT_FUTURE, "it is not valid yet; check this device's clock and the gateway's"},
        {MBEDTLS_X509_BADCERT_REVOKED, "it was revoked"},
        {MBEDTLS_X509_BADCERT_BAD_KEY | MBEDTLS_X509_BADCERT_BAD_MD | MBEDTLS_X509_BADCERT_BAD_PK,
         "its key or signature is too weak; make it with ECDSA P-256 or RSA of 2048 bits, and SHA-256"},
        {MBEDTLS_X509_BADCERT_EXT_KEY_USAGE | MBEDTLS_X509_BADCERT_KEY_USAGE |
             MBEDTLS_X509_BADCERT_NS_CERT_TYPE,
         "it was not made for a server; add serverAuth to its extended key usage"},
    };
    char line[320];
    const char *cause = "mbedTLS does not accept it";
    for (size_t i = sizeof causes / sizeof *causes; i-- > 0;) {
        if ((flags & causes[i].flag) != 0)
            cause = causes[i].text;
    }
    (void)snprintf(line, sizeof line, "tls: the certificate of %s is not accepted: %s (flags 0x%x)",
                   tls->name, cause, (unsigned)flags);
    say(tls, line);
}

/* --- bytes below --- */

static int lower_send(void *context, const unsigned char *data, size_t length)
{
    struct trib_mbedtls *tls = context;
    int sent = tls->config.lower.send(tls->config.lower.context, data, length);
    if (sent > 0)
        return sent;
    if (sent == TRIB_EAGAIN)
        return MBEDTLS_ERR_SSL_WANT_WRITE;
    tls->lower_error = sent != 0 ? sent : TRIB_EIO;
    return MBEDTLS_ERR_NET_SEND_FAILED;
}

static int lower_receive(void *context, unsigned char *out_buffer, size_t capacity)
{
    struct trib_mbedtls *tls = context;
    int got = tls->config.lower.receive(tls->config.lower.context, out_buffer, capacity);
    if (got > 0)
        return got;
    if (got == TRIB_EAGAIN)
        return MBEDTLS_ERR_SSL_WANT_READ;
    tls->lower_error = got != 0 ? got : TRIB_EIO;
    return MBEDTLS_ERR_NET_RECV_FAILED;
}

static int random_bytes(void *context, unsigned char *out_buffer, size_t length)
{
    const struct trib_mbedtls *tls = context;
    int error = tls->config.entropy.fill(tls->config.entropy.context, out_buffer, length);
    return error == 0 ? 0 : MBEDTLS_ERR_PK_BAD_INPUT_DATA; /* any negative number stops the handshake */
}

static bool is_wait(int code)
{
    return code == MBEDTLS_ERR_SSL_WANT_READ || code == MBEDTLS_ERR_SSL_WANT_WRITE;
}

/* What a failed read or write means; says so where the operator can do something. */
static int stream_error(struct trib_mbedtls *tls, int code)
{
    if (is_wait(code))
        return TRIB_EAGAIN;
    if (tls->lower_error != 0)
        return tls->lower_error;
    if (code == 0 || code == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY || code == MBEDTLS_ERR_SSL_CONN_EOF)
        return TRIB_ECLOSED;
    if (code == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE)
        say_code(
            tls,
            "the gateway ended the connection with an alert; if it demands a client certificate, check the "
            "device's",
            code);
    else
        say_code(tls, "the connection failed", code);
    return TRIB_ETLS;
}

/* --- sessions --- */

static void forget_session(struct trib_mbedtls *tls)
{
    mbedtls_ssl_session_free(&tls->session);
    mbedtls_ssl_session_init(&tls->session);
    tls->session_name[0] = '\0';
}

/* Saves a handshake next time. A failure costs only that. */
static void keep_session(struct trib_mbedtls *tls)
{
    size_t len = strlen(tls->name);
    forget_session(tls);
    if (len < sizeof tls->session_name && mbedtls_ssl_get_session(&tls->ssl, &tls->session) == 0)
        memcpy(tls->session_name, tls->name, len + 1);
}

/* --- handshake --- */

static int begin_handshake(struct trib_mbedtls *tls, const char *host)
{
    tls->name = tls->config.server_name != NULL ? tls->config.server_name : host;
    tls->address_bytes = trib_mbedtls_read_address(tls->name, tls->address);
    tls->lower_error = 0;
    tls->unsent = 0;
    int code = mbedtls_ssl_session_reset(&tls->ssl);
    if (code == 0) /* NULL: no name is indicated, and trib_mbedtls_verify compares the address */
        code = mbedtls_ssl_set_hostname(&tls->ssl, tls->address_bytes == 0 ? tls->name : NULL);
    if (code == 0 && tls->session_name[0] != '\0' && strcmp(tls->session_name, tls->name) == 0)
        code = mbedtls_ssl_set_session(&tls->ssl, &tls->session);
    if (code != 0) {
        say_code(tls, "the handshake cannot begin", code);
        return TRIB_ETLS;
    }
    tls->phase = PHASE_HANDSHAKE;
    return 0;
}

static int handshake_error(struct trib_mbedtls *tls, int code)
{
    uint32_t flags = mbedtls_ssl_get_verify_result(&tls->ssl);
    forget_session(tls);
    if (flags != 0 && flags != UINT32_MAX) { /* all bits: it did not come to a verification */
        say_certificate(tls, flags);
        return TRIB_ECERTIFICATE;
    }
    if (tls->lower_error == TRIB_ECLOSED || code == MBEDTLS_ERR_SSL_CONN_EOF) {
        say(tls,
            "tls: the peer closed during the handshake; check that the port speaks TLS 1.2 or later, and the "
            "device's client "
            "certificate if the gateway demands one");
        return TRIB_ETLS;
    }
    if (tls->lower_error != 0)
        return tls->lower_error;
    if (code == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE)
        say_code(
            tls,
            "the gateway refused the handshake; check the device's client certificate, whether the gateway "
            "trusts its CA, and that both allow TLS 1.2 or later",
            code);
    else if (code == BAD_VERSION)
        say_code(tls, "the gateway does not speak TLS 1.2 or later; have it allow that", code);
    else
        say_code(tls, "the handshake failed", code);
    return TRIB_ETLS;
}

static int tls_connect(void *context, const char *host, uint16_t port)
{
    struct trib_mbedtls *tls = context;
    int error;
    if (!tls->ready)
        return TRIB_EINVAL;
    if (tls->phase == PHASE_OPEN)
        return 0;
    if (tls->phase != PHASE_HANDSHAKE) {
        tls->phase = PHASE_LOWER;
        error = tls->config.lower.connect(tls->config.lower.context, host, port);
        if (error == 0)
            error = begin_handshake(tls, host);
        if (error != 0)
            return error;
    }
    int code = mbedtls_ssl_handshake(&tls->ssl);
    if (is_wait(code))
        return TRIB_EAGAIN;
    if (code != 0)
        return handshake_error(tls, code);
    keep_session(tls);
    tls->phase = PHASE_OPEN;
    return 0;
}

/* --- stream --- */

/* When mbedTLS says WANT_WRITE it has taken the bytes, and wants them offered again until they are on their way. A
 * longer offer must not be taken for the shorter one. */
static int tls_send(void *context, const uint8_t *data, size_t length)
{
    struct trib_mbedtls *tls = context;
    if (tls->phase != PHASE_OPEN)
        return TRIB_ECLOSED;
    if (length == 0 || length < tls->unsent)
        return TRIB_EINVAL;
    if (tls->unsent != 0)
        length = tls->unsent;
    if (length > INT_MAX)
        length = INT_MAX;
    int sent = mbedtls_ssl_write(&tls->ssl, data, length);
    tls->unsent = is_wait(sent) ? length : 0;
    return sent > 0 ? sent : stream_error(tls, sent);
}

static int tls_receive(void *context, uint8_t *out_buffer, size_t capacity)
{
    struct trib_mbedtls *tls = context;
    if (tls->phase != PHASE_OPEN)
        return TRIB_ECLOSED;
    if (capacity == 0)
        return TRIB_EINVAL;
    int got = mbedtls_ssl_read(&tls->ssl, out_buffer, capacity < INT_MAX ? capacity : INT_MAX);
#if defined(MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET)
    if (got == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET) { /* TLS 1.3 hands it out after the handshake */
        keep_session(tls);
        return TRIB_EAGAIN;
    }
#endif
    return got > 0 ? got : stream_error(tls, got);
}

static void tls_close(void *context)
{
    struct trib_mbedtls *tls = context;
    if (tls->phase == PHASE_OPEN && tls->lower_error == 0)
        (void)mbedtls_ssl_close_notify(&tls->ssl); /* a courtesy; it may not fit into the socket */
    if (tls->phase != PHASE_CLOSED)
        tls->config.lower.close(tls->config.lower.context);
    tls->phase = PHASE_CLOSED;
}

/* --- setting up --- */

static int parse_key(struct trib_mbedtls *tls)
{
    const struct trib_mbedtls_blob *key = &tls->config.key;
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    return mbedtls_pk_parse_key(&tls->key, key->data, key->length, NULL, 0, random_bytes, tls);
#else
    return mbedtls_pk_parse_key(&tls->key, key->data, key->length, NULL, 0);
#endif
}

static int parse(struct trib_mbedtls *tls, const char *what, int code)
{
    char line[200];
    if (code == 0)
        return 0;
    (void)snprintf(line, sizeof line,
                   "%s cannot be read: DER, or PEM with its terminating zero byte counted, is needed", what);
    if (code > 0) { /* so many of several certificates */
        (void)snprintf(line, sizeof line, "tls: %d of the certificates in %s cannot be read", code, what);
        say(tls, line);
    } else {
        say_code(tls, line, code);
    }
    return TRIB_EINVAL;
}

static int load_credentials(struct trib_mbedtls *tls)
{
    const struct trib_mbedtls_config *c = &tls->config;
    int error = parse(tls, "ca", mbedtls_x509_crt_parse(&tls->ca, c->ca.data, c->ca.length));
    if (error != 0 || c->certificate.data == NULL)
        return error;
    error = parse(tls, "certificate",
                  mbedtls_x509_crt_parse(&tls->certificate, c->certificate.data, c->certificate.length));
    if (error == 0)
        error = parse(tls, "key", parse_key(tls));
    if (error != 0)
        return error;
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    int code = mbedtls_pk_check_pair(&tls->certificate.pk, &tls->key, random_bytes, tls);
#else
    int code = mbedtls_pk_check_pair(&tls->certificate.pk, &tls->key);
#endif
    if (code != 0) {
        say_code(tls, "key does not belong to certificate", code);
        return TRIB_EINVAL;
    }
    return mbedtls_ssl_conf_own_cert(&tls->ssl_config, &tls->certificate, &tls->key) == 0 ? 0 : TRIB_EINVAL;
}

static void demand_modern_tls(mbedtls_ssl_config *config)
{
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    mbedtls_ssl_conf_min_tls_version(config, MBEDTLS_SSL_VERSION_TLS1_2);
#else
    mbedtls_ssl_conf_min_version(config, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
#endif
}

static int set_up(struct trib_mbedtls *tls)
{
#if MBEDTLS_VERSION_NUMBER >= 0x03000000 && defined(MBEDTLS_PSA_CRYPTO_C)
    if (psa_crypto_init() != PSA_SUCCESS) {
        say(tls, "tls: psa_crypto_init failed; check mbedTLS' own entropy source");
        return TRIB_EINVAL;
    }
#endif
    int code = mbedtls_ssl_config_defaults(&tls->ssl_config, MBEDTLS_SSL_IS_CLIENT,
                                           MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);
    if (code != 0) {
        say_code(tls, "mbedTLS cannot be configured", code);
        return TRIB_EINVAL;
    }
    demand_modern_tls(&tls->ssl_config);
    mbedtls_ssl_conf_authmode(&tls->ssl_config, MBEDTLS_SSL_VERIFY_REQUIRED);
    mbedtls_ssl_conf_rng(&tls->ssl_config, random_bytes, tls);
    mbedtls_ssl_conf_verify(&tls->ssl_config, trib_mbedtls_verify, tls);
    int error = load_credentials(tls);
    if (error != 0)
        return error;
    mbedtls_ssl_conf_ca_chain(&tls->ssl_config, &tls->ca, NULL);
    code = mbedtls_ssl_setup(&tls->ssl, &tls->ssl_config);
    if (code != 0) {
        say_code(tls, "mbedTLS cannot be set up; it wants about 32 KiB", code);
        return TRIB_EINVAL;
    }
    mbedtls_ssl_set_bio(&tls->ssl, tls, lower_send, lower_receive, NULL);
    return 0;
}

int trib_mbedtls_init(struct trib_mbedtls *tls, const struct trib_mbedtls_config *config)
{
    memset(tls, 0, sizeof *tls);
    tls->config = *config;
    mbedtls_ssl_init(&tls->ssl);
    mbedtls_ssl_config_init(&tls->ssl_config);
    mbedtls_x509_crt_init(&tls->ca);
    mbedtls_x509_crt_init(&tls->certificate);
    mbedtls_pk_init(&tls->key);
    mbedtls_ssl_session_init(&tls->session);
    bool whole = config->lower.connect != NULL && config->lower.send != NULL &&
                 config->lower.receive != NULL && config->lower.close != NULL &&
                 config->entropy.fill != NULL && config->ca.data != NULL;
    if (!whole || (config->certificate.data == NULL) != (config->key.data == NULL)) {
        say(tls, "tls: lower, entropy and ca are needed, and certificate and key only together");
        return TRIB_EINVAL;
    }
    int error = set_up(tls);
    tls->ready = error == 0;
    return error;
}

void trib_mbedtls_deinit(struct trib_mbedtls *tls)
{
    tls_close(tls);
    mbedtls_ssl_free(&tls->ssl);
    mbedtls_ssl_config_free(&tls->ssl_config);
    mbedtls_x509_crt_free(&tls->ca);
    mbedtls_x509_crt_free(&tls->certificate);
    mbedtls_pk_free(&tls->key);
    mbedtls_ssl_session_free(&tls->session);
    tls->ready = false;
}

struct trib_net trib_mbedtls_net(struct trib_mbedtls *tls)
{
    return (struct trib_net){tls, tls_connect, tls_send, tls_receive, tls_close};
}

void trib_mbedtls_raise_time_floor(struct trib_mbedtls *tls, uint64_t utc_ms)
{
    if (tls->config.time_floor_ms < utc_ms)
        tls->config.time_floor_ms = utc_ms;
}
