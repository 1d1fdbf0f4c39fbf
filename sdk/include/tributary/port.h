/*
 * What a platform gives the SDK. Each port is a struct of callbacks and a context; a missing mandatory one fails
 * trib_init with TRIB_EINVAL, and the log says which.
 *
 * What holds for all of them, unless one says otherwise:
 *   Owner    context and what it points to are the port's; the SDK passes it back and never looks. Buffers are the
 *            caller's, valid during the call only: a port copies what it keeps.
 *   Thread   the one that calls trib_init, trib_poll, trib_flush or trib_shutdown; never an interrupt, never two at once.
 *   Result   0 is success, negative one of TRIB_E…; each port names those that it may return. A call that fails may be
 *            made again.
 *   Calls    none is made with the lock held. A port must not call the SDK.
 * ports/conformance checks a port against this page, on a target without an operating system too.
 */
#ifndef TRIBUTARY_PORT_H
#define TRIBUTARY_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tributary/options.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Non-volatile storage for one lane: sectors that are erased whole and programmed in units. Addresses are bytes from
 * the lane's start; the SDK stays inside the lane, and a port refuses (TRIB_EIO) what is not.
 *   read     any address and length, 0 included. 0: all of out_buffer is filled. Erased bytes read 0xFF.
 *   program  address and length are multiples of program_bytes, within one sector. Each unit is programmed at most once
 *            between two erases. 0: taken, and reads give it from now on; durable only after sync.
 *   erase    0 to sector_count - 1. 0: all its bytes read 0xFF.
 *   sync     0: all that was programmed and erased before survives a power cut.
 * Errors: TRIB_EIO, also for a part that is write-protected or does not answer; nothing else. A port gives up by itself:
 * a call blocks for the medium's own time (a sector's erase may be seconds) and never for ever.
 * What a power cut interrupts may read as anything, and differently twice. Opening what another process has open fails
 * with TRIB_EBUSY, in the port's own open: two writers would destroy a ring.
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
 * A byte stream to a host: plain TCP (ports/posix, ports/freertos), TLS on top of another one (ports/mbedtls), or a way
 * through a proxy (ports/proxy). Never blocks, but for a TLS handshake step, which may take as long as its arithmetic.
 *   connect  begins or goes on. 0: connected, and 0 again when called again. TRIB_EAGAIN: call again, with the same host
 *            and port. TRIB_EIO, TRIB_ETLS, TRIB_ECERTIFICATE, TRIB_EAUTH (a proxy's): failed; close follows. host stays
 *            valid until close. Looking up its name does not block either.
 *   send     1 to length: so many bytes were taken; fewer than offered is normal. TRIB_EAGAIN: none can be taken now;
 *            the same bytes are offered again. TRIB_ECLOSED, also when not connected; TRIB_EIO, TRIB_ETLS. No signal.
 *   receive  1 to capacity: so many bytes were stored. TRIB_EAGAIN: none are there. TRIB_ECLOSED: the end, after the last
 *            byte, and ever after; TRIB_EIO, TRIB_ETLS.
 *   close    at once, at any moment, any number of times. connect may follow, also to another host.
 * send and receive never return 0: zero is neither an end nor "not now". A length or capacity of 0 is TRIB_EINVAL.
 */
struct trib_net {
    void *context;
    int (*connect)(void *context, const char *host, uint16_t port);
    int (*send)(void *context, const uint8_t *data, size_t length);
    int (*receive)(void *context, uint8_t *out_buffer, size_t capacity);
    void (*close)(void *context);
};

/* Mandatory. Thread: any that records, several at once. Does not block and cannot fail. */
struct trib_clock {
    void *context;
    /* Milliseconds since some moment of this boot. Zero is a time like any other. Never goes back, also for two threads,
     * never wraps, is set by nobody, and counts time in suspend. */
    uint64_t (*mono_ms)(void *context);
};

/* Optional: for a clock that stands still in suspend, or that is set. count: a number that is another one whenever mono_ms
 * does not tell how much time went by. Read by trib_poll, which should be the first call after it: what is recorded from
 * then on is dated as if the device had booted, and sessions go on. Never blocks, cannot fail. */
struct trib_discontinuity {
    void *context;
    uint32_t (*count)(void *context);
};

/* Mandatory: there is no weak default. 0: all of the buffer is filled from a cryptographic source (length 0 included).
 * TRIB_EIO: there is none now. May block early in a boot, until the source is seeded. */
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

/* Optional, both or none. Thread: any that records, and the one that polls. lock blocks until it has it; it is held for
 * microseconds, never across a port call, and never taken twice by one thread. Neither can fail. */
struct trib_lock {
    void *context;
    void (*lock)(void *context);
    void (*unlock)(void *context);
};

/*
 * Optional. wait lets trib_flush and trib_shutdown sleep between two polls instead of polling without a pause; nothing
 * else calls it. It returns when the net can go on (readable; writable if a send was refused; connected) or timeout_ms is
 * over, whichever is first; earlier is allowed. A port that cannot see the net sleeps for 20 ms at most. timeout_ms may
 * be 0. It cannot fail.
 */
struct trib_wait {
    void *context;
    void (*wait)(void *context, uint32_t timeout_ms);
};

/* How much a line of the log matters. */
enum trib_log_level { TRIB_LOG_ERROR, TRIB_LOG_WARNING, TRIB_LOG_INFO, TRIB_LOG_DEBUG };

/* Optional. text is one line without its end, valid during the call only. Carries no personal data. Must not block for
 * long: it is called from within trib_poll. */
struct trib_log {
    void *context;
    void (*write)(void *context, enum trib_log_level level, const char *text);
};

#ifdef __cplusplus
}
#endif
#endif
