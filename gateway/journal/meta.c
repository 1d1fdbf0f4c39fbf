#include "journal/meta.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "journal/folder.h"
#include "journal/meta_inside.h"
#include "journal/meta_records.h"
#include "journal/store.h"

const char *const gw_meta_databases[] = {"info", "streams", "segments", "cursors", "quarantine", NULL};

/* One update that grows the map more often than this asks for more than any disk has. */
#define GROWTHS_MAX 24

static int put_identity(void *context, struct gw_meta_txn *t)
{
    (void)context;
    struct gw_identity identity = {0};
    uint64_t id;
    if (getrandom(&identity.epoch, sizeof identity.epoch, 0) != sizeof identity.epoch ||
        getrandom(&id, sizeof id, 0) != sizeof id)
        return EIO;
    identity.epoch |= 1; /* never 0, which stands for "none" on the wire */
    snprintf(identity.gateway_id, sizeof identity.gateway_id, "%016llx", (unsigned long long)id);
    int rc = gw_identity_put(t->txn, t->meta->info, &identity);
    return rc != 0 ? rc : gw_meta_next_put(t, 0);
}

static struct gw_meta *wrap(MDB_env *env, const char *folder, const MDB_dbi *dbis, uint64_t map_bytes)
{
    struct gw_meta *meta = calloc(1, sizeof *meta);
    char *copy = strdup(folder);
    if (!meta || !copy) {
        free(meta);
        free(copy);
        return NULL;
    }
    *meta = (struct gw_meta){.env = env,
                             .folder = copy,
                             .map_bytes = map_bytes,
                             .info = dbis[0],
                             .streams = dbis[1],
                             .segments = dbis[2],
                             .cursors = dbis[3],
                             .quarantine = dbis[4]};
    pthread_rwlock_init(&meta->map_lock, NULL);
    pthread_mutex_init(&meta->write_lock, NULL);
    return meta;
}

/*
 * The identity is in the environment before it gets its name, so that a power cut cannot leave a `meta`
 * without one: it is made under another name, then renamed.
 */
int gw_meta_create(const char *parent, uint64_t bytes, struct gw_error *error)
{
    struct gw_store_plan plan = {
        .parent = parent, .name = "meta.tmp", .bytes = bytes, .databases = gw_meta_databases};
    MDB_env *env = NULL;
    MDB_dbi dbis[GW_META_DATABASES] = {0};
    int e = 0;
    struct gw_path tmp = gw_path_join(parent, "meta.tmp"), path = gw_path_join(parent, "meta");
    e = gw_folder_remove(tmp.text);
    int rc = e != 0 ? gw_error_of_errno(e) : gw_store_create(&plan, &env, dbis, &e);
    if (rc == 0) {
        struct gw_meta *meta = wrap(env, tmp.text, dbis, bytes);
        rc = meta ? gw_meta_update(meta, put_identity, NULL) : GW_ENOMEM;
        if (meta)
            gw_meta_close(meta);
        else
            mdb_env_close(env);
    }
    if (rc == 0 && rename(tmp.text, path.text) != 0)
        rc = gw_error_of_errno(e = errno);
    if (rc == 0 && (e = gw_folder_sync(parent)) != 0)
        rc = gw_error_of_errno(e);
    if (rc == 0)
        return 0;
    return gw_error_set(error, rc, e,
                        "a journal cannot be made in %s: the folder must be writable and have %llu MiB",
                        parent, (unsigned long long)(bytes >> 20) + 1);
}

int gw_meta_open_databases(MDB_env *env, MDB_dbi *out_dbis)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
    if (rc != 0)
        return rc;
    for (size_t i = 0; rc == 0 && gw_meta_databases[i]; i++)
        rc = mdb_dbi_open(txn, gw_meta_databases[i], 0, &out_dbis[i]);
    if (rc == 0)
        return mdb_txn_commit(txn); /* keeps the handles */
    mdb_txn_abort(txn);
    return rc == MDB_NOTFOUND ? MDB_CORRUPTED : rc;
}

static int read_identity(struct gw_meta *meta)
{
    MDB_txn *txn;
    struct gw_identity identity;
    int rc = mdb_txn_begin(meta->env, NULL, MDB_RDONLY, &txn);
    if (rc != 0)
        return gw_store_error(rc);
    rc = gw_identity_get(txn, meta->info, &identity);
    mdb_txn_abort(txn);
    if (rc != 0)
        return rc == GW_ENOTFOUND ? GW_EDAMAGED : rc;
    meta->epoch = identity.epoch;
    memcpy(meta->gateway_id, identity.gateway_id, sizeof meta->gateway_id);
    return 0;
}

int gw_meta_open(const char *folder, bool writable, struct gw_meta **out, struct gw_error *error)
{
    MDB_env *env;
    MDB_dbi dbis[GW_META_DATABASES];
    int e = 0;
    struct gw_meta *meta = NULL;
    int rc = writable ? gw_store_open_writable(folder, &env, &e) : gw_store_open_frozen(folder, &env, &e);
    if (rc == 0) {
        int code = gw_meta_open_databases(env, dbis);
        MDB_envinfo info;
        mdb_env_info(env, &info);
        if (code != 0)
            rc = gw_store_error(code);
        else if (!(meta = wrap(env, folder, dbis, info.me_mapsize)))
            rc = GW_ENOMEM;
        else
            rc = read_identity(meta);
        if (!meta)
            mdb_env_close(env);
    }
    if (rc == 0) {
        *out = meta;
        return 0;
    }
    gw_meta_close(meta);
    return gw_error_set(error, rc, e, "%s cannot be opened: restore it from a backup", folder);
}

void gw_meta_close(struct gw_meta *meta)
{
    if (!meta)
        return;
    mdb_env_close(meta->env);
    pthread_rwlock_destroy(&meta->map_lock);
    pthread_mutex_destroy(&meta->write_lock);
    free(meta->folder);
    free(meta);
}

/* The new size is on the disk before LMDB is told of it. */
static int grow(struct gw_meta *meta)
{
    struct gw_path data = gw_path_join(meta->folder, GW_STORE_DATA);
    uint64_t bytes = meta->map_bytes * 2;
    int e = gw_file_allocate(data.text, bytes);
    if (gw_error_of_errno(e) == GW_EFULL && gw_meta_drop_ballast(meta))
        e = gw_file_allocate(data.text, bytes);
    if (e != 0)
        return gw_error_of_errno(e);
    pthread_rwlock_wrlock(&meta->map_lock);
    int rc = mdb_env_set_mapsize(meta->env, bytes);
    if (rc == 0)
        meta->map_bytes = bytes;
    pthread_rwlock_unlock(&meta->map_lock);
    return gw_store_error(rc);
}

static int try_update(struct gw_meta *meta, gw_meta_change_fn change, void *context)
{
    pthread_rwlock_rdlock(&meta->map_lock);
    struct gw_meta_txn t = {.meta = meta};
    int rc = mdb_txn_begin(meta->env, NULL, 0, &t.txn);
    if (rc == 0) {
        rc = change(context, &t);
        if (rc != 0) {
            mdb_txn_abort(t.txn);
        } else {
            rc = mdb_txn_commit(t.txn);
            if (rc != 0 && rc != MDB_MAP_FULL)
                meta->poisoned = true;
        }
    }
    pthread_rwlock_unlock(&meta->map_lock);
    return rc > 0 || rc < -20000 ? gw_store_error(rc)
                                 : rc; /* LMDB's own codes are below -30000, ours above -200 */
}

int gw_meta_update(struct gw_meta *meta, gw_meta_change_fn change, void *context)
{
    pthread_mutex_lock(&meta->write_lock);
    int rc = gw_meta_renew_locked(meta);
    for (int i = 0; i < GROWTHS_MAX && !meta->poisoned; i++) {
        rc = try_update(meta, change, context);
        if (rc != GW_EAGAIN)
            break;
        rc = grow(meta);
        if (rc != 0)
            break;
    }
    pthread_mutex_unlock(&meta->write_lock);
    return rc;
}
