#include "journal/tree.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BACKUP_TITLE "tributary-journal-backup"
#define SCHEMAS_LINE "schemas %u" /* their changes; absent in backups before there were any */

int gw_tree_remove(const char *folder)
{
    DIR *dir = opendir(folder);
    if (!dir)
        return errno == ENOENT ? 0 : errno;
    int rc = 0;
    for (struct dirent *entry; rc == 0 && (entry = readdir(dir)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        struct gw_path path = gw_path_join(folder, entry->d_name);
        if (unlink(path.text) == 0)
            continue;
        rc = gw_folder_remove(path.text);
        if (rc == EISDIR || rc == EPERM || rc == ENOTEMPTY)
            rc = gw_tree_remove(path.text);
    }
    closedir(dir);
    return rc != 0 ? rc : gw_folder_remove(folder);
}

static int copy_entry(const char *from, const char *to, const char *name)
{
    struct gw_path source = gw_path_join(from, name), target = gw_path_join(to, name);
    struct stat st;
    if (lstat(source.text, &st) != 0)
        return errno;
    return S_ISDIR(st.st_mode) ? gw_tree_copy(source.text, target.text)
                               : gw_file_copy(source.text, target.text);
}

int gw_tree_copy(const char *from, const char *to)
{
    if (mkdir(to, 0700) != 0)
        return errno;
    DIR *dir = opendir(from);
    if (!dir)
        return errno;
    int rc = 0;
    for (const struct dirent *entry; rc == 0 && (entry = readdir(dir)) != NULL;) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            rc = copy_entry(from, to, entry->d_name);
    }
    closedir(dir);
    return rc == 0 ? gw_folder_sync(to) : rc;
}

int gw_backup_mark(const char *folder, const struct gw_journal_summary *sum)
{
    char text[200];
    int n = snprintf(
        text, sizeof text,
        BACKUP_TITLE "\nread %u\nwrite %u\nepoch %016" PRIx64 "\nend %" PRIu64 "\n" SCHEMAS_LINE "\n",
        GW_JOURNAL_FORMAT_READ, GW_JOURNAL_FORMAT_WRITE, sum->epoch, sum->end, (unsigned)sum->schemas);
    return gw_file_write(folder, GW_BACKUP_FILE, text, (size_t)n, 0600);
}

unsigned gw_backup_schemas(const char *folder)
{
    struct gw_path path = gw_path_join(folder, GW_BACKUP_FILE);
    FILE *file = fopen(path.text, "re");
    char line[128];
    unsigned count = 0;
    while (file && count == 0 && fgets(line, sizeof line, file))
        (void)sscanf(line, SCHEMAS_LINE, &count);
    if (file)
        fclose(file);
    return count;
}

int gw_backup_check(const char *folder, struct gw_error *error)
{
    struct gw_path path = gw_path_join(folder, GW_BACKUP_FILE);
    FILE *file = fopen(path.text, "re");
    if (!file)
        return gw_error_set(error, errno == ENOENT ? GW_ENOTFOUND : GW_EINVALID, errno,
                            "%s is not a whole backup of a journal: it has no readable file BACKUP", folder);
    char title[32] = "";
    unsigned read_version = 0, write_version = 0;
    int n = fscanf(file, "%31s read %9u write %9u", title, &read_version, &write_version);
    fclose(file);
    if (n != 3 || strcmp(title, BACKUP_TITLE) != 0 || read_version == 0)
        return gw_error_set(error, GW_EINVALID, 0, "%s is not the file of a backup of a journal", path.text);
    if (read_version > GW_JOURNAL_FORMAT_READ || write_version > GW_JOURNAL_FORMAT_WRITE)
        return gw_error_set(
            error, GW_EVERSION, 0,
            "the backup in %s has format %u, this program knows format %u: use the version that "
            "made it, or a newer one",
            folder, read_version, GW_JOURNAL_FORMAT_READ);
    return 0;
}
