#include "observe/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "observe/log_limit.h"
#include "observe/log_line.h"

static _Atomic int least_level = GW_LOG_INFO;
static _Atomic int output = STDERR_FILENO;
static pthread_mutex_t limit_lock = PTHREAD_MUTEX_INITIALIZER;
static struct gw_log_limit limit;

static uint64_t clock_ms(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void gw_log_set_level(enum gw_log_level least)
{
    atomic_store_explicit(&least_level, (int)least, memory_order_relaxed);
}

void gw_log_set_descriptor(int descriptor)
{
    atomic_store_explicit(&output, descriptor, memory_order_relaxed);
}

int gw_log_level_from_name(const char *name, enum gw_log_level *out_level)
{
    static const char *const names[] = {"debug", "info", "warning", "error"};
    for (int i = 0; i < 4; i++) {
        if (strcmp(name, names[i]) == 0) {
            *out_level = (enum gw_log_level)i;
            return GW_OK;
        }
    }
    return GW_EINVALID;
}

/* A log that cannot be written has nowhere to complain; it must not stop the gateway either. */
static void write_line(const char *bytes, size_t len)
{
    int descriptor = atomic_load_explicit(&output, memory_order_relaxed);
    ssize_t n;
    do
        n = write(descriptor, bytes, len);
    while (n < 0 && errno == EINTR);
}

void gw_log_write(enum gw_log_level level, const char *event, const char *message,
                  const struct gw_log_field *fields)
{
    if ((int)level < atomic_load_explicit(&least_level, memory_order_relaxed))
        return;
    int errno_kept = errno;
    struct gw_log_line line = {.level = level, .event = event, .message = message, .fields = fields};
    pthread_mutex_lock(&limit_lock);
    bool allowed = gw_log_limit_allow(&limit, (int)level, event, clock_ms(CLOCK_MONOTONIC), &line.suppressed);
    pthread_mutex_unlock(&limit_lock);
    if (allowed) {
        char buffer[GW_LOG_LINE_MAX];
        line.utc_ms = (int64_t)clock_ms(CLOCK_REALTIME);
        write_line(buffer, gw_log_line_format(&line, buffer, sizeof buffer));
    }
    errno = errno_kept;
}
