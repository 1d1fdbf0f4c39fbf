/*
 * How long a bare LMDB commit takes: as many bytes in as many puts as tributaryd has shown, as often as it commits.
 *
 *   lmdb-commits --folder D --puts N --bytes N --interval_us N --seconds S
 *
 * bytes: of each put; interval_us: from one beginning to the next, 0: back to back. Prints JSON: commits, and their
 * latency in µs from begin to synced.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "floor.h"

#define COMMITS_MAX 200000u
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

int main(int argc, char **argv)
{
    static int64_t took[COMMITS_MAX];
    const char *folder = NULL;
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], "--folder") == 0)
            folder = argv[i + 1];
    if (!folder)
        floor_die("--folder", 0);
    size_t puts = (size_t)option(argc, argv, "--puts"), bytes = (size_t)option(argc, argv, "--bytes"),
           count = 0;
    int64_t begun = now_ns(), next = begun;
    int64_t interval = (int64_t)(option(argc, argv, "--interval_us") * 1000);
    int64_t end = next + (int64_t)(option(argc, argv, "--seconds") * 1e9);
    uint8_t *data = malloc(bytes);
    memset(data, 0x5a, bytes);
    struct floor_store store = {0};
    floor_store_open(&store, folder);
    preallocate(folder);
    next = now_ns();
    end += next - begun;
    for (; count < COMMITS_MAX && next < end; next += interval) {
        sleep_until(next);
        int64_t begin = now_ns();
        for (size_t i = 0; i < puts; i++)
            floor_store_put(&store, data, bytes);
        floor_store_commit(&store);
        int64_t done = now_ns();
        took[count++] = done - begin;
        if (interval == 0 || next + interval < done)
            next = done - interval;
    }
    qsort(took, count, sizeof *took, by_value);
    printf("{\"commits\": %zu, \"p50_us\": %.1f, \"p90_us\": %.1f, \"p99_us\": %.1f, \"max_us\": %.1f}\n",
           count, (double)took[count / 2] / 1e3, (double)took[count * 9 / 10] / 1e3,
           (double)took[count * 99 / 100] / 1e3, (double)took[count - 1] / 1e3);
    return 0;
}
