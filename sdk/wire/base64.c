#include "wire/base64.h"

/* By arithmetic: an alphabet would take more bytes. */
static char digit_of(unsigned value, bool url)
{
    if (value < 26)
        return (char)('A' + value);
    if (value < 52)
        return (char)('a' + value - 26);
    if (value < 62)
        return (char)('0' + value - 52);
    if (value == 62)
        return url ? '-' : '+';
    return url ? '_' : '/';
}

size_t trib_base64(const uint8_t *data, size_t len, bool url, char *out_text)
{
    size_t written = 0;
    for (size_t bit = 0; bit < len * 8; bit += 6) {
        size_t at = bit / 8;
        unsigned pair = (unsigned)data[at] << 8 | (at + 1 < len ? data[at + 1] : 0u);
        out_text[written++] = digit_of(pair >> (10 - bit % 8) & 63, url);
    }
    while (!url && written % 4 != 0)
        out_text[written++] = '=';
    return written;
}
