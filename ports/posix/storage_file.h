/*
 * struct trib_storage over a file: one file a lane, one process a file.
 *
 * The file holds sector_bytes × sector_count bytes. It is made with 0xFF in all of it, synced, and then its folder is
 * synced, so that neither the file nor its name is lost by a power cut after open returned. sync is fdatasync: what
 * was programmed or erased before it is on the medium when it returns 0, as far as the kernel and the disk keep
 * their word (a disk that lies about its cache needs it switched off). After a sync that failed, the kernel may have
 * forgotten what it could not write, and a later sync would succeed without it: so each call fails until the file is
 * opened anew. Use a file system with barriers on.
 * A restored backup is an older journal, which the gateway then detects as rolled back: so the file asks to be left out. On
 * Linux it gets the `nodump` attribute (chattr(1) +d, where the file system knows it), which dump, bsdtar --nodump and
 * others heed; trib_storage_file_leave_out marks the folder for those that look for CACHEDIR.TAG (tar
 * --exclude-caches, borg, restic, duplicity). Neither is certain: on Android put the files into Context.getNoBackupFilesDir,
 * on macOS and iOS set NSURLIsExcludedFromBackupKey, and leave the folder out of your own image backups.
 * A file that is too short, as after a broken copy, is filled up with 0xFF; what is missing counts as damaged.
 */
#ifndef TRIB_POSIX_STORAGE_FILE_H
#define TRIB_POSIX_STORAGE_FILE_H

#include <stdbool.h>

#include "tributary/port.h"
#include "wire/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The caller's; the fields are private. */
struct trib_storage_file {
    int fd; /* -1: none */
    uint32_t sector_bytes;
    uint32_t sector_count;
    bool failed;
};

/*
 * Opens or makes the file (mode 0600) and locks it. 4096 bytes and 64 sectors suit a lane on a disk. *out_storage
 * refers to *file: both must stay. TRIB_EBUSY: another process has it. TRIB_EINVAL: geometry, or not a regular file.
 * TRIB_EIO: errno says why.
 */
TRIB_MUST_CHECK int trib_storage_file_open(struct trib_storage_file *file, const char *path,
                                           uint32_t sector_bytes, uint32_t sector_count,
                                           struct trib_storage *out_storage);
/* Writes CACHEDIR.TAG (the Cache Directory Tagging specification) into a folder that holds nothing but journals, unless it
 * is there. 0, or TRIB_EIO: errno says why; nothing else depends on it. */
TRIB_MUST_CHECK int trib_storage_file_leave_out(const char *folder);
/* Idempotent. Does not sync: the client has done so. */
void trib_storage_file_close(struct trib_storage_file *file);

#ifdef __cplusplus
}
#endif
#endif
