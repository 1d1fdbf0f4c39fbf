#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "privacy/pseudonym_cache.h"

static struct gw_pseudonym_key *key_of(uint8_t byte)
{
    uint8_t secret[32];
    struct gw_pseudonym_key *key;
    struct gw_error error;
    memset(secret, byte, sizeof secret);
    assert_int_equal(gw_pseudonym_key_new(secret, sizeof secret, "k1", &key, &error), GW_OK);
    return key;
}

static struct gw_pseudonym_cache *cache_of(size_t entries)
{
    struct gw_pseudonym_cache *cache;
    assert_int_equal(gw_pseudonym_cache_new(entries, &cache), GW_OK);
    return cache;
}

/* Through the cache it is the text that is computed without one. */
static void check_same(struct gw_pseudonym_cache *cache, const struct gw_pseudonym_key *key, const char *user)
{
    char with[GW_PSEUDONYM_TEXT_MAX], without[GW_PSEUDONYM_TEXT_MAX];
    size_t len = gw_pseudonym_cached(cache, key, user, strlen(user), with);
    assert_int_equal(len, gw_pseudonym_text(key, user, strlen(user), without));
    assert_memory_equal(with, without, len);
}

static bool holds(const void *memory, const void *what, size_t len)
{
    return memmem(memory, malloc_usable_size((void *)(uintptr_t)memory), what, len) != NULL;
}

/* From the reference implementation's vectors_sip128, which `openssl mac -macopt size:16 SIPHASH` gives as well. */
static void test_siphash_gives_the_published_vectors(void **state)
{
    (void)state;
    static const struct {
        size_t len;
        uint8_t hash[16];
    } vectors[] = {
        {0, {0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02, 0x93}},
        {1, {0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9b, 0x22, 0xfc, 0x45}},
        {7, {0xa1, 0xf1, 0xeb, 0xbe, 0xd8, 0xdb, 0xc1, 0x53, 0xc0, 0xb8, 0x4a, 0xa6, 0x1f, 0xf0, 0x82, 0x39}},
        {8, {0x3b, 0x62, 0xa9, 0xba, 0x62, 0x58, 0xf5, 0x61, 0x0f, 0x83, 0xe2, 0x64, 0xf3, 0x14, 0x97, 0xb4}},
        {15,
         {0x54, 0x93, 0xe9, 0x99, 0x33, 0xb0, 0xa8, 0x11, 0x7e, 0x08, 0xec, 0x0f, 0x97, 0xcf, 0xc3, 0xd9}},
        {63,
         {0x51, 0x50, 0xd1, 0x77, 0x2f, 0x50, 0x83, 0x4a, 0x50, 0x3e, 0x06, 0x9a, 0x97, 0x3f, 0xbd, 0x7c}},
    };
    uint8_t key[GW_SIPHASH_KEY_BYTES], data[64];
    for (unsigned i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)i;
    memcpy(key, data, sizeof key);
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        uint64_t hash[2];
        gw_siphash128(key, data, vectors[i].len, hash);
        assert_memory_equal(hash, vectors[i].hash, sizeof hash);
    }
}

static void test_a_remembered_pseudonym_is_the_computed_one(void **state)
{
    (void)state;
    struct gw_pseudonym_key *key = key_of(1);
    struct gw_pseudonym_cache *cache = cache_of(64);
    char user[400];
    for (int again = 0; again < 3; again++)
        for (int i = 0; i < 300;
             i++) { /* lengths 0 to 299: every remainder, and more values than there is room */
            memset(user, 'a' + i % 26, sizeof user);
            user[i] = 0;
            check_same(cache, key, user);
            check_same(cache, key, user);
        }
    assert_true(gw_pseudonym_cache_hits(cache) >= 900);
    check_same(NULL, key, "without a cache");
    gw_pseudonym_cache_free(cache);
    gw_pseudonym_cache_free(NULL);
    gw_pseudonym_key_free(key);
}

static void test_repeating_users_are_found_and_a_flood_of_others_is_bounded(void **state)
{
    (void)state;
    struct gw_pseudonym_key *key = key_of(1);
    struct gw_pseudonym_cache *cache = cache_of(1024);
    size_t bytes = malloc_usable_size(cache);
    char user[32];
    for (int i = 0; i < 32; i++) {
        snprintf(user, sizeof user, "user-%d", i);
        check_same(cache, key, user);
    }
    uint64_t before = gw_pseudonym_cache_hits(cache);
    for (int i = 0; i < 32; i++) {
        snprintf(user, sizeof user, "user-%d", i);
        check_same(cache, key, user);
    }
    assert_true(gw_pseudonym_cache_hits(cache) - before >=
                30); /* more than four of one set are rare, not impossible */
    for (int i = 0; i < 20000; i++) {
        snprintf(user, sizeof user, "flood-%d", i);
        check_same(cache, key, user);
    }
    assert_int_equal(malloc_usable_size(cache), bytes);
    gw_pseudonym_cache_free(cache);
    gw_pseudonym_key_free(key);
}

static void test_another_key_empties_the_table(void **state)
{
    (void)state;
    struct gw_pseudonym_key *old = key_of(1), *new = key_of(2);
    struct gw_pseudonym_cache *cache = cache_of(64);
    char text[GW_PSEUDONYM_TEXT_MAX];
    size_t len = gw_pseudonym_cached(cache, old, "viewer-17", 9, text);
    const char *digits = text + len - GW_PSEUDONYM_DIGITS;
    assert_true(holds(cache, digits, GW_PSEUDONYM_DIGITS));
    check_same(cache, new, "somebody else");
    assert_false(holds(cache, digits, GW_PSEUDONYM_DIGITS)); /* wiped, not only forgotten */
    check_same(cache, new, "viewer-17");
    check_same(cache, old, "viewer-17");
    gw_pseudonym_key_free(old);
    old = key_of(3); /* may well lie where the old one did */
    check_same(cache, old, "viewer-17");
    gw_pseudonym_cache_free(cache);
    gw_pseudonym_key_free(old);
    gw_pseudonym_key_free(new);
}

static void test_no_user_id_is_kept(void **state)
{
    (void)state;
    struct gw_pseudonym_key *key = key_of(1);
    struct gw_pseudonym_cache *cache = cache_of(1024);
    char user[32];
    for (int i = 0; i < 500; i++) {
        snprintf(user, sizeof user, "viewer%04d", i);
        check_same(cache, key, user);
    }
    for (int i = 0; i < 500; i++) {
        snprintf(user, sizeof user, "viewer%04d", i);
        assert_false(holds(cache, user, 8));
    }
    gw_pseudonym_cache_free(cache);
    gw_pseudonym_key_free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_siphash_gives_the_published_vectors),
        cmocka_unit_test(test_a_remembered_pseudonym_is_the_computed_one),
        cmocka_unit_test(test_repeating_users_are_found_and_a_flood_of_others_is_bounded),
        cmocka_unit_test(test_another_key_empties_the_table),
        cmocka_unit_test(test_no_user_id_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
