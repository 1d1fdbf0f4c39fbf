#include "session/rejected.h"

#include <string.h>

#define ITEM_COUNT 16

enum context_key { CONTEXT_SESSION = 0, CONTEXT_CONTENT = 1, CONTEXT_USER = 2 };

static void put_anchors(struct trib_cbor_writer *w, const struct gw_rejected_event *item)
{
    trib_cbor_put_array(w, item->anchor_count);
    for (size_t i = 0; i < item->anchor_count; i++) {
        trib_cbor_put_array(w, 4);
        trib_cbor_put_uint(w, item->anchors[i].boot);
        trib_cbor_put_uint(w, item->anchors[i].mono_ms);
        trib_cbor_put_uint(w, item->anchors[i].utc_ms);
        trib_cbor_put_uint(w, item->anchors[i].uncertainty_ms);
    }
}

static void put_context(struct trib_cbor_writer *w, const struct trib_wire_context *context)
{
    trib_cbor_put_map(w, (context->session != 0) + (context->content.len != 0) + (context->user.len != 0));
    if (context->session != 0) {
        trib_cbor_put_uint(w, CONTEXT_SESSION);
        trib_cbor_put_uint(w, context->session);
    }
    if (context->content.len != 0) {
        trib_cbor_put_uint(w, CONTEXT_CONTENT);
        trib_cbor_put_text(w, context->content.ptr, context->content.len);
    }
    if (context->user.len != 0) {
        trib_cbor_put_uint(w, CONTEXT_USER);
        trib_cbor_put_text(w, context->user.ptr, context->user.len);
    }
}

int gw_rejected_event_encode(const struct gw_rejected_event *item, uint8_t *buf, size_t cap, size_t *out_len)
{
    struct trib_cbor_writer w;
    trib_cbor_writer_init(&w, buf, cap);
    trib_cbor_put_array(&w, ITEM_COUNT);
    trib_cbor_put_uint(&w, GW_REJECTED_VERSION);
    trib_cbor_put_uint(&w, item->code);
    trib_cbor_put_text(&w, item->device.ptr, item->device.len);
    trib_cbor_put_uint(&w, item->tenant);
    trib_cbor_put_uint(&w, item->stream);
    trib_cbor_put_uint(&w, item->lane);
    trib_cbor_put_uint(&w, item->seq);
    trib_cbor_put_uint(&w, item->boot);
    trib_cbor_put_uint(&w, item->mono_ms);
    trib_cbor_put_uint(&w, item->ord);
    trib_cbor_put_uint(&w, item->received_utc_ms);
    trib_cbor_put_uint(&w, item->received_uncertainty_ms);
    put_anchors(&w, item);
    put_context(&w, &item->context);
    trib_cbor_put_uint(&w, item->type);
    trib_cbor_put_bytes(&w, item->fields, item->fields_len);
    if (w.error)
        return w.error;
    *out_len = w.len;
    return TRIB_OK;
}

static int get_anchors(struct trib_cbor_reader *r, struct gw_rejected_event *item)
{
    struct trib_cbor_container list = trib_cbor_get_array(r);
    while (trib_cbor_next(r, &list)) {
        if (item->anchor_count == TRIB_WIRE_ANCHORS_MAX)
            return TRIB_ERANGE;
        struct trib_wire_anchor *anchor = &item->anchors[item->anchor_count++];
        struct trib_cbor_container numbers = trib_cbor_get_array(r);
        if (r->error == 0 && numbers.left != 4)
            return TRIB_EMALFORMED;
        anchor->boot = trib_cbor_get_uint(r);
        anchor->mono_ms = trib_cbor_get_uint(r);
        anchor->utc_ms = trib_cbor_get_uint(r);
        anchor->uncertainty_ms = trib_cbor_get_uint(r);
    }
    return r->error;
}

static int get_context(struct trib_cbor_reader *r, struct trib_wire_context *context)
{
    struct trib_cbor_container map = trib_cbor_get_map(r);
    while (trib_cbor_next(r, &map)) {
        switch (trib_cbor_get_uint(r)) {
        case CONTEXT_SESSION:
            context->session = trib_cbor_get_uint(r);
            break;
        case CONTEXT_CONTENT:
            context->content.ptr = trib_cbor_get_text(r, &context->content.len);
            break;
        case CONTEXT_USER:
            context->user.ptr = trib_cbor_get_text(r, &context->user.len);
            break;
        default:
            trib_cbor_skip(r);
        }
    }
    return r->error;
}

int gw_rejected_event_decode(const uint8_t *data, size_t len, struct gw_rejected_event *out)
{
    struct trib_cbor_reader r;
    struct gw_rejected_event item = {0};
    trib_cbor_reader_init(&r, data, len);
    struct trib_cbor_container items = trib_cbor_get_array(&r);
    uint64_t version = trib_cbor_get_uint(&r);
    if (r.error)
        return r.error;
    if (version != GW_REJECTED_VERSION)
        return TRIB_EVERSION;
    if (items.left != ITEM_COUNT)
        return TRIB_EMALFORMED;
    item.code = trib_cbor_get_uint(&r);
    item.device.ptr = trib_cbor_get_text(&r, &item.device.len);
    item.tenant = trib_cbor_get_uint(&r);
    item.stream = trib_cbor_get_uint(&r);
    item.lane = trib_cbor_get_uint(&r);
    item.seq = trib_cbor_get_uint(&r);
    item.boot = trib_cbor_get_uint(&r);
    item.mono_ms = trib_cbor_get_uint(&r);
    item.ord = trib_cbor_get_uint(&r);
    item.received_utc_ms = trib_cbor_get_uint(&r);
    item.received_uncertainty_ms = trib_cbor_get_uint(&r);
    int rc = get_anchors(&r, &item);
    if (rc == TRIB_OK)
        rc = get_context(&r, &item.context);
    if (rc != TRIB_OK)
        return rc;
    item.type = trib_cbor_get_uint(&r);
    item.fields = trib_cbor_get_bytes(&r, &item.fields_len);
    if (r.error)
        return r.error;
    if (!trib_cbor_at_end(&r))
        return TRIB_EMALFORMED;
    *out = item;
    return TRIB_OK;
}

void gw_rejected_event_label(uint64_t stream, uint64_t seq, uint8_t out[GW_REJECTED_LABEL_BYTES])
{
    memcpy(out, "quarantine", 10);
    for (unsigned i = 0; i < 8; i++) {
        out[10 + i] = (uint8_t)(stream >> (56 - 8 * i));
        out[18 + i] = (uint8_t)(seq >> (56 - 8 * i));
    }
}
