/* ports/proxy: what it asks, how it reads any answer in any pieces, what it refuses, and the net's contract through it. */
#include "memory_net.h"
#include "net_proxy.h"
#include "suite.h"

/* A lower net that says what it is told, a few bytes at a time, and remembers what was sent. */
struct script {
    const char *answer;
    size_t answer_length, at;
    size_t piece; /* bytes a call takes or gives */
    bool again;   /* each other call says TRIB_EAGAIN */
    bool ends;    /* behind the answer: closed; false: nothing more yet */
    int dial;     /* what connect returns at last */
    unsigned calls, closes;
    char sent[2048], log[256];
    size_t sent_length;
    char host[64];
    uint16_t port;
};

static int script_connect(void *context, const char *host, uint16_t port)
{
    struct script *s = context;
    snprintf(s->host, sizeof s->host, "%s", host);
    s->port = port;
    return s->again && s->calls++ % 2 == 0 ? TRIB_EAGAIN : s->dial;
}

static int script_send(void *context, const uint8_t *data, size_t length)
{
    struct script *s = context;
    if (s->again && s->calls++ % 2 == 0)
        return TRIB_EAGAIN;
    length = length < s->piece ? length : s->piece;
    assert_true(s->sent_length + length <= sizeof s->sent);
    memcpy(s->sent + s->sent_length, data, length);
    s->sent_length += length;
    return (int)length;
}

static int script_receive(void *context, uint8_t *out, size_t capacity)
{
    struct script *s = context;
    size_t rest = s->answer_length - s->at;
    if (rest == 0)
        return s->ends ? TRIB_ECLOSED : TRIB_EAGAIN;
    if (s->again && s->calls++ % 2 == 0)
        return TRIB_EAGAIN;
    rest = rest < s->piece ? rest : s->piece;
    rest = rest < capacity ? rest : capacity;
    memcpy(out, s->answer + s->at, rest);
    s->at += rest;
    return (int)rest;
}

static void script_close(void *context)
{
    struct script *s = context;
    s->closes++;
}

static void script_log(void *context, enum trib_log_level level, const char *text)
{
    struct script *s = context;
    (void)level;
    snprintf(s->log, sizeof s->log, "%s", text);
}

static struct trib_proxy_config config_of(struct script *s)
{
    return (struct trib_proxy_config){
        .lower = {s, script_connect, script_send, script_receive, script_close},
        .host = "proxy.example",
        .port = 3128,
        .log = {s, script_log},
    };
}

static void script_init(struct script *s, const char *answer, size_t piece)
{
    memset(s, 0, sizeof *s);
    s->answer = answer;
    s->answer_length = strlen(answer);
    s->piece = piece;
}

/* Until it is not TRIB_EAGAIN, or nothing moves any more. */
static int dial(struct trib_net *net, const char *host)
{
    int result = TRIB_EAGAIN;
    for (unsigned i = 0; i < 20000 && result == TRIB_EAGAIN; i++)
        result = net->connect(net->context, host, 8443);
    return result;
}

/* What becomes of an answer, in pieces of that size. */
static int outcome(const char *answer, size_t piece, bool ends, struct script *out)
{
    struct trib_proxy proxy;
    script_init(out, answer, piece);
    out->ends = ends;
    struct trib_proxy_config config = config_of(out);
    assert_int_equal(trib_proxy_init(&proxy, &config), 0);
    struct trib_net net = trib_proxy_net(&proxy);
    int result = dial(&net, "gateway.example");
    net.close(net.context);
    return result;
}

static void asks(const char *host, const char *user, const char *password, const char *request)
{
    struct script s;
    struct trib_proxy proxy;
    script_init(&s, "HTTP/1.1 200 OK\r\n\r\n", 1000);
    struct trib_proxy_config config = config_of(&s);
    config.user = user;
    config.password = password;
    assert_int_equal(trib_proxy_init(&proxy, &config), 0);
    struct trib_net net = trib_proxy_net(&proxy);
    assert_int_equal(dial(&net, host), 0);
    s.sent[s.sent_length] = 0;
    assert_string_equal(s.sent, request);
    assert_string_equal(s.host, "proxy.example"); /* the gateway's name is the proxy's to look up */
    assert_int_equal(s.port, 3128);
}

static void test_the_request_is_what_the_rfcs_say(void **state)
{
    (void)state;
    asks("gateway.example", NULL, NULL,
         "CONNECT gateway.example:8443 HTTP/1.1\r\nHost: gateway.example:8443\r\n\r\n");
    asks("2001:db8::1", NULL, NULL,
         "CONNECT [2001:db8::1]:8443 HTTP/1.1\r\nHost: [2001:db8::1]:8443\r\n\r\n");
    asks("g", "Aladdin", "open sesame", /* the example of RFC 7617 */
         "CONNECT g:8443 HTTP/1.1\r\nHost: g:8443\r\nProxy-Authorization: Basic "
         "QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n");
    asks("g", "a", NULL,
         "CONNECT g:8443 HTTP/1.1\r\nHost: g:8443\r\nProxy-Authorization: Basic YTo=\r\n\r\n");
    asks("g", "ab", NULL,
         "CONNECT g:8443 HTTP/1.1\r\nHost: g:8443\r\nProxy-Authorization: Basic YWI6\r\n\r\n");
    asks("g", "a", "bc",
         "CONNECT g:8443 HTTP/1.1\r\nHost: g:8443\r\nProxy-Authorization: Basic YTpiYw==\r\n\r\n");
}

static void test_answers_are_read_in_any_pieces(void **state)
{
    (void)state;
    static const char answer[] =
        "HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 Connection established\r\n"
        "Content-Length: 5\r\nVia: 1.1 proxy\r\n\r\nfirst bytes of the gateway";
    static const char first[] = "first bytes of the gateway";
    for (size_t piece = 1; piece <= sizeof answer; piece++)
        for (int again = 0; again <= 1; again++) {
            struct script s;
            struct trib_proxy proxy;
            char got[64] = "";
            size_t length = 0;
            script_init(&s, answer, piece);
            s.again = again;
            struct trib_proxy_config config = config_of(&s);
            assert_int_equal(trib_proxy_init(&proxy, &config), 0);
            struct trib_net net = trib_proxy_net(&proxy);
            assert_int_equal(net.send(net.context, (const uint8_t *)"x", 1),
                             TRIB_ECLOSED); /* not before it is open */
            assert_int_equal(dial(&net, "gateway.example"), 0);
            assert_int_equal(net.connect(net.context, "gateway.example", 8443), 0); /* and it stays so */
            while (length < sizeof first - 1) {
                int n = net.receive(net.context, (uint8_t *)got + length, 7);
                assert_true(n > 0 || n == TRIB_EAGAIN);
                length += n > 0 ? (size_t)n : 0;
            }
            assert_string_equal(got, first);
            s.sent_length = 0;
            while (net.send(net.context, (const uint8_t *)"out", 3) == TRIB_EAGAIN)
                continue;
            assert_memory_equal(s.sent, "out", piece < 3 ? piece : 3);
        }
}

static void test_only_success_opens_the_tunnel(void **state)
{
    (void)state;
    static const struct {
        const char *answer;
        int result;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\n\r\n", 0},
        {"HTTP/1.0 200 OK\n\n", 0}, /* a bare LF ends a line too */
        {"HTTP/1.1 204\r\n\r\n", 0},
        {"HTTP/1.1 299 \r\nA: b\r\n \r\n\r\n", 0},
        {"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n", TRIB_EAUTH},
        {"HTTP/1.1 403 Forbidden\r\n\r\nbody", TRIB_EIO},
        {"HTTP/1.1 502 Bad Gateway\r\n\r\n", TRIB_EIO},
        {"HTTP/1.1 302 Found\r\nLocation: http://portal/\r\n\r\n", TRIB_EIO},
        {"HTTP/1.1 101 Switching Protocols\r\n\r\n", TRIB_EIO},
        {"HTTP/1.1 101 Switching Protocols\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", TRIB_EIO},
        {"HTTP/1.1 000 \r\n\r\n", TRIB_EIO},
        {"HTTP/1.1 20 OK\r\n\r\n", TRIB_EIO},
        {"HTTP/1.1 2000 OK\r\n\r\n", TRIB_EIO},
        {"HTTP/1.1  200 OK\r\n\r\n", TRIB_EIO},
        {"HTTP/2 200 OK\r\n\r\n", TRIB_EIO},
        {"http/1.1 200 OK\r\n\r\n", TRIB_EIO},
        {" HTTP/1.1 200 OK\r\n\r\n", TRIB_EIO},
        {"SSH-2.0-OpenSSH_9.2\r\n", TRIB_EIO},
        {"", TRIB_EIO},
        {"HTTP/1.1 200 OK\r\n", TRIB_EIO}, /* closed in the middle */
        {"HTTP/1.1 2", TRIB_EIO},
        {"HTTP/1.1 100 Continue\r\n\r\n", TRIB_EIO},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (size_t piece = 1; piece < 100; piece += 7) {
            struct script s;
            assert_int_equal(outcome(cases[i].answer, piece, true, &s), cases[i].result);
            assert_true((cases[i].result == 0) == (s.log[0] == 0)); /* each refusal is explained */
        }
    struct script s;
    assert_int_equal(outcome("HTTP/1.1 503 Busy\r\n\r\n", 100, true, &s), TRIB_EIO);
    assert_non_null(strstr(s.log, "503"));
    assert_int_equal(outcome("HTTP/1.1 200 OK\r\n", 100, false, &s),
                     TRIB_EAGAIN); /* the rest may still come */
}

static void test_answers_without_an_end_are_cut_off(void **state)
{
    (void)state;
    static char endless[20000];
    static const char *const parts[] = {"HTTP/1.1 100 Continue\r\n\r\n", "X: y\r\n", "x"};
    for (size_t kind = 0; kind < 3; kind++) {
        struct script s;
        size_t part = strlen(parts[kind]), at = 0;
        if (kind > 0)
            at = (size_t)snprintf(endless, sizeof endless, "HTTP/1.1 200 OK\r\n");
        for (; at + part < sizeof endless - 1; at += part)
            memcpy(endless + at, parts[kind], part);
        endless[at] = 0;
        assert_int_equal(outcome(endless, 100, false, &s), TRIB_EIO);
        assert_in_range(s.at, TRIB_PROXY_ANSWER_BYTES_MAX,
                        TRIB_PROXY_ANSWER_BYTES_MAX + TRIB_PROXY_BUFFER_BYTES);
        assert_non_null(strstr(s.log, "too long"));
    }
}

/* Mutilated answers: none but a whole success opens the tunnel. */
static void test_junk_never_opens_the_tunnel(void **state)
{
    (void)state;
    static const char good[] = "HTTP/1.1 200 OK\r\nVia: p\r\n\r\n";
    uint32_t random = 1, opened = 0;
    for (unsigned round = 0; round < 200000; round++) {
        struct script s;
        char text[sizeof good];
        memcpy(text, good, sizeof good);
        for (unsigned flips = 0; flips <= round % 3; flips++) {
            random = random * 1664525u + 1013904223u;
            text[(random >> 8) % (sizeof good - 1)] = (char)("\r\n 0129HTP/.:x\x80"[(random >> 24) % 16]);
        }
        int result = outcome(text, 1 + round % 30, true, &s);
        const char *end = strstr(text, "\n\r\n"), *bare = strstr(text, "\n\n");
        bool whole = strncmp(text, "HTTP/1.", 7) == 0 && text[7] >= '0' && text[7] <= '9' && text[8] == ' ' &&
                     text[9] == '2' && text[10] >= '0' && text[10] <= '9' && text[11] >= '0' &&
                     text[11] <= '9' && (text[12] == ' ' || text[12] == '\r' || text[12] == '\n') &&
                     (end || bare);
        assert_int_equal(result == 0, whole);
        assert_true(result == 0 || result == TRIB_EIO || result == TRIB_EAUTH);
        opened += result == 0;
    }
    assert_in_range(opened, 1000, 199000);
}

static void test_a_lower_net_that_fails_is_passed_on(void **state)
{
    (void)state;
    struct script s;
    struct trib_proxy proxy;
    script_init(&s, "", 100);
    s.dial = TRIB_ECERTIFICATE;
    struct trib_proxy_config config = config_of(&s);
    assert_int_equal(trib_proxy_init(&proxy, &config), 0);
    struct trib_net net = trib_proxy_net(&proxy);
    assert_int_equal(dial(&net, "gateway.example"), TRIB_ECERTIFICATE);
}

static void test_credentials_do_not_stay_in_memory(void **state)
{
    (void)state;
    struct script s;
    struct trib_proxy proxy;
    script_init(&s, "HTTP/1.1 200 OK\r\n\r\n", 1000);
    struct trib_proxy_config config = config_of(&s);
    config.user = "Aladdin";
    config.password = "open sesame";
    assert_int_equal(trib_proxy_init(&proxy, &config), 0);
    struct trib_net net = trib_proxy_net(&proxy);
    assert_int_equal(dial(&net, "g"), 0);
    assert_null(memmem(&proxy, sizeof proxy, "QWxhZGRp", 8));
    assert_non_null(memmem(s.sent, s.sent_length, "QWxhZGRp", 8));
}

static void test_what_no_request_can_hold_is_refused(void **state)
{
    (void)state;
    struct script s;
    struct trib_proxy proxy;
    char host[400];
    memset(host, 'h', sizeof host - 1);
    host[sizeof host - 1] = 0;
    static const char *const bad[] = {"gateway.example\r\nX: y", "two words", "tab\there", NULL};
    for (size_t i = 0; i < 4; i++) {
        script_init(&s, "HTTP/1.1 200 OK\r\n\r\n", 1000);
        struct trib_proxy_config config = config_of(&s);
        assert_int_equal(trib_proxy_init(&proxy, &config), 0);
        struct trib_net net = trib_proxy_net(&proxy);
        assert_int_equal(dial(&net, bad[i] ? bad[i] : host), TRIB_EIO);
        assert_int_equal(s.sent_length, 0); /* nothing went out */
        assert_true(s.log[0] != 0);
    }
    struct trib_proxy_config config = config_of(&s);
    config.user = "with:colon";
    assert_int_equal(trib_proxy_init(&proxy, &config), TRIB_EINVAL);
    config.user = "line\nbreak";
    assert_int_equal(trib_proxy_init(&proxy, &config), TRIB_EINVAL);
    config.user = "fine";
    config.password = "line\r\nProxy-X: y";
    assert_int_equal(trib_proxy_init(&proxy, &config), TRIB_EINVAL);
    config = config_of(&s);
    config.lower.close = NULL;
    assert_int_equal(trib_proxy_init(&proxy, &config), TRIB_EINVAL);
    config = config_of(&s);
    config.host = NULL;
    assert_int_equal(trib_proxy_init(&proxy, &config), TRIB_EINVAL);
}

static void test_a_tunnel_keeps_the_contract(void **state)
{
    (void)state;
    static struct memory_net m;
    static struct trib_proxy proxy;
    memory_net_init(&m, MEMORY_GOOD);
    m.proxy = true;
    struct trib_proxy_config config = {.lower = memory_net(&m), .host = "proxy", .port = 3128};
    assert_int_equal(trib_proxy_init(&proxy, &config), 0);
    struct trib_net net = trib_proxy_net(&proxy);
    struct trib_clock clock = memory_net_clock(&m);
    struct trib_conformance_ports ports = {
        .net = &net, .clock = &clock, .peer_host = "peer", .peer_port = MEMORY_PORT};
    suite_passes(&ports, 2); /* no other clock, no port where nobody listens */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_request_is_what_the_rfcs_say),
        cmocka_unit_test(test_answers_are_read_in_any_pieces),
        cmocka_unit_test(test_only_success_opens_the_tunnel),
        cmocka_unit_test(test_answers_without_an_end_are_cut_off),
        cmocka_unit_test(test_junk_never_opens_the_tunnel),
        cmocka_unit_test(test_a_lower_net_that_fails_is_passed_on),
        cmocka_unit_test(test_credentials_do_not_stay_in_memory),
        cmocka_unit_test(test_what_no_request_can_hold_is_refused),
        cmocka_unit_test(test_a_tunnel_keeps_the_contract),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
