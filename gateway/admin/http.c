#include "admin/http.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

struct span {
    const char *at;
    size_t len;
};

/* tchar of RFC 9110 §5.6.2. */
static bool is_token_char(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           (c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool is(struct span s, const char *text)
{
    return s.len == strlen(text) && strncasecmp(s.at, text, s.len) == 0;
}

/* The part of *line up to the separator; *line goes on behind it. */
static struct span cut(struct span *line, char separator)
{
    const char *end = memchr(line->at, separator, line->len);
    struct span part = {line->at, end ? (size_t)(end - line->at) : line->len};
    size_t taken = part.len + (end != NULL);
    line->at += taken;
    line->len -= taken;
    return part;
}

static struct span trim(struct span s)
{
    while (s.len && (*s.at == ' ' || *s.at == '\t'))
        s.at++, s.len--;
    while (s.len && (s.at[s.len - 1] == ' ' || s.at[s.len - 1] == '\t'))
        s.len--;
    return s;
}

static int parse_target(struct span target, struct gw_http_request *out)
{
    if (target.len == 0 || target.at[0] != '/')
        return -400;
    if (target.len >= GW_HTTP_TARGET_MAX)
        return -431;
    for (size_t i = 0; i < target.len; i++)
        if (target.at[i] <= ' ' || target.at[i] == 0x7f)
            return -400;
    struct span path = cut(&target, '?');
    memcpy(out->path, path.at, path.len);
    out->path[path.len] = 0;
    memcpy(out->query, target.at, target.len);
    out->query[target.len] = 0;
    return 0;
}

/* Methods are case-sensitive. */
static int parse_method(struct span method, struct gw_http_request *out)
{
    static const struct {
        const char *name;
        enum gw_http_method method;
        bool head;
    } methods[] = {{"GET", GW_HTTP_GET, false},
                   {"HEAD", GW_HTTP_GET, true},
                   {"POST", GW_HTTP_POST, false},
                   {"PUT", GW_HTTP_PUT, false},
                   {"DELETE", GW_HTTP_DELETE, false}};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (method.len != strlen(methods[i].name) || memcmp(method.at, methods[i].name, method.len) != 0)
            continue;
        out->method = methods[i].method;
        out->head = methods[i].head;
        return 0;
    }
    return -405;
}

/* RFC 9112 §3. */
static int parse_request_line(struct span line, struct gw_http_request *out)
{
    struct span method = cut(&line, ' '), target = cut(&line, ' '), version = line;
    for (size_t i = 0; i < method.len; i++)
        if (!is_token_char(method.at[i]))
            return -400;
    if (method.len == 0)
        return -400;
    if (version.len != 8 || memcmp(version.at, "HTTP/", 5) != 0)
        return -400;
    if (memcmp(version.at, "HTTP/1.", 7) != 0)
        return -505;
    out->keep_alive = version.at[7] != '0';
    int rc = parse_target(target, out);
    if (rc != 0)
        return rc;
    return parse_method(method, out);
}

static void parse_connection(struct span value, struct gw_http_request *out)
{
    while (value.len) {
        struct span option = trim(cut(&value, ','));
        if (is(option, "close"))
            out->keep_alive = false;
    }
}

/* RFC 9110 §8.6: digits, and one such field. */
static int parse_length(struct span value, struct gw_http_request *out, unsigned *lengths)
{
    if (value.len == 0 || (*lengths)++ > 0)
        return -400;
    size_t length = 0;
    for (size_t i = 0; i < value.len; i++) {
        if (value.at[i] < '0' || value.at[i] > '9')
            return -400;
        length = length * 10 + (size_t)(value.at[i] - '0');
        if (length > GW_HTTP_BODY_MAX)
            return -413;
    }
    if (length > 0 && out->method == GW_HTTP_GET)
        return -413;
    out->body_len = length;
    return 0;
}

/* What stands once in a request's head. */
struct seen {
    unsigned hosts, lengths, credentials;
};

static int parse_credentials(struct span value, struct gw_http_request *out, struct seen *seen)
{
    if (seen->credentials++ > 0)
        return -400;
    if (value.len >= GW_HTTP_CREDENTIALS_MAX)
        return -431;
    memcpy(out->credentials, value.at, value.len);
    out->credentials[value.len] = 0;
    return 0;
}

/* RFC 9112 §5: no space before the colon, no folded lines. */
static int parse_field(struct span line, struct gw_http_request *out, struct seen *seen)
{
    struct span rest = line, name = cut(&rest, ':');
    if (name.len == 0 || name.len == line.len)
        return -400;
    for (size_t i = 0; i < name.len; i++)
        if (!is_token_char(name.at[i]))
            return -400;
    struct span value = trim(rest);
    for (size_t i = 0; i < value.len; i++)
        if ((unsigned char)value.at[i] < ' ' && value.at[i] != '\t')
            return -400;
    if (is(name, "Host"))
        seen->hosts++;
    else if (is(name, "Connection"))
        parse_connection(value, out);
    else if (is(name, "Transfer-Encoding"))
        return -501;
    else if (is(name, "Content-Length"))
        return parse_length(value, out, &seen->lengths);
    else if (is(name, "Authorization"))
        return parse_credentials(value, out, seen);
    else if (is(name, "Expect"))
        return -417; /* RFC 9110 §10.1.1: the client then sends it all at once */
    return 0;
}

/* The next line without its CRLF (or bare LF, RFC 9112 §2.2); false if it is not whole yet. */
static bool take_line(struct span *rest, struct span *out_line)
{
    const char *end = memchr(rest->at, '\n', rest->len);
    if (!end)
        return false;
    *out_line = cut(rest, '\n');
    if (out_line->len && out_line->at[out_line->len - 1] == '\r')
        out_line->len--;
    return true;
}

int gw_http_parse(const char *bytes, size_t len, struct gw_http_request *out)
{
    struct span rest = {bytes, len < GW_HTTP_HEAD_MAX ? len : GW_HTTP_HEAD_MAX}, line;
    int incomplete = len >= GW_HTTP_HEAD_MAX ? -431 : 0;
    if (!take_line(&rest, &line))
        return incomplete;
    int rc = parse_request_line(line, out);
    if (rc != 0)
        return rc;
    struct seen seen = {0};
    unsigned least_hosts = out->keep_alive; /* RFC 9112 §3.2: one Host, which HTTP/1.0 may leave out */
    out->body_len = 0;
    out->credentials[0] = 0;
    for (;;) {
        if (!take_line(&rest, &line))
            return incomplete;
        if (line.len == 0)
            break;
        rc = parse_field(line, out, &seen);
        if (rc != 0)
            return rc;
    }
    if (seen.hosts > 1 || seen.hosts < least_hosts)
        return -400;
    return (int)(rest.at - bytes);
}

bool gw_http_query(const struct gw_http_request *request, const char *name, char *out, size_t capacity)
{
    struct span rest = {request->query, strlen(request->query)};
    while (rest.len) {
        struct span value = cut(&rest, '&'), key = cut(&value, '=');
        if (key.len != strlen(name) || memcmp(key.at, name, key.len) != 0)
            continue;
        if (value.len >= capacity)
            return false;
        memcpy(out, value.at, value.len);
        out[value.len] = 0;
        return true;
    }
    return false;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool gw_http_decode(const char *text, size_t len, char *out, size_t capacity)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c == '%') {
            int high = len - i > 2 ? hex_digit(text[i + 1]) : -1,
                low = high >= 0 ? hex_digit(text[i + 2]) : -1;
            if (low < 0)
                return false;
            c = (char)(high << 4 | low);
            i += 2;
        }
        if (c == 0 || n + 1 >= capacity)
            return false;
        out[n++] = c;
    }
    if (capacity == 0)
        return false;
    out[n] = 0;
    return true;
}

static const char *reason(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 202:
        return "Accepted";
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 409:
        return "Conflict";
    case 417:
        return "Expectation Failed";
    case 422:
        return "Unprocessable Content";
    case 429:
        return "Too Many Requests";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 413:
        return "Content Too Large";
    case 431:
        return "Request Header Fields Too Large";
    case 501:
        return "Not Implemented";
    case 503:
        return "Service Unavailable";
    case 505:
        return "HTTP Version Not Supported";
    default:
        return "Internal Server Error";
    }
}

size_t gw_http_head(const struct gw_http_answer_head *head, char *buffer, size_t capacity)
{
    char extra[96] = "";
    if (head->status == 405)
        snprintf(extra, sizeof extra, "Allow: %s\r\n", head->allow ? head->allow : "GET, HEAD");
    else if (head->status == 401)
        snprintf(extra, sizeof extra, "WWW-Authenticate: Bearer\r\n");
    int n = snprintf(buffer, capacity,
                     "HTTP/1.1 %d %s\r\n"
                     "Content-Type: %s\r\n"
                     "Content-Length: %zu\r\n"
                     "Cache-Control: no-store\r\n"
                     "X-Content-Type-Options: nosniff\r\n"
                     "%sConnection: %s\r\n\r\n",
                     head->status, reason(head->status), head->content_type, head->body_len, extra,
                     head->keep_alive ? "keep-alive" : "close");
    return n > 0 ? (size_t)n : 0;
}
