/* Any bytes: skipping and a full read must agree on where an item ends, and never read beyond the input. */
#include <stdlib.h>

#include "wire/cbor.h"
#include "wire/error.h"

/* Reads one item by type. Containers may nest `depth` deep, as for trib_cbor_skip. */
static void read_item(struct trib_cbor_reader *r, int depth)
{
    size_t len;
    struct trib_cbor_container c;
    int type = trib_cbor_peek(r);

    if (depth == 0 && (type == TRIB_CBOR_ARRAY || type == TRIB_CBOR_MAP)) {
        r->error = TRIB_EMALFORMED;
        return;
    }
    switch (type) {
    case TRIB_CBOR_UINT:
        trib_cbor_get_uint(r);
        break;
    case TRIB_CBOR_NEGATIVE:
        trib_cbor_get_int(r);
        break;
    case TRIB_CBOR_BYTES:
        trib_cbor_get_bytes(r, &len);
        break;
    case TRIB_CBOR_TEXT:
        trib_cbor_get_text(r, &len);
        break;
    case TRIB_CBOR_ARRAY:
        c = trib_cbor_get_array(r);
        while (trib_cbor_next(r, &c))
            read_item(r, depth - 1);
        break;
    case TRIB_CBOR_MAP:
        c = trib_cbor_get_map(r);
        while (trib_cbor_next(r, &c)) {
            read_item(r, depth - 1);
            read_item(r, depth - 1);
        }
        break;
    default:
        trib_cbor_get_bool(r);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct trib_cbor_reader read, skipped;

    trib_cbor_reader_init(&read, data, size);
    trib_cbor_reader_init(&skipped, data, size);
    read_item(&read, TRIB_CBOR_DEPTH_MAX);
    trib_cbor_skip(&skipped);
    if (!read.error && (skipped.error || skipped.pos != read.pos))
        abort();
    return 0;
}
