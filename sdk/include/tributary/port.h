/*
 * What a platform gives the SDK. Each port is a struct of callbacks and a context; a missing mandatory one fails
 * trib_init with TRIB_EINVAL. All calls come from the thread that calls trib_poll, trib_flush or trib_init;
 * none is made with the lock held, and none from trib_record.
 */
#ifndef TRIBUTARY_PORT_H
#define TRIBUTARY_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Non-volatile storage for one lane: sectors that are erased whole and programmed in units.
 * Addresses are bytes from the lane's start. Erased bytes read 0xFF. Programming goes from erased to data once.
 * Each call returns 0 or TRIB_EIO and may block for the medium's own time. Nothing programmed or erased counts as
 * durable before sync returned 0. Bytes whose program or erase was cut by power loss may read as anything.
 */
struct trib_storage {
    void *context;
    uint32_t sector_bytes;  /* erase unit; 256 to 131072, a multiple of program_bytes, at least 4 of them */
    uint32_t sector_count;  /* at least 3 */
    uint32_t program_bytes; /* 1 to 32, or 256; a power of two */
    int (*read)(void *context, uint32_t address, void *out_buffer, uint32_t length);
    int (*program)(void *context, uint32_t address, const void *data,
                   uint32_t length); /* both multiples of program_bytes */
    int (*erase)(void *context, uint32_t sector);
    int (*sync)(void *context);
};

/*
 * A byte stream to a host: plain TCP (ports/posix) or TLS on top of another one (ports/mbedtls). Never blocks,
 * but for a TLS handshake step, which may take as long as its arithmetic.
 *   connect  begins or goes on: 0 connected, TRIB_EAGAIN call again, else an error (TRIB_EIO, TRIB_ETLS, TRIB_ECERTIFICATE).
 *   send     bytes taken (at least 1), TRIB_EAGAIN when none can be (the same bytes are offered again), TRIB_ECLOSED,
 *            TRIB_EIO, TRIB_ETLS. Short sends are normal.
 *   receive  bytes stored (at least 1), TRIB_EAGAIN when none are there, TRIB_ECLOSED at the end, TRIB_EIO, TRIB_ETLS.
 *   close    at once, idempotent; connect may follow.
 * Zero is never returned by send or receive. host stays valid until close.
 */
struct trib_net {
    void *context;
    int (*connect)(void *context, const char *host, uint16_t port);
    int (*send)(void *context, const uint8_t *data, size_t length);
    int (*receive)(void *context, uint8_t *out_buffer, size_t capacity);
    void (*close)(void *context);
};

/* Mandatory. Each recording call reads it, from its own thread. */
struct trib_clock {
    void *context;
    /* Milliseconds since some moment of this boot; never goes back; counts time in suspend. */
    uint64_t (*mono_ms)(void *context);
};

/* Fills the buffer from a cryptographic source; 0, or TRIB_EIO. Mandatory: there is no weak default. */
struct trib_entropy {
    void *context;
    int (*fill)(void *context, uint8_t *out_buffer, size_t length);
};

/*
 * SHA-256 (FIPS 180-4), by which user ids are hashed on the device: mandatory, unless config.user_id_as_given. Pure: it
 * touches no port and never blocks. May be called from any thread that records, several at once, never with the lock
 * held. Fills all of out; 0, or TRIB_EIO, and then nothing is recorded.
 */
struct trib_digest {
    void *context;
    int (*sha256)(void *context, const void *data, size_t length, uint8_t out[32]);
};

/* Optional. Guards staging only; held for microseconds, never across a port call. */
struct trib_lock {
    void *context;
    void (*lock)(void *context);
    void (*unlock)(void *context);
};

/* How much a line of the log matters. */
enum trib_log_level { TRIB_LOG_ERROR, TRIB_LOG_WARNING, TRIB_LOG_INFO, TRIB_LOG_DEBUG };

/* Optional. text is one line without its end, valid during the call only. Carries no personal data. */
struct trib_log {
    void *context;
    void (*write)(void *context, enum trib_log_level level, const char *text);
};

#ifdef __cplusplus
}
#endif
#endif
