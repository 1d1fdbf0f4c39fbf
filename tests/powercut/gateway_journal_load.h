/* What the journal's load program and its power-cut test share: batches that explain themselves, and obligations. */
#ifndef TESTS_POWERCUT_GATEWAY_JOURNAL_LOAD_H
#define TESTS_POWERCUT_GATEWAY_JOURNAL_LOAD_H

#include <stdint.h>

#define LOAD_STREAMS 24u
#define LOAD_ENTRY_BYTES_MAX 6000u

/* The head of an entry; bytes of value (uint8_t)last follow up to its length. */
struct load_entry {
    uint64_t stream, first, last;
};

/* A line of the obligations file: what was promised, or what a sink said, and the trace's position at that time. */
enum load_kind {
    LOAD_OPENED = 1,
    LOAD_ACKED = 2,
    LOAD_PASSED = 3,
    LOAD_FAULT = 4,  /* a call met what `stream` says (enum load_fault) … */
    LOAD_MENDED = 5, /* … and from here on all is well again */
};
enum load_fault { LOAD_FAULT_FULL = 1, LOAD_FAULT_EIO = 2 };

struct load_mark {
    uint64_t kind, position;
    uint64_t stream, last, crc; /* acked: the row is at `last`; opened: stream is the journal epoch */
    uint64_t offset;            /* acked: of its entry; passed: the sink has all below it */
};

#endif
