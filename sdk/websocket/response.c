/* The server's answer to the opening handshake: RFC 6455 §4.1, RFC 9112 §4 and §5. */
#include <string.h>

#include "websocket/digest.h"
#include "websocket/websocket.h"
#include "wire/base64.h"

#define ACCEPT_GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define NUMBER_MAX 86400u /* a day */

#define SEEN_ALL 15 /* all of `names` but the last */

/* A part of a line. */
struct span {
    const char *ptr;
    size_t len;
};

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
}

static bool equal_ignoring_case(struct span s, const char *text)
{
    size_t len = strlen(text);
    if (s.len != len)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (lower(s.ptr[i]) != lower(text[i]))
            return false;
    }
    return true;
}

static bool is_exactly(struct span s, const char *text, size_t len)
{
    return s.len == len && memcmp(s.ptr, text, len) == 0;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static struct span trim(struct span s)
{
    while (s.len > 0 && is_blank(s.ptr[0])) {
        s.ptr++;
        s.len--;
    }
    while (s.len > 0 && is_blank(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

/* Where the first `c` is; the length: nowhere. */
static size_t find(struct span s, char c)
{
    size_t at = 0;
    while (at < s.len && s.ptr[at] != c)
        at++;
    return at;
}

static bool list_has(struct span list, const char *token)
{
    while (list.len > 0) {
        size_t len = find(list, ',');
        if (equal_ignoring_case(trim((struct span){list.ptr, len}), token))
            return true;
        len += len < list.len;
        list.ptr += len;
        list.len -= len;
    }
    return false;
}

/* 0: it is not a number. A status, or a delay in seconds: its other form, a date, is of no use to a device without a clock. */
TRIB_ONE_COPY static uint32_t read_number(struct span text)
{
    uint32_t number = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = (unsigned)(text.ptr[i] - '0');
        if (digit > 9)
            return 0;
        if (number < NUMBER_MAX)
            number = number * 10 + digit;
    }
    return number < NUMBER_MAX ? number : NUMBER_MAX;
}

/* HTTP/1.1, and HTTP/1.0 as well when it refuses: proxies answer so when nothing stands behind them. */
static int read_status_line(struct trib_ws_response *r, struct span line)
{
    static const char version[] = "HTTP/1."; /* then: minor version, space, three digits, space or end */
    const char *p = line.ptr;
    if (line.len < 12 || memcmp(p, version, 7) != 0 || (p[7] & 0xFE) != '0' || p[8] != ' ' ||
        (line.len > 12 && p[12] != ' '))
        return TRIB_EPROTOCOL;
    uint32_t status = read_number((struct span){p + 9, 3});
    if (status < 100 || (status == 101 && p[7] == '0'))
        return TRIB_EPROTOCOL;
    r->status = (uint16_t)status;
    return 0;
}

/* The fields that matter, one bit each in `seen`, in this order. */
static const char names[] =
    "Upgrade\0Connection\0Sec-WebSocket-Accept\0Sec-WebSocket-Protocol\0Sec-WebSocket-Extensions\0";
enum { UPGRADE, CONNECTION, ACCEPT, PROTOCOL, EXTENSIONS };

/* A field that must be there, right, and there once; but Connection may come in parts, and no extension was offered. */
static int read_upgrade_field(struct trib_ws_response *r, struct span name, struct span value)
{
    unsigned which = 0;
    bool right = false;
    const char *known = names;
    while (!equal_ignoring_case(name, known)) {
        known += strlen(known) + 1;
        which++;
        if (*known == '\0')
            return 0;
    }
    uint8_t bit = (uint8_t)(1u << which);
    if (which == CONNECTION) {
        r->seen |= list_has(value, "upgrade") ? bit : 0;
        return 0;
    }
    if (which == UPGRADE)
        right = equal_ignoring_case(value, "websocket");
    else if (which == ACCEPT)
        right = is_exactly(value, r->line - TRIB_WS_ACCEPT_CHARS, TRIB_WS_ACCEPT_CHARS);
    else if (which == PROTOCOL)
        right = is_exactly(value, r->subprotocol, strlen(r->subprotocol));
    if (!right || (r->seen & bit) != 0)
        return TRIB_EPROTOCOL;
    r->seen |= bit;
    return 0;
}

static int read_field(struct trib_ws_response *r, struct span line)
{
    struct span name = {line.ptr, find(line, ':')};
    if (name.len == line.len || name.len == 0 || is_blank(line.ptr[0]))
        return r->line_cut ? 0 : TRIB_EPROTOCOL;
    struct span value = trim((struct span){line.ptr + name.len + 1, line.len - name.len - 1});
    if (r->status != 101) {
        if (equal_ignoring_case(name, "Retry-After"))
            r->retry_after_s = read_number(value);
        return 0;
    }
    return read_upgrade_field(r, name, value);
}

static int judge(const struct trib_ws_response *r)
{
    uint16_t status = r->status;
    if (status == 101)
        return r->seen == SEEN_ALL ? 0 : TRIB_EPROTOCOL;
    if (status == 401 || status == 403)
        return TRIB_EAUTH;
    return status == 429 || status == 503 ? TRIB_EBUSY : TRIB_EPROTOCOL;
}

/* One line, without its end. TRIB_EAGAIN: the header goes on. */
TRIB_ONE_COPY static int read_line(struct trib_ws_response *r)
{
    struct span line = {r->line, r->line_len};
    if (line.len > 0 && !r->line_cut && line.ptr[line.len - 1] == '\r')
        line.len--;
    int error;
    if (r->status == 0)
        error = read_status_line(r, line);
    else if (line.len == 0)
        return judge(r);
    else
        error = read_field(r, line);
    r->line_len = 0;
    r->line_cut = false;
    return error != 0 ? error : TRIB_EAGAIN;
}

void trib_ws_response_init(struct trib_ws_response *r, const uint8_t nonce[TRIB_WS_NONCE_BYTES],
                           const char *subprotocol, char *line, size_t line_cap)
{
    uint8_t digest[TRIB_WS_SHA1_BYTES];
    memset(r, 0, sizeof *r);
    r->subprotocol = subprotocol;
    r->line = line + TRIB_WS_ACCEPT_CHARS;
    r->line_cap = line_cap - TRIB_WS_ACCEPT_CHARS;
    size_t key = trib_base64(nonce, TRIB_WS_NONCE_BYTES, false, line);
    memcpy(line + key, ACCEPT_GUID, sizeof ACCEPT_GUID - 1);
    trib_ws_sha1(line, key + sizeof ACCEPT_GUID - 1, digest);
    trib_base64(digest, sizeof digest, false, line);
}

int trib_ws_response_feed(struct trib_ws_response *r, const uint8_t *data, size_t len, size_t *out_used)
{
    size_t used = 0;
    int result = r->error != 0 ? r->error : TRIB_EAGAIN;
    while (result == TRIB_EAGAIN && used < len) {
        char c = (char)data[used++];
        if (++r->total > TRIB_WS_RESPONSE_BYTES_MAX)
            result = TRIB_EPROTOCOL;
        else if (c == '\n')
            result = read_line(r);
        else if (r->line_len < r->line_cap)
            r->line[r->line_len++] = c;
        else
            r->line_cut = true; /* no field that matters here is that long */
    }
    if (result != TRIB_EAGAIN && result != 0)
        r->error = (int8_t)result;
    *out_used = used;
    return result;
}
