#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "unit/gateway/admit_world.h"

static void favourite(const char *what, const char *user)
{
    fields_begin(&x, 2);
    fields_text(&x, TRIB_FIELD_ITEM, what);
    fields_text(&x, TRIB_FIELD_USER, user);
    batch_event(&x, TRIB_LANE_VITAL, TRIB_EVENT_FAVOURITE_ADD, 0, 5);
}

static void test_a_plain_batch_is_copied_as_it_is(void **state)
{
    (void)state;
    batch_begin(&x, 1, 1, 0, 0);
    batch_context(&x, 1, 77, "film-1", "");
    fields_begin(&x, 1);
    fields_uint(&x, TRIB_FIELD_PERCENT, 25);
    batch_event(&x, TRIB_LANE_ROUTINE, TRIB_EVENT_PROGRESS, 1, 7);
    ping(TRIB_LANE_ROUTINE, 10000, 9);
    assert_int_equal(batch_admit(&x), GW_ADMIT_OK);
    assert_int_equal(x.out.event_count, 2);
    assert_int_equal(x.out.credit_events, 2);
    assert_int_equal(x.out.rejected_count, 0);
    const struct gw_journal_lane *lane = &x.out.write.lanes[TRIB_LANE_ROUTINE];
    assert_int_equal(lane->stream, STREAM_R);
    assert_int_equal(lane->expected, 0);
    assert_int_equal(lane->last_seq, 2);
    assert_int_equal(lane->last_crc,
                     trib_wire_event_crc(STREAM_R, 2, 3, 1016, 12, TRIB_EVENT_PING, x.fields, x.f.len));
    assert_int_equal(x.out.write.lanes[TRIB_LANE_VITAL].last_seq, 0);

    entry_open();
    assert_int_equal(entry_head.received_utc_ms, 1764000000000ull);
    assert_int_equal(entry_head.device.len, 5);
    assert_int_equal(trib_wire_batch_next(&reader, &item), 1);
    assert_int_equal(item.kind, TRIB_ITEM_CONTEXT);
    assert_int_equal(item.context_value.session, 77);
    assert_int_equal(trib_wire_batch_next(&reader, &item), 1);
    assert_int_equal(item.kind, TRIB_EVENT_PROGRESS);
    assert_int_equal(item.mono_ms, 1007);
    assert_int_equal(trib_wire_batch_next(&reader, &item), 1);
    assert_int_equal(item.seq, 2);
    assert_int_equal(item.ord, 12);
    assert_int_equal(item.fields_len, x.f.len);
    assert_memory_equal(item.fields, x.fields, x.f.len);
    assert_int_equal(trib_wire_batch_next(&reader, &item), 0);
}

static void test_user_ids_become_pseudonyms_everywhere(void **state)
{
    (void)state;
    char pseudonym[GW_PSEUDONYM_TEXT_MAX];
    size_t len = gw_pseudonym_text(x.pseudonym, "ann-planted", 11, pseudonym);
    batch_begin(&x, 1, 1, 0, 0);
    batch_context(&x, 1, 77, "film-1", "ann-planted");
    fields_begin(&x, 1);
    fields_uint(&x, TRIB_FIELD_PERCENT, 25);
    batch_event(&x, TRIB_LANE_ROUTINE, TRIB_EVENT_PROGRESS, 1, 7);
    favourite("item-9", "ann-planted");
    favourite("item-8", "bob-planted");
    assert_int_equal(batch_admit(&x), GW_ADMIT_OK);
    assert_int_equal(x.out.event_count, 3);
    assert_false(contains(x.out.write.entry, x.out.write.entry_len, "planted"));

    entry_open();
    assert_int_equal(trib_wire_batch_next(&reader, &item), 1);
    assert_int_equal(item.context_value.user.len, len);
    assert_memory_equal(item.context_value.user.ptr, pseudonym, len);
    assert_int_equal(trib_wire_batch_next(&reader, &item), 1);
    assert_int_equal(trib_wire_batch_next(&reader, &item), 1);
    assert_int_equal(item.kind, TRIB_EVENT_FAVOURITE_ADD);
    assert_true(contains(item.fields, item.fields_len, "item-9"));
    assert_non_null(memmem(item.fields, item.fields_len, pseudonym, len));
    assert_int_equal(trib_wire_batch_next(&reader, &item), 1);
    assert_true(contains(item.fields, item.fields_len, "item-8"));
    assert_null(memmem(item.fields, item.fields_len, pseudonym, len));
    assert_true(contains(item.fields, item.fields_len, "p1.k1."));
}

static void test_an_index_defined_again_is_written_again(void **state)
{
    (void)state;
    batch_begin(&x, 1, 1, 0, 0);
    for (unsigned i = 0; i < 3; i++) {
        char content[] = "film-0";
        content[5] = (char)('0' + i);
        batch_context(&x, 1, 70 + i, content, "ann-planted");
        fields_begin(&x, 0);
        batch_event(&x, TRIB_LANE_ROUTINE, TRIB_EVENT_PLAY, 1, 1);
        batch_event(&x, TRIB_LANE_ROUTINE, TRIB_EVENT_PLAY, 1, 1);
    }
    assert_int_equal(batch_admit(&x), GW_ADMIT_OK);
    entry_open();
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(trib_wire_batch_next(&reader, &item), 1);
        assert_int_equal(item.kind, TRIB_ITEM_CONTEXT);
        assert_int_equal(item.context_value.session, 70 + i);
        assert_int_equal(item.context_value.content.ptr[5], '0' + i);
        assert_memory_equal(item.context_value.user.ptr, "p1.k1.", 6);
        assert_int_equal(trib_wire_batch_next(&reader, &item),
                         1); /* the context once, then both its events */
        assert_int_equal(item.kind, TRIB_EVENT_PLAY);
        assert_int_equal(trib_wire_batch_next(&reader, &item), 1);
        assert_int_equal(item.kind, TRIB_EVENT_PLAY);
    }
    assert_int_equal(trib_wire_batch_next(&reader, &item), 0);
}

static void test_the_crc_is_of_the_bytes_as_received(void **state)
{
    (void)state;
    batch_begin(&x, 1, 1, 0, 0);
    favourite("item-9", "ann");
    const uint32_t crc =
        trib_wire_event_crc(STREAM_V, 1, 3, 1005, 11, TRIB_EVENT_FAVOURITE_ADD, x.fields, x.f.len);
    assert_int_equal(batch_admit(&x), GW_ADMIT_OK);
    assert_int_equal(x.out.write.lanes[TRIB_LANE_VITAL].last_crc, crc);

    batch_begin(&x, 1, 1, 0, 0); /* of a rejected event just so */
    fields_begin(&x, 0);
    batch_event(&x, TRIB_LANE_VITAL, 200, 0, 5);
    assert_int_equal(batch_admit(&x), GW_ADMIT_OK);
    assert_int_equal(x.out.write.lanes[TRIB_LANE_VITAL].last_crc,
                     trib_wire_event_crc(STREAM_V, 1, 3, 1005, 11, 200, x.fields, x.f.len));
}

static void test_undeclared_fields_are_dropped_and_counted(void **state)
{
    (void)state;
    batch_begin(&x, 1, 1, 0, 0);
    fields_begin(&x, 3);
    fields_text(&x, TRIB_FIELD_ITEM, "planted");
    fields_uint(&x, TRIB_FIELD_PERCENT, 50);
    trib_cbor_put_text(&x.f, "email", 5);
    trib_cbor_put_text(&x.f, "planted@example.org", 19);
    batch_event(&x, TRIB_LANE_ROUTINE, TRIB_EVENT_PROGRESS, 0, 1);
    assert_int_equal(batch_admit(&x), GW_ADMIT_OK);
    assert_int_equal(x.out.undeclared_count, 2);
    assert_false(contains(x.out.write.entry, x.out.write.entry_len, "planted"));
    entry_open();
    assert_int_equal(trib_wire_batch_next(&reader, &item), 1);
    const uint8_t expected[] = {0xa1, TRIB_FIELD_PERCENT, 0x18, 50};
    assert_int_equal(item.fields_len, sizeof expected);
    assert_memory_equal(item.fields, expected, sizeof expected);
}

static void test_anchors_and_both_lanes_are_carried_over(void **state)
{
    (void)state;
    batch_begin(&x, 4, 8, 3, 7);
    for (unsigned i = 0; i < TRIB_WIRE_ANCHORS_MAX; i++)
        x.head.anchors[i] = (struct trib_wire_anchor){i, UINT64_MAX - i, UINT64_MAX, UINT64_MAX};
    x.head.anchor_count = TRIB_WIRE_ANCHORS_MAX;
    trib_wire_batch_open(&x.batch, &x.head, x.batch_bytes, sizeof x.batch_bytes);
    ping(1, 1, 1);
    ping(0, 1, 1);
    ping(1, 1, 1);
    assert_int_equal(batch_admit(&x), GW_ADMIT_OK);
    entry_open();
    assert_int_equal(reader.head.anchor_count, TRIB_WIRE_ANCHORS_MAX);
    assert_memory_equal(reader.head.anchors, x.head.anchors, sizeof x.head.anchors);
    assert_int_equal(reader.head.lanes[0].seq, 4);
    assert_int_equal(reader.head.lanes[1].seq, 8);
    assert_int_equal(x.out.write.lanes[0].last_seq, 4);
    assert_int_equal(x.out.write.lanes[1].last_seq, 9);
}

static void test_what_cannot_be_read_is_malformed(void **state)
{
    (void)state;
    batch_begin(&x, 1, 1, 0, 0);
    trib_wire_batch_tombstone(&x.batch, 0, 1000);
    assert_int_equal(batch_admit(&x), GW_ADMIT_MALFORMED);
    assert_non_null(strstr(x.error.text, "tombstone"));

    batch_begin(&x, 1, 1, 0, 0);
    ping(0, 1, 1);
    x.input.lanes[0].stream++;
    assert_int_equal(batch_admit(&x), GW_ADMIT_MALFORMED);

    batch_begin(&x, 1, 1, 0, 0);
    batch_context(&x, 1, 5, "film", "ann");
    favourite("item", "ann");
    ping(1, 1, 1);
    assert_int_equal(batch_admit(&x), GW_ADMIT_OK);
    const size_t whole = x.input.batch_len;
    for (size_t len = 0; len < whole; len++) {
        x.input.batch_len = len;
        gw_arena_reset(&x.arena);
        assert_int_equal(gw_admit(&x.policy, &x.input, &x.arena, &x.out, &x.hole_lane, &x.error),
                         GW_ADMIT_MALFORMED);
        assert_int_equal(x.error.code, GW_EPROTOCOL);
    }
}

static void test_peek_shows_the_lanes(void **state)
{
    (void)state;
    batch_begin(&x, 4, 8, 3, 7);
    ping(0, 1, 1);
    assert_int_equal(batch_admit(&x), GW_ADMIT_OK);
    struct trib_wire_position lanes[TRIB_LANE_COUNT];
    assert_int_equal(gw_admit_peek(x.batch_bytes, x.input.batch_len, lanes), 0);
    assert_int_equal(lanes[0].stream, STREAM_V);
    assert_int_equal(lanes[1].seq, 8);
    assert_true(gw_admit_peek(x.batch_bytes, 2, lanes) < 0);
}

/* One-letter users grow by 50 bytes each: the entry's buffer has to grow with them. */
static void test_short_user_ids_may_grow_the_entry_many_times(void **state)
{
    (void)state;
    batch_begin(&x, 1, 1, 0, 0);
    for (unsigned i = 0; i < 3000; i++) {
        char user[2] = {(char)('a' + i % 26), 0};
        fields_begin(&x, 1);
        fields_text(&x, TRIB_FIELD_USER, user);
        batch_event(&x, 1, TRIB_EVENT_PLAY, 0, 1);
    }
    assert_int_equal(batch_admit(&x), GW_ADMIT_OK);
    assert_int_equal(x.out.event_count, 3000);
    entry_open();
    for (unsigned i = 0; i < 3000; i++) {
        char pseudonym[GW_PSEUDONYM_TEXT_MAX], user[2] = {(char)('a' + i % 26), 0};
        size_t len = gw_pseudonym_text(x.pseudonym, user, 1, pseudonym);
        assert_int_equal(trib_wire_batch_next(&reader, &item), 1);
        assert_non_null(memmem(item.fields, item.fields_len, pseudonym, len));
    }
    assert_int_equal(trib_wire_batch_next(&reader, &item), 0);
}

/* A batch remembers its users by the ends of their ids: these meet in one place, or differ in length alone. */
static void many_users(unsigned i, char out[32])
{
    if (i % 2)
        snprintf(out, 32, "same-end%03u-sameend", i % 97);
    else
        snprintf(out, 32, "%.*s", (int)(1 + i % 20), "uuuuuuuuuuuuuuuuuuuuuuuu");
}

static void test_users_who_come_again_are_not_taken_for_one_another(void **state)
{
    (void)state;
    struct gw_pseudonym_cache *cache;
    assert_int_equal(gw_pseudonym_cache_new(16, &cache), GW_OK);
    x.input.pseudonyms = cache;
    batch_begin(&x, 1, 1, 0, 0);
    char user[32], pseudonym[GW_PSEUDONYM_TEXT_MAX];
    for (unsigned i = 0; i < 1000; i++) {
        many_users(i / 3, user);
        fields_begin(&x, 1);
        fields_text(&x, TRIB_FIELD_USER, user);
        batch_event(&x, 1, TRIB_EVENT_PLAY, 0, 1);
    }
    assert_int_equal(batch_admit(&x), GW_ADMIT_OK);
    entry_open();
    for (unsigned i = 0; i < 1000; i++) {
        many_users(i / 3, user);
        size_t len = gw_pseudonym_text(x.pseudonym, user, strlen(user), pseudonym);
        assert_int_equal(trib_wire_batch_next(&reader, &item), 1);
        assert_non_null(memmem(item.fields, item.fields_len, pseudonym, len));
    }
    assert_true(gw_pseudonym_cache_hits(cache) < 334); /* who came just before is not looked up again */
    gw_pseudonym_cache_free(cache);
}

static void test_too_little_memory_is_said(void **state)
{
    (void)state;
    batch_begin(&x, 1, 1, 0, 0);
    for (unsigned i = 0; i < 300; i++)
        favourite("item", i % 2 ? "a" : "b");
    fields_begin(&x, 0);
    batch_event(&x, 0, 200, 0, 1);
    assert_int_equal(batch_admit(&x), GW_ADMIT_OK);
    const size_t used = x.arena.used_bytes;
    gw_arena_free(&x.arena);
    for (size_t limit = 0; limit < used; limit += 16) {
        gw_arena_init(&x.arena, 1024, limit);
        assert_int_equal(gw_admit(&x.policy, &x.input, &x.arena, &x.out, &x.hole_lane, &x.error),
                         GW_ADMIT_NO_MEMORY);
        gw_arena_free(&x.arena);
    }
    gw_arena_init(&x.arena, 1024, used);
    assert_int_equal(gw_admit(&x.policy, &x.input, &x.arena, &x.out, &x.hole_lane, &x.error), GW_ADMIT_OK);
}

static void measure(const char *what, unsigned users, unsigned undeclared)
{
    batch_begin(&x, 1, 1, 0, 0);
    batch_context(&x, 1, 99, "film-0000000042", "household-0000000042");
    for (unsigned i = 0; i < 100; i++) {
        char user[40];
        snprintf(user, sizeof user, "user-%031u", users ? i % users : 0);
        fields_begin(&x, 7 + (users != 0) + (undeclared != 0));
        for (unsigned id = TRIB_FIELD_PLAYED_MS; id <= TRIB_FIELD_SEEKING_MS; id++)
            fields_uint(&x, id, 10000 + i);
        fields_uint(&x, TRIB_FIELD_MUTED_MS, 10);
        fields_uint(&x, TRIB_FIELD_DROPPED_FRAMES, 1000);
        if (users)
            fields_text(&x, TRIB_FIELD_USER, user);
        if (undeclared)
            fields_uint(&x, 90, i);
        batch_event(&x, 1, TRIB_EVENT_PING, 1, 10000);
    }
    assert_int_equal(batch_admit(&x), GW_ADMIT_OK);
    assert_int_equal(x.out.event_count, 100);
    const int rounds = 1000;
    struct timespec from, to;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    for (int i = 0; i < rounds; i++) {
        gw_arena_reset(&x.arena);
        if (gw_admit(&x.policy, &x.input, &x.arena, &x.out, &x.hole_lane, &x.error) != GW_ADMIT_OK)
            fail();
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    double ns = (double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec);
    print_message("admit: %.0f ns/event, batches of 100 with 7 fields, %s\n", ns / rounds / 100, what);
}

static void test_measure_admission(void **state)
{
    (void)state;
    measure("user in the context", 0, 0);
    measure("one user field", 1, 0);
    measure("another user each event", 100, 0);
    measure("an undeclared field each", 0, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_plain_batch_is_copied_as_it_is),
        TEST(test_user_ids_become_pseudonyms_everywhere),
        TEST(test_an_index_defined_again_is_written_again),
        TEST(test_the_crc_is_of_the_bytes_as_received),
        TEST(test_undeclared_fields_are_dropped_and_counted),
        TEST(test_anchors_and_both_lanes_are_carried_over),
        TEST(test_what_cannot_be_read_is_malformed),
        TEST(test_peek_shows_the_lanes),
        TEST(test_short_user_ids_may_grow_the_entry_many_times),
        TEST(test_users_who_come_again_are_not_taken_for_one_another),
        TEST(test_too_little_memory_is_said),
        TEST(test_measure_admission),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
