/* What mbedTLS does not judge as we need it: dates without a clock, and numeric names. */
#ifndef TRIB_MBEDTLS_VERIFY_H
#define TRIB_MBEDTLS_VERIFY_H

#include "net_tls.h"

/* mbedtls_x509_crt_verify's callback; context is the struct trib_mbedtls. */
int trib_mbedtls_verify(void *context, mbedtls_x509_crt *crt, int depth, uint32_t *flags);

/* Reads an IPv4 or IPv6 address (RFC 4291 §2.2). Returns its bytes, 4 or 16, or 0 when text is not one. */
uint8_t trib_mbedtls_read_address(const char *text, uint8_t out_address[16]);

/* ms since 1970 of a certificate's date, which is in UTC. */
uint64_t trib_mbedtls_time_ms(const mbedtls_x509_time *time);

#endif
