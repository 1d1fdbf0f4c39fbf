#include "powercut/shim_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int pc_run_paths(const char *folder, struct pc_run *out)
{
    const struct {
        char *path;
        const char *name;
    } paths[] = {{out->data, "data"},
                 {out->marks, "marks"},
                 {out->trace, "trace"},
                 {out->position, "position"},
                 {out->disk, "disk"}};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        int n = snprintf(paths[i].path, PATH_MAX, "%s/%s", folder, paths[i].name);
        if (n < 0 || n >= PATH_MAX)
            return -1;
    }
    return 0;
}

int pc_run_traced(const struct pc_run *run, const char *shim, const char *const *arguments)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        setenv("POWERCUT_FOLDER", run->data, 1);
        setenv("POWERCUT_TRACE", run->trace, 1);
        setenv("POWERCUT_POSITION", run->position, 1);
        setenv("POWERCUT_DELAY_US", "0", 1);
        setenv("ASAN_OPTIONS", "verify_asan_link_order=0", 1);
        setenv("LD_PRELOAD", shim, 1);
        execv(arguments[0], (char *const *)arguments); /* execv does not write to them (POSIX) */
        _exit(127);
    }
    int status;
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status);
}
