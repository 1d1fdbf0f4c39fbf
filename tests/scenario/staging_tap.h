/* What the SDK has staged: read while it holds its lock, so that a test knows each event that a record call took. */
#ifndef TESTS_SCENARIO_STAGING_TAP_H
#define TESTS_SCENARIO_STAGING_TAP_H

#include <stddef.h>
#include <stdint.h>

struct trib_client;

struct staged_event {
    uint64_t mono_ms;
    uint32_t boot, ord;
    unsigned type, lane;
    const uint8_t *fields; /* valid during the call */
    size_t fields_len;
};

/* Calls take for each event staged after *in_out_ord, and moves that on. */
void staging_tap(const struct trib_client *client, uint32_t *in_out_ord,
                 void (*take)(void *context, const struct staged_event *event), void *context);

#endif
