/* Writing frames: RFC 6455 §5.2 and §5.3. */
#include "websocket/websocket.h"

#define FINAL 0x80u
#define MASKED 0x80u

static size_t length_bytes(size_t payload_len)
{
    if (payload_len < 126)
        return 0;
    return payload_len <= UINT16_MAX ? 2 : 8;
}

size_t trib_ws_head_bytes(size_t payload_len)
{
    return 2 + length_bytes(payload_len) + TRIB_WS_MASK_BYTES;
}

void trib_ws_frame_write(enum trib_ws_opcode opcode, uint8_t *payload, size_t len,
                         const uint8_t mask[TRIB_WS_MASK_BYTES])
{
    size_t extended = length_bytes(len);
    uint8_t *head = payload - trib_ws_head_bytes(len);
    head[0] = (uint8_t)(FINAL | (unsigned)opcode);
    head[1] = (uint8_t)(MASKED | (extended == 0 ? len : extended == 2 ? 126u : 127u));
    for (size_t i = 0; i < extended; i++)
        head[2 + i] = (uint8_t)((uint64_t)len >> (8 * (extended - 1 - i)));
    for (size_t i = 0; i < TRIB_WS_MASK_BYTES; i++)
        head[2 + extended + i] = mask[i];
    for (size_t i = 0; i < len; i++)
        payload[i] ^= mask[i % TRIB_WS_MASK_BYTES];
}
