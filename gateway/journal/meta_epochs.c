/*
 * The journal's epoch and those before it. A restore or a salvage mints a new one; a position of an epoch before it
 * (what a sink remembers) still holds up to the offset where the two part.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "journal/meta_records.h"
#include "journal/parts.h"
#include "journal/store.h"

#define ANCESTOR_PREFIX "epoch."

struct ancestor_key {
    char text[sizeof ANCESTOR_PREFIX + 16];
};

static struct ancestor_key key_of(uint64_t epoch)
{
    struct ancestor_key key;
    snprintf(key.text, sizeof key.text, ANCESTOR_PREFIX "%016" PRIx64, epoch);
    return key;
}

int gw_meta_ancestor_put(struct gw_meta_txn *t, uint64_t epoch, uint64_t end)
{
    return gw_meta_number_put(t, key_of(epoch).text, end);
}

int gw_meta_ancestor_get(struct gw_meta *meta, uint64_t epoch, uint64_t *out_end)
{
    return gw_meta_number_get(meta, key_of(epoch).text, out_end);
}

struct minting {
    uint64_t end, epoch;
};

static int mint(void *context, struct gw_meta_txn *t)
{
    struct minting *minting = context;
    struct gw_identity identity;
    int rc = gw_identity_get(t->txn, t->meta->info, &identity);
    if (rc != 0)
        return rc;
    rc = gw_meta_ancestor_put(t, identity.epoch, minting->end);
    if (rc != 0)
        return rc;
    if (getrandom(&identity.epoch, sizeof identity.epoch, 0) != sizeof identity.epoch)
        return GW_EIO;
    identity.epoch |= 1; /* never 0, which stands for "none" on the wire */
    minting->epoch = identity.epoch;
    return gw_identity_put(t->txn, t->meta->info, &identity);
}

int gw_meta_mint(struct gw_meta *meta, uint64_t end)
{
    struct minting minting = {.end = end};
    int rc = gw_meta_update(meta, mint, &minting);
    if (rc == 0)
        meta->epoch = minting.epoch;
    return rc;
}

int gw_journal_position_end(struct gw_journal *journal, uint64_t epoch, uint64_t *out_end)
{
    if (epoch == journal->meta->epoch) {
        *out_end = gw_journal_end(journal);
        return 0;
    }
    return gw_meta_ancestor_get(journal->meta, epoch, out_end);
}
