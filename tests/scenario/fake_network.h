/*
 * A network in memory: byte pipes between the SDK's net port and the gateway's side of a websocket (RFC 6455), in
 * pieces of random size, cut at random. No TLS: what runs over it is the protocol. Deterministic by its seed.
 */
#ifndef TESTS_SCENARIO_FAKE_NETWORK_H
#define TESTS_SCENARIO_FAKE_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tributary/port.h"

#define FAKE_PIPE_BYTES 262144

struct fake_random {
    uint64_t state;
};
uint64_t fake_next(struct fake_random *random);
/* True once in `in` times. */
bool fake_chance(struct fake_random *random, unsigned in);

struct fake_pipe {
    uint8_t bytes[FAKE_PIPE_BYTES];
    size_t begin, end;
};

/* One device's connection, seen from both ends. */
struct fake_link {
    struct fake_random *random;
    struct fake_pipe up, down;
    bool reachable; /* the device could connect now */
    bool connected;
    bool upgraded;
    uint64_t generation; /* counts connections, so that the gateway sees a new one */
};

/* The SDK's end. */
struct trib_net fake_link_net(struct fake_link *link);
/* Cuts the connection: what is in the pipes is gone. */
void fake_link_cut(struct fake_link *link);

/*
 * The gateway's end. Answers the upgrade, then returns whole binary messages: 1 with *out_message (valid until the
 * next call), 2 a pong, 0 nothing whole yet, -1 a client that breaks RFC 6455 (the test fails on it).
 */
int fake_link_receive(struct fake_link *link, const uint8_t **out_message, size_t *out_len);
void fake_link_ping(struct fake_link *link);
void fake_link_send(struct fake_link *link, const uint8_t *message, size_t len);

#endif
