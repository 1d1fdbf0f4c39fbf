/* TLS and identities of simulated devices. */
#ifndef LOAD_CREDENTIALS_H
#define LOAD_CREDENTIALS_H

#include <openssl/ssl.h>
#include <stddef.h>

#include "options.h"

#define LOAD_TOKEN_BYTES_MAX 4096

struct load_credentials {
    const struct load_options *options;
    SSL_CTX *context;
    EVP_PKEY *device_key; /* one for all issued certificates */
    X509 *issuer;
    EVP_PKEY *issuer_key;
    EVP_PKEY *token_key;
    char token[LOAD_TOKEN_BYTES_MAX]; /* the given one */
};

/* 0, or -1 with a message on stderr. */
int load_credentials_open(struct load_credentials *c, const struct load_options *options);
void load_credentials_close(struct load_credentials *c);
/* The device that the credentials hold (one device's certificate or token); 0 if there was one. */
int load_credentials_device(const struct load_credentials *c, char *out, size_t cap);
/* A connection's TLS with the device's certificate, if it has one, and the gateway's name to be checked. NULL: no. */
SSL *load_credentials_tls(const struct load_credentials *c, const char *device);
/* The device's token into buf. NULL: it has none, or it could not be signed. */
const char *load_credentials_token(const struct load_credentials *c, const char *device, char *buf,
                                   size_t cap);

#endif
