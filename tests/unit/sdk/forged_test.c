/*
 * Bits of an event that flip in RAM before its CRC is made, and texts that are not UTF-8: the CRC is right, and what it
 * covers is no event. It must cost itself only, not the batch it would be in.
 */
#include "support/fake_device.h"

struct world {
    struct fake_device device;
    struct fake_gateway gateway;
};

static struct world *new_world(void)
{
    struct world *w = calloc(1, sizeof *w);
    fake_device_init(&w->device, 1024, 8, 1);
    fake_gateway_init(&w->gateway);
    assert_int_equal(fake_device_boot(&w->device), 0);
    return w;
}

static void end_world(struct world *w)
{
    fake_gateway_free(&w->gateway);
    fake_device_free(&w->device);
    free(w);
}

static void record(struct world *w, unsigned type)
{
    uint8_t buffer[64];
    struct trib_custom event;
    if (type == TRIB_EVENT_FAVOURITE_ADD) {
        assert_int_equal(trib_favourite_add(&w->device.client, NULL, "item", NULL), 0);
        return;
    }
    trib_custom_begin(&event, buffer, sizeof buffer, "schema");
    trib_custom_int(&event, "n", 1);
    assert_int_equal(trib_custom_record(&w->device.client, &event), 0);
}

/* Three events, the second of which is changed where it waits for the journal. */
static void flip(unsigned type, size_t byte, uint8_t bits)
{
    struct world *w = new_world();
    record(w, type);
    uint8_t *fields =
        w->device.client.staging.buffer + w->device.client.staging.head + sizeof(struct trib_staged);
    record(w, type);
    fields[byte] ^= bits;
    record(w, type);
    assert_int_equal(trib_flush(&w->device.client, 0), 0);
    fake_sync(&w->gateway, &w->device);
    assert_int_equal(fake_count(&w->gateway, type), 2);
    unsigned class = type == TRIB_EVENT_FAVOURITE_ADD ? TRIB_DROP_VITAL : TRIB_DROP_ROUTINE;
    assert_int_equal(w->gateway.dropped[class][TRIB_DROP_NOT_KNOWN], 1);
    end_world(w);
}

static void test_a_flipped_bit_before_the_crc_costs_one_event(void **state)
{
    (void)state;
    unsigned types[] = {TRIB_EVENT_FAVOURITE_ADD, TRIB_EVENT_CUSTOM};
    for (size_t i = 0; i < 2; i++) {
        flip(types[i], 0, 0x40); /* no map */
        flip(types[i], 0, 0x01); /* one pair more, or less */
        flip(types[i], 0, 0x1f); /* a length that is not there */
    }
}

static void test_a_flipped_bit_of_a_content_costs_the_context_only(void **state)
{
    (void)state;
    struct world *w = new_world();
    struct trib_session session = {0};
    struct trib_content content = {.content_id = "film"};
    struct trib_staging *staging = &w->device.client.staging;
    assert_int_equal(trib_session_start(&w->device.client, &session, &content), 0);
    uint8_t *text = memmem(staging->buffer, staging->head, "film", 4);
    assert_non_null(text);
    text[1] ^= 0x80;
    record(w, TRIB_EVENT_FAVOURITE_ADD);
    assert_int_equal(trib_session_end(&session, TRIB_REASON_QUIT), 0);
    assert_int_equal(trib_flush(&w->device.client, 0), 0);
    fake_sync(&w->gateway, &w->device);
    assert_int_equal(fake_count(&w->gateway, TRIB_EVENT_FAVOURITE_ADD), 1);
    assert_int_equal(fake_count(&w->gateway, TRIB_EVENT_SESSION_START), 1);
    assert_int_equal(fake_count(&w->gateway, TRIB_EVENT_SESSION_END), 1);
    for (size_t i = 0; i < w->gateway.event_count; i++)
        assert_string_equal(w->gateway.events[i].content, "");
    end_world(w);
}

static void test_texts_that_are_not_utf8_are_refused(void **state)
{
    (void)state;
    struct world *w = new_world();
    struct trib_client *client = &w->device.client;
    struct trib_session session = {0};
    struct trib_content content = {.content_id = "\xe9t\xe9"};
    assert_int_equal(trib_session_start(client, &session, &content), TRIB_EINVAL);
    content = (struct trib_content){.content_id = "film", .user_id = "Ren\xe9"};
    assert_int_equal(trib_session_start(client, &session, &content),
                     w->device.config.user_id_as_given ? TRIB_EINVAL : 0);
    assert_int_equal(trib_favourite_add(client, NULL, "\xff", NULL), TRIB_EINVAL);
    assert_int_equal(trib_favourite_add(client, "\xc0\x80", "item", NULL), TRIB_EINVAL);
    uint8_t buffer[64];
    struct trib_custom event;
    trib_custom_begin(&event, buffer, sizeof buffer, "schema");
    trib_custom_text(&event, "name", "\xed\xa0\x80"); /* a surrogate */
    trib_custom_int(&event, "n", 1);
    assert_int_equal(trib_custom_record(client, &event), TRIB_EINVAL);
    end_world(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_flipped_bit_before_the_crc_costs_one_event),
        cmocka_unit_test(test_a_flipped_bit_of_a_content_costs_the_context_only),
        cmocka_unit_test(test_texts_that_are_not_utf8_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
