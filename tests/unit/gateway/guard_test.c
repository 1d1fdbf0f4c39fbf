#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "admin/guard.h"

static char folder[64];
static struct gw_guard guard;
static struct gw_error error;
static const uint8_t here[16] = {[15] = 1}, there[16] = {[15] = 2};

static int setup(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/tributary-guard-XXXXXX");
    return mkdtemp(folder) && gw_guard_open(&guard, "", folder, &error) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static int check(const uint8_t *address, const char *scheme, const char *token, uint64_t now_ms)
{
    char credentials[256];
    snprintf(credentials, sizeof credentials, "%s%s", scheme, token);
    return gw_guard_check(&guard, address, credentials, now_ms);
}

static int check_basic(const char *plain)
{
    char credentials[256] = "Basic ";
    EVP_EncodeBlock((unsigned char *)credentials + 6, (const unsigned char *)plain, (int)strlen(plain));
    return gw_guard_check(&guard, there, credentials, 1);
}

static void test_a_token_is_made_once_for_its_owner_only(void **state)
{
    (void)state;
    char path[128], made[GW_TOKEN_DIGITS + 1];
    struct stat status;
    strcpy(made, guard.token);
    assert_int_equal(strspn(made, "0123456789abcdef"), GW_TOKEN_DIGITS);
    snprintf(path, sizeof path, "%s/keys/admin.token", folder);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(gw_guard_open(&guard, "", folder, &error), 0);
    assert_string_equal(guard.token, made);
    assert_int_equal(gw_guard_open(&guard, path, "/nowhere", &error), 0);
    assert_string_equal(guard.token, made);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(gw_guard_open(&guard, "", folder, &error), GW_EINVALID);
    assert_non_null(strstr(error.text, "admin.token"));
}

static void test_only_the_token_opens(void **state)
{
    (void)state;
    char other[GW_TOKEN_DIGITS + 8], plain[160];
    assert_int_equal(check(there, "Bearer ", guard.token, 1), 0);
    assert_int_equal(check(there, "bearer ", guard.token, 1), 0);
    snprintf(plain, sizeof plain, "anybody:%s", guard.token);
    assert_int_equal(check_basic(plain), 0);
    snprintf(plain, sizeof plain, ":%s", guard.token);
    assert_int_equal(check_basic(plain), 0);
    for (size_t i = 0; i < GW_TOKEN_DIGITS; i += 21) {
        memset(guard.sources, 0, sizeof guard.sources);
        strcpy(other, guard.token);
        other[i] = other[i] == '0' ? '1' : '0';
        assert_int_equal(check(there, "Bearer ", other, 1), -401);
    }
    memset(guard.sources, 0, sizeof guard.sources);
    snprintf(other, sizeof other, "%s0", guard.token);
    assert_int_equal(check(there, "Bearer ", other, 1), -401);
    other[GW_TOKEN_DIGITS - 1] = 0;
    assert_int_equal(check(there, "Bearer ", other, 1), -401);
    assert_int_equal(check(there, "", guard.token, 1), -401);
    assert_int_equal(check(there, "Bearer ", "", 1), -401);
    memset(guard.sources, 0, sizeof guard.sources);
    assert_int_equal(check(there, "Basic ", "%%%%", 1), -401);
    assert_int_equal(check(there, "Basic ", "", 1), -401);
    assert_int_equal(check_basic(guard.token), -401);
    assert_int_equal(check(there, "", "", 1), -401);
}

static void test_an_address_that_guesses_is_turned_away_for_a_while(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++)
        assert_int_equal(check(here, "", "", 1000), -401); /* nothing guessed, nothing held against it */
    for (int i = 0; i < GW_GUARD_FAILURES; i++)
        assert_int_equal(check(here, "Bearer ", "x", 1000), -401);
    assert_int_equal(check(here, "Bearer ", guard.token, 1000), -429); /* unheard, also the right one */
    assert_int_equal(check(there, "Bearer ", guard.token, 1000), 0);
    assert_int_equal(check(here, "Bearer ", "x", 1000 + GW_GUARD_MS - 1), -429);
    assert_int_equal(check(here, "Bearer ", "x", 1000 + GW_GUARD_MS), -401); /* one try */
    assert_int_equal(check(here, "Bearer ", guard.token, 1001 + GW_GUARD_MS), -429);
    assert_int_equal(check(here, "Bearer ", guard.token, 1000 + 2 * GW_GUARD_MS), 0);
    assert_int_equal(check(here, "Bearer ", "x", 1000 + 2 * GW_GUARD_MS), -401);
    assert_int_equal(check(here, "Bearer ", guard.token, 1000 + 2 * GW_GUARD_MS), 0);
}

static void test_many_addresses_do_not_make_room_for_a_guesser(void **state)
{
    (void)state;
    for (int i = 0; i < GW_GUARD_FAILURES; i++)
        assert_int_equal(check(here, "Bearer ", "x", 5000), -401);
    for (unsigned i = 0; i < GW_GUARD_SOURCES - 1; i++) {
        uint8_t address[16] = {1, (uint8_t)i};
        assert_int_equal(check(address, "Bearer ", "x", 4000), -401);
    }
    for (unsigned i = 0; i < 40; i++) {
        uint8_t address[16] = {2, (uint8_t)i};
        assert_int_equal(check(address, "Bearer ", "x", 6000), -401);
    }
    assert_int_equal(check(here, "Bearer ", guard.token, 6000), -429);
}

#define GUARD_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        GUARD_TEST(test_a_token_is_made_once_for_its_owner_only),
        GUARD_TEST(test_only_the_token_opens),
        GUARD_TEST(test_an_address_that_guesses_is_turned_away_for_a_while),
        GUARD_TEST(test_many_addresses_do_not_make_room_for_a_guesser),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
