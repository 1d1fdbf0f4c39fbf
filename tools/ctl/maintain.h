/* What journal.c, maintain.c and backup.c share. */
#ifndef CTL_MAINTAIN_H
#define CTL_MAINTAIN_H

#include "ctl.h"
#include "journal/maintain.h"

/* All but inspect; ctl has at least one argument. */
int ctl_maintain(const struct ctl *ctl);
/* Opens the journal with its lock, which finishes its recovery. CTL_OK with *out, else the error has been printed. */
int ctl_open_journal(const struct ctl *ctl, struct gw_journal **out);
/*
 * What a summary comes to: as text behind `words`, or with --json as a tree with the list of the report (NULL: none), which it takes
 * over. An exit code.
 */
int ctl_print_summary(const char *words, cJSON *list, bool json, const struct gw_journal_summary *sum);
/* journal backup FOLDER: from the running gateway, or where none runs from the files. */
int ctl_backup(const struct ctl *ctl);

#endif
