/* Events that leave quarantine: a record in the same transaction that appends them, or drops them. */
#include <string.h>

#include "journal/parts.h"
#include "journal/rejected.h"

/* 0, GW_ESTALE, GW_EIO. */
static int is_there(struct gw_journal *journal, const struct gw_journal_place *place)
{
#ifdef GW_MUTANT_SETTLE_TWICE
    (void)journal;
    (void)place;
    return 0;
#else
    if (gw_settled_has(&journal->settled, place))
        return GW_ESTALE;
    if (journal->active && place->segment == journal->active->first)
        return place->number >= 1 && place->number <= journal->tail.quarantine_count ? 0 : GW_ESTALE;
    int rc = gw_meta_quarantine_has(journal->meta, place->segment, place->number);
    return rc == GW_ENOTFOUND ? GW_ESTALE : rc;
#endif
}

/* The newest row of a stream, or none. */
static int row_of(struct gw_journal *journal, const char *device, uint64_t stream, struct gw_row *out)
{
    const size_t device_len = strlen(device);
    const struct gw_row_slot *slot = gw_rows_find(&journal->rows, device, device_len, stream);
    *out = (struct gw_row){0};
    if (slot)
        *out = slot->pending;
    int rc = slot ? 0 : gw_meta_row_get(journal->meta, device, device_len, stream, out);
    return rc == GW_ENOTFOUND ? 0 : rc;
}

/* What a device erased does not come back. */
static int not_erased(struct gw_journal *journal, const char *device, uint64_t stream)
{
    struct gw_row row, of_device;
    int rc = row_of(journal, device, stream, &row);
    if (rc == 0)
        rc = row_of(journal, device, GW_JOURNAL_DEVICE_ROW, &of_device);
    if (rc != 0 || !row.exists)
        return rc;
    bool erased =
        (row.committed & GW_ROW_ERASED) != 0 || (of_device.exists && row.generation < of_device.generation);
    return erased ? GW_ESTALE : 0;
}

int gw_settled_take(struct gw_journal *journal, const struct gw_journal_write *write)
{
    const size_t before = journal->settled.count;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < write->settle_count; i++) {
        const struct gw_journal_settled *settle = &write->settles[i];
        rc = is_there(journal, &settle->place);
        if (rc == 0 && write->entry)
            rc = not_erased(journal, write->device, settle->stream);
        if (rc == 0 && !gw_settled_add(&journal->settled, &settle->place))
            rc = GW_ENOMEM;
    }
    if (rc != 0)
        gw_settled_shrink(&journal->settled, before);
    return rc;
}

int gw_settled_merge(struct gw_meta_txn *t, uint64_t first, uint64_t number, const MDB_val *value)
{
    struct gw_rejected record;
    if (gw_rejected_decode(value->mv_data, value->mv_size, &record) != 0)
        return MDB_CORRUPTED;
    if (record.settles)
        return gw_meta_quarantine_delete(t, record.place.segment, record.place.number);
    return gw_meta_quarantine_put(t, first, number, value);
}
