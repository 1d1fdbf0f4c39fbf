/*
 * Certificates that their authorities revoked (`listen.crl`, RFC 5280 §5). Of each list only who is on it is kept, as a
 * sorted row of links (issuer and serial number): every list in the file counts, and what one revokes is revoked. No delta lists
 * and no indirect ones, which would mean something else.
 */
#ifndef GW_INGEST_CRL_H
#define GW_INGEST_CRL_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define GW_CRL_FILE_MAX (64u << 20)

struct gw_crl;

/*
 * Lists in PEM (what else is in the file is passed over), or in DER one after another, each signed by one of `authorities`
 * that may sign lists. GW_EINVALID: the text says which list and why; GW_ENOMEM. One that is out of date is taken: see
 * gw_crl_next_update_s.
 */
GW_MUST_CHECK int gw_crl_parse(const char *data, size_t len, STACK_OF(X509) * authorities,
                               struct gw_crl **out, struct gw_error *error);
/* Reads a file of at most GW_CRL_FILE_MAX bytes. GW_EIO, or as gw_crl_parse, with the file's name. */
GW_MUST_CHECK int gw_crl_load(const char *path, STACK_OF(X509) * authorities, struct gw_crl **out,
                              struct gw_error *error);
void gw_crl_free(struct gw_crl *crl);

/* What a list knows a certificate by: its issuer's name, as the issuer's own certificate has it, and its serial number. */
uint64_t gw_crl_link(const X509 *issuer, const ASN1_INTEGER *serial);
/* crl: NULL has nobody. */
bool gw_crl_has(const struct gw_crl *crl, uint64_t link);
size_t gw_crl_count(const struct gw_crl *crl);
/* When the first of its lists is out of date, in seconds of UTC since 1970; INT64_MAX: never. crl may be NULL. */
int64_t gw_crl_next_update_s(const struct gw_crl *crl);

/* Seconds of UTC since 1970; 0 where it is no time. */
int64_t gw_crl_seconds(const ASN1_TIME *time);

#endif
