#include "gateway_cut_phases.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "powercut/trace.h"

const char *const cut_phase_names[CUT_PHASE_COUNT] = {
#define CUT_PHASE_NAME(id, name) name,
    CUT_PHASES(CUT_PHASE_NAME)
#undef CUT_PHASE_NAME
};

enum place { PLACE_OTHER, PLACE_SEGMENT, PLACE_META };

/* What a file is of; a file's number is the position of the record that brought it up. */
struct reader {
    FILE *file;
    uint8_t *places;
    uint64_t capacity;
    bool merging; /* a segment was cut to its size, and nothing committed since */
    struct cut_phases *phases;
};

static bool starts(const char *path, const char *with)
{
    return strncmp(path, with, strlen(with)) == 0;
}

static bool grow(struct reader *r, uint64_t position)
{
    if (position < r->capacity)
        return true;
    uint64_t capacity = r->capacity ? r->capacity * 2 : 4096;
    while (capacity <= position)
        capacity *= 2;
    uint16_t *bits = realloc(r->phases->bits, capacity * sizeof *bits);
    if (bits)
        r->phases->bits = bits;
    uint8_t *places = realloc(r->places, capacity);
    if (places)
        r->places = places;
    if (!bits || !places)
        return false;
    memset(bits + r->capacity, 0, (capacity - r->capacity) * sizeof *bits);
    memset(places + r->capacity, 0, capacity - r->capacity);
    r->capacity = capacity;
    return true;
}

static unsigned bit(enum cut_phase phase)
{
    return 1u << phase;
}

/* Both meta pages at once: LMDB's of a new file, or those over the spare's. */
static bool begins(const struct pc_record *record)
{
    return record->op == PC_WRITE && record->offset == 0 && record->data_len == 2 * 4096;
}

/* Writes, sizes and syncs of a file. */
static unsigned of_content(struct reader *r, const struct pc_record *record)
{
    switch (r->places[record->file]) {
    case PLACE_SEGMENT:
        if (record->op == PC_SIZE) {
            r->merging = true;
            return bit(CUT_PHASE_SEAL);
        }
        if (r->merging && record->op == PC_SYNC)
            return bit(CUT_PHASE_SEAL);
        r->merging = r->merging && record->op != PC_WRITE;
        return record->op == PC_ALLOCATE || begins(record) ? bit(CUT_PHASE_ROLL) : bit(CUT_PHASE_COMMIT);
    case PLACE_META:
        return r->merging ? bit(CUT_PHASE_MERGE) : bit(CUT_PHASE_META);
    default:
        return 0;
    }
}

/* Changes of names. */
static unsigned of_name(const struct pc_record *record, const char *path, const char *path2)
{
    if (strstr(path, "spare.mdb") || strstr(path2, "spare.mdb"))
        return bit(CUT_PHASE_RECYCLE);
    if (strstr(path, "meta.new"))
        return bit(CUT_PHASE_RENEW);
    if (!starts(path, "segments/"))
        return 0;
    if (strstr(path, ".tmp"))
        return bit(CUT_PHASE_ROLL);
    return record->op == PC_UNLINK || record->op == PC_RMDIR ? bit(CUT_PHASE_UNLINK) : 0;
}

static unsigned classify(struct reader *r, const struct pc_record *record, const char *path,
                         const char *path2)
{
    switch (record->op) {
    case PC_KNOWN:
    case PC_CREATE:
    case PC_MKDIR:
        if (record->file != 0)
            r->places[record->file] = starts(path, "segments/") && strstr(path, "data.mdb") ? PLACE_SEGMENT
                                      : starts(path, "meta") && strstr(path, "data.mdb")    ? PLACE_META
                                                                                            : PLACE_OTHER;
        return of_name(record, path, path2);
    case PC_RENAME:
    case PC_LINK:
    case PC_UNLINK:
    case PC_RMDIR:
        return of_name(record, path, path2);
    case PC_WRITE:
    case PC_SIZE:
    case PC_ALLOCATE:
    case PC_SYNC:
        return of_content(r, record);
    default:
        return 0;
    }
}

static int read_record(struct reader *r)
{
    struct pc_record record;
    char path[4096] = "", path2[4096] = "";
    if (fread(&record, sizeof record, 1, r->file) != 1 || record.magic != PC_MAGIC)
        return 1; /* the end, or a record that was cut short */
    if (record.path_len >= sizeof path || fread(path, 1, record.path_len, r->file) != record.path_len ||
        record.path2_len >= sizeof path2 || fread(path2, 1, record.path2_len, r->file) != record.path2_len ||
        fseek(r->file, (long)record.data_len, SEEK_CUR) != 0)
        return 1;
    if (record.file > record.position) /* none */
        record.file = 0;
    if (!grow(r, record.position))
        return -1;
    r->phases->bits[record.position] = (uint16_t)classify(r, &record, path, path2);
    r->phases->last = record.position;
    return 0;
}

int cut_phases_read(const char *trace, struct cut_phases *out)
{
    *out = (struct cut_phases){0};
    struct reader r = {.file = fopen(trace, "rb"), .phases = out};
    if (!r.file)
        return -1;
    int rc;
    while ((rc = read_record(&r)) == 0)
        continue;
    (void)fclose(r.file);
    free(r.places);
    return rc < 0 || !out->bits ? -1 : 0;
}

void cut_phases_mark(struct cut_phases *phases, enum cut_phase phase, uint64_t from, uint64_t to)
{
    for (uint64_t i = from; i <= to && i <= phases->last; i++)
        phases->bits[i] |= (uint16_t)bit(phase);
}

uint64_t cut_phases_pick(const struct cut_phases *phases, enum cut_phase phase, uint64_t nth)
{
    uint64_t count = 0;
    for (uint64_t i = 1; i <= phases->last; i++)
        count += (phases->bits[i] & bit(phase)) != 0;
    if (count == 0)
        return 0;
    nth %= count;
    for (uint64_t i = 1;; i++)
        if ((phases->bits[i] & bit(phase)) != 0 && nth-- == 0)
            return i;
}

void cut_phases_free(struct cut_phases *phases)
{
    free(phases->bits);
    *phases = (struct cut_phases){0};
}
