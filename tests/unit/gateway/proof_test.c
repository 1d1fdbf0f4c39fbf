/* What let a connection in, and from when on it does not: on a clock of the test's own, with lists made by OpenSSL. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "ingest/proof.h"

#include "jwt_vectors.inc"

#define NOW 1790000000

/* --- an authority and its lists --- */

struct authority {
    EVP_PKEY *key;
    X509 *certificate;
};

static struct authority make_authority(const char *name, const char *usage)
{
    struct authority made = {.key = EVP_EC_gen("P-256"), .certificate = X509_new()};
    assert_non_null(made.key);
    X509_NAME *subject = X509_get_subject_name(made.certificate);
    X509_set_version(made.certificate, X509_VERSION_3);
    assert_int_equal(
        X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0), 1);
    X509_set_issuer_name(made.certificate, subject);
    ASN1_INTEGER_set(X509_get_serialNumber(made.certificate), 1);
    ASN1_TIME_set(X509_getm_notBefore(made.certificate), NOW - 1000);
    ASN1_TIME_set(X509_getm_notAfter(made.certificate), NOW + 1000000);
    X509_set_pubkey(made.certificate, made.key);
    X509_EXTENSION *extension = usage ? X509V3_EXT_conf_nid(NULL, NULL, NID_key_usage, usage) : NULL;
    if (extension)
        X509_add_ext(made.certificate, extension, -1);
    X509_EXTENSION_free(extension);
    assert_true(X509_sign(made.certificate, made.key, EVP_sha256()) > 0);
    return made;
}

static void free_authority(struct authority *authority)
{
    EVP_PKEY_free(authority->key);
    X509_free(authority->certificate);
}

static uint64_t link_of(const struct authority *issuer, long serial)
{
    ASN1_INTEGER *number = ASN1_INTEGER_new();
    ASN1_INTEGER_set(number, serial);
    uint64_t link = gw_crl_link(issuer->certificate, number);
    ASN1_INTEGER_free(number);
    return link;
}

/* serials: 0 ends them. next: seconds from NOW; 0: none. extension: of the list, critical; 0: none. value: NULL is a number. */
static X509_CRL *make_list(const struct authority *issuer, EVP_PKEY *key, const long *serials, long next,
                           int extension, const char *value)
{
    X509_CRL *list = X509_CRL_new();
    X509_CRL_set_version(list, X509_CRL_VERSION_2);
    X509_CRL_set_issuer_name(list, X509_get_subject_name(issuer->certificate));
    ASN1_TIME *when = ASN1_TIME_set(NULL, NOW - 1000);
    X509_CRL_set1_lastUpdate(list, when);
    if (next != 0)
        X509_CRL_set1_nextUpdate(list, ASN1_TIME_set(when, NOW + next));
    ASN1_TIME_set(when, NOW - 1000);
    for (; *serials; serials++) {
        X509_REVOKED *entry = X509_REVOKED_new();
        ASN1_INTEGER *number = ASN1_INTEGER_new();
        ASN1_INTEGER_set(number, *serials);
        X509_REVOKED_set_serialNumber(entry, number);
        X509_REVOKED_set_revocationDate(entry, when);
        assert_int_equal(X509_CRL_add0_revoked(list, entry), 1);
        ASN1_INTEGER_free(number);
    }
    ASN1_TIME_free(when);
    if (extension != 0) {
        ASN1_INTEGER *number = ASN1_INTEGER_new();
        ASN1_INTEGER_set(number, 1);
        X509_EXTENSION *made =
            value ? X509V3_EXT_conf_nid(NULL, NULL, extension, value) : X509V3_EXT_i2d(extension, 1, number);
        ASN1_INTEGER_free(number);
        assert_non_null(made);
        X509_EXTENSION_set_critical(made, 1);
        X509_CRL_add_ext(list, made, -1);
        X509_EXTENSION_free(made);
    }
    assert_true(X509_CRL_sign(list, key, EVP_sha256()) > 0);
    return list;
}

/* --- files of lists --- */

struct file {
    char bytes[16384];
    size_t len;
};

static void put(struct file *file, BIO *from)
{
    int got = BIO_read(from, file->bytes + file->len, (int)(sizeof file->bytes - file->len));
    assert_true(got > 0);
    file->len += (size_t)got;
    BIO_free(from);
}

static void put_list(struct file *file, X509_CRL *list, bool pem)
{
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(pem ? PEM_write_bio_X509_CRL(bio, list) : i2d_X509_CRL_bio(bio, list), 1);
    put(file, bio);
    X509_CRL_free(list);
}

static void put_text(struct file *file, const char *text)
{
    memcpy(file->bytes + file->len, text, strlen(text));
    file->len += strlen(text);
}

static struct authority ours, other, twin, silent;

static struct gw_crl *parse(const struct file *file, struct gw_error *error)
{
    STACK_OF(X509) *authorities = sk_X509_new_null();
    sk_X509_push(authorities, other.certificate);
    sk_X509_push(authorities, ours.certificate);
    sk_X509_push(authorities, silent.certificate);
    struct gw_crl *crl = NULL;
    char *exact = malloc(file->len ? file->len : 1); /* not terminated, so that a sanitizer sees an overrun */
    memcpy(exact, file->bytes, file->len);
    int result = gw_crl_parse(exact, file->len, authorities, &crl, error);
    free(exact);
    sk_X509_free(authorities);
    assert_true((result == GW_OK) == (crl != NULL));
    return crl;
}

static void test_who_is_on_a_list_is_found_in_either_form(void **state)
{
    (void)state;
    static const long some[] = {7, 300, 5, 0}, more[] = {8, 0}, none[] = {0};
    for (int pem = 0; pem < 2; pem++) {
        struct file file = {.len = 0};
        struct gw_error error = {0};
        if (pem)
            put_text(&file, "Certificate Revocation List (CRL):\n    Version 2 (0x1)\n");
        put_list(&file, make_list(&ours, ours.key, some, 500, 0, NULL), pem);
        put_list(&file, make_list(&other, other.key, more, 300, 0, NULL), pem);
        put_list(&file,
                 make_list(&other, other.key, none, 0, NID_issuing_distribution_point, "onlyuser:TRUE"), pem);
        struct gw_crl *crl = parse(&file, &error);
        assert_non_null(crl);
        assert_int_equal(gw_crl_count(crl), 4);
        for (long serial = 1; serial < 400; serial++) {
            assert_int_equal(gw_crl_has(crl, link_of(&ours, serial)),
                             serial == 5 || serial == 7 || serial == 300);
            assert_int_equal(gw_crl_has(crl, link_of(&other, serial)), serial == 8);
        }
        assert_int_equal(gw_crl_next_update_s(crl), NOW + 300); /* the first */
        gw_crl_free(crl);
    }
    assert_false(gw_crl_has(NULL, link_of(&ours, 5)));
    assert_true(gw_crl_next_update_s(NULL) == INT64_MAX);
}

static void test_a_list_without_an_end_is_never_out_of_date(void **state)
{
    (void)state;
    static const long none[] = {0};
    struct file file = {.len = 0};
    struct gw_error error = {0};
    put_list(&file, make_list(&ours, ours.key, none, 0, 0, NULL), true);
    struct gw_crl *crl = parse(&file, &error);
    assert_true(gw_crl_next_update_s(crl) == INT64_MAX);
    assert_int_equal(gw_crl_count(crl), 0);
    assert_false(gw_crl_has(crl, link_of(&ours, 5)));
    gw_crl_free(crl);
}

static void refused(const struct file *file, const char *why)
{
    struct gw_error error = {0};
    struct gw_crl *crl = parse(file, &error);
    if (crl || !strstr(error.text, why))
        print_error("%s: %s\n", why, error.text);
    assert_null(crl);
    assert_non_null(strstr(error.text, why));
}

static void refused_list(X509_CRL *list, const char *why)
{
    struct file file = {.len = 0};
    put_list(&file, list, true);
    refused(&file, why);
}

static void test_what_cannot_be_trusted_refuses_the_whole_file(void **state)
{
    (void)state;
    static const long some[] = {7, 0};
    struct file file = {.len = 0};
    refused(&file, "holds no revocation list");
    put_text(&file, "not a list");
    refused(&file, "list 1 is no revocation list");
    file.len = 0;
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(bio, ours.certificate);
    put(&file, bio);
    refused(&file, "holds no revocation list");
    for (int pem = 0; pem < 2; pem++) {
        file.len = 0;
        put_list(&file, make_list(&ours, ours.key, some, 500, 0, NULL), pem);
        put_list(&file, make_list(&ours, ours.key, some, 500, 0, NULL), pem);
        file.len -= pem ? 40 : 1;
        refused(&file, "list 2 is no revocation list");
    }
    put_list(&file, make_list(&ours, ours.key, some, 500, 0, NULL), true);
    refused_list(make_list(&twin, twin.key, some, 500, 0, NULL), "its signature is not its issuer's");
    refused_list(make_list(&silent, silent.key, some, 500, 0, NULL), "may not sign revocation lists");
    refused_list(make_list(&ours, ours.key, some, 500, NID_delta_crl, NULL), "delta and indirect");
    refused_list(make_list(&ours, ours.key, some, 500, NID_issuing_distribution_point, "indirectCRL:TRUE"),
                 "delta and indirect");
    struct authority stranger = make_authority("stranger", NULL);
    refused_list(make_list(&stranger, stranger.key, some, 500, 0, NULL), "not in auth.client_ca");
    free_authority(&stranger);
    file.len = 0;
    put_text(&file, "-----BEGIN X509 CRL-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,"
                    "00112233445566778899AABBCCDDEEFF\n\nMTIzNDU2Nzg5MDEyMzQ1Ng==\n-----END X509 CRL-----\n");
    refused(&file, "list 1 is no revocation list"); /* and nobody is asked for a password */
    struct gw_error error = {0};
    struct gw_crl *crl = NULL;
    assert_int_equal(gw_crl_load("/nonexistent/devices.crl", NULL, &crl, &error), GW_EIO);
    assert_non_null(strstr(error.text, "listen.crl: cannot open /nonexistent/devices.crl"));
}

/* --- proofs --- */

static void expect(const struct gw_proof *proof, const struct gw_credentials *credentials, int64_t now_s,
                   enum trib_bye reason, const char *why)
{
    const char *text = "";
    assert_int_equal(gw_proof_refusal(proof, credentials, "dev-1", now_s, &text), reason);
    assert_string_equal(text, why);
}

static void test_a_certificate_counts_until_its_end_and_not_after(void **state)
{
    (void)state;
    uint64_t anchors[] = {11, 12};
    struct gw_credentials credentials = {.anchors = anchors, .anchor_count = 2};
    struct gw_proof proof = {.anchor = 12, .valid_until_s = NOW};
    expect(&proof, &credentials, 0, 0, "");
    expect(&proof, &credentials, NOW - 1, 0, "");
    expect(&proof, &credentials, NOW, TRIB_BYE_TIMEOUT, "its certificate has expired");
    expect(&proof, &credentials, NOW + 1000000, TRIB_BYE_TIMEOUT, "its certificate has expired");
    credentials.anchor_count = 1;
    expect(&proof, &credentials, NOW - 1, TRIB_BYE_AUTH, "the authority of its certificate was withdrawn");
    expect(&proof, &credentials, NOW, TRIB_BYE_AUTH, "the authority of its certificate was withdrawn");
}

static void test_a_token_counts_until_its_end_and_not_after(void **state)
{
    (void)state;
    const char *token = VECTORS[0].token, *reason;
    struct gw_credentials credentials = {.keys = NULL};
    struct gw_jwt said;
    struct gw_jwks *keys = NULL;
    assert_int_equal(gw_jwks_parse(VECTOR_JWKS, strlen(VECTOR_JWKS), &keys, NULL), GW_OK);
    assert_int_equal(gw_jwt_verify(keys, token, strlen(token), VECTOR_AUDIENCE, VECTOR_NOW, &said, &reason),
                     0);
    struct gw_proof proof = {.by_token = true, .anchor = said.key, .valid_until_s = (int64_t)said.expires_s};
    expect(&proof, &credentials, VECTOR_NOW, TRIB_BYE_AUTH, "the key of its token was withdrawn");
    credentials.keys = keys;
    expect(&proof, &credentials, VECTOR_NOW, 0, "");
    expect(&proof, &credentials, proof.valid_until_s - 1, 0, "");
    expect(&proof, &credentials, proof.valid_until_s, TRIB_BYE_TIMEOUT, "its token has expired");
    gw_jwks_free(keys);
}

static void test_a_revoked_certificate_anywhere_in_the_chain_counts_for_nothing(void **state)
{
    (void)state;
    static const long some[] = {7, 0};
    struct file file = {.len = 0};
    struct gw_error error = {0};
    put_list(&file, make_list(&ours, ours.key, some, -5, 0, NULL), true); /* out of date: it still counts */
    uint64_t anchors[] = {11};
    struct gw_credentials credentials = {.anchors = anchors, .anchor_count = 1, .crl = parse(&file, &error)};
    struct gw_proof proof = {.anchor = 11, .valid_until_s = NOW + 1, .link_count = 3};
    for (long serial = 0; serial < 3; serial++)
        proof.links[serial] = link_of(&ours, serial + 1);
    proof.links[3] = link_of(&ours, 7); /* beyond its count */
    expect(&proof, &credentials, NOW, 0, "");
    for (int i = 0; i < 3; i++) {
        struct gw_proof with = proof;
        with.links[i] = link_of(&ours, 7);
        expect(&with, &credentials, NOW, TRIB_BYE_AUTH, "its certificate was revoked");
        expect(&with, &credentials, NOW + 9, TRIB_BYE_AUTH, "its certificate was revoked");
    }
    gw_crl_free(credentials.crl);
}

static void test_the_deny_list_comes_first(void **state)
{
    (void)state;
    struct gw_credentials credentials = {.anchors = NULL};
    struct gw_proof proof = {.anchor = 12, .valid_until_s = 0};
    assert_int_equal(gw_deny_parse("dev-1\n", 6, &credentials.deny, NULL), GW_OK);
    expect(&proof, &credentials, NOW, TRIB_BYE_BLOCKED, "this device is on the deny list");
    gw_deny_free(credentials.deny);
}

static int make_all(void **state)
{
    (void)state;
    ours = make_authority("devices", "keyCertSign,cRLSign");
    twin = make_authority("devices", NULL); /* the name alone is nothing */
    other = make_authority("other devices", NULL);
    silent = make_authority("silent", "keyCertSign");
    return 0;
}

static int free_all(void **state)
{
    (void)state;
    free_authority(&ours);
    free_authority(&twin);
    free_authority(&other);
    free_authority(&silent);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_is_on_a_list_is_found_in_either_form),
        cmocka_unit_test(test_a_list_without_an_end_is_never_out_of_date),
        cmocka_unit_test(test_what_cannot_be_trusted_refuses_the_whole_file),
        cmocka_unit_test(test_a_certificate_counts_until_its_end_and_not_after),
        cmocka_unit_test(test_a_token_counts_until_its_end_and_not_after),
        cmocka_unit_test(test_a_revoked_certificate_anywhere_in_the_chain_counts_for_nothing),
        cmocka_unit_test(test_the_deny_list_comes_first),
    };
    return cmocka_run_group_tests(tests, make_all, free_all);
}
