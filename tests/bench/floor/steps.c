/* What each thing that the floor does costs, and what they cost measured one by one. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "floor.h"

#define MEASURED_S 0.3
#define RECEIVE_LINKS 8 /* as many as tests/bench/durable_ingest.py has devices */
#define MEASURED_TIMES 3

static SHA256_CTX inner, outer;
static uint8_t swallowed;

void floor_die(const char *what, int code)
{
    fprintf(stderr, "ingest-floor: %s: %d\n", what, code);
    exit(1);
}

double floor_cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* --- TLS and frames --- */

bool floor_read(struct floor_link *link)
{
    do {
        if (link->have == FLOOR_INPUT_BYTES)
            floor_die("message too large", 0);
        int n = SSL_read(link->ssl, link->input + link->have, (int)(FLOOR_INPUT_BYTES - link->have));
        if (n <= 0)
            return SSL_get_error(link->ssl, n) == SSL_ERROR_WANT_READ;
        link->have += (size_t)n;
    } while (SSL_pending(link->ssl) > 0);
    return true;
}

static void unmask(uint8_t *data, size_t len, const uint8_t mask[4])
{
    uint64_t wide;
    memcpy(&wide, mask, 4);
    memcpy((uint8_t *)&wide + 4, mask, 4);
    size_t i = 0;
    for (; i + sizeof wide <= len; i += sizeof wide) {
        uint64_t word;
        memcpy(&word, data + i, sizeof word);
        word ^= wide;
        memcpy(data + i, &word, sizeof word);
    }
    for (; i < len; i++)
        data[i] ^= mask[i & 3];
}

size_t floor_frame(struct floor_link *link, size_t from, uint8_t **out_message, size_t *out_used)
{
    uint8_t *p = link->input + from;
    size_t have = link->have - from, head = 6;
    if (have < 2)
        return 0;
    uint64_t len = p[1] & 0x7f;
    unsigned more = len == 126 ? 2 : len == 127 ? 8 : 0;
    head += more;
    if (have < head)
        return 0;
    if (more)
        len = 0;
    for (unsigned i = 0; i < more; i++)
        len = len << 8 | p[2 + i];
    if (have - head < len)
        return 0;
    unmask(p + head, len, p + head - 4);
    *out_message = p + head;
    *out_used = head + len;
    return (p[0] & 0x0f) == 2 ? len : 0;
}

void floor_write(struct floor_link *link, const uint8_t *message, size_t len)
{
    uint8_t frame[2048];
    size_t head = len < 126 ? 2 : 4;
    frame[0] = 0x82;
    frame[1] = (uint8_t)(len < 126 ? len : 126);
    if (head == 4) {
        frame[2] = (uint8_t)(len >> 8);
        frame[3] = (uint8_t)len;
    }
    memcpy(frame + head, message, len);
    if (SSL_write(link->ssl, frame, (int)(head + len)) <= 0)
        link->websocket = false;
}

void floor_ack(struct floor_link *link)
{
    uint8_t out[1024];
    size_t len;
    struct trib_wire_ack ack = {.credit = {1ull << 50, 1ull << 50}};
    for (int lane = 0; lane < TRIB_LANE_COUNT; lane++)
        if (link->acked[lane].stream)
            ack.acked[ack.acked_count++] = link->acked[lane];
    link->ack_due = false;
    if (trib_wire_ack_encode(&ack, out, sizeof out, &len))
        floor_die("ack", 0);
    floor_write(link, out, len);
}

/* --- walk and HMAC --- */

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
void floor_hmac_init(void)
{
    uint8_t pad[64];
    memset(pad, 0x36 ^ 0x5a, sizeof pad);
    SHA256_Init(&inner);
    SHA256_Update(&inner, pad, sizeof pad);
    memset(pad, 0x5c ^ 0x5a, sizeof pad);
    SHA256_Init(&outer);
    SHA256_Update(&outer, pad, sizeof pad);
}

static void hmac(const void *data, size_t len)
{
    uint8_t digest[32];
    SHA256_CTX context = inner;
    SHA256_Update(&context, data, len);
    SHA256_Final(digest, &context);
    context = outer;
    SHA256_Update(&context, digest, sizeof digest);
    SHA256_Final(digest, &context);
    swallowed ^= digest[0];
}
#pragma GCC diagnostic pop

static void walk_fields(const uint8_t *fields, size_t len, bool with_hmac)
{
    struct trib_cbor_reader r;
    trib_cbor_reader_init(&r, fields, len);
    struct trib_cbor_container map = trib_cbor_get_map(&r);
    while (trib_cbor_next(&r, &map)) {
        if (trib_cbor_get_uint(&r) != TRIB_FIELD_USER) {
            trib_cbor_skip(&r);
            continue;
        }
        size_t n;
        const char *user = trib_cbor_get_text(&r, &n);
        if (user && with_hmac)
            hmac(user, n);
    }
}

void floor_walk(const uint8_t *message, size_t len, bool with_hmac, struct floor_walked *out)
{
    struct trib_wire_batch_reader reader;
    struct trib_wire_batch_item item;
    int more;
    if (trib_wire_batch_read(&reader, message, len))
        floor_die("batch", 0);
    out->events = 0;
    while ((more = trib_wire_batch_next(&reader, &item)) == 1) {
        if (item.kind < TRIB_ITEM_FIRST_EVENT)
            continue;
        out->events++;
        walk_fields(item.fields, item.fields_len, with_hmac);
    }
    if (more < 0)
        floor_die("batch item", more);
    for (int lane = 0; lane < TRIB_LANE_COUNT; lane++)
        out->last[lane] =
            (struct trib_wire_position){reader.head.lanes[lane].stream, reader.next_seq[lane] - 1};
}

/* --- store --- */

void floor_store_open(struct floor_store *store, const char *folder)
{
    int rc;
    MDB_txn *txn;
    mkdir(folder, 0700);
    if ((rc = mdb_env_create(&store->env)) || (rc = mdb_env_set_mapsize(store->env, 8ull << 30)) ||
        (rc = mdb_env_open(store->env, folder, 0, 0600)) || (rc = mdb_txn_begin(store->env, NULL, 0, &txn)) ||
        (rc = mdb_dbi_open(txn, NULL, 0, &store->dbi)) || (rc = mdb_txn_commit(txn)))
        floor_die("lmdb", rc);
}

void floor_store_put(struct floor_store *store, const uint8_t *data, size_t len)
{
    int rc;
    if (!store->txn && (rc = mdb_txn_begin(store->env, NULL, 0, &store->txn)))
        floor_die("mdb_txn_begin", rc);
    uint8_t key[8];
    for (int i = 0; i < 8; i++)
        key[i] = (uint8_t)(store->next_key >> (56 - 8 * i));
    store->next_key++;
    MDB_val k = {sizeof key, key}, v = {len, (void *)(uintptr_t)data};
    if ((rc = mdb_put(store->txn, store->dbi, &k, &v, MDB_APPEND)))
        floor_die("mdb_put", rc);
}

void floor_store_commit(struct floor_store *store)
{
    int rc = mdb_txn_commit(store->txn);
    if (rc)
        floor_die("mdb_txn_commit", rc);
    store->txn = NULL;
}

/* --- each on its own --- */

/* What is done with a message once it is received. */
enum { STEP_WALK = 1, STEP_HMAC = 2, STEP_STORE = 4 };

struct replay {
    const struct floor_sample *samples;
    size_t count, per_commit, window; /* window: batches a link has under way */
    double events_a_batch;
    SSL_CTX *tls;
    unsigned steps;
    struct floor_store store;
    uint64_t puts;
};

static void take_message(struct replay *replay, const uint8_t *message, size_t len)
{
    struct floor_walked walked;
    if (replay->steps & STEP_WALK)
        floor_walk(message, len, (replay->steps & STEP_HMAC) != 0, &walked);
    if (!(replay->steps & STEP_STORE))
        return;
    floor_store_put(&replay->store, message, len);
    if (++replay->puts % replay->per_commit == 0)
        floor_store_commit(&replay->store);
}

/* The frame's head, with a mask of 0. Its length. */
static size_t frame_head(uint8_t *frame, size_t len)
{
    size_t head = len < 126 ? 6 : len < 65536 ? 8 : 14;
    frame[0] = 0x82;
    frame[1] = (uint8_t)(0x80 | (head == 6 ? len : head == 8 ? 126 : 127));
    for (size_t i = 0; i < head - 6; i++)
        frame[2 + i] = (uint8_t)((uint64_t)len >> 8 * (head - 7 - i));
    memset(frame + head - 4, 0, 4);
    return head;
}

/* A peer in a process of its own: sends the samples as masked frames over all links in turn, and reads an ack on each after
 * `window` of them. */
static void play_client(const int *fds, const struct floor_sample *samples, size_t count, uint64_t rounds,
                        size_t window)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
    SSL *links[RECEIVE_LINKS];
    uint8_t *frame = calloc(1, FLOOR_INPUT_BYTES), ack[1024];
    for (size_t l = 0; l < RECEIVE_LINKS; l++) {
        links[l] = SSL_new(tls);
        SSL_set_fd(links[l], fds[l]);
        if (SSL_connect(links[l]) != 1)
            _exit(1);
    }
    uint64_t sent = 0;
    for (uint64_t round = 0; round < rounds; round++) {
        for (size_t i = 0; i < window * RECEIVE_LINKS; i++, sent++) {
            const struct floor_sample *sample = &samples[sent % count];
            size_t head = frame_head(frame, sample->len);
            memcpy(frame + head, sample->message,
                   sample->len); /* mask 0: what it costs to undo it is the same */
            if (SSL_write(links[i % RECEIVE_LINKS], frame, (int)(head + sample->len)) <= 0)
                _exit(1);
        }
        for (size_t l = 0; l < RECEIVE_LINKS; l++)
            if (SSL_read(links[l], ack, sizeof ack) <= 0)
                _exit(1);
    }
    _exit(0);
}

/* TCP connections to ourselves: the server's ends, and the client's. */
static void connect_pairs(int out_server[RECEIVE_LINKS], int out_client[RECEIVE_LINKS])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&address, len) != 0 || listen(listener, RECEIVE_LINKS) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &len) != 0)
        floor_die("loopback", 0);
    for (size_t l = 0; l < RECEIVE_LINKS; l++) {
        out_client[l] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(out_client[l], (struct sockaddr *)&address, len) != 0 ||
            (out_server[l] = accept(listener, NULL, NULL)) < 0)
            floor_die("loopback", 0);
        setsockopt(out_server[l], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        setsockopt(out_client[l], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    close(listener);
}

struct receiver {
    struct floor_link link;
    size_t got; /* since its last ack */
};

/* What is there on one link: batches taken. */
static uint64_t receive_some(struct receiver *r, struct replay *replay)
{
    struct floor_link *link = &r->link;
    uint64_t taken = 0;
    uint8_t *message;
    size_t at = 0, used;
    if (!floor_read(link))
        floor_die("the peer of the steps is gone", 0);
    for (size_t len; (len = floor_frame(link, at, &message, &used)) > 0; at += used, taken++) {
        take_message(replay, message, len);
        if (++r->got == replay->window) {
            floor_ack(link);
            r->got = 0;
        }
    }
    if (link->have > at)
        memmove(link->input, link->input + at, link->have - at);
    link->have -= at;
    return taken;
}

/*
 * Receives and acks over as many links as the load has, and does `steps` with each message: ns an event. What a step costs
 * is what it adds, so that it meets the caches as the server does: with the message, and all else, just come in.
 */
static double measure(struct replay *replay, unsigned steps)
{
    replay->steps = steps;
    int servers[RECEIVE_LINKS], clients[RECEIVE_LINKS], loop = epoll_create1(EPOLL_CLOEXEC);
    struct receiver receivers[RECEIVE_LINKS] = {0};
    connect_pairs(servers, clients);
    uint64_t rounds =
        1 + (uint64_t)(MEASURED_S / 1e-6 / replay->events_a_batch) / (replay->window * RECEIVE_LINKS);
    uint64_t batches = rounds * replay->window * RECEIVE_LINKS, got = 0;
    pid_t child = fork();
    if (child == 0)
        play_client(clients, replay->samples, replay->count, rounds, replay->window);
    for (size_t l = 0; l < RECEIVE_LINKS; l++) {
        struct floor_link *link = &receivers[l].link;
        *link = (struct floor_link){
            .ssl = SSL_new(replay->tls), .input = malloc(FLOOR_INPUT_BYTES), .websocket = true};
        SSL_set_fd(link->ssl, servers[l]);
        if (SSL_accept(link->ssl) != 1)
            floor_die("SSL_accept", 0);
        fcntl(servers[l], F_SETFL, O_NONBLOCK);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &receivers[l]};
        epoll_ctl(loop, EPOLL_CTL_ADD, servers[l], &event);
    }
    double begin = floor_cpu_seconds();
    while (got < batches) {
        struct epoll_event events[64];
        int ready = epoll_wait(loop, events, 64, -1);
        for (int i = 0; i < ready; i++)
            got += receive_some(events[i].data.ptr, replay);
    }
    if (replay->store.txn)
        floor_store_commit(&replay->store);
    double spent = floor_cpu_seconds() - begin;
    waitpid(child, NULL, 0);
    for (size_t l = 0; l < RECEIVE_LINKS; l++) {
        SSL_free(receivers[l].link.ssl);
        free(receivers[l].link.input);
        close(servers[l]);
        close(clients[l]);
    }
    close(loop);
    return spent / ((double)got * replay->events_a_batch) * 1e9;
}

static int by_cost(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void floor_measure_steps(SSL_CTX *tls, const struct floor_sample *samples, size_t count,
                         size_t batches_per_commit, size_t batches_per_ack, const char *folder)
{
    static const unsigned wanted[] = {0, STEP_WALK, STEP_WALK | STEP_HMAC, STEP_STORE};
    struct floor_walked walked;
    double events = 0, cost[4][MEASURED_TIMES];
    if (count == 0)
        return;
    for (size_t i = 0; i < count; i++) {
        floor_walk(samples[i].message, samples[i].len, false, &walked);
        events += (double)walked.events;
    }
    struct replay replay = {.samples = samples,
                            .count = count,
                            .per_commit = batches_per_commit,
                            .window = batches_per_ack,
                            .events_a_batch = events / (double)count,
                            .tls = tls};
    char path[4096];
    snprintf(path, sizeof path, "%s-steps", folder);
    floor_store_open(&replay.store, path);
    for (size_t time = 0; time < MEASURED_TIMES; time++)
        for (size_t i = 0; i < 4; i++)
            cost[i][time] = measure(&replay, wanted[i]);
    mdb_env_close(replay.store.env);
    for (size_t i = 0; i < 4; i++)
        qsort(cost[i], MEASURED_TIMES, sizeof cost[i][0], by_cost);
    double receive = cost[0][MEASURED_TIMES / 2], walk = cost[1][MEASURED_TIMES / 2] - receive;
    double hmac_ns = cost[2][MEASURED_TIMES / 2] - receive - walk,
           store = cost[3][MEASURED_TIMES / 2] - receive;
    printf("{\"receive_ns\": %.1f, \"walk_ns\": %.1f, \"hmac_ns\": %.1f, \"store_ns\": %.1f, \"sum_ns\": "
           "%.1f}\n",
           receive, walk, hmac_ns, store, receive + walk + hmac_ns + store);
}
