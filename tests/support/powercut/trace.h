/*
 * The trace of a power-cut run: what a process asked the kernel to do to the files below one folder, in the order in
 * which the kernel did it. The shim writes it, the rebuilder reads it. Native byte order: both run on one machine.
 *
 * A record is struct pc_record, then path, path2 (not terminated), then data. `file` is an identity that no other
 * file of the run ever has, whatever its name and inode number: the position of the record that brought it up.
 * Paths are relative to the folder; "" is the folder itself.
 */
#ifndef TESTS_POWERCUT_TRACE_H
#define TESTS_POWERCUT_TRACE_H

#include <stdint.h>

#define PC_MAGIC 0x31544350u

enum pc_op {
    PC_KNOWN = 1,  /* file, path: it was there before the run */
    PC_CREATE,     /* file, path, offset: mode */
    PC_WRITE,      /* file, offset, data; flags PC_DURABLE: written through (O_DSYNC, O_SYNC) */
    PC_SIZE,       /* file, offset: the new size */
    PC_ALLOCATE,   /* file, offset: the least size from now on */
    PC_SYNC,       /* file: content and size are durable; flags PC_FULL: fsync, else fdatasync */
    PC_SYNC_RANGE, /* file, offset, length: sync_file_range, which makes nothing durable for sure */
    PC_SYNC_ALL,   /* sync, syncfs */
    PC_RENAME,     /* path to path2 */
    PC_LINK,       /* path is also path2 */
    PC_UNLINK,     /* path */
    PC_MKDIR,      /* file, path, offset: mode */
    PC_RMDIR,      /* path */
    PC_SYNC_FOLDER /* path: fsync of a folder */
};

enum { PC_DURABLE = 1, PC_FULL = 2 };

struct pc_record {
    uint32_t magic;
    uint16_t op, flags;
    uint64_t position; /* 1, 2, 3 … */
    uint64_t file, offset, length;
    uint32_t path_len, path2_len;
    uint64_t data_len;
};

#endif
