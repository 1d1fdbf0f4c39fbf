/* Favourites and custom events. */
#include <string.h>

#include "client/client_internal.h"
#include "wire/cbor.h"

#define ITEM_MAX 128u
#define LIST_MAX 64u
#define NAME_MAX 128u
#define ATTRIBUTES_MAX 16u /* the vocabulary's bound on DATA */

/* TRIB_EINVAL in the writer: not UTF-8. */
static void put_checked(struct trib_cbor_writer *w, const char *text, size_t len)
{
    if (w->error == 0 && !trib_cbor_utf8_valid(text, len))
        w->error = TRIB_EINVAL;
    trib_cbor_put_text(w, text, len);
}

static void put_text(struct trib_cbor_writer *w, unsigned field, const char *text, size_t len)
{
    trib_cbor_put_uint(w, field);
    put_checked(w, text, len);
}

static int favourite(struct trib_client *client, unsigned type, const char *list, const char *item,
                     const char *user)
{
    size_t item_len = item ? strlen(item) : 0, list_len = list ? strlen(list) : 0;
    char hashed[TRIB_USER_HASH_BYTES];
    struct trib_part who;
    struct trib_cbor_writer w;
    if (item_len == 0 || item_len > ITEM_MAX || list_len > LIST_MAX)
        return TRIB_EINVAL;
    int rc = trib_client_user(client, user, hashed, &who);
    if (rc < 0)
        return rc;
    uint64_t now = trib_client_now(client);
    trib_client_lock(client);
    if (!client->compact)
        client->compact = trib_client_compact;
    size_t capacity;
    uint8_t *fields = trib_stage_room(client, &capacity);
    trib_cbor_writer_init(&w, fields, capacity);
    trib_cbor_put_map(&w, 2u + (list_len > 0) + (who.bytes > 0));
    /* First: what follows names the item, and is alike in all operations on it. See sdk/journal/ring_compact.c. */
    trib_cbor_put_uint(&w, TRIB_FIELD_ITEM_VERSION);
    trib_cbor_put_uint(&w, client->item_version + 1);
    if (who.bytes > 0)
        put_text(&w, TRIB_FIELD_USER, who.data, who.bytes);
    put_text(&w, TRIB_FIELD_ITEM, item, item_len);
    if (list_len > 0)
        put_text(&w, TRIB_FIELD_LIST, list, list_len);
    struct trib_part part = {fields, w.len};
    rc = TRIB_EINVAL;
    if (w.error != TRIB_EINVAL)
        rc = trib_stage_event(client, type, TRIB_LANE_VITAL, 0, now, &part, 1); /* refuses what did not fit */
    if (rc == 0)
        client->item_version++;
    trib_client_unlock(client);
    return rc;
}

int trib_favourite_add(struct trib_client *client, const char *list, const char *item, const char *user_id)
{
    return favourite(client, TRIB_EVENT_FAVOURITE_ADD, list, item, user_id);
}

int trib_favourite_remove(struct trib_client *client, const char *list, const char *item, const char *user_id)
{
    return favourite(client, TRIB_EVENT_FAVOURITE_REMOVE, list, item, user_id);
}

/* The buffer holds the fields map up to the open map of attributes; only its end is missing. The writer's error is the
 * event's: after one it writes nothing more. */
static void fail(struct trib_custom *event)
{
    event->w.error = event->w.error ? event->w.error : TRIB_EINVAL;
}

void trib_custom_begin(struct trib_custom *event, uint8_t *buffer, size_t capacity, const char *schema)
{
    size_t len = schema ? strlen(schema) : 0;
    event->count = 0;
    trib_cbor_writer_init(&event->w, buffer, capacity);
    if (!buffer || len == 0 || len > NAME_MAX)
        fail(event);
    trib_cbor_put_map(&event->w, 2);
    put_text(&event->w, TRIB_FIELD_SCHEMA, schema, len);
    trib_cbor_put_uint(&event->w, TRIB_FIELD_DATA);
    trib_cbor_put_map_open(&event->w);
}

/* Where the value goes. */
static struct trib_cbor_writer *attribute(struct trib_custom *event, const char *name)
{
    size_t len = name ? strlen(name) : 0;
    if (len == 0 || len > NAME_MAX || event->count == ATTRIBUTES_MAX)
        fail(event);
    event->count++;
    put_checked(&event->w, name, len);
    return &event->w;
}

void trib_custom_text(struct trib_custom *event, const char *name, const char *value)
{
    put_checked(attribute(event, name), value, value ? strlen(value) : 0);
}

void trib_custom_bytes(struct trib_custom *event, const char *name, const void *value, size_t length)
{
    trib_cbor_put_bytes(attribute(event, name), (const uint8_t *)value, length);
}

void trib_custom_int(struct trib_custom *event, const char *name, int64_t value)
{
    trib_cbor_put_int(attribute(event, name), value);
}

void trib_custom_uint(struct trib_custom *event, const char *name, uint64_t value)
{
    trib_cbor_put_uint(attribute(event, name), value);
}

void trib_custom_bool(struct trib_custom *event, const char *name, bool value)
{
    trib_cbor_put_bool(attribute(event, name), value);
}

int trib_custom_record(struct trib_client *client, struct trib_custom *event)
{
    static const uint8_t end = 0xFF; /* break */
    if (event->w.error)
        return event->w.error;
    struct trib_part parts[2] = {{event->w.buf, event->w.len}, {&end, 1}};
    uint64_t now = trib_client_now(client);
    trib_client_lock(client);
    int rc = trib_stage_event(client, TRIB_EVENT_CUSTOM, TRIB_LANE_ROUTINE, 0, now, parts, 2);
    trib_client_unlock(client);
    return rc;
}
