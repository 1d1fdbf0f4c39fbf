/* Records of what sinks lost, in `info`: one for each sink, its ranges in a row. */
#include <stdio.h>
#include <string.h>

#include "journal/bytes.h"
#include "journal/lost.h"
#include "journal/meta_records.h"

#define LOST_PREFIX "lost."
#define PREFIX_CHARS (sizeof LOST_PREFIX - 1)
#define HEAD_BYTES 13u /* crc 4, version 1, count 8 */
#define RANGE_BYTES 48u
#define RECORD_BYTES_MAX (HEAD_BYTES + GW_LOST_RANGES_MAX * RANGE_BYTES)

static struct gw_lost_range joined(const struct gw_lost_range *a, const struct gw_lost_range *b)
{
    struct gw_lost_range both = *b; /* of the newer epoch, should they differ */
    both.from = a->from;
    both.entries += a->entries;
    both.first_ms = a->first_ms;
    return both;
}

void gw_lost_add(struct gw_lost_list *list, const struct gw_lost_range *range)
{
    struct gw_lost_range *last = list->count > 0 ? &list->ranges[list->count - 1] : NULL;
    if (last && last->epoch == range->epoch && last->to >= range->from) {
        *last = joined(last, range);
        return;
    }
    if (list->count == GW_LOST_RANGES_MAX) {
        list->ranges[1] = joined(&list->ranges[0], &list->ranges[1]);
        memmove(list->ranges, list->ranges + 1, --list->count * sizeof *list->ranges);
    }
    list->ranges[list->count++] = *range;
}

static size_t encode(const struct gw_lost_list *list, uint8_t out[RECORD_BYTES_MAX])
{
    uint8_t *p = out + HEAD_BYTES;
    gw_put64(out + 5, list->count);
    for (size_t i = 0; i < list->count; i++, p += RANGE_BYTES) {
        const struct gw_lost_range *range = &list->ranges[i];
        gw_put64(p, range->epoch);
        gw_put64(p + 8, range->from);
        gw_put64(p + 16, range->to);
        gw_put64(p + 24, range->entries);
        gw_put64(p + 32, range->first_ms);
        gw_put64(p + 40, range->last_ms);
    }
    return HEAD_BYTES + list->count * RANGE_BYTES;
}

static int decode(const MDB_val *key, const MDB_val *value, struct gw_lost_list *out)
{
    if (!gw_meta_record_sound(key, value, HEAD_BYTES))
        return GW_EDAMAGED;
    const uint8_t *p = value->mv_data;
    const uint64_t count = gw_get64(p + 5);
    if (count > GW_LOST_RANGES_MAX || value->mv_size != HEAD_BYTES + count * RANGE_BYTES)
        return GW_EDAMAGED;
    *out = (struct gw_lost_list){.count = count};
    p += HEAD_BYTES;
    for (size_t i = 0; i < count; i++, p += RANGE_BYTES)
        out->ranges[i] = (struct gw_lost_range){.epoch = gw_get64(p),
                                                .from = gw_get64(p + 8),
                                                .to = gw_get64(p + 16),
                                                .entries = gw_get64(p + 24),
                                                .first_ms = gw_get64(p + 32),
                                                .last_ms = gw_get64(p + 40)};
    return 0;
}

int gw_meta_lost_add(struct gw_meta_txn *t, const char *sink, const struct gw_lost_range *range)
{
    char name[PREFIX_CHARS + GW_META_SINK_CHARS_MAX + 1];
    uint8_t bytes[RECORD_BYTES_MAX];
    struct gw_lost_list list = {.count = 0};
    snprintf(name, sizeof name, LOST_PREFIX "%s", sink);
    MDB_val key = {.mv_size = strlen(name), .mv_data = name}, value;
    int rc = mdb_get(t->txn, t->meta->info, &key, &value);
    if (rc == 0 && decode(&key, &value, &list) != 0)
        rc = MDB_CORRUPTED;
    if (rc != 0 && rc != MDB_NOTFOUND)
        return rc;
    gw_lost_add(&list, range);
    return gw_meta_record_put(t->txn, t->meta->info, &key, bytes, encode(&list, bytes));
}

struct lost_visit {
    gw_meta_lost_fn fn;
    void *context;
};

static int visit_lost(void *context, const MDB_val *key, const MDB_val *value)
{
    const struct lost_visit *visit = context;
    char name[GW_META_SINK_CHARS_MAX + 1];
    struct gw_lost_list list;
    if (key->mv_size <= PREFIX_CHARS || memcmp(key->mv_data, LOST_PREFIX, PREFIX_CHARS) != 0)
        return 0; /* another kind of record */
    const size_t len = key->mv_size - PREFIX_CHARS;
    if (len > GW_META_SINK_CHARS_MAX || decode(key, value, &list) != 0)
        return GW_EDAMAGED;
    memcpy(name, (const char *)key->mv_data + PREFIX_CHARS, len);
    name[len] = '\0';
    return visit->fn(visit->context, name, &list);
}

int gw_meta_each_lost(struct gw_meta *meta, gw_meta_lost_fn fn, void *context)
{
    struct lost_visit visit = {.fn = fn, .context = context};
    return gw_meta_each_record(meta, meta->info, visit_lost, &visit);
}
