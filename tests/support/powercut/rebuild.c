#include "rebuild.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model.h"
#include "trace.h"

#define SECTOR_BYTES 512u

struct pc_rebuild {
    const uint8_t *map;
    size_t len, at;
    uint64_t position, last;
    struct pc_model *model;
};

/* --- reading the trace --- */

static size_t record_bytes(const struct pc_record *record)
{
    return sizeof *record + record->path_len + record->path2_len + record->data_len;
}

/* False: the trace ends here; its last record may be cut short if the process was killed. */
static bool record_at(const struct pc_rebuild *r, size_t at, struct pc_record *out)
{
    if (r->len - at < sizeof *out)
        return false;
    memcpy(out, r->map + at, sizeof *out);
    return out->magic == PC_MAGIC && record_bytes(out) <= r->len - at;
}

static void find_last(struct pc_rebuild *r)
{
    struct pc_record record;
    for (size_t at = 0; record_at(r, at, &record); at += record_bytes(&record))
        r->last = record.position;
}

/* --- the folder before the run --- */

static void load_file(struct pc_node *node, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        perror(path);
        exit(2);
    }
    node->size = node->capacity = (size_t)st.st_size;
    node->disk = pc_allocate(NULL, node->size);
    if (pread(fd, node->disk, node->size, 0) != (ssize_t)node->size) {
        perror(path);
        exit(2);
    }
    close(fd);
}

static void load_folder(struct pc_model *model, const char *path, const char *relative)
{
    DIR *dir = opendir(path);
    if (!dir) {
        perror(path);
        exit(2);
    }
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char child[PATH_MAX], name[PATH_MAX];
        struct stat st;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(child, sizeof child, "%s/%s", path, entry->d_name);
        snprintf(name, sizeof name, "%s%s%s", relative, *relative ? "/" : "", entry->d_name);
        if (lstat(child, &st) != 0 || !(S_ISDIR(st.st_mode) || S_ISREG(st.st_mode)))
            continue;
        struct pc_node *node = pc_model_node(model, S_ISDIR(st.st_mode), st.st_mode & 07777);
        pc_model_place(model, name, node);
        if (node->folder)
            load_folder(model, child, name);
        else
            load_file(node, child);
    }
    closedir(dir);
}

int pc_rebuild_open(const char *trace, const char *base, struct pc_rebuild **out)
{
    int fd = open(trace, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        fprintf(stderr, "powercut-rebuild: %s: %s\n", trace, strerror(errno));
        if (fd >= 0)
            close(fd);
        return -1;
    }
    struct pc_rebuild *r = pc_allocate(NULL, sizeof *r);
    *r = (struct pc_rebuild){.len = (size_t)st.st_size};
    if (r->len > 0) {
        void *map = mmap(NULL, r->len, PROT_READ, MAP_PRIVATE, fd, 0);
        if (map == MAP_FAILED) {
            perror("powercut-rebuild: mmap");
            close(fd);
            free(r);
            return -1;
        }
        r->map = map;
    }
    close(fd);
    r->model = pc_model_new();
    if (base)
        load_folder(r->model, base, "");
    find_last(r);
    *out = r;
    return 0;
}

void pc_rebuild_close(struct pc_rebuild *r)
{
    if (r->map)
        munmap((void *)(uintptr_t)r->map, r->len);
    pc_model_free(r->model);
    free(r);
}

uint64_t pc_rebuild_last(const struct pc_rebuild *r)
{
    return r->last;
}

uint64_t pc_rebuild_strangers(const struct pc_rebuild *r)
{
    return r->model->strangers;
}

/* --- going forward --- */

static void sync_all(struct pc_model *model)
{
    for (size_t i = 0; i < model->node_count; i++) {
        pc_node_sync(model->nodes[i]);
        if (model->nodes[i]->folder)
            pc_model_sync_folder(model, model->nodes[i]);
    }
}

static void make_node(struct pc_model *model, const struct pc_record *record, const char *path)
{
    struct pc_node *node = pc_model_node(model, record->op == PC_MKDIR, (unsigned)record->offset);
    node->file = record->file;
    pc_model_add(model, path, record->path_len, node);
}

static void know(struct pc_model *model, const struct pc_record *record, const char *path)
{
    struct pc_node *node = pc_model_find(model, path, record->path_len);
    if (node)
        node->file = record->file;
    else
        model->strangers++;
}

static void change_file(struct pc_model *model, const struct pc_record *record, const uint8_t *data)
{
    struct pc_node *node = pc_model_by_file(model, record->file);
    if (!node)
        return;
    struct pc_change change = {.kind = record->op == PC_WRITE  ? PC_CHANGE_WRITE
                                       : record->op == PC_SIZE ? PC_CHANGE_SIZE
                                                               : PC_CHANGE_ALLOCATE,
                               .offset = record->offset,
                               .len = record->data_len,
                               .data = data};
    if (record->op == PC_WRITE && (record->flags & PC_DURABLE))
        pc_node_write_through(node, &change);
    else
        pc_node_change(node, &change);
}

static void sync_file(struct pc_model *model, const struct pc_record *record)
{
    struct pc_node *node = pc_model_by_file(model, record->file);
    if (node)
        pc_node_sync(node);
    /* An fsync commits the journal of the file system; an fdatasync may find nothing there to commit. */
    if (record->flags & PC_FULL)
        pc_model_commit_names(model);
}

static void apply(struct pc_rebuild *r, const struct pc_record *record, const uint8_t *rest)
{
    struct pc_model *model = r->model;
    const char *path = (const char *)rest, *path2 = path + record->path_len;
    const uint8_t *data = rest + record->path_len + record->path2_len;
    struct pc_node *node;
    switch (record->op) {
    case PC_KNOWN:
        know(model, record, path);
        break;
    case PC_CREATE:
    case PC_MKDIR:
        make_node(model, record, path);
        break;
    case PC_WRITE:
    case PC_SIZE:
    case PC_ALLOCATE:
        change_file(model, record, data);
        break;
    case PC_SYNC:
        sync_file(model, record);
        break;
    case PC_SYNC_ALL:
        sync_all(model);
        break;
    case PC_RENAME:
        pc_model_rename(model, path, record->path_len, path2, record->path2_len);
        break;
    case PC_LINK:
        node = pc_model_find(model, path, record->path_len);
        if (node)
            pc_model_add(model, path2, record->path2_len, node);
        break;
    case PC_UNLINK:
    case PC_RMDIR:
        pc_model_remove(model, path, record->path_len);
        break;
    case PC_SYNC_FOLDER:
        node = pc_model_find(model, path, record->path_len);
        if (node && node->folder)
            pc_model_sync_folder(model, node);
        break;
    default: /* PC_SYNC_RANGE promises nothing */
        break;
    }
}

int pc_rebuild_seek(struct pc_rebuild *r, uint64_t position)
{
    if (position < r->position)
        return -1;
    struct pc_record record;
    while (r->position < position && record_at(r, r->at, &record)) {
        apply(r, &record, r->map + r->at + sizeof record);
        r->at += record_bytes(&record);
        r->position = record.position;
    }
    return 0;
}

/* --- the cut --- */

struct cut {
    struct pc_rebuild *r;
    uint64_t random;
    unsigned chance; /* of 256: that an unsynced change of names is on the disk */
    struct pc_cut report;
};

static uint64_t next_random(struct cut *cut)
{
    uint64_t z = cut->random += 0x9e3779b97f4a7c15u; /* splitmix64 */
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t below(struct cut *cut, uint64_t limit)
{
    return limit ? next_random(cut) % limit : 0;
}

static void apply_to(const struct pc_name_change *change, struct pc_folder *folders,
                     const struct pc_model *model)
{
    for (size_t i = 0; i < model->node_count; i++) {
        if (change->from && model->nodes[i] == change->from_folder)
            pc_folder_drop(&folders[i], change->from);
    }
    for (size_t i = 0; i < model->node_count; i++) {
        if (change->to && model->nodes[i] == change->to_folder)
            pc_folder_put(&folders[i], change->to, change->node);
    }
}

/* Which of the pending changes of names are on the disk. By folder: each keeps a prefix of its own. */
static bool keeps_name(struct cut *cut, const struct pc_name_change *change, size_t index, size_t prefix,
                       uint64_t folder_seed)
{
    switch (cut->report.names) {
    case PC_NAMES_ORDERED:
        return index < prefix;
    case PC_NAMES_BY_FOLDER: {
        const struct pc_node *folder = change->to ? change->to_folder : change->from_folder;
        struct cut own = {.random = folder_seed ^ (uint64_t)(uintptr_t)folder->file ^
                                    (folder == cut->r->model->root)};
        uint64_t until = below(&own, cut->r->model->name_count + 1);
        return index < until;
    }
    case PC_NAMES_ANY:
        return below(cut, 256) < cut->chance;
    }
    return false;
}

static struct pc_folder *choose_names(struct cut *cut)
{
    const struct pc_model *model = cut->r->model;
    uint64_t rule = below(cut, 10);
    cut->report.names = rule < 5 ? PC_NAMES_ORDERED : rule < 8 ? PC_NAMES_BY_FOLDER : PC_NAMES_ANY;
    cut->chance = (unsigned)below(cut, 257);
    enum pc_view view = cut->report.names == PC_NAMES_ORDERED ? PC_VIEW_ORDERED : PC_VIEW_STRICT;
    struct pc_folder *folders = pc_allocate(NULL, model->node_count * sizeof *folders);
    for (size_t i = 0; i < model->node_count; i++)
        pc_folder_copy(&folders[i], &model->nodes[i]->views[view]);
    size_t prefix = below(cut, model->name_count + 1);
    uint64_t folder_seed = next_random(cut);
    for (size_t i = 0; i < model->name_count; i++) {
        const struct pc_name_change *change = &model->names[i];
        if (view == PC_VIEW_ORDERED ? change->ordered_done : change->strict_done)
            continue;
        cut->report.names_pending++;
        if (!keeps_name(cut, change, i, prefix, folder_seed))
            continue;
        cut->report.names_kept++;
        apply_to(change, folders, model);
    }
    return folders;
}

/* Sectors of a write that reach the disk, each by itself. */
static void apply_torn(struct cut *cut, struct pc_content *content, const struct pc_change *change)
{
    uint64_t at = change->offset, end = change->offset + change->len;
    while (at < end) {
        uint64_t sector_end = (at / SECTOR_BYTES + 1) * SECTOR_BYTES;
        if (sector_end > end)
            sector_end = end;
        struct pc_change part = {.kind = PC_CHANGE_WRITE,
                                 .offset = at,
                                 .len = sector_end - at,
                                 .data = change->data + (at - change->offset)};
        if (next_random(cut) & 1)
            pc_content_apply(content, &part);
        at = sector_end;
    }
}

static void shuffle(struct cut *cut, struct pc_change *changes, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        size_t j = below(cut, i);
        struct pc_change swap = changes[i - 1];
        changes[i - 1] = changes[j];
        changes[j] = swap;
    }
}

/* Durable content, then the pending changes as chance has them: none, all, or each kept, dropped or torn, reordered. */
static void choose_content(struct cut *cut, const struct pc_node *node, struct pc_content *content)
{
    content->size = 0;
    struct pc_change all = {.kind = PC_CHANGE_WRITE, .len = node->size, .data = node->disk};
    if (node->size > 0)
        pc_content_apply(content, &all);
    cut->report.writes_pending += node->change_count;
    uint64_t mood = below(cut, 8);
    if (node->change_count == 0 || mood == 0)
        return;
    struct pc_change *changes = pc_allocate(NULL, node->change_count * sizeof *changes);
    memcpy(changes, node->changes, node->change_count * sizeof *changes);
    if (mood >= 5)
        shuffle(cut, changes, node->change_count);
    for (size_t i = 0; i < node->change_count; i++) {
        uint64_t fate = mood == 1 ? 0 : below(cut, 4);
        if (fate == 3 || (fate == 2 && changes[i].kind != PC_CHANGE_WRITE))
            continue;
        cut->report.writes_kept++;
        if (fate == 2) {
            cut->report.writes_torn++;
            apply_torn(cut, content, &changes[i]);
        } else {
            pc_content_apply(content, &changes[i]);
        }
    }
    free(changes);
}

static int write_file(const char *path, unsigned mode, const struct pc_content *content)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0 || ftruncate(fd, (off_t)content->size) != 0)
        return -1;
    static const uint8_t zeros[65536];
    int rc = 0;
    for (size_t at = 0; rc == 0 && at < content->size; at += sizeof zeros) {
        size_t len = content->size - at < sizeof zeros ? content->size - at : sizeof zeros;
        if (memcmp(content->data + at, zeros, len) != 0 &&
            pwrite(fd, content->data + at, len, (off_t)at) != (ssize_t)len)
            rc = -1;
    }
    close(fd);
    return rc;
}

static size_t index_of(const struct pc_model *model, const struct pc_node *node)
{
    size_t i = 0;
    while (model->nodes[i] != node)
        i++;
    return i;
}

static int write_folder(struct cut *cut, const struct pc_folder *folders, const struct pc_node *node,
                        const char *path, struct pc_content *content)
{
    const struct pc_folder *folder = &folders[index_of(cut->r->model, node)];
    for (size_t i = 0; i < folder->count; i++) {
        const struct pc_entry *entry = &folder->entries[i];
        char child[PATH_MAX];
        int rc, n = snprintf(child, sizeof child, "%s/%s", path, entry->name);
        if (n < 0 || (size_t)n >= sizeof child)
            return -1;
        if (entry->node->folder) {
            rc = mkdir(child, 0700);
            if (rc == 0)
                rc = write_folder(cut, folders, entry->node, child, content);
        } else {
            choose_content(cut, entry->node, content);
            rc = write_file(child, entry->node->mode, content);
        }
        if (rc != 0) {
            if (errno != 0)
                perror(child);
            return -1;
        }
    }
    return 0;
}

int pc_rebuild_write(struct pc_rebuild *r, uint64_t seed, const char *out, struct pc_cut *out_cut)
{
    struct cut cut = {.r = r, .random = seed};
    if (mkdir(out, 0700) != 0) {
        perror(out);
        return -1;
    }
    struct pc_folder *folders = choose_names(&cut);
    struct pc_content content = {0};
    errno = 0;
    int rc = write_folder(&cut, folders, r->model->root, out, &content);
    for (size_t i = 0; i < r->model->node_count; i++)
        pc_folder_free(&folders[i]);
    free(folders);
    free(content.data);
    if (rc == 0 && out_cut)
        *out_cut = cut.report;
    return rc;
}
