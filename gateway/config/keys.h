/* The table of keys, made from config.def. */
#ifndef GW_CONFIG_KEYS_H
#define GW_CONFIG_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"

enum gw_config_type {
    GW_CONFIG_TEXT,
    GW_CONFIG_PATH,
    GW_CONFIG_CHOICE,
    GW_CONFIG_BOOL,
    GW_CONFIG_PORT,
    GW_CONFIG_COUNT32,
    GW_CONFIG_SIZE32,
    GW_CONFIG_SIZE64,
    GW_CONFIG_TIME_MS32,
    GW_CONFIG_TIME_S32,
};

struct gw_config_key {
    const char *section, *name, *path; /* path: "section.name" */
    enum gw_config_type type;
    const char *fallback; /* default, as written; "": none */
    uint64_t least, most; /* of a number in its base unit (bytes, milliseconds), of a text's length */
    bool required;
    bool list; /* of up to most texts or paths */
    const char *example, *text;
    size_t offset, count_offset; /* in struct gw_config */
};

struct gw_config_section {
    const char *name, *text;
};

extern const struct gw_config_key gw_config_keys[];
extern const size_t gw_config_key_count;
extern const struct gw_config_section gw_config_sections[];
extern const size_t gw_config_section_count;

/* Whether a running gateway takes a change of it (SIGHUP). */
bool gw_config_reloads(const struct gw_config_key *key);

#define GW_CONFIG_VALUE_TEXT_MAX 512

/* What a value of this key must be, for people: "a number from 0 to 65535". Returns out. */
const char *gw_config_expected(const struct gw_config_key *key, char out[GW_CONFIG_VALUE_TEXT_MAX]);
/* The key's value in a configuration as it would be written in the file. Item 0 of what is no list. */
void gw_config_value_text(const struct gw_config *config, const struct gw_config_key *key, size_t item,
                          char *out, size_t capacity);
/* Items of a list; for anything else 1, or 0 where a text is empty. */
size_t gw_config_value_count(const struct gw_config *config, const struct gw_config_key *key);

/* Markdown for docs/configuration.md, and the commented example gateway/deploy/tributaryd.yaml. */
void gw_config_print_reference(FILE *out);
void gw_config_print_example(FILE *out);

#endif
