#include "journal/check.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "journal/bytes.h"
#include "journal/folder.h"
#include "journal/meta.h"
#include "journal/store.h"

/* A damaged tree can lead a walk in circles: then the child is ended. A sound 256 MiB takes a second. */
#define CHECK_SECONDS 300u
#define ESTIMATE_BLOCK_MAX ((size_t)64 << 20)

struct job {
    const char *folder;
    uint64_t epoch, first_offset;
    int (*run)(const struct job *job, struct gw_segment_walk *out);
};

struct verdict {
    int code;
    struct gw_segment_walk walk;
};

static void run_and_exit(const struct job *job, int fd)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGALRM, SIGABRT, SIGTERM, SIGPIPE};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        signal(signals[i], SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    int null_fd =
        open("/dev/null", O_WRONLY | O_CLOEXEC); /* LMDB's assertions would print among the JSON lines */
    if (null_fd >= 0)
        dup2(null_fd, STDERR_FILENO);
    alarm(CHECK_SECONDS);
    struct verdict verdict = {0};
    verdict.code = job->run(job, &verdict.walk);
    _exit(write(fd, &verdict, sizeof verdict) == (ssize_t)sizeof verdict ? 0 : 1);
}

static int read_verdict(int fd, struct verdict *out)
{
    size_t got = 0;
    while (got < sizeof *out) {
        ssize_t n = read(fd, (uint8_t *)out + got, sizeof *out - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return GW_EDAMAGED; /* it died before it had a verdict */
        got += (size_t)n;
    }
    return 0;
}

static int run_child(const struct job *job, struct gw_segment_walk *out)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0)
        return GW_EIO;
    pid_t pid = fork();
    if (pid < 0) {
        int e = errno;
        close(fds[0]);
        close(fds[1]);
        return e == ENOMEM ? GW_ENOMEM : GW_EIO;
    }
    if (pid == 0) {
        close(fds[0]);
        run_and_exit(job, fds[1]);
    }
    close(fds[1]);
    struct verdict verdict;
    int rc = read_verdict(fds[0], &verdict);
    close(fds[0]);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    /* Whatever stopped it, the environment did: sizes that make no sense end in "out of memory" or "invalid". */
    if (rc == 0 && verdict.code != 0)
        rc = GW_EDAMAGED;
    if (rc == 0 && out)
        *out = verdict.walk;
    return rc;
}

static int walk_segment(const struct job *job, struct gw_segment_walk *out)
{
    return gw_segment_walk(job->folder, job->epoch, job->first_offset, out);
}

static int walk_meta(const struct job *job, struct gw_segment_walk *out)
{
    (void)out;
    return gw_meta_walk(job->folder);
}

int gw_check_segment(const char *folder, uint64_t epoch, uint64_t first_offset, struct gw_segment_walk *out)
{
    struct job job = {.folder = folder, .epoch = epoch, .first_offset = first_offset, .run = walk_segment};
    return run_child(&job, out);
}

int gw_check_meta(const char *folder)
{
    struct job job = {.folder = folder, .run = walk_meta};
    return run_child(&job, NULL);
}

/* Reads up to `want` bytes; fewer only at the end of the file. Negative: errno is set. */
static ssize_t read_fully(int fd, uint8_t *buf, size_t want, uint64_t at)
{
    size_t got = 0;
    while (got < want) {
        ssize_t n = pread(fd, buf + got, want - got, (off_t)(at + got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        got += (size_t)n;
    }
    return (ssize_t)got;
}

static int open_data(const char *folder)
{
    struct gw_path path = gw_path_join(folder, GW_STORE_DATA);
    return open(path.text, O_RDONLY | O_CLOEXEC);
}

int gw_digest_begin(struct gw_digesting *digesting, const char *folder, uint64_t bytes)
{
    int fd = open_data(folder);
    if (fd < 0)
        return errno == ENOENT ? GW_EDAMAGED : GW_EIO;
    size_t count = (size_t)((bytes + GW_DIGEST_CHUNK_BYTES - 1) / GW_DIGEST_CHUNK_BYTES);
    *digesting = (struct gw_digesting){.fd = fd, .bytes = bytes};
    digesting->digest.count = count;
    digesting->digest.chunks = malloc((count ? count : 1) * sizeof *digesting->digest.chunks);
    digesting->buf = malloc(GW_DIGEST_CHUNK_BYTES);
    if (digesting->digest.chunks && digesting->buf)
        return 0;
    gw_digest_drop(digesting);
    return GW_ENOMEM;
}

int gw_digest_step(struct gw_digesting *digesting)
{
    if (digesting->done == digesting->digest.count)
        return 0;
    uint64_t at = digesting->done * GW_DIGEST_CHUNK_BYTES, left = digesting->bytes - at;
    size_t want = left < GW_DIGEST_CHUNK_BYTES ? (size_t)left : (size_t)GW_DIGEST_CHUNK_BYTES;
    if (read_fully(digesting->fd, digesting->buf, want, at) != (ssize_t)want)
        return GW_EDAMAGED; /* a sector that cannot be read is damage too */
    digesting->digest.chunks[digesting->done++] = gw_crc32c(0, digesting->buf, want);
    return 0;
}

void gw_digest_drop(struct gw_digesting *digesting)
{
    free(digesting->buf);
    close(digesting->fd);
    gw_digest_free(&digesting->digest);
    *digesting = (struct gw_digesting){.fd = -1};
}

int gw_digest_make(const char *folder, uint64_t bytes, struct gw_digest *out)
{
    struct gw_digesting digesting;
    int rc = gw_digest_begin(&digesting, folder, bytes);
    if (rc != 0)
        return rc;
    while (rc == 0 && digesting.done < digesting.digest.count)
        rc = gw_digest_step(&digesting);
    if (rc == 0) {
        *out = digesting.digest;
        digesting.digest = (struct gw_digest){0};
    }
    gw_digest_drop(&digesting);
    return rc;
}

int gw_digest_compare(const char *folder, uint64_t bytes, const struct gw_digest *digest)
{
    struct gw_digest now;
    int rc = gw_digest_make(folder, bytes, &now);
    if (rc != 0)
        return rc;
    if (now.count != digest->count || memcmp(now.chunks, digest->chunks, now.count * sizeof *now.chunks) != 0)
        rc = GW_EDAMAGED;
    gw_digest_free(&now);
    return rc;
}

void gw_digest_free(struct gw_digest *digest)
{
    free(digest->chunks);
    *digest = (struct gw_digest){0};
}

/* A block whose header looks right may still be damaged in it: only its CRC says that its offsets can be believed. */
static bool block_is_whole(int fd, uint64_t at, size_t len)
{
    uint8_t *copy = len <= ESTIMATE_BLOCK_MAX ? malloc(len) : NULL;
    struct gw_block_reader block;
    bool whole =
        copy && read_fully(fd, copy, len, at) == (ssize_t)len && gw_block_read(&block, copy, len) == 0;
    free(copy);
    return whole;
}

struct estimate {
    int fd;
    uint64_t epoch, first_offset, limit, newest;
};

static void estimate_from(struct estimate *e, const uint8_t *buf, size_t len, uint64_t buf_at)
{
    uint8_t magic[4];
    gw_put32(magic, GW_BLOCK_MAGIC);
    const uint8_t *end = buf + len;
    for (const uint8_t *p = buf; (p = memmem(p, (size_t)(end - p), magic, sizeof magic)) != NULL; p++) {
        if ((size_t)(end - p) < GW_BLOCK_HEADER_BYTES)
            break;
        uint64_t count = gw_get32(p + 12), first = gw_get64(p + 24);
        bool sensible = (e->epoch == GW_EPOCH_ANY || gw_get64(p + 16) == e->epoch) &&
                        first >= e->first_offset && first < e->limit && count <= e->limit - first &&
                        first + count > e->newest;
        if (sensible && block_is_whole(e->fd, buf_at + (uint64_t)(p - buf), gw_get32(p + 8)))
            e->newest = first + count;
    }
}

uint64_t gw_check_estimate_end(const char *folder, uint64_t epoch, uint64_t first_offset, uint64_t limit)
{
    struct estimate e = {
        .epoch = epoch, .first_offset = first_offset, .limit = limit, .newest = first_offset + 1};
    int fd = e.fd = open_data(folder);
    uint8_t *buf = malloc(GW_DIGEST_CHUNK_BYTES);
    for (uint64_t at = 0; fd >= 0 && buf; at += GW_DIGEST_CHUNK_BYTES - GW_BLOCK_HEADER_BYTES) {
        ssize_t n = read_fully(fd, buf, GW_DIGEST_CHUNK_BYTES, at);
        if (n <= 0)
            break;
        estimate_from(&e, buf, (size_t)n, at);
        if ((size_t)n < GW_DIGEST_CHUNK_BYTES)
            break;
    }
    free(buf);
    if (fd >= 0)
        close(fd);
    return e.newest;
}
