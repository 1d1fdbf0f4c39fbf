/*
 * gateway-journal-load FOLDER MARKS POSITION SEED COMMITS: commits to a journal as the gateway does, notes each commit
 * that returned, moves a sink, reclaims, sends what must be refused, and at last stops without closing.
 */
#include "gateway_journal_load.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "journal/journal.h"
#include "observe/log.h"

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
    uint64_t offset = gw_journal_end(load->journal);
    struct gw_error error = {0};
    if (gw_journal_commit(load->journal, writes, count, &error) != 0)
        die("commit", error.text);
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

static void move_sink(struct load *load)
{
    static const char *const sinks[] = {"stream"};
    uint64_t begin = gw_journal_begin(load->journal), end = gw_journal_end(load->journal);
    uint64_t offset = begin + below(load, end - begin + 1);
    mark(load, (struct load_mark){.kind = LOAD_PASSED, .offset = offset});
    if (gw_journal_cursor_set(load->journal, "stream", offset) != 0 ||
        gw_journal_reclaim(load->journal, sinks, 1) != 0)
        die("reclaim", "failed");
}

int main(int argc, char **argv)
{
    if (argc != 6)
        die("usage", "FOLDER MARKS POSITION SEED COMMITS");
    static struct load load;
    gw_log_set_level(GW_LOG_ERROR);
    load.config = (struct gw_journal_config){.folder = argv[1], .segment_bytes = 1 << 20};
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
        if (below(&load, 40) == 0)
            move_sink(&load);
        if (below(&load, 150) == 0) {
            gw_journal_close(load.journal);
            open_it(&load);
        }
    }
    _exit(0); /* as if killed: nothing is sealed or synced on the way out */
}
