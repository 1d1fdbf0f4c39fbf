/* Any bytes as an event's JSON: members lie within it, and the walk ends. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../../tools/ctl/fields.c"

static void check_inside(const char *json, size_t size, const char *at, size_t len)
{
    if (at < json || at + len > json + size)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *json = malloc(size + 1);
    struct ctl_fields fields;
    struct ctl_field field;
    if (!json)
        return 0;
    memcpy(json, data, size);
    if (ctl_fields_open(json, size, &fields)) {
        while (ctl_fields_next(&fields, &field)) {
            check_inside(json, size, field.name, field.name_len);
            check_inside(json, size, field.value, field.value_len);
        }
    }
    (void)ctl_fields_find(json, size, "type", &field);
    free(json);
    return 0;
}
