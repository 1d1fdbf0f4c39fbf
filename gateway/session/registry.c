#include "session/registry.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct gw_registry_entry {
    struct gw_registry_entry *next;
    uint64_t hash;
    uint64_t generation; /* of the newest connection */
    uint64_t owner;      /* the newest connection, 0: it is gone */
    size_t seats;        /* connections that have not left */
    size_t in_flight;    /* batches of any generation */
    char device[];
};

struct gw_registry {
    pthread_mutex_t lock;
    uint64_t generations; /* never reused, so that an entry that came back is not mistaken for its old self */
    size_t count, mask;
    struct gw_registry_entry *buckets[];
};

/* FNV-1a. Device ids are authenticated before they come here, so nobody can choose many that collide. */
static uint64_t hash_of(const char *text)
{
    uint64_t hash = 14695981039346656037ull;
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 1099511628211ull;
    return hash;
}

struct gw_registry *gw_registry_new(size_t expected)
{
    size_t buckets = 64;
    while (buckets < expected && buckets < (size_t)1 << 24)
        buckets *= 2;
    struct gw_registry *registry = calloc(1, sizeof *registry + buckets * sizeof(struct gw_registry_entry *));
    if (!registry)
        return NULL;
    registry->mask = buckets - 1;
    pthread_mutex_init(&registry->lock, NULL);
    return registry;
}

void gw_registry_free(struct gw_registry *registry)
{
    if (!registry)
        return;
    for (size_t i = 0; i <= registry->mask; i++)
        while (registry->buckets[i]) {
            struct gw_registry_entry *entry = registry->buckets[i];
            registry->buckets[i] = entry->next;
            free(entry);
        }
    pthread_mutex_destroy(&registry->lock);
    free(registry);
}

static struct gw_registry_entry *find_or_add(struct gw_registry *registry, const char *device)
{
    uint64_t hash = hash_of(device);
    struct gw_registry_entry **bucket = &registry->buckets[hash & registry->mask];
    for (struct gw_registry_entry *entry = *bucket; entry; entry = entry->next)
        if (entry->hash == hash && strcmp(entry->device, device) == 0)
            return entry;
    size_t bytes = strlen(device) + 1;
    struct gw_registry_entry *entry = calloc(1, sizeof *entry + bytes);
    if (!entry)
        return NULL;
    memcpy(entry->device, device, bytes);
    entry->hash = hash;
    entry->next = *bucket;
    *bucket = entry;
    registry->count++;
    return entry;
}

static void drop_if_unused(struct gw_registry *registry, struct gw_registry_entry *entry)
{
    if (entry->seats != 0 || entry->in_flight != 0)
        return;
    struct gw_registry_entry **link = &registry->buckets[entry->hash & registry->mask];
    while (*link != entry)
        link = &(*link)->next;
    *link = entry->next;
    registry->count--;
    free(entry);
}

int gw_registry_claim(struct gw_registry *registry, const char *device, uint64_t owner,
                      struct gw_registry_seat *out_seat, uint64_t *out_previous)
{
    pthread_mutex_lock(&registry->lock);
    struct gw_registry_entry *entry = find_or_add(registry, device);
    if (entry) {
        *out_previous = entry->owner;
        entry->owner = owner;
        entry->generation = ++registry->generations;
        entry->seats++;
        *out_seat = (struct gw_registry_seat){.entry = entry, .generation = entry->generation};
    }
    pthread_mutex_unlock(&registry->lock);
    return entry ? GW_OK : GW_ENOMEM;
}

void gw_registry_leave(struct gw_registry *registry, const struct gw_registry_seat *seat)
{
    pthread_mutex_lock(&registry->lock);
    if (seat->entry->generation == seat->generation)
        seat->entry->owner = 0;
    seat->entry->seats--;
    drop_if_unused(registry, seat->entry);
    pthread_mutex_unlock(&registry->lock);
}

/* A new connection asks this before its own first batch, so whatever is in flight belongs to older ones. */
bool gw_registry_settled(struct gw_registry *registry, const struct gw_registry_seat *seat)
{
    pthread_mutex_lock(&registry->lock);
    bool settled = seat->entry->in_flight == 0;
    pthread_mutex_unlock(&registry->lock);
    return settled;
}

bool gw_registry_current(struct gw_registry *registry, const struct gw_registry_seat *seat)
{
    pthread_mutex_lock(&registry->lock);
    bool current = seat->entry->generation == seat->generation;
    pthread_mutex_unlock(&registry->lock);
    return current;
}

void gw_registry_batch_begins(struct gw_registry *registry, const struct gw_registry_seat *seat)
{
    pthread_mutex_lock(&registry->lock);
    seat->entry->in_flight++;
    pthread_mutex_unlock(&registry->lock);
}

void gw_registry_batch_ends(struct gw_registry *registry, const struct gw_registry_seat *seat)
{
    pthread_mutex_lock(&registry->lock);
    seat->entry->in_flight--;
    drop_if_unused(registry, seat->entry);
    pthread_mutex_unlock(&registry->lock);
}

const char *gw_registry_device(const struct gw_registry_entry *entry)
{
    return entry->device;
}

size_t gw_registry_count(struct gw_registry *registry)
{
    pthread_mutex_lock(&registry->lock);
    size_t count = registry->count;
    pthread_mutex_unlock(&registry->lock);
    return count;
}
