/* Members of an event's JSON without a tree: events are read by the million. Pure. */
#ifndef CTL_FIELDS_H
#define CTL_FIELDS_H

#include <stdbool.h>
#include <stddef.h>

struct ctl_field {
    const char *name; /* between the quotes, as it stands */
    size_t name_len;
    const char *value; /* a string without its quotes, else the bytes of number, literal, object or array */
    size_t value_len;
    bool text; /* it was a string */
};

struct ctl_fields {
    const char *at, *end;
};

/* json: one object. False if it is not one. */
bool ctl_fields_open(const char *json, size_t len, struct ctl_fields *out);
/* The next member; false at the end, or where it is not JSON. */
bool ctl_fields_next(struct ctl_fields *fields, struct ctl_field *out);
/* The member of that name; false if there is none. */
bool ctl_fields_find(const char *json, size_t len, const char *name, struct ctl_field *out);
bool ctl_field_is(const struct ctl_field *field, const char *value);

#endif
