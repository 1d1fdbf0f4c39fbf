/* What journal.c and maintain.c share. */
#ifndef CTL_MAINTAIN_H
#define CTL_MAINTAIN_H

#include "ctl.h"
#include "journal/journal.h"

/* All but inspect; ctl has at least one argument. */
int ctl_maintain(const struct ctl *ctl);
/* Opens the journal with its lock, which finishes its recovery. CTL_OK with *out, else the error has been printed. */
int ctl_open_journal(const struct ctl *ctl, struct gw_journal **out);

#endif
