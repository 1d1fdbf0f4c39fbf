#include "journal/entry.h"

#define ENTRY_ITEMS 7

int gw_entry_head_encode(const struct gw_entry_head *head, uint8_t *buf, size_t cap, size_t *out_len)
{
    struct trib_cbor_writer w;
    trib_cbor_writer_init(&w, buf, cap);
    trib_cbor_put_array(&w, ENTRY_ITEMS);
    trib_cbor_put_uint(&w, GW_ENTRY_VERSION);
    trib_cbor_put_text(&w, head->device.ptr, head->device.len);
    trib_cbor_put_uint(&w, head->tenant);
    trib_cbor_put_uint(&w, head->received_utc_ms);
    trib_cbor_put_uint(&w, head->received_uncertainty_ms);
    trib_cbor_put_uint(&w, head->flags);
    if (w.error)
        return w.error;
    *out_len = w.len;
    return TRIB_OK;
}

int gw_entry_decode(const uint8_t *data, size_t len, struct gw_entry_head *out_head,
                    const uint8_t **out_batch, size_t *out_batch_len)
{
    struct trib_cbor_reader r;
    trib_cbor_reader_init(&r, data, len);
    struct trib_cbor_container items = trib_cbor_get_array(&r);
    uint64_t version = trib_cbor_get_uint(&r);
    if (r.error)
        return r.error;
    if (version != GW_ENTRY_VERSION)
        return TRIB_EVERSION;
    if (items.left != ENTRY_ITEMS)
        return TRIB_EMALFORMED;
    struct gw_entry_head head = {0};
    head.device.ptr = trib_cbor_get_text(&r, &head.device.len);
    head.tenant = trib_cbor_get_uint(&r);
    head.received_utc_ms = trib_cbor_get_uint(&r);
    head.received_uncertainty_ms = trib_cbor_get_uint(&r);
    head.flags = trib_cbor_get_uint(&r);
    const size_t batch_at = r.pos;
    trib_cbor_skip(&r);
    if (r.error)
        return r.error;
    if (!trib_cbor_at_end(&r))
        return TRIB_EMALFORMED;
    *out_head = head;
    *out_batch = data + batch_at;
    *out_batch_len = r.pos - batch_at;
    return TRIB_OK;
}
