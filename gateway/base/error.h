/*
 * Error codes of the gateway, and an error with text for people. 0 is success, negative an error.
 * A function that can fail because of something outside fills a struct gw_error: what, where, how to mend it.
 */
#ifndef GW_BASE_ERROR_H
#define GW_BASE_ERROR_H

#define GW_MUST_CHECK __attribute__((warn_unused_result))

#define GW_ERRORS(X)                                                                                         \
    X(-100, ENOMEM, "out of memory")                                                                         \
    X(-101, EIO, "input or output failed")                                                                   \
    X(-102, EFULL, "no space is left")                                                                       \
    X(-103, EINVALID, "a value is not allowed")                                                              \
    X(-104, EDAMAGED, "stored data is damaged")                                                              \
    X(-105, EBUSY, "in use by another process")                                                              \
    X(-106, ENOTFOUND, "not found")                                                                          \
    X(-107, EAUTH, "credentials are not valid")                                                              \
    X(-108, EPROTOCOL, "the peer broke the protocol")                                                        \
    X(-109, ESTALE, "superseded by a newer connection or state")                                             \
    X(-110, EVERSION, "written by a newer version")                                                          \
    X(-111, EAGAIN, "not now")                                                                               \
    X(-112, ECRYPTO, "a cryptographic operation failed")                                                     \
    X(-113, ELIMIT, "a limit was reached")                                                                   \
    X(-114, ECONFLICT, "it contradicts what is there already")                                               \
    X(-115, EREADONLY, "it may only be read")

enum gw_error_code {
    GW_OK = 0,
#define GW_ERROR_ENUM(code, name, text) GW_##name = code,
    GW_ERRORS(GW_ERROR_ENUM)
#undef GW_ERROR_ENUM
};

struct gw_error {
    int code;
    char text[480]; /* "what, where: how to mend it" */
};

const char *gw_error_text(int code);

/* Fills *error (may be NULL). errno_value 0: no system error is appended. */
void gw_error_fill(struct gw_error *error, int code, int errno_value, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/*
 * The same, and its value is code: for `return gw_error_set(...)`. A macro, so that compilers and analysers see which
 * code comes back: behind a call they take 0 for possible, and warn of results that were never filled.
 */
#define gw_error_set(error, code, errno_value, ...)                                                          \
    __extension__({                                                                                          \
        const int gw_error_code_ = (code);                                                                   \
        gw_error_fill((error), gw_error_code_, (errno_value), __VA_ARGS__);                                  \
        gw_error_code_;                                                                                      \
    })

#endif
