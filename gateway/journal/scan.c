#include "journal/scan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "journal/bytes.h"
#include "journal/store.h"

#define WINDOW_BYTES ((size_t)1 << 20)
#define BLOCK_BYTES_MAX ((size_t)64 << 20)

/* As much of it as can be read; a page that cannot is zeros. */
static void read_window(int fd, uint8_t *buffer, size_t len, uint64_t at)
{
    memset(buffer, 0, len);
    for (size_t done = 0; done < len;) {
        size_t want = len - done;
        ssize_t n = pread(fd, buffer + done, want, (off_t)(at + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) { /* page by page through what is bad */
            size_t page = want < GW_STORE_PAGE_BYTES ? want : GW_STORE_PAGE_BYTES;
            n = pread(fd, buffer + done, page, (off_t)(at + done));
            n = n < 0 ? (ssize_t)page : n;
        }
        if (n == 0)
            return;
        done += (size_t)n;
    }
}

static int add(struct gw_scan *scan, const struct gw_scan_block *block)
{
    if (scan->count == scan->capacity) {
        size_t capacity = scan->capacity ? scan->capacity * 2 : 256;
        struct gw_scan_block *blocks = realloc(scan->blocks, capacity * sizeof *blocks);
        if (!blocks)
            return GW_ENOMEM;
        scan->blocks = blocks;
        scan->capacity = capacity;
    }
    scan->blocks[scan->count++] = *block;
    return 0;
}

static int load(int fd, uint64_t at, size_t len, uint8_t **out)
{
    uint8_t *bytes = malloc(len ? len : 1);
    struct gw_block_reader reader;
    if (!bytes)
        return GW_ENOMEM;
    read_window(fd, bytes, len, at);
    if (gw_block_read(&reader, bytes, len) != 0) {
        free(bytes);
        return GW_EDAMAGED;
    }
    *out = bytes;
    return 0;
}

/* A block begins on a multiple of 2 (LMDB's nodes do), with its magic; its length must fit the file. */
static int look_at(struct gw_scan *scan, int fd, uint64_t at, const uint8_t *head, uint64_t file_bytes)
{
    size_t len = gw_get32(head + 8);
    uint8_t *bytes = NULL;
#ifndef GW_MUTANT_SCAN_OLD
    if (gw_get64(head + 24) < scan->first_offset)
        return 0;
#endif
    if (len < GW_BLOCK_HEADER_BYTES || len > BLOCK_BYTES_MAX || at + len > file_bytes)
        return 0;
    int rc = load(fd, at, len, &bytes);
    if (rc != 0)
        return rc == GW_EDAMAGED ? 0 : rc;
    struct gw_block_reader reader;
    rc = gw_block_read(&reader, bytes, len);
    if (rc == 0)
        rc = add(scan, &(struct gw_scan_block){.at = at,
                                               .len = len,
                                               .first_offset = reader.head.first_offset,
                                               .txn = reader.head.txn,
                                               .entries = reader.head.entry_count});
    free(bytes);
    return rc;
}

static int by_offset(const void *a, const void *b)
{
    const struct gw_scan_block *x = a, *y = b;
    if (x->first_offset != y->first_offset)
        return x->first_offset < y->first_offset ? -1 : 1;
    if (x->entries == 0 || y->entries == 0) /* of rows only: before the entries at its offset */
        return x->entries == y->entries ? (x->txn > y->txn) - (x->txn < y->txn) : (x->entries ? 1 : -1);
    return x->txn > y->txn ? -1 : x->txn < y->txn;
}

/* A page may hold an older copy of a block. */
static void keep_each_once(struct gw_scan *scan)
{
    size_t kept = 0;
    if (scan->count > 0)
        qsort(scan->blocks, scan->count, sizeof *scan->blocks, by_offset);
    for (size_t i = 0; i < scan->count; i++) {
        const struct gw_scan_block *block = &scan->blocks[i];
        const struct gw_scan_block *last = kept ? &scan->blocks[kept - 1] : NULL;
        if (last && last->first_offset == block->first_offset && last->entries && block->entries)
            continue;
        scan->entries += block->entries;
        scan->blocks[kept++] = *block;
    }
    scan->count = kept;
}

int gw_scan_file(const char *data, uint64_t first_offset, struct gw_scan *out)
{
    *out = (struct gw_scan){.first_offset = first_offset};
    struct stat st;
    int fd = open(data, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return GW_EIO;
    uint8_t *window = malloc(WINDOW_BYTES), magic[4];
    int rc = !window ? GW_ENOMEM : (fstat(fd, &st) != 0 ? GW_EIO : 0);
    gw_put32(magic, GW_BLOCK_MAGIC);
    for (uint64_t at = 0; rc == 0 && at < (uint64_t)st.st_size; at += WINDOW_BYTES - GW_BLOCK_HEADER_BYTES) {
        read_window(fd, window, WINDOW_BYTES, at);
        const uint8_t *end = window + WINDOW_BYTES - GW_BLOCK_HEADER_BYTES;
        for (const uint8_t *p = window;
             rc == 0 && p < end && (p = memmem(p, (size_t)(end - p) + 3, magic, sizeof magic)) != NULL; p++)
            rc = p < end ? look_at(out, fd, at + (uint64_t)(p - window), p, (uint64_t)st.st_size) : 0;
    }
    free(window);
    close(fd);
    if (rc != 0)
        gw_scan_free(out);
    else
        keep_each_once(out);
    return rc;
}

int gw_scan_load(const char *data, const struct gw_scan_block *block, uint8_t **out_bytes)
{
    int fd = open(data, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return GW_EIO;
    int rc = load(fd, block->at, block->len, out_bytes);
    close(fd);
    return rc;
}

void gw_scan_free(struct gw_scan *scan)
{
    free(scan->blocks);
    *scan = (struct gw_scan){0};
}
