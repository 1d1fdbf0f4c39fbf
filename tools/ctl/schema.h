/* tributaryctl schema: what its commands share. */
#ifndef CTL_SCHEMA_H
#define CTL_SCHEMA_H

#include "ctl.h"
#include "schema/compat.h"
#include "schema/schema.h"

/* A whole file, malloc; CTL_OK, else the error has been printed. */
int ctl_schema_read(const char *path, char **out_text, size_t *out_len);
/* gw_schema_load over a folder (context: its path): http://localhost:1234/a/b.json is FOLDER/a/b.json. */
int ctl_schema_load(void *context, const char *uri, char **out_text, size_t *out_len);

struct ctl_schema_options {
    struct gw_schema_options compile;
    bool verbose, odcs;
    const char *folder;         /* of SUBJECT/VERSION.json; NULL: not given */
    enum gw_compat_level level; /* UNSET: not given */
};
/* Takes the options out of the words from first on; *out_count words are left from there. */
int ctl_schema_options(const struct ctl *ctl, int first, struct ctl_schema_options *out, int *out_count);

int ctl_schema_validate(const struct ctl *ctl, const struct ctl_schema_options *options, int count,
                        char **words);
int ctl_schema_suite(const struct ctl *ctl, const struct ctl_schema_options *options, int count,
                     char **words);

int ctl_schema_check(const struct ctl *ctl, const struct ctl_schema_options *options, int count,
                     char **words);
int ctl_schema_register(const struct ctl *ctl, const struct ctl_schema_options *options, int count,
                        char **words);
int ctl_schema_test(const struct ctl *ctl, const struct ctl_schema_options *options, int count, char **words);
int ctl_schema_diff(const struct ctl *ctl, const struct ctl_schema_options *options, int count, char **words);
int ctl_schema_lint(const struct ctl *ctl, const struct ctl_schema_options *options, int count, char **words);

int ctl_schema_export(const struct ctl *ctl, const struct ctl_schema_options *options, int count,
                      char **words);

/* Path, what, rule: in the form of validate's faults. */
void ctl_schema_print_faults(const struct ctl *ctl, const struct gw_compat_report *report);

/* Scratch of one thread. */
#define CTL_SCHEMA_SCRATCH (1u << 20)

#endif
