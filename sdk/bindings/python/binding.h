/*
 * The SDK for a foreign-function interface: client, POSIX ports and mbedTLS behind handles, with plain arguments only.
 * Strings are UTF-8 and copied where they are kept. Errors: 0 or a negative TRIB_E… of <wire/error.h>.
 *
 * Threads: open, step, flush, shutdown and free of a handle belong to one thread at a time; the recording calls may come
 * from any, but not from shutdown on. Callbacks are made from open, step, flush and shutdown.
 */
#ifndef TRIB_BINDING_H
#define TRIB_BINDING_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define TRIB_PY_API __attribute__((visibility("default")))
#else
#define TRIB_PY_API
#endif

/* What the Python side must agree with: raised with each change of this file. */
#define TRIB_PY_ABI 4

struct trib_py;
struct trib_py_session;
struct trib_py_custom;

struct trib_py_options {
    const char *device_id;
    const char *host;
    const char *path;        /* NULL: "/v1" */
    const char *token;       /* NULL with a certificate */
    const char *folder;      /* holds vital.ring and routine.ring; must exist */
    const char *ca;          /* PEM */
    const char *certificate; /* PEM, or NULL */
    const char *key;         /* PEM, or NULL */
    const char *server_name; /* NULL: host */
    const char *proxy_host;  /* an HTTP proxy on the way to host; NULL: none */
    const char *proxy_user;  /* NULL: no credentials for it */
    const char *proxy_password;
    uint32_t port, proxy_port;
    uint32_t sector_bytes, vital_sectors, routine_sectors;
    uint32_t durable_window_ms, ping_ms, linger_ms, backoff_min_ms, backoff_max_ms; /* 0: the SDK's default */
    const char *user_salt;                                                          /* NULL: none */
    uint32_t consent_required, user_id_as_given;
    /* Each may be NULL. */
    void (*log)(int level, const char *text);
    void (*state)(int state, int error);
    void (*rejected)(uint64_t stream, uint64_t seq, unsigned code);
};

/* In this order in the array that trib_py_stats fills. */
enum trib_py_stat {
    TRIB_PY_RECORDED,
    TRIB_PY_REFUSED,
    TRIB_PY_DROPPED,
    TRIB_PY_DURABLE_VITAL,
    TRIB_PY_DURABLE_ROUTINE,
    TRIB_PY_ACKED_VITAL,
    TRIB_PY_ACKED_ROUTINE,
    TRIB_PY_WAITING,
    TRIB_PY_SENT,
    TRIB_PY_REJECTED,
    TRIB_PY_CONNECTS,
    TRIB_PY_DAMAGED,
    TRIB_PY_STAT_COUNT
};

TRIB_PY_API int trib_py_abi(void);
TRIB_PY_API const char *trib_py_version(void);
TRIB_PY_API const char *trib_py_error_text(int code);

/* TRIB_EINVAL (the log says what), TRIB_EIO, TRIB_EBUSY: another process has the rings; TRIB_EFULL: no memory. */
TRIB_PY_API int trib_py_open(const struct trib_py_options *options, struct trib_py **out);
/* trib_poll, then sleeps until there is something to do, at most wait_max_ms; a recording call or trib_py_wake ends the
 * sleep. 0, or TRIB_EIO when the storage fails (going on is right). */
TRIB_PY_API int trib_py_step(struct trib_py *handle, uint32_t wait_max_ms);
/* From any thread. */
TRIB_PY_API void trib_py_wake(struct trib_py *handle);
/* trib_set_consent, trib_erase. After an erasure the sessions are still to be ended, which frees them. */
TRIB_PY_API int trib_py_set_consent(struct trib_py *handle, int given);
TRIB_PY_API int trib_py_erase(struct trib_py *handle);
TRIB_PY_API int trib_py_flush(struct trib_py *handle, uint32_t budget_ms);
/* trib_shutdown. What is left of the handle is for trib_py_state, trib_py_stats and trib_py_free. */
TRIB_PY_API int trib_py_shutdown(struct trib_py *handle, uint32_t budget_ms);
/* Frees the handle and all of its sessions. Without a shutdown before, what was not durable is lost. */
TRIB_PY_API void trib_py_free(struct trib_py *handle);
/* As of the end of the last step, flush or shutdown; from any thread. */
TRIB_PY_API int trib_py_state(struct trib_py *handle);
TRIB_PY_API void trib_py_stats(struct trib_py *handle, uint64_t out[TRIB_PY_STAT_COUNT]);

TRIB_PY_API int trib_py_session_start(struct trib_py *handle, const char *content_id, const char *user_id,
                                      uint64_t duration_ms, int live, struct trib_py_session **out);
TRIB_PY_API int trib_py_session_report(struct trib_py_session *session, int report, uint64_t position_ms,
                                       int64_t value, int cause);
/* Frees the session, but for TRIB_EINVAL (the reason is not allowed) and TRIB_EFULL (no room for the totals now: call again). */
TRIB_PY_API int trib_py_session_end(struct trib_py_session *session, int reason);

TRIB_PY_API int trib_py_favourite(struct trib_py *handle, int add, const char *list, const char *item,
                                  const char *user_id);

/* NULL: no memory. trib_py_custom_record frees it, whatever it returns. */
TRIB_PY_API struct trib_py_custom *trib_py_custom_new(const char *schema);
TRIB_PY_API void trib_py_custom_text(struct trib_py_custom *custom, const char *name, const char *value);
TRIB_PY_API void trib_py_custom_int(struct trib_py_custom *custom, const char *name, int64_t value);
TRIB_PY_API void trib_py_custom_uint(struct trib_py_custom *custom, const char *name, uint64_t value);
TRIB_PY_API void trib_py_custom_bytes(struct trib_py_custom *custom, const char *name, const uint8_t *value,
                                      size_t length);
TRIB_PY_API void trib_py_custom_bool(struct trib_py_custom *custom, const char *name, int value);
TRIB_PY_API int trib_py_custom_record(struct trib_py *handle, struct trib_py_custom *custom);

#endif
