#include "ingest/crl.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ingest/file.h"

struct gw_crl {
    int64_t next_update_s;
    size_t count, capacity;
    uint64_t *links; /* sorted */
};

int64_t gw_crl_seconds(const ASN1_TIME *time)
{
    struct tm parts;
    return ASN1_TIME_to_tm(time, &parts) == 1 ? (int64_t)timegm(&parts) : 0;
}

uint64_t gw_crl_link(const X509 *issuer, const ASN1_INTEGER *serial)
{
    unsigned char *name = NULL, *number = NULL, digest[EVP_MAX_MD_SIZE] = {0};
    int name_len = i2d_X509_NAME(X509_get_subject_name(issuer), &name);
    int number_len = i2d_ASN1_INTEGER(serial, &number);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    uint64_t link = 0;
    if (name_len > 0 && number_len > 0 && context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1 &&
        EVP_DigestUpdate(context, name, (size_t)name_len) == 1 &&
        EVP_DigestUpdate(context, number, (size_t)number_len) == 1 &&
        EVP_DigestFinal_ex(context, digest, NULL) == 1)
        memcpy(&link, digest, sizeof link);
    EVP_MD_CTX_free(context);
    OPENSSL_free(name);
    OPENSSL_free(number);
    return link;
}

static int no_memory(struct gw_error *error)
{
    ERR_clear_error();
    return gw_error_set(error, GW_ENOMEM, 0, "out of memory");
}

/* --- one list --- */

/* What is critical must be understood (RFC 5280 §5.2): a list of a part of what its issuer gave out is, others' are not. */
static bool understood(const X509_CRL *list)
{
    for (int i = 0; i < X509_CRL_get_ext_count(list); i++) {
        X509_EXTENSION *extension = X509_CRL_get_ext(list, i);
        int kind = OBJ_obj2nid(X509_EXTENSION_get_object(extension));
        if (kind == NID_delta_crl)
            return false;
        if (!X509_EXTENSION_get_critical(extension))
            continue;
        ISSUING_DIST_POINT *point = kind == NID_issuing_distribution_point ? X509V3_EXT_d2i(extension) : NULL;
        bool own = point && point->indirectCRL <= 0;
        ISSUING_DIST_POINT_free(point);
        if (!own)
            return false;
    }
    return true;
}

/* The authority that signed it; NULL with the reason. */
static const X509 *signer_of(X509_CRL *list, STACK_OF(X509) * authorities, const char **out_reason)
{
    *out_reason = "its issuer is not in auth.client_ca";
    for (int i = 0; i < sk_X509_num(authorities); i++) {
        X509 *authority = sk_X509_value(authorities, i);
        if (X509_NAME_cmp(X509_get_subject_name(authority), X509_CRL_get_issuer(list)) != 0)
            continue;
        if (X509_CRL_verify(list, X509_get0_pubkey(authority)) != 1) {
            *out_reason = "its signature is not its issuer's";
            continue;
        }
        if (X509_get_key_usage(authority) & KU_CRL_SIGN) /* all bits are set where nothing is said */
            return authority;
        *out_reason = "its issuer may not sign revocation lists";
    }
    return NULL;
}

static int take_links(struct gw_crl *crl, const X509 *signer, X509_CRL *list, struct gw_error *error)
{
    STACK_OF(X509_REVOKED) *revoked = X509_CRL_get_REVOKED(list);
    int count = revoked ? sk_X509_REVOKED_num(revoked) : 0;
    if (crl->count + (size_t)count > crl->capacity) {
        size_t capacity = crl->count + (size_t)count;
        uint64_t *grown = realloc(crl->links, capacity * sizeof *grown);
        if (!grown)
            return no_memory(error);
        crl->links = grown;
        crl->capacity = capacity;
    }
    for (int i = 0; i < count; i++) {
        const X509_REVOKED *entry = sk_X509_REVOKED_value(revoked, i);
        uint64_t link = gw_crl_link(signer, X509_REVOKED_get0_serialNumber(entry));
        if (link == 0)
            return no_memory(error);
        crl->links[crl->count++] = link;
    }
    return GW_OK;
}

static int take_list(struct gw_crl *crl, X509_CRL *list, size_t number, STACK_OF(X509) * authorities,
                     struct gw_error *error)
{
    const char *reason;
    const X509 *signer = signer_of(list, authorities, &reason);
    ERR_clear_error();
    if (signer && !understood(list)) {
        reason = "delta and indirect lists cannot be used";
        signer = NULL;
    }
    if (!signer)
        return gw_error_set(error, GW_EINVALID, 0, "list %zu: %s", number, reason);
    const ASN1_TIME *next = X509_CRL_get0_nextUpdate(list);
    if (next && gw_crl_seconds(next) < crl->next_update_s)
        crl->next_update_s = gw_crl_seconds(next);
    return take_links(crl, signer, list, error);
}

/* --- a file --- */

/* Else OpenSSL would ask at the terminal for the password of an encrypted file. */
static int no_password(char *buffer, int size, int writing, void *context)
{
    (void)buffer;
    (void)size;
    (void)writing;
    (void)context;
    return -1;
}

struct source {
    BIO *pem; /* NULL: DER */
    const unsigned char *at, *end;
};

/* GW_ENOTFOUND: that was the last. */
static int next_list(struct source *source, X509_CRL **out)
{
    if (!source->pem && source->at == source->end)
        return GW_ENOTFOUND;
    *out = source->pem ? PEM_read_bio_X509_CRL(source->pem, NULL, no_password, NULL)
                       : d2i_X509_CRL(NULL, &source->at, source->end - source->at);
    unsigned long code = ERR_peek_last_error();
    ERR_clear_error();
    if (*out)
        return GW_OK;
    return source->pem && ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE
               ? GW_ENOTFOUND
               : GW_EINVALID;
}

static int take_all(struct gw_crl *crl, struct source *source, STACK_OF(X509) * authorities,
                    struct gw_error *error)
{
    X509_CRL *list;
    size_t number = 0;
    int result, found;
    do {
        list = NULL;
        result = found = next_list(source, &list);
        number++;
        if (found == GW_OK)
            result = take_list(crl, list, number, authorities, error);
        else if (found == GW_EINVALID)
            gw_error_set(error, GW_EINVALID, 0, "list %zu is no revocation list, or damaged", number);
        X509_CRL_free(list);
    } while (result == GW_OK);
    if (found != GW_ENOTFOUND)
        return result;
    return number > 1 ? GW_OK : gw_error_set(error, GW_EINVALID, 0, "it holds no revocation list");
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

int gw_crl_parse(const char *data, size_t len, STACK_OF(X509) * authorities, struct gw_crl **out,
                 struct gw_error *error)
{
    if (len > GW_CRL_FILE_MAX)
        return gw_error_set(error, GW_EINVALID, 0, "it is larger than 64 MiB");
    struct gw_crl *crl = calloc(1, sizeof *crl);
    struct source source = {.at = (const unsigned char *)data, .end = (const unsigned char *)data + len};
    bool pem = memmem(data, len, "-----BEGIN", 10) != NULL;
    if (pem)
        source.pem = BIO_new_mem_buf(data, (int)len);
    int result = !crl || (pem && !source.pem) ? no_memory(error) : GW_OK;
    if (result == GW_OK) {
        crl->next_update_s = INT64_MAX;
        result = take_all(crl, &source, authorities, error);
    }
    BIO_free(source.pem);
    if (result != GW_OK) {
        gw_crl_free(crl);
        return result;
    }
    if (crl->count > 0)
        qsort(crl->links, crl->count, sizeof *crl->links, by_value);
    *out = crl;
    return GW_OK;
}

int gw_crl_load(const char *path, STACK_OF(X509) * authorities, struct gw_crl **out, struct gw_error *error)
{
    char *data = NULL;
    size_t len = 0;
    int result = gw_file_read("listen.crl", path, GW_CRL_FILE_MAX, &data, &len, error);
    if (result != GW_OK)
        return result;
    struct gw_error inner = {0};
    result = gw_crl_parse(data, len, authorities, out, &inner);
    free(data);
    return result == GW_OK ? GW_OK : gw_error_set(error, result, 0, "listen.crl: %s: %s", path, inner.text);
}

void gw_crl_free(struct gw_crl *crl)
{
    if (!crl)
        return;
    free(crl->links);
    free(crl);
}

bool gw_crl_has(const struct gw_crl *crl, uint64_t link)
{
    return crl && crl->count > 0 && bsearch(&link, crl->links, crl->count, sizeof *crl->links, by_value);
}

size_t gw_crl_count(const struct gw_crl *crl)
{
    return crl ? crl->count : 0;
}

int64_t gw_crl_next_update_s(const struct gw_crl *crl)
{
    return crl ? crl->next_update_s : INT64_MAX;
}
