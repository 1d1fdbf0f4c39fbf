/*
 * The power-cut shim and its model of a disk: what was synced is on every disk, what was not is on some and not on
 * others. This program runs itself under the shim (shim_test work FOLDER), then builds many disks from the trace.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "powercut/rebuild.h"
#include "powercut/shim_run.h"
#include "scratch.h"

#define DISKS 300
#define BIG 8192

static char folder[256], shim[4096], self[4096];

/* --- the traced process --- */

static int make(const char *name, int flags)
{
    int fd = open(name, O_RDWR | O_CREAT | flags, 0640);
    if (fd < 0)
        exit(3);
    return fd;
}

static void put(int fd, char value, size_t len, off_t at)
{
    static char bytes[BIG];
    memset(bytes, value, len);
    if (pwrite(fd, bytes, len, at) != (ssize_t)len)
        exit(3);
}

static void sync_folder(const char *name)
{
    int fd = open(name, O_RDONLY | O_DIRECTORY);
    if (fd < 0 || fsync(fd) != 0)
        exit(3);
    close(fd);
}

static int work(const char *where)
{
    if (chdir(where) != 0 || mkdir("kept", 0700) != 0)
        return 3;
    int synced = make("kept/synced", 0), through = make("kept/through", O_DSYNC), torn = make("kept/torn", 0);
    int grown = make("kept/grown", 0), moved = make("kept/old", 0), removed = make("kept/removed", 0);
    int cut = make("kept/cut", 0);
    put(synced, 'A', BIG, 0);
    put(torn, 'A', BIG, 0);
    put(moved, 'A', 100, 0);
    put(cut, 'A', BIG, 0);
    if (fdatasync(synced) != 0 || fsync(torn) != 0 || fsync(moved) != 0 || fsync(removed) != 0 ||
        fsync(cut) != 0)
        return 3;
    put(through, 'T', 1000, 0);
    sync_folder("kept");
    sync_folder(".");
    /* From here on nothing is synced. */
    put(torn, 'B', BIG, 0);
    struct iovec parts[2] = {{"12", 2}, {"34", 2}};
    if (posix_fallocate(grown, 0, BIG) != 0 || ftruncate(cut, 10) != 0 || pwritev(grown, parts, 2, 0) != 4)
        return 3;
    if (rename("kept/old", "kept/new") != 0 || unlink("kept/removed") != 0)
        return 3;
    int late = make("kept/late", 0);
    put(late, 'L', 100, 0);
    return fsync(late) != 0 || mkdir("folder", 0700) != 0 ? 3 : 0;
}

/* --- building disks --- */

struct seen {
    unsigned disks, late, folder, old, new, both, removed, grown_size, grown_data, cut_short;
    unsigned torn_old, torn_new, torn_mixed, bad_sector;
    unsigned synced_missing, through_missing, neither;
};

static long read_file(const char *disk, const char *name, char *out, size_t cap)
{
    char path[PATH_MAX + 32];
    snprintf(path, sizeof path, "%s/%s", disk, name);
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return -1;
    ssize_t n = read(fd, out, cap);
    close(fd);
    return n;
}

static bool all(const char *bytes, long len, char value)
{
    for (long i = 0; i < len; i++) {
        if (bytes[i] != value)
            return false;
    }
    return true;
}

static void look_at_torn(const char *bytes, struct seen *seen)
{
    seen->torn_old += all(bytes, BIG, 'A');
    seen->torn_new += all(bytes, BIG, 'B');
    seen->torn_mixed += !all(bytes, BIG, 'A') && !all(bytes, BIG, 'B');
    for (int sector = 0; sector < BIG / 512; sector++)
        seen->bad_sector += !all(bytes + sector * 512, 512, 'A') && !all(bytes + sector * 512, 512, 'B');
}

static void look_at(const char *disk, struct seen *seen)
{
    char bytes[2 * BIG];
    seen->disks++;
    seen->synced_missing +=
        read_file(disk, "kept/synced", bytes, sizeof bytes) != BIG || !all(bytes, BIG, 'A');
    seen->through_missing +=
        read_file(disk, "kept/through", bytes, sizeof bytes) != 1000 || !all(bytes, 1000, 'T');
    if (read_file(disk, "kept/torn", bytes, sizeof bytes) == BIG)
        look_at_torn(bytes, seen);
    long grown = read_file(disk, "kept/grown", bytes, sizeof bytes);
    seen->grown_size += grown == BIG;
    seen->grown_data += grown >= 4 && memcmp(bytes, "1234", 4) == 0;
    seen->cut_short += read_file(disk, "kept/cut", bytes, sizeof bytes) == 10;
    bool old = read_file(disk, "kept/old", bytes, sizeof bytes) == 100;
    bool new = read_file(disk, "kept/new", bytes, sizeof bytes) == 100;
    seen->old += old && !new;
    seen->new += new && !old;
    seen->both += old && new;
    seen->neither += !old && !new;
    seen->removed += read_file(disk, "kept/removed", bytes, sizeof bytes) < 0;
    seen->late += read_file(disk, "kept/late", bytes, sizeof bytes) == 100;
    char path[PATH_MAX + 32];
    snprintf(path, sizeof path, "%s/folder", disk);
    seen->folder += access(path, F_OK) == 0;
}

static void run_traced(struct pc_run *run)
{
    assert_int_equal(pc_run_paths(folder, run), 0);
    const char *const arguments[] = {self, "work", run->data, NULL};
    assert_int_equal(mkdir(run->data, 0700), 0);
    assert_int_equal(pc_run_traced(run, shim, arguments), 0);
    FILE *file = fopen(run->position, "rb");
    uint64_t published = 0;
    assert_non_null(file);
    assert_int_equal(fread(&published, sizeof published, 1, file), 1);
    fclose(file);
    struct pc_rebuild *rebuild;
    assert_int_equal(pc_rebuild_open(run->trace, NULL, &rebuild), 0);
    assert_int_equal(pc_rebuild_last(rebuild), published);
    pc_rebuild_close(rebuild);
}

static void remove_tree(const char *path)
{
    char command[PATH_MAX + 32];
    snprintf(command, sizeof command, "rm -rf '%s'", path);
    assert_int_equal(system(command), 0);
}

static void test_disks_are_what_a_cut_could_leave(void **state)
{
    (void)state;
    static struct pc_run run;
    run_traced(&run);
    struct pc_rebuild *rebuild;
    struct seen seen = {0};
    assert_int_equal(pc_rebuild_open(run.trace, NULL, &rebuild), 0);
    assert_int_equal(pc_rebuild_seek(rebuild, pc_rebuild_last(rebuild)), 0);
    assert_int_equal(pc_rebuild_strangers(rebuild), 0);
    for (uint64_t seed = 1; seed <= DISKS; seed++) {
        assert_int_equal(pc_rebuild_write(rebuild, seed * 7919, run.disk, NULL), 0);
        look_at(run.disk, &seen);
        remove_tree(run.disk);
    }
    pc_rebuild_close(rebuild);
    /* Never: what was synced is there; a rename is done or not; a sector is old or new. */
    assert_int_equal(seen.disks, DISKS);
    assert_int_equal(seen.synced_missing + seen.through_missing + seen.both + seen.neither + seen.bad_sector,
                     0);
    /* Sometimes, and sometimes not: all that was not synced. */
    const unsigned sometimes[] = {seen.late,     seen.folder,     seen.old,       seen.new,
                                  seen.removed,  seen.grown_size, seen.cut_short, seen.grown_data,
                                  seen.torn_old, seen.torn_new,   seen.torn_mixed};
    for (size_t i = 0; i < sizeof sometimes / sizeof sometimes[0]; i++) {
        if (sometimes[i] == 0 || sometimes[i] == DISKS)
            fail_msg("outcome %zu was seen on %u of %d disks", i, sometimes[i], DISKS);
    }
}

static void test_the_same_seed_gives_the_same_disk(void **state)
{
    (void)state;
    char trace[300], one[300], two[300], command[700];
    snprintf(trace, sizeof trace, "%s/trace", folder);
    snprintf(one, sizeof one, "%s/one", folder);
    snprintf(two, sizeof two, "%s/two", folder);
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct pc_rebuild *a, *b;
        assert_int_equal(pc_rebuild_open(trace, NULL, &a), 0);
        assert_int_equal(pc_rebuild_open(trace, NULL, &b), 0);
        uint64_t at = pc_rebuild_last(a) - seed % 10;
        /* In one step, and record by record: the state is the same. */
        assert_int_equal(pc_rebuild_seek(a, at), 0);
        for (uint64_t i = 1; i <= at; i++)
            assert_int_equal(pc_rebuild_seek(b, i), 0);
        assert_int_equal(pc_rebuild_write(a, seed, one, NULL) | pc_rebuild_write(b, seed, two, NULL), 0);
        snprintf(command, sizeof command, "diff -r '%s' '%s'", one, two);
        assert_int_equal(system(command), 0);
        pc_rebuild_close(a);
        pc_rebuild_close(b);
        remove_tree(one);
        remove_tree(two);
    }
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "work") == 0)
        return work(argv[2]);
    if (argc != 2 || !realpath(argv[1], shim) || !realpath("/proc/self/exe", self))
        return 2;
    if (!scratch_make("shim", folder, sizeof folder))
        return 2;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_disks_are_what_a_cut_could_leave),
        cmocka_unit_test(test_the_same_seed_gives_the_same_disk),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    remove_tree(folder);
    return failed;
}
