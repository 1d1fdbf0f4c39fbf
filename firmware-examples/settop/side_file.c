#include "side_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int side_open(struct side_file *side, const char *path)
{
    side->failed = false;
    side->length = 0;
    side->fd = -1;
    if (path == NULL)
        return 0;
    side->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    return side->fd < 0 ? -1 : 0;
}

int side_close(struct side_file *side)
{
    if (side->fd >= 0 && close(side->fd) != 0)
        side->failed = true;
    side->fd = -1;
    return side->failed ? -1 : 0;
}

uint64_t side_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void append(struct side_file *side, const char *format, ...)
{
    size_t room = sizeof side->line - side->length;
    va_list arguments;
    int wanted;

    va_start(arguments, format);
    wanted = vsnprintf(side->line + side->length, room, format, arguments);
    va_end(arguments);
    if (wanted < 0 || (size_t)wanted >= room)
        side->failed =
            true; /* the line would be no JSON: the run ends with an error instead of a gap in the oracle */
    else
        side->length += (size_t)wanted;
}

static void append_text(struct side_file *side, const char *value)
{
    append(side, "\"");
    for (const unsigned char *at = (const unsigned char *)value; *at != '\0'; at++) {
        if (*at == '"' || *at == '\\')
            append(side, "\\%c", *at);
        else if (*at < 0x20)
            append(side, "\\u%04x", *at);
        else
            append(side, "%c", *at);
    }
    append(side, "\"");
}

void side_begin(struct side_file *side, const char *kind, const char *name)
{
    side->length = 0;
    append(side, "{\"t\":%" PRIu64 ",\"k\":\"%s\",\"name\":\"%s\"", side_now_ms(), kind, name);
}

void side_int(struct side_file *side, const char *key, int64_t value)
{
    append(side, ",\"%s\":%" PRId64, key, value);
}

void side_uint(struct side_file *side, const char *key, uint64_t value)
{
    append(side, ",\"%s\":%" PRIu64, key, value);
}

void side_real(struct side_file *side, const char *key, double value)
{
    append(side, ",\"%s\":%.6f", key, value);
}

void side_flag(struct side_file *side, const char *key, bool value)
{
    append(side, ",\"%s\":%s", key, value ? "true" : "false");
}

void side_text(struct side_file *side, const char *key, const char *value)
{
    append(side, ",\"%s\":", key);
    if (value == NULL)
        append(side, "null");
    else
        append_text(side, value);
}

void side_end(struct side_file *side)
{
    ssize_t written;

    append(side, "}\n");
    if (side->fd < 0)
        return;
    do
        written = write(side->fd, side->line, side->length);
    while (written < 0 && errno == EINTR);
    if (written != (ssize_t)side->length)
        side->failed = true;
}
