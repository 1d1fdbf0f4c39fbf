#include "model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *pc_allocate(void *old, size_t bytes)
{
    void *p = realloc(old, bytes ? bytes : 1);
    if (!p) {
        fputs("powercut-rebuild: out of memory\n", stderr);
        exit(2);
    }
    return p;
}

static char *copy_name(const char *name, size_t len)
{
    char *copy = pc_allocate(NULL, len + 1);
    memcpy(copy, name, len);
    copy[len] = '\0';
    return copy;
}

#define GROW(array, count, capacity)                                                                         \
    do {                                                                                                     \
        if ((count) == (capacity)) {                                                                         \
            (capacity) = (capacity) ? (capacity)*2 : 8;                                                      \
            (array) = pc_allocate((array), (capacity) * sizeof *(array));                                    \
        }                                                                                                    \
    } while (0)

/* --- folders --- */

struct pc_entry *pc_folder_find(struct pc_folder *folder, const char *name, size_t len)
{
    for (size_t i = 0; i < folder->count; i++) {
        if (strlen(folder->entries[i].name) == len && memcmp(folder->entries[i].name, name, len) == 0)
            return &folder->entries[i];
    }
    return NULL;
}

void pc_folder_put(struct pc_folder *folder, const char *name, struct pc_node *node)
{
    struct pc_entry *entry = pc_folder_find(folder, name, strlen(name));
    if (!entry) {
        GROW(folder->entries, folder->count, folder->capacity);
        entry = &folder->entries[folder->count++];
        entry->name = copy_name(name, strlen(name));
    }
    entry->node = node;
}

void pc_folder_drop(struct pc_folder *folder, const char *name)
{
    struct pc_entry *entry = pc_folder_find(folder, name, strlen(name));
    if (!entry)
        return;
    free(entry->name);
    *entry = folder->entries[--folder->count];
}

void pc_folder_copy(struct pc_folder *to, const struct pc_folder *from)
{
    *to = (struct pc_folder){0};
    for (size_t i = 0; i < from->count; i++)
        pc_folder_put(to, from->entries[i].name, from->entries[i].node);
}

void pc_folder_free(struct pc_folder *folder)
{
    for (size_t i = 0; i < folder->count; i++)
        free(folder->entries[i].name);
    free(folder->entries);
    *folder = (struct pc_folder){0};
}

/* --- the model --- */

struct pc_model *pc_model_new(void)
{
    struct pc_model *model = pc_allocate(NULL, sizeof *model);
    *model = (struct pc_model){0};
    model->root = pc_model_node(model, true, 0700);
    return model;
}

void pc_model_free(struct pc_model *model)
{
    for (size_t i = 0; i < model->node_count; i++) {
        struct pc_node *node = model->nodes[i];
        for (int view = 0; view < PC_VIEW_COUNT; view++)
            pc_folder_free(&node->views[view]);
        free(node->disk);
        free(node->changes);
        free(node);
    }
    for (size_t i = 0; i < model->name_count; i++) {
        free(model->names[i].from);
        free(model->names[i].to);
    }
    free(model->names);
    free(model->nodes);
    free(model);
}

struct pc_node *pc_model_node(struct pc_model *model, bool folder, unsigned mode)
{
    struct pc_node *node = pc_allocate(NULL, sizeof *node);
    *node = (struct pc_node){.folder = folder, .mode = mode};
    GROW(model->nodes, model->node_count, model->node_capacity);
    model->nodes[model->node_count++] = node;
    return node;
}

struct pc_node *pc_model_by_file(const struct pc_model *model, uint64_t file)
{
    for (size_t i = model->node_count; i > 0; i--) {
        if (model->nodes[i - 1]->file == file)
            return model->nodes[i - 1];
    }
    return NULL;
}

struct pc_node *pc_model_find(const struct pc_model *model, const char *path, size_t len)
{
    struct pc_node *node = model->root;
    while (len > 0 && node && node->folder) {
        const char *slash = memchr(path, '/', len);
        size_t name_len = slash ? (size_t)(slash - path) : len;
        struct pc_entry *entry = pc_folder_find(&node->views[PC_VIEW_NOW], path, name_len);
        node = entry ? entry->node : NULL;
        size_t step = slash ? name_len + 1 : name_len;
        path += step;
        len -= step;
    }
    return len == 0 ? node : NULL;
}

/* The folder of a path and the name in it; NULL: nobody made that folder. */
static struct pc_node *parent_of(const struct pc_model *model, const char *path, size_t len, char **out_name)
{
    const char *slash = len ? memrchr(path, '/', len) : NULL;
    size_t parent_len = slash ? (size_t)(slash - path) : 0;
    struct pc_node *parent = pc_model_find(model, path, parent_len);
    const char *name = slash ? slash + 1 : path;
    if (!parent || !parent->folder)
        return NULL;
    *out_name = copy_name(name, len - (size_t)(name - path));
    return parent;
}

void pc_model_place(struct pc_model *model, const char *path, struct pc_node *node)
{
    char *name;
    struct pc_node *parent = parent_of(model, path, strlen(path), &name);
    if (!parent)
        return;
    for (int view = 0; view < PC_VIEW_COUNT; view++)
        pc_folder_put(&parent->views[view], name, node);
    free(name);
}

static void apply_names(const struct pc_name_change *change, enum pc_view view)
{
    if (change->from)
        pc_folder_drop(&change->from_folder->views[view], change->from);
    if (change->to)
        pc_folder_put(&change->to_folder->views[view], change->to, change->node);
}

static void add_change(struct pc_model *model, const struct pc_name_change *change)
{
    apply_names(change, PC_VIEW_NOW);
    GROW(model->names, model->name_count, model->name_capacity);
    model->names[model->name_count++] = *change;
}

void pc_model_add(struct pc_model *model, const char *path, size_t len, struct pc_node *node)
{
    struct pc_name_change change = {.node = node};
    change.to_folder = parent_of(model, path, len, &change.to);
    if (change.to_folder)
        add_change(model, &change);
    else
        model->strangers++;
}

void pc_model_remove(struct pc_model *model, const char *path, size_t len)
{
    struct pc_name_change change = {0};
    change.from_folder = parent_of(model, path, len, &change.from);
    if (change.from_folder && pc_model_find(model, path, len))
        add_change(model, &change);
    else
        free(change.from); /* a socket, most likely */
}

void pc_model_rename(struct pc_model *model, const char *from, size_t from_len, const char *to, size_t to_len)
{
    struct pc_name_change change = {.node = pc_model_find(model, from, from_len)};
    change.from_folder = parent_of(model, from, from_len, &change.from);
    change.to_folder = parent_of(model, to, to_len, &change.to);
    if (change.node && change.from_folder && change.to_folder) {
        add_change(model, &change);
        return;
    }
    model->strangers++;
    free(change.from);
    free(change.to);
}

static bool same_name(const struct pc_node *folder, const char *name, const struct pc_name_change *other)
{
    return name && ((other->from && other->from_folder == folder && strcmp(other->from, name) == 0) ||
                    (other->to && other->to_folder == folder && strcmp(other->to, name) == 0));
}

/* Makes a change durable under the strict rule, and before it those it builds on: earlier ones of the same names. */
static void strict_done(struct pc_model *model, size_t index)
{
    struct pc_name_change *change = &model->names[index];
    if (change->strict_done)
        return;
    change->strict_done = true;
    for (size_t i = 0; i < index; i++) {
        if (!model->names[i].strict_done && (same_name(change->from_folder, change->from, &model->names[i]) ||
                                             same_name(change->to_folder, change->to, &model->names[i])))
            strict_done(model, i);
    }
    apply_names(change, PC_VIEW_STRICT);
}

static void forget_done(struct pc_model *model)
{
    size_t kept = 0;
    for (size_t i = 0; i < model->name_count; i++) {
        struct pc_name_change *change = &model->names[i];
        if (change->ordered_done && change->strict_done) {
            free(change->from);
            free(change->to);
        } else {
            model->names[kept++] = *change;
        }
    }
    model->name_count = kept;
}

void pc_model_sync_folder(struct pc_model *model, struct pc_node *folder)
{
    for (size_t i = 0; i < model->name_count; i++) {
        struct pc_name_change *change = &model->names[i];
        if ((change->from && change->from_folder == folder) || (change->to && change->to_folder == folder))
            strict_done(model, i);
    }
    pc_model_commit_names(model);
}

void pc_model_commit_names(struct pc_model *model)
{
    for (size_t i = 0; i < model->name_count; i++) {
        if (model->names[i].ordered_done)
            continue;
        apply_names(&model->names[i], PC_VIEW_ORDERED);
        model->names[i].ordered_done = true;
    }
    forget_done(model);
}

/* --- contents --- */

static void reserve(struct pc_content *content, size_t size)
{
    if (size <= content->capacity)
        return;
    size_t capacity = content->capacity ? content->capacity : 4096;
    while (capacity < size)
        capacity *= 2;
    content->data = pc_allocate(content->data, capacity);
    content->capacity = capacity;
}

static void extend(struct pc_content *content, size_t size)
{
    if (size <= content->size)
        return;
    reserve(content, size);
    memset(content->data + content->size, 0, size - content->size);
    content->size = size;
}

void pc_content_apply(struct pc_content *content, const struct pc_change *change)
{
    switch (change->kind) {
    case PC_CHANGE_WRITE:
        extend(content, change->offset + change->len);
        memcpy(content->data + change->offset, change->data, change->len);
        break;
    case PC_CHANGE_SIZE:
        if (change->offset < content->size)
            content->size = change->offset;
        extend(content, change->offset);
        break;
    case PC_CHANGE_ALLOCATE:
        extend(content, change->offset);
        break;
    }
}

void pc_node_change(struct pc_node *node, const struct pc_change *change)
{
    GROW(node->changes, node->change_count, node->change_capacity);
    node->changes[node->change_count++] = *change;
}

static void apply_to_disk(struct pc_node *node, const struct pc_change *change)
{
    struct pc_content content = {.data = node->disk, .size = node->size, .capacity = node->capacity};
    pc_content_apply(&content, change);
    node->disk = content.data;
    node->size = content.size;
    node->capacity = content.capacity;
}

void pc_node_sync(struct pc_node *node)
{
    for (size_t i = 0; i < node->change_count; i++)
        apply_to_disk(node, &node->changes[i]);
    node->change_count = 0;
}

/* Pending writes lose what the newer write covers, so that keeping one later does not undo it. */
static void clip(struct pc_node *node, uint64_t begin, uint64_t end)
{
    size_t count = node->change_count;
    for (size_t i = 0; i < count; i++) {
        struct pc_change *change = &node->changes[i];
        uint64_t change_end = change->offset + change->len;
        if (change->kind != PC_CHANGE_WRITE || change->offset >= end || change_end <= begin)
            continue;
        struct pc_change tail = {.kind = PC_CHANGE_WRITE, .offset = end};
        if (change_end > end) {
            tail.len = change_end - end;
            tail.data = change->data + (end - change->offset);
        }
        change->len = change->offset < begin ? begin - change->offset : 0;
        if (tail.len != 0)
            pc_node_change(node, &tail);
    }
}

void pc_node_write_through(struct pc_node *node, const struct pc_change *change)
{
    clip(node, change->offset, change->offset + change->len);
    apply_to_disk(node, change);
}
