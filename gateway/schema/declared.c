/*
 * Places are found from the root: a place is the set of schemas that may speak of a value, so two values of which the same ones
 * speak share it, and a schema that refers to itself comes to an end. Sets are kept sorted, and known by their bytes.
 */
#include "schema/declared.h"

#include <stdlib.h>
#include <string.h>

#define PLACES_MAX 16384
#define WORK_MAX 4000000 /* steps of some nanoseconds */
#define REGEX_BYTES 32768

/* Schemas, each once after settle(). */
struct set {
    struct gw_doc_node **nodes;
    size_t count, room;
};

struct builder {
    struct gw_resolver *resolver;
    struct gw_arena *arena;
    struct gw_error *error;
    struct gw_map known;    /* place plus 1, by the bytes of its set */
    struct gw_map patterns; /* compiled, by the schema under the pattern */
    struct gw_declared_place *places;
    struct set *sets; /* of places whose set is not looked at yet */
    uint32_t count, room;
    int64_t work, match_fuel;
    void *scratch_memory; /* for patterns */
    struct gw_regex_scratch *scratch;
    struct gw_declared *out;
};

/* Where a place's schemas lead to. */
struct found {
    struct gw_map index; /* of a name, plus 1 */
    struct gw_name *names;
    struct set *values; /* by name */
    uint32_t count, room;
    struct set patterns, rest, items;
    bool open, closed;
};

static int no_memory(const struct builder *b)
{
    return gw_error_set(b->error, GW_ENOMEM, 0, "schema: out of memory");
}

static int too_much(const struct builder *b)
{
    return gw_error_set(b->error, GW_ELIMIT, 0, "schema: too many or too long attributes");
}

static int pay(struct builder *b, size_t steps)
{
    b->work -= (int64_t)steps;
    return b->work >= 0
               ? 0
               : gw_error_set(b->error, GW_ELIMIT, 0,
                              "schema: what it declares takes too long to find: too many branches that "
                              "speak of the same objects");
}

/* --- sets --- */

static int add(struct builder *b, struct set *set, struct gw_doc_node *node)
{
    if (node->kind != GW_KIND_OBJECT || node->count == 0)
        return 0;
    if (set->count == set->room) {
        const size_t room = set->room ? set->room * 2 : 4;
        struct gw_doc_node **larger = realloc(set->nodes, room * sizeof(struct gw_doc_node *));
        if (!larger)
            return no_memory(b);
        set->nodes = larger;
        set->room = room;
    }
    set->nodes[set->count++] = node;
    return pay(b, 8);
}

static int add_children(struct builder *b, struct set *set, const struct gw_doc_node *parent)
{
    int rc = 0;
    for (struct gw_doc_node *each = parent ? parent->first : NULL; each && rc == 0; each = each->next)
        rc = add(b, set, each);
    return rc;
}

static void drop(struct set *set)
{
    free(set->nodes);
    *set = (struct set){.nodes = NULL};
}

/* Room for more in a list and the sets beside it. The list, perhaps moved; NULL: out of memory, the list is as it was. */
static void *grown(void *list, size_t each_bytes, struct set **sets, uint32_t *room)
{
    const uint32_t more = *room ? *room * 2 : 16;
    struct set *more_sets = realloc(*sets, more * sizeof *more_sets);
    if (!more_sets)
        return NULL;
    *sets = more_sets;
    void *longer = realloc(list, more * each_bytes);
    if (longer)
        *room = more;
    return longer;
}

static int by_address(const void *a, const void *b)
{
    const uintptr_t left = (uintptr_t) * (struct gw_doc_node *const *)a,
                    right = (uintptr_t) * (struct gw_doc_node *const *)b;
    return left < right ? -1 : left > right;
}

/* In order, each once. */
static void settle(struct set *set)
{
    size_t kept = 0;
    if (set->count == 0)
        return;
    qsort(set->nodes, set->count, sizeof(struct gw_doc_node *), by_address);
    for (size_t i = 1; i < set->count; i++)
        if (set->nodes[i] != set->nodes[kept])
            set->nodes[++kept] = set->nodes[i];
    set->count = kept + 1;
}

/* --- the schemas that speak of the same value --- */

static int add_anchored(struct builder *b, struct set *set, const struct gw_doc_node *anchor)
{
    int rc = 0;
    for (const struct gw_resource *each = b->resolver->first; each && rc == 0; each = each->next)
        for (const struct gw_dynamic_anchor *at = each->anchors; at && rc == 0; at = at->next)
            if (at->name->text_len == anchor->text_len &&
                memcmp(at->name->text, anchor->text, anchor->text_len) == 0)
                rc = add(b, set, at->node);
    return rc;
}

/* Where a dynamic reference leads is known at run time only: to any anchor of that name. */
static int add_target(struct builder *b, struct set *set, struct gw_doc_node *schema,
                      const struct gw_doc_node *reference)
{
    struct gw_doc_node *target = NULL;
    bool dynamic = false;
    if (!reference)
        return 0;
    int rc = gw_resolver_find(b->resolver, schema, reference, &target, &dynamic);
    if (rc == 0)
        rc = add(b, set, target);
    if (rc == 0 && dynamic)
        rc = add_anchored(b, set, gw_map_get(&b->resolver->members, target, "$dynamicAnchor", 14));
    return rc;
}

static int add_in_place(struct builder *b, struct set *set, struct gw_doc_node *schema)
{
    static const unsigned lists[] = {GW_KW_ALL_OF, GW_KW_ANY_OF, GW_KW_ONE_OF, GW_KW_DEPENDENT_SCHEMAS,
                                     GW_KW_DEPENDENCIES};
    static const unsigned ones[] = {GW_KW_IF, GW_KW_THEN, GW_KW_ELSE};
    struct gw_doc_node *kw[GW_KW_COUNT];
    gw_resolver_keywords(b->resolver, schema, kw);
    int rc = add_target(b, set, schema, kw[GW_KW_REF]);
    if (rc == 0)
        rc = add_target(b, set, schema, kw[GW_KW_DYNAMIC_REF]);
    for (size_t i = 0; i < sizeof lists / sizeof *lists && rc == 0; i++)
        rc = add_children(b, set, kw[lists[i]]);
    for (size_t i = 0; i < sizeof ones / sizeof *ones && rc == 0; i++)
        rc = kw[ones[i]] ? add(b, set, kw[ones[i]]) : 0;
    return rc == 0 ? pay(b, 64) : rc;
}

/* Adds all that speak of the same value, and puts the set in order. */
static int spread(struct builder *b, struct set *set)
{
    struct gw_map seen = {.entries = NULL};
    int rc = 0;
    settle(set);
    for (size_t i = 0; i < set->count && rc == 0; i++) {
        if (gw_map_get(&seen, set->nodes[i], "", 0))
            continue;
        rc = gw_map_put(&seen, set->nodes[i], "", 0, set->nodes[i]) == 0 ? 0 : no_memory(b);
        if (rc == 0)
            rc = add_in_place(b, set, set->nodes[i]);
    }
    gw_map_free(&seen);
    settle(set);
    return rc;
}

/* --- places --- */

static const unsigned rests[] = {GW_KW_ADDITIONAL_PROPERTIES, GW_KW_UNEVALUATED_PROPERTIES};

/* A schema for what is not named, and more than "anything". */
static bool speaks(const struct gw_doc_node *rest)
{
    return rest && rest->kind == GW_KIND_OBJECT && rest->count > 0;
}

static bool declares_members(struct gw_doc_node *const kw[GW_KW_COUNT])
{
    return kw[GW_KW_PROPERTIES] || kw[GW_KW_PATTERN_PROPERTIES] || speaks(kw[rests[0]]) ||
           speaks(kw[rests[1]]);
}

/* Whether anything is said of members or items at all. */
static bool says_something(const struct builder *b, const struct set *set)
{
    struct gw_doc_node *kw[GW_KW_COUNT];
    for (size_t i = 0; i < set->count; i++) {
        gw_resolver_keywords(b->resolver, set->nodes[i], kw);
        if (declares_members(kw) || kw[GW_KW_ITEMS] || kw[GW_KW_PREFIX_ITEMS] || kw[GW_KW_ADDITIONAL_ITEMS] ||
            kw[GW_KW_CONTAINS] || kw[GW_KW_UNEVALUATED_ITEMS])
            return true;
    }
    return false;
}

static int make_room(struct builder *b)
{
    if (b->count < b->room)
        return 0;
    struct gw_declared_place *places = grown(b->places, sizeof *places, &b->sets, &b->room);
    if (!places)
        return no_memory(b);
    b->places = places;
    return 0;
}

/* The place of a set, a new one if need be; the set is taken over. */
static int place_of(struct builder *b, struct set *set, uint32_t *out)
{
    int rc = spread(b, set);
    *out = GW_PLACE_ANYTHING;
    if (rc != 0 || (b->count > GW_PLACE_ROOT && !says_something(b, set))) {
        drop(set);
        return rc;
    }
    const size_t bytes = set->count * sizeof(struct gw_doc_node *);
    const uintptr_t there = (uintptr_t)gw_map_get(&b->known, NULL, (const char *)set->nodes, bytes);
    if (there) {
        *out = (uint32_t)(there - 1);
        drop(set);
        return 0;
    }
    rc = b->count < PLACES_MAX ? make_room(b)
                               : gw_error_set(b->error, GW_ELIMIT, 0,
                                              "schema: declares more than %d kinds of objects", PLACES_MAX);
    char *key = rc == 0 ? gw_arena_alloc(b->arena, bytes + 1) : NULL;
    if (!key) {
        drop(set);
        return rc != 0 ? rc : too_much(b);
    }
    if (bytes > 0)
        memcpy(key, set->nodes, bytes);
    *out = b->count;
    b->sets[b->count] = *set;
    b->places[b->count++] = (struct gw_declared_place){.rest = GW_PLACE_ANYTHING};
    *set = (struct set){.nodes = NULL};
    return gw_map_put(&b->known, NULL, key, bytes, (void *)((uintptr_t)*out + 1)) == 0 ? 0 : no_memory(b);
}

/* --- what one schema says of members and items --- */

static int note_name(struct builder *b, struct found *f, struct gw_doc_node *property)
{
    uintptr_t there = (uintptr_t)gw_map_get(&f->index, NULL, property->key, property->key_len);
    if (!there) {
        if (f->count == f->room) {
            struct gw_name *names = grown(f->names, sizeof *names, &f->values, &f->room);
            if (!names)
                return no_memory(b);
            f->names = names;
        }
        f->names[f->count] = (struct gw_name){.text = property->key, .len = property->key_len};
        f->values[f->count++] = (struct set){.nodes = NULL};
        there = f->count;
        if (gw_map_put(&f->index, NULL, property->key, property->key_len, (void *)there) != 0)
            return no_memory(b);
    }
    return add(b, &f->values[there - 1], property);
}

static int note_items(struct builder *b, struct found *f, struct gw_doc_node *const kw[GW_KW_COUNT])
{
    static const unsigned keywords[] = {GW_KW_ITEMS, GW_KW_PREFIX_ITEMS, GW_KW_ADDITIONAL_ITEMS,
                                        GW_KW_CONTAINS, GW_KW_UNEVALUATED_ITEMS};
    int rc = 0;
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords && rc == 0; i++) {
        struct gw_doc_node *items = kw[keywords[i]];
        if (items)
            rc = items->kind == GW_KIND_ARRAY ? add_children(b, &f->items, items) : add(b, &f->items, items);
    }
    return rc;
}

static int note_schema(struct builder *b, struct found *f, const struct gw_doc_node *schema)
{
    struct gw_doc_node *kw[GW_KW_COUNT];
    gw_resolver_keywords(b->resolver, schema, kw);
    const struct gw_doc_node *properties = kw[GW_KW_PROPERTIES];
    int rc = note_items(b, f, kw);
    f->closed |= declares_members(kw);
    for (struct gw_doc_node *each = properties ? properties->first : NULL; each && rc == 0; each = each->next)
        rc = note_name(b, f, each);
    if (rc == 0 && kw[GW_KW_PATTERN_PROPERTIES]) {
        rc = add(b, &f->patterns, kw[GW_KW_PATTERN_PROPERTIES]);
        if (rc == 0)
            rc = add_children(b, &f->rest, kw[GW_KW_PATTERN_PROPERTIES]);
    }
    for (size_t i = 0; i < 2 && rc == 0; i++)
        if (speaks(kw[rests[i]])) {
            f->open = true;
            rc = add(b, &f->rest, kw[rests[i]]);
        }
    return rc;
}

/* What a schema says of all names but its own properties, it says of the properties of the others. */
static int add_rests(struct builder *b, struct found *f, const struct gw_doc_node *schema)
{
    struct gw_doc_node *kw[GW_KW_COUNT];
    gw_resolver_keywords(b->resolver, schema, kw);
    int rc = 0;
    for (size_t i = 0; i < 2; i++) {
        if (!speaks(kw[rests[i]]))
            continue;
        for (uint32_t j = 0; j < f->count && rc == 0; j++)
            if (!kw[GW_KW_PROPERTIES] ||
                !gw_map_get(&b->resolver->members, kw[GW_KW_PROPERTIES], f->names[j].text, f->names[j].len))
                rc = add(b, &f->values[j], kw[rests[i]]);
    }
    return rc;
}

/* --- a place at its final size --- */

static int pattern_of(struct builder *b, const struct gw_doc_node *schema, const struct gw_regex **out)
{
    char why[160] = "out of memory";
    *out = gw_map_get(&b->patterns, schema, "", 0);
    if (*out)
        return 0;
    int rc = pay(b, 500);
    if (rc == 0) {
        rc = gw_regex_compile(schema->key, schema->key_len, b->out->regexes, &b->out->regexes, why);
        if (rc != 0)
            return gw_schema_fail(b->error, rc, schema, why);
    }
    *out = b->out->regexes;
    return rc != 0 || gw_map_put(&b->patterns, schema, "", 0, b->out->regexes) == 0 ? rc : no_memory(b);
}

/* What a pattern says of names that are properties. One that would take too long counts as matching. */
static int match_names(struct builder *b, struct found *f, const struct gw_regex *regex,
                       struct gw_doc_node *schema)
{
    int rc = b->scratch || (b->scratch_memory = malloc(REGEX_BYTES)) ? 0 : no_memory(b);
    if (rc == 0 && !b->scratch)
        b->scratch = gw_regex_scratch_init(b->scratch_memory, REGEX_BYTES);
    for (uint32_t i = 0; i < f->count && rc == 0; i++)
        if (!b->scratch ||
            gw_regex_match(regex, b->scratch, f->names[i].text, f->names[i].len, &b->match_fuel) != 0)
            rc = add(b, &f->values[i], schema);
    return rc;
}

static int finish_patterns(struct builder *b, struct found *f, struct gw_declared_place *place)
{
    const struct set *owners = &f->patterns;
    size_t count = 0;
    for (size_t i = 0; i < owners->count; i++)
        count += owners->nodes[i]->count;
    const struct gw_regex **patterns =
        gw_arena_alloc(b->arena, (count + 1) * sizeof(const struct gw_regex *));
    if (!patterns)
        return too_much(b);
    int rc = 0;
    for (size_t i = 0; i < owners->count && rc == 0; i++)
        for (struct gw_doc_node *each = owners->nodes[i]->first; each && rc == 0; each = each->next) {
            const struct gw_regex **at = &patterns[place->pattern_count++];
            rc = pattern_of(b, each, at);
            if (rc == 0)
                rc = match_names(b, f, *at, each);
        }
    place->patterns = patterns;
    return rc;
}

static int finish_names(struct builder *b, struct found *f, struct gw_declared_place *place)
{
    struct gw_name *names = gw_arena_alloc(b->arena, (f->count + 1) * sizeof *names);
    uint32_t *places = gw_arena_alloc(b->arena, (f->count + 1) * sizeof *places);
    uint32_t *slots = gw_arena_alloc(b->arena, gw_names_slots(f->count) * sizeof *slots);
    int rc = names && places && slots ? 0 : too_much(b);
    for (uint32_t i = 0; i < f->count && rc == 0; i++) {
        char *text = gw_arena_alloc(b->arena, f->names[i].len + 1);
        if (!text)
            return too_much(b);
        memcpy(text, f->names[i].text, f->names[i].len);
        names[i] = (struct gw_name){.text = text, .len = f->names[i].len};
        rc = place_of(b, &f->values[i], &places[i]);
    }
    place->places = places;
    return rc == 0 ? gw_names_build(names, f->count, slots, &place->names) : rc;
}

static void forget(struct found *f)
{
    for (uint32_t i = 0; i < f->count; i++)
        drop(&f->values[i]);
    free(f->values);
    free(f->names);
    gw_map_free(&f->index);
    drop(&f->patterns);
    drop(&f->rest);
    drop(&f->items);
}

static int look_at(struct builder *b, uint32_t index)
{
    struct found f = {.count = 0};
    struct gw_declared_place place = {.rest = GW_PLACE_ANYTHING};
    struct set set = b->sets[index];
    b->sets[index] = (struct set){.nodes = NULL};
    int rc = 0;
    for (size_t i = 0; i < set.count && rc == 0; i++)
        rc = note_schema(b, &f, set.nodes[i]);
    place.open = f.open;
    place.closed = f.closed || index == GW_PLACE_ROOT;
    for (size_t i = 0; i < set.count && rc == 0 && f.open; i++)
        rc = add_rests(b, &f, set.nodes[i]);
    settle(&f.patterns);
    if (rc == 0)
        rc = finish_patterns(b, &f, &place);
    if (rc == 0)
        rc = finish_names(b, &f, &place);
    if (rc == 0)
        rc = place_of(b, &f.rest, &place.rest);
    if (rc == 0)
        rc = place_of(b, &f.items, &place.items);
    b->places[index] = place;
    forget(&f);
    drop(&set);
    return rc;
}

int gw_declared_build(struct gw_resolver *resolver, struct gw_doc_node *root, struct gw_arena *arena,
                      struct gw_declared *out, struct gw_error *error)
{
    struct builder b = {.resolver = resolver,
                        .arena = arena,
                        .error = error,
                        .work = WORK_MAX,
                        .match_fuel = 5 * WORK_MAX,
                        .out = out};
    struct set whole = {.nodes = NULL};
    uint32_t place;
    *out = (struct gw_declared){.places = NULL};
    int rc = make_room(&b);
    if (rc == 0) {
        b.sets[0] = (struct set){.nodes = NULL};
        b.places[0] = (struct gw_declared_place){.closed = false};
        b.count = 1;
        rc = add(&b, &whole, root);
    }
    if (rc == 0)
        rc = place_of(&b, &whole, &place);
    for (uint32_t i = GW_PLACE_ROOT; i < b.count && rc == 0; i++)
        rc = look_at(&b, i);
    struct gw_declared_place *places = rc == 0 ? gw_arena_alloc(arena, b.count * sizeof *places) : NULL;
    if (places) {
        memcpy(places, b.places, b.count * sizeof *places);
        out->places = places;
        out->count = b.count;
        out->deep = b.count > GW_PLACE_ROOT + 1;
    } else if (rc == 0) {
        rc = too_much(&b);
    }
    for (uint32_t i = 0; i < b.count; i++)
        drop(&b.sets[i]);
    drop(&whole);
    free(b.sets);
    free(b.places);
    free(b.scratch_memory);
    gw_map_free(&b.known);
    gw_map_free(&b.patterns);
    return rc;
}

void gw_declared_free(struct gw_declared *declared)
{
    gw_regex_free(declared->regexes);
    declared->regexes = NULL;
}
