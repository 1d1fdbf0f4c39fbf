/*
 * Checks a port against tributary/port.h: one function, which needs no operating system, no allocation and of the C
 * library only <string.h>. It runs on the target itself; lines of text go out through a callback.
 *
 *   static uint8_t scratch[TRIB_CONFORMANCE_SCRATCH];
 *   struct trib_conformance c = {.print = uart_line, .scratch = scratch};
 *   struct trib_conformance_ports ports = {.storage = &storage, .clock = &clock, .entropy = &entropy};
 *   return trib_conformance_run(&c, &ports) == 0;
 *
 * A port that is NULL is left out, and so are the rules of hooks that are NULL: the last line counts them. The storage
 * is overwritten. Not for two threads at once. Takes as long as the medium: about 60 erases.
 */
#ifndef TRIB_CONFORMANCE_H
#define TRIB_CONFORMANCE_H

#include "tributary/port.h"
#include "wire/error.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TRIB_CONFORMANCE_SCRATCH 2048

/* The suite's own state; the caller's. */
struct trib_conformance {
    void *context;
    /* One line without its end: `ok RULE`, `FAIL RULE: why`, `skip RULE: why`, and the sum. Optional. */
    void (*print)(void *context, const char *line);
    uint8_t *scratch; /* TRIB_CONFORMANCE_SCRATCH bytes */

    /* Results. */
    unsigned passed, failed, skipped;
    const char *first_failed; /* the rule's name; NULL: none */
};

/* What the suite cannot do through a port. Each hook is optional. */
struct trib_conformance_hooks {
    void *context;
    /* Closes the storage and opens it again, as after a restart: what was synced must be there. 0 or an error. */
    int (*reopen)(void *context);
    /* Opens the same medium a second time, as another process would. Returns what that open said, after closing it. */
    int (*open_again)(void *context);
    /* true: from now on the medium fails each call, as a part that is gone; false: it works again. */
    void (*break_medium)(void *context, bool broken);
    /* Runs function in two threads at once, and returns when both have ended. For the lock. */
    void (*run_twice)(void *context, void (*function)(void *argument), void *argument);
    /* Milliseconds by another clock than the port's, for the scale of the clock and for what must not block. */
    uint64_t (*reference_ms)(void *context);
};

/*
 * What to check. The net needs a peer that does as it is told: `tributary-conformance-peer PORT` on some host
 * (ports/conformance/peer.h says how it behaves), and it needs clock.
 */
struct trib_conformance_ports {
    const struct trib_storage *storage;
    const struct trib_net *net;
    const char *peer_host;
    uint16_t peer_port;
    uint16_t refused_port; /* nobody listens there; 0: leaves that rule out */
    const struct trib_clock *clock;
    const struct trib_discontinuity *discontinuity;
    const struct trib_entropy *entropy;
    const struct trib_digest *digest;
    const struct trib_lock *lock;
    const struct trib_wait *wait;
    struct trib_conformance_hooks hooks;
};

/* Returns how many rules failed. */
int trib_conformance_run(struct trib_conformance *c, const struct trib_conformance_ports *ports);

#ifdef __cplusplus
}
#endif
#endif
