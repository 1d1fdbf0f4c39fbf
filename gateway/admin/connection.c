#include "admin/connection.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD_ROOM 512

void gw_admin_connection_open(struct gw_admin_connection *c, int descriptor, bool local, uint64_t now_ms)
{
    c->descriptor = descriptor;
    c->local = local;
    c->state = GW_ADMIN_READING;
    c->keep_alive = c->refused = false;
    c->deadline_ms = now_ms + GW_ADMIN_REQUEST_MS;
    c->in_len = c->out_len = c->out_at = 0;
    c->out = NULL;
}

void gw_admin_connection_close(struct gw_admin_connection *c)
{
    if (c->descriptor >= 0)
        close(c->descriptor);
    free(c->out);
    c->out = NULL;
    c->descriptor = -1;
}

short gw_admin_connection_events(const struct gw_admin_connection *c)
{
    return c->state == GW_ADMIN_WRITING ? POLLOUT : POLLIN;
}

/* Head and body into one buffer, so that a small answer is one segment. Takes the body over. */
static bool queue_answer(struct gw_admin_connection *c, struct gw_admin_answer *answer, bool head_only,
                         uint64_t now_ms)
{
    static const char empty[] = "";
    const char *body = answer->body ? answer->body : empty;
    int status = answer->body ? answer->status : 500;
    char head[HEAD_ROOM];
    size_t head_len =
        gw_http_head(status, answer->content_type, answer->body_len, c->keep_alive, head, sizeof head);
    size_t body_len = head_only || !answer->body ? 0 : answer->body_len;
    c->out = head_len < sizeof head ? malloc(head_len + body_len) : NULL;
    if (c->out) {
        memcpy(c->out, head, head_len);
        memcpy(c->out + head_len, body, body_len);
    }
    free(answer->body);
    c->out_len = head_len + body_len;
    c->out_at = 0;
    c->state = GW_ADMIN_WRITING;
    c->deadline_ms = now_ms + GW_ADMIN_ANSWER_MS;
    return c->out != NULL;
}

/* True: an answer is queued. False: more input is needed, or the connection was closed. */
static bool answer_next(struct gw_admin_connection *c, struct gw_admin_view *view, uint64_t now_ms)
{
    struct gw_http_request request;
    struct gw_admin_answer answer;
    int rc = gw_http_parse(c->in, c->in_len, &request);
    if (rc == 0)
        return false;
    if (rc < 0) {
        gw_admin_refuse(-rc, &answer);
        c->refused = true;
        c->keep_alive = false;
        c->in_len = 0;
    } else {
        gw_admin_answer(view, &request, c->local, &answer);
        c->keep_alive = request.keep_alive;
        c->in_len -= (size_t)rc;
        memmove(c->in, c->in + rc, c->in_len);
    }
    if (queue_answer(c, &answer, rc > 0 && request.head, now_ms))
        return true;
    gw_admin_connection_close(c);
    return false;
}

static void read_some(struct gw_admin_connection *c, uint64_t now_ms)
{
    ssize_t n = recv(c->descriptor, c->in + c->in_len, sizeof c->in - c->in_len, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        gw_admin_connection_close(c);
        return;
    }
    if (c->in_len == 0 && c->state == GW_ADMIN_READING)
        c->deadline_ms = now_ms + GW_ADMIN_REQUEST_MS;
    c->in_len = c->state == GW_ADMIN_READING ? c->in_len + (size_t)n : 0; /* lingering: thrown away */
}

/* What follows a whole answer: the next request, a while for the refused to read it, or the end. */
static void answered(struct gw_admin_connection *c, uint64_t now_ms)
{
    free(c->out);
    c->out = NULL;
    if (c->keep_alive) {
        c->state = GW_ADMIN_READING;
        c->deadline_ms = now_ms + (c->in_len ? GW_ADMIN_REQUEST_MS : GW_ADMIN_IDLE_MS);
    } else if (c->refused) {
        c->state = GW_ADMIN_LINGERING;
        c->deadline_ms = now_ms + GW_ADMIN_LINGER_MS;
        c->in_len = 0;
        (void)shutdown(c->descriptor, SHUT_WR);
    } else {
        gw_admin_connection_close(c);
    }
}

static void write_some(struct gw_admin_connection *c, uint64_t now_ms)
{
    ssize_t n = send(c->descriptor, c->out + c->out_at, c->out_len - c->out_at, MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0) {
        gw_admin_connection_close(c);
        return;
    }
    c->out_at += (size_t)n;
    if (c->out_at == c->out_len)
        answered(c, now_ms);
}

void gw_admin_connection_run(struct gw_admin_connection *c, struct gw_admin_view *view, bool readable,
                             bool writable, uint64_t now_ms)
{
    if (c->state != GW_ADMIN_WRITING && readable)
        read_some(c, now_ms);
    else if (c->state == GW_ADMIN_WRITING && writable)
        write_some(c, now_ms);
    /* One answer at a time, and tried at once: most go out without another poll. Pipelined ones follow. */
    while (c->descriptor >= 0 && c->state == GW_ADMIN_READING && c->in_len && answer_next(c, view, now_ms))
        write_some(c, now_ms);
    if (c->descriptor >= 0 && now_ms >= c->deadline_ms)
        gw_admin_connection_close(c);
}
