/* Judging the segments that a meta names; shared by verify and restore. */
#ifndef GW_JOURNAL_VERIFY_H
#define GW_JOURNAL_VERIFY_H

#include "journal/maintain.h"
#include "journal/meta.h"

struct gw_records {
    struct gw_segment_record *list; /* without digests */
    size_t count, capacity;
};
GW_MUST_CHECK int gw_records_list(struct gw_meta *meta, struct gw_records *out);
void gw_records_free(struct gw_records *records);

/* What a segment is found to be, in words. */
const char *gw_segment_verdict(struct gw_meta *meta, const char *segments_folder,
                               const struct gw_segment_record *record, bool *out_sound);

/* How many of a backup's schemas are whole, also in sum->schemas; if not all are, that is reported and counted as bad. */
unsigned gw_backup_judge_schemas(const char *backup, gw_journal_report_fn report, void *context,
                                 struct gw_journal_summary *sum);

#endif
