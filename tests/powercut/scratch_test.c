/*
 * What a test works in is gone after it, however it ended. Usage: scratch_test CUT_TEST SHIM, the paths of
 * gateway_journal_cut_test and of the library that it loads.
 */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "scratch.h"

static const char *cut_test, *shim;

enum ending { RETURNS, EXITS, ABORTS, IS_KILLED };

static void end_as(enum ending ending)
{
    if (ending == EXITS)
        exit(2);
    else if (ending == ABORTS)
        abort();
    else if (ending == IS_KILLED)
        raise(SIGKILL);
    _exit(0);
}

/* A process that makes a folder with something in it, tells its path on a pipe, and ends. */
static void work(int out, enum ending ending)
{
    char folder[256], file[300];
    if (!scratch_make("scratch", folder, sizeof folder))
        _exit(3);
    snprintf(file, sizeof file, "%s/deep", folder);
    if (mkdir(file, 0700) != 0)
        _exit(3);
    strcat(file, "/file");
    FILE *made = fopen(file, "w");
    if (!made || fclose(made) != 0 || write(out, folder, strlen(folder)) < 0)
        _exit(3);
    end_as(ending);
}

/* All that comes out of fd: its end is the end of everybody who could write to it. */
static void read_to_end(int fd, char *out, size_t capacity)
{
    size_t len = 0;
    ssize_t n = 1;
    while (n != 0) {
        n = read(fd, out + len, capacity - 1 - len);
        assert_true(n >= 0 || errno == EINTR);
        len += n > 0 ? (size_t)n : 0;
    }
    out[len] = 0;
}

static void test_a_folder_goes_with_its_process_however_it_ends(void **state)
{
    (void)state;
    for (enum ending ending = RETURNS; ending <= IS_KILLED; ending++) {
        int ends[2], status;
        char folder[256];
        struct stat st;
        assert_int_equal(pipe(ends), 0);
        pid_t pid = fork();
        if (pid == 0) {
            close(ends[0]);
            work(ends[1], ending);
        }
        close(ends[1]);
        read_to_end(ends[0], folder, sizeof folder);
        close(ends[0]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 3);
        assert_non_null(strstr(folder, "/tributary-scratch-"));
        assert_int_equal(stat(folder, &st), -1);
        assert_int_equal(errno, ENOENT);
    }
}

static size_t entries_of(const char *folder)
{
    DIR *dir = opendir(folder);
    size_t count = 0;
    assert_non_null(dir);
    for (const struct dirent *entry; (entry = readdir(dir));)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

/* Its load is a program that fails. */
static void test_a_cut_test_that_fails_leaves_nothing(void **state)
{
    (void)state;
    char folder[256], command[2048], said[4096];
    assert_true(scratch_make("scratch", folder, sizeof folder));
    snprintf(command, sizeof command, "TMPDIR='%s' '%s' /bin/false '%s' --cuts 1 2>&1", folder, cut_test,
             shim);
    FILE *run = popen(command, "r");
    assert_non_null(run);
    read_to_end(fileno(run), said, sizeof said);
    const int status = pclose(run);
    if (!WIFEXITED(status) || WEXITSTATUS(status) == 0 || WEXITSTATUS(status) >= 126)
        fail_msg("it ended with %d: %s", status, said);
    assert_int_equal(entries_of(folder), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_folder_goes_with_its_process_however_it_ends),
        cmocka_unit_test(test_a_cut_test_that_fails_leaves_nothing),
    };
    if (argc != 3)
        return 2;
    cut_test = argv[1];
    shim = argv[2];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
