/* A folder for a test to work in that goes with its process, however that ends: an exit in the middle or SIGKILL too. */
#ifndef TESTS_SCRATCH_H
#define TESTS_SCRATCH_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * Makes a folder below $TMPDIR, else in memory, else below /tmp; out_folder is its path. A shell of its own session removes it once
 * this process, and all it forked without exec, have ended: the end of a pipe tells it. The shell keeps the process's output
 * open until then, so that who reads that to its end finds the folder gone. False: it cannot be made.
 */
static inline bool scratch_make(const char *name, char *out_folder, size_t capacity)
{
    static FILE *guard; /* never closed: the kernel does it */
    const char *base = getenv("TMPDIR");
    if (!base)
        base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    int n = snprintf(out_folder, capacity, "%s/tributary-%s-XXXXXX", base, name);
    if (n < 0 || (size_t)n >= capacity || !mkdtemp(out_folder))
        return false;
    char command[4096 + 64];
    snprintf(command, sizeof command, "setsid -f sh -c 'cat; rm -rf \"$0\"' '%s'", out_folder);
    guard = popen(command, "we");
    return guard != NULL;
}

#endif
