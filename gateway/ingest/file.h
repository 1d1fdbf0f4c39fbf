/* Files that credentials come from, read whole. */
#ifndef GW_INGEST_FILE_H
#define GW_INGEST_FILE_H

#include <stddef.h>

#include "base/error.h"

/*
 * Reads a file of at most `most` bytes into memory of the caller's, to be freed. key: the configuration's, for the error's
 * text. GW_EIO: it cannot be opened or read, or is larger; GW_ENOMEM.
 */
GW_MUST_CHECK int gw_file_read(const char *key, const char *path, size_t most, char **out, size_t *out_len,
                               struct gw_error *error);

#endif
