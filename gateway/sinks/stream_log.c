#include "sinks/stream_log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "delivery/event.h"
#include "observe/log.h"
#include "sinks/stream_end.h"
#include "sinks/stream_file.h"

#define FILE_BYTES_DEFAULT (64ull << 20)
#define PENDING_BYTES (1u << 20) /* handed to the file beyond this; synced with the flush */
#define JSON_BYTES_GUESS 1024

struct stream_log {
    char *folder, *gateway_id;
    uint64_t file_bytes, epoch;
    bool scanned;                 /* durable is known */
    struct gw_stream_end durable; /* synced */
    struct gw_stream_end end;     /* with all that was taken since */
    uint64_t written_len;         /* of the file, without pending */
    int fd;                       /* -1: not made ready to write yet */
    bool mark_due;                /* entries without events were passed since the last record */
    bool tail_has_records;        /* behind the first damage, whole records were seen */
    uint64_t new_events;          /* since the last flush */
    uint8_t *pending;
    size_t pending_len, pending_capacity;
};

static int sync_folder(const char *folder, struct gw_error *error)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool bad = fd < 0 || fsync(fd) != 0;
    const int saved = errno;
    if (fd >= 0)
        close(fd);
    return bad ? gw_error_set(error, GW_EIO, saved, "stream folder %s: cannot be synced", folder) : GW_OK;
}

static int make_folder(const char *folder, struct gw_error *error)
{
    if (mkdir(folder, 0750) != 0) {
        if (errno == EEXIST)
            return GW_OK;
        return gw_error_set(error, GW_EIO, errno, "stream folder %s: cannot be made", folder);
    }
    char parent[PATH_MAX];
    snprintf(parent, sizeof parent, "%s/..", folder);
    return sync_folder(parent, error);
}

static int file_path(const struct stream_log *s, uint64_t first, char path[PATH_MAX], struct gw_error *error)
{
    char name[GW_STREAM_NAME_BYTES];
    gw_stream_file_name(first, name);
    if (snprintf(path, PATH_MAX, "%s/%s", s->folder, name) >= PATH_MAX)
        return gw_error_set(error, GW_EINVALID, 0, "stream folder %.128s...: the path is too long",
                            s->folder);
    return GW_OK;
}

static int scan(struct stream_log *s, struct gw_error *error)
{
    int rc = gw_stream_end_find(s->folder, &s->durable, &s->tail_has_records, error);
    s->scanned = rc == GW_OK;
    return rc;
}

static int stream_open(void *self, struct gw_sink_position *out, struct gw_error *error)
{
    struct stream_log *s = self;
    int rc = s->scanned ? GW_OK : scan(s, error);
    if (rc != GW_OK)
        return rc;
    s->end = s->durable;
    s->written_len = s->durable.file_len;
    s->pending_len = 0;
    s->new_events = 0;
    s->mark_due = false;
    *out = s->durable.position;
    return GW_OK;
}

/* --- making ready to write --- */

/* What is cut off may be more than a torn append: whole records behind a flipped bit are kept for people. */
static int keep_tail(struct stream_log *s, int fd, struct gw_error *error)
{
    char path[PATH_MAX], copy[PATH_MAX];
    int rc = file_path(s, s->durable.file_first, path, error);
    if (rc != GW_OK)
        return rc;
    if (snprintf(copy, sizeof copy, "%s.cut-%" PRIu64, path, s->durable.file_len) >= (int)sizeof copy)
        return gw_error_set(error, GW_EINVALID, 0, "stream file %.128s...: the path is too long", path);
    int out = open(copy, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    uint8_t buffer[65536];
    off_t at = (off_t)s->durable.file_len;
    ssize_t n = -1;
    while (out >= 0 && (n = pread(fd, buffer, sizeof buffer, at)) > 0) {
        if (write(out, buffer, (size_t)n) != n) {
            n = -1;
            break;
        }
        at += n;
    }
    if (n < 0 || fsync(out) != 0)
        rc = gw_error_set(error, GW_EIO, errno, "stream file %s: its damaged end cannot be kept", copy);
    if (out >= 0)
        close(out);
    if (rc == GW_OK)
        gw_log(GW_LOG_ERROR, "stream.damaged",
               "a stream file was damaged before its end; what lay behind was moved aside and is delivered "
               "again as "
               "far as the journal has it",
               GW_TEXT("moved_to", copy));
    return rc;
}

/* Cuts off what is not durable, and removes files begun after it. */
static int cut_tail(struct stream_log *s, int fd, struct gw_error *error)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return gw_error_set(error, GW_EIO, errno, "a stream file cannot be examined");
    if ((uint64_t)st.st_size < s->durable.file_len) {
        s->scanned = false;
        return gw_error_set(error, GW_EDAMAGED, 0,
                            "a stream file in %s became shorter than what was synced to it", s->folder);
    }
    if ((uint64_t)st.st_size > s->durable.file_len) {
        int rc = s->tail_has_records ? keep_tail(s, fd, error) : GW_OK;
        if (rc != GW_OK)
            return rc;
        s->tail_has_records = false;
        if (ftruncate(fd, (off_t)s->durable.file_len) != 0 || fsync(fd) != 0)
            return gw_error_set(error, GW_EIO, errno, "stream folder %s: a torn append cannot be cut off",
                                s->folder);
    }
    return GW_OK;
}

static int remove_later_files(struct stream_log *s, struct gw_error *error)
{
    uint64_t *numbers;
    size_t count;
    int rc = gw_stream_file_list(s->folder, &numbers, &count, error);
    if (rc != GW_OK)
        return rc;
    bool removed = false;
    for (size_t i = count; rc == GW_OK && i-- > 0 && numbers[i] > s->durable.file_first;) {
        char path[PATH_MAX];
        rc = file_path(s, numbers[i], path, error);
        if (rc == GW_OK && unlink(path) != 0)
            rc = gw_error_set(error, GW_EIO, errno, "stream file %s: cannot be removed", path);
        removed = true;
    }
    free(numbers);
    return rc == GW_OK && removed ? sync_folder(s->folder, error) : rc;
}

/* A new, empty file whose first event will be the next one. Durable when this returns. */
static int begin_file(struct stream_log *s, struct gw_error *error)
{
    char path[PATH_MAX];
    int rc = file_path(s, s->end.next_number, path, error);
    if (rc != GW_OK)
        return rc;
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd < 0)
        return gw_error_set(error, errno == ENOSPC ? GW_EFULL : GW_EIO, errno,
                            "stream file %s: cannot be made", path);
    rc = sync_folder(s->folder, error);
    if (rc != GW_OK) {
        close(fd);
        return rc;
    }
    if (s->fd >= 0)
        close(s->fd);
    s->fd = fd;
    s->written_len = 0;
    s->end.any_file = s->durable.any_file = true;
    s->end.file_first = s->durable.file_first = s->end.next_number;
    s->end.file_len = s->durable.file_len = 0;
    return GW_OK;
}

static int make_ready(struct stream_log *s, struct gw_error *error)
{
    if (s->fd >= 0)
        return GW_OK;
    int rc = make_folder(s->folder, error);
    if (rc != GW_OK)
        return rc;
    if (!s->durable.any_file)
        return begin_file(s, error);
    rc = remove_later_files(s, error);
    char path[PATH_MAX];
    if (rc == GW_OK)
        rc = file_path(s, s->durable.file_first, path, error);
    if (rc != GW_OK)
        return rc;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        s->scanned = s->scanned && errno != ENOENT; /* somebody moved it: look anew */
        return gw_error_set(error, GW_EIO, errno, "stream file %s: cannot be opened", path);
    }
    rc = cut_tail(s, fd, error);
    if (rc != GW_OK) {
        close(fd);
        return rc;
    }
    s->fd = fd;
    return GW_OK;
}

/* --- appending --- */

static int write_pending(struct stream_log *s, struct gw_error *error)
{
    size_t done = 0;
    while (done < s->pending_len) {
        ssize_t n = pwrite(s->fd, s->pending + done, s->pending_len - done, (off_t)(s->written_len + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return gw_error_set(error, errno == ENOSPC || errno == EDQUOT ? GW_EFULL : GW_EIO, errno,
                                "stream folder %s: cannot be written", s->folder);
        done += (size_t)n;
    }
    s->written_len += s->pending_len;
    s->pending_len = 0;
    return GW_OK;
}

static int sync_file(struct stream_log *s, struct gw_error *error)
{
    int rc = write_pending(s, error);
    if (rc != GW_OK)
        return rc;
    if (fdatasync(s->fd) != 0)
        return gw_error_set(error, GW_EIO, errno, "stream folder %s: cannot be synced", s->folder);
    s->durable = s->end;
    return GW_OK;
}

static int reserve(struct stream_log *s, size_t bytes, struct gw_error *error)
{
    if (s->pending_capacity - s->pending_len >= bytes)
        return GW_OK;
    const size_t capacity = s->pending_len + bytes + PENDING_BYTES;
    uint8_t *grown = realloc(s->pending, capacity);
    if (!grown)
        return gw_error_set(error, GW_ENOMEM, 0, "no memory for the stream's append buffer");
    s->pending = grown;
    s->pending_capacity = capacity;
    return GW_OK;
}

/* The record's payload lies in place already, behind the room for its header. */
static int append(struct stream_log *s, struct gw_stream_record *record, struct gw_error *error)
{
    const size_t len = GW_STREAM_HEADER_BYTES + record->json_len;
    if (s->end.file_len > 0 && s->end.file_len + len > s->file_bytes) {
        int rc = sync_file(s, error); /* writes only what is before this record */
        if (rc == GW_OK)
            rc = begin_file(s, error);
        if (rc != GW_OK)
            return rc;
        if (record->json_len > 0)
            memmove(s->pending + GW_STREAM_HEADER_BYTES, record->json, record->json_len);
        record->json = (const char *)s->pending + GW_STREAM_HEADER_BYTES;
    }
    record->number = s->end.next_number;
    record->epoch = s->epoch;
    s->pending_len += gw_stream_record_encode(record, s->pending + s->pending_len);
    s->end.file_len += len;
    gw_stream_end_follow(&s->end, record);
    return s->pending_len >= PENDING_BYTES ? write_pending(s, error) : GW_OK;
}

static int append_event(struct stream_log *s, const struct gw_event *event, bool last, struct gw_error *error)
{
    size_t capacity = JSON_BYTES_GUESS, len;
    for (;;) {
        int rc = reserve(s, GW_STREAM_HEADER_BYTES + capacity, error);
        if (rc != GW_OK)
            return rc;
        len = gw_event_json(event, s->gateway_id,
                            (char *)s->pending + s->pending_len + GW_STREAM_HEADER_BYTES, capacity);
        if (len <= capacity)
            break;
        capacity = len;
    }
    struct gw_stream_record record = {
        .offset = event->offset,
        .index = event->index,
        .flags = last ? GW_STREAM_LAST : 0,
        .json = (const char *)s->pending + s->pending_len + GW_STREAM_HEADER_BYTES,
        .json_len = len,
    };
    s->new_events++;
    return append(s, &record, error);
}

static void log_unreadable(uint64_t offset)
{
    gw_log(GW_LOG_ERROR, "stream.entry_unreadable",
           "a journal entry cannot be decoded and is passed over; run tributaryctl journal inspect",
           GW_UINT("offset", offset));
}

/* All events of the entry from the index on that the stream does not hold yet. */
static int append_entry(struct stream_log *s, uint64_t offset, const uint8_t *entry, size_t len,
                        uint32_t from, struct gw_error *error)
{
    struct gw_event_reader reader;
    struct gw_event events[2]; /* one ahead: the last one is marked so */
    unsigned now = 0;
    int more = gw_event_reader_open(&reader, offset, entry, len);
    more = more == TRIB_OK ? gw_event_next(&reader, &events[now]) : more;
    while (more == 1) {
        more = gw_event_next(&reader, &events[now ^ 1]);
        if (events[now].index >= from) {
            int rc = append_event(s, &events[now], more != 1, error);
            if (rc != GW_OK)
                return rc;
        }
        now ^= 1;
    }
    if (more < 0)
        log_unreadable(offset);
    return GW_OK;
}

static int stream_write(void *self, uint64_t offset, const uint8_t *entry, size_t len, struct gw_error *error)
{
    struct stream_log *s = self;
    const struct gw_sink_position at = s->end.position;
    if (at.known && offset < at.next)
        return GW_OK;
    int rc = make_ready(s, error);
    if (rc != GW_OK)
        return rc;
    const uint64_t events_before = s->new_events;
    rc = append_entry(s, offset, entry, len, at.known && offset == at.next ? at.index : 0, error);
    if (rc != GW_OK)
        return rc;
    s->mark_due = s->new_events == events_before;
    s->end.position = (struct gw_sink_position){.known = true, .epoch = s->epoch, .next = offset + 1};
    return GW_OK;
}

static int stream_flush(void *self, enum gw_sink_flush how, uint64_t *out_next, uint64_t *out_events,
                        struct gw_error *error)
{
    struct stream_log *s = self;
    (void)how; /* each flush is due: events are to be seen at once */
    int rc = GW_OK;
    if (s->mark_due) {
        struct gw_stream_record mark = {.offset = s->end.position.next - 1, .flags = GW_STREAM_MARK};
        rc = reserve(s, GW_STREAM_HEADER_BYTES, error);
        if (rc == GW_OK)
            rc = append(s, &mark, error);
        if (rc != GW_OK)
            return rc;
        s->mark_due = false;
    }
    if (s->fd >= 0 && s->end.file_len != s->durable.file_len)
        rc = sync_file(s, error);
    if (rc != GW_OK)
        return rc;
    *out_next = s->durable.position.next;
    *out_events = s->new_events;
    s->new_events = 0;
    return GW_OK;
}

static void stream_close(void *self)
{
    struct stream_log *s = self;
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
    s->pending_len = 0;
}

static void stream_free(void *self)
{
    struct stream_log *s = self;
    stream_close(s);
    free(s->pending);
    free(s->folder);
    free(s->gateway_id);
    free(s);
}

int gw_stream_log_new(const struct gw_stream_log_config *config, struct gw_sink *out, struct gw_error *error)
{
    struct stream_log *s = calloc(1, sizeof *s);
    if (s) {
        s->fd = -1;
        s->folder = strdup(config->folder);
        s->gateway_id = strdup(config->gateway_id);
        s->epoch = config->epoch;
        s->file_bytes = config->file_bytes ? config->file_bytes : FILE_BYTES_DEFAULT;
    }
    if (!s || !s->folder || !s->gateway_id) {
        if (s)
            stream_free(s);
        return gw_error_set(error, GW_ENOMEM, 0, "no memory for the embedded stream");
    }
    *out = (struct gw_sink){
        .name = "stream",
        .offset_metric = GW_METRIC_STREAM_OFFSET,
        .events_metric = GW_METRIC_STREAM_EVENTS,
        .self = s,
        .open = stream_open,
        .write = stream_write,
        .flush = stream_flush,
        .close = stream_close,
        .free = stream_free,
    };
    return GW_OK;
}
