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
#else
#define TRIB_MUST_CHECK
#define TRIB_OWN_FRAME
#endif

/* The table: X(code, name, text). */
#define TRIB_ERRORS(X)                                                                                       \
    X(-1, ESPACE, "the buffer is too small")                                                                 \
    X(-2, ETRUNCATED, "the data ends too early")                                                             \
    X(-3, EMALFORMED, "the data is not well-formed")                                                         \
    X(-4, ETYPE, "a value has another type than expected")                                                   \
    X(-5, ERANGE, "a value is out of its range")                                                             \
    X(-6, EMISSING, "a required value is missing")                                                           \
    X(-7, EAGAIN, "not now; try again")                                                                      \
    X(-8, EIO, "the port reports an input or output error")                                                  \
    X(-9, ECLOSED, "the connection is closed")                                                               \
    X(-10, EINVAL, "an argument is not allowed")                                                             \
    X(-11, EFULL, "no room: the event was not recorded")                                                     \
    X(-12, EDAMAGED, "stored data is damaged")                                                               \
    X(-13, EPROTOCOL, "the peer broke the protocol")                                                         \
    X(-14, ETLS, "the TLS handshake or record layer failed")                                                 \
    X(-15, ECERTIFICATE, "the peer's certificate is not trusted")                                            \
    X(-16, EAUTH, "the gateway refuses this device's credentials")                                           \
    X(-17, EBUSY, "in use by another process, or too busy now")                                              \
    X(-18, ESTOPPED, "recording is switched off")                                                            \
    X(-19, ETIMEOUT, "it took too long")                                                                     \
    X(-20, EVERSION, "the peer speaks another version")                                                      \
    X(-21, EERASED, "this journal is from before an erasure: call trib_erase")

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
