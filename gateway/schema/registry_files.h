/* What the two parts of the registry on disk share: records and files, written whole or not at all. */
#ifndef GW_SCHEMA_REGISTRY_FILES_H
#define GW_SCHEMA_REGISTRY_FILES_H

#include "base/files.h"
#include "schema/registry.h"

#define GW_RECORD_BYTES_MAX (GW_SCHEMA_TEXT_MAX + 1024)
#define GW_RECORD_NAME "%08u" /* of a change's file: its number, from 1 without a gap */
#define GW_FILES_MODE 0640    /* schemas are no secret, and people's tools read them */

/* Durable on return. 0 or an errno value; there already is no error. */
int gw_files_make_folder(const char *path);
/* A whole file, malloc, with a NUL behind it. 0, GW_ENOTFOUND, GW_ELIMIT (larger than most), GW_ENOMEM, GW_EIO ... */
GW_MUST_CHECK int gw_files_read(const char *path, size_t most, char **out_text, size_t *out_len);

/* A change as a file's text (malloc), and back; texts of the record then lie in the file's. GW_EDAMAGED. */
GW_MUST_CHECK int gw_record_write(const struct gw_schemas_record *record, char **out_text, size_t *out_len);
struct gw_record_memory {
    char subject[GW_SUBJECT_MAX + 1];
};
GW_MUST_CHECK int gw_record_read(const char *text, size_t len, struct gw_record_memory *memory,
                                 struct gw_schemas_record *out);

struct gw_schema_files_load {
    int64_t now_ms; /* UTC, of what is registered */
    bool go_on;     /* a subject with a fault is left, and the others are taken */
    struct gw_compat_report *report;
};

/* Registers what stands in the folder and is new, in the order of `ids`; refuses what differs. *error: the first fault. */
GW_MUST_CHECK int gw_schema_files_load(const char *folder, struct gw_schemas *schemas,
                                       const struct gw_schema_files_load *how, struct gw_error *error);
/* Writes what is missing there, and `ids`. */
GW_MUST_CHECK int gw_schema_files_save(const char *folder, const struct gw_schemas *schemas,
                                       struct gw_error *error);
/* One version's file; version of the registry. */
GW_MUST_CHECK int gw_schema_files_save_one(const char *folder, const char *subject, uint32_t version,
                                           const char *text, size_t len, struct gw_error *error);

#endif
