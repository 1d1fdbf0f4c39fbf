#include "journal/rows.h"

#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"

#define NAME_CHUNK_BYTES ((size_t)64 * 1024)
#define FIRST_CAPACITY 256u

void gw_rows_init(struct gw_rows *rows, size_t limit)
{
    *rows = (struct gw_rows){.limit = limit};
    gw_arena_init(&rows->names, NAME_CHUNK_BYTES, limit * 64 + NAME_CHUNK_BYTES);
}

void gw_rows_free(struct gw_rows *rows)
{
    free(rows->slots);
    free(rows->buckets);
    free(rows->devices);
    free(rows->touched);
    gw_arena_free(&rows->names);
    *rows = (struct gw_rows){0};
}

void gw_rows_clear(struct gw_rows *rows)
{
    rows->count = rows->touched_count = 0;
    if (rows->buckets)
        memset(rows->buckets, 0, rows->bucket_count * sizeof *rows->buckets);
    if (rows->devices)
        memset(rows->devices, 0, rows->bucket_count * sizeof *rows->devices);
    gw_arena_reset(&rows->names);
}

static uint64_t hash_of(const char *device, size_t device_len, uint64_t stream)
{
    /* Stream ids are random already; the device only keeps two devices with one stream id apart. */
    return stream * 0x9e3779b97f4a7c15u ^ gw_crc32c(0, device, device_len) * 0xff51afd7ed558ccdu;
}

static bool is_of(const struct gw_row_slot *slot, const char *device, size_t device_len)
{
    return slot->device_len == device_len && memcmp(slot->device, device, device_len) == 0;
}

static uint32_t *device_bucket(const struct gw_rows *rows, const char *device, size_t device_len)
{
    return &rows->devices[gw_crc32c(0, device, device_len) % rows->bucket_count];
}

struct gw_row_slot *gw_rows_of_device(struct gw_rows *rows, const char *device, size_t device_len,
                                      const struct gw_row_slot *after)
{
    if (rows->bucket_count == 0)
        return NULL;
    uint32_t i = after ? after->next_of_device : *device_bucket(rows, device, device_len);
    while (i != 0 && !is_of(&rows->slots[i - 1], device, device_len))
        i = rows->slots[i - 1].next_of_device;
    return i != 0 ? &rows->slots[i - 1] : NULL;
}

struct gw_row_slot *gw_rows_find(struct gw_rows *rows, const char *device, size_t device_len, uint64_t stream)
{
    if (rows->bucket_count == 0)
        return NULL;
    uint64_t hash = hash_of(device, device_len, stream);
    for (uint32_t i = rows->buckets[hash % rows->bucket_count]; i != 0; i = rows->slots[i - 1].next) {
        struct gw_row_slot *slot = &rows->slots[i - 1];
        if (slot->hash == hash && slot->stream == stream && is_of(slot, device, device_len))
            return slot;
    }
    return NULL;
}

static void link_slot(struct gw_rows *rows, uint32_t index)
{
    struct gw_row_slot *slot = &rows->slots[index];
    uint32_t *bucket = &rows->buckets[slot->hash % rows->bucket_count];
    uint32_t *device = device_bucket(rows, slot->device, slot->device_len);
    slot->next = *bucket;
    slot->next_of_device = *device;
    *bucket = *device = index + 1;
}

static bool grow(struct gw_rows *rows)
{
    size_t capacity = rows->capacity ? rows->capacity * 2 : FIRST_CAPACITY;
    if (capacity > rows->limit)
        capacity = rows->limit;
    if (capacity <= rows->capacity)
        return false;
    struct gw_row_slot *slots = realloc(rows->slots, capacity * sizeof *slots);
    if (!slots)
        return false;
    rows->slots = slots;
    uint32_t *buckets = calloc(capacity, sizeof *buckets), *devices = calloc(capacity, sizeof *devices);
    if (!buckets || !devices) {
        free(buckets);
        free(devices);
        return false;
    }
    free(rows->buckets);
    free(rows->devices);
    rows->buckets = buckets;
    rows->devices = devices;
    rows->bucket_count = capacity;
    rows->capacity = capacity;
    for (size_t i = 0; i < rows->count; i++)
        link_slot(rows, (uint32_t)i);
    return true;
}

struct gw_row_slot *gw_rows_add(struct gw_rows *rows, const char *device, size_t device_len, uint64_t stream,
                                const struct gw_row *durable)
{
    if (rows->count == rows->capacity && !grow(rows))
        return NULL;
    char *name = gw_arena_alloc(&rows->names, device_len > 0 ? device_len : 1);
    if (!name)
        return NULL;
    memcpy(name, device, device_len);
    struct gw_row_slot *slot = &rows->slots[rows->count];
    *slot = (struct gw_row_slot){.device = name,
                                 .device_len = device_len,
                                 .stream = stream,
                                 .hash = hash_of(device, device_len, stream),
                                 .durable = *durable,
                                 .pending = *durable};
    link_slot(rows, (uint32_t)rows->count++);
    return slot;
}

bool gw_rows_touch(struct gw_rows *rows, struct gw_row_slot *slot, const struct gw_row *pending)
{
    if (!slot->touched) {
        if (rows->touched_count == rows->touched_capacity) {
            size_t capacity = rows->touched_capacity ? rows->touched_capacity * 2 : FIRST_CAPACITY;
            uint32_t *touched = realloc(rows->touched, capacity * sizeof *touched);
            if (!touched)
                return false;
            rows->touched = touched;
            rows->touched_capacity = capacity;
        }
        rows->touched[rows->touched_count++] = (uint32_t)(slot - rows->slots);
        slot->touched = true;
    }
    slot->pending = *pending;
    return true;
}

static void settle(struct gw_rows *rows, bool keep)
{
    for (size_t i = 0; i < rows->touched_count; i++) {
        struct gw_row_slot *slot = &rows->slots[rows->touched[i]];
        if (keep) {
            slot->durable = slot->pending;
            slot->changed = true;
        } else {
            slot->pending = slot->durable;
        }
        slot->touched = false;
    }
    rows->touched_count = 0;
}

void gw_rows_publish(struct gw_rows *rows)
{
    settle(rows, true);
}

void gw_rows_revert(struct gw_rows *rows)
{
    settle(rows, false);
}

bool gw_row_wins(const struct gw_row *candidate, const struct gw_row *current)
{
    if (!candidate->exists || !current->exists)
        return candidate->exists;
    if (candidate->committed != current->committed)
        return candidate->committed > current->committed;
    if (candidate->generation != current->generation)
        return candidate->generation > current->generation;
    return candidate->touched_ms >= current->touched_ms;
}
