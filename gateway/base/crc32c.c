#include "base/crc32c.h"

#include <string.h>

#include "wire/crc32c.h"

#if defined(__x86_64__)
#include <nmmintrin.h>

__attribute__((target("sse4.2"))) static uint32_t crc_hardware(uint32_t crc, const void *data, size_t len)
{
    const uint8_t *p = data;
    uint64_t c = ~crc;
    for (; len >= 8; p += 8, len -= 8) {
        uint64_t word;
        memcpy(&word, p, sizeof word);
        c = _mm_crc32_u64(c, word);
    }
    for (; len > 0; p++, len--)
        c = _mm_crc32_u8((uint32_t)c, *p);
    return ~(uint32_t)c;
}

static int have_hardware(void)
{
    return __builtin_cpu_supports("sse4.2");
}

#define HARDWARE_NAME "sse4.2"

#elif defined(__aarch64__) && defined(__linux__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#include <sys/auxv.h>

#define HWCAP_BIT_CRC32 (1UL << 7) /* HWCAP_CRC32 of the arm64 Linux ABI */

__attribute__((target("+crc"))) static uint32_t crc_hardware(uint32_t crc, const void *data, size_t len)
{
    const uint8_t *p = data;
    uint32_t c = ~crc;
    for (; len >= 8; p += 8, len -= 8) {
        uint64_t word;
        memcpy(&word, p, sizeof word);
        __asm__("crc32cx %w0, %w0, %x1" : "+r"(c) : "r"(word));
    }
    for (; len > 0; p++, len--)
        __asm__("crc32cb %w0, %w0, %w1" : "+r"(c) : "r"((uint32_t)*p));
    return ~c;
}

static int have_hardware(void)
{
    return (getauxval(AT_HWCAP) & HWCAP_BIT_CRC32) != 0;
}

#define HARDWARE_NAME "armv8"
#endif

#if defined(HARDWARE_NAME)
uint32_t gw_crc32c(uint32_t crc, const void *data, size_t len)
{
    return have_hardware() ? crc_hardware(crc, data, len) : trib_crc32c(crc, data, len);
}

const char *gw_crc32c_name(void)
{
    return have_hardware() ? HARDWARE_NAME : "portable";
}
#else
uint32_t gw_crc32c(uint32_t crc, const void *data, size_t len)
{
    return trib_crc32c(crc, data, len);
}

const char *gw_crc32c_name(void)
{
    return "portable";
}
#endif
