/* Clock, entropy and lock of a POSIX system. None of them needs setting up, but for the lock. */
#ifndef TRIB_POSIX_PLATFORM_H
#define TRIB_POSIX_PLATFORM_H

#include <pthread.h>
#include <stdbool.h>

#include "tributary/port.h"
#include "wire/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* CLOCK_BOOTTIME, which counts suspend; CLOCK_MONOTONIC where there is none. */
struct trib_clock trib_posix_clock(void);

/* getrandom(2) on Linux, getentropy(3) elsewhere. Blocks only early in a boot, until the kernel's pool is filled. */
struct trib_entropy trib_posix_entropy(void);

/* The caller's; the field is private. */
struct trib_posix_lock {
    pthread_mutex_t mutex;
};

/* The lock is the caller's. Returns 0 or TRIB_EIO. It may be used from any thread of the process. */
TRIB_MUST_CHECK int trib_posix_lock_init(struct trib_posix_lock *lock);
void trib_posix_lock_destroy(struct trib_posix_lock *lock);
struct trib_lock trib_posix_lock(struct trib_posix_lock *lock);

/*
 * The wall clock in ms since 1970, for struct trib_mbedtls_config. True only when the kernel holds it to be
 * synchronised (adjtimex(2), set by an NTP or PTP daemon); else *out_utc_ms is untouched. context is not used.
 */
bool trib_posix_utc_ms(void *context, uint64_t *out_utc_ms);

#ifdef __cplusplus
}
#endif
#endif
