#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <openssl/hmac.h>

#include "privacy/hmac.h"
#include "privacy/pseudonym.h"

static void hex(const uint8_t *data, size_t len, char *out)
{
    for (size_t i = 0; i < len; i++)
        snprintf(out + 2 * i, 3, "%02x", data[i]);
}

/* RFC 4231 §4: cases 1 to 7. */
static void test_hmac_gives_the_vectors_of_rfc_4231(void **state)
{
    (void)state;
    static const uint8_t counting[25] = {1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13,
                                         14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25};
    uint8_t aa[131], dd[50], cd[50], ob[20], oc[20];
    memset(aa, 0xaa, sizeof aa);
    memset(dd, 0xdd, sizeof dd);
    memset(cd, 0xcd, sizeof cd);
    memset(ob, 0x0b, sizeof ob);
    memset(oc, 0x0c, sizeof oc);
    const char large[] =
        "This is a test using a larger than block-size key and a larger than block-size data. The "
        "key needs to be hashed before being used by the HMAC algorithm.";
    const struct {
        const uint8_t *key;
        size_t key_len;
        const void *data;
        size_t len;
        const char *mac;
    } cases[] = {
        {ob, 20, "Hi There", 8, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
        {(const uint8_t *)"Jefe", 4, "what do ya want for nothing?", 28,
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
        {aa, 20, dd, 50, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
        {counting, 25, cd, 50, "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
        {oc, 20, "Test With Truncation", 20, "a3b6167473100ee06e0c796c2955552b"},
        {aa, 131, "Test Using Larger Than Block-Size Key - Hash Key First", 54,
         "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
        {aa, 131, large, sizeof large - 1,
         "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct gw_hmac_key key;
        uint8_t mac[GW_HMAC_BYTES];
        char text[2 * GW_HMAC_BYTES + 1];
        gw_hmac_key_init(&key, cases[i].key, cases[i].key_len);
        gw_hmac(&key, cases[i].data, cases[i].len, mac);
        hex(mac, sizeof mac, text);
        assert_memory_equal(text, cases[i].mac, strlen(cases[i].mac));
    }
}

/* Short texts take a way of their own; the length where it ends is a matter of one byte. */
static void test_hmac_of_each_length_is_what_openssl_says(void **state)
{
    (void)state;
    uint8_t secret[32], data[200], mac[GW_HMAC_BYTES], expected[GW_HMAC_BYTES];
    unsigned expected_len;
    struct gw_hmac_key key;
    for (unsigned i = 0; i < sizeof secret; i++)
        secret[i] = (uint8_t)(i * 37);
    for (unsigned i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 101 + 7);
    gw_hmac_key_init(&key, secret, sizeof secret);
    for (size_t len = 0; len <= sizeof data; len++) {
        assert_non_null(HMAC(EVP_sha256(), secret, sizeof secret, data, len, expected, &expected_len));
        gw_hmac(&key, data, len, mac);
        assert_memory_equal(mac, expected, sizeof mac);
    }
}

static void test_the_digits_are_those_of_the_mac(void **state)
{
    (void)state;
    const uint8_t secret[32] = {3};
    struct gw_pseudonym_key *key = NULL;
    struct gw_hmac_key mac_key;
    gw_hmac_key_init(&mac_key, secret, sizeof secret);
    assert_int_equal(gw_pseudonym_key_new(secret, sizeof secret, "k", &key, NULL), 0);
    for (unsigned i = 0; i < 2000; i++) { /* each byte in each place, but for one case in a thousand */
        char user[16], text[GW_PSEUDONYM_TEXT_MAX], digits[2 * GW_HMAC_BYTES + 1];
        uint8_t mac[GW_HMAC_BYTES];
        size_t user_len = (size_t)snprintf(user, sizeof user, "%u", i);
        gw_hmac(&mac_key, user, user_len, mac);
        hex(mac, sizeof mac, digits);
        assert_int_equal(gw_pseudonym_text(key, user, user_len, text), 5 + 32);
        assert_memory_equal(text, "p1.k.", 5);
        assert_memory_equal(text + 5, digits, 32);
    }
    gw_pseudonym_key_free(key);
}

static struct gw_pseudonym_key *new_key(uint8_t first, const char *id)
{
    uint8_t secret[32] = {first};
    struct gw_pseudonym_key *key = NULL;
    assert_int_equal(gw_pseudonym_key_new(secret, sizeof secret, id, &key, NULL), 0);
    return key;
}

static void test_the_text_names_version_key_and_mac(void **state)
{
    (void)state;
    uint8_t secret[32];
    for (unsigned i = 0; i < 32; i++)
        secret[i] = (uint8_t)i;
    struct gw_pseudonym_key *key = NULL;
    assert_int_equal(gw_pseudonym_key_new(secret, sizeof secret, "2026a", &key, NULL), 0);
    char text[GW_PSEUDONYM_TEXT_MAX];
    size_t len = gw_pseudonym_text(key, "ann@example.org", 15, text);
    /* printf ann@example.org | openssl dgst -sha256 -mac hmac -macopt hexkey:000102...1f */
    const char expected[] = "p1.2026a.824fe6c7fa82cc7d2729cb65bf8b6eae";
    assert_int_equal(len, sizeof expected - 1);
    assert_memory_equal(text, expected, len);
    gw_pseudonym_key_free(key);
}

static void test_other_users_and_other_keys_give_other_pseudonyms(void **state)
{
    (void)state;
    struct gw_pseudonym_key *one = new_key(1, "a"), *two = new_key(2, "a");
    char a[GW_PSEUDONYM_TEXT_MAX], b[GW_PSEUDONYM_TEXT_MAX];
    size_t len = gw_pseudonym_text(one, "ann", 3, a);
    assert_int_equal(gw_pseudonym_text(one, "ann", 3, b), len);
    assert_memory_equal(a, b, len);
    gw_pseudonym_text(one, "bob", 3, b);
    assert_memory_not_equal(a, b, len);
    gw_pseudonym_text(two, "ann", 3, b);
    assert_memory_not_equal(a, b, len);
    gw_pseudonym_key_free(one);
    gw_pseudonym_key_free(two);
}

static void test_bad_secrets_and_key_ids_are_refused(void **state)
{
    (void)state;
    uint8_t secret[33] = {0};
    struct gw_pseudonym_key *key = NULL;
    struct gw_error error;
    assert_int_equal(gw_pseudonym_key_new(secret, 31, "a", &key, &error), GW_EINVALID);
    assert_int_equal(gw_pseudonym_key_new(secret, 33, "a", &key, &error), GW_EINVALID);
    const char *bad[] = {"", "A", "a.b", "a b", "abcdefghijklmnopq", "ä"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(gw_pseudonym_key_new(secret, 32, bad[i], &key, &error), GW_EINVALID);
    assert_null(key);
    assert_int_equal(gw_pseudonym_key_new(secret, 32, "abcdefghijklmnop", &key, &error), 0);
    char text[GW_PSEUDONYM_TEXT_MAX];
    assert_int_equal(gw_pseudonym_text(key, "x", 1, text), 3 + 16 + 1 + 32);
    gw_pseudonym_key_free(key);
    gw_pseudonym_key_free(NULL);
}

static void test_measure_one_pseudonym(void **state)
{
    (void)state;
    struct gw_pseudonym_key *key = new_key(1, "a");
    char text[GW_PSEUDONYM_TEXT_MAX], user[36];
    memset(user, 'u', sizeof user);
    const int rounds = 100000;
    struct timespec from, to;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    for (int i = 0; i < rounds; i++) {
        gw_pseudonym_text(key, user, sizeof user, text);
        user[0] = text[10];
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    double ns = (double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec);
    print_message("pseudonym: %.0f ns for a user id of 36 bytes\n", ns / rounds);
    gw_pseudonym_key_free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hmac_gives_the_vectors_of_rfc_4231),
        cmocka_unit_test(test_hmac_of_each_length_is_what_openssl_says),
        cmocka_unit_test(test_the_digits_are_those_of_the_mac),
        cmocka_unit_test(test_the_text_names_version_key_and_mac),
        cmocka_unit_test(test_other_users_and_other_keys_give_other_pseudonyms),
        cmocka_unit_test(test_bad_secrets_and_key_ids_are_refused),
        cmocka_unit_test(test_measure_one_pseudonym),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
