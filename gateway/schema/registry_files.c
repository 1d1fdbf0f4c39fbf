#include "schema/registry_files.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"

int gw_files_error(int errno_value)
{
    switch (errno_value) {
    case ENOENT:
        return GW_ENOTFOUND;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return GW_EFULL;
    case ENOMEM:
        return GW_ENOMEM;
    case EACCES:
    case EPERM:
    case EROFS:
    case ENOTDIR:
    case EISDIR:
    case ENAMETOOLONG:
        return GW_EINVALID;
    default:
        return GW_EIO;
    }
}

static int sync_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno;
#ifdef GW_MUTANT_NOSYNC
    int rc = 0;
#else
    int rc = fsync(fd) != 0 ? errno : 0;
#endif
    (void)close(fd);
    return rc;
}

/* A new folder's name is durable once its parent was synced. */
int gw_files_make_folder(const char *path)
{
    char parent[PATH_MAX];
    if (mkdir(path, 0750) != 0)
        return errno == EEXIST ? 0 : errno;
    (void)snprintf(parent, sizeof parent, "%s", path);
    char *slash = strrchr(parent, '/');
    if (!slash)
        return sync_folder(".");
    slash[slash == parent] = '\0';
    return sync_folder(parent);
}

static int write_all(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, text, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? errno : EIO;
        text += n;
        len -= (size_t)n;
    }
#ifdef GW_MUTANT_NOSYNC
    return 0;
#else
    return fsync(fd) != 0 ? errno : 0;
#endif
}

int gw_files_write(const char *folder, const char *name, const char *text, size_t len)
{
    char path[PATH_MAX], aside[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/%s", folder, name);
    if (n < 0 || (size_t)n + 5 >= sizeof path)
        return ENAMETOOLONG;
    (void)snprintf(aside, sizeof aside, "%s/.%s.new", folder, name);
    int fd = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0)
        return errno;
    int rc = write_all(fd, text, len);
    if (close(fd) != 0 && rc == 0)
        rc = errno;
    if (rc == 0 && rename(aside, path) != 0)
        rc = errno;
    return rc == 0 ? sync_folder(folder) : rc;
}

int gw_files_read(const char *path, size_t most, char **out_text, size_t *out_len)
{
    FILE *file = fopen(path, "rbe");
    if (!file)
        return gw_files_error(errno);
    char *text = malloc(most + 2);
    size_t len = text ? fread(text, 1, most + 1, file) : 0;
    int rc = !text ? GW_ENOMEM : ferror(file) ? GW_EIO : len > most ? GW_ELIMIT : 0;
    (void)fclose(file);
    if (rc != 0) {
        free(text);
        return rc;
    }
    text[len] = '\0';
    *out_text = text;
    *out_len = len;
    return 0;
}

/* --- one change as a file ---
 *
 * tributary-schema 1 CRC32C\n      of all bytes behind this line
 * EVENT VERSION ID MILLISECONDS VALUE LENGTH SHA256 SUBJECT\n     ("-" for the whole registry)
 * the schema as it was registered, and \n
 */
#define TITLE "tributary-schema 1 "

int gw_record_write(const struct gw_schemas_record *record, char **out_text, size_t *out_len)
{
    char hash[GW_SCHEMA_HASH_TEXT], head[512], title[64];
    int head_len =
        snprintf(head, sizeof head, "%d %u %u %" PRId64 " %u %zu %s %s\n", (int)record->event,
                 record->version, record->id, record->registered_ms, record->value, record->text_len,
                 gw_schema_hash_text(&record->hash, hash), *record->subject ? record->subject : "-");
    uint32_t crc = gw_crc32c(0, head, (size_t)head_len);
    crc = gw_crc32c(crc, record->text, record->text_len);
    crc = gw_crc32c(crc, "\n", 1);
    int title_len = snprintf(title, sizeof title, TITLE "%08x\n", crc);
    const size_t len = (size_t)title_len + (size_t)head_len + record->text_len + 1;
    char *text = malloc(len + 1), *at = text;
    if (!text)
        return GW_ENOMEM;
    at = (char *)memcpy(at, title, (size_t)title_len) + title_len;
    at = (char *)memcpy(at, head, (size_t)head_len) + head_len;
    if (record->text_len > 0)
        memcpy(at, record->text, record->text_len);
    memcpy(at + record->text_len, "\n", 2);
    *out_text = text;
    *out_len = len;
    return 0;
}

static int read_hash(const char *text, struct gw_schema_hash *out)
{
    for (size_t i = 0; i < sizeof out->bytes; i++) {
        char pair[3] = {text[2 * i], text[2 * i] ? text[2 * i + 1] : '\0', '\0'}, *end;
        out->bytes[i] = (uint8_t)strtoul(pair, &end, 16);
        if (end != pair + 2)
            return GW_EDAMAGED;
    }
    return 0;
}

int gw_record_read(const char *text, size_t len, struct gw_record_memory *memory,
                   struct gw_schemas_record *out)
{
    const size_t title_len = sizeof TITLE - 1 + 9;
    char hash[GW_SCHEMA_HASH_TEXT];
    struct gw_schemas_record record = {.subject = memory->subject};
    unsigned event, crc;
    int head = 0;
    if (len < title_len || memcmp(text, TITLE, sizeof TITLE - 1) != 0 ||
        sscanf(text + sizeof TITLE - 1, "%8x", &crc) != 1 || text[title_len - 1] != '\n')
        return GW_EDAMAGED;
    if (gw_crc32c(0, text + title_len, len - title_len) != crc)
        return GW_EDAMAGED;
    if (sscanf(text + title_len, "%u %u %u %" SCNd64 " %u %zu %64s %128s%n", &event, &record.version,
               &record.id, &record.registered_ms, &record.value, &record.text_len, hash, memory->subject,
               &head) != 8)
        return GW_EDAMAGED;
    record.text = text + title_len + head + 1;
    if (text[title_len + (size_t)head] != '\n' || strlen(hash) != GW_SCHEMA_HASH_TEXT - 1 ||
        record.text_len > len || title_len + (size_t)head + 2 + record.text_len != len)
        return GW_EDAMAGED;
    if (strcmp(memory->subject, "-") == 0)
        memory->subject[0] = '\0';
    record.event = (enum gw_schemas_event)event;
    int rc = read_hash(hash, &record.hash);
    if (rc == 0)
        *out = record;
    return rc;
}
