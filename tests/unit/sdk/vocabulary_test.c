/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <string.h>

#include "wire/vocabulary.h"

static void test_ids_are_used_once(void **state)
{
    (void)state;
    /* A duplicate case label does not compile; an id beyond the table would not have. */
    switch (0) {
#define TRIB_FIELD(id, NAME, json_name, TYPE, min, max, UNIT, PRIVACY, doc) case id:
#include "wire/vocabulary.def"
        break;
    }
    switch (0) {
    case 0:
    case 1:
    case 2: /* items, not events */
#define TRIB_EVENT(id, NAME, json_name, LANE, required, optional, doc) case id:
#include "wire/vocabulary.def"
        break;
    }
#define TRIB_FIELD(id, NAME, json_name, TYPE, min, max, UNIT, PRIVACY, doc)                                  \
    _Static_assert(id < TRIB_FIELD_COUNT, "TRIB_FIELD_COUNT is too small");
#define TRIB_EVENT(id, NAME, json_name, LANE, required, optional, doc)                                       \
    _Static_assert(id < TRIB_EVENT_COUNT, "TRIB_EVENT_COUNT is too small");
#include "wire/vocabulary.def"
}

/* The tables end where the vocabulary ends, so that nobody walks beyond what is declared. */
static void test_the_last_ids_are_in_use(void **state)
{
    (void)state;
    assert_non_null(trib_fields[TRIB_FIELD_COUNT - 1].name);
    assert_non_null(trib_events[TRIB_EVENT_COUNT - 1].name);
    assert_null(trib_events[0].name);
    assert_null(trib_events[2].name);
}

static void test_names_lead_back_to_their_ids(void **state)
{
    (void)state;
    for (int i = 0; i < TRIB_FIELD_COUNT; i++)
        if (trib_fields[i].name)
            assert_int_equal(trib_field_by_name(trib_fields[i].name, strlen(trib_fields[i].name)), i);
    for (int i = 0; i < TRIB_EVENT_COUNT; i++)
        if (trib_events[i].name)
            assert_int_equal(trib_event_by_name(trib_events[i].name, strlen(trib_events[i].name)), i);
    assert_int_equal(trib_event_by_name("paus", 4), -1);
    assert_int_equal(trib_event_by_name("pauses", 6), -1);
    assert_int_equal(trib_event_by_name("pauses", 5), TRIB_EVENT_PAUSE); /* not terminated */
    assert_int_equal(trib_event_by_name("", 0), -1);
    assert_int_equal(trib_field_by_name("nothing", 7), -1);
}

static void test_enumerations_lead_back_to_their_values(void **state)
{
    (void)state;
    assert_string_equal(trib_enum_name(TRIB_FIELD_CAUSE, TRIB_CAUSE_STALL), "stall");
    assert_string_equal(trib_enum_name(TRIB_FIELD_REASON, TRIB_REASON_POWER_LOSS), "power_loss");
    assert_string_equal(trib_enum_name(TRIB_FIELD_START_REASON, TRIB_START_REASON_ROLLBACK), "rollback");
    assert_null(trib_enum_name(TRIB_FIELD_CAUSE, 5));
    assert_null(trib_enum_name(TRIB_FIELD_CAUSE, UINT64_MAX));
    assert_null(trib_enum_name(TRIB_FIELD_PLAYED_MS, 0));
    assert_null(trib_enum_name(TRIB_FIELD_COUNT, 0));
    assert_int_equal(trib_enum_by_name(TRIB_FIELD_STREAM_TYPE, "live", 4), TRIB_STREAM_TYPE_LIVE);
    assert_int_equal(trib_enum_by_name(TRIB_FIELD_CAUSE, "live", 4), -1);
    for (unsigned field = 0; field < TRIB_FIELD_COUNT; field++)
        for (uint64_t value = 0; trib_enum_name(field, value); value++) {
            const char *name = trib_enum_name(field, value);
            assert_int_equal(trib_enum_by_name(field, name, strlen(name)), value);
            assert_in_range(value, 0, trib_fields[field].max);
        }
}

static void test_tables_are_sound(void **state)
{
    (void)state;
    for (int i = 0; i < TRIB_FIELD_COUNT; i++) {
        const struct trib_field_info *f = &trib_fields[i];
        if (!f->name)
            continue;
        assert_true(f->min < 0 || (uint64_t)f->min <= f->max);
        assert_int_equal(trib_enum_name((unsigned)i, 0) != NULL, f->type == TRIB_TYPE_ENUM);
        assert_true(strlen(f->doc) > 0);
    }
    for (int i = 0; i < TRIB_EVENT_COUNT; i++) {
        const struct trib_event_info *e = &trib_events[i];
        if (!e->name)
            continue;
        assert_true((e->required & e->optional) == 0);
        assert_true(e->optional & TRIB_F(USER));
        assert_in_range(e->lane, TRIB_LANE_VITAL, TRIB_LANE_ROUTINE);
    }
    assert_int_equal(trib_fields[TRIB_FIELD_USER].privacy, TRIB_PRIVACY_PERSONAL);
    assert_int_equal(trib_events[TRIB_EVENT_FAVOURITE_ADD].lane, TRIB_LANE_VITAL);
    assert_int_equal(trib_events[TRIB_EVENT_PING].lane, TRIB_LANE_ROUTINE);
    assert_true(trib_fields[TRIB_FIELD_CODE].min == INT32_MIN &&
                trib_fields[TRIB_FIELD_CODE].max == INT32_MAX);
    assert_true(trib_fields[TRIB_FIELD_PREVIOUS].max == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids_are_used_once),
        cmocka_unit_test(test_the_last_ids_are_in_use),
        cmocka_unit_test(test_names_lead_back_to_their_ids),
        cmocka_unit_test(test_enumerations_lead_back_to_their_values),
        cmocka_unit_test(test_tables_are_sound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
