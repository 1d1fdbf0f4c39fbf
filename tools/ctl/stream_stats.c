/* tributaryctl stream stats: one pass over the stream. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "config/units.h"
#include "fields.h"
#include "stream.h"

#define TYPES_MAX 256 /* further ones are counted together */
#define TIME_MAX 32

struct type_count {
    char name[64];
    uint64_t events, bytes;
};

struct totals {
    struct type_count types[TYPES_MAX];
    size_t type_count;
    uint64_t events, bytes;
    char first[TIME_MAX], last[TIME_MAX]; /* RFC 3339 in UTC: they sort as text */
    uint64_t *devices;                    /* open addressing, hashes; 0: free */
    size_t device_count, device_places;
    bool out_of_memory;
};

static uint64_t hash(const char *bytes, size_t len)
{
    uint64_t h = 14695981039346656037U;
    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)bytes[i]) * 1099511628211U;
    return h ? h : 1;
}

/* True if it was not there. */
static bool put(uint64_t *places, size_t count, uint64_t key)
{
    size_t i = key & (count - 1);
    while (places[i] && places[i] != key)
        i = (i + 1) & (count - 1);
    bool added = places[i] == 0;
    places[i] = key;
    return added;
}

static void count_device(struct totals *t, const struct ctl_field *device)
{
    if (t->device_count * 2 >= t->device_places) {
        size_t places = t->device_places ? t->device_places * 2 : 1024;
        uint64_t *larger = calloc(places, sizeof *larger);
        if (!larger) {
            t->out_of_memory = true;
            return;
        }
        for (size_t i = 0; i < t->device_places; i++)
            if (t->devices[i])
                (void)put(larger, places, t->devices[i]);
        free(t->devices);
        t->devices = larger;
        t->device_places = places;
    }
    t->device_count += put(t->devices, t->device_places, hash(device->value, device->value_len));
}

static struct type_count *type_of(struct totals *t, const struct ctl_field *type)
{
    size_t len = type->value_len < sizeof t->types[0].name ? type->value_len : sizeof t->types[0].name - 1;
    for (size_t i = 0; i < t->type_count; i++)
        if (strlen(t->types[i].name) == len && memcmp(t->types[i].name, type->value, len) == 0)
            return &t->types[i];
    if (t->type_count == TYPES_MAX)
        return &t->types[TYPES_MAX - 1];
    struct type_count *added = &t->types[t->type_count++];
    memcpy(added->name, type->value, len);
    for (size_t i = 0; i < len; i++) /* it goes to a terminal */
        if ((unsigned char)added->name[i] < 0x20 || added->name[i] == 0x7f)
            added->name[i] = '?';
    if (t->type_count == TYPES_MAX)
        strcpy(added->name, "(others)");
    return added;
}

static void count_time(struct totals *t, const struct ctl_field *time)
{
    char text[TIME_MAX] = "";
    if (time->value_len >= sizeof text)
        return;
    memcpy(text, time->value, time->value_len);
    if (!*t->first || strcmp(text, t->first) < 0)
        strcpy(t->first, text);
    if (strcmp(text, t->last) > 0)
        strcpy(t->last, text);
}

static void count_record(struct totals *t, const struct gw_stream_record *record)
{
    struct ctl_fields fields;
    struct ctl_field field;
    t->events++;
    t->bytes += record->json_len;
    if (!ctl_fields_open(record->json, record->json_len, &fields))
        return;
    while (ctl_fields_next(&fields, &field)) {
        if (field.name_len == 4 && memcmp(field.name, "type", 4) == 0) {
            struct type_count *type = type_of(t, &field);
            type->events++;
            type->bytes += record->json_len;
        } else if (field.name_len == 4 && memcmp(field.name, "time", 4) == 0) {
            count_time(t, &field);
        } else if (field.name_len == 6 && memcmp(field.name, "device", 6) == 0) {
            count_device(t, &field);
        }
    }
}

static int by_events(const void *a, const void *b)
{
    const struct type_count *x = a, *y = b;
    return x->events != y->events ? (x->events < y->events ? 1 : -1) : strcmp(x->name, y->name);
}

static void print_text(const struct ctl *ctl, const struct totals *t, const struct gw_stream_info *info,
                       const char *folder)
{
    char a[CTL_NUMBER_MAX], b[CTL_NUMBER_MAX], size[GW_UNITS_TEXT_MAX];
    printf("%s%s%s\n", ctl_bold(ctl), folder, ctl_plain(ctl));
    printf("  %-10s %s in %" PRIu64 " file%s, %s\n", "events", ctl_grouped(t->events, a), info->files,
           info->files == 1 ? "" : "s", gw_units_size_about(info->bytes, size));
    if (t->events == 0)
        return;
    printf("  %-10s %s to %s\n", "numbers", ctl_grouped(info->first_number, a),
           ctl_grouped(info->next_number - 1, b));
    printf("  %-10s %s\n", "devices", ctl_grouped(t->device_count, a));
    printf("  %-10s %s to %s\n", "time", t->first, t->last);
    printf("\n%s  %-28s %14s %7s %12s%s\n", ctl_dim(ctl), "TYPE", "EVENTS", "SHARE", "BYTES EACH",
           ctl_plain(ctl));
    for (size_t i = 0; i < t->type_count; i++) {
        const struct type_count *type = &t->types[i];
        printf("  %-28s %14s %6.1f%% %12" PRIu64 "\n", type->name, ctl_grouped(type->events, a),
               100.0 * (double)type->events / (double)t->events, type->bytes / type->events);
    }
}

static int print_json(const struct totals *t, const struct gw_stream_info *info)
{
    cJSON *tree = cJSON_CreateObject();
    (void)cJSON_AddNumberToObject(tree, "events", (double)t->events);
    (void)cJSON_AddNumberToObject(tree, "event_bytes", (double)t->bytes);
    (void)cJSON_AddNumberToObject(tree, "files", (double)info->files);
    (void)cJSON_AddNumberToObject(tree, "file_bytes", (double)info->bytes);
    (void)cJSON_AddNumberToObject(tree, "first_number", (double)info->first_number);
    (void)cJSON_AddNumberToObject(tree, "next_number", (double)info->next_number);
    (void)cJSON_AddNumberToObject(tree, "devices", (double)t->device_count);
    (void)cJSON_AddStringToObject(tree, "first_time", t->first);
    (void)cJSON_AddStringToObject(tree, "last_time", t->last);
    cJSON *types = cJSON_AddObjectToObject(tree, "types");
    for (size_t i = 0; i < t->type_count; i++)
        (void)cJSON_AddNumberToObject(types, t->types[i].name, (double)t->types[i].events);
    int rc = ctl_print_json(tree);
    cJSON_Delete(tree);
    return rc;
}

int stream_stats(const struct ctl *ctl, const struct stream_options *options)
{
    struct gw_stream_info info;
    struct gw_stream_reader *reader;
    struct gw_stream_record record;
    struct gw_error error;
    if (gw_stream_info_get(options->folder, &info, &error) != GW_OK ||
        gw_stream_reader_open(options->folder, options->from, &reader, &error) != GW_OK)
        return ctl_fail(CTL_FAILED, "%s", error.text);
    struct totals *t = calloc(1, sizeof *t);
    int rc = t ? 1 : 0;
    while (rc == 1 && t->events < options->limit &&
           (rc = gw_stream_reader_next(reader, &record, &error)) == 1)
        if (stream_wanted(options, &record))
            count_record(t, &record);
    int code = stream_finish(reader, rc, &error);
    if (!t || t->out_of_memory) {
        code = ctl_fail(CTL_FAILED, "out of memory");
    } else if (code == CTL_OK || code == CTL_BAD) {
        qsort(t->types, t->type_count, sizeof t->types[0], by_events);
        if (ctl->json)
            (void)print_json(t, &info);
        else
            print_text(ctl, t, &info, options->folder);
    }
    if (t)
        free(t->devices);
    free(t);
    return code;
}
