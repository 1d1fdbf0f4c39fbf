#include "journal/audit.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "journal/folder.h"
#include "journal/store.h"

/* Data file version 1 of LMDB 0.9, 64 bits, native byte order. */
enum {
    PAGE_BYTES = GW_STORE_PAGE_BYTES,
    HEADER_BYTES = 16,
    FLAGS_AT = 10,
    LOWER_AT = 12,
    UPPER_AT = 14,
    OVERFLOW_COUNT_AT = 12,
    FLAG_BRANCH = 0x01,
    FLAG_LEAF = 0x02,
    FLAG_OVERFLOW = 0x04,
    NODE_BYTES = 8,
    NODE_BIG = 0x01,
    NODE_DATABASE = 0x02,
    DB_BYTES = 48,
    DB_FLAGS_AT = 4,
    DB_DEPTH_AT = 6,
    DB_INTEGER_KEYS = 0x08,
    DB_BRANCHES_AT = 8,
    DB_LEAVES_AT = 16,
    DB_OVERFLOWS_AT = 24,
    DB_ENTRIES_AT = 32,
    DB_ROOT_AT = 40,
    META_FREE_AT = 16 + 24,
    META_MAIN_AT = META_FREE_AT + DB_BYTES,
    META_LAST_PAGE_AT = META_MAIN_AT + DB_BYTES,
    META_TXN_AT = META_LAST_PAGE_AT + 8,
    DEPTH_MAX = 24,
};

#define NO_PAGE UINT64_MAX

struct key {
    const uint8_t *bytes; /* NULL: none yet */
    size_t len;
};

struct audit {
    const uint8_t *map;
    uint64_t page_count, txn;
    uint8_t *seen; /* one byte a page */
};

/* One tree on the way through it in order. */
struct tree {
    struct audit *audit;
    bool numbers;   /* keys are native 64-bit numbers: the free list */
    bool databases; /* values are roots of other trees: the main tree */
    unsigned depth;
    uint64_t branches, leaves, overflows, entries;
    struct key last, bound; /* newest key; what the next one must not be below */
};

static uint16_t get16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static uint64_t get64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static const uint8_t *page_at(const struct audit *audit, uint64_t page)
{
    return audit->map + page * PAGE_BYTES;
}

/* Takes `count` pages from `page` on as used. False: out of range, or used already. */
static bool claim(struct audit *audit, uint64_t page, uint64_t count)
{
    if (page < 2 || page >= audit->page_count || count == 0 || count > audit->page_count - page)
        return false;
    for (uint64_t i = 0; i < count; i++) {
        if (audit->seen[page + i])
            return false;
        audit->seen[page + i] = 1;
    }
    return true;
}

static int compare(const struct tree *tree, struct key a, struct key b)
{
    if (tree->numbers) {
        uint64_t x = get64(a.bytes), y = get64(b.bytes);
        return x < y ? -1 : x > y;
    }
    size_t least = a.len < b.len ? a.len : b.len;
    int order = memcmp(a.bytes, b.bytes, least);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

/* The node at an index; its key lies within the page. False: it does not. */
static bool node_at(const uint8_t *page, unsigned index, const uint8_t **out_node, struct key *out_key)
{
    unsigned at = get16(page + HEADER_BYTES + index * 2);
    if (at < HEADER_BYTES || at > PAGE_BYTES - NODE_BYTES || at % 2 != 0)
        return false;
    const uint8_t *node = page + at;
    size_t key_len = get16(node + 6);
    if (key_len > PAGE_BYTES - at - NODE_BYTES)
        return false;
    *out_node = node;
    *out_key = (struct key){.bytes = node + NODE_BYTES, .len = key_len};
    return true;
}

static bool audit_tree(struct audit *audit, const uint8_t *record, bool numbers, bool databases);

/* A record of the free list: a count, then page numbers in falling order. Each is claimed. */
static bool claim_free(struct audit *audit, const uint8_t *data, size_t len)
{
    uint64_t count = len >= 8 ? get64(data) : NO_PAGE;
    if (len < 8 || count > len / 8 - 1)
        return false;
    for (uint64_t i = 1; i <= count; i++) {
        if (!claim(audit, get64(data + i * 8), 1))
            return false;
    }
    return true;
}

static bool audit_leaf_node(struct tree *tree, const uint8_t *page, const uint8_t *node, struct key key)
{
    struct audit *audit = tree->audit;
    size_t len = get16(node) | (size_t)get16(node + 2) << 16;
    unsigned flags = get16(node + 4);
    const uint8_t *data = key.bytes + key.len;
    size_t room = (size_t)(page + PAGE_BYTES - data);
    if (tree->numbers && (key.len != 8 || get64(key.bytes) > audit->txn)) /* freed by a transaction to come */
        return false;
    if ((tree->last.bytes && compare(tree, key, tree->last) <= 0) ||
        (tree->bound.bytes && compare(tree, key, tree->bound) < 0))
        return false;
    tree->last = key;
    tree->bound = (struct key){0};
    tree->entries++;
    if (flags == NODE_BIG) {
        uint64_t first = room >= 8 ? get64(data) : NO_PAGE,
                 pages = (HEADER_BYTES + len + PAGE_BYTES - 1) / PAGE_BYTES;
        if (!claim(audit, first, pages))
            return false;
        const uint8_t *overflow = page_at(audit, first);
        uint32_t claimed;
        memcpy(&claimed, overflow + OVERFLOW_COUNT_AT, sizeof claimed);
        if (get64(overflow) != first || get16(overflow + FLAGS_AT) != FLAG_OVERFLOW || claimed != pages)
            return false;
        tree->overflows += pages;
        data = overflow + HEADER_BYTES;
    } else if (len > room || flags != (tree->databases ? NODE_DATABASE : 0)) {
        return false;
    }
    if (tree->numbers)
        return claim_free(audit, data, len);
    return !tree->databases || (len == DB_BYTES && audit_tree(audit, data, false, false));
}

/*
 * The nodes of a page fill it from `upper` to its end without a gap. LMDB moves them about on that assumption, and
 * would write outside the page if it were wrong.
 */
static bool nodes_fill(const uint8_t *page, unsigned count, bool leaf)
{
    uint8_t used[PAGE_BYTES / 2] = {0};
    size_t sum = 0, upper = get16(page + UPPER_AT);
    for (unsigned i = 0; i < count; i++) {
        const uint8_t *node;
        struct key key;
        if (!node_at(page, i, &node, &key))
            return false;
        size_t at = (size_t)(node - page), len = NODE_BYTES + key.len;
        if (leaf)
            len += get16(node + 4) & NODE_BIG ? 8 : get16(node) | (size_t)get16(node + 2) << 16;
        len += len & 1;
        if (at < upper || len > PAGE_BYTES - at || used[at / 2])
            return false;
        used[at / 2] = 1;
        sum += len;
    }
    return sum == PAGE_BYTES - upper;
}

static bool audit_page(struct tree *tree, uint64_t number, unsigned level)
{
    struct audit *audit = tree->audit;
    if (!claim(audit, number, 1))
        return false;
    const uint8_t *page = page_at(audit, number);
    unsigned flags = get16(page + FLAGS_AT), lower = get16(page + LOWER_AT), upper = get16(page + UPPER_AT);
    bool leaf = level == tree->depth;
    if (get64(page) != number || flags != (leaf ? FLAG_LEAF : FLAG_BRANCH) || lower < HEADER_BYTES ||
        lower % 2 != 0 || lower > upper || upper > PAGE_BYTES)
        return false;
    unsigned count = (lower - HEADER_BYTES) / 2;
    if (count < (leaf || tree->numbers ? 1u : 2u))
        return false;
    if (!nodes_fill(page, count, leaf))
        return false;
    *(leaf ? &tree->leaves : &tree->branches) += 1;
    for (unsigned i = 0; i < count; i++) {
        const uint8_t *node;
        struct key key;
        if (!node_at(page, i, &node, &key) || (tree->numbers && (!leaf && i > 0) && key.len != 8))
            return false;
        if (leaf) {
            if (!audit_leaf_node(tree, page, node, key))
                return false;
            continue;
        }
        if (i > 0) {
            if (!tree->last.bytes || compare(tree, key, tree->last) <= 0)
                return false;
            tree->bound = key;
        }
        uint64_t child = get16(node) | (uint64_t)get16(node + 2) << 16 | (uint64_t)get16(node + 4) << 32;
        if (!audit_page(tree, child, level + 1))
            return false;
    }
    return true;
}

static bool audit_tree(struct audit *audit, const uint8_t *record, bool numbers, bool databases)
{
    struct tree tree = {
        .audit = audit, .numbers = numbers, .databases = databases, .depth = get16(record + DB_DEPTH_AT)};
    uint64_t root = get64(record + DB_ROOT_AT);
    if (get16(record + DB_FLAGS_AT) !=
        (numbers ? DB_INTEGER_KEYS : 0)) /* they choose how keys are compared */
        return false;
    if (root == NO_PAGE ? tree.depth != 0 : tree.depth == 0 || tree.depth > DEPTH_MAX)
        return false;
    if (root != NO_PAGE && !audit_page(&tree, root, 1))
        return false;
    return tree.branches == get64(record + DB_BRANCHES_AT) && tree.leaves == get64(record + DB_LEAVES_AT) &&
           tree.overflows == get64(record + DB_OVERFLOWS_AT) && tree.entries == get64(record + DB_ENTRIES_AT);
}

static int audit_map(const uint8_t *map, uint64_t file_pages)
{
    const uint8_t *even = map, *odd = map + PAGE_BYTES;
    const uint8_t *meta = get64(even + META_TXN_AT) > get64(odd + META_TXN_AT) ? even : odd;
    struct audit audit = {
        .map = map, .page_count = get64(meta + META_LAST_PAGE_AT) + 1, .txn = get64(meta + META_TXN_AT)};
    if (audit.page_count < 2 || audit.page_count > file_pages)
        return GW_EDAMAGED;
    audit.seen = calloc(audit.page_count, 1);
    if (!audit.seen)
        return GW_ENOMEM;
    /* A page that is neither used nor free would be a leak, which hurts nobody. */
    bool sound = audit_tree(&audit, meta + META_FREE_AT, true, false) &&
                 audit_tree(&audit, meta + META_MAIN_AT, false, true);
    free(audit.seen);
    return sound ? 0 : GW_EDAMAGED;
}

int gw_audit(const char *folder)
{
    struct gw_path path = gw_path_join(folder, GW_STORE_DATA);
    int fd = open(path.text, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return GW_EIO;
    struct stat st;
    int rc = fstat(fd, &st) != 0 ? GW_EIO : 0;
    if (rc == 0 && st.st_size < 2 * PAGE_BYTES)
        rc = GW_EDAMAGED;
    if (rc == 0) {
        void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        rc = map == MAP_FAILED ? GW_ENOMEM : audit_map(map, (uint64_t)st.st_size / PAGE_BYTES);
        if (map != MAP_FAILED)
            munmap(map, (size_t)st.st_size);
    }
    close(fd);
    return rc;
}
