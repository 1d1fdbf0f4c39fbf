/*
 * A strict HTTP/1.1 server side without I/O (RFC 9110, RFC 9112), for short answers to GET: bytes in, a
 * request or a refusal out. No bodies are taken, so a request is its head.
 */
#ifndef GW_ADMIN_HTTP_H
#define GW_ADMIN_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#define GW_HTTP_HEAD_MAX 8192
#define GW_HTTP_TARGET_MAX 1024

struct gw_http_request {
    char path[GW_HTTP_TARGET_MAX];  /* terminated, not decoded; no query */
    char query[GW_HTTP_TARGET_MAX]; /* behind the question mark; "" if there is none */
    bool head;                      /* HEAD: answer without body */
    bool keep_alive;
};

/*
 * Reads one request from the start of bytes. > 0: the length of its head, *out is filled. 0: not complete
 * yet. < 0: the negative HTTP status to refuse it with (400, 405, 413, 431, 501, 505); the connection is of
 * no more use.
 */
int gw_http_parse(const char *bytes, size_t len, struct gw_http_request *out);

/* The value of a query parameter, as it stands (not percent-decoded), into out; false if absent or too long.
 */
bool gw_http_query(const struct gw_http_request *request, const char *name, char *out, size_t capacity);

/*
 * Status line and header fields, up to and including the empty line. Returns the length as snprintf does.
 */
size_t gw_http_head(int status, const char *content_type, size_t body_len, bool keep_alive, char *buffer,
                    size_t capacity);

#endif
