/*
 * struct trib_storage in memory whose power goes in the midst of a call, and which then looks as real parts do: torn
 * programs and erases of many shapes, bits that read differently each time, a file whose unsynced writes are lost in
 * any order. Levels of copy-on-write snapshots: a sector is copied when it is first changed above a level.
 */
#ifndef TESTS_TORN_STORAGE_H
#define TESTS_TORN_STORAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "tributary/port.h"

#define TORN_LEVELS 4
#define TORN_OPS_MAX 512

enum torn_shape {
    TORN_PREFIX, /* all before the cut is there, nothing behind it */
    TORN_BITS,   /* of the piece under the cut, each bit by itself has or has not changed */
    TORN_PAGES,  /* pieces of the call in any order: each whole, untouched or half done */
    TORN_UNSTABLE, /* as TORN_BITS, and of an erase bits that did not change read as either, until they settle */
    TORN_DRIFTING, /* the same for programs: what is torn may read as damaged at one mount, and well later */
    TORN_UNSYNCED, /* a file: each disk sector holds what it held at some moment since the last sync */
    TORN_SHAPES
};

/* A rule broken on purpose: the test must notice. */
enum torn_mutant {
    TORN_SOUND,
    TORN_PROGRAM_LATE, /* a program is reported before it is done: it happens with the next one */
    TORN_HEADER_LATE,  /* a sector's header is programmed after its first record */
};

/* One supply for all lanes. A tick is a byte programmed or erased, or a sync. */
struct torn_power {
    uint64_t ticks, cut_at; /* UINT64_MAX: never */
    uint64_t random;
    uint64_t
        brinks; /* programs of a unit that an earlier cut had begun to program, and that still read blank */
    uint64_t twice; /* programs of a unit that was programmed */
    uint64_t early; /* programs in a sector whose erase was not synced */
    bool off;
};

struct torn_op {
    uint32_t address, length;
    bool erase;
    uint32_t data; /* offset in the lane's arena */
};

struct torn_storage {
    struct torn_power *power;
    struct torn_storage *other; /* loses its unsynced writes at the same moment */
    enum torn_shape shape;
    enum torn_mutant mutant;
    uint32_t sector_bytes, sector_count, unit;
    uint8_t *cells; /* per sector: bytes, synced bytes, unstable bits, state of units */
    uint8_t *saved[TORN_LEVELS];
    bool *dirty[TORN_LEVELS];
    unsigned level;
    struct torn_op ops[TORN_OPS_MAX]; /* since the last sync */
    uint32_t op_count, arena_used;
    uint8_t *arena;
    uint32_t late_address, late_length; /* for the mutants; length 0: none */
    uint8_t late[256];
    uint32_t erases;
};

uint64_t torn_random(struct torn_power *power);
/* Allocates; torn_free frees. power and other are the caller's. */
void torn_init(struct torn_storage *t, struct torn_power *power, uint32_t sector_bytes, uint32_t sector_count,
               uint32_t unit);
void torn_free(struct torn_storage *t);
struct trib_storage torn_port(struct torn_storage *t);
/* Opens a level above the present state; nothing may be unsynced. */
void torn_push(struct torn_storage *t);
/* Back to the state at the last push; the level stays open. */
void torn_restore(struct torn_storage *t);
/* The same, and closes the level. */
void torn_pop(struct torn_storage *t);

#endif
