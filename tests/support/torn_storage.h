/*
 * struct trib_storage in memory whose power goes in the midst of a call, and which then looks as real parts do: torn
 * programs and erases of many shapes, bits that read differently each time, a file whose unsynced writes are lost in
 * any order. Levels of copy-on-write snapshots: a sector is copied when it is first changed above a level.
 */
#ifndef TESTS_TORN_STORAGE_H
#define TESTS_TORN_STORAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tributary/port.h"

#define TORN_LEVELS 8
#define TORN_OPS_MAX 2048
#define TORN_PROGRAM_MAX 256 /* bytes in one call */

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

/* 128 bits, so that two states that differ are not taken for one. */
struct torn_hash {
    uint64_t half[2];
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
    bool defer;        /* a cut only takes the power; torn_tear says later how far the call came */
    uint64_t call_end; /* tick behind the call that was cut: the same run serves all cuts before it */
};

struct torn_op {
    uint32_t address, length;
    bool erase;
    uint32_t data; /* offset in the lane's arena */
};

enum torn_call { TORN_NO_CALL, TORN_PROGRAM, TORN_ERASE, TORN_SYNC };

/* The call that the power left. */
struct torn_cut {
    enum torn_call call;
    uint32_t address, length;
    uint8_t data[TORN_PROGRAM_MAX];
};

/* What is in flight, beside the cells. */
struct torn_flight {
    uint32_t op_from, op_count, arena_used; /* since the last sync */
    struct torn_cut cut;
    uint32_t late_address, late_length; /* for the mutants; length 0: none */
    uint8_t late[TORN_PROGRAM_MAX];
};

struct torn_storage {
    struct torn_power *power;
    struct torn_storage *other; /* loses its unsynced writes at the same moment */
    enum torn_shape shape;
    enum torn_mutant mutant;
    uint32_t sector_bytes, sector_count, unit;
    uint32_t stride;          /* bytes of a sector's cells */
    uint8_t *cells;           /* per sector: bytes, synced bytes, unstable bits, state of units */
    struct torn_hash *hashes; /* of sectors; what is known of them is in `hashed` */
    bool *hashed;
    uint8_t *saved[TORN_LEVELS];
    bool *dirty[TORN_LEVELS];
    unsigned level;
    struct torn_flight flight, saved_flight[TORN_LEVELS];
    struct torn_op ops[TORN_OPS_MAX];
    uint8_t *arena;
    uint32_t erases;
};

uint64_t torn_random(struct torn_power *power);
/* Allocates; torn_free frees. power and other are the caller's. */
void torn_init(struct torn_storage *t, struct torn_power *power, uint32_t sector_bytes, uint32_t sector_count,
               uint32_t unit);
void torn_free(struct torn_storage *t);
struct trib_storage torn_port(struct torn_storage *t);
/* Ends a deferred cut: `tick` is when the power went. Only the lane whose call was cut does anything, for both. */
void torn_tear(struct torn_storage *t, uint64_t tick);
/* Whether any bit may read differently next time: else a run from here has one outcome. */
bool torn_loose(const struct torn_storage *t);
/* Takes length bytes in; begin with zeros. */
void torn_hash_add(struct torn_hash *hash, const void *data, size_t length);
/* Takes in the cells. Not what is unsynced, in flight or loose: nothing of that may be there. */
void torn_hash_cells(struct torn_storage *t, struct torn_hash *hash);
/* Opens a level above the present state. */
void torn_push(struct torn_storage *t);
/* Back to the state at the last push; the level stays open. */
void torn_restore(struct torn_storage *t);
/* The same, and closes the level. */
void torn_pop(struct torn_storage *t);

#endif
