#include "journal/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "journal/bytes.h"
#include "journal/folder.h"
#include "journal/spare.h"

int gw_store_error(int lmdb_code)
{
    switch (lmdb_code) {
    case MDB_SUCCESS:
        return 0;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
        return GW_EAGAIN;
    case MDB_NOTFOUND:
        return GW_ENOTFOUND;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_INCOMPATIBLE:
    case MDB_BAD_TXN:
    case MDB_BAD_DBI:
    case MDB_CURSOR_FULL:
    case MDB_PAGE_FULL:
    case EINVAL: /* what LMDB answers to sizes that make no sense */
        return GW_EDAMAGED;
    case MDB_PANIC: /* its meta page could not be written: that is about the disk, not about what the file holds */
        return GW_EIO;
    default:
        return lmdb_code > 0 ? gw_error_of_errno(lmdb_code) : GW_EIO;
    }
}

/*
 * MDB_NOTLS: several read transactions a thread. Never MDB_NOMEMINIT: pages would carry old heap contents to
 * the disk, and with it what was not yet masked. Never MDB_NOMETASYNC: it may undo the last commit. Without
 * MDB_WRITEMAP all writes are pwrite calls; the power-cut tests rest on that.
 */
#if defined(GW_MUTANT_NOSYNC)
#define WRITABLE_FLAGS MDB_NOSYNC
#else
#define WRITABLE_FLAGS 0
#endif

static int open_env(const char *folder, unsigned flags, uint64_t map_bytes, MDB_env **out_env)
{
    MDB_env *env = NULL;
    int rc = mdb_env_create(&env);
    if (rc != 0)
        return rc;
    rc = mdb_env_set_maxdbs(env, GW_STORE_DBS_MAX);
    if (rc == 0 && map_bytes != 0)
        rc = mdb_env_set_mapsize(env, map_bytes);
    if (rc == 0)
        rc = mdb_env_open(env, folder, flags | MDB_NOTLS, 0600);
    if (rc != 0) {
        mdb_env_close(env);
        return rc;
    }
    *out_env = env;
    return 0;
}

/* Zero or the code of the first step that failed (an LMDB code or errno). */
static int make_databases(MDB_env *env, const char *const *names, MDB_dbi *out_dbis)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(env, NULL, 0, &txn);
    if (rc != 0)
        return rc;
    for (size_t i = 0; rc == 0 && names[i]; i++)
        rc = mdb_dbi_open(txn, names[i], MDB_CREATE, &out_dbis[i]);
    if (rc != 0) {
        mdb_txn_abort(txn);
        return rc;
    }
    return mdb_txn_commit(txn);
}

/* LMDB makes its two meta pages, then the rest is allocated: it would not have taken a file that was there before it, full
 * of zeros. */
static int make_data(const struct gw_store_plan *plan, const char *folder)
{
    struct gw_path data = gw_path_join(folder, GW_STORE_DATA);
    MDB_env *env;
    int rc = open_env(folder, WRITABLE_FLAGS, plan->bytes, &env);
    if (rc != 0)
        return rc;
    mdb_env_close(env);
    if (plan->spare)
        gw_spare_use(plan->spare, data.text, plan->bytes);
    return gw_file_allocate(data.text, plan->bytes);
}

int gw_store_create(const struct gw_store_plan *plan, MDB_env **out_env, MDB_dbi *out_dbis, int *out_errno)
{
    char tmp_name[64];
    snprintf(tmp_name, sizeof tmp_name, "%s.tmp", plan->name);
    struct gw_path tmp = gw_path_join(plan->parent, tmp_name), path = gw_path_join(plan->parent, plan->name);

    MDB_env *env = NULL;
    int rc = gw_folder_remove(tmp.text);
    if (rc == 0)
        rc = gw_folder_make(tmp.text, 0700);
    if (rc == 0)
        rc = make_data(plan, tmp.text);
    if (rc == 0)
        rc = open_env(tmp.text, WRITABLE_FLAGS, plan->bytes, &env);
    if (rc == 0)
        rc = make_databases(env, plan->databases, out_dbis);
    if (rc == 0)
        rc = gw_folder_sync(tmp.text);
    if (rc == 0 && rename(tmp.text, path.text) != 0)
        rc = errno;
    if (rc == 0)
        rc = gw_folder_sync(plan->parent);
    if (rc == 0) {
        *out_env = env;
        return 0;
    }
    if (env)
        mdb_env_close(env);
    (void)gw_folder_remove(tmp.text);
    *out_errno = rc > 0 ? rc : 0;
    return gw_store_error(rc);
}

int gw_store_open_writable(const char *folder, MDB_env **out_env, int *out_errno)
{
    struct gw_path lock = gw_path_join(folder, "lock.mdb"), data = gw_path_join(folder, GW_STORE_DATA);
    struct stat st = {0};
    int rc = 0;
    if ((unlink(lock.text) != 0 && errno != ENOENT) || stat(data.text, &st) != 0)
        rc = errno;
    if (rc == 0)
        rc = open_env(folder, WRITABLE_FLAGS, (uint64_t)st.st_size, out_env);
    *out_errno = rc > 0 ? rc : 0;
    return gw_store_error(rc);
}

int gw_store_open_frozen(const char *folder, MDB_env **out_env, int *out_errno)
{
    struct gw_path data = gw_path_join(folder, GW_STORE_DATA);
    struct stat st;
    int rc = stat(data.text, &st) != 0 ? errno : 0;
    /* The size of the file, not the one that its meta page names: that may be damaged. */
    if (rc == 0)
        rc = open_env(folder, MDB_RDONLY | MDB_NOLOCK, (uint64_t)st.st_size, out_env);
    *out_errno = rc > 0 ? rc : 0;
    return gw_store_error(rc);
}

uint64_t gw_store_used_bytes(MDB_env *env)
{
    MDB_envinfo info;
    mdb_env_info(env, &info);
    return ((uint64_t)info.me_last_pgno + 1) * GW_STORE_PAGE_BYTES;
}

/* Data file version 1 of LMDB 0.9 on 64 bits, native byte order. The meta record follows a page header of 16
 * bytes. */
enum {
    LMDB_PAGE_FLAGS_AT = 10,
    LMDB_MAGIC_AT = 16,
    LMDB_VERSION_AT = 20,
    LMDB_PAGE_BYTES_AT = 40, /* md_pad of the first database */
    LMDB_LAST_PAGE_AT = 16 + 24 + 2 * 48,
    LMDB_TXN_AT = LMDB_LAST_PAGE_AT + 8,
    LMDB_META_FLAG = 0x08,
};
#define LMDB_MAGIC 0xBEEFC0DEu
#define LMDB_DATA_VERSION 1u

static int read_meta_page(int fd, unsigned index, uint64_t page_count, uint64_t *out_txn)
{
    uint8_t page[GW_STORE_PAGE_BYTES];
    ssize_t n = pread(fd, page, sizeof page, (off_t)index * GW_STORE_PAGE_BYTES);
    if (n < 0)
        return GW_EIO;
    if (n != sizeof page)
        return GW_EDAMAGED;
    uint16_t flags;
    uint32_t magic, version, page_bytes;
    uint64_t number, last_page;
    memcpy(&last_page, page + LMDB_LAST_PAGE_AT, sizeof last_page);
    memcpy(&number, page, sizeof number);
    memcpy(&flags, page + LMDB_PAGE_FLAGS_AT, sizeof flags);
    memcpy(&magic, page + LMDB_MAGIC_AT, sizeof magic);
    memcpy(&version, page + LMDB_VERSION_AT, sizeof version);
    memcpy(&page_bytes, page + LMDB_PAGE_BYTES_AT, sizeof page_bytes);
    memcpy(out_txn, page + LMDB_TXN_AT, sizeof *out_txn);
    bool sound = number == index && flags == LMDB_META_FLAG && magic == LMDB_MAGIC &&
                 version == LMDB_DATA_VERSION && page_bytes == GW_STORE_PAGE_BYTES && last_page < page_count;
    return sound ? 0 : GW_EDAMAGED;
}

int gw_store_judge(const char *folder, uint64_t *out_txn)
{
    struct gw_path path = gw_path_join(folder, GW_STORE_DATA);
    int fd = open(path.text, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? GW_EDAMAGED : GW_EIO;
    uint64_t even = 0, odd = 0;
    struct stat st;
    int rc = fstat(fd, &st) != 0 ? GW_EIO : 0;
    uint64_t page_count = rc == 0 ? (uint64_t)st.st_size / GW_STORE_PAGE_BYTES : 0;
    if (rc == 0)
        rc = read_meta_page(fd, 0, page_count, &even);
    if (rc == 0)
        rc = read_meta_page(fd, 1, page_count, &odd);
    close(fd);
    if (rc != 0)
        return rc;
    bool fresh = even == 0 && odd == 0;
    bool follow = even % 2 == 0 && odd % 2 == 1 && (even == odd + 1 || odd == even + 1);
    if (!fresh && !follow)
        return GW_EDAMAGED;
    *out_txn = even > odd ? even : odd;
    return 0;
}
