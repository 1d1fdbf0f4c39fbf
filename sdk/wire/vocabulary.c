#include "wire/vocabulary.h"

#include <string.h>

#define TYPE_INDEX(TYPE) TRIB_TYPE_##TYPE

const struct trib_field_info trib_fields[TRIB_FIELD_COUNT] = {
#define TRIB_FIELD(id, NAME, json_name, TYPE, low, high, UNIT, PRIVACY, text)                                \
    [id] = {.name = json_name,                                                                               \
            .unit = UNIT,                                                                                    \
            .doc = text,                                                                                     \
            .min = low,                                                                                      \
            .max = high,                                                                                     \
            .type = TYPE_INDEX(TYPE),                                                                        \
            .privacy = TRIB_PRIVACY_##PRIVACY},
#include "wire/vocabulary.def"
};

const struct trib_event_info trib_events[TRIB_EVENT_COUNT] = {
#define TRIB_EVENT(id, NAME, json_name, LANE, required_mask, optional_mask, text)                            \
    [id] = {.name = json_name,                                                                               \
            .doc = text,                                                                                     \
            .required = (required_mask),                                                                     \
            .optional = (optional_mask) | TRIB_F(USER),                                                      \
            .lane = TRIB_LANE_##LANE},
#include "wire/vocabulary.def"
};

struct enum_entry {
    uint8_t field;
    uint8_t value;
    const char *name;
};

static const struct enum_entry enums[] = {
#define TRIB_ENUM(FIELD, number, NAME, json_name) {TRIB_FIELD_##FIELD, number, json_name},
#include "wire/vocabulary.def"
};

#define ENUM_COUNT (sizeof enums / sizeof enums[0])

static int same(const char *name, const char *given, size_t len)
{
    return name && strlen(name) == len && memcmp(name, given, len) == 0;
}

const char *trib_enum_name(unsigned field, uint64_t value)
{
    for (size_t i = 0; i < ENUM_COUNT; i++)
        if (enums[i].field == field && enums[i].value == value)
            return enums[i].name;
    return NULL;
}

int trib_enum_by_name(unsigned field, const char *name, size_t len)
{
    for (size_t i = 0; i < ENUM_COUNT; i++)
        if (enums[i].field == field && same(enums[i].name, name, len))
            return enums[i].value;
    return -1;
}

int trib_event_by_name(const char *name, size_t len)
{
    for (int i = 0; i < TRIB_EVENT_COUNT; i++)
        if (same(trib_events[i].name, name, len))
            return i;
    return -1;
}

int trib_field_by_name(const char *name, size_t len)
{
    for (int i = 0; i < TRIB_FIELD_COUNT; i++)
        if (same(trib_fields[i].name, name, len))
            return i;
    return -1;
}
