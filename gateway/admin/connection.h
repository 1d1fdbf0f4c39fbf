/* One client of the admin server: a non-blocking descriptor that reads a request, writes its answer, and
 * starts over. */
#ifndef GW_ADMIN_CONNECTION_H
#define GW_ADMIN_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "admin/guard.h"
#include "admin/http.h"
#include "admin/routes.h"
#include "admin/tls.h"

#define GW_ADMIN_REQUEST_MS 5000 /* to send a whole request, from connecting or from its first byte */
#define GW_ADMIN_IDLE_MS 180000  /* between two requests; longer than usual scrape intervals */
#define GW_ADMIN_ANSWER_MS 10000 /* to take the whole answer */
#define GW_ADMIN_LINGER_MS 1000  /* to take a refusal, before unread input resets the connection */

struct gw_admin_connection {
    int descriptor; /* -1: free */
    bool local;     /* came by the Unix socket */
    SSL *ssl;       /* came by the port of the admin API: all is asked for the token; NULL: not */
    bool tls_wants_write;
    uint8_t address[16];
    enum { GW_ADMIN_READING, GW_ADMIN_WRITING, GW_ADMIN_LINGERING } state;
    bool keep_alive, refused;
    uint64_t deadline_ms;
    char in[GW_HTTP_HEAD_MAX];
    size_t in_len;
    bool has_request; /* its head was read, and its body is being collected */
    struct gw_http_request request;
    char *body; /* malloc; NULL: none */
    size_t body_at;
    char *out;
    size_t out_len, out_at;
};

/* How it came. */
struct gw_admin_origin {
    bool local;
    SSL *ssl; /* taken over; NULL: plain */
    uint8_t address[16];
};

void gw_admin_connection_open(struct gw_admin_connection *c, int descriptor,
                              const struct gw_admin_origin *origin, uint64_t now_ms);
void gw_admin_connection_close(struct gw_admin_connection *c);
/* poll(2) events it waits for. */
short gw_admin_connection_events(const struct gw_admin_connection *c);
/* Does what can be done without blocking; closes itself when it is done, broken or late. */
void gw_admin_connection_run(struct gw_admin_connection *c, struct gw_admin_view *view, bool readable,
                             bool writable, uint64_t now_ms);

#endif
