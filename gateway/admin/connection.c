#include "admin/connection.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD_ROOM 512

void gw_admin_connection_open(struct gw_admin_connection *c, int descriptor,
                              const struct gw_admin_origin *origin, uint64_t now_ms)
{
    c->descriptor = descriptor;
    c->local = origin->local;
    c->ssl = origin->ssl;
    c->tls_wants_write = false;
    memcpy(c->address, origin->address, sizeof c->address);
    c->state = GW_ADMIN_READING;
    c->keep_alive = c->refused = false;
    c->deadline_ms = now_ms + GW_ADMIN_REQUEST_MS;
    c->in_len = c->out_len = c->out_at = 0;
    c->out = c->body = NULL;
    c->has_request = false;
}

void gw_admin_connection_close(struct gw_admin_connection *c)
{
    if (c->descriptor >= 0) {
        SSL_free(c->ssl);
        close(c->descriptor);
    }
    c->ssl = NULL;
    free(c->out);
    free(c->body);
    c->out = c->body = NULL;
    c->descriptor = -1;
}

short gw_admin_connection_events(const struct gw_admin_connection *c)
{
    return c->state == GW_ADMIN_WRITING || c->tls_wants_write ? POLLOUT : POLLIN;
}

/* Head and body into one buffer, so that a small answer is one segment. Takes the body over. */
static bool queue_answer(struct gw_admin_connection *c, struct gw_admin_answer *answer, bool head_only,
                         uint64_t now_ms)
{
    static const char empty[] = "";
    const char *body = answer->body ? answer->body : empty;
    int status = answer->body ? answer->status : 500;
    char head[HEAD_ROOM];
    const struct gw_http_answer_head fields = {.status = status,
                                               .content_type = answer->content_type,
                                               .allow = answer->allow,
                                               .body_len = answer->body_len,
                                               .keep_alive = c->keep_alive};
    size_t head_len = gw_http_head(&fields, head, sizeof head);
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

static void consume(struct gw_admin_connection *c, size_t bytes)
{
    c->in_len -= bytes;
    memmove(c->in, c->in + bytes, c->in_len);
}

static int refuse(struct gw_admin_connection *c, int status, uint64_t now_ms)
{
    struct gw_admin_answer answer;
    gw_admin_refuse(status, &answer);
    c->refused = true;
    c->keep_alive = false;
    c->in_len = 0;
    return queue_answer(c, &answer, false, now_ms) ? 1 : -1;
}

/* 1: the head of a request has been read, and there is room for its body; 0: not yet; else as take_request. */
static int take_head(struct gw_admin_connection *c, struct gw_admin_view *view, uint64_t now_ms)
{
    int rc = gw_http_parse(c->in, c->in_len, &c->request);
    if (rc <= 0)
        return rc;
    if (c->ssl) {
        int refused = gw_guard_check(view->guard, c->address, c->request.credentials, now_ms);
        if (refused != 0)
            return refused;
    }
    if (c->request.body_len > 0 && !gw_admin_takes_body(&c->request, c->local || c->ssl))
        return -413;
    if (c->request.body_len > 0 && !(c->body = malloc(c->request.body_len + 1)))
        return -503;
    consume(c, (size_t)rc);
    c->has_request = true;
    c->body_at = 0;
    return 1;
}

/* 1: a whole request is there; 0: not yet; below: the negative status to refuse it with. */
static int take_request(struct gw_admin_connection *c, struct gw_admin_view *view, uint64_t now_ms)
{
    int rc = c->has_request ? 1 : take_head(c, view, now_ms);
    if (rc <= 0 || c->request.body_len == 0)
        return rc;
    size_t missing = c->request.body_len - c->body_at, n = missing < c->in_len ? missing : c->in_len;
    memcpy(c->body + c->body_at, c->in, n);
    consume(c, n);
    c->body_at += n;
    c->body[c->body_at] = 0;
    return c->body_at == c->request.body_len;
}

/* True: an answer is queued. False: more input is needed, or the connection was closed. */
static bool answer_next(struct gw_admin_connection *c, struct gw_admin_view *view, uint64_t now_ms)
{
    int rc = take_request(c, view, now_ms);
    if (rc == 0)
        return false;
    if (rc < 0) {
        rc = refuse(c, -rc, now_ms);
    } else {
        struct gw_admin_answer answer = {0};
        gw_admin_answer(view, &(struct gw_admin_question){&c->request, c->body, c->local || c->ssl}, &answer);
        c->keep_alive = c->request.keep_alive;
        rc = queue_answer(c, &answer, c->request.head, now_ms) ? 1 : -1;
    }
    free(c->body);
    c->body = NULL;
    c->has_request = false;
    if (rc > 0)
        return true;
    gw_admin_connection_close(c);
    return false;
}

static void read_some(struct gw_admin_connection *c, uint64_t now_ms)
{
    char *at = c->in + c->in_len;
    const size_t room = sizeof c->in - c->in_len;
    ssize_t n =
        c->ssl ? gw_admin_tls_read(c->ssl, at, room, &c->tls_wants_write) : recv(c->descriptor, at, room, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        gw_admin_connection_close(c);
        return;
    }
    if (c->in_len == 0 && !c->has_request && c->state == GW_ADMIN_READING)
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
        if (c->ssl)
            (void)SSL_shutdown(c->ssl);
        (void)shutdown(c->descriptor, SHUT_WR);
    } else {
        gw_admin_connection_close(c);
    }
}

static void write_some(struct gw_admin_connection *c, uint64_t now_ms)
{
    const char *at = c->out + c->out_at;
    const size_t left = c->out_len - c->out_at;
    ssize_t n = c->ssl ? gw_admin_tls_write(c->ssl, at, left, &c->tls_wants_write)
                       : send(c->descriptor, at, left, MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        gw_admin_connection_close(c);
        return;
    }
    c->out_at += (size_t)n;
    if (c->out_at == c->out_len)
        answered(c, now_ms);
}

static void step(struct gw_admin_connection *c, struct gw_admin_view *view, uint64_t now_ms)
{
    if (c->state == GW_ADMIN_WRITING)
        write_some(c, now_ms);
    else
        read_some(c, now_ms);
    /* One answer at a time, and tried at once: most go out without another poll. Pipelined ones follow. */
    while (c->descriptor >= 0 && c->state == GW_ADMIN_READING && (c->in_len || c->has_request) &&
           answer_next(c, view, now_ms))
        write_some(c, now_ms);
}

void gw_admin_connection_run(struct gw_admin_connection *c, struct gw_admin_view *view, bool readable,
                             bool writable, uint64_t now_ms)
{
    const bool either = c->ssl && (readable || writable); /* TLS may have to do the one for the other */
    if (either || (c->state == GW_ADMIN_WRITING ? writable : readable))
        step(c, view, now_ms);
    while (c->descriptor >= 0 && c->ssl && c->state != GW_ADMIN_WRITING && gw_admin_tls_pending(c->ssl))
        step(c, view, now_ms);
    if (c->descriptor >= 0 && now_ms >= c->deadline_ms)
        gw_admin_connection_close(c);
}
