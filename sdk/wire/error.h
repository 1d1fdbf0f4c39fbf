/* Error codes of the SDK and the wire codec: 0 is success, negative is an error. One table. */
#ifndef TRIB_WIRE_ERROR_H
#define TRIB_WIRE_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

/* Before a function whose result must not be ignored. */
#if defined(__GNUC__)
#define TRIB_MUST_CHECK __attribute__((warn_unused_result))
/* For functions with large locals: inlined, these would stay on the stack below all that their caller calls next. */
#define TRIB_OWN_FRAME __attribute__((noinline))
/* For small functions that -Os would copy into each caller, and so make the whole larger (measured on Cortex-M4). */
#define TRIB_ONE_COPY __attribute__((noinline))
#else
#define TRIB_MUST_CHECK
#define TRIB_OWN_FRAME
#define TRIB_ONE_COPY
#endif

/* The table: X(code, name, text). */
#define TRIB_ERRORS(X)                                                                                       \
    X(-1, ESPACE, "buffer too small")                                                                        \
    X(-2, ETRUNCATED, "data ends too early")                                                                 \
    X(-3, EMALFORMED, "not well-formed")                                                                     \
    X(-4, ETYPE, "wrong type")                                                                               \
    X(-5, ERANGE, "out of range")                                                                            \
    X(-6, EMISSING, "a value is missing")                                                                    \
    X(-7, EAGAIN, "not now")                                                                                 \
    X(-8, EIO, "input or output error")                                                                      \
    X(-9, ECLOSED, "connection closed")                                                                      \
    X(-10, EINVAL, "argument not allowed")                                                                   \
    X(-11, EFULL, "no room: not recorded")                                                                   \
    X(-12, EDAMAGED, "stored data is damaged")                                                               \
    X(-13, EPROTOCOL, "protocol broken by the peer")                                                         \
    X(-14, ETLS, "TLS failed")                                                                               \
    X(-15, ECERTIFICATE, "certificate not trusted")                                                          \
    X(-16, EAUTH, "the gateway refuses this device")                                                         \
    X(-17, EBUSY, "in use, or too busy")                                                                     \
    X(-18, ESTOPPED, "recording is off")                                                                     \
    X(-19, ETIMEOUT, "took too long")                                                                        \
    X(-20, EVERSION, "peer has another version")                                                             \
    X(-21, EERASED, "journal older than an erasure: call trib_erase")

/* TRIB_ESPACE and so on. */
enum trib_error {
    TRIB_OK = 0,
#define TRIB_ERROR_ENUM(code, name, text) TRIB_##name = code,
    TRIB_ERRORS(TRIB_ERROR_ENUM)
#undef TRIB_ERROR_ENUM
};

/* A short English text for a code; never NULL. */
const char *trib_error_text(int code);

#ifdef __cplusplus
}
#endif
#endif
