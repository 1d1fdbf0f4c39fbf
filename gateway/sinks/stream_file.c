#include "sinks/stream_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crc32c.h"

#define READ_BYTES (256u << 10)
#define NAME_DIGITS 20

static void put_le(uint8_t *out, unsigned bytes, uint64_t value)
{
    for (unsigned i = 0; i < bytes; i++)
        out[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get_le(const uint8_t *data, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = bytes; i-- > 0;)
        value = value << 8 | data[i];
    return value;
}

size_t gw_stream_record_encode(const struct gw_stream_record *record, uint8_t *out)
{
    const size_t len = GW_STREAM_HEADER_BYTES + record->json_len;
    put_le(out + 4, 4, record->json_len);
    put_le(out + 8, 8, record->number);
    put_le(out + 16, 8, record->epoch);
    put_le(out + 24, 8, record->offset);
    put_le(out + 32, 4, record->index);
    put_le(out + 36, 4, record->flags);
    if (record->json_len > 0 && record->json != (const char *)out + GW_STREAM_HEADER_BYTES)
        memcpy(out + GW_STREAM_HEADER_BYTES, record->json, record->json_len);
    put_le(out, 4, gw_crc32c(0, out + 4, len - 4));
    return len;
}

void gw_stream_file_name(uint64_t first_number, char out[GW_STREAM_NAME_BYTES])
{
    snprintf(out, GW_STREAM_NAME_BYTES, "%020" PRIu64 ".log", first_number);
}

bool gw_stream_file_parse_name(const char *name, uint64_t *out_first_number)
{
    uint64_t number = 0;
    for (unsigned i = 0; i < NAME_DIGITS; i++) {
        if (name[i] < '0' || name[i] > '9')
            return false;
        const unsigned digit = (unsigned)(name[i] - '0');
        if (number > (UINT64_MAX - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    if (strcmp(name + NAME_DIGITS, ".log") != 0)
        return false;
    *out_first_number = number;
    return true;
}

static int compare_numbers(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

int gw_stream_file_list(const char *folder, uint64_t **out_numbers, size_t *out_count, struct gw_error *error)
{
    uint64_t *numbers = NULL;
    size_t count = 0, capacity = 0;
    DIR *dir = opendir(folder);
    if (!dir && errno != ENOENT)
        return gw_error_set(error, GW_EIO, errno, "stream folder %s: cannot be listed", folder);
    int rc = GW_OK;
    const struct dirent *entry;
    while (dir && rc == GW_OK && (errno = 0, entry = readdir(dir))) {
        uint64_t number;
        if (!gw_stream_file_parse_name(entry->d_name, &number))
            continue;
        if (count == capacity) {
            capacity = capacity ? 2 * capacity : 64;
            uint64_t *grown = realloc(numbers, capacity * sizeof *numbers);
            if (!grown) {
                rc = gw_error_set(error, GW_ENOMEM, 0, "no memory to list stream folder %s", folder);
                break;
            }
            numbers = grown;
        }
        numbers[count++] = number;
    }
    if (rc == GW_OK && dir && errno != 0)
        rc = gw_error_set(error, GW_EIO, errno, "stream folder %s: cannot be listed", folder);
    if (dir)
        closedir(dir);
    if (rc != GW_OK) {
        free(numbers);
        return rc;
    }
    if (count > 1)
        qsort(numbers, count, sizeof *numbers, compare_numbers);
    *out_numbers = numbers;
    *out_count = count;
    return GW_OK;
}

void gw_stream_file_init(struct gw_stream_file *file)
{
    *file = (struct gw_stream_file){.fd = -1};
}

int gw_stream_file_open(struct gw_stream_file *file, const char *folder, uint64_t first_number,
                        struct gw_error *error)
{
    char path[PATH_MAX], name[GW_STREAM_NAME_BYTES];
    gw_stream_file_name(first_number, name);
    if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, name) >= sizeof path)
        return gw_error_set(error, GW_EINVALID, 0, "stream folder %.128s...: the path is too long", folder);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return gw_error_set(error, errno == ENOENT ? GW_ENOTFOUND : GW_EIO, errno,
                            "stream file %s: cannot be opened", path);
    if (file->fd >= 0)
        close(file->fd);
    file->fd = fd;
    file->at = 0;
    file->len = file->pos = 0;
    return GW_OK;
}

void gw_stream_file_close(struct gw_stream_file *file)
{
    if (file->fd >= 0)
        close(file->fd);
    free(file->buffer);
    gw_stream_file_init(file);
}

/* Reads until `wanted` bytes lie behind pos. 1 they do; 0 the file ends before; negative error. */
static int fill(struct gw_stream_file *file, size_t wanted, struct gw_error *error)
{
    if (file->len - file->pos >= wanted)
        return 1;
    if (file->pos > 0) {
        memmove(file->buffer, file->buffer + file->pos, file->len - file->pos);
        file->at += file->pos;
        file->len -= file->pos;
        file->pos = 0;
    }
    const size_t room = wanted > READ_BYTES ? wanted : READ_BYTES;
    if (file->capacity < room) {
        uint8_t *grown = realloc(file->buffer, room);
        if (!grown)
            return gw_error_set(error, GW_ENOMEM, 0, "no memory to read the stream");
        file->buffer = grown;
        file->capacity = room;
    }
    while (file->len < wanted) {
        ssize_t n = pread(file->fd, file->buffer + file->len, file->capacity - file->len,
                          (off_t)(file->at + file->len));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return gw_error_set(error, GW_EIO, errno, "a stream file cannot be read");
        if (n == 0)
            return 0;
        file->len += (size_t)n;
    }
    return 1;
}

int gw_stream_file_next(struct gw_stream_file *file, struct gw_stream_record *out, struct gw_error *error)
{
    int rc = fill(file, GW_STREAM_HEADER_BYTES, error);
    if (rc != 1)
        return rc;
    /* The flags are looked at first: they tell most places that are no header without a CRC over them. */
    const size_t payload = (size_t)get_le(file->buffer + file->pos + 4, 4);
    if (payload > GW_STREAM_PAYLOAD_MAX ||
        get_le(file->buffer + file->pos + 36, 4) > (GW_STREAM_LAST | GW_STREAM_MARK))
        return gw_error_set(error, GW_EDAMAGED, 0, "a stream file is damaged at byte %" PRIu64,
                            gw_stream_file_position(file));
    rc = fill(file, GW_STREAM_HEADER_BYTES + payload, error);
    if (rc != 1)
        return rc;
    const uint8_t *record = file->buffer + file->pos;
    if (get_le(record, 4) != gw_crc32c(0, record + 4, GW_STREAM_HEADER_BYTES - 4 + payload))
        return gw_error_set(error, GW_EDAMAGED, 0, "a stream file is damaged at byte %" PRIu64,
                            gw_stream_file_position(file));
    *out = (struct gw_stream_record){
        .number = get_le(record + 8, 8),
        .epoch = get_le(record + 16, 8),
        .offset = get_le(record + 24, 8),
        .index = (uint32_t)get_le(record + 32, 4),
        .flags = (uint32_t)get_le(record + 36, 4),
        .json = (const char *)record + GW_STREAM_HEADER_BYTES,
        .json_len = payload,
    };
    file->pos += GW_STREAM_HEADER_BYTES + payload;
    return 1;
}

uint64_t gw_stream_file_position(const struct gw_stream_file *file)
{
    return file->at + file->pos;
}

int gw_stream_file_resync(struct gw_stream_file *file, struct gw_error *error)
{
    for (;;) {
        int rc = fill(file, GW_STREAM_HEADER_BYTES + 1, error);
        if (rc != 1)
            return rc;
        file->pos++;
        const uint64_t tried = gw_stream_file_position(file);
        struct gw_stream_record record;
        rc = gw_stream_file_next(file, &record, error);
        if (rc == 1) {
            file->pos -= GW_STREAM_HEADER_BYTES + record.json_len;
            return 1;
        }
        if (rc < 0 && rc != GW_EDAMAGED)
            return rc;
        if (gw_stream_file_position(file) != tried)
            return gw_error_set(error, GW_EDAMAGED, 0, "a stream file moved while it was read");
    }
}
