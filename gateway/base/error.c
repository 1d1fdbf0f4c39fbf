#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *gw_error_text(int code)
{
    switch (code) {
    case GW_OK:
        return "no error";
#define GW_ERROR_CASE(value, name, text)                                                                     \
    case value:                                                                                              \
        return text;
        GW_ERRORS(GW_ERROR_CASE)
#undef GW_ERROR_CASE
    default:
        return "unknown error";
    }
}

void gw_error_fill(struct gw_error *error, int code, int errno_value, const char *format, ...)
{
    if (!error)
        return;
    error->code = code;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
    if (errno_value != 0 && n >= 0 && (size_t)n < sizeof error->text)
        snprintf(error->text + n, sizeof error->text - (size_t)n, " (%s)", strerror(errno_value));
}
