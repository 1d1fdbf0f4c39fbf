/*
 * How long bare LMDB takes for the batches that tributaryd has taken: as many bytes, as often, evenly.
 *
 *   lmdb-commits --folder D --bytes N --interval_us N --seconds S
 *
 * bytes: of each batch, one put; interval_us: from one batch to the next. Each commit takes all that have come. Prints JSON, in
 * µs: what a commit takes from begin to synced, and a batch from when it came until it is synced.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "floor.h"

#define BATCHES_MAX 1000000u
#define FILE_BYTES (256 << 20)

/* As the gateway's segments are: a commit that has to grow the file syncs the file system's own journal, too. */
static void preallocate(const char *folder)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/data.mdb", folder);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || posix_fallocate(fd, 0, FILE_BYTES) != 0 || fsync(fd) != 0)
        floor_die("preallocate", fd);
    close(fd);
}

static double option(int argc, char **argv, const char *name)
{
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return strtod(argv[i + 1], NULL);
    floor_die(name, 0);
    return 0;
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void sleep_until(int64_t ns)
{
    struct timespec until = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* As members of an object, each preceded by the prefix. Sorts. */
static void print_percentiles(const char *prefix, int64_t *took, size_t count)
{
    qsort(took, count, sizeof *took, by_value);
    static const size_t per_mille[] = {500, 900, 990};
    static const char *const names[] = {"p50", "p90", "p99"};
    for (size_t i = 0; i < 3; i++) {
        size_t at = count * per_mille[i] / 1000;
        printf(", \"%s%s_us\": %.1f", prefix, names[i], (double)took[at] / 1e3);
    }
}

int main(int argc, char **argv)
{
    static int64_t commit_took[BATCHES_MAX], batch_took[BATCHES_MAX];
    const char *folder = NULL;
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], "--folder") == 0)
            folder = argv[i + 1];
    if (!folder)
        floor_die("--folder", 0);
    size_t bytes = (size_t)option(argc, argv, "--bytes"), commits = 0, batches = 0;
    int64_t interval = (int64_t)(option(argc, argv, "--interval_us") * 1000);
    int64_t lasts = (int64_t)(option(argc, argv, "--seconds") * 1e9);
    if (interval <= 0)
        floor_die("--interval_us", 0);
    uint8_t *data = malloc(bytes);
    memset(data, 0x5a, bytes);
    struct floor_store store = {0};
    floor_store_open(&store, folder);
    preallocate(folder);
    (void)prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL,
                0UL); /* a batch that is due is taken then, not within 50 us */
    for (int64_t begun = now_ns(), due = begun; due < begun + lasts && batches < BATCHES_MAX; commits++) {
        sleep_until(due);
        int64_t begin = now_ns();
        size_t first = batches;
        for (; due <= begin && batches < BATCHES_MAX; due += interval) {
            floor_store_put(&store, data, bytes);
            batch_took[batches++] = -due;
        }
        floor_store_commit(&store);
        int64_t done = now_ns();
        commit_took[commits] = done - begin;
        for (size_t i = first; i < batches; i++)
            batch_took[i] += done;
    }
    printf("{\"commits\": %zu, \"batches\": %zu", commits, batches);
    print_percentiles("", commit_took, commits);
    print_percentiles("batch_", batch_took, batches);
    printf("}\n");
    return 0;
}
