#include "ingest/base64url.h"

static int digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

int gw_base64url_decode(const char *text, size_t len, uint8_t *out, size_t capacity, size_t *out_len)
{
    if (len % 4 == 1)
        return GW_EINVALID;
    if (len / 4 * 3 + (len % 4 ? len % 4 - 1 : 0) > capacity)
        return GW_EFULL;
    uint32_t bits = 0;
    unsigned held = 0;
    size_t at = 0;
    for (size_t i = 0; i < len; i++) {
        int value = digit(text[i]);
        if (value < 0)
            return GW_EINVALID;
        bits = bits << 6 | (uint32_t)value;
        held += 6;
        if (held >= 8) {
            held -= 8;
            out[at++] = (uint8_t)(bits >> held);
            bits &= (1u << held) - 1;
        }
    }
    if (bits != 0) /* one text for one value: else a token could be altered without breaking its signature */
        return GW_EINVALID;
    *out_len = at;
    return GW_OK;
}
