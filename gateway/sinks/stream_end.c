#include "sinks/stream_end.h"

#include <stdlib.h>

void gw_stream_end_follow(struct gw_stream_end *end, const struct gw_stream_record *record)
{
    const bool whole_entry = record->flags & (GW_STREAM_LAST | GW_STREAM_MARK);
    end->next_number = record->number + (record->flags & GW_STREAM_MARK ? 0 : 1);
    end->position = (struct gw_sink_position){
        .known = true,
        .epoch = record->epoch,
        .next = whole_entry ? record->offset + 1 : record->offset,
        .index = whole_entry ? 0 : record->index + 1,
    };
}

struct search {
    const char *folder;
    struct gw_stream_file file;
    struct gw_stream_end end;
    bool found, tail_has_records;
};

static int follow_all(struct search *s, struct gw_error *error)
{
    struct gw_stream_record record;
    int rc;
    while ((rc = gw_stream_file_next(&s->file, &record, error)) == 1) {
        gw_stream_end_follow(&s->end, &record);
        s->found = true;
    }
    return rc;
}

/* Up to the first bytes that are no whole record: in the newest file that is where a torn append begins. */
static int scan_newest(struct search *s, uint64_t first, struct gw_error *error)
{
    int rc = gw_stream_file_open(&s->file, s->folder, first, error);
    if (rc != GW_OK)
        return rc;
    s->end.any_file = true;
    s->end.file_first = s->end.next_number = first;
    rc = follow_all(s, error);
    s->end.file_len = gw_stream_file_position(&s->file);
    if (rc == GW_EDAMAGED || rc == 0)
        rc = gw_stream_file_resync(&s->file, error);
    s->tail_has_records = rc == 1;
    return rc < 0 ? rc : GW_OK;
}

/* The last whole record of a finished file, whatever lies before it. */
static int scan_older(struct search *s, uint64_t first, struct gw_error *error)
{
    int rc = gw_stream_file_open(&s->file, s->folder, first, error);
    if (rc != GW_OK)
        return rc;
    const uint64_t next_number = s->end.next_number;
    do {
        rc = follow_all(s, error);
        if (rc == GW_EDAMAGED || rc == 0)
            rc = gw_stream_file_resync(&s->file, error);
    } while (rc == 1);
    if (s->end.next_number < next_number)
        s->end.next_number = next_number;
    return rc;
}

int gw_stream_end_find(const char *folder, struct gw_stream_end *out, bool *out_tail_has_records,
                       struct gw_error *error)
{
    uint64_t *numbers;
    size_t count;
    int rc = gw_stream_file_list(folder, &numbers, &count, error);
    if (rc != GW_OK)
        return rc;
    struct search s = {.folder = folder};
    gw_stream_file_init(&s.file);
    if (count > 0)
        rc = scan_newest(&s, numbers[count - 1], error);
    for (size_t i = count; rc == GW_OK && !s.found && i-- > 1;)
        rc = scan_older(&s, numbers[i - 1], error);
    gw_stream_file_close(&s.file);
    free(numbers);
    if (rc == GW_OK && !s.found && count > 1)
        rc = gw_error_set(
            error, GW_EDAMAGED, 0,
            "stream folder %s: none of its %zu files holds a readable record: restore it, or move it "
            "aside to deliver again what the journal still has",
            folder, count);
    if (rc != GW_OK)
        return rc;
    *out = s.end;
    *out_tail_has_records = s.tail_has_records;
    return GW_OK;
}
