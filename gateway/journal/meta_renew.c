/*
 * When the disk fails under `meta`. After a failed sync nobody knows what of the environment is on the disk, and the
 * kernel tells of the failure only once; so it is never synced again. What it holds is copied into a new file, which is
 * synced and then takes the old one's name. And when the disk is full: ballast.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "journal/check.h"
#include "journal/folder.h"
#include "journal/meta_inside.h"
#include "journal/parts.h"
#include "journal/store.h"
#include "observe/log.h"

#define RENEW_EVERY_MS 1000u
#define BALLAST_EVERY_MS 10000u
#define BALLAST "ballast"

/* --- ballast --- */

bool gw_meta_drop_ballast(struct gw_meta *meta)
{
    struct gw_path path = gw_path_join(meta->folder, BALLAST);
    if (unlink(path.text) != 0)
        return false;
    meta->ballast_at_ms = gw_journal_mono_ms() + BALLAST_EVERY_MS;
    gw_log(GW_LOG_WARNING, "journal.ballast_used",
           "the disk is full; space that was kept for cursors is used now. Free space on it",
           GW_TEXT("folder", meta->folder));
    return gw_folder_sync(meta->folder) == 0;
}

static uint64_t ballast_bytes(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

void gw_meta_keep_ballast(struct gw_meta *meta)
{
    struct gw_path path = gw_path_join(meta->folder, BALLAST);
    pthread_mutex_lock(&meta->write_lock);
    uint64_t now_ms = gw_journal_mono_ms();
    if (now_ms >= meta->ballast_at_ms) {
        meta->ballast_at_ms = now_ms + BALLAST_EVERY_MS;
        if (ballast_bytes(path.text) < meta->map_bytes && gw_file_make(path.text, meta->map_bytes) != 0)
            (void)unlink(path.text); /* a part of it would only take space from those who need it */
    }
    pthread_mutex_unlock(&meta->write_lock);
}

/* --- copies --- */

int gw_meta_copy(struct gw_meta *meta, const char *folder)
{
    struct gw_path data = gw_path_join(folder, GW_STORE_DATA);
    pthread_mutex_lock(&meta->write_lock);
    pthread_rwlock_rdlock(&meta->map_lock);
    int rc = mdb_env_copy(meta->env, folder);
    pthread_rwlock_unlock(&meta->map_lock);
    pthread_mutex_unlock(&meta->write_lock);
    if (rc != 0)
        return rc > 0 ? rc : EIO;
    int e = gw_file_sync(data.text);
    return e != 0 ? e : gw_folder_sync(folder);
}

/* --- renewal --- */

static int copy_database(MDB_txn *from, MDB_dbi from_dbi, MDB_txn *to, MDB_dbi to_dbi)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    int rc = mdb_cursor_open(from, from_dbi, &cursor);
    if (rc != 0)
        return rc;
    while ((rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        rc = mdb_put(to, to_dbi, &key, &value, MDB_APPEND);
        if (rc != 0)
            break;
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int copy_all(MDB_env *from_env, MDB_env *to_env, const MDB_dbi *to_dbis)
{
    MDB_dbi dbis[GW_META_DATABASES];
    MDB_txn *from = NULL, *to = NULL;
    int rc = gw_meta_open_databases(from_env, dbis);
    if (rc == 0)
        rc = mdb_txn_begin(from_env, NULL, MDB_RDONLY, &from);
    if (rc == 0)
        rc = mdb_txn_begin(to_env, NULL, 0, &to);
    for (size_t i = 0; rc == 0 && i < GW_META_DATABASES; i++)
        rc = copy_database(from, dbis[i], to, to_dbis[i]);
    if (rc == 0) {
        rc = mdb_txn_commit(to);
        to = NULL;
    }
    if (to)
        mdb_txn_abort(to);
    if (from)
        mdb_txn_abort(from);
    return gw_store_error(rc);
}

/* A child looks at the old one first: it is mapped to be copied. */
static int fill(const struct gw_meta *meta, MDB_env *to_env, const MDB_dbi *to_dbis)
{
    MDB_env *old;
    int e, rc = gw_check_meta(meta->folder);
    if (rc == 0)
        rc = gw_store_open_frozen(meta->folder, &old, &e);
    if (rc != 0)
        return rc;
    rc = copy_all(old, to_env, to_dbis);
    mdb_env_close(old);
    return rc;
}

/* Before its new name is durable nothing may be committed to the new file: a power cut could bring the old one back. */
static int take_name(const struct gw_meta *meta, const char *fresh_folder)
{
    struct gw_path from = gw_path_join(fresh_folder, GW_STORE_DATA),
                   to = gw_path_join(meta->folder, GW_STORE_DATA);
    int e = rename(from.text, to.text) != 0 ? errno : gw_folder_sync(meta->folder);
    return gw_error_of_errno(e);
}

/* The path was joined of a folder and a name. */
static struct gw_path parent_of(const char *path)
{
    struct gw_path parent;
    snprintf(parent.text, sizeof parent.text, "%s", path);
    char *slash = strrchr(parent.text, '/');
    if (slash)
        *slash = '\0';
    return parent;
}

static int make_fresh(struct gw_meta *meta, const char *parent, MDB_env **out_env, MDB_dbi *out_dbis)
{
    struct gw_store_plan plan = {
        .parent = parent, .name = "meta.new", .bytes = meta->map_bytes, .databases = gw_meta_databases};
    struct gw_path fresh = gw_path_join(parent, plan.name);
    int e = gw_folder_remove(fresh.text);
    return e != 0 ? gw_error_of_errno(e) : gw_store_create(&plan, out_env, out_dbis, &e);
}

static void use(struct gw_meta *meta, MDB_env *env)
{
    pthread_rwlock_wrlock(&meta->map_lock);
    mdb_env_close(meta->env);
    meta->env = env; /* its handles are the same: the databases are opened in one order everywhere */
    meta->poisoned = false;
    pthread_rwlock_unlock(&meta->map_lock);
    gw_log(GW_LOG_INFO, "journal.meta_renewed",
           "the journal's meta was copied into a new file after a disk error, and is written to again",
           GW_TEXT("folder", meta->folder));
}

int gw_meta_renew_locked(struct gw_meta *meta)
{
    if (!meta->poisoned)
        return 0;
    uint64_t now_ms = gw_journal_mono_ms();
    if (now_ms < meta->renew_at_ms)
        return GW_EIO;
    meta->renew_at_ms = now_ms + RENEW_EVERY_MS;
    struct gw_path parent = parent_of(meta->folder), fresh = gw_path_join(parent.text, "meta.new");
    MDB_env *env = NULL;
    MDB_dbi dbis[GW_META_DATABASES] = {0};
    int rc = make_fresh(meta, parent.text, &env, dbis);
    if (rc == GW_EFULL && gw_meta_drop_ballast(meta))
        rc = make_fresh(meta, parent.text, &env, dbis);
    if (rc == 0)
        rc = fill(meta, env, dbis);
    if (rc == 0)
        rc = take_name(meta, fresh.text);
    if (rc == 0)
        use(meta, env);
    else if (env)
        mdb_env_close(env);
    (void)gw_folder_remove(fresh.text); /* what may be left is only in the way */
    return rc == 0 || rc == GW_EFULL ? rc : GW_EIO;
}

int gw_meta_renew(struct gw_meta *meta)
{
    pthread_mutex_lock(&meta->write_lock);
    int rc = gw_meta_renew_locked(meta);
    pthread_mutex_unlock(&meta->write_lock);
    return rc;
}
