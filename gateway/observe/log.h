/*
 * Structured logs: one JSON object a line on standard error. Never personal data, never secrets; addresses
 * truncated (address.h).
 *
 *   gw_log(GW_LOG_WARNING, "journal.segment_damaged", "run tributaryctl journal salvage",
 *          GW_TEXT("segment", name), GW_UINT("offset", offset));
 *
 * A code point (event and level) that logs more than 10 lines a second is cut, and its next line says how
 * many were suppressed. Fields that do not fit in a line of 4096 bytes are left out, and the line says
 * "truncated":true.
 */
#ifndef GW_OBSERVE_LOG_H
#define GW_OBSERVE_LOG_H

#include <stdint.h>

#include "base/error.h"

enum gw_log_level { GW_LOG_DEBUG, GW_LOG_INFO, GW_LOG_WARNING, GW_LOG_ERROR };

struct gw_log_field {
    const char *name; /* NULL ends the list */
    enum { GW_FIELD_TEXT, GW_FIELD_UINT, GW_FIELD_INT, GW_FIELD_HEX } kind;
    union {
        const char *text;
        uint64_t uint;
        int64_t sint;
    } value;
};

/* clang-format off */
#define GW_TEXT(n, v) {.name = (n), .kind = GW_FIELD_TEXT, .value.text = (v)}
#define GW_UINT(n, v) {.name = (n), .kind = GW_FIELD_UINT, .value.uint = (v)}
#define GW_INT(n, v) {.name = (n), .kind = GW_FIELD_INT, .value.sint = (v)}
#define GW_HEX(n, v) {.name = (n), .kind = GW_FIELD_HEX, .value.uint = (v)}
/* clang-format on */

/* event: dotted name for machines; message: what happened and what the operator can do. Thread-safe. */
#ifdef __cppcheck__ /* it does not know __VA_OPT__ */
#define gw_log(level, event, message, ...) gw_log_write((level), (event), (message), NULL)
#else
#define gw_log(level, event, message, ...)                                                                   \
    gw_log_write((level), (event), (message),                                                                \
                 (const struct gw_log_field[]){__VA_ARGS__ __VA_OPT__(, ){.name = 0}})
#endif

void gw_log_write(enum gw_log_level level, const char *event, const char *message,
                  const struct gw_log_field *fields);
void gw_log_set_level(enum gw_log_level least);
/* "debug", "info", "warning" or "error"; GW_EINVALID for another name, *out_level is then untouched. */
GW_MUST_CHECK int gw_log_level_from_name(const char *name, enum gw_log_level *out_level);
/* Where lines go; standard error (2) until set. The descriptor stays the caller's. */
void gw_log_set_descriptor(int descriptor);

#endif
