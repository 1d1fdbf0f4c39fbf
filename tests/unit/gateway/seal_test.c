#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "privacy/seal.h"

static struct gw_seal_key *new_key(const uint8_t secret[32], const char *id)
{
    struct gw_seal_key *key = NULL;
    assert_int_equal(gw_seal_key_new(secret, 32, id, &key, NULL), 0);
    return key;
}

static void test_what_was_sealed_opens_again(void **state)
{
    (void)state;
    const uint8_t secret[32] = {1};
    struct gw_seal_key *key = new_key(secret, "s1");
    for (size_t len = 0; len < 200; len += 13) {
        uint8_t data[200], sealed[200 + GW_SEAL_OVERHEAD_MAX], opened[200];
        size_t sealed_len, opened_len;
        memset(data, (int)len, sizeof data);
        assert_int_equal(gw_seal(key, "label", 5, data, len, sealed, &sealed_len), 0);
        assert_int_equal(sealed_len, 2 + 2 + 12 + len + 16);
        assert_int_equal(sealed[0], 1);
        assert_memory_equal(sealed + 1, "\x02s1", 3);
        assert_int_equal(gw_unseal(key, "label", 5, sealed, sealed_len, opened, &opened_len), 0);
        assert_int_equal(opened_len, len);
        assert_memory_equal(opened, data, len);
    }
    gw_seal_key_free(key);
}

/*
 * A known answer, made with another implementation (Python's cryptography, AESGCM): key 00 01 .. 1f,
 * nonce a0 a1 .. ab, associated data 01 02 "s1" "label", plaintext "rejected event".
 */
static void test_a_sealed_item_of_another_implementation_opens(void **state)
{
    (void)state;
    uint8_t secret[32], opened[64];
    for (unsigned i = 0; i < 32; i++)
        secret[i] = (uint8_t)i;
    const uint8_t sealed[] = {0x01, 0x02, 0x73, 0x31, 0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7,
                              0xa8, 0xa9, 0xaa, 0xab, 0x94, 0x7d, 0x16, 0x48, 0x26, 0xbf, 0x67, 0xdb,
                              0x42, 0x00, 0xf1, 0xb6, 0x69, 0x0e, 0x03, 0xdb, 0xce, 0xc1, 0x12, 0xcd,
                              0x9a, 0x11, 0x24, 0x28, 0x87, 0x5f, 0xfd, 0x2b, 0x76, 0x19};
    struct gw_seal_key *key = new_key(secret, "s1");
    size_t len;
    assert_int_equal(gw_unseal(key, "label", 5, sealed, sizeof sealed, opened, &len), 0);
    assert_int_equal(len, 14);
    assert_memory_equal(opened, "rejected event", 14);
    gw_seal_key_free(key);
}

static void test_any_change_is_noticed(void **state)
{
    (void)state;
    const uint8_t secret[32] = {1}, other_secret[32] = {2};
    struct gw_seal_key *key = new_key(secret, "s1"), *other = new_key(other_secret, "s1"),
                       *renamed = new_key(secret, "s2");
    uint8_t sealed[64 + GW_SEAL_OVERHEAD_MAX], opened[64 + GW_SEAL_OVERHEAD_MAX];
    size_t sealed_len, len;
    assert_int_equal(gw_seal(key, "label", 5, (const uint8_t *)"secret text", 11, sealed, &sealed_len), 0);
    for (size_t i = 0; i < sealed_len * 8; i++) {
        sealed[i / 8] ^= (uint8_t)(1u << i % 8);
        memset(opened, 0, sizeof opened);
        assert_int_equal(gw_unseal(key, "label", 5, sealed, sealed_len, opened, &len), GW_ECRYPTO);
        assert_null(memmem(opened, sizeof opened, "secret", 6)); /* and nothing unproven is handed out */
        sealed[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    for (size_t short_len = 0; short_len < sealed_len; short_len++) {
        uint8_t *exact = malloc(short_len + 1);
        memcpy(exact, sealed, short_len);
        assert_int_equal(gw_unseal(key, "label", 5, exact, short_len, opened, &len), GW_ECRYPTO);
        free(exact);
    }
    assert_int_equal(gw_unseal(key, "lapel", 5, sealed, sealed_len, opened, &len), GW_ECRYPTO);
    assert_int_equal(gw_unseal(key, "label", 4, sealed, sealed_len, opened, &len), GW_ECRYPTO);
    assert_int_equal(gw_unseal(other, "label", 5, sealed, sealed_len, opened, &len), GW_ECRYPTO);
    assert_int_equal(gw_unseal(renamed, "label", 5, sealed, sealed_len, opened, &len), GW_ECRYPTO);
    assert_int_equal(gw_unseal(key, "label", 5, sealed, sealed_len, opened, &len), 0);
    gw_seal_key_free(key);
    gw_seal_key_free(other);
    gw_seal_key_free(renamed);
}

static void test_each_seal_has_its_own_nonce(void **state)
{
    (void)state;
    const uint8_t secret[32] = {1};
    struct gw_seal_key *key = new_key(secret, "s1");
    uint8_t a[64], b[64];
    size_t a_len, b_len;
    assert_int_equal(gw_seal(key, NULL, 0, (const uint8_t *)"x", 1, a, &a_len), 0);
    assert_int_equal(gw_seal(key, NULL, 0, (const uint8_t *)"x", 1, b, &b_len), 0);
    assert_memory_not_equal(a + 4, b + 4, 12);
    gw_seal_key_free(key);
}

static void test_bad_secrets_and_key_ids_are_refused(void **state)
{
    (void)state;
    const uint8_t secret[33] = {0};
    struct gw_seal_key *key = NULL;
    struct gw_error error;
    assert_int_equal(gw_seal_key_new(secret, 16, "a", &key, &error), GW_EINVALID);
    assert_int_equal(gw_seal_key_new(secret, 32, "", &key, &error), GW_EINVALID);
    assert_int_equal(gw_seal_key_new(secret, 32, "abcdefghijklmnopq", &key, &error), GW_EINVALID);
    assert_null(key);
    gw_seal_key_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_sealed_opens_again),
        cmocka_unit_test(test_a_sealed_item_of_another_implementation_opens),
        cmocka_unit_test(test_any_change_is_noticed),
        cmocka_unit_test(test_each_seal_has_its_own_nonce),
        cmocka_unit_test(test_bad_secrets_and_key_ids_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
