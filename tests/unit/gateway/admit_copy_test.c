/* Items that admission copies as they came: they must say what they said, and nothing more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "schema/validate.h"
#include "unit/gateway/admit_fixture.h"

static struct fixture x;

static int setup(void **state)
{
    (void)state;
    fixture_open(&x);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_close(&x);
    return 0;
}

static struct trib_wire_batch_reader open_entry(void)
{
    struct trib_wire_batch_reader reader;
    struct gw_entry_head head;
    const uint8_t *batch;
    size_t len;
    assert_non_null(x.out.write.entry);
    assert_int_equal(gw_entry_decode(x.out.write.entry, x.out.write.entry_len, &head, &batch, &len), 0);
    assert_int_equal(trib_wire_batch_read(&reader, batch, len), 0);
    return reader;
}

static void plain_event(void)
{
    fields_begin(&x, 1);
    fields_uint(&x, TRIB_FIELD_PLAYED_MS, 7);
    batch_event(&x, TRIB_LANE_ROUTINE, TRIB_EVENT_PING, 0, 1);
}

/* An item in bytes, in place of one that the writer would make. */
static void raw_item(const void *bytes, size_t len)
{
    trib_cbor_put_raw(&x.batch.w, bytes, len);
    x.batch.mono_ms += 1;
    x.batch.ord += 1;
}

static void test_nothing_hides_behind_the_fields(void **state)
{
    (void)state;
    enum { PING = TRIB_EVENT_PING * 2 + TRIB_LANE_ROUTINE };
    uint8_t head[4];
    struct trib_cbor_writer w;
    trib_cbor_writer_init(&w, head, sizeof head);
    trib_cbor_put_uint(&w, PING);
    struct {
        uint8_t open;
        const char *rest;
        size_t rest_len;
    } items[] = {
        {0x84, "\x01\xa0\x01", 3},                        /* ord by 1, said aloud */
        {0x85, "\x01\xa0\x01\x66hidden", 10},             /* and something behind it */
        {0x9f, "\x01\xa0\xff", 3},                        /* as many as there are */
        {0x9f, "\x01\xa0\x01\x66hidden\xff", 11},         /* and more */
        {0x84, "\x01\x00\xa0", 3},                        /* the same context, said again */
        {0x83, "\x19\x00\x01\xa1\x18\x63\x66hidden", 13}, /* a field that nobody declared */
    };
    batch_begin(&x, 1, 1, 0, 0);
    for (size_t i = 0; i < sizeof items / sizeof items[0]; i++) {
        uint8_t bytes[64];
        size_t len = 0;
        bytes[len++] = items[i].open;
        memcpy(bytes + len, head, w.len);
        len += w.len;
        memcpy(bytes + len, items[i].rest, items[i].rest_len);
        raw_item(bytes, len + items[i].rest_len);
        plain_event();
    }
    assert_int_equal(batch_admit(&x), GW_ADMIT_OK);
    assert_int_equal(x.out.event_count, 12);
    assert_null(memmem(x.out.write.entry, x.out.write.entry_len, "hidden", 6));
    struct trib_wire_batch_reader reader = open_entry();
    struct trib_wire_batch_item item;
    for (unsigned i = 0; i < 12; i++) {
        assert_int_equal(trib_wire_batch_next(&reader, &item), 1);
        assert_int_equal(item.mono_ms, 1001 + i);
        assert_int_equal(item.ord, 11 + i);
        assert_int_equal(item.seq, 1 + i);
    }
    assert_int_equal(trib_wire_batch_next(&reader, &item), 0);
}

/* --- any batch --- */

static uint64_t seed;
static unsigned contexts; /* bit = index that the batch has defined */

static unsigned dice(unsigned sides)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % sides;
}

/* One random item: events with and without user, undeclared fields and contexts, bad ones, leaps of ord, drops. */
static void random_item(void)
{
    static const char *const users[] = {"a", "viewer-17",
                                        "a user id that is longer than its pseudonym will ever be"};
    const unsigned lane = dice(2);
    if (dice(12) == 0) {
        unsigned index = 1 + dice(3);
        batch_context(&x, index, dice(1000) + 1, "film", users[dice(3)]);
        contexts |= 1u << index;
        return;
    }
    if (dice(15) == 0) {
        trib_wire_batch_drop(&x.batch, lane, 1 + dice(4), 0, 1);
        return;
    }
    bool user = dice(2), undeclared = dice(5) == 0, bad = dice(10) == 0, last = dice(2);
    fields_begin(&x, 1u + user + undeclared);
    if (user && !last)
        fields_text(&x, TRIB_FIELD_USER, users[dice(3)]);
    if (undeclared)
        fields_text(&x, TRIB_FIELD_ITEM, "nobody declared this");
    if (bad)
        fields_text(&x, TRIB_FIELD_PLAYED_MS, "not a number");
    else
        fields_uint(&x, TRIB_FIELD_PLAYED_MS, dice(2) ? dice(20) : dice(100000));
    if (user && last)
        fields_text(&x, TRIB_FIELD_USER, users[dice(3)]);
    unsigned index = dice(4), context = contexts >> index & 1 && dice(3) ? index : x.batch.context;
    uint64_t leap = dice(6) == 0 ? 2 + dice(300) : 1;
    trib_wire_batch_event(&x.batch, lane, TRIB_EVENT_PING, x.batch.mono_ms + dice(2) * dice(70000),
                          x.batch.ord + leap, context, x.fields, x.f.len);
}

/* What of the fields must come out: the number, and the pseudonym where there was a user. */
static void check_fields(const struct trib_wire_batch_item *in, const struct trib_wire_batch_item *out)
{
    struct gw_validated before, after;
    char text[GW_PSEUDONYM_TEXT_MAX];
    assert_int_equal(gw_validate_event(in->kind, in->fields, in->fields_len, &before), 0);
    assert_int_equal(gw_validate_event(out->kind, out->fields, out->fields_len, &after), 0);
    assert_int_equal(before.field_count, after.field_count);
    assert_int_equal(after.undeclared, 0);
    for (unsigned i = 0; i < before.field_count; i++) {
        const struct gw_field_span *a = &before.fields[i], *b = &after.fields[i];
        struct trib_cbor_reader ra, rb;
        trib_cbor_reader_init(&ra, in->fields + a->value_at, a->end - a->value_at);
        trib_cbor_reader_init(&rb, out->fields + b->value_at, b->end - b->value_at);
        assert_int_equal(a->id, b->id);
        if (a->id != TRIB_FIELD_USER) {
            assert_int_equal(trib_cbor_get_uint(&ra), trib_cbor_get_uint(&rb));
            continue;
        }
        size_t clear_len, masked_len;
        const char *clear = trib_cbor_get_text(&ra, &clear_len),
                   *masked = trib_cbor_get_text(&rb, &masked_len);
        assert_int_equal(gw_pseudonym_text(x.pseudonym, clear, clear_len, text), masked_len);
        assert_memory_equal(text, masked, masked_len);
    }
}

/* The entry's items are the batch's, in order, without what was committed before. */
static void compare(const uint64_t committed[TRIB_LANE_COUNT])
{
    struct trib_wire_batch_reader in, out = open_entry();
    struct trib_wire_batch_item a, b = {.kind = 0};
    assert_int_equal(trib_wire_batch_read(&in, x.input.batch, x.input.batch_len), 0);
    while (trib_wire_batch_next(&in, &a) == 1) {
        if (a.kind < TRIB_ITEM_FIRST_EVENT || a.seq <= committed[a.lane])
            continue;
        do
            assert_int_equal(trib_wire_batch_next(&out, &b), 1);
        while (b.kind == TRIB_ITEM_CONTEXT || b.kind == TRIB_ITEM_DROP);
        assert_int_equal(a.lane, b.lane);
        assert_int_equal(a.seq, b.seq);
        assert_int_equal(a.mono_ms, b.mono_ms);
        struct gw_validated valid;
        bool bad = gw_validate_event(a.kind, a.fields, a.fields_len, &valid) != 0;
        assert_int_equal(b.kind, bad ? TRIB_ITEM_TOMBSTONE : a.kind);
        if (bad)
            continue;
        assert_int_equal(a.ord, b.ord);
        assert_int_equal(a.context, b.context);
        check_fields(&a, &b);
    }
}

static void test_any_batch_comes_out_as_it_went_in_but_masked(void **state)
{
    (void)state;
    struct gw_pseudonym_cache *cache;
    assert_int_equal(gw_pseudonym_cache_new(16, &cache), 0);
    unsigned compared = 0;
    for (unsigned round = 0; round < 3000; round++) {
        seed = round;
        contexts = 0;
        uint64_t committed[TRIB_LANE_COUNT] = {dice(2) * dice(6), dice(2) * dice(6)};
        batch_begin(&x, 1, 1, committed[0], committed[1]);
        for (unsigned i = 0, count = dice(60); i < count; i++)
            random_item();
        x.input.pseudonyms = dice(2) ? cache : NULL;
        assert_int_equal(batch_admit(&x), GW_ADMIT_OK);
        if (x.out.write.entry) {
            compare(committed);
            compared++;
            assert_null(memmem(x.out.write.entry, x.out.write.entry_len, "viewer-17", 9));
            assert_null(memmem(x.out.write.entry, x.out.write.entry_len, "nobody declared", 15));
        }
    }
    assert_true(compared > 2500);
    x.input.pseudonyms = NULL;
    gw_pseudonym_cache_free(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_hides_behind_the_fields),
        cmocka_unit_test(test_any_batch_comes_out_as_it_went_in_but_masked),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
