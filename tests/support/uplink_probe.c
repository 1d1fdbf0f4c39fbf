/*
 * The uplink on real sockets and real TLS, with made-up events: connects, sends them, waits until all are acked.
 * Prints one JSON object with what became of it; log lines go to stderr. Exit code: 0 all acked, 1 not, 2 usage.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net_proxy.h"
#include "net_tcp.h"
#include "net_tls.h"
#include "platform.h"
#include "tributary/tributary.h"

struct probe {
    const char *host, *path, *token, *device, *ca, *certificate, *key, *server_name;
    const char *proxy_host, *proxy_user, *proxy_password;
    uint16_t port, proxy_port;
    bool plain, stay;
    uint64_t utc_ms, floor_ms, seconds, events, piece;
    uint64_t stream, next, acked, sent, welcomes, polls;
    int first_error;
    struct trib_net tcp_net;
};

static void write_log(void *context, enum trib_log_level level, const char *text)
{
    (void)context;
    fprintf(stderr, "%d %s\n", (int)level, text);
}

static bool trusted_time(void *context, uint64_t *out_utc_ms)
{
    const struct probe *p = context;
    *out_utc_ms = p->utc_ms;
    return p->utc_ms != 0;
}

/* --- a net that moves few bytes at a time --- */

static size_t small(const struct probe *p, size_t length)
{
    return p->piece != 0 && length > p->piece ? p->piece : length;
}

static int piece_connect(void *context, const char *host, uint16_t port)
{
    struct probe *p = context;
    return p->tcp_net.connect(p->tcp_net.context, host, port);
}

static int piece_send(void *context, const uint8_t *data, size_t length)
{
    struct probe *p = context;
    return p->tcp_net.send(p->tcp_net.context, data, small(p, length));
}

static int piece_receive(void *context, uint8_t *out, size_t capacity)
{
    struct probe *p = context;
    return p->tcp_net.receive(p->tcp_net.context, out, small(p, capacity));
}

static void piece_close(void *context)
{
    struct probe *p = context;
    p->tcp_net.close(p->tcp_net.context);
}

/* --- source --- */

static void source_hello(void *context, struct trib_wire_hello *out)
{
    struct probe *p = context;
    out->device = (struct trib_text){p->device, strlen(p->device)};
    out->sdk = (struct trib_text){"uplink_probe", 12};
    out->version = TRIB_WIRE_VERSION;
    out->boot = 1;
    out->stream_count = 1;
    out->streams[0] = (struct trib_wire_hello_stream){
        .stream = p->stream, .lane = TRIB_LANE_ROUTINE, .next_seq = p->events + 1, .acked_seq = p->acked};
}

static int source_welcome(void *context, const struct trib_wire_welcome *welcome)
{
    struct probe *p = context;
    p->welcomes++;
    p->next = 1;
    for (size_t i = 0; i < welcome->stream_count; i++) {
        if (welcome->streams[i].stream == p->stream)
            p->next = welcome->streams[i].committed + 1;
    }
    p->acked = p->next - 1;
    return 0;
}

static void put_event(struct trib_wire_batch_writer *b, uint64_t seq)
{
    uint8_t fields[16];
    struct trib_cbor_writer w;
    trib_cbor_writer_init(&w, fields, sizeof fields);
    trib_cbor_put_map(&w, 1);
    trib_cbor_put_uint(&w, seq == 1 ? TRIB_FIELD_START_REASON : TRIB_FIELD_POSITION_MS);
    trib_cbor_put_uint(&w, seq == 1 ? TRIB_START_REASON_FIRST : seq * 10);
    trib_wire_batch_event(b, TRIB_LANE_ROUTINE, seq == 1 ? TRIB_EVENT_STREAM_START : TRIB_EVENT_PAUSE,
                          seq * 10, seq, 0, fields, w.len);
}

static int source_batch(void *context, uint8_t *buf, size_t cap, uint64_t max_events, size_t *out_len,
                        uint64_t *out_events)
{
    struct probe *p = context;
    struct trib_wire_batch_writer b;
    struct trib_wire_batch_head head = {.boot = 1, .mono_ms = p->next * 10, .ord = p->next - 1};
    uint64_t count = 0;
    head.lanes[TRIB_LANE_ROUTINE] = (struct trib_wire_position){p->stream, p->next};
    *out_len = 0;
    if (p->next > p->events)
        return 0;
    trib_wire_batch_open(&b, &head, buf, cap);
    while (p->next + count <= p->events && count < max_events && b.w.len + 24 <= cap)
        put_event(&b, p->next + count++);
    if (count == 0)
        return 0;
    int error = trib_wire_batch_close(&b, out_len);
    p->next += count;
    p->sent += count;
    *out_events = count;
    return error;
}

static void source_ack(void *context, const struct trib_wire_ack *ack)
{
    struct probe *p = context;
    for (size_t i = 0; i < ack->acked_count; i++) {
        if (ack->acked[i].stream == p->stream)
            p->acked = ack->acked[i].seq;
    }
}

static uint64_t source_unacked_since_ms(void *context)
{
    (void)context;
    return UINT64_MAX; /* the probe's own bounds end it */
}

static void source_nack(void *context, const struct trib_wire_nack *nack)
{
    struct probe *p = context;
    p->next = nack->expected;
}

static void source_config(void *context, const struct trib_wire_config *config)
{
    (void)context;
    (void)config;
}

/* --- set-up --- */

/* The file with a terminating zero byte, as PEM needs it. Lives until the end of the program. */
static struct trib_mbedtls_blob read_blob(const char *path)
{
    struct trib_mbedtls_blob blob = {NULL, 0};
    FILE *file = path != NULL ? fopen(path, "rb") : NULL;
    if (file == NULL)
        return blob;
    uint8_t *data = calloc(1, 65536);
    size_t length = data != NULL ? fread(data, 1, 65535, file) : 0;
    fclose(file);
    blob.data = data;
    blob.length = length + (length > 0 && data[0] == '-');
    return blob;
}

static bool parse(struct probe *p, int argc, char **argv)
{
    static const struct option options[] = {
        {"host", 1, 0, 'h'},
        {"port", 1, 0, 'p'},
        {"path", 1, 0, 'u'},
        {"token", 1, 0, 't'},
        {"device", 1, 0, 'd'},
        {"ca", 1, 0, 'a'},
        {"cert", 1, 0, 'c'},
        {"key", 1, 0, 'k'},
        {"server-name", 1, 0, 'n'},
        {"plain", 0, 0, 'P'},
        {"utc-ms", 1, 0, 'w'},
        {"floor-ms", 1, 0, 'f'},
        {"seconds", 1, 0, 's'},
        {"events", 1, 0, 'e'},
        {"piece", 1, 0, 'i'},
        {"stay", 0, 0, 'S'},
        {"proxy-host", 1, 0, 'x'},
        {"proxy-port", 1, 0, 'y'},
        {"proxy-user", 1, 0, 'z'},
        {"proxy-password", 1, 0, 'q'},
        {0, 0, 0, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'h':
            p->host = optarg;
            break;
        case 'p':
            p->port = (uint16_t)atoi(optarg);
            break;
        case 'u':
            p->path = optarg;
            break;
        case 't':
            p->token = optarg;
            break;
        case 'd':
            p->device = optarg;
            break;
        case 'a':
            p->ca = optarg;
            break;
        case 'c':
            p->certificate = optarg;
            break;
        case 'k':
            p->key = optarg;
            break;
        case 'n':
            p->server_name = optarg;
            break;
        case 'x':
            p->proxy_host = optarg;
            break;
        case 'y':
            p->proxy_port = (uint16_t)atoi(optarg);
            break;
        case 'z':
            p->proxy_user = optarg;
            break;
        case 'q':
            p->proxy_password = optarg;
            break;
        case 'P':
            p->plain = true;
            break;
        case 'S':
            p->stay = true;
            break;
        case 'w':
            p->utc_ms = strtoull(optarg, NULL, 10);
            break;
        case 'f':
            p->floor_ms = strtoull(optarg, NULL, 10);
            break;
        case 's':
            p->seconds = strtoull(optarg, NULL, 10);
            break;
        case 'e':
            p->events = strtoull(optarg, NULL, 10);
            break;
        case 'i':
            p->piece = strtoull(optarg, NULL, 10);
            break;
        default:
            return false;
        }
    }
    return p->port != 0;
}

static int open_tls(struct probe *p, struct trib_mbedtls *tls, struct trib_net lower)
{
    struct trib_mbedtls_config config = {
        .lower = lower,
        .entropy = trib_posix_entropy(),
        .log = {NULL, write_log},
        .ca = read_blob(p->ca),
        .certificate = read_blob(p->certificate),
        .key = read_blob(p->key),
        .server_name = p->server_name,
        .utc_context = p,
        .utc_ms = trusted_time,
        .time_floor_ms = p->floor_ms,
    };
    int error = trib_mbedtls_init(tls, &config);
    free((void *)config.ca.data);
    free((void *)config.certificate.data);
    free((void *)config.key.data);
    return error;
}

/* Ends when all is acked, at the first failure (unless --stay), or when the time is over. */
static void run(struct probe *p, struct trib_uplink *uplink, struct trib_posix_tcp *tcp)
{
    struct trib_clock clock = trib_posix_clock();
    uint64_t end = clock.mono_ms(NULL) + p->seconds * 1000;
    uint32_t next = 0;
    while (clock.mono_ms(NULL) < end) {
        int error = trib_uplink_poll(uplink, clock.mono_ms(NULL), &next);
        p->polls++;
        if (error != 0 && p->first_error == 0)
            p->first_error = error;
        if ((error != 0 && !p->stay) || (p->acked == p->events && p->welcomes > 0))
            break;
        (void)trib_posix_wait(tcp, -1, next < 1000 ? next : 1000);
    }
    trib_uplink_close(uplink, clock.mono_ms(NULL));
}

int main(int argc, char **argv)
{
    static struct probe p = {
        .host = "127.0.0.1", .path = "/v1", .device = "probe", .seconds = 10, .events = 10};
    static uint8_t transmit[4096], receive[2048];
    static struct trib_posix_tcp tcp;
    static struct trib_mbedtls tls;
    static struct trib_proxy proxy;
    static struct trib_uplink uplink;
    const struct trib_log log = {NULL, write_log};
    int error = 0;
    if (!parse(&p, argc, argv)) {
        fprintf(stderr, "uplink_probe: --port is needed; see the source for the options\n");
        return 2;
    }
    if (trib_posix_entropy().fill(NULL, (uint8_t *)&p.stream, sizeof p.stream) != 0)
        return 2;
    trib_posix_tcp_init(&tcp, &log);
    p.tcp_net = trib_posix_tcp_net(&tcp);
    struct trib_net net = {&p, piece_connect, piece_send, piece_receive, piece_close};
    if (p.proxy_host) {
        const struct trib_proxy_config through = {net,          p.proxy_host,     p.proxy_port,
                                                  p.proxy_user, p.proxy_password, log};
        if (trib_proxy_init(&proxy, &through) != 0)
            return 2;
        net = trib_proxy_net(&proxy);
    }
    if (!p.plain) {
        error = open_tls(&p, &tls, net);
        net = trib_mbedtls_net(&tls);
    }
    const struct trib_config config = {
        .host = p.host,
        .port = p.port,
        .path = p.path,
        .token = p.token,
        .net = net,
        .entropy = trib_posix_entropy(),
        .log = log,
        .transmit = transmit,
        .transmit_bytes = sizeof transmit,
        .receive = receive,
        .receive_bytes = sizeof receive,
        .backoff_min_ms = 100,
        .backoff_max_ms = 1000,
    };
    const struct trib_uplink_source source = {source_hello, source_welcome,          source_batch,
                                              source_ack,   source_unacked_since_ms, source_nack,
                                              source_config};
    trib_uplink_init(&uplink, &config, &source, &p);
    if (error == 0)
        run(&p, &uplink, &tcp);
    else
        p.first_error = error;
    printf("{\"error\": %d, \"phase\": %d, \"acked\": %" PRIu64 ", \"sent\": %" PRIu64
           ", \"welcomes\": %" PRIu64 ", \"polls\": %" PRIu64 "}\n",
           p.first_error, (int)trib_uplink_get_phase(&uplink), p.acked, p.sent, p.welcomes, p.polls);
    if (!p.plain)
        trib_mbedtls_deinit(&tls);
    trib_posix_tcp_deinit(&tcp);
    return p.welcomes > 0 && p.acked == p.events ? 0 : 1;
}
