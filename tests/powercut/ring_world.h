/* A device on torn storage, a gateway, and the model that judges what arrives. */
#ifndef TESTS_RING_WORLD_H
#define TESTS_RING_WORLD_H

#include "support/fake_device.h"
#include "support/torn_storage.h"

#define NUMBERS_MAX 12288
#define STEPS 40

enum promise { NOT_RECORDED, RECORDED, DURABLE };

struct geometry {
    uint32_t sector_bytes, sector_count, unit;
    bool overflow; /* the gateway is away so long that the routine lane drops */
};

struct world {
    struct fake_device device;
    struct fake_gateway gateway;
    struct torn_power power;
    struct geometry geometry;
    bool strict; /* no new stream, each session's event in its context, and nothing declared as damaged */
    uint32_t next_number;  /* of the next event to record */
    bool refused;          /* the newest favourite, as the vital lane is full */
    uint32_t fill_bytes;   /* of text in each event */
    uint64_t recovered_at; /* tick */
    struct trib_session session;
    uint32_t session_pending; /* its events that were not yet reported durable */
    uint32_t
        session_doubt; /* those of them whose power went: they may be there, or not, or declared damaged */
    size_t old_events; /* that the gateway took before the present step */
    uint8_t promised[NUMBERS_MAX];
};

void world_init(struct world *w, struct torn_storage lanes[2], struct geometry geometry,
                enum torn_shape shape, enum torn_mutant mutant, uint64_t seed);
void world_free(struct world *w, struct torn_storage lanes[2]);
/* Each returns what a device sees: an error once the power is gone. */
int world_record(struct world *w);
int world_flush(struct world *w);
int world_step(struct world *w, unsigned number);
int world_boot(struct world *w);
/* A boot, and something new recorded; every other time the gateway takes all there is in between. */
int world_recover(struct world *w);
/* The gateway takes all there is, and the model judges. */
void world_deliver(struct world *w);
void world_power_on(struct world *w);
/* Of the model, and of what is left of the device, without power. Not of storage, and not of old_events. */
struct torn_hash world_hash(const struct world *w);

#endif
