/* Inside the preload library: the table of watched descriptors and the writing of records. */
#ifndef TESTS_POWERCUT_SHIM_H
#define TESTS_POWERCUT_SHIM_H

#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "trace.h"

#define PC_FDS_MAX 65536
#define PC_PATH_MAX 4096

struct pc_fd {
    uint64_t file; /* 0: not watched */
    bool durable, append, folder;
    char *path;
};

/* False: nothing is watched in this process (no POWERCUT_FOLDER). */
bool pc_active(void);
/* Waits POWERCUT_DELAY_US, then takes the one lock under which the kernel's order and the trace's are the same. */
void pc_enter(void);
void pc_lock(void); /* without waiting */
void pc_leave(void);

/* Absolute path of a name as a system call would take it; true if it lies in the folder: out_relative is set. */
bool pc_resolve(int dirfd, const char *name, char out_relative[PC_PATH_MAX]);

/* The watched descriptor, or NULL. Lock held for anything that changes it. */
struct pc_fd *pc_fd_get(int fd);
void pc_fd_set(int fd, const struct pc_fd *value);
void pc_fd_clear(int fd);

/* Identity of an existing file by device and inode; 0: not seen yet. */
uint64_t pc_file_of(uint64_t device, uint64_t inode);
void pc_file_learn(uint64_t device, uint64_t inode, uint64_t file);

/* Appends a record, then publishes its position, which is returned. file 0: the record's own position is the file. */
uint64_t pc_record_write(struct pc_record *record, const char *path, const char *path2,
                         const struct iovec *data, int data_count);

_Noreturn void pc_die(const char *why);

/* The interposed open and fcntl, for calls that are made of them. */
int pc_openat(int dirfd, const char *name, int flags, mode_t mode);
int pc_fcntl(int fd, int command, void *argument);

#define EXPORT __attribute__((visibility("default")))

/* The real function of that name; looked up once. */
#define REAL(result, name, ...)                                                                              \
    static result (*real)(__VA_ARGS__);                                                                      \
    if (!real) {                                                                                             \
        void *symbol = dlsym(RTLD_NEXT, #name);                                                              \
        if (!symbol)                                                                                         \
            pc_die("no " #name " in the C library");                                                         \
        memcpy(&real, &symbol, sizeof real);                                                                 \
    }

#endif
