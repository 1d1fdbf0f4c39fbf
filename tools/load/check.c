/*
 * tributary-load check: is each obligation in the gateway's stream, exactly once and in order?
 * Per (device, stream) it keeps one byte a seq: promised, rejected, seen.
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "generator.h"
#include "obligations.h"

#define SEQ_MAX (1u << 28)
#define TOLD_MAX 10

enum { PROMISED = 1, REJECTED = 2, SEEN = 4 };

struct stream {
    char *device;
    uint64_t stream, last_seq;
    uint8_t *marks; /* by seq */
    size_t cap;
    struct stream *next;
};

struct device {
    char *name;
    uint64_t untold; /* rejected, and which is not known */
    uint64_t missing;
    struct device *next;
};

struct book {
    struct stream **slots;
    size_t slot_count, stream_count;
    struct device *devices;
    uint64_t at; /* obligations of a later position do not count */
    uint64_t promised, rejected, seen, missing, duplicates, disorder, extra, told;
};

static void *must(void *memory)
{
    if (!memory) {
        fputs("tributary-load: out of memory\n", stderr);
        exit(1);
    }
    return memory;
}

static uint64_t hash(const char *device, uint64_t stream)
{
    for (; *device; device++)
        stream = load_mix(stream, (unsigned char)*device);
    return stream;
}

static void grow(struct book *b)
{
    size_t count = b->slot_count ? b->slot_count * 2 : 1024;
    struct stream **slots = must(calloc(count, sizeof(struct stream *)));

    for (size_t i = 0; i < b->slot_count; i++) {
        for (struct stream *s = b->slots[i], *next; s; s = next) {
            next = s->next;
            size_t at = hash(s->device, s->stream) % count;
            s->next = slots[at];
            slots[at] = s;
        }
    }
    free(b->slots);
    b->slots = slots;
    b->slot_count = count;
}

static struct stream *find(struct book *b, const char *device, uint64_t stream)
{
    if (b->stream_count >= b->slot_count)
        grow(b);
    size_t at = hash(device, stream) % b->slot_count;
    for (struct stream *s = b->slots[at]; s; s = s->next)
        if (s->stream == stream && strcmp(s->device, device) == 0)
            return s;
    struct stream *s = must(calloc(1, sizeof *s));
    s->device = must(strdup(device));
    s->stream = stream;
    s->next = b->slots[at];
    b->slots[at] = s;
    b->stream_count++;
    return s;
}

static struct device *find_device(struct book *b, const char *name)
{
    for (struct device *d = b->devices; d; d = d->next)
        if (strcmp(d->name, name) == 0)
            return d;
    struct device *d = must(calloc(1, sizeof *d));
    d->name = must(strdup(name));
    d->next = b->devices;
    b->devices = d;
    return d;
}

static uint8_t *mark(struct stream *s, uint64_t seq)
{
    if (seq >= s->cap) {
        size_t cap = s->cap ? s->cap : 256;
        while (cap <= seq)
            cap *= 2;
        s->marks = must(realloc(s->marks, cap));
        memset(s->marks + s->cap, 0, cap - s->cap);
        s->cap = cap;
    }
    return &s->marks[seq];
}

/* --- obligations --- */

static bool take_rejected(struct book *b, const char *line)
{
    char device[128];
    uint64_t stream, seq, count;

    if (sscanf(line, "rejected-more %127s %" SCNu64, device, &count) == 2) {
        find_device(b, device)->untold += count;
        b->rejected += count;
        return true;
    }
    if (sscanf(line, "rejected %127s %" SCNx64 " %" SCNu64, device, &stream, &seq) != 3 || seq >= SEQ_MAX)
        return false;
    *mark(find(b, device, stream), seq) |= REJECTED;
    b->rejected++;
    return true;
}

static bool take_obligation(struct book *b, const char *line)
{
    char device[128];
    uint64_t stream, first, last, position = 0;

    if (strncmp(line, "rejected", 8) == 0)
        return take_rejected(b, line);
    int got = sscanf(line, "%127s %" SCNx64 " %" SCNu64 " %" SCNu64 " %" SCNu64, device, &stream, &first,
                     &last, &position);
    if (got == 3)
        last = first;
    if (got < 3 || first > last || last >= SEQ_MAX)
        return false;
    if (position > b->at)
        return true;
    struct stream *s = find(b, device, stream);
    for (uint64_t seq = first; seq <= last; seq++) {
        uint8_t *m = mark(s, seq);
        b->promised += !(*m & PROMISED);
        *m |= PROMISED;
    }
    return true;
}

/* --- the stream --- */

static void tell(struct book *b, const char *what, const struct stream *s, uint64_t seq)
{
    if (b->told++ < TOLD_MAX)
        fprintf(stderr, "%s: %s/%016" PRIx64 "/%" PRIu64 "\n", what, s->device, s->stream, seq);
}

static bool take_event(struct book *b, const char *line)
{
    cJSON *event = cJSON_Parse(line);
    const cJSON *device = cJSON_GetObjectItemCaseSensitive(event, "device");
    const cJSON *stream = cJSON_GetObjectItemCaseSensitive(event, "stream");
    const cJSON *number = cJSON_GetObjectItemCaseSensitive(event, "seq");
    bool good = cJSON_IsString(device) && cJSON_IsString(stream) && cJSON_IsNumber(number) &&
                number->valuedouble >= 1 && number->valuedouble < SEQ_MAX;

    if (good) {
        struct stream *s = find(b, device->valuestring, strtoull(stream->valuestring, NULL, 16));
        uint64_t seq = (uint64_t)number->valuedouble;
        uint8_t *m = mark(s, seq);
        b->seen++;
        if (*m & SEEN) {
            b->duplicates++;
            tell(b, "twice", s, seq);
        } else if (seq < s->last_seq) {
            b->disorder++;
            tell(b, "out of order", s, seq);
        }
        b->extra += !(*m & PROMISED);
        *m |= SEEN;
        s->last_seq = seq;
    }
    cJSON_Delete(event);
    return good;
}

static void count_missing(struct book *b)
{
    for (size_t i = 0; i < b->slot_count; i++) {
        for (struct stream *s = b->slots[i]; s; s = s->next) {
            for (uint64_t seq = 0; seq < s->cap; seq++) {
                if ((s->marks[seq] & (PROMISED | REJECTED | SEEN)) != PROMISED)
                    continue;
                struct device *d = find_device(b, s->device);
                if (d->missing++ < d->untold)
                    continue; /* one of those rejected without being named */
                b->missing++;
                tell(b, "missing", s, seq);
            }
        }
    }
}

static int each_line(const char *path, struct book *b, bool (*take)(struct book *, const char *))
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
    char *line = NULL;
    size_t cap = 0, number = 0;
    int result = 0;

    if (!file) {
        fprintf(stderr, "tributary-load: cannot read %s: %s\n", path, strerror(errno));
        return -1;
    }
    while (!result && getline(&line, &cap, file) > 0) {
        number++;
        if (line[strspn(line, " \t\r\n")] && !take(b, line)) {
            fprintf(stderr, "tributary-load: %s:%zu cannot be understood: %.80s\n", path, number, line);
            result = -1;
        }
    }
    free(line);
    if (file != stdin)
        fclose(file);
    return result;
}

static void book_free(struct book *b)
{
    for (size_t i = 0; i < b->slot_count; i++) {
        for (struct stream *s = b->slots[i], *next; s; s = next) {
            next = s->next;
            free(s->device);
            free(s->marks);
            free(s);
        }
    }
    for (struct device *d = b->devices, *next; d; d = next) {
        next = d->next;
        free(d->name);
        free(d);
    }
    free(b->slots);
}

int load_check(int argc, char **argv)
{
    static const struct option options[] = {{"obligations", required_argument, NULL, 'o'},
                                            {"stream-json", required_argument, NULL, 's'},
                                            {"at", required_argument, NULL, 'a'},
                                            {NULL, 0, NULL, 0}};
    const char *obligations = NULL, *stream = NULL;
    struct book b = {.at = UINT64_MAX};
    int id;

    while ((id = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (id == 'o')
            obligations = optarg;
        else if (id == 's')
            stream = optarg;
        else if (id == 'a')
            b.at = strtoull(optarg, NULL, 10);
        else
            return 2;
    }
    if (!obligations || !stream || optind < argc) {
        fputs("usage: tributary-load check --obligations FILE --stream-json FILE|- [--at POSITION]\n",
              stderr);
        return 2;
    }
    if (each_line(obligations, &b, take_obligation) || each_line(stream, &b, take_event)) {
        book_free(&b);
        return 1;
    }
    count_missing(&b);
    printf("{\"promised\":%" PRIu64 ",\"rejected\":%" PRIu64 ",\"seen\":%" PRIu64 ",\"missing\":%" PRIu64
           ",\"duplicates\":%" PRIu64 ",\"out_of_order\":%" PRIu64 ",\"not_promised\":%" PRIu64 "}\n",
           b.promised, b.rejected, b.seen, b.missing, b.duplicates, b.disorder, b.extra);
    bool good = b.missing == 0 && b.duplicates == 0 && b.disorder == 0;
    book_free(&b);
    return good ? 0 : 1;
}
