#include "ingest/deny.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/device_id.h"
#include "ingest/file.h"

struct gw_deny {
    char *text; /* a copy, with each id terminated */
    const char **devices;
    size_t count;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Takes one line, already terminated, apart. The id in it, or NULL when there is none. */
static char *id_in(char *line)
{
    line[strcspn(line, "#\r")] = 0;
    while (isspace((unsigned char)*line))
        line++;
    size_t len = strlen(line);
    while (len > 0 && isspace((unsigned char)line[len - 1]))
        line[--len] = 0;
    return len > 0 ? line : NULL;
}

static int take_lines(struct gw_deny *deny, size_t len, struct gw_error *error)
{
    size_t number = 0;
    for (char *line = deny->text, *end = line + len, *next; line < end; line = next) {
        char *newline = memchr(line, '\n', (size_t)(end - line));
        next = newline ? newline + 1 : end;
        number++;
        if (memchr(line, 0, (size_t)((newline ? newline : end) - line)))
            return gw_error_set(error, GW_EINVALID, 0, "line %zu holds a zero byte", number);
        *(newline ? newline : end) = 0;
        char *id = id_in(line);
        if (!id)
            continue;
        if (!gw_device_id_valid(id, strlen(id)))
            return gw_error_set(error, GW_EINVALID, 0, "line %zu is not a device id", number);
        deny->devices[deny->count++] = id;
    }
    qsort(deny->devices, deny->count, sizeof *deny->devices, by_name);
    return GW_OK;
}

int gw_deny_parse(const char *text, size_t len, struct gw_deny **out, struct gw_error *error)
{
    size_t lines = 1;
    for (size_t i = 0; i < len; i++)
        lines += text[i] == '\n';
    struct gw_deny *deny = calloc(1, sizeof *deny);
    if (deny) {
        deny->text = malloc(len + 1);
        deny->devices = malloc(lines * sizeof *deny->devices);
    }
    if (!deny || !deny->text || !deny->devices) {
        gw_deny_free(deny);
        return gw_error_set(error, GW_ENOMEM, 0, "out of memory");
    }
    if (len > 0)
        memcpy(deny->text, text, len);
    deny->text[len] = 0;
    int result = take_lines(deny, len, error);
    if (result != GW_OK) {
        gw_deny_free(deny);
        return result;
    }
    *out = deny;
    return GW_OK;
}

int gw_deny_load(const char *path, struct gw_deny **out, struct gw_error *error)
{
    char *text = NULL;
    size_t len = 0;
    int result = gw_file_read("auth.deny", path, GW_DENY_FILE_MAX, &text, &len, error);
    if (result != GW_OK)
        return result;
    struct gw_error inner = {0};
    result = gw_deny_parse(text, len, out, &inner);
    free(text);
    return result == GW_OK ? GW_OK : gw_error_set(error, result, 0, "auth.deny: %s: %s", path, inner.text);
}

void gw_deny_free(struct gw_deny *deny)
{
    if (!deny)
        return;
    free(deny->text);
    free(deny->devices);
    free(deny);
}

bool gw_deny_has(const struct gw_deny *deny, const char *device)
{
    return deny && bsearch(&device, deny->devices, deny->count, sizeof *deny->devices, by_name);
}

size_t gw_deny_count(const struct gw_deny *deny)
{
    return deny ? deny->count : 0;
}
