/* A device's share of quarantine: one that sends garbage pushes out nobody's events but its own newest. */
#include <string.h>

#include "journal/parts.h"
#include "journal/rejected.h"

static int count_one(void *context, uint64_t first, uint64_t number, const MDB_val *value)
{
    struct gw_quota *quota = context;
    struct gw_rejected record;
    (void)first;
    (void)number;
    if (gw_rejected_decode(value->mv_data, value->mv_size, &record) != 0)
        return GW_EDAMAGED;
    return gw_quota_add(quota, record.device, record.device_len, 1) ? 0 : GW_EFULL;
}

int gw_journal_quota_load(struct gw_journal *journal)
{
    gw_quota_clear(&journal->quota);
    return journal->quota.most == 0 ? 0 : gw_meta_each_quarantine(journal->meta, count_one, &journal->quota);
}

int gw_journal_quota_bound(struct gw_journal *journal, struct gw_journal_write *write)
{
    if (journal->quota.most == 0 || write->quarantine_count == 0)
        return 0;
    const size_t device_len = strlen(write->device);
    const uint64_t left = gw_quota_left(&journal->quota, write->device, device_len);
    if (write->quarantine_count > left) {
        write->beyond_quota = write->quarantine_count - (size_t)left;
        write->quarantine_count = (size_t)left;
    }
    return gw_quota_add(&journal->quota, write->device, device_len, write->quarantine_count) ? 0 : GW_EAGAIN;
}

void gw_journal_quota_settled(struct gw_journal *journal, const struct gw_journal_write *write)
{
    gw_quota_take(&journal->quota, write->device, strlen(write->device), write->settle_count);
}

void gw_journal_quota_revert(struct gw_journal *journal, size_t items)
{
    for (size_t i = 0; i < items; i++) {
        const struct gw_journal_write *write = journal->items[i].write;
        const size_t device_len = strlen(write->device);
        gw_quota_take(&journal->quota, write->device, device_len, write->quarantine_count);
        /* One whose place was taken meanwhile is counted at the next seal. */
        (void)gw_quota_add(&journal->quota, write->device, device_len, write->settle_count);
    }
}
