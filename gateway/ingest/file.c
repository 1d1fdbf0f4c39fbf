#include "ingest/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static int read_all(FILE *file, size_t most, char **out, size_t *out_len)
{
    size_t capacity = 4096, len = 0;
    char *text = malloc(capacity);
    while (text) {
        len += fread(text + len, 1, capacity - len, file);
        if (len < capacity || capacity > most)
            break;
        char *grown = realloc(text, capacity *= 2);
        if (!grown)
            free(text);
        text = grown;
    }
    if (!text)
        return GW_ENOMEM;
    if (ferror(file) || len > most) {
        free(text);
        return GW_EIO;
    }
    *out = text;
    *out_len = len;
    return GW_OK;
}

int gw_file_read(const char *key, const char *path, size_t most, char **out, size_t *out_len,
                 struct gw_error *error)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return gw_error_set(error, GW_EIO, errno, "%s: cannot open %s", key, path);
    int result = read_all(file, most, out, out_len);
    (void)fclose(file);
    if (result == GW_ENOMEM)
        return gw_error_set(error, GW_ENOMEM, 0, "out of memory");
    if (result != GW_OK)
        return gw_error_set(error, GW_EIO, 0, "%s: cannot read %s, or it is larger than %zu MiB", key, path,
                            most >> 20);
    return GW_OK;
}
