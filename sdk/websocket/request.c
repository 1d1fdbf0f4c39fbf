/* The client's opening handshake: RFC 6455 §4.1. */
#include <string.h>

#include "websocket/websocket.h"
#include "wire/base64.h"

#define NONCE_CHARS 24

struct text {
    char *buf;
    size_t cap, len;
    int error;
};

static void put(struct text *t, const char *data, size_t len)
{
    if (t->error == 0 && len > t->cap - t->len)
        t->error = TRIB_ESPACE;
    if (t->error != 0)
        return;
    memcpy(t->buf + t->len, data, len);
    t->len += len;
}

static void put_text(struct text *t, const char *data)
{
    put(t, data, strlen(data));
}

/* A text from the configuration: it must not be able to end its line or its field. */
static void put_value(struct text *t, const char *value)
{
    for (const char *p = value; *p != '\0'; p++) {
        if ((unsigned char)*p <= ' ' || *p == 0x7F) {
            t->error = TRIB_EINVAL;
            return;
        }
    }
    if (*value == '\0')
        t->error = TRIB_EINVAL;
    put_text(t, value);
}

static void put_host(struct text *t, const char *host, uint16_t port)
{
    bool brackets = false; /* RFC 3986 §3.2.2 */
    for (const char *c = host; *c; c++)
        brackets = brackets || *c == ':';
    char digits[5];
    size_t count = 0;
    unsigned rest = port;
    do {
        digits[sizeof digits - ++count] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (brackets)
        put_text(t, "[");
    put_value(t, host);
    put_text(t, brackets ? "]:" : ":");
    put(t, digits + sizeof digits - count, count);
}

int trib_ws_request_write(const struct trib_ws_request *request, const uint8_t nonce[TRIB_WS_NONCE_BYTES],
                          char *buf, size_t cap, size_t *out_len)
{
    char key[NONCE_CHARS];
    struct text t = {.buf = buf, .cap = cap};
    if (request->path[0] != '/')
        return TRIB_EINVAL;
    put_text(&t, "GET ");
    put_value(&t, request->path);
    put_text(&t, " HTTP/1.1\r\nHost: ");
    put_host(&t, request->host, request->port);
    put_text(
        &t,
        "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ");
    put(&t, key, trib_base64(nonce, TRIB_WS_NONCE_BYTES, false, key));
    put_text(&t, "\r\nSec-WebSocket-Protocol: ");
    put_value(&t, request->subprotocol);
    if (request->token != NULL) {
        put_text(&t, "\r\nAuthorization: Bearer ");
        put_value(&t, request->token);
    }
    put_text(&t, "\r\n\r\n");
    if (t.error != 0)
        return t.error;
    *out_len = t.len;
    return 0;
}
