/*
 * The gateway's deciding parts in one process, under the test's clock: real sessions, admission and journal, over
 * fake links. It can be restarted at any moment: connections and uncommitted batches are lost, the journal stays.
 */
#ifndef TESTS_SCENARIO_FAKE_GATEWAY_H
#define TESTS_SCENARIO_FAKE_GATEWAY_H

#include "journal/journal.h"
#include "scenario/fake_network.h"
#include "session/session.h"

#define FAKE_DEVICES_MAX 16

struct fake_connection {
    struct fake_gateway *gateway;
    struct fake_link *link;
    struct gw_session session;
    uint64_t id; /* 0: none */
    uint64_t generation;
    bool closing;
    char device[TRIB_WIRE_DEVICE_BYTES_MAX + 1];
};

struct fake_gateway {
    struct fake_random *random;
    uint64_t now_ms, utc_ms;
    const char *folder;
    struct gw_journal *journal;
    struct gw_registry *registry;
    struct gw_pseudonym_key *pseudonym;
    struct gw_seal_key *seal;
    struct gw_admit_policy policy;
    struct gw_session_rules rules;
    struct fake_connection connections[FAKE_DEVICES_MAX];
    size_t connection_count;
    struct gw_session_batch *queue_head, **queue_tail;
    uint64_t next_id;
    uint64_t restarts, commits, swallowed;
    /* Optional: sees each message of a session. up: from the device. */
    void (*tap)(void *context, bool up, const uint8_t *message, size_t len);
    void *tap_context;
    /* Makes every message, both ways, what a later version might send: a key, an element and a message type more. */
    bool newer;
    bool swallows; /* loses a BATCH now and then, so that the next one leaves a hole */
    bool stalls;   /* commits nothing: the disk hangs */
};

void fake_gateway_start(struct fake_gateway *gateway, const char *folder, struct fake_random *random);
/* The device behind a link; its credentials say `device`. */
void fake_gateway_attach(struct fake_gateway *gateway, struct fake_link *link, const char *device);
/* A whole message from the device of a connection, past its link. */
void fake_gateway_receive(struct fake_connection *connection, const uint8_t *message, size_t len);
/* One step: reads what has come, ticks, and sometimes commits what is queued. */
void fake_gateway_step(struct fake_gateway *gateway);
void fake_gateway_restart(struct fake_gateway *gateway);
void fake_gateway_stop(struct fake_gateway *gateway);

#endif
