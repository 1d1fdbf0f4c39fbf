/* Bearer tokens against vectors of an independent implementation (make_jwt_vectors.py), and key sets good and bad. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ingest/base64url.h"
#include "ingest/jwt.h"

#include "jwt_vectors.inc"

static struct gw_jwks *load(void)
{
    struct gw_jwks *keys = NULL;
    struct gw_error error = {0};
    int result = gw_jwks_parse(VECTOR_JWKS, strlen(VECTOR_JWKS), &keys, &error);
    if (result != 0)
        print_error("%s\n", error.text);
    assert_int_equal(result, 0);
    return keys;
}

static void test_good_tokens_are_taken_and_bad_ones_refused_with_their_reason(void **state)
{
    (void)state;
    struct gw_jwks *keys = load();
    assert_int_equal(gw_jwks_count(keys), 2); /* the RSA key and the one for encryption are left out */
    for (size_t i = 0; i < sizeof VECTORS / sizeof VECTORS[0]; i++) {
        const struct vector *v = &VECTORS[i];
        struct gw_jwt token = {.device = "untouched"};
        const char *reason = "";
        size_t len = strlen(v->token);
        char *exact = malloc(len ? len : 1); /* not terminated, so that a sanitizer sees an overrun */
        memcpy(exact, v->token, len);
        int result = gw_jwt_verify(keys, exact, len, VECTOR_AUDIENCE, VECTOR_NOW, &token, &reason);
        free(exact);
        bool as_expected = v->reason ? result == GW_EAUTH && strstr(reason, v->reason) : result == 0;
        if (!as_expected)
            print_error("%s: %d, %s\n", v->what, result, reason);
        assert_true(as_expected);
        assert_string_equal(token.device, v->reason ? "untouched" : "dev-1");
        assert_int_equal(gw_jwks_has(keys, token.key), !v->reason);
    }
    gw_jwks_free(keys);
}

static void test_a_changed_character_anywhere_breaks_a_token(void **state)
{
    (void)state;
    struct gw_jwks *keys = load();
    for (size_t v = 0; v < 2; v++) {
        char token[2048];
        size_t len = strlen(VECTORS[v].token);
        memcpy(token, VECTORS[v].token, len + 1);
        for (size_t i = 0; i < len; i++) {
            struct gw_jwt out;
            const char *reason;
            char kept = token[i];
            token[i] = kept == 'A' ? 'B' : 'A';
            assert_int_equal(gw_jwt_verify(keys, token, len, VECTOR_AUDIENCE, VECTOR_NOW, &out, &reason),
                             GW_EAUTH);
            token[i] = kept;
        }
    }
    gw_jwks_free(keys);
}

static void test_the_end_of_a_token_is_the_first_second_in_which_it_is_refused(void **state)
{
    (void)state;
    struct gw_jwks *keys = load();
    const char *token = VECTORS[0].token, *reason;
    struct gw_jwt out, late;
    assert_int_equal(gw_jwt_verify(keys, token, strlen(token), VECTOR_AUDIENCE, VECTOR_NOW, &out, &reason),
                     0);
    assert_true(out.expires_s > VECTOR_NOW);
    assert_int_equal(
        gw_jwt_verify(keys, token, strlen(token), VECTOR_AUDIENCE, out.expires_s - 1, &late, &reason), 0);
    assert_int_equal(
        gw_jwt_verify(keys, token, strlen(token), VECTOR_AUDIENCE, out.expires_s, &late, &reason), GW_EAUTH);
    assert_string_equal(reason, "the token has expired");
    gw_jwks_free(keys);
}

static void test_bad_key_sets_are_refused(void **state)
{
    (void)state;
    static const char *const BAD[] = {
        "",
        "not json",
        "{}",
        "{\"keys\":[]}",
        "{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"r\"}]}",
        "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AAAA\",\"kid\":\"k\"}]}",
        "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":"
        "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}]}",
        /* not on the curve */
        "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"k\",\"x\":"
        "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\","
        "\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\"}]}",
        /* a private key has no place here */
        "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"k\",\"d\":\"AA\","
        "\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}]}",
        /* one kid twice */
        "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"k\",\"x\":"
        "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"},"
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"k\",\"x\":"
        "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}]}",
    };
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        struct gw_jwks *keys = NULL;
        struct gw_error error = {0};
        assert_int_equal(gw_jwks_parse(BAD[i], strlen(BAD[i]), &keys, &error), GW_EINVALID);
        assert_null(keys);
        assert_true(error.text[0] != 0);
    }
}

static void test_base64url_is_strict(void **state)
{
    (void)state;
    uint8_t out[8];
    size_t len;
    assert_int_equal(gw_base64url_decode("-_8", 3, out, sizeof out, &len), 0);
    assert_int_equal(len, 2);
    assert_memory_equal(out, "\xfb\xff", 2);
    assert_int_equal(gw_base64url_decode("", 0, out, sizeof out, &len), 0);
    assert_int_equal(len, 0);
    assert_int_equal(gw_base64url_decode("A", 1, out, sizeof out, &len), GW_EINVALID);
    assert_int_equal(gw_base64url_decode("AB", 2, out, sizeof out, &len), GW_EINVALID); /* unused bits */
    assert_int_equal(gw_base64url_decode("AA==", 4, out, sizeof out, &len), GW_EINVALID);
    assert_int_equal(gw_base64url_decode("A+AA", 4, out, sizeof out, &len), GW_EINVALID);
    assert_int_equal(gw_base64url_decode("AAAAAAAAAAAA", 12, out, sizeof out, &len), GW_EFULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_tokens_are_taken_and_bad_ones_refused_with_their_reason),
        cmocka_unit_test(test_a_changed_character_anywhere_breaks_a_token),
        cmocka_unit_test(test_the_end_of_a_token_is_the_first_second_in_which_it_is_refused),
        cmocka_unit_test(test_bad_key_sets_are_refused),
        cmocka_unit_test(test_base64url_is_strict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
