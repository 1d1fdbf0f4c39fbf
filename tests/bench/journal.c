/*
 * bench-journal fill FOLDER BYTES | cycles FOLDER BYTES COUNT
 *
 * fill makes a journal of about BYTES in FOLDER, of entries that any sink can read, and drops its files from the system's
 * cache. cycles fills a journal with BYTES and drains it as a sink does, COUNT times. Both print a line of JSON for each
 * fill or cycle; tools/proofs/journal-backlog and journal-cycles judge them.
 */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "journal/entry.h"
#include "journal/journal.h"
#include "observe/log.h"
#include "wire/vocabulary.h"

#define DEVICES 500u
#define EVENTS_AN_ENTRY 150u
#define ENTRIES_A_COMMIT 64u
#define ENTRY_BYTES_MAX 16384u
#define READ_BYTES ((size_t)1 << 20)
#define READ_ENTRIES 64u

static const char *const sinks[] = {"stream"};

static struct {
    struct gw_journal_write write;
    char device[32];
    uint8_t bytes[ENTRY_BYTES_MAX];
} batches[ENTRIES_A_COMMIT];

static uint64_t heads[DEVICES], random_state = 88172645463325252u;

static void die(const char *what, const char *why)
{
    fprintf(stderr, "bench-journal: %s: %s\n", what, why);
    exit(1);
}

static double seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* --- entries --- */

static size_t put_events(uint8_t *out, size_t capacity, uint64_t stream, uint64_t first_seq)
{
    const struct trib_wire_batch_head head = {.lanes = {[TRIB_LANE_ROUTINE] = {stream, first_seq}},
                                              .boot = 1,
                                              .mono_ms = first_seq * 1000,
                                              .ord = first_seq};
    struct trib_wire_batch_writer batch;
    size_t len;
    trib_wire_batch_open(&batch, &head, out, capacity);
    for (uint64_t i = 0; i < EVENTS_AN_ENTRY; i++) {
        uint8_t bytes[64];
        struct trib_cbor_writer fields;
        trib_cbor_writer_init(&fields, bytes, sizeof bytes);
        trib_cbor_put_map(&fields, 3);
        trib_cbor_put_uint(&fields, TRIB_FIELD_POSITION_MS);
        trib_cbor_put_uint(&fields, next_random() >> 16);
        trib_cbor_put_uint(&fields, TRIB_FIELD_PLAYED_MS);
        trib_cbor_put_uint(&fields, next_random() >> 16);
        trib_cbor_put_uint(&fields, TRIB_FIELD_BUFFERING_MS);
        trib_cbor_put_uint(&fields, next_random() >> 16);
        trib_wire_batch_event(&batch, TRIB_LANE_ROUTINE, TRIB_EVENT_PING, (first_seq + i) * 1000,
                              first_seq + i + 1, 0, bytes, fields.len);
    }
    if (trib_wire_batch_close(&batch, &len) != 0)
        die("entry", "cannot be encoded");
    return len;
}

static void make(unsigned slot, unsigned device)
{
    struct gw_journal_write *write = &batches[slot].write;
    size_t head_len = 0;
    const uint64_t stream = device + 1, before = heads[device];
    snprintf(batches[slot].device, sizeof batches[slot].device, "device-%u", device);
    const struct gw_entry_head head = {.device = {batches[slot].device, strlen(batches[slot].device)},
                                       .received_utc_ms = 1764000000000u,
                                       .received_uncertainty_ms = 20};
    if (gw_entry_head_encode(&head, batches[slot].bytes, ENTRY_BYTES_MAX, &head_len) != 0)
        die("entry", "cannot be encoded");
    size_t len =
        head_len + put_events(batches[slot].bytes + head_len, ENTRY_BYTES_MAX - head_len, stream, before + 1);
    heads[device] = before + EVENTS_AN_ENTRY;
    *write = (struct gw_journal_write){
        .device = batches[slot].device,
        .generation = 1,
        .lanes = {{.stream = stream, .expected = before, .last_seq = heads[device], .last_crc = 7}},
        .entry = batches[slot].bytes,
        .entry_len = len,
    };
}

/* --- filling and draining --- */

static uint64_t disk_bytes(struct gw_journal *journal)
{
    struct gw_journal_stats stats;
    gw_journal_get_stats(journal, &stats);
    return stats.disk_bytes;
}

/* Returns the bytes of the entries. */
static uint64_t fill(struct gw_journal *journal, uint64_t bytes)
{
    struct gw_journal_write *writes[ENTRIES_A_COMMIT];
    struct gw_error error;
    uint64_t stored = 0;
    for (unsigned device = 0; stored < bytes;) {
        for (unsigned i = 0; i < ENTRIES_A_COMMIT; i++, device = (device + 1) % DEVICES) {
            make(i, device);
            writes[i] = &batches[i].write;
            stored += writes[i]->entry_len;
        }
        if (gw_journal_commit(journal, writes, ENTRIES_A_COMMIT, &error) != 0)
            die("commit", error.text);
        (void)gw_journal_step(journal);
    }
    return stored;
}

static uint64_t drain(struct gw_journal *journal)
{
    static uint8_t buffer[READ_BYTES];
    struct gw_journal_entry entries[READ_ENTRIES];
    uint64_t at = gw_journal_begin(journal), lost = 0, bytes = 0, reads = 0;
    size_t count = 1, needed = 0;
    (void)!gw_journal_cursor_get(journal, "stream", &at);
    while (count > 0) {
        if (gw_journal_read(journal, at, buffer, sizeof buffer, entries, READ_ENTRIES, &count, &at, &lost,
                            &needed) != 0 ||
            lost != 0)
            die("read", "failed");
        for (size_t i = 0; i < count; i++)
            bytes += entries[i].len;
        if (gw_journal_cursor_set(journal, "stream", at) != 0 ||
            (++reads % 256 == 0 && gw_journal_reclaim(journal, sinks, 1) != 0))
            die("cursor", "cannot be moved");
    }
    return bytes;
}

/* A value of /proc/self/status, in KiB. */
static long status_kib(const char *name)
{
    char line[256];
    long value = -1;
    FILE *file = fopen("/proc/self/status", "re");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, name, strlen(name)) == 0)
            value = strtol(line + strlen(name) + 1, NULL, 10);
    if (file)
        (void)fclose(file);
    return value;
}

static void cycle(struct gw_journal *journal, uint64_t bytes, unsigned number)
{
    double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    uint64_t stored = fill(journal, bytes), most = disk_bytes(journal);
    double wall_full = seconds(CLOCK_MONOTONIC), cpu_full = seconds(CLOCK_PROCESS_CPUTIME_ID);
    uint64_t read = drain(journal);
    /* The open segment's entries are read, but it stays until it is sealed. */
    if (gw_journal_reclaim(journal, sinks, 1) != 0)
        die("reclaim", "failed");
    double wall_end = seconds(CLOCK_MONOTONIC), cpu_end = seconds(CLOCK_PROCESS_CPUTIME_ID);
    printf("{\"cycle\": %u, \"stored_bytes\": %" PRIu64 ", \"read_bytes\": %" PRIu64
           ", \"fill_s\": %.3f, \"drain_s\": %.3f, "
           "\"fill_cpu_s\": %.3f, \"drain_cpu_s\": %.3f, \"disk_full_bytes\": %" PRIu64
           ", \"disk_drained_bytes\": %" PRIu64
           ", \"rss_kib\": %ld, \"rss_anon_kib\": %ld, \"rss_peak_kib\": %ld}\n",
           number, stored, read, wall_full - wall, wall_end - wall_full, cpu_full - cpu, cpu_end - cpu_full,
           most, disk_bytes(journal), status_kib("VmRSS"), status_kib("RssAnon"), status_kib("VmHWM"));
    (void)fflush(stdout);
}

/* So that what starts on it next reads from the disk. */
static void drop_from_cache(const char *folder)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/segments", folder);
    DIR *dir = opendir(path);
    for (const struct dirent *entry; dir && (entry = readdir(dir)) != NULL;) {
        char data[8192];
        snprintf(data, sizeof data, "%s/%s/data.mdb", path, entry->d_name);
        int fd = open(data, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            continue;
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        close(fd);
    }
    if (dir)
        closedir(dir);
}

int main(int argc, char **argv)
{
    const bool cycles = argc == 5 && strcmp(argv[1], "cycles") == 0;
    if (!cycles && !(argc == 4 && strcmp(argv[1], "fill") == 0))
        die("usage", "fill FOLDER BYTES | cycles FOLDER BYTES COUNT");
    gw_log_set_level(GW_LOG_ERROR);
    const struct gw_journal_config config = {.folder = argv[2], .recycle = true};
    struct gw_journal *journal;
    struct gw_error error;
    if (gw_journal_open(&config, &journal, &error) != 0)
        die("open", error.text);
    const uint64_t bytes = strtoull(argv[3], NULL, 10);
    const double begin = seconds(CLOCK_MONOTONIC);
    for (unsigned i = 1; cycles && i <= strtoul(argv[4], NULL, 10); i++)
        cycle(journal, bytes, i);
    if (!cycles) {
        uint64_t stored = fill(journal, bytes);
        printf("{\"stored_bytes\": %" PRIu64 ", \"entries\": %" PRIu64 ", \"disk_bytes\": %" PRIu64
               ", \"fill_s\": %.3f}\n",
               stored, gw_journal_end(journal), disk_bytes(journal), seconds(CLOCK_MONOTONIC) - begin);
    }
    gw_journal_close(journal);
    if (!cycles)
        drop_from_cache(argv[2]);
    return 0;
}
