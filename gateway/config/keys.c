#include "config/keys.h"

#include <inttypes.h>
#include <string.h>

#include "config/units.h"

#define REQUIRED true
#define OPTIONAL false

const struct gw_config_key gw_config_keys[] = {
#define GW_CONFIG_SECTION(section, text)
#define GW_CONFIG_KEY(section, key, TYPE, member, fallback, least, most, NEED, example, text)                \
    {#section,                                                                                               \
     #key,                                                                                                   \
     #section "." #key,                                                                                      \
     GW_CONFIG_##TYPE,                                                                                       \
     fallback,                                                                                               \
     least,                                                                                                  \
     most,                                                                                                   \
     NEED,                                                                                                   \
     false,                                                                                                  \
     example,                                                                                                \
     text,                                                                                                   \
     offsetof(struct gw_config, member),                                                                     \
     0},
#define GW_CONFIG_LIST(section, key, TYPE, member, count_member, most, example, text)                        \
    {#section,                                                                                               \
     #key,                                                                                                   \
     #section "." #key,                                                                                      \
     GW_CONFIG_##TYPE,                                                                                       \
     "",                                                                                                     \
     0,                                                                                                      \
     most,                                                                                                   \
     false,                                                                                                  \
     true,                                                                                                   \
     example,                                                                                                \
     text,                                                                                                   \
     offsetof(struct gw_config, member),                                                                     \
     offsetof(struct gw_config, count_member)},
#include "config/config.def"
#undef GW_CONFIG_SECTION
#undef GW_CONFIG_KEY
#undef GW_CONFIG_LIST
};
const size_t gw_config_key_count = sizeof gw_config_keys / sizeof gw_config_keys[0];

const struct gw_config_section gw_config_sections[] = {
#define GW_CONFIG_SECTION(section, text) {#section, text},
#define GW_CONFIG_KEY(...)
#define GW_CONFIG_LIST(...)
#include "config/config.def"
#undef GW_CONFIG_SECTION
#undef GW_CONFIG_KEY
#undef GW_CONFIG_LIST
};
const size_t gw_config_section_count = sizeof gw_config_sections / sizeof gw_config_sections[0];

const char *gw_config_expected(const struct gw_config_key *key, char out[GW_CONFIG_VALUE_TEXT_MAX])
{
    char least[GW_UNITS_TEXT_MAX], most[GW_UNITS_TEXT_MAX];
    if (key->list) {
        const char *kind = key->type == GW_CONFIG_PATH ? "path" : "text";
        snprintf(out, GW_CONFIG_VALUE_TEXT_MAX, "a %s, or a list of up to %" PRIu64 " %ss", kind, key->most,
                 kind);
        return out;
    }
    switch (key->type) {
    case GW_CONFIG_TEXT:
    case GW_CONFIG_PATH:
        snprintf(out, GW_CONFIG_VALUE_TEXT_MAX, "%s of %" PRIu64 " to %" PRIu64 " bytes",
                 key->type == GW_CONFIG_PATH ? "a path" : "a text", key->least, key->most);
        break;
    case GW_CONFIG_CHOICE:
        snprintf(out, GW_CONFIG_VALUE_TEXT_MAX, "one of %s", key->example);
        break;
    case GW_CONFIG_BOOL:
        snprintf(out, GW_CONFIG_VALUE_TEXT_MAX, "true or false");
        break;
    case GW_CONFIG_PORT:
    case GW_CONFIG_COUNT32:
        snprintf(out, GW_CONFIG_VALUE_TEXT_MAX, "a whole number from %" PRIu64 " to %" PRIu64, key->least,
                 key->most);
        break;
    case GW_CONFIG_SIZE32:
    case GW_CONFIG_SIZE64:
        snprintf(out, GW_CONFIG_VALUE_TEXT_MAX, "a size from %s to %s, in bytes or such as 64KiB or 256MiB",
                 gw_units_size_text(key->least, least), gw_units_size_text(key->most, most));
        break;
    case GW_CONFIG_TIME_MS32:
        snprintf(out, GW_CONFIG_VALUE_TEXT_MAX, "a time from %s to %s with its unit, such as 500ms or 25s",
                 gw_units_duration_text(key->least, least), gw_units_duration_text(key->most, most));
        break;
    case GW_CONFIG_TIME_S32:
        snprintf(out, GW_CONFIG_VALUE_TEXT_MAX,
                 "a time from %s to %s with its unit, in whole seconds, such as 10s or 5m",
                 gw_units_duration_text(key->least * 1000, least),
                 gw_units_duration_text(key->most * 1000, most));
        break;
    }
    return out;
}

static const void *member(const struct gw_config *config, size_t offset)
{
    return (const char *)config + offset;
}

static uint32_t number32(const struct gw_config *config, const struct gw_config_key *key)
{
    return *(const uint32_t *)member(config, key->offset);
}

void gw_config_value_text(const struct gw_config *config, const struct gw_config_key *key, size_t item,
                          char *out, size_t capacity)
{
    char units[GW_UNITS_TEXT_MAX];
    switch (key->type) {
    case GW_CONFIG_TEXT:
    case GW_CONFIG_PATH:
    case GW_CONFIG_CHOICE:
        snprintf(out, capacity, "%s", ((const char *const *)member(config, key->offset))[item]);
        break;
    case GW_CONFIG_BOOL:
        snprintf(out, capacity, "%s", *(const bool *)member(config, key->offset) ? "true" : "false");
        break;
    case GW_CONFIG_PORT:
        snprintf(out, capacity, "%u", *(const uint16_t *)member(config, key->offset));
        break;
    case GW_CONFIG_COUNT32:
        snprintf(out, capacity, "%" PRIu32, number32(config, key));
        break;
    case GW_CONFIG_SIZE32:
        snprintf(out, capacity, "%s", gw_units_size_text(number32(config, key), units));
        break;
    case GW_CONFIG_SIZE64:
        snprintf(out, capacity, "%s",
                 gw_units_size_text(*(const uint64_t *)member(config, key->offset), units));
        break;
    case GW_CONFIG_TIME_MS32:
        snprintf(out, capacity, "%s", gw_units_duration_text(number32(config, key), units));
        break;
    case GW_CONFIG_TIME_S32:
        snprintf(out, capacity, "%s", gw_units_duration_text((uint64_t)number32(config, key) * 1000, units));
        break;
    }
}

size_t gw_config_value_count(const struct gw_config *config, const struct gw_config_key *key)
{
    if (key->list)
        return *(const size_t *)member(config, key->count_offset);
    if (key->type != GW_CONFIG_TEXT && key->type != GW_CONFIG_PATH)
        return 1;
    return **(const char *const *)member(config, key->offset) != 0;
}
