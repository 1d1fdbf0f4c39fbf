/* What can still be had of segments that were set aside, and of a journal that has lost its meta. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "journal/check.h"
#include "journal/maintain.h"
#include "journal/parts.h"
#include "journal/scan.h"

#define FLUSH_BYTES ((size_t)1 << 20)
#define FLUSH_ENTRIES 4096u
#define SEGMENT_BYTES ((uint64_t)80 << 20) /* four of the largest messages; it is cut to what it holds */

/* What was found and is not yet appended. */
struct gathered {
    struct gw_arena arena;
    struct gw_journal_entry *entries; /* FLUSH_ENTRIES */
    size_t count, bytes;
    struct gathered_row {
        struct gathered_row *next;
        struct gw_block_row row;
    } * rows;
};

struct salvage {
    struct gw_journal *journal;
    struct gathered found;
    struct gw_journal_summary sum;
    gw_journal_report_fn report;
    void *context;
    struct gw_error *error;
    bool minted;
};

/* --- appending --- */

static int merge_rows(void *context, struct gw_meta_txn *t)
{
    const struct gathered *found = context;
    for (const struct gathered_row *r = found->rows; r; r = r->next) {
        const struct gw_row row = {.committed = r->row.committed,
                                   .crc = r->row.crc,
                                   .generation = r->row.generation,
                                   .touched_ms = r->row.touched_ms,
                                   .exists = true};
        int rc = gw_meta_row_merge(t, r->row.device, r->row.device_len, r->row.stream, &row);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* Entries before rows: a row alone would say that the events are here. */
static int flush(struct salvage *s)
{
    struct gathered *found = &s->found;
    int rc = found->count ? gw_journal_append(s->journal, found->entries, found->count, s->error) : 0;
    if (rc == 0 && found->rows) {
        rc = gw_meta_update(s->journal->meta, merge_rows, found);
        if (rc != 0)
            (void)gw_error_set(s->error, rc, 0, "the journal's meta cannot be written to");
    }
    s->sum.entries += rc == 0 ? found->count : 0;
    s->sum.bytes += rc == 0 ? found->bytes : 0;
    found->count = found->bytes = 0;
    found->rows = NULL;
    gw_arena_reset(&found->arena);
    return rc;
}

static int gather_entry(struct salvage *s, const uint8_t *data, size_t len)
{
    struct gathered *found = &s->found;
    int rc = found->count == FLUSH_ENTRIES || found->bytes + len > FLUSH_BYTES ? flush(s) : 0;
    uint8_t *copy = rc == 0 ? gw_arena_alloc(&found->arena, len ? len : 1) : NULL;
    if (!copy)
        return rc != 0 ? rc : GW_ENOMEM;
    memcpy(copy, data, len);
    found->entries[found->count++] = (struct gw_journal_entry){.data = copy, .len = len};
    found->bytes += len;
    return 0;
}

static int gather_row(struct salvage *s, const struct gw_block_row *row)
{
    struct gathered_row *r = gw_arena_alloc(&s->found.arena, sizeof *r);
    char *device = gw_arena_alloc(&s->found.arena, row->device_len + 1);
    if (!r || !device)
        return GW_ENOMEM;
    memcpy(device, row->device, row->device_len);
    *r = (struct gathered_row){.next = s->found.rows, .row = *row};
    r->row.device = device;
    s->found.rows = r;
    return 0;
}

static int take_block(struct salvage *s, const uint8_t *bytes, size_t len)
{
    struct gw_block_reader reader;
    const uint8_t *data;
    size_t data_len;
    struct gw_block_row row;
    int more, rc = gw_block_read(&reader, bytes, len);
    while (rc == 0 && (more = gw_block_next_entry(&reader, &data, &data_len)) != 0)
        rc = more == 1 ? gather_entry(s, data, data_len) : more;
    while (rc == 0 && (more = gw_block_next_row(&reader, &row)) != 0)
        rc = more == 1 ? gather_row(s, &row) : more;
    return rc;
}

/* --- one folder in damaged/ --- */

/* What comes from here on is not what sinks of the epoch before may have seen at these offsets. */
static int mint_once(struct salvage *s)
{
    if (s->minted)
        return 0;
    s->minted = true;
    int rc = gw_meta_mint(s->journal->meta, gw_journal_end(s->journal));
    return rc == 0 ? 0 : gw_error_set(s->error, rc, 0, "the journal's meta cannot be written to");
}

static int take_file(struct salvage *s, const char *data, uint64_t first_offset, uint64_t *out_entries)
{
    struct gw_scan scan;
    int rc = gw_scan_file(data, first_offset, &scan);
    if (rc == GW_EIO) { /* the folder is there, its file is not */
        *out_entries = 0;
        return 0;
    }
    if (rc != 0)
        return gw_error_set(s->error, rc, 0, "%s cannot be searched", data);
    if (scan.count > 0)
        rc = mint_once(s);
    for (size_t i = 0; rc == 0 && i < scan.count; i++) {
        uint8_t *bytes = NULL;
        rc = gw_scan_load(data, &scan.blocks[i], &bytes);
        if (rc == 0)
            rc = take_block(s, bytes, scan.blocks[i].len);
        free(bytes);
        if (rc == GW_EDAMAGED) /* it went bad since the scan */
            rc = 0;
        else if (rc == GW_ENOMEM)
            (void)gw_error_set(s->error, rc, 0, "out of memory");
    }
    if (rc == 0)
        rc = flush(s);
    *out_entries = scan.entries;
    gw_scan_free(&scan);
    return rc;
}

/* Its name may go on behind that of the segment. */
static uint64_t first_offset_of(const char *name)
{
    char segment[GW_SEGMENT_NAME_BYTES];
    uint64_t first = 0;
    snprintf(segment, sizeof segment, "%s", name);
    return gw_segment_name_parse(segment, &first) ? first : 0;
}

static int take_folder(struct salvage *s, const char *name)
{
    struct gw_path folder = gw_path_join(s->journal->damaged_folder.text, name),
                   data = gw_path_join(folder.text, "data.mdb"), done;
    uint64_t entries = 0;
    int n = snprintf(done.text, sizeof done.text, "%s" GW_JOURNAL_SALVAGED, folder.text);
    int rc = n < 0 || (size_t)n >= sizeof done.text
                 ? GW_EINVALID
                 : take_file(s, data.text, first_offset_of(name), &entries);
    if (rc != 0)
        return rc;
    /* Named so that a second salvage does not append it again. */
    int e = rename(folder.text, done.text) != 0 ? errno : gw_folder_sync(s->journal->damaged_folder.text);
    if (e != 0)
        return gw_error_set(s->error, gw_error_of_errno(e), e, "%s cannot be renamed", folder.text);
    s->sum.segments++;
    s->report(s->context, &(struct gw_journal_report){.segment = name,
                                                      .found = entries ? "its whole blocks are appended anew"
                                                                       : "nothing in it is whole",
                                                      .entries = entries,
                                                      .sound = entries > 0});
    return 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* In the order of offsets, which is that of names. */
static int take_all(struct salvage *s)
{
    struct dirent **list = NULL;
    int count = scandir(s->journal->damaged_folder.text, &list, NULL, alphasort);
    char *names[1024];
    size_t n = 0;
    for (int i = 0; i < count; i++) {
        if (gw_part_is_to_salvage(list[i]->d_name) && n < sizeof names / sizeof *names)
            names[n++] = list[i]->d_name;
    }
    if (n > 0)
        qsort(names, n, sizeof *names, compare_names);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = take_folder(s, names[i]);
    for (int i = 0; i < count; i++)
        free(list[i]);
    free(list);
    return rc;
}

/* --- the journal around it --- */

/* A damaged meta makes room for a new one, which the segments then fill. */
static int renew_meta(const char *folder, struct gw_error *error)
{
    struct gw_path meta = gw_path_join(folder, "meta"), damaged = gw_path_join(folder, "damaged"), to;
    int fd, rc = gw_lock_take(folder, &fd, error);
    if (rc != 0)
        return rc;
    int e = gw_folder_make(damaged.text, 0700);
    for (unsigned i = 0; e == 0 && gw_path_exists(meta.text) && i < 1000; i++) {
        char name[16];
        snprintf(name, sizeof name, "meta-%u", i);
        to = gw_path_join(damaged.text, name);
        if (rename(meta.text, to.text) != 0 && errno != ENOTEMPTY && errno != EEXIST)
            e = errno;
    }
    if (e == 0)
        e = gw_folder_sync(folder);
    rc = e != 0 ? gw_error_set(error, gw_error_of_errno(e), e, "%s cannot be moved to damaged/", meta.text)
                : gw_meta_create(folder, GW_JOURNAL_META_BYTES_MAX, error);
    if (rc == 0 && gw_journal_format_check(folder, NULL) == GW_ENOTFOUND)
        rc = gw_journal_format_write(folder, error);
    close(fd);
    return rc;
}

/* Sealed segments are compared with their digests when they are first read: so each is opened once here. */
static void judge_all(struct gw_journal *journal)
{
    pthread_mutex_lock(&journal->lock);
    for (size_t i = 0; i < journal->part_count; i++)
        if (journal->parts[i]->state != GW_SEGMENT_DAMAGED &&
            gw_part_acquire(journal, journal->parts[i]) == 0)
            gw_part_release(journal, journal->parts[i]);
    pthread_mutex_unlock(&journal->lock);
}

static int put_ancestors(void *context, struct gw_meta_txn *t)
{
    struct gw_journal *journal = context;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < journal->epoch_count; i++)
        rc = gw_meta_ancestor_put(t, journal->epochs[i], journal->end);
    return rc;
}

static int salvage(struct salvage *s, bool renewed)
{
    judge_all(s->journal);
    s->found.entries = malloc(FLUSH_ENTRIES * sizeof *s->found.entries);
    if (!s->found.entries)
        return gw_error_set(s->error, GW_ENOMEM, 0, "out of memory");
    gw_arena_init(&s->found.arena, 65536, SIZE_MAX);
    s->minted = renewed;
    int rc = renewed ? gw_meta_update(s->journal->meta, put_ancestors, s->journal) : 0;
    if (rc != 0)
        (void)gw_error_set(s->error, rc, 0, "the journal's meta cannot be written to");
    if (rc == 0)
        rc = take_all(s);
    gw_arena_free(&s->found.arena);
    free(s->found.entries);
    for (size_t i = 0; i < s->journal->part_count; i++) {
        s->sum.bad += s->journal->parts[i]->state == GW_SEGMENT_DAMAGED;
        s->sum.lost += s->journal->parts[i]->state == GW_SEGMENT_DAMAGED ? s->journal->parts[i]->lost : 0;
    }
    s->sum.epoch = s->journal->meta->epoch;
    s->sum.begin = gw_journal_begin(s->journal);
    s->sum.end = gw_journal_end(s->journal);
    return rc;
}

int gw_journal_salvage(const char *folder, gw_journal_report_fn report, void *context,
                       struct gw_journal_summary *out, struct gw_error *error)
{
    struct gw_path meta = gw_path_join(folder, "meta"), segments = gw_path_join(folder, "segments");
    struct salvage s = {.report = report, .context = context, .error = error};
    if (!gw_path_exists(meta.text) && !gw_path_exists(segments.text))
        return gw_error_set(error, GW_ENOTFOUND, 0,
                            "%s: there is no journal: is this the gateway's data.folder?", folder);
    int rc = gw_journal_format_check(folder, error);
    if (rc != 0 && rc != GW_ENOTFOUND)
        return rc;
    bool renew = !gw_path_exists(meta.text) || gw_check_meta(meta.text) == GW_EDAMAGED;
    if (renew || rc == GW_ENOTFOUND)
        rc = renew ? renew_meta(folder, error) : gw_journal_format_write(folder, error);
    const struct gw_journal_config config = {
        .folder = folder, .segment_bytes = SEGMENT_BYTES, .any_epoch = renew};
    if (rc == 0)
        rc = gw_journal_open(&config, &s.journal, error);
    if (rc != 0)
        return rc;
    if (renew)
        report(context,
               &(struct gw_journal_report){.segment = "meta", .found = "lost: made anew from the segments"});
    rc = salvage(&s, renew);
    gw_journal_close(s.journal);
    if (rc == 0)
        *out = s.sum;
    return rc;
}
