/*
 * The floor as a server (floor.h says what it is): it speaks just enough of the protocol for tributary-load.
 *
 *   ingest-floor --cert F --key F --folder D --batches N [--client-ca F] [--port P]
 *
 * It prints "port P", then serves until SIGTERM. With --client-ca it is the floor of memory, too: it verifies devices'
 * certificates as the gateway does, and has OpenSSL give back its buffers between records.
 *
 * At SIGTERM it prints JSON: CPU seconds since the first batch, events, batches, commits. It then measures each step apart on the batches it got, and prints those.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "floor.h"

#define PENDING_MAX 4096
#define IDLE_MS 2

struct pending {
    struct floor_link *link;
    struct trib_wire_position last[TRIB_LANE_COUNT];
};

static struct {
    int loop, listener;
    SSL_CTX *tls;
    uint8_t *spare_inputs;
    struct floor_store store;
    size_t batches_per_commit;
    struct pending pending[PENDING_MAX];
    size_t pending_count;
    uint64_t events, batches, commits, acks;
    double cpu_at_first_batch;
    struct floor_sample samples[FLOOR_SAMPLES];
    size_t sample_count;
} server;

static void commit(void)
{
    if (server.pending_count == 0)
        return;
    floor_store_commit(&server.store);
    server.commits++;
    for (size_t i = 0; i < server.pending_count; i++) {
        struct pending *p = &server.pending[i];
        for (int lane = 0; lane < TRIB_LANE_COUNT; lane++)
            if (p->last[lane].stream)
                p->link->acked[lane] = p->last[lane];
        p->link->ack_due = true;
    }
    for (size_t i = 0; i < server.pending_count; i++)
        if (server.pending[i].link->ack_due && server.pending[i].link->websocket) {
            floor_ack(server.pending[i].link);
            server.acks++;
        }
    server.pending_count = 0;
}

static void on_batch(struct floor_link *link, const uint8_t *message, size_t len)
{
    struct floor_walked walked;
    if (server.batches++ == 0)
        server.cpu_at_first_batch = floor_cpu_seconds();
    if (server.sample_count < FLOOR_SAMPLES && server.batches % 8 == 0) {
        struct floor_sample *sample = &server.samples[server.sample_count++];
        *sample = (struct floor_sample){malloc(len), len};
        memcpy(sample->message, message, len);
    }
    floor_walk(message, len, true, &walked);
    server.events += walked.events;
    floor_store_put(&server.store, message, len);
    struct pending *p = &server.pending[server.pending_count++];
    p->link = link;
    memcpy(p->last, walked.last, sizeof p->last);
    if (server.pending_count >= server.batches_per_commit)
        commit();
}

static void welcome(struct floor_link *link, const struct trib_wire_hello *hello)
{
    uint8_t out[2048];
    size_t len;
    struct trib_wire_welcome w = {
        .gateway = {"floor", 5},
        .epoch = 1,
        .stream_count = hello->stream_count,
        .credit = {1ull << 50, 1ull << 50},
        .max_message_bytes = FLOOR_INPUT_BYTES / 2,
        .max_event_bytes = 65536,
        .keepalive_ms = 25000,
    };
    for (size_t i = 0; i < w.stream_count; i++)
        w.streams[i].stream = hello->streams[i].stream;
    if (trib_wire_welcome_encode(&w, out, sizeof out, &len))
        floor_die("welcome", 0);
    floor_write(link, out, len);
}

static void on_message(struct floor_link *link, const uint8_t *message, size_t len)
{
    uint64_t type;
    size_t body;
    struct trib_wire_hello hello;
    if (trib_wire_open(message, len, &type, &body))
        floor_die("message", 0);
    if (type == TRIB_WIRE_BATCH) {
        on_batch(link, message, len);
    } else if (type == TRIB_WIRE_HELLO) {
        if (trib_wire_hello_decode(message, len, &hello))
            floor_die("hello", 0);
        welcome(link, &hello);
    }
}

/* Bytes of the HTTP request, answered; 0: not all there. */
static size_t upgrade(struct floor_link *link)
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", name[] = "Sec-WebSocket-Key: ";
    uint8_t *end = memmem(link->input, link->have, "\r\n\r\n", 4);
    uint8_t *key = end ? memmem(link->input, link->have, name, sizeof name - 1) : NULL;
    if (!key)
        return 0;
    char text[24 + sizeof guid], accept[32], answer[512];
    uint8_t hash[SHA_DIGEST_LENGTH];
    memcpy(text, key + sizeof name - 1, 24);
    memcpy(text + 24, guid, sizeof guid);
    SHA1((uint8_t *)text, 24 + sizeof guid - 1, hash);
    EVP_EncodeBlock((uint8_t *)accept, hash, sizeof hash);
    int len =
        snprintf(answer, sizeof answer,
                 "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 "Sec-WebSocket-Protocol: " TRIB_WIRE_SUBPROTOCOL_CBOR "\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                 accept);
    SSL_write(link->ssl, answer, len);
    link->websocket = true;
    return (size_t)(end + 4 - link->input);
}

/*
 * A link has a buffer only while part of a message waits in it, so that an idle one costs what OpenSSL takes and no more.
 * Spare ones are kept in a row, linked through their first bytes.
 */
static void take_input(struct floor_link *link)
{
    if (link->input)
        return;
    link->input = server.spare_inputs ? server.spare_inputs : malloc(FLOOR_INPUT_BYTES);
    if (server.spare_inputs)
        memcpy(&server.spare_inputs, link->input, sizeof server.spare_inputs);
}

static void give_input(struct floor_link *link)
{
    if (link->have > 0 || !link->input)
        return;
    memcpy(link->input, &server.spare_inputs, sizeof server.spare_inputs);
    server.spare_inputs = link->input;
    link->input = NULL;
}

/* A link stays when its peer has gone: a pending batch may still name it. */
static void drop(struct floor_link *link)
{
    link->websocket = false;
    SSL_free(link->ssl);
    link->have = 0;
    give_input(link);
    close(link->fd);
}

static void on_link(struct floor_link *link)
{
    take_input(link);
    if (!floor_read(link)) {
        drop(link);
        return;
    }
    size_t at = link->websocket ? 0 : upgrade(link), used = 0;
    uint8_t *message;
    for (size_t len; link->websocket; at += used) {
        used = 0;
        len = floor_frame(link, at, &message, &used);
        if (len > 0)
            on_message(link, message, len);
        if (used == 0)
            break;
    }
    if (at > 0 && link->have > at)
        memmove(link->input, link->input + at, link->have - at);
    link->have -= at;
    give_input(link);
}

static void accept_link(void)
{
    int fd = accept4(server.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), on = 1;
    if (fd < 0)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct floor_link *link = calloc(1, sizeof *link);
    link->fd = fd;
    link->ssl = SSL_new(server.tls);
    SSL_set_fd(link->ssl, fd);
    SSL_set_accept_state(link->ssl);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = link};
    epoll_ctl(server.loop, EPOLL_CTL_ADD, fd, &event);
}

static void serve(void)
{
    for (;;) {
        struct epoll_event events[64];
        int count = epoll_wait(server.loop, events, 64, server.pending_count ? IDLE_MS : -1);
        if (count == 0)
            commit();
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == &server.listener)
                accept_link();
            else if (events[i].data.ptr == &server.loop)
                return;
            else
                on_link(events[i].data.ptr);
        }
    }
}

static const char *option(int argc, char **argv, const char *name, const char *fallback)
{
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return argv[i + 1];
    return fallback;
}

static unsigned listen_on(unsigned port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    server.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (bind(server.listener, (struct sockaddr *)&address, len) != 0 || listen(server.listener, 4096) != 0 ||
        getsockname(server.listener, (struct sockaddr *)&address, &len) != 0)
        floor_die("listen", errno);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &server.listener};
    epoll_ctl(server.loop, EPOLL_CTL_ADD, server.listener, &event);
    return ntohs(address.sin_port);
}

static void raise_file_limit(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

static void open_tls(const char *certificate, const char *key, const char *client_ca)
{
    server.tls = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_num_tickets(server.tls, 0);
    SSL_CTX_set_session_cache_mode(server.tls, SSL_SESS_CACHE_OFF);
    if (SSL_CTX_use_certificate_chain_file(server.tls, certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(server.tls, key, SSL_FILETYPE_PEM) != 1)
        floor_die("certificate or key", 0);
    if (!client_ca)
        return;
    if (SSL_CTX_load_verify_file(server.tls, client_ca) != 1)
        floor_die("client CA", 0);
    SSL_CTX_set_verify(server.tls, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(server.tls, SSL_MODE_RELEASE_BUFFERS);
}

int main(int argc, char **argv)
{
    server.batches_per_commit = (size_t)strtoul(option(argc, argv, "--batches", "16"), NULL, 10);
    if (server.batches_per_commit < 1 || server.batches_per_commit > PENDING_MAX)
        floor_die("--batches out of range", 0);
    const char *folder = option(argc, argv, "--folder", "floor-data");
    raise_file_limit();
    floor_hmac_init();
    floor_store_open(&server.store, folder);
    open_tls(option(argc, argv, "--cert", ""), option(argc, argv, "--key", ""),
             option(argc, argv, "--client-ca", NULL));

    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    server.loop = epoll_create1(EPOLL_CLOEXEC);
    int signals = signalfd(-1, &set, SFD_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &server.loop};
    epoll_ctl(server.loop, EPOLL_CTL_ADD, signals, &event);
    printf("port %u\n", listen_on((unsigned)strtoul(option(argc, argv, "--port", "0"), NULL, 10)));
    fflush(stdout);
    serve();
    printf("{\"cpu_s\": %.6f, \"events\": %llu, \"batches\": %llu, \"commits\": %llu, \"acks\": %llu}\n",
           floor_cpu_seconds() - server.cpu_at_first_batch, (unsigned long long)server.events,
           (unsigned long long)server.batches, (unsigned long long)server.commits,
           (unsigned long long)server.acks);
    fflush(stdout);
    if (server.acks > 0)
        floor_measure_steps(server.tls, server.samples, server.sample_count, server.batches_per_commit,
                            (size_t)((server.batches + server.acks / 2) / server.acks), folder);
    return 0;
}
