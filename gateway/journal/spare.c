#include "journal/spare.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "journal/store.h"

#define META_PAGES 2u

struct gw_path gw_spare_path(const char *segments)
{
    return gw_path_join(segments, "spare.mdb");
}

static bool has_one_name(const struct stat *st)
{
#ifdef GW_MUTANT_SPARE_LINKED
    return S_ISREG(st->st_mode);
#else
    return S_ISREG(st->st_mode) && st->st_nlink == 1;
#endif
}

void gw_spare_keep(const char *spare, const char *data)
{
    struct stat st;
    if (!gw_path_exists(spare) && lstat(data, &st) == 0 && has_one_name(&st))
        (void)rename(data, spare); /* else it goes with its folder */
}

static bool copy_meta_pages(const char *from, int to)
{
    uint8_t pages[META_PAGES * GW_STORE_PAGE_BYTES];
    int fd = open(from, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool whole = pread(fd, pages, sizeof pages, 0) == (ssize_t)sizeof pages;
    close(fd);
    return whole && pwrite(to, pages, sizeof pages, 0) == (ssize_t)sizeof pages;
}

static bool make_ready(const char *spare, const char *data, uint64_t bytes)
{
    struct stat st;
    int fd = open(spare, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return false;
    bool ready = fstat(fd, &st) == 0 && has_one_name(&st) &&
                 ((uint64_t)st.st_size <= bytes || ftruncate(fd, (off_t)bytes) == 0) &&
                 copy_meta_pages(data, fd);
    close(fd);
    return ready;
}

void gw_spare_use(const char *spare, const char *data, uint64_t bytes)
{
    if (!make_ready(spare, data, bytes) || rename(spare, data) != 0)
        gw_spare_drop(spare);
}

void gw_spare_drop(const char *spare)
{
    (void)unlink(spare);
}

void gw_spare_expire(const char *spare, uint64_t now_ms)
{
    struct stat st;
    if (stat(spare, &st) == 0 &&
        (uint64_t)st.st_ctim.tv_sec * 1000 + GW_SPARE_MS <= now_ms) /* renamed then */
        gw_spare_drop(spare);
}

uint64_t gw_spare_bytes(const char *spare)
{
    struct stat st;
    return stat(spare, &st) == 0 ? (uint64_t)st.st_size : 0;
}
