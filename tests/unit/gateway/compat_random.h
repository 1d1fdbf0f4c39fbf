/*
 * Random schemas, a changed schema of each, and events that are often valid by it. Every decision is a hash of its place, so that
 * the changed schema differs in some decisions only (`rate` of 1,000), and events know which branch they are made for. Events hold
 * only members that their schema declares at that place.
 */
#ifndef COMPAT_RANDOM_H
#define COMPAT_RANDOM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct compat_world {
    uint64_t seed, change; /* change 0: as the seed has it */
    unsigned rate;
    bool loose; /* events hold members that nothing declares, too */
};

struct compat_text {
    const struct compat_world *world;
    char *out;
    size_t len, room;
    uint64_t dice; /* of events */
};

static inline uint64_t compat_mix(uint64_t a, uint64_t b)
{
    uint64_t h = (a ^ (b + 0x9e3779b97f4a7c15u + (a << 6) + (a >> 2))) * 0xbf58476d1ce4e5b9u;
    h = (h ^ h >> 29) * 0x94d049bb133111ebu;
    return h ^ h >> 32;
}

static inline unsigned compat_decide(const struct compat_world *w, uint64_t node, uint64_t salt, unsigned n)
{
    uint64_t hash = compat_mix(compat_mix(w->seed, node), salt);
    if (w->change) {
        uint64_t other = compat_mix(hash, w->change);
        if (other % 1000 < w->rate)
            hash = compat_mix(other, 1);
    }
    return (unsigned)(hash % n);
}

static inline unsigned compat_dice(struct compat_text *t, unsigned n)
{
    t->dice = compat_mix(t->dice, 77);
    return (unsigned)(t->dice % n);
}

static inline void compat_put(struct compat_text *t, const char *text)
{
    size_t len = strlen(text);
    if (t->len + len < t->room) {
        memcpy(t->out + t->len, text, len + 1);
        t->len += len;
    }
}

static inline void compat_put_int(struct compat_text *t, const char *before, int value)
{
    char text[64];
    (void)snprintf(text, sizeof text, "%s%d", before, value);
    compat_put(t, text);
}

static inline uint64_t compat_child(uint64_t node, unsigned index)
{
    return compat_mix(node, 1000 + index);
}

static const char *const compat_names[] = {"a", "b", "c", "d", "x1", "x2"};
static const char *const compat_patterns[] = {"^a", "b$", "^[a-c]*$", "x"};
static const char *const compat_strings[] = {"",    "a",   "b",      "ab",       "abc",
                                             "cab", "xab", "aaaaaa", "\xc3\xbc", "2026-11-21"};
static const char *const compat_values[] = {"1",    "2",   "\"a\"", "\"ab\"",    "null",
                                            "true", "1.5", "[]",    "{\"a\":1}", "-3"};
static const char *const compat_steps[] = {"1", "2", "0.5", "4", "3"};
static const char *const compat_types[] = {"integer", "string", "null",  "boolean",
                                           "object",  "array",  "number"};

enum compat_kind {
    COMPAT_INTEGER,
    COMPAT_STRING,
    COMPAT_OBJECT,
    COMPAT_ARRAY,
    COMPAT_ENUM,
    COMPAT_ANY_OF,
    COMPAT_ONE_OF,
    COMPAT_ALL_OF,
    COMPAT_TYPES,
    COMPAT_CONST,
    COMPAT_NUMBER,
    COMPAT_IF,
    COMPAT_NOT,
    COMPAT_ANYTHING,
    COMPAT_MAP,
    COMPAT_REF,
    COMPAT_KINDS
};

static inline enum compat_kind compat_kind_at(const struct compat_world *w, uint64_t node, unsigned depth)
{
    if (depth == 0) {
        static const enum compat_kind leaves[] = {COMPAT_INTEGER, COMPAT_STRING, COMPAT_ENUM, COMPAT_TYPES,
                                                  COMPAT_NUMBER};
        return leaves[compat_decide(w, node, 1, 5)];
    }
    return compat_decide(w, node, 2, 4) == 0 ? COMPAT_OBJECT
                                             : (enum compat_kind)compat_decide(w, node, 3, COMPAT_KINDS);
}

static inline void compat_schema(struct compat_text *t, uint64_t node, unsigned depth);

static inline void compat_schema_number(struct compat_text *t, uint64_t node)
{
    const struct compat_world *w = t->world;
    static const char *const low[] = {",\"minimum\":", ",\"exclusiveMinimum\":"},
                             *const high[] = {",\"maximum\":", ",\"exclusiveMaximum\":"};
    if (compat_decide(w, node, 10, 3) == 0)
        compat_put_int(t, low[compat_decide(w, node, 11, 2)], (int)compat_decide(w, node, 12, 6) - 3);
    if (compat_decide(w, node, 13, 3) == 0)
        compat_put_int(t, high[compat_decide(w, node, 14, 2)], (int)compat_decide(w, node, 15, 6));
    if (compat_decide(w, node, 16, 6) == 0) {
        compat_put(t, ",\"multipleOf\":");
        compat_put(t, compat_steps[compat_decide(w, node, 17, 5)]);
    }
}

static inline void compat_schema_string(struct compat_text *t, uint64_t node)
{
    const struct compat_world *w = t->world;
    if (compat_decide(w, node, 20, 3) == 0)
        compat_put_int(t, ",\"minLength\":", (int)compat_decide(w, node, 21, 3));
    if (compat_decide(w, node, 22, 3) == 0)
        compat_put_int(t, ",\"maxLength\":", (int)compat_decide(w, node, 23, 5));
    if (compat_decide(w, node, 24, 5) == 0) {
        compat_put(t, ",\"pattern\":\"");
        compat_put(t, compat_patterns[compat_decide(w, node, 25, 4)]);
        compat_put(t, "\"");
    }
    if (compat_decide(w, node, 26, 12) == 0)
        compat_put(t, compat_decide(w, node, 27, 2) ? ",\"format\":\"date\"" : ",\"format\":\"ipv4\"");
}

static inline void compat_schema_list(struct compat_text *t, uint64_t node, unsigned depth,
                                      const char *keyword, unsigned count)
{
    compat_put(t, keyword);
    for (unsigned i = 0; i < count; i++) {
        if (i > 0)
            compat_put(t, ",");
        compat_schema(t, compat_child(node, i), depth - 1);
    }
    compat_put(t, "]");
}

static inline void compat_schema_rest(struct compat_text *t, uint64_t node, unsigned depth)
{
    const struct compat_world *w = t->world;
    unsigned many = 0;
    if (compat_decide(w, node, 36, 4) == 0)
        compat_put(t, ",\"additionalProperties\":false");
    else if (compat_decide(w, node, 37, 6) == 0)
        compat_put(t, ",\"unevaluatedProperties\":false");
    else if (compat_decide(w, node, 49, 6) == 0) {
        compat_put(t, ",\"additionalProperties\":");
        compat_schema(t, compat_child(node, 60), depth - 1);
    }
    compat_put(t, ",\"required\":[");
    for (unsigned i = 0; i < 6; i++)
        if (compat_decide(w, node, 38 + i, 6) == 0) {
            compat_put(t, many++ ? ",\"" : "\"");
            compat_put(t, compat_names[i]);
            compat_put(t, "\"");
        }
    compat_put(t, "]");
    if (compat_decide(w, node, 45, 8) == 0)
        compat_put_int(t, ",\"minProperties\":", (int)compat_decide(w, node, 46, 4));
    if (compat_decide(w, node, 47, 8) == 0)
        compat_put_int(t, ",\"maxProperties\":", (int)compat_decide(w, node, 48, 4) + 1);
    if (compat_decide(w, node, 50, 8) == 0)
        compat_put(t, ",\"dependentRequired\":{\"a\":[\"b\"]}");
    if (compat_decide(w, node, 51, 10) == 0) {
        compat_put(t, ",\"dependentSchemas\":{\"b\":");
        compat_schema(t, compat_child(node, 61), depth - 1);
        compat_put(t, "}");
    }
    if (compat_decide(w, node, 52, 10) == 0)
        compat_put(t, compat_decide(w, node, 53, 2) ? ",\"propertyNames\":{\"maxLength\":1}"
                                                    : ",\"propertyNames\":{\"enum\":[\"a\",\"b\",\"c\"]}");
}

static inline bool compat_declares(const struct compat_world *w, uint64_t node, unsigned name)
{
    return compat_decide(w, node, 30 + name, 2) == 0;
}

static inline void compat_schema_object(struct compat_text *t, uint64_t node, unsigned depth)
{
    const struct compat_world *w = t->world;
    unsigned many = 0;
    compat_put(t, ",\"properties\":{");
    for (unsigned i = 0; i < 6; i++) {
        if (!compat_declares(w, node, i))
            continue;
        compat_put(t, many++ ? ",\"" : "\"");
        compat_put(t, compat_names[i]);
        compat_put(t, "\":");
        compat_schema(t, compat_child(node, i), depth - 1);
    }
    compat_put(t, "}");
    if (compat_decide(w, node, 54, 6) == 0) {
        compat_put(t, ",\"patternProperties\":{\"^x\":");
        compat_schema(t, compat_child(node, 62), depth - 1);
        compat_put(t, "}");
    }
    compat_schema_rest(t, node, depth);
}

static inline void compat_schema_array(struct compat_text *t, uint64_t node, unsigned depth)
{
    const struct compat_world *w = t->world;
    unsigned prefix = compat_decide(w, node, 70, 3);
    if (prefix > 0)
        compat_schema_list(t, node, depth, ",\"prefixItems\":[", prefix);
    if (compat_decide(w, node, 71, 3) > 0) {
        compat_put(t, ",\"items\":");
        if (prefix > 0 && compat_decide(w, node, 72, 2) == 0)
            compat_put(t, "false");
        else
            compat_schema(t, compat_child(node, 63), depth - 1);
    }
    if (compat_decide(w, node, 73, 4) == 0)
        compat_put_int(t, ",\"minItems\":", (int)compat_decide(w, node, 74, 3));
    if (compat_decide(w, node, 75, 4) == 0)
        compat_put_int(t, ",\"maxItems\":", (int)compat_decide(w, node, 76, 4));
    if (compat_decide(w, node, 77, 5) == 0)
        compat_put(t, ",\"uniqueItems\":true");
    if (compat_decide(w, node, 78, 6) == 0) {
        compat_put(t, ",\"contains\":");
        compat_schema(t, compat_child(node, 64), 0);
        if (compat_decide(w, node, 79, 2) == 0)
            compat_put_int(t, ",\"minContains\":", (int)compat_decide(w, node, 80, 3));
        if (compat_decide(w, node, 81, 2) == 0)
            compat_put_int(t, ",\"maxContains\":", (int)compat_decide(w, node, 82, 3) + 1);
    }
}

static inline void compat_schema_tagged(struct compat_text *t, uint64_t node, unsigned depth)
{
    const unsigned count = 2 + compat_decide(t->world, node, 90, 2);
    compat_put(t, ",\"oneOf\":[");
    for (unsigned i = 0; i < count; i++) {
        compat_put_int(t,
                       i ? ",{\"type\":\"object\",\"required\":[\"d\"],\"properties\":{\"d\":{\"const\":"
                         : "{\"type\":\"object\",\"required\":[\"d\"],\"properties\":{\"d\":{\"const\":",
                       (int)i);
        compat_put(t, "},\"a\":");
        compat_schema(t, compat_child(node, i), depth - 1);
        compat_put(t, "}}");
    }
    compat_put(t, "]");
}

static inline void compat_schema_condition(struct compat_text *t, uint64_t node, unsigned depth)
{
    static const char *const words[] = {",\"if\":", ",\"then\":", ",\"else\":"};
    for (unsigned i = 0; i < 3; i++)
        if (i < 1 || compat_decide(t->world, node, 100 + i, 4) > 0) {
            compat_put(t, words[i]);
            compat_schema(t, compat_child(node, i), depth - 1);
        }
}

static inline void compat_schema_choice(struct compat_text *t, uint64_t node)
{
    const unsigned count = 1 + compat_decide(t->world, node, 110, 4);
    compat_put(t, ",\"enum\":[");
    for (unsigned i = 0; i < count; i++) {
        if (i > 0)
            compat_put(t, ",");
        compat_put(t, compat_values[compat_decide(t->world, node, 111 + i, 10)]);
    }
    compat_put(t, "]");
}

/* Its words are put after a first member that says nothing. */
static inline void compat_schema(struct compat_text *t, uint64_t node, unsigned depth)
{
    const enum compat_kind kind = compat_kind_at(t->world, node, depth);
    compat_put(t, "{\"title\":\"\"");
    switch (kind) {
    case COMPAT_INTEGER:
    case COMPAT_NUMBER:
        compat_put(t, kind == COMPAT_INTEGER ? ",\"type\":\"integer\"" : ",\"type\":\"number\"");
        compat_schema_number(t, node);
        break;
    case COMPAT_STRING:
        compat_put(t, ",\"type\":\"string\"");
        compat_schema_string(t, node);
        break;
    case COMPAT_OBJECT:
        if (compat_decide(t->world, node, 4, 6) > 0)
            compat_put(t, ",\"type\":\"object\"");
        compat_schema_object(t, node, depth);
        break;
    case COMPAT_MAP:
        compat_put(t, ",\"type\":\"object\",\"additionalProperties\":");
        compat_schema(t, compat_child(node, 60), depth - 1);
        break;
    case COMPAT_ARRAY:
        compat_put(t, ",\"type\":\"array\"");
        compat_schema_array(t, node, depth);
        break;
    case COMPAT_ENUM:
        compat_schema_choice(t, node);
        break;
    case COMPAT_CONST:
        compat_put(t, ",\"const\":");
        compat_put(t, compat_values[compat_decide(t->world, node, 120, 10)]);
        break;
    case COMPAT_ANY_OF:
        compat_schema_list(t, node, depth, ",\"anyOf\":[", 1 + compat_decide(t->world, node, 5, 3));
        break;
    case COMPAT_ONE_OF:
        if (compat_decide(t->world, node, 6, 2))
            compat_schema_tagged(t, node, depth);
        else
            compat_schema_list(t, node, depth, ",\"oneOf\":[", 1 + compat_decide(t->world, node, 5, 3));
        break;
    case COMPAT_ALL_OF:
        compat_schema_list(t, node, depth, ",\"allOf\":[", 1 + compat_decide(t->world, node, 5, 2));
        break;
    case COMPAT_TYPES: {
        const unsigned one = compat_decide(t->world, node, 7, 7),
                       two = (one + 1 + compat_decide(t->world, node, 8, 6)) % 7;
        compat_put(t, ",\"type\":[\"");
        compat_put(t, compat_types[one]);
        compat_put(t, "\",\"");
        compat_put(t, compat_types[two]);
        compat_put(t, "\"]");
        compat_schema_number(t, node);
        compat_schema_string(t, node);
        break;
    }
    case COMPAT_IF:
        compat_schema_condition(t, node, depth);
        break;
    case COMPAT_NOT:
        compat_put(t, ",\"not\":");
        compat_schema(t, compat_child(node, 0), depth - 1);
        break;
    case COMPAT_REF:
        compat_put(t, ",\"$ref\":\"#/$defs/shared\"");
        break;
    default:
        break;
    }
    compat_put(t, "}");
}

#define COMPAT_ROOT 5
#define COMPAT_SHARED 6

static inline void compat_random_schema(const struct compat_world *world, char *out, size_t room)
{
    struct compat_text t = {.world = world, .out = out, .room = room - 8};
    compat_put(&t, "{\"allOf\":[");
    compat_schema(&t, COMPAT_ROOT, 3);
    compat_put(&t, "],\"$defs\":{\"shared\":{\"type\":[\"object\",\"integer\"],\"properties\":{\"a\":{\"$"
                   "ref\":\"#/$defs/shared\"},\"b\":");
    compat_schema(&t, COMPAT_SHARED, 1);
    compat_put(&t, "}}}}");
}

/* --- events --- */

static inline void compat_event(struct compat_text *t, uint64_t node, unsigned depth);

static inline void compat_event_number(struct compat_text *t)
{
    compat_put_int(t, "", (int)compat_dice(t, 11) - 4);
    if (compat_dice(t, 5) == 0)
        compat_put(t, ".5");
}

static inline void compat_event_string(struct compat_text *t)
{
    compat_put(t, "\"");
    compat_put(t, compat_strings[compat_dice(t, 10)]);
    compat_put(t, "\"");
}

static inline void compat_event_type(struct compat_text *t, unsigned type)
{
    static const char *const fixed[] = {"null", "true", "{}", "[]"};
    if (type == 0 || type == 6)
        compat_event_number(t);
    else if (type == 1)
        compat_event_string(t);
    else
        compat_put(t, fixed[type - 2]);
}

static inline void compat_member(struct compat_text *t, unsigned *many, const char *name, uint64_t node,
                                 unsigned depth)
{
    compat_put(t, (*many)++ ? ",\"" : "\"");
    compat_put(t, name);
    compat_put(t, "\":");
    compat_event(t, node, depth - 1);
}

static inline void compat_event_object(struct compat_text *t, uint64_t node, unsigned depth)
{
    const struct compat_world *w = t->world;
    const bool rest = compat_decide(w, node, 36, 4) > 0 && compat_decide(w, node, 37, 6) > 0 &&
                      compat_decide(w, node, 49, 6) == 0;
    const bool pattern = compat_decide(w, node, 54, 6) == 0;
    unsigned many = 0;
    compat_put(t, "{");
    for (unsigned i = 0; i < 6; i++) {
        const bool asked = compat_decide(w, node, 38 + i, 6) == 0;
        if (!asked && compat_dice(t, 3) == 0)
            continue;
        if (compat_declares(w, node, i))
            compat_member(t, &many, compat_names[i], compat_child(node, i), depth);
        else if (pattern && i >= 4)
            compat_member(t, &many, compat_names[i], compat_child(node, 62), depth);
        else if (rest)
            compat_member(t, &many, compat_names[i], compat_child(node, 60), depth);
        else if (w->loose && compat_dice(t, 2)) {
            compat_put(t, many++ ? ",\"" : "\"");
            compat_put(t, compat_names[i]);
            compat_put(t, "\":");
            compat_event_type(t, compat_dice(t, 7));
        }
    }
    compat_put(t, "}");
}

static inline void compat_event_map(struct compat_text *t, uint64_t node, unsigned depth)
{
    unsigned many = 0;
    compat_put(t, "{");
    for (unsigned i = 0; i < 6; i++)
        if (compat_dice(t, 3) == 0)
            compat_member(t, &many, compat_names[i], compat_child(node, 60), depth);
    compat_put(t, "}");
}

static inline void compat_event_array(struct compat_text *t, uint64_t node, unsigned depth)
{
    const unsigned prefix = compat_decide(t->world, node, 70, 3), count = compat_dice(t, 5);
    compat_put(t, "[");
    for (unsigned i = 0; i < count; i++) {
        if (i > 0)
            compat_put(t, ",");
        if (compat_dice(t, 4) == 0 && compat_decide(t->world, node, 78, 6) == 0)
            compat_event(t, compat_child(node, 64), 0);
        else
            compat_event(t, compat_child(node, i < prefix ? i : 63), depth - 1);
    }
    compat_put(t, "]");
}

static inline void compat_event_tagged(struct compat_text *t, uint64_t node, unsigned depth)
{
    const unsigned branch = compat_dice(t, 2 + compat_decide(t->world, node, 90, 2));
    compat_put_int(t, "{\"d\":", (int)branch);
    if (compat_dice(t, 2)) {
        compat_put(t, ",\"a\":");
        compat_event(t, compat_child(node, branch), depth - 1);
    }
    compat_put(t, "}");
}

/* "shared" holds itself. */
static inline void compat_event_shared(struct compat_text *t, unsigned depth)
{
    if (depth == 0 || compat_dice(t, 3) == 0) {
        compat_put_int(t, "", (int)compat_dice(t, 5));
        return;
    }
    compat_put(t, "{\"a\":");
    compat_event_shared(t, depth - 1);
    if (compat_dice(t, 2)) {
        compat_put(t, ",\"b\":");
        compat_event(t, COMPAT_SHARED, 1);
    }
    compat_put(t, "}");
}

static inline void compat_event(struct compat_text *t, uint64_t node, unsigned depth)
{
    const struct compat_world *w = t->world;
    unsigned count = 1 + compat_decide(w, node, 5, 3);
    switch (compat_kind_at(w, node, depth)) {
    case COMPAT_INTEGER:
    case COMPAT_NUMBER:
        compat_event_number(t);
        break;
    case COMPAT_STRING:
        compat_event_string(t);
        break;
    case COMPAT_OBJECT:
        compat_event_object(t, node, depth);
        break;
    case COMPAT_MAP:
        compat_event_map(t, node, depth);
        break;
    case COMPAT_ARRAY:
        compat_event_array(t, node, depth);
        break;
    case COMPAT_ENUM:
        compat_put(t, compat_values[compat_decide(
                          w, node, 111 + compat_dice(t, 1 + compat_decide(w, node, 110, 4)), 10)]);
        break;
    case COMPAT_CONST:
        compat_put(t, compat_values[compat_decide(w, node, 120, 10)]);
        break;
    case COMPAT_ONE_OF:
        if (compat_decide(w, node, 6, 2)) {
            compat_event_tagged(t, node, depth);
            break;
        }
        compat_event(t, compat_child(node, compat_dice(t, count)), depth - 1);
        break;
    case COMPAT_ANY_OF:
        compat_event(t, compat_child(node, compat_dice(t, count)), depth - 1);
        break;
    case COMPAT_ALL_OF:
        compat_event(t, compat_child(node, compat_dice(t, 1 + compat_decide(w, node, 5, 2))), depth - 1);
        break;
    case COMPAT_IF: {
        const unsigned branch = compat_dice(t, 3);
        const bool there = branch == 0 || compat_decide(w, node, 100 + branch, 4) > 0;
        compat_event(t, compat_child(node, there ? branch : 0), depth - 1);
        break;
    }
    case COMPAT_TYPES:
        compat_event_type(t, compat_dice(t, 7));
        break;
    case COMPAT_REF:
        compat_event_shared(t, 3);
        break;
    default:
        /* An object that nothing declares has no members. */
        if (compat_dice(t, 3))
            compat_event_type(t, compat_dice(t, 7));
        else
            compat_put(t, compat_values[compat_dice(t, 8)]);
        break;
    }
}

static inline void compat_random_instance(const struct compat_world *world, unsigned number, char *out,
                                          size_t room)
{
    struct compat_text t = {
        .world = world, .out = out, .room = room - 8, .dice = compat_mix(world->seed, number)};
    compat_event(&t, COMPAT_ROOT, 3);
}

#endif
