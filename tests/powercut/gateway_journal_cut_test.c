/*
 * gateway_journal_cut_test LOAD_PROGRAM SHIM --cuts N [--seed S] [--mutant]: runs the load under the power-cut shim,
 * cuts the power at N places, and opens what would be left on the disk with the journal. Whatever was acked before the
 * cut must be there, once, in order. Half of the cuts are anywhere, half are aimed at each phase of the journal's work in
 * turn (gateway_cut_phases.h); how many hit each is printed, and none may be without a hit. With --mutant the load program lacks a rule, and the test passes only if that
 * shows.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "gateway_cut_phases.h"
#include "gateway_journal_load.h"
#include "journal/journal.h"
#include "observe/log.h"
#include "powercut/rebuild.h"
#include "powercut/shim_run.h"
#include "scratch.h"

#define GENERATIONS 3 /* processes that share the folder, each killed */
#define COMMITS "260"
#define FAILURES_SHOWN 5

struct run {
    char folder[PATH_MAX]; /* all of it lies below */
    struct pc_run at;
    struct load_mark *marks;
    size_t mark_count;
    uint64_t seed, cuts;
    bool mutant;
};

static void die(const char *what)
{
    fprintf(stderr, "gateway_journal_cut_test: %s: %s\n", what, strerror(errno));
    exit(2);
}

/* --- running the load --- */

static void run_load(struct run *run, const char *program, const char *shim, int generation)
{
    char seed[32];
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)run->seed + (unsigned)generation);
    const char *const arguments[] = {program, run->at.data, run->at.marks, run->at.position,
                                     seed,    COMMITS,      NULL};
    if (pc_run_traced(&run->at, shim, arguments) != 0) {
        fprintf(stderr, "the load program failed\n");
        exit(1); /* of a mutant too: one that cannot run was not caught */
    }
}

static void load_marks(struct run *run)
{
    const char *path = run->at.marks;
    struct stat st;
    FILE *file = fopen(path, "rb");
    if (!file || fstat(fileno(file), &st) != 0)
        die(path);
    run->mark_count = (size_t)st.st_size / sizeof *run->marks;
    run->marks = malloc((run->mark_count + 1) * sizeof *run->marks);
    if (!run->marks || fread(run->marks, sizeof *run->marks, run->mark_count, file) != run->mark_count)
        die(path);
    fclose(file);
}

/* --- judging one disk, in a child --- */

struct judge {
    const struct run *run;
    uint64_t cut;
    struct gw_journal *journal;
    uint64_t passed; /* the sink has all below it */
    uint64_t last[LOAD_STREAMS + 1], seen[LOAD_STREAMS + 1];
    FILE *report;
};

__attribute__((format(printf, 2, 3))) static void fault(struct judge *judge, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vfprintf(judge->report, format, args);
    va_end(args);
    fputc('\n', judge->report);
    fflush(judge->report);
    _exit(1);
}

static void see_entry(struct judge *judge, const struct gw_journal_entry *entry)
{
    struct load_entry head;
    if (entry->len < sizeof head)
        fault(judge, "entry %llu is too short", (unsigned long long)entry->offset);
    memcpy(&head, entry->data, sizeof head);
    if (head.stream == 0 || head.stream > LOAD_STREAMS)
        fault(judge, "entry %llu is not one of ours", (unsigned long long)entry->offset);
    for (size_t i = sizeof head; i < entry->len; i++) {
        if (entry->data[i] != (uint8_t)head.last)
            fault(judge, "entry %llu differs at byte %zu", (unsigned long long)entry->offset, i);
    }
    if (judge->seen[head.stream] && head.first != judge->last[head.stream] + 1)
        fault(judge, "stream %llu: an entry begins at %llu after %llu", (unsigned long long)head.stream,
              (unsigned long long)head.first, (unsigned long long)judge->last[head.stream]);
    judge->seen[head.stream]++;
    judge->last[head.stream] = head.last;
}

static void read_entries(struct judge *judge)
{
    static uint8_t buffer[65536];
    struct gw_journal_entry entries[32];
    uint64_t at = gw_journal_begin(judge->journal), next, lost;
    size_t count, needed;
    for (;;) {
        int rc = gw_journal_read(judge->journal, at, buffer, sizeof buffer, entries, 32, &count, &next, &lost,
                                 &needed);
        if (rc != 0)
            fault(judge, "read at %llu: %s", (unsigned long long)at, gw_error_text(rc));
        if (lost != 0)
            fault(judge, "%llu entries lost at %llu", (unsigned long long)lost, (unsigned long long)at);
        if (count == 0)
            return;
        for (size_t i = 0; i < count; i++)
            see_entry(judge, &entries[i]);
        at = next;
    }
}

static void check_obligations(struct judge *judge)
{
    for (size_t i = 0; i < judge->run->mark_count; i++) {
        const struct load_mark *mark = &judge->run->marks[i];
        if (mark->position > judge->cut)
            continue;
        if (mark->kind == LOAD_OPENED && mark->stream != gw_journal_epoch(judge->journal))
            fault(judge, "the journal epoch changed");
        if (mark->kind != LOAD_ACKED)
            continue;
        char device[32];
        struct gw_journal_stream row = {0};
        snprintf(device, sizeof device, "device-%u", (unsigned)((mark->stream - 1) / 2));
        if (gw_journal_stream_get(judge->journal, device, mark->stream, &row) != 0 ||
            row.committed < mark->last)
            fault(judge, "stream %llu: %llu was acked, the row is at %llu", (unsigned long long)mark->stream,
                  (unsigned long long)mark->last, (unsigned long long)row.committed);
        if (row.committed == mark->last && row.crc != mark->crc)
            fault(judge, "stream %llu: the row's crc is wrong", (unsigned long long)mark->stream);
        if (mark->offset >= judge->passed && judge->last[mark->stream] < mark->last)
            fault(judge, "stream %llu: %llu was acked, the newest entry is %llu",
                  (unsigned long long)mark->stream, (unsigned long long)mark->last,
                  (unsigned long long)judge->last[mark->stream]);
        if (mark->offset >= judge->passed && mark->offset >= gw_journal_end(judge->journal))
            fault(judge, "offset %llu was given out, the journal ends at %llu",
                  (unsigned long long)mark->offset, (unsigned long long)gw_journal_end(judge->journal));
    }
}

static void check_rows_match_entries(struct judge *judge)
{
    for (uint64_t stream = 1; stream <= LOAD_STREAMS; stream++) {
        char device[32];
        struct gw_journal_stream row = {0};
        snprintf(device, sizeof device, "device-%u", (unsigned)((stream - 1) / 2));
        (void)!gw_journal_stream_get(judge->journal, device, stream, &row);
        if (judge->seen[stream] && row.committed != judge->last[stream])
            fault(judge, "stream %llu: the row is at %llu, the newest entry at %llu",
                  (unsigned long long)stream, (unsigned long long)row.committed,
                  (unsigned long long)judge->last[stream]);
    }
}

static void open_journal(struct judge *judge, const char *folder)
{
    struct gw_journal_config config = {.folder = folder, .segment_bytes = 1 << 20, .recycle = true};
    struct gw_error error = {0};
    if (gw_journal_open(&config, &judge->journal, &error) != 0)
        fault(judge, "open: %s", error.text);
    struct gw_journal_stats stats;
    gw_journal_get_stats(judge->journal, &stats);
    if (stats.damaged_segments != 0)
        fault(judge, "%llu segments are damaged", (unsigned long long)stats.damaged_segments);
}

/* The journal goes on, and the next start finds the same and the new. */
static void check_it_goes_on(struct judge *judge, const char *folder)
{
    uint64_t end = gw_journal_end(judge->journal);
    uint8_t bytes[sizeof(struct load_entry)] = {0};
    struct gw_journal_write write = {.device = "after",
                                     .lanes = {{.stream = 99, .expected = 0, .last_seq = 1}},
                                     .entry = bytes,
                                     .entry_len = sizeof bytes};
    struct gw_journal_write *writes[] = {&write};
    struct gw_error error = {0};
    if (gw_journal_commit(judge->journal, writes, 1, &error) != 0 || write.status != 0)
        fault(judge, "commit after the cut: %s", error.text);
    gw_journal_close(judge->journal);
    open_journal(judge, folder);
    struct gw_journal_stream row;
    if (gw_journal_end(judge->journal) != end + 1 ||
        gw_journal_stream_get(judge->journal, "after", 99, &row) != 0)
        fault(judge, "what was committed after the cut is not there");
    gw_journal_close(judge->journal);
}

static void judge_disk(const struct run *run, uint64_t cut, const char *folder, FILE *report)
{
    static struct judge judge;
    judge = (struct judge){.run = run, .cut = cut, .report = report};
    for (size_t i = 0; i < run->mark_count; i++) {
        if (run->marks[i].kind == LOAD_PASSED && run->marks[i].position <= cut &&
            run->marks[i].offset > judge.passed)
            judge.passed = run->marks[i].offset;
    }
    open_journal(&judge, folder);
    read_entries(&judge);
    check_obligations(&judge);
    check_rows_match_entries(&judge);
    check_it_goes_on(&judge, folder);
    _exit(0);
}

/* --- all cuts --- */

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Where the disk was full or failed, from the load's own notes. */
static void mark_faults(const struct run *run, struct cut_phases *phases)
{
    enum cut_phase phase = CUT_PHASE_COUNT;
    uint64_t from = 0;
    for (size_t i = 0; i < run->mark_count; i++) {
        const struct load_mark *mark = &run->marks[i];
        const bool fault = mark->kind == LOAD_FAULT;
        if (phase != CUT_PHASE_COUNT && (fault || mark->kind == LOAD_MENDED || mark->kind == LOAD_ACKED)) {
            cut_phases_mark(phases, phase, from, mark->position);
            phase = CUT_PHASE_COUNT;
        }
        if (fault) {
            phase = mark->stream == LOAD_FAULT_FULL ? CUT_PHASE_FULL : CUT_PHASE_EIO;
            from = mark->position;
        }
    }
}

static void draw_positions(const struct run *run, const struct cut_phases *phases, uint64_t last,
                           uint64_t *io_random, uint64_t *positions)
{
    for (uint64_t i = 0; i < run->cuts; i++) {
        uint64_t drawn = next_random(io_random);
        uint64_t aimed =
            i % 2 ? cut_phases_pick(phases, (enum cut_phase)(i / 2 % CUT_PHASE_COUNT), drawn) : 0;
        positions[i] = aimed ? aimed : 1 + drawn % last;
    }
}

/* How many cuts hit each phase. Returns the count of phases that none did. */
static uint64_t tell_hits(const struct run *run, const struct cut_phases *phases, const uint64_t *positions)
{
    uint64_t unhit = 0;
    printf("hits:");
    for (unsigned p = 0; p < CUT_PHASE_COUNT; p++) {
        uint64_t hits = 0;
        for (uint64_t i = 0; i < run->cuts; i++)
            hits += phases->bits[positions[i]] >> p & 1;
        printf("%s %s %llu", p ? "," : "", cut_phase_names[p], (unsigned long long)hits);
        unhit += hits == 0;
    }
    putchar('\n');
    if (unhit)
        fprintf(stderr, "%llu phases were hit by no cut\n", (unsigned long long)unhit);
    return unhit;
}

static int compare_positions(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void remove_tree(const char *path)
{
    char command[PATH_MAX + 16];
    snprintf(command, sizeof command, "rm -rf '%s'", path);
    if (system(command) != 0)
        die(command);
}

static bool survives(const struct run *run, uint64_t cut, const char *disk)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(60);
        judge_disk(run, cut, disk, stderr);
    }
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        die("fork");
    if (WIFSIGNALED(status))
        fprintf(stderr, "the journal died of signal %d\n", WTERMSIG(status));
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static uint64_t try_cuts(const struct run *run)
{
    const char *trace = run->at.trace, *disk = run->at.disk;
    struct pc_rebuild *rebuild;
    if (pc_rebuild_open(trace, NULL, &rebuild) != 0)
        exit(2);
    uint64_t last = pc_rebuild_last(rebuild), random = run->seed, failures = 0, kept = 0, torn = 0, names = 0;
    uint64_t *positions = malloc(run->cuts * sizeof *positions);
    if (!positions)
        die("malloc");
    struct cut_phases phases;
    if (cut_phases_read(trace, &phases) != 0 || phases.last != last)
        die(trace);
    mark_faults(run, &phases);
    draw_positions(run, &phases, last, &random, positions);
    uint64_t unhit = tell_hits(run, &phases, positions);
    cut_phases_free(&phases);
    qsort(positions, run->cuts, sizeof *positions, compare_positions);
    for (uint64_t i = 0; i < run->cuts; i++) {
        struct pc_cut cut;
        uint64_t seed = next_random(&random);
        if (pc_rebuild_seek(rebuild, positions[i]) != 0 || pc_rebuild_write(rebuild, seed, disk, &cut) != 0)
            exit(2);
        kept += cut.writes_kept;
        torn += cut.writes_torn;
        names += cut.names_pending;
        if (!survives(run, positions[i], disk)) {
            fprintf(stderr, "cut at %llu of %llu, disk seed %llu\n", (unsigned long long)positions[i],
                    (unsigned long long)last, (unsigned long long)seed);
            if (++failures >= FAILURES_SHOWN)
                i = run->cuts - 1;
        }
        remove_tree(disk);
    }
    if (pc_rebuild_strangers(rebuild) != 0) {
        fprintf(stderr, "%llu names were seen that nobody was seen making\n",
                (unsigned long long)pc_rebuild_strangers(rebuild));
        failures++;
    }
    printf("%llu cuts in a trace of %llu operations, %zu marks; kept %llu unsynced writes, tore %llu, %llu "
           "names "
           "pending; %llu failures; seed %llu\n",
           (unsigned long long)run->cuts, (unsigned long long)last, run->mark_count, (unsigned long long)kept,
           (unsigned long long)torn, (unsigned long long)names, (unsigned long long)failures,
           (unsigned long long)run->seed);
    pc_rebuild_close(rebuild);
    free(positions);
    /* A mutant must be caught by what it breaks. */
    return run->mutant ? failures : failures + unhit;
}

int main(int argc, char **argv)
{
    static struct run run = {.cuts = 100};
    run.seed = (uint64_t)time(NULL) ^ ((uint64_t)getpid() << 32);
    if (argc < 3)
        return 2;
    for (int i = 3; i < argc; i++) {
        if (strcmp(argv[i], "--mutant") == 0)
            run.mutant = true;
        else if (strcmp(argv[i], "--cuts") == 0 && i + 1 < argc)
            run.cuts = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            run.seed = strtoull(argv[++i], NULL, 10);
    }
    printf("seed %llu\n", (unsigned long long)run.seed);
    gw_log_set_level((enum gw_log_level)(GW_LOG_ERROR + 1));
    if (!scratch_make("cut", run.folder, sizeof run.folder) || pc_run_paths(run.folder, &run.at) != 0)
        die(run.folder);
    if (mkdir(run.at.data, 0700) != 0)
        die(run.at.data);
    for (int generation = 0; generation < GENERATIONS; generation++)
        run_load(&run, argv[1], argv[2], generation);
    load_marks(&run);
    uint64_t failures = try_cuts(&run);
    free(run.marks);
    remove_tree(run.folder);
    if (run.mutant)
        puts(failures != 0 ? "the mutant was caught" : "the mutant survived: the test proves nothing");
    return (failures != 0) != run.mutant;
}
