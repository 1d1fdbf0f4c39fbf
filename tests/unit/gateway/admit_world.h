/* What the tests of admission share: one fixture, made anew for each test, and what it admitted. Included once by each. */
#ifndef TESTS_ADMIT_WORLD_H
#define TESTS_ADMIT_WORLD_H

#include "unit/gateway/admit_fixture.h"

static struct fixture x;

static inline int setup(void **state)
{
    (void)state;
    fixture_open(&x);
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    fixture_close(&x);
    return 0;
}

static inline void ping(unsigned lane, uint64_t played, uint64_t step)
{
    fields_begin(&x, 1);
    fields_uint(&x, TRIB_FIELD_PLAYED_MS, played);
    batch_event(&x, lane, TRIB_EVENT_PING, 0, step);
}

/* The items of the entry just admitted. */
static struct trib_wire_batch_reader reader;
static struct trib_wire_batch_item item;
static struct gw_entry_head entry_head;

static inline void entry_open(void)
{
    const uint8_t *batch;
    size_t batch_len;
    assert_non_null(x.out.write.entry);
    assert_int_equal(
        gw_entry_decode(x.out.write.entry, x.out.write.entry_len, &entry_head, &batch, &batch_len), 0);
    assert_int_equal(trib_wire_batch_read(&reader, batch, batch_len), 0);
}

static inline bool contains(const void *data, size_t len, const char *needle)
{
    return memmem(data, len, needle, strlen(needle)) != NULL;
}

#endif
