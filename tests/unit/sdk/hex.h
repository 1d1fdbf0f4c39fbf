/* Hex text to bytes, for tests that read vectors. */
#ifndef TESTS_UNIT_SDK_HEX_H
#define TESTS_UNIT_SDK_HEX_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Returns the number of bytes; stops at the first character that is no hex digit. */
static inline size_t hex_decode(const char *hex, uint8_t *out, size_t cap)
{
    size_t len = 0;
    unsigned byte;

    while (len < cap && strspn(hex, "0123456789abcdefABCDEF") >= 2 && sscanf(hex, "%2x", &byte) == 1) {
        out[len++] = (uint8_t)byte;
        hex += 2;
    }
    return len;
}

static inline void hex_encode(const uint8_t *data, size_t len, char *out)
{
    for (size_t i = 0; i < len; i++)
        sprintf(out + 2 * i, "%02x", data[i]);
    out[2 * len] = '\0';
}

#endif
