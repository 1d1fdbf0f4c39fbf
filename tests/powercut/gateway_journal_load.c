/*
 * gateway-journal-load FOLDER MARKS POSITION SEED COMMITS: commits to a journal as the gateway does, notes each commit
 * that returned, moves a sink, reclaims, sends what must be refused, and at last stops without closing. Meanwhile the disk
 * is full at times, or fails (support/disk_faults.h).
 */
#include "gateway_journal_load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "journal/journal.h"
#include "observe/log.h"
#include "support/disk_faults.h"

#define BATCHES_MAX 12u

struct load {
    struct gw_journal *journal;
    struct gw_journal_config config;
    const uint64_t *position;
    FILE *marks;
    uint64_t random;
    uint64_t heads[LOAD_STREAMS]; /* newest committed seq a stream */
};

static struct {
    struct gw_journal_write write;
    uint8_t bytes[LOAD_ENTRY_BYTES_MAX];
    char device[32];
    uint64_t stream_index;
} batches[BATCHES_MAX];

static uint64_t below(struct load *load, uint64_t limit)
{
    load->random = load->random * 6364136223846793005u + 1442695040888963407u;
    return (load->random >> 33) % limit;
}

static void die(const char *what, const char *why)
{
    fprintf(stderr, "gateway-journal-load: %s: %s\n", what, why);
    exit(1);
}

static void mark(struct load *load, struct load_mark m)
{
    m.position = __atomic_load_n(load->position, __ATOMIC_SEQ_CST);
    if (fwrite(&m, sizeof m, 1, load->marks) != 1 || fflush(load->marks) != 0)
        die("marks", "cannot be written");
}

static void open_it(struct load *load)
{
    struct gw_error error;
    if (gw_journal_open(&load->config, &load->journal, &error) != 0)
        die("open", error.text);
    mark(load, (struct load_mark){.kind = LOAD_OPENED, .stream = gw_journal_epoch(load->journal)});
    for (uint64_t i = 0; i < LOAD_STREAMS; i++) {
        char device[32];
        struct gw_journal_stream row = {0};
        snprintf(device, sizeof device, "device-%u", (unsigned)(i / 2));
        if (gw_journal_stream_get(load->journal, device, i + 1, &row) == 0)
            load->heads[i] = row.committed;
    }
}

static void make(struct load *load, unsigned b, uint64_t index, uint64_t expected)
{
    uint64_t last = expected + 1 + below(load, 20);
    size_t len = sizeof(struct load_entry) + (below(load, 4) == 0 ? below(load, 5900) : below(load, 400));
    struct load_entry entry = {.stream = index + 1, .first = expected + 1, .last = last};
    memset(batches[b].bytes, (int)(last & 0xff), len);
    memcpy(batches[b].bytes, &entry, sizeof entry);
    snprintf(batches[b].device, sizeof batches[b].device, "device-%u", (unsigned)(index / 2));
    batches[b].stream_index = index;
    batches[b].write = (struct gw_journal_write){
        .device = batches[b].device,
        .generation = 1,
        .lanes =
            {{.stream = index + 1, .expected = expected, .last_seq = last, .last_crc = (uint32_t)(last * 7)}},
        .entry = batches[b].bytes,
        .entry_len = len,
    };
}

/* The disk fails, or is full, for one call within the next ones. An allocation waits for the next roll. */
static void maybe_fail(struct load *load)
{
    switch (below(load, 60)) {
    case 0:
        sync_fault = (struct fault){.error = EIO, .count = 1, .after = (int)below(load, 4)};
        break;
    case 1:
        write_fault = (struct fault){.error = EIO, .count = 1, .after = (int)below(load, 6)};
        break;
    case 2:
        write_fault = (struct fault){.error = ENOSPC, .count = 1, .after = (int)below(load, 6)};
        break;
    case 3:
        allocate_fault = (struct fault){.error = ENOSPC, .count = 1, .after = 0};
        break;
    default:
        break;
    }
}

/* Until it is stored: what failed is tried again by the same process. */
static void store(struct load *load, struct gw_journal_write **writes, unsigned count, uint64_t *out_offset)
{
    bool failed = false;
    struct gw_error last = {0};
    maybe_fail(load);
    for (int i = 0; i < 500; i++) {
        struct gw_error error = {0};
        *out_offset = gw_journal_end(load->journal);
        int rc = gw_journal_commit(load->journal, writes, count, &error);
        if (rc == 0 && failed)
            mark(load, (struct load_mark){.kind = LOAD_MENDED});
        if (rc == 0)
            return;
        if (rc != GW_EFULL && rc != GW_EIO)
            die("commit", error.text);
        failed = true;
        last = error;
        mark(load, (struct load_mark){.kind = LOAD_FAULT,
                                      .stream = rc == GW_EFULL ? LOAD_FAULT_FULL : LOAD_FAULT_EIO});
        no_faults();
        if (i > 2) /* a renewal of meta is tried once a second */
            (void)nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    die("commit", last.text);
}

/* One group commit; some batches in it repeat what is committed, or leap. */
static void commit(struct load *load)
{
    struct gw_journal_write *writes[BATCHES_MAX];
    unsigned count = 1 + (unsigned)below(load, BATCHES_MAX);
    uint64_t pending[LOAD_STREAMS];
    bool honest[BATCHES_MAX];
    memcpy(pending, load->heads, sizeof pending);
    for (unsigned i = 0; i < count; i++) {
        uint64_t index = below(load, LOAD_STREAMS), kind = below(load, 12);
        uint64_t expected = pending[index];
        if (kind == 0 && expected > 3)
            expected -= 3; /* a late resend */
        else if (kind == 1)
            expected += 5; /* a hole */
        make(load, i, index, expected);
        honest[i] = expected == pending[index];
        if (honest[i])
            pending[index] = batches[i].write.lanes[0].last_seq;
        writes[i] = &batches[i].write;
    }
    uint64_t offset = 0;
    store(load, writes, count, &offset);
    for (unsigned i = 0; i < count; i++) {
        if (writes[i]->status != 0)
            continue;
        if (honest[i])
            load->heads[batches[i].stream_index] = writes[i]->lanes[0].last_seq;
        mark(load, (struct load_mark){.kind = LOAD_ACKED,
                                      .stream = writes[i]->lanes[0].stream,
                                      .last = writes[i]->lanes[0].last_seq,
                                      .crc = writes[i]->lanes[0].last_crc,
                                      .offset = offset++});
    }
}

/* meta_fails: the sync of the cursors does, so that meta has to be renewed. */
static void move_sink(struct load *load, bool meta_fails)
{
    static const char *const sinks[] = {"stream"};
    uint64_t begin = gw_journal_begin(load->journal), end = gw_journal_end(load->journal);
    uint64_t offset = begin + below(load, end - begin + 1);
    mark(load, (struct load_mark){.kind = LOAD_PASSED, .offset = offset});
    maybe_fail(load);
    if (meta_fails)
        sync_fault = (struct fault){.error = EIO, .count = 1, .after = 0};
    if (gw_journal_cursor_set(load->journal, "stream", offset) != 0 ||
        gw_journal_reclaim(load->journal, sinks, 1) != 0)
        mark(load, (struct load_mark){.kind = LOAD_FAULT, .stream = LOAD_FAULT_EIO});
}

int main(int argc, char **argv)
{
    if (argc != 6)
        die("usage", "FOLDER MARKS POSITION SEED COMMITS");
    static struct load load;
    gw_log_set_level(getenv("LOAD_LOG") ? GW_LOG_DEBUG
                                        : (enum gw_log_level)(
                                              GW_LOG_ERROR + 1)); /* disks that fail are what this is about */
    load.config = (struct gw_journal_config){.folder = argv[1], .segment_bytes = 1 << 20, .recycle = true};
    load.marks = fopen(argv[2], "ab");
    int fd = open(argv[3], O_RDONLY);
    void *map = fd >= 0 ? mmap(NULL, sizeof(uint64_t), PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
    if (!load.marks || map == MAP_FAILED)
        die("marks or position", "cannot be opened");
    load.position = map;
    load.random = strtoull(argv[4], NULL, 10);
    long commits = atol(argv[5]);
    open_it(&load);
    for (long i = 0; i < commits; i++) {
        commit(&load);
        if (below(&load, 3) == 0)
            (void)gw_journal_step(load.journal);
        if (i == commits / 3)
            allocate_fault = (struct fault){.error = ENOSPC, .count = 1, .after = 0};
        if (i == commits / 2 || below(&load, 40) == 0)
            move_sink(&load, i == commits / 2);
        if (below(&load, 150) == 0) {
            no_faults();
            gw_journal_close(load.journal);
            load.config.recycle = below(&load, 4) != 0;
            open_it(&load);
        }
    }
    _exit(0); /* as if killed: nothing is sealed or synced on the way out */
}
