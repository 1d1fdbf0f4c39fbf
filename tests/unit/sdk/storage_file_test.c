/* The file backend: lock, geometry, files that are short, full disks, and that what it holds survives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage_file.h"

struct world {
    char folder[64];
    char path[96];
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    snprintf(w->folder, sizeof w->folder, "/tmp/tributary-storage-XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    snprintf(w->path, sizeof w->path, "%s/lane.ring", w->folder);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    unlink(w->path);
    rmdir(w->folder);
    free(w);
    return 0;
}

static void test_a_new_file_is_blank_and_private(void **state)
{
    struct world *w = *state;
    struct trib_storage_file file;
    struct trib_storage storage;
    struct stat st;
    uint8_t bytes[512];
    assert_int_equal(trib_storage_file_open(&file, w->path, 512, 3, &storage), 0);
    assert_int_equal(stat(w->path, &st), 0);
    assert_int_equal(st.st_size, 1536);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(storage.read(storage.context, 1024, bytes, 512), 0);
    for (unsigned i = 0; i < 512; i++)
        assert_int_equal(bytes[i], 0xFF);
    trib_storage_file_close(&file);
    trib_storage_file_close(&file);
}

static void test_what_was_programmed_is_there_after_opening_again(void **state)
{
    struct world *w = *state;
    struct trib_storage_file file;
    struct trib_storage storage;
    uint8_t bytes[5];
    assert_int_equal(trib_storage_file_open(&file, w->path, 512, 3, &storage), 0);
    assert_int_equal(storage.program(storage.context, 700, "hello", 5), 0);
    assert_int_equal(storage.sync(storage.context), 0);
    trib_storage_file_close(&file);
    assert_int_equal(trib_storage_file_open(&file, w->path, 512, 3, &storage), 0);
    assert_int_equal(storage.read(storage.context, 700, bytes, 5), 0);
    assert_memory_equal(bytes, "hello", 5);
    assert_int_equal(storage.erase(storage.context, 1), 0);
    assert_int_equal(storage.read(storage.context, 700, bytes, 5), 0);
    assert_memory_equal(bytes, "\xFF\xFF\xFF\xFF\xFF", 5);
    trib_storage_file_close(&file);
}

static void test_a_second_process_is_turned_away(void **state)
{
    struct world *w = *state;
    struct trib_storage_file file;
    struct trib_storage storage;
    int status;
    assert_int_equal(trib_storage_file_open(&file, w->path, 512, 3, &storage), 0);
    pid_t child = fork();
    if (child == 0) {
        struct trib_storage_file other;
        _exit(trib_storage_file_open(&other, w->path, 512, 3, &storage) == TRIB_EBUSY ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    trib_storage_file_close(&file);
    assert_int_equal(trib_storage_file_open(&file, w->path, 512, 3, &storage), 0);
    trib_storage_file_close(&file);
}

static void test_a_short_file_is_filled_up(void **state)
{
    struct world *w = *state;
    struct trib_storage_file file;
    struct trib_storage storage;
    uint8_t bytes[2];
    int fd = open(w->path, O_WRONLY | O_CREAT, 0600);
    assert_int_equal(write(fd, "abc", 3), 3);
    close(fd);
    assert_int_equal(trib_storage_file_open(&file, w->path, 512, 3, &storage), 0);
    assert_int_equal(storage.read(storage.context, 2, bytes, 2), 0);
    assert_memory_equal(bytes, "c\xFF", 2);
    trib_storage_file_close(&file);
}

static void test_nothing_is_touched_outside(void **state)
{
    struct world *w = *state;
    struct trib_storage_file file;
    struct trib_storage storage;
    uint8_t bytes[8] = {0};
    assert_int_equal(trib_storage_file_open(&file, w->path, 512, 3, &storage), 0);
    assert_int_equal(storage.read(storage.context, 1530, bytes, 7), TRIB_EIO);
    assert_int_equal(storage.program(storage.context, 1536, bytes, 1), TRIB_EIO);
    assert_int_equal(storage.program(storage.context, UINT32_MAX, bytes, 8), TRIB_EIO);
    assert_int_equal(storage.erase(storage.context, 3), TRIB_EIO);
    assert_int_equal(truncate(w->path, 100), 0); /* under our feet */
    assert_int_equal(storage.read(storage.context, 600, bytes, 8), TRIB_EIO);
    trib_storage_file_close(&file);
    assert_int_equal(storage.sync(storage.context), TRIB_EIO);
}

static void test_what_is_no_file_or_no_geometry_is_refused(void **state)
{
    struct world *w = *state;
    struct trib_storage_file file;
    struct trib_storage storage;
    assert_int_equal(trib_storage_file_open(&file, w->path, 255, 3, &storage), TRIB_EINVAL);
    assert_int_equal(trib_storage_file_open(&file, w->path, 512, 2, &storage), TRIB_EINVAL);
    assert_int_equal(trib_storage_file_open(&file, "/dev/null", 512, 3, &storage), TRIB_EINVAL);
    assert_int_equal(trib_storage_file_open(&file, w->folder, 512, 3, &storage), TRIB_EIO);
    assert_int_equal(trib_storage_file_open(&file, "/nonexistent/lane", 512, 3, &storage), TRIB_EIO);
    assert_int_equal(file.fd, -1);
}

/* The file's space is taken when it is made: a disk that fills later cannot stop the lane. */
static void test_a_disk_without_room_is_said_at_open(void **state)
{
    struct world *w = *state;
    int status;
    pid_t child = fork();
    if (child == 0) {
        struct trib_storage_file file;
        struct trib_storage storage;
        struct rlimit limit = {1000, 1000};
        signal(SIGXFSZ, SIG_IGN);
        if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
            _exit(2);
        _exit(trib_storage_file_open(&file, w->path, 512, 3, &storage) == TRIB_EIO ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void test_backups_are_asked_to_leave_it_out(void **state)
{
    struct world *w = *state;
    struct trib_storage_file file;
    struct trib_storage storage;
    char tag[96], command[256], line[256];
    int flags = 0;
    assert_int_equal(trib_storage_file_open(&file, w->path, 512, 3, &storage), 0);
    if (ioctl(file.fd, FS_IOC_GETFLAGS, &flags) == 0) /* a file system that has such attributes */
        assert_true((flags & FS_NODUMP_FL) != 0);
    trib_storage_file_close(&file);
    assert_int_equal(trib_storage_file_leave_out(w->folder), 0);
    assert_int_equal(trib_storage_file_leave_out(w->folder), 0); /* it is there already */
    assert_int_equal(trib_storage_file_leave_out("/nonexistent"), TRIB_EIO);
    snprintf(tag, sizeof tag, "%s/CACHEDIR.TAG", w->folder);
    snprintf(command, sizeof command, "tar --exclude-caches -cf - %s 2>/dev/null | tar -tf -", w->folder);
    FILE *list = popen(command, "r");
    bool tagged = false;
    assert_non_null(list);
    while (fgets(line, sizeof line, list)) {
        assert_null(strstr(line, "lane.ring"));
        tagged = tagged || strstr(line, "CACHEDIR.TAG");
    }
    assert_int_equal(pclose(list), 0);
    assert_true(tagged);
    assert_int_equal(unlink(tag), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        CASE(test_a_new_file_is_blank_and_private),
        CASE(test_what_was_programmed_is_there_after_opening_again),
        CASE(test_a_second_process_is_turned_away),
        CASE(test_a_short_file_is_filled_up),
        CASE(test_nothing_is_touched_outside),
        CASE(test_what_is_no_file_or_no_geometry_is_refused),
        CASE(test_a_disk_without_room_is_said_at_open),
        CASE(test_backups_are_asked_to_leave_it_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
