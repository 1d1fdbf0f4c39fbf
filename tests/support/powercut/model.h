/* Inside the rebuilder: files and folders as they are now, and as far as they are durable. */
#ifndef TESTS_POWERCUT_MODEL_H
#define TESTS_POWERCUT_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Three views of the names in a folder: what the process saw, and what is durable under two rules. */
enum pc_view { PC_VIEW_NOW, PC_VIEW_ORDERED, PC_VIEW_STRICT, PC_VIEW_COUNT };

struct pc_node;

struct pc_entry {
    char *name;
    struct pc_node *node;
};

struct pc_folder {
    struct pc_entry *entries;
    size_t count, capacity;
};

enum pc_change_kind { PC_CHANGE_WRITE, PC_CHANGE_SIZE, PC_CHANGE_ALLOCATE };

/* Something done to a file and not synced. */
struct pc_change {
    enum pc_change_kind kind;
    uint64_t offset, len;
    const uint8_t *data; /* in the mapped trace */
};

struct pc_node {
    uint64_t file; /* 0: not named by the trace yet */
    bool folder;
    unsigned mode;
    struct pc_folder views[PC_VIEW_COUNT];
    uint8_t *disk; /* durable content */
    size_t size, capacity;
    struct pc_change *changes;
    size_t change_count, change_capacity;
};

/* A change of names that no sync made durable under one rule or the other: takes one out, puts one in. */
struct pc_name_change {
    struct pc_node *from_folder, *to_folder, *node;
    char *from, *to; /* NULL: none */
    bool ordered_done, strict_done;
};

struct pc_model {
    struct pc_node *root;
    struct pc_node **nodes;
    size_t node_count, node_capacity;
    struct pc_name_change *names;
    size_t name_count, name_capacity;
    uint64_t strangers;
};

struct pc_model *pc_model_new(void);
void pc_model_free(struct pc_model *model);
struct pc_node *pc_model_node(struct pc_model *model, bool folder, unsigned mode);
struct pc_node *pc_model_by_file(const struct pc_model *model, uint64_t file);
/* The node at a path as the process saw it; NULL: none. */
struct pc_node *pc_model_find(const struct pc_model *model, const char *path, size_t len);
/* Puts a node there, durable in every view: what was there before the run. */
void pc_model_place(struct pc_model *model, const char *path, struct pc_node *node);

void pc_model_add(struct pc_model *model, const char *path, size_t len, struct pc_node *node);
void pc_model_remove(struct pc_model *model, const char *path, size_t len);
void pc_model_rename(struct pc_model *model, const char *from, size_t from_len, const char *to,
                     size_t to_len);
void pc_model_sync_folder(struct pc_model *model, struct pc_node *folder);
/* What a journalling file system does with names when it commits: all there are, in order. */
void pc_model_commit_names(struct pc_model *model);

void pc_node_change(struct pc_node *node, const struct pc_change *change);
void pc_node_sync(struct pc_node *node);
/* A write through to the disk, ahead of what is pending. */
void pc_node_write_through(struct pc_node *node, const struct pc_change *change);

/* Lookup in, and change of, one view. */
struct pc_entry *pc_folder_find(struct pc_folder *folder, const char *name, size_t len);
void pc_folder_put(struct pc_folder *folder, const char *name, struct pc_node *node);
void pc_folder_drop(struct pc_folder *folder, const char *name);
void pc_folder_copy(struct pc_folder *to, const struct pc_folder *from);
void pc_folder_free(struct pc_folder *folder);

/* Applies to a buffer that grows with it. */
struct pc_content {
    uint8_t *data;
    size_t size, capacity;
};
void pc_content_apply(struct pc_content *content, const struct pc_change *change);
void *pc_allocate(void *old, size_t bytes);

#endif
