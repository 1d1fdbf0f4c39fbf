#include "schema/registry_files.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"

/* A new folder's name is durable once its parent was synced. */
int gw_files_make_folder(const char *path)
{
    if (gw_path_exists(path))
        return 0;
    int rc = gw_folder_make(path, 0750);
    return rc == 0 ? gw_folder_sync(gw_path_parent(path).text) : rc;
}

int gw_files_read(const char *path, size_t most, char **out_text, size_t *out_len)
{
    FILE *file = fopen(path, "rbe");
    if (!file)
        return errno == ENOENT ? GW_ENOTFOUND : gw_error_of_errno(errno);
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
