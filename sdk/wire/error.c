#include "wire/error.h"

const char *trib_error_text(int code)
{
    switch (code) {
    case TRIB_OK:
        return "no error";
#define TRIB_ERROR_CASE(value, name, text)                                                                   \
    case value:                                                                                              \
        return text;
        TRIB_ERRORS(TRIB_ERROR_CASE)
#undef TRIB_ERROR_CASE
    default:
        return "unknown error";
    }
}
