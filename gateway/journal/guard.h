/*
 * Reading a map may fault: the kernel answers a disk error under it, or a file that was cut short, with SIGBUS. What
 * reads a segment's map runs in here, so that such a segment is set aside and the process goes on.
 */
#ifndef GW_JOURNAL_GUARD_H
#define GW_JOURNAL_GUARD_H

#include <stdbool.h>

#include "base/error.h"

/* Takes SIGBUS over for the process; what is not from within gw_guard_run goes where it went before. Any thread. */
void gw_guard_install(void);

/*
 * Calls body(context) and returns true with its result in *out_result; false: it was left in the midst of a fault. Then
 * whatever it had begun is the caller's to end: it keeps what that takes in its context. Not for code that holds a
 * lock. Before gw_guard_install a fault ends the process as ever.
 */
GW_MUST_CHECK bool gw_guard_run(int (*body)(void *context), void *context, int *out_result);

#endif
