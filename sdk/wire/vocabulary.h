/*
 * The built-in vocabulary as C: ids as enums, and tables for validators and printers.
 * All of it is made from vocabulary.def.
 */
#ifndef TRIB_WIRE_VOCABULARY_H
#define TRIB_WIRE_VOCABULARY_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TRIB_F(NAME) (1ull << TRIB_FIELD_##NAME)

enum trib_field_id {
#define TRIB_FIELD(id, NAME, json_name, TYPE, min, max, UNIT, PRIVACY, doc) TRIB_FIELD_##NAME = id,
#include "wire/vocabulary.def"
    TRIB_FIELD_COUNT = 40,
};

enum trib_event_type {
#define TRIB_EVENT(id, NAME, json_name, LANE, required, optional, doc) TRIB_EVENT_##NAME = id,
#include "wire/vocabulary.def"
    TRIB_EVENT_COUNT = 22,
};

/* TRIB_CAUSE_USER, TRIB_REASON_ENDED, TRIB_STREAM_TYPE_LIVE, TRIB_START_REASON_FIRST, ... */
enum trib_enum_value {
#define TRIB_ENUM(FIELD, value, NAME, json_name) TRIB_##FIELD##_##NAME = value,
#include "wire/vocabulary.def"
};

enum trib_lane { TRIB_LANE_VITAL = 0, TRIB_LANE_ROUTINE = 1, TRIB_LANE_COUNT = 2 };

enum trib_field_type {
    TRIB_TYPE_UINT,
    TRIB_TYPE_INT,
    TRIB_TYPE_BOOL,
    TRIB_TYPE_TEXT,
    TRIB_TYPE_BYTES,
    TRIB_TYPE_ENUM,
    TRIB_TYPE_MAP,
};

enum trib_privacy { TRIB_PRIVACY_NONE, TRIB_PRIVACY_PERSONAL };

struct trib_field_info {
    const char *name; /* as in JSON; NULL where the id is not used */
    const char *unit;
    const char *doc;
    int64_t min;
    uint64_t max;
    uint8_t type;    /* enum trib_field_type */
    uint8_t privacy; /* enum trib_privacy */
};

struct trib_event_info {
    const char *name; /* as in JSON; NULL where the id is not used */
    const char *doc;
    uint64_t required; /* mask of TRIB_F() */
    uint64_t optional;
    uint8_t lane; /* enum trib_lane */
};

/* Indexed by id. The SDK core does not refer to these tables, so that a device does not carry them. */
extern const struct trib_field_info trib_fields[TRIB_FIELD_COUNT];
extern const struct trib_event_info trib_events[TRIB_EVENT_COUNT];

/* JSON name of an enumerated value, or NULL. field is an enum trib_field_id. */
const char *trib_enum_name(unsigned field, uint64_t value);

/* The id of the event or field with this JSON name (len bytes), or -1. */
int trib_event_by_name(const char *name, size_t len);
int trib_field_by_name(const char *name, size_t len);
/* The value of an enumeration with this JSON name, or -1. */
int trib_enum_by_name(unsigned field, const char *name, size_t len);

#ifdef __cplusplus
}
#endif
#endif
