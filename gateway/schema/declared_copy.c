/* An event without what nobody declared. */
#include <string.h>

#include "schema/declared.h"
#include "wire/cbor.h"

int gw_declared_find(struct gw_declared_walk *walk, uint32_t place, const char *name, size_t len,
                     uint32_t *out_place)
{
    const struct gw_declared_place *at = &walk->declared->places[place];
    const uint32_t index = gw_names_find(&at->names, name, (uint32_t)len);
    *out_place = GW_PLACE_ANYTHING;
    if (index != GW_NAME_NONE) {
        *out_place = at->places[index];
        return 1;
    }
    int rc = at->open;
    for (uint32_t i = 0; i < at->pattern_count && rc == 0; i++)
        rc = gw_regex_match(at->patterns[i], walk->scratch->regex, name, len, &walk->fuel);
    if (rc > 0)
        *out_place = at->rest;
    return rc;
}

static void copy(struct gw_declared_walk *walk, uint32_t from, uint32_t to)
{
    if (!walk->out)
        return;
    memcpy(walk->out + walk->len, walk->cursor->data + from, to - from);
    walk->len += to - from;
}

static int copy_member(struct gw_declared_walk *walk, uint32_t place, const struct gw_value *key,
                       struct gw_value *child, unsigned depth, uint32_t *out_kept)
{
    struct gw_scratch *scratch = &walk->scratch->memory;
    const size_t mark = scratch->used;
    const char *name;
    size_t len;
    uint32_t to = GW_PLACE_ANYTHING;
    int rc = gw_value_text(walk->cursor, key, scratch, &name, &len);
    if (rc == 0)
        rc = gw_declared_find(walk, place, name, len, &to);
    scratch->used = mark;
    if (rc < 0)
        return rc;
    if (rc == 0 && walk->declared->places[place].closed) {
        walk->undeclared++;
#ifndef GW_MUTANT_NESTED_UNDECLARED /* what is undeclared goes on all the same */
        return gw_value_finish(walk->cursor, child, depth);
#endif
    }
    ++*out_kept;
    copy(walk, key->at, child->at);
    return gw_declared_copy(walk, to, child, depth);
}

/* The head of a map with a count is written when it is known how many members stay: it can only become shorter. */
static void write_head(struct gw_declared_walk *walk, size_t at, size_t room, uint32_t count)
{
    struct trib_cbor_writer w;
    if (!walk->out)
        return;
    uint8_t head[9];
    trib_cbor_writer_init(&w, head, sizeof head);
    trib_cbor_put_map(&w, count);
    memcpy(walk->out + at, head, w.len);
    memmove(walk->out + at + w.len, walk->out + at + room, walk->len - at - room);
    walk->len -= room - w.len;
}

static int copy_object(struct gw_declared_walk *walk, uint32_t place, struct gw_value *object, unsigned depth)
{
    struct gw_walk members;
    struct gw_value key, child;
    const size_t at = walk->len, room = object->inner - object->at;
    uint32_t kept = 0, last = object->inner;
    int rc;
    copy(walk, object->at, object->inner);
    gw_walk_open(object, &members);
    while ((rc = gw_walk_member(walk->cursor, &members, &key, &child)) > 0) {
        rc = copy_member(walk, place, &key, &child, depth - 1, &kept);
        if (rc != 0)
            return rc;
        last = members.at = child.after;
    }
    if (rc != 0)
        return rc;
    object->after = members.at;
    copy(walk, last, object->after); /* the end of a map without a count */
    if (object->count != GW_COUNT_OPEN && kept != object->count)
        write_head(walk, at, room, kept);
    return 0;
}

static int copy_array(struct gw_declared_walk *walk, uint32_t place, struct gw_value *array, unsigned depth)
{
    struct gw_walk items;
    struct gw_value child;
    uint32_t last = array->inner;
    int rc;
    copy(walk, array->at, array->inner);
    gw_walk_open(array, &items);
    while ((rc = gw_walk_item(walk->cursor, &items, &child)) > 0) {
        rc = gw_declared_copy(walk, place, &child, depth - 1);
        if (rc != 0)
            return rc;
        last = items.at = child.after;
    }
    if (rc != 0)
        return rc;
    array->after = items.at;
    copy(walk, last, array->after);
    return 0;
}

int gw_declared_copy(struct gw_declared_walk *walk, uint32_t place, struct gw_value *value, unsigned depth)
{
    const struct gw_declared_place *at = &walk->declared->places[place];
    const bool container = value->kind == GW_KIND_OBJECT || value->kind == GW_KIND_ARRAY;
    if (container && place != GW_PLACE_ANYTHING) {
        if (depth == 0)
            return GW_ELIMIT;
        if (value->kind == GW_KIND_OBJECT)
            return copy_object(walk, place, value, depth);
        if (at->items != GW_PLACE_ANYTHING)
            return copy_array(walk, at->items, value, depth);
    }
    int rc = gw_value_finish(walk->cursor, value, depth);
    if (rc == 0)
        copy(walk, value->at, value->after);
    return rc;
}
