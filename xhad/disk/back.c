/*
 * back.c - see back.h.
 */
#include "xhad/disk/back.h"
#include "xhad/disk/journal.h"
#include "xhad/disk/store.h"
#include "xhad/base/cleanup.h"

#include <inttypes.h>
#include <pthread.h>
#include <string.h>

struct xha_back {
    struct xha_back_conf conf;
    pthread_t thread;
    bool has_thread;
    bool journaled; /* what comes belongs to an epoch */

    pthread_mutex_t lock; /* of what follows, and of the journals' committed and applied */
    pthread_cond_t change;
    struct xha_journal journals[2];
    unsigned current;
    uint64_t held;
    uint64_t ended; /* the last epoch that did, in journals[.].end order */
    struct ended {
        unsigned journal;
        struct xha_journal_reader at;
    } ends[XHA_JOURNAL_OPEN_MAX]; /* by epoch */
    bool quit;
    char error[192];
};

static int fail(struct xha_back *b, const char *what)
{
    const int e = errno;

    pthread_mutex_lock(&b->lock);
    if (b->error[0] == '\0')
        snprintf(b->error, sizeof(b->error), "%s: %s", what, strerror(e));
    pthread_cond_broadcast(&b->change);
    pthread_mutex_unlock(&b->lock);
    return -1;
}

static bool is_well(struct xha_back *b)
{
    bool well;

    pthread_mutex_lock(&b->lock);
    well = b->error[0] == '\0';
    pthread_mutex_unlock(&b->lock);
    return well;
}

/* ---- applying ---- */

static int apply(struct xha_back *b, const struct xha_journal *j, const struct xha_record *record)
{
    switch (record->kind) {
    case XHA_RECORD_WRITE:
        return xha_store_write(b->conf.disk_fd, j->data, record->len, record->offset);
    case XHA_RECORD_ZERO:
        return xha_store_zero(b->conf.disk_fd, record->len, record->offset);
    case XHA_RECORD_END:
    case XHA_RECORD_COMMIT:
    case XHA_RECORD_KIND_N_:
        break;
    }
    return 0;
}

/* All that is committed in a journal. */
static int apply_all(struct xha_back *b, struct xha_journal *j, const struct xha_journal_reader *committed)
{
    struct xha_record record;

    while (xha_journal_walk(j, committed, &record))
        if (apply(b, j, &record) < 0)
            return fail(b, "the disk cannot be written");
    if (j->applied.at == committed->at)
        return 0;
    errno = EIO;
    return fail(b, "the journal cannot be read back");
}

/* The journal whose epochs are the older ones. */
static struct xha_journal *older(struct xha_back *b)
{
    return &b->journals[b->journals[1].applied.generation < b->journals[0].applied.generation];
}

static bool is_empty(const struct xha_journal *j)
{
    return j->end.at == XHA_JOURNAL_HEAD;
}

/* With the lock held: nothing goes into it any more, and all of it is committed. */
static bool is_closed(const struct xha_back *b, const struct xha_journal *j)
{
    return j != &b->journals[b->current] && !is_empty(j) && j->committed.epoch == j->end.epoch;
}

static uint64_t newest_generation(const struct xha_back *b)
{
    const uint64_t a = b->journals[0].applied.generation, c = b->journals[1].applied.generation;

    return a > c ? a : c;
}

/* All of it is on the disk: it is begun anew. */
static int retire(struct xha_back *b, struct xha_journal *j)
{
    const uint64_t epoch = j->committed.epoch;

    if (fdatasync(b->conf.disk_fd) < 0)
        return fail(b, "the disk cannot be synced");
    if (epoch > b->conf.file->meta.held) {
        b->conf.file->meta.held = epoch;
        if (xha_meta_write(b->conf.file) < 0)
            return fail(b, "the disk's state cannot be written");
    }
    pthread_mutex_lock(&b->lock);
    if (xha_journal_begin(j, newest_generation(b) + 1) < 0) {
        pthread_mutex_unlock(&b->lock);
        return fail(b, "the journal cannot be begun anew");
    }
    pthread_cond_broadcast(&b->change);
    pthread_mutex_unlock(&b->lock);
    return 0;
}

/* ---- the thread that applies ---- */

/* What is there to be applied or begun anew, older ones first; NULL: the end. */
static struct xha_journal *next_job(struct xha_back *b, struct xha_journal_reader *committed_r,
                                    bool *closed_r)
{
    struct xha_journal *job = NULL;

    pthread_mutex_lock(&b->lock);
    while (!b->quit && b->error[0] == '\0') {
        struct xha_journal *current = &b->journals[b->current], *other = &b->journals[!b->current];

        if (other->applied.at < other->committed.at || is_closed(b, other))
            job = other;
        else if (current->applied.at < current->committed.at)
            job = current;
        if (job)
            break;
        pthread_cond_wait(&b->change, &b->lock);
    }
    if (job) {
        *committed_r = job->committed;
        *closed_r = is_closed(b, job);
    }
    pthread_mutex_unlock(&b->lock);
    return job;
}

static void *run(void *arg)
{
    struct xha_back *b = arg;
    struct xha_journal_reader committed;
    struct xha_journal *job;
    bool closed;

    while ((job = next_job(b, &committed, &closed)))
        if (apply_all(b, job, &committed) < 0 || (closed && retire(b, job) < 0))
            break;
    return NULL;
}

static void stop_thread(struct xha_back *b)
{
    if (!b->has_thread)
        return;
    pthread_mutex_lock(&b->lock);
    b->quit = true;
    pthread_cond_broadcast(&b->change);
    pthread_mutex_unlock(&b->lock);
    pthread_join(b->thread, NULL);
    b->has_thread = b->quit = false;
}

/* ---- opening, closing ---- */

/* Both journals onto the disk, by whoever is the only one here. */
static int settle(struct xha_back *b)
{
    for (int i = 0; i < 2; i++) { /* beginning the older one anew makes it the newer one */
        struct xha_journal *j = older(b);

        if (apply_all(b, j, &j->committed) < 0)
            return -1;
        if (j->committed.epoch > b->held)
            b->held = j->committed.epoch;
        if (retire(b, j) < 0)
            return -1;
    }
    b->current = older(b) - b->journals; /* the one that comes after it is the newer one */
    return 0;
}

/* What a disk that is no standby has in its journals was done with before. */
static int forget(struct xha_back *b)
{
    for (int i = 0; i < 2; i++)
        if (xha_journal_begin(older(b), newest_generation(b) + 1) < 0)
            return fail(b, "the journal cannot be begun anew");
    b->current = older(b) - b->journals; /* the one that comes after it is the newer one */
    return 0;
}

int xha_back_open(const struct xha_back_conf *conf, struct xha_back **back_r, char *err, size_t err_len)
{
    struct xha_back *b = calloc(1, sizeof(*b));
    const uint64_t size = conf->file->meta.size;

    if (!b) {
        snprintf(err, err_len, "out of memory");
        return -1;
    }
    b->conf = *conf;
    if (b->conf.journal_bytes == 0)
        b->conf.journal_bytes = XHA_BACK_JOURNAL_BYTES;
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->change, NULL);
    b->held = conf->file->meta.held;
    b->journals[1].fd = -1;
    if (xha_journal_open(&b->journals[0], conf->dir, "journal.0", size) < 0 ||
        xha_journal_open(&b->journals[1], conf->dir, "journal.1", size) < 0)
        fail(b, "a journal cannot be opened");
    else if ((conf->file->meta.role == XHA_DISK_STANDBY ? settle(b) : forget(b)) == 0) {
        *back_r = b;
        return 0;
    }
    snprintf(err, err_len, "%s: %s", conf->dir, b->error);
    xha_back_close(b);
    return -1;
}

void xha_back_close(struct xha_back *back)
{
    if (!back)
        return;
    stop_thread(back);
    for (int i = 0; i < 2; i++)
        xha_journal_close(&back->journals[i]);
    pthread_mutex_destroy(&back->lock);
    pthread_cond_destroy(&back->change);
    free(back);
}

/* ---- what comes from the primary ---- */

static int set_role(struct xha_back *b, enum xha_disk_role role)
{
    b->conf.file->meta.role = role;
    return xha_meta_write(b->conf.file) < 0 ? fail(b, "the disk's state cannot be written") : 0;
}

int xha_back_sync(struct xha_back *back, const uint8_t base[XHA_BASE_BYTES])
{
    if (xha_back_settle(back) < 0)
        return -1;
    back->journaled = false;
    memcpy(back->conf.file->meta.base, base, XHA_BASE_BYTES);
    return set_role(back, XHA_DISK_SYNCING);
}

int xha_back_synced(struct xha_back *back, uint64_t epoch)
{
    int r;

    if (!is_well(back))
        return -1;
    if (fdatasync(back->conf.disk_fd) < 0)
        return fail(back, "the disk cannot be synced");
    back->held = back->ended = back->conf.file->meta.held = epoch;
    back->conf.file->meta.cleared = 0; /* it relies on nobody */
    if (set_role(back, XHA_DISK_STANDBY) < 0)
        return -1;
    xha_map_clear_all(back->conf.file->map);
    if (xha_meta_write_map(back->conf.file) < 0)
        return fail(back, "the disk's map cannot be written");
    back->journaled = true;
    r = pthread_create(&back->thread, NULL, run, back);
    errno = r;
    back->has_thread = r == 0;
    return r == 0 ? 0 : fail(back, "no thread");
}

static int journal_it(struct xha_back *b, enum xha_record_kind kind, uint64_t offset, uint32_t len,
                      const void *data)
{
    struct xha_journal *j = &b->journals[b->current];

    if (j->end.at - j->committed.at > XHA_BACK_EPOCH_BYTES) {
        errno = EFBIG;
        return fail(b, "an epoch does not end");
    }
    return xha_journal_append(j, kind, b->ended + 1, offset, len, data) < 0
               ? fail(b, "the journal cannot be written")
               : 0;
}

static int check_place(struct xha_back *b, uint64_t offset, uint64_t len)
{
    const uint64_t size = b->conf.file->meta.size;

    if (!is_well(b))
        return -1;
    if (offset <= size && len <= size - offset)
        return 0;
    errno = ERANGE;
    return fail(b, "the primary wrote beyond the disk's end");
}

int xha_back_write(struct xha_back *back, uint64_t offset, const void *data, uint32_t len)
{
    if (check_place(back, offset, len) < 0)
        return -1;
    if (back->journaled)
        return len > 0 ? journal_it(back, XHA_RECORD_WRITE, offset, len, data) : 0;
    return xha_store_write(back->conf.disk_fd, data, len, offset) < 0
               ? fail(back, "the disk cannot be written")
               : 0;
}

int xha_back_zero(struct xha_back *back, uint64_t offset, uint64_t len)
{
    if (check_place(back, offset, len) < 0)
        return -1;
    if (!back->journaled)
        return xha_store_zero(back->conf.disk_fd, len, offset) < 0 ? fail(back, "the disk cannot be written")
                                                                   : 0;
    while (len > 0) {
        const uint32_t part = len > (1u << 30) ? 1u << 30 : (uint32_t)len;

        if (journal_it(back, XHA_RECORD_ZERO, offset, part, NULL) < 0)
            return -1;
        offset += part;
        len -= part;
    }
    return 0;
}

int xha_back_end(struct xha_back *back, uint64_t epoch)
{
    struct xha_journal *j = &back->journals[back->current];

    if (!is_well(back))
        return -1;
    errno = EPROTO;
    if (!back->journaled || epoch != back->ended + 1 || epoch - back->held > XHA_JOURNAL_OPEN_MAX)
        return fail(back, "an epoch ended out of turn");
    if (xha_journal_end(j, epoch) < 0)
        return fail(back, "the journal cannot be written");
    pthread_mutex_lock(&back->lock);
    back->ended = epoch;
    back->ends[epoch % XHA_JOURNAL_OPEN_MAX] = (struct ended){ back->current, j->end };
    if (j->end.at >= back->conf.journal_bytes && is_empty(&back->journals[!back->current]))
        back->current = !back->current;
    pthread_cond_broadcast(&back->change);
    pthread_mutex_unlock(&back->lock);
    return 0;
}

int xha_back_commit(struct xha_back *back, uint64_t epoch)
{
    const struct ended *end = &back->ends[epoch % XHA_JOURNAL_OPEN_MAX];

    if (!is_well(back))
        return -1;
    errno = EPROTO;
    if (!back->journaled || epoch != back->held + 1 || epoch > back->ended)
        return fail(back, "an epoch was committed out of turn");
    if (xha_journal_commit(&back->journals[end->journal], epoch) < 0)
        return fail(back, "the journal cannot be synced");
    pthread_mutex_lock(&back->lock);
    back->journals[end->journal].committed = end->at;
    back->held = epoch;
    pthread_cond_broadcast(&back->change);
    pthread_mutex_unlock(&back->lock);
    return 0;
}

int xha_back_settle(struct xha_back *back)
{
    stop_thread(back);
    back->journaled = false;
    return is_well(back) ? settle(back) : -1;
}

uint64_t xha_back_held(struct xha_back *back)
{
    uint64_t held;

    pthread_mutex_lock(&back->lock);
    held = back->held;
    pthread_mutex_unlock(&back->lock);
    return held;
}

const char *xha_back_error(const struct xha_back *back)
{
    return back->error;
}
