#include "ingest/handshake.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "wire/message.h"

size_t gw_handshake_head_len(const uint8_t *data, size_t len)
{
    const uint8_t *end = memmem(data, len, "\r\n\r\n", 4);
    return end ? (size_t)(end - data) + 4 : 0;
}

static bool equals(struct gw_handshake_text text, const char *word)
{
    return text.len == strlen(word) && strncasecmp(text.ptr, word, text.len) == 0;
}

static struct gw_handshake_text trim(struct gw_handshake_text text)
{
    while (text.len > 0 && (text.ptr[0] == ' ' || text.ptr[0] == '\t')) {
        text.ptr++;
        text.len--;
    }
    while (text.len > 0 && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t'))
        text.len--;
    return text;
}

/* Takes the next element off a comma-separated list; false at its end. */
static bool next_element(struct gw_handshake_text *list, struct gw_handshake_text *out)
{
    if (list->len == 0)
        return false;
    const char *comma = memchr(list->ptr, ',', list->len);
    size_t len = comma ? (size_t)(comma - list->ptr) : list->len;
    *out = trim((struct gw_handshake_text){.ptr = list->ptr, .len = len});
    size_t used = comma ? len + 1 : len;
    list->ptr += used;
    list->len -= used;
    return true;
}

static bool list_has(struct gw_handshake_text list, const char *word)
{
    struct gw_handshake_text element;
    while (next_element(&list, &element))
        if (equals(element, word))
            return true;
    return false;
}

/* RFC 9110 §5.6.2 */
static bool is_token(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        bool alphanumeric = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
        if (!alphanumeric && !strchr("!#$%&'*+-.^_`|~", c))
            return false;
        if (c == 0)
            return false;
    }
    return len > 0;
}

static bool is_value(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (((unsigned char)text[i] < 32 && text[i] != '\t') || text[i] == 127)
            return false;
    return true;
}

struct head {
    struct gw_handshake_request *request;
    struct gw_handshake_text host, upgrade, connection, version;
    bool has_body, repeated;
};

static void take_once(struct head *head, struct gw_handshake_text *slot, struct gw_handshake_text value)
{
    if (slot->ptr)
        head->repeated = true;
    *slot = value;
}

static void take_header(struct head *head, struct gw_handshake_text name, struct gw_handshake_text value)
{
    if (equals(name, "Host"))
        take_once(head, &head->host, value);
    else if (equals(name, "Upgrade"))
        take_once(head, &head->upgrade, value);
    else if (equals(name, "Connection"))
        take_once(head, &head->connection, value);
    else if (equals(name, "Sec-WebSocket-Version"))
        take_once(head, &head->version, value);
    else if (equals(name, "Sec-WebSocket-Key"))
        take_once(head, &head->request->key, value);
    else if (equals(name, "Origin"))
        take_once(head, &head->request->origin, value);
    else if (equals(name, "Authorization"))
        take_once(head, &head->request->authorization, value);
    else if (equals(name, "Transfer-Encoding") || (equals(name, "Content-Length") && !equals(value, "0")))
        head->has_body = true;
    else if (equals(name, "Sec-WebSocket-Protocol")) {
        head->request->offers_cbor |= list_has(value, TRIB_WIRE_SUBPROTOCOL_CBOR);
        head->request->offers_json |= list_has(value, TRIB_WIRE_SUBPROTOCOL_JSON);
    }
}

static int refuse(const char **out_reason, int status, const char *reason)
{
    *out_reason = reason;
    return status;
}

static int parse_request_line(struct gw_handshake_text line, struct gw_handshake_request *out,
                              const char **out_reason)
{
    const char *first = memchr(line.ptr, ' ', line.len);
    const char *last = memrchr(line.ptr, ' ', line.len);
    if (!first || first == last || !is_value(line.ptr, line.len) || last[-1] == ' ')
        return refuse(out_reason, 400, "the request line is not HTTP");
    struct gw_handshake_text method = {.ptr = line.ptr, .len = (size_t)(first - line.ptr)};
    struct gw_handshake_text target = {.ptr = first + 1, .len = (size_t)(last - first - 1)};
    struct gw_handshake_text version = {.ptr = last + 1, .len = line.len - (size_t)(last + 1 - line.ptr)};
    if (!is_token(method.ptr, method.len) || target.ptr[0] != '/' || memchr(target.ptr, ' ', target.len))
        return refuse(out_reason, 400, "the request line is not HTTP");
    if (version.len != 8 || memcmp(version.ptr, "HTTP/1.1", 8) != 0)
        return refuse(out_reason, 505, "HTTP/1.1 is needed");
    if (method.len != 3 || memcmp(method.ptr, "GET", 3) != 0)
        return refuse(out_reason, 405, "only GET is served here");
    const char *query = memchr(target.ptr, '?', target.len);
    out->path = (struct gw_handshake_text){.ptr = target.ptr,
                                           .len = query ? (size_t)(query - target.ptr) : target.len};
    return 0;
}

static bool parse_header(struct head *head, struct gw_handshake_text line)
{
    const char *colon = memchr(line.ptr, ':', line.len);
    if (!colon)
        return false;
    struct gw_handshake_text name = {.ptr = line.ptr, .len = (size_t)(colon - line.ptr)};
    struct gw_handshake_text value = {.ptr = colon + 1, .len = line.len - name.len - 1};
    if (!is_token(name.ptr, name.len) || !is_value(value.ptr, value.len))
        return false;
    take_header(head, name, trim(value));
    return true;
}

/* 16 bytes in base64: 22 characters of the alphabet and two '='. */
static bool is_key(struct gw_handshake_text key)
{
    if (key.len != 24 || key.ptr[22] != '=' || key.ptr[23] != '=')
        return false;
    for (size_t i = 0; i < 22; i++) {
        char c = key.ptr[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '+' ||
              c == '/'))
            return false;
    }
    return true;
}

static int check_websocket(const struct head *head, const char **out_reason)
{
    if (!head->upgrade.ptr || !list_has(head->upgrade, "websocket") || !head->connection.ptr ||
        !list_has(head->connection, "upgrade"))
        return refuse(out_reason, 426, "only websockets are served here");
    if (!head->version.ptr || !equals(head->version, "13"))
        return refuse(out_reason, 426, "websocket version 13 is needed");
    if (!head->host.ptr || head->repeated || head->has_body || !head->request->key.ptr ||
        !is_key(head->request->key))
        return refuse(out_reason, 400, "a header is missing, repeated or wrong");
    return 0;
}

int gw_handshake_parse(const uint8_t *data, size_t head_len, struct gw_handshake_request *out,
                       const char **out_reason)
{
    *out = (struct gw_handshake_request){0};
    struct head head = {.request = out};
    const char *at = (const char *)data, *end = at + head_len - 2; /* the last line end is the empty line's */
    bool first = true;
    while (at < end) {
        const char *line_end = memmem(at, (size_t)(end - at), "\r\n", 2);
        struct gw_handshake_text line = {.ptr = at, .len = (size_t)(line_end - at)};
        int status = 0;
        if (first)
            status = parse_request_line(line, out, out_reason);
        else if (!parse_header(&head, line))
            status = refuse(out_reason, 400, "a header line is not HTTP");
        if (status != 0)
            return status;
        first = false;
        at = line_end + 2;
    }
    return check_websocket(&head, out_reason);
}

int gw_handshake_accept(struct gw_handshake_text key, char out[GW_HANDSHAKE_ACCEPT_LEN + 1])
{
    static const char GUID[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    uint8_t text[24 + sizeof GUID - 1], digest[EVP_MAX_MD_SIZE];
    if (key.len != 24)
        return GW_ECRYPTO;
    memcpy(text, key.ptr, 24);
    memcpy(text + 24, GUID, sizeof GUID - 1);
    unsigned len;
    if (EVP_Digest(text, sizeof text, digest, &len, EVP_sha1(), NULL) != 1)
        return GW_ECRYPTO;
    return EVP_EncodeBlock((unsigned char *)out, digest, (int)len) == GW_HANDSHAKE_ACCEPT_LEN ? GW_OK
                                                                                              : GW_ECRYPTO;
}

size_t gw_handshake_upgrade_response(char *buffer, size_t capacity, const char *accept,
                                     const char *subprotocol)
{
    return (size_t)snprintf(
        buffer, capacity,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: %s\r\n\r\n",
        accept, subprotocol);
}

static const char *phrase(int status)
{
    switch (status) {
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 426:
        return "Upgrade Required";
    case 429:
        return "Too Many Requests";
    case 431:
        return "Request Header Fields Too Large";
    case 503:
        return "Service Unavailable";
    case 505:
        return "HTTP Version Not Supported";
    default:
        return "Error";
    }
}

/* Headers that RFC 9110 demands with some codes (§11.6.1, §15.5.6, §15.5.22, §10.2.3). */
static const char *extra_headers(int status)
{
    switch (status) {
    case 401:
        return "WWW-Authenticate: Bearer\r\n";
    case 405:
        return "Allow: GET\r\n";
    case 426:
        return "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
    case 429:
    case 503:
        return "Retry-After: 5\r\n";
    default:
        return "";
    }
}

size_t gw_handshake_error_response(char *buffer, size_t capacity, int status, const char *reason)
{
    return (size_t)snprintf(buffer, capacity,
                            "HTTP/1.1 %d %s\r\n%sContent-Type: text/plain\r\nContent-Length: %zu\r\n"
                            "Connection: close\r\n\r\n%s\n",
                            status, phrase(status), extra_headers(status), strlen(reason) + 1, reason);
}
