/* One log line as bytes: pure, no clock, no descriptor. log.c feeds it. */
#ifndef GW_OBSERVE_LOG_LINE_H
#define GW_OBSERVE_LOG_LINE_H

#include <stddef.h>
#include <stdint.h>

#include "observe/log.h"

/* PIPE_BUF on Linux: one write(2) of at most this many bytes into a pipe is never torn by another writer. */
#define GW_LOG_LINE_MAX 4096

struct gw_log_line {
    int64_t utc_ms;
    enum gw_log_level level;
    const char *event, *message;
    const struct gw_log_field *fields; /* NULL: none; else ended by a field without name */
    uint64_t suppressed;               /* 0: not shown */
};

/*
 * Writes {"ts":...,"level":...,"event":...,"message":...,<fields>} and a line end; not terminated. Control
 * characters are escaped (RFC 8259 §7), bytes that are not UTF-8 (RFC 3629) become U+FFFD. capacity: at least
 * 512, else 0 is returned. Returns the length.
 */
size_t gw_log_line_format(const struct gw_log_line *line, char *buffer, size_t capacity);

#endif
