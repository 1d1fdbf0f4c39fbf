/* The processor's CRC-32C must give what the portable one gives, at every length and alignment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/crc32c.h"
#include "wire/crc32c.h"

static void test_known_values(void **state)
{
    (void)state;
    uint8_t zeros[32] = {0}, ones[32], rising[32];
    for (int i = 0; i < 32; i++) {
        ones[i] = 0xff;
        rising[i] = (uint8_t)i;
    }
    /* RFC 3720 appendix B.4 */
    assert_int_equal(gw_crc32c(0, zeros, 32), 0x8a9136aa);
    assert_int_equal(gw_crc32c(0, ones, 32), 0x62a8ab43);
    assert_int_equal(gw_crc32c(0, rising, 32), 0x46dd794e);
    assert_int_equal(gw_crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(gw_crc32c(0, zeros, 0), 0);
}

static void test_equals_the_portable_one(void **state)
{
    (void)state;
    uint8_t data[300];
    uint32_t random = 1;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)((random = random * 1664525u + 1013904223u) >> 24);
    for (size_t at = 0; at < 16; at++) {
        for (size_t len = 0; len + at <= sizeof data; len++)
            assert_int_equal(gw_crc32c(0, data + at, len), trib_crc32c(0, data + at, len));
    }
}

static void test_goes_on_where_it_was(void **state)
{
    (void)state;
    const char *text = "a block, fed in two pieces, cut anywhere";
    size_t len = 40;
    for (size_t cut = 0; cut <= len; cut++)
        assert_int_equal(gw_crc32c(gw_crc32c(0, text, cut), text + cut, len - cut), gw_crc32c(0, text, len));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_values),
        cmocka_unit_test(test_equals_the_portable_one),
        cmocka_unit_test(test_goes_on_where_it_was),
    };
    print_message("crc32c: %s\n", gw_crc32c_name());
    return cmocka_run_group_tests(tests, NULL, NULL);
}
