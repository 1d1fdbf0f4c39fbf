#include "obligations.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int load_obligations_open(struct load_obligations *o, const char *path, const char *position_path)
{
    o->fd = -1;
    o->position = NULL;
    if (position_path) {
        int fd = open(position_path, O_RDONLY | O_CLOEXEC);
        void *mapped = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(uint64_t), PROT_READ, MAP_SHARED, fd, 0);
        if (fd >= 0)
            close(fd);
        if (mapped == MAP_FAILED) {
            fprintf(stderr, "tributary-load: cannot map %s: %s\n", position_path, strerror(errno));
            return -1;
        }
        o->position = mapped;
    }
    if (!path)
        return 0;
    o->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (o->fd < 0)
        fprintf(stderr, "tributary-load: cannot write %s: %s\n", path, strerror(errno));
    return o->fd < 0 ? -1 : 0;
}

__attribute__((format(printf, 2, 3))) static int line(struct load_obligations *o, const char *format, ...)
{
    char text[256];
    va_list args;

    va_start(args, format);
    int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (write(o->fd, text, (size_t)len) == len)
        return 0;
    fprintf(stderr, "tributary-load: cannot write an obligation: %s\n", strerror(errno));
    return -1;
}

int load_obligations_acked(struct load_obligations *o, const char *device, uint64_t stream, uint64_t first,
                           uint64_t last)
{
    /* Read after the ack came, so that it is never below the position at which the gateway sent it. */
    uint64_t position = o->position ? *o->position : 0;

    if (o->fd < 0)
        return 0;
    return line(o, "%s %016" PRIx64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", device, stream, first, last,
                position);
}

int load_obligations_rejected(struct load_obligations *o, const char *device, uint64_t stream, uint64_t seq,
                              uint64_t code)
{
    return o->fd < 0
               ? 0
               : line(o, "rejected %s %016" PRIx64 " %" PRIu64 " %" PRIu64 "\n", device, stream, seq, code);
}

int load_obligations_rejected_more(struct load_obligations *o, const char *device, uint64_t count)
{
    return o->fd < 0 ? 0 : line(o, "rejected-more %s %" PRIu64 "\n", device, count);
}
