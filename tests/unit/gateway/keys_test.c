#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "privacy/keys.h"

static char folder[] = "/tmp/tributary-keys-XXXXXX";
static char path[256];
static struct gw_error error;

static int setup(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/tributary-keys-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/file", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    const char *const names[] = {"file", "keys/pseudonym.key", "keys/seal.key", "keys/.seal.key.new"};
    char name[300];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(name, sizeof name, "%s/%s", folder, names[i]);
        unlink(name);
    }
    snprintf(name, sizeof name, "%s/keys", folder);
    rmdir(name);
    return rmdir(folder);
}

static void write_file(const char *name, const void *data, size_t len, mode_t mode)
{
    FILE *f = fopen(name, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    fclose(f);
    assert_int_equal(chmod(name, mode), 0);
}

static const char HEX[] = "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F";

static void test_raw_bytes_and_hex_digits_are_read(void **state)
{
    (void)state;
    uint8_t expected[32], secret[32];
    char spaced[80];
    for (unsigned i = 0; i < 32; i++)
        expected[i] = (uint8_t)i;
    write_file(path, expected, 32, 0600);
    assert_int_equal(gw_key_file_read(path, secret, &error), 0);
    assert_memory_equal(secret, expected, 32);
    memset(secret, 0, sizeof secret);
    int len = snprintf(spaced, sizeof spaced, " \t%s\r\n", HEX);
    write_file(path, spaced, (size_t)len, 0400);
    assert_int_equal(gw_key_file_read(path, secret, &error), 0);
    assert_memory_equal(secret, expected, 32);
}

static void test_files_of_another_content_are_refused(void **state)
{
    (void)state;
    uint8_t secret[32];
    const struct {
        const char *text;
        size_t len;
    } bad[] = {{"", 0},
               {HEX, 63},
               {HEX, 31},
               {"0x", 2},
               {"g00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", 64}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        write_file(path, bad[i].text, bad[i].len, 0600);
        assert_int_equal(gw_key_file_read(path, secret, &error), GW_EINVALID);
        assert_non_null(strstr(error.text, "64 hex digits"));
        assert_null(strstr(error.text, "0102030405")); /* a secret is never quoted */
    }
    unlink(path);
    assert_int_equal(gw_key_file_read(path, secret, &error), GW_ENOTFOUND);
    assert_int_equal(gw_key_file_read(folder, secret, &error), GW_EINVALID);
}

static void test_files_that_others_may_use_are_refused(void **state)
{
    (void)state;
    uint8_t secret[32];
    const mode_t bad[] = {0640, 0604, 0620, 0602, 0610, 0601, 0644};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        write_file(path, HEX, 64, bad[i]);
        assert_int_equal(gw_key_file_read(path, secret, &error), GW_EINVALID);
        assert_non_null(strstr(error.text, "chmod 600"));
    }
}

static void pseudonym_of_ann(const struct gw_keys *keys, char out[GW_PSEUDONYM_TEXT_MAX])
{
    memset(out, 0, GW_PSEUDONYM_TEXT_MAX);
    assert_int_not_equal(gw_pseudonym_text(keys->pseudonym, "ann", 3, out), 0);
}

static void test_keys_are_made_once_and_found_again(void **state)
{
    (void)state;
    struct gw_config config = {0};
    config.data.folder = folder;
    config.privacy.pseudonym_key_file = config.privacy.seal_key_file = "";
    config.privacy.pseudonym_key_id = config.privacy.seal_key_id = "k7";
    struct gw_keys keys;
    char first[GW_PSEUDONYM_TEXT_MAX], second[GW_PSEUDONYM_TEXT_MAX], name[300];
    assert_int_equal(gw_keys_load(&config, &keys, &error), 0);
    pseudonym_of_ann(&keys, first);
    assert_memory_equal(first, "p1.k7.", 6);
    gw_keys_free(&keys);
    struct stat st;
    snprintf(name, sizeof name, "%s/keys/pseudonym.key", folder);
    assert_int_equal(stat(name, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    snprintf(name, sizeof name, "%s/keys", folder);
    assert_int_equal(stat(name, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    /* what a power cut left of a key in the making is in nobody's way */
    snprintf(name, sizeof name, "%s/keys/.seal.key.new", folder);
    write_file(name, "torn", 4, 0600);
    assert_int_equal(gw_keys_load(&config, &keys, &error), 0);
    pseudonym_of_ann(&keys, second);
    assert_memory_equal(first, second, sizeof first);
    gw_keys_free(&keys);
    snprintf(name, sizeof name, "%s/keys/seal.key", folder);
    unlink(name);
    snprintf(name, sizeof name, "%s/keys/.seal.key.new", folder);
    assert_int_equal(chmod(name, 0644), 0); /* nor does it open the new one to others */
    assert_int_equal(gw_keys_load(&config, &keys, &error), 0);
    gw_keys_free(&keys);
}

static void test_named_files_are_not_made(void **state)
{
    (void)state;
    struct gw_config config = {0};
    config.data.folder = folder;
    config.privacy.pseudonym_key_file = path;
    config.privacy.seal_key_file = "";
    config.privacy.pseudonym_key_id = config.privacy.seal_key_id = "k7";
    struct gw_keys keys = {0};
    assert_int_equal(gw_keys_load(&config, &keys, &error), GW_ENOTFOUND);
    assert_null(keys.pseudonym);
    assert_int_not_equal(access(path, F_OK), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_raw_bytes_and_hex_digits_are_read),
        TEST(test_files_of_another_content_are_refused),
        TEST(test_files_that_others_may_use_are_refused),
        TEST(test_keys_are_made_once_and_found_again),
        TEST(test_named_files_are_not_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
