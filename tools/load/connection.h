/*
 * One websocket over TLS on a non-blocking socket: connect, TLS, upgrade, messages. All progress is made in
 * load_connection_drive, which the loop calls when epoll says that something can be done.
 */
#ifndef LOAD_CONNECTION_H
#define LOAD_CONNECTION_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "credentials.h"
#include "websocket/websocket.h"
#include "wire/message.h"

#define LOAD_RECEIVE_BYTES 8192

#define LOAD_ADDRESSES_MAX 8

/* Where all connections go; resolved once. A host may have several addresses: the next is tried when one fails. */
struct load_target {
    const struct load_options *options;
    const struct load_credentials *credentials;
    struct sockaddr_storage addresses[LOAD_ADDRESSES_MAX];
    socklen_t address_lens[LOAD_ADDRESSES_MAX];
    unsigned address_count, current;
};

enum load_phase { LOAD_CLOSED, LOAD_CONNECTING, LOAD_HANDSHAKE, LOAD_UPGRADE, LOAD_OPEN };

struct load_connection {
    enum load_phase phase;
    int fd;
    struct load_target *target;
    uint32_t source;  /* IPv4 address to connect from; 0: the system's choice */
    unsigned address; /* which of the target's */
    SSL *ssl;
    uint32_t watched; /* what epoll looks for now; 0: not registered. The loop's own. */
    bool want_write;  /* TLS wants to write before it goes on */
    uint8_t *pending; /* not yet taken by TLS */
    size_t pending_at, pending_len, pending_cap;
    uint8_t nonce[TRIB_WS_NONCE_BYTES];
    struct trib_ws_response response;
    struct trib_ws_decoder decoder;
    uint8_t receive[LOAD_RECEIVE_BYTES];
    uint32_t retry_after_s; /* told by a refused upgrade */
    const char *trouble;    /* why it closed; a constant text */
};

/* Takes each whole binary message. Returns a negative error to close. */
typedef int (*load_receiver)(void *context, const uint8_t *message, size_t len);

void load_connection_init(struct load_connection *c);
/* Starts to connect. 0, or -1 (trouble says why). */
int load_connection_start(struct load_connection *c, struct load_target *target, const char *device);
/* 0: going on; -1: closed, trouble says why. */
int load_connection_drive(struct load_connection *c, load_receiver receiver, void *context);
/*
 * Sends payload[0, len) as one frame; TRIB_WS_HEAD_BYTES_MAX bytes before it are the caller's to lose, as is the
 * payload (it is masked in place). 0 or -1.
 */
int load_connection_send(struct load_connection *c, enum trib_ws_opcode opcode, uint8_t *payload, size_t len);
/* What epoll should look for: EPOLLIN, EPOLLOUT. */
uint32_t load_connection_interest(const struct load_connection *c);
/* Nothing waits to be sent. */
bool load_connection_drained(const struct load_connection *c);
/* Bytes that went to the socket so far, TLS included. */
uint64_t load_connection_bytes(const struct load_connection *c);
/* Closes at once; polite: with a close frame and TLS's goodbye, as far as they go out without waiting. */
void load_connection_close(struct load_connection *c, bool polite);

#endif
