/*
 * saver.c - see saver.h.
 */
#include "xhad/xen/saver.h"
#include "xhad/xen/checkpoints.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <xxhash.h>
#include <zstd.h>

#define BLOCK_BYTES (1 << 18)
#define TICK_MS     5

struct block {
    struct block *next;
    size_t len;
    uint8_t bytes[BLOCK_BYTES];
};

struct xha_saver {
    struct xha_saver_plan plan;
    int read_fd, write_fd;
    pthread_t drainer, writer;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct block *first, **last;
    uint64_t held; /* bytes of blocks that are not yet written, full or not */
    bool ended;    /* no block comes any more */
    int error;     /* errno; from then on blocks are dropped */

    /* the writer's own */
    ZSTD_CCtx *zstd;
    XXH3_state_t *hash;
    uint8_t *packed;
    uint64_t stream_bytes, file_bytes;
};

static void fail(struct xha_saver *s, int error)
{
    pthread_mutex_lock(&s->lock);
    if (s->error == 0)
        s->error = error ? error : EIO;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

/* ---- draining ---- */

/* Waits until there is room, or nothing is to be kept any more. */
static void wait_for_room(struct xha_saver *s)
{
    pthread_mutex_lock(&s->lock);
    while (s->held + sizeof(struct block) > s->plan.memory_limit && s->held > 0 && s->error == 0)
        pthread_cond_wait(&s->changed, &s->lock);
    pthread_mutex_unlock(&s->lock);
}

static void push(struct xha_saver *s, struct block *b)
{
    pthread_mutex_lock(&s->lock);
    if (s->error == 0 && b->len > 0) {
        b->next = NULL;
        *s->last = b;
        s->last = &b->next;
        s->held += sizeof(*b);
        b = NULL;
        pthread_cond_broadcast(&s->changed);
    }
    pthread_mutex_unlock(&s->lock);
    free(b);
}

/* Fills a block as far as the pipe gives without a longer wait. 1: end of the stream; 0: more may come; -1:
 * errno. */
static int fill(struct xha_saver *s, struct block *b)
{
    struct pollfd pfd = { .fd = s->read_fd, .events = POLLIN };

    while (b->len < BLOCK_BYTES) {
        ssize_t n;
        int r = poll(&pfd, 1, TICK_MS);

        if (s->plan.tick)
            s->plan.tick(s->plan.tick_arg);
        if (r == 0 && b->len > 0)
            return 0;
        if (r <= 0)
            continue;
        n = read(s->read_fd, b->bytes + b->len, BLOCK_BYTES - b->len);
        if (n == 0)
            return 1;
        if (n < 0 && errno != EINTR)
            return -1;
        if (n > 0)
            b->len += (size_t)n;
    }
    return 0;
}

/* Without memory for a block the stream still has to go on. */
static struct block *new_block(struct xha_saver *s, struct block *spare)
{
    struct block *b;

    wait_for_room(s);
    b = malloc(sizeof(*b));
    if (!b) {
        fail(s, ENOMEM);
        b = spare;
    }
    b->len = 0;
    return b;
}

static void *drain(void *arg)
{
    struct xha_saver *s = arg;
    static struct block spare;
    int r;

    do {
        struct block *b = new_block(s, &spare);

        r = fill(s, b);
        if (r < 0)
            fail(s, errno);
        if (b != &spare)
            push(s, b);
    } while (r == 0);
    pthread_mutex_lock(&s->lock);
    s->ended = true;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* ---- writing ---- */

static int write_out(struct xha_saver *s, const void *bytes, size_t len)
{
    if (xha_write_all(s->plan.file_fd, bytes, len) < 0)
        return -1;
    XXH3_128bits_update(s->hash, bytes, len);
    s->file_bytes += len;
    return 0;
}

static int pack(struct xha_saver *s, const void *bytes, size_t len, ZSTD_EndDirective how)
{
    ZSTD_inBuffer in = { .src = bytes, .size = len };
    size_t left;

    do {
        ZSTD_outBuffer out = { .dst = s->packed, .size = BLOCK_BYTES };

        left = ZSTD_compressStream2(s->zstd, &out, &in, how);
        if (ZSTD_isError(left)) {
            errno = ENOMEM;
            return -1;
        }
        if (write_out(s, out.dst, out.pos) < 0)
            return -1;
    } while (in.pos < in.size || (how == ZSTD_e_end && left > 0));
    return 0;
}

static int take(struct xha_saver *s, const void *bytes, size_t len)
{
    s->stream_bytes += len;
    return s->plan.zstd ? pack(s, bytes, len, ZSTD_e_continue) : write_out(s, bytes, len);
}

/* The next block, or NULL at the end or after an error. */
static struct block *pop(struct xha_saver *s)
{
    struct block *b = NULL;

    pthread_mutex_lock(&s->lock);
    while (!s->first && !s->ended && s->error == 0)
        pthread_cond_wait(&s->changed, &s->lock);
    if (s->error == 0 && s->first) {
        b = s->first;
        s->first = b->next;
        if (!s->first)
            s->last = &s->first;
    }
    pthread_mutex_unlock(&s->lock);
    return b;
}

static void release(struct xha_saver *s, struct block *b)
{
    free(b);
    pthread_mutex_lock(&s->lock);
    s->held -= sizeof(*b);
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static void *write_blocks(void *arg)
{
    struct xha_saver *s = arg;
    struct block *b;

    if (take(s, s->plan.head, s->plan.head_len) < 0)
        fail(s, errno);
    while ((b = pop(s)) != NULL) {
        if (take(s, b->bytes, b->len) < 0)
            fail(s, errno);
        release(s, b);
    }
    if (s->error == 0 && ((s->plan.zstd && pack(s, NULL, 0, ZSTD_e_end) < 0) || fsync(s->plan.file_fd) < 0))
        fail(s, errno);
    return NULL;
}

/* ---- from outside ---- */

static void saver_free(struct xha_saver *s)
{
    while (s->first) {
        struct block *b = s->first;

        s->first = b->next;
        free(b);
    }
    if (s->read_fd >= 0)
        close(s->read_fd);
    if (s->write_fd >= 0)
        close(s->write_fd);
    ZSTD_freeCCtx(s->zstd);
    XXH3_freeState(s->hash);
    free(s->packed);
    free((void *)s->plan.head);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static int prepare(struct xha_saver *s)
{
    void *head = malloc(s->plan.head_len);
    int fds[2];

    if (head)
        memcpy(head, s->plan.head, s->plan.head_len);
    s->plan.head = head;
    s->hash = XXH3_createState();
    s->packed = s->plan.zstd ? malloc(BLOCK_BYTES) : NULL;
    s->zstd = s->plan.zstd ? ZSTD_createCCtx() : NULL;
    if (!head || !s->hash || (s->plan.zstd && (!s->packed || !s->zstd))) {
        errno = ENOMEM;
        return -1;
    }
    XXH3_128bits_reset(s->hash);
    if (s->zstd) {
        ZSTD_CCtx_setParameter(s->zstd, ZSTD_c_compressionLevel, s->plan.level);
        ZSTD_CCtx_setParameter(s->zstd, ZSTD_c_checksumFlag, 1);
    }
    if (pipe2(fds, O_CLOEXEC) < 0)
        return -1;
    s->read_fd = fds[0];
    s->write_fd = fds[1];
    (void)fcntl(s->write_fd, F_SETPIPE_SZ, 1 << 20); /* fewer turns; not a must */
    return 0;
}

static int start_threads(struct xha_saver *s)
{
    sigset_t all, before;
    int r;

    sigfillset(&all); /* SIGCHLD and SIGTERM are the main thread's */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    r = pthread_create(&s->drainer, NULL, drain, s);
    if (r == 0) {
        r = pthread_create(&s->writer, NULL, write_blocks, s);
        if (r != 0) {
            close(xha_steal_fd(&s->write_fd));
            pthread_join(s->drainer, NULL);
        }
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = r;
    return r ? -1 : 0;
}

int xha_saver_start(const struct xha_saver_plan *plan, struct xha_saver **saver_r, int *stream_fd_r)
{
    struct xha_saver *s = calloc(1, sizeof(*s));

    if (!s)
        return -1;
    s->plan = *plan;
    s->read_fd = s->write_fd = -1;
    s->last = &s->first;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    if (prepare(s) < 0 || start_threads(s) < 0) {
        int error = errno;

        saver_free(s);
        errno = error;
        return -1;
    }
    *saver_r = s;
    *stream_fd_r = s->write_fd;
    return 0;
}

void xha_saver_finish(struct xha_saver *s, struct xha_saved *saved_r)
{
    close(xha_steal_fd(&s->write_fd));
    pthread_join(s->drainer, NULL);
    pthread_join(s->writer, NULL);
    *saved_r =
        (struct xha_saved){ .error = s->error, .stream_bytes = s->stream_bytes, .file_bytes = s->file_bytes };
    xha_ckpt_sum_text(s->hash, saved_r->sum);
    saver_free(s);
}
