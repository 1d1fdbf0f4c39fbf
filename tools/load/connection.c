#include "connection.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define READ_BYTES 16384
#define READS_MAX 16 /* in one go, so that no connection starves the others */

void load_connection_init(struct load_connection *c)
{
    memset(c, 0, sizeof *c);
    c->fd = -1;
}

static int trouble(struct load_connection *c, const char *text)
{
    if (!c->trouble)
        c->trouble = text;
    return -1;
}

void load_connection_close(struct load_connection *c, bool polite)
{
    if (polite && c->phase == LOAD_OPEN) {
        uint8_t frame[TRIB_WS_HEAD_BYTES_MAX + 2];
        frame[TRIB_WS_HEAD_BYTES_MAX] = TRIB_WS_CLOSE_NORMAL >> 8;
        frame[TRIB_WS_HEAD_BYTES_MAX + 1] = TRIB_WS_CLOSE_NORMAL & 0xff;
        if (load_connection_send(c, TRIB_WS_CLOSE, frame + TRIB_WS_HEAD_BYTES_MAX, 2) == 0)
            SSL_shutdown(c->ssl);
    }
    SSL_free(c->ssl);
    if (c->fd >= 0)
        close(c->fd);
    free(c->pending);
    ERR_clear_error();
    c->ssl = NULL;
    c->fd = -1;
    c->pending = NULL;
    c->pending_at = c->pending_len = c->pending_cap = 0;
    c->phase = LOAD_CLOSED;
}

/* Leaves the port to connect(), so that each address has all of them for each target. */
static int bind_source(const struct load_connection *c)
{
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(c->source)};
    int one = 1;

    if (c->source == 0)
        return 0;
    if (setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one))
        return -1;
    return bind(c->fd, (struct sockaddr *)&from, sizeof from);
}

/* The next connection tries the host's next address. */
static int unreachable(struct load_connection *c, int error)
{
    if (c->target->current == c->address)
        c->target->current = (c->address + 1) % c->target->address_count;
    return trouble(c, error == ECONNREFUSED ? "nobody listens there" : "the gateway cannot be reached");
}

int load_connection_start(struct load_connection *c, struct load_target *target, const char *device)
{
    const struct load_options *o = target->options;
    char token[LOAD_TOKEN_BYTES_MAX], request[LOAD_TOKEN_BYTES_MAX + 1024];
    size_t len;
    int one = 1;

    c->trouble = NULL;
    c->retry_after_s = 0;
    c->want_write = false;
    c->target = target;
    c->address = target->current;
    c->fd = socket(target->addresses[c->address].ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        return trouble(c, "no more sockets (see ulimit -n)");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (bind_source(c))
        return trouble(c, "cannot connect from that address (--addresses)");
    c->ssl = load_credentials_tls(target->credentials, device);
    if (!c->ssl || SSL_set_fd(c->ssl, c->fd) != 1 || RAND_bytes(c->nonce, sizeof c->nonce) != 1)
        return trouble(c, "TLS could not be set up");
    const struct trib_ws_request upgrade = {
        .host = o->host,
        .port = o->port,
        .path = o->path,
        .subprotocol = TRIB_WIRE_SUBPROTOCOL_CBOR,
        .token = load_credentials_token(target->credentials, device, token, sizeof token),
    };
    if (trib_ws_request_write(&upgrade, c->nonce, request, sizeof request, &len))
        return trouble(c, "the request could not be written (a token that is too long?)");
    c->pending = malloc(len);
    if (!c->pending)
        return trouble(c, "out of memory");
    memcpy(c->pending, request, len);
    c->pending_at = 0;
    c->pending_len = c->pending_cap = len;
    /* The decoder's buffer serves the handshake's lines first. */
    trib_ws_response_init(&c->response, c->nonce, TRIB_WIRE_SUBPROTOCOL_CBOR, (char *)c->receive,
                          sizeof c->receive);
    const struct sockaddr *address = (const struct sockaddr *)&target->addresses[c->address];
    if (connect(c->fd, address, target->address_lens[c->address]) && errno != EINPROGRESS)
        return unreachable(c, errno);
    c->phase = LOAD_CONNECTING;
    c->watched = 0;
    return 0;
}

/* What a result ≤ 0 of OpenSSL means: 0 wait, -1 closed. */
static int tls_wait(struct load_connection *c, int result)
{
    switch (SSL_get_error(c->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return 0;
    case SSL_ERROR_WANT_WRITE:
        c->want_write = true;
        return 0;
    case SSL_ERROR_ZERO_RETURN:
        return trouble(c, "the gateway closed the connection");
    case SSL_ERROR_SYSCALL:
        return trouble(c, "the connection broke");
    default:
        if (SSL_get_verify_result(c->ssl) != X509_V_OK)
            return trouble(c, "the gateway's certificate is not trusted (see --ca)");
        return trouble(c, "TLS failed (are the device's credentials right?)");
    }
}

static int write_pending(struct load_connection *c)
{
    while (c->pending_at < c->pending_len) {
        size_t written;
        ERR_clear_error();
        int result =
            SSL_write_ex(c->ssl, c->pending + c->pending_at, c->pending_len - c->pending_at, &written);
        if (result <= 0)
            return tls_wait(c, result);
        c->pending_at += written;
    }
    c->pending_at = c->pending_len = 0;
    return 0;
}

bool load_connection_drained(const struct load_connection *c)
{
    return c->pending_at == c->pending_len;
}

/* Keeps what TLS did not take. */
static int keep(struct load_connection *c, const uint8_t *data, size_t len)
{
    if (c->pending_at > 0) {
        memmove(c->pending, c->pending + c->pending_at, c->pending_len - c->pending_at);
        c->pending_len -= c->pending_at;
        c->pending_at = 0;
    }
    if (c->pending_cap - c->pending_len < len) {
        uint8_t *grown = realloc(c->pending, c->pending_len + len);
        if (!grown)
            return trouble(c, "out of memory");
        c->pending = grown;
        c->pending_cap = c->pending_len + len;
    }
    memcpy(c->pending + c->pending_len, data, len);
    c->pending_len += len;
    return 0;
}

int load_connection_send(struct load_connection *c, enum trib_ws_opcode opcode, uint8_t *payload, size_t len)
{
    static uint8_t random[1024];
    static size_t at = sizeof random;

    if (at == sizeof random) {
        if (RAND_bytes(random, sizeof random) != 1)
            return trouble(c, "no random numbers");
        at = 0;
    }
    trib_ws_frame_write(opcode, payload, len, random + at);
    at += TRIB_WS_MASK_BYTES;
    size_t head = trib_ws_head_bytes(len), done = 0;
    const uint8_t *frame = payload - head;
    len += head;
    while (load_connection_drained(c) && done < len) {
        size_t written;
        ERR_clear_error();
        int result = SSL_write_ex(c->ssl, frame + done, len - done, &written);
        if (result <= 0) {
            if (tls_wait(c, result))
                return -1;
            break;
        }
        done += written;
    }
    return done < len ? keep(c, frame + done, len - done) : 0;
}

static int on_event(struct load_connection *c, const struct trib_ws_event *event, load_receiver receiver,
                    void *context)
{
    uint8_t frame[TRIB_WS_HEAD_BYTES_MAX + TRIB_WS_CONTROL_BYTES_MAX];

    switch (event->opcode) {
    case TRIB_WS_BINARY:
        return receiver(context, event->data, event->len) ? trouble(c, "the gateway ended the session") : 0;
    case TRIB_WS_PING:
        memcpy(frame + TRIB_WS_HEAD_BYTES_MAX, event->data, event->len);
        return load_connection_send(c, TRIB_WS_PONG, frame + TRIB_WS_HEAD_BYTES_MAX, event->len);
    case TRIB_WS_CLOSE:
        return trouble(c, "the gateway closed the websocket");
    case TRIB_WS_TEXT:
        return trouble(c, "the gateway sent text");
    default:
        return 0;
    }
}

static int take_frames(struct load_connection *c, const uint8_t *data, size_t len, load_receiver receiver,
                       void *context)
{
    while (len > 0) {
        struct trib_ws_event event;
        size_t used;
        if (trib_ws_decoder_feed(&c->decoder, data, len, &used, &event))
            return trouble(c, "the gateway sent a bad frame");
        data += used;
        len -= used;
        if (on_event(c, &event, receiver, context))
            return -1;
    }
    return 0;
}

static int take_response(struct load_connection *c, const uint8_t *data, size_t len, load_receiver receiver,
                         void *context)
{
    size_t used;
    int result = trib_ws_response_feed(&c->response, data, len, &used);

    if (result == TRIB_EAGAIN)
        return 0;
    c->retry_after_s = c->response.retry_after_s;
    if (result == TRIB_EAUTH)
        return trouble(c, "the gateway refuses the device's credentials");
    if (result == TRIB_EBUSY)
        return trouble(c, "the gateway is busy");
    if (result)
        return trouble(c, "the gateway refused the upgrade");
    trib_ws_decoder_init(&c->decoder, c->receive, sizeof c->receive);
    c->phase = LOAD_OPEN;
    /* An empty message tells that the connection is open. */
    if (receiver(context, NULL, 0))
        return trouble(c, "the session could not be opened");
    return take_frames(c, data + used, len - used, receiver, context);
}

static int read_all(struct load_connection *c, load_receiver receiver, void *context)
{
    uint8_t data[READ_BYTES];

    for (int i = 0; i < READS_MAX || SSL_has_pending(c->ssl); i++) {
        size_t got;
        ERR_clear_error();
        int result = SSL_read_ex(c->ssl, data, sizeof data, &got);
        if (result <= 0)
            return tls_wait(c, result);
        result = c->phase == LOAD_UPGRADE ? take_response(c, data, got, receiver, context)
                                          : take_frames(c, data, got, receiver, context);
        if (result)
            return -1;
    }
    return 0;
}

int load_connection_drive(struct load_connection *c, load_receiver receiver, void *context)
{
    c->want_write = false;
    if (c->phase == LOAD_CONNECTING) {
        int error = 0;
        socklen_t len = sizeof error;
        if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) || error)
            return unreachable(c, error);
        c->phase = LOAD_HANDSHAKE;
    }
    if (c->phase == LOAD_HANDSHAKE) {
        ERR_clear_error();
        int result = SSL_connect(c->ssl);
        if (result <= 0) {
            if (tls_wait(c, result))
                return -1;
        } else {
            c->phase = LOAD_UPGRADE;
        }
    }
    if (c->phase >= LOAD_UPGRADE && (write_pending(c) || read_all(c, receiver, context)))
        return -1;
    return 0;
}

uint32_t load_connection_interest(const struct load_connection *c)
{
    if (c->phase == LOAD_CONNECTING)
        return EPOLLOUT;
    bool out = c->want_write || (c->phase >= LOAD_UPGRADE && !load_connection_drained(c));
    return EPOLLIN | (out ? EPOLLOUT : 0u);
}

uint64_t load_connection_bytes(const struct load_connection *c)
{
    return c->ssl ? BIO_number_written(SSL_get_wbio(c->ssl)) : 0;
}
