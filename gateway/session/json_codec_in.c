#include "session/json_codec.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "session/json_fields.h"
#include "wire/message.h"

#define UNASSIGNED_MESSAGE 255

/* Where we are in the text, for errors: "items[3]" and then a member's name. */
struct place {
    struct gw_error *error;
    char path[64];
};

static int fail(const struct place *at, const char *member, const char *expected)
{
    const char *dot = at->path[0] && member[0] ? "." : "";

    return gw_error_set(at->error, GW_EPROTOCOL, 0, "%s%s%.40s: %s", at->path, dot, member, expected);
}

/* --- values --- */

static const cJSON *get(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

static int need_uint(const struct place *at, const cJSON *object, const char *name, uint64_t *out)
{
    return gw_json_uint(get(object, name), out) ? 0 : fail(at, name, "an unsigned integer is expected");
}

static int want_uint(const struct place *at, const cJSON *object, const char *name, uint64_t *out)
{
    return get(object, name) ? need_uint(at, object, name, out) : 0;
}

static int need_id(const struct place *at, const cJSON *object, const char *name, uint64_t *out)
{
    return gw_json_id(get(object, name), out) ? 0
                                              : fail(at, name, "a string of up to 16 hex digits is expected");
}

/* An optional text. Borrowed from the tree. */
static int want_text(const struct place *at, const cJSON *object, const char *name, size_t max,
                     struct trib_text *out)
{
    const cJSON *value = get(object, name);

    if (!value)
        return 0;
    if (!cJSON_IsString(value))
        return fail(at, name, "a string is expected");
    *out = (struct trib_text){value->valuestring, strlen(value->valuestring)};
    return out->len <= max ? 0 : fail(at, name, "the string is too long");
}

/* The index of a string among names, which end with NULL; -1 otherwise. */
static int name_index(const cJSON *value, const char *const *names)
{
    for (int i = 0; cJSON_IsString(value) && names[i]; i++)
        if (strcmp(value->valuestring, names[i]) == 0)
            return i;
    return -1;
}

static const char *const lane_names[] = {"vital", "routine", NULL};
static const char *const class_names[] = {"vital", "routine", "unknown", NULL};
static const char *const reason_names[] = {"overflow", "superseded", "damaged", "erased", "not_known", NULL};

static int need_name(const struct place *at, const cJSON *object, const char *name, const char *const *names,
                     unsigned *out)
{
    int index = name_index(get(object, name), names);

    if (index < 0)
        return fail(at, name, "one of the names in docs/protocol.md is expected");
    *out = (unsigned)index;
    return 0;
}

/* --- HELLO --- */

static int hello_stream(const cJSON *entry, size_t index, struct gw_error *error,
                        struct trib_wire_hello_stream *out)
{
    struct place at = {.error = error};
    unsigned lane = 0;

    snprintf(at.path, sizeof at.path, "streams[%zu]", index);
    int result = need_id(&at, entry, "stream", &out->stream);
    if (!result)
        result = need_name(&at, entry, "lane", lane_names, &lane);
    if (!result)
        result = need_uint(&at, entry, "next_seq", &out->next_seq);
    if (!result)
        result = want_uint(&at, entry, "acked_seq", &out->acked_seq);
    if (!result && (out->stream == 0 || out->acked_seq >= out->next_seq))
        result = fail(&at, "", "stream must not be 0, and acked_seq must be below next_seq");
    out->lane = (uint8_t)lane;
    return result;
}

static int hello_streams(const struct place *at, const cJSON *root, struct trib_wire_hello *m)
{
    const cJSON *streams = get(root, "streams"), *entry;

    if (!cJSON_IsArray(streams))
        return fail(at, "streams", "an array is expected");
    cJSON_ArrayForEach(entry, streams)
    {
        if (m->stream_count == TRIB_WIRE_STREAMS_MAX)
            return fail(at, "streams", "at most 8 are allowed");
        int result = hello_stream(entry, m->stream_count, at->error, &m->streams[m->stream_count]);
        if (result)
            return result;
        m->stream_count++;
    }
    return 0;
}

static int hello_to_cbor(const struct place *at, const cJSON *root, uint8_t *buf, size_t cap, size_t *out_len)
{
    struct trib_wire_hello m = {.version = TRIB_WIRE_VERSION}, check;
    const cJSON *acked = get(root, "acked_gateway");
    struct place inside = {.error = at->error, .path = "acked_gateway"};
    int result = want_text(at, root, "device", TRIB_WIRE_DEVICE_BYTES_MAX, &m.device);

    if (!result && m.device.len == 0)
        result = fail(at, "device", "a string of 1 to 64 bytes is expected");
    if (!result)
        result = want_text(at, root, "sdk", TRIB_WIRE_DEVICE_BYTES_MAX, &m.sdk);
    if (!result)
        result = want_uint(at, root, "version", &m.version);
    if (!result)
        result = want_uint(at, root, "generation", &m.generation);
    if (!result)
        result = need_uint(at, root, "boot", &m.boot);
    if (!result)
        result = want_uint(at, root, "mono_ms", &m.mono_ms);
    if (!result)
        result = hello_streams(at, root, &m);
    if (!result && acked)
        result = want_text(&inside, acked, "gateway", TRIB_WIRE_DEVICE_BYTES_MAX, &m.acked_gateway);
    if (!result && acked)
        result = need_id(&inside, acked, "epoch", &m.acked_epoch);
    if (!result)
        result = want_uint(at, root, "config_version", &m.config_version);
    if (result)
        return result;
    int wire = trib_wire_hello_encode(&m, buf, cap, out_len);
    if (wire == TRIB_ESPACE)
        return gw_error_set(at->error, GW_EFULL, 0, "the message is too long");
    if (!wire)
        wire = trib_wire_hello_decode(buf, *out_len, &check);
    /* The session answers another version itself. */
    return wire && wire != TRIB_EVERSION ? fail(at, "hello", trib_error_text(wire)) : 0;
}

/* --- BATCH --- */

struct batch {
    struct trib_wire_batch_writer w;
    struct trib_wire_batch_head head;
    uint8_t *scratch; /* for one event's fields */
    size_t scratch_cap;
    unsigned contexts; /* bit per index defined */
};

static int batch_lanes(const struct place *at, const cJSON *root, struct trib_wire_batch_head *head)
{
    const cJSON *lanes = get(root, "lanes"), *lane;
    size_t i = 0;

    if (!cJSON_IsArray(lanes) || cJSON_GetArraySize(lanes) < 1 || cJSON_GetArraySize(lanes) > TRIB_LANE_COUNT)
        return fail(at, "lanes", "an array of one or two streams is expected (null: not used)");
    cJSON_ArrayForEach(lane, lanes)
    {
        struct place inside = {.error = at->error};
        snprintf(inside.path, sizeof inside.path, "lanes[%zu]", i);
        if (!cJSON_IsNull(lane)) {
            int result = need_id(&inside, lane, "stream", &head->lanes[i].stream);
            if (!result)
                result = need_uint(&inside, lane, "first_seq", &head->lanes[i].seq);
            if (result)
                return result;
            if (head->lanes[i].stream == 0 || head->lanes[i].seq == 0)
                return fail(&inside, "", "stream and first_seq must not be 0");
        }
        i++;
    }
    if (head->lanes[0].stream != 0 && head->lanes[0].stream == head->lanes[1].stream)
        return fail(at, "lanes", "a stream belongs to one lane");
    return 0;
}

static int batch_anchors(const struct place *at, const cJSON *root, struct trib_wire_batch_head *head)
{
    const cJSON *anchors = get(root, "anchors"), *anchor;

    if (anchors && !cJSON_IsArray(anchors))
        return fail(at, "anchors", "an array is expected");
    cJSON_ArrayForEach(anchor, anchors)
    {
        struct place inside = {.error = at->error};
        struct trib_wire_anchor *a = &head->anchors[head->anchor_count];
        if (head->anchor_count == TRIB_WIRE_ANCHORS_MAX)
            return fail(at, "anchors", "at most 8 are allowed");
        snprintf(inside.path, sizeof inside.path, "anchors[%zu]", head->anchor_count++);
        int result = need_uint(&inside, anchor, "boot", &a->boot);
        if (!result)
            result = need_uint(&inside, anchor, "mono_ms", &a->mono_ms);
        if (!result)
            result = need_uint(&inside, anchor, "utc_ms", &a->utc_ms);
        if (!result)
            result = want_uint(&inside, anchor, "uncertainty_ms", &a->uncertainty_ms);
        if (result)
            return result;
    }
    return 0;
}

static int item_context(const struct place *at, const cJSON *item, struct batch *b)
{
    struct trib_wire_context context = {0};
    uint64_t index = 0;
    int result = need_uint(at, item, "index", &index);

    if (!result && (index < 1 || index > TRIB_WIRE_CONTEXTS_MAX))
        result = fail(at, "index", "a number from 1 to 15 is expected");
    if (!result && get(item, "session"))
        result = need_id(at, item, "session", &context.session);
    if (!result)
        result = want_text(at, item, "content", TRIB_WIRE_CONTENT_BYTES_MAX, &context.content);
    if (!result)
        result = want_text(at, item, "user", TRIB_WIRE_USER_BYTES_MAX, &context.user);
    if (result)
        return result;
    b->contexts |= 1u << index;
    trib_wire_batch_context(&b->w, (unsigned)index, &context);
    return 0;
}

static int item_drop(const struct place *at, const cJSON *item, unsigned lane, struct batch *b)
{
    uint64_t count = 0;
    unsigned drop_class = 0, reason = 0;
    int result = need_uint(at, item, "count", &count);

    if (!result && (count == 0 || count > UINT64_MAX - b->head.lanes[lane].seq))
        result = fail(at, "count", "it must be at least 1, and must not run over the end of the stream");
    if (!result)
        result = need_name(at, item, "class", class_names, &drop_class);
    if (!result)
        result = need_name(at, item, "reason", reason_names, &reason);
    if (result)
        return result;
    b->head.lanes[lane].seq += count;
    trib_wire_batch_drop(&b->w, lane, count, drop_class, reason);
    return 0;
}

static int item_event(const struct place *at, const cJSON *item, unsigned lane, struct batch *b)
{
    const cJSON *type = get(item, "type"), *fields = get(item, "fields");
    uint64_t mono_ms = 0, ord = b->w.ord + 1, context = 0;
    struct trib_cbor_writer w;
    int result = need_uint(at, item, "mono_ms", &mono_ms);

    if (!result)
        result = want_uint(at, item, "ord", &ord);
    if (!result)
        result = want_uint(at, item, "context", &context);
    if (!result && !cJSON_IsString(type))
        result = fail(at, "type", "the name of an event is expected");
    if (!result && fields && !cJSON_IsObject(fields))
        result = fail(at, "fields", "an object is expected");
    if (!result && mono_ms < b->w.mono_ms)
        result = fail(at, "mono_ms", "it must not be below that of the event before");
    if (!result && ord <= b->w.ord)
        result = fail(at, "ord", "it must be above that of the event before");
    if (!result && context != 0 && (context > TRIB_WIRE_CONTEXTS_MAX || !(b->contexts >> context & 1)))
        result = fail(at, "context", "no context with this index was given before");
    if (!result && b->head.lanes[lane].seq == UINT64_MAX)
        result = fail(at, "", "the stream is at its end");
    if (result)
        return result;
    int id = trib_event_by_name(type->valuestring, strlen(type->valuestring));
    trib_cbor_writer_init(&w, b->scratch, b->scratch_cap);
    gw_json_fields(&w, id < 0 ? NULL : fields);
    if (w.error)
        return gw_error_set(at->error, GW_EFULL, 0, "%s: the event is too long", at->path);
    b->head.lanes[lane].seq++;
    trib_wire_batch_event(&b->w, lane, id < 0 ? TRIB_WIRE_EVENT_TYPE_NEVER : (unsigned)id, mono_ms, ord,
                          (unsigned)context, w.buf, w.len);
    return 0;
}

static int batch_item(const cJSON *item, size_t index, struct gw_error *error, struct batch *b)
{
    static const char *const kinds[] = {"event", "context", "drop", NULL};
    struct place at = {.error = error};
    unsigned kind = 0, lane = 0;

    snprintf(at.path, sizeof at.path, "items[%zu]", index);
    int result = need_name(&at, item, "kind", kinds, &kind);
    if (result || kind == 1)
        return result ? result : item_context(&at, item, b);
    result = need_name(&at, item, "lane", lane_names, &lane);
    if (!result && b->head.lanes[lane].stream == 0)
        result = fail(&at, "lane", "lanes gives no stream for it");
    if (result)
        return result;
    return kind == 0 ? item_event(&at, item, lane, b) : item_drop(&at, item, lane, b);
}

/* What deltas add to: the first event's own time, and one below its ord (its seq, if it gives none). */
static void batch_base(const cJSON *items, struct trib_wire_batch_head *head)
{
    uint64_t seq[TRIB_LANE_COUNT] = {head->lanes[0].seq, head->lanes[1].seq};
    const cJSON *item;

    cJSON_ArrayForEach(item, items)
    {
        uint64_t count = 0, ord = 0;
        const cJSON *kind = get(item, "kind");
        int lane = name_index(get(item, "lane"), lane_names);
        if (lane < 0 || !cJSON_IsString(kind))
            continue;
        if (strcmp(kind->valuestring, "drop") == 0 && gw_json_uint(get(item, "count"), &count))
            seq[lane] += count;
        if (strcmp(kind->valuestring, "event") != 0)
            continue;
        if (!gw_json_uint(get(item, "ord"), &ord))
            ord = seq[lane];
        if (!gw_json_uint(get(item, "mono_ms"), &head->mono_ms))
            head->mono_ms = 0;
        head->ord = ord > 0 ? ord - 1 : 0;
        return;
    }
}

static int batch_to_cbor(const struct place *at, const cJSON *root, uint8_t *buf, size_t cap, size_t *out_len)
{
    struct batch b = {0};
    const cJSON *items = get(root, "items"), *item;
    size_t index = 0;
    int result = batch_lanes(at, root, &b.head);

    if (!result)
        result = need_uint(at, root, "boot", &b.head.boot);
    if (!result)
        result = batch_anchors(at, root, &b.head);
    if (!result && !cJSON_IsArray(items))
        result = fail(at, "items", "an array is expected");
    if (result)
        return result;
    batch_base(items, &b.head);
    /* An event's fields are built in the far half of the buffer before they are copied to their place. */
    size_t half = cap / 2;
    b.scratch = buf + half;
    b.scratch_cap = cap - half;
    trib_wire_batch_open(&b.w, &b.head, buf, half);
    cJSON_ArrayForEach(item, items)
    {
        result = batch_item(item, index++, at->error, &b);
        if (result)
            return result;
    }
    int wire = trib_wire_batch_close(&b.w, out_len);
    if (wire == TRIB_ESPACE)
        return gw_error_set(at->error, GW_EFULL, 0, "the message is too long");
    return wire ? fail(at, "batch", trib_error_text(wire)) : 0;
}

/* --- any message --- */

/* cJSON would end a string at an escaped NUL, and two ids could become one. */
static bool has_escaped_nul(const char *text, size_t len)
{
    for (size_t i = 0; i + 6 <= len; i++) {
        if (text[i] != '\\')
            continue;
        if (memcmp(text + i, "\\u0000", 6) == 0)
            return true;
        i++; /* what is escaped is not an escape */
    }
    return false;
}

int gw_json_to_cbor(const char *text, size_t len, uint8_t *buf, size_t cap, size_t *out_len,
                    struct gw_error *error)
{
    static const char *const types[] = {"hello",  "batch",  "welcome", "ack", "nack",
                                        "config", "credit", "bye",     NULL};
    const struct place at = {.error = error};
    const char *end = NULL;

    if (memchr(text, 0, len) || !trib_cbor_utf8_valid(text, len) || has_escaped_nul(text, len))
        return gw_error_set(error, GW_EPROTOCOL, 0, "the message is not UTF-8, or has a NUL in it");
    cJSON *root = cJSON_ParseWithLengthOpts(text, len, &end, 0);
    if (!root)
        return gw_error_set(error, GW_EPROTOCOL, 0, "no JSON at byte %zu", end ? (size_t)(end - text) : 0);
    int result, type = name_index(get(root, "type"), types);
    while (end < text + len && strchr(" \t\r\n", *end))
        end++;
    if (end != text + len) {
        result = gw_error_set(error, GW_EPROTOCOL, 0, "something follows the object at byte %zu",
                              (size_t)(end - text));
    } else if (!cJSON_IsObject(root) || !cJSON_IsString(get(root, "type"))) {
        result = fail(&at, "type", "an object with the name of a message is expected");
    } else if (type == 0) {
        result = hello_to_cbor(&at, root, buf, cap, out_len);
    } else if (type == 1) {
        result = batch_to_cbor(&at, root, buf, cap, out_len);
    } else if (type > 1) {
        result = fail(&at, "type", "only the gateway sends this message");
    } else {
        struct trib_cbor_writer w;
        trib_cbor_writer_init(&w, buf, cap);
        trib_cbor_put_array(&w, 2);
        trib_cbor_put_uint(&w, UNASSIGNED_MESSAGE);
        trib_cbor_put_map(&w, 0);
        *out_len = w.len;
        result = w.error ? gw_error_set(error, GW_EFULL, 0, "the buffer is too small") : 0;
    }
    cJSON_Delete(root);
    return result;
}
