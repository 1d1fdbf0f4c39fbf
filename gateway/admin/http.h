/*
 * A strict HTTP/1.1 server side without I/O (RFC 9110, RFC 9112), for short requests and answers: bytes in, the head of a
 * request or a refusal out. Bodies have a length (Content-Length) and follow the head; they are the caller's to collect.
 */
#ifndef GW_ADMIN_HTTP_H
#define GW_ADMIN_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#define GW_HTTP_HEAD_MAX 8192
#define GW_HTTP_TARGET_MAX 1024
#define GW_HTTP_BODY_MAX ((size_t)1 << 20)
#define GW_HTTP_CREDENTIALS_MAX 256

enum gw_http_method { GW_HTTP_GET, GW_HTTP_POST, GW_HTTP_PUT, GW_HTTP_DELETE };

struct gw_http_request {
    enum gw_http_method method;                /* GET also for HEAD */
    char path[GW_HTTP_TARGET_MAX];             /* terminated, not decoded; no query */
    char query[GW_HTTP_TARGET_MAX];            /* behind the question mark; "" if there is none */
    char credentials[GW_HTTP_CREDENTIALS_MAX]; /* of Authorization, as it stands; "" if there is none */
    bool head;                                 /* HEAD: answer without body */
    bool keep_alive;
    size_t body_len; /* bytes behind the head; 0 for GET and HEAD */
};

/*
 * Reads one request's head from the start of bytes. > 0: its length, *out is filled. 0: not complete yet. < 0: the negative
 * HTTP status to refuse it with (400, 405, 413, 417, 431, 501, 505); the connection is of no more use.
 */
int gw_http_parse(const char *bytes, size_t len, struct gw_http_request *out);

/* The value of a query parameter, as it stands (not percent-decoded), into out; false if absent or too long.
 */
bool gw_http_query(const struct gw_http_request *request, const char *name, char *out, size_t capacity);

/* Percent-decodes (RFC 3986 §2.1) len bytes into out, terminated. False: a broken escape, an encoded NUL, or no room. */
bool gw_http_decode(const char *text, size_t len, char *out, size_t capacity);

struct gw_http_answer_head {
    int status;
    const char *content_type;
    const char *allow; /* with 405; NULL: GET, HEAD */
    size_t body_len;
    bool keep_alive;
};

/*
 * Status line and header fields, up to and including the empty line. Returns the length as snprintf does.
 */
size_t gw_http_head(const struct gw_http_answer_head *head, char *buffer, size_t capacity);

#endif
