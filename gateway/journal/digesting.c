/*
 * The digest of a segment that became full, made a chunk at a time between commits: as a whole it would keep every ack waiting.
 * Until it is known the segment is a suspect one: it stays mapped, and after a kill a child judges it.
 */
#include "journal/parts.h"
#include "journal/store.h"
#include "observe/log.h"

void gw_journal_digest_forget(struct gw_journal *journal, const struct gw_part *part)
{
    if (!part || journal->digested != part)
        return;
    gw_digest_drop(&journal->digesting);
    journal->digested = NULL;
}

/* The oldest part whose digest is to be made; of one that a reader found damaged there is none. */
static struct gw_part *due(struct gw_journal *journal)
{
    struct gw_part *found = NULL;
    if (!journal->digests_due)
        return NULL;
    pthread_mutex_lock(&journal->lock);
    for (size_t i = 0; !found && i < journal->part_count; i++)
        if (journal->parts[i]->undigested && journal->parts[i]->state == GW_SEGMENT_SUSPECT)
            found = journal->parts[i];
    pthread_mutex_unlock(&journal->lock);
    if (journal->digested != found)
        gw_journal_digest_forget(journal, journal->digested);
    journal->digests_due = found != NULL;
    return found;
}

static int put_record(void *context, struct gw_meta_txn *t)
{
    const struct gw_segment_record *record = context;
    return gw_meta_segment_put(t, record);
}

static int note_digest(struct gw_journal *journal, struct gw_part *part)
{
    pthread_mutex_lock(&journal->lock);
    struct gw_segment_record record = gw_part_record(part);
    pthread_mutex_unlock(&journal->lock);
    if (record.state != GW_SEGMENT_SUSPECT)
        return 0;
    record.state = GW_SEGMENT_SEALED;
    record.digests = journal->digesting.digest.chunks;
    record.digest_count = journal->digesting.digest.count;
    int rc = gw_meta_update(journal->meta, put_record, &record);
    pthread_mutex_lock(&journal->lock);
    if (rc == 0 && part->state == GW_SEGMENT_SUSPECT) {
        part->state = GW_SEGMENT_SEALED;
        part->pinned = false;
        gw_part_close_unused(journal);
    }
    record = gw_part_record(part);
    pthread_mutex_unlock(&journal->lock);
    /* A reader set it aside meanwhile, and its note may have come first: the last word is that it is damaged. */
    return rc == 0 && record.state == GW_SEGMENT_DAMAGED ? gw_meta_update(journal->meta, put_record, &record)
                                                         : rc;
}

static void next_chunk(struct gw_journal *journal, struct gw_part *part)
{
    int rc = 0;
    if (!journal->digested) {
        rc = gw_digest_begin(&journal->digesting, gw_part_folder(journal, part).text, part->bytes);
        journal->digested = rc == 0 ? part : NULL;
    }
    if (rc == 0)
        rc = gw_digest_step(&journal->digesting);
    const bool made = rc == 0 && journal->digesting.done == journal->digesting.digest.count;
    if (made)
        rc = note_digest(journal, part);
    if (rc == 0 && !made)
        return;
    part->undigested = false;
    gw_journal_digest_forget(journal, part);
    if (rc != 0)
        gw_log(GW_LOG_WARNING, "journal.undigested",
               "the digest of a full journal segment could not be made or noted: it stays readable, and the "
               "next "
               "start checks it. Look at the disk",
               GW_TEXT("segment", gw_segment_name(part->first).text), GW_TEXT("error", gw_error_text(rc)));
}

/* The digest is to be done when three quarters of the segment that is being filled are full, however large the commits are:
 * a transaction takes a quarter at most, so that no roll finds anything left to digest. */
static bool behind(const struct gw_journal *journal)
{
    if (!journal->digested || !journal->active || !journal->active->segment.env)
        return false;
    const struct gw_digesting *digesting = &journal->digesting;
    return 3 * digesting->done * journal->segment_bytes <
           4 * gw_store_used_bytes(journal->active->segment.env) * digesting->digest.count;
}

bool gw_journal_step(struct gw_journal *journal)
{
    struct gw_part *part = due(journal);
    if (!part)
        return false;
    do
        next_chunk(journal, part);
    while (behind(journal));
    return due(journal) != NULL;
}

void gw_journal_digest_rest(struct gw_journal *journal)
{
    for (struct gw_part *part; (part = due(journal)) != NULL;)
        next_chunk(journal, part);
}
