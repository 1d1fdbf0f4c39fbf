#include "lake/commit_log.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"

#define LOG_NAME "_commits.log"
#define LOG_BYTES_KEPT (1u << 20) /* beyond it the log is written anew with its last line */
#define LOG_BYTES_MAX (1u << 30)
#define CRC_DIGITS 8

static int io_error(struct gw_error *error, const char *path, const char *what)
{
    const int saved = errno;
    return gw_error_set(error, saved == ENOSPC || saved == EDQUOT ? GW_EFULL : GW_EIO, saved, "lake: %s %s",
                        path, what);
}

int gw_lake_write_file(const char *path, int flags, const void *data, size_t len, struct gw_error *error)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0640);
    if (fd < 0)
        return io_error(error, path, "cannot be opened");
    const char *at = data;
    int rc = GW_OK;
    while (rc == GW_OK && len > 0) {
        ssize_t n = write(fd, at, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            rc = io_error(error, path, "cannot be written");
        at += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    if (rc == GW_OK && fsync(fd) != 0)
        rc = io_error(error, path, "cannot be synced");
    close(fd);
    return rc;
}

int gw_lake_sync_folder(const char *path, struct gw_error *error)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd < 0 || fsync(fd) != 0 ? io_error(error, path, "cannot be synced") : GW_OK;
    if (fd >= 0)
        close(fd);
    return rc;
}

void gw_lake_intent_free(struct gw_lake_intent *intent)
{
    for (size_t i = 0; i < intent->file_count; i++) {
        free(intent->files[i].temporary);
        free(intent->files[i].final);
    }
    free(intent->files);
    *intent = (struct gw_lake_intent){0};
}

void gw_lake_log_free(struct gw_lake_log *log)
{
    free(log->path);
    gw_lake_intent_free(&log->last);
    *log = (struct gw_lake_log){0};
}

/* --- reading --- */

/* Names come from a file: they must stay within the lake's folder. */
static bool safe_name(const cJSON *name)
{
    return cJSON_IsString(name) && name->valuestring[0] != '\0' && name->valuestring[0] != '/' &&
           !strstr(name->valuestring, "..");
}

static bool parse_files(const cJSON *files, struct gw_lake_intent *intent)
{
    const int count = cJSON_GetArraySize(files);
    intent->files = calloc((size_t)count + 1, sizeof *intent->files);
    if (!cJSON_IsArray(files) || !intent->files)
        return false;
    const cJSON *pair;
    cJSON_ArrayForEach(pair, files)
    {
        const cJSON *temporary = cJSON_GetArrayItem(pair, 0), *final = cJSON_GetArrayItem(pair, 1);
        if (!safe_name(temporary) || !safe_name(final))
            return false;
        struct gw_lake_file *file = &intent->files[intent->file_count++];
        file->temporary = strdup(temporary->valuestring);
        file->final = strdup(final->valuestring);
        if (!file->temporary || !file->final)
            return false;
    }
    return true;
}

static bool parse_number(const cJSON *item, uint64_t *out)
{
    if (!cJSON_IsNumber(item) || item->valuedouble < 0 || item->valuedouble > 9007199254740992.0)
        return false;
    *out = (uint64_t)item->valuedouble;
    return true;
}

static bool parse_intent(const char *text, size_t len, struct gw_lake_intent *out)
{
    struct gw_lake_intent intent = {0};
    cJSON *root = cJSON_ParseWithLength(text, len);
    const cJSON *epoch = cJSON_GetObjectItemCaseSensitive(root, "epoch");
    char *end = NULL;
    bool good = cJSON_IsString(epoch) && strlen(epoch->valuestring) == 16;
    if (good)
        intent.epoch = strtoull(epoch->valuestring, &end, 16);
    good = good && end && *end == '\0' &&
           parse_number(cJSON_GetObjectItemCaseSensitive(root, "from"), &intent.from) &&
           parse_number(cJSON_GetObjectItemCaseSensitive(root, "to"), &intent.to) &&
           intent.from <= intent.to && parse_files(cJSON_GetObjectItemCaseSensitive(root, "files"), &intent);
    cJSON_Delete(root);
    if (!good) {
        gw_lake_intent_free(&intent);
        return false;
    }
    *out = intent;
    return true;
}

/* One line without its end. */
static bool parse_line(const char *line, size_t len, struct gw_lake_intent *out)
{
    if (len < CRC_DIGITS + 2 || line[CRC_DIGITS] != ' ')
        return false;
    char digits[CRC_DIGITS + 1], *end;
    memcpy(digits, line, CRC_DIGITS);
    digits[CRC_DIGITS] = '\0';
    const unsigned long crc = strtoul(digits, &end, 16);
    const char *json = line + CRC_DIGITS + 1;
    const size_t json_len = len - CRC_DIGITS - 1;
    return *end == '\0' && crc == gw_crc32c(0, json, json_len) && parse_intent(json, json_len, out);
}

/* A line holds all that is needed, so a damaged one costs nothing when a later one is whole. */
static int parse_log(struct gw_lake_log *log, const char *data, size_t len, struct gw_error *error)
{
    bool lines = false;
    size_t at = 0;
    while (at < len) {
        const char *newline = memchr(data + at, '\n', len - at);
        if (!newline)
            break;
        const size_t line_len = (size_t)(newline - (data + at));
        struct gw_lake_intent intent;
        lines = true;
        if (parse_line(data + at, line_len, &intent)) {
            gw_lake_intent_free(&log->last);
            log->last = intent;
            log->any = true;
            log->len = at + line_len + 1;
        }
        at += line_len + 1;
    }
    if (lines && !log->any)
        return gw_error_set(
            error, GW_EDAMAGED, 0,
            "lake: none of the lines of %s is whole: restore it, or move the lake's folder aside to "
            "deliver again what the journal still has",
            log->path);
    return GW_OK;
}

static int load(const char *path, char **out_data, size_t *out_len, struct gw_error *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return GW_OK;
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0 || st.st_size > LOG_BYTES_MAX) {
        int rc = io_error(error, path, "cannot be read");
        if (fd >= 0)
            close(fd);
        return rc;
    }
    int rc = GW_OK;
    size_t len = 0;
    char *data = malloc((size_t)st.st_size + 1);
    if (!data)
        rc = gw_error_set(error, GW_ENOMEM, 0, "no memory to read %s", path);
    while (rc == GW_OK && len < (size_t)st.st_size) {
        ssize_t n = read(fd, data + len, (size_t)st.st_size - len);
        if (n < 0)
            rc = io_error(error, path, "cannot be read");
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    close(fd);
    if (rc != GW_OK) {
        free(data);
        return rc;
    }
    *out_data = data;
    *out_len = len;
    return GW_OK;
}

int gw_lake_log_read(const char *folder, struct gw_lake_log *out, struct gw_error *error)
{
    struct gw_lake_log log = {0};
    log.path = malloc(strlen(folder) + sizeof "/" LOG_NAME);
    if (!log.path)
        return gw_error_set(error, GW_ENOMEM, 0, "no memory for the lake's commit log");
    sprintf(log.path, "%s/%s", folder, LOG_NAME);
    char *data = NULL;
    size_t len = 0;
    int rc = load(log.path, &data, &len, error);
    if (rc == GW_OK && data)
        rc = parse_log(&log, data, len, error);
    free(data);
    if (rc != GW_OK) {
        gw_lake_log_free(&log);
        return rc;
    }
    *out = log;
    return GW_OK;
}

/* --- writing --- */

static char *print_line(const struct gw_lake_intent *intent)
{
    char epoch[17];
    snprintf(epoch, sizeof epoch, "%016" PRIx64, intent->epoch);
    cJSON *root = cJSON_CreateObject(), *files = cJSON_CreateArray();
    cJSON_AddStringToObject(root, "epoch", epoch);
    cJSON_AddNumberToObject(root, "from", (double)intent->from);
    cJSON_AddNumberToObject(root, "to", (double)intent->to);
    for (size_t i = 0; i < intent->file_count; i++) {
        const char *const names[2] = {intent->files[i].temporary, intent->files[i].final};
        cJSON_AddItemToArray(files, cJSON_CreateStringArray(names, 2));
    }
    cJSON_AddItemToObject(root, "files", files);
    char *json = cJSON_PrintUnformatted(root), *line = NULL;
    cJSON_Delete(root);
    const size_t len = json ? strlen(json) : 0;
    if (json)
        line = malloc(len + CRC_DIGITS + 3);
    if (line)
        sprintf(line, "%08" PRIx32 " %s\n", gw_crc32c(0, json, len), json);
    cJSON_free(json);
    return line;
}

/* The log with one line only, in one step. */
static int write_anew(const struct gw_lake_log *log, const char *line, size_t len, struct gw_error *error)
{
    char path[PATH_MAX], folder[PATH_MAX];
    const int folder_len = (int)(strlen(log->path) - strlen("/" LOG_NAME));
    if (snprintf(path, sizeof path, "%s.new", log->path) >= (int)sizeof path)
        return gw_error_set(error, GW_EINVALID, 0, "lake: the path %.128s... is too long", log->path);
    snprintf(folder, sizeof folder, "%.*s", folder_len, log->path);
    int rc = gw_lake_write_file(path, O_TRUNC, line, len, error);
    if (rc == GW_OK && rename(path, log->path) != 0)
        rc = io_error(error, log->path, "cannot be replaced");
    return rc == GW_OK ? gw_lake_sync_folder(folder, error) : rc;
}

int gw_lake_log_settle(struct gw_lake_log *log, struct gw_error *error)
{
    if (!log->any)
        return GW_OK; /* a first append that was torn is replaced by the next one */
    char *line = print_line(&log->last);
    if (!line)
        return gw_error_set(error, GW_ENOMEM, 0, "no memory for the lake's commit log");
    const size_t len = strlen(line);
    int rc = write_anew(log, line, len, error);
    free(line);
    if (rc == GW_OK)
        log->len = len;
    return rc;
}

int gw_lake_log_append(struct gw_lake_log *log, struct gw_lake_intent *intent, struct gw_error *error)
{
    char *line = print_line(intent);
    if (!line)
        return gw_error_set(error, GW_ENOMEM, 0, "no memory for the lake's commit log");
    const size_t len = strlen(line);
    const bool anew = log->len == 0 || log->len + len > LOG_BYTES_KEPT;
    int rc =
        anew ? write_anew(log, line, len, error) : gw_lake_write_file(log->path, O_APPEND, line, len, error);
    free(line);
    if (rc != GW_OK)
        return rc;
    log->len = anew ? len : log->len + len;
    log->any = true;
    gw_lake_intent_free(&log->last);
    log->last = *intent;
    *intent = (struct gw_lake_intent){0};
    return GW_OK;
}
