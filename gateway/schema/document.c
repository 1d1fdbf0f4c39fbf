#include "schema/document.h"

#include <stdlib.h>
#include <string.h>

#define DOCUMENT_DEPTH 128

static size_t hash_of(const void *owner, const char *name, size_t len)
{
    uint64_t hash = (uint64_t)(uintptr_t)owner * 0x9e3779b97f4a7c15u + len;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (uint8_t)name[i]) * 0x100000001b3u;
    return (size_t)(hash ^ hash >> 31);
}

static struct gw_map_entry *slot_of(const struct gw_map *map, const void *owner, const char *name, size_t len)
{
    size_t at = hash_of(owner, name, len) & (map->slots - 1);
    for (;; at = (at + 1) & (map->slots - 1)) {
        struct gw_map_entry *entry = &map->entries[at];
        if (!entry->name ||
            (entry->owner == owner && entry->len == len && memcmp(entry->name, name, len) == 0))
            return entry;
    }
}

void gw_map_free(struct gw_map *map)
{
    free(map->entries);
    *map = (struct gw_map){.entries = NULL};
}

void *gw_map_get(const struct gw_map *map, const void *owner, const char *name, size_t len)
{
    return map->slots ? slot_of(map, owner, name, len)->value : NULL;
}

static int grow(struct gw_map *map)
{
    struct gw_map larger = {.slots = map->slots ? map->slots * 2 : 256, .count = map->count};
    larger.entries = calloc(larger.slots, sizeof *larger.entries);
    if (!larger.entries)
        return GW_ENOMEM;
    for (size_t i = 0; i < map->slots; i++) {
        const struct gw_map_entry *entry = &map->entries[i];
        if (entry->name)
            *slot_of(&larger, entry->owner, entry->name, entry->len) = *entry;
    }
    free(map->entries);
    *map = larger;
    return 0;
}

int gw_map_put(struct gw_map *map, const void *owner, const char *name, size_t len, void *value)
{
    if (map->count * 2 >= map->slots && grow(map) != 0)
        return GW_ENOMEM;
    struct gw_map_entry *entry = slot_of(map, owner, name, len);
    if (entry->name)
        return GW_EINVALID;
    *entry = (struct gw_map_entry){.owner = owner, .name = name, .len = len, .value = value};
    map->count++;
    return 0;
}

struct builder {
    struct gw_cursor cursor;
    struct gw_arena *arena;
    struct gw_map *members;
};

/* The string's bytes: borrowed from the text where they stand as they are, else from the arena. */
static int take_text(struct builder *b, const struct gw_value *value, const char **out, uint32_t *out_len)
{
    *out = value->text;
    *out_len = value->text_len;
    if (value->form != GW_FORM_ESCAPED)
        return 0;
    char *text = gw_arena_alloc(b->arena, value->text_len + 1);
    if (!text)
        return GW_ENOMEM;
    *out_len = (uint32_t)gw_json_unescape(value->text, value->text_len, text);
    *out = text;
    return 0;
}

static int build(struct builder *b, struct gw_value *value, struct gw_doc_node *up, unsigned depth,
                 struct gw_doc_node **out);

static int build_children(struct builder *b, struct gw_value *value, struct gw_doc_node *node, unsigned depth)
{
    struct gw_walk walk;
    struct gw_value key, child;
    struct gw_doc_node **tail = &node->first;
    const bool object = value->kind == GW_KIND_OBJECT;
    gw_walk_open(value, &walk);
    int rc;
    while ((rc = object ? gw_walk_member(&b->cursor, &walk, &key, &child)
                        : gw_walk_item(&b->cursor, &walk, &child)) > 0) {
        rc = build(b, &child, node, depth - 1, tail);
        if (rc != 0)
            return rc;
        struct gw_doc_node *made = *tail;
        made->index = node->count++;
        if (object) {
            rc = take_text(b, &key, &made->key, &made->key_len);
            if (rc == 0)
                rc = gw_map_put(b->members, node, made->key, made->key_len, made);
            if (rc != 0)
                return rc;
        }
        tail = &made->next;
        walk.at = child.after;
    }
    value->after = walk.at;
    return rc;
}

static int build(struct builder *b, struct gw_value *value, struct gw_doc_node *up, unsigned depth,
                 struct gw_doc_node **out)
{
    if (depth == 0)
        return GW_ELIMIT;
    struct gw_doc_node *node = gw_arena_alloc(b->arena, sizeof *node);
    if (!node)
        return GW_ENOMEM;
    *node = (struct gw_doc_node){
        .up = up, .kind = value->kind, .truth = value->kind == GW_KIND_BOOL && value->truth};
    int rc = 0;
    if (value->kind == GW_KIND_STRING)
        rc = take_text(b, value, &node->text, &node->text_len);
    else if (value->kind == GW_KIND_ARRAY || value->kind == GW_KIND_OBJECT)
        rc = build_children(b, value, node, depth);
    node->source = (const char *)b->cursor.data + value->at;
    node->source_len = value->after - value->at;
    if (value->kind == GW_KIND_NUMBER) {
        node->text = node->source;
        node->text_len = node->source_len;
    }
    *out = node;
    return rc;
}

int gw_document_parse(const char *text, size_t len, struct gw_arena *arena, struct gw_map *members,
                      struct gw_doc_node **out)
{
    struct builder b = {
        .cursor = {.data = (const uint8_t *)text, .len = (uint32_t)len}, .arena = arena, .members = members};
    struct gw_value value;
    struct gw_doc_node *root;
    if (len > INT32_MAX)
        return GW_ELIMIT;
    int rc = gw_value_first(&b.cursor, &value);
    if (rc == 0)
        rc = build(&b, &value, NULL, DOCUMENT_DEPTH, &root);
    if (rc == 0)
        rc = gw_value_last(&b.cursor, value.after);
    if (rc == 0)
        *out = root;
    return rc == GW_EPROTOCOL ? GW_EINVALID : rc;
}
