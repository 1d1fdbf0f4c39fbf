/*
 * A recorded session: what a device said, what the gateway answered, and what was stored. One item a line:
 *   device HEX    a message from the device; a HELLO begins a new connection
 *   gateway HEX   a message to the device, as it was answered then
 *   stored JSON   an event as delivery renders it
 * Lines that begin with # say where the recording comes from. A recording is never changed: what a device said then,
 * devices will say for years.
 */
#ifndef TESTS_SCENARIO_GOLDEN_SESSION_H
#define TESTS_SCENARIO_GOLDEN_SESSION_H

#include "scenario/fake_gateway.h"

#define GOLDEN_DEVICE "golden-tv"
#define GOLDEN_UTC_MS 1790000000000u
#define GOLDEN_LINE_BYTES 65536

/* A folder for a journal, in memory where that can be had; and its end. */
const char *golden_folder_make(void);
void golden_folder_remove(void);
/* Calls `take` with each stored event as JSON, terminated. */
void golden_stored(struct fake_gateway *gateway, void (*take)(void *context, const char *json),
                   void *context);

/*
 * A television with small lanes is watched, loses its network until its routine lane runs over, loses power, and
 * catches up; at the end nothing waits. One at a time.
 */
void golden_play(struct fake_gateway *gateway);

#endif
