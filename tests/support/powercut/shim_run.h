/* Running a program under the shim. */
#ifndef TESTS_POWERCUT_SHIM_RUN_H
#define TESTS_POWERCUT_SHIM_RUN_H

#include <limits.h>

/* Where a run keeps what: FOLDER/data is what the program works in, and the disk that is traced. */
struct pc_run {
    char data[PATH_MAX], marks[PATH_MAX], trace[PATH_MAX], position[PATH_MAX], disk[PATH_MAX];
};
/* 0, or -1 if a path is too long. */
int pc_run_paths(const char *folder, struct pc_run *out);

/*
 * Runs arguments[0] with the shim before the C library, tracing run->data into run->trace, and waits for it. Its exit status; -1 if it could
 * not be run or was killed. A second run goes on with the same trace.
 */
int pc_run_traced(const struct pc_run *run, const char *shim, const char *const *arguments);

#endif
