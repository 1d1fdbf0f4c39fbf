/* Custom events: what the setters write, sticky errors, and that the worst-case size bounds whatever is written. */
#include "support/fake_device.h"

#include <limits.h>

static uint32_t seed = 7;

static uint32_t random_below(uint32_t limit)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed % limit;
}

static void test_each_setter_writes_its_kind(void **state)
{
    uint8_t buffer[TRIB_CUSTOM_BYTES_MAX(1, 6, 6, 3)];
    struct trib_custom e;
    struct trib_cbor_reader r;
    size_t len;
    (void)state;
    trib_custom_begin(&e, buffer, sizeof buffer, "s");
    trib_custom_text(&e, "t", "é");
    trib_custom_text(&e, "u", NULL);
    trib_custom_bytes(&e, "b", "\xFF", 1);
    trib_custom_int(&e, "i", INT64_MIN);
    trib_custom_uint(&e, "n", UINT64_MAX);
    trib_custom_bool(&e, "o", true);
    assert_int_equal(e.w.error, 0);
    trib_cbor_reader_init(&r, buffer, e.w.len);
    (void)trib_cbor_get_map(&r);
    assert_int_equal(trib_cbor_get_uint(&r), TRIB_FIELD_SCHEMA);
    (void)trib_cbor_get_text(&r, &len);
    assert_int_equal(trib_cbor_get_uint(&r), TRIB_FIELD_DATA);
    (void)trib_cbor_get_map(&r);
    trib_cbor_skip(&r);
    assert_memory_equal(trib_cbor_get_text(&r, &len), "é", 2);
    trib_cbor_skip(&r);
    (void)trib_cbor_get_text(&r, &len);
    assert_int_equal(len, 0);
    trib_cbor_skip(&r);
    assert_int_equal(trib_cbor_get_bytes(&r, &len)[0], 0xFF);
    trib_cbor_skip(&r);
    assert_true(trib_cbor_get_int(&r) == INT64_MIN);
    trib_cbor_skip(&r);
    assert_true(trib_cbor_get_uint(&r) == UINT64_MAX);
    trib_cbor_skip(&r);
    assert_true(trib_cbor_get_bool(&r));
    assert_int_equal(r.error, 0);
}

static void test_the_first_error_stays(void **state)
{
    uint8_t buffer[64];
    struct fake_device d;
    struct trib_custom e;
    char name[130];
    (void)state;
    memset(name, 'x', sizeof name);
    name[129] = 0;
    fake_device_init(&d, 1024, 4, 1);
    assert_int_equal(fake_device_boot(&d), 0);
    trib_custom_begin(&e, buffer, sizeof buffer, NULL);
    assert_int_equal(trib_custom_record(&d.client, &e), TRIB_EINVAL);
    trib_custom_begin(&e, NULL, 64, "s");
    assert_int_equal(trib_custom_record(&d.client, &e), TRIB_EINVAL);
    trib_custom_begin(&e, buffer, sizeof buffer, "s");
    trib_custom_int(&e, name, 1);
    trib_custom_text(&e, "t", "far too long for what is left of the buffer, and so another error");
    assert_int_equal(trib_custom_record(&d.client, &e), TRIB_EINVAL);
    trib_custom_begin(&e, buffer, sizeof buffer, "s");
    trib_custom_text(&e, "t", "longer than the buffer, which has sixty-four bytes, is this text");
    trib_custom_int(&e, "", 1);
    trib_custom_int(&e, "n", 1); /* it would fit */
    assert_int_equal(trib_custom_record(&d.client, &e), TRIB_ESPACE);
    trib_custom_begin(&e, buffer, sizeof buffer, "s");
    for (int i = 0; i < 16; i++)
        trib_custom_bool(&e, "b", true);
    assert_int_equal(trib_custom_record(&d.client, &e), 0);
    trib_custom_bool(&e, "b", true);
    assert_int_equal(trib_custom_record(&d.client, &e), TRIB_EINVAL);
    fake_device_free(&d);
}

static const char *some_text(char *buffer, uint32_t length)
{
    memset(buffer, 'x', length);
    buffer[length] = 0;
    return buffer;
}

/* Sizes around each step of CBOR's heads. */
static uint32_t some_length(uint32_t max)
{
    static const uint32_t steps[] = {0, 1, 23, 24, 127, 128, 255, 256, 65535};
    uint32_t length = random_below(3) ? steps[random_below(9)] : random_below(400);
    return length < max ? length : max;
}

static void test_the_worst_case_size_bounds_all_values(void **state)
{
    static uint8_t buffer[2000000];
    static char text[70000], name[200];
    static const int64_t numbers[] = {INT64_MIN, -1, 0, 23, 24, 255, 256, 65536, 4294967296, INT64_MAX};
    (void)state;
    for (unsigned run = 0; run < 20000; run++) {
        struct trib_custom e;
        uint32_t schema = 1 + some_length(127), names = 0, texts = 0, count = random_below(17);
        trib_custom_begin(&e, buffer, sizeof buffer, some_text(name, schema));
        for (uint32_t i = 0; i < count; i++) {
            uint32_t n = 1 + some_length(127), length = some_length(65535);
            names += n;
            (void)some_text(name, n);
            switch (random_below(5)) {
            case 0:
                texts += length;
                trib_custom_text(&e, name, some_text(text, length));
                break;
            case 1:
                texts += length;
                trib_custom_bytes(&e, name, text, length);
                break;
            case 2:
                trib_custom_int(&e, name, numbers[random_below(10)]);
                break;
            case 3:
                trib_custom_uint(&e, name, UINT64_MAX >> random_below(64));
                break;
            default:
                trib_custom_bool(&e, name, random_below(2));
            }
        }
        assert_int_equal(e.w.error, 0);
        assert_true(e.w.len <= TRIB_CUSTOM_BYTES_MAX(schema, count, names, texts));
    }
}

static void test_the_worst_case_is_met(void **state)
{
    static uint8_t buffer[TRIB_CUSTOM_BYTES_MAX(128, 2, 2 * 128, 0)];
    char name[129];
    struct trib_custom e;
    (void)state;
    trib_custom_begin(&e, buffer, sizeof buffer, some_text(name, 128));
    trib_custom_int(&e, name, INT64_MIN);
    trib_custom_uint(&e, name, UINT64_MAX);
    assert_int_equal(e.w.error, 0);
    assert_int_equal(e.w.len, sizeof buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_setter_writes_its_kind),
        cmocka_unit_test(test_the_first_error_stays),
        cmocka_unit_test(test_the_worst_case_size_bounds_all_values),
        cmocka_unit_test(test_the_worst_case_is_met),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
