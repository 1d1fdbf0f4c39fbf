/*
 * Any bytes as a client's websocket frames: what comes out must not depend on how the bytes are cut, and no message
 * may be longer than the limit.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/frame.h"
#include "wire/crc32c.h"

#define LIMIT 700

/* A digest of all that came out, in order. */
static uint32_t read_all(const uint8_t *data, size_t size, size_t step)
{
    struct gw_frame_reader reader;
    uint32_t digest = 0;
    bool broken = false;
    gw_frame_reader_init(&reader);
    for (size_t at = 0; at < size && !broken; at += step) {
        size_t len = size - at < step ? size - at : step, used = 0;
        uint8_t *piece = malloc(len); /* exact, for the sanitizer */
        if (!piece)
            abort();
        memcpy(piece, data + at, len);
        struct gw_frame frame = {.kind = GW_FRAME_CONTROL};
        while (frame.kind != GW_FRAME_MORE && !broken) {
            used += gw_frame_read(&reader, piece + used, len - used, LIMIT, &frame);
            broken = frame.kind == GW_FRAME_BROKEN;
            if (used > len || (frame.kind == GW_FRAME_MESSAGE && frame.len > LIMIT) ||
                (frame.kind == GW_FRAME_CONTROL && frame.len > GW_FRAME_CONTROL_MAX) ||
                (broken && (!frame.text || frame.code < 1002)))
                abort();
            if (frame.kind == GW_FRAME_MORE)
                continue;
            uint32_t head[4] = {frame.kind, frame.opcode, frame.code, (uint32_t)frame.len};
            digest = trib_crc32c(digest, head, sizeof head);
            if (frame.len > 0)
                digest = trib_crc32c(digest, frame.data, frame.len);
        }
        if (!broken && used != len)
            abort();
        free(piece);
    }
    gw_frame_reader_free(&reader);
    return digest;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    uint32_t whole = read_all(data + 1, size - 1, size);
    if (read_all(data + 1, size - 1, 1u + data[0] % 64) != whole || read_all(data + 1, size - 1, 1) != whole)
        abort();
    return 0;
}
