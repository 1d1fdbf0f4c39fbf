/* A journal in a temporary folder, and batches to put into it. Each test file includes this once. */
#ifndef TESTS_JOURNAL_FIXTURE_H
#define TESTS_JOURNAL_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "journal/journal.h"
#include "journal/parts.h"
#include "observe/log.h"

#define MIB ((uint64_t)1 << 20)

struct fixture {
    char folder[PATH_MAX];
    struct gw_journal_config config;
    struct gw_journal *journal;
    struct gw_error error;
};

static inline void run(const char *format, ...)
{
    char command[2 * PATH_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    if (system(command) != 0)
        fail_msg("command failed: %s", command);
}

static inline int fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    const char *tmp = getenv("TMPDIR");
    snprintf(f->folder, sizeof f->folder, "%s/tributary-journal-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(f->folder))
        return -1;
    f->config = (struct gw_journal_config){.folder = f->folder, .segment_bytes = MIB};
    *state = f;
    return 0;
}

static inline int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    gw_journal_close(f->journal);
    char command[PATH_MAX + 16];
    snprintf(command, sizeof command, "rm -rf '%s'", f->folder);
    int rc = system(command);
    free(f);
    return rc;
}

static inline void open_journal(struct fixture *f)
{
    int rc = gw_journal_open(&f->config, &f->journal, &f->error);
    if (rc != 0)
        fail_msg("open: %d %s", rc, f->error.text);
}

static inline void close_journal(struct fixture *f)
{
    gw_journal_close(f->journal);
    f->journal = NULL;
}

/* What the committer does while no batch comes. */
static inline void finish_digests(struct fixture *f)
{
    while (gw_journal_step(f->journal))
        continue;
}

/* What a killed process leaves: nothing is sealed or synced on the way out. */
static inline void abandon_journal(struct fixture *f)
{
    struct gw_journal *j = f->journal;
    gw_journal_digest_forget(j, j->digested);
    for (size_t i = 0; i < j->part_count; i++) {
        gw_segment_close(&j->parts[i]->segment);
        free(j->parts[i]);
    }
    free(j->parts);
    free(j->items);
    gw_rows_free(&j->rows);
    gw_arena_free(&j->more_rows);
    gw_quota_free(&j->quota);
    gw_meta_close(j->meta);
    close(j->lock_fd);
    free(j->folder);
    free(j);
    f->journal = NULL;
}

static inline void reopen_journal(struct fixture *f)
{
    close_journal(f);
    open_journal(f);
}

struct batch {
    struct gw_journal_write write;
    uint8_t bytes[8192];
};

/* A batch of `device` that moves `stream` from `expected` to `last`; its entry says so, in `len` bytes. */
static inline void make_batch(struct batch *b, const char *device, uint64_t stream, uint64_t expected,
                              uint64_t last, size_t len)
{
    memset(b->bytes, (int)(last & 0xff), sizeof b->bytes);
    memcpy(b->bytes, &stream, 8);
    memcpy(b->bytes + 8, &last, 8);
    b->write = (struct gw_journal_write){
        .device = device,
        .generation = 1,
        .lanes = {{.stream = stream, .expected = expected, .last_seq = last, .last_crc = (uint32_t)last * 3}},
        .entry = b->bytes,
        .entry_len = len,
        .status = 12345,
    };
}

static inline int commit_one(struct fixture *f, struct batch *b)
{
    struct gw_journal_write *writes[] = {&b->write};
    int rc = gw_journal_commit(f->journal, writes, 1, &f->error);
    return rc != 0 ? rc : b->write.status;
}

/* Commits batches last = from … to of one stream, one a transaction. */
static inline void commit_range(struct fixture *f, const char *device, uint64_t stream, uint64_t from,
                                uint64_t to, size_t len)
{
    static struct batch b;
    for (uint64_t seq = from; seq <= to; seq++) {
        make_batch(&b, device, stream, seq - 1, seq, len);
        int rc = commit_one(f, &b);
        if (rc != 0)
            fail_msg("commit %llu: %d %s", (unsigned long long)seq, rc, f->error.text);
    }
}

static inline uint64_t committed(struct fixture *f, const char *device, uint64_t stream)
{
    struct gw_journal_stream row;
    int rc = gw_journal_stream_get(f->journal, device, stream, &row);
    if (rc == GW_ENOTFOUND)
        return 0;
    assert_int_equal(rc, 0);
    return row.committed;
}

struct reading {
    uint64_t entries, lost, next;
    uint64_t last_of_stream1; /* `last` of the newest entry of stream 1: they must come in order */
};

/* Reads all from `offset` to the end and checks each entry against what make_batch wrote. */
static inline struct reading read_all(struct fixture *f, uint64_t offset)
{
    static uint8_t buffer[64 * 1024];
    struct gw_journal_entry entries[64];
    struct reading r = {.next = offset};
    for (;;) {
        size_t count, needed;
        uint64_t lost, next;
        int rc = gw_journal_read(f->journal, r.next, buffer, sizeof buffer, entries, 64, &count, &next, &lost,
                                 &needed);
        if (rc != 0)
            fail_msg("read at %llu: %d", (unsigned long long)r.next, rc);
        r.lost += lost;
        for (size_t i = 0; i < count; i++) {
            assert_true(entries[i].offset >= r.next);
            uint64_t stream, last;
            memcpy(&stream, entries[i].data, 8);
            memcpy(&last, entries[i].data + 8, 8);
            for (size_t j = 16; j < entries[i].len; j++)
                if (entries[i].data[j] != (uint8_t)last)
                    fail_msg("entry %llu differs at byte %zu", (unsigned long long)entries[i].offset, j);
            if (stream == 1) {
                assert_true(last > r.last_of_stream1);
                r.last_of_stream1 = last;
            }
        }
        r.entries += count;
        r.next = next;
        if (count == 0)
            return r;
    }
}

#endif
