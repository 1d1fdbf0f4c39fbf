/*
 * gateway-cut-check TRACE OBLIGATIONS LOAD_PROGRAM SCRATCH --cuts N --seed S [--failures N]
 *
 * Cuts the power at N places of a gateway's trace. Each disk is brought to its end as the gateway would, then
 * `tributary-load check` holds every ack that came before the cut against the stream: there, once, in order.
 * Prints one JSON object; exit status 0 if all was well.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway_cut_finish.h"
#include "observe/log.h"
#include "powercut/rebuild.h"

#define CUT_SECONDS 120u

struct options {
    const char *trace, *obligations, *load_program, *scratch;
    uint64_t cuts, seed, failures_max;
};

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static int compare_positions(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void remove_tree(const char *path)
{
    char command[2 * PATH_MAX];
    snprintf(command, sizeof command, "rm -rf '%s'", path);
    if (system(command) != 0)
        exit(2);
}

/* In a child: what it maps may be damaged if the gateway is wrong. Ends as the check of the obligations. */
static void judge(const struct options *o, uint64_t position, const char *disk, const char *stream_json)
{
    alarm(CUT_SECONDS);
    if (finish_folder(disk, stream_json) != 0)
        _exit(1);
    char at[32];
    snprintf(at, sizeof at, "%llu", (unsigned long long)position);
    int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    dup2(null_fd, STDOUT_FILENO);
    execl(o->load_program, o->load_program, "check", "--obligations", o->obligations, "--stream-json",
          stream_json, "--at", at, (char *)NULL);
    _exit(127);
}

static bool survives(const struct options *o, uint64_t position, const char *disk, const char *stream_json)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        judge(o, position, disk, stream_json);
    int status;
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        exit(2);
    if (WIFSIGNALED(status))
        fprintf(stderr, "it died of signal %d\n", WTERMSIG(status));
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static uint64_t try_cuts(const struct options *o)
{
    char disk[PATH_MAX], stream_json[PATH_MAX];
    snprintf(disk, sizeof disk, "%s/disk", o->scratch);
    snprintf(stream_json, sizeof stream_json, "%s/stream.json", o->scratch);
    struct pc_rebuild *rebuild;
    uint64_t *positions = malloc((o->cuts + 1) * sizeof *positions);
    if (!positions || pc_rebuild_open(o->trace, NULL, &rebuild) != 0)
        exit(2);
    uint64_t last = pc_rebuild_last(rebuild), random = o->seed, failures = 0, done = 0;
    struct pc_cut sum = {0};
    for (uint64_t i = 0; i < o->cuts && last > 0; i++)
        positions[i] = 1 + next_random(&random) % last;
    qsort(positions, o->cuts, sizeof *positions, compare_positions);
    remove_tree(disk);
    for (uint64_t i = 0; i < o->cuts && last > 0 && failures < o->failures_max; i++) {
        struct pc_cut cut;
        uint64_t seed = next_random(&random);
        if (pc_rebuild_seek(rebuild, positions[i]) != 0 || pc_rebuild_write(rebuild, seed, disk, &cut) != 0)
            exit(2);
        sum.names_pending += cut.names_pending;
        sum.writes_pending += cut.writes_pending;
        sum.writes_kept += cut.writes_kept;
        sum.writes_torn += cut.writes_torn;
        done++;
        if (!survives(o, positions[i], disk, stream_json)) {
            failures++;
            fprintf(stderr, "cut at %llu of %llu, disk seed %llu\n", (unsigned long long)positions[i],
                    (unsigned long long)last, (unsigned long long)seed);
        }
        remove_tree(disk);
    }
    if (pc_rebuild_strangers(rebuild) != 0) {
        fprintf(stderr, "%llu names were seen that nobody was seen making\n",
                (unsigned long long)pc_rebuild_strangers(rebuild));
        failures++;
    }
    printf("{\"cuts\":%llu,\"operations\":%llu,\"failures\":%llu,\"seed\":%llu,\"names_pending\":%llu,"
           "\"writes_pending\":%llu,\"writes_kept\":%llu,\"writes_torn\":%llu}\n",
           (unsigned long long)done, (unsigned long long)last, (unsigned long long)failures,
           (unsigned long long)o->seed, (unsigned long long)sum.names_pending,
           (unsigned long long)sum.writes_pending, (unsigned long long)sum.writes_kept,
           (unsigned long long)sum.writes_torn);
    pc_rebuild_close(rebuild);
    free(positions);
    return failures + (done == 0);
}

int main(int argc, char **argv)
{
    struct options o = {.cuts = 100, .seed = 1, .failures_max = 5};
    if (argc < 5) {
        fputs(
            "gateway-cut-check TRACE OBLIGATIONS LOAD_PROGRAM SCRATCH [--cuts N] [--seed S] [--failures N]\n",
            stderr);
        return 2;
    }
    o.trace = argv[1];
    o.obligations = argv[2];
    o.load_program = argv[3];
    o.scratch = argv[4];
    for (int i = 5; i + 1 < argc; i += 2) {
        uint64_t value = strtoull(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--cuts") == 0)
            o.cuts = value;
        else if (strcmp(argv[i], "--seed") == 0)
            o.seed = value;
        else if (strcmp(argv[i], "--failures") == 0)
            o.failures_max = value;
    }
    gw_log_set_level((enum gw_log_level)(GW_LOG_ERROR + 1));
    return try_cuts(&o) != 0;
}
