#include "net_proxy.h"

#include <string.h>

enum step { DIAL, ASK, ANSWER, OPEN };

/* Of the answer: the status line's fixed begin, its three digits, its rest; then lines until an empty one. */
static const char VERSION[] = "HTTP/1.";
enum {
    AT_MINOR = sizeof VERSION - 1,
    AT_SPACE,
    AT_DIGITS,
    AT_AFTER_STATUS = AT_DIGITS + 3,
    IN_STATUS_LINE,
    AT_LINE_START,
    AT_LINE_START_CR,
    IN_LINE
};

static void say(const struct trib_proxy *p, const char *text)
{
    if (p->config.log.write)
        p->config.log.write(p->config.log.context, TRIB_LOG_WARNING, text);
}

static bool is_plain(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text <= ' ' || *text == 0x7F)
            return false;
    return true;
}

/* --- the request --- */

static bool put(struct trib_proxy *p, const char *text)
{
    size_t length = strlen(text);
    if (length > sizeof p->buffer - p->end)
        return false;
    memcpy(p->buffer + p->end, text, length);
    p->end = (uint16_t)(p->end + length);
    return true;
}

/* host:port, and [host]:port for a numeric IPv6 address (RFC 3986 §3.2.2). */
static bool put_authority(struct trib_proxy *p, const char *host, uint16_t port)
{
    char digits[8];
    size_t at = sizeof digits;
    bool brackets = strchr(host, ':') && host[0] != '[';
    digits[--at] = 0;
    do {
        digits[--at] = (char)('0' + port % 10);
        port /= 10;
    } while (port > 0);
    digits[--at] = ':';
    return put(p, brackets ? "[" : "") && put(p, host) && put(p, brackets ? "]" : "") && put(p, digits + at);
}

/* The i-th byte of user:password; -1 behind its end. */
static int credential(const struct trib_proxy_config *c, size_t i)
{
    size_t user = strlen(c->user);
    if (i < user)
        return (unsigned char)c->user[i];
    if (i == user)
        return ':';
    i -= user + 1;
    return c->password && i < strlen(c->password) ? (unsigned char)c->password[i] : -1;
}

/* Base64 of the credentials (RFC 4648 §4). */
static bool put_credentials(struct trib_proxy *p)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0;; i += 3) {
        int a = credential(&p->config, i), b = a < 0 ? -1 : credential(&p->config, i + 1);
        int c = b < 0 ? -1 : credential(&p->config, i + 2);
        uint32_t bits = (uint32_t)a << 16 | (b < 0 ? 0u : (uint32_t)b << 8) | (c < 0 ? 0u : (uint32_t)c);
        char four[5] = {0};
        if (a < 0)
            return true;
        four[0] = alphabet[bits >> 18 & 63];
        four[1] = alphabet[bits >> 12 & 63];
        four[2] = b < 0 ? '=' : alphabet[bits >> 6 & 63];
        four[3] = c < 0 ? '=' : alphabet[bits & 63];
        if (!put(p, four))
            return false;
    }
}

static int ask(struct trib_proxy *p, const char *host, uint16_t port)
{
    bool fits;
    p->begin = p->end = 0;
    if (!is_plain(host)) {
        say(p, "proxy: the gateway's name has characters that it must not");
        return TRIB_EIO;
    }
    fits = put(p, "CONNECT ") && put_authority(p, host, port) && put(p, " HTTP/1.1\r\nHost: ") &&
           put_authority(p, host, port) && put(p, "\r\n");
    if (fits && p->config.user)
        fits = put(p, "Proxy-Authorization: Basic ") && put_credentials(p) && put(p, "\r\n");
    if (fits && put(p, "\r\n"))
        return 0;
    say(p, "proxy: the gateway's name or the proxy's credentials are too long");
    return TRIB_EIO;
}

static int send_request(struct trib_proxy *p)
{
    const struct trib_net *lower = &p->config.lower;
    while (p->begin < p->end) {
        int sent = lower->send(lower->context, p->buffer + p->begin, (size_t)(p->end - p->begin));
        if (sent <= 0)
            return sent == TRIB_ECLOSED || sent == 0 ? TRIB_EIO : sent;
        p->begin = (uint16_t)(p->begin + sent);
    }
    memset(p->buffer, 0, sizeof p->buffer); /* it held the credentials */
    p->begin = p->end = 0;
    return 0;
}

/* --- the answer --- */

/* The status line's next byte. A bare LF ends a line too (RFC 9112 §2.2). False: this is not HTTP. */
static bool take_status(struct trib_proxy *p, uint8_t byte)
{
    unsigned at = p->line_step;
    if (at < AT_MINOR && byte != (uint8_t)VERSION[at])
        return false;
    if ((at == AT_MINOR || (at >= AT_DIGITS && at < AT_AFTER_STATUS)) && (byte < '0' || byte > '9'))
        return false;
    if (at == AT_SPACE && byte != ' ')
        return false;
    if (at >= AT_DIGITS && at < AT_AFTER_STATUS)
        p->status = (uint16_t)(p->status * 10 + (byte - '0'));
    if (at == AT_AFTER_STATUS && byte != ' ' && byte != '\r' && byte != '\n')
        return false;
    if (at < IN_STATUS_LINE)
        p->line_step++;
    if (at >= AT_AFTER_STATUS && byte == '\n')
        p->line_step = AT_LINE_START;
    return true;
}

/* The next byte of a header line, whatever it says: a success has no body, and its fields mean nothing. True: that was
 * the last one of this answer. */
static bool take_field(struct trib_proxy *p, uint8_t byte)
{
    bool empty = p->line_step == AT_LINE_START || p->line_step == AT_LINE_START_CR;
    if (byte == '\n') {
        p->line_step = AT_LINE_START;
        return empty;
    }
    p->line_step = byte == '\r' && p->line_step == AT_LINE_START ? AT_LINE_START_CR : IN_LINE;
    return false;
}

static int judge(struct trib_proxy *p)
{
    char line[] = "proxy: it refuses the tunnel with status 000";
    if (p->status / 100 == 2)
        return 0;
    if (p->status == 407) {
        say(p, p->config.user ? "proxy: it does not accept the credentials" : "proxy: it wants credentials");
        return TRIB_EAUTH;
    }
    for (size_t i = sizeof line - 2, rest = p->status; i > sizeof line - 5; i--, rest /= 10)
        line[i] = (char)('0' + rest % 10);
    say(p, line);
    return TRIB_EIO;
}

/* Reads what is in the buffer. TRIB_EAGAIN: the answer is not whole. */
static int read_answer(struct trib_proxy *p)
{
    while (p->begin < p->end) {
        uint8_t byte = p->buffer[p->begin++];
        if (++p->answered > TRIB_PROXY_ANSWER_BYTES_MAX) {
            say(p, "proxy: its answer is too long");
            return TRIB_EIO;
        }
        if (p->line_step < AT_LINE_START) {
            if (take_status(p, byte))
                continue;
            say(p, "proxy: its answer is not HTTP");
            return TRIB_EIO;
        }
        if (!take_field(p, byte))
            continue;
        if (p->status / 100 != 1 || p->status == 101)
            return judge(p);
        p->line_step = 0; /* interim: another answer follows (RFC 9110 §15.2) */
        p->status = 0;
    }
    return TRIB_EAGAIN;
}

static int take_answer(struct trib_proxy *p)
{
    const struct trib_net *lower = &p->config.lower;
    for (;;) {
        int result = read_answer(p);
        if (result != TRIB_EAGAIN)
            return result;
        int got = lower->receive(lower->context, p->buffer, sizeof p->buffer);
        if (got == TRIB_ECLOSED || got == 0) {
            say(p, "proxy: it closed the connection instead of answering");
            return TRIB_EIO;
        }
        if (got < 0)
            return got;
        p->begin = 0;
        p->end = (uint16_t)got;
    }
}

/* --- the port --- */

static int proxy_connect(void *context, const char *host, uint16_t port)
{
    struct trib_proxy *p = context;
    const struct trib_net *lower = &p->config.lower;
    int result = 0;
    if (p->step == DIAL) {
        result = lower->connect(lower->context, p->config.host, p->config.port);
        if (result == 0)
            result = ask(p, host, port);
        if (result == 0)
            p->step = ASK;
    }
    if (p->step == ASK && result == 0) {
        result = send_request(p);
        if (result == 0)
            p->step = ANSWER;
    }
    if (p->step == ANSWER && result == 0) {
        result = take_answer(p);
        if (result == 0)
            p->step = OPEN;
    }
    return result;
}

static int proxy_send(void *context, const uint8_t *data, size_t length)
{
    struct trib_proxy *p = context;
    if (p->step != OPEN)
        return TRIB_ECLOSED;
    return p->config.lower.send(p->config.lower.context, data, length);
}

static int proxy_receive(void *context, uint8_t *out_buffer, size_t capacity)
{
    struct trib_proxy *p = context;
    size_t have = (size_t)(p->end - p->begin);
    if (p->step != OPEN)
        return TRIB_ECLOSED;
    if (capacity == 0 || have == 0)
        return p->config.lower.receive(p->config.lower.context, out_buffer, capacity);
    if (have > capacity)
        have = capacity;
    memcpy(out_buffer, p->buffer + p->begin, have); /* came together with the answer */
    p->begin = (uint16_t)(p->begin + have);
    return (int)have;
}

static void proxy_close(void *context)
{
    struct trib_proxy *p = context;
    p->config.lower.close(p->config.lower.context);
    p->step = DIAL;
    p->line_step = 0;
    p->status = 0;
    p->answered = 0;
    p->begin = p->end = 0;
    memset(p->buffer, 0, sizeof p->buffer);
}

int trib_proxy_init(struct trib_proxy *proxy, const struct trib_proxy_config *config)
{
    const struct trib_net *lower = &config->lower;
    memset(proxy, 0, sizeof *proxy);
    if (!config->host || config->host[0] == 0 || config->port == 0 || !lower->connect || !lower->send ||
        !lower->receive || !lower->close)
        return TRIB_EINVAL;
    if (config->user && strchr(config->user, ':'))
        return TRIB_EINVAL;
    for (const char *text = config->user; text && *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7F)
            return TRIB_EINVAL;
    for (const char *text = config->password; text && *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7F)
            return TRIB_EINVAL;
    proxy->config = *config;
    return 0;
}

struct trib_net trib_proxy_net(struct trib_proxy *proxy)
{
    return (struct trib_net){proxy, proxy_connect, proxy_send, proxy_receive, proxy_close};
}
