/* CRC-32C (RFC 3720 appendix B.4) with the processor's own instruction where it has one; else trib_crc32c. */
#ifndef GW_BASE_CRC32C_H
#define GW_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Start with crc = 0; feed the result back in to go on. Same values as trib_crc32c. Any thread. */
uint32_t gw_crc32c(uint32_t crc, const void *data, size_t len);

/* "sse4.2", "armv8" or "portable": for the log line at start and the bench. */
const char *gw_crc32c_name(void);

#endif
