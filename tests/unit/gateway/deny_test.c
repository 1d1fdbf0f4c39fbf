/* The deny list: which texts name devices, and which are refused as a whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ingest/deny.h"

static struct gw_deny *parse(const char *text, size_t len, struct gw_error *error)
{
    struct gw_deny *deny = NULL;
    char *exact = malloc(len ? len : 1); /* not terminated, so that a sanitizer sees an overrun */
    memcpy(exact, text, len);
    int result = gw_deny_parse(exact, len, &deny, error);
    free(exact);
    assert_true((result == GW_OK) == (deny != NULL));
    return deny;
}

static void test_ids_comments_and_blanks_are_told_apart(void **state)
{
    (void)state;
    static const char text[] = "# sold\ndev-2\r\n\n  dev-1\t# lost\ndev-10\ndev-1\nlast";
    struct gw_error error = {0};
    struct gw_deny *deny = parse(text, sizeof text - 1, &error);
    assert_non_null(deny);
    assert_int_equal(gw_deny_count(deny), 5);
    assert_true(gw_deny_has(deny, "dev-1"));
    assert_true(gw_deny_has(deny, "dev-2"));
    assert_true(gw_deny_has(deny, "dev-10"));
    assert_true(gw_deny_has(deny, "last"));
    assert_false(gw_deny_has(deny, "dev"));
    assert_false(gw_deny_has(deny, "sold"));
    assert_false(gw_deny_has(deny, ""));
    gw_deny_free(deny);
    assert_false(gw_deny_has(NULL, "dev-1"));
}

static void test_an_empty_list_denies_nobody(void **state)
{
    (void)state;
    struct gw_error error = {0};
    struct gw_deny *deny = parse("", 0, &error);
    assert_int_equal(gw_deny_count(deny), 0);
    assert_false(gw_deny_has(deny, "dev-1"));
    gw_deny_free(deny);
}

static void refused(const char *text, size_t len, const char *why)
{
    struct gw_error error = {0};
    assert_null(parse(text, len, &error));
    assert_non_null(strstr(error.text, why));
}

static void test_what_is_no_device_id_refuses_the_whole_list(void **state)
{
    (void)state;
    refused("dev-1\ntwo words\n", 16, "line 2");
    refused("dev-1\n\xff\n", 8, "line 2");
    refused("dev-1\n\ndev\0x\n", 13, "line 3");
    refused("a23456789012345678901234567890123456789012345678901234567890123456", 66, "line 1");
    refused("/etc/passwd", 11, "line 1");
}

static void test_ten_thousand_devices_are_found(void **state)
{
    (void)state;
    size_t capacity = 10000 * 12, len = 0;
    char *text = malloc(capacity), id[16];
    for (int i = 0; i < 10000; i++)
        len += (size_t)snprintf(text + len, capacity - len, "d-%d\n", 20000 - 2 * i);
    struct gw_error error = {0};
    struct gw_deny *deny = parse(text, len, &error);
    for (int i = 1; i <= 20000; i++) {
        snprintf(id, sizeof id, "d-%d", i);
        assert_int_equal(gw_deny_has(deny, id), i % 2 == 0);
    }
    gw_deny_free(deny);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids_comments_and_blanks_are_told_apart),
        cmocka_unit_test(test_an_empty_list_denies_nobody),
        cmocka_unit_test(test_what_is_no_device_id_refuses_the_whole_list),
        cmocka_unit_test(test_ten_thousand_devices_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
