#include "platform.h"

#include <errno.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/random.h>
#include <sys/timex.h>
#endif

#ifdef CLOCK_BOOTTIME
#define MONO_CLOCK CLOCK_BOOTTIME
#else
#define MONO_CLOCK CLOCK_MONOTONIC
#endif

static uint64_t read_ms(clockid_t clock)
{
    struct timespec now;
    if (clock_gettime(clock, &now) != 0)
        return 0;
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t mono_ms(void *context)
{
    (void)context;
    return read_ms(MONO_CLOCK);
}

struct trib_clock trib_posix_clock(void)
{
    return (struct trib_clock){NULL, mono_ms};
}

#ifdef __linux__
static int fill(void *context, uint8_t *out_buffer, size_t length)
{
    (void)context;
    while (length > 0) {
        ssize_t got = getrandom(out_buffer, length, 0);
        if (got < 0 && errno != EINTR)
            return TRIB_EIO;
        if (got > 0) {
            out_buffer += got;
            length -= (size_t)got;
        }
    }
    return 0;
}
#else
static int fill(void *context, uint8_t *out_buffer, size_t length)
{
    (void)context;
    while (length > 0) {
        size_t count = length < 256 ? length : 256; /* getentropy's limit */
        if (getentropy(out_buffer, count) != 0)
            return TRIB_EIO;
        out_buffer += count;
        length -= count;
    }
    return 0;
}
#endif

struct trib_entropy trib_posix_entropy(void)
{
    return (struct trib_entropy){NULL, fill};
}

static void lock_mutex(void *context)
{
    (void)pthread_mutex_lock(context); /* an initialised default mutex cannot fail */
}

static void unlock_mutex(void *context)
{
    (void)pthread_mutex_unlock(context);
}

int trib_posix_lock_init(struct trib_posix_lock *lock)
{
    return pthread_mutex_init(&lock->mutex, NULL) == 0 ? 0 : TRIB_EIO;
}

void trib_posix_lock_destroy(struct trib_posix_lock *lock)
{
    (void)pthread_mutex_destroy(&lock->mutex);
}

struct trib_lock trib_posix_lock(struct trib_posix_lock *lock)
{
    return (struct trib_lock){&lock->mutex, lock_mutex, unlock_mutex};
}

bool trib_posix_utc_ms(void *context, uint64_t *out_utc_ms)
{
    (void)context;
#ifdef __linux__
    struct timex query = {.modes = 0};
    int state = adjtimex(&query);
    if (state < 0 || state == TIME_ERROR || (query.status & STA_UNSYNC) != 0)
        return false;
    *out_utc_ms = read_ms(CLOCK_REALTIME);
    return true;
#else
    (void)out_utc_ms; /* no portable way to ask */
    return false;
#endif
}
