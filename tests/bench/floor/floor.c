/*
 * The floor of durable ingest: the least a server must do for an acknowledged event, with the same parts as
 * tributaryd. The same libwebsockets, OpenSSL and frames; one decode walk and one HMAC-SHA-256 with
 * precomputed key state an event; one LMDB put a batch; one synced transaction for `batches` batches (set it
 * to what the gateway showed in its run). No validation, no session rules, no re-encoding, no quarantine, no
 * stream rows, no metrics: what a gateway adds to this is its own cost. It speaks just enough of the protocol
 * for tributary-load.
 *
 *   ingest-floor --cert F --key F --folder D --batches N [--port P]     prints "port P", then serves until
 * SIGTERM
 *
 * At SIGTERM it prints JSON: CPU seconds since the first batch, events, batches, commits.
 */
#include <libwebsockets.h>
#include <lmdb.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <uv.h>

#include "wire/message.h"

#define MESSAGE_MAX (1u << 20)
#define PENDING_MAX 4096
#define CREDIT (1ull << 50)

struct connection {
    struct lws *wsi;
    uint8_t *message;
    size_t length;
    struct trib_wire_position acked[TRIB_LANE_COUNT];
    bool welcome_due, ack_due, dead;
    struct trib_wire_hello hello;
};

struct pending {
    struct connection *connection;
    struct trib_wire_position last[TRIB_LANE_COUNT];
};

static struct {
    struct lws_context *lws;
    MDB_env *env;
    MDB_dbi dbi;
    MDB_txn *txn;
    uint64_t next_key;
    size_t batches_per_commit;
    struct pending pending[PENDING_MAX];
    size_t pending_count;
    uv_timer_t idle;
    uint64_t events, batches, commits;
    double cpu_at_first_batch;
    SHA256_CTX inner, outer;
    uint8_t sink;
    bool stopping;
} floor_state;

static void die(const char *what, int code)
{
    fprintf(stderr, "ingest-floor: %s: %d\n", what, code);
    exit(1);
}

static double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
static void hmac_init(void)
{
    uint8_t pad[64];
    memset(pad, 0x36 ^ 0x5a, sizeof pad);
    SHA256_Init(&floor_state.inner);
    SHA256_Update(&floor_state.inner, pad, sizeof pad);
    memset(pad, 0x5c ^ 0x5a, sizeof pad);
    SHA256_Init(&floor_state.outer);
    SHA256_Update(&floor_state.outer, pad, sizeof pad);
}

static void hmac(const void *data, size_t len)
{
    uint8_t digest[32];
    SHA256_CTX context = floor_state.inner;
    SHA256_Update(&context, data, len);
    SHA256_Final(digest, &context);
    context = floor_state.outer;
    SHA256_Update(&context, digest, sizeof digest);
    SHA256_Final(digest, &context);
    floor_state.sink ^= digest[0];
}
#pragma GCC diagnostic pop

/* One walk over the fields: the user's value is hashed, the rest stepped over. */
static void walk_fields(const uint8_t *fields, size_t len)
{
    struct trib_cbor_reader r;
    trib_cbor_reader_init(&r, fields, len);
    struct trib_cbor_container map = trib_cbor_get_map(&r);
    while (trib_cbor_next(&r, &map)) {
        uint64_t key = trib_cbor_get_uint(&r);
        if (key == TRIB_FIELD_USER) {
            size_t n;
            const char *user = trib_cbor_get_text(&r, &n);
            if (user)
                hmac(user, n);
        } else {
            trib_cbor_skip(&r);
        }
    }
}

static void commit(void)
{
    if (floor_state.pending_count == 0)
        return;
    int rc = mdb_txn_commit(floor_state.txn);
    if (rc)
        die("mdb_txn_commit", rc);
    floor_state.txn = NULL;
    floor_state.commits++;
    for (size_t i = 0; i < floor_state.pending_count; i++) {
        struct pending *p = &floor_state.pending[i];
        if (p->connection->dead)
            continue;
        for (int lane = 0; lane < TRIB_LANE_COUNT; lane++)
            if (p->last[lane].stream)
                p->connection->acked[lane] = p->last[lane];
        p->connection->ack_due = true;
        lws_callback_on_writable(p->connection->wsi);
    }
    floor_state.pending_count = 0;
}

static void on_idle(uv_timer_t *timer)
{
    (void)timer;
    commit();
}

static void store(const uint8_t *data, size_t len)
{
    int rc;
    if (!floor_state.txn && (rc = mdb_txn_begin(floor_state.env, NULL, 0, &floor_state.txn)))
        die("mdb_txn_begin", rc);
    uint8_t key[8];
    for (int i = 0; i < 8; i++)
        key[i] = (uint8_t)(floor_state.next_key >> (56 - 8 * i));
    floor_state.next_key++;
    MDB_val k = {sizeof key, key}, v = {len, (void *)(uintptr_t)data};
    if ((rc = mdb_put(floor_state.txn, floor_state.dbi, &k, &v, MDB_APPEND)))
        die("mdb_put", rc);
}

static void on_batch(struct connection *c)
{
    struct trib_wire_batch_reader reader;
    struct trib_wire_batch_item item;
    if (trib_wire_batch_read(&reader, c->message, c->length))
        die("batch", 0);
    if (floor_state.batches++ == 0)
        floor_state.cpu_at_first_batch = cpu_seconds();
    int more;
    while ((more = trib_wire_batch_next(&reader, &item)) == 1) {
        if (item.kind < TRIB_ITEM_FIRST_EVENT)
            continue;
        floor_state.events++;
        walk_fields(item.fields, item.fields_len);
    }
    if (more < 0)
        die("batch item", more);
    store(c->message, c->length);
    struct pending *p = &floor_state.pending[floor_state.pending_count++];
    *p = (struct pending){.connection = c};
    for (int lane = 0; lane < TRIB_LANE_COUNT; lane++)
        p->last[lane] =
            (struct trib_wire_position){reader.head.lanes[lane].stream, reader.next_seq[lane] - 1};
    if (floor_state.pending_count >= floor_state.batches_per_commit)
        commit();
    else
        uv_timer_start(&floor_state.idle, on_idle, 2, 0);
}

static void on_message(struct connection *c)
{
    uint64_t type;
    size_t body;
    if (trib_wire_open(c->message, c->length, &type, &body))
        die("message", 0);
    if (type == TRIB_WIRE_HELLO) {
        if (trib_wire_hello_decode(c->message, c->length, &c->hello))
            die("hello", 0);
        c->welcome_due = true;
        lws_callback_on_writable(c->wsi);
    } else if (type == TRIB_WIRE_BATCH) {
        on_batch(c);
    }
}

static int write_message(struct connection *c, const uint8_t *data, size_t len)
{
    uint8_t buffer[LWS_PRE + 2048];
    memcpy(buffer + LWS_PRE, data, len);
    return lws_write(c->wsi, buffer + LWS_PRE, len, LWS_WRITE_BINARY) < (int)len ? -1 : 0;
}

static int write_welcome(struct connection *c)
{
    uint8_t out[1024];
    size_t len;
    struct trib_wire_welcome w = {
        .gateway = {"floor", 5},
        .epoch = 1,
        .stream_count = c->hello.stream_count,
        .credit = {CREDIT, CREDIT},
        .max_message_bytes = MESSAGE_MAX,
        .max_event_bytes = 65536,
        .keepalive_ms = 25000,
    };
    for (size_t i = 0; i < w.stream_count; i++)
        w.streams[i].stream = c->hello.streams[i].stream;
    c->welcome_due = false;
    if (trib_wire_welcome_encode(&w, out, sizeof out, &len))
        die("welcome", 0);
    return write_message(c, out, len);
}

static int write_ack(struct connection *c)
{
    uint8_t out[1024];
    size_t len;
    struct trib_wire_ack ack = {.credit = {CREDIT, CREDIT}};
    for (int lane = 0; lane < TRIB_LANE_COUNT; lane++)
        if (c->acked[lane].stream)
            ack.acked[ack.acked_count++] = c->acked[lane];
    c->ack_due = false;
    if (trib_wire_ack_encode(&ack, out, sizeof out, &len))
        die("ack", 0);
    return write_message(c, out, len);
}

static void receive(struct connection *c, const void *in, size_t len)
{
    if (c->length + len > MESSAGE_MAX)
        die("message too large", 0);
    memcpy(c->message + c->length, in, len);
    c->length += len;
    if (lws_remaining_packet_payload(c->wsi) == 0 && lws_is_final_fragment(c->wsi)) {
        on_message(c);
        c->length = 0;
    }
}

static int callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
    struct connection **slot = user;
    switch (reason) {
    case LWS_CALLBACK_ESTABLISHED:
        *slot = calloc(1, sizeof **slot);
        (*slot)->wsi = wsi;
        (*slot)->message = malloc(MESSAGE_MAX);
        return 0;
    case LWS_CALLBACK_RECEIVE:
        receive(*slot, in, len);
        return 0;
    case LWS_CALLBACK_SERVER_WRITEABLE:
        if ((*slot)->welcome_due)
            return write_welcome(*slot);
        return (*slot)->ack_due ? write_ack(*slot) : 0;
    case LWS_CALLBACK_CLOSED:
        free((*slot)->message);
        (*slot)->dead = true; /* kept: a pending batch may still name it */
        return 0;
    default:
        return 0;
    }
}

static void on_signal(uv_signal_t *handle, int signum)
{
    (void)signum;
    floor_state.stopping = true;
    uv_stop(handle->loop);
}

static void open_store(const char *folder)
{
    int rc;
    MDB_txn *txn;
    mkdir(folder, 0700);
    if ((rc = mdb_env_create(&floor_state.env)) || (rc = mdb_env_set_mapsize(floor_state.env, 8ull << 30)) ||
        (rc = mdb_env_open(floor_state.env, folder, 0, 0600)) ||
        (rc = mdb_txn_begin(floor_state.env, NULL, 0, &txn)) ||
        (rc = mdb_dbi_open(txn, NULL, 0, &floor_state.dbi)) || (rc = mdb_txn_commit(txn)))
        die("lmdb", rc);
}

static const char *option(int argc, char **argv, const char *name, const char *fallback)
{
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return argv[i + 1];
    return fallback;
}

int main(int argc, char **argv)
{
    static const struct lws_protocols protocols[] = {
        {.name = TRIB_WIRE_SUBPROTOCOL_CBOR,
         .callback = callback,
         .per_session_data_size = sizeof(struct connection *),
         .rx_buffer_size = 16384},
        {.name = NULL},
    };
    floor_state.batches_per_commit = (size_t)strtoul(option(argc, argv, "--batches", "16"), NULL, 10);
    if (floor_state.batches_per_commit < 1 || floor_state.batches_per_commit > PENDING_MAX)
        die("--batches out of range", 0);
    hmac_init();
    open_store(option(argc, argv, "--folder", "floor-data"));

    uv_loop_t loop;
    uv_loop_init(&loop);
    uv_timer_init(&loop, &floor_state.idle);
    uv_signal_t on_term;
    uv_signal_init(&loop, &on_term);
    uv_signal_start(&on_term, on_signal, SIGTERM);
    void *loops[] = {&loop};
    lws_set_log_level(LLL_ERR, NULL);
    struct lws_context_creation_info info = {
        .port = (int)strtol(option(argc, argv, "--port", "0"), NULL, 10),
        .iface = "127.0.0.1",
        .protocols = protocols,
        .options =
            LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT | LWS_SERVER_OPTION_DISABLE_IPV6,
        .ssl_cert_filepath = option(argc, argv, "--cert", NULL),
        .ssl_private_key_filepath = option(argc, argv, "--key", NULL),
        .foreign_loops = loops,
        .alpn = "http/1.1",
        .pt_serv_buf_size = 16384,
    };
    floor_state.lws = lws_create_context(&info);
    if (!floor_state.lws)
        die("lws_create_context", 0);
    printf("port %d\n", lws_get_vhost_listen_port(lws_get_vhost_by_name(floor_state.lws, "default")));
    fflush(stdout);
    while (!floor_state.stopping && lws_service(floor_state.lws, 0) >= 0)
        ;
    printf("{\"cpu_s\": %.6f, \"events\": %llu, \"batches\": %llu, \"commits\": %llu}\n",
           cpu_seconds() - floor_state.cpu_at_first_batch, (unsigned long long)floor_state.events,
           (unsigned long long)floor_state.batches, (unsigned long long)floor_state.commits);
    return 0;
}
