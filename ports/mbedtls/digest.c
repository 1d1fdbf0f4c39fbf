#include <mbedtls/sha256.h>
#include <mbedtls/version.h>

#include "net_tls.h"

static int sha256(void *context, const void *data, size_t length, uint8_t out[32])
{
    (void)context;
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    return mbedtls_sha256(data, length, out, 0) == 0 ? 0 : TRIB_EIO;
#else
    return mbedtls_sha256_ret(data, length, out, 0) == 0 ? 0 : TRIB_EIO;
#endif
}

struct trib_digest trib_mbedtls_digest(void)
{
    return (struct trib_digest){NULL, sha256};
}
