/* Any text as a message of tributary.v1.json; what is taken must be a message that the session can read. And any
 * bytes as a message of the gateway. */
#include <stdlib.h>
#include <string.h>

#include "session/json_codec.h"
#include "wire/message.h"

#define TEXT_MAX 8192

static void must_be_readable(const uint8_t *cbor, size_t len)
{
    uint64_t type;
    size_t body;
    struct trib_wire_batch_reader r;
    struct trib_wire_batch_item item;
    int more;

    if (trib_wire_open(cbor, len, &type, &body))
        abort();
    if (type != TRIB_WIRE_BATCH)
        return;
    if (trib_wire_batch_read(&r, cbor, len))
        abort();
    while ((more = trib_wire_batch_next(&r, &item)) == 1)
        ;
    if (more < 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t cbor[GW_JSON_CBOR_BYTES(TEXT_MAX)];
    static char json[65536];
    struct gw_error error;
    size_t len = 0;

    if (size > TEXT_MAX)
        return 0;
    int result = gw_json_to_cbor((const char *)data, size, cbor, GW_JSON_CBOR_BYTES(size), &len, &error);
    if (result == 0)
        must_be_readable(cbor, len);
    else if (result == GW_EFULL)
        abort(); /* the room promised was not enough */
    if (gw_cbor_to_json(data, size, json, sizeof json, &len) == 0 && len > sizeof json)
        abort();
    return 0;
}
