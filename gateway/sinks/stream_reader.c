#include "sinks/stream_reader.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct gw_stream_reader {
    char *folder;
    uint64_t from;    /* records below are stepped over */
    bool opened;      /* a file is open */
    uint64_t current; /* its first number */
    uint64_t damaged;
    struct gw_stream_file file;
};

int gw_stream_reader_open(const char *folder, uint64_t from, struct gw_stream_reader **out,
                          struct gw_error *error)
{
    struct gw_stream_reader *r = calloc(1, sizeof *r);
    char *copy = strdup(folder);
    if (!r || !copy) {
        free(r);
        free(copy);
        return gw_error_set(error, GW_ENOMEM, 0, "no memory to read the stream");
    }
    r->folder = copy;
    r->from = from;
    gw_stream_file_init(&r->file);
    *out = r;
    return GW_OK;
}

void gw_stream_reader_close(struct gw_stream_reader *reader)
{
    if (!reader)
        return;
    gw_stream_file_close(&reader->file);
    free(reader->folder);
    free(reader);
}

uint64_t gw_stream_reader_damaged(const struct gw_stream_reader *reader)
{
    return reader->damaged;
}

/*
 * The file to read first: the last one whose first number is not above `from`. Later: the one after the current.
 * 1 *out is set; 0 there is none; negative error.
 */
static int pick_file(const struct gw_stream_reader *r, uint64_t *out, struct gw_error *error)
{
    uint64_t *numbers;
    size_t count;
    int rc = gw_stream_file_list(r->folder, &numbers, &count, error);
    if (rc != GW_OK)
        return rc;
    bool found = false;
    for (size_t i = 0; i < count; i++) {
        if (r->opened ? numbers[i] > r->current : !found || numbers[i] <= r->from) {
            *out = numbers[i];
            found = true;
            if (r->opened)
                break;
        }
    }
    free(numbers);
    return found;
}

/* The next whole record of the open file. 1, 0 or a negative error; GW_EDAMAGED: no record here. */
static int next_in_file(struct gw_stream_reader *r, struct gw_stream_record *out, struct gw_error *error)
{
    int rc;
    while ((rc = gw_stream_file_next(&r->file, out, error)) == 1) {
        if (!(out->flags & GW_STREAM_MARK) && out->number >= r->from)
            return 1;
    }
    return rc;
}

/* Behind damage, or at the end of a finished file: goes on where whole records are. 1 go on reading, 0 end. */
static int step_on(struct gw_stream_reader *r, uint64_t next_file, struct gw_error *error)
{
    struct stat st;
    if (fstat(r->file.fd, &st) == 0 && (uint64_t)st.st_size > gw_stream_file_position(&r->file)) {
        r->damaged++;
        int found = gw_stream_file_resync(&r->file, error);
        if (found != 0)
            return found;
    }
    int rc = gw_stream_file_open(&r->file, r->folder, next_file, error);
    if (rc != GW_OK)
        return rc;
    r->current = next_file;
    return 1;
}

int gw_stream_reader_next(struct gw_stream_reader *reader, struct gw_stream_record *out,
                          struct gw_error *error)
{
    struct gw_stream_reader *r = reader;
    uint64_t next_file = 0;
    for (;;) {
        if (!r->opened) {
            int rc = pick_file(r, &next_file, error);
            if (rc <= 0)
                return rc;
            rc = gw_stream_file_open(&r->file, r->folder, next_file, error);
            if (rc != GW_OK)
                return rc;
            r->current = next_file;
            r->opened = true;
        }
        int rc = next_in_file(r, out, error);
        if (rc == 1 || (rc < 0 && rc != GW_EDAMAGED))
            return rc;
        int later = pick_file(r, &next_file, error);
        if (later <= 0) {
            r->file.len =
                r->file.pos; /* a record in the making may be cut off and written anew: read it again */
            return later;
        }
        /* The file may have grown between the read and the look for a later one: only now is it finished. */
        rc = next_in_file(r, out, error);
        if (rc == 1 || (rc < 0 && rc != GW_EDAMAGED))
            return rc;
        rc = step_on(r, next_file, error);
        if (rc <= 0)
            return rc;
    }
}

int gw_stream_info_get(const char *folder, struct gw_stream_info *out, struct gw_error *error)
{
    uint64_t *numbers;
    size_t count;
    int rc = gw_stream_file_list(folder, &numbers, &count, error);
    if (rc != GW_OK)
        return rc;
    struct gw_stream_info info = {.files = count};
    struct gw_stream_file file;
    struct gw_stream_record record;
    gw_stream_file_init(&file);
    if (count > 0)
        info.first_number = info.next_number = numbers[0];
    for (size_t i = 0; i < count; i++) {
        char path[PATH_MAX], name[GW_STREAM_NAME_BYTES];
        struct stat st;
        gw_stream_file_name(numbers[i], name);
        if (snprintf(path, sizeof path, "%s/%s", folder, name) < (int)sizeof path && stat(path, &st) == 0)
            info.bytes += (uint64_t)st.st_size;
    }
    for (size_t i = count; rc == GW_OK && !info.any && i-- > 0;) {
        rc = gw_stream_file_open(&file, folder, numbers[i], error);
        if (rc == GW_OK && info.next_number < numbers[i])
            info.next_number = numbers[i];
        while (rc == GW_OK && (rc = gw_stream_file_next(&file, &record, error)) == 1) {
            info.any = true;
            info.epoch = record.epoch;
            info.offset = record.offset;
            info.index = record.index;
            if (!(record.flags & GW_STREAM_MARK) && info.next_number <= record.number)
                info.next_number = record.number + 1;
            rc = GW_OK;
        }
        if (rc == GW_EDAMAGED)
            rc = GW_OK; /* a torn append: what counts lies before it */
    }
    gw_stream_file_close(&file);
    free(numbers);
    if (rc != GW_OK)
        return rc;
    *out = info;
    return GW_OK;
}
