/*
 * gateway_schema_cut_test SHIM LOAD_PROGRAM [--seed S] [--mutant]: registers schemas under the power-cut shim, cuts the power at every
 * file operation, several disks each, and opens what would be left. What was acknowledged before the cut must be there with
 * its id, all that is there must be whole, and the registry must go on. LOAD_PROGRAM is this program, built on the gateway or on a
 * mutant of it; called with --load it is the load.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "powercut/rebuild.h"
#include "powercut/shim_run.h"
#include "schema/registry_disk.h"
#include "scratch.h"

#define SCHEMAS 12
#define SUBJECTS 3
#define DISKS 2 /* of each cut */
#define FAILURES_SHOWN 5

struct mark {
    uint64_t position; /* of the trace, when this many were acknowledged */
    uint64_t acknowledged;
};

struct disk {
    struct gw_schemas *schemas;
    struct gw_schema_disk *disk;
    struct gw_error error;
};

static void die(const char *what)
{
    fprintf(stderr, "gateway_schema_cut_test: %s: %s\n", what, strerror(errno));
    exit(2);
}

static int open_disk(struct disk *d, const char *folder)
{
    char store[PATH_MAX], files[PATH_MAX];
    struct gw_schema_disk_options options = {.store = store, .files = files, .now_ms = 1};
    snprintf(store, sizeof store, "%s/registry", folder);
    snprintf(files, sizeof files, "%s/schemas", folder);
    *d = (struct disk){.schemas = gw_schemas_new(NULL)};
    return d->schemas ? gw_schema_disk_open(&options, d->schemas, NULL, &d->disk, &d->error) : GW_ENOMEM;
}

/* The schemas in turn: of each subject, versions with one attribute more. */
static void schema_text(unsigned number, char subject[32], char text[1024])
{
    snprintf(subject, 32, "subject-%u", number % SUBJECTS);
    int n = snprintf(text, 1024, "{\"title\":\"%u\",\"properties\":{\"a\":{}", number % SUBJECTS);
    for (unsigned i = 0; i < number / SUBJECTS; i++)
        n += snprintf(text + n, 1024 - (size_t)n, ",\"more%u\":{\"type\":\"string\"}", i);
    snprintf(text + n, 1024 - (size_t)n, "}}");
}

static int enter(struct disk *d, unsigned number, const struct gw_schema_version **out)
{
    char subject[32], text[1024];
    schema_text(number, subject, text);
    const struct gw_schema_text candidate = {.subject = subject, .text = text, .len = strlen(text)};
    return gw_schemas_register(d->schemas, &candidate, 7, NULL, out, &d->error);
}

/* --- the load, under the shim --- */

static int load(const char *folder, const char *marks_path, const char *position_path)
{
    struct disk d;
    FILE *marks = fopen(marks_path, "ab");
    int fd = open(position_path, O_RDONLY);
    const uint64_t *position =
        fd >= 0 ? mmap(NULL, sizeof *position, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
    if (!marks || position == MAP_FAILED || open_disk(&d, folder) != 0)
        die("the load cannot begin");
    for (unsigned i = 0; i < SCHEMAS; i++) {
        const struct gw_schema_version *version;
        if (enter(&d, i, &version) != 0)
            die(d.error.text);
        const struct mark mark = {.position = __atomic_load_n(position, __ATOMIC_SEQ_CST),
                                  .acknowledged = i + 1};
        if (fwrite(&mark, sizeof mark, 1, marks) != 1 || fflush(marks) != 0)
            die("marks");
    }
    _exit(0);
}

/* --- the judge, in a child --- */

static const char *judge(const char *folder, uint64_t acknowledged)
{
    static struct disk d;
    static char fault[700];
    if (open_disk(&d, folder) != 0) {
        snprintf(fault, sizeof fault, "open: %s", d.error.text);
        return fault;
    }
    const uint32_t there = gw_schemas_count(d.schemas);
    if (there < acknowledged) {
        snprintf(fault, sizeof fault, "%llu were acknowledged, %u are there",
                 (unsigned long long)acknowledged, there);
        return fault;
    }
    for (unsigned again = 0; again < 2; again++) {
        for (unsigned i = 0; i < SCHEMAS; i++) { /* those that are there keep their ids, the others go on */
            const struct gw_schema_version *version;
            if (enter(&d, i, &version) != 0)
                return d.error.text;
            if (version->schema->id != i + 1 || version->version != i / SUBJECTS + 1)
                return "an id or a version is another";
        }
        gw_schema_disk_close(d.disk);
        gw_schemas_close(d.schemas);
        if (open_disk(&d, folder) != 0 || gw_schemas_count(d.schemas) != SCHEMAS)
            return "it does not go on";
    }
    return NULL;
}

static bool survives(const char *folder, uint64_t acknowledged)
{
    int status = 0;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(60);
        const char *fault = judge(folder, acknowledged);
        if (fault)
            fprintf(stderr, "%s\n", fault);
        _exit(fault != NULL);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        die("fork");
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* --- all cuts --- */

struct run {
    char folder[128];
    struct pc_run at;
    struct mark marks[SCHEMAS];
    uint64_t seed;
};

static void remove_tree(const char *path)
{
    char command[PATH_MAX + 16];
    snprintf(command, sizeof command, "rm -rf '%s'", path);
    if (system(command) != 0)
        die(command);
}

static void run_load(struct run *run, const char *shim, const char *program)
{
    const char *const arguments[] = {program, "--load", run->at.data, run->at.marks, run->at.position, NULL};
    if (mkdir(run->at.data, 0700) != 0)
        die(run->at.data);
    if (pc_run_traced(&run->at, shim, arguments) != 0) {
        fprintf(stderr, "the load failed\n");
        exit(1); /* of a mutant too: one that cannot run was not caught */
    }
    FILE *file = fopen(run->at.marks, "rb");
    if (!file || fread(run->marks, sizeof run->marks[0], SCHEMAS, file) != SCHEMAS)
        die(run->at.marks);
    fclose(file);
}

static uint64_t acknowledged_at(const struct run *run, uint64_t cut)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < SCHEMAS; i++)
        if (run->marks[i].position <= cut)
            count = run->marks[i].acknowledged;
    return count;
}

static uint64_t try_cuts(struct run *run)
{
    uint64_t failures = 0, disks = 0, torn = 0;
    struct pc_rebuild *rebuild;
    if (pc_rebuild_open(run->at.trace, NULL, &rebuild) != 0)
        exit(2);
    const uint64_t last = pc_rebuild_last(rebuild);
    for (uint64_t at = 1; at <= last && failures < FAILURES_SHOWN; at++)
        for (unsigned i = 0; i < DISKS; i++) {
            struct pc_cut cut;
            const uint64_t seed = run->seed + at * 1000 + i;
            if (pc_rebuild_seek(rebuild, at) != 0 || pc_rebuild_write(rebuild, seed, run->at.disk, &cut) != 0)
                exit(2);
            torn += cut.writes_torn;
            disks++;
            if (!survives(run->at.disk, acknowledged_at(run, at))) {
                fprintf(stderr, "cut at %llu of %llu, disk seed %llu\n", (unsigned long long)at,
                        (unsigned long long)last, (unsigned long long)seed);
                failures++;
            }
            remove_tree(run->at.disk);
        }
    if (pc_rebuild_strangers(rebuild) != 0)
        failures++;
    printf("%llu disks of cuts at each of %llu operations, %llu writes torn; %llu failures; seed %llu\n",
           (unsigned long long)disks, (unsigned long long)last, (unsigned long long)torn,
           (unsigned long long)failures, (unsigned long long)run->seed);
    pc_rebuild_close(rebuild);
    return failures;
}

int main(int argc, char **argv)
{
    static struct run run;
    bool mutant = false;
    if (argc == 5 && strcmp(argv[1], "--load") == 0)
        return load(argv[2], argv[3], argv[4]);
    if (argc < 3)
        return 2;
    run.seed = (uint64_t)time(NULL) * 1000003u;
    for (int i = 3; i < argc; i++) {
        if (strcmp(argv[i], "--mutant") == 0)
            mutant = true;
        else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            run.seed = strtoull(argv[++i], NULL, 10);
    }
    if (!scratch_make("schema-cut", run.folder, sizeof run.folder) || pc_run_paths(run.folder, &run.at) != 0)
        die(run.folder);
    run_load(&run, argv[1], argv[2]);
    uint64_t failures = try_cuts(&run);
    remove_tree(run.folder);
    if (mutant)
        puts(failures != 0 ? "the mutant was caught" : "the mutant survived: the test proves nothing");
    return (failures != 0) != mutant;
}
