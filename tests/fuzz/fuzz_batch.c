/* Any bytes as a batch; what is taken must be written again and read back to the same items. */
#include <stdlib.h>
#include <string.h>

#include "wire/message.h"

static void write_item(struct trib_wire_batch_writer *w, const struct trib_wire_batch_item *item)
{
    switch (item->kind) {
    case TRIB_ITEM_TOMBSTONE:
        trib_wire_batch_tombstone(w, item->lane, item->mono_ms);
        break;
    case TRIB_ITEM_CONTEXT:
        trib_wire_batch_context(w, item->context, &item->context_value);
        break;
    case TRIB_ITEM_DROP:
        trib_wire_batch_drop(w, item->lane, item->count, item->drop_class, item->drop_reason);
        break;
    default:
        trib_wire_batch_event(w, item->lane, item->kind, item->mono_ms, item->ord, item->context,
                              item->fields, item->fields_len);
        break;
    }
}

static void must_equal(const struct trib_wire_batch_item *a, const struct trib_wire_batch_item *b)
{
    if (a->kind != b->kind || a->seq != b->seq || a->count != b->count || a->mono_ms != b->mono_ms ||
        a->ord != b->ord || a->context != b->context || a->fields_len != b->fields_len ||
        (a->fields_len && memcmp(a->fields, b->fields, a->fields_len) != 0))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t again[1 << 17];
    struct trib_wire_batch_reader r, r2;
    struct trib_wire_batch_item item, item2;
    struct trib_wire_batch_writer w;
    size_t len;
    int more;

    if (size > 1 << 15 || trib_wire_batch_read(&r, data, size))
        return 0;
    trib_wire_batch_open(&w, &r.head, again, sizeof again);
    while ((more = trib_wire_batch_next(&r, &item)) == 1)
        write_item(&w, &item);
    if (more < 0)
        return 0;
    if (trib_wire_batch_close(&w, &len) || trib_wire_batch_read(&r, data, size) ||
        trib_wire_batch_read(&r2, again, len))
        abort();
    while (trib_wire_batch_next(&r, &item) == 1) {
        if (trib_wire_batch_next(&r2, &item2) != 1)
            abort();
        must_equal(&item, &item2);
    }
    if (trib_wire_batch_next(&r2, &item2) != 0)
        abort();
    return 0;
}
