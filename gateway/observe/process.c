#include "observe/process.h"

#include <dirent.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "observe/health.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct timespec started_mono, started_utc;

static void note_start(void)
{
    clock_gettime(CLOCK_MONOTONIC, &started_mono);
    clock_gettime(CLOCK_REALTIME, &started_utc);
}

uint64_t gw_process_uptime_seconds(void)
{
    pthread_once(&once, note_start);
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)(now.tv_sec - started_mono.tv_sec) - (now.tv_nsec < started_mono.tv_nsec);
}

static uint64_t resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file)
        return 0;
    char line[128];
    uint64_t pages = 0;
    if (fgets(line, sizeof line, file))
        (void)sscanf(line, "%*u %" SCNu64, &pages); /* the kernel's own format */
    (void)fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t open_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    if (!folder)
        return 0;
    uint64_t count = 0;
    while (readdir(folder))
        count++;
    (void)closedir(folder);
    return count - 3; /* ".", ".." and the folder itself */
}

size_t gw_process_render(char *buffer, size_t capacity)
{
    uint64_t uptime = gw_process_uptime_seconds();
    struct rusage usage = {0};
    (void)getrusage(RUSAGE_SELF, &usage);
    struct rlimit files = {0};
    (void)getrlimit(RLIMIT_NOFILE, &files);
    double cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                 (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    int n = snprintf(
        buffer, capacity,
        "# HELP tributary_build_info the version that runs\n# TYPE tributary_build_info gauge\n"
        "tributary_build_info{version=\"%s\"} 1\n"
        "# HELP tributary_ready 1 while /readyz answers 200\n# TYPE tributary_ready gauge\ntributary_ready "
        "%d\n"
        "# HELP tributary_uptime_seconds time since the start\n# TYPE tributary_uptime_seconds gauge\n"
        "tributary_uptime_seconds %" PRIu64 "\n"
        "# HELP process_start_time_seconds start, seconds since 1970\n# TYPE process_start_time_seconds "
        "gauge\n"
        "process_start_time_seconds %jd\n"
        "# HELP process_cpu_seconds_total user and system time\n# TYPE process_cpu_seconds_total counter\n"
        "process_cpu_seconds_total %.3f\n"
        "# HELP process_resident_memory_bytes memory in RAM\n# TYPE process_resident_memory_bytes gauge\n"
        "process_resident_memory_bytes %" PRIu64 "\n"
        "# HELP process_open_fds open descriptors\n# TYPE process_open_fds gauge\nprocess_open_fds %" PRIu64
        "\n"
        "# HELP process_max_fds most descriptors\n# TYPE process_max_fds gauge\nprocess_max_fds %ju\n",
        TRIBUTARY_VERSION, gw_health_ready(), uptime, (intmax_t)started_utc.tv_sec, cpu, resident_bytes(),
        open_descriptors(), (uintmax_t)files.rlim_cur);
    return n > 0 ? (size_t)n : 0;
}
