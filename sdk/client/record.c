/* Favourites and custom events. */
#include <string.h>

#include "client/client_internal.h"
#include "wire/cbor.h"

#define ITEM_MAX 128u
#define LIST_MAX 64u
#define USER_MAX 128u

static void put_text(struct trib_cbor_writer *w, unsigned field, const char *text, size_t len)
{
    trib_cbor_put_uint(w, field);
    trib_cbor_put_text(w, text, len);
}

static int favourite(struct trib_client *client, unsigned type, const char *list, const char *item,
                     const char *user)
{
    uint8_t fields[1 + (3 + ITEM_MAX) + (3 + LIST_MAX) + (3 + USER_MAX) + 8];
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
    trib_cbor_writer_init(&w, fields, sizeof fields);
    trib_cbor_put_map(&w, 2u + (list_len > 0) + (who.bytes > 0));
    if (who.bytes > 0)
        put_text(&w, TRIB_FIELD_USER, who.data, who.bytes);
    put_text(&w, TRIB_FIELD_ITEM, item, item_len);
    if (list_len > 0)
        put_text(&w, TRIB_FIELD_LIST, list, list_len);
    trib_cbor_put_uint(&w, TRIB_FIELD_ITEM_VERSION);
    trib_cbor_put_uint(&w, client->item_version + 1);
    struct trib_part part = {fields, w.len};
    rc = w.error ? w.error : trib_stage_event(client, type, TRIB_LANE_VITAL, 0, now, &part, 1);
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

/* The buffer holds the fields map up to the open map of attributes; only its end is missing. */
void trib_custom_begin(struct trib_custom *event, uint8_t *buffer, size_t capacity, const char *schema)
{
    struct trib_cbor_writer w;
    memset(event, 0, sizeof *event);
    event->buffer = buffer;
    event->capacity = capacity;
    size_t len = schema ? strlen(schema) : 0;
    if (!buffer || len == 0 || len > 128) {
        event->error = TRIB_EINVAL;
        return;
    }
    trib_cbor_writer_init(&w, buffer, capacity);
    trib_cbor_put_map(&w, 2);
    put_text(&w, TRIB_FIELD_SCHEMA, schema, len);
    trib_cbor_put_uint(&w, TRIB_FIELD_DATA);
    trib_cbor_put_map_open(&w);
    event->length = w.len;
    event->error = w.error;
}

static bool attribute(struct trib_custom *event, const char *name, struct trib_cbor_writer *out)
{
    size_t len = name ? strlen(name) : 0;
    if (event->error)
        return false;
    if (len == 0 || len > 128 || event->count == 16) { /* the vocabulary's bound on DATA */
        event->error = TRIB_EINVAL;
        return false;
    }
    trib_cbor_writer_init(out, event->buffer + event->length, event->capacity - event->length);
    trib_cbor_put_text(out, name, len);
    return true;
}

static void attribute_end(struct trib_custom *event, const struct trib_cbor_writer *w)
{
    event->error = w->error;
    if (w->error)
        return;
    event->length += w->len;
    event->count++;
}

void trib_custom_text(struct trib_custom *event, const char *name, const char *value)
{
    struct trib_cbor_writer w;
    if (!attribute(event, name, &w))
        return;
    trib_cbor_put_text(&w, value ? value : "", value ? strlen(value) : 0);
    attribute_end(event, &w);
}

void trib_custom_int(struct trib_custom *event, const char *name, int64_t value)
{
    struct trib_cbor_writer w;
    if (!attribute(event, name, &w))
        return;
    trib_cbor_put_int(&w, value);
    attribute_end(event, &w);
}

void trib_custom_bool(struct trib_custom *event, const char *name, bool value)
{
    struct trib_cbor_writer w;
    if (!attribute(event, name, &w))
        return;
    trib_cbor_put_bool(&w, value);
    attribute_end(event, &w);
}

int trib_custom_record(struct trib_client *client, struct trib_custom *event)
{
    static const uint8_t end = 0xFF; /* break */
    if (event->error)
        return event->error;
    struct trib_part parts[2] = {{event->buffer, event->length}, {&end, 1}};
    uint64_t now = trib_client_now(client);
    trib_client_lock(client);
    int rc = trib_stage_event(client, TRIB_EVENT_CUSTOM, TRIB_LANE_ROUTINE, 0, now, parts, 2);
    trib_client_unlock(client);
    return rc;
}
