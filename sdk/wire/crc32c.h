/* CRC-32C (Castagnoli; RFC 3720 appendix B.4). Start with crc = 0; feed the result back in to go on. */
#ifndef TRIB_WIRE_CRC32C_H
#define TRIB_WIRE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

uint32_t trib_crc32c(uint32_t crc, const void *data, size_t len);

#ifdef __cplusplus
}
#endif
#endif
