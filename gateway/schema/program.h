/* What a schema is compiled to: nodes (a schema each) of consecutive instructions, and the rules that these refer to. */
#ifndef GW_SCHEMA_PROGRAM_H
#define GW_SCHEMA_PROGRAM_H

#include "base/arena.h"
#include "schema/names.h"
#include "schema/schema.h"

enum gw_keyword {
#define X(name, text, shape, drafts, vocabulary) GW_KW_##name,
#include "schema/keywords.def"
#undef X
    GW_KW_COUNT
};

extern const struct gw_name gw_keyword_names[GW_KW_COUNT];

#define GW_NODE_NONE UINT32_MAX

/* One step of a JSON pointer in a schema document; up NULL: the document's root. */
struct gw_location {
    const struct gw_location *up;
    const char *key; /* NULL: index */
    uint32_t key_len, index;
};

struct gw_program_resource {
    const char *uri;
    const struct gw_location *location;
};

#define GW_NODE_MARKS 1 /* has unevaluatedProperties or unevaluatedItems, so it keeps its own marks */

struct gw_node {
    uint32_t first, count; /* instructions */
    uint32_t resource;
    uint32_t flags;
    const struct gw_location *location;
};

enum gw_op_code {
    GW_OP_FALSE,
    GW_OP_TYPE,    /* arg: mask of kinds */
    GW_OP_NUMBER,  /* rule */
    GW_OP_STRING,  /* rule */
    GW_OP_CHOICE,  /* rule: const and enum */
    GW_OP_OBJECT,  /* rule */
    GW_OP_ARRAY,   /* rule */
    GW_OP_REF,     /* arg: node */
    GW_OP_DYNAMIC, /* rule */
    GW_OP_ALL_OF,  /* rule: list */
    GW_OP_ANY_OF,
    GW_OP_ONE_OF,
    GW_OP_NOT,               /* arg: node */
    GW_OP_IF,                /* rule: list of if, then, else */
    GW_OP_UNEVALUATED_ITEMS, /* arg: node */
    GW_OP_UNEVALUATED_PROPERTIES,
};

struct gw_op {
    uint8_t code;
    uint8_t kinds; /* bit per enum gw_value_kind that it applies to */
    uint16_t keyword;
    uint32_t arg;
    const void *rule;
};

#define GW_KINDS_ALL 0x3f
#define GW_TYPE_INTEGER 0x40 /* in a mask of kinds: numbers without a fraction */

struct gw_list {
    uint32_t count;
    uint32_t nodes[];
};

struct gw_number_rule {
    int64_t low, high; /* integers of 64 bits in here satisfy all bounds */
    int64_t step;      /* multipleOf, if it is such an integer; 0: none or see multiple */
    uint8_t has;       /* bits: see GW_HAS */
    struct gw_number minimum, maximum, above, below, multiple;
};
#define GW_HAS_MINIMUM 1
#define GW_HAS_MAXIMUM 2
#define GW_HAS_ABOVE 4
#define GW_HAS_BELOW 8
#define GW_HAS_MULTIPLE 16

struct gw_regex;
typedef bool (*gw_format_check)(const char *text, size_t len);

struct gw_string_rule {
    uint64_t min, max; /* code points */
    const struct gw_regex *pattern;
    gw_format_check format;
    const char *format_name;
};

struct gw_choice_rule {
    struct gw_names strings;
    bool null_allowed, true_allowed, false_allowed;
    uint32_t value_count; /* numbers, arrays and objects */
    const struct gw_value *values;
    struct gw_cursor cursor; /* over their text */
};

struct gw_pattern_rule {
    const struct gw_regex *regex;
    uint32_t node;
};

struct gw_dependent_rule {
    uint32_t trigger;         /* name */
    uint32_t node;            /* or GW_NODE_NONE */
    const uint64_t *required; /* mask of names, or NULL */
    uint16_t keyword;
};

struct gw_object_rule {
    struct gw_names names; /* of properties, required and dependents */
    const uint32_t *nodes; /* by name; GW_NODE_NONE: not in properties */
    uint32_t words;        /* of a mask of names */
    const uint64_t *required;
    uint64_t min, max;
    uint32_t additional, property_names; /* nodes */
    uint32_t pattern_count, dependent_count;
    const struct gw_pattern_rule *patterns;
    const struct gw_dependent_rule *dependents;
};

struct gw_array_rule {
    const struct gw_list *prefix; /* or NULL */
    uint32_t items, contains;     /* nodes */
    uint64_t min, max, min_contains, max_contains;
    bool unique, contains_marks;
};

struct gw_dynamic_target {
    uint32_t resource, node;
};

struct gw_dynamic_rule {
    uint32_t fallback;
    uint32_t count;
    const struct gw_dynamic_target *targets;
};

struct gw_schema {
    struct gw_arena arena; /* rules, names, texts */
    struct gw_node *nodes;
    struct gw_op *ops;
    struct gw_program_resource *resources;
    uint32_t node_count, op_count, resource_count;
    uint32_t root;
    struct gw_regex *regexes; /* chain, to be freed */
};

#endif
