/*
 * The floor of durable ingest: the least a server must do for an acknowledged event, by the plainest C. One thread, epoll,
 * OpenSSL; frames unmasked in place; one walk and one HMAC-SHA-256 with precomputed key state an event; one LMDB put a
 * batch; one synced transaction for as many batches as tributaryd has shown. No validation, no session rules, no
 * re-encoding, no quarantine, no stream rows, no metrics: what a gateway adds to this is its own cost.
 */
#ifndef BENCH_FLOOR_H
#define BENCH_FLOOR_H

#include <lmdb.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/message.h"

#define FLOOR_INPUT_BYTES (1u << 20)
#define FLOOR_SAMPLES 256

struct floor_link {
    SSL *ssl;
    int fd;
    bool websocket;
    uint8_t *input;
    size_t have;
    struct trib_wire_position acked[TRIB_LANE_COUNT];
    bool ack_due;
};

struct floor_sample {
    uint8_t *message;
    size_t len;
};

struct floor_store {
    MDB_env *env;
    MDB_dbi dbi;
    MDB_txn *txn;
    uint64_t next_key;
};

struct floor_walked {
    struct trib_wire_position last[TRIB_LANE_COUNT];
    uint64_t events;
};

/* The steps, each on its own; the server (floor.c) does them one after the other. All end the program on an error. */
void floor_die(const char *what, int code);
double floor_cpu_seconds(void);
/* Reads what is there. False: the peer is gone. */
bool floor_read(struct floor_link *link);
/* The next whole message, unmasked in place; 0: there is none yet. *out_used: bytes of input it and its frame take. */
size_t floor_frame(struct floor_link *link, size_t from, uint8_t **out_message, size_t *out_used);
void floor_write(struct floor_link *link, const uint8_t *message, size_t len);
void floor_ack(struct floor_link *link);
/* One walk over all items and fields; with_hmac: and the HMAC of each user. */
void floor_walk(const uint8_t *message, size_t len, bool with_hmac, struct floor_walked *out);
void floor_hmac_init(void);
void floor_store_open(struct floor_store *store, const char *folder);
void floor_store_put(struct floor_store *store, const uint8_t *data, size_t len);
void floor_store_commit(struct floor_store *store);

/* Measures each step apart on the samples and prints one JSON object: ns an event. */
void floor_measure_steps(SSL_CTX *tls, const struct floor_sample *samples, size_t count,
                         size_t batches_per_commit, size_t batches_per_ack, const char *folder);

#endif
