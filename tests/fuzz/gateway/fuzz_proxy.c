/* Any bytes as a PROXY header: the same answer in whatever pieces they come, and nothing behind the header is read. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/proxy.h"

static int feed(const uint8_t *data, size_t size, size_t piece, struct gw_proxy_result *out, size_t *out_used)
{
    struct gw_proxy proxy;
    int result = GW_EAGAIN;
    size_t used = 0;
    gw_proxy_init(&proxy);
    while (result == GW_EAGAIN && used < size) {
        size_t room = gw_proxy_room(&proxy), len = size - used < piece ? size - used : piece;
        if (room == 0)
            abort();
        len = len < room ? len : room;
        uint8_t *exact = malloc(len);
        if (!exact)
            abort();
        memcpy(exact, data + used, len);
        result = gw_proxy_take(&proxy, exact, len, out);
        free(exact);
        used += len;
    }
    *out_used = used;
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gw_proxy_result whole = {.known = false}, pieces = {.known = false};
    size_t used, used_pieces;
    if (size == 0)
        return 0;
    int result = feed(data + 1, size - 1, SIZE_MAX, &whole, &used);
    int again = feed(data + 1, size - 1, data[0] % 64 + 1, &pieces, &used_pieces);
    if (result != again || (result != GW_EPROTOCOL && used != used_pieces))
        abort();
    if (result == GW_OK && (whole.known != pieces.known || memcmp(&whole.source, &pieces.source, 16) != 0 ||
                            used != GW_PROXY_HEAD + ((size_t)data[15] << 8 | data[16])))
        abort();
    return 0;
}
