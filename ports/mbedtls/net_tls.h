/*
 * struct trib_net over another struct trib_net, made secure by mbedTLS (2.28 and 3.6 LTS): TLS 1.2 or later, the
 * gateway's certificate always verified, chain and name; there is no way to switch that off.
 *
 * Name: the host of connect(), or server_name, against the certificate's subject alternative names. A numeric
 * address is compared with its iPAddress names (RFC 6125 leaves these to the application, and mbedTLS 2.28 does not do
 * it); no server name is indicated for one (RFC 6066 §3).
 * Dates: against trusted time where utc_ms gives one, beginning and end. Without it only the end counts, against
 * time_floor_ms: the later of the firmware's build date and the newest time the gateway gave (never before
 * TRIB_MBEDTLS_TIME_FLOOR_MS, when this SDK did not exist yet).
 * Memory: mbedTLS allocates its records, certificates and keys with its own allocator. Sessions are resumed within
 * one struct trib_mbedtls, for the same name only.
 */
#ifndef TRIB_MBEDTLS_NET_TLS_H
#define TRIB_MBEDTLS_NET_TLS_H

#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/x509_crt.h>
#include <stdbool.h>

#include "tributary/port.h"
#include "wire/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The longest name to resume a session with, its end included. */
#define TRIB_MBEDTLS_NAME_BYTES 256
/* The earliest time floor: 2026-01-01. */
#define TRIB_MBEDTLS_TIME_FLOOR_MS 1767225600000ull

/* DER, or PEM with its terminating zero byte counted. */
struct trib_mbedtls_blob {
    const uint8_t *data;
    size_t length;
};

/* Whom to trust, and who the device is. */
struct trib_mbedtls_config {
    struct trib_net lower;                /* plain bytes, such as trib_posix_tcp_net() */
    struct trib_entropy entropy;          /* mandatory: the only source of random bytes */
    struct trib_log log;                  /* optional: says why a handshake failed, and what to do */
    struct trib_mbedtls_blob ca;          /* mandatory: one root or several */
    struct trib_mbedtls_blob certificate; /* optional: the device's own, and the chain up to its root */
    struct trib_mbedtls_blob key;         /* with certificate */
    const char *server_name;              /* NULL: the host of connect() */
    void *utc_context;
    bool (*utc_ms)(void *context, uint64_t *out_utc_ms); /* trusted time, or false; NULL: never any */
    uint64_t time_floor_ms; /* certificates that ended before are refused even without trusted time */
};

/* The caller's; the fields are private. About 32 KiB more is allocated by mbedTLS. */
struct trib_mbedtls {
    struct trib_mbedtls_config config;
    mbedtls_ssl_context ssl;
    mbedtls_ssl_config ssl_config;
    mbedtls_x509_crt ca, certificate;
    mbedtls_pk_context key;
    mbedtls_ssl_session session;
    char session_name[TRIB_MBEDTLS_NAME_BYTES]; /* whom session is with; empty: none */
    const char *name;                           /* the one to verify in this connection */
    uint8_t address[16];                        /* and if it is numeric */
    uint8_t address_bytes;                      /* 4, 16, or 0 */
    uint8_t phase;
    bool ready;      /* trib_mbedtls_init succeeded */
    size_t unsent;   /* bytes that mbedTLS has taken and not yet sent */
    int lower_error; /* of the net below, while mbedTLS passes on only that there was one */
};

/* Reads certificates and key. The buffers they came in are not needed afterwards; server_name is.
 * TRIB_EINVAL: something is missing or cannot be read (the log says what), or no memory. */
TRIB_MUST_CHECK int trib_mbedtls_init(struct trib_mbedtls *tls, const struct trib_mbedtls_config *config);
/* Closes, and frees all that mbedTLS allocated. Also after a failed init. */
void trib_mbedtls_deinit(struct trib_mbedtls *tls);
struct trib_net trib_mbedtls_net(struct trib_mbedtls *tls);
/* SHA-256 by mbedTLS; needs no struct trib_mbedtls. */
struct trib_digest trib_mbedtls_digest(void);

/* A time that certificates must not have ended before; an earlier one than before changes nothing. */
void trib_mbedtls_raise_time_floor(struct trib_mbedtls *tls, uint64_t utc_ms);

#ifdef __cplusplus
}
#endif
#endif
